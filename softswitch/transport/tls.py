"""A TLS listener on the reactor: the connections of ``tcp``, with Twisted's TLS in between.

Framing, queues and time-outs are ``connection``'s, as there; which certificate we show, and whom we
believe, is said by ``certificates``. Nothing of SIP is read or sent before the handshake has ended,
and before whoever we have connected to has shown who it is (RFC 5922 7).
"""

from collections.abc import Callable
from typing import Any, cast

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.transport import identities
from softswitch.transport.certificates import (
    Certificates,
    Client,
    Server,
    said,
    why_mistrusted,
)
from softswitch.transport.connection import Connection
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.tcp import Accepting, Connecting, TcpPort, TcpStream, watch

_log = Logger()


class TlsPort(TcpPort):
    """The socket of a TLS listener.

    :param certificates: tells those that hold now; asked for each connection.
    :raises TransportError: when the address is taken or not ours.
    """

    def __init__(
        self,
        layer: TransportLayer,
        listener: Listener,
        reactor: object,
        certificates: Callable[[], Certificates],
    ) -> None:
        self.certificates = certificates
        super().__init__(layer, listener, reactor)

    def _stream(self, connection: Connection) -> TcpStream:
        client = self.certificates().client(connection.wanted)
        return TlsStream(self._layer, self._listener.name, connection, client)

    def _accepting(self) -> ServerFactory:
        name = self._listener.name
        plain = Accepting(lambda: TlsStream(self._layer, name))
        shown = Shown(lambda: self.certificates().servers[name])
        return cast(ServerFactory, TLSMemoryBIOFactory(shown, False, plain, self._clock))

    def _connecting(self, stream: TcpStream) -> ClientFactory:
        assert isinstance(stream, TlsStream)
        assert stream.connection is not None
        assert stream.client is not None
        asked = _Asked(stream.client, stream.connection.wanted)
        factory = TLSMemoryBIOFactory(asked, True, Connecting(stream), self._clock)
        return cast(ClientFactory, factory)

    @property
    def _clock(self) -> Any:
        return self._reactor


@implementer(IHandshakeListener)
class TlsStream(TcpStream):
    """One connection's bytes, within TLS.

    :ivar client: whom we believe where we connect; None where a peer has connected.
    :param name: of the listener.
    :param connection: that we open; None where a peer has connected.
    """

    def __init__(
        self,
        layer: TransportLayer,
        name: str,
        connection: Connection | None = None,
        client: Client | None = None,
    ) -> None:
        super().__init__(layer, connection)
        self.client = client
        self._name = name
        self._greeted = False

    def connectionMade(self) -> None:
        """The connection below stands; the handshake begins."""
        transport: Any = self.transport
        watch(transport.transport)
        transport.registerProducer(self, True)
        if self.connector is None:
            peer = transport.getPeer()
            self.connection = self._layer.accepted(
                self._name, self, peer.host, peer.port, greets=True
            )

    def handshakeCompleted(self) -> None:  # noqa: N802
        """The peer has proved what its certificate says; see whether that is what we want."""
        connection = self.connection
        if connection is None:
            return
        certificate = self._peers_certificate()
        if self.client is None:
            shown = identities.names(certificate) if certificate is not None else frozenset()
            connection.names = shown
        else:
            wrong = self.client.mistrusts(certificate, connection.wanted)
            if wrong:
                self._fail(connection, wrong)
                return
            connection.names = frozenset((connection.wanted,))
        self._greeted = True
        connection.connected()

    def connectionLost(self, reason: Failure = Failure(Exception("closed"))) -> None:  # noqa: B008
        """The connection is gone."""
        if not self._greeted and self.connection is not None and self.connection.alive:
            self._fail(self.connection, self.why(reason))
        super().connectionLost(reason)

    def why(self, reason: Failure) -> str:
        """What ended the connection, in words."""
        handle: SSL.Connection | None = cast(Any, self.transport).getHandle()
        mistrust = "" if handle is None else why_mistrusted(handle)
        if mistrust:
            return f"its certificate {mistrust}"
        error = reason.value
        return said(error) if isinstance(error, SSL.Error) else super().why(reason)

    def _below(self) -> Any:
        return cast(Any, self.transport).transport

    def _measure(self, size: int) -> None:
        """A record says nothing of what is in the socket: late timers have to tell."""

    def _fail(self, connection: Connection, why: str) -> None:
        """There will be no connection, because of what TLS has brought to light."""
        flow = connection.flow
        self._layer.counters["TLS: handshake failed"] += 1
        if connection.wanted:
            _log.warn(
                "no TLS to {name} at {host} port {port}: {why}",
                name=connection.wanted,
                host=flow.remote_host,
                port=flow.remote_port,
                why=why,
            )
        connection.lost(f"TLS: {why}")
        self.abort()

    def _peers_certificate(self) -> x509.Certificate | None:
        handle: SSL.Connection = cast(Any, self.transport).getHandle()
        return handle.get_peer_certificate(as_cryptography=True)


@implementer(IOpenSSLServerConnectionCreator)
class Shown:
    """What a listener shows to those who connect, for Twisted.

    :param server: tells what holds now.
    """

    def __init__(self, server: Callable[[], Server]) -> None:
        self._server = server

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """For one connection."""
        return self._server().connection()


@implementer(IOpenSSLClientConnectionCreator)
class _Asked:
    """What we want to be shown by whom we connect to."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """For one connection."""
        return self._client.connection(self._name)
