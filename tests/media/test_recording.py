"""Recordings: whole, on disk, and never in a packet's way."""

import errno
import json
import os
import stat
import struct

import pytest

from softswitch.media.channel import Channel
from softswitch.media.pcap import FILE_HEADER
from softswitch.media.recording import RecordedChannel, Recorder, Tap
from softswitch.media.scribe import BEGIN, END, FLOW, FRAME, PACKET, Scribe
from softswitch.testing.clock import VirtualClock

HERE, THERE = ("127.0.0.1", 20000), ("127.0.0.1", 4000)


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


def frame(kind, number, data=b"", at=1_800_000_001.0):
    return FRAME.pack(kind, number, at, len(data)) + data


def begun(number, name):
    """A recording with a flow of the same number."""
    flow = json.dumps([number, THERE, HERE]).encode()
    return frame(BEGIN, number, name) + frame(FLOW, number, flow)


# The scribe.


@pytest.fixture
def said():
    """What it says."""
    return []


@pytest.fixture
def make(tmp_path, said):
    """Makes scribes."""

    def make(folder=tmp_path / "deep" / "tapes", **options):
        return Scribe(folder, lambda *told: said.append(told), **options)

    return make


@pytest.mark.parametrize("portion", [1, 7, 64, 1 << 20])
def test_each_call_is_a_file(make, tmp_path, said, portion):
    """For nobody else to read, folder and all; what is in it is in order, however it comes in."""
    frames = begun(1, b"one") + begun(2, b"two")
    for number in range(50):
        frames += frame(PACKET, 1, b"%d" % number) + frame(PACKET, 2, b"other %d" % number)
    frames += frame(END, 1, b"0")
    scribe = make()
    for at in range(0, len(frames), portion):
        scribe.feed(frames[at : at + portion])
    scribe.close()
    folder = tmp_path / "deep" / "tapes"
    assert packets(folder / "one") == [b"%d" % number for number in range(50)]
    assert packets(folder / "two") == [b"other %d" % number for number in range(50)]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    assert not said


def test_a_full_disk_is_said_once(make, tmp_path, said):
    """What was half written is taken back, so that what follows can be read; when there is room
    again, the recording goes on."""
    room = [len(FILE_HEADER) + 10]

    def write(file, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        most = min(len(data), room[0])
        room[0] -= most
        return os.write(file, data[:most])

    scribe = make(write=write)
    scribe.feed(begun(1, b"one") + frame(PACKET, 1, b"lost"))
    scribe.feed(frame(PACKET, 1, b"lost") + frame(PACKET, 1, b"lost"))
    room[0] = 10_000
    scribe.feed(frame(PACKET, 1, b"kept") + frame(END, 1, b"2"))
    assert packets(tmp_path / "deep" / "tapes" / "one") == [b"kept"]
    assert [missing for missing, _ in said] == [0, 5]
    assert "cannot be recorded in" in said[0][1]
    assert "No space left on device; the calls go on" in said[0][1]
    assert said[1][1] == "5 packets are missing in the recording one"


def test_a_folder_that_cannot_be_made(make, tmp_path, said):
    """Said once, and what is missing at each call's end."""
    (tmp_path / "file").write_text("")
    scribe = make(tmp_path / "file" / "tapes")
    for number in (1, 2):
        scribe.feed(begun(number, b"one") + frame(PACKET, number, b"x") + frame(END, number, b"0"))
    assert [missing for missing, _ in said] == [0, 1, 1]


# Who gives it what it writes.


@pytest.fixture
def record(tmp_path, said):
    """Makes recorders, with a scribe that is a process."""
    made = []

    def record(**options):
        clock = VirtualClock()
        made.append((Recorder(tmp_path / "tapes", clock, said.append, **options), clock))
        return made[-1]

    yield record
    for recorder, clock in made:
        recorder.stop()
        assert clock.idle


def test_what_is_put_is_written(record, tmp_path, said):
    """Under a name of the time and the call's id, nothing of which leads elsewhere."""
    recorder, clock = record()
    recording = recorder.begin("../a1", 1_800_000_000.5)
    assert recording.name == "20270115T080000Z-___a1.pcap"
    tap = Tap(recording, HERE)
    for number in range(20_000):
        tap.put(b"%d" % number, THERE, 1_800_000_001.0)
    recording.end()
    assert recorder.waiting > 20_000 * FRAME.size
    clock.run(1)
    recorder.stop()
    assert packets(tmp_path / "tapes" / recording.name) == [b"%d" % n for n in range(20_000)]
    assert (recorder.waiting, recorder.missing, said) == (0, 0, [])


def test_what_is_too_much_is_left_out(record, tmp_path, said):
    """And counted; the packet that comes does not wait."""
    recorder, _ = record(limit=1000)
    recording = recorder.begin("a1", 0.0)
    tap = Tap(recording, HERE)
    for _ in range(100):
        tap.put(b"x" * 172, THERE, 1.0)
    kept = 100 - recording.missing
    assert 0 < kept < 10
    recording.end()
    recorder.stop()
    assert packets(tmp_path / "tapes" / recording.name) == kept * [b"x" * 172]
    assert recorder.missing == 100 - kept
    assert said == [f"{100 - kept} packets are missing in the recording {recording.name}"]


def test_the_scribe_is_killed(record, tmp_path, said):
    """What it was writing is cut off, which is said; the next call has another one."""
    recorder, clock = record()
    first = recorder.begin("a1", 0.0)
    recorder.scribe.kill()
    recorder.scribe.wait()
    Tap(first, HERE).put(b"x", THERE, 1.0)
    clock.run(1)
    Tap(first, HERE).put(b"x", THERE, 1.0)
    second = recorder.begin("a2", 0.0)
    Tap(second, HERE).put(b"y", THERE, 1.0)
    first.end()
    second.end()
    recorder.stop()
    assert said == ["what was being recorded is cut off: its process has ended"]
    assert packets(tmp_path / "tapes" / second.name) == [b"y"]
    assert recorder.missing == 1


def test_a_port_that_is_not_recorded_is_no_other():
    """What a recording needs is in a class of its own, so that other packets do not meet it."""
    assert "tap" not in Channel._carry.__code__.co_names
    assert Channel.__dict__["_carry"] is not RecordedChannel.__dict__["_carry"]
