"""A WebSocket listener on the reactor (RFC 6455, RFC 7118): autobahn's protocol, in bounds.

Thin: what the handshake has to say is ``handshake``'s, pings and their time-outs are
``heartbeat``'s, all other queues and time-outs ``connection``'s. The library reads and writes
frames; what it leaves open is bounded here: the size of a handshake, how many frames a peer may
send at once and how many may make up a message. Extensions are declined, so that nothing that is
small on the wire is large here.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    ITCPTransport,
)
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.transport import identities
from softswitch.transport.certificates import Certificates
from softswitch.transport.connection import Connection
from softswitch.transport.handshake import SUB_PROTOCOL, refusal
from softswitch.transport.heartbeat import Heartbeat
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.tcp import Backlog, TcpPort, watch
from softswitch.transport.tls import Shown

#: Bytes of the largest opening handshake.
LARGEST_HANDSHAKE = 16 * 1024
#: Bytes that are handed to the library at a time: what it does with them grows with the square of
#: how many there are.
PIECE = 4096
#: Frames that one look at the socket may bring, 64 KiB at most: whole messages are larger.
MOST_FRAMES = 512
#: Frames of one message.
MOST_FRAGMENTS = 256

#: Status codes of a close (RFC 6455 7.4.1).
NORMAL, AGAINST_POLICY = 1000, 1008

_log = Logger()


class WebSocketPort(TcpPort):
    """The socket of a WebSocket listener. It connects to nobody: only phones open WebSockets."""

    def _accepting(self) -> ServerFactory:
        return _Accepting(self._layer, self._listener, self._reactor)


class SecureWebSocketPort(WebSocketPort):
    """The same of WebSockets within TLS.

    :param certificates: tells those that hold now; asked for each connection.
    """

    def __init__(
        self,
        layer: TransportLayer,
        listener: Listener,
        reactor: Any,
        certificates: Callable[[], Certificates],
    ) -> None:
        self._certificates = certificates
        super().__init__(layer, listener, reactor)

    def _accepting(self) -> ServerFactory:
        shown = Shown(lambda: self._certificates().servers[self._listener.name])
        reactor = cast(Any, self._reactor)
        factory = TLSMemoryBIOFactory(shown, False, super()._accepting(), reactor)
        factory.noisy = False
        return cast(ServerFactory, factory)


class _Accepting(WebSocketServerFactory):
    """Makes a protocol for each connection that comes in."""

    noisy = False

    def __init__(self, layer: TransportLayer, listener: Listener, reactor: Any) -> None:
        WebSocketServerFactory.__init__(self, reactor=reactor, server=None)
        self._layer = layer
        self._listener = listener
        WebSocketServerFactory.setProtocolOptions(
            self,
            webStatus=False,
            allowNullOrigin=True,  # whose page may connect is decided by ``handshake``
            failByDrop=True,
            # The library's timers are coarse, and not all can be stopped: we have others.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
        )

    def buildProtocol(self, addr: IAddress | None) -> "WebSocketStream":
        protocol = WebSocketStream(self._layer, self._listener)
        protocol.factory = self
        return protocol


class _Silence:
    """The library's logger: what a stranger does wrong is counted, and fills nobody's log."""

    def debug(self, text: str, **fields: object) -> None:
        """Say nothing."""

    info = warn = error = debug


@implementer(IHandshakeListener)
class WebSocketStream(WebSocketServerProtocol):
    """One WebSocket: its messages are the bytes of a ``Connection``.

    What the library calls by camelCase names is told of in its documentation.
    """

    transport: ITCPTransport
    log = _Silence()

    def __init__(self, layer: TransportLayer, listener: Listener) -> None:
        super().__init__()
        self._layer = layer
        self._listener = listener
        self._connection: Connection | None = None
        self._heartbeat: Heartbeat | None = None
        self._code = NORMAL
        self._frames = 0
        self._fragments = 0
        self._backlog = Backlog()

    # For the connection.

    def write(self, data: bytes) -> None:
        """Send ``data`` as one message: as text, if it is any (RFC 7118 5)."""
        if self.state != self.STATE_OPEN:
            return
        self._backlog.wrote(len(data))
        self.sendFrame(opcode=1 if data.isascii() or _is_text(data) else 2, payload=data)

    def unsent(self) -> int:
        """About how many bytes the peer has not taken; 0 while it keeps up."""
        return self._backlog.unsent()

    def close(self) -> None:
        """End the connection when what was written has left, a WebSocket with a Close."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(self._code)
        self.dropConnection()

    def abort(self) -> None:
        """End the connection now."""
        self.transport.abortConnection()

    # From the reactor.

    def connectionMade(self) -> None:
        """A peer has connected; the handshake follows."""
        self.maxMessagePayloadSize = self._layer.stream_limits.max_message
        super().connectionMade()
        transport: Any = self.transport
        watch(transport.transport if self._listener.transport == "WSS" else transport)
        self.registerProducer(self._backlog, True)
        peer = transport.getPeer()
        self._connection = self._layer.accepted(self._listener.name, self, peer.host, peer.port)
        if self._connection is not None:
            self._heartbeat = Heartbeat(self, self._listener.websocket, self._layer.clock)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """The TLS stands, if there is any; the peer may have shown a certificate."""
        handle: SSL.Connection = cast(Any, self.transport).getHandle()
        certificate = handle.get_peer_certificate(as_cryptography=True)
        if self._connection is not None and certificate is not None:
            self._connection.names = identities.names(certificate)

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come. What breaks the library ends this connection, and no other."""
        self._frames = 0
        if self._heartbeat is not None:
            self._heartbeat.heard()
        try:
            for start in range(0, len(data), PIECE):
                if self.state == self.STATE_CLOSED:
                    return
                self._dataReceived(data[start : start + PIECE])
                if self.state == self.STATE_CONNECTING and len(self.data) > LARGEST_HANDSHAKE:
                    self.failHandshake("Too large", 431)
        except Exception:
            _log.failure("{listener}: a WebSocket broke us", listener=self._listener.name)
            self.abort()

    def connectionLost(self, reason: Failure = Failure(Exception("closed"))) -> None:  # noqa: B008
        """The connection is gone."""
        super().connectionLost(reason)
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self._connection is not None:
            self._connection.lost(reason.getErrorMessage())

    # From the heartbeat.

    def ping(self) -> None:
        """Ask whether the phone is there."""
        self.sendPing()

    def gone(self, reason: str) -> None:
        """End the connection; nobody waits for the phone."""
        self._layer.counters[f"dropped: WebSocket: {reason}"] += 1
        if self._connection is not None:
            self._connection.lost(reason)
        self.abort()

    # From the library.

    def onConnect(self, request: ConnectionRequest) -> str:  # noqa: N802
        """The handshake is whole."""
        wrong = refusal(
            self._listener.websocket, request.path, request.protocols, request.origin or ""
        )
        if wrong is not None:
            raise ConnectionDeny(*wrong)
        return SUB_PROTOCOL

    def failHandshake(  # noqa: N802
        self,
        reason: str,
        code: int = 400,
        responseHeaders: Any = None,  # noqa: N803
    ) -> None:
        """The handshake is refused; nothing of it is repeated."""
        self._layer.counters[f"refused: WebSocket handshake, {code}"] += 1
        told = [*(responseHeaders or ()), ("Content-Length", "0"), ("Connection", "close")]
        if code == HTTPStatus.UPGRADE_REQUIRED:
            told.append(("Upgrade", "websocket"))
        WebSocketServerProtocol.sendHttpErrorResponse(self, code, HTTPStatus(code).phrase, told)
        self._end(reason)

    def _onOpen(self) -> None:  # noqa: N802
        """The WebSocket is open."""
        if self._heartbeat is not None:
            self._heartbeat.opened()

    def onFrameBegin(self) -> None:  # noqa: N802
        """The head of a frame has come."""
        self._frames += 1
        if self._frames > MOST_FRAMES:
            self._fail_connection(AGAINST_POLICY, "too many frames at once")
        else:
            super().onFrameBegin()

    def onMessageBegin(self, isBinary: bool) -> None:  # noqa: N802, N803
        """The first frame of a message begins."""
        self._fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:  # noqa: N802
        """A frame of a message begins."""
        self._fragments += 1
        if self._fragments > MOST_FRAGMENTS:
            self._fail_connection(AGAINST_POLICY, "too many frames of one message")
        else:
            super().onMessageFrameBegin(length)

    def onMessageEnd(self) -> None:  # noqa: N802
        """A message is whole, text or binary."""
        message, self.message_data = b"".join(self.message_data), []
        if self._connection is not None and not self.failedByMe:
            self._connection.data_received(message)

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> bool:  # noqa: N802, N803
        """The peer closes; it hears a Close in return."""
        self._end("closed by the peer")
        return True

    def _fail_connection(self, code: int = AGAINST_POLICY, reason: str = "") -> None:
        """The peer breaks RFC 6455, or sends too much."""
        self._layer.counters[f"dropped: WebSocket closed with {code}"] += 1
        self.failedByMe = True
        self._code = code
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self._connection is not None:
            self._connection.close(reason)
        else:
            self.close()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
