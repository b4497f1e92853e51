"""Call records in files: lines of JSON or of CSV, a new file now and then.

A line is there whole or not at all, and once: what had been written when a crash came is seen from
the lines behind the place that was remembered. A file that was moved away (logrotate) is made anew.
"""

import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import attrs

from softswitch.errors import ConfigError
from softswitch.records.exporter import Entry
from softswitch.store.lines import Lines, Opener, open_to_append

#: Bytes behind the place that was remembered which are looked through for what a crash has left:
#: more than a batch. What is longer, somebody else has written.
_LOOK_BACK: Final = 64 * 1024 * 1024

Rotation = Literal["never", "hourly", "daily"]

_PERIOD: Final = {"never": "", "hourly": "%Y-%m-%d %H", "daily": "%Y-%m-%d"}


class Form(Protocol):
    """How records are written in a file, each in a line of its own."""

    head: bytes

    def line(self, text: str) -> bytes:
        """A record that was kept as JSON; with its line's end."""

    def id_of(self, line: bytes) -> str:
        """The id in a line that this form has written; "" for any other."""


@attrs.frozen
class Turnover:
    """When a new file begins, and how many old ones stay.

    :ivar period: the UTC hour or day that one file holds.
    :ivar bytes: beyond which a new one begins; 0 for none.
    :ivar files: old ones that are kept, 0 for all.
    """

    period: Rotation = "never"
    bytes: int = 0
    files: int = 0


def try_out(path: Path, opener: Opener = open_to_append) -> None:
    """See whether records can be appended to a file; it is made where it is missing.

    :raises ConfigError: they cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with opener(path) as file:
            file.seek(0, os.SEEK_END)  # a pipe cannot: half a line could not be taken back
    except OSError as error:
        raise ConfigError(
            str(path), f"a file to which records can be appended is needed here: {error}"
        ) from error


class Files:
    """The outlet.

    What it remembers: "inode" and "size" of the file after the last batch, and its "period".

    :param now: Unix time, seconds.
    """

    def __init__(
        self,
        path: Path,
        form: Form,
        turnover: Turnover,
        now: Callable[[], float],
        opener: Opener = open_to_append,
    ) -> None:
        self._path = path
        self._form = form
        self._turnover = turnover
        self._now = now
        self._lines = Lines(path, opener)

    def carry(self, batch: Sequence[Entry], state: dict[str, Any]) -> dict[str, Any]:
        """Append the records that do not stand there yet, and see them on the disk.

        :raises OSError: some may not have been written; they are not doubled next time.
        """
        file = self._lines.current()
        done = self._written(state)
        period = self._period()
        end = file.seek(0, os.SEEK_END)
        was_begun_since = state.get("inode", _inode(self._path)) != _inode(self._path)
        if end and not was_begun_since and self._is_over(state, period, end):
            self._turn()
            file, end = self._lines.current(), 0
        lines = [self._form.line(each.text) for each in batch if each.id not in done]
        if lines and not end:
            lines.insert(0, self._form.head)
        self._lines.append(lines)
        file = self._lines.current()
        return {
            "inode": os.fstat(file.fileno()).st_ino,
            "size": file.seek(0, os.SEEK_END),
            "period": period,
        }

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()

    def _written(self, state: dict[str, Any]) -> set[str]:
        """Ids of records that have been written since the state was remembered, as a crash leaves
        them; half a line is taken back."""
        size, inode = state.get("size"), state.get("inode")
        if size is None:  # the first batch of all, perhaps once more
            return self._found_in_the_end()
        if _inode(self._path) == inode:
            return self._found_behind(self._path, size)
        # A file that has been begun since may hold this batch, too.
        found = self._found_behind(self._path, 0)
        for path in self._path.parent.glob(f"{self._path.stem}*"):
            if _inode(path) == inode:
                return found | self._found_behind(path, size)
        return found

    def _found_behind(self, path: Path, size: int) -> set[str]:
        left_behind = path.stat().st_size - size
        if not 0 < left_behind <= _LOOK_BACK:
            return set()
        with path.open("r+b") as file:
            file.seek(size)
            whole, end, _ = file.read(left_behind).rpartition(b"\n")
            file.truncate(size + len(whole) + len(end))
        return {self._form.id_of(line) for line in whole.split(b"\n")} - {""}

    def _found_in_the_end(self) -> set[str]:
        """Likewise where nothing is remembered."""
        if _inode(self._path) is None:
            return set()
        with self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOOK_BACK))
            return {self._form.id_of(line) for line in file.read().split(b"\n")} - {""}

    def _period(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime(_PERIOD[self._turnover.period])

    def _is_over(self, state: dict[str, Any], period: str, size: int) -> bool:
        """Whether a new file is to begin."""
        most = self._turnover.bytes
        return bool(most and size >= most) or state.get("period", period) != period

    def _turn(self) -> None:
        """Put the file aside, under the time at which that happens, and delete the oldest ones."""
        path = self._path
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside, number = path.with_name(f"{path.stem}-{stamp}{path.suffix}"), 1
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.stem}-{stamp}-{number:03}{path.suffix}")
        path.rename(aside)
        if self._turnover.files:
            for old in self._put_aside()[: -self._turnover.files]:
                old.unlink(missing_ok=True)

    def _put_aside(self) -> list[Path]:
        """Those that were put aside, the oldest first."""
        path = self._path
        name = re.compile(
            rf"{re.escape(path.stem)}-(\d{{8}}T\d{{6}}Z(?:-\d{{3,}})?){re.escape(path.suffix)}"
        )
        found = [
            (match[1], each)
            for each in path.parent.iterdir()
            if (match := name.fullmatch(each.name))
        ]
        return [each for _, each in sorted(found)]


def _inode(path: Path) -> int | None:
    """Of a file; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None
