"""The tables of call records, and how a record becomes rows.

``calls`` has a row for each call: what is looked for in columns of their own, the whole record as
JSON. ``position`` is the order in which they were written, and what exporters go by. ``tries`` has
a row for each leg B. Times are microseconds since 1970, lengths of time microseconds.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from softswitch.plugin.record import Attempt, CallRecord
from softswitch.records.written import (
    Summary,
    as_json,
    clean,
    microseconds,
    mos,
    number_of,
    summary,
)
from softswitch.store.schema import RECORDS_ID, connect, prepare

#: From nothing to what there is now, a step for each version.
STEPS: Final = (
    """
    CREATE TABLE calls (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        call_group TEXT NOT NULL,
        session_id TEXT NOT NULL,
        call_id TEXT NOT NULL,
        invited INTEGER NOT NULL,
        answered INTEGER,
        ended INTEGER NOT NULL,
        caller_number TEXT NOT NULL,
        called_number TEXT NOT NULL,
        user TEXT NOT NULL,
        callee TEXT NOT NULL,
        trunk_in TEXT NOT NULL,
        trunk_out TEXT NOT NULL,
        hung_up TEXT NOT NULL,
        status INTEGER NOT NULL,
        pdd INTEGER,
        talk INTEGER,
        mos_caller REAL,
        mos_callee REAL,
        record TEXT NOT NULL
    );
    CREATE INDEX calls_invited ON calls (invited);
    CREATE INDEX calls_caller ON calls (caller_number);
    CREATE INDEX calls_called ON calls (called_number);
    CREATE INDEX calls_call_id ON calls (call_id);
    CREATE INDEX calls_group ON calls (call_group) WHERE call_group != id;
    CREATE INDEX calls_session ON calls (session_id) WHERE session_id != '';
    CREATE TABLE tries (
        call INTEGER NOT NULL REFERENCES calls (position) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        call_id TEXT NOT NULL,
        number TEXT NOT NULL,
        trunk TEXT NOT NULL,
        started INTEGER NOT NULL,
        status INTEGER NOT NULL,
        pdd INTEGER,
        talk INTEGER,
        mos REAL,
        PRIMARY KEY (call, place)
    ) WITHOUT ROWID;
    CREATE INDEX tries_number ON tries (number) WHERE number != '';
    CREATE INDEX tries_call_id ON tries (call_id) WHERE call_id != '';
    CREATE TABLE exporters (
        name TEXT PRIMARY KEY NOT NULL,
        position INTEGER NOT NULL,
        state TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
)

_ADD_CALL: Final = """
    INSERT INTO calls (
        id, call_group, session_id, call_id, invited, answered, ended, caller_number, called_number,
        user, callee, trunk_in, trunk_out, hung_up, status, pdd, talk, mos_caller, mos_callee,
        record
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING
"""
_ADD_TRY: Final = "INSERT INTO tries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def open_records(path: Path) -> sqlite3.Connection:
    """The file of call records, made or brought to the latest version if need be.

    :raises ConfigError: it is none of ours.
    :raises sqlite3.Error: it cannot be opened or written.
    """
    connection = connect(path)
    try:
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            # What records that go leave behind is given back.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        prepare(connection, path, STEPS, RECORDS_ID)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def add(connection: sqlite3.Connection, records: Sequence[CallRecord]) -> int:
    """Write records of calls that have ended, in the transaction that is open; one that is there
    already stays as it is.

    :returns: how many are new.
    :raises sqlite3.Error: they cannot be written.
    """
    added = 0
    for record in records:
        found = summary(record)
        row = connection.execute(_ADD_CALL, _call_row(record, found))
        if row.rowcount > 0:
            added += 1
            position = row.lastrowid
            tries = [_try_row(position, *each, record) for each in enumerate(record.attempts)]
            if tries:
                connection.executemany(_ADD_TRY, tries)
    return added


def _call_row(record: CallRecord, found: Summary) -> tuple[Any, ...]:
    ended = record.invited if record.ended is None else record.ended
    return (
        record.id,
        record.call_group or record.id,
        record.session_id,
        clean(record.call_id_a),
        microseconds(record.invited),
        None if record.answered is None else microseconds(record.answered),
        microseconds(ended),
        clean(found.caller_number),
        clean(found.called_number),
        clean(record.user),
        clean(found.callee),
        found.trunk_in,
        found.trunk_out,
        record.hung_up,
        record.status,
        _length(found.pdd_seconds),
        _length(found.talk_seconds),
        found.mos_caller,
        found.mos_callee,
        as_json(record, found),
    )


def _try_row(
    position: int | None, place: int, attempt: Attempt, record: CallRecord
) -> tuple[Any, ...]:
    heard = attempt.ringing or attempt.answered
    ended, answered = attempt.ended or record.ended, attempt.answered
    streams = [each for each in record.media if each.leg == attempt.leg] if attempt.leg else []
    return (
        position,
        place,
        attempt.call_id_b,
        clean(number_of(attempt.target)),
        attempt.trunk or "",
        microseconds(attempt.started),
        attempt.status,
        None if heard is None else _length(heard - attempt.started),
        None if answered is None or ended is None else _length(ended - answered),
        mos(streams),
    )


def _length(seconds: float | None) -> int | None:
    """A length of time; clocks that were set back make none shorter than nothing."""
    return None if seconds is None else max(0, microseconds(seconds))
