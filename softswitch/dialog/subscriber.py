"""The subscriber's side of a subscription (RFC 6665 section 4.1), in a dialog of its own. Pure.

The dialog is made by the first NOTIFY, which may overtake the 2xx of the SUBSCRIBE; it is known
then by the Call-ID and our tag. Where the SUBSCRIBE has forked on its way, the first to send a
NOTIFY wins, and the others are told that there is no such subscription.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import attrs

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.proof import Credentials
from softswitch.dialog.requester import Requester, RequestUser, Tell
from softswitch.dialog.subscription import FATAL, State
from softswitch.dialog.usage import CAPABILITIES, Dialogs, answer
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.machine import DataMachine
from softswitch.scope import Scope
from softswitch.sip.events import SubscriptionState, event_of
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import METHODS
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server
from softswitch.wheel import Clock, Timer


class Event(StrEnum):
    """What can happen to the subscriber."""

    ACTIVE = "NOTIFY, active"
    PENDING = "NOTIFY, pending"
    TERMINATED = "NOTIFY, terminated"
    REFUSED = "SUBSCRIBE refused"
    TIMER_N = "timer N fires"
    EXPIRED = "not refreshed"
    ABANDON = "we let it go"


@attrs.define
class SubscriberData:
    """What a subscriber knows; plain data.

    :ivar dialog: the dialog.
    :ivar event: Event field value.
    :ivar state: how far it has come.
    :ivar confirmed: whether a NOTIFY has made the dialog.
    :ivar expires_at: when it ends unless it is refreshed, by the clock; None as long as nobody
        has said.
    :ivar notify_due: when a NOTIFY must have come, by the clock; None when none is awaited.
    """

    dialog: Dialog
    event: str
    state: State = State.NOTIFY_WAIT
    confirmed: bool = False
    expires_at: float | None = None
    notify_due: float | None = None


class SubscriberUser(Protocol):
    """Whoever wants to know the state."""

    def notified(
        self,
        subscriber: "Subscriber",
        request: Request,
        transaction: Server,
        said: SubscriptionState,
    ) -> None:
        """A NOTIFY of this subscription: to be answered. When it says that the subscription is
        terminated, that is its end."""

    def subscriber_lost(self, subscriber: "Subscriber", reason: str) -> None:
        """It has ended without a NOTIFY that says so."""


class Subscriber(DataMachine):
    """A subscription of ours to something of a peer's.

    :ivar data: what it knows.
    :param scope: of the subscription alone; ends with it.
    :param dialog: whose remote tag is not known yet.
    :param event: Event field value.
    :param credentials: answers the peer's challenges.
    """

    __slots__ = (
        "_agent",
        "_clock",
        "_credentials",
        "_event",
        "_half",
        "_scope",
        "_timers",
        "_user",
    )

    data: SubscriberData

    def __init__(
        self,
        clock: Clock,
        agent: Dialogs,
        scope: Scope,
        dialog: Dialog,
        event: tuple[str, str],
        field: str,
        user: SubscriberUser,
        credentials: Credentials | None = None,
    ) -> None:
        self.data = SubscriberData(dialog, field)
        self._clock = clock
        self._agent = agent
        self._scope = scope
        self._event = event
        self._user: SubscriberUser | None = user
        self._credentials = credentials
        self._timers: dict[str, Timer] = {}
        scope.hold(self)
        self._half = dialog.key
        agent.open(self._half, self)

    def leftovers(self) -> list[str]:
        """Names of the timers that are still set (for the scope)."""
        return list(self._timers)

    # What its user asks for.

    def subscribe(
        self,
        expires: int,
        fields: Iterable[Field],
        body: bytes,
        tell: Tell,
        max_forwards: int = 70,
    ) -> None:
        """Send a SUBSCRIBE: the first one, one that refreshes, or with 0 seconds the last one.

        :param fields: besides Event and Expires.
        :param tell: told what became of it. A first one that fails is the subscription's end, and
            so is one that fails with a status of ``FATAL``.
        """
        said = [("Event", self.data.event), ("Expires", str(expires)), *fields]
        self._ask("SUBSCRIBE", expires, said, body, tell, max_forwards)

    def refer(
        self,
        expires: int,
        fields: Iterable[Field],
        body: bytes,
        tell: Tell,
        max_forwards: int = 70,
    ) -> None:
        """Send a REFER instead of the first SUBSCRIBE (RFC 3515 2.4.4).

        :param expires: seconds for which it stands unless the peer says otherwise.
        """
        self._ask("REFER", expires, fields, body, tell, max_forwards)

    def tell(self, user: SubscriberUser) -> None:
        """From now on it is ``user`` who wants to know."""
        if self._user is not None:
            self._user = user

    def abandon(self) -> None:
        """It is not wanted any more: whatever the peer still sends finds nothing."""
        self.fire(Event.ABANDON)

    # What comes in.

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """From the user agent: a request within the dialog."""
        if not isinstance(transaction, Server) or request.method != "NOTIFY":
            status = 405 if request.method in METHODS else 501
            answer(transaction, self._scope, status, fields=CAPABILITIES)
            return
        try:
            said = SubscriptionState.of(request)
            known = event_of(request) == self._event
            in_order = known and self._heard(request, transaction.flow)
        except SipSyntaxError as error:
            answer(transaction, self._scope, error.status, error.reason)
            return
        if not known or self._user is None:
            answer(transaction, self._scope, 481)
        elif not in_order:
            answer(transaction, self._scope, 500, "CSeq Out Of Order")
        else:
            self._notified(request, transaction, said)

    def ack_received(self, request: Request, flow: Flow) -> None:
        """Nothing here is ever acknowledged."""

    def _heard(self, request: Request, flow: Flow) -> bool:
        """Whether a NOTIFY is in order; the first one makes the dialog (RFC 6665 4.4.1).

        :raises SipSyntaxError: when Contact or Record-Route cannot be read.
        """
        data = self.data
        if data.confirmed:
            return data.dialog.heard(request, flow)
        routes = [str(route) for route in request.record_routes]
        heard = attrs.evolve(data.dialog, route_set=routes, remote_cseq=None)
        heard.heard(request, flow)
        self._agent.close(self._half, self)
        # The same object, for requests on their way hold on to it.
        dialog = data.dialog
        dialog.remote_tag, dialog.remote = request.from_.tag or "", request.get("From") or ""
        dialog.route_set, dialog.remote_cseq = routes, heard.remote_cseq
        dialog.remote_target, dialog.flow = heard.remote_target, heard.flow
        dialog.symmetric = heard.symmetric
        data.confirmed = True
        self._agent.open(self.data.dialog.key, self)
        return True

    def _notified(self, request: Request, transaction: Server, said: SubscriptionState) -> None:
        transaction.adopt(self._scope, None)
        user = self._user
        assert user is not None
        self._stop("timer N")
        self.data.notify_due = None
        if said.expires is not None and said.state != State.TERMINATED:
            self._expire_in(said.expires)
        user.notified(self, request, transaction, said)
        event = _NOTIFIED.get(said.state)
        if event is not None and self._user is not None:
            self.fire(event)

    def answered(
        self,
        expires: int,
        tell: Tell,
        status: int,
        reason: str,
        response: Response | None,
        flow: Flow | None,
    ) -> None:
        """The final answer to a SUBSCRIBE for ``expires`` seconds that went on ``flow``."""
        if self._user is None:
            tell(481, "Subscription Terminated", None)
            return
        data = self.data
        if response is not None and flow is not None and 200 <= status < 300:
            try:
                data.dialog.established(response, flow, anew=not data.dialog.remote_tag)
            except SipSyntaxError as error:
                status, reason, response = 502, error.reason, None
                self.fire(Event.REFUSED)
            else:
                granted = min(expires, expires if response.expires is None else response.expires)
                if granted:
                    self._expire_in(granted)
        elif data.state is State.NOTIFY_WAIT or status in FATAL:
            self.fire(Event.REFUSED)
        tell(status, reason, response)

    # Actions of the table.

    def _lose(self, reason: str) -> None:
        user = self._user
        self._end()
        if user is not None:
            user.subscriber_lost(self, reason)

    def _end(self) -> None:
        self._user = None
        for name in list(self._timers):
            self._timers.pop(name).cancel()
        self.data.expires_at = self.data.notify_due = None
        self._agent.close(self._half, self)
        self._agent.close(self.data.dialog.key, self)
        self._scope.release(self)
        self._scope.end()

    # Helpers.

    def _ask(
        self,
        method: str,
        expires: int,
        fields: Iterable[Field],
        body: bytes,
        tell: Tell,
        max_forwards: int,
    ) -> None:
        dialog = self.data.dialog
        if self.state is State.NOTIFY_WAIT or not expires:
            # A mere refresh that is followed by no NOTIFY is forgiven, against 4.1.2.2.
            wait = 64 * self._agent.timers.t1
            self.data.notify_due = self._clock.seconds() + wait
            self._start("timer N", wait, Event.TIMER_N)
        request = dialog.request(method, fields, body, max_forwards)
        user = _Subscribing(self, expires, tell)
        Requester(self._agent, dialog, user, self._scope, self._credentials).start(request)

    def _expire_in(self, seconds: int) -> None:
        """The peer should say so itself; it has as long as a transaction may take."""
        self.data.expires_at = self._clock.seconds() + seconds
        self._start("expiry", seconds + 64 * self._agent.timers.t1, Event.EXPIRED)

    def _start(self, name: str, seconds: float, event: Event) -> None:
        self._stop(name)
        self._timers[name] = self._clock.callLater(seconds, self._fired, name, event)

    def _fired(self, name: str, event: Event) -> None:
        del self._timers[name]
        self.fire(event, event)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


class _Subscribing(RequestUser):
    """One SUBSCRIBE on its way."""

    __slots__ = ("_expires", "_subscriber", "_tell")

    def __init__(self, subscriber: Subscriber, expires: int, tell: Tell) -> None:
        self._subscriber = subscriber
        self._expires = expires
        self._tell = tell

    def response_received(self, response: Response, requester: Requester) -> None:
        status = response.status
        if status >= 200:
            args = (self._expires, self._tell, status, response.reason, response, requester.flow)
            self._subscriber.answered(*args)

    def challenged(self, response: Response, requester: Requester) -> None:
        pass

    def request_failed(self, status: int, reason: str, requester: Requester) -> None:
        self._subscriber.answered(self._expires, self._tell, status, reason, None, None)


Subscriber.TABLE = {
    (State.NOTIFY_WAIT, Event.ACTIVE): (State.ACTIVE, None),
    (State.NOTIFY_WAIT, Event.PENDING): (State.PENDING, None),
    (State.NOTIFY_WAIT, Event.TERMINATED): (State.TERMINATED, Subscriber._end),
    (State.NOTIFY_WAIT, Event.REFUSED): (State.TERMINATED, Subscriber._end),
    (State.NOTIFY_WAIT, Event.TIMER_N): (State.TERMINATED, Subscriber._lose),
    (State.NOTIFY_WAIT, Event.EXPIRED): (State.TERMINATED, Subscriber._lose),
    (State.NOTIFY_WAIT, Event.ABANDON): (State.TERMINATED, Subscriber._end),
    (State.PENDING, Event.PENDING): (State.PENDING, None),
    (State.PENDING, Event.ACTIVE): (State.ACTIVE, None),
    (State.PENDING, Event.TERMINATED): (State.TERMINATED, Subscriber._end),
    (State.PENDING, Event.REFUSED): (State.TERMINATED, Subscriber._end),
    (State.PENDING, Event.TIMER_N): (State.TERMINATED, Subscriber._lose),
    (State.PENDING, Event.EXPIRED): (State.TERMINATED, Subscriber._lose),
    (State.PENDING, Event.ABANDON): (State.TERMINATED, Subscriber._end),
    (State.ACTIVE, Event.ACTIVE): (State.ACTIVE, None),
    (State.ACTIVE, Event.PENDING): (State.PENDING, None),
    (State.ACTIVE, Event.TERMINATED): (State.TERMINATED, Subscriber._end),
    (State.ACTIVE, Event.REFUSED): (State.TERMINATED, Subscriber._end),
    (State.ACTIVE, Event.TIMER_N): (State.TERMINATED, Subscriber._lose),
    (State.ACTIVE, Event.EXPIRED): (State.TERMINATED, Subscriber._lose),
    (State.ACTIVE, Event.ABANDON): (State.TERMINATED, Subscriber._end),
    (State.TERMINATED, Event.ABANDON): (State.TERMINATED, None),
}

#: What a NOTIFY's Subscription-State means; an extension's state changes nothing.
_NOTIFIED = {
    "active": Event.ACTIVE,
    "pending": Event.PENDING,
    "terminated": Event.TERMINATED,
}
