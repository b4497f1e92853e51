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

#: Packets served per wake-up, one from each socket that has some; the others come next.
BATCH = 128


class Shape(NamedTuple):
    """What a packet has to look like.

    :ivar least: bytes that it has at least.
    :ivar first: for each value of its first byte, whether that may be.
    :ivar stream: where it says to which stream it belongs (the SSRC); empty for nowhere.
    """

    least: int
    first: bytes
    stream: slice


def _first(*spans: range) -> bytes:
    return bytes(any(value in span for span in spans) for value in range(256))


_VERSION_2 = range(128, 192)
_STUN_OR_DTLS = (range(4), range(20, 64))

#: RFC 3550 5.1; SRTP looks the same.
RTP = Shape(12, _first(_VERSION_2), slice(8, 12))
#: RFC 3550 6.4.
RTCP = Shape(8, _first(_VERSION_2), slice(4, 8))
#: RTP or RTCP keyed by DTLS on the same port (RFC 7983).
DTLS = Shape(8, _first(_VERSION_2, *_STUN_OR_DTLS), slice(0, 0))
#: Anything: UDPTL and what else goes by UDP.
DATAGRAM = Shape(1, _first(range(256)), slice(0, 0))


class Channel:
    """One port of ours, which faces one leg.

    The counters are about what came from that leg.

    :ivar port: the local port.
    :ivar shape: what its packets look like.
    :ivar latch: whose packets are taken, and where ours go.
    :ivar renumbered: RTP payload type of the leg's packets -> the one that goes out; empty for as
        they are.
    :ivar twin: the other leg's port, on which its packets go out; None leads nowhere.
    :ivar packets: taken from the leg.
    :ivar bytes: of their payloads.
    :ivar foreign: dropped: from a source that is not the leg's.
    :ivar malformed: dropped: not of the shape.
    :ivar unsent: taken, but the other leg has no address yet, is on hold, or the network refused.
    :ivar first_at: when the first was taken, by the path's clock; None before.
    :ivar last_at: when the last was taken.
    """

    __slots__ = (
        "bytes",
        "first_at",
        "foreign",
        "last_at",
        "latch",
        "malformed",
        "packets",
        "port",
        "renumbered",
        "shape",
        "socket",
        "twin",
        "unsent",
    )

    def __init__(self, sock: socket.socket, port: int, shape: Shape) -> None:
        self.socket = sock
        self.port = port
        self.shape = shape
        self.latch = Latch()
        self.renumbered: dict[int, int] = {}
        self.twin: Channel | None = None
        self.packets = self.bytes = self.foreign = self.malformed = self.unsent = 0
        self.first_at: float | None = None
        self.last_at: float | None = None

    def _renumbered(self, data: bytes) -> bytes:
        """The packet with the payload type that its receiver knows; the marker bit stays."""
        kind = data[1] & 0x7F
        new = self.renumbered.get(kind, kind)
        return data if new == kind else b"%c%c%b" % (data[0], data[1] & 0x80 | new, data[2:])

    def join(self, other: "Channel") -> None:
        """Carry packets between this port and ``other``, and no longer to where they went."""
        for one, twin in ((self, other), (other, self)):
            if one.twin is not twin:
                one.part()
            one.twin = twin

    def part(self) -> None:
        """Carry nothing from here, nor from the twin to here."""
        if self.twin is not None and self.twin.twin is self:
            self.twin.twin = None
        self.twin = None

    def receive(self, now: float) -> None:
        """Take one packet from the socket and send it on, or count why not."""
        try:
            data, source = self.socket.recvfrom(65535)
        except OSError:  # an ICMP error for what was sent before, or nothing there after all
            return
        latch = self.latch
        if latch.locked and source != latch.source:
            self.foreign += 1
            return
        least, first, stream = self.shape
        if len(data) < least or not first[data[0]]:
            self.malformed += 1
            return
        if not latch.locked and not latch.takes(source, data[stream]):
            self.foreign += 1
            return
        self.packets += 1
        self.bytes += len(data)
        self.last_at = now
        if self.first_at is None:
            self.first_at = now
        twin = self.twin
        if twin is None or (destination := twin.latch.destination) is None:
            self.unsent += 1
            return
        if self.renumbered:
            data = self._renumbered(data)
        try:
            twin.socket.sendto(data, destination)
        except OSError:
            self.unsent += 1


@attrs.frozen
class Counters:
    """What one port saw of its leg, and what it learnt; ``Channel`` says what each counts.

    :ivar leg: its name.
    :ivar line: the ``m=`` line, from 0.
    :ivar rtcp: whether it is the pair's second port.
    """

    leg: str
    line: int
    rtcp: bool
    port: int
    packets: int
    bytes: int
    foreign: int
    malformed: int
    unsent: int
    first_at: float | None
    last_at: float | None
    signalled: SocketAddress | None
    learnt: SocketAddress | None


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
        return RTP, RTCP
    if protocol.startswith("UDP/TLS/RTP/"):
        return DTLS, DTLS
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
