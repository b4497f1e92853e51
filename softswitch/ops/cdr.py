"""Call records as JSON lines: never two of a call, never none.

A record is turned to text and written by a thread of its own. A file that was moved away
(logrotate) is made anew. A disk that is full delays records and says so; only when too many wait
is one lost, and counted. The last half line of a crash stays alone.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from io import FileIO
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import attrs

from softswitch.errors import ConfigError
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import Attempt, CallRecord, MediaStream, Silence
from softswitch.store.writer import Writer

#: Seconds for which records are gathered before they are written: a thread that wakes up for each
#: of them costs the calls more than the writing does.
GATHER_SECONDS = 0.25

#: Fields of a record and of its parts that hold seconds since 1970.
_TIMES = ("invited", "started", "ringing", "answered", "ended", "first", "last", "at")


def open_to_append(path: Path) -> FileIO:
    """The file, unbuffered, made where it is missing."""
    return FileIO(path, "a+b")


class JsonLines(Observer):
    """Appends one line of JSON per call to a file.

    :ivar writer: its thread; ``writer.dropped`` counts lost records.
    :param opener: opens the file; may raise OSError.
    :param retry: seconds between attempts while the disk does not take what waits.
    :raises ConfigError: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        opener: Callable[[Path], FileIO] = open_to_append,
        limit: int = 50_000,
        retry: float = 5.0,
    ) -> None:
        self._opener = opener
        self.try_out(path)
        self._records = Records(path, opener)
        self.writer: Writer[CallRecord] = Writer(
            "call records", self._records, limit=limit, gather=GATHER_SECONDS, retry=retry
        )

    def try_out(self, path: Path) -> None:
        """See whether records can be appended to a file; it is made where it is missing.

        :raises ConfigError: they cannot.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._opener(path) as file:
                file.seek(0, os.SEEK_END)  # a pipe cannot: half a line could not be taken back
        except OSError as error:
            raise ConfigError(
                str(path), f"a file to which records can be appended is needed here: {error}"
            ) from error

    def move(self, path: Path) -> None:
        """Write to another file from the next record on."""
        self._records.path = path

    def call_ended(self, record: CallRecord) -> None:
        """Have the record written; nobody changes it any more."""
        self.writer.put(record.id, record)

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.writer.close()


class Lines:
    """The file, as the writer's thread sees it: groups of lines, each whole or not at all.

    :ivar path: to where it leads now.
    """

    def __init__(self, path: Path, opener: Callable[[Path], FileIO]) -> None:
        self.path = path
        self._opener = opener
        self._file: FileIO | None = None
        # Where what was half written begins; None when all is whole.
        self._torn: int | None = None

    def append(self, lines: Sequence[bytes]) -> None:
        """Append all lines, and see them on the disk.

        :raises OSError: none of them was written.
        """
        file = self._current()
        self._mend(file)
        end = file.seek(0, os.SEEK_END)
        text = b"".join(lines)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            text = b"\n" + text
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            self._torn = end
            with suppress(OSError):
                self._mend(file)
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with suppress(OSError):
                self._mend(self._file)
            self._file.close()

    def _current(self) -> FileIO:
        """The open file if the path still leads to it, else the one to which it leads now."""
        if self._file is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file.fileno()), os.stat(self.path)):
                    return self._file
            self._file.close()
            self._file = None
            self._torn = None
        self._file = self._opener(self.path)
        return self._file

    def _mend(self, file: FileIO) -> None:
        """Take back what was half written, if it still stands there."""
        if self._torn is not None:
            file.truncate(min(self._torn, file.seek(0, os.SEEK_END)))
            self._torn = None


class Records(Lines):
    """The file of call records, to which the writer's thread turns records into lines."""

    def write(self, records: Sequence[CallRecord]) -> None:
        """Append all records, and see them on the disk.

        :raises OSError: none of them was written.
        """
        self.append([line(record) for record in records])


def line(record: CallRecord) -> bytes:
    """A record as one line of JSON in UTF-8; times as ``2026-01-31T12:00:00.000000Z``."""
    plain = _record.read(record)
    plain["attempts"] = [_attempt.read(attempt) for attempt in record.attempts]
    if record.media:
        plain["media"] = [_stream.read(stream) for stream in record.media]
    if record.silences:
        plain["silences"] = [_silence.read(silence) for silence in record.silences]
    # Octets of no encoding, which a peer may send, become "?": what reads JSON refuses them.
    return _encode(plain).encode("utf-8", "replace") + b"\n"


class _Shape:
    """Reads the fields of a record, or of a part, all of which are plain but for the times."""

    def __init__(self, kind: type) -> None:
        self._names = [field.name for field in attrs.fields(kind)]
        self._values = attrgetter(*self._names)
        self._times = [name for name in _TIMES if name in self._names]

    def read(self, part: CallRecord | Attempt | MediaStream | Silence) -> dict[str, Any]:
        plain = dict(zip(self._names, self._values(part), strict=True))
        for name in self._times:
            if plain[name] is not None:
                second, microsecond = divmod(round(plain[name] * 1e6), 1_000_000)
                plain[name] = f"{_utc(second)}.{microsecond:06}Z"
        return plain


@lru_cache
def _utc(second: int) -> str:
    """The times of calls that end together are a few seconds."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


_record: Final = _Shape(CallRecord)
_attempt: Final = _Shape(Attempt)
_stream: Final = _Shape(MediaStream)
_silence: Final = _Shape(Silence)
_encode: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
