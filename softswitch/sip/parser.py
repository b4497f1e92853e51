"""A datagram to a message, and a stream to messages. Pure.

RFC 3261 sections 7, 8.2, 18.3 and 25.1. Lines are split once; what a message must have to be
matched and answered is read at once, all else when asked. No work here grows faster than the
input.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import Final, NoReturn

from attrs import frozen

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import KEPT, QUOTED_TEXT, TOKEN, Via, number
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.names import KNOWN, METHODS, canonical


@frozen
class Limits:
    """What is too large to be read.

    :ivar max_message: bytes of a whole message.
    :ivar max_fields: header field lines.
    :ivar max_head: bytes of start line and header, also where the body may be larger.
    """

    max_message: int = 16 * 1024
    max_fields: int = 128
    max_head: int = 16 * 1024


#: The defaults for streams, where nothing bounds a message but us.
STREAM_LIMITS: Final = Limits(max_message=64 * 1024)


#: Fields that go back to their sender as they came. In others a control character, which a quoted
#: pair may hold (25.1), becomes a space: it might cross to somebody who reads it otherwise.
ECHOED: Final = frozenset(("Via", "From", "To", "Call-ID", "CSeq", "Record-Route", "Timestamp"))


class MessageSyntaxError(SipSyntaxError):
    """A message that cannot be used as a whole.

    :ivar request: what could be read of it, enough to compose the answer with ``status`` and
        ``reason``; None for a response, for an ACK, and where no Via says whom to answer.
    """

    def __init__(self, fault: SipSyntaxError, request: Request | None = None) -> None:
        super().__init__(fault.reason, fault.status, fault.header)
        self.request = request


def parse(data: bytes, *, stream: bool = False, limits: Limits = Limits()) -> Message:
    """Read one message and ``judge`` it.

    :param data: a datagram, or what a ``Framer`` gave.
    :param stream: whether it came over a stream, where Content-Length is mandatory (18.3).
    :raises MessageSyntaxError: status 400, 505 or 513, the reason naming the field at fault.
    """
    faults: list[SipSyntaxError] = []
    if len(data) > limits.max_message:
        faults.append(SipSyntaxError("Message Too Large", 513))
        data = data[: limits.max_message]
    start = 0
    while data.startswith(b"\r\n", start):  # 7.5: line ends before the start line are ignored
        start += 2
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        faults.append(SipSyntaxError("Missing end of header"))
        end = len(data)
    if end - start > limits.max_head:
        faults.append(SipSyntaxError("Message Too Large", 513))
        data = data[: start + limits.max_head]
        end = len(data)
    raw = data[start:end]
    head = raw.decode("utf-8", "replace")  # what is no UTF-8 is nobody's name
    start_line = head.partition("\r\n")[0]
    fields: list[Field] = _LINE.findall(head)
    if (
        len(fields) != head.count("\n")
        or len(fields) > limits.max_fields
        or 1 in raw.translate(_CONTROLS)
    ):
        start_line, fields = _split(head, limits.max_fields, faults)
    first = dict(reversed(fields))
    if not KNOWN.issuperset(first):
        fields = [(canonical(name), value) for name, value in fields]
        first = dict(reversed(fields))
    try:
        body = _body(data[end + 4 :], fields, first, stream)
    except SipSyntaxError as fault:
        faults.append(fault)
        body = b""
    if start_line[:4].upper() == "SIP/":
        message: Message = _response(start_line, fields, body, faults)
    else:
        message = _request(start_line, fields, body, faults)
    if not faults:
        try:
            message.judge(first)
        except SipSyntaxError as fault:
            faults.append(fault)
        else:
            return message
    # Of another version nothing else can be judged.
    worst = next((fault for fault in faults if fault.status == 505), faults[0])
    answerable = _answerable(message) if isinstance(message, Request) else None
    raise MessageSyntaxError(worst, answerable)


class Ping(Enum):
    """What a ``Framer`` returns beside messages."""

    KEEPALIVE = "keep-alive"


#: The peer sent the two line ends that ask for one back (RFC 5626 4.4.1).
KEEPALIVE: Final = Ping.KEEPALIVE


class Framer:
    """Cuts a stream into messages and keep-alives (RFC 3261 18.3, RFC 5626 4.4.1)."""

    __slots__ = ("_buffer", "_half_ping", "_limits", "_scanned")

    def __init__(self, limits: Limits = STREAM_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        self._half_ping = False

    @property
    def pending(self) -> bool:
        """Whether a message has begun that is not whole."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes | Ping]:
        """Take what the connection delivered.

        :returns: whole messages for ``parse``, and ``KEEPALIVE`` for each ping.
        :raises MessageSyntaxError: the stream cannot be followed any further: close it. Messages
            that came before the fault are returned, and the error then comes with the next call.
        """
        self._buffer += data
        frames: list[bytes | Ping] = []
        try:
            while (frame := self._next()) is not None:
                frames.append(frame)
        except MessageSyntaxError:
            if not frames:
                raise
        return frames

    def _next(self) -> bytes | Ping | None:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # 7.5: ignored, but for what they may mean as a ping
            del buffer[:2]
            self._half_ping = not self._half_ping
            if not self._half_ping:
                return KEEPALIVE
        # Look again at the last bytes only: a slow sender must not make this quadratic.
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            self._scanned = len(buffer)
            if len(buffer) > self._limits.max_message:
                self._refuse(SipSyntaxError("Message Too Large", 513), bytes(buffer))
            return None
        self._scanned = end
        head = bytes(buffer[: end + 4])
        try:
            size = len(head) + _content_length(head)
        except SipSyntaxError as fault:
            self._refuse(fault, head)
        if size > self._limits.max_message:
            self._refuse(SipSyntaxError("Message Too Large", 513), head)
        if len(buffer) < size:
            return None
        frame = bytes(buffer[:size])
        del buffer[:size]
        self._scanned = 0
        self._half_ping = False
        return frame

    def _refuse(self, fault: SipSyntaxError, head: bytes) -> NoReturn:
        """Give up, with what can be read of the message for the answer."""
        try:
            parse(head, stream=True, limits=self._limits)
        except MessageSyntaxError as error:
            raise MessageSyntaxError(fault, error.request) from error
        raise MessageSyntaxError(fault)


def _split(head: str, max_fields: int, faults: list[SipSyntaxError]) -> tuple[str, list[Field]]:
    """Split a header in which some line is not a plain one: start line, and names with values.

    A line that is wrong is left out and its fault noted, so that the others can be answered.
    """
    start_line, *lines = _FOLD.sub(" ", head).split("\r\n")
    fields: list[Field] = []
    for line in lines[:max_fields]:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not _NAME.fullmatch(name):
            faults.append(SipSyntaxError("Bad header field"))
        elif _unclean(value):
            name = canonical(name)
            named = name if name in KNOWN else "header field"  # the peer is never quoted
            faults.append(SipSyntaxError(f"Bad {named}", header=name))
        else:
            if canonical(name) not in ECHOED:
                value = _CONTROL_PAIR.sub(" ", value)
            fields.append((name, value.strip(" \t")))
    if len(lines) > max_fields:
        faults.append(SipSyntaxError("Too many header fields"))
    return start_line, fields


def _unclean(value: str) -> bool:
    """Whether a value holds a line end, or a control character outside a quoted pair (25.1)."""
    if "\r" in value or "\n" in value:
        return True
    if _CONTROL.search(value) is None:
        return False
    return _CONTROL.search(_QUOTED.sub(_without_pairs, value)) is not None


def _without_pairs(quoted: re.Match[str]) -> str:
    return _PAIR.sub("", quoted[0])


def _request(line: str, fields: list[Field], body: bytes, faults: list[SipSyntaxError]) -> Request:
    """The request that a start line begins, as far as it can be read."""
    method, _, rest = line.partition(" ")
    uri, _, version = rest.partition(" ")
    if version != "SIP/2.0" or method not in METHODS:
        match = _VERSION.fullmatch(version)
        if match is None or not _NAME.fullmatch(method):
            faults.insert(0, SipSyntaxError("Bad Request-Line"))
        elif match[1] != "2.0":
            faults.append(SipSyntaxError("Version Not Supported", 505))
    return Request(method, uri, fields, body)


def _response(
    line: str, fields: list[Field], body: bytes, faults: list[SipSyntaxError]
) -> Response:
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        faults.insert(0, SipSyntaxError("Bad Status-Line"))
        return Response(0, "", fields, body)
    status, reason = match.groups("")
    return Response(int(status), reason, fields, body)


def _body(data: bytes, fields: list[Field], first: dict[str, str], stream: bool) -> bytes:
    """What Content-Length, which is taken out of the fields, says is the body; what follows it is
    ignored (18.3)."""
    length = first.pop("Content-Length", None)
    if length is None:
        if stream:
            raise SipSyntaxError("Missing Content-Length", header="Content-Length")
        return data
    fields.remove(("Content-Length", length))
    if len(fields) != len(first) and any(name == "Content-Length" for name, _ in fields):
        fields[:] = [field for field in fields if field[0] != "Content-Length"]
        raise SipSyntaxError("Duplicate Content-Length", header="Content-Length")
    size = _length(length)
    if size > len(data):
        raise SipSyntaxError("Bad Content-Length", header="Content-Length")
    return data[:size]


def _content_length(head: bytes) -> int:
    """The number of bytes that follow a header on a stream."""
    values = [match[1].decode("latin-1") for match in _CONTENT_LENGTH.finditer(head)]
    if len(values) != 1:
        wrong = "Duplicate" if values else "Missing"
        raise SipSyntaxError(f"{wrong} Content-Length", header="Content-Length")
    return _length(_FOLD.sub(" ", values[0]).strip(" \t"))


@lru_cache(maxsize=KEPT)
def _length(value: str) -> int:
    """What Content-Length says."""
    try:
        return number(value, 2**32 - 1)
    except SipSyntaxError:
        raise SipSyntaxError("Bad Content-Length", header="Content-Length") from None


def _answerable(request: Request) -> Request | None:
    """A broken request cleaned so that a response can be made of it; None where it cannot."""
    if request.method == "ACK":
        return None
    fields: list[Field] = []
    seen: set[str] = set()
    for name, value in request.fields:
        if name == "Via" or name not in seen:
            fields.append((name, value))
        seen.add(name)
    request = Request(request.method, request.uri, fields)
    try:
        _ = request.top_via
    except SipSyntaxError:
        top, *others = request.all("Via") or [""]
        via = Via.salvage(top)
        if via is None:
            return None
        return request.replaced("Via", [str(via), *others])
    return request


_NAME: Final = re.compile(TOKEN)
# A line as nearly all are. Where another is among them, less is found than there are line ends.
_LINE: Final = re.compile(rf"\r\n({TOKEN}):[ \t]*+([^\r]*+)(?<![ \t])(?=\r\n|\Z)")
_FOLD: Final = re.compile(r"\r\n[ \t]++")
# 1 for a control character but HTAB, and the line ends, which are looked for by themselves.
_CONTROLS: Final = bytes((at < 32 or at == 127) and at not in b"\t\r\n" for at in range(256))
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTROL_PAIR: Final = re.compile(r"\\[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_VERSION: Final = re.compile(r"[Ss][Ii][Pp]/([0-9]++\.[0-9]++)")
_STATUS_LINE: Final = re.compile(
    r"[Ss][Ii][Pp]/2\.0 ([1-6][0-9][0-9])(?: ([^\x00-\x08\x0a-\x1f\x7f]*+))?"
)
# An unfinished quoted string reaches to the end, so that this is one pass.
_QUOTED: Final = re.compile(rf'"{QUOTED_TEXT}(?:"|\\?\Z)', re.DOTALL)
_PAIR: Final = re.compile(r"\\.", re.DOTALL)
_CONTENT_LENGTH: Final = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:((?:[^\r]|\r\n[ \t])*+)", re.IGNORECASE
)
