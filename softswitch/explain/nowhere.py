"""A network that leads nowhere: ports that only note what is sent through them. Pure.

Whatever is sent can be answered as if it had arrived somewhere. Connections stand at once.
"""

from collections.abc import Callable, Iterable
from functools import partial

import attrs

from softswitch.flow import Flow
from softswitch.transport.connection import Connection
from softswitch.transport.layer import TransportLayer
from softswitch.wheel import Clock


@attrs.frozen
class Sent:
    """A message that the switch has sent.

    :ivar flow: where it went.
    :ivar data: as on the wire.
    :ivar reply: takes what its receiver sends back, a whole message.
    """

    flow: Flow
    data: bytes
    reply: Callable[[bytes], None]


class Nowhere:
    """The ports of a transport layer.

    :ivar sent: all that the switch has sent, in order.
    """

    def __init__(self, layer: TransportLayer, clock: Clock) -> None:
        self.sent: list[Sent] = []
        self.clock = clock
        self.layer = layer
        self._connections: dict[Flow, Connection] = {}
        for listener in list(layer.listeners):
            # A port of 0 is the kernel's choice, which nobody knows beforehand.
            port = listener.port or 5060
            if listener.transport == "UDP":
                layer.attach(listener.name, _DatagramPort(self, listener.name, port))
            else:
                layer.attach_stream(listener.name, _StreamPort(self, port))

    def arrive(
        self, data: bytes, listener: str, host: str, port: int, names: Iterable[str] = ()
    ) -> None:
        """Have a message come to a listener from an address, on a new connection if need be.

        :param names: in the certificate that its sender shows.
        """
        flow = self.flow_from(listener, host, port)
        if flow.serial:
            connection = self._connections[flow]
            connection.names = frozenset(names)
            connection.data_received(data)
        else:
            self.layer.received(data, flow)

    def flow_from(self, listener: str, host: str, port: int) -> Flow:
        """The flow on which what comes from an address would come: over TCP, a connection that it
        has opened just now."""
        flow = self.layer.flow(listener, host, port)
        if flow.transport == "UDP":
            return flow
        stream = _Stream(self)
        connection = self.layer.accepted(listener, stream, host, port)
        assert connection is not None, "there is room for one connection"
        stream.connection = connection
        self._connections[connection.flow] = connection
        return connection.flow

    def note(self, flow: Flow, data: bytes, reply: Callable[[bytes], None]) -> None:
        """Something was sent."""
        self.sent.append(Sent(flow, data, reply))


class _DatagramPort:
    """A UDP port: see ``transport.layer.DatagramPort``."""

    def __init__(self, nowhere: Nowhere, listener: str, port: int) -> None:
        self.local_port = port
        self._nowhere = nowhere
        self._listener = listener

    def send(self, data: bytes, remote_host: str, remote_port: int) -> None:
        layer = self._nowhere.layer
        flow = layer.flow(self._listener, remote_host, remote_port)
        self._nowhere.note(flow, data, partial(layer.received, flow=flow))

    def close(self) -> None:
        """Nothing is held."""


class _StreamPort:
    """A TCP port: see ``transport.layer.StreamPort``."""

    def __init__(self, nowhere: Nowhere, port: int) -> None:
        self.local_port = port
        self._nowhere = nowhere

    def connect(self, remote_host: str, remote_port: int, connection: Connection) -> "_Stream":
        """A connection that stands at once, or as good as at once."""
        stream = _Stream(self._nowhere)
        stream.connection = connection
        self._nowhere.clock.callLater(0.0, connection.connected)
        return stream

    def close(self) -> None:
        """Nothing is held."""


class _Stream:
    """Our end of a connection: see ``transport.connection.Stream``."""

    connection: Connection

    def __init__(self, nowhere: Nowhere) -> None:
        self._nowhere = nowhere

    def write(self, data: bytes) -> None:
        """Note what is sent."""
        connection = self.connection
        self._nowhere.note(connection.flow, data, connection.data_received)

    def unsent(self) -> int:
        """Everything is taken at once."""
        return 0

    def close(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""
