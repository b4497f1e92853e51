"""The registrations of an SQLite store, read beside a switch that runs. Nothing is written.

SQLite makes files beside a database in WAL mode, even to read it: where there is no log to look
into, the file is opened as one that nobody changes.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from softswitch.errors import ConfigError
from softswitch.store.sqlite import BUSY_SECONDS, restored


def load(path: Path) -> dict[str, list[Any]] | None:
    """All that is kept: address of record -> its bindings as plain data; None without a file.

    :raises ConfigError: the file cannot be read, or is none of ours.
    """
    if not path.exists():
        return None
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    try:
        address = f"{path.absolute().as_uri()}?{how}"
        with closing(sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True)) as connection:
            rows = connection.execute("SELECT aor, CAST(contacts AS BLOB) FROM bindings")
            return dict(filter(None, map(restored, rows)))
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(str(path), f"a database of softswitch is needed here: {error}") from error
