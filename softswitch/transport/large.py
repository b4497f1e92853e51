"""Requests that are too large for a datagram, and the connections that take them (RFC 3261 18.1.1).
Pure.

Somebody who is asked over UDP because nothing else was said may have TCP at the same address or
not. Whoever refuses the connection, or says nothing for two seconds, is asked over UDP after all,
and for some minutes nobody tries again.
"""

from typing import Final, Protocol

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.transport.connection import Connection, State
from softswitch.wheel import Clock, Timer

#: Bytes that a request may have over UDP where nobody knows what the path carries.
LARGEST: Final = 1300
#: Seconds within which a connection must stand, and for which it must, to be good for anything.
SECONDS: Final = 2.0
#: Seconds for which it is remembered that somebody has no TCP.
REMEMBERED: Final = 600.0
#: Of how many it is remembered; when there are more, all are forgotten.
KEPT: Final = 4096


class Layer(Protocol):
    """The transport layer, as far as it is concerned."""

    @property
    def clock(self) -> Clock:
        """On which timers run."""

    def flow_to(self, transport: str, host: str, port: int) -> Flow:
        """A flow to a peer.

        :raises TransportError: there is none.
        """

    def connection_on(self, flow: Flow) -> Connection | None:
        """The connection that a flow is; None for one that has ended, and over UDP."""


class LargeRequests:
    """Finds the connections, and remembers who has none."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._made: dict[Flow, Timer] = {}
        self._standing: dict[tuple[str, int], Flow] = {}
        self._failed: dict[tuple[str, int], float] = {}

    def flow(self, narrow: Flow) -> Flow | None:
        """A connection to where a UDP flow leads, which may still have to be made; None where there
        is no use in trying."""
        peer = narrow.remote_host, narrow.remote_port
        clock = self._layer.clock
        if self._failed.get(peer, 0.0) > clock.monotonic():
            return None
        try:
            flow = self._layer.flow_to("TCP", *peer)
        except TransportError:
            return None
        connection = self._layer.connection_on(flow)
        if flow not in self._made and self._standing.get(peer) != flow and connection is not None:
            if connection.state is State.CONNECTING:
                self._made[flow] = clock.callLater(SECONDS, self._judge, flow, connection)
            self._standing[peer] = flow
        return flow

    def standing(self, narrow: Flow) -> Flow | None:
        """The connection that has taken large requests to where a UDP flow leads, while it stands;
        for an ACK, whose loss nobody tells."""
        return self._standing.get((narrow.remote_host, narrow.remote_port))

    def failed(self, peer: tuple[str, int]) -> None:
        """Nothing comes of TCP to that address and port."""
        if len(self._failed) >= KEPT:
            self._failed.clear()
        self._failed[peer] = self._layer.clock.monotonic() + REMEMBERED

    def closed(self, flow: Flow) -> None:
        """A connection has ended, any one: one of these may have been refused."""
        peer = flow.remote_host, flow.remote_port
        if self._standing.get(peer) == flow:
            del self._standing[peer]
        timer = self._made.pop(flow, None)
        if timer is not None:
            timer.cancel()
            self.failed(peer)

    def _judge(self, flow: Flow, connection: Connection) -> None:
        del self._made[flow]
        if connection.state is State.CONNECTING:
            self.failed((flow.remote_host, flow.remote_port))
            connection.abort(f"no connection within {SECONDS:g} s")
