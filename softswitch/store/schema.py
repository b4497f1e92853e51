"""The tables of our SQLite files, and how an old file becomes a new one.

Every file has all tables, whatever it is used for, but that of the call records, whose steps stand
in ``records``. ``user_version`` says how many of the steps it has been taken through.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from softswitch.errors import ConfigError

#: "SIPS", which tells our files from those of others.
APPLICATION_ID: Final = 0x53495053
#: "SIPR": the same for the file of call records.
RECORDS_ID: Final = 0x53495052
#: Seconds to wait for a lock that another process holds.
BUSY_SECONDS: Final = 1.0

#: From nothing to what there is now, a step for each version.
STEPS: Final = (
    # An address of record is text that may hold octets of no encoding, hence the blob.
    """
    CREATE TABLE IF NOT EXISTS bindings (
        aor BLOB PRIMARY KEY, contacts TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    # A user's settings are JSON, named as in [users.NAME]. Whoever changes them, the triggers tell
    # those who read again what has changed: each name once, under a number that only grows.
    """
    CREATE TABLE users (name TEXT PRIMARY KEY NOT NULL, settings TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE user_changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE
    );
    CREATE TRIGGER user_added AFTER INSERT ON users BEGIN
        DELETE FROM user_changes WHERE name = new.name;
        INSERT INTO user_changes (name) VALUES (new.name);
    END;
    CREATE TRIGGER user_changed AFTER UPDATE ON users BEGIN
        DELETE FROM user_changes WHERE name IN (old.name, new.name);
        INSERT INTO user_changes (name) VALUES (old.name);
        INSERT INTO user_changes (name) SELECT new.name WHERE new.name != old.name;
    END;
    CREATE TRIGGER user_removed AFTER DELETE ON users BEGIN
        DELETE FROM user_changes WHERE name = old.name;
        INSERT INTO user_changes (name) VALUES (old.name);
    END;
    """,
    # What accounts have used up, as JSON; see trunk.meter.
    """
    CREATE TABLE counters (holder BLOB PRIMARY KEY, counted TEXT NOT NULL) WITHOUT ROWID;
    """,
)
SCHEMA_VERSION: Final = len(STEPS)


def connect(path: Path, seconds: float | None = None) -> sqlite3.Connection:
    """Open a file, made where it is missing, for its owner alone: passwords and calls are in it.
    The files that SQLite puts beside it are as open as it is.

    :param seconds: to wait for a lock; None for ``BUSY_SECONDS``.
    :raises sqlite3.Error: it cannot be opened.
    """
    with suppress(OSError):  # it is there, or SQLite says why it cannot be
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS if seconds is None else seconds)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def prepare(
    connection: sqlite3.Connection,
    path: Path,
    steps: Sequence[str] = STEPS,
    application_id: int = APPLICATION_ID,
) -> None:
    """Make the tables of a new file, or take an old one through the steps that it lacks.

    :param steps: those that lead to the tables which the file is to have.
    :param application_id: tells files of this kind from all others.
    :raises ConfigError: it belongs to another program, is another kind of file of ours, or was
        written by a later version of this one.
    :raises sqlite3.Error: it cannot be written, or is damaged; it is as it was.
    """
    version = _version(connection, path, len(steps), application_id)
    connection.execute("PRAGMA journal_mode = WAL")
    if version == len(steps):
        return
    # Another process may do the same meanwhile.
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[_version(connection, path, len(steps), application_id) :]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.rollback()
        raise


def _version(connection: sqlite3.Connection, path: Path, latest: int, application_id: int) -> int:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and application != application_id:
        wanted = "a database of softswitch or no file is needed here"
        if application in (APPLICATION_ID, RECORDS_ID):
            wanted = "registrations and call records are kept in files of their own"
        raise ConfigError(str(path), wanted)
    if version > latest:
        raise ConfigError(str(path), "written by a later version of softswitch; run that one")
    return int(version)


def _statements(script: str) -> list[str]:
    """A script's statements: executescript would commit what has been begun."""
    found, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found
