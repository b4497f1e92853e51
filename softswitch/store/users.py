"""Users in an SQLite file: read at the start, looked at for changes while the switch runs, changed
by the command line or any other program.

A user's settings are JSON text, named as in the configuration's ``[users.NAME]``; what they say is
for others to read. The thread that looks for changes only reads, so that a full disk is nothing to
it; while it cannot read, what is known goes on being true.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Final

from twisted.logger import Logger

from softswitch.errors import ConfigError
from softswitch.store.schema import connect, prepare

_log = Logger()

#: Seconds between two looks.
POLL_SECONDS: Final = 0.5
#: Seconds for which the command line waits for a lock.
PATIENCE: Final = 5.0
#: Changes that are handed on at once, at most: the reactor takes them over in a few milliseconds.
_BATCH: Final = 200
#: Users of one file: all of them are in memory.
MOST: Final = 200_000

#: Whatever another program has put there is text; whether it makes sense is for others to say.
ALL_ROWS: Final = "SELECT CAST(name AS TEXT), CAST(settings AS TEXT) FROM users ORDER BY users.name"

#: Name of a user and his settings, None when he has been removed.
Row = tuple[str, str | None]


class UserFile:
    """The users of one file.

    :param path: the file; made where it is missing.
    :raises ConfigError: it cannot be opened, is damaged or none of ours.
    """

    def __init__(self, path: Path, poll: float = POLL_SECONDS) -> None:
        self._path = path
        self._poll = poll
        self._seen = 0
        self._closing = Event()
        self._thread: Thread | None = None
        with self._told(), closing(connect(path)) as connection:
            prepare(connection, path)

    def load(self) -> list[Row]:
        """All users, at once; changes count from here.

        :raises ConfigError: the file cannot be read, or is damaged.
        """
        with self._told(), closing(_open(self._path)) as connection:
            connection.execute("BEGIN")
            (last,) = connection.execute("SELECT max(number) FROM user_changes").fetchone()
            self._seen = last or 0
            (count,) = connection.execute("SELECT count(*) FROM users").fetchone()
            if count > MOST:
                raise ConfigError(
                    str(self._path), f"{count} users are more than {MOST}; a plug-in may know more"
                )
            return connection.execute(ALL_ROWS).fetchall()

    def watch(self, tell: Callable[[list[Row]], None]) -> None:
        """Look for changes from now on, in a thread of its own.

        :param tell: called in that thread with the users who have changed, in the order of their
            changes.
        """
        self._thread = Thread(target=self._run, args=(tell,), name="read users", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; returns when it has ended."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def changing(self) -> Iterator[dict[str, str]]:
        """All users for the command line, name -> settings, to be changed as they should be; nobody
        else changes them meanwhile. What was changed is written at the end, unless it raises.

        :raises ConfigError: the file cannot be read or written.
        """
        with self._told(), closing(_open(self._path, PATIENCE)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = dict(connection.execute(ALL_ROWS))
            users = dict(before)
            yield users
            connection.executemany(
                "DELETE FROM users WHERE name = ?", [(name,) for name in before.keys() - users]
            )
            connection.executemany(
                "INSERT INTO users VALUES (?1, ?2)"
                " ON CONFLICT (name) DO UPDATE SET settings = excluded.settings",
                [item for item in users.items() if before.get(item[0]) != item[1]],
            )
            connection.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield
        except (OSError, sqlite3.Error) as error:
            mend = f"a whole database that can be read and written is needed here: {error}"
            raise ConfigError(str(self._path), mend) from error

    def _run(self, tell: Callable[[list[Row]], None]) -> None:
        connection: sqlite3.Connection | None = None
        version, failing = None, False
        while not self._closing.wait(self._poll):
            try:
                if connection is None:
                    connection = _open(self._path)
                (now,) = connection.execute("PRAGMA data_version").fetchone()
                if now != version:
                    self._read(connection, tell)
                    version = now
                if failing:
                    _log.info("reading users again")
                failing = False
            except (OSError, sqlite3.Error) as error:
                if not failing:
                    _log.error(
                        "cannot read users, those that are known stay, trying again: {error}",
                        error=error,
                    )
                failing = True
                if connection is not None:
                    connection.close()
                connection, version = None, None
        if connection is not None:
            connection.close()

    def _read(self, connection: sqlite3.Connection, tell: Callable[[list[Row]], None]) -> None:
        while not self._closing.is_set():
            found = connection.execute(
                "SELECT number, CAST(user_changes.name AS TEXT), CAST(settings AS TEXT)"
                " FROM user_changes LEFT JOIN users ON users.name = user_changes.name"
                " WHERE number > ? ORDER BY number LIMIT ?",
                (self._seen, _BATCH),
            ).fetchall()
            if not found:
                return
            tell([(name, settings) for _, name, settings in found])
            self._seen = found[-1][0]


def as_text(octets: bytes) -> str:
    """Text in UTF-8, whatever it is."""
    return octets.decode("utf-8", "replace")


def _open(path: Path, seconds: float | None = None) -> sqlite3.Connection:
    connection = connect(path, seconds)
    connection.text_factory = as_text
    return connection
