"""The way of a packet: sockets, one epoll for all of them, and counters.

Nothing here knows SIP, SDP, a reactor or a timer. A packet meets the shape that its ``m=``
line's protocol wants, its port's latch, and the other leg's socket. Whatever a network can do to
a socket (an ICMP error, a full buffer, garbage) costs that packet and nothing else.
"""

import select
import socket
from collections.abc import Callable
from typing import NamedTuple

import attrs

from softswitch.media.latch import Latch, SocketAddress
from softswitch.media.reception import GREATEST_JUMP, HEADER, Reception
from softswitch.media.reports import Reported, Reports

#: Packets served per wake-up, one from each socket that has some; the others come next.
BATCH = 128


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


@attrs.frozen
class Counters:
    """What one port saw of its leg, and what it learnt.

    Times are seconds by the path's clock, which is that of the process that it runs in: compare
    them with ``at``.

    :ivar leg: its name.
    :ivar line: the ``m=`` line, from 0.
    :ivar rtcp: whether it is the pair's second port.
    :ivar packets: taken from the leg.
    :ivar bytes: of their payloads.
    :ivar sent: packets that went out to the leg.
    :ivar sent_bytes: of their payloads.
    :ivar foreign: dropped: from a source that is not the leg's.
    :ivar foreign_source: the last of these; None before.
    :ivar malformed: dropped: not of the shape.
    :ivar unsent: taken, but the other leg has no address yet, is on hold, or the network refused.
    :ivar first_at: when the first was taken, seconds; None before.
    :ivar last_at: when the last was taken.
    :ivar at: when these figures were taken.
    :ivar signalled: where the leg wants its packets, by its SDP; None before it has said so.
    :ivar learnt: where its packets come from; None before there were any.
    :ivar lost: of the leg's packets on the way to us, by their numbers; less than 0 where more came
        twice (RFC 3550 A.3).
    :ivar jitter: of their arrival, now, seconds (RFC 3550 A.8).
    :ivar ssrcs: the last streams of the leg, the present one last.
    :ivar payload_types: of the leg's packets, in the order in which they first came.
    :ivar events: telephone events of the leg (RFC 4733).
    :ivar digits: what they were, the first 64 of them; empty where they are encrypted. They may be
        a secret: for a log or a record, their number has to do.
    :ivar reported: what the leg says of the packets that it gets from us; None before.
    """

    leg: str
    line: int
    rtcp: bool
    port: int
    packets: int
    bytes: int
    sent: int
    sent_bytes: int
    foreign: int
    foreign_source: tuple[str, int] | None
    malformed: int
    unsent: int
    first_at: float | None
    last_at: float | None
    at: float
    signalled: tuple[str, int] | None
    learnt: tuple[str, int] | None
    lost: int = 0
    jitter: float = 0.0
    ssrcs: tuple[int, ...] = ()
    payload_types: tuple[int, ...] = ()
    events: int = 0
    digits: str = ""
    reported: Reported | None = None


class Channel:
    """One port of ours, which faces one leg; ``Counters`` says what its counters count.

    :ivar port: the local port.
    :ivar shape: what its packets look like.
    :ivar latch: whose packets are taken, and where ours go.
    :ivar renumbered: RTP payload type of the leg's packets -> the one that goes out; empty for as
        they are.
    :ivar twin: the other leg's port, on which its packets go out; None leads nowhere.
    :ivar reception: what RTP packets say of their way to us.
    :ivar reports: what the leg says of the packets that it gets at this port's pair.
    :ivar control: of the first port of a pair, the second; else None.
    :ivar stream: of the second port of a pair, the first; else None.
    """

    __slots__ = (
        "_credited",
        "_credited_bytes",
        "bytes",
        "control",
        "first_at",
        "foreign",
        "foreign_source",
        "last_at",
        "latch",
        "malformed",
        "packets",
        "port",
        "reception",
        "renumbered",
        "reports",
        "sent",
        "sent_bytes",
        "shape",
        "socket",
        "stream",
        "twin",
        "unsent",
        "unsent_bytes",
    )

    def __init__(self, sock: socket.socket, port: int, shape: Shape) -> None:
        self.socket = sock
        self.port = port
        self.shape = shape
        self.latch = Latch()
        self.reception = Reception()
        self.reports = Reports()
        self.renumbered: dict[int, int] = {}
        self.twin: Channel | None = None
        self.control: Channel | None = None
        self.stream: Channel | None = None
        self.packets = self.bytes = self.foreign = self.malformed = 0
        self.sent = self.sent_bytes = self.unsent = self.unsent_bytes = 0
        self._credited = self._credited_bytes = 0
        self.foreign_source: SocketAddress | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None

    def pair(self, control: "Channel") -> None:
        """Be the first port of a pair."""
        self.control = control
        control.stream = self

    def _renumbered(self, data: bytes) -> bytes:
        """The packet with the payload type that its receiver knows; the marker bit stays."""
        kind = data[1] & 0x7F
        new = self.renumbered.get(kind, kind)
        return data if new == kind else b"%c%c%b" % (data[0], data[1] & 0x80 | new, data[2:])

    def lead(self, twin: "Channel | None") -> None:
        """Have the leg's packets go out on another port; None leads nowhere."""
        if twin is not self.twin:
            self.credit()
            self.twin = twin

    def join(self, other: "Channel") -> None:
        """Carry packets between this port and ``other``, and no longer to where they went."""
        for one, twin in ((self, other), (other, self)):
            if one.twin is not twin:
                one.part()
            one.lead(twin)

    def part(self) -> None:
        """Carry nothing from here, nor from the twin to here."""
        if self.twin is not None and self.twin.twin is self:
            self.twin.lead(None)
        self.lead(None)

    def credit(self) -> None:
        """Count what has gone out on the twin since this was last done; no packet need do it."""
        gone, gone_bytes = self.packets - self.unsent, self.bytes - self.unsent_bytes
        if self.twin is not None:
            self.twin.sent += gone - self._credited
            self.twin.sent_bytes += gone_bytes - self._credited_bytes
        self._credited, self._credited_bytes = gone, gone_bytes

    def receive(self, now: float) -> None:
        """Take one packet from the socket and send it on, or count why not."""
        try:
            data, source = self.socket.recvfrom(65535)
        except OSError:  # an ICMP error for what was sent before, or nothing there after all
            return
        latch = self.latch
        if latch.locked and source != latch.source:
            self.foreign += 1
            self.foreign_source = source
            return
        least, first, stream, _ = self.shape
        if len(data) < least or not (form := first[data[0]]):
            self.malformed += 1
            return
        if not latch.locked and not latch.takes(source, data[stream]):
            self.foreign += 1
            self.foreign_source = source
            return
        self.packets += 1
        self.bytes += len(data)
        self.last_at = now
        if self.first_at is None:
            self.first_at = now
        if form == STREAMED and len(data) >= HEADER.size:
            kind, sequence, timestamp, ssrc = HEADER.unpack_from(data)
            reception = self.reception
            if sequence == reception.next and ssrc == reception.ssrc and reception.ordinary[kind]:
                reception.next = (sequence + 1) & 0xFFFF
                transit = now * reception.rate - timestamp
                jump = transit - reception.transit
                reception.transit = transit
                if jump < 0.0:
                    jump = -jump
                if jump < GREATEST_JUMP:
                    reception.jitter += (jump - reception.jitter) / 16
            else:
                reception.notice(data, kind, sequence, timestamp, ssrc, now)
        elif form == CONTROL and self.shape.readable:
            self._read(data, now)
        twin = self.twin
        if twin is None or (destination := twin.latch.destination) is None:
            self.unsent += 1
            self.unsent_bytes += len(data)
            return
        if self.renumbered:
            data = self._renumbered(data)
        try:
            twin.socket.sendto(data, destination)
        except OSError:
            self.unsent += 1
            self.unsent_bytes += len(data)

    def _read(self, data: bytes, now: float) -> None:
        """Note what the leg's RTCP says."""
        stream, twin = self.stream, self.twin
        if stream is None:
            return
        heard = stream.twin.reception if stream.twin is not None else None
        ssrc, rate = (heard.ssrc, heard.rate) if heard is not None else (None, 0)
        stream.reports.received(data, now, ssrc, rate)
        if twin is not None and twin.stream is not None:
            twin.stream.reports.sent(data, now)

    def counters(self, leg: str, line: int, now: float) -> Counters:
        """What there is to say of it; whoever leads here has to have been credited."""
        latch, reception = self.latch, self.reception
        return Counters(
            leg,
            line,
            self.stream is not None,
            self.port,
            self.packets,
            self.bytes,
            self.sent,
            self.sent_bytes,
            self.foreign,
            _host_and_port(self.foreign_source),
            self.malformed,
            self.unsent,
            self.first_at,
            self.last_at,
            now,
            _host_and_port(latch.signalled),
            _host_and_port(latch.source),
            reception.lost,
            reception.jitter_seconds,
            tuple(reception.ssrcs),
            tuple(reception.payload_types),
            reception.events,
            reception.digits,
            self.reports.last,
        )


class PacketPath:
    """All ports of a relay behind one file descriptor.

    :param seconds: tells the time that the counters note.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._epoll = select.epoll()
        self._channels: dict[int, Channel] = {}

    def fileno(self) -> int:
        """The descriptor that is readable while any packet waits."""
        return self._epoll.fileno()

    def serve(self) -> None:
        """Carry what waits, at most ``BATCH`` packets; never raises for what a network does."""
        now = self._seconds()
        channels = self._channels
        for descriptor, _ in self._epoll.poll(0, BATCH):
            channels[descriptor].receive(now)

    def open(self, host: str, port: int, shape: Shape) -> Channel:
        """Bind a port.

        :param host: a literal without brackets; IPv6 when it has a colon.
        :raises OSError: the port is taken, or the address is not ours.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        channel = Channel(sock, port, shape)
        self._channels[sock.fileno()] = channel
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        return channel

    def close(self, channel: Channel) -> None:
        """Give a port back to the system."""
        channel.part()
        self._epoll.unregister(channel.socket.fileno())
        del self._channels[channel.socket.fileno()]
        channel.socket.close()

    def stop(self) -> None:
        """Close every port and the descriptor."""
        for channel in list(self._channels.values()):
            self.close(channel)
        self._epoll.close()


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


def socket_address(host: str, port: int) -> SocketAddress:
    """An address in the form in which the kernel gives a packet's source.

    :param host: a literal without brackets.
    :raises OSError: not a literal.
    """
    if ":" in host:
        literal = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
        return literal, port, 0, 0
    return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, host)), port


def _host_and_port(address: SocketAddress | None) -> tuple[str, int] | None:
    """Without what only the kernel wants to know."""
    return None if address is None else address[:2]
