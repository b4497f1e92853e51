"""A file of call records that is damaged: put aside for somebody to salvage, for another to begin.

Records are not worth the telephone: neither a start nor what runs waits for such a file.
"""

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from twisted.logger import Logger

_log = Logger()

#: What SQLite says of a file that is none of its own, or no longer.
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

#: Of the files that SQLite keeps beside a database, and of itself, which goes last: a crash on the
#: way leaves one that is damaged still.
_ENDINGS: Final = ("-wal", "-shm", "")


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether it says that the file is damaged, rather than full, locked or not ours to write."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGED


def put_aside(path: Path, now: float, error: sqlite3.Error) -> None:
    """Put the file aside, under the time at which that happens, and say so in the log.

    :param now: Unix time, seconds.
    :param error: what SQLite says.
    :raises OSError: it cannot be renamed.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for ending in _ENDINGS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(f"{aside}{ending}")
    _log.error(
        "{file} is damaged ({error}): it is put aside as {aside}, with the call records in it, "
        "and a new one begins; look at the disk, and at docs/records.md for how to salvage them",
        file=str(path),
        error=error,
        aside=aside.name,
    )
