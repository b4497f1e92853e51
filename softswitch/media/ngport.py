"""The UDP socket over which one rtpengine is asked: connected, so that nobody else is heard.

It is not one of Twisted's, whose epoll reactor takes an error of a connected UDP socket ("nobody
listens there") for its end.
"""

import socket
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.media.instances import Place

#: Datagrams that are read before somebody else has his turn.
AT_ONCE = 64

#: Bytes that may wait in the kernel.
BUFFER = 1 << 20


@implementer(IReadDescriptor)
class NgPort:
    """One socket.

    :ivar received: told of each datagram.
    :ivar refused: told that nobody listens there.
    """

    def __init__(self, place: Place, reactor: IReactorFDSet) -> None:
        self.received: Callable[[bytes], None]
        self.refused: Callable[[], None]
        self._place = place
        self._reactor = reactor
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def open(self) -> None:
        """Begin to listen, at a port of the kernel's choosing. An address to which there is no way
        yet is one that does not answer."""
        self._connect()
        self._reactor.addReader(self)

    def close(self) -> None:
        """Close the socket."""
        self._reactor.removeReader(self)
        self._socket.close()

    def send(self, datagram: bytes) -> None:
        """Send one; where there is no way, it is lost like any other."""
        try:
            self._socket.send(datagram)
        except ConnectionRefusedError:
            self.refused()
        except OSError:
            self._connect()

    def _connect(self) -> None:
        with suppress(OSError):
            self._socket.connect((self._place.host, self._place.port))

    def fileno(self) -> int:
        """The socket's; -1 once it is closed."""
        return self._socket.fileno()

    def doRead(self) -> None:
        """It has answered, or the network has."""
        for _ in range(AT_ONCE):
            try:
                datagram = self._socket.recv(65535)
            except ConnectionRefusedError:
                self.refused()
            except OSError:
                return
            else:
                self.received(datagram)

    def connectionLost(self, reason: Failure) -> None:
        """So the reactor calls an error, and reads no more; we do."""
        if self.fileno() >= 0:
            self.doRead()
            self._reactor.addReader(self)

    def logPrefix(self) -> str:
        """Our name in the log."""
        return "rtpengine"
