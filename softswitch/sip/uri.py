"""SIP, SIPS and TEL URIs. Pure.

RFC 3261 sections 19.1 and 25.1, RFC 3966. Any other scheme is kept whole, so that a request
for one can be answered with 416. Components are kept as they were written, escapes included;
they are unescaped to be compared and where a plain user name is wanted.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import unquote

from attrs import Factory, define, evolve, field

from softswitch.errors import SipSyntaxError

#: Characters of a URI; a longer one is refused, as a Request-URI with 414.
LONGEST: Final = 4096
#: Parameters of a URI, and its header fields; more are refused.
MOST_PARAMS: Final = 64


@define
class Uri:
    """An address. Never changed once made, nor are its dicts: messages share it.

    :ivar scheme: lower case: "sip", "sips", "tel" or another.
    :ivar user: user part as written, escapes and all; for tel the number; None when absent.
    :ivar password: as written; None when absent.
    :ivar host: name or literal, IPv6 without brackets; "" for tel and other schemes.
    :ivar port: 1 to 65535; None when absent.
    :ivar params: lower-case name -> value as written; None for a parameter without "=".
    :ivar headers: name as written -> value as written (RFC 3261 19.1.1); values of a repeated
        name are joined by an escaped comma.
    :ivar opaque: all that follows the colon, for schemes other than sip, sips and tel.
    """

    scheme: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: dict[str, str | None] = Factory(dict)
    headers: dict[str, str] = Factory(dict)
    opaque: str = ""
    _text: str | None = field(default=None, init=False, eq=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Read a URI without angle brackets around it.

        :raises SipSyntaxError: when it follows no grammar known here; 414 for one that is too long.
        """
        return _parse_again(text) if len(text) <= 200 else _parse_long(text)

    def __str__(self) -> str:
        if self._text is None:
            self._text = self._written()
        return self._text

    def _written(self) -> str:
        scheme = self.scheme
        if self.opaque:
            return f"{scheme}:{self.opaque}"
        text = scheme + ":"
        if self.user is not None:
            text += self.user
            if self.password is not None:
                text += ":" + self.password
            if scheme != "tel":
                text += "@"
        text += f"[{self.host}]" if ":" in self.host else self.host
        if self.port is not None:
            text += f":{self.port}"
        if self.params:
            for name, value in self.params.items():
                text += f";{name}" if value is None else f";{name}={value}"
        if self.headers:
            text += "?" + "&".join(f"{name}={value}" for name, value in self.headers.items())
        return text

    @property
    def unquoted_user(self) -> str:
        """The user part with its escapes undone; "" when absent.

        May hold any character, line ends and NUL included: for look-ups, never for messages.
        """
        user = self.user
        if user is None:
            return ""
        return unquote(user, errors="surrogateescape") if "%" in user else user

    @property
    def transport(self) -> str:
        """The transport that it asks for, as in a Via: UDP where it says nothing, TLS of ``sips:``
        (RFC 3261 26.2.2); "" where nothing can protect what a ``sips:`` asks for."""
        named = (self.params.get("transport") or "").lower()
        if self.scheme == "sips":
            return _PROTECTED.get(named, "")
        return named.upper() or "UDP"

    @property
    def is_anonymous(self) -> bool:
        """Whether it is one by which a caller stays unknown (RFC 3323 4.1.1.3)."""
        return self.host.lower() == "anonymous.invalid"

    @property
    def address(self) -> tuple[str, int | None]:
        """Host and port, the port None when the URI names none."""
        return self.host, self.port

    def same_as(self, other: "Uri") -> bool:
        """Whether both name the same resource (RFC 3261 19.1.4, RFC 3966 section 4).

        Not transitive: a parameter that only one of them has is ignored, but for user, ttl,
        method, maddr and transport.
        """
        if self.scheme != other.scheme:
            return False
        if self.scheme == "tel":
            return _same_tel(self, other)
        return (
            self.opaque == other.opaque
            and self.port == other.port
            and _plain(self.user) == _plain(other.user)
            and _plain(self.password) == _plain(other.password)
            and _plain_host(self.host) == _plain_host(other.host)
            and _same_params(_folded(self.params), _folded(other.params))
            and _folded(self.headers) == _folded(other.headers)
        )


def _parse(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    lower = scheme.lower()
    if lower == "sip" or lower == "sips":
        return _parse_sip(lower, rest)
    if not colon or not _SCHEME.fullmatch(scheme):
        raise SipSyntaxError("Bad URI scheme")
    if lower == "tel":
        return _parse_tel(rest)
    if not _OPAQUE.fullmatch(rest):
        raise SipSyntaxError("Bad URI")
    return Uri(lower, opaque=rest)


def _parse_long(text: str) -> Uri:
    """
    :raises SipSyntaxError: 414 beyond ``LONGEST``, else as ``_parse``.
    """
    if len(text) > LONGEST:
        raise SipSyntaxError("URI Too Long", 414)
    return _parse(text)


# Every message of a call bears the same few URIs. Short ones only, lest a stranger fill memory.
_parse_again = lru_cache(maxsize=4096)(_parse)


def _parse_sip(scheme: str, rest: str) -> Uri:
    match = _SIP.fullmatch(rest)
    if match is None:
        raise SipSyntaxError("Bad SIP URI")
    user, password, host, port, params, headers = match.groups()
    if "%" in rest and _BAD_ESCAPE.search(rest):
        raise SipSyntaxError("Bad escape in URI")
    if host[0] == "[":
        host = _ipv6(host[1:-1])
    return Uri(
        scheme,
        user,
        password,
        host,
        None if port is None else _port(port),
        _parse_params(params) if params else {},
        _parse_headers(headers) if headers else {},
    )


def _parse_tel(rest: str) -> Uri:
    match = _TEL.fullmatch(rest)
    if match is None or ("%" in rest and _BAD_ESCAPE.search(rest)):
        raise SipSyntaxError("Bad tel URI")
    number, params = match.groups()
    return Uri("tel", number, params=_parse_params(params) if params else {})


def addressed(text: str) -> str:
    """A URI as requests bear it that go there: without the header fields that it may have in a
    Contact, but not in a Request-URI (RFC 3261 19.1.1).

    :raises SipSyntaxError: it is none.
    """
    uri = Uri.parse(text) if "?" in text else None
    return str(evolve(uri, headers={})) if uri is not None and uri.headers else text


def _parse_params(text: str) -> dict[str, str | None]:
    """``;a;b=c`` as a dict; a name stands once only (RFC 3261 19.1.1)."""
    params: dict[str, str | None] = {}
    for param in text[1:].split(";"):
        name, equals, value = param.partition("=")
        name = name.lower()
        if not name or name in params or len(params) == MOST_PARAMS:
            raise SipSyntaxError("Bad URI parameter")
        params[name] = value if equals else None
    return params


def _parse_headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for header in text[1:].split("&"):
        name, equals, value = header.partition("=")
        if not name or not equals or len(headers) == MOST_PARAMS:
            raise SipSyntaxError("Bad URI header")
        headers[name] = f"{headers[name]}%2C{value}" if name in headers else value
    return headers


def _port(digits: str) -> int:
    """:raises SipSyntaxError: outside 1 to 65535."""
    digits = digits.lstrip("0")
    if not 0 < len(digits) <= 5 or (port := int(digits)) > 65535:
        raise SipSyntaxError("Bad port")
    return port


def _ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except ValueError:
        raise SipSyntaxError("Bad IPv6 address") from None
    return text


def _plain(text: str | None) -> str | None:
    """Escapes undone where that changes no meaning: 19.1.4 leaves reserved characters apart."""
    if text is None or "%" not in text:
        return text
    return _ESCAPE.sub(_unescape, text)


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return match[0].upper() if character in _RESERVED else character


def _plain_host(host: str) -> str:
    return IPv6Address(host).compressed if ":" in host else host.lower()


def _folded(pairs: dict[str, str | None] | dict[str, str]) -> dict[str, str]:
    """Names and values made comparable; a missing value is as an empty one."""
    return {
        (_plain(name) or "").lower(): (_plain(value) or "").lower() for name, value in pairs.items()
    }


def _same_params(mine: dict[str, str], theirs: dict[str, str]) -> bool:
    for name in mine.keys() | theirs.keys():
        if name in mine and name in theirs:
            if mine[name] != theirs[name]:
                return False
        elif name in _NEVER_ALONE:
            return False
    return True


def _same_tel(mine: Uri, theirs: Uri) -> bool:
    """RFC 3966 section 4: visual separators do not count, every parameter does."""
    if (
        _SEPARATORS.sub("", mine.user or "").lower()
        != _SEPARATORS.sub("", theirs.user or "").lower()
    ):
        return False
    left, right = _folded(mine.params), _folded(theirs.params)
    for params in (left, right):
        for name, value in params.items():
            if name == "ext" or (name == "phone-context" and value.startswith("+")):
                params[name] = _SEPARATORS.sub("", value)
    return left == right


_UNRESERVED: Final = r"A-Za-z0-9\-_.!~*'()%"
# Beyond the grammar, since phones do send them raw: "#" and letters outside ASCII in a user.
_SIP: Final = re.compile(
    rf"(?:([{_UNRESERVED}&=+$,;?/#\x80-\U0010ffff]++)(?::([{_UNRESERVED}&=+$,]*+))?@)?"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_][A-Za-z0-9_.\-]*+)"
    r"(?::([0-9]++))?"
    rf"((?:;[{_UNRESERVED}\[\]/:&+$=]++)*+)"
    rf"(\?[{_UNRESERVED}\[\]/?:+$=&]++)?"
)
_TEL: Final = re.compile(
    r"(\+?(?=[\-.()]*+[0-9A-Fa-f*#])[0-9A-Fa-f*#\-.()]++)"
    rf"((?:;[{_UNRESERVED}\[\]/:&+$=]++)*+)"
)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*+")
_OPAQUE: Final = re.compile(r"[^\x00-\x20\x7f<>\"]++")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
#: What ``sips:`` makes of a transport: the parameter names what is below TLS (RFC 3261 26.2.2, RFC
#: 7118 5.2).
_PROTECTED: Final = {"": "TLS", "tcp": "TLS", "tls": "TLS", "ws": "WSS", "wss": "WSS"}
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEPARATORS: Final = re.compile(r"[-.()]")
# "%" stays escaped too, lest "%2540" should equal "%40".
_RESERVED: Final = frozenset(";/?:@&=+$,%")
# The text of 19.1.4 leaves out transport, its examples do not.
_NEVER_ALONE: Final = frozenset(("user", "ttl", "method", "maddr", "transport"))
