"""Recordings: whole, on disk, and never in a packet's way."""

import errno
import os
import stat
import struct
from threading import Event

import pytest

from softswitch.media.channel import Channel
from softswitch.media.pcap import FILE_HEADER
from softswitch.media.recording import RecordedChannel, Recorder, Tap

DEADLINE = 10.0
HERE, THERE = ("127.0.0.1", 20000), ("127.0.0.1", 4000)


@pytest.fixture
def warnings():
    """What was said."""
    return []


@pytest.fixture
def make(tmp_path, warnings):
    """Makes recorders."""
    made = []

    def make(**options):
        made.append(Recorder(tmp_path / "deep" / "recordings", warnings.append, **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def packets(path):
    """Payloads of a file, all of which is whole."""
    data, found = path.read_bytes(), []
    assert data[:24] == FILE_HEADER
    at = 24
    while at < len(data):
        _, _, taken, whole = struct.unpack("<IIII", data[at : at + 16])
        assert taken == whole
        found.append(data[at + 44 : at + 16 + taken])
        at += 16 + taken
    assert at == len(data)
    return found


def test_a_call_is_a_file(make, tmp_path, warnings):
    """Named after the time and the call, for nobody else to read, folder and all; what was put is
    in it, in order."""
    recorder = make()
    one, other = (recorder.begin(name, 1_800_000_000.5) for name in ("one", "../two"))
    assert (one.name, other.name) == (
        "20270115T080000Z-one.pcap",
        "20270115T080000Z-___two.pcap",
    )
    for number in range(1000):
        Tap(one, HERE).put(b"%d" % number, THERE, 1_800_000_001.0)
        Tap(other, HERE).put(b"other %d" % number, THERE, 1_800_000_001.0)
    one.end()
    recorder.stop()
    folder = tmp_path / "deep" / "recordings"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert packets(folder / one.name) == [b"%d" % number for number in range(1000)]
    assert packets(folder / other.name) == [b"other %d" % number for number in range(1000)]
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    assert not warnings


def test_a_full_queue_costs_packets_of_the_recording(make, tmp_path, warnings):
    """They are counted, and said at the recording's end; nobody waits."""
    stuck, go = Event(), Event()

    def write(file, data):
        stuck.set()
        assert go.wait(DEADLINE)
        return os.write(file, data)

    recorder = make(limit=10, write=write)
    recording = recorder.begin("call", 0.0)
    assert stuck.wait(DEADLINE)  # the thread is at the file's header, and stays there
    for number in range(25):
        Tap(recording, HERE).put(b"%d" % number, THERE, 1.0)
    assert (len(recorder.queue), recording.missing) == (10, 15)
    recording.end()
    go.set()
    recorder.stop()
    assert packets(tmp_path / "deep" / "recordings" / recording.name) == [
        b"%d" % number for number in range(10)
    ]
    assert recorder.missing == 15
    assert warnings == [f"15 packets are missing in the recording {recording.name}"]


def test_a_full_disk_is_said_once(make, tmp_path, warnings):
    """What was half written is taken back, so that what follows can be read; when there is room
    again, the recording goes on."""
    full = {"bytes": len(FILE_HEADER) + 10}
    written = Event()

    def write(file, data):
        if not full["bytes"]:
            written.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        most = min(len(data), full["bytes"])
        full["bytes"] -= most
        return os.write(file, data[:most])

    recorder = make(write=write)
    recording = recorder.begin("call", 0.0)
    for _ in range(2):
        written.clear()
        Tap(recording, HERE).put(b"one", THERE, 1.0)
        assert written.wait(DEADLINE)
    full["bytes"] = 10_000
    Tap(recording, HERE).put(b"end", THERE, 1.0)
    recording.end()
    recorder.stop()
    assert packets(tmp_path / "deep" / "recordings" / recording.name) == [b"end"]
    assert [each.partition(":")[0] for each in warnings] == [
        f"calls cannot be recorded in {tmp_path / 'deep' / 'recordings'}",
        f"2 packets are missing in the recording {recording.name}",
    ]


def test_a_folder_that_cannot_be_made(tmp_path, warnings):
    """Said once; the calls know nothing of it."""
    (tmp_path / "file").write_text("")
    recorder = Recorder(tmp_path / "file" / "recordings", warnings.append)
    for _ in range(2):
        recording = recorder.begin("call", 0.0)
        Tap(recording, HERE).put(b"one", THERE, 1.0)
        recording.end()
    recorder.stop()
    assert sum("cannot be recorded" in each for each in warnings) == 1
    assert recorder.missing == 2


def test_a_port_that_is_not_recorded_is_no_other(make):
    """What a recording needs is in a class of its own, so that other packets do not meet it."""
    assert "tap" not in Channel._carry.__code__.co_names
    assert Channel.__dict__["_carry"] is not RecordedChannel.__dict__["_carry"]
