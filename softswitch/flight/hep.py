"""What a collector of Homer is told, in the packets of HEP version 3. Pure.

A packet is "HEP3", its length, and chunks: vendor, type, length, each a 16-bit number, and what
they say. Here are SIP messages, reports on media as JSON, and lines of the log.
"""

import json
import socket
import struct
from typing import Any, Final

import attrs

from softswitch.plugin.record import CallRecord, MediaStream

#: What a payload is.
SIP: Final = 1
RTCP: Final = 5
LOG: Final = 100

#: Bytes of a payload: with all other chunks, what a length can say.
LONGEST: Final = 0xFFFF - 1024

_CHUNK: Final = struct.Struct("!HHH")
_HEAD: Final = struct.Struct("!4sH")

_UDP: Final = 17
_TCP: Final = 6


@attrs.frozen
class Sender:
    """Who we are to the collector.

    :ivar node_id: number of this capture agent.
    :ivar node_name: its name; "" for none.
    :ivar password: that the collector wants; "" for none.
    """

    node_id: int = 2001
    node_name: str = ""
    password: str = attrs.field(default="", repr=False)


@attrs.frozen
class Packet:
    """One packet.

    :ivar at: when it happened, seconds since 1970.
    :ivar kind: SIP, RTCP or LOG.
    :ivar source: address literal without brackets, and port.
    :ivar target: likewise.
    :ivar payload: itself, masked.
    :ivar call: id of the call: the same for all of it.
    :ivar reliable: whether it came on a connection.
    """

    at: float
    kind: int
    source: tuple[str, int]
    target: tuple[str, int]
    payload: bytes
    call: str
    reliable: bool = False

    def encode(self, sender: Sender) -> bytes:
        """As it is sent."""
        second, microsecond = divmod(round(self.at * 1e6), 1_000_000)
        six = ":" in self.source[0]
        family = socket.AF_INET6 if six else socket.AF_INET
        addresses = (0x0005, 0x0006) if six else (0x0003, 0x0004)
        chunks = [
            _chunk(0x0001, bytes((family,))),
            _chunk(0x0002, bytes((_TCP if self.reliable else _UDP,))),
            _chunk(addresses[0], socket.inet_pton(family, self.source[0])),
            _chunk(addresses[1], socket.inet_pton(family, self.target[0])),
            _chunk(0x0007, self.source[1].to_bytes(2)),
            _chunk(0x0008, self.target[1].to_bytes(2)),
            _chunk(0x0009, second.to_bytes(4)),
            _chunk(0x000A, microsecond.to_bytes(4)),
            _chunk(0x000B, bytes((self.kind,))),
            _chunk(0x000C, sender.node_id.to_bytes(4)),
            _chunk(0x000F, self.payload[:LONGEST]),
            _chunk(0x0011, self.call.encode()),
        ]
        if sender.password:
            chunks.append(_chunk(0x000E, sender.password.encode()))
        if sender.node_name:
            chunks.append(_chunk(0x0013, sender.node_name.encode()))
        body = b"".join(chunks)
        return _HEAD.pack(b"HEP3", _HEAD.size + len(body)) + body


def reports(record: CallRecord, ours: str) -> list[Packet]:
    """What has become of a call's packets, a report for each stream, as Homer reads RTCP.

    :param ours: address at which the media came, where nobody knows better.
    """
    packets = []
    for stream in record.media:
        source = _place(stream.latched or stream.signalled)
        if source is None:
            continue
        target = ours if (":" in ours) == (":" in source[0]) else source[0]
        at = stream.last or record.ended or record.invited
        payload = json.dumps(_report(stream, at)).encode()
        packets.append(Packet(at, RTCP, source, (target, 0), payload, record.id))
    return packets


def _report(stream: MediaStream, at: float) -> dict[str, Any]:
    expected = stream.packets + (stream.lost or 0)
    rate = 48_000 if stream.codec.lower() == "opus" else 8_000
    second, microsecond = divmod(round(at * 1e6), 1_000_000)
    return {
        "type": 200,
        "ssrc": 0,
        "report_count": 1,
        "sender_information": {
            "ntp_timestamp_sec": second,
            "ntp_timestamp_usec": microsecond,
            "rtp_timestamp": 0,
            "packets": stream.packets,
            "octets": stream.bytes,
        },
        "report_blocks": [
            {
                "source_ssrc": 0,
                "fraction_lost": 256 * (stream.lost or 0) // expected if expected else 0,
                "packets_lost": stream.lost or 0,
                "highest_seq_no": 0,
                "ia_jitter": round((stream.jitter or 0.0) * rate),
                "lsr": 0,
                "dlsr": 0,
            }
        ],
        "leg": stream.leg,
        "line": stream.line,
        "codec": stream.codec,
        "mos": stream.mos,
        "round_trip": stream.round_trip,
    }


def _place(text: str) -> tuple[str, int] | None:
    """ "host:port" as an address; None for what is none."""
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdigit() else None


def _chunk(kind: int, content: bytes) -> bytes:
    return _CHUNK.pack(0, kind, _CHUNK.size + len(content)) + content
