"""Whose packets are taken, and where ours are sent: one port's learning. Pure.

A phone behind a NAT sends from another address than its SDP shows, and a stranger sends to every
port he can find. So the signalled address is preferred, another source must send three packets
in a row that belong together, and once a source has been found no other is taken until the next
negotiation.
"""

from collections.abc import Hashable

#: Packets in a row that a source must send to be learnt.
RUN = 3
#: Packets in a row by which the source from before a negotiation shows that it stays (2 s of
#: audio). Until then the address just signalled has time to speak up: its owner may learn later
#: than we do that the negotiation has ended, and goes on sending as before meanwhile.
FORMER_RUN = 100

#: A socket address as the kernel gives it: host, port, and for IPv6 flow and scope.
SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class Latch:
    """The learning of one port.

    :ivar signalled: the address that the peer's SDP showed last; None before the first.
    :ivar source: the source that was found; None before.
    :ivar locked: whether no other source than ``source`` is taken.
    :ivar destination: where packets to the peer go: the signalled address until another is
        learnt; None before anything is known and while the peer holds by ``c=0.0.0.0``.
    """

    __slots__ = (
        "_candidate",
        "_former",
        "_held",
        "_run",
        "_towards",
        "destination",
        "locked",
        "signalled",
        "source",
    )

    def __init__(self) -> None:
        self.signalled: SocketAddress | None = None
        self.source: SocketAddress | None = None
        self.locked = False
        self.destination: SocketAddress | None = None
        self._held = False
        self._towards: SocketAddress | None = None
        self._former: SocketAddress | None = None
        self._candidate: tuple[SocketAddress, Hashable] | None = None
        self._run = 0

    def signal(self, address: SocketAddress | None) -> None:
        """A negotiation has ended: the peer wants its packets at ``address``.

        Learning begins anew. At the same address as before, the source that was found remains
        in use until another shows itself: a refresh must not send a phone's audio back to the
        private address in its SDP. At another address, what still comes from the former source
        is taken meanwhile.

        :param address: None for a hold by ``c=0.0.0.0``: nothing is sent; nothing else changes.
        """
        self._held = address is None
        if address is not None:
            if self.signalled not in (None, address):
                self._former = self.source or self._former or self.signalled
                self.source = None
            self.signalled = address
            self._towards = self.source or address
            self.locked = False
            self._candidate = None
        self.destination = None if self._held else self._towards

    def takes(self, address: SocketAddress, stream: Hashable) -> bool:
        """Whether a packet from ``address`` is the peer's.

        :param stream: what packets in a row have to share: the SSRC, or None where there is none.
        """
        if self.locked:
            return address == self.source
        if address in (self.signalled, self.source):
            self._lock(address)
            return True
        candidate = (address, stream)
        if candidate == self._candidate:
            self._run += 1
        else:
            self._candidate, self._run = candidate, 1
        former = address == self._former
        if self._run < (FORMER_RUN if former else RUN):
            return former
        self._lock(address)
        return True

    def _lock(self, address: SocketAddress) -> None:
        """Take ``address`` alone from now on, and send there; but what was signalled last says
        better where to send than a source from before it."""
        if address != self._former:
            self._towards = address
        self.source, self.locked = address, True
        self._former = self._candidate = None
        self.destination = None if self._held else self._towards
