"""A ladder of SIP messages between named hosts, as text. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from softswitch.flight.terminal import WIDTH, arrow

Address = tuple[str, int]


class Carried(NamedTuple):
    """One datagram, or one write on a connection.

    :ivar at: when it was sent, in seconds.
    :ivar fate: "delivered", "duplicated" (delivered twice), "lost", or "nobody" when none
        listens there.
    """

    at: float
    transport: str
    source: Address
    to: Address
    data: bytes
    fate: str = "delivered"


def ladder(log: Iterable[Carried], names: Mapping[Address | str, str] | None = None) -> str:
    """One line per message: time, arrow, start line, CSeq; what is no SIP message is left out.

    :param names: (host, port) or host -> name at the head of its line; the hosts stand in this
        order, then those without a name in the order of their appearance.
    """
    names = names or {}
    columns: dict[str, int] = {}
    for name in names.values():
        columns.setdefault(name, len(columns))
    messages = []
    for carried in log:
        text = _start_line(carried.data)
        if text is None:
            continue
        ends = [
            names.get(address) or names.get(address[0]) or _written(address)
            for address in (carried.source, carried.to)
        ]
        for name in ends:
            columns.setdefault(name, len(columns))
        messages.append((carried, columns[ends[0]], columns[ends[1]], text))
    head = " " * 11 + "".join(f"{name[: WIDTH - 1]:^{WIDTH}}" for name in columns)
    lines = [head.rstrip()]
    for carried, left, right, text in messages:
        stopped = carried.fate in ("lost", "nobody")
        drawn = arrow(len(columns), left, right, stopped)
        lines.append(f"{carried.at:10.3f} {drawn} {text}")
    return "\n".join(lines) + "\n"


def _start_line(data: bytes) -> str | None:
    """Start line without the version, and the CSeq; None for what is no SIP message."""
    lines = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
    first = lines[0]
    if first.startswith("SIP/2.0 "):
        first = first[8:]
    elif first.endswith(" SIP/2.0"):
        first = first[:-8]
    else:
        return None
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "cseq":
            return f"{first} ({value.strip()})"
    return first


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
