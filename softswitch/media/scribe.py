"""Writes recorded calls to disk, a pcap file each: ``python -m softswitch.media.scribe FOLDER``.

A process of its own, for a thread would contend with the relay for the interpreter, and packets
would wait. It reads **frames** from its standard input until that ends, be it because the relay was
killed: what has come is written. What it has to say are lines of JSON on its standard output.
"""

import json
import os
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from softswitch.media.latch import SocketAddress
from softswitch.media.pcap import FILE_HEADER, record

#: What a frame is, the number of its recording or, of a packet, its flow; when it came; how many
#: bytes follow.
FRAME: Final = struct.Struct("!BIdI")

#: Kinds of frames. What follows is the file's name; JSON: the recording's number, and both ends of
#: a flow; the packet; how many of the recording's packets the relay had no room for.
BEGIN, FLOW, PACKET, END = range(4)

#: Bytes that are read at once.
READ: Final = 1 << 20

#: What is said: how many packets are missing, and a sentence for the log.
Say = Callable[[int, str], None]


class Scribe:
    """The files of recordings.

    :param folder: where they are; made where it is missing, for its owner alone.
    :param write: for tests: writes bytes to a file descriptor, and says how many.
    """

    def __init__(
        self, folder: Path, say: Say, write: Callable[[int, memoryview], int] = os.write
    ) -> None:
        self._folder = folder
        self._say = say
        self._write = write
        self._rest = b""
        self._files: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._missing: dict[int, int] = {}
        self._flows: dict[int, tuple[int, SocketAddress, SocketAddress]] = {}
        self._complained = False

    def feed(self, data: bytes) -> None:
        """Take frames, the last of which may be cut off, and write what is in them."""
        data = self._rest + data
        at, texts = 0, dict[int, list[bytes]]()
        while len(data) >= at + FRAME.size:
            kind, number, when, length = FRAME.unpack_from(data, at)
            begin, end = at + FRAME.size, at + FRAME.size + length
            if len(data) < end:
                break
            at, body = end, data[begin:end]
            if kind == PACKET:
                recording, source, here = self._flows[number]
                texts.setdefault(recording, []).append(record(when, source, here, body))
            elif kind == FLOW:
                recording, source, here = json.loads(body)
                self._flows[number] = recording, tuple(source), tuple(here)
            elif kind == BEGIN:
                self._begin(number, body.decode())
            else:
                self._append(number, texts.pop(number, ()))
                self._end(number, int(body))
        self._rest = data[at:]
        for recording, packets in texts.items():
            self._append(recording, packets)

    def close(self) -> None:
        """Nothing more will come."""
        for recording in list(self._names):
            self._end(recording, 0)

    def _begin(self, recording: int, name: str) -> None:
        self._names[recording] = name
        self._missing[recording] = 0
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._files[recording] = os.open(self._folder / name, flags, 0o600)
        except OSError as error:
            self._complain(error)
        else:
            self._append(recording, [FILE_HEADER])

    def _append(self, recording: int, packets: Iterable[bytes]) -> None:
        """Packets whole, or none of them: a half one would make those that follow unreadable."""
        file = self._files.get(recording)
        packets = list(packets)
        if file is None:
            self._missing[recording] += len(packets)
            return
        rest = memoryview(b"".join(packets))
        end = os.lseek(file, 0, os.SEEK_END) if rest else 0
        try:
            while rest:
                rest = rest[self._write(file, rest) :]
        except OSError as error:
            os.ftruncate(file, end)
            self._missing[recording] += len(packets)
            self._complain(error)
        else:
            self._complained = False

    def _end(self, recording: int, missing: int) -> None:
        name = self._names.pop(recording)
        missing += self._missing.pop(recording)
        file = self._files.pop(recording, None)
        if file is not None:
            os.close(file)
        gone = [number for number, flow in self._flows.items() if flow[0] == recording]
        for number in gone:
            del self._flows[number]
        if missing:
            self._say(missing, f"{missing} packets are missing in the recording {name}")

    def _complain(self, error: OSError) -> None:
        """Once, until it works again."""
        if not self._complained:
            self._complained = True
            self._say(
                0,
                f"calls cannot be recorded in {self._folder}: {error.strerror}; the calls go on. "
                "Make room there, or see whose the folder is",
            )


def main() -> None:
    """Write until nothing more comes."""

    def say(missing: int, sentence: str) -> None:
        told: Any = [missing, sentence]
        print(json.dumps(told), flush=True)

    with suppress(OSError):  # whoever carries packets goes first, whatever his own priority
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.nice(5)
    scribe = Scribe(Path(sys.argv[1]), say)
    while data := os.read(0, READ):
        scribe.feed(data)
    scribe.close()


if __name__ == "__main__":
    main()
