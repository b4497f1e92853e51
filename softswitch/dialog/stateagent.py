"""The switch as notifier of its users' state: one agent per event package (RFC 6665 4.2). Pure.

A package says who may watch whom and writes the document; everything else is the same for all:
who watches, for how long, how many, and that each watcher is told of the newest state as soon as
he has answered for the one before.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

import attrs

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.subscription import State, Subscription, SubscriptionData
from softswitch.dialog.usage import Dialogs
from softswitch.errors import PeerError, SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.views import Identity
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.message import Field, Request, Response
from softswitch.transaction.server import Server
from softswitch.wheel import Clock


class Package(Protocol):
    """An event package of which we are the notifier.

    :ivar name: as Event says it.
    :ivar content_type: of its documents.
    """

    name: str
    content_type: str

    def allows(self, watcher: Identity, user: str) -> bool:
        """Whether somebody who has been admitted may watch that user."""

    def document(self, user: str, version: int) -> bytes:
        """A user's whole state now; ``version`` counts from 0 for each watcher."""


@attrs.frozen
class SubscriptionSettings:
    """What the operator decides for all subscriptions.

    :ivar per_user: how many subscriptions one user may hold, of one package at us, or across us.
    :ivar min_expires: seconds; a shorter wish gets 423.
    :ivar max_expires: seconds; a longer wish, or none, is cut to it.
    """

    per_user: int = 100
    min_expires: int = 60
    max_expires: int = 3600


@attrs.define
class WatchData:
    """What is known of one watcher; plain data.

    :ivar watcher: who it is.
    :ivar user: whom he watches.
    :ivar subscription: the subscription.
    :ivar version: of the next document.
    :ivar stale: whether there is news that could not be sent yet.
    """

    watcher: Identity
    user: str
    subscription: SubscriptionData
    version: int = 0
    stale: bool = False


class StateAgent:
    """All watchers of one event package.

    :ivar package: what is told.
    :ivar settings: for subscriptions that come from now on.
    :param contact: our Contact field value for a user part, towards a flow's peer.
    """

    def __init__(
        self,
        package: Package,
        clock: Clock,
        agent: Dialogs,
        auditor: Auditor,
        contact: Callable[[str, Flow], str],
        settings: SubscriptionSettings,
    ) -> None:
        self.package = package
        self.settings = settings
        self._clock = clock
        self._agent = agent
        self._auditor = auditor
        self._contact = contact
        self._watches: dict[str, list[_Watch]] = {}
        self._held: Counter[Identity] = Counter()

    @property
    def data(self) -> list[WatchData]:
        """All that is known; plain data."""
        return [watch.data for watches in self._watches.values() for watch in watches]

    def changed(self, user: str) -> None:
        """Tell whoever watches that user."""
        for watch in list(self._watches.get(user, ())):
            watch.tell()

    def shut(self) -> None:
        """The switch stops: each watcher is to subscribe anew, elsewhere or later."""
        for watches in list(self._watches.values()):
            for watch in list(watches):
                watch.subscription.notifier.terminate("deactivated")

    def subscribe(
        self, request: Request, transaction: Server, watcher: Identity, user: str
    ) -> None:
        """Answer a SUBSCRIBE outside of any dialog, of our event and to a user of ours."""
        try:
            self._admit(request, watcher, user)
            expires = granted(request, self.settings)
            tag = compose.new_tag()
            flow = transaction.flow
            contact = self._contact(user, flow)
            known = watcher.name if watcher.kind == "user" else ""
            dialog = Dialog.answering(request, flow, tag, contact, known)
        except PeerError as error:
            transaction.respond(refusal(request, error, self.settings))
            return
        scope = Scope(f"{self.package.name} of {user} for {request.call_id}", self._auditor)
        transaction.adopt(scope, None)
        watch = _Watch(self, watcher, user, dialog, request, scope)
        self._watches.setdefault(user, []).append(watch)
        self._held[watcher] += 1
        watch.answer(request, transaction, expires)

    def new_subscription(
        self, dialog: Dialog, request: Request, scope: Scope, watch: "_Watch"
    ) -> Subscription:
        """The subscription that a SUBSCRIBE makes."""
        return Subscription(self._clock, self._agent, scope, dialog, request, watch)

    def document(self, user: str, version: int) -> tuple[list[Field], bytes]:
        """What a NOTIFY bears."""
        body = self.package.document(user, version)
        return [("Content-Type", self.package.content_type)], body

    def forget(self, watch: "_Watch") -> None:
        """A subscription is over."""
        user, watcher = watch.data.user, watch.data.watcher
        self._held[watcher] -= 1
        if not self._held[watcher]:
            del self._held[watcher]
        self._watches[user].remove(watch)
        if not self._watches[user]:
            del self._watches[user]

    def _admit(self, request: Request, watcher: Identity, user: str) -> None:
        """
        :raises PeerError: with the status of a refusal.
        """
        if not request.contacts:
            raise SipSyntaxError("Missing Contact", header="Contact")
        if not self.package.allows(watcher, user):
            raise PeerError("Forbidden", 403)
        if not acceptable(request, self.package.content_type):
            raise PeerError("Not Acceptable", 406)
        if self._held[watcher] >= self.settings.per_user:
            raise PeerError("Too Many Subscriptions", 403)


class _Watch:
    """One watcher of one user."""

    __slots__ = ("_agent", "data", "subscription")

    def __init__(
        self,
        agent: StateAgent,
        watcher: Identity,
        user: str,
        dialog: Dialog,
        request: Request,
        scope: Scope,
    ) -> None:
        self._agent = agent
        self.subscription = agent.new_subscription(dialog, request, scope, self)
        self.data = WatchData(watcher, user, self.subscription.data)

    def answer(self, request: Request, transaction: Server, expires: int) -> None:
        """Grant a SUBSCRIBE, and tell the state at once; for good when it wants no time."""
        dialog = self.data.subscription.dialog
        fields = [("Contact", dialog.contact), ("Expires", str(expires))]
        response = compose.response(
            request, 200, to_tag=dialog.local_tag, fields=fields, record_route=True
        )
        transaction.respond(response)
        notifier = self.subscription.notifier
        if expires:
            notifier.expire_in(expires)
            self._notify(notifier.notify)
        else:
            self._notify(partial(notifier.terminate, "timeout"))

    def tell(self) -> None:
        """There is news: told now, or when the NOTIFY before has been answered."""
        if self.subscription.notifier.idle:
            self._notify(self.subscription.notifier.notify)
        else:
            self.data.stale = True

    def resubscribed(
        self, subscription: Subscription, request: Request, transaction: Server
    ) -> None:
        """From the subscription: a refresh, or the end."""
        settings = self._agent.settings
        try:
            expires = granted(request, settings)
        except PeerError as error:
            transaction.respond(refusal(request, error, settings))
        else:
            self.answer(request, transaction, expires)

    def subscription_over(self, subscription: Subscription) -> None:
        """From the subscription."""
        self._agent.forget(self)

    def _notify(self, send: Callable[..., None]) -> None:
        data = self.data
        fields, body = self._agent.document(data.user, data.version)
        data.version += 1
        data.stale = False
        send(fields, body, tell=self._notified)

    def _notified(self, status: int, reason: str, response: Response | None) -> None:
        if self.data.stale and self.subscription.notifier.state is not State.TERMINATED:
            self._notify(self.subscription.notifier.notify)


def acceptable(request: Request, content_type: str) -> bool:
    """Whether a SUBSCRIBE's Accept allows documents of a type; without one it does."""
    ranges = [value.partition(";")[0].strip(" \t").lower() for value in request.values("Accept")]
    kind = content_type.partition("/")[0]
    return not ranges or bool({"*/*", f"{kind}/*", content_type} & set(ranges))


def granted(request: Request, settings: SubscriptionSettings) -> int:
    """Seconds that a SUBSCRIBE gets (RFC 6665 4.2.1.1).

    :raises PeerError: 423 when it wants fewer than the least.
    """
    wanted = request.expires
    if wanted is None:
        return settings.max_expires
    if 0 < wanted < min(settings.min_expires, 3600):
        raise PeerError("Interval Too Brief", 423)
    return min(wanted, settings.max_expires)


def refusal(request: Request, error: PeerError, settings: SubscriptionSettings) -> Response:
    """The answer to a SUBSCRIBE that is not granted."""
    fields = [("Min-Expires", str(settings.min_expires))] if error.status == 423 else []
    tag = compose.new_tag()
    return compose.response(request, error.status, error.reason, to_tag=tag, fields=fields)


def document(lines: Iterable[str]) -> bytes:
    """An XML document made of lines; what no XML document may hold becomes a question mark."""
    text = "\n".join(('<?xml version="1.0" encoding="UTF-8"?>', *lines, ""))
    return _UNFIT.sub("?", text).encode("utf-8", "replace")


#: What XML 1.0 has no place for, in whatever form.
_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
