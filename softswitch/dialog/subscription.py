"""The notifier's side of a subscription (RFC 6665 section 4.2). Pure.

A ``Notifier`` is the subscription itself and needs no more than a way to send a NOTIFY: it runs
inside a session's dialog for a REFER (RFC 3515 2.4.4) as well as in a dialog of its own, which is
what a ``Subscription`` adds to it. The other side is in ``dialog/subscriber.py``.
"""

from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from math import ceil
from typing import Protocol

import attrs

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.requester import Inquiry, Requester, Tell
from softswitch.dialog.usage import CAPABILITIES, Dialogs, answer
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.machine import DataMachine
from softswitch.scope import Scope
from softswitch.sip.events import REFER, SubscriptionState, event_of
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import METHODS
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server
from softswitch.wheel import Clock, Timer

#: Sends a NOTIFY with these fields and this body, and tells once what became of it, now or
#: later: ``partial(session.request, "NOTIFY")`` is one.
Notify = Callable[[list[Field], bytes, Tell], None]

#: Statuses that end the subscription of whose NOTIFY or SUBSCRIBE they are the answer (RFC 6665
#: 4.1.2.2, 4.2.2); 408 is a proxy's word for silence, which ends it, too.
FATAL = frozenset((404, 405, 408, 410, 416, *range(480, 486), 489, 501, 604))


class State(StrEnum):
    """How far a subscription has come, on either side."""

    NOTIFY_WAIT = "notify_wait"
    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


class Event(StrEnum):
    """What can happen to the notifier."""

    GRANT = "permission granted"
    TERMINATE = "we terminate"
    FAILED = "NOTIFY failed"


@attrs.define
class Notice:
    """One NOTIFY that is yet to be sent.

    :ivar state: that of the subscription when it was wanted.
    :ivar until: when the subscription was to end then, by the clock; None for never.
    :ivar fields: besides Event and Subscription-State.
    """

    state: State
    until: float | None
    fields: list[Field]
    body: bytes


@attrs.define
class NotifierData:
    """What a notifier knows; plain data.

    :ivar event: Event field value, the subscriber's own.
    :ivar state: how far it has come.
    :ivar expires_at: when it ends unless it is refreshed, by the clock; None for never.
    :ivar reason: why it was terminated (RFC 6665 4.1.3), or "".
    :ivar retry_after: seconds that the subscriber is to wait then, None for no such wish.
    :ivar waiting: what is to be sent, in order.
    :ivar sending: whether a NOTIFY waits for its answer.
    """

    event: str
    state: State = State.ACTIVE
    expires_at: float | None = None
    reason: str = ""
    retry_after: int | None = None
    waiting: list[Notice] = attrs.Factory(list)
    sending: bool = False


class Notifier(DataMachine):
    """Tells a subscriber of a state, one NOTIFY at a time and in order, until either side ends it.

    It starts out active, and says for how long once it knows, by ``expire_in``. It holds a place
    in ``scope`` until it is over: terminated, with the last NOTIFY answered. A NOTIFY that is not
    answered, or answered with one of ``FATAL``, ends it at once.

    :param send: sends a NOTIFY.
    :param over: called once when it is over, after the scope has been released.
    :param event: Event field value.
    :param pending: whether nobody has granted it yet.
    :param grace: seconds for which it outlives its expiry.
    """

    __slots__ = ("_clock", "_grace", "_over", "_scope", "_send", "_tells", "_timer")

    data: NotifierData

    def __init__(
        self,
        clock: Clock,
        scope: Scope,
        send: Notify,
        over: Callable[[], None],
        event: str,
        *,
        pending: bool = False,
        grace: float = 0.0,
    ) -> None:
        self.data = NotifierData(event, State.PENDING if pending else State.ACTIVE)
        self._clock = clock
        self._scope = scope
        self._send: Notify | None = send
        self._over: Callable[[], None] | None = over
        self._grace = grace
        self._tells: deque[Tell | None] = deque()
        self._timer: Timer | None = None
        scope.hold(self)

    @property
    def idle(self) -> bool:
        """Whether every NOTIFY that was wanted has been answered."""
        return not self.data.sending

    def leftovers(self) -> list[str]:
        """The name of its timer while it is set (for the scope)."""
        return [] if self._timer is None else ["subscription expiry"]

    # What its owner asks for.

    def expire_in(self, seconds: float) -> None:
        """It now ends in so many seconds, unless this is said again: NOTIFY with "timeout"."""
        self._stop()
        if self.state is not State.TERMINATED:
            self.data.expires_at = self._clock.seconds() + seconds
            self._timer = self._clock.callLater(seconds + self._grace, self._expire)
            self._scope.allow(seconds + self._grace)

    def grant(self) -> None:
        """It is pending no more; the next NOTIFY says so."""
        self.fire(Event.GRANT)

    def notify(
        self, fields: Iterable[Field] = (), body: bytes = b"", tell: Tell | None = None
    ) -> None:
        """Send a NOTIFY, after those that were wanted before; none once it is terminated.

        :param tell: told what became of it; 481 when it never left.
        """
        if self.state is State.TERMINATED:
            if tell is not None:
                tell(481, "Subscription Terminated", None)
            return
        self._queue(fields, body, tell)

    def terminate(
        self,
        reason: str,
        fields: Iterable[Field] = (),
        body: bytes = b"",
        retry_after: int | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Send the last NOTIFY, after those that were wanted before.

        :param reason: of RFC 6665 4.1.3: "deactivated", "noresource", "timeout" ...; or "".
        :param retry_after: seconds.
        :param tell: as above; not told when it was terminated before.
        """
        self.fire(Event.TERMINATE, reason, list(fields), body, retry_after, tell)

    def abandon(self) -> None:
        """The subscriber is gone: it is over, without another NOTIFY."""
        self.fire(Event.FAILED)

    # Actions of the table.

    def _terminate(
        self,
        reason: str,
        fields: list[Field],
        body: bytes,
        retry_after: int | None,
        tell: Tell | None,
    ) -> None:
        self.data.reason, self.data.retry_after = reason, retry_after
        self._stop()
        self._queue(fields, body, tell)

    def _fail(self) -> None:
        """What was still to be sent never leaves."""
        self._stop()
        self.data.waiting.clear()
        tells = list(self._tells)
        self._tells.clear()
        self._end()
        for tell in tells:
            if tell is not None:
                tell(481, "Subscription Terminated", None)

    # Helpers.

    def _queue(self, fields: Iterable[Field], body: bytes, tell: Tell | None) -> None:
        self.data.waiting.append(Notice(self.state, self.data.expires_at, list(fields), body))
        self._tells.append(tell)
        if not self.data.sending:
            self._send_next()

    def _send_next(self) -> None:
        assert self._send is not None
        notice = self.data.waiting.pop(0)
        self.data.sending = True
        said = ("Subscription-State", str(self._said(notice)))
        fields = [("Event", self.data.event), said, *notice.fields]
        self._send(fields, notice.body, self._answered)

    def _said(self, notice: Notice) -> SubscriptionState:
        data = self.data
        if notice.state is State.TERMINATED:
            return SubscriptionState(notice.state, None, data.reason, data.retry_after)
        if notice.until is None:
            return SubscriptionState(notice.state)
        left = max(0, ceil(notice.until - self._clock.seconds()))
        return SubscriptionState(notice.state, left)

    def _answered(self, status: int, reason: str, response: Response | None) -> None:
        if self._send is None:
            return
        self.data.sending = False
        tell = self._tells.popleft()
        if response is None or status in FATAL:
            self.fire(Event.FAILED)
        elif self.data.waiting:
            self._send_next()
        elif self.state is State.TERMINATED:
            self._end()
        if tell is not None:
            tell(status, reason, response)

    def _expire(self) -> None:
        self._timer = None
        self.terminate("timeout")

    def _stop(self) -> None:
        self.data.expires_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        over, self._over, self._send = self._over, None, None
        if over is not None:
            self._scope.release(self)
            over()


Notifier.TABLE = {
    (State.PENDING, Event.GRANT): (State.ACTIVE, None),
    (State.PENDING, Event.TERMINATE): (State.TERMINATED, Notifier._terminate),
    (State.PENDING, Event.FAILED): (State.TERMINATED, Notifier._fail),
    (State.ACTIVE, Event.TERMINATE): (State.TERMINATED, Notifier._terminate),
    (State.ACTIVE, Event.FAILED): (State.TERMINATED, Notifier._fail),
    (State.TERMINATED, Event.FAILED): (State.TERMINATED, Notifier._fail),
}


@attrs.define
class SubscriptionData:
    """What a subscription in a dialog of its own knows; plain data.

    :ivar dialog: the dialog.
    :ivar notifier: the subscription itself.
    """

    dialog: Dialog
    notifier: NotifierData


class SubscriptionUser(Protocol):
    """Whoever grants a subscription and says what its NOTIFYs bear."""

    def resubscribed(
        self, subscription: "Subscription", request: Request, transaction: Server
    ) -> None:
        """A SUBSCRIBE within the dialog, of the same event: to be answered."""

    def subscription_over(self, subscription: "Subscription") -> None:
        """Told once, last."""


class Subscription:
    """A subscription to something of ours, in a dialog of its own.

    :ivar data: what it knows.
    :ivar notifier: sends the NOTIFYs.
    :param scope: of the subscription alone; ends with it.
    :param request: the SUBSCRIBE, or REFER, that made it.
    :param pending: see ``Notifier``.
    :param grace: see ``Notifier``.
    """

    __slots__ = ("_agent", "_event", "_scope", "_user", "data", "notifier")

    def __init__(
        self,
        clock: Clock,
        agent: Dialogs,
        scope: Scope,
        dialog: Dialog,
        request: Request,
        user: SubscriptionUser,
        *,
        pending: bool = False,
        grace: float = 0.0,
    ) -> None:
        self._agent = agent
        self._scope = scope
        self._event = event_of(request)
        self._user: SubscriptionUser | None = user
        event = request.get("Event") or REFER
        self.notifier = Notifier(
            clock, scope, self._notify, self._over, event, pending=pending, grace=grace
        )
        self.data = SubscriptionData(dialog, self.notifier.data)
        agent.open(self.data.dialog.key, self)

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """From the user agent: a request within the dialog."""
        try:
            in_order = self.data.dialog.heard(request, transaction.flow)
            of_ours = request.method == "SUBSCRIBE" and event_of(request) == self._event
        except SipSyntaxError as error:
            answer(transaction, self._scope, error.status, error.reason)
            return
        if not in_order:
            answer(transaction, self._scope, 500, "CSeq Out Of Order")
        elif request.method != "SUBSCRIBE":
            status = 405 if request.method in METHODS else 501
            answer(transaction, self._scope, status, fields=CAPABILITIES)
        elif self._user is None or not of_ours or self.notifier.state is State.TERMINATED:
            answer(transaction, self._scope, 481)
        elif isinstance(transaction, Server):
            transaction.adopt(self._scope, None)
            self._user.resubscribed(self, request, transaction)

    def ack_received(self, request: Request, flow: Flow) -> None:
        """Nothing here is ever acknowledged."""

    def _notify(self, fields: list[Field], body: bytes, tell: Tell) -> None:
        dialog = self.data.dialog
        request = dialog.request("NOTIFY", fields, body)
        Requester(self._agent, dialog, Inquiry(tell), self._scope).start(request)

    def _over(self) -> None:
        user, self._user = self._user, None
        self._agent.close(self.data.dialog.key, self)
        self._scope.end()
        if user is not None:
            user.subscription_over(self)
