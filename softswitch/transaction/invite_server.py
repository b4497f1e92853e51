"""The server side of an INVITE. Pure.

RFC 3261 17.2.1, figure 7, with the Accepted state of RFC 6026.
"""

from enum import StrEnum

from softswitch.flow import Flow
from softswitch.sip import compose
from softswitch.sip.message import Request, Response
from softswitch.transaction.server import UNADOPTED, Screened, ServerTransaction
from softswitch.transaction.transaction import Event, Home
from softswitch.wheel import Timer


class State(StrEnum):
    """Figure 7, and Accepted (RFC 6026 7.1)."""

    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class InviteServer(ServerTransaction):
    """An INVITE that we received.

    It sends 100 by itself after 200 ms, repeats a refusal until its ACK, and absorbs that ACK.
    A 2xx is the user's to repeat.
    """

    __slots__ = ("_interval", "timer_g", "timer_h", "timer_i", "timer_l", "timer_trying")

    TIMERS = ("timer_trying", "timer_g", "timer_h", "timer_i", "timer_l", "failure")

    def __init__(
        self, home: Home, key: str, request: Request, flow: Flow, screened: Screened, merge: int = 0
    ) -> None:
        super().__init__(home, key, request, flow, screened, merge)
        self.state = State.PROCEEDING
        self._interval = home.timers.t1
        self.timer_trying: Timer | None = self._start_timer(home.timers.trying, Event.TRYING)
        self.timer_g: Timer | None = None
        self.timer_h: Timer | None = None
        self.timer_i: Timer | None = None
        self.timer_l: Timer | None = None

    def respond(self, response: Response) -> None:
        status = response.status
        data = self._encoded(response)
        if status < 200:
            self.fire(Event.PROVISIONAL, data)
        elif status < 300:
            self.fire(Event.SUCCESS, data)
        else:
            self.fire(Event.REFUSAL, data)

    def resend(self) -> None:
        """Send the last 2xx again; without effect when timer L has ended the transaction."""
        if not self.terminated:
            self.fire(Event.RESEND)

    def acknowledged(self, ack: Request, flow: Flow) -> None:
        """An ACK has come that matches (17.2.3)."""
        self.fire(Event.ACK, ack, flow)

    def _try(self) -> None:
        self._provide(compose.response(self.request, 100).encode())

    def _provide(self, data: bytes) -> None:
        self._stop("timer_trying")
        self._data = data
        self._send()

    def _resend_provisional(self) -> None:
        if self._data:
            self._send_again()

    def _complete(self, data: bytes) -> None:
        self._stop_timers()
        self._data = data
        timers = self._home.timers
        self.timer_h = self._start_timer(timers.patience, Event.TIMER_H)
        if not self.flow.reliable:
            self.timer_g = self._start_timer(self._interval, Event.TIMER_G)
        self._send()
        self._shrink()

    def _resend_doubling(self) -> None:
        self._noted(Event.TIMER_G)
        self._interval = min(2 * self._interval, self._home.timers.t2)
        self.timer_g = self._start_timer(self._interval, Event.TIMER_G)
        self._send_again()

    def _confirm(self, *_: object) -> None:
        self._stop_timers()
        self.user = UNADOPTED
        delay = self._home.timers.i(self.flow.reliable)
        self.timer_i = self._start_timer(delay, Event.TIMER_I)

    def _miss_ack(self) -> None:
        self._noted("timer H: no ACK")
        self._fail("no ACK")

    def _accept(self, data: bytes) -> None:
        self._stop_timers()
        self._data = data
        self.timer_l = self._start_timer(self._home.timers.patience, Event.TIMER_L)
        self._send()
        self._shrink()

    def _accept_again(self, data: bytes) -> None:
        self._data = data
        self._send()

    def _pass_ack(self, ack: Request, flow: Flow) -> None:
        self._home.ack_received(ack, flow)


# A response that cannot be sent leaves the state as it is, so that the INVITE, when it comes
# again, is not taken for a new one (RFC 6026 7.1).
InviteServer.TABLE = {
    (State.PROCEEDING, Event.REQUEST): (State.PROCEEDING, InviteServer._resend_provisional),
    (State.PROCEEDING, Event.TRYING): (State.PROCEEDING, InviteServer._try),
    (State.PROCEEDING, Event.PROVISIONAL): (State.PROCEEDING, InviteServer._provide),
    (State.PROCEEDING, Event.SUCCESS): (State.ACCEPTED, InviteServer._accept),
    (State.PROCEEDING, Event.REFUSAL): (State.COMPLETED, InviteServer._complete),
    (State.PROCEEDING, Event.TRANSPORT_ERROR): (State.PROCEEDING, InviteServer._tell_failure),
    (State.COMPLETED, Event.REQUEST): (State.COMPLETED, InviteServer._send_again),
    (State.COMPLETED, Event.TIMER_G): (State.COMPLETED, InviteServer._resend_doubling),
    (State.COMPLETED, Event.TIMER_H): (State.TERMINATED, InviteServer._miss_ack),
    (State.COMPLETED, Event.TRANSPORT_ERROR): (State.COMPLETED, InviteServer._tell_failure),
    (State.COMPLETED, Event.ACK): (State.CONFIRMED, InviteServer._confirm),
    (State.CONFIRMED, Event.REQUEST): (State.CONFIRMED, None),
    (State.CONFIRMED, Event.ACK): (State.CONFIRMED, None),
    (State.CONFIRMED, Event.TIMER_I): (State.TERMINATED, InviteServer._end),
    (State.ACCEPTED, Event.REQUEST): (State.ACCEPTED, None),
    (State.ACCEPTED, Event.ACK): (State.ACCEPTED, InviteServer._pass_ack),
    (State.ACCEPTED, Event.SUCCESS): (State.ACCEPTED, InviteServer._accept_again),
    (State.ACCEPTED, Event.RESEND): (State.ACCEPTED, InviteServer._send_again),
    (State.ACCEPTED, Event.TRANSPORT_ERROR): (State.ACCEPTED, InviteServer._tell_failure),
    (State.ACCEPTED, Event.TIMER_L): (State.TERMINATED, InviteServer._end),
}
