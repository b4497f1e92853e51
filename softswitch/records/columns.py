"""A call record as a row of a table: what most who read one want of it. Pure.

CSV and PostgreSQL have these columns, of which the first is the key; what does not fit into them
stands in the JSON of the record. No name of them is a word of SQL.
"""

from typing import Any, Final

#: Name -> type in PostgreSQL.
COLUMNS: Final = {
    "id": "text",
    "call_group": "text",
    "session_id": "text",
    "invited": "timestamptz",
    "ringing": "timestamptz",
    "answered": "timestamptz",
    "ended": "timestamptz",
    "caller": "text",
    "called": "text",
    "caller_number": "text",
    "called_number": "text",
    "sent_caller_number": "text",
    "sent_called_number": "text",
    "caller_user": "text",
    "callee_user": "text",
    "identity_kind": "text",
    "identity": "text",
    "trunk_in": "text",
    "trunk_out": "text",
    "attempts": "integer",
    "status": "integer",
    "reason": "text",
    "hung_up": "text",
    "causes": "text",
    "limit_hit": "text",
    "verdicts": "text",
    "pdd_seconds": "double precision",
    "talk_seconds": "double precision",
    "codec_caller": "text",
    "codec_callee": "text",
    "packets_caller": "bigint",
    "packets_callee": "bigint",
    "lost_caller": "bigint",
    "lost_callee": "bigint",
    "jitter_caller": "double precision",
    "jitter_callee": "double precision",
    "mos_caller": "double precision",
    "mos_callee": "double precision",
    "silences": "text",
    "call_id_a": "text",
    "call_id_b": "text",
    "recording": "text",
}


def cells(record: dict[str, Any]) -> dict[str, Any]:
    """The columns of a record, in their order.

    :param record: as it is kept: ``written.as_json``, read.
    """
    row = {name: record.get(name) for name in COLUMNS}
    row["caller_user"], row["callee_user"] = record["user"], record["callee"]
    row["limit_hit"] = record["limit"]
    row["attempts"] = len(record["attempts"])
    row["causes"] = "; ".join(record["causes"])
    row["verdicts"] = "; ".join(
        f"{each['question']}: {each['policy'] or 'nobody'}: {each['decision']}"
        for each in record["verdicts"]
    )
    row["silences"] = "; ".join(f"{each['leg']}: {each['cause']}" for each in record["silences"])
    tried = [each for each in record["attempts"] if each["answered"]] or record["attempts"][-1:]
    row["call_id_b"] = tried[0]["call_id_b"] if tried else ""
    for side, is_near in (("caller", True), ("callee", False)):
        heard = _audio(record["media"], is_near)
        row[f"packets_{side}"] = heard.get("packets")
        row[f"lost_{side}"] = heard.get("lost")
        row[f"jitter_{side}"] = heard.get("jitter")
    return row


def _audio(streams: list[dict[str, Any]], near: bool) -> dict[str, Any]:
    """The caller's audio, or what came from the other side: the most of it, where several tried."""
    found = [
        each for each in streams if (each["leg"] == "a") is near and each["kind"] in ("audio", "")
    ]
    return max(found, key=lambda each: int(each["packets"]), default={})
