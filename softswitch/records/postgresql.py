"""Call records in a table of PostgreSQL, by psycopg 3.

The id of a record is the key of its row: a batch that had arrived when the connection broke changes
nothing when it comes again.
"""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from softswitch.records.columns import COLUMNS, cells
from softswitch.records.exporter import CarryError, Entry, RefusedError

if TYPE_CHECKING:
    import psycopg

#: What a connection is made with where the operator does not say: a server that vanishes without a
#: word is noticed.
_MANNERS: Final = {
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",
    "keepalives_idle": "30",
    "application_name": "softswitch",
}


def missing() -> str:
    """What is to be done before this can be used; "" for nothing."""
    if find_spec("psycopg") is not None:
        return ""
    return 'psycopg is needed: pip install "softswitch[postgresql]"'


def fault(connect: str) -> str:
    """What is wrong with how a server is to be reached; "" for nothing."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(connect)
    except ProgrammingError:
        return (
            'as libpq has it is wanted: "postgresql://user@host/database", or "host=/run dbname=x"'
        )
    return ""


class PostgresqlTable:
    """The outlet.

    :param connect: as libpq has it: a URL, or "host=/run/postgresql dbname=calls".
    :param table: its name, perhaps with a schema before it.
    :param create: whether it is made where it is missing.
    """

    def __init__(self, connect: str, table: str, create: bool) -> None:
        self._connect = connect
        self._table = table
        self._create = create
        self._connection: psycopg.Connection[Any] | None = None

    def carry(self, batch: Sequence[Entry], state: dict[str, Any]) -> dict[str, Any]:
        """Insert what is not there yet, all or nothing.

        :raises CarryError: the server cannot be reached, or will not have it.
        :raises RefusedError: a value does not fit the table.
        """
        # Loaded by those who use it: it takes 10 MB, and is an extra.
        import psycopg
        from psycopg import sql

        names = [*COLUMNS, "record"]
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (id) DO NOTHING").format(
            self._identifier(),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(sql.Placeholder() * len(names)),
        )
        try:
            connection = self._connected()
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(insert, [row(each.text) for each in batch])
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise RefusedError(f"PostgreSQL: {error}") from error
        except (psycopg.Error, OSError) as error:
            self.close()
            raise CarryError(f"PostgreSQL: {error}") from error
        return {}

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> "psycopg.Connection[Any]":
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        if self._connection is None:
            wanted: dict[str, Any] = {**_MANNERS, **conninfo_to_dict(self._connect)}
            self._connection = psycopg.connect(autocommit=True, **wanted)
            if self._create:
                self._make(self._connection)
        return self._connection

    def _make(self, connection: "psycopg.Connection[Any]") -> None:
        from psycopg import sql

        found = connection.execute("SELECT to_regclass(%s)", [self._identifier().as_string()])
        if found.fetchone() == (None,):
            columns = [f"{name} {kind}" for name, kind in COLUMNS.items()]
            columns[0] += " PRIMARY KEY"
            connection.execute(
                sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, record jsonb NOT NULL)").format(
                    self._identifier(),
                    sql.SQL(", ").join([sql.SQL(each) for each in columns]),
                )
            )

    def _identifier(self) -> Any:
        from psycopg import sql

        return sql.Identifier(*self._table.split("."))


def row(text: str) -> list[Any]:
    """The values of a record's columns, and the record; PostgreSQL has no character NUL."""
    record = json.loads(text)
    if "\\u0000" in text:
        record = _without_nul(record)
        text = json.dumps(record)
    return [*cells(record).values(), text]


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_nul(each) for key, each in value.items()}
    return value
