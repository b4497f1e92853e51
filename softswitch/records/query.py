"""Looking call records up, be it beside a switch that writes them.

All of it takes a connection that somebody else has opened (``store.snapshot.reading`` gives one
that changes nothing) and gives plain data. It reads a disk: never call it in the reactor's thread.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

import attrs

from softswitch.records.filters import Filter, FilterError
from softswitch.records.written import as_text, microseconds

#: Records of a page, at most.
MOST: Final = 1000

_CURSOR: Final = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)

#: Follows whatever else may follow on a beginning.
_LAST: Final = "\U0010ffff"

_UUID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

_HOUR: Final = 3_600_000_000


@attrs.frozen
class Page:
    """Some records, the latest first.

    :ivar records: each as ``written.as_json`` has it, read.
    :ivar next: where the next page begins; "" when this is the last one.
    """

    records: list[dict[str, Any]]
    next: str = ""


@attrs.frozen
class Stat:
    """How the calls of a trunk, an hour, or both went. Ratios and means are None where there is
    nothing to divide by.

    :ivar trunk: its name; "" for all calls, whether over a trunk or not.
    :ivar way: "in" for calls that the trunk has made, "out" for tries over it, "" for all calls.
    :ivar hour: when it began, as ``2026-01-31T12:00:00.000000Z``; "" for all together.
    :ivar calls: how many there were; of a trunk's "out" those that were really sent.
    :ivar answered: how many of them were answered.
    :ivar asr: answer-seizure ratio, 0.0 to 1.0.
    :ivar acd: average call duration, seconds from answer to end.
    :ivar pdd: average post-dial delay, seconds to the first ringing, else to the answer.
    :ivar mos: average of what was heard of the trunk, 1.0 to 4.4; of all calls, of the worse side.
    """

    trunk: str
    way: str
    hour: str
    calls: int
    answered: int
    asr: float | None
    acd: float | None
    pdd: float | None
    mos: float | None


def find(connection: sqlite3.Connection, wanted: Filter, limit: int = 50, after: str = "") -> Page:
    """A page of records.

    :param limit: how many at most, 1 to ``MOST``.
    :param after: the ``next`` of the page before; "" for the first.
    :raises FilterError: ``limit`` or ``after`` makes no sense, named "limit" or "cursor".
    :raises sqlite3.Error: the file cannot be read.
    """
    if not 1 <= limit <= MOST:
        raise FilterError("limit", f"1 to {MOST} is wanted")
    terms, values = _terms(wanted)
    if after:
        cursor = _CURSOR.fullmatch(after)
        if cursor is None:
            raise FilterError("cursor", "what the page before has named is wanted")
        terms.append("(invited, position) < (?, ?)")
        values += [int(cursor[1]), int(cursor[2])]
    rows = connection.execute(
        f"SELECT invited, position, record FROM calls {_where(terms)} "
        "ORDER BY invited DESC, position DESC LIMIT ?",
        [*values, limit + 1],
    ).fetchall()
    records = [json.loads(record) for _, _, record in rows[:limit]]
    return Page(records, f"{rows[limit - 1][0]}.{rows[limit - 1][1]}" if len(rows) > limit else "")


def show(connection: sqlite3.Connection, id: str) -> dict[str, Any] | None:
    """The record of that id, or the only one whose id begins so; None for none.

    :raises FilterError: there are several, named "id".
    :raises sqlite3.Error: the file cannot be read.
    """
    rows = connection.execute(
        "SELECT id, record FROM calls WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 2",
        [id, f"{id}{_LAST}"],
    ).fetchall()
    if len(rows) == 2 and rows[0][0] != id:
        raise FilterError("id", "more of it is wanted: several calls have an id that begins so")
    return json.loads(rows[0][1]) if rows else None


def count(connection: sqlite3.Connection, wanted: Filter) -> int:
    """How many records there are.

    :raises sqlite3.Error: the file cannot be read.
    """
    terms, values = _terms(wanted)
    row = connection.execute(f"SELECT count(*) FROM calls {_where(terms)}", values).fetchone()
    return int(row[0])


def last_end(connection: sqlite3.Connection) -> float:
    """When the call ended whose record was written last, seconds since 1970; 0 for none.

    :raises sqlite3.Error: the file cannot be read.
    """
    row = connection.execute("SELECT ended FROM calls ORDER BY position DESC LIMIT 1").fetchone()
    return 0.0 if row is None else int(row[0]) / 1e6


def every(connection: sqlite3.Connection, wanted: Filter) -> Iterator[str]:
    """All records as they were written, in the order of their INVITEs, without holding them all.

    :raises sqlite3.Error: the file cannot be read.
    """
    terms, values = _terms(wanted)
    rows = connection.execute(
        f"SELECT record FROM calls {_where(terms)} ORDER BY invited, position", values
    )
    return (str(row[0]) for row in rows)


def stats(
    connection: sqlite3.Connection, wanted: Filter, *, by_trunk: bool = True, by_hour: bool = True
) -> list[Stat]:
    """How calls went, by trunk and by hour, or all together; the earliest hour first.

    :param wanted: with a ``trunk`` and ``by_trunk``, the figures of no other trunk are given.
    :raises sqlite3.Error: the file cannot be read.
    """
    terms, values = _terms(wanted)
    where = _where(terms)
    if by_trunk:
        chosen = f"SELECT * FROM calls {where}"
        source = f"""
            SELECT trunk_in AS trunk, 'in' AS way, invited AS at, pdd, talk, mos_caller AS mos
            FROM ({chosen}) WHERE trunk_in != ''
            UNION ALL
            SELECT tries.trunk, 'out', tries.started, tries.pdd, tries.talk, tries.mos
            FROM ({chosen}) AS chosen JOIN tries ON tries.call = chosen.position
            WHERE tries.trunk != '' AND tries.call_id != ''
        """
        values = [*values, *values]
        if wanted.trunk:
            source = f"SELECT * FROM ({source}) WHERE trunk = ?"
            values.append(wanted.trunk)
    else:
        worse = "min(coalesce(mos_caller, mos_callee), coalesce(mos_callee, mos_caller))"
        source = f"""
            SELECT '' AS trunk, '' AS way, invited AS at, pdd, talk, {worse} AS mos
            FROM calls {where}
        """
    hour = f"at / {_HOUR} * {_HOUR}" if by_hour else "NULL"
    rows = connection.execute(
        f"""
        SELECT trunk, way, {hour} AS hour, count(*), count(talk), avg(talk), avg(pdd), avg(mos)
        FROM ({source}) GROUP BY trunk, way, hour ORDER BY hour, trunk, way
        """,
        values,
    )
    return [_stat(*row) for row in rows if row[3]]


def _stat(
    trunk: str | None,
    way: str | None,
    hour: int | None,
    calls: int,
    answered: int,
    talk: float | None,
    pdd: float | None,
    mos: float | None,
) -> Stat:
    return Stat(
        trunk or "",
        way or "",
        "" if hour is None else as_text(hour),
        calls,
        answered,
        answered / calls,
        None if talk is None else talk / 1e6,
        None if pdd is None else pdd / 1e6,
        mos,
    )


def _where(terms: list[str]) -> str:
    return f"WHERE {' AND '.join(terms)}" if terms else ""


def _terms(wanted: Filter) -> tuple[list[str], list[Any]]:
    """Terms of SQL, and the values of their question marks."""
    terms: list[str] = []
    values: list[Any] = []

    def add(term: str, *more: Any) -> None:
        terms.append(term)
        values.extend(more)

    if wanted.since is not None:
        add("invited >= ?", microseconds(wanted.since))
    if wanted.until is not None:
        add("invited < ?", microseconds(wanted.until))
    if wanted.number:
        same = "= ?"
        bounds = [wanted.number]
        if wanted.number.endswith("*"):
            same = "BETWEEN ? AND ?"
            bounds = [wanted.number[:-1], wanted.number[:-1] + _LAST]
        add(
            f"""position IN (
                SELECT position FROM calls WHERE caller_number {same}
                UNION ALL SELECT position FROM calls WHERE called_number {same}
                UNION ALL SELECT call FROM tries WHERE number != '' AND number {same})""",
            *(bounds * 3),
        )
    if wanted.call_id:
        add(
            """position IN (
                SELECT position FROM calls WHERE call_id = ?
                UNION ALL SELECT call FROM tries WHERE call_id != '' AND call_id = ?)""",
            *[wanted.call_id] * 2,
        )
    if wanted.trunk:
        # For each record in turn: of a trunk that bears nearly all, a page is full at once.
        add(
            """(trunk_in = ? OR EXISTS (
                SELECT 1 FROM tries WHERE tries.call = calls.position AND tries.trunk = ?))""",
            *[wanted.trunk] * 2,
        )
    if wanted.user:
        add("(user = ? OR callee = ?)", *[wanted.user] * 2)
    if wanted.status is not None:
        add("status BETWEEN ? AND ?", *wanted.status)
    if wanted.group:
        # Most are alone in their group, and in no index of groups.
        add("(id = ? OR (call_group != id AND call_group = ?))", *[wanted.group] * 2)
    if wanted.session_id:
        add(*_session(wanted.session_id))
    if wanted.hung_up:
        add("hung_up = ?", wanted.hung_up)
    if wanted.answered is not None:
        add(f"answered IS {'NOT ' if wanted.answered else ''}NULL")
    return terms, values


def _session(text: str) -> tuple[str, str]:
    """Term and value for a whole Session-ID, or the UUID of either end: for that the index is read
    from one end to the other, but no record is, which takes a fraction of a second for a million.
    """
    text = text.lower()
    uuid = text.replace("-", "")
    if not _UUID.fullmatch(uuid):
        return "session_id != '' AND session_id = ?", text
    found = """position IN (
        SELECT position FROM calls INDEXED BY calls_session
        WHERE session_id != '' AND instr(session_id, ?))"""
    return found, uuid
