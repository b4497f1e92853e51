"""Packets as a pcap file has them, with the IP and UDP headers that they had, or nearly. Pure.

The file is of link type RAW: what is in it begins with an IP header of version 4 or 6. Addresses,
ports and lengths are the packet's own, the rest of the headers is what most packets have.
"""

import socket
import struct
from functools import lru_cache
from typing import Final

from softswitch.media.latch import SocketAddress

#: Bytes of the longest packet, as the file says.
LONGEST: Final = 0xFFFF

#: What a file begins with: microseconds, version 2.4, link type 101 (RAW).
FILE_HEADER: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, LONGEST, 101)

_RECORD: Final = struct.Struct("<IIII")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_UDP: Final = struct.Struct("!HHHH")
_PSEUDO_IPV6: Final = struct.Struct("!16s16sII")

_PROTOCOL_UDP: Final = 17
_TIME_TO_LIVE: Final = 64
_DO_NOT_FRAGMENT: Final = 0x4000


def record(at: float, source: SocketAddress, destination: SocketAddress, payload: bytes) -> bytes:
    """A packet as the file has it.

    :param at: when it came, seconds since 1970.
    :param source: address literal without brackets, and port.
    :param destination: likewise, of the same version of IP.
    """
    packet = datagram(source, destination, payload)
    second, microsecond = divmod(round(at * 1e6), 1_000_000)
    taken = packet[:LONGEST]
    return _RECORD.pack(second, microsecond, len(taken), len(packet)) + taken


def datagram(source: SocketAddress, destination: SocketAddress, payload: bytes) -> bytes:
    """An IP packet with a UDP datagram in it (RFC 791, RFC 8200, RFC 768)."""
    length = _UDP.size + len(payload)
    if ":" not in source[0]:
        return _ipv4_headers(source, destination, length) + payload
    here, there = _packed(source[0]), _packed(destination[0])
    udp = _UDP.pack(source[1], destination[1], length, 0)
    pseudo = _PSEUDO_IPV6.pack(here, there, length, _PROTOCOL_UDP)
    total = checksum(pseudo + udp + payload) or 0xFFFF
    udp = _UDP.pack(source[1], destination[1], length, total)
    return _IPV6.pack(6 << 28, length, _PROTOCOL_UDP, _TIME_TO_LIVE, here, there) + udp + payload


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): the sum of 16-bit words modulo 0xFFFF, inverted."""
    if len(data) % 2:
        data += b"\0"
    rest = int.from_bytes(data) % 0xFFFF
    return ~rest & 0xFFFF if rest or not any(data) else 0


@lru_cache(8192)
def _ipv4_headers(source: SocketAddress, destination: SocketAddress, length: int) -> bytes:
    """Those of all packets of a length: UDP needs no checksum over IPv4, and these never had to
    cross a network."""
    here, there = _packed(source[0]), _packed(destination[0])
    words = 0x45, 0, _IPV4.size + length, 0, _DO_NOT_FRAGMENT, _TIME_TO_LIVE, _PROTOCOL_UDP
    total = checksum(_IPV4.pack(*words, 0, here, there))
    udp = _UDP.pack(source[1], destination[1], length, 0)
    return _IPV4.pack(*words, total, here, there) + udp


@lru_cache(1024)
def _packed(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
