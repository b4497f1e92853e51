"""What the API says, as tables in a terminal. Pure, but for the terminal.

What callers write is data: whatever could move the cursor, ring or colour is shown as text.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: How calls and gateways look.
_COLOURS: Final = {
    "trying": "yellow",
    "ringing": "yellow",
    "talking": "green",
    "forwarded": "cyan",
    "up": "green",
    "tried": "yellow",
    "out": "red",
    "ok": "green",
    "draining": "yellow",
    "overloaded": "red",
}


def safe(text: object) -> str:
    """Text with all that is no printable character written as Python would."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(text))


def cell(value: object) -> Text:
    """A value as a table shows it."""
    words = "-" if value in (None, "") else safe(value)
    return Text(words, _COLOURS.get(words, ""))


def ago(moment: str | None, now: datetime | None = None) -> str:
    """For how long it has been so, as "1:02:03".

    :param moment: as the API writes it.
    """
    if moment is None:
        return "-"
    since = (now or datetime.now(UTC)) - datetime.fromisoformat(moment)
    minutes, seconds = divmod(max(0, int(since.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A plain table."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        found.add_column(head, overflow="fold")
    for row in rows:
        found.add_row(*map(cell, row))
    return found


def calls(found: Iterable[dict[str, Any]], now: datetime | None = None) -> Table:
    """Calls that go on."""
    return table(
        ("id", "state", "for", "caller", "called", "who", "trunk"),
        (
            (
                each["id"],
                each["state"],
                ago(each["answered"] or each["invited"], now),
                each["caller"],
                each["called"],
                f"{each['identity_kind']} {each['identity']}",
                each["trunk"],
            )
            for each in found
        ),
    )


def call(found: dict[str, Any]) -> list[Table]:
    """One call: what the list says of it, its legs, what was tried, how it sounds, who is not
    heard."""
    parts = [
        calls([found["summary"]]),
        table(
            ("leg", "who", "life", "address", "remote", "Call-ID"),
            (
                (
                    f"{each['name']}{'*' if each['joined'] else ''}",
                    f"{each['kind']} {each['peer']}",
                    each["life"],
                    each["address"],
                    each["remote"],
                    each["call_id"],
                )
                for each in found["legs"]
            ),
        ),
        table(
            ("tried", "trunk", "leg", "status", "reason"),
            (
                (each["target"], each["trunk"], each["leg"], each["status"] or None, each["reason"])
                for each in found["attempts"]
            ),
        ),
    ]
    if found["media"]:
        parts.append(
            table(
                ("from", "codec", "packets", "lost", "jitter ms", "MOS", "address"),
                map(_stream, found["media"]),
            )
        )
    if found["silences"]:
        parts.append(
            table(
                ("not heard", "cause", "seen"),
                ((each["leg"], each["cause"], each["detail"]) for each in found["silences"]),
            )
        )
    return parts


def _stream(found: dict[str, Any]) -> Sequence[object]:
    jitter, mos = found["jitter"], found["mos"]
    return (
        found["leg"],
        f"{found['kind']} {found['codec']}",
        found["packets"],
        found["lost"],
        None if jitter is None else f"{jitter * 1000:.1f}",
        None if mos is None else f"{mos:.1f}",
        found["latched"] or found["signalled"],
    )


def registrations(found: Iterable[dict[str, Any]]) -> Table:
    """Contacts of users."""
    return table(
        ("user", "contact", "from", "phone", "expires", "reachable"),
        (
            (
                each["aor"],
                each["contact"],
                each["address"],
                each["user_agent"],
                each["expires_at"][:19],
                "yes" if each["reachable"] else "no",
            )
            for each in found
        ),
    )


def trunks(found: Iterable[dict[str, Any]]) -> Table:
    """Trunks, a line for each member."""
    rows: list[Sequence[object]] = []
    for trunk in found:
        for number, member in enumerate(trunk["members"] or [None]):
            rows.append(_trunk(trunk, member, number == 0))
    return table(("trunk", "state", "in", "out", "member", "state", "calls", "why"), rows)


def _trunk(trunk: dict[str, Any], member: dict[str, Any] | None, first: bool) -> Sequence[object]:
    own = (
        (trunk["name"], "up" if trunk["up"] else "out", trunk["calls_in"], trunk["calls_out"])
        if first
        else ("", "", "", "")
    )
    if member is None:
        return (*own, None, None, None, None)
    why = "; ".join(each["why"] for each in member["gateways"] if each["state"] != "up")
    state = "taken out" if member["taken_out"] else "up" if member["up"] else "out"
    return (*own, member["address"], state, member["calls"], why)


def show(*parts: Table | Text) -> None:
    """Print them; plain text where nobody looks at a terminal."""
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=240)
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part)
