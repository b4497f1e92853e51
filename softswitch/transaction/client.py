"""The client side: what both kinds share, and requests other than INVITE. Pure.

RFC 3261 17.1.2, figure 6.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.scope import Scope
from softswitch.sip.message import Request, Response
from softswitch.sip.names import METHODS
from softswitch.transaction.transaction import Event, Home, Repeat, Transaction
from softswitch.transport.large import LARGEST
from softswitch.wheel import Timer

if TYPE_CHECKING:
    from softswitch.transaction.invite_client import InviteClient


class ClientUser(Protocol):
    """What a client transaction tells; one of the last two ends it."""

    def response_received(self, response: Response, transaction: "InviteClient | Client") -> None:
        """A provisional response, the final one, or a 2xx of an INVITE again."""

    def timed_out(self, transaction: "InviteClient | Client") -> None:
        """No final response in time; to be treated as a 408 (8.1.3.1)."""

    def transport_failed(self, transaction: "InviteClient | Client", reason: str) -> None:
        """The request did not leave, or its flow broke; to be treated as a 503 (8.1.3.1)."""

    def takes_tcp(self) -> bool:
        """Whether a request that is too large for a datagram may go over TCP instead, to the same
        address; asked of such alone (18.1.1)."""


class ClientTransaction(Transaction):
    """A request that we sent.

    :ivar user: who hears of the responses; ``UNHEARD`` once it has heard the last.
    :ivar heard_on: the flow on which the last response has come; before it, where it is awaited.
    :ivar is_large: whether the request is too large for a datagram.
    :ivar narrow: of one that goes over TCP for that reason, the UDP flow and the request as it
        would go there; None for others, and once somebody has answered.
    """

    __slots__ = ("_data", "heard_on", "is_large", "narrow", "user")

    def __init__(
        self,
        home: Home,
        key: str,
        data: bytes,
        flow: Flow,
        user: ClientUser,
        scope: Scope | None = None,
    ) -> None:
        super().__init__(home, key, flow)
        self._data = data
        self.is_large = len(data) > LARGEST
        self.narrow: tuple[Flow, Request] | None = None
        self.heard_on = flow
        self.user = user
        self.scope = scope
        if scope is not None:
            scope.hold(self)

    def start(self) -> None:
        """Send the request; called once, when the layer can match the responses."""
        raise NotImplementedError

    def received(self, response: Response, flow: Flow) -> None:
        """A response has come that matches (17.1.3)."""
        raise NotImplementedError

    def reroute(self, request: Request, flow: Flow) -> None:
        """Have the request, with another Via, leave on another flow."""
        self._data = request.encode()
        self.flow = flow

    def flow_failed(self, flow: Flow, reason: str) -> None:
        if flow == self.flow:
            self._fail_soon(reason)

    def _send(self) -> None:
        try:
            self._home.transport.send(self._data, self.flow)
        except TransportError as error:
            self._fail_soon(str(error))

    def _send_again(self) -> None:
        method = self.key.rpartition(" ")[2]
        if method not in METHODS:  # a proxy forwards what anybody has made up
            method = "other"
        self._home.repeats[Repeat("sent", method, self.flow.transport)] += 1
        self._send()

    def _pass_up(self, response: Response) -> None:
        self.narrow = None
        tell: Callable[..., None] = self.user.response_received
        tell(response, self)

    def _pass_up_last(self, response: Response) -> None:
        self.narrow = None
        tell: Callable[..., None] = self.user.response_received
        self.user = UNHEARD
        tell(response, self)

    def _failed(self, reason: str) -> None:
        """A large request for which there is no TCP goes over UDP, unless it has been heard."""
        if self.narrow is None:
            super()._failed(reason)
            return
        self.failure = None
        (flow, request), self.narrow = self.narrow, None
        self.reroute(request, flow)
        self._resend_soon()
        self._send()

    def _resend_soon(self) -> None:
        """Set the timer after which the request is sent again over UDP for the first time."""
        raise NotImplementedError

    def _time_out(self) -> None:
        self._noted("no final response in time")
        if self.narrow is not None:
            flow, _ = self.narrow
            self._home.transport.large.failed((flow.remote_host, flow.remote_port))
        self._conclude(self.user.timed_out)

    def _fail(self, reason: str) -> None:
        self._conclude(self.user.transport_failed, reason)

    def _conclude(self, tell: Callable[..., None], *args: str) -> None:
        """End without a final response.

        The scope is left last: the user may send the request elsewhere, for the same leg.
        """
        self._leave()
        try:
            tell(self, *args)
        finally:
            self._release()

    def _leave(self) -> None:
        self._stop_timers()
        self.user = UNHEARD
        self._home.forget_client(self)


class _Unheard:
    """A user for whom there is nothing more to hear."""

    def response_received(self, response: Response, transaction: "InviteClient | Client") -> None:
        pass

    def timed_out(self, transaction: "InviteClient | Client") -> None:
        pass

    def transport_failed(self, transaction: "InviteClient | Client", reason: str) -> None:
        pass

    def takes_tcp(self) -> bool:
        return False


#: The user of a CANCEL, whose outcome shows in the INVITE's final response, and of what is done.
UNHEARD: Final = _Unheard()


def client_key(branch: str, method: str) -> str:
    """Under which responses find the request that they answer (17.1.3)."""
    return f"{branch} {method}"


class State(StrEnum):
    """Figure 6."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    TERMINATED = "Terminated"


class Client(ClientTransaction):
    """A request other than INVITE and ACK."""

    __slots__ = ("_interval", "timer_e", "timer_f", "timer_k")

    TIMERS = ("timer_e", "timer_f", "timer_k", "failure")

    def __init__(
        self,
        home: Home,
        key: str,
        request: Request,
        flow: Flow,
        user: ClientUser,
        scope: Scope | None = None,
    ) -> None:
        super().__init__(home, key, request.encode(), flow, user, scope)
        self.state = State.TRYING
        self._interval = home.timers.t1
        self.timer_e: Timer | None = None
        self.timer_f: Timer | None = None
        self.timer_k: Timer | None = None

    def start(self) -> None:
        self.timer_f = self._start_timer(self._home.timers.patience, Event.TIMER_F)
        if not self.flow.reliable:
            self.timer_e = self._start_timer(self._interval, Event.TIMER_E)
        self._send()

    def received(self, response: Response, flow: Flow) -> None:
        self.heard_on = flow
        self.fire(Event.PROVISIONAL if response.status < 200 else Event.FINAL, response)

    def _resend_soon(self) -> None:
        self.timer_e = self._start_timer(self._interval, Event.TIMER_E)

    def _resend_doubling(self) -> None:
        self._noted(Event.TIMER_E)
        self._interval = min(2 * self._interval, self._home.timers.t2)
        self.timer_e = self._start_timer(self._interval, Event.TIMER_E)
        self._send_again()

    def _resend(self) -> None:
        self._noted(Event.TIMER_E)
        self.timer_e = self._start_timer(self._home.timers.t2, Event.TIMER_E)
        self._send_again()

    def _complete(self, response: Response) -> None:
        self._stop_timers()
        delay = self._home.timers.k(self.flow.reliable)
        self.timer_k = self._start_timer(delay, Event.TIMER_K)
        self._data = b""
        self._pass_up_last(response)


Client.TABLE = {
    (State.TRYING, Event.TIMER_E): (State.TRYING, Client._resend_doubling),
    (State.TRYING, Event.TIMER_F): (State.TERMINATED, Client._time_out),
    (State.TRYING, Event.TRANSPORT_ERROR): (State.TERMINATED, Client._fail),
    (State.TRYING, Event.PROVISIONAL): (State.PROCEEDING, Client._pass_up),
    (State.TRYING, Event.FINAL): (State.COMPLETED, Client._complete),
    (State.PROCEEDING, Event.TIMER_E): (State.PROCEEDING, Client._resend),
    (State.PROCEEDING, Event.TIMER_F): (State.TERMINATED, Client._time_out),
    (State.PROCEEDING, Event.TRANSPORT_ERROR): (State.TERMINATED, Client._fail),
    (State.PROCEEDING, Event.PROVISIONAL): (State.PROCEEDING, Client._pass_up),
    (State.PROCEEDING, Event.FINAL): (State.COMPLETED, Client._complete),
    (State.COMPLETED, Event.PROVISIONAL): (State.COMPLETED, None),
    (State.COMPLETED, Event.FINAL): (State.COMPLETED, None),
    (State.COMPLETED, Event.TRANSPORT_ERROR): (State.COMPLETED, None),
    (State.COMPLETED, Event.TIMER_K): (State.TERMINATED, Client._end),
}
