"""A network within one process: switches and test phones on it, under a clock. Pure.

Datagrams are delayed, lost, doubled and reordered by a seeded chance; connections carry bytes
in order, if need be in pieces of any size. Everything that was sent stands in ``log``, from
which ``ladder`` draws a picture.
"""

from collections.abc import Callable
from itertools import count, pairwise
from random import Random
from typing import NamedTuple

from softswitch.errors import TransportError
from softswitch.flow import WEBSOCKETS
from softswitch.sip.parser import Framer
from softswitch.testing.ladder import Address, Carried
from softswitch.testing.stream import Accept, LoopStream, Told
from softswitch.transport.connection import Connection, Whole
from softswitch.transport.layer import TransportLayer
from softswitch.wheel import Clock, Timer

Receive = Callable[[bytes, Address], None]

#: Seconds by which a datagram is held back so that later ones overtake it.
HELD_BACK = 0.1
#: Payload of the largest UDP datagram, bytes.
MAX_DATAGRAM = 65507


class LoopNetwork:
    """Carries datagrams and connections between whoever is attached to it.

    :ivar log: all that was sent, in order.
    :ivar certificates: host -> the names in the certificate that it shows over TLS. Nothing is
        encrypted here, and everybody is believed.
    :ivar silent: hosts that are dead: what is sent to them vanishes, connections to them are
        never made.
    :ivar filtered: addresses with a port at which nobody says anything to whoever connects, as
        behind a firewall, though datagrams get there.
    :param delay: seconds that everything takes.
    :param jitter: a datagram takes up to this many seconds more.
    :param loss: chance that a datagram is lost, 0 to 1.
    :param duplicate: chance that it arrives twice.
    :param reorder: chance that it is held back for a tenth of a second.
    :param split: cut what connections carry into pieces of random size.
    """

    def __init__(
        self,
        clock: Clock,
        seed: int = 0,
        delay: float = 0.0,
        jitter: float = 0.0,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        split: bool = False,
    ) -> None:
        self.clock = clock
        self.delay = delay
        self.jitter = jitter
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder
        self.split = split
        self.random = Random(seed)
        self.log: list[Carried] = []
        self.certificates: dict[str, frozenset[str]] = {}
        self.silent: set[str] = set()
        self.filtered: set[Address] = set()
        self._datagrams: dict[Address, Receive] = {}
        self._streams: dict[Address, Accept] = {}
        self._ephemeral = count(49152)

    def join(self, layer: TransportLayer) -> None:
        """Bind every listener of a transport layer."""
        for listener in list(layer.listeners):
            address = listener.bind_host, listener.port or next(self._ephemeral)
            if listener.transport == "UDP":
                layer.attach(listener.name, LoopDatagramPort(self, address, layer, listener.name))
            else:
                port = LoopStreamPort(self, address, layer, listener.name)
                layer.attach_stream(listener.name, port)

    def attach(
        self, host: str, port: int, transport: str = "UDP", receive: Receive | None = None
    ) -> "Endpoint":
        """Bind an address for a test phone.

        :param transport: "UDP", "TCP", "TLS", "WS" or "WSS"; a handshake is left out.
        :param receive: told (bytes, source address) of what comes, beside the log of it.
        """
        return Endpoint(self, (host, port or next(self._ephemeral)), transport, receive)

    def bind(self, address: Address, receive: Receive) -> None:
        """Deliver datagrams for ``address`` to ``receive``.

        :raises TransportError: when the address is taken.
        """
        if address in self._datagrams:
            raise TransportError(f"{address[0]}:{address[1]} is taken")
        self._datagrams[address] = receive

    def listen(self, address: Address, accept: Accept) -> None:
        """Hand connections to ``address`` over to ``accept``.

        :raises TransportError: when the address is taken.
        """
        if address in self._streams:
            raise TransportError(f"{address[0]}:{address[1]} is taken")
        self._streams[address] = accept

    def unbind(self, transport: str, address: Address) -> None:
        """Nobody is at ``address`` any more."""
        if transport == "UDP":
            self._datagrams.pop(address, None)
        else:
            self._streams.pop(address, None)

    def carry(self, data: bytes, source: Address, to: Address) -> None:
        """Take one datagram and deliver it, or not."""
        fate = "delivered"
        if to[0] in self.silent or source[0] in self.silent:
            fate = "nobody"
        elif self._happens(self.loss):
            fate = "lost"
        elif to not in self._datagrams:
            fate = "nobody"
        elif self._happens(self.duplicate):
            fate = "duplicated"
        self.log.append(Carried(self.clock.seconds(), "UDP", source, to, data, fate))
        for _ in range({"delivered": 1, "duplicated": 2}.get(fate, 0)):
            delay = self.delay
            if self.jitter:
                delay += self.random.uniform(0, self.jitter)
            if self._happens(self.reorder):
                delay += HELD_BACK
            self.clock.callLater(delay, self._deliver, data, source, to)

    def open(self, host: str, to: Address, told: Told, transport: str = "TCP") -> LoopStream:
        """Begin to connect from ``host``; ``told`` hears later whether there is a connection."""
        near = LoopStream(self, (host, next(self._ephemeral)), to, transport)
        near.told = told
        self.later(self.delay, self._connect, near)
        return near

    def later(self, delay: float, function: Callable[..., object], *args: object) -> Timer:
        """Call ``function(*args)`` in ``delay`` seconds."""
        return self.clock.callLater(delay, function, *args)

    def pieces(self, data: bytes) -> list[bytes]:
        """The pieces in which a connection delivers ``data``."""
        if not self.split or len(data) < 2:
            return [data]
        cuts = sorted(self.random.sample(range(1, len(data)), min(3, len(data) - 1)))
        return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]

    def note(self, transport: str, source: Address, to: Address, data: bytes) -> None:
        """Put what was written on a connection into the log."""
        self.log.append(Carried(self.clock.seconds(), transport, source, to, data))

    def _connect(self, near: LoopStream) -> None:
        if near.ended or near.remote[0] in self.silent or near.remote in self.filtered:
            return
        accept = self._streams.get(near.remote)
        if accept is None:
            near.end("connection refused")
            return
        far = LoopStream(self, near.remote, near.local, near.transport)
        near.other, far.other = far, near
        far.told = accept(far, near.local)
        if near.told is not None:
            near.told.connected()

    def _deliver(self, data: bytes, source: Address, to: Address) -> None:
        receive = self._datagrams.get(to)
        if receive is not None and to[0] not in self.silent:
            receive(data, source)

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance


class LoopDatagramPort:
    """The loop network's side of a UDP listener.

    :ivar local_port: the port that is bound.
    """

    def __init__(
        self, network: LoopNetwork, address: Address, layer: TransportLayer, name: str
    ) -> None:
        self.local_port = address[1]
        self._network = network
        self._address = address
        self._layer = layer
        self._name = name
        network.bind(address, self._receive)

    def send(self, data: bytes, remote_host: str, remote_port: int) -> None:
        """Send one datagram.

        :raises TransportError: when it is too large.
        """
        if len(data) > MAX_DATAGRAM:
            raise TransportError("too large for a datagram")
        self._network.carry(data, self._address, (remote_host, remote_port))

    def close(self) -> None:
        """Let the port go."""
        self._network.unbind("UDP", self._address)

    def _receive(self, data: bytes, source: Address) -> None:
        flow, _ = self._layer.enter(data, self._name, *source)
        if flow is not None:
            self._layer.received(data, flow)


class LoopStreamPort:
    """The loop network's side of a TCP or TLS listener.

    :ivar local_port: the port that is bound.
    """

    def __init__(
        self, network: LoopNetwork, address: Address, layer: TransportLayer, name: str
    ) -> None:
        self.local_port = address[1]
        self._network = network
        self._address = address
        self._layer = layer
        self._name = name
        network.listen(address, self._accept)

    def connect(self, remote_host: str, remote_port: int, connection: Connection) -> LoopStream:
        """Begin to connect; ``connection`` hears later how it went."""
        if connection.wanted:
            connection.names = frozenset((connection.wanted,))
        return self._network.open(self._address[0], (remote_host, remote_port), connection)

    def close(self) -> None:
        """Let the port go."""
        self._network.unbind("TCP", self._address)

    def _accept(self, stream: LoopStream, source: Address) -> Connection | None:
        connection = self._layer.accepted(self._name, stream, *source)
        if connection is not None and connection.flow.secure:
            connection.names = self._network.certificates.get(source[0], frozenset())
        return connection


class Received(NamedTuple):
    """What came to a test phone: a datagram, or a whole message of a connection.

    :ivar at: second of its arrival.
    :ivar data: as on the wire.
    :ivar source: whence.
    """

    at: float
    data: bytes
    source: Address


class Endpoint:
    """An address of a test phone, which speaks in bytes.

    :ivar address: host and port.
    :ivar received: what has come, in order.
    """

    def __init__(
        self, network: LoopNetwork, address: Address, transport: str, receive: Receive | None
    ) -> None:
        self.address = address
        self.received: list[Received] = []
        self._lines: dict[Address, _Line] = {}
        self._network = network
        self._transport = transport
        self._receive = receive
        if transport == "UDP":
            network.bind(address, self.take)
        else:
            network.listen(address, self._accept)

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram, or bytes on the connection with ``to``, which is opened if need be."""
        if self._transport == "UDP":
            self._network.carry(data, self.address, to)
            return
        line = self._lines.get(to)
        if line is None:
            line = self._lines[to] = _Line(self, to, self._transport)
            line.stream = self._network.open(self.address[0], to, line, self._transport)
        line.send(data)

    def stream(self, to: Address) -> LoopStream:
        """The connection with ``to``, so that a test can close it or stop to read."""
        stream = self._lines[to].stream
        assert stream is not None
        return stream

    @property
    def peers(self) -> list[Address]:
        """The other ends of the connections that stand or are being made."""
        return list(self._lines)

    def close(self) -> None:
        """Leave the network; connections end."""
        for to in self.peers:
            self.stream(to).close()
        self._network.unbind(self._transport, self.address)

    def forget(self, to: Address) -> None:
        """The connection with ``to`` is no more."""
        self._lines.pop(to, None)

    def _accept(self, stream: LoopStream, source: Address) -> Told:
        line = self._lines[source] = _Line(self, source, self._transport, stream)
        return line

    def take(self, data: bytes, source: Address) -> None:
        """Note what has come, and tell who wanted to know."""
        self.received.append(Received(self._network.clock.seconds(), data, source))
        if self._receive is not None:
            self._receive(data, source)


class _Line:
    """A test phone's side of a connection: whole messages, and a queue until it stands."""

    def __init__(
        self,
        endpoint: Endpoint,
        peer: Address,
        transport: str,
        stream: LoopStream | None = None,
    ) -> None:
        self.stream = stream
        self._endpoint = endpoint
        self._peer = peer
        self._framer = Whole() if transport in WEBSOCKETS else Framer()
        self._queue: list[bytes] = []

    def send(self, data: bytes) -> None:
        assert self.stream is not None
        if self.stream.other is None:
            self._queue.append(data)
        else:
            self.stream.write(data)

    def connected(self) -> None:
        assert self.stream is not None
        for data in self._queue:
            self.stream.write(data)

    def data_received(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            if isinstance(frame, bytes):
                self._endpoint.take(frame, self._peer)

    def lost(self, reason: str) -> None:
        self._endpoint.forget(self._peer)
