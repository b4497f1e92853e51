"""Bindings in an SQLite file: the store of one machine, with nothing to install.

WAL, one writer thread, grouped commits. The file is looked at when the store is made, so that
a wrong one stops the start; it is opened for writing with the first change, by the thread that
writes.
"""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from twisted.logger import Logger
from zope.interface import implementer

from softswitch.errors import ConfigError
from softswitch.plugin.interfaces import IBindingStore
from softswitch.store.schema import connect, prepare
from softswitch.store.writer import Writer

_log = Logger()

#: Name of a table, key of a row, and what it holds as JSON or None to delete it.
Row = tuple[str, bytes, str | None]

#: Name of a table -> its columns.
_TABLES: Final = {"bindings": ("aor", "contacts"), "counters": ("holder", "counted")}


@implementer(IBindingStore)
class SqliteStore:
    """Keeps what must outlive the process.

    :ivar writer: its thread; ``writer.dropped`` counts lost changes.
    :param retry: seconds between attempts while the disk is full or the file locked.
    :raises ConfigError: the file cannot be opened, or is none of ours.
    """

    def __init__(self, path: Path, retry: float = 5.0) -> None:
        self._path = path
        self.writer: Writer[Row] = Writer("bindings", _Rows(path), retry=retry)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(connect(path)) as connection:
                prepare(connection, path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                str(path), f"a file that SQLite can open and write is needed here: {error}"
            ) from error

    def load(self) -> dict[str, list[Any]]:
        """All that was saved: address of record -> its bindings. Reads the file at once; a row
        that is none of ours is logged and passed over.

        :raises ConfigError: the file is damaged.
        """
        try:
            with closing(connect(self._path)) as connection:
                rows = connection.execute("SELECT aor, CAST(contacts AS BLOB) FROM bindings")
                return dict(filter(None, map(restored, rows)))
        except sqlite3.Error as error:
            raise ConfigError(
                str(self._path), f"a whole database is needed here; move it away: {error}"
            ) from error

    def save(self, aor: str, bindings: list[dict[str, Any]]) -> None:
        """Replace what is kept of an address of record; an empty list forgets it."""
        key = _key(aor)
        row = ("bindings", key, json.dumps(bindings) if bindings else None)
        self.writer.put(row[:2], row)

    def load_counters(self) -> dict[str, Any]:
        """What accounts have used up: holder -> plain data; None for what cannot be read.

        :raises ConfigError: the file is damaged.
        """
        try:
            with closing(connect(self._path)) as connection:
                rows = connection.execute("SELECT holder, CAST(counted AS BLOB) FROM counters")
                return dict(map(counted, rows))
        except sqlite3.Error as error:
            raise ConfigError(
                str(self._path), f"a whole database is needed here; move it away: {error}"
            ) from error

    def save_counters(self, holder: str, plain: str) -> None:
        """Replace what is kept of an account; JSON."""
        row = ("counters", _key(holder), plain)
        self.writer.put(row[:2], row)

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.writer.close()


class _Rows:
    """The tables that are written, as the writer's thread sees them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def write(self, rows: Sequence[Row]) -> None:
        """Replace and delete rows, in one transaction.

        :raises sqlite3.Error: none of it was written.
        """
        if self._connection is None:
            self._connection = connect(self._path)
        with self._connection:
            for table, (key, value) in _TABLES.items():
                mine = [row[1:] for row in rows if row[0] == table]
                self._connection.executemany(
                    f"DELETE FROM {table} WHERE {key} = ?",
                    [each[:1] for each in mine if each[1] is None],
                )
                self._connection.executemany(
                    f"INSERT OR REPLACE INTO {table} ({key}, {value}) VALUES (?, ?)",
                    [each for each in mine if each[1] is not None],
                )

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()


def restored(row: tuple[Any, bytes]) -> tuple[str, list[Any]] | None:
    """What a row of the bindings holds; None, and a line in the log, where it is none of ours."""
    aor, contacts = row
    try:
        bindings = json.loads(contacts)
        if isinstance(aor, bytes) and isinstance(bindings, list):
            return _text(aor), bindings
        raise ValueError("a list is wanted")
    except (ValueError, RecursionError) as error:
        _log.error("passed over what is kept of {aor}: {error}", aor=aor, error=error)
        return None


def counted(row: tuple[Any, Any]) -> tuple[str, Any]:
    """What a row of the counters holds; None where it is none of ours."""
    holder, plain = row
    try:
        return _text(holder), json.loads(plain)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return str(holder), None


def _key(aor: str) -> bytes:
    return aor.encode("utf-8", "surrogateescape")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
