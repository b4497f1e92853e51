"""The ports of a switch: one for each listener, by what it speaks."""

from typing import Any

from softswitch.errors import ConfigError, TransportError
from softswitch.flow import WEBSOCKETS
from softswitch.ops.showing import Showing
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.tcp import TcpPort
from softswitch.transport.tls import TlsPort
from softswitch.transport.udp import UdpPort


def open_ports(transport: TransportLayer, showing: Showing, file: str, reactor: Any) -> None:
    """Have the listeners of a transport layer listen.

    :param showing: the certificates that those with TLS show.
    :param file: the configuration, for what is said about it.
    :raises ConfigError: a port is taken.
    """
    for index, listener in enumerate(list(transport.listeners)):
        try:
            _open_port(transport, listener, showing, reactor)
        except TransportError as error:
            raise ConfigError(f"{file}: listen[{index}].port", str(error)) from error


def _open_port(
    transport: TransportLayer, listener: Listener, showing: Showing, reactor: Any
) -> None:
    """
    :raises TransportError: it is taken.
    """
    if listener.transport == "UDP":
        UdpPort(transport, listener, reactor)
    elif listener.transport in WEBSOCKETS:
        # Its library takes 7 MB: only who serves WebSockets is to have them.
        from softswitch.transport.websocket import SecureWebSocketPort, WebSocketPort

        if listener.transport == "WS":
            WebSocketPort(transport, listener, reactor)
        else:
            SecureWebSocketPort(transport, listener, reactor, showing.now)
    elif listener.transport == "TLS":
        TlsPort(transport, listener, reactor, showing.now)
    else:
        TcpPort(transport, listener, reactor)
