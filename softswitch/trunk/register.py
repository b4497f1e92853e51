"""One registration of ours at a carrier or a PBX (RFC 3261 10.2). Pure.

It asks its registrars in turn, each at all of its addresses, until one accepts; then it refreshes
before what was granted has run out, at the same address. When everybody has failed it waits, longer
each time and by chance, so that not all the world comes back at once (RFC 5626 4.5), no shorter
than a registrar has asked for with Retry-After; names are then resolved anew. A connection that
breaks is registered over again at once. Redirections are not followed: credentials are the
registrar's.
"""

from collections.abc import Callable, Sequence
from functools import partial

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.requester import Requester
from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.machine import DataMachine
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.message import Field, Response
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host
from softswitch.transport.layer import Destination
from softswitch.trunk.credentials import credentials
from softswitch.trunk.granted import delta, granted_seconds, service_route
from softswitch.trunk.group import Trunk
from softswitch.trunk.registering import Event, RegistrationData, State, World
from softswitch.trunk.upstream import Upstream, named
from softswitch.wheel import Timer

#: Seconds that the look-up of a name may take.
LOOK_UP_SECONDS = 5.0
#: Seconds within which we register again when the connection has broken.
SOON = 2.0
#: Seconds before the end of what was granted by which a refresh is sent at the latest: a REGISTER
#: that nobody answers takes 32.
MARGIN = 40.0
#: The longest wish of a registrar that is heeded, in Retry-After and Min-Expires, seconds.
LONGEST = 7 * 86400
#: How often one registrar may say 423 in a row.
MOST_BRIEF = 3


class Registration(DataMachine):
    """One registration of ours, at one of several registrars.

    :ivar data: what it knows.
    :param upstream: of the trunk.
    :param registrars: where it is tried, in this order.
    """

    __slots__ = ("_registrars", "_requester", "_scope", "_timer", "_trunk", "_upstream", "_world")

    data: RegistrationData

    def __init__(
        self, trunk: Trunk, upstream: Upstream, registrars: Sequence[str], token: str, world: World
    ) -> None:
        self.data = RegistrationData(trunk.name, token)
        self._trunk = trunk
        self._upstream = upstream
        self._registrars = registrars
        self._world = world
        self._timer: Timer | None = None
        self._requester: Requester | None = None
        self._scope: Scope | None = None

    def start(self) -> None:
        """Register, and stay registered; harmless when that has begun."""
        if self.data.state is State.IDLE:
            self.fire(Event.START)

    def stop(self) -> None:
        """Un-register, where we are registered, and do nothing more."""
        if self.data.state not in (State.IDLE, State.STOPPING, State.LEAVING):
            self.fire(Event.STOP)

    def can_become(self, upstream: Upstream, registrars: Sequence[str]) -> bool:
        """Whether it can go on with other settings: the Contact that is bound stays the same, and
        where it is bound is still asked."""
        same = upstream.contact_user == self._upstream.contact_user
        return same and (self.data.accepted_by in registrars or not self.is_bound)

    def become(self, trunk: Trunk, upstream: Upstream, registrars: Sequence[str]) -> None:
        """Go on with these settings; at once, where they are others."""
        old, self._trunk = self._trunk, trunk
        changed = _terms(old) != _terms(trunk)
        self._upstream, self._registrars = upstream, registrars
        if changed and self.data.state in (State.REGISTERED, State.WAITING):
            self._cancel_timer()
            self.fire(Event.DUE)

    def flow_closed(self, flow: Flow) -> None:
        """A connection has ended."""
        if flow == self.data.flow:
            self.data.flow = self.data.bound_until = None
            if self.data.state is State.REGISTERED:
                self.fire(Event.FLOW_LOST)

    @property
    def is_bound(self) -> bool:
        """Whether a registrar holds our contact, as far as we know, and can be reached."""
        data = self.data
        return (
            data.flow is not None
            and data.bound_until is not None
            and self._world.clock.seconds() < data.bound_until
            and self._world.transport.is_alive(data.flow)
        )

    # From the requester.

    def response_received(self, response: Response, requester: Requester) -> None:
        """An answer to our REGISTER, challenges that could be answered apart."""
        if requester is not self._requester or response.status < 200:
            return
        self._answered(response.status, response.reason)
        if response.status < 300:
            self._judge(response)
        elif response.status == 423 and self._asks_for_more(response):
            self.fire(Event.TOO_BRIEF)
        else:
            self._note_retry_after(response)
            if response.status in (401, 403, 407) and self.data.dialog is not None:
                self.data.dialog.spaces.clear()
            # Only of a server out of order does another one take the place (RFC 3263 4.3).
            self._fail(elsewhere=response.status == 503)

    def challenged(self, response: Response, requester: Requester) -> None:
        """It was sent again with credentials."""

    def request_failed(self, status: int, reason: str, requester: Requester) -> None:
        """Nobody has answered, or it could not be sent."""
        if requester is self._requester:
            self._answered(status, reason)
            self._fail(elsewhere=True)

    # What becomes of it.

    def _answered(self, status: int, reason: str) -> None:
        """The REGISTER has come to its end."""
        self.data.status, self.data.reason = status, reason
        self._requester = None
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.end()

    def _judge(self, response: Response) -> None:
        """A 2xx: it names our contact, and says for how long (RFC 3261 10.2.4)."""
        data = self.data
        assert data.dialog is not None
        if data.state is State.LEAVING:
            self.fire(Event.ACCEPTED)
            return
        granted = granted_seconds(response, data.token, data.asked)
        if not granted:
            data.reason = "the answer does not name our contact"
            self._fail(elsewhere=False)
            return
        if data.accepted_by != data.registrar:
            data.accepted_by, data.since = data.registrar, None
        data.flow = data.dialog.flow
        data.bound_until = self._world.clock.seconds() + granted
        data.service_route = service_route(response)
        self.fire(Event.ACCEPTED)

    def _asks_for_more(self, response: Response) -> bool:
        """Whether a registrar that finds our interval too brief has said which it takes."""
        data = self.data
        wanted = delta(response, "Min-Expires")
        data.briefs += 1
        if data.briefs > MOST_BRIEF or not data.asked < wanted <= LONGEST:
            return False
        data.min_expires = wanted
        return data.state is State.REGISTERING

    def _note_retry_after(self, response: Response) -> None:
        wait = min(delta(response, "Retry-After"), LONGEST)
        if wait:
            until = self._world.clock.monotonic() + wait
            self.data.not_before[self.data.registrar] = until

    def _fail(self, *, elsewhere: bool) -> None:
        """This address has failed.

        :param elsewhere: whether another address of the registrar may do better.
        """
        data = self.data
        if data.state in (State.STOPPING, State.LEAVING):
            self.fire(Event.OVER)
            return
        if not elsewhere:
            data.destinations.clear()
            data.untried = [each for each in data.untried if each != data.registrar]
        if data.destinations:
            self.fire(Event.NEXT_ADDRESS)
        elif data.untried:
            self.fire(Event.NEXT_REGISTRAR)
        else:
            self.fire(Event.EXHAUSTED)

    # Actions of the table.

    def _begin(self) -> None:
        """A round: every registrar that may be asked now."""
        data, now = self.data, self._world.clock.monotonic()
        data.tried.clear()
        data.untried = [
            each for each in self._registrars if data.not_before.get(each, 0.0) <= now
        ] or list(self._registrars)
        self._resolve()

    def _resolve(self) -> None:
        data = self.data
        data.registrar = data.untried.pop(0)
        data.min_expires = data.briefs = 0
        data.next_at = None
        data.question += 1
        told = partial(self._resolved, data.question)
        self._set_timer(LOOK_UP_SECONDS, told, [])
        transport = f";transport={self._trunk.transport}"
        self._world.resolver.resolve(Uri.parse(f"sip:{data.registrar}{transport}"), told)

    def _resolved(self, question: int, destinations: list[Destination]) -> None:
        data = self.data
        if question != data.question or data.state is not State.RESOLVING:
            return
        data.question += 1
        self._cancel_timer()
        data.destinations = [each for each in destinations if each not in data.tried]
        if data.destinations:
            self.fire(Event.FOUND)
        else:
            if not destinations:
                data.status, data.reason = 503, f"{data.registrar} leads nowhere"
            self._fail(elsewhere=True)

    def _try(self) -> None:
        data = self.data
        destination = data.destinations.pop(0)
        data.tried.append(destination)
        try:
            flow = self._world.transport.flow_to(*destination)
        except TransportError as error:
            data.status, data.reason = 503, str(error)
            self._fail(elsewhere=True)
        else:
            self._ask(flow)

    def _ask_longer(self) -> None:
        assert self.data.dialog is not None
        self._ask(self.data.dialog.flow)

    def _refresh(self) -> None:
        """At the same address; should that fail, at the registrar's others, and the others'."""
        data, flow = self.data, self.data.flow
        assert flow is not None
        now, others = self._world.clock.monotonic(), self._registrars
        at = list(others).index(data.registrar) if data.registrar in others else 0
        cycle = [*others[at:], *others[:at]]
        data.untried = [each for each in cycle if data.not_before.get(each, 0.0) <= now]
        name = canonical_host(Uri.parse(f"sip:{data.registrar}").host) if flow.secure else ""
        data.tried = [Destination(flow.transport, flow.remote_host, flow.remote_port, name)]
        data.briefs = 0
        data.next_at = None
        self._ask(flow)

    def _hold(self) -> None:
        """We are registered: refresh in time."""
        data = self.data
        assert data.bound_until is not None
        now = self._world.clock.seconds()
        is_new = data.since is None
        data.since = now if data.since is None else data.since
        data.not_before.pop(data.registrar, None)
        granted = data.bound_until - now
        latest = granted - MARGIN if granted >= 2 * MARGIN else granted / 2
        self._wait(self._world.random.uniform(0.9 * latest, latest))
        if is_new:
            self._world.changed(data)

    def _back_off(self) -> None:
        """RFC 5626 4.5: half to all of a bound that doubles."""
        self._count_failure()
        data, upstream = self.data, self._upstream
        doubled = upstream.retry_seconds * 2.0 ** min(data.failures, 20)
        bound = min(upstream.retry_max_seconds, doubled)
        wait = self._world.random.uniform(bound / 2, bound)
        now = self._world.clock.monotonic()
        allowed = min(data.not_before.get(each, 0.0) for each in self._registrars)
        self._wait(max(wait, allowed - now))
        self._world.changed(data)

    def _lose(self) -> None:
        """The connection has broken: once at once, a second time in a row no more."""
        if self.data.failures and not self._was_steady():
            self._back_off()
        else:
            self._count_failure()
            self._wait(self._world.random.uniform(0.0, SOON))
            self._world.changed(self.data)

    def _was_steady(self) -> bool:
        since = self.data.since
        steady = self._upstream.retry_seconds
        return since is not None and self._world.clock.seconds() - since >= steady

    def _count_failure(self) -> None:
        """A registration that has held for a while makes good for the failures before it."""
        data = self.data
        data.failures = 1 if self._was_steady() else data.failures + 1
        data.since = None

    def _leave(self) -> None:
        """Un-register, where there is something to leave (RFC 3261 10.2.2)."""
        self._cancel_timer()
        flow = self.data.flow
        if self.is_bound and flow is not None:
            self._ask(flow, leave=True)
        else:
            self.fire(Event.OVER)

    def _gone(self) -> None:
        data = self.data
        data.flow = data.bound_until = data.since = data.next_at = None
        data.failures = 0
        self._world.changed(data)

    # Helpers.

    def _ask(self, flow: Flow, *, leave: bool = False) -> None:
        """Send a REGISTER."""
        data, world, upstream = self.data, self._world, self._upstream
        data.asked = 0 if leave else max(upstream.expires, data.min_expires)
        facing, shape = world.transport.facing(flow), self._trunk.shape
        contact = f"<{upstream.contact(data.token, facing.host, facing.port, flow.transport)}>"
        own_fields = list(world.own_fields)
        if shape is not None:
            contact, own_fields = shape.at_our_host(contact), shape.own_fields(own_fields)
        if data.dialog is None:
            tag, aor = compose.new_tag(), named(upstream.aor)
            data.dialog = Dialog(
                call_id=compose.new_call_id(facing.host),
                local_tag=tag,
                remote_tag="",
                local=f"{aor};tag={tag}",
                remote=aor,
                contact="",
                remote_target=upstream.domain,
                flow=flow,
            )
        data.dialog.flow, data.dialog.contact = flow, contact
        data.dialog.route_set = list(upstream.route or ())
        self._scope = Scope(f"registration of {data.trunk}", world.auditor)
        self._requester = Requester(
            world.agent, data.dialog, self, self._scope, credentials(self._trunk, flow.remote_host)
        )
        fields: list[Field] = [
            ("Contact", f"{contact};expires={data.asked}"),
            ("Expires", str(data.asked)),
            *own_fields,
        ]
        self._requester.start(data.dialog.request("REGISTER", fields))

    def _wait(self, wait: float) -> None:
        self.data.wait = wait
        self.data.next_at = self._world.clock.seconds() + wait
        self._set_timer(wait, self._due)

    def _due(self) -> None:
        self._timer = None
        self.fire(Event.DUE)

    def _set_timer(self, wait: float, then: Callable[..., None], *args: object) -> None:
        self._cancel_timer()
        self._timer = self._world.clock.callLater(wait, then, *args)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _terms(trunk: Trunk) -> tuple[object, ...]:
    """All of a trunk that its registrar sees."""
    return (
        trunk.upstream,
        trunk.shape,
        trunk.transport,
        trunk.username,
        trunk.password,
        trunk.realm,
    )


Registration.TABLE = {
    (State.IDLE, Event.START): (State.RESOLVING, Registration._begin),
    (State.RESOLVING, Event.FOUND): (State.REGISTERING, Registration._try),
    (State.RESOLVING, Event.NEXT_REGISTRAR): (State.RESOLVING, Registration._resolve),
    (State.RESOLVING, Event.EXHAUSTED): (State.WAITING, Registration._back_off),
    (State.RESOLVING, Event.STOP): (State.LEAVING, Registration._leave),
    (State.REGISTERING, Event.ACCEPTED): (State.REGISTERED, Registration._hold),
    (State.REGISTERING, Event.TOO_BRIEF): (State.REGISTERING, Registration._ask_longer),
    (State.REGISTERING, Event.NEXT_ADDRESS): (State.REGISTERING, Registration._try),
    (State.REGISTERING, Event.NEXT_REGISTRAR): (State.RESOLVING, Registration._resolve),
    (State.REGISTERING, Event.EXHAUSTED): (State.WAITING, Registration._back_off),
    (State.REGISTERING, Event.STOP): (State.STOPPING, None),
    (State.REGISTERED, Event.DUE): (State.REGISTERING, Registration._refresh),
    (State.REGISTERED, Event.FLOW_LOST): (State.WAITING, Registration._lose),
    (State.REGISTERED, Event.STOP): (State.LEAVING, Registration._leave),
    (State.WAITING, Event.DUE): (State.RESOLVING, Registration._begin),
    (State.WAITING, Event.STOP): (State.LEAVING, Registration._leave),
    (State.STOPPING, Event.ACCEPTED): (State.LEAVING, Registration._leave),
    (State.STOPPING, Event.OVER): (State.LEAVING, Registration._leave),
    (State.LEAVING, Event.ACCEPTED): (State.IDLE, Registration._gone),
    (State.LEAVING, Event.OVER): (State.IDLE, Registration._gone),
}
