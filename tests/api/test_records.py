"""Call records, as the API looks them up; and explain, as it is asked."""

import pytest

from softswitch.api import archive
from softswitch.plugin.record import CallRecord
from softswitch.records.keeping import Keeper, Retention

RECORDS = "/api/v1/records"


@pytest.fixture(name="desk")
def _desk(stage, desk_of, tmp_path):
    """With the records of three calls."""
    path = tmp_path / "calls.sqlite"
    keeper = Keeper(path, Retention(90, 1 << 30), lambda: 100.0)
    for number in range(3):
        record = CallRecord(
            id=f"call{number}",
            call_id_a=f"x{number}",
            from_tag="t",
            identity_kind="user",
            identity="alice",
            caller="sip:alice@x",
            called=f"sip:{number}@x",
            invited=10.0 + number,
            answered=11.0 + number,
            ended=20.0,
            hung_up="caller",
            status=200 if number else 486,
            reason="",
        )
        keeper.call_ended(record)
    keeper.close()
    return desk_of(stage, records=path)


def test_they_are_found(desk):
    """The latest first, in pages, and by what is asked for."""
    first = desk.get(f"{RECORDS}?limit=2").json
    assert [each["id"] for each in first["records"]] == ["call2", "call1"]
    second = desk.get(f"{RECORDS}?limit=2&cursor={first['next']}").json
    assert [each["id"] for each in second["records"]] == ["call0"]
    assert second["next"] is None
    assert [each["id"] for each in desk.get(f"{RECORDS}?status=4xx").json["records"]] == ["call0"]
    assert desk.get(f"{RECORDS}/call1").json["called"] == "sip:1@x"
    assert desk.get(f"{RECORDS}/nobody").field == "id"
    [stat] = desk.get(f"{RECORDS}/stats?by_trunk=false&by_hour=false").json["stats"]
    assert stat["calls"] == 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=x", "status"),
        ("since=yesterday", "since"),
        ("hung_up=me", "hung_up"),
        ("cursor=x", "cursor"),
        ("limit=0", "limit"),
        ("colour=red", "colour"),
    ],
)
def test_filters_that_make_no_sense(desk, query, field):
    """400, and the problem names the word."""
    response = desk.get(f"{RECORDS}?{query}")
    assert (response.status, response.field) == (400, field)


def test_octets_of_no_encoding(desk):
    """They are found nowhere, and break nothing."""
    assert desk.get(f"{RECORDS}?user=%ff").json["records"] == []
    assert desk.get(f"{RECORDS}/%ff").status == 404


def test_without_an_archive(stage, desk_of):
    """404, and why."""
    assert desk_of(stage).get(RECORDS).status == 404


def test_an_archive_that_cannot_be_read(stage, desk_of, tmp_path):
    """503; the calls go on."""
    assert desk_of(stage, records=tmp_path / "none.sqlite").get(RECORDS).status == 503


def test_explain(desk):
    """What is asked for is handed on, line by line checked."""
    wish = {"caller": "alice", "called": "100"}
    found = desk.ask("POST", "/api/v1/explain", wish).json
    assert found["called"] == "100"
    for body, field in (
        ({"caller": "alice"}, "called"),
        ({"caller": "", "called": "1"}, "caller"),
        ({"caller": "a\nb", "called": "1"}, "caller"),
        ({**wish, "every": 1}, "every"),
    ):
        assert desk.ask("POST", "/api/v1/explain", body).field == field


def test_a_look_up_that_takes_too_long(desk, monkeypatch):
    """It is given up, with 503 and what would be faster: else its thread would hold up those that
    follow, and the end of the switch."""
    monkeypatch.setattr(archive, "SECONDS", -1.0)
    monkeypatch.setattr(archive, "_STEPS", 1)
    response = desk.get(f"{RECORDS}/stats")
    assert response.status == 503
    assert "a shorter time" in response.json["detail"]


def test_statistics_have_an_end(desk, monkeypatch):
    """More lines than anybody reads are refused, and the term is named that makes them fewer."""
    monkeypatch.setattr(archive, "LINES", 0)
    assert desk.get(f"{RECORDS}/stats?by_trunk=false").field == "since"
