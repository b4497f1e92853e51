"""Rate files: what may stand in one, and what is told of what may not."""

import sqlite3

import pytest

from softswitch.policy.ratefile import main
from softswitch.policy.raterows import BrokenRatesError

HEAD = "prefix,price,valid_from,trunk"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_in_any_order(rates_of, separator):
    """The first line names the columns; others than ours are nobody's business. Separators as the
    first line has them, quotes and blank lines as CSV has them, and a plus before a prefix."""
    head = separator.join(["Trunk", "note", "price", " prefix"])
    row = separator.join(["carrier", '"a, ""b""; c"', "0.0125", "+4420"])
    table = rates_of("", row, "", head=head)
    assert table.look_up("44201", 0) == ["carrier"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("44x,1,,a", 'line 4, column 1 (prefix): 1 to 15 digits are wanted, not "44x"'),
        (",1,,a", 'line 4, column 1 (prefix): 1 to 15 digits are wanted, not ""'),
        ("٤٤,1,,a", "line 4, column 1 (prefix)"),
        ("1234567890123456,1,,a", "line 4, column 1 (prefix)"),
        ("44,0.o1,,a", 'line 4, column 2 (price): a number such as 0.0125 is wanted, not "0.o1"'),
        ('44,"0,01",,a', "line 4, column 2 (price)"),
        ("44,-1,,a", "line 4, column 2 (price)"),
        ("44,nan,,a", "line 4, column 2 (price)"),
        ("44,,,a", "line 4, column 2 (price)"),
        ("44,1,31.1.2026,a", "line 4, column 3 (valid_from): a date as 2026-01-31 is wanted"),
        ("44,1,1926-01-31,a", "line 4, column 3 (valid_from)"),
        ("44,1,,", "line 4, column 4 (trunk): the name of a trunk is wanted"),
        ("44,1,a", "line 4: 4 columns are wanted, not 3"),
        ('44,1,,"a" b', "line 4: is no CSV"),
        ("33,2,,a", "line 4, column 2 (price): another price than in line 2, for the same time"),
    ],
)
def test_a_broken_row_is_named(rates_of, row, told):
    """Line and column, what would be right, and what was found."""
    with pytest.raises(BrokenRatesError) as caught:
        rates_of("33,1,,a", "33,1,,b", row, "55,1,,c")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: a column prefix is wanted, there is none at all"),
        (HEAD, "there is no rate in it"),
        ("prefix,cost,trunk\n44,1,a\n", "line 1: a column price is wanted, there is only"),
        ("44,1,,a\n", "line 1: a column prefix is wanted"),
    ],
)
def test_what_is_no_table(tmp_path, rates_in, text, told):
    """A file that was cut off, or that is another, routes nothing in silence."""
    (tmp_path / "rates.csv").write_text(text)
    with pytest.raises(BrokenRatesError) as caught:
        rates_in(tmp_path / "rates.csv")
    assert str(caught.value).startswith(told)


def test_the_same_row_twice_is_one(rates_of):
    """What does not contradict itself is no mistake."""
    table = rates_of("44,1,2026-01-01,a", "44,1.0,2026-01-01T00:00:00Z,a")
    assert table.look_up("44", 2e9) == ["a"]


def _database(path, kinds, rows):
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE rates ({kinds})")
        connection.executemany(f"INSERT INTO rates VALUES ({','.join('?' * len(rows[0]))})", rows)
    connection.close()


def test_rates_in_sqlite(tmp_path, rates_in):
    """A table ``rates`` with the same columns, numbers as numbers or as text."""
    kinds = "trunk TEXT, prefix INTEGER, price REAL, valid_from TEXT"
    rows = [("a", 44, 0.25, None), ("b", 4420, 1, "2026-01-01"), ("a", "4420", "0.5", "")]
    _database(tmp_path / "rates.db", kinds, rows)
    assert rates_in(tmp_path / "rates.db").look_up("4420", 2e9) == ["a", "b"]
    assert rates_in(tmp_path / "rates.db").look_up("4420", 0) == ["a"]


def test_a_broken_row_in_sqlite(tmp_path, rates_in):
    """The row by its number."""
    _database(tmp_path / "rates.db", "prefix, price, trunk", [("44", "1", "a"), ("x", "1", "a")])
    with pytest.raises(BrokenRatesError) as caught:
        rates_in(tmp_path / "rates.db")
    assert str(caught.value) == 'row 2, column 1 (prefix): 1 to 15 digits are wanted, not "x"'


@pytest.mark.parametrize("content", [b"SQLite format 3\0", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_database(tmp_path, rates_in, content):
    """Told as such."""
    (tmp_path / "rates.db").write_bytes(content)
    with pytest.raises(BrokenRatesError, match=r"SQLite|a column prefix is wanted"):
        rates_in(tmp_path / "rates.db")


def test_many_rows_come_in_order(rates_of):
    """They are sorted by shares, however they are spread."""
    rows = [f"{prefix},1,,{'ab'[prefix % 2]}" for prefix in range(100000, 300000)]
    table = rates_of(*rows[::-1], "1,1,,c")
    assert table.prefixes == 200001
    for prefix in range(100000, 200000, 997):
        assert table.look_up(f"{prefix}5", 0) == ["ab"[prefix % 2], "c"]
    assert table.look_up("2000005", 0) == ["a"]
    assert table.look_up("300000", 0) == []


def test_the_reader_says_what_is_wrong_in_one_line(tmp_path, capsys):
    """On the standard error, with status 1; nothing on the other."""
    assert main([str(tmp_path / "none.csv")]) == 1
    assert capsys.readouterr() == ("", "cannot be read: No such file or directory\n")
