"""What a leg says of the stream that it gets, read from its RTCP as it passes (RFC 3550 6.4). Pure.

Reports cross the switch unchanged, so the two legs speak about each other; but what a leg has lost,
it has lost on the way from us. The round trip is that between the leg and us: a report of the other
leg's sender passed here at a time that we know, and the leg says how long it has had it.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import attrs

SENDER_REPORT, RECEIVER_REPORT = 200, 201

_BLOCK = struct.Struct("!IIIIII")


class Block(NamedTuple):
    """A report block (RFC 3550 6.4.1).

    :ivar ssrc: of the stream that it is about.
    :ivar fraction: lost since the report before, in 1/256.
    :ivar lost: packets, since the beginning; negative where some came twice.
    :ivar jitter: in units of the stream's timestamp.
    :ivar last_report: the middle of the time in the sender's last report; 0 where there was none.
    :ivar delay: how long ago that came, in 1/65536 s.
    """

    ssrc: int
    fraction: int
    lost: int
    jitter: int
    last_report: int
    delay: int


@attrs.frozen
class Reported:
    """What a leg says of the stream that it gets from us.

    :ivar lost: packets, since the beginning; negative where some came twice.
    :ivar fraction: of the packets between its last report and the one before that, 0 to 1.
    :ivar jitter: seconds.
    :ivar round_trip: between us and it, seconds; None while it cannot be told.
    :ivar at: when it said so, by the path's clock.
    """

    lost: int
    fraction: float
    jitter: float
    round_trip: float | None
    at: float


class Reports:
    """What one leg has reported.

    :ivar last: what it said last; None before.
    """

    __slots__ = ("_sent", "_sent_at", "last")

    def __init__(self) -> None:
        self.last: Reported | None = None
        self._sent = 0
        self._sent_at = 0.0

    def sent(self, data: bytes, now: float) -> None:
        """Note the time in a sender report that goes to the leg."""
        for kind, packet in _packets(data):
            if kind == SENDER_REPORT and len(packet) >= 28:
                self._sent = int.from_bytes(packet[10:14])
                self._sent_at = now

    def received(self, data: bytes, now: float, ssrc: int | None, rate: int) -> None:
        """Read what the leg has sent.

        :param ssrc: of the stream that goes to the leg; None for one that is not known.
        :param rate: of its clock, Hz; 0 where it is not known.
        """
        for kind, packet in _packets(data):
            for block in _blocks(kind, packet):
                if ssrc is None or block.ssrc == ssrc:
                    self.last = Reported(
                        block.lost,
                        block.fraction / 256,
                        block.jitter / rate if rate else 0.0,
                        self._round_trip(block, now),
                        now,
                    )

    def _round_trip(self, block: Block, now: float) -> float | None:
        """For a report that answers the last one of ours; what was found before for any other."""
        if block.last_report and block.last_report == self._sent:
            return max(0.0, now - self._sent_at - block.delay / 65536)
        return self.last.round_trip if self.last is not None else None


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The packets of a compound one, by their types; what is cut short ends it (RFC 3550 6.1)."""
    start = 0
    while len(data) >= start + 4:
        end = start + 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
        if data[start] >> 6 != 2 or end > len(data):
            return
        yield data[start + 1], data[start:end]
        start = end


def _blocks(kind: int, packet: bytes) -> Iterator[Block]:
    """The report blocks of a sender's or receiver's report."""
    if kind not in (SENDER_REPORT, RECEIVER_REPORT):
        return
    start = 28 if kind == SENDER_REPORT else 8
    for at in range(start, start + _BLOCK.size * (packet[0] & 0x1F), _BLOCK.size):
        if len(packet) < at + _BLOCK.size:
            return
        ssrc, losses, _, jitter, last_report, delay = _BLOCK.unpack_from(packet, at)
        lost = losses & 0xFFFFFF
        lost -= (lost & 0x800000) << 1
        yield Block(ssrc, losses >> 24, lost, jitter, last_report, delay)
