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


class Message:
    """What requests and responses share. Never changed once made, but for ``Request.stamp``.

    Content-Length is never held: ``encode`` writes it.

    :ivar fields: in the order of the wire.
    :ivar body: as on the wire.
    """

    __slots__ = ("_first", "_views", "body", "fields")

    def __init__(self, fields: Iterable[Field], body: bytes = b"") -> None:
        self.fields = list(fields)
        self.body = body
        self._first: dict[str, str] | None = None
        self._views: dict[str, Any] = {}

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
    def top_via(self) -> Via:
        """The first Via value: whence a request came, or whose a response is.

        :raises SipSyntaxError: 400, as all typed views, naming the header field.
        """
        return self._views.get("Via") or self._mandatory("Via", _first_via)

    @property
    def vias(self) -> list[Via]:
        """Every Via value, from the top."""
        return self._list("Via", Via.parse)

    @property
    def from_(self) -> NameAddr:
        """From: the logical sender."""
        return self._views.get("From") or self._mandatory("From", NameAddr.parse)

    @property
    def to(self) -> NameAddr:
        """To: the logical recipient."""
        return self._views.get("To") or self._mandatory("To", NameAddr.parse)

    @property
    def call_id(self) -> str:
        """Call-ID, compared byte by byte."""
        return self._views.get("Call-ID") or self._mandatory("Call-ID", _call_id)

    @property
    def cseq(self) -> CSeq:
        """CSeq: number and method."""
        return self._views.get("CSeq") or self._mandatory("CSeq", CSeq.parse)

    @property
    def star(self) -> bool:
        """Whether Contact is the lone "*" that removes all bindings (RFC 3261 10.2.2)."""
        return self.all("Contact") == ["*"]

    @property
    def contacts(self) -> list[NameAddr]:
        """Contact values; empty for "*" (see ``star``)."""
        views: list[NameAddr] | None = self._views.get("Contacts")
        if views is None:
            views = [] if self.star else self._list("Contact", NameAddr.parse)
        return views

    @property
    def routes(self) -> list[NameAddr]:
        """Route values, the next hop first."""
        return self._list("Route", NameAddr.parse)

    @property
    def record_routes(self) -> list[NameAddr]:
        """Record-Route values as on the wire."""
        return self._list("Record-Route", NameAddr.parse)

    @property
    def max_forwards(self) -> int | None:
        """Hops that are left, 0 to 255; None when absent."""
        return self._optional("Max-Forwards", _hops)

    @property
    def expires(self) -> int | None:
        """Expires in seconds, at most 2^32-1; None when absent."""
        return self._optional("Expires", seconds)

    @property
    def content_type(self) -> str | None:
        """Lower-case type/subtype of the body, without parameters; None when absent."""
        return self._optional("Content-Type", _media_type)

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

    def _mandatory(self, name: str, parse: Callable[[str], _T]) -> _T:
        raw = self.get(name)
        if raw is None:
            raise SipSyntaxError(f"Missing {name}", header=name)
        view = self._views[name] = _parsed(name, raw, parse)
        return view

    def _optional(self, name: str, parse: Callable[[str], _T]) -> _T | None:
        if name in self._views:
            view: _T | None = self._views[name]
            return view
        raw = self.get(name)
        view = self._views[name] = None if raw is None else _parsed(name, raw, parse)
        return view

    def judge(self, readers: Mapping[str, Callable[[str], Any]]) -> None:
        """Read these fields, which must be there, and keep their views: ``check``'s short way.

        :raises SipSyntaxError: 400, naming the one that is missing or malformed.
        """
        views = self._views
        for name, parse in readers.items():
            raw = self.get(name)
            if raw is None:
                raise SipSyntaxError(f"Missing {name}", header=name)
            try:
                views[name] = parse(raw)
            except SipSyntaxError as error:
                raise SipSyntaxError(f"Bad {name}", header=name) from error

    def _list(self, name: str, parse: Callable[[str], _T]) -> list[_T]:
        key = f"{name}s"
        views: list[_T] | None = self._views.get(key)
        if views is None:
            views = [_parsed(name, value, parse) for value in self.values(name)]
            self._views[key] = views
        return views


class Request(Message):
    """A request.

    :ivar method: as written, case-sensitive.
    :ivar uri: the Request-URI as written; ``request_uri`` is the view.
    """

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, fields: Iterable[Field], body: bytes = b"") -> None:
        super().__init__(fields, body)
        self.method = method
        self.uri = uri

    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def _with(self, fields: list[Field]) -> "Request":
        return Request(self.method, self.uri, fields, self.body)

    @property
    def request_uri(self) -> Uri:
        """The Request-URI; of an unknown scheme too, for whoever answers 416.

        :raises SipSyntaxError: 400.
        """
        view: Uri | None = self._views.get("Request-URI")
        if view is None:
            try:
                view = self._views["Request-URI"] = Uri.parse(self.uri)
            except SipSyntaxError as error:
                raise SipSyntaxError("Bad Request-URI") from error
        return view

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
        self._views["Via"] = via
        self._views.pop("Vias", None)
        self._first = None


class Response(Message):
    """A response.

    :ivar status: 100 to 699.
    :ivar reason: reason phrase, maybe "".
    """

    __slots__ = ("reason", "status")

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


def _parsed(name: str, raw: str, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(raw)
    except SipSyntaxError as error:
        raise SipSyntaxError(f"Bad {name}", header=name) from error


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


#: What every message must have -> how it is read (RFC 3261 8.1.1).
MANDATORY: Mapping[str, Callable[[str], Any]] = {
    "Via": _first_via,
    "From": NameAddr.parse,
    "To": NameAddr.parse,
    "Call-ID": _call_id,
    "CSeq": CSeq.parse,
}
