"""Requests and responses: raw fields, split once, and typed views made when asked. Pure.

RFC 3261 section 7. A message holds its header fields as text and reads a value only when
somebody wants it; the view is then kept. That is three times cheaper than objects for all.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeVar

from softswitch.errors import SipSyntaxError, StateError
from softswitch.sip.fields import KEPT, CSeq, NameAddr, Via, number, seconds, split_values
from softswitch.sip.names import KNOWN
from softswitch.sip.uri import Uri

#: Via values of a message: it has passed so many hops at most, or made them up.
MOST_VIAS: Final = 128
#: Values of any other list: Contact, Route, Record-Route.
MOST_VALUES: Final = 128

#: Name (canonical when known, else as received) and value (unfolded, stripped).
Field = tuple[str, str]

_T = TypeVar("_T")
_M = TypeVar("_M", bound="Message")


class View:
    """A typed view: read when it is first asked for, an ordinary attribute from then on."""

    def __init__(self, name: str, read: Callable[..., Any], *how: Any) -> None:
        self._name = name
        self._read = read
        self._how = how

    def __get__(self, message: Any, owner: type[Any]) -> Any:
        if message is None:
            return self
        value = self._read(message, *self._how)
        setattr(message, self._name, value)
        return value


class Message:
    """What requests and responses share. Never changed once made, but for ``Request.stamp``
    and ``tell``.

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
    :ivar max_breadth: branches that there may be (RFC 5393), at most 2^32-1; None when absent.
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
    max_breadth: int | None
    expires: int | None
    content_type: str | None

    #: What ``judge`` reads: view, field, how it is read, and whether the field must be there.
    _judged: "ClassVar[tuple[tuple[str, str, Callable[[str], Any], bool], ...]]"

    fields: list[Field]
    body: bytes
    _first: dict[str, str] | None

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
        unbroken = "".join(lines)
        if "\n" in unbroken or "\r" in unbroken:
            raise StateError("a header field holds a line end")
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    def get(self, name: str) -> str | None:
        """The first raw value of that field, None when absent.

        :param name: canonical, as "Call-ID"; a name unknown here in any case.
        """
        value = (self._first or self._look()).get(name)
        if value is None and name not in KNOWN:
            values = self.all(name)
            return values[0] if values else None
        return value

    def all(self, name: str) -> list[str]:
        """The raw values of every line of that field, in order."""
        if name in KNOWN:
            first = self._first or self._look()
            if name not in first:
                return []
            if len(first) == len(self.fields):  # no field has a second line
                return [first[name]]
            return [value for known, value in self.fields if known == name]
        lower = name.lower()
        return [value for other, value in self.fields if other.lower() == lower]

    def values(self, name: str) -> list[str]:
        """The comma-separated values of every line of that field, in order (7.3.1)."""
        lines = self.all(name)
        if len(lines) == 1 and lines[0] and "," not in lines[0]:
            return lines
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

    def judge(self, first: dict[str, str]) -> None:
        """See that a message has, once and well-formed, what it must have (RFC 3261 8.1.1); what
        was read is kept.

        Max-Forwards and the From tag may be absent, as from an RFC 2543 element.

        :param first: name -> first raw value.
        :raises SipSyntaxError: 400, the reason naming the field at fault.
        """
        self._first = first
        if len(first) != len(self.fields):
            names = [name for name, _ in self.fields]
            for name in _SINGLE:
                if names.count(name) > 1:
                    raise SipSyntaxError(f"Duplicate {name}", header=name)
            _bound_vias(self.fields)
        for view, name, parse, needed in self._judged:
            raw = first.get(name)
            if raw is not None:
                try:
                    setattr(self, view, parse(raw))
                except SipSyntaxError as error:
                    raise SipSyntaxError(f"Bad {name}", header=name) from error
            elif needed:
                raise SipSyntaxError(f"Missing {name}", header=name)
            else:
                setattr(self, view, None)

    def _look(self) -> dict[str, str]:
        """Name -> first raw value, made anew."""
        self._first = dict(reversed(self.fields))
        return self._first


class Request(Message):
    """A request.

    :ivar method: as written, case-sensitive.
    :ivar uri: the Request-URI as written.
    :ivar request_uri: its view; of an unknown scheme too, for whoever answers 416.
    """

    request_uri: Uri

    def __init__(self, method: str, uri: str, fields: Iterable[Field], body: bytes = b"") -> None:
        self.method = method
        self.uri = uri
        self.fields = list(fields)
        self.body = body
        self._first = None

    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def _with(self, fields: list[Field]) -> "Request":
        return Request(self.method, self.uri, fields, self.body)

    def judge(self, first: dict[str, str]) -> None:
        """The same, and that CSeq names the method, and the Request-URI is one (19.1.1)."""
        Message.judge(self, first)
        if self.cseq.method != self.method:
            raise SipSyntaxError("Bad CSeq", header="CSeq")
        if self.request_uri.headers:  # table 1
            raise SipSyntaxError("Bad Request-URI")

    def stamp(self, host: str, port: int) -> None:
        """Note in the top Via where the request really came from.

        ``received`` when the sent-by differs (RFC 3261 18.2.1) or ``rport`` was asked for, and
        then ``rport`` (RFC 3581 section 4). Values that the sender wrote there are overwritten.

        :param host: source address, IPv6 without brackets.
        :param port: source port.
        """
        via = self.top_via
        params = via.params
        if host == via.host and "rport" not in params and "received" not in params:
            return
        params = dict(params)
        params.pop("received", None)
        if "rport" in params:
            params["rport"] = str(port)
        if "rport" in params or host != via.host:
            params["received"] = host
        if params != via.params:
            self._restamp(params)

    def tell(self, params: Mapping[str, str]) -> None:
        """Note in the top Via, whence it goes back with each response, what its sender has asked
        for there (RFC 7339).

        :param params: name -> value.
        """
        self._restamp({**self.top_via.params, **params})

    def _restamp(self, params: Mapping[str, str | None]) -> None:
        """Give the top Via these parameters."""
        old = self.top_via
        via = Via(old.transport, old.host, old.port, dict(params))
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
        self.status = status
        self.reason = reason
        self.fields = list(fields)
        self.body = body
        self._first = None

    def judge(self, first: dict[str, str]) -> None:
        """The same. Nobody can be told of a body whose Content-Type says nothing: it is left out,
        lest it come to stand in a request of ours, which its receiver would refuse."""
        Message.judge(self, first)
        if "Content-Type" in first:
            try:
                _ = self.content_type
            except SipSyntaxError:
                self.body, self._first = b"", None
                self.fields = [field for field in self.fields if field[0] != "Content-Type"]

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
    raw = message.get(name)
    try:
        return None if raw is None else parse(raw)
    except SipSyntaxError as error:
        raise SipSyntaxError(f"Bad {name}", header=name) from error


@lru_cache(maxsize=KEPT)
def _party(text: str) -> NameAddr:
    """From or To. One with a tag that says nothing would get a second one from us."""
    found = NameAddr.parse(text)
    if "tag" in found.params and not found.tag:
        raise SipSyntaxError("no tag")
    return found


def _contacts(message: Message) -> list[NameAddr]:
    if message.get("Contact") == "*" and message.star:
        return []
    return _list(message, "Contact", NameAddr.parse)


def _list(message: Message, name: str, parse: Callable[[str], _T]) -> list[_T]:
    if message.get(name) is None:
        return []
    values = message.values(name)
    if len(values) > MOST_VALUES:
        raise SipSyntaxError(f"Too many {name}", header=name)
    try:
        return list(map(parse, values))
    except SipSyntaxError as error:
        raise SipSyntaxError(f"Bad {name}", header=name) from error


def _request_uri(message: Any) -> Uri:
    try:
        return Uri.parse(message.uri)
    except SipSyntaxError as error:
        if error.status == 414:
            raise SipSyntaxError("Request-URI Too Long", 414) from error
        raise SipSyntaxError("Bad Request-URI") from error


def _first_via(line: str) -> Via:
    if "," not in line:
        return Via.parse(line)
    values = split_values(line)
    if len(values) > MOST_VIAS:
        raise SipSyntaxError("Too many Via", header="Via")
    return Via.parse(values[0])


def _bound_vias(fields: Iterable[Field]) -> None:
    """
    :raises SipSyntaxError: 400, there are more Via values than any message needs; the commas in
        quoted strings count, too.
    """
    if sum(1 + value.count(",") for name, value in fields if name == "Via") > MOST_VIAS:
        raise SipSyntaxError("Too many Via", header="Via")


@lru_cache
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


#: Views of what every message must have.
_MANDATORY: Final = ("top_via", "to", "call_id", "cseq")
#: View -> how it is read, and of which field.
_VIEWS: Mapping[str, tuple[Any, ...]] = {
    "top_via": (_mandatory, "Via", _first_via),
    "vias": (_list, "Via", Via.parse),
    "from_": (_mandatory, "From", _party),
    "to": (_mandatory, "To", _party),
    "call_id": (_mandatory, "Call-ID", _call_id),
    "cseq": (_mandatory, "CSeq", CSeq.parse),
    "contacts": (_contacts,),
    "routes": (_list, "Route", NameAddr.parse),
    "record_routes": (_list, "Record-Route", NameAddr.parse),
    "max_forwards": (_optional, "Max-Forwards", _hops),
    "max_breadth": (_optional, "Max-Breadth", seconds),
    "expires": (_optional, "Expires", seconds),
    "content_type": (_optional, "Content-Type", _media_type),
}

for _name, _how in _VIEWS.items():
    setattr(Message, _name, View(_name, *_how))
for _name, _read in (("request_uri", _request_uri),):
    setattr(Request, _name, View(_name, _read))

# A response's From is our own.
Response._judged = tuple((view, *_VIEWS[view][1:], True) for view in _MANDATORY)
Request._judged = (
    ("from_", "From", _party, True),
    *Response._judged,
    *((view, *_VIEWS[view][1:], False) for view in ("max_forwards", "content_type")),
)

#: Fields of which there is one in a message that can be acted upon.
_SINGLE: Final = (
    "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Expires",
)  # fmt: skip
