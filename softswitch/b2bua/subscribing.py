"""Subscriptions that cross the switch: one on each side, each with a dialog of its own. Pure.

A SUBSCRIBE goes out as an errand does, once per target; the first who accepts it, or sends a NOTIFY
before he has said so, wins (RFC 6665 4.4.1). From then on refreshes cross one way and NOTIFYs the
other, each answered with what the far side answers, so that both sides always agree on whether the
subscription stands.
"""

from collections.abc import Callable
from functools import partial

import attrs

from softswitch.b2bua import crossing
from softswitch.b2bua.errand import Errand, crossed, terms_of
from softswitch.b2bua.shared import Shared
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.stateagent import SubscriptionSettings, granted, refusal
from softswitch.dialog.subscriber import Subscriber, SubscriberData
from softswitch.dialog.subscription import FATAL, State, Subscription, SubscriptionData
from softswitch.errors import PeerError, SipSyntaxError
from softswitch.plugin.decisions import Reject, Target
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Identity
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.events import REFER, SubscriptionState, event_of
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.transaction.server import Server

#: Of T1: how much longer the near side lives than the far side promised, so that it is the far
#: side that says when it is over.
GRACE = 128


@attrs.define
class CrossedData:
    """What a subscription across the switch knows; plain data.

    :ivar identity: who subscribed.
    :ivar near: our side of it towards him.
    :ivar far: our side of it towards whoever notifies.
    :ivar passing: how many NOTIFYs wait for the subscriber's answer.
    """

    identity: Identity
    near: SubscriptionData
    far: SubscriberData
    passing: int = 0


class Crossed:
    """A subscription across the switch.

    :ivar data: what it knows.
    :ivar near: our side of it towards the subscriber.
    :param dialog: with the subscriber.
    :param request: his SUBSCRIBE.
    :param far: our subscription at whoever accepted it, to whom ``to_far`` applies.
    :param over: told once, when the near side is over.
    """

    def __init__(
        self,
        shared: Shared,
        identity: Identity,
        dialog: Dialog,
        request: Request,
        far: Subscriber,
        to_far: Profile,
        settings: SubscriptionSettings,
        over: "Callable[[Crossed], None]",
    ) -> None:
        scope = Scope(f"SUBSCRIBE {request.call_id}", shared.auditor)
        grace = GRACE * shared.agent.timers.t1
        self.near = Subscription(
            shared.clock, shared.agent, scope, dialog, request, self, pending=True, grace=grace
        )
        self.data = CrossedData(identity, self.near.data, far.data)
        self._far = far
        self._shared = shared
        self._to_near = shared.profile(identity.kind, identity.name)
        self._to_far = to_far
        self._settings = settings
        self._over = over
        far.tell(self)

    # From the far side.

    def notified(
        self, subscriber: Subscriber, request: Request, transaction: Server, said: SubscriptionState
    ) -> None:
        """A NOTIFY: on to the subscriber, whose answer answers it."""
        notifier = self.near.notifier
        if notifier.state is State.TERMINATED:
            transaction.respond(compose.response(request, 200))
            return
        try:
            body = self._told(request, from_near=False)
        except SipSyntaxError as error:
            transaction.respond(compose.response(request, error.status, error.reason))
            return
        fields = [*crossing.fields(request, self._to_near), *crossing.describing(request)]
        self.data.passing += 1
        told = partial(self._passed, request, transaction)
        if said.state == State.TERMINATED:
            notifier.terminate(said.reason, fields, body, said.retry_after, told)
            return
        if said.state == State.ACTIVE and notifier.state is State.PENDING:
            notifier.grant()
        if said.expires is not None:
            notifier.expire_in(said.expires)
        notifier.notify(fields, body, told)

    def _passed(
        self,
        request: Request,
        transaction: Server,
        status: int,
        reason: str,
        response: Response | None,
    ) -> None:
        self.data.passing -= 1
        if response is None:
            status = 481
        elif status >= 300 and status not in FATAL:
            status = crossing.status(status)
        transaction.respond(compose.response(request, status))

    def subscriber_lost(self, subscriber: Subscriber, reason: str) -> None:
        """The far side has fallen silent."""
        if self.near.notifier.state is not State.TERMINATED:
            self.near.notifier.terminate("timeout")

    # From the near side.

    def resubscribed(
        self, subscription: Subscription, request: Request, transaction: Server
    ) -> None:
        """A refresh, or the end: on to the far side, whose answer answers it."""
        try:
            expires = granted(request, self._settings)
            body = self._told(request, from_near=True)
        except PeerError as error:
            transaction.respond(refusal(request, error, self._settings))
            return
        told = partial(self._resubscribed, request, transaction, expires)
        fields = crossed(request, self._to_far)
        fields += crossing.credentials(request, self._to_far, self._shared.settings.realm)
        self._far.subscribe(expires, fields, body, told, crossing.hops(request))

    def _resubscribed(
        self,
        request: Request,
        transaction: Server,
        expires: int,
        status: int,
        reason: str,
        response: Response | None,
    ) -> None:
        if response is not None and 200 <= status < 300:
            accept(self.near, request, transaction, _least(expires, response))
            return
        if status not in FATAL or response is None:
            status = 500 if response is None else crossing.status(status, self._to_far)
        fields = crossing.challenges(response, self._to_far)
        transaction.respond(compose.response(request, status, fields=fields))
        if self._far.state is State.TERMINATED:
            self.near.notifier.abandon()

    def _told(self, request: Request, *, from_near: bool) -> bytes:
        """The body of a request in the terms of the side to which it goes.

        :raises SipSyntaxError: it cannot be read.
        """
        if not request.body:
            return b""
        near, far = self.near.data.dialog.flow, self.data.far.dialog.flow
        way = (near, far) if from_near else (far, near)
        kind = request.get("Content-Type") or ""
        return terms_of(self._shared, request, *way).body(kind, request.body)

    def subscription_over(self, subscription: Subscription) -> None:
        """The subscriber is gone. A far side that waits for the answer to a NOTIFY is told by that
        answer; another one is unsubscribed from."""
        if self.data.passing:
            self._far.abandon()
        elif self._far.state is not State.TERMINATED:
            self._far.subscribe(0, [], b"", _nobody)
        self._over(self)


class Subscribing(Errand):
    """A SUBSCRIBE on its way across, or a REFER, which is one besides.

    :param settings: for how long one may subscribe.
    :param made: told of the subscription that has come of it.
    :param gone: told when that is over.
    :raises PeerError: with the status of the answer, where it cannot make a subscription.
    """

    def __init__(
        self,
        shared: Shared,
        request: Request,
        transaction: Server,
        identity: Identity,
        over: Callable[[Errand], None],
        nowhere: Reject,
        settings: SubscriptionSettings,
        made: Callable[[Crossed], None],
        gone: Callable[[Crossed], None],
    ) -> None:
        flow = transaction.flow
        self._dialog = shared.answering(request, flow, compose.new_tag(), identity)
        self._event = event_of(request)
        self._expires = granted(request, settings)
        self._settings = settings
        self._subscribers: dict[int, tuple[Subscriber, Profile]] = {}
        self._made = made
        self._gone = gone
        super().__init__(shared, request, transaction, identity, over, nowhere)

    def send(
        self, number: int, target: Target, dialog: Dialog, fields: list[Field], body: bytes
    ) -> None:
        """Subscribe at a target."""
        shared, request = self.shared, self.data.request
        profile = self.profile(target)
        scope = Scope(f"SUBSCRIBE {dialog.call_id}", shared.auditor)
        subscriber = Subscriber(
            shared.clock,
            shared.agent,
            scope,
            dialog,
            self._event,
            request.get("Event") or REFER,
            self,
            self.credentials(target, dialog),
        )
        self._subscribers[number] = (subscriber, profile)
        told = partial(self._subscribed, number)
        ask = subscriber.refer if request.method == "REFER" else subscriber.subscribe
        ask(self._expires, fields, body, told, crossing.hops(request))

    def _subscribed(self, number: int, status: int, reason: str, response: Response | None) -> None:
        if number not in self.data.trials:
            return
        if response is None or status >= 300:
            self.failed(number, status, reason, response)
        elif wants_no_news(response):
            self.answer(status, reason, self.crossed_back(response))
        else:
            self._win(number, _least(self._expires, response))

    def notified(
        self, subscriber: Subscriber, request: Request, transaction: Server, said: SubscriptionState
    ) -> None:
        """A NOTIFY that has overtaken the answer: the subscription stands."""
        for number, (each, _) in self._subscribers.items():
            if each is subscriber:
                left = self._expires if said.expires is None else min(self._expires, said.expires)
                self._win(number, left).notified(subscriber, request, transaction, said)
                return

    def subscriber_lost(self, subscriber: Subscriber, reason: str) -> None:
        """Neither an answer nor a NOTIFY has come; the errand gives up by itself."""

    def failed(self, number: int, status: int, reason: str, response: Response | None) -> None:
        """A try has come to nothing; what its target still sends finds nothing."""
        found = self._subscribers.pop(number, None)
        if found is not None:
            found[0].abandon()
        super().failed(number, status, reason, response)

    def end(self) -> None:
        """It is over: those who accept too late find out by the answer to their first NOTIFY."""
        for subscriber, _ in self._subscribers.values():
            subscriber.abandon()
        self._subscribers.clear()
        super().end()

    def _win(self, number: int, expires: int) -> Crossed:
        """One has accepted."""
        data = self.data
        far, to_far = self._subscribers.pop(number)
        made = Crossed(
            self.shared,
            data.identity,
            self._dialog,
            data.request,
            far,
            to_far,
            self._settings,
            self._gone,
        )
        accept(made.near, data.request, self.transaction, expires)
        self._made(made)
        self.end()
        return made


def accept(near: Subscription, request: Request, transaction: Server, expires: int) -> None:
    """Answer a SUBSCRIBE with 200 for so many seconds, a REFER with 202."""
    dialog = near.data.dialog
    status, fields = 202, [("Contact", dialog.contact)]
    if request.method == "SUBSCRIBE":
        status, fields = 200, [*fields, ("Expires", str(expires))]
    transaction.respond(
        compose.response(request, status, to_tag=dialog.local_tag, fields=fields, record_route=True)
    )
    if expires:
        near.notifier.expire_in(expires)


def wants_no_news(message: Message) -> bool:
    """Whether a REFER or its answer says that no subscription comes of it (RFC 4488)."""
    return (message.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower() == "false"


def _least(expires: int, response: Response) -> int:
    """Seconds that a 2xx grants of those that were wanted."""
    return expires if response.expires is None else min(expires, response.expires)


def _nobody(status: int, reason: str, response: Response | None) -> None:
    """Does not care what becomes of the last SUBSCRIBE: timer N ends it at the latest."""
