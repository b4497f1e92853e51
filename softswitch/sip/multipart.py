"""Bodies of several parts: where each part lies, so that one can be replaced. Pure.

RFC 2046 5.1, as RFC 3261 7.4 and RFC 5621 use it. Nothing is decoded and nothing is put together
anew: a part is a range of the bytes as they came, and what is not replaced stays what it was,
preamble, padding and epilogue too.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import parse_params, unquote
from softswitch.sip.message import Field
from softswitch.sip.names import canonical

#: Parts of one body, nested ones not counted.
MOST_PARTS: Final = 16
#: Header fields of one part.
MOST_FIELDS: Final = 32


@attrs.frozen
class Part:
    """A part of a body.

    :ivar fields: its header fields, as in a message: canonical names, values unfolded.
    :ivar opened: where the part begins within the whole body, with its header.
    :ivar start: where its content begins.
    :ivar end: where its content ends; the line end that follows belongs to the boundary.
    """

    fields: list[Field]
    opened: int
    start: int
    end: int

    def get(self, name: str) -> str | None:
        """The first value of a field, None when absent."""
        return next((value for known, value in self.fields if known == name), None)

    @property
    def content_type(self) -> str:
        """Lower-case type/subtype; "text/plain" where none is named (RFC 2046 5.1)."""
        return media_type(self.get("Content-Type") or "text/plain")

    @property
    def disposition(self) -> str:
        """Lower-case disposition type (RFC 3261 20.11), "" when absent."""
        return (self.get("Content-Disposition") or "").partition(";")[0].strip(" \t").lower()

    @property
    def is_optional(self) -> bool:
        """Whether it may be ignored by whom does not know it (RFC 3261 20.11, RFC 3204)."""
        _, _, params = (self.get("Content-Disposition") or "").partition(";")
        return "optional" in params.lower()

    @property
    def is_plain(self) -> bool:
        """Whether its bytes are what they say, in no encoding of their own."""
        transfer = (self.get("Content-Transfer-Encoding") or "binary").lower()
        encoding = (self.get("Content-Encoding") or "identity").lower()
        return transfer in ("7bit", "8bit", "binary") and encoding == "identity"


def media_type(content_type: str) -> str:
    """Lower-case type/subtype of a Content-Type value."""
    return content_type.partition(";")[0].replace(" ", "").replace("\t", "").lower()


def is_multipart(content_type: str) -> bool:
    """Whether a Content-Type value announces several parts."""
    return content_type[:10].lower() == "multipart/"


def parts(content_type: str, body: bytes, start: int = 0, end: int | None = None) -> list[Part]:
    """The parts of a body, in order.

    :param content_type: the whole Content-Type value.
    :param start: where the body begins within ``body``: a part that is a multipart in its turn.
    :param end: where it ends.
    :raises SipSyntaxError: 400, for a boundary that is none, for no part, for too many, for a part
        without an end, and for one whose header is malformed.
    """
    delimiter = b"--" + boundary(content_type)
    end = len(body) if end is None else end
    found: list[Part] = []
    opened = _opening(body, delimiter, start, end)
    while True:
        if len(found) == MOST_PARTS:
            raise SipSyntaxError("Too many body parts")
        closed, further, last = _boundary(body, b"\r\n" + delimiter, opened, end)
        found.append(_part(body, opened, closed))
        if last:
            return found
        opened = further


def session_parts(content_type: str, body: bytes) -> list[Part]:
    """The parts that describe the session, the one that counts first; [] where there is none.

    Offer and answer want one (RFC 3264 4). Of several it is the first whose disposition is
    "session", else the first without a disposition (RFC 3261 20.11).

    :raises SipSyntaxError: 400, the body is malformed.
    """
    found = [
        part
        for part in flattened(content_type, body)
        if part.is_plain
        and part.content_type == "application/sdp"
        and part.disposition in ("", "session")
    ]
    return sorted(found, key=lambda part: part.disposition != "session")


def flattened(content_type: str, body: bytes) -> list[Part]:
    """All parts, those of a part that has parts instead of it; what is nested deeper is one.

    :raises SipSyntaxError: 400, the body is malformed.
    """
    found = []
    for part in parts(content_type, body):
        kind = part.get("Content-Type") or ""
        if is_multipart(kind) and part.is_plain:
            found += parts(kind, body, part.start, part.end)
        else:
            found.append(part)
    return found


def replaced(body: bytes, replacements: Iterable[tuple[Part, bytes]]) -> bytes:
    """The body with the contents of some parts replaced.

    A part's own Content-Length, which nobody needs but some write, is corrected.
    """
    for part, content in sorted(replacements, key=lambda each: -each[0].start):
        head = body[part.opened : part.start]
        if part.get("Content-Length") is not None:
            head = _LENGTH.sub(rb"\g<1>%d" % len(content), head)
        if content and head != b"\r\n" and not head.endswith(b"\r\n\r\n"):
            head += b"\r\n"  # the empty line was the next boundary's as well
        body = body[: part.opened] + head + content + body[part.end :]
    return body


def compose(contents: Sequence[tuple[Sequence[Field], bytes]]) -> tuple[str, bytes]:
    """A body of several parts, each its header fields and its content.

    :returns: the boundary, for Content-Type, and the body.
    """
    number = 0
    while any(b"--part%d" % number in content for _, content in contents):
        number += 1
    mark = f"part{number}"
    body = b""
    for fields, content in contents:
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        body += f"--{mark}\r\n{head}\r\n".encode() + content + b"\r\n"
    return mark, body + f"--{mark}--\r\n".encode()


def boundary(content_type: str) -> bytes:
    """The boundary of a Content-Type value.

    :raises SipSyntaxError: 400; there is none, or it is none.
    """
    _, semicolon, params = content_type.partition(";")
    try:
        value = parse_params(semicolon + params).get("boundary")
    except SipSyntaxError:
        value = None
    text = unquote(value or "")
    if not _BOUNDARY.fullmatch(text):
        raise SipSyntaxError("Bad Content-Type", header="Content-Type")
    return text.encode()


def _opening(body: bytes, delimiter: bytes, start: int, end: int) -> int:
    """Where the first part begins: its boundary is at the very start, or after a preamble."""
    if body.startswith(delimiter, start, end):
        after = _PADDING.match(body, start + len(delimiter), end)
        if after is not None:
            return after.end()
    _, opened, last = _boundary(body, b"\r\n" + delimiter, start, end)
    if last:
        raise SipSyntaxError("No body part")
    return opened


def _boundary(body: bytes, delimiter: bytes, start: int, end: int) -> tuple[int, int, bool]:
    """The next boundary: where it begins, where what follows it begins, whether it is the last."""
    while (place := body.find(delimiter, start, end)) >= 0:
        after = place + len(delimiter)
        if body.startswith(b"--", after, end):
            return place, after + 2, True
        padding = _PADDING.match(body, after, end)
        if padding is not None:
            return place, padding.end(), False
        start = after  # it begins a longer word
    raise SipSyntaxError("Body part without end")


def _part(body: bytes, start: int, end: int) -> Part:
    """The part between two boundaries: fields, an empty line, content."""
    if body.startswith(b"\r\n", start, end + 2):
        return Part([], start, min(start + 2, end), end)
    head = body.find(b"\r\n\r\n", start, end + 2)
    if head < 0:
        raise SipSyntaxError("Bad header of a body part")
    text = _FOLD.sub(" ", body[start:head].decode("utf-8", "surrogateescape"))
    lines = text.split("\r\n", MOST_FIELDS + 1)
    if len(lines) > MOST_FIELDS:
        raise SipSyntaxError("Too many header fields in a body part")
    fields: list[Field] = []
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not _NAME.fullmatch(name) or "\n" in value or "\r" in value:
            raise SipSyntaxError("Bad header of a body part")
        fields.append((canonical(name), value.strip(" \t")))
    return Part(fields, start, min(head + 4, end), end)


_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PADDING: Final = re.compile(rb"[ \t]*+\r\n")
_FOLD: Final = re.compile(r"\r\n[ \t]++")
_NAME: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]++")
_LENGTH: Final = re.compile(rb"(?im)^((?:content-length|l)[ \t]*+:\s*+)[0-9]++")
