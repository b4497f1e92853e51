"""A call as a capture that Wireshark opens: its messages in the packets that they came in. Pure.

UDP datagrams are as they were but for their masks. Of a TCP connection there are its messages
alone, without the handshake; numbers and acknowledgements go on from message to message, so that
Wireshark follows the stream. What was encrypted, or in a WebSocket, stands in the clear, as UDP
datagrams between the same addresses: in a stream Wireshark would take it for what its port means.
"""

import socket
import struct
from collections.abc import Iterable
from typing import Final

from softswitch.flight.masking import masked
from softswitch.flow import Flow
from softswitch.journal import RECEIVED, SENT, Entry
from softswitch.media.latch import SocketAddress
from softswitch.media.pcap import FILE_HEADER, LONGEST, checksum, record

#: Bytes of a message in one segment, or datagram: what IP can carry.
SEGMENT: Final = 0xFFFF - 60

_RECORD: Final = struct.Struct("<IIII")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_PSEUDO_IPV4: Final = struct.Struct("!4s4sBBH")
_PSEUDO_IPV6: Final = struct.Struct("!16s16sII")

_PROTOCOL_TCP: Final = 6
_PUSH_ACK: Final = 0x18


def capture(entries: Iterable[Entry], *, hide_messages: bool = True) -> bytes:
    """A whole pcap file of the messages among the entries.

    :param hide_messages: see ``masking``.
    """
    parts = [FILE_HEADER]
    streams: dict[tuple[SocketAddress, SocketAddress], int] = {}
    for at, kind, flow, data in entries:
        if kind not in (RECEIVED, SENT) or not isinstance(data, bytes):
            continue
        payload = masked(data, hide_messages=hide_messages)
        here, there = _ends(flow)
        source, target = (there, here) if kind == RECEIVED else (here, there)
        if flow.transport == "TCP":
            for start in range(0, len(payload), SEGMENT):
                part = payload[start : start + SEGMENT]
                parts.append(_record(at, _segment(source, target, part, streams)))
        else:
            parts.append(record(at, source, target, payload[:SEGMENT]))
    return b"".join(parts)


def _ends(flow: Flow) -> tuple[SocketAddress, SocketAddress]:
    """Ours and the peer's."""
    return (flow.local_host, flow.local_port), (flow.remote_host, flow.remote_port)


def _segment(
    source: SocketAddress,
    target: SocketAddress,
    payload: bytes,
    streams: dict[tuple[SocketAddress, SocketAddress], int],
) -> bytes:
    """An IP packet with a TCP segment in it (RFC 9293).

    :param streams: the next sequence number of each direction.
    """
    number = streams.setdefault((source, target), 1)
    acknowledged = streams.setdefault((target, source), 1)
    streams[source, target] = (number + len(payload)) & 0xFFFF_FFFF
    length = _TCP.size + len(payload)
    words = source[1], target[1], number, acknowledged, _TCP.size // 4 << 4, _PUSH_ACK, 0xFFFF
    six = ":" in source[0]
    family = socket.AF_INET6 if six else socket.AF_INET
    here, there = socket.inet_pton(family, source[0]), socket.inet_pton(family, target[0])
    if six:
        pseudo = _PSEUDO_IPV6.pack(here, there, length, _PROTOCOL_TCP)
        ip = _IPV6.pack(6 << 28, length, _PROTOCOL_TCP, 64, here, there)
    else:
        pseudo = _PSEUDO_IPV4.pack(here, there, 0, _PROTOCOL_TCP, length)
        head = 0x45, 0, _IPV4.size + length, 0, 0x4000, 64, _PROTOCOL_TCP
        ip = _IPV4.pack(*head, checksum(_IPV4.pack(*head, 0, here, there)), here, there)
    total = checksum(pseudo + _TCP.pack(*words, 0, 0) + payload)
    return ip + _TCP.pack(*words, total, 0) + payload


def _record(at: float, packet: bytes) -> bytes:
    second, microsecond = divmod(round(at * 1e6), 1_000_000)
    taken = packet[:LONGEST]
    return _RECORD.pack(second, microsecond, len(taken), len(packet)) + taken
