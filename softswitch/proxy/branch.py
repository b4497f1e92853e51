"""One target of a forwarded request: one address after the other, until one answers. Pure.

RFC 3261 16.6 steps 7 to 11, 16.8 and 16.9, with RFC 6026: a branch that has answered with a 2xx
passes every further one on.
"""

from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.machine import Machine
from softswitch.plugin.decisions import Target
from softswitch.plugin.record import Attempt
from softswitch.scope import Scope
from softswitch.sip.forks import BREADTH
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.uri import Uri
from softswitch.transaction.client import Client
from softswitch.transaction.invite_client import InviteClient
from softswitch.transaction.layer import TransactionLayer
from softswitch.transport.layer import Destination, TransportLayer
from softswitch.transport.search import over_udp
from softswitch.trunk.traffic import Traffic
from softswitch.wheel import Clock, Timer

#: Seconds without a final response, or a provisional one other than 100, after which an INVITE is
#: given up: more than three minutes (16.6 step 11).
TIMER_C: Final = 185.0

#: Seconds within which the resolver must have said where a target is.
LOOK_UP_SECONDS: Final = 4.0


class State(StrEnum):
    """How far a branch has come."""

    FINDING = "finding"
    CALLING = "calling"
    PROCEEDING = "proceeding"
    CANCELLED = "cancelled"
    GIVEN_UP = "given up"
    ANSWERED = "answered"
    OVER = "over"


class Event(StrEnum):
    """What can happen to a branch."""

    FOUND = "target found"
    NOWHERE = "no address left"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    REFUSAL = "300-699"
    FAILED = "no response"
    TIMER_C = "timer C"
    RUNG_OUT = "rung out"
    CANCEL = "cancel"


class Core(Protocol):
    """What a branch needs of the proxy core."""

    clock: Clock
    transactions: TransactionLayer
    transport: TransportLayer
    traffic: Traffic

    def find(self, uri: Uri, tell: "Finding") -> None:
        """Call ``tell`` with the destinations to which a URI leads, now or later."""


class Finding(Protocol):
    """Hears where a URI leads."""

    def __call__(self, destinations: list[Destination]) -> None:
        """Best first; none when there are none."""


class Context(Protocol):
    """The response context, as its branches see it.

    :ivar received: the request as it came.
    """

    loop: str
    scope: Scope
    received: Request

    def may_go(self, flow: Flow) -> bool:
        """Whether the request may leave on a flow."""

    def copy(self, branch: "Branch", flow: Flow) -> Request:
        """The request for a branch whose target is reached on ``flow``, without a Via."""

    def hop(self, target: Target) -> Flow | Uri:
        """Where the request for a target goes."""

    def progressed(self, branch: "Branch", response: Response) -> None:
        """A provisional response."""

    def succeeded(self, branch: "Branch", response: Response) -> None:
        """A 2xx; of an INVITE every one."""

    def failed(self, branch: "Branch", status: int, response: Response | None) -> None:
        """The branch has failed: with that response, or as if that status had come; 0 when
        nothing was sent at all. Told once."""


class Branch(Machine):
    """One target of a request.

    :ivar target: what is tried.
    :ivar attempt: its entry in the record.
    :ivar breadth: its share of the request's (RFC 5393).
    :ivar host: address of whoever has answered last.
    """

    __slots__ = (
        "_context",
        "_core",
        "_destinations",
        "_failure",
        "_held",
        "_timers",
        "_transaction",
        "attempt",
        "breadth",
        "host",
        "target",
    )

    def __init__(self, core: Core, context: Context, target: Target, attempt: Attempt) -> None:
        self.state = State.FINDING
        self.target = target
        self.attempt = attempt
        self.breadth = BREADTH
        self.host = ""
        self._core = core
        self._context = context
        self._destinations: list[Flow | Destination] = []
        self._failure = 503
        self._held = True
        self._timers: dict[Event, Timer] = {}
        self._transaction: InviteClient | Client | None = None

    def start(self) -> None:
        """Find out where the target is, and send the request there."""
        self._context.scope.hold(self)
        hop = self._context.hop(self.target)
        if isinstance(hop, Flow):
            self.fire(Event.FOUND, [hop])
            return
        if self.target.trunk is not None:
            hop = Uri.parse(over_udp(str(hop)))
        self._core.find(hop, partial(self.fire, Event.FOUND))
        if self.state is State.FINDING:
            self._set(Event.NOWHERE, LOOK_UP_SECONDS)

    def cancel(self, fields: Iterable[Field] = ()) -> None:
        """Give the branch up; whatever it answers still counts.

        :param fields: further header fields of the CANCEL, as Reason.
        """
        self.fire(Event.CANCEL, list(fields))

    def leftovers(self) -> list[str]:
        """Names of the timers that are set (for the scope)."""
        return list(self._timers)

    # From the transaction.

    def response_received(self, response: Response, transaction: InviteClient | Client) -> None:
        """A response, with our Via still on it."""
        status, self.host = response.status, transaction.flow.remote_host
        if self.target.trunk is not None and status > 100:
            self._core.traffic.refused(self.target, transaction.flow, status, response)
        if status < 200:
            self.fire(Event.PROVISIONAL, response)
        elif status < 300:
            self.fire(Event.SUCCESS, response)
        else:
            self.fire(Event.REFUSAL, response)

    def timed_out(self, transaction: InviteClient | Client) -> None:
        """As if a 408 had come (16.6 step 7)."""
        self._core.traffic.refused(self.target, transaction.flow, 408, None)
        self.fire(Event.FAILED, 408)

    def transport_failed(self, transaction: InviteClient | Client, reason: str) -> None:
        """As if a 503 had come (16.9)."""
        self._core.traffic.refused(self.target, transaction.flow, 503, None)
        self.fire(Event.FAILED, 503)

    # Actions of the table.

    def _found(self, destinations: list[Flow | Destination]) -> None:
        self._unset(Event.NOWHERE)
        self._destinations = list(destinations)
        self._try_next(503)

    def _try_next(self, status: int) -> None:
        """Send the request to the next address, in a transaction and a branch of its own."""
        self._failure = status
        while self._destinations:
            hop = self._destinations.pop(0)
            try:
                flow = hop if isinstance(hop, Flow) else self._core.transport.flow_to(*hop)
            except TransportError:
                continue
            if not self._core.transport.is_alive(flow) or not self._context.may_go(flow):
                continue
            if not self._is_kept_back(flow):
                self._core.traffic.tried(self.target, flow)
                self._send(flow)
                return
        self.fire(Event.NOWHERE)

    def _is_kept_back(self, flow: Flow) -> bool:
        """Whether what begins something is more than the trunk there wants for now (RFC 7339)."""
        traffic, received = self._core.traffic, self._context.received
        if traffic.throttles is None or received.to.tag is not None:
            return False
        return traffic.keeps_back(self.target.trunk, flow, lambda: (received.request_uri.user,))

    def _send(self, flow: Flow) -> None:
        context = self._context
        request = context.copy(self, flow)
        self._transaction = self._core.transactions.send_request(
            request, flow, self, context.scope, context.loop
        )
        if request.method == "INVITE":
            self._set(Event.TIMER_C, TIMER_C)
        if self.target.ring_seconds is not None and Event.RUNG_OUT not in self._timers:
            self._set(Event.RUNG_OUT, self.target.ring_seconds)

    def takes_tcp(self) -> bool:
        """From the transaction: RFC 3261 18.1.1, where no flow and no transport is said."""
        if not self._core.traffic.large_over_tcp(self.target.trunk):
            return False
        hop = self._context.hop(self.target)
        return not isinstance(hop, Flow) and hop.scheme == "sip" and "transport" not in hop.params

    def _progress(self, response: Response) -> None:
        if response.status > 100:
            if Event.TIMER_C in self._timers:
                self._set(Event.TIMER_C, TIMER_C)
            self._context.progressed(self, response)

    def _succeed(self, response: Response) -> None:
        self._release()
        self._context.succeeded(self, response)

    def _refuse(self, response: Response) -> None:
        self._release()
        self._context.failed(self, response.status, response)

    def _fail(self, status: int) -> None:
        self._release()
        self._context.failed(self, status, None)

    def _fail_nowhere(self) -> None:
        self._fail(self._failure)

    def _give_up(self) -> None:
        """Timer C, or the policy's patience: as if a 408 had come, whatever still comes (16.8)."""
        self._cancel_transaction([])
        self._fail(408)

    def _cancel(self, fields: list[Field]) -> None:
        for event in list(self._timers):
            self._unset(event)
        self._cancel_transaction(fields)

    def _drop(self, _: list[Field]) -> None:
        self._fail(0)

    # Helpers.

    def _cancel_transaction(self, fields: list[Field]) -> None:
        if isinstance(self._transaction, InviteClient):  # nothing else can be cancelled (9.1)
            self._transaction.cancel(fields)

    def _release(self) -> None:
        """Nothing of the branch is left but its transaction."""
        for event in list(self._timers):
            self._unset(event)
        if self._held:
            self._held = False
            self._context.scope.release(self)

    def _set(self, event: Event, seconds: float) -> None:
        self._unset(event)
        self._timers[event] = self._core.clock.callLater(seconds, self._rings, event)

    def _unset(self, event: Event) -> None:
        timer = self._timers.pop(event, None)
        if timer is not None:
            timer.cancel()

    def _rings(self, event: Event) -> None:
        del self._timers[event]
        self.fire(event)


Branch.TABLE = {
    (State.FINDING, Event.FOUND): (State.CALLING, Branch._found),
    (State.FINDING, Event.NOWHERE): (State.OVER, Branch._fail_nowhere),
    (State.FINDING, Event.CANCEL): (State.OVER, Branch._drop),
    (State.CALLING, Event.PROVISIONAL): (State.PROCEEDING, Branch._progress),
    (State.CALLING, Event.SUCCESS): (State.ANSWERED, Branch._succeed),
    (State.CALLING, Event.REFUSAL): (State.OVER, Branch._refuse),
    (State.CALLING, Event.FAILED): (State.CALLING, Branch._try_next),
    (State.CALLING, Event.NOWHERE): (State.OVER, Branch._fail_nowhere),
    (State.CALLING, Event.TIMER_C): (State.GIVEN_UP, Branch._give_up),
    (State.CALLING, Event.RUNG_OUT): (State.GIVEN_UP, Branch._give_up),
    (State.CALLING, Event.CANCEL): (State.CANCELLED, Branch._cancel),
    (State.PROCEEDING, Event.PROVISIONAL): (State.PROCEEDING, Branch._progress),
    (State.PROCEEDING, Event.SUCCESS): (State.ANSWERED, Branch._succeed),
    (State.PROCEEDING, Event.REFUSAL): (State.OVER, Branch._refuse),
    (State.PROCEEDING, Event.FAILED): (State.OVER, Branch._fail),
    (State.PROCEEDING, Event.TIMER_C): (State.GIVEN_UP, Branch._give_up),
    (State.PROCEEDING, Event.RUNG_OUT): (State.GIVEN_UP, Branch._give_up),
    (State.PROCEEDING, Event.CANCEL): (State.CANCELLED, Branch._cancel),
    (State.CANCELLED, Event.PROVISIONAL): (State.CANCELLED, Branch._progress),
    (State.CANCELLED, Event.SUCCESS): (State.ANSWERED, Branch._succeed),
    (State.CANCELLED, Event.REFUSAL): (State.OVER, Branch._refuse),
    (State.CANCELLED, Event.FAILED): (State.OVER, Branch._fail),
    (State.CANCELLED, Event.CANCEL): (State.CANCELLED, None),
    (State.GIVEN_UP, Event.PROVISIONAL): (State.GIVEN_UP, None),
    (State.GIVEN_UP, Event.SUCCESS): (State.ANSWERED, Branch._succeed),
    (State.GIVEN_UP, Event.REFUSAL): (State.OVER, None),
    (State.GIVEN_UP, Event.FAILED): (State.OVER, None),
    (State.ANSWERED, Event.SUCCESS): (State.ANSWERED, Branch._succeed),
    (State.OVER, Event.FOUND): (State.OVER, None),
}
