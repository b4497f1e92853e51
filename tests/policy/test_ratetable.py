"""Rate tables: the longest prefix, then the price, then whoever else."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_longest_prefix_comes_first_then_the_price(rates_of):
    """A dearer rate for a longer prefix goes before a cheaper one for a shorter; among equals the
    cheaper one; and the trunks of shorter prefixes stand behind, in case the others fail."""
    rows = ["44,0.001,,wide", "4420,0.02,,dear", "4420,0.01,,cheap", "1,0.5,,other"]
    table = rates_of(*rows)
    assert table.look_up("442071838750", 0) == ["cheap", "dear", "wide"]
    assert table.look_up("447000", 0) == ["wide"]
    assert table.look_up("33123", 0) == []
    assert (table.prefixes, table.rates) == (3, 4)


def test_a_prefix_covers_no_shorter_number(rates_of):
    """Of a number that was not dialled to its end nobody knows where it would have gone."""
    table = rates_of("44,1,,wide", "440,1,,zero", "4400,1,,zeros")
    assert table.look_up("4", 0) == []
    assert table.look_up("44", 0) == ["wide"]
    assert table.look_up("440", 0) == ["zero", "wide"]
    assert table.look_up("4400", 0) == ["zeros", "zero", "wide"]


def test_a_trunk_stands_once_with_its_own_best_prefix(rates_of):
    """Whoever has a rate for the longer prefix is not tried again for the shorter."""
    table = rates_of("44,1,,a", "44,2,,b", "4420,9,,a")
    assert table.look_up("4420", 0) == ["a", "b"]


def test_a_price_is_valid_from_its_day_on(rates_of):
    """The latest that has begun counts; a prefix whose rates are all to come counts for nothing."""
    day = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    rows = [
        "44,0.02,2026-01-01,a",
        "44,0.01,2026-03-01,a",
        "44,0.015,2026-01-01T00:00:00+00:00,b",
        "4420,0.001,2026-03-01T01:00:00+01:00,c",
    ]
    table = rates_of(*rows)
    for _ in range(2):  # as it was worked out, and as it was remembered
        assert table.look_up("4420", day - 1) == ["b", "a"]
        assert table.look_up("4420", day) == ["c", "a", "b"]
    assert table.look_up("4420", datetime(2025, 12, 31, tzinfo=UTC).timestamp()) == []


def test_fifteen_digits_and_more(rates_of):
    """A prefix may be a whole number (E.164: fifteen digits); longer numbers are looked up by
    their first fifteen."""
    table = rates_of("999999999999999,1,,a", "9,1,,b", "0,1,,c")
    assert table.look_up("999999999999999", 0) == ["a", "b"]
    assert table.look_up("9999999999999991234", 0) == ["a", "b"]
    assert table.look_up("99999999999999", 0) == ["b"]
    assert table.look_up("000000000000000", 0) == ["c"]


def test_a_ranking_ends_where_nobody_would_try_further(rates_of):
    """Not with offers that are still to come, which need others behind them until then."""
    rows = [f"44,{price},{'2026-01-01' if price % 2 else ''},t{price}" for price in range(40)]
    table = rates_of(*rows)
    assert table.look_up("44", 0) == [f"t{price}" for price in range(0, 32, 2)]
    assert table.look_up("44", 2e9) == [f"t{price}" for price in range(16)]
    assert table.look_up("44", 2e9, 3) == ["t0", "t1", "t2"]


_DIGITS = st.text("019", min_size=1, max_size=6)
_ROWS = st.dictionaries(
    st.tuples(_DIGITS, st.sampled_from("abc"), st.integers(0, 3)),
    st.integers(0, 3),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(_ROWS, st.lists(st.text("019", min_size=1, max_size=8), min_size=1), st.integers(0, 3))
def test_any_table_answers_as_a_search_through_its_rows_would(rates_of, rows, numbers, day):
    """Of each prefix of the number, the longest first, each trunk's latest valid rate, the cheapest
    first; no trunk twice."""
    lines = [
        f"{prefix},{price},2026-01-0{since + 1},{trunk}"
        for (prefix, trunk, since), price in rows.items()
    ]
    table = rates_of(*lines)
    now = datetime(2026, 1, day + 1, tzinfo=UTC).timestamp()
    order = {trunk: index for index, trunk in enumerate(table.trunks)}
    for number in numbers:
        assert table.look_up(number, now) == _searched(rows, number, day, order)
    assert table.prefixes == len({prefix for prefix, _, _ in rows})


def _searched(rows, number, day, order):
    found = []
    for length in range(len(number), 0, -1):
        latest = {}
        for (prefix, trunk, since), price in rows.items():
            if prefix == number[:length] and since <= day:
                latest[trunk] = max(latest.get(trunk, (-1, 0)), (since, price))
        offers = sorted((price, order[trunk], trunk) for trunk, (_, price) in latest.items())
        found += [trunk for _, _, trunk in offers if trunk not in found]
    return found


def test_what_a_minute_costs(rates_of):
    """By the longest prefix for which a trunk has a rate, and the latest that is valid; nothing for
    a trunk or a number that has none."""
    day = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    table = rates_of(
        "44,0.25,,wide",
        "4420,0.5,,dear",
        "4420,0.125,,cheap",
        "44,1.5,,cheap",
        "44,0.75,2026-03-01,wide",
    )
    asked = [
        ("442071838750", "dear", 0, 0.5), ("442071838750", "cheap", 0, 0.125),
        ("447000", "cheap", 0, 1.5), ("442071838750", "wide", day - 1, 0.25),
        ("442071838750", "wide", day, 0.75), ("447000", "dear", 0, None),
        ("33123", "wide", 0, None), ("447000", "nobody", 0, None),
    ]  # fmt: skip
    for number, trunk, now, price in asked:
        assert table.price(number, trunk, now) == price
