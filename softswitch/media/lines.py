"""What a session description says of where media go, as a relay can use it. Pure."""

import ipaddress
from collections.abc import Container, Mapping
from types import MappingProxyType

import attrs

from softswitch.errors import INCOMPATIBLE_ADDRESS, NO_MULTICAST, SdpSyntaxError
from softswitch.media.latch import SocketAddress
from softswitch.media.path import socket_address
from softswitch.media.reception import Format
from softswitch.media.shapes import Shape, shapes
from softswitch.sdp.codecs import EVENTS, STATIC
from softswitch.sdp.muxing import is_muxed
from softswitch.sdp.rewrite import media_addresses
from softswitch.sdp.session import Address, MediaSection, SessionDescription


@attrs.frozen
class Line:
    """What one leg said of an ``m=`` line that is in use.

    :ivar shapes: what its protocol's packets look like, on both ports.
    :ivar rtp: where it wants its packets; None while held by ``c=0.0.0.0``.
    :ivar rtcp: where it wants RTCP.
    :ivar muxes: whether RTCP and RTP may come and go on one port (RFC 5761).
    :ivar formats: payload type -> what it means, as far as that is known.
    """

    shapes: tuple[Shape, Shape]
    rtp: SocketAddress | None
    rtcp: SocketAddress | None
    muxes: bool = False
    formats: Mapping[int, Format] = attrs.field(default=MappingProxyType({}), eq=False)


#: Hz; a faster clock is none.
GREATEST_RATE = 10_000_000

#: By ``m=`` line; None where it is refused.
Lines = tuple[Line | None, ...]


def lines_of(document: SessionDescription, bind: str, own: Container[tuple[str, int]]) -> Lines:
    """What an SDP says of its m= lines; None for those refused, by it or by us.

    :param bind: our local address that faces its sender.
    :param own: the relay's own addresses, to which nothing may lead back.
    :raises SdpSyntaxError: an address cannot be used from there, or is the relay's own.
    """
    lines: list[Line | None] = []
    for section, where in zip(document.media, media_addresses(document), strict=True):
        form = shapes(section.protocol)
        if section.refused or form is None:
            lines.append(None)
            continue
        rtp, rtcp = (None if at is None else _usable(at, bind) for at in where or (None, None))
        if any(at is not None and at[:2] in own for at in (rtp, rtcp)):
            raise SdpSyntaxError("SDP leads the media back to the relay's own port")
        lines.append(Line(form, rtp, rtcp, is_muxed(section), formats_of(section)))
    return tuple(lines)


def formats_of(section: MediaSection) -> dict[int, Format]:
    """What the payload types of a section mean: its ``a=rtpmap``, or RFC 3551 6."""
    formats = {}
    for number, name in section.codecs.items():
        codec, _, rest = (name or STATIC.get(number, "")).partition("/")
        rate = rest.partition("/")[0]
        if _is_number(number, 127) and _is_number(rate, GREATEST_RATE) and int(rate):
            formats[int(number)] = Format(int(rate), codec == EVENTS)
    return formats


def _is_number(text: str, greatest: int) -> bool:
    """Whether it is one of ASCII digits that is not too great."""
    return text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= greatest


def _usable(address: Address, bind: str) -> SocketAddress | None:
    """An SDP's address as a socket that is bound to ``bind`` can use it; None for no place.

    :raises SdpSyntaxError: it cannot be used from there.
    """
    try:
        known = ipaddress.ip_address(address.host)
        where = socket_address(address.host, address.port)
    except (ValueError, OSError) as error:
        raise SdpSyntaxError(
            "Media address in SDP is not an IP address", warning=INCOMPATIBLE_ADDRESS
        ) from error
    if known.is_unspecified or address.port == 0:
        return None
    if known.is_multicast:
        raise SdpSyntaxError("Media address in SDP is a multicast group", warning=NO_MULTICAST)
    if (known.version == 6) != (":" in bind):
        raise SdpSyntaxError(
            "Media address in SDP cannot be reached from here", warning=INCOMPATIBLE_ADDRESS
        )
    return where
