"""Every call that has ended, kept in an SQLite file: never two records of it, never none.

Signalling hands a record over and goes on; a thread of its own turns it into rows and writes them
in groups. A disk that is full delays them and says so; only when too many wait is one lost, and
counted. What is too old, or too much, is deleted by the same thread. A file that is damaged is put
aside, and a new one begun.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import Any, Final

import attrs
from twisted.logger import Logger

from softswitch.errors import ConfigError
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.records.damage import is_damaged, put_aside
from softswitch.records.schema import add, open_records
from softswitch.records.written import microseconds
from softswitch.store.writer import Writer

_log = Logger()

#: Seconds between two writes, for which records gather: a thread that wakes up for each of them
#: costs the calls more than the writing does.
GATHER_SECONDS: Final = 0.5

#: Records that are deleted in one transaction.
_DELETED_AT_ONCE: Final = 1000

#: How full the file is left when some records had to go, so that it is not full again at once.
_ROOM: Final = 0.95

_DAY: Final = 86400.0

#: Seconds from one file that was put aside while the switch runs to the next: a disk that damages
#: every file is not to be filled with them.
_ANEW_SECONDS: Final = 3600.0


@attrs.frozen
class Retention:
    """How long records are kept.

    :ivar days: since the INVITE; 0 for ever. What an exporter has not carried on stays longer.
    :ivar bytes: that the file may hold, 0 for any; beyond it the oldest go, carried on or not.
    """

    days: float = 90.0
    bytes: int = 1024 * 1024 * 1024


class Bell:
    """Tells the threads of exporters that records have been written.

    :ivar last: position of the last record that is in the file.
    """

    def __init__(self) -> None:
        self.last = 0
        self._changed = Condition()

    def ring(self, last: int | None = None) -> None:
        """Wake up whoever waits."""
        with self._changed:
            if last is not None:
                self.last = last
            self._changed.notify_all()

    def wait(self, ready: Callable[[], bool], seconds: float | None) -> None:
        """Wait until ``ready`` says so, which is asked at each ring."""
        with self._changed:
            self._changed.wait_for(ready, seconds)


class Keeper(Observer):
    """Keeps the record of each call.

    :ivar writer: its thread; ``writer.dropped`` counts lost records.
    :ivar bell: rings for what has been written.
    :ivar overtaken: records that were deleted for want of room before an exporter had carried them.
    :ivar holders: names of the exporters for which records wait.
    :param now: Unix time, seconds.
    :param retry: seconds between attempts while the disk does not take what waits.
    :raises ConfigError: the file cannot be opened, or is none of ours.
    """

    def __init__(
        self,
        path: Path,
        retention: Retention,
        now: Callable[[], float],
        *,
        limit: int = 50_000,
        gather: float = GATHER_SECONDS,
        retry: float = 5.0,
    ) -> None:
        self.bell = Bell()
        self.overtaken = 0
        self.holders: frozenset[str] = frozenset()
        self._rows = _Rows(self, path, retention, now)
        self.writer: Writer[CallRecord | None] = Writer(
            "call records", self._rows, limit=limit, gather=gather, retry=retry
        )
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self.bell.last = _last_position(path)
            except sqlite3.Error as error:
                if not is_damaged(error):
                    raise
                put_aside(path, now(), error)
                self.bell.last = _last_position(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                str(path), f"a file that SQLite can open and write is needed here: {error}"
            ) from error

    def call_ended(self, record: CallRecord) -> None:
        """Have the record written; nobody changes it any more."""
        self.writer.put(record.id, record)

    def tidy(self) -> None:
        """Have deleted what is too old or too much; returns at once."""
        self.writer.put("tidy", None)

    def retain(self, retention: Retention) -> None:
        """Keep records for another time from now on."""
        self._rows.retention = retention

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.writer.close()


class _Rows:
    """The file, as the writer's thread sees it."""

    def __init__(
        self, keeper: Keeper, path: Path, retention: Retention, now: Callable[[], float]
    ) -> None:
        self.retention = retention
        self._keeper = keeper
        self._path = path
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        self._anew_at = 0.0

    def write(self, items: Sequence[CallRecord | None]) -> None:
        """Write records, in one transaction; None among them has the file tidied up. Where it is
        damaged, they are written into a new one.

        :raises OSError: the file cannot be opened; likewise
        :raises sqlite3.Error: none of it was written.
        """
        try:
            self._write(items)
        except sqlite3.Error as error:
            if not is_damaged(error) or monotonic() < self._anew_at:
                raise
            self.close()
            put_aside(self._path, self._now(), error)
            self._anew_at = monotonic() + _ANEW_SECONDS
            self._write(items)

    def _write(self, items: Sequence[CallRecord | None]) -> None:
        records = [each for each in items if each is not None]
        connection = self._current()
        if records:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                add(connection, records)
            self._keeper.bell.ring(last_position(connection))
        if len(records) < len(items):
            self._tidy(connection)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _current(self) -> sqlite3.Connection:
        """The file, opened if need be.

        :raises OSError: what is there now is none of ours.
        """
        if self._connection is None:
            try:
                connection = open_records(self._path)
                self._file = self._path.stat()
            except ConfigError as error:
                raise OSError(str(error)) from error
            # A record that was told as written survives a loss of power.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.isolation_level = None
            self._go_on(connection)
            self._connection = connection
        return self._connection

    def _go_on(self, connection: sqlite3.Connection) -> None:
        """In a file that was begun in the place of another, positions go on: exporters, which have
        the other one open still, see that there is more, and look for where.

        :raises sqlite3.Error: that cannot be written.
        """
        last = self._keeper.bell.last
        if last_position(connection) < last:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("DELETE FROM sqlite_sequence WHERE name = 'calls'")
                connection.execute("INSERT INTO sqlite_sequence VALUES ('calls', ?)", [last])
                connection.executemany(
                    "INSERT INTO exporters VALUES (?, ?, '{}') ON CONFLICT DO NOTHING",
                    [(name, last) for name in self._keeper.holders],
                )

    def _is_there(self) -> bool:
        """Whether the path still leads to the file that is open. Another one cannot be begun while
        the switch runs: what SQLite has not yet put into the first would be lost."""
        try:
            return self._file is not None and os.path.samestat(self._path.stat(), self._file)
        except OSError:
            return False

    def _tidy(self, connection: sqlite3.Connection) -> None:
        if not self._is_there():
            _log.error(
                "{file} was moved or deleted while the switch runs: call records still go into it; "
                "put it back, or restart the switch",
                file=str(self._path),
            )
        retention = self.retention
        if retention.days:
            oldest = microseconds(self._now() - retention.days * _DAY)
            carried = self._carried(connection)
            while self._delete(connection, "invited < ? AND position <= ?", oldest, carried):
                pass
        if retention.bytes:
            self._make_room(connection, retention.bytes)
        # Not execute, which goes but one page of the way.
        connection.executescript("PRAGMA incremental_vacuum")

    def _carried(self, connection: sqlite3.Connection) -> int:
        """Position up to which all exporters have carried the records on."""
        kept = dict(connection.execute("SELECT name, position FROM exporters"))
        positions = [kept.get(name, 0) for name in self._keeper.holders]
        return min(positions, default=last_position(connection))

    def _make_room(self, connection: sqlite3.Connection, most: int) -> None:
        (size,) = connection.execute("PRAGMA page_size").fetchone()

        def used() -> int:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            return int(pages - free) * int(size)

        if used() <= most:
            return
        carried, overtaken = self._carried(connection), 0
        while used() > most * _ROOM:
            last = connection.execute(
                "SELECT position FROM calls ORDER BY position LIMIT 1 OFFSET ?",
                [_DELETED_AT_ONCE - 1],
            ).fetchone()
            end = last_position(connection) if last is None else int(last[0])
            (beyond,) = connection.execute(
                "SELECT count(*) FROM calls WHERE position > ? AND position <= ?", [carried, end]
            ).fetchone()
            overtaken += int(beyond)
            if not self._delete(connection, "position <= ?", end):
                break
        if overtaken:
            self._keeper.overtaken += overtaken
            _log.error(
                "{count} call records had to be deleted before an exporter had carried them on: "
                "mend the exporter, or give records.keep_mib more",
                count=overtaken,
            )

    def _delete(self, connection: sqlite3.Connection, term: str, *values: Any) -> int:
        """Delete some records, and say how many."""
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            return connection.execute(
                "DELETE FROM calls WHERE position IN ("
                f"SELECT position FROM calls WHERE {term} LIMIT {_DELETED_AT_ONCE})",
                values,
            ).rowcount


def _last_position(path: Path) -> int:
    with closing(open_records(path)) as connection:
        return last_position(connection)


def last_position(connection: sqlite3.Connection) -> int:
    """Of the record that was written last, be it deleted meanwhile; 0 for none yet.

    :raises sqlite3.Error: the file cannot be read.
    """
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").fetchone()
    return 0 if row is None else int(row[0])
