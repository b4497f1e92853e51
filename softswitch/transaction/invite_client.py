"""The client side of an INVITE. Pure.

RFC 3261 17.1.1, figure 5, with the Accepted state of RFC 6026, and the CANCEL of 9.1.
"""

from collections.abc import Iterable
from enum import StrEnum

from softswitch.flow import Flow
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.message import Field, Request, Response
from softswitch.transaction.client import UNHEARD, Client, ClientTransaction, ClientUser, client_key
from softswitch.transaction.transaction import Event, Home
from softswitch.wheel import Timer


class State(StrEnum):
    """Figure 5, and Accepted (RFC 6026 7.2)."""

    CALLING = "Calling"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class InviteClient(ClientTransaction):
    """An INVITE that we sent.

    It acknowledges a final response other than 2xx by itself. Every 2xx goes up, again too,
    until timer M: their ACK is the user's (``TransactionLayer.send_ack``).
    """

    __slots__ = (
        "_cancel_fields",
        "_interval",
        "_request",
        "timer_a",
        "timer_b",
        "timer_cancel",
        "timer_d",
        "timer_m",
    )

    TIMERS = ("timer_a", "timer_b", "timer_cancel", "timer_d", "timer_m", "failure")

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
        self.state = State.CALLING
        self._request: Request | None = request
        self._cancel_fields: tuple[Field, ...] | None = None
        self._interval = home.timers.t1
        self.timer_a: Timer | None = None
        self.timer_b: Timer | None = None
        self.timer_cancel: Timer | None = None
        self.timer_d: Timer | None = None
        self.timer_m: Timer | None = None

    def start(self) -> None:
        self.timer_b = self._start_timer(self._home.timers.patience, Event.TIMER_B)
        if not self.flow.reliable:
            self.timer_a = self._start_timer(self._interval, Event.TIMER_A)
        self._send()

    def cancel(self, fields: Iterable[Field] = ()) -> None:
        """Send a CANCEL, now or with the first provisional response (9.1).

        The final response, 487 or another that crossed it, comes up as ever; when none comes
        within 64*T1 the user hears ``timed_out``. Without effect once there is one, and when
        repeated.

        :param fields: further header fields of the CANCEL, as Reason (RFC 3326).
        """
        if not self.terminated:
            self.fire(Event.CANCEL, fields)

    def received(self, response: Response, flow: Flow) -> None:
        self.heard_on = flow
        status = response.status
        if status < 200:
            self.fire(Event.PROVISIONAL, response)
        elif status < 300:
            self.fire(Event.SUCCESS, response, flow)
        else:
            self.fire(Event.REFUSAL, response)

    def _about(self) -> bytes | str:
        return self._data or ("" if self._request is None else self._request.call_id)

    def reroute(self, request: Request, flow: Flow) -> None:
        self._request = request
        super().reroute(request, flow)

    def _resend_soon(self) -> None:
        self.timer_a = self._start_timer(self._interval, Event.TIMER_A)

    def _resend(self) -> None:
        self._noted(Event.TIMER_A)
        self._interval *= 2
        self.timer_a = self._start_timer(self._interval, Event.TIMER_A)
        self._send_again()

    def _proceed(self, response: Response) -> None:
        self._stop("timer_a", "timer_b")
        self._data = b""
        if self._cancel_fields is not None:
            self._send_cancel(self._cancel_fields)
        self._pass_up(response)

    def _cancel_later(self, fields: Iterable[Field]) -> None:
        if self._cancel_fields is None:
            self._cancel_fields = tuple(fields)

    def _send_cancel(self, fields: Iterable[Field]) -> None:
        if self.timer_cancel is not None or self._request is None:
            return
        self.timer_cancel = self._start_timer(self._home.timers.patience, Event.UNANSWERED)
        request = self._home.veiled(compose.cancel(self._request, fields), self.flow)
        key = client_key(self._request.top_via.branch or "", "CANCEL")
        self._home.begin(Client(self._home, key, request, self.flow, UNHEARD, self.scope))

    def _complete(self, response: Response) -> None:
        self._stop_timers()
        if self._request is not None:
            self._data = compose.ack(self._request, response).encode()
            self._request = None
        delay = self._home.timers.d(self.flow.reliable)
        self.timer_d = self._start_timer(delay, Event.TIMER_D)
        self._send()
        self._pass_up_last(response)

    def _acknowledge(self, _: Response) -> None:
        self._send()

    def _accept(self, response: Response, _: Flow) -> None:
        self._stop_timers()
        self._data = b""
        self._request = None
        self.timer_m = self._start_timer(self._home.timers.patience, Event.TIMER_M)
        self._pass_up(response)

    def _accept_again(self, response: Response, _: Flow) -> None:
        self._pass_up(response)

    def _stray(self, response: Response, flow: Flow) -> None:
        """A proxy that forked may send a 2xx after a refusal (16.7, step 5)."""
        self._home.stray_response(response, flow)


# A flow that breaks after a final response is no news: the user has what it waited for, and
# what comes again may come on another flow.
InviteClient.TABLE = {
    (State.CALLING, Event.TIMER_A): (State.CALLING, InviteClient._resend),
    (State.CALLING, Event.TIMER_B): (State.TERMINATED, InviteClient._time_out),
    (State.CALLING, Event.TRANSPORT_ERROR): (State.TERMINATED, InviteClient._fail),
    (State.CALLING, Event.CANCEL): (State.CALLING, InviteClient._cancel_later),
    (State.CALLING, Event.PROVISIONAL): (State.PROCEEDING, InviteClient._proceed),
    (State.CALLING, Event.SUCCESS): (State.ACCEPTED, InviteClient._accept),
    (State.CALLING, Event.REFUSAL): (State.COMPLETED, InviteClient._complete),
    (State.PROCEEDING, Event.TRANSPORT_ERROR): (State.TERMINATED, InviteClient._fail),
    (State.PROCEEDING, Event.CANCEL): (State.PROCEEDING, InviteClient._send_cancel),
    (State.PROCEEDING, Event.UNANSWERED): (State.TERMINATED, InviteClient._time_out),
    (State.PROCEEDING, Event.PROVISIONAL): (State.PROCEEDING, InviteClient._pass_up),
    (State.PROCEEDING, Event.SUCCESS): (State.ACCEPTED, InviteClient._accept),
    (State.PROCEEDING, Event.REFUSAL): (State.COMPLETED, InviteClient._complete),
    (State.COMPLETED, Event.CANCEL): (State.COMPLETED, None),
    (State.COMPLETED, Event.PROVISIONAL): (State.COMPLETED, None),
    (State.COMPLETED, Event.SUCCESS): (State.COMPLETED, InviteClient._stray),
    (State.COMPLETED, Event.REFUSAL): (State.COMPLETED, InviteClient._acknowledge),
    (State.COMPLETED, Event.TRANSPORT_ERROR): (State.TERMINATED, InviteClient._end),
    (State.COMPLETED, Event.TIMER_D): (State.TERMINATED, InviteClient._end),
    (State.ACCEPTED, Event.CANCEL): (State.ACCEPTED, None),
    (State.ACCEPTED, Event.PROVISIONAL): (State.ACCEPTED, None),
    (State.ACCEPTED, Event.SUCCESS): (State.ACCEPTED, InviteClient._accept_again),
    (State.ACCEPTED, Event.TRANSPORT_ERROR): (State.ACCEPTED, None),
    (State.ACCEPTED, Event.TIMER_M): (State.TERMINATED, InviteClient._end),
}
