"""What the four transactions share: their events, their timers and their end. Pure.

RFC 3261 section 17. A transaction does its own work first (state, timers, what it sends) and
tells its user last, so that the user may call back into it, or into the layer, from there.
"""

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar

from softswitch.flow import Flow
from softswitch.journal import TIMER, Note
from softswitch.machine import Machine
from softswitch.scope import Scope
from softswitch.sip.message import Message, Request, Response
from softswitch.transaction.timers import Timers
from softswitch.transport.listener import Facing
from softswitch.wheel import Clock, Timer

if TYPE_CHECKING:
    from softswitch.transaction.client import ClientTransaction
    from softswitch.transaction.server import ServerTransaction


_M = TypeVar("_M", bound=Message)


class Event(StrEnum):
    """All that can happen to a transaction; which state knows what stands in the tables."""

    REQUEST = "request again"
    ACK = "ACK"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    REFUSAL = "300-699"
    FINAL = "200-699"
    CANCEL = "cancel"
    RESEND = "resend"
    TRANSPORT_ERROR = "transport error"
    TRYING = "200 ms of silence"
    UNANSWERED = "64*T1 after CANCEL"
    TIMER_A = "timer A"
    TIMER_B = "timer B"
    TIMER_D = "timer D"
    TIMER_E = "timer E"
    TIMER_F = "timer F"
    TIMER_G = "timer G"
    TIMER_H = "timer H"
    TIMER_I = "timer I"
    TIMER_J = "timer J"
    TIMER_K = "timer K"
    TIMER_L = "timer L"
    TIMER_M = "timer M"


class Repeat(NamedTuple):
    """A message that has come, or was sent, once more.

    :ivar method: "response" for what was sent again, "other" for a method that is not known.
    """

    direction: Literal["received", "sent"]
    method: str
    transport: str


class Transport(Protocol):
    """The part of the transport layer that transactions use."""

    @property
    def large(self) -> "Large":
        """Finds connections for requests that are too large for a datagram."""

    def send(self, data: bytes, flow: Flow, noted: bool = True) -> None:
        """
        :param noted: whether what is recorded of calls has it.
        :raises TransportError: when the message cannot leave on that flow.
        """

    def facing(self, flow: Flow) -> Facing:
        """What the flow's peer sees of us; for the sent-by of a Via."""

    def response_flow(self, request: Request, flow: Flow, force_rport: bool = False) -> Flow:
        """Where a response goes; a new connection when the request's has ended.

        :raises TransportError: when there is no way.
        """


class Large(Protocol):
    """Finds connections for requests that are too large for a datagram."""

    def flow(self, narrow: Flow) -> Flow | None:
        """A connection to where a UDP flow leads; None where there is no use in trying."""

    def standing(self, narrow: Flow) -> Flow | None:
        """The one that has taken such requests and stands."""

    def failed(self, peer: tuple[str, int]) -> None:
        """Nothing comes of TCP to that address and port."""


class Home(Protocol):
    """What a transaction needs of the layer that keeps it."""

    clock: Clock
    timers: Timers
    transport: Transport
    repeats: Counter[Repeat]
    note: Note | None

    def veiled(self, message: _M, flow: Flow) -> _M:
        """A message as the peer on a flow may see it."""

    def begin(self, transaction: "ClientTransaction") -> None:
        """Keep a client transaction and start it."""

    def forget_client(self, transaction: "ClientTransaction") -> None:
        """It has ended: no response matches it any more."""

    def forget_server(self, transaction: "ServerTransaction") -> None:
        """It has ended: no request matches it any more."""

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A response is for the core, not for the transaction that it matches."""

    def ack_received(self, request: Request, flow: Flow) -> None:
        """An ACK is for the core, not for the transaction that it matches."""


class Transaction(Machine):
    """A request and its responses, seen from one side.

    :ivar key: under which the layer keeps it.
    :ivar flow: on which the request went or came.
    :ivar scope: of the leg that it belongs to, if any.
    :ivar failure: timer that tells of a failed sending after the caller has returned.
    """

    __slots__ = ("_home", "failure", "flow", "key", "scope")

    _data: bytes

    #: Names of the attributes that hold a timer.
    TIMERS: ClassVar[tuple[str, ...]] = ("failure",)

    def __init__(self, home: Home, key: str, flow: Flow) -> None:
        self._home = home
        self.key = key
        self.flow = flow
        self.scope: Scope | None = None
        self.failure: Timer | None = None

    @property
    def terminated(self) -> bool:
        """Whether it has ended and the layer has forgotten it."""
        return self.state == "Terminated"

    def leftovers(self) -> list[str]:
        """Names of the timers that are set; none once it has terminated."""
        return [name for name in self.TIMERS if getattr(self, name) is not None]

    def _start_timer(self, delay: float, event: Event) -> Timer:
        """Let ``event`` happen in ``delay`` seconds.

        Whoever handles it sets the timer anew or clears its attribute.
        """
        return self._home.clock.callLater(delay, self.fire, event)

    def _stop_timers(self) -> None:
        self._stop(*self.TIMERS)

    def _stop(self, *names: str) -> None:
        for name in names:
            timer = getattr(self, name)
            if timer is not None:
                timer.cancel()
                setattr(self, name, None)

    def flow_failed(self, flow: Flow, reason: str) -> None:
        """A connection is gone, perhaps the one that this transaction counts on."""
        raise NotImplementedError

    def _fail_soon(self, reason: str) -> None:
        """Sending has failed: an event of its own, for whoever made us send is not done yet."""
        if self.failure is None:
            self.failure = self._home.clock.callLater(0, self._failed, reason)

    def _failed(self, reason: str) -> None:
        self.failure = None
        self._noted(f"not delivered: {reason}")
        self.fire(Event.TRANSPORT_ERROR, reason)

    def _noted(self, timer: str) -> None:
        """Note for whoever looks at the call later that a timer has fired."""
        if self._home.note is not None:
            self._home.note((self._home.clock.seconds(), TIMER, timer, self._about()))

    def _about(self) -> bytes | str:
        """Whose a note is: a message, or a Call-ID."""
        return self._data

    def _leave(self) -> None:
        """Leave the layer's tables; no timer may be set any more."""
        raise NotImplementedError

    def _end(self, *_: Any) -> None:
        """Terminated: nothing is left, neither here nor in the layer, nor in the scope."""
        self._leave()
        self._release()

    def _release(self) -> None:
        if self.scope is not None:
            self.scope.release(self)
