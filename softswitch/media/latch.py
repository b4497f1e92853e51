"""Whose packets are taken, and where ours are sent: one port's learning. Pure.

A phone behind a NAT sends from another address than its SDP shows, and a stranger sends to every
port he can find. So the signalled address is preferred, another source must send packets of one
stream for a little while, and once a source has been found no other is taken: until the next
negotiation, or until the signalled address sends a stream of its own. At a host of which nobody has
spoken a source is found in the first seconds only, lest a stranger who sends to a silent
peer's port gets to hear the call.
"""

from collections.abc import Hashable
from math import inf

#: Packets that a source must send to be learnt, and seconds over which at least: those of a flood
#: come all at once, and before they have lasted as long the peer has spoken itself.
RUN, SPAN = 3, 0.03
#: The same of a source at a host of which nobody has spoken, so that others are found before.
STRANGE_RUN, STRANGE_SPAN = 8, 0.12
#: Sources that are watched at the same time. Known hosts stay, and then who has sent more.
WATCHED = 4
#: Packets by which the source from before a negotiation shows that it stays (2 s of audio). Until
#: then the address just signalled has time to speak up: its owner may learn later than we do that
#: the negotiation has ended, and goes on sending as before meanwhile.
FORMER_RUN = 100

#: Seconds after a negotiation, or the beginning of the call, in which a source may be found at a
#: host that is neither in the peer's SDP nor where its signalling comes from.
WINDOW = 15.0

#: A socket address as the kernel gives it: host, port, and for IPv6 flow and scope.
SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class Latch:
    """The learning of one port.

    :ivar signalled: the address that the peer's SDP showed last; None before the first.
    :ivar source: the source that was found; None before.
    :ivar locked: whether no other source than ``source`` is taken.
    :ivar destination: where packets to the peer go: the signalled address until another is
        learnt; None before anything is known and while the peer holds by ``c=0.0.0.0``.
    :ivar beside: of RTCP, the latch of its RTP: an unknown host has to have been found there.
    """

    __slots__ = (
        "_former",
        "_held",
        "_homes",
        "_runs",
        "_towards",
        "_until",
        "beside",
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
        self.beside: Latch | None = None
        self._held = False
        #: Hosts of which something is known, and until when others will do.
        self._homes: tuple[str, ...] = ()
        self._until = inf
        self._towards: SocketAddress | None = None
        self._former: SocketAddress | None = None
        #: Source and its stream -> how many packets, and when the first of them came.
        self._runs: dict[SocketAddress, tuple[Hashable, int, float]] = {}

    def signal(self, address: SocketAddress | None, now: float, home: str = "") -> None:
        """A negotiation has ended: the peer wants its packets at ``address``.

        Learning begins anew. At the same address as before, the source that was found remains
        in use until another shows itself: a refresh must not send a phone's audio back to the
        private address in its SDP. At another address, what still comes from the former source
        is taken meanwhile.

        :param address: None for a hold by ``c=0.0.0.0``: nothing is sent; nothing else changes.
        :param now: seconds.
        :param home: the host from which the peer's signalling comes; "" for an unknown one.
        """
        self._held = address is None
        where = address or self.signalled
        self._homes = (home, where[0]) if where is not None else (home,)
        self._until = now + WINDOW
        if address is not None:
            if self.signalled is None:
                # Whoever spoke before the peer had said where it is may be anybody.
                if self.source is not None and self.source[0] not in self._homes:
                    self.source = None
            elif self.signalled != address:
                self._former = self.source or self._former or self.signalled
                self.source = None
            self.signalled = address
            self._towards = self.source or address
            self.locked = False
            self._runs.clear()
        self.destination = None if self._held else self._towards

    def takes(self, address: SocketAddress, stream: Hashable, now: float) -> bool:
        """Whether a packet from ``address`` is the peer's.

        :param stream: what a source's packets have to share: the SSRC; "" where there is none.
        :param now: seconds.
        """
        if self.locked:
            return address == self.source
        if address == self.source or self._is_signalled(address):
            self._lock(address)
            return True
        run = self._run(address, stream, now)
        if address == self._former:
            if run < FORMER_RUN:
                return True
        elif not self._may(address, run, now):
            return False
        self._lock(address)
        return True

    def returns(
        self, address: SocketAddress, stream: Hashable, heard: Hashable, now: float
    ) -> bool:
        """Whether a packet, though another source was found, is the peer's: the signalled address
        sends a stream of its own, and not what somebody sends twice.

        :param heard: the stream of the source that was found.
        """
        if stream == heard or not self._is_signalled(address):
            return False
        if self._run(address, stream, now) < RUN:
            return False
        self._lock(address)
        return True

    def begin(self, now: float) -> None:
        """The call begins: whoever was silent while it rang may be found as after a negotiation."""
        self._until = max(self._until, now + WINDOW)

    def reopen(self) -> None:
        """Learn anew; what was found remains in use until another shows itself."""
        self.locked = False
        self._runs.clear()

    def _is_signalled(self, address: SocketAddress) -> bool:
        """Whether it is the signalled one, whatever its scope: no SDP names that."""
        return self.signalled is not None and address[:2] == self.signalled[:2]

    def _may(self, address: SocketAddress, run: int, now: float) -> bool:
        """Whether the peer may be found at an address that has sent so many packets."""
        lasts = now - self._runs[address][2]
        if address[0] in self._homes:
            return run >= RUN and lasts >= SPAN
        if self.beside is not None:
            return self.beside.source is not None and self.beside.source[0] == address[0]
        return now <= self._until and run >= STRANGE_RUN and lasts >= STRANGE_SPAN

    def _run(self, address: SocketAddress, stream: Hashable, now: float) -> int:
        """Count a packet; how many its source has sent of this stream."""
        runs = self._runs
        known, number, since = runs.get(address, (None, 0, now))
        if not number and len(runs) >= WATCHED:
            del runs[min(runs, key=lambda each: (each[0] in self._homes, runs[each][1]))]
        if stream != known:
            number, since = 0, now
        runs[address] = stream, number + 1, since
        return number + 1

    def _lock(self, address: SocketAddress) -> None:
        """Take ``address`` alone from now on, and send there; but what was signalled last says
        better where to send than a source from before it."""
        if address != self._former:
            self._towards = address
        self.source, self.locked = address, True
        self._former = None
        self._runs.clear()
        self.destination = None if self._held else self._towards
