"""A TCP listener on the reactor, and the connections of both directions.

Thin: framing, queues and time-outs are ``connection``'s.
"""

import socket
from array import array
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IConsumer,
    IListeningPort,
    IPushProducer,
    IReactorSocket,
    IReactorTCP,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.errors import TransportError
from softswitch.transport.connection import CONNECT_SECONDS, Connection
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.overload import BACKLOG_HOLD, Queue
from softswitch.transport.sockets import bound_socket, in_memory

#: Connections that the kernel may hold before they are accepted.
BACKLOG = 128
#: Bytes that Twisted takes before it says that the peer is slow.
BUFFERED = 65536
#: Bytes that come at once where more may be waiting: what a connection brings in one read when the
#: switch keeps up is far less.
MUCH = 8192
#: Seconds of silence after which the kernel asks whether the peer still stands, and the seconds
#: after which unacknowledged bytes end the connection (64*T1).
PROBE_AFTER = 60
UNACKNOWLEDGED = 32


class TcpPort:
    """The socket of a TCP listener.

    :ivar local_port: the port that is bound.
    :param reactor: offers ``IReactorSocket`` and ``IReactorTCP``.
    :raises TransportError: when the address is taken or not ours.
    """

    def __init__(self, layer: TransportLayer, listener: Listener, reactor: object) -> None:
        self._layer = layer
        self._listener = listener
        self._reactor = cast(IReactorTCP, reactor)
        listening = bound_socket(socket.SOCK_STREAM, listener.bind_host, listener.port)
        with listening:
            try:
                listening.listen(BACKLOG)
            except OSError as error:
                where = f"{listener.bind_host}:{listener.port}"
                raise TransportError(f"{where}: {error.strerror or error}") from error
            self.local_port: int = listening.getsockname()[1]
            self._port: IListeningPort = cast(IReactorSocket, reactor).adoptStreamPort(
                listening.fileno(), listening.family, self._accepting()
            )
        layer.attach_stream(listener.name, self)

    def connect(self, remote_host: str, remote_port: int, connection: Connection) -> "TcpStream":
        """Begin to connect; ``connection`` hears later how it went."""
        stream = self._stream(connection)
        own = None if self._listener.wildcard else (self._listener.bind_host, 0)
        stream.connector = self._reactor.connectTCP(
            remote_host,
            remote_port,
            self._connecting(stream),
            # The connection's own time-out comes first.
            timeout=CONNECT_SECONDS + 1,
            bindAddress=own,
        )
        return stream

    def close(self) -> None:
        """Let the port go; connections stay."""
        self._port.stopListening()

    def _stream(self, connection: Connection) -> "TcpStream":
        return TcpStream(self._layer, connection)

    def _accepting(self) -> ServerFactory:
        """What serves the connections that peers open."""
        return Accepting(lambda: _Accepted(self._layer, self._listener.name))

    def _connecting(self, stream: "TcpStream") -> ClientFactory:
        """What serves the one connection that we open."""
        return Connecting(stream)


@implementer(IPushProducer)
class Backlog:
    """Knows how much of what was written on a connection the peer has not taken.

    It is registered as the producer for the connection's transport, only to be told when the
    transport's buffer fills.
    """

    _unsent = 0
    _full = False

    def unsent(self) -> int:
        """About how many bytes the peer has not taken; 0 while it keeps up."""
        return self._unsent

    def wrote(self, size: int) -> None:
        """So many bytes more are written now."""
        if self._full:
            self._unsent += size

    def pauseProducing(self) -> None:  # noqa: N802
        """The transport's buffer is full; told again with each write while it is."""
        if not self._full:
            self._full = True
            self._unsent = BUFFERED

    def resumeProducing(self) -> None:  # noqa: N802
        """The transport's buffer has drained."""
        self._full = False
        self._unsent = 0

    def stopProducing(self) -> None:  # noqa: N802
        """The connection ends; ``connectionLost`` tells."""


class TcpStream(Backlog, Protocol):
    """One connection's bytes on the reactor.

    :ivar connector: of a connection that we open.
    :param layer: hears how much is waiting to be read.
    :param connection: that we open; None where a peer has connected.
    """

    transport: ITCPTransport

    def __init__(self, layer: TransportLayer, connection: Connection | None = None) -> None:
        self.connection = connection
        self.connector: IConnector | None = None
        self._layer = layer
        self._queue: Queue | None = None
        self._read_at = 0.0

    def write(self, data: bytes) -> None:
        """Send ``data`` after what was written before."""
        self.wrote(len(data))
        self.transport.write(data)
        if self._full:
            self._push()

    def close(self) -> None:
        """End the connection when what was written has left."""
        # While a paused producer is registered, Twisted never comes to the end of its buffer.
        cast(IConsumer, self.transport).unregisterProducer()
        self.transport.loseConnection()

    def abort(self) -> None:
        """End the connection, or the attempt to connect, now."""
        if self.connected:
            self.transport.abortConnection()
        elif self.connector is not None:
            self.connector.disconnect()

    def connectionMade(self) -> None:
        """The connection stands."""
        watch(self.transport)
        cast(IConsumer, self.transport).registerProducer(self, True)
        if self.connector is not None and self.connection is not None:
            self.connection.connected()

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        if len(data) >= MUCH:
            self._measure(len(data))
        elif self._queue is not None:
            self._queue = None
        if self.connection is not None:
            self.connection.data_received(data)

    def connectionLost(self, reason: Failure = Failure(Exception("closed"))) -> None:  # noqa: B008
        """The connection is gone."""
        if self.connection is not None:
            self.connection.lost(self.why(reason))

    def why(self, reason: Failure) -> str:
        """What ended the connection, in words."""
        return reason.getErrorMessage()

    def _below(self) -> Any:
        """The transport that has the socket."""
        return self.transport

    def _push(self) -> None:
        """Have the kernel take now what it will: where much is read at once much is written at
        once, which says nothing of the peer. What ends the connection, the reactor finds."""
        below = self._below()
        whole = len(below.dataBuffer) - below.offset < below.SEND_LIMIT
        below.doWrite()
        if self._full and whole:
            self._unsent = len(below.dataBuffer) - below.offset

    def _measure(self, size: int) -> None:
        """So much was read at once: tell how long what is still waiting will take, by how long it
        was since the read before, in which others had their turn, too."""
        now = self._layer.overload.seconds()
        if self._queue is None:
            self._queue = self._layer.overload.queue()
        else:
            handle, took = self._below().getHandle(), now - self._read_at
            waiting = array("i", (0,))
            ioctl(handle, FIONREAD, waiting)
            used, room = in_memory(handle)
            self._queue.measured(waiting[0] / size * took, used / room, max(took, BACKLOG_HOLD))
        self._read_at = now


class Accepting(ServerFactory):
    """Makes a stream for each connection that comes in."""

    noisy = False

    def __init__(self, make: Callable[[], TcpStream]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> TcpStream:
        return self._make()


class _Accepted(TcpStream):
    """A connection that a peer opened."""

    def __init__(self, layer: TransportLayer, name: str) -> None:
        super().__init__(layer)
        self._name = name

    def connectionMade(self) -> None:
        super().connectionMade()
        peer: Any = self.transport.getPeer()
        self.connection = self._layer.accepted(self._name, self, peer.host, peer.port)


class Connecting(ClientFactory):
    """Holds the one connection that we open."""

    noisy = False

    def __init__(self, stream: TcpStream) -> None:
        self._stream = stream

    def buildProtocol(self, addr: IAddress | None) -> TcpStream:
        return self._stream

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        if self._stream.connection is not None:
            self._stream.connection.lost(reason.getErrorMessage())


def watch(transport: ITCPTransport) -> None:
    """Have the kernel send at once, and find out when the peer is no more."""
    connection: Any = transport
    connection.setTcpNoDelay(True)
    connection.setTcpKeepAlive(True)
    handle: socket.socket = connection.getHandle()
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED * 1000)
