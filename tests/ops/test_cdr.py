"""Call records as JSON lines: never two, never none."""

import json
import os
from contextlib import suppress
from errno import EIO, ENOSPC
from io import FileIO
from random import Random
from threading import Event

import pytest
from zope.interface.verify import verifyObject

from softswitch.errors import ConfigError
from softswitch.ops.cdr import JsonLines, Lines, line
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.interfaces import ICallObserver
from softswitch.plugin.record import Attempt, CallRecord, MediaStream, Silence

PATIENCE = 10.0


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


class FailingFile(FileIO):
    """A file on a disk that is full, or broken, now and then: it writes a part and raises."""

    random = Random(44)
    failures = 0

    def write(self, data):
        kind = self.random.random()
        if FailingFile.failures and kind < 0.7:
            FailingFile.failures -= 1
            super().write(bytes(data)[: self.random.randrange(len(data))])
            raise OSError(ENOSPC, "No space left on device")
        if kind > 0.9:
            return super().write(bytes(data)[: self.random.randrange(1, len(data) + 1)])
        return super().write(data)

    def truncate(self, size=None):
        if FailingFile.failures and self.random.random() < 0.5:
            FailingFile.failures -= 1
            raise OSError(EIO, "Input/output error")
        return super().truncate(size)


def written(path):
    """The records of a file, every line of which is whole."""
    text = path.read_bytes()
    assert not text or text.endswith(b"\n")
    return [json.loads(each) for each in text.split(b"\n")[:-1]]


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "var" / "calls.jsonl"


def test_it_is_a_call_observer(path):
    """The writer of records fits where the interface says."""
    verifyObject(ICallObserver, JsonLines(path))


def test_a_record_is_plain_data():
    """What a call knows of its history can be written down and rebuilt equal."""
    plain = json.loads(json.dumps(to_plain(record())))
    assert from_plain(CallRecord, plain) == record()


def test_one_line_holds_the_call_and_its_attempts():
    """Both legs' identifiers, numbers as received and as sent, times in UTC to the microsecond,
    who hung up, final status, what was counted; null for what did not happen."""
    text = line(record())
    assert text.endswith(b"}\n")
    assert text.count(b"\n") == 1
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
    """Line ends, quotes and octets of no encoding make no second line and no invalid JSON."""
    hostile = record()
    hostile.called = 'sip:"}\r\n{"id":"forged\udcff\u2028ü\0'
    text = line(hostile)
    assert text.count(b"\n") == 1
    assert json.loads(text.decode("utf-8"))["called"] == 'sip:"}\r\n{"id":"forged?\u2028ü\0'


def test_only_the_end_of_a_call_writes(path):
    """One record per call, whatever happened in it before."""
    lines = JsonLines(path)
    call = record()
    lines.call_started(call)
    lines.call_ringing(call)
    lines.call_answered(call)
    lines.call_ended(call)
    lines.close()
    assert [each["status"] for each in written(path)] == [200]


def test_a_restart_appends(path):
    """Records of an earlier run stay; half a line that a crash left stays alone."""
    path.parent.mkdir()
    path.write_bytes(b'{"id": "earlier"}\n{"id": "torn')
    lines = JsonLines(path)
    lines.call_ended(record(1))
    lines.close()
    lines = JsonLines(path)
    lines.call_ended(record(2))
    lines.close()
    earlier, torn, one, two, end = path.read_bytes().split(b"\n")
    assert (earlier, torn, end) == (b'{"id": "earlier"}', b'{"id": "torn', b"")
    assert [json.loads(each)["id"] for each in (one, two)] == ["call-1", "call-2"]


def test_never_two_never_none_on_a_failing_disk(path):
    """A disk that takes half a write and fails, time and again: each record stands there once,
    in order."""
    FailingFile.failures = 0
    lines = JsonLines(path, opener=lambda path: FailingFile(path, "a+b"), retry=0.0001)
    for number in range(5000):
        if number % 100 == 0:
            FailingFile.failures += 5
        lines.call_ended(record(number))
    FailingFile.failures = 0
    lines.close()
    assert [each["id"] for each in written(path)] == [f"call-{n}" for n in range(5000)]
    assert lines.writer.dropped == 0


def test_a_group_is_written_whole_or_not_at_all(path):
    """Some thousand failures in a row, while writing and while taking back what was half
    written: each group is tried until it succeeds, and each line stands there once."""
    path.parent.mkdir()
    lines = Lines(path, lambda path: FailingFile(path, "a+b"))
    FailingFile.failures = failures = 2000
    group = 0
    while FailingFile.failures:
        with suppress(OSError):
            lines.append([line(record(number)) for number in range(3 * group, 3 * group + 3)])
            group += 1
    lines.close()
    assert group < failures
    assert [each["id"] for each in written(path)] == [f"call-{n}" for n in range(3 * group)]


def test_a_disk_that_stays_full(path):
    """Nothing half written is left, and what is lost is counted."""
    tried = Event()

    class Full(FileIO):
        def write(self, data):
            super().write(bytes(data)[:100])
            tried.set()
            raise OSError(ENOSPC, "No space left on device")

    path.parent.mkdir()
    path.write_bytes(b'{"id": "earlier"}\n')
    lines = JsonLines(path, opener=lambda path: Full(path, "a+b"), limit=10, retry=PATIENCE)
    lines.call_ended(record(0))
    assert tried.wait(PATIENCE)
    for number in range(1, 20):
        lines.call_ended(record(number))
    lines.close()
    assert written(path) == [{"id": "earlier"}]
    assert lines.writer.dropped == 20


def test_a_file_that_was_moved_away_is_made_anew(path):
    """logrotate renames the file: later records go into a new one, none into both."""
    opened = []
    begun = Event()
    reopened = Event()

    class Watched(FileIO):
        def write(self, data):
            begun.set()
            return super().write(data)

    def opener(path):
        opened.append(path)
        if len(opened) == 3:  # the first looked whether it can be opened at all
            reopened.set()
        return Watched(path, "a+b")

    lines = JsonLines(path, opener=opener)
    old = path.with_suffix(".1")
    for number in range(500):
        lines.call_ended(record(number))
    assert begun.wait(PATIENCE)
    path.rename(old)
    for number in range(500, 1000):
        lines.call_ended(record(number))
    assert reopened.wait(PATIENCE)
    lines.close()
    both = [each["id"] for each in written(old) + written(path)]
    assert both == [f"call-{n}" for n in range(1000)]
    assert len(opened) == 3


def test_a_file_that_was_copied_and_cut(path):
    """logrotate's copytruncate: writing goes on at the new end, without a hole."""
    lines = JsonLines(path)
    lines.call_ended(record(1))
    lines.close()
    lines = JsonLines(path)
    os.truncate(path, 0)
    lines.call_ended(record(2))
    lines.close()
    assert [each["id"] for each in written(path)] == ["call-2"]


def test_a_path_that_cannot_be_written_stops_the_start(path, tmp_path):
    """A folder, a pipe or a file in the way is told at once, with the path."""
    path.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"calls\.jsonl: a file"):
        JsonLines(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError):
        JsonLines(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        JsonLines(tmp_path / "file" / "calls.jsonl")
