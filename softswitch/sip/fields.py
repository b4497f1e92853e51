"""The values of structured header fields: Via, name-addr, CSeq, parameters. Pure.

RFC 3261 sections 7.3.1, 20 and 25.1. Values arrive unfolded and stripped. Parameter values are
kept as written, quotes included; ``unquote`` reads them.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

from attrs import Factory, define

from softswitch.errors import SipSyntaxError
from softswitch.sip.uri import Uri

Params = dict[str, str | None]

#: Values of each kind that are kept, so that their text is read once.
KEPT: Final = 4096
#: Parameters of one value; more are refused.
MOST_PARAMS: Final = 64
#: The greatest number in a CSeq (RFC 3261 8.1.1.5).
MOST_CSEQ: Final = 2**31 - 1


@define
class Via:
    """One hop on the way back (RFC 3261 20.42). Never changed once made.

    :ivar transport: "UDP", "TCP" ..., upper case.
    :ivar host: sent-by, IPv6 without brackets.
    :ivar port: sent-by; None when absent.
    :ivar params: lower-case name -> value as written, None without "=".
    """

    transport: str
    host: str
    port: int | None = None
    params: Params = Factory(dict)

    @classmethod
    def parse(cls, text: str) -> "Via":
        """:raises SipSyntaxError: when it is no via-parm."""
        hop, semicolon, params = text.partition(";")
        return Via(*_hop(hop), parse_params(semicolon + params))

    @classmethod
    def salvage(cls, text: str) -> "Via | None":
        """What can be read of a broken one: enough to answer its sender; else None."""
        match = _HOP.match(text)
        try:
            return match and Via(*_hop(match[0]))
        except SipSyntaxError:
            return None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {host}{port}{format_params(self.params)}"

    @property
    def branch(self) -> str | None:
        """The transaction's identifier, or of an RFC 2543 element anything or None."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """Address from which the request came, IPv6 without brackets, where that was noted."""
        received = self.params.get("received")
        return received.strip("[]") if received else None

    @property
    def rport(self) -> int | None:
        """Port from which the request came (RFC 3581); None when it is absent or empty."""
        rport = self.params.get("rport")
        try:
            return port_number(rport) if rport else None
        except SipSyntaxError:
            return None


@define
class NameAddr:
    """An address with a display name and parameters: From, To, Contact, Route. Never changed.

    :ivar display: display name, quotes and escapes undone; "" when absent.
    :ivar uri: what stood in the angle brackets or, without them, before the first semicolon.
    :ivar params: lower-case name -> value as written, None without "=".
    """

    display: str
    uri: Uri
    params: Params = Factory(dict)

    @staticmethod
    @lru_cache(maxsize=KEPT)
    def parse(text: str) -> "NameAddr":
        """Read name-addr or addr-spec with parameters (RFC 3261 20.10, 20.20).

        The messages of a dialog bear the same text again and again, so the latest are kept.

        :raises SipSyntaxError: when it is neither.
        """
        match = _NAME_ADDR.fullmatch(text)
        if match is None:
            uri, semicolon, params = text.partition(";")
            if "?" in uri or "," in uri:  # 20.10: such a URI wants angle brackets
                raise SipSyntaxError("Bad address")
            return NameAddr("", Uri.parse(uri.rstrip(" \t")), parse_params(semicolon + params))
        quoted, display, uri, params = match.groups()
        if quoted is not None:
            display = _PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted
        elif display:
            display = display.rstrip(" \t")
        return NameAddr(display, Uri.parse(uri), parse_params(params) if params else {})

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    @property
    def tag(self) -> str | None:
        """The dialog's tag on From and To (RFC 3261 19.3)."""
        return self.params.get("tag")

    @property
    def expires(self) -> int | None:
        """Seconds that a Contact asks for, at most 2^32-1; 3600 when malformed (20.10)."""
        expires = self.params.get("expires")
        try:
            return None if expires is None else seconds(expires)
        except SipSyntaxError:
            return 3600

    @property
    def q(self) -> float:
        """A Contact's preference, 0 to 1; 1 when absent.

        :raises SipSyntaxError: when malformed.
        """
        q = self.params.get("q", "1")
        if q is None or not _Q.fullmatch(q):
            raise SipSyntaxError("Bad q value", header="Contact")
        return float(q)


@define
class CSeq:
    """A request's place in its dialog or registration (RFC 3261 20.16).

    :ivar number: 0 to 2^31-1.
    :ivar method: the request's method, case-sensitive.
    """

    number: int
    method: str

    @staticmethod
    @lru_cache(maxsize=KEPT)
    def parse(text: str) -> "CSeq":
        """:raises SipSyntaxError: when malformed or not less than 2^31."""
        match = _CSEQ.fullmatch(text)
        if match is None:
            raise SipSyntaxError("Bad CSeq", header="CSeq")
        return CSeq(number(match[1], MOST_CSEQ), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def split_values(text: str) -> list[str]:
    """The comma-separated values of one field line, stripped (RFC 3261 7.3.1).

    Commas in quoted strings and angle brackets part nothing. Empty text has no values; an empty
    element between commas comes back as "", for the value's own grammar to refuse.
    """
    if "," not in text:
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [value.strip(" \t") for value in text.split(",")]
    values = []
    start = 0
    for match in _ATOMS.finditer(text):
        if match[0] == ",":
            values.append(text[start : match.start()].strip(" \t"))
            start = match.end()
    values.append(text[start:].strip(" \t"))
    return values


def parse_params(text: str) -> Params:
    """Read ``;name=value;name`` with white space anywhere between (RFC 3261 25.1).

    :returns: lower-case name -> value as written, None without "="; a quoted value keeps its
        quotes.
    :raises SipSyntaxError: an empty or repeated name, too many, or rubbish.
    """
    params: Params = {}
    position = 0
    end = len(text)
    while position < end:
        match = _PARAM.match(text, position)
        if match is None:
            raise SipSyntaxError("Bad parameter")
        name, value = match.groups()
        name = name.lower()
        if name in params:  # 7.3.1: any given name stands once
            raise SipSyntaxError("Repeated parameter")
        if len(params) == MOST_PARAMS:
            raise SipSyntaxError("Too many parameters")
        params[name] = value
        position = match.end()
    return params


def format_params(params: Params) -> str:
    """The inverse of ``parse_params``: "" or text that begins with a semicolon."""
    text = ""
    for name, value in params.items():
        text += f";{name}" if value is None else f";{name}={value}"
    return text


def quote(text: str) -> str:
    """Text as a quoted string; control characters, which no reader wants, become spaces."""
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """What a quoted string says; text without quotes comes back unchanged."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    return _PAIR.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


@lru_cache(maxsize=KEPT)
def number(text: str, maximum: int) -> int:
    """A number of ASCII digits, leading zeros allowed.

    :raises SipSyntaxError: another character (``int`` takes signs, "_" and foreign digits), or
        more than ``maximum``.
    """
    if not (text.isascii() and text.isdigit()):
        raise SipSyntaxError("Bad number")
    # Short first, since int() of many digits takes quadratic time, or refuses.
    digits = text.lstrip("0")
    if len(digits) > 20 or (value := int(digits or "0")) > maximum:
        raise SipSyntaxError("Number too large")
    return value


def seconds(text: str) -> int:
    """Delta-seconds, clamped to 2^32-1 (RFC 3261 20.19).

    :raises SipSyntaxError: when it is no number.
    """
    if len(text) > 10 and text.isascii() and text.isdigit():
        text = text.lstrip("0")
        if len(text) > 10:
            return _MAX_SECONDS
    return min(number(text, 10**10), _MAX_SECONDS)


def port_number(text: str) -> int:
    """:raises SipSyntaxError: outside 1 to 65535."""
    port = number(text, 65535)
    if not port:
        raise SipSyntaxError("Bad port")
    return port


@lru_cache(maxsize=KEPT)
def _hop(text: str) -> tuple[str, str, int | None]:
    """Transport, host and port of a Via: what precedes its parameters, the same each time that a
    peer sends."""
    match = _HOP.fullmatch(text)
    if match is None:
        raise SipSyntaxError("Bad Via", header="Via")
    transport, host, port = match.groups()
    if host[0] == "[":
        host = host[1:-1]
        try:
            IPv6Address(host)
        except ValueError:
            raise SipSyntaxError("Bad Via", header="Via") from None
    return transport.upper(), host, None if port is None else port_number(port)


_MAX_SECONDS: Final = 2**32 - 1
# Quantifiers are possessive throughout: what was taken is never tried again, so that hostile
# text costs no more than its length.
TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"
#: What stands in a quoted string, escapes included.
QUOTED_TEXT: Final = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
# Any protocol version, so that a request of another one can be answered with 505.
_HOP: Final = re.compile(
    rf"[Ss][Ii][Pp][ \t]*+/[ \t]*+{TOKEN}[ \t]*+/[ \t]*+({TOKEN})[ \t]++"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_][A-Za-z0-9_.\-]*+)(?:[ \t]*+:[ \t]*+([0-9]++))?[ \t]*+"
)
# A name outside quotes is tokens by the grammar; here it may hold what cannot be mistaken.
_NAME_ADDR: Final = re.compile(
    rf'(?:"({QUOTED_TEXT})"[ \t]*+|([^"<>,;:@\\]*+))<([^<>]*+)>[ \t]*+(;.*+)?', re.DOTALL
)
_CSEQ: Final = re.compile(rf"([0-9]++)[ \t]++({TOKEN})")
_PARAM: Final = re.compile(
    rf"[ \t]*+;[ \t]*+({TOKEN})[ \t]*+"
    rf'(?:=[ \t]*+("{QUOTED_TEXT}"|[^\x00-\x20\x7f;,"<>]++)[ \t]*+)?(?=;|\Z)',
    re.DOTALL,
)
# Quoted strings and bracketed addresses whole, an unfinished one to the end.
_ATOMS: Final = re.compile(rf'"{QUOTED_TEXT}(?:"|\\?\Z)|<[^>]*+>?|[^",<]++|,', re.DOTALL)
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_Q: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
