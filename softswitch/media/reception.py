"""What comes in at one RTP port, as RFC 3550 counts it: loss, jitter, streams, events. Pure.

Nearly every packet is the next one of the same stream with the same payload type. For such a one
``media.path`` does by itself the little arithmetic that is to be done, and asks nobody here; what
is out of the ordinary comes to ``notice``.
"""

import struct
from collections.abc import Mapping
from math import nan
from typing import NamedTuple

#: Payload type with its marker bit, sequence number, timestamp, SSRC (RFC 3550 5.1).
HEADER = struct.Struct("!xBHII")
#: Sequence numbers by which a stream may jump ahead, or a packet be late, before it is another
#: count (RFC 3550 A.1).
GREATEST_GAP, GREATEST_DELAY = 3000, 100
#: Timestamp units beyond which a jump is no jitter but another time line, or its wrap.
GREATEST_JUMP = 1 << 20
#: Streams and payload types that are remembered, and digits.
MOST_STREAMS, MOST_DIGITS = 8, 64
#: What the events 0 to 16 are called (RFC 4733 3.2; the last is a flash).
DIGITS = "0123456789*#ABCD!"


class Format(NamedTuple):
    """What a payload type means.

    :ivar rate: of its clock, Hz.
    :ivar event: whether it is telephone-event (RFC 4733).
    """

    rate: int
    event: bool


class Reception:
    """One port's figures.

    :ivar next: sequence number that is expected.
    :ivar ssrc: of the stream that is heard now; None before there is one.
    :ivar ordinary: for each second byte of a packet, 1 where it bears the payload type of a voice
        with the clock rate ``rate``, so that the packet's arrival is all that has to be noted.
    :ivar rate: of the clock by which the stream's timestamps count, Hz.
    :ivar transit: arrival of the last packet less its timestamp, in units of the timestamp; not a
        number before there is one.
    :ivar jitter: as RFC 3550 A.8 has it, in units of the timestamp.
    :ivar lost: packets expected less those received (RFC 3550 A.3), of all streams. What comes
        twice makes it less, as it does in the RFC.
    :ivar ssrcs: of the streams that were heard, the last of them last.
    :ivar payload_types: that were heard, in that order.
    :ivar events: how many telephone events (RFC 4733) were heard.
    :ivar digits: what they were, the first of them; perhaps somebody's secret. Empty for what is
        encrypted.
    """

    __slots__ = (
        "_event",
        "_formats",
        "_readable",
        "_restart",
        "digits",
        "events",
        "jitter",
        "lost",
        "next",
        "ordinary",
        "payload_types",
        "rate",
        "ssrc",
        "ssrcs",
        "transit",
    )

    def __init__(self) -> None:
        self.next = -1
        self.ssrc: int | None = None
        self.ordinary = bytearray(256)
        self.rate = 0
        self.transit = nan
        self.jitter = 0.0
        self.lost = 0
        self.ssrcs: list[int] = []
        self.payload_types: list[int] = []
        self.events = 0
        self.digits = ""
        self._formats: Mapping[int, Format] = {}
        self._readable = True
        #: The number after one that did not fit: the second in a row is a new count.
        self._restart = -1
        #: Stream, event, timestamp at which it began, and at which it would go on as a new segment.
        self._event = (0, 0, 0, 0)

    @property
    def jitter_seconds(self) -> float:
        """The jitter of the stream that is heard now."""
        return self.jitter / self.rate if self.rate else 0.0

    def understand(self, formats: Mapping[int, Format], *, readable: bool) -> None:
        """Learn what payload types mean from now on.

        :param readable: whether payloads are not encrypted.
        """
        self._readable = readable
        if formats != self._formats:
            self._formats = formats
            self._rank()

    def notice(
        self, data: bytes, kind: int, sequence: int, timestamp: int, ssrc: int, now: float
    ) -> None:
        """Note a packet that is not the ordinary one.

        :param data: all of it.
        :param kind: its second byte.
        :param now: when it came, seconds.
        """
        payload_type = kind & 0x7F
        if ssrc != self.ssrc:
            self._begin(ssrc, sequence)
        self._count(sequence)
        if payload_type not in self.payload_types:
            self.payload_types.append(payload_type)
        form = self._formats.get(payload_type)
        if form is None:
            return
        if form.event:
            self._hear(data, kind, timestamp, ssrc)
            return
        if form.rate != self.rate:
            self.rate = form.rate
            self.transit = nan
            self.jitter = 0.0
        if not self.ordinary[kind]:
            self._rank()
        transit = now * form.rate - timestamp
        jump = abs(transit - self.transit)
        if jump < GREATEST_JUMP:
            self.jitter += (jump - self.jitter) / 16
        self.transit = transit

    def _rank(self) -> None:
        """Find out which payload types are ordinary: known voices of the present rate, heard."""
        for payload_type in range(128):
            form = self._formats.get(payload_type)
            ordinary = (
                form is not None
                and not form.event
                and form.rate == self.rate
                and payload_type in self.payload_types
            )
            self.ordinary[payload_type] = self.ordinary[payload_type | 0x80] = ordinary

    def _begin(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self.next = sequence
        self.transit = nan
        self.jitter = 0.0
        self._restart = -1
        if ssrc in self.ssrcs:
            self.ssrcs.remove(ssrc)
        self.ssrcs.append(ssrc)
        del self.ssrcs[:-MOST_STREAMS]

    def _count(self, sequence: int) -> None:
        """RFC 3550 A.1, for what may have been lost before this packet, or is late."""
        ahead = (sequence - self.next) & 0xFFFF
        following = (sequence + 1) & 0xFFFF
        if ahead < GREATEST_GAP:
            self.lost += ahead
            self.next = following
        elif ahead >= 0x10000 - GREATEST_DELAY:
            self.lost -= 1
        elif sequence == self._restart:
            self.next = following
        else:
            self._restart = following
            return
        self._restart = -1

    def _hear(self, data: bytes, kind: int, timestamp: int, ssrc: int) -> None:
        """A packet of a telephone event: all of one event's bear the time at which it began, but
        that a long one has several segments (RFC 4733 2.5.1.2 and 2.5.1.3)."""
        event, duration = 0, 0
        if self._readable:
            payload = _payload(data)
            if len(payload) < 4:
                return
            event, duration = payload[0], payload[2] << 8 | payload[3]
        known = self._event
        goes_on = (timestamp + duration) & 0xFFFFFFFF
        self._event = (ssrc, event, timestamp, goes_on)
        if known[:3] == self._event[:3] and self.events:
            return
        if (ssrc, event, timestamp) == (known[0], known[1], known[3]) and not kind & 0x80:
            return
        self.events += 1
        if self._readable and event < len(DIGITS) and len(self.digits) < MOST_DIGITS:
            self.digits += DIGITS[event]


def _payload(data: bytes) -> bytes:
    """What comes after a packet's header, its sources and its extension (RFC 3550 5.1, 5.3.1)."""
    start = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    return data[start:]
