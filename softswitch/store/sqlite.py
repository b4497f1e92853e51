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
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from softswitch.errors import ConfigError
from softswitch.plugin.interfaces import IBindingStore
from softswitch.store.schema import connect, prepare
from softswitch.store.writer import Writer

_log = Logger()

#: Key of a row, and its contacts as JSON or None to delete it.
Row = tuple[bytes, str | None]


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
            path.parent.mkdir(parents=True, exist_ok=True)
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
        self.writer.put(key, (key, json.dumps(bindings) if bindings else None))

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.writer.close()


class _Rows:
    """The table of bindings, as the writer's thread sees it."""

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
            self._connection.executemany(
                "DELETE FROM bindings WHERE aor = ?",
                [(key,) for key, contacts in rows if contacts is None],
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO bindings (aor, contacts) VALUES (?, ?)",
                [row for row in rows if row[1] is not None],
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


def _key(aor: str) -> bytes:
    return aor.encode("utf-8", "surrogateescape")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
