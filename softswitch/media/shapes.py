"""What packets look like by the protocol of their ``m=`` line. Pure."""

from typing import NamedTuple


class Shape(NamedTuple):
    """What a packet has to look like.

    :ivar least: bytes that it has at least.
    :ivar first: for each value of its first byte, what it then is: ``NOTHING`` that may be, and so
        on.
    :ivar stream: where it says to which stream it belongs (the SSRC); empty for nowhere.
    :ivar readable: whether what comes after its header is not encrypted.
    """

    least: int
    first: bytes
    stream: slice
    readable: bool = False


#: What the first byte tells.
NOTHING, STREAMED, CONTROL, OTHER = range(4)

_VERSION_2 = range(128, 192)
_STUN_OR_DTLS = (range(4), range(20, 64))


def _first(version_2: int, *others: range) -> bytes:
    """For each value of the first byte, what a packet is."""
    return bytes(
        version_2 if value in _VERSION_2 else OTHER if any(value in each for each in others) else 0
        for value in range(256)
    )


#: RFC 3550 5.1.
RTP = Shape(12, _first(STREAMED), slice(8, 12), True)
#: RFC 3550 6.4.
RTCP = Shape(8, _first(CONTROL), slice(4, 8), True)
#: The same with encrypted payloads (RFC 3711 3).
SRTP, SRTCP = RTP._replace(readable=False), RTCP._replace(readable=False)
#: RTP and RTCP keyed by DTLS on the same port (RFC 7983).
DTLS = Shape(8, _first(STREAMED, *_STUN_OR_DTLS), slice(0, 0))
DTLS_RTCP = Shape(8, _first(CONTROL, *_STUN_OR_DTLS), slice(0, 0))
#: Anything: UDPTL and what else goes by UDP.
DATAGRAM = Shape(1, _first(OTHER, range(128), range(192, 256)), slice(0, 0))


def shapes(protocol: str) -> tuple[Shape, Shape] | None:
    """Shapes of the packets on both ports of an ``m=`` line; None for what is not carried by UDP.

    :param protocol: its protocol, as "RTP/AVP".
    """
    protocol = protocol.upper()
    if protocol.startswith("RTP/"):
        return (SRTP, SRTCP) if protocol.startswith("RTP/SAVP") else (RTP, RTCP)
    if protocol.startswith("UDP/TLS/RTP/"):
        return DTLS, DTLS_RTCP
    if protocol.startswith("UDP") or protocol == "DTLS/SCTP":
        return DATAGRAM, DATAGRAM
    return None
