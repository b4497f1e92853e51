"""One TCP or TLS connection: connecting, framing, keep-alives, its end. Pure.

The bytes come and go through a ``Stream``, which is Twisted's or the loop network's. RFC 3261
18.3 and 18.4, RFC 5626 4.4.1 (CRLF keep-alive). A WebSocket is one, too, but brings its messages
whole (RFC 7118 5).
"""

from contextlib import suppress
from enum import StrEnum, auto
from typing import ClassVar, Protocol

import attrs

from softswitch.errors import TransportError
from softswitch.flow import WEBSOCKETS, Flow
from softswitch.machine import Machine, Table
from softswitch.sip.parser import KEEPALIVE, Framer, Limits, MessageSyntaxError, Ping
from softswitch.wheel import Clock, Timer

#: Seconds in which a connection that we open must stand.
CONNECT_SECONDS = 4.0
#: Seconds in which the peer must have taken what was written before a close.
CLOSE_SECONDS = 4.0
#: A keep-alive, and the answer to it.
PING = b"\r\n\r\n"
PONG = b"\r\n"


@attrs.frozen
class Patience:
    """How long we wait for the peer of a connection, and for how much.

    :ivar handshake_seconds: in which one that connected to us must have ended its TLS handshake.
    :ivar silent_seconds: in which it must have sent a whole message after that (64*T1).
    :ivar message_seconds: in which a message that has begun must be whole.
    :ivar max_unsent: bytes that may wait for a peer which does not read.
    """

    handshake_seconds: float = 10.0
    silent_seconds: float = 32.0
    message_seconds: float = 32.0
    max_unsent: int = 256 * 1024


class Stream(Protocol):
    """The bytes of one connection, of Twisted or the loop network.

    It reports to its ``Connection``, never from within a call that it was given.
    """

    def write(self, data: bytes) -> None:
        """Send ``data`` after what was written before."""

    def unsent(self) -> int:
        """About how many written bytes have not left yet."""

    def close(self) -> None:
        """End the connection when what was written has left."""

    def abort(self) -> None:
        """End the connection, or the attempt to connect, now."""


class Owner(Protocol):
    """The transport layer, as a connection sees it."""

    def framed(self, data: bytes, flow: Flow) -> None:
        """One whole message has come, or a keep-alive, which is weighed like one."""

    def unframed(self, error: MessageSyntaxError, flow: Flow) -> None:
        """The stream cannot be cut into messages from here on; answer if possible."""

    def connection_ended(self, connection: "Connection", reason: str) -> None:
        """The connection can no longer be used."""


class State(StrEnum):
    """Where a connection stands."""

    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Event(StrEnum):
    """What happens to a connection."""

    CONNECTED = auto()
    LOST = auto()
    CLOSE = auto()
    ABORT = auto()
    TIMED_OUT = auto()


class Connection(Machine):
    """One connection, whichever side opened it.

    :ivar flow: where it leads; the local port is the listener's also when we connected.
    :ivar wanted: name that the peer's certificate must bear where we connect over TLS; "" where the
        peer has connected.
    :ivar names: what the peer's certificate says that it is, once that is verified: names and
        address literals, in lower case; of a peer to which we have connected, the name alone that
        was wanted of it.
    :ivar owner: told what comes of it.
    :ivar known: whether its peer is: then keep-alives are enough of him, as of a trunk's spare
        connection; a stranger has to say something.
    :ivar heard: set when something whole has come; cleared by whoever looks for idle ones.
    :ivar quiet_since: that one's note of when it was heard last, seconds.
    """

    __slots__ = (
        "_allowed",
        "_clock",
        "_framer",
        "_patience",
        "_queue",
        "_silence",
        "_stream",
        "_timer",
        "flow",
        "heard",
        "known",
        "names",
        "owner",
        "quiet_since",
        "wanted",
    )

    TABLE: ClassVar[Table]

    def __init__(
        self,
        flow: Flow,
        owner: Owner,
        limits: Limits,
        clock: Clock,
        wanted: str = "",
        patience: Patience = Patience(),
    ) -> None:
        self.state = State.CONNECTING
        self.flow = flow
        self.wanted = wanted
        self.names: frozenset[str] = frozenset()
        self._allowed = CONNECT_SECONDS
        # Seconds in which a whole message must have come once the connection stands; 0 for ever.
        self._silence = 0.0
        self.owner = owner
        self.known = False
        self.heard = True
        self.quiet_since = 0.0
        self._clock = clock
        self._patience = patience
        self._framer: Framer | Whole = Whole() if flow.transport in WEBSOCKETS else Framer(limits)
        self._queue: list[bytes] = []
        self._stream: Stream | None = None
        self._timer: Timer | None = None

    def opening(self, stream: Stream) -> None:
        """We are connecting; ``connected`` or ``lost`` will follow, or the time-out."""
        self._stream = stream
        self._wait(CONNECT_SECONDS)

    def accepted(self, stream: Stream) -> None:
        """The peer has connected."""
        self._stream = stream
        self.state = State.OPEN
        self._wait(self._patience.silent_seconds)

    def greeting(self, stream: Stream) -> None:
        """The peer has connected and its TLS handshake begins; ``connected`` or ``lost`` will
        follow, or the time-out."""
        self._stream = stream
        self._silence = self._patience.silent_seconds
        self._allowed = self._patience.handshake_seconds
        self._wait(self._allowed)

    def connected(self) -> None:
        """The connection stands, with its TLS if it has any; what was queued is sent."""
        self.fire(Event.CONNECTED)

    def lost(self, reason: str) -> None:
        """The connection is gone, or was never made."""
        self.fire(Event.LOST, reason)

    def data_received(self, data: bytes) -> None:
        """Bytes have come; hand each whole message to the owner, answer pings (RFC 5626): once,
        however many have come together."""
        answered = False
        while self.alive:
            try:
                frames = self._framer.feed(data)
            except MessageSyntaxError as error:
                self.owner.unframed(error, self.flow)
                self.close(error.reason)
                return
            if not frames:
                if self._timer is None and self._framer.pending:
                    self._wait(self._patience.message_seconds)
                return
            self.heard = True
            if self.known or frames.count(KEEPALIVE) < len(frames):
                self._stop_waiting()
            for frame in frames:
                if frame is not KEEPALIVE:
                    self.owner.framed(frame, self.flow)
                elif self.alive:
                    self.owner.framed(PING, self.flow)
                    if self.alive and not answered:
                        answered = True
                        with suppress(TransportError):
                            self.send(PONG)
            data = b""  # What the framer kept back may hold a fault, which it tells only now.

    def send(self, data: bytes) -> None:
        """Send ``data``, or queue it until the connection stands.

        :raises TransportError: when the connection has ended or the peer does not read.
        """
        stream = self._stream
        if not self.alive or stream is None:
            raise TransportError(f"the connection to {_peer(self.flow)} has ended")
        waiting = sum(map(len, self._queue)) if self._queue else stream.unsent()
        if waiting + len(data) > self._patience.max_unsent:
            self._clock.callLater(0, self.fire, Event.ABORT, "the peer does not read")
            raise TransportError(f"{_peer(self.flow)} does not read")
        if self.state is State.OPEN:
            stream.write(data)
        else:
            self._queue.append(data)

    def close(self, reason: str) -> None:
        """Send what was written, then end; by force when the peer does not take it."""
        self.fire(Event.CLOSE, reason)

    def abort(self, reason: str) -> None:
        """End now, whatever was still to be sent."""
        self.fire(Event.ABORT, reason)

    @property
    def alive(self) -> bool:
        """Whether something can still be sent, if only into the queue."""
        return self.state is State.OPEN or self.state is State.CONNECTING

    def _flush(self) -> None:
        assert self._stream is not None
        self._stop_waiting()
        if self._silence:
            self._wait(self._silence)
        for data in self._queue:
            self._stream.write(data)
        self._queue.clear()

    def _end(self, reason: str) -> None:
        self._stop_waiting()
        self._queue.clear()
        self.owner.connection_ended(self, reason)

    def _abort(self, reason: str) -> None:
        assert self._stream is not None
        self._stream.abort()
        self._end(reason)

    def _give_up(self) -> None:
        self._abort(f"no connection within {self._allowed:g} s")

    def _close(self, reason: str) -> None:
        assert self._stream is not None
        self._stream.close()
        self._end(reason)
        self._wait(CLOSE_SECONDS)

    def _close_late(self) -> None:
        if self._framer.pending:
            self._close(f"no whole message within {self._patience.message_seconds:g} s")
        else:
            self._close(f"silent for {self._patience.silent_seconds:g} s")

    def _force(self, reason: str = "") -> None:
        assert self._stream is not None
        self._stop_waiting()
        self._stream.abort()

    def _gone(self, reason: str) -> None:
        self._stop_waiting()

    def _wait(self, seconds: float) -> None:
        self._timer = self._clock.callLater(seconds, self.fire, Event.TIMED_OUT)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Whole:
    """Takes what comes as messages that are whole already, each a message or a keep-alive.

    How large one may be is a matter of who reads it from the wire.
    """

    __slots__ = ()

    @property
    def pending(self) -> bool:
        """Nothing is kept back."""
        return False

    def feed(self, data: bytes) -> list[bytes | Ping]:
        """What a ``Framer`` would tell of it."""
        if data.strip(b"\r\n"):
            return [data]
        return [KEEPALIVE] if data == PING else []


def _peer(flow: Flow) -> str:
    host = f"[{flow.remote_host}]" if ":" in flow.remote_host else flow.remote_host
    return f"{host}:{flow.remote_port}"


Connection.TABLE = {
    (State.CONNECTING, Event.CONNECTED): (State.OPEN, Connection._flush),
    (State.CONNECTING, Event.TIMED_OUT): (State.CLOSED, Connection._give_up),
    (State.CONNECTING, Event.LOST): (State.CLOSED, Connection._end),
    (State.CONNECTING, Event.CLOSE): (State.CLOSED, Connection._abort),
    (State.CONNECTING, Event.ABORT): (State.CLOSED, Connection._abort),
    (State.OPEN, Event.TIMED_OUT): (State.CLOSING, Connection._close_late),
    (State.OPEN, Event.LOST): (State.CLOSED, Connection._end),
    (State.OPEN, Event.CLOSE): (State.CLOSING, Connection._close),
    (State.OPEN, Event.ABORT): (State.CLOSED, Connection._abort),
    (State.CLOSING, Event.TIMED_OUT): (State.CLOSED, Connection._force),
    (State.CLOSING, Event.ABORT): (State.CLOSED, Connection._force),
    (State.CLOSING, Event.CLOSE): (State.CLOSING, None),
    (State.CLOSING, Event.LOST): (State.CLOSED, Connection._gone),
    (State.CLOSED, Event.CLOSE): (State.CLOSED, None),
    (State.CLOSED, Event.ABORT): (State.CLOSED, None),
    (State.CLOSED, Event.LOST): (State.CLOSED, None),
}
