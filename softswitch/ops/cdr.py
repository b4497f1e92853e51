"""Call records as JSON lines: never two of a call, never none.

A record is turned to text and written by a thread of its own. A file that was moved away
(logrotate) is made anew. A disk that is full delays records and says so; only when too many wait
is one lost, and counted. The last half line of a crash stays alone.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from softswitch.errors import ConfigError
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.records.written import as_json, summary
from softswitch.store.writer import Writer

#: Seconds for which records are gathered before they are written: a thread that wakes up for each
#: of them costs the calls more than the writing does.
GATHER_SECONDS = 0.25


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
    """A record as one line of JSON in UTF-8."""
    return f"{as_json(record, summary(record))}\n".encode()
