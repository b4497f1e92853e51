"""The way of a packet: a relay's ports, and what each of them has seen.

Nothing here knows SIP, SDP, a reactor or a timer.
"""

import socket
from collections.abc import Callable
from time import sleep

import attrs

from softswitch.media.channel import Channel
from softswitch.media.latch import SocketAddress
from softswitch.media.reports import Reported
from softswitch.media.shapes import Shape
from softswitch.media.sockets import Sockets

#: Seconds for which packets gather, and how often before the reactor has its turn again.
GATHERING, GATHERINGS = 0.0006, 8
#: Packets for which gathering pays, and wake-ups without it once it has not.
PLENTY, MODEST = 3, 4


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


class PacketPath:
    """All ports of a relay behind one file descriptor.

    :param seconds: tells the time that the counters note.
    :param dscp: mark of the packets that go out (RFC 2474).
    """

    def __init__(self, seconds: Callable[[], float], dscp: int = 0) -> None:
        self._seconds = seconds
        self._sockets = Sockets(dscp)
        self._channels: set[Channel] = set()
        self._modest = 0

    def fileno(self) -> int:
        """The descriptor that is readable while any packet waits."""
        return self._sockets.fileno()

    def serve(self) -> None:
        """Carry what waits; never raises for what a network does."""
        self._sockets.serve(self._seconds())

    def serve_and_gather(self) -> None:
        """Carry what waits and, while there is plenty, what comes in the next milliseconds too.

        A wake-up that carries one packet finds the caches cold and makes it three times as dear as
        those of a busy time; so packets gather for the shortest while. Only for a process that has
        nothing else to do: it sleeps here, ``GATHERINGS`` times at most.
        """
        self.serve()
        if self._modest:
            self._modest -= 1
            return
        for _ in range(GATHERINGS):
            sleep(GATHERING)
            if self._sockets.serve(self._seconds()) < PLENTY:
                self._modest = MODEST
                return

    def open(self, host: str, port: int, shape: Shape) -> Channel:
        """Bind a port.

        :param host: a literal without brackets; IPv6 when it has a colon.
        :raises OSError: the port is taken, or the address is not ours.
        """
        sock = self._sockets.new(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        channel = Channel(sock, port, shape, self._sockets)
        self._channels.add(channel)
        self._sockets.watch(sock, channel.receive)
        return channel

    def close(self, channel: Channel) -> None:
        """Give a port back to the system."""
        channel.part()
        channel.disconnect()
        self._channels.remove(channel)
        self._sockets.forget(channel.socket)

    def stop(self) -> None:
        """Close every port and the descriptor."""
        for channel in list(self._channels):
            self.close(channel)
        self._sockets.stop()


def counters_of(channel: Channel, leg: str, line: int, now: float) -> Counters:
    """What there is to say of a port; whoever leads there has to have been credited."""
    latch, reception = channel.latch, channel.reception
    return Counters(
        leg,
        line,
        channel.stream is not None,
        channel.port,
        channel.packets,
        channel.bytes,
        channel.sent,
        channel.sent_bytes,
        channel.foreign,
        _host_and_port(channel.foreign_source),
        channel.malformed,
        channel.unsent,
        channel.first_at,
        channel.last_at,
        now,
        _host_and_port(latch.signalled),
        _host_and_port(latch.source),
        reception.lost,
        reception.jitter_seconds,
        tuple(reception.ssrcs),
        tuple(reception.payload_types),
        reception.events,
        reception.digits,
        channel.reports.last,
    )


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
