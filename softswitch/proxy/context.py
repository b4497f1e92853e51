"""The response context: one request, its branches, and what goes back. Pure.

RFC 3261 16.7 and 16.10, with RFC 6026. A request within a dialog has one branch; one that a policy
has forwarded has as many as there are targets, in the order of ``plugin.decisions.steps``.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from softswitch.flow import Flow
from softswitch.plugin.decisions import Target
from softswitch.plugin.record import Attempt
from softswitch.plugin.views import Identity
from softswitch.proxy import branch, routes
from softswitch.proxy.branch import Branch
from softswitch.proxy.dialogs import Dialog, Side
from softswitch.proxy.ledger import ForwardedCall
from softswitch.scope import Scope
from softswitch.sip import compose, forks
from softswitch.sip.forks import ForkLimits
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS
from softswitch.sip.uri import Uri
from softswitch.transaction import invite_server
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server

#: Tells the losers of a race why they are cancelled (RFC 3326).
ELSEWHERE: Final[Field] = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')

#: Statuses that say what the request should have been like (16.7 step 6).
_HELPFUL: Final = frozenset((401, 407, 415, 420, 484))
#: Statuses that say least.
_POOR: Final = frozenset((408, 480, 487))
#: Statuses to a BYE that say, as a 2xx, that there is no call (15.1.1, 12.2.1.2).
_OVER: Final = frozenset((408, 481))
_CHALLENGES: Final = ("WWW-Authenticate", "Proxy-Authenticate")

#: How a branch has failed: the status, and the response that bore it if there was one.
_Failure = tuple[int, Response | None]


class Core(branch.Core, Protocol):
    """What a context needs of the proxy core."""

    forks: ForkLimits

    def record_routes(self, context: "ResponseContext", target: Target, flow: Flow) -> list[str]:
        """Our Record-Route values in the copy for a target that is reached on ``flow``."""

    def may_go(self, side: Side, flow: Flow) -> bool:
        """Whether what is for one side of a dialog may leave on a flow."""

    def learn(self, context: "ResponseContext", branch: Branch, response: Response) -> None:
        """A 1xx or 2xx comes that may make a dialog, or say where its sender is to be reached."""

    def send_stateless(self, response: Response, context: "ResponseContext") -> None:
        """Send a response back past its transaction."""

    def concluded(self, context: "ResponseContext") -> None:
        """The final response has gone, and no branch is waited for."""


class ResponseContext:
    """A request that is forwarded, from its arrival until its last transaction has ended.

    :ivar arrived: the request without the routes that were ours.
    :ivar received: the request as it came.
    :ivar flow: on which it came.
    :ivar loop: second part of the branches.
    :ivar scope: holds its transactions.
    :ivar stays: whether we stay on the path of the dialog that it makes.
    :ivar symmetric: whether who sent it is reached along ``flow`` rather than by its Contact.
    :ivar pinned: the way to the other side of its dialog, where its URI does not lead there.
    :ivar dialog: what it makes where we stay on the path, or is sent within.
    :ivar far: the other side of the dialog within which it is sent; None for other requests.
    :ivar by_caller: whether it is sent by who has made that dialog.
    :ivar ends: whether it is a BYE that ends ``calls`` once the other side knows of it.
    :ivar call: the record of the call that it makes; None for other requests.
    :ivar calls: the records of the calls within which it passes.
    """

    __slots__ = (
        "_answered",
        "_branches",
        "_cancelled",
        "_core",
        "_failures",
        "_forks",
        "_running",
        "_steps",
        "_stopped",
        "_transaction",
        "arrived",
        "by_caller",
        "call",
        "calls",
        "dialog",
        "ends",
        "far",
        "flow",
        "loop",
        "pinned",
        "received",
        "scope",
        "stays",
        "symmetric",
    )

    def __init__(
        self,
        core: Core,
        arrived: routes.Arrived,
        received: Request,
        transaction: InviteServer | Server,
        loop: str,
        scope: Scope,
    ) -> None:
        self.arrived = arrived
        self.received = received
        self.flow = transaction.flow
        self.loop = loop
        self.scope = scope
        self.stays = False
        self.symmetric = False
        self.pinned: Flow | None = None
        self.dialog: Dialog | None = None
        self.far: Side | None = None
        self.by_caller = False
        self.ends = False
        self.call: ForwardedCall | None = None
        self.calls: list[ForwardedCall] = []
        self._core = core
        self._transaction = transaction
        self._steps: list[list[Target]] = []
        self._branches: list[Branch] = []
        self._running: set[Branch] = set()
        self._failures: list[_Failure] = []
        self._forks = 0
        self._answered = False
        self._cancelled = False
        self._stopped = False
        scope.on_closed = self._let_go
        transaction.adopt(scope, self)

    def begin(self, steps: list[list[Target]]) -> None:
        """Forward the request, to the targets of one step after the other."""
        self._steps = steps
        self._go_on()

    def refuse(self, status: int, reason: str | None, fields: Iterable[Field] = ()) -> None:
        """Answer it ourselves, and cancel what runs."""
        self._stop([])
        if not self._answered:
            tag = compose.new_tag()
            response = compose.response(self.received, status, reason, to_tag=tag, fields=fields)
            self._respond(response)
            if self.call is not None:
                self.call.refused(response, tag, "switch")
        self._go_on()

    # From the server transaction.

    def cancelled(self, transaction: InviteServer, cancel: Request) -> None:
        """Whoever sent the request has given it up: so do we (16.10)."""
        self._cancelled = True
        if self.call is not None:
            self.call.data.record.causes = cancel.all("Reason")
        self._stop([("Reason", value) for value in cancel.all("Reason")])
        self._go_on()

    def transaction_failed(self, transaction: InviteServer | Server, reason: str) -> None:
        """A response was lost: that is all that there is to it (16.9)."""

    # From the branches.

    def hop(self, target: Target) -> Flow | Uri:
        """Where the request for a target goes (16.6 step 7)."""
        if self.pinned is not None:
            return self.pinned
        hop = routes.next_hop(self.arrived.request, target.uri)
        if self.arrived.request.get("Route") is not None:
            return hop
        return target.flow or hop

    def may_go(self, flow: Flow) -> bool:
        """Whether the request may leave on a flow."""
        return self.far is None or self._core.may_go(self.far, flow)

    def copy(self, branch: Branch, flow: Flow) -> Request:
        """The request for a branch whose target is reached on ``flow``, without a Via."""
        target = branch.target
        values = self._core.record_routes(self, target, flow)
        further = list(target.headers.items())
        return routes.forwarded(self.arrived.request, target.uri, values, further, branch.breadth)

    def progressed(self, branch: Branch, response: Response) -> None:
        """A provisional response other than 100 is forwarded at once."""
        self._core.learn(self, branch, response)
        back = routes.returned(response)
        if back is None or self._answered:
            return
        self._send(back)
        if self.call is not None:
            self.call.rang(branch.attempt, back)

    def succeeded(self, branch: Branch, response: Response) -> None:
        """A 2xx is forwarded at once; of an INVITE every one."""
        self._core.learn(self, branch, response)
        self._running.discard(branch)
        back = routes.returned(response)
        if back is not None:
            self._forward_success(branch, back)
        self._stop([ELSEWHERE])
        self._go_on()

    def failed(self, branch: Branch, status: int, response: Response | None) -> None:
        """A final response other than 2xx is kept, until the best is chosen."""
        self._running.discard(branch)
        attempt = branch.attempt
        if attempt.ended is None:
            attempt.ended = self._core.clock.seconds()
            attempt.status = status
            attempt.reason = REASONS.get(status, "") if response is None else response.reason
        if self.call is not None:
            self.call.failed(attempt)
        back = None if response is None else routes.returned(response)
        if status:
            self._failures.append((status, back))
        if status >= 600:
            self._stop([])
        self._go_on()

    # Helpers.

    def _go_on(self) -> None:
        """Begin the next step, unless something still runs; after the last one, conclude."""
        while not self._running and self._steps and not self._stopped:
            wanted = [self._new_branch(*each) for each in self._share_out(self._steps.pop(0))]
            step = [branch for branch in wanted if branch is not None]
            self._branches += step
            self._running.update(step)
            for each in step:
                each.start()
        if self._running:
            return
        if not self._answered:
            self._conclude()
        self._core.concluded(self)

    def _share_out(self, targets: list[Target]) -> list[tuple[Target, int]]:
        """The targets of a step, each with its share of the request's breadth; none at all where
        they would be too many: that is 440."""
        whole, count = forks.breadth(self.received), len(targets)
        limit = self._core.forks.broken(whole, 0, self._forks, count)
        if limit:
            self._steps.clear()
            self._failures.append((440, None))
            if self.call is not None:
                now, target = self._core.clock.seconds(), targets[0]
                attempt = Attempt(target.uri, self.received.call_id, now, target.trunk, ended=now)
                attempt.status, attempt.reason, attempt.limit = 440, REASONS[440], limit
                self.call.tried(attempt, target, False)
            return []
        self._forks += count
        return list(zip(targets, forks.shares(whole, count), strict=True))

    def _new_branch(self, target: Target, breadth: int) -> Branch | None:
        """None for a call that its trunk cannot bear."""
        received = self.received
        attempt = Attempt(
            target.uri,
            received.call_id,
            self._core.clock.seconds(),
            target.trunk,
            caller=str(received.from_.uri),
        )
        if self.call is not None:
            over, toll = self._over_limit(target, self.call)
            self.call.tried(attempt, target, over is None, toll)
            if over is not None:
                attempt.ended, (attempt.status, attempt.limit) = attempt.started, over
                attempt.reason = REASONS[attempt.status]
                self._failures.append((attempt.status, None))
                return None
        branch = Branch(self._core, self, target, attempt)
        branch.breadth = breadth
        return branch

    def _over_limit(
        self, target: Target, call: ForwardedCall
    ) -> tuple[tuple[int, str] | None, str]:
        """The limit, of its trunk or of who pays, that a call would break: a status, and which;
        else its run at whoever's expense."""
        if target.trunk is None:
            return None, ""
        called = self.received.request_uri

        def dialled() -> Iterable[str | None]:
            return called.user, Uri.parse(target.uri).user

        over = self._core.traffic.over(target.trunk, "out", dialled)
        if over is not None:
            return over, ""
        record = call.data.record
        who = Identity(record.identity_kind, record.identity)
        numbers = (called.user, Uri.parse(target.uri).user)
        toll = self._core.traffic.charge(target, "", numbers, who, (), record.id, call.data.counted)
        return (None, toll) if isinstance(toll, str) else ((toll.status, toll.limit), "")

    def _stop(self, fields: list[Field]) -> None:
        """Begin no branch more, and cancel those that run."""
        self._stopped = True
        for each in list(self._running):
            each.cancel(fields)

    def _forward_success(self, branch: Branch, response: Response) -> None:
        first = not self._answered
        if first or self._transaction.state == invite_server.State.ACCEPTED:
            self._respond(response)
        elif self.received.method == "INVITE":  # our own refusal was quicker, or it comes very late
            self._core.send_stateless(response, self)
        else:
            return
        if self.call is not None:
            self.call.answered(branch.attempt, response)
        if first and self.received.method in ("INVITE", "UPDATE"):
            for call in self.calls:
                call.refreshed(response)

    def _conclude(self) -> None:
        """Forward the best final response (16.7 steps 6 and 7)."""
        status, response = min(self._failures, key=_rank, default=(408, None))
        if self._cancelled and response is None:
            status = 487
        who = "caller" if self._cancelled else "switch" if response is None else "callee"
        if status == 503:  # it is not we who are unavailable
            status, response = 500, None
        if response is None:
            response = compose.response(self.received, status, to_tag=compose.new_tag())
        elif status in (401, 407):
            response = self._with_challenges(response)
        self._respond(response)
        if self.call is not None:
            self.call.refused(response, response.to.tag or "", who)

    def _with_challenges(self, best: Response) -> Response:
        """The best response with the challenges of all others, so that all can be answered."""
        fields = list(best.fields)
        for status, other in self._failures:
            if status in (401, 407) and other is not None and other is not best:
                fields += [field for field in other.fields if field[0] in _CHALLENGES]
        return Response(best.status, best.reason, fields, best.body)

    def _respond(self, response: Response) -> None:
        self._answered = True
        self._send(response)
        if self.ends and self._is_known_of(response.status):
            for call in self.calls:
                call.hung_up(self.received, self.by_caller)

    def _is_known_of(self, status: int) -> bool:
        """Whether the other side knows that the call is over, or is not there any more; a trunk's
        goes on, and costs, until it has said so. Where it was before, it may well be unknown."""
        far = self.far
        if status < 300 or far is None:
            return True
        if status in _OVER:
            return far.is_there(self.arrived.request.request_uri)
        return status >= 500 and not far.trunk

    def _send(self, response: Response) -> None:
        if not self._transaction.terminated:  # by a connection that has broken
            self._transaction.respond(response)

    def _let_go(self) -> None:
        """The scope has closed: nothing can happen any more, nobody needs to be known."""
        self._branches.clear()
        self._failures.clear()
        del self._transaction


def _rank(failure: _Failure) -> tuple[int, int]:
    """The order of preference of 16.7 step 6; the lowest is forwarded."""
    status, response = failure
    if status >= 600:
        return 0, 0
    if status in _HELPFUL:
        return 4, 0
    return status // 100, 3 if response is None else 2 if status in _POOR else 1
