"""A server of one's own decides, and is told of calls: JSON over HTTP. For those who would rather
write in another language, and for code that is not trusted in the switch's own process."""

from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any, Literal

import attrs
import treq
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import Agent, HTTPConnectionPool, ResponseNeverReceived
from zope.interface import implementer

from softswitch.errors import PolicyError
from softswitch.plugin.decisions import Outcome, Reject, Route, Routing, Target
from softswitch.plugin.interfaces import Answer, ICallObserver, IRouter
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import House, InviteView
from softswitch.policy.courier import Breaker, Courier, HookError, Manners
from softswitch.policy.hooks import (
    AnswerError,
    Forwarded,
    Place,
    Way,
    answered,
    event,
    question,
    way,
)
from softswitch.policy.located import ring
from softswitch.policy.waiting import once_known

Fact = Literal["started", "ringing", "answered", "ended"]

#: Bytes of an answer; what is larger is none.
LONGEST = 64 * 1024

#: Seconds for which a connection that nobody uses is kept.
KEPT_SECONDS = 60


@implementer(IRouter, ICallObserver)
@attrs.define(eq=False)
class Webhook:
    """Asks a server where calls go, and tells it what becomes of them.

    :ivar url: to which everything is posted, HTTP or HTTPS.
    :ivar secret: with which requests are signed.
    :ivar ask: whether it is asked where calls, and other requests, go.
    :ivar events: what it is told of.
    :ivar methods: requests that it is asked about.
    :ivar headers: header fields that it is shown.
    :ivar timeout: seconds within which it answers; to be less than the policy's ``deadline``.
    :ivar retries: how often events that it has not taken are posted again.
    :ivar queue: events that may wait.
    :ivar connections: kept open to it.
    :ivar trip: failures in a row after which it is left alone ...
    :ivar rest: ... for so many seconds.
    """

    url: str
    secret: str = attrs.field(repr=False)
    ask: bool = True
    events: tuple[Fact, ...] = ()
    methods: tuple[str, ...] = ("INVITE",)
    headers: tuple[str, ...] = ("Diversion", "P-Asserted-Identity", "Subject", "User-Agent")
    timeout: float = 1.5
    retries: int = 3
    queue: int = 1000
    connections: int = 8
    trip: int = 5
    rest: float = 10.0
    _house: House = attrs.field(init=False, repr=False)
    _courier: Courier = attrs.field(init=False, repr=False)
    _http: "HttpPost" = attrs.field(init=False, repr=False)
    #: Call -> how many facts of it have been told.
    _told: Counter[str] = attrs.field(init=False, repr=False, factory=Counter)

    def start(self, house: House) -> None:
        """Take note of what knows users and trunks.

        :raises ValueError: an option cannot be right.
        """
        for wrong, mend in (
            (not self.url.startswith(("http://", "https://")), "url: http://... is wanted"),
            (not self.secret, "secret: some text is wanted, which the server knows too"),
            (not (self.ask or self.events), "ask = true, or some events, are wanted"),
            (self.timeout <= 0, "timeout: more than 0 seconds are wanted"),
            (self.rest <= 0, "rest: more than 0 seconds are wanted"),
            (self.retries < 0, "retries: 0 or more is wanted"),
            (self.queue < 1, "queue: 1 or more is wanted"),
            (self.connections < 1, "connections: 1 or more is wanted"),
            (self.trip < 1, "trip: 1 or more is wanted"),
        ):
            if wrong:
                raise ValueError(mend)
        self._house = house
        self._http = HttpPost(self.url, self.connections, reactor)
        self._courier = Courier(
            self._http.post,
            self.secret,
            Breaker(self.trip, self.rest, house.now),
            Manners(self.timeout, self.retries, self.queue),
            reactor,
            house.now,
        )

    def stop(self) -> Deferred[None]:
        """Tell what is still to be told, then let the connections go."""
        finished = self._courier.finish()
        finished.addBoth(lambda _: self._http.close())
        return finished

    def figures(self) -> dict[str, Any]:
        """For an operator."""
        return self._courier.figures()

    def route(self, invite: InviteView) -> Answer[Routing]:
        """As the server says."""
        return self._route(invite) if self.ask and invite.method in self.methods else None

    def call_started(self, record: CallRecord) -> None:
        """Tell it, if it wants to know."""
        self._tell("started", record)

    def call_ringing(self, record: CallRecord) -> None:
        """As above."""
        self._tell("ringing", record)

    def call_answered(self, record: CallRecord) -> None:
        """As above."""
        self._tell("answered", record)

    def call_ended(self, record: CallRecord) -> None:
        """As above."""
        self._tell("ended", record)
        self._told.pop(record.id, None)

    def _tell(self, fact: Fact, record: CallRecord) -> None:
        if fact in self.events:
            self._told[record.id] += 1
            number = self._told[record.id]
            self._courier.tell(event(fact, record, number, self._house.now()))

    async def _route(self, invite: InviteView) -> Routing | None:
        """
        :raises PolicyError: the server has failed.
        """
        try:
            body = await self._courier.ask(question(invite, self.headers, self._house.now()))
            said = None if body is None else answered(body)
            if isinstance(said, Way):
                return await self._route_of(said, invite, "")
            if isinstance(said, Forwarded):
                return said.proxy(await self._targets(said.targets, invite, ""))
            return said
        except HookError as error:
            raise PolicyError("webhook", f"{self.url} {error}") from error
        except AnswerError as error:
            raise PolicyError("webhook", f"{self.url} answers rubbish: {error}") from error

    async def _route_of(self, said: Way, invite: InviteView, path: str) -> Route | Reject:
        targets = await self._targets(said.targets, invite, path)
        forward: dict[Outcome, Route] = {}
        for outcome, further in said.forward.items():
            below = f"{path}forward.{outcome}"
            found = await self._route_of(way(further, below), invite, f"{below}.")
            if isinstance(found, Route):
                forward[outcome] = found  # type: ignore[index]  # the chain looks at it
        if not targets and not forward and not any(place.trunk for place in said.targets):
            return Reject(480)
        return said.route(targets, forward)

    async def _targets(
        self, places: Iterable[Place], invite: InviteView, path: str
    ) -> list[Target]:
        """
        :raises AnswerError: there is no such user or trunk.
        """
        found: list[Target] = []
        for index, place in enumerate(places):
            where = f"{path}targets[{index}]"
            if place.user:
                contacts = await self._contacts(place.user, where)
                found += [place.own(target, index) for target in contacts]
            elif place.number:
                trunk = self._house.trunk(place.trunk)
                if trunk is None:
                    raise AnswerError(f"{where}.trunk: no trunk {place.trunk!r}")
                members = trunk.targets(place.number, invite)
                found += [place.own(target, index) for target in members]
            else:
                target = Target(place.uri, trunk=place.trunk or None)
                found.append(place.own(target, index))
        return found

    async def _contacts(self, user: str, where: str) -> tuple[Target, ...]:
        """Where a user can be reached; nowhere, perhaps."""
        said = once_known(lambda: ring(user, self._house))
        decision = await said if isinstance(said, Awaitable) else said
        if decision is None:
            raise AnswerError(f"{where}.user: no user {user!r}")
        return decision.targets if isinstance(decision, Route) else ()


class HttpPost:
    """Posts to one URL, over connections that are kept.

    :param connections: how many are kept while nobody uses them.
    """

    def __init__(self, url: str, connections: int, reactor: Any) -> None:
        self._url = url
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = KEPT_SECONDS
        self._client = treq.client.HTTPClient(Agent(reactor, pool=self._pool))

    def post(self, body: bytes, headers: Any) -> Deferred[tuple[int, bytes]]:
        """Status and body of the answer."""
        return Deferred.fromCoroutine(self._post(body, headers))

    def close(self) -> Deferred[None]:
        """Let the connections go that nobody uses."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    async def _post(self, body: bytes, headers: Any) -> tuple[int, bytes]:
        try:
            response = await self._sent(body, headers)
        except ResponseNeverReceived as error:
            if any(reason.check(CancelledError) for reason in error.reasons):
                raise CancelledError from error
            # A server may close a kept connection just when it is used.
            response = await self._sent(body, headers)
        content = bytearray()

        def collect(data: bytes) -> None:
            content.extend(data)
            if len(content) > LONGEST:
                raise ValueError(f"more than {LONGEST} bytes")

        await treq.collect(response, collect)
        return response.code, bytes(content)

    def _sent(self, body: bytes, headers: Any) -> Deferred[Any]:
        sent: Deferred[Any] = self._client.post(
            self._url, data=body, headers=dict(headers), allow_redirects=False
        )
        return sent
