"""The bound sockets of listeners, as the transport layer sees them: real ones (``udp``, ``tcp``,
``tls``, ``websocket``), the loop network's, or those that lead nowhere. Pure."""

from typing import Protocol

from softswitch.transport.connection import Connection, Stream


class Port(Protocol):
    """The bound socket of a listener."""

    @property
    def local_port(self) -> int:
        """The port that is really bound."""

    def close(self) -> None:
        """Let the port go."""


class DatagramPort(Port, Protocol):
    """A port that sends datagrams."""

    def send(self, data: bytes, remote_host: str, remote_port: int) -> None:
        """Send one datagram.

        :raises TransportError: when it is too large or no route leads there.
        """


class StreamPort(Port, Protocol):
    """A port that accepts connections, and opens them from the same address."""

    def connect(self, remote_host: str, remote_port: int, connection: Connection) -> Stream:
        """Begin to connect; ``connection`` hears later how it went. A port of TLS sees that whoever
        answers there is who is ``wanted`` of the connection, before it says that it stands."""
