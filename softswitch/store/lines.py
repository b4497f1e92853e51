"""A file to which lines are appended by a thread: each whole or not at all, whatever the disk does.

A file that was moved away (logrotate) is made anew. The last half line of a crash stays alone.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

#: Opens a file; may raise OSError.
Opener = Callable[[Path], FileIO]


def open_to_append(path: Path) -> FileIO:
    """The file, unbuffered, made where it is missing."""
    return FileIO(path, "a+b")


class Lines:
    """The file.

    :ivar path: to where it leads now.
    """

    def __init__(self, path: Path, opener: Opener = open_to_append) -> None:
        self.path = path
        self._opener = opener
        self._file: FileIO | None = None
        # Where what was half written begins, in the file of that inode; None when all is whole.
        self._torn: tuple[int, int] | None = None

    def append(self, lines: Sequence[bytes]) -> None:
        """Append all lines, and see them on the disk.

        :raises OSError: none of them was written.
        """
        file = self.current()
        end = file.seek(0, os.SEEK_END)
        text = b"".join(lines)
        if text and end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            text = b"\n" + text
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            self._torn = os.fstat(file.fileno()).st_ino, end
            with suppress(OSError):
                self._mend(file)
            raise

    def current(self) -> FileIO:
        """The file to which the path leads now, with what was half written taken back.

        :raises OSError: it cannot be opened, or that cannot be taken back.
        """
        if self._file is not None and not self._is_there(self._file):
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = self._opener(self.path)
        self._mend(self._file)
        return self._file

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with suppress(OSError):
                self._mend(self._file)
            self._file.close()
            self._file = None

    def _is_there(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _mend(self, file: FileIO) -> None:
        if self._torn is not None:
            inode, end = self._torn
            if os.fstat(file.fileno()).st_ino == inode:
                file.truncate(min(end, file.seek(0, os.SEEK_END)))
            self._torn = None
