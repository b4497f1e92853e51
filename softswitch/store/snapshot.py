"""An SQLite file of ours, read beside a switch that runs; registrations and users in it. Nothing is
written.

SQLite makes files beside a database in WAL mode, even to read it: where there is no log to look
into, the file is opened as one that nobody changes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from softswitch.errors import ConfigError
from softswitch.store.schema import BUSY_SECONDS
from softswitch.store.sqlite import counted, restored
from softswitch.store.users import ALL_ROWS, Row, as_text


def load(path: Path) -> dict[str, list[Any]] | None:
    """All that is kept: address of record -> its bindings as plain data; None without a file.

    :raises ConfigError: the file cannot be read, or is none of ours.
    """
    if not path.exists():
        return None
    with reading(path) as connection:
        rows = connection.execute("SELECT aor, CAST(contacts AS BLOB) FROM bindings")
        return dict(filter(None, map(restored, rows)))


def counters(path: Path) -> dict[str, Any]:
    """What accounts have used up: holder -> plain data; none without a file, or in one that is
    older than they are.

    :raises ConfigError: the file cannot be read, or is none of ours.
    """
    if not path.exists():
        return {}
    with reading(path) as connection:
        kept = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'counters'").fetchone()
        rows = "SELECT holder, CAST(counted AS BLOB) FROM counters"
        return dict(map(counted, connection.execute(rows))) if kept else {}


def users(path: Path) -> list[Row]:
    """All users that are kept; none without a file, or in one that is older than they are.

    :raises ConfigError: the file cannot be read, or is none of ours.
    """
    if not path.exists():
        return []
    with reading(path) as connection:
        connection.text_factory = as_text
        kept = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'users'").fetchone()
        return connection.execute(ALL_ROWS).fetchall() if kept else []


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing, be it beside one who writes.

    :raises ConfigError: the file cannot be read, or is none of ours.
    """
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    try:
        address = f"{path.absolute().as_uri()}?{how}"
        with closing(sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise ConfigError(str(path), f"a database of softswitch is needed here: {error}") from error
