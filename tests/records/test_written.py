"""What is written of a call: all of its record, and what follows from it, in one line of JSON."""

import json

import pytest

from softswitch.plain import from_plain, to_plain
from softswitch.plugin.record import Attempt, CallRecord, MediaStream, Silence
from softswitch.records.written import as_json, number_of, summary


def record(number=0):
    return CallRecord(
        id=f"call-{number}",
        call_id_a="a84b4c76e66710@127.44.0.9",
        from_tag="1928301774",
        to_tag="314159",
        identity_kind="user",
        identity="alice",
        caller="sip:alice@example.com",
        called="sip:100@example.com",
        invited=1_800_000_000.0,
        ringing=1_800_000_001.25,
        answered=1_800_000_002.5,
        ended=1_800_000_062.000001,
        hung_up="callee",
        status=200,
        reason="OK",
        attempts=[
            Attempt(
                target="sip:100@127.44.0.7",
                call_id_b="b1@127.44.0.1",
                leg="b1",
                started=1_800_000_000.5,
                trunk="gate",
                ended=1_800_000_000.75,
                status=503,
                reason="Service Unavailable",
            ),
            Attempt(target="sip:100@127.44.0.8", call_id_b="b2", started=1_800_000_000.875),
        ],
        media=[MediaStream("a", 0, "audio", packets=2, first=1_800_000_002.5)],
        silences=[Silence("b1", "held", "it is on hold", 1_800_000_006.5)],
    )


def test_a_record_is_plain_data():
    """What a call knows of its history can be written down and rebuilt equal."""
    plain = json.loads(json.dumps(to_plain(record())))
    assert from_plain(CallRecord, plain) == record()


def test_one_line_holds_the_call_and_its_attempts():
    """Both legs' identifiers, numbers as received and as sent, times in UTC to the microsecond,
    who hung up, final status, what was counted; null for what did not happen."""
    text = as_json(record(), summary(record()))
    assert "\n" not in text
    assert json.loads(text) == {
        "id": "call-0",
        "call_id_a": "a84b4c76e66710@127.44.0.9",
        "from_tag": "1928301774",
        "identity_kind": "user",
        "identity": "alice",
        "caller": "sip:alice@example.com",
        "called": "sip:100@example.com",
        "invited": "2027-01-15T08:00:00.000000Z",
        "to_tag": "314159",
        "ringing": "2027-01-15T08:00:01.250000Z",
        "answered": "2027-01-15T08:00:02.500000Z",
        "ended": "2027-01-15T08:01:02.000001Z",
        "hung_up": "callee",
        "status": 200,
        "reason": "OK",
        "attempts": [
            {
                "target": "sip:100@127.44.0.7",
                "call_id_b": "b1@127.44.0.1",
                "started": "2027-01-15T08:00:00.500000Z",
                "trunk": "gate",
                "ringing": None,
                "answered": None,
                "ended": "2027-01-15T08:00:00.750000Z",
                "status": 503,
                "reason": "Service Unavailable",
                "limit": "",
                "leg": "b1",
                "caller": "",
                "user": "",
                "attestation": "",
                "origid": "",
            },
            {
                "target": "sip:100@127.44.0.8",
                "call_id_b": "b2",
                "started": "2027-01-15T08:00:00.875000Z",
                "trunk": None,
                "ringing": None,
                "answered": None,
                "ended": None,
                "status": 0,
                "reason": "",
                "limit": "",
                "leg": "",
                "caller": "",
                "user": "",
                "attestation": "",
                "origid": "",
            },
        ],
        "limit": "",
        "media": [
            {
                "leg": "a",
                "line": 0,
                "kind": "audio",
                "codec": "",
                "packets": 2,
                "bytes": 0,
                "lost": None,
                "jitter": None,
                "first": "2027-01-15T08:00:02.500000Z",
                "last": None,
                "signalled": "",
                "latched": "",
                "foreign": 0,
                "malformed": 0,
                "unsent": 0,
                "rtcp": 0,
                "events": 0,
                "heard_lost": None,
                "heard_jitter": None,
                "round_trip": None,
                "mos": None,
            }
        ],
        "silences": [
            {
                "leg": "b1",
                "cause": "held",
                "detail": "it is on hold",
                "at": "2027-01-15T08:00:06.500000Z",
            }
        ],
        "recording": "",
        "mended": [],
        "call_group": "call-0",
        "session_id": "",
        "user": "",
        "verdicts": [],
        "causes": [],
        "caller_number": "alice",
        "called_number": "100",
        "sent_caller_number": "",
        "sent_called_number": "100",
        "callee": "",
        "trunk_in": "",
        "trunk_out": "",
        "pdd_seconds": 1.25,
        "talk_seconds": 59.500001,
        "codec_caller": "",
        "codec_callee": "",
        "mos_caller": None,
        "mos_callee": None,
        "verstat": "",
        "attestation": "",
        "origid": "",
        "unverified": "",
    }


def test_hostile_text_stays_in_its_line():
    """Line ends, quotes, terminal escapes and octets of no encoding make no second line, no invalid
    JSON, and nothing that a terminal obeys."""
    hostile = record()
    hostile.called = 'sip:"}\r\n{"id":"forged\udcff\u2028ü\0\x1b[2J\x9b2J\x7f\x85'
    text = as_json(hostile, summary(hostile))
    assert text.isprintable()
    assert json.loads(text)["called"] == 'sip:"}\r\n{"id":"forged?\u2028ü\0\x1b[2J\x9b2J\x7f\x85'


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+4989@x;user=phone", "+4989"),
        ("sips:a%40b:pw@x", "a@b"),
        ("tel:+49-89", "+49-89"),
        ('"A, <b>" <sip:7@x>', "7"),
        ("<sip:8@x>", "8"),
        ("sip:x", ""),
        ("", ""),
        ("<broken", ""),
    ],
)
def test_the_number_of_a_uri(uri, number):
    """Its user part without escapes; none where there is none to be read."""
    assert number_of(uri) == number
