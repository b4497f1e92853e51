"""Call records are found by time, number, trunk and status, page by page."""

import json
from contextlib import closing
from datetime import UTC, datetime
from random import Random

import pytest

from softswitch.errors import ConfigError
from softswitch.plugin.record import Attempt, CallRecord, MediaStream, Verdict
from softswitch.records import query
from softswitch.records.filters import WORDS, Filter, FilterError, read
from softswitch.records.schema import add, open_records
from softswitch.store.schema import connect, prepare
from softswitch.store.snapshot import reading

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()


def call(name, at=0.0, **cells):
    """A call that began so many seconds after noon, rang after 2 s and was refused after 5."""
    fields = {
        "call_id_a": f"{name}@phone",
        "from_tag": "f",
        "identity_kind": "user",
        "identity": "alice",
        "caller": "sip:1001@example.com",
        "called": "sip:2001@example.com",
        "invited": NOON + at,
        "ringing": NOON + at + 2,
        "ended": NOON + at + 5,
        "hung_up": "callee",
        "status": 486,
        "reason": "Busy Here",
        "user": "alice",
    }
    return CallRecord(id=name, **{**fields, **cells})


def leg(number="49891234", trunk=None, at=0.0, *, call_id="", **cells):
    return Attempt(f"sip:{number}@gw", call_id, NOON + at, trunk, **cells)


def kept(path, *records):
    with closing(open_records(path)) as connection, connection:
        add(connection, records)
    return reading(path)


def ids(page):
    return [record["id"] for record in page.records]


def found(connection, **words):
    return sorted(ids(query.find(connection, read(words, NOON))))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.sqlite"


def test_a_record_comes_back_whole(path):
    """All that a record says stands in it: times in UTC to the microsecond, both numbers as
    received and as sent, the trunk, the verdicts, codecs, MOS of both sides."""
    record = call(
        "one",
        invited=1_769_860_800.123456,
        ringing=None,
        answered=1_769_860_803.5,
        ended=1_769_860_863.75,
        status=200,
        causes=["Q.850;cause=16"],
        verdicts=[Verdict("routing", "dialplan", "1 target")],
        attempts=[
            leg("1", "first", status=503),
            leg("2", "second", answered=NOON, caller="sip:+49@us", leg="b2", user=""),
        ],
        media=[
            MediaStream("a", 0, "audio", "PCMA", mos=4.1),
            MediaStream("b2", 0, "audio", "PCMU", mos=3.9),
            MediaStream("b2", 1, "video", "H264"),
        ],
    )
    with kept(path, record) as connection:
        (got,) = query.find(connection, Filter()).records
        assert query.show(connection, "one") == got
        assert query.show(connection, "two") is None
    assert got["invited"] == "2026-01-31T12:00:00.123456Z"
    assert got["ringing"] is None
    assert (got["caller_number"], got["called_number"]) == ("1001", "2001")
    assert (got["sent_caller_number"], got["sent_called_number"]) == ("+49", "2")
    assert (got["user"], got["trunk_in"], got["trunk_out"]) == ("alice", "", "second")
    assert (got["pdd_seconds"], got["talk_seconds"]) == (3.376544, 60.25)
    assert (got["codec_caller"], got["codec_callee"]) == ("PCMA", "PCMU")
    assert (got["mos_caller"], got["mos_callee"]) == (4.1, 3.9)
    assert got["causes"] == ["Q.850;cause=16"]
    assert got["verdicts"] == [
        {"question": "routing", "policy": "dialplan", "decision": "1 target"}
    ]
    assert got["call_group"] == "one"


def test_a_record_is_kept_once(path):
    """However often it is written: its id is the key."""
    kept(path, call("one", attempts=[leg()]))
    with closing(open_records(path)) as connection, connection:
        assert add(connection, [call("one", status=200, attempts=[leg(), leg()]), call("two")]) == 1
    with reading(path) as connection:
        assert query.count(connection, Filter()) == 2
        assert query.show(connection, "one")["status"] == 486
        assert connection.execute("SELECT count(*) FROM tries").fetchone() == (1,)


def test_what_no_encoding_can_write_is_kept(path):
    """Octets of no encoding, NUL and line breaks in what a peer has sent stop no record."""
    odd = call("odd", caller="sip:%FF%00%0A@x", reason="\udcff\x00\n", call_id_a="\udcfe")
    with kept(path, odd) as connection:
        (got,) = query.find(connection, Filter()).records
    assert got["reason"] == "?\x00\n"
    assert got["caller_number"] == "?\x00\n"


def test_found_by_what_an_operator_knows(path):
    """By number, received or sent, whole or its beginning; by user, trunk, status, Call-ID of
    either leg, group, Session-ID, by who hung up, and whether it was answered."""
    records = [
        call("plain"),
        call("sent", attempts=[leg("4989777", "carrier", call_id="b-leg")], status=480),
        call("came", identity_kind="trunk", identity="carrier", caller="sip:498955@x", user=""),
        call("said", answered=NOON + 3, status=200, hung_up="caller", session_id="ab" * 16),
        call("joined", call_group="said", attempts=[leg(user="bob")], called="tel:+4930"),
    ]
    with kept(path, *records) as connection:
        assert found(connection, number="2001") == ["came", "plain", "said", "sent"]
        assert found(connection, number="4989777") == ["sent"]
        assert found(connection, number="4989*") == ["came", "joined", "sent"]
        assert found(connection, number="+4930") == ["joined"]
        assert found(connection, number="200") == []
        assert found(connection, user="alice") == ["joined", "plain", "said", "sent"]
        assert found(connection, user="bob") == ["joined"]
        assert found(connection, trunk="carrier") == ["came", "sent"]
        assert found(connection, status="480") == ["sent"]
        assert found(connection, status="4xx", trunk="carrier") == ["came", "sent"]
        assert found(connection, status="200-299") == ["said"]
        assert found(connection, call_id="b-leg") == ["sent"]
        assert found(connection, call_id="plain@phone") == ["plain"]
        assert found(connection, group="said") == ["joined", "said"]
        assert found(connection, session_id="ab" * 16) == ["said"]
        assert found(connection, hung_up="caller") == ["said"]
        assert found(connection, answered="no", status="486") == ["came", "joined", "plain"]
        assert found(connection, answered="yes") == ["said"]
        assert found(connection) == ["came", "joined", "plain", "said", "sent"]


def test_found_by_time(path):
    """``since`` is within, ``until`` is not; what has no zone is UTC."""
    with kept(path, *(call(f"{at}", at) for at in (-3600, 0, 3600))) as connection:
        assert found(connection, since="2026-01-31T12:00") == ["0", "3600"]
        assert found(connection, until="2026-01-31T13:00+01:00") == ["-3600"]
        assert found(connection, since="2h", until="30m") == ["-3600"]
        assert found(connection, since="2026-02-01") == []


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "99999999999d"}, "since"),
        ({"since": "999999w"}, "since"),
        ({"until": "1969-12-31"}, "until"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "until"),
        ({"status": "48"}, "status"),
        ({"status": "499-400"}, "status"),
        ({"status": "٤٨٦"}, "status"),
        ({"number": "*"}, "number"),
        ({"number": "4*9"}, "number"),
        ({"hung_up": "me"}, "hung_up"),
        ({"answered": "maybe"}, "answered"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(words, field):
    """The word that is wrong is said, and what would be right."""
    with pytest.raises(FilterError) as caught:
        read(words, NOON)
    assert caught.value.field == field
    assert caught.value.wanted


def test_words_that_are_empty_do_not_matter():
    """As a form sends them that has not been filled in."""
    assert read(dict.fromkeys(WORDS, " "), NOON) == Filter()


def test_pages_hold_every_record_once(path):
    """Page after page gives all, the latest first, none twice, though many began in one moment and
    others come in between."""
    random = Random(7)
    records = [call(f"c{number}", random.randrange(5)) for number in range(57)]
    kept(path, *records)
    got, after = [], ""
    for turn in range(9):
        with reading(path) as connection:
            page = query.find(connection, Filter(), 10, after)
        got += page.records
        after = page.next
        if not after:
            break
        kept(path, call(f"later{turn}", 60))
    assert [record["id"] for record in got if record["id"].startswith("c")] == [
        each.id
        for each in sorted(
            records, key=lambda each: (each.invited, records.index(each)), reverse=True
        )
    ]
    assert len({record["id"] for record in got}) == len(got)


@pytest.mark.parametrize(
    ("limit", "after", "field"),
    [(0, "", "limit"), (1001, "", "limit"), (5, "next", "cursor"), (5, "1.2.3", "cursor")],
)
def test_a_page_that_makes_no_sense_is_named(path, limit, after, field):
    """As a filter is."""
    with kept(path, call("one")) as connection, pytest.raises(FilterError) as caught:
        query.find(connection, Filter(), limit, after)
    assert caught.value.field == field


def test_every_record_in_order(path):
    """What is exported by hand comes in the order in which the calls began."""
    with kept(path, *(call(f"{at}", at) for at in (3, 1, 2))) as connection:
        assert query.count(connection, Filter()) == 3
        lines = list(query.every(connection, Filter(since=NOON + 2)))
    assert [json.loads(line)["id"] for line in lines] == ["2", "3"]


def test_statistics_per_trunk_and_hour(path):
    """Answer-seizure ratio, average call duration, post-dial delay and MOS, per trunk, way and
    hour; what a limit has kept from being sent is no seizure."""
    records = [
        call(
            "good",
            attempts=[
                leg("1", "red", call_id="x", ringing=NOON + 1, status=503),
                leg("1", "blue", 2, call_id="y", leg="b2", ringing=NOON + 5, answered=NOON + 6),
            ],
            answered=NOON + 6,
            ended=NOON + 66,
            media=[MediaStream("a", 0, mos=4.0), MediaStream("b2", 0, mos=3.0)],
        ),
        call("over", attempts=[leg("1", "blue", limit="trunk blue: calls 1")]),
        call("lost", 10, attempts=[leg("1", "blue", 10, call_id="z")]),
        call("came", 3600, identity_kind="trunk", identity="blue", ringing=None),
    ]
    with kept(path, *records) as connection:
        rows = query.stats(connection, Filter())
        assert rows == [
            query.Stat("blue", "out", "2026-01-31T12:00:00.000000Z", 2, 1, 0.5, 60.0, 3.0, 3.0),
            query.Stat("red", "out", "2026-01-31T12:00:00.000000Z", 1, 0, 0.0, None, 1.0, None),
            query.Stat("blue", "in", "2026-01-31T13:00:00.000000Z", 1, 0, 0.0, None, None, None),
        ]
        assert [
            (row.trunk, row.way, row.calls)
            for row in query.stats(connection, Filter(trunk="blue"), by_hour=False)
        ] == [("blue", "in", 1), ("blue", "out", 2)]
        (all_calls,) = query.stats(connection, Filter(), by_trunk=False, by_hour=False)
        assert all_calls == query.Stat("", "", "", 4, 1, 0.25, 60.0, 2.0, 3.0)
        assert query.stats(connection, Filter(user="nobody"), by_trunk=False, by_hour=False) == []


def test_a_file_of_another_kind_is_refused(path, tmp_path):
    """Registrations and records do not share a file, and the error says so."""
    with closing(connect(path)) as connection:
        prepare(connection, path)
    with pytest.raises(ConfigError, match="files of their own"):
        open_records(path)
    records = tmp_path / "records.sqlite"
    open_records(records).close()
    with closing(connect(records)) as connection, pytest.raises(ConfigError, match="of their own"):
        prepare(connection, records)


def test_a_session_by_the_uuid_of_either_end(path):
    """In any case, with dashes or without; and by all of the field, as ever."""
    near, far, other = "0a" * 16, "b1" * 16, "c2" * 16
    records = [
        call("one", session_id=f"{near};remote={far}"),
        call("two", session_id=f"{far};remote={other}"),
        call("three"),
    ]
    with kept(path, *records) as connection:
        assert found(connection, session_id=near) == ["one"]
        assert found(connection, session_id=far) == ["one", "two"]
        assert found(connection, session_id=other.upper()) == ["two"]
        dashes = "-".join((near[:8], near[8:12], near[12:16], near[16:20], near[20:]))
        assert found(connection, session_id=dashes) == ["one"]
        assert found(connection, session_id=f"{near};remote={far}") == ["one"]
        assert found(connection, session_id=near[:31]) == []


def test_a_session_is_looked_for_in_its_index_alone(path):
    """No record of a million is read for one that is not found."""
    with kept(path, call("one", session_id="0a" * 16)) as connection:
        statements = []
        connection.set_trace_callback(statements.append)
        query.find(connection, Filter(session_id="0a" * 16))
        connection.set_trace_callback(None)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()
    assert any("SCAN calls USING COVERING INDEX calls_session" in row[3] for row in plan)
    assert not any(row[3] == "SCAN calls" for row in plan)
