"""A connection on the loop network: bytes in order, closed, refused or never read. Pure."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from softswitch.flow import WEBSOCKETS
from softswitch.testing.ladder import Address


class Carrier(Protocol):
    """The network, as a connection sees it."""

    @property
    def delay(self) -> float:
        """Seconds that everything takes."""

    def later(self, delay: float, function: Callable[..., object], *args: object) -> object:
        """Call ``function(*args)`` in ``delay`` seconds."""

    def pieces(self, data: bytes) -> list[bytes]:
        """The pieces in which ``data`` arrives."""

    def note(self, transport: str, source: Address, to: Address, data: bytes) -> None:
        """Put what was written into the log."""


class Told(Protocol):
    """One end's interest in a connection; ``Connection`` is one."""

    def connected(self) -> None:
        """The connection stands."""

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""

    def lost(self, reason: str) -> None:
        """The connection has ended, or was never made."""


class LoopStream:
    """One end of a connection.

    :ivar local: this end's address.
    :ivar remote: the other's.
    :ivar transport: "TCP", or of a WebSocket "WS" or "WSS": what is written arrives whole then.
    :ivar reading: clear it to have this end read nothing, until ``read_on``.
    """

    def __init__(
        self, network: Carrier, local: Address, remote: Address, transport: str = "TCP"
    ) -> None:
        self.local = local
        self.remote = remote
        self.transport = transport
        self.reading = True
        self.told: Told | None = None
        self.other: LoopStream | None = None
        self.ended = False
        self._network = network
        #: What is on its way to this end or waits there to be read; None: the other's end.
        self._inbox: deque[bytes | None] = deque()
        self._arrived = 0

    def write(self, data: bytes) -> None:
        """Send ``data``, in pieces when the network splits."""
        if self.ended or self.other is None:
            return
        self._network.note(self.transport, self.local, self.remote, data)
        whole = self.transport in WEBSOCKETS
        for piece in [data] if whole else self._network.pieces(data):
            self.other._put(piece)

    def unsent(self) -> int:
        """Bytes that the other end has not read, if it has stopped to read."""
        if self.other is None or self.other.reading:
            return 0
        return sum(len(piece) for piece in self.other._inbox if piece is not None)

    def close(self) -> None:
        """End the connection when what was written has been read."""
        if not self.ended and self.other is not None:
            self.other._put(None)

    def abort(self) -> None:
        """End the connection, or the attempt, at once."""
        if self.ended:
            return
        self._network.later(0.0, self.end, "aborted")
        if self.other is not None:
            self._network.later(self._network.delay, self.other.end, "reset by the peer")

    def read_on(self) -> None:
        """Read again, first what has waited."""
        self.reading = True
        self._read()

    def end(self, reason: str) -> None:
        """This end is told that the connection is no more."""
        if not self.ended:
            self.ended = True
            if self.told is not None:
                self.told.lost(reason)

    def _put(self, piece: bytes | None) -> None:
        self._inbox.append(piece)
        self._network.later(self._network.delay, self._arrive)

    def _arrive(self) -> None:
        self._arrived += 1
        self._read()

    def _read(self) -> None:
        while self._arrived and self.reading and not self.ended:
            self._arrived -= 1
            piece = self._inbox.popleft()
            if piece is None:
                self.end("closed by the peer")
                if self.other is not None:
                    self._network.later(self._network.delay, self.other.end, "closed")
            elif self.told is not None:
                self.told.data_received(piece)


#: Takes a new connection and the address it came from; None when it is refused.
Accept = Callable[[LoopStream, Address], Told | None]
