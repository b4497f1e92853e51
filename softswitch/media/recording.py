"""Calls recorded: what the relay has to do with it, which is little.

A packet that has been sent on is put into a list. Now and then the list goes through a pipe to a
process that writes it (``scribe``), as far as the pipe takes it at once: nobody waits. When too
much waits, packets of the recording are left out and counted, and nothing else happens. A port that
is not recorded knows nothing of all this: one that is becomes another class.
"""

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from softswitch.media.channel import Channel
from softswitch.media.latch import SocketAddress
from softswitch.media.scribe import BEGIN, END, FLOW, FRAME, PACKET
from softswitch.wheel import Clock, Timer

#: Bytes that may wait: some seconds of hundreds of calls.
LIMIT: Final = 32 << 20

#: Seconds for which packets gather.
GATHER: Final = 0.05

#: Bytes that the pipe may hold, where the system allows so many.
PIPE: Final = 1 << 20

#: Seconds that the scribe has to take what waits, and to end, when the relay stops.
FAREWELL: Final = 5.0


class Tap:
    """Where the packets of one port go.

    :param here: our address and port, to which they come.
    """

    __slots__ = ("_flows", "_here", "_recording")

    def __init__(self, recording: "Recording", here: SocketAddress) -> None:
        self._recording = recording
        self._here = here
        self._flows: dict[SocketAddress, int] = {}

    def put(self, data: bytes, source: SocketAddress | None, now: float) -> None:
        """Take a packet that was carried."""
        recording = self._recording
        recorder = recording.recorder
        full = recorder.waiting >= recorder.limit
        if source is None or full or recording.scribe is not recorder.scribe:
            recording.missing += 1
            return
        flow = self._flows.get(source)
        if flow is None:
            told = json.dumps([recording.number, source, self._here]).encode()
            flow = self._flows[source] = recorder.next_number()
            recorder.put(FLOW, flow, now, told)
        recorder.put(PACKET, flow, now, data)


class RecordedChannel(Channel):
    """A port whose packets are recorded too; ``Recording.tap`` makes one of a port."""

    __slots__ = ()

    def _carry(self, data: bytes, now: float) -> None:
        """Carry it first."""
        before = self.packets
        super()._carry(data, now)
        if self.tap is not None and self.packets != before:
            source = self.latch.source
            if source is None and self.stream is not None:  # RTCP that came to the first port
                source = self.stream.latch.source
            self.tap.put(data, source, now)


class Recording:
    """One call.

    :ivar number: by which the scribe knows it.
    :ivar name: of its file.
    :ivar missing: packets that are not in it, for too much waited.
    :ivar scribe: who writes it.
    """

    def __init__(self, recorder: "Recorder", number: int, name: str) -> None:
        self.recorder = recorder
        self.scribe = recorder.scribe
        self.number = number
        self.name = name
        self.missing = 0

    def tap(self, channel: Channel, host: str) -> None:
        """Have what comes to a port recorded from now on; harmless when repeated.

        :param host: its address, as its peer sees it.
        """
        if channel.tap is None:
            channel.tap = Tap(self, (host, channel.port))
            channel.__class__ = RecordedChannel

    def end(self) -> None:
        """The call is over: what was put is written, and then the file is closed."""
        if self.scribe is self.recorder.scribe:
            self.recorder.put(END, self.number, 0.0, b"%d" % self.missing)
        else:
            self.recorder.missing += self.missing


class Recorder:
    """The recordings of a relay.

    :ivar waiting: bytes that the scribe has not taken yet.
    :ivar limit: how many these may be.
    :ivar missing: packets that are in none of those that have ended, though they should.
    :ivar scribe: the process that writes; None where it has ended, until the next call.
    :param folder: where the files are.
    :param warn: told of a disk that takes nothing, and of recordings with gaps.
    """

    def __init__(
        self, folder: Path, clock: Clock, warn: Callable[[str], None], limit: int = LIMIT
    ) -> None:
        self.waiting = 0
        self.limit = limit
        self.missing = 0
        self.next_number = count(1).__next__
        self._folder = folder
        self._clock = clock
        self._warn = warn
        self._frames: list[bytes] = []
        self._rest = b""
        self._said = b""
        self._timer: Timer | None = None
        self.scribe: subprocess.Popen[bytes] | None = None
        self._in = self._out = -1
        self._start()

    def begin(self, call: str, now: float) -> Recording:
        """A recording of a call, named after it and the second at which it begins.

        :param call: its id.
        :param now: seconds since 1970.
        """
        if self.scribe is None:
            self._start()
        at = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        safe = "".join(each if each.isalnum() and each.isascii() else "_" for each in call)
        recording = Recording(self, self.next_number(), f"{at}-{safe}.pcap")
        self.put(BEGIN, recording.number, now, recording.name.encode())
        return recording

    def put(self, kind: int, number: int, now: float, data: bytes) -> None:
        """Have a frame go to the scribe, soon."""
        self._frames += (FRAME.pack(kind, number, now, len(data)), data)
        self.waiting += FRAME.size + len(data)
        if self._timer is None:
            self._timer = self._clock.callLater(GATHER, self._flush)

    def stop(self) -> None:
        """Have the scribe write what waits, and end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._push()
        while self._rest and select.select((), (self._in,), (), FAREWELL)[1]:
            self._push()
        if self.scribe is None:
            return
        os.close(self._in)
        with suppress(subprocess.TimeoutExpired):
            self.scribe.wait(FAREWELL)
        self._listen()
        os.close(self._out)
        self.scribe = None

    def _start(self) -> None:
        command = [sys.executable, "-m", "softswitch.media.scribe", str(self._folder)]
        # What ends the relay by a signal to its group does not end the writing.
        self.scribe = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.scribe.stdin is not None
        assert self.scribe.stdout is not None
        self._in = os.dup(self.scribe.stdin.fileno())
        self._out = os.dup(self.scribe.stdout.fileno())
        self.scribe.stdin.close()
        self.scribe.stdout.close()
        for file in (self._in, self._out):
            os.set_blocking(file, False)
        with suppress(OSError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE)

    def _flush(self) -> None:
        self._timer = None
        self._push()
        self._listen()
        if self._rest:
            self._timer = self._clock.callLater(GATHER, self._flush)

    def _push(self) -> None:
        """Give the scribe what its pipe takes."""
        data = self._rest + b"".join(self._frames)
        self._frames.clear()
        try:
            at = 0
            while at < len(data):
                at += os.write(self._in, memoryview(data)[at : at + PIPE])
        except BlockingIOError:
            pass
        except OSError:
            data = b""
            self._lost()
        self._rest = data[at:]
        self.waiting = len(self._rest)

    def _lost(self) -> None:
        """The scribe has ended, and another one writes the calls that begin from now on."""
        if self.scribe is not None:
            self._warn("what was being recorded is cut off: its process has ended")
            os.close(self._in)
            os.close(self._out)
            self.scribe.poll()
            self.scribe, self._in, self._out = None, -1, -1

    def _listen(self) -> None:
        """Pass on what the scribe has said."""
        with suppress(OSError):
            while told := os.read(self._out, 1 << 16):
                self._said += told
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            missing, sentence = json.loads(line)
            self.missing += missing
            self._warn(sentence)
