"""Calls written to disk, a pcap file each, by a thread that no packet waits for.

A packet that has been sent on is put into a queue, and that is all that it meets. A queue that is
full, or a disk, costs packets of the recording, which are counted, and nothing else. A port that is
not recorded knows nothing of all this: one that is becomes another class.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Final, NamedTuple

from softswitch.media.channel import Channel
from softswitch.media.latch import SocketAddress
from softswitch.media.pcap import FILE_HEADER, record

#: Packets that may wait: some seconds of hundreds of calls, 20 MB of G.711.
LIMIT: Final = 100_000

#: Seconds for which packets gather until they are written.
GATHER: Final = 0.1

#: Packets after which the thread lets others run: some tens of microseconds.
PORTION: Final = 16


class Tap(NamedTuple):
    """Where the packets of one port go.

    :ivar here: our address and port, to which they came.
    """

    recording: "Recording"
    here: SocketAddress

    def put(self, data: bytes, source: SocketAddress | None, now: float) -> None:
        """Take a packet that was carried."""
        recorder = self.recording.recorder
        if source is None or len(recorder.queue) >= recorder.limit:
            self.recording.missing += 1
        else:
            recorder.queue.append((self, now, source, data))


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

    :ivar name: of its file.
    :ivar missing: packets that are not in it, for the queue or the disk was full.
    """

    def __init__(self, recorder: "Recorder", name: str) -> None:
        self.recorder = recorder
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
        self.recorder.queue.append((self, 0.0, ("", 0), b""))


#: A packet of a port, or, without one, the end of a recording.
_Waiting = tuple[Tap | Recording, float, SocketAddress, bytes]


class Recorder:
    """The recordings of a relay, and the thread that writes them.

    :ivar queue: what is to be written.
    :ivar limit: how much that may be.
    :ivar missing: packets that are in none of those that have ended, though they should.
    :param folder: where the files are; made where it is missing, for its owner alone.
    :param warn: told, in the thread, of a disk that takes nothing, and of recordings with gaps.
    :param write: for tests: writes bytes to a file descriptor, and says how many.
    """

    def __init__(
        self,
        folder: Path,
        warn: Callable[[str], None],
        limit: int = LIMIT,
        write: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        self.queue: deque[_Waiting] = deque()
        self.limit = limit
        self.missing = 0
        self._folder = folder
        self._warn = warn
        self._write = write
        self._files: dict[Recording, int] = {}
        self._begun: deque[Recording] = deque()
        self._complained = False
        self._ends = Event()
        self._thread: Thread | None = None

    def begin(self, call: str, now: float) -> Recording:
        """A recording of a call, named after it and the second at which it begins.

        :param call: its id.
        :param now: seconds since 1970.
        """
        at = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        safe = "".join(each if each.isalnum() and each.isascii() else "_" for each in call)
        recording = Recording(self, f"{at}-{safe}.pcap")
        if self._thread is None:
            self._thread = Thread(target=self._run, name="recordings", daemon=True)
            self._thread.start()
        self._begun.append(recording)
        return recording

    def stop(self) -> None:
        """Write what waits, and close all files."""
        self._ends.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # In the thread.

    def _run(self) -> None:
        with suppress(OSError):  # it never takes a processor from whoever carries packets
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        while not self._ends.wait(GATHER):
            self._drain()
        self._drain()
        for recording in list(self._files):
            self._close(recording)

    def _drain(self) -> None:
        """Write all that waits now."""
        waiting = len(self.queue)  # nothing of a recording that begins from here on
        while self._begun:
            self._open(self._begun.popleft())
        texts: dict[Recording, list[bytes]] = {}
        for number in range(waiting):
            if number % PORTION == 0:
                sleep(0)
            tap, at, source, data = self.queue.popleft()
            if isinstance(tap, Recording):
                self._append(tap, texts.pop(tap, ()))
                self._close(tap)
            else:
                texts.setdefault(tap.recording, []).append(record(at, source, tap.here, data))
        for recording, packets in texts.items():
            self._append(recording, packets)

    def _open(self, recording: Recording) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._files[recording] = os.open(self._folder / recording.name, flags, 0o600)
        except OSError as error:
            self._complain(error)
        else:
            self._append(recording, [FILE_HEADER])

    def _append(self, recording: Recording, packets: Iterable[bytes]) -> None:
        """Packets whole, or none of them: a half one would make those that follow unreadable."""
        file = self._files.get(recording)
        text = b"".join(packets := list(packets))
        if not text:
            return
        if file is None:
            recording.missing += len(packets)
            return
        end = os.lseek(file, 0, os.SEEK_END)
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[self._write(file, rest) :]
        except OSError as error:
            os.ftruncate(file, end)
            recording.missing += len(packets)
            self._complain(error)
        else:
            self._complained = False

    def _close(self, recording: Recording) -> None:
        file = self._files.pop(recording, None)
        if file is not None:
            os.close(file)
        if recording.missing:
            self.missing += recording.missing
            self._warn(f"{recording.missing} packets are missing in the recording {recording.name}")

    def _complain(self, error: OSError) -> None:
        """Once, until it works again."""
        if not self._complained:
            self._complained = True
            self._warn(
                f"calls cannot be recorded in {self._folder}: {error.strerror}; the calls go on. "
                "Make room there, or see whose the folder is"
            )
