"""One port of a relay: what becomes of each packet that comes to it.

A packet meets the shape that its ``m=`` line's protocol wants, its port's latch, and the other
leg's socket. Whatever a network can do to a socket (an ICMP error, a full buffer, garbage) costs
that packet and nothing else.
"""

import socket
from collections.abc import Callable
from typing import Any

from softswitch.media.latch import Latch, SocketAddress
from softswitch.media.reception import GREATEST_JUMP, HEADER, Reception
from softswitch.media.reports import Reports
from softswitch.media.shapes import CONTROL, OTHER, RTCP, STREAMED, Shape
from softswitch.media.sockets import Sockets

#: What stands at a packet's second byte if it is RTCP; such payload types are not used where RTP
#: and RTCP share a port (RFC 5761 4).
CONTROL_KINDS = range(192, 224)


class Channel:
    """One port of ours, which faces one leg; ``Counters`` says what its counters count.

    Once the leg's source is found and its packets go there too, the port has a second socket,
    connected to it: what is received and sent there needs no address, and the kernel keeps all
    others away from it. They come to the first socket still, where they are counted, and may be
    learnt where the latch allows it.

    :ivar port: the local port.
    :ivar latch: whose packets are taken, and where ours go.
    :ivar renumbered: RTP payload type of the leg's packets -> the one that goes out; empty for as
        they are.
    :ivar twin: the other leg's port, on which its packets go out; None leads nowhere.
    :ivar reception: what RTP packets say of their way to us.
    :ivar reports: what the leg says of the packets that it gets at this port's pair.
    :ivar control: of the first port of a pair, the second; else None.
    :ivar stream: of the second port of a pair, the first; else None.
    :ivar peer: whom the second socket is connected to.
    :ivar muxes: whether RTCP of the pair comes and goes here, too, at a first port (RFC 5761).
    :ivar tap: where its packets are recorded; of use to ``recording.RecordedChannel`` alone.
    """

    __slots__ = (
        "_alone",
        "_connected",
        "_credited",
        "_credited_bytes",
        "_first",
        "_least",
        "_receive",
        "_send",
        "_shape",
        "_sockets",
        "bytes",
        "control",
        "first_at",
        "foreign",
        "foreign_source",
        "last_at",
        "latch",
        "malformed",
        "muxes",
        "packets",
        "peer",
        "port",
        "reception",
        "renumbered",
        "reports",
        "sent",
        "sent_bytes",
        "socket",
        "stream",
        "tap",
        "twin",
        "unsent",
        "unsent_bytes",
    )

    def __init__(self, sock: socket.socket, port: int, shape: Shape, sockets: Sockets) -> None:
        self.socket = sock
        self.port = port
        self.latch = Latch()
        self.reception = Reception()
        self.reports = Reports()
        self.renumbered: dict[int, int] = {}
        self.twin: Channel | None = None
        self.control: Channel | None = None
        self.stream: Channel | None = None
        self.peer: SocketAddress | None = None
        self.tap: Any = None
        self.packets = self.bytes = self.foreign = self.malformed = 0
        self.sent = self.sent_bytes = self.unsent = self.unsent_bytes = 0
        self._credited = self._credited_bytes = 0
        self.foreign_source: SocketAddress | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self._sockets = sockets
        self._connected: socket.socket | None = None
        #: The second socket's, bound once; nobody sends there while our packets go elsewhere.
        self._receive: Callable[[int], bytes] = _nothing
        self._send: Callable[[bytes], int] | None = None
        #: Whether there can be no second socket.
        self._alone = False
        self.expect(shape)

    def expect(self, shape: Shape, muxes: bool = False) -> None:
        """Know what the leg's packets look like."""
        self._shape = shape
        self._least, self._first = shape.least, shape.first
        self.muxes = muxes
        if muxes:
            self._least = min(shape.least, RTCP.least)

    def signal(self, address: SocketAddress | None, now: float, home: str) -> None:
        """A negotiation has ended; see ``Latch.signal``."""
        self.latch.signal(address, now, home)
        self._aim()

    def pair(self, control: "Channel") -> None:
        """Be the first port of a pair."""
        self.control = control
        control.stream = self
        control.latch.beside = self.latch

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
        """Take one packet from the first socket and send it on, or count why not."""
        try:
            data, source = self.socket.recvfrom(65535)
        except OSError:  # an ICMP error for what was sent before, or nothing there after all
            return
        self._judge(data, source, now)

    def receive_connected(self, now: float) -> None:
        """Take one packet from the second socket."""
        try:
            data = self._receive(65535)
        except OSError:
            return
        if self.latch.locked:
            self._carry(data, now)
        elif self.peer is not None:
            self._judge(data, self.peer, now)

    def _judge(self, data: bytes, source: SocketAddress, now: float) -> None:
        """Find out whether a packet is the leg's."""
        latch = self.latch
        if len(data) < self._least or not self._first[data[0]]:
            if latch.locked and source != latch.source:
                self._refuse(source)
            else:
                self.malformed += 1
            return
        stream = data[(RTCP if self._is_control(data) else self._shape).stream]
        if not latch.locked:
            if not latch.takes(source, stream, now):
                self._refuse(source)
                return
        elif source != latch.source:
            ssrc = None if self._is_control(data) else self.reception.ssrc
            if ssrc is None or not latch.returns(source, stream, ssrc.to_bytes(4), now):
                self._refuse(source)
                return
            if self.control is not None:
                self.control.latch.reopen()
        if self.first_at is None and not self._is_control(data):
            self.first_at = now
        self._carry(data, now)
        if latch.locked and latch.source != self.peer and self.stream is None:
            self._settle(now)

    def _refuse(self, source: SocketAddress) -> None:
        self.foreign += 1
        self.foreign_source = source

    def _carry(self, data: bytes, now: float) -> None:
        """Count a packet of the leg, and send it on."""
        size = len(data)
        twin = self.twin
        form = self._first[data[0]] if size >= self._least else 0
        if form == STREAMED and size >= HEADER.size:
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
            elif self.muxes and kind in CONTROL_KINDS:
                self._carry_control(data, now)
                return
            else:
                reception.notice(data, kind, sequence, timestamp, ssrc, now)
        elif form == CONTROL:
            self._read(data, now)
            if twin is not None and twin.stream is not None and twin.stream.muxes:
                twin = twin.stream
        elif form != OTHER:
            if form and self._is_control(data):
                self._carry_control(data, now)
            else:
                self.malformed += 1
            return
        self.packets += 1
        self.bytes += size
        self.last_at = now
        if self.renumbered:
            data = self._renumbered(data)
        if twin is None:
            self._count_unsent(size)
            return
        try:
            if (send := twin._send) is not None:
                send(data)
            elif (destination := twin.latch.destination) is not None:
                twin.socket.sendto(data, destination)
            else:
                self._count_unsent(size)
        except ConnectionError:
            self._send_again(twin, data)
        except OSError:
            self._count_unsent(size)

    def _is_control(self, data: bytes) -> bool:
        """Whether it is RTCP on the port of RTP."""
        return self.muxes and data[1] in CONTROL_KINDS and self._first[data[0]] == STREAMED

    def _carry_control(self, data: bytes, now: float) -> None:
        """Have RTCP that came here counted and sent on as if it had come to the second port."""
        control = self.control
        if control is not None:
            if control.first_at is None:
                control.first_at = now
            control._carry(data, now)

    def _send_again(self, twin: "Channel", data: bytes) -> None:
        """A connected socket tells an ICMP error for an earlier packet instead of sending this."""
        try:
            if twin._send is not None:
                twin._send(data)
        except OSError:
            self._count_unsent(len(data))

    def _count_unsent(self, size: int) -> None:
        self.unsent += 1
        self.unsent_bytes += size

    def _aim(self) -> None:
        """Send by the second socket where our packets go to whom it is connected to."""
        peer, connected = self.peer, self._connected
        aimed = connected is not None and self.latch.destination == peer
        self._send = connected.send if aimed and connected is not None else None

    def _settle(self, now: float) -> None:
        """Have the second socket connected to who was found, if our packets go there."""
        source = self.latch.source
        if self._connected is not None:
            self.disconnect()
        if source is None or source != self.latch.destination or self._alone:
            return
        sock = self._sockets.beside(self.socket, source)
        if sock is None:
            self._alone = True
            return
        self._connected, self.peer = sock, source
        self._receive = sock.recv
        self._aim()
        # What came before it was connected may be anybody's.
        for data, sender in self._sockets.waiting(sock):
            if sender == source:
                self._carry(data, now)
            else:
                self._refuse(sender)
        self._sockets.watch(sock, self.receive_connected)

    def disconnect(self) -> None:
        """Have the first socket alone."""
        if self._connected is not None:
            self._sockets.forget(self._connected)
        self._connected = self.peer = self._send = None
        self._receive = _nothing

    def _read(self, data: bytes, now: float) -> None:
        """Note what the leg's RTCP says."""
        stream, twin = self.stream, self.twin
        if stream is None or not self._shape.readable:
            return
        heard = stream.twin.reception if stream.twin is not None else None
        ssrc, rate = (heard.ssrc, heard.rate) if heard is not None else (None, 0)
        stream.reports.received(data, now, ssrc, rate)
        if twin is not None and twin.stream is not None:
            twin.stream.reports.sent(data, now)


def _nothing(most: int) -> bytes:
    """What a socket that is not there receives."""
    raise BlockingIOError
