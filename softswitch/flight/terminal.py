"""A ladder in the terminal: lines of characters, coloured where there are colours. Pure."""

from collections.abc import Mapping
from typing import Final

from rich.text import Text

from softswitch.flight.ladder import Ladder, Row

#: Characters from one line to the next.
WIDTH: Final = 18

#: What each kind of row looks like that is no message.
_STYLES: Final[Mapping[str, str]] = {
    "timer": "magenta",
    "decision": "blue",
    "media": "yellow",
    "state": "bold",
}

#: What stands before such a row.
_MARKS: Final[Mapping[str, str]] = {"timer": "~", "decision": "?", "media": "*", "state": "="}


def drawn(ladder: Ladder, *, messages: bool = False) -> Text:
    """A whole ladder; times are seconds since its first row.

    :param messages: whether each message follows its arrow.
    """
    text = Text(f"{ladder.title}\n", style="bold")
    text.append(f"call {ladder.id}\n\n", style="dim")
    names = [each.name for each in ladder.participants]
    addresses = [each.address for each in ladder.participants]
    for heads in (names, addresses):
        text.append(_heads(heads), style="bold" if heads is names else "dim")
    began = ladder.rows[0].at if ladder.rows else 0.0
    for row in ladder.rows:
        text.append(f"{row.at - began:10.3f} ", style="dim")
        text.append_text(line(row, len(ladder.participants)))
        text.append("\n")
        if messages and row.text:
            for each in row.text.rstrip("\n").split("\n"):
                text.append(f"{'':11}  {each}\n", style="dim")
    if ladder.dropped:
        text.append(f"{ladder.dropped} more are not kept any more\n", style="yellow")
    return text


def line(row: Row, columns: int) -> Text:
    """A row without its time.

    :param columns: how many take part.
    """
    lines = "".join((" " * (WIDTH // 2) + "|").ljust(WIDTH) for _ in range(columns))
    if row.kind != "message":
        mark = lines[: WIDTH * row.source + WIDTH // 2] + _MARKS[row.kind]
        mark = mark.ljust(len(lines)) if row.source == columns - 1 else mark + lines[len(mark) :]
        return Text(f"{mark} {row.label}", style=_STYLES[row.kind])
    again = " (again)" if row.again else ""
    text = Text(arrow(columns, row.source, row.target))
    text.append(f" {row.label}{again}", style=_style(row))
    return text


def arrow(columns: int, start: int, end: int, stopped: bool = False) -> str:
    """The lines of those who take part, with an arrow from one to another.

    :param stopped: whether it never arrived: then it ends in an X.
    """
    row = list((" " * (WIDTH // 2) + "|").ljust(WIDTH) * columns)
    here, there = (WIDTH // 2 + WIDTH * column for column in (start, end))
    if here == there:
        row[here + 1 : here + 3] = "-<"
        return "".join(row)
    step = 1 if there > here else -1
    for place in range(here + step, there, step):
        row[place] = "-"
    row[there - step] = "X" if stopped else ">" if step > 0 else "<"
    return "".join(row)


def _heads(heads: list[str]) -> str:
    """Names over their lines, cut to their width."""
    return f"{' ' * 11}{''.join(f'{_cut(each):^{WIDTH}}' for each in heads)}".rstrip() + "\n"


def _cut(name: str) -> str:
    return name if len(name) < WIDTH else f"{name[: WIDTH - 2]}…"


def _style(row: Row) -> str:
    if row.again:
        return "dim"
    return {"1": "yellow", "2": "green", "3": "yellow"}.get(row.label[:1], "") or (
        "red" if row.label[:1] in "456" else "cyan"
    )
