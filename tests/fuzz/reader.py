"""A second reader of SIP, which shares no line with the switch's: strict, and by hand.

What the switch sends must mean the same to both. It knows nothing of folding, compact names or
what else a sender may write, for the switch does not write so.
"""

from typing import NamedTuple

TOKEN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")


class UnreadableError(Exception):
    """The message is not what RFC 3261 says."""


class Seen(NamedTuple):
    """What a message says.

    :ivar start: the words of the start line.
    :ivar fields: lower-case name -> its values, a line each.
    """

    start: list[str]
    fields: dict[str, list[str]]
    body: bytes

    def only(self, name: str) -> str:
        """The value of a field that must stand once."""
        values = self.fields.get(name, [])
        if len(values) != 1:
            raise UnreadableError(f"{name} stands {len(values)} times")
        return values[0]

    def list(self, name: str) -> list[str]:
        """The values of a list of several lines."""
        return [value for line in self.fields.get(name, []) for value in parted(line, ",")]


def read(data: bytes) -> Seen:
    """Read a message as the switch sends it.

    :raises UnreadableError: says what is wrong.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        raise UnreadableError("no end of the header")
    lines = head.split(b"\r\n")
    fields: dict[str, list[str]] = {}
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise UnreadableError("a line end within a line")
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or not TOKEN.issuperset(name):
            raise UnreadableError(f"no field: {line!r}")
        text = value.decode("utf-8").strip(" \t")
        fields.setdefault(name.decode().lower(), []).append(text)
    start = lines[0].decode("utf-8").split(" ", 2)
    if len(start) != 3 or "SIP/2.0" not in (start[0], start[2]):
        raise UnreadableError(f"no start line: {start}")
    seen = Seen(start, fields, body)
    if int(seen.only("content-length")) != len(body):
        raise UnreadableError("Content-Length is not the length")
    return seen


def parted(text: str, mark: str) -> list[str]:
    """The pieces between marks that stand neither in quotes nor in angle brackets."""
    pieces, piece, quoted, bracketed, escaped = [], "", False, False, False
    for sign in text:
        if sign == mark and not quoted and not bracketed:
            pieces.append(piece.strip(" \t"))
            piece = ""
            continue
        piece += sign
        if escaped:
            escaped = False
        elif quoted and sign == "\\":
            escaped = True
        elif sign == '"' and not bracketed:
            quoted = not quoted
        elif sign == "<" and not quoted:
            bracketed = True
        elif sign == ">" and not quoted:
            bracketed = False
    if quoted or bracketed:
        raise UnreadableError(f"without end: {text!r}")
    return [*pieces, piece.strip(" \t")]


def address(value: str) -> str:
    """The URI of a name-addr or addr-spec."""
    outside = parted(value, ";")[0]
    if not outside.endswith(">"):
        return outside
    quoted = False
    for at, sign in enumerate(outside):
        if sign == '"' and outside[at - 1 : at] != "\\":
            quoted = not quoted
        elif sign == "<" and not quoted:
            return outside[at + 1 : -1]
    raise UnreadableError(f"no address: {value!r}")


def tag(value: str) -> str | None:
    """The tag of From or To."""
    params = [each.partition("=") for each in parted(value, ";")[1:]]
    found = [text.strip(" \t") for name, _, text in params if name.strip(" \t").lower() == "tag"]
    if len(found) > 1:
        raise UnreadableError(f"two tags: {value!r}")
    return found[0] if found else None
