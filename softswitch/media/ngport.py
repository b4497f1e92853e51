"""The UDP socket over which one rtpengine is asked: connected, so that nobody else is heard."""

from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IReactorUDP
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port

from softswitch.media.instances import Place

#: Bytes of the longest datagram that is read.
LONGEST = 65535


class NgPort(DatagramProtocol):
    """One socket.

    :ivar received: told of each datagram.
    :ivar refused: told that nobody listens there.
    """

    transport: Port

    def __init__(self, place: Place, reactor: IReactorUDP) -> None:
        self.received: Callable[[bytes], None]
        self.refused: Callable[[], None]
        self._place = place
        self._reactor = reactor

    def open(self) -> None:
        """Begin to listen, at a port of the kernel's choosing."""
        interface = "::" if ":" in self._place.host else ""
        self._reactor.listenUDP(0, self, interface=interface, maxPacketSize=LONGEST)

    def startProtocol(self) -> None:  # noqa: N802
        """The socket is there."""
        self.transport.connect(self._place.host, self._place.port)

    def send(self, datagram: bytes) -> None:
        """Send one; where there is no way, it is lost like any other."""
        with suppress(OSError):
            self.transport.write(datagram)

    def close(self) -> None:
        """Close the socket."""
        self.transport.stopListening()

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """It has answered."""
        self.received(datagram)

    def connectionRefused(self) -> None:
        """No port is open there (ICMP)."""
        self.refused()
