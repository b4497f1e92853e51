"""The transport layer: between bytes on flows and SIP messages (RFC 3261 section 18). Pure.

Bytes come from the ports of the listeners, real ones (``udp``, ``tcp``, ``tls``) or the loop
network's.
What cannot be parsed never rises: a request that can be answered is answered here, all else is
counted and dropped.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import count
from secrets import token_bytes, token_hex
from typing import NamedTuple, Protocol

import attrs

from softswitch.errors import TransportError
from softswitch.flow import SECURE, WEBSOCKETS, Flow, usual_port
from softswitch.journal import RECEIVED, SENT, Note
from softswitch.sip.compose import response, stateless_tag
from softswitch.sip.message import Message, Request
from softswitch.sip.parser import STREAM_LIMITS, Limits, MessageSyntaxError, parse
from softswitch.transport.connection import Connection, Stream
from softswitch.transport.door import Door, DoorSettings, Standing
from softswitch.transport.guests import Guests
from softswitch.transport.hosts import canonical_host, is_address
from softswitch.transport.large import LargeRequests
from softswitch.transport.listener import Facing, Listener, choose
from softswitch.transport.overload import Overload
from softswitch.transport.ports import DatagramPort, StreamPort
from softswitch.transport.refusal import Refusal
from softswitch.transport.tally import OTHER, new_tally
from softswitch.wheel import Clock

#: A door at which nobody is turned away.
_OPEN = DoorSettings(per_second=0, strangers_per_second=0, ban_score=0)
#: How many facings are kept; when it is full, all are forgotten.
KEPT = 4096
#: Seconds for which a facing is believed, since addresses of ours come and go.
BELIEVED = 10.0


class Destination(NamedTuple):
    """Where a request can be sent.

    :ivar transport: "UDP", "TCP", "TLS", "WS" or "WSS".
    :ivar host: address literal without brackets.
    :ivar name: what the certificate found there must bear: the host of the URI that led there
        (RFC 5922 7.2); "" where there is no certificate.
    """

    transport: str
    host: str
    port: int
    name: str = ""


class TransportUser(Protocol):
    """What the transport layer tells: the transaction layer."""

    def message_received(self, message: Message, flow: Flow) -> None:
        """A message has come whose mandatory fields can be read; its top Via is stamped."""

    def flow_failed(self, flow: Flow, reason: str) -> None:
        """A connection is gone or was never made; what was queued on it is lost."""


class TransportLayer:
    """Bytes to messages and back, and which flow leads to a peer.

    :ivar user: the transaction layer; assigned before anything arrives.
    :ivar listeners: with the ports that are really bound.
    :ivar counters: what was dropped, refused or lost -> how often.
    :ivar came: the messages that have come; ``left`` has those that were sent.
    :ivar limits: of datagrams.
    :ivar stream_limits: of messages on connections that are made from now on.
    :ivar on_closed: told of the flow of each connection that has ended, before ``user``.
    :ivar door: says who may come in; without one, everybody may.
    :ivar guests: what connections there may be, and those of strangers.
    :ivar overload: what the ports tell of the load.
    :ivar note: takes each message that comes or goes, as it is; None where nobody wants to look.
    :ivar refusal: what new requests get meanwhile, without being read.
    :ivar large: finds connections for what is too large for a datagram.
    :param broken: told of an exception that ``user`` let out, so that the next message is
        served; without it the exception goes on.
    """

    user: TransportUser

    def __init__(
        self,
        listeners: Iterable[Listener],
        limits: Limits,
        clock: Clock,
        stream_limits: Limits = STREAM_LIMITS,
        broken: Callable[[Exception], None] | None = None,
        door: Door | None = None,
    ) -> None:
        self.door = door or Door(clock, _OPEN)
        self.overload = Overload(clock.monotonic)
        self.note: Note | None = None
        self.refusal = Refusal(self, token_hex(6), clock.seconds)
        self.listeners = list(listeners)
        self.counters: Counter[str] = Counter()
        self.came = new_tally()
        self.left = new_tally()
        self.guests = Guests(self, self.door, self.counters, clock)
        self.large = LargeRequests(self)
        self.on_closed: list[Callable[[Flow], None]] = [self.large.closed]
        self.limits = limits
        self.stream_limits = stream_limits
        self._clock = clock
        self._broken = broken
        self._by_name = {listener.name: listener for listener in self.listeners}
        self._datagram_ports: dict[str, DatagramPort] = {}
        self._stream_ports: dict[str, StreamPort] = {}
        self._connections: dict[int, Connection] = {}
        self._by_peer: dict[Destination, Connection] = {}
        self._serials = count(1)
        self._facings: dict[tuple[str, str], Facing] = {}
        self._flows: dict[Destination, Flow] = {}
        self._our_hops: set[tuple[str, int | None]] = set()
        self._believed_until = 0.0
        self._secret = token_bytes(16)

    @property
    def clock(self) -> Clock:
        """On which the timers of its connections run."""
        return self._clock

    @property
    def connections(self) -> Collection[Connection]:
        """Those that stand or are being made."""
        return self._connections.values()

    # The world below.

    def attach(self, name: str, port: DatagramPort) -> None:
        """Give a UDP listener its bound port."""
        self._bound(name, port.local_port)
        self._datagram_ports[name] = port

    def attach_stream(self, name: str, port: StreamPort) -> None:
        """Give a listener for connections its bound port."""
        self._bound(name, port.local_port)
        self._stream_ports[name] = port

    def flow(self, name: str, remote_host: str, remote_port: int, serial: int = 0) -> Flow:
        """The flow between the listener ``name`` and a peer's address."""
        listener = self._by_name[name]
        local_host = listener.local_host(remote_host)
        return Flow(
            name,
            listener.transport,
            local_host,
            listener.port,
            remote_host,
            remote_port,
            serial,
        )

    def enter(self, data: bytes, name: str, host: str, port: int) -> tuple[Flow | None, bool]:
        """A datagram has come from an address that a port does not remember.

        :returns: its flow, None when it is to be dropped unread; and whether the port may remember
            the flow, so that it need not ask again.
        """
        standing = self.door.standing(host, port, data)
        if standing is Standing.TURNED_AWAY:
            return None, False
        return self.flow(name, host, port), standing is Standing.KNOWN

    def received(self, data: bytes, flow: Flow, stream: bool = False) -> None:
        """A datagram has come, or with ``stream`` a whole message on a connection.

        In a WebSocket's message nothing but its end has to say where the body ends (RFC 7118 5).
        """
        if not data[:4].strip(b"\r\n\0") and not data.strip(b"\r\n\0"):
            self.counters["keep-alive"] += 1
            return
        came, kind = self.came[flow.transport], data[:3]
        came[kind if kind in came else OTHER] += 1
        if self.overload.on and self.refusal.takes(data, flow):
            return
        if self.note is not None:
            self.note((self._clock.seconds(), RECEIVED, flow, data))
        try:
            limits = self.stream_limits if stream else self.limits
            counted = stream and flow.transport not in WEBSOCKETS
            message = parse(data, stream=counted, limits=limits)
            if isinstance(message, Request):
                message.stamp(flow.remote_host, flow.remote_port)
                if "oc" in message.top_via.params:
                    self.refusal.tell_load(message, flow)
            elif not self._sent_by_us(message):
                self.counters["dropped: response to another's request"] += 1
                return
        except MessageSyntaxError as error:
            self._refuse(error, flow)
            return
        try:
            self.user.message_received(message, flow)
        except Exception as error:
            if self._broken is None:
                raise
            self._broken(error)

    def accepted(
        self, name: str, stream: Stream, host: str, port: int, greets: bool = False
    ) -> Connection | None:
        """A peer has connected; None, and the stream is aborted, when he may not, or when there are
        too many.

        :param greets: whether a TLS handshake comes first.
        """
        if not self.guests.may_connect(host):
            stream.abort()
            return None
        connection = self._connection(name, host, port)
        connection.known = self.door.knows(host, port)
        if not connection.known:
            self.guests.add(connection)
        if greets:
            connection.greeting(stream)
        else:
            connection.accepted(stream)
        return connection

    def inner(self, name: str, stream: Stream) -> Connection:
        """A connection that does not leave the process: no door is in its way.

        :param name: of the listener through which its peer sees us.
        """
        host = "::1" if ":" in self._by_name[name].bind_host else "127.0.0.1"
        flow = self.flow(name, host, 0, next(self._serials))._replace(transport="TCP")
        patience = self.guests.settings.patience
        connection = Connection(flow, self, self.stream_limits, self._clock, "", patience)
        self._connections[flow.serial] = connection
        connection.accepted(stream)
        return connection

    def framed(self, data: bytes, flow: Flow) -> None:
        """A whole message, or a keep-alive, has come on a connection."""
        self.received(data, flow, stream=True)

    def unframed(self, error: MessageSyntaxError, flow: Flow) -> None:
        """A connection's bytes cannot be cut into messages any more; it will close."""
        self._refuse(error, flow)

    def connection_ended(self, connection: Connection, reason: str) -> None:
        """Forget a connection and tell everyone who may count on its flow."""
        flow = connection.flow
        del self._connections[flow.serial]
        peer = Destination(flow.transport, flow.remote_host, flow.remote_port, connection.wanted)
        if self._by_peer.get(peer) is connection:
            del self._by_peer[peer]
        for observer in self.on_closed:
            observer(flow)
        self.user.flow_failed(flow, reason)

    # The floor above.

    def send(self, data: bytes, flow: Flow, noted: bool = True) -> None:
        """Send a message on a flow; on a connection that does not stand yet it is queued.

        :param noted: whether ``note`` hears of it.
        :raises TransportError: when the flow has ended, the listener is unknown, or the message
            cannot leave. What is lost later is told by ``flow_failed``.
        """
        if noted and self.note is not None:
            self.note((self._clock.seconds(), SENT, flow, data))
        left, kind = self.left[flow.transport], data[:3]
        left[kind if kind in left else OTHER] += 1
        if flow.serial:
            connection = self._connections.get(flow.serial)
            if connection is None:
                raise TransportError("the connection has ended")
            if len(data) > self.stream_limits.max_message:
                # Its reader could but close the connection, on which others talk too.
                raise TransportError(f"{len(data)} bytes: too large for max_message_stream")
            connection.send(data)
            return
        port = self._datagram_ports.get(flow.listener)
        if port is None:
            raise TransportError(f"no listener named {flow.listener!r}")
        port.send(data, flow.remote_host, flow.remote_port)

    def flow_to(self, transport: str, host: str, port: int, name: str = "") -> Flow:
        """A flow to a peer, through the listener that faces it.

        A connection to the peer is used again, whoever opened it; over TLS only one that we have
        opened to that very name, since nobody else has proved to be it. Else one is opened.

        :param host: address literal without brackets.
        :param name: of TLS, what the certificate must bear; "" for the address.
        :raises TransportError: when no listener has this transport and address family.
        """
        if transport in SECURE:
            name = name or host
        destination = Destination(transport, host, port, name)
        if destination in self._flows and self._clock.monotonic() < self._believed_until:
            return self._flows[destination]
        if not is_address(host):
            raise TransportError("the host is a name that nobody has resolved")
        if transport != "UDP":
            connection = self._by_peer.get(destination)
            if connection is not None:
                self.door.called(host)
                return connection.flow
        listener = choose(self.listeners, transport, host)
        if listener is None:
            family = "IPv6" if ":" in host else "IPv4"
            raise TransportError(f"no listener serves {transport} over {family}")
        self.door.called(host)
        if transport == "UDP":
            flow = self._flows[destination] = self.flow(listener.name, host, port)
            return flow
        return self._connect(listener, host, port, name)

    def connection_on(self, flow: Flow) -> Connection | None:
        """The connection that a flow is; None for one that has ended, and over UDP."""
        return self._connections.get(flow.serial)

    def names_on(self, flow: Flow) -> frozenset[str]:
        """What the certificate of a flow's peer says that it is; nothing without a certificate."""
        connection = self._connections.get(flow.serial)
        return connection.names if connection is not None else frozenset()

    def facing(self, flow: Flow) -> Facing:
        """What the flow's peer sees of us."""
        now = self._clock.monotonic()
        if now >= self._believed_until or len(self._facings) + len(self._flows) >= KEPT:
            self._facings.clear()
            self._flows.clear()
            self._our_hops.clear()
            self._believed_until = now + BELIEVED
        key = flow.listener, flow.remote_host
        facing = self._facings.get(key)
        if facing is None:
            facing = self._facings[key] = self._listener(flow).facing(flow.remote_host)
        return facing

    def response_flow(self, request: Request, flow: Flow, force_rport: bool = False) -> Flow:
        """Where a response goes (RFC 3261 18.2.2, RFC 3581 section 4).

        Over UDP: to the source when the peer asked by ``rport`` or is known to need it, else
        to ``maddr`` or the source address, at the sent-by port. On a connection: back on it,
        or on a new one to the source address at the sent-by port. It always leaves through
        the listener on which the request came.

        :param flow: on which the request came.
        :param force_rport: behave as if the request had ``rport``, and no ``maddr``.
        :raises TransportError: when a connection is needed and its listener is gone.
        """
        if flow.serial in self._connections:
            return flow
        via = request.top_via
        if flow.reliable:
            at, name = via.port or usual_port(flow.transport), ""
            if flow.transport in SECURE:
                name = canonical_host(via.host)
            return self._connect(self._listener(flow), flow.remote_host, at, name)
        if force_rport:
            return flow
        port = via.port or 5060
        if via.params.get("maddr"):
            maddr = canonical_host(via.params["maddr"] or "")
            if is_address(maddr) and (":" in maddr) == (":" in flow.remote_host):
                return self.flow(flow.listener, maddr, port)
        if port == flow.remote_port or "rport" in via.params:
            return flow
        return flow._replace(remote_port=port)

    def is_alive(self, flow: Flow) -> bool:
        """Whether something can be sent on the flow."""
        if flow.serial:
            return flow.serial in self._connections
        return flow.listener in self._datagram_ports

    def stop(self) -> None:
        """Close every connection and port; the user hears of the flows that end."""
        for connection in list(self._connections.values()):
            connection.close("the switch stops")
        for port in (*self._datagram_ports.values(), *self._stream_ports.values()):
            port.close()
        self._datagram_ports.clear()
        self._stream_ports.clear()

    def _bound(self, name: str, port: int) -> None:
        listener = self._by_name[name]
        bound = self._by_name[name] = attrs.evolve(listener, port=port)
        self.listeners[self.listeners.index(listener)] = bound

    def _sent_by_us(self, message: Message) -> bool:
        """Whether a response's top Via is one that we put on (RFC 3261 18.1.2)."""
        via = message.top_via
        if (via.host, via.port) in self._our_hops:
            return True
        host = canonical_host(via.host)
        at = via.port or usual_port(via.transport)
        ours = any(listener.is_hop(host, at) for listener in self.listeners)
        if ours:
            self._our_hops.add((via.host, via.port))
        return ours

    def _refuse(self, error: MessageSyntaxError, flow: Flow) -> None:
        """Answer a request that is wrong, where that is possible; else count it."""
        self.door.malformed(flow)
        request = error.request
        if request is None:
            self.counters[f"dropped: {error.reason}"] += 1
            return
        request.stamp(flow.remote_host, flow.remote_port)
        tag = stateless_tag(request, self._secret)
        answer = response(request, error.status, error.reason, to_tag=tag)
        try:
            self.send(answer.encode(), self.response_flow(request, flow))
        except TransportError:
            self.counters[f"dropped: {error.reason}"] += 1
            return
        self.counters[f"refused: {error.status} {error.reason}"] += 1

    def _connect(self, listener: Listener, host: str, port: int, name: str) -> Flow:
        existing = self._by_peer.get(Destination(listener.transport, host, port, name))
        if existing is not None:
            return existing.flow
        if listener.transport in WEBSOCKETS:
            raise TransportError("a WebSocket is opened by the phone, never by us")
        stream_port = self._stream_ports.get(listener.name)
        if stream_port is None:
            raise TransportError(f"the listener {listener.name!r} is closed")
        connection = self._connection(listener.name, host, port, name)
        connection.opening(stream_port.connect(host, port, connection))
        return connection.flow

    def _connection(self, name: str, host: str, port: int, wanted: str = "") -> Connection:
        flow = self.flow(name, host, port, next(self._serials))
        connection = Connection(
            flow, self, self.stream_limits, self._clock, wanted, self.guests.settings.patience
        )
        self._connections[flow.serial] = connection
        self._by_peer[Destination(flow.transport, host, port, wanted)] = connection
        return connection

    def _listener(self, flow: Flow) -> Listener:
        listener = self._by_name.get(flow.listener)
        if listener is None:
            raise TransportError(f"no listener named {flow.listener!r}")
        return listener
