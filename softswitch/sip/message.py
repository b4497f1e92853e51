"""Requests and responses: raw fields, split once, and typed views made when asked. Pure.

RFC 3261 section 7. A message holds its header fields as text and reads a value only when
somebody wants it; the view is then kept. That is three times cheaper than objects for all.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from softswitch.errors import SipSyntaxError, StateError
from softswitch.sip.fields import KEPT, CSeq, NameAddr, Via, number, seconds, split_values
from softswitch.sip.names import KNOWN
from softswitch.sip.uri import Uri

#: Name (canonical when known, else as received) and value (unfolded, stripped).
Field = tuple[str, str]

_T = TypeVar("_T")
_M = TypeVar("_M", bound="Message")


class View:
    """A typed view: read when it is first asked for, an ordinary attribute from then on."""

    def __init__(self, name: str, read: Callable[[Any], Any]) -> None:
        self._name = name
        self._read = read

    def __get__(self, message: Any, owner: type[Any]) -> Any:
        if message is None:
            return self
        value = self._read(message)
        setattr(message, self._name, value)
        return value


class Message:
    """What requests and responses share. Never changed once made, but for ``Request.stamp``.

    Content-Length is never held: ``encode`` writes it. The typed views are made when they are first
    read; one that is malformed raises SipSyntaxError with 400, naming the header field.

    :ivar fields: in the order of the wire.
    :ivar body: as on the wire.
    :ivar top_via: the first Via value: whence a request came, or whose a response is.
    :ivar vias: every Via value, from the top.
    :ivar from_: From: the logical sender.
    :ivar to: To: the logical recipient.
    :ivar call_id: Call-ID, compared byte by byte.
    :ivar cseq: CSeq: number and method.
    :ivar contacts: Contact values; empty for "*" (see ``star``).
    :ivar routes: Route values, the next hop first.
    :ivar record_routes: Record-Route values as on the wire.
    :ivar max_forwards: hops that are left, 0 to 255; None when absent.
    :ivar expires: Expires in seconds, at most 2^32-1; None when absent.
    :ivar content_type: lower-case type/subtype of the body, without parameters; None when absent.
    """

    top_via: Via
    vias: list[Via]
    from_: NameAddr
    to: NameAddr
    call_id: str
    cseq: CSeq
    contacts: list[NameAddr]
    routes: list[NameAddr]
    record_routes: list[NameAddr]
    max_forwards: int | None
    expires: int | None
    content_type: str | None

    def __init__(self, fields: Iterable[Field], body: bytes = b"") -> None:
        self.fields = list(fields)
        self.body = body
        self._first: dict[str, str] | None = None

    def start_line(self) -> str:
        """Request-Line or Status-Line, without its line end."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.start_line()!r}>"

    def encode(self) -> bytes:
        """The wire form, composed anew, with Content-Length.

        :raises StateError: when a line end hides in a value, which would forge fields.
        """
        lines = [self.start_line(), *map(": ".join, self.fields)]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        text = "\r\n".join(lines)
        ends = len(lines) + 1
        if text.count("\n") != ends or text.count("\r") != ends:
            raise StateError("a header field holds a line end")
        return text.encode("utf-8", "surrogateescape") + self.body

    def get(self, name: str) -> str | None:
        """The first raw value of that field, None when absent.

        :param name: canonical, as "Call-ID"; a name unknown here in any case.
        """
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self.fields))
        value = first.get(name)
        if value is None and name not in KNOWN:
            values = self.all(name)
            return values[0] if values else None
        return value

    def all(self, name: str) -> list[str]:
        """The raw values of every line of that field, in order."""
        if name in KNOWN:
            if self.get(name) is None:
                return []
            return [value for known, value in self.fields if known == name]
        lower = name.lower()
        return [value for other, value in self.fields if other.lower() == lower]

    def values(self, name: str) -> list[str]:
        """The comma-separated values of every line of that field, in order (7.3.1)."""
        lines = self.all(name)
        if len(lines) == 1:
            return split_values(lines[0])
        return [value for line in lines for value in split_values(line)]

    def replaced(self: _M, name: str, values: Iterable[str]) -> _M:
        """A copy in which these values, a line each, stand where that field's first line stood.

        Where there was none, Via goes on top and any other field to the end.
        """
        lines = [(name, value) for value in values]
        kept = [field for field in self.fields if field[0] != name]
        place = next((i for i, field in enumerate(self.fields) if field[0] == name), None)
        if place is None:
            place = 0 if name == "Via" else len(kept)
        return self._with([*kept[:place], *lines, *kept[place:]])

    def _with(self: _M, fields: list[Field]) -> _M:
        raise NotImplementedError

    @property
    def star(self) -> bool:
        """Whether Contact is the lone "*" that removes all bindings (RFC 3261 10.2.2)."""
        return self.all("Contact") == ["*"]

    @property
    def require(self) -> list[str]:
        """Option tags of Require."""
        return self.values("Require")

    @property
    def proxy_require(self) -> list[str]:
        """Option tags of Proxy-Require."""
        return self.values("Proxy-Require")

    @property
    def supported(self) -> list[str]:
        """Option tags of Supported."""
        return self.values("Supported")

    @property
    def allow(self) -> list[str]:
        """Methods of Allow."""
        return self.values("Allow")

    def judge(self) -> None:
        """Read, and keep, what every message must have (RFC 3261 8.1.1).

        :raises SipSyntaxError: 400, naming what is missing or malformed.
        """
        first = self._first = dict(reversed(self.fields))
        for view, name, parse in _JUDGED:
            raw = first.get(name)
            if raw is None:
                raise SipSyntaxError(f"Missing {name}", header=name)
            try:
                setattr(self, view, parse(raw))
            except SipSyntaxError as error:
                raise SipSyntaxError(f"Bad {name}", header=name) from error


class Request(Message):
    """A request.

    :ivar method: as written, case-sensitive.
    :ivar uri: the Request-URI as written.
    :ivar request_uri: its view; of an unknown scheme too, for whoever answers 416.
    """

    request_uri: Uri

    def __init__(self, method: str, uri: str, fields: Iterable[Field], body: bytes = b"") -> None:
        super().__init__(fields, body)
        self.method = method
        self.uri = uri

    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def _with(self, fields: list[Field]) -> "Request":
        return Request(self.method, self.uri, fields, self.body)

    def stamp(self, host: str, port: int) -> None:
        """Note in the top Via where the request really came from.

        ``received`` when the sent-by differs (RFC 3261 18.2.1) or ``rport`` was asked for, and
        then ``rport`` (RFC 3581 section 4). Values that the sender wrote there are overwritten.

        :param host: source address, IPv6 without brackets.
        :param port: source port.
        """
        via = self.top_via
        params = dict(via.params)
        params.pop("received", None)
        if "rport" in params:
            params["rport"] = str(port)
        if "rport" in params or host != via.host:
            params["received"] = host
        if params == via.params:
            return
        via = Via(via.transport, via.host, via.port, params)
        place = next(i for i, field in enumerate(self.fields) if field[0] == "Via")
        rest = split_values(self.fields[place][1])[1:]
        self.fields[place] = ("Via", ", ".join([str(via), *rest]))
        self.top_via = via
        self._first = None


class Response(Message):
    """A response.

    :ivar status: 100 to 699.
    :ivar reason: reason phrase, maybe "".
    """

    def __init__(
        self, status: int, reason: str, fields: Iterable[Field], body: bytes = b""
    ) -> None:
        super().__init__(fields, body)
        self.status = status
        self.reason = reason

    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def _with(self, fields: list[Field]) -> "Response":
        return Response(self.status, self.reason, fields, self.body)


def _mandatory(message: Message, name: str, parse: Callable[[str], _T]) -> _T:
    raw = message.get(name)
    if raw is None:
        raise SipSyntaxError(f"Missing {name}", header=name)
    try:
        return parse(raw)
    except SipSyntaxError as error:
        raise SipSyntaxError(f"Bad {name}", header=name) from error


def _optional(message: Message, name: str, parse: Callable[[str], _T]) -> _T | None:
    return None if message.get(name) is None else _mandatory(message, name, parse)


def _list(message: Message, name: str, parse: Callable[[str], _T]) -> list[_T]:
    try:
        return [parse(value) for value in message.values(name)]
    except SipSyntaxError as error:
        raise SipSyntaxError(f"Bad {name}", header=name) from error


def _request_uri(message: Any) -> Uri:
    try:
        return Uri.parse(message.uri)
    except SipSyntaxError as error:
        raise SipSyntaxError("Bad Request-URI") from error


def _first_via(line: str) -> Via:
    return Via.parse(split_values(line)[0] if "," in line else line)


def _hops(text: str) -> int:
    return number(text, 255)


def _call_id(text: str) -> str:
    if not text or " " in text or "\t" in text:
        raise SipSyntaxError("no word")
    return text


@lru_cache(maxsize=KEPT)
def _media_type(text: str) -> str:
    kind, _, subtype = text.partition(";")[0].partition("/")
    kind, subtype = kind.strip(" \t").lower(), subtype.strip(" \t").lower()
    if not kind or not subtype:
        raise SipSyntaxError("no media type")
    return f"{kind}/{subtype}"


#: What every message must have: view, field, how it is read.
_JUDGED: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("top_via", "Via", _first_via),
    ("from_", "From", NameAddr.parse),
    ("to", "To", NameAddr.parse),
    ("call_id", "Call-ID", _call_id),
    ("cseq", "CSeq", CSeq.parse),
)

#: View -> how it is read.
_VIEWS: Mapping[str, Callable[[Any], Any]] = {
    "top_via": lambda message: _mandatory(message, "Via", _first_via),
    "vias": lambda message: _list(message, "Via", Via.parse),
    "from_": lambda message: _mandatory(message, "From", NameAddr.parse),
    "to": lambda message: _mandatory(message, "To", NameAddr.parse),
    "call_id": lambda message: _mandatory(message, "Call-ID", _call_id),
    "cseq": lambda message: _mandatory(message, "CSeq", CSeq.parse),
    "contacts": lambda message: [] if message.star else _list(message, "Contact", NameAddr.parse),
    "routes": lambda message: _list(message, "Route", NameAddr.parse),
    "record_routes": lambda message: _list(message, "Record-Route", NameAddr.parse),
    "max_forwards": lambda message: _optional(message, "Max-Forwards", _hops),
    "expires": lambda message: _optional(message, "Expires", seconds),
    "content_type": lambda message: _optional(message, "Content-Type", _media_type),
}
#: View of requests alone -> how it is read.
_REQUEST_VIEWS: Mapping[str, Callable[[Any], Any]] = {"request_uri": _request_uri}

for _kind, _views in ((Message, _VIEWS), (Request, _REQUEST_VIEWS)):
    for _name, _read in _views.items():
        setattr(_kind, _name, View(_name, _read))
