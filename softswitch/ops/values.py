"""What a value in the configuration may be: ports, addresses, spans of time, secrets. Pure.

Each type has a hook, listed in ``HOOKS``, that reads it from TOML or says what would be right.
A secret is never repeated in an error.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import inf
from typing import Annotated, Any, Literal

import attrs

from softswitch.settings import shown
from softswitch.transport.handshake import canonical_origin
from softswitch.trunk.inbound import number_pattern

Algorithm = Literal["MD5", "SHA-256", "SHA-512-256"]
Network = IPv4Network | IPv6Network

#: An address literal without brackets.
Address = Annotated[str, "Address"]
#: A host name in lower case, or an address literal without brackets.
Host = Annotated[str, "Host"]
#: 0 to 65535; 0 lets the kernel choose, which only tests want.
Port = Annotated[int, "Port"]
#: 0 or more.
Amount = Annotated[int, "Amount"]
#: 1 or more.
Count = Annotated[int, "Count"]
#: A host name in lower case, an address literal without brackets, or a network.
Place = Annotated[str, "Place"]
#: A number, or a regular expression for whole numbers.
NumberPattern = Annotated[str, "NumberPattern"]
#: What a header field may hold: one line, without controls.
FieldText = Annotated[str, "FieldText"]
#: Status of a refusal: 300 to 699.
Refusal = Annotated[int, "Refusal"]
#: A mark of differentiated services: 0 to 63.
CodePoint = Annotated[int, "CodePoint"]
#: Zero or more, finite.
Seconds = Annotated[float, "Seconds"]
#: Where a page comes from, as ``transport.handshake.canonical_origin`` writes it.
Origin = Annotated[str, "Origin"]
#: A path in a URL, from its slash on.
UrlPath = Annotated[str, "UrlPath"]
#: A password or a digest.
Secret = Annotated[str, "Secret"]

_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
#: What ends in a label of digits is an address or a slip, never a name (RFC 1123 2.1).
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$)(?!(.*\.)?[0-9]+\.?$){_LABEL}(\.{_LABEL})*\.?")


@attrs.frozen
class HostPort:
    """A host, perhaps with a port, as in ``sip.example.org:5070`` or ``[2001:db8::1]``.

    :ivar host: host name in lower case, or an address literal without brackets.
    :ivar port: None where the text names none.
    """

    host: Host
    port: Port | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


@attrs.frozen
class PortRange:
    """Ports from ``low`` to ``high``, both included."""

    low: int
    high: int


def read_address(value: object) -> Address:
    """An address literal, with or without brackets."""
    try:
        return str(ip_address(_text(value).removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError(f"an IPv4 or IPv6 address is wanted, not {shown(value)}") from None


def read_host(value: object) -> Host:
    """A host name or an address literal."""
    text = _text(value)
    if _HOST_NAME.fullmatch(text):
        return text.lower().rstrip(".")
    try:
        return read_address(text)
    except ValueError:
        raise ValueError(f"a host name or an address is wanted, not {shown(value)}") from None


def read_place(value: object) -> Place:
    """A host name, an address literal, or a network in CIDR notation."""
    return str(read_network(value)) if "/" in _text(value) else read_host(value)


def read_port(value: object) -> Port:
    """A port number."""
    if type(value) is not int or not 0 <= value <= 65535:
        raise ValueError(f"a port from 1 to 65535 is wanted, not {shown(value)}")
    return value


def read_refusal(value: object) -> Refusal:
    """The status of a refusal."""
    if type(value) is not int or not 300 <= value <= 699:
        raise ValueError(f"a status from 300 to 699 is wanted, not {shown(value)}")
    return value


def read_code_point(value: object) -> CodePoint:
    """A mark of differentiated services (RFC 2474 3)."""
    if type(value) is not int or not 0 <= value <= 63:
        raise ValueError(f"a code point from 0 to 63 is wanted, such as 46, not {shown(value)}")
    return value


def read_host_port(value: object) -> HostPort:
    """``host``, ``host:port``, ``address``, ``[address]:port``."""
    text = _text(value)
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.endswith("]")):
        return HostPort(read_host(text))
    if not re.fullmatch("[0-9]{1,5}", port):
        raise ValueError(f'a port from 1 to 65535 is wanted after ":", not {shown(port)}')
    return HostPort(read_host(host), read_port(int(port)))


def read_network(value: object) -> Network:
    """A network in CIDR notation; a lone address is a network of one."""
    try:
        return ip_network(_text(value))
    except ValueError as error:
        hint = " (it has host bits set)" if "host bits" in str(error) else ""
        raise ValueError(
            f'a network such as "192.168.0.0/16" is wanted, not {shown(value)}{hint}'
        ) from None


def read_port_range(value: object) -> PortRange:
    """``"16384-32767"`` or ``[16384, 32767]``."""
    wanted = 'a range such as "16384-32767" with at least two ports from 1024 to 65535 is wanted'
    if isinstance(value, str):
        parts = re.fullmatch("([0-9]{1,5}) *- *([0-9]{1,5})", value)
        value = [int(part) for part in parts.groups()] if parts else None
    if isinstance(value, list) and len(value) == 2 and all(type(end) is int for end in value):
        low, high = value
        if 1024 <= low < high <= 65535:
            return PortRange(low, high)
    raise ValueError(wanted)


def read_count(value: object) -> Count:
    """A whole number from 1."""
    if type(value) is not int or value < 1:
        raise ValueError(f"a whole number of at least 1 is wanted, not {shown(value)}")
    return value


def read_amount(value: object) -> Amount:
    """A whole number from 0."""
    if type(value) is not int or value < 0:
        raise ValueError(f"a whole number of at least 0 is wanted, not {shown(value)}")
    return value


def read_seconds(value: object) -> Seconds:
    """A number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise ValueError(f"a number of seconds, 0 or more, is wanted, not {shown(value)}")
    return float(value)


def read_number_pattern(value: object) -> NumberPattern:
    """``"+441234"``, or a regular expression such as ``"\\+4412[0-9]{2}"``."""
    text = _text(value)
    try:
        number_pattern(text)
    except re.error as error:
        raise ValueError(
            f"a number or a regular expression is wanted, not {shown(text)}: {error}"
        ) from None
    return text


def read_field_text(value: object) -> FieldText:
    """The text of a header field."""
    text = _text(value)
    if not text.isprintable():
        raise ValueError("one line of plain text is wanted")
    return text


def read_origin(value: object) -> Origin:
    """``https://phone.example.org``, with a port where it is not the usual one."""
    text = _text(value)
    try:
        return canonical_origin(text)
    except ValueError:
        raise ValueError(
            f'an origin such as "https://phone.example.org" is wanted, not {shown(text)}'
        ) from None


def read_url_path(value: object) -> UrlPath:
    """``/sip``."""
    text = _text(value)
    if not re.fullmatch(r"/[!$&-;=@-Z_a-z~%]*", text):
        raise ValueError(f'a path such as "/sip" is wanted, not {shown(text)}')
    return text


def read_secret(value: object) -> Secret:
    """Text that is never shown."""
    if not isinstance(value, str) or not value:
        raise ValueError("text in quotes, not empty, is wanted")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text in quotes is wanted, not {shown(value)}")
    return value


#: type of a field -> what reads it; for ``softswitch.settings.structure``.
HOOKS: dict[Any, Callable[[Any], Any]] = {
    Address: read_address,
    CodePoint: read_code_point,
    Host: read_host,
    HostPort: read_host_port,
    Place: read_place,
    Port: read_port,
    PortRange: read_port_range,
    Refusal: read_refusal,
    Network: read_network,
    FieldText: read_field_text,
    NumberPattern: read_number_pattern,
    Origin: read_origin,
    UrlPath: read_url_path,
    Amount: read_amount,
    Count: read_count,
    Seconds: read_seconds,
    Secret: read_secret,
}
