"""The proxy core: what is forwarded, and what is refused before that. Pure.

RFC 3261 section 16. Requests come from two sides. One outside of any dialog was admitted, and a
policy has answered ``Proxy``. One within a dialog bears a Record-Route value of ours, which
nobody else can make; nobody is asked again, but it goes nowhere else than to the other side
(``within``). Of a dialog from before a restart the BYE alone is forwarded, lest the other side
never hear of it, along the way that our value says.

Where we depart from the text: a CANCEL that matches nothing is answered with 481 by the
transaction layer (16.10 would forward it, but we forward no INVITE without state, so that it would
match nothing further on either), and 3xx are passed on, never followed.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from softswitch.dialog import sips
from softswitch.dialog.dialog import behind_nat
from softswitch.dialog.useragent import Resolver
from softswitch.errors import SipSyntaxError, TransportError
from softswitch.flow import Flow, uri_transport
from softswitch.plugin.decisions import Proxy, Target, steps
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import REGISTERED, Identity
from softswitch.proxy.branch import Branch, Finding
from softswitch.proxy.context import ResponseContext
from softswitch.proxy.dialogs import Dialogs, Side
from softswitch.proxy.ledger import ForwardedCall, Ledger, Observer
from softswitch.proxy.routes import (
    NO_DIALOG,
    Arrived,
    Marks,
    Way,
    arrived,
    forwarded,
    has_looped,
    next_hop,
    suspected,
)
from softswitch.proxy.within import Within, within
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.forks import ForkLimits, breadth
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import METHODS
from softswitch.sip.uri import Uri
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.server import Screened, Server
from softswitch.transport.domains import Domains
from softswitch.transport.layer import Destination, TransportLayer
from softswitch.trunk.tolls import REFUSED
from softswitch.trunk.traffic import OUT_OF_ORDER, Traffic
from softswitch.wheel import Clock

#: Status, reason phrase and fields of a refusal.
_Refusal = tuple[int, str | None, list[Field]]


class Forwarder:
    """Forwards requests, and keeps the records of the calls among them.

    :ivar ledger: those records.
    :ivar dialogs: within which requests are forwarded.
    :ivar counters: "INVITE forwarded" and the like -> how often.
    :ivar traffic: the trunks, as calls see them.
    :ivar forks: to how many places a request may go.
    :param domains: which URIs are ours.
    :param secret: makes our routes and branches such as nobody else can make.
    """

    def __init__(
        self,
        clock: Clock,
        transport: TransportLayer,
        transactions: TransactionLayer,
        resolver: Resolver,
        domains: Domains,
        auditor: Auditor,
        secret: bytes,
        traffic: Traffic,
    ) -> None:
        self.clock = clock
        self.transport = transport
        self.transactions = transactions
        self.counters: Counter[str] = Counter()
        self.traffic = traffic
        self.forks = ForkLimits()
        self.ledger = Ledger(clock, auditor, self.counters, self.traffic)
        self.dialogs = Dialogs(clock.seconds, self._is_mark)
        self._resolver = resolver
        self._domains = domains
        self._auditor = auditor
        self._marks = Marks(secret)
        self._contexts: set[ResponseContext] = set()

    # What the user agent asks and tells: requests that follow a route of ours.

    def screen(self, request: Request, flow: Flow) -> Response | Screened | None:
        """Look at a request with a Route before any state is made for it.

        :returns: None where no route of ours leads here: it is an ordinary request.
        :raises SipSyntaxError: a Route or Max-Forwards cannot be read.
        """
        found = self._within(request, flow)
        if found is None:
            return None
        came = found.came
        refusal = self._refusal(request)
        if refusal is None and request.get("Route") and came.request.get("Route") is None:
            uri = came.request.request_uri
            refusal = None if uri.scheme in ("sip", "sips") else (416, None, [])
        if refusal is None and not found.may_pass(self._marks, self.clock.seconds()):
            refusal = 481, None, []
        if refusal is not None:
            status, reason, fields = refusal
            return compose.response(request, status, reason, fields=fields)
        return Screened(self, force_rport=found.way_back.only)

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """One that was let in, and now has its transaction."""
        flow = transaction.flow
        found = self._within(request, flow)
        assert found is not None
        context = self._context(found.came, request, transaction)
        context.stays = request.method not in NO_DIALOG
        dialog, near = found.dialog, found.near
        if dialog is None:
            context.pinned = self._way_of_old(found.way)
            if context.pinned is None:
                context.refuse(481, None)
                return
        else:
            if near is None:
                host, names = self._whence(flow)
                near = self.dialogs.notified(dialog, request, host, next(iter(names), ""))
            context.calls = self.ledger.find(request, found.by_caller)
            context.dialog, context.far = dialog, found.far
            context.by_caller = found.by_caller
            context.pinned = self._pinned(found, context.calls)
            if near is not None and near.is_at(*self._whence(flow)):
                self.dialogs.passed(dialog, near, request.method, request)
                context.ends = request.method == "BYE"
                for call in context.calls:
                    call.heard(flow, found.by_caller)
        context.begin([[Target(found.came.request.uri)]])

    def ack_received(self, request: Request, flow: Flow) -> bool:
        """Forward the ACK of a 2xx, of which nothing is remembered (16.11).

        :returns: False where no route of ours leads here.
        :raises SipSyntaxError: it cannot be read.
        """
        found = self._within(request, flow)
        if found is None:
            return False
        came, near, far = found.came.request, found.near, found.far
        wrong = self._refusal(request) or not found.may_pass(self._marks, self.clock.seconds())
        if wrong or near is None or far is None:
            self.counters["ACK not forwarded"] += 1
            return True
        calls = self.ledger.find(request, found.by_caller)
        hop = self._pinned(found, calls) or next_hop(came, came.uri)
        if near.is_at(*self._whence(flow)):
            for call in calls:
                call.heard(flow, found.by_caller)
        branch = self._marks.branch(request, self._marks.loop(request))
        ack = forwarded(came, came.uri, ())
        if isinstance(hop, Flow):
            self._send_ack(ack, branch, far, [hop])
        else:
            self.find(hop, partial(self._send_ack, ack, branch, far))
        return True

    # What whoever has asked the policies hands over.

    def forward(
        self,
        request: Request,
        transaction: InviteServer | Server,
        identity: Identity,
        decision: Proxy,
        told: tuple[CallRecord, Observer] | None = None,
    ) -> None:
        """Forward a request outside of any dialog, from somebody known.

        :param transaction: without a final response.
        :param told: the record of an INVITE, which is seen to its end here, and who is told of it.
        """
        self.transactions.allow_merging(transaction)
        flow = transaction.flow
        refusal: _Refusal | None
        try:
            came = self._arrived(request, flow)
            refusal = self._refusal(request)
        except SipSyntaxError as error:
            came, refusal = Arrived(request, [], None), (error.status, error.reason, [])
        context = self._context(came, request, transaction)
        context.stays = decision.record_route and request.method not in NO_DIALOG
        if context.stays and refusal is None:
            host, names = self._whence(flow)
            trunk = identity.name if identity.kind == "trunk" else ""
            context.dialog = self.dialogs.open(request, host, trunk, names)
        if told is not None:
            context.call = self.ledger.open(request, told[0], context.dialog, told[1])
        if refusal is None and not decision.targets:
            refusal = self.traffic.no_trunk_status, None, [OUT_OF_ORDER]
        targets = sips.reachable(request, decision.targets)
        if refusal is None and request.method == "MESSAGE":
            targets, refusal = self._unbarred(request, targets, identity)
        if refusal is None and not targets:
            refusal = 480, None, [sips.NOT_ALLOWED]
        if refusal is not None:
            context.refuse(*refusal)
            return
        context.symmetric = len(request.values("Via")) == 1 and (
            identity.kind in REGISTERED or _behind_nat(request, flow)
        )
        context.begin(steps(_distinct(targets)))

    def _unbarred(
        self, request: Request, targets: Sequence[Target], who: Identity
    ) -> tuple[Sequence[Target], _Refusal | None]:
        """Those to which a message may go, which may cost as a call does; else why to none."""
        free: list[Target] = []
        refusal: _Refusal | None = None
        for target in targets:
            called = request.request_uri.user, Uri.parse(target.uri).user
            barred = self.traffic.bars(target, "", called, who)
            if barred is None:
                free.append(target)
            else:
                refusal = barred.status, None, [REFUSED]
        return free, None if free else refusal

    def shut(self) -> None:
        """The switch stops: answer what waits, and complete the records."""
        for context in list(self._contexts):
            context.refuse(503, "Switch Stops")
        for call in self.ledger.calls():
            call.end("switch", "Switch stops")

    # What the response contexts ask for.

    def find(self, uri: Uri, tell: Finding) -> None:
        """Call ``tell`` with the destinations to which a URI leads, now or later."""
        at_once = self._resolver.at_once(uri)
        if at_once is not None:
            tell([at_once])
        else:
            self._resolver.resolve(uri, tell)

    def record_routes(self, context: ResponseContext, target: Target, flow: Flow) -> list[str]:
        """Our Record-Route values in the copy for a target that is reached on ``flow``.

        Two where the sides see different listeners of ours or use different transports: each then
        finds its own next to it (16.6 step 4). Within a dialog those by which the request came.
        """
        if not context.stays:
            return []
        request = context.received
        if request.to.tag is not None:
            return context.arrived.own[::-1]
        direct = target.flow is not None and context.arrived.request.get("Route") is None
        ways = self._way(context.flow, context.symmetric), self._way(flow, direct)
        path = self._marks.path(request, self.clock.seconds(), *ways)
        user = self._marks.user(path, request.call_id)
        scheme = "sips" if target.uri.startswith("sips:") else "sip"
        far, near = (self._own_route(user, each, scheme) for each in (flow, context.flow))
        return [far] if far == near else [far, near]

    def may_go(self, side: Side, flow: Flow) -> bool:
        """Whether what is for one side of a dialog may leave on a flow: to no trunk but its own,
        whatever its Contact or Record-Route says."""
        return side.takes(*self._whence(flow))

    def learn(self, context: ResponseContext, branch: Branch, response: Response) -> None:
        """A 1xx or 2xx comes that may make a dialog, or say where its sender is to be reached."""
        dialog, far = context.dialog, context.far
        if dialog is None or response.status == 100:
            return
        host, names = branch.host, self.traffic.names_at(branch.host)
        if far is None:
            trunk = branch.target.trunk or next(iter(names), "")
            self.dialogs.answered(dialog, response, host, trunk, names)
        elif far.is_at(host, names):
            self.dialogs.passed(dialog, far, context.received.method, response)

    def send_stateless(self, response: Response, context: ResponseContext) -> None:
        """Send a response back past its transaction."""
        self.transactions.send_stateless(response, context.received, context.flow)

    def concluded(self, context: ResponseContext) -> None:
        """Its final response has gone, and no branch is waited for."""
        self._contexts.discard(context)
        context.scope.end()

    # Helpers.

    def _context(
        self, came: Arrived, request: Request, transaction: InviteServer | Server
    ) -> ResponseContext:
        # Anybody can make up a method's name.
        method = request.method if request.method in METHODS else "another method"
        self.counters[f"{method} forwarded"] += 1
        scope = Scope(f"forwarded {request.method} of {request.call_id}", self._auditor)
        loop = self._marks.loop(request)
        context = ResponseContext(self, came, request, transaction, loop, scope)
        self._contexts.add(context)
        return context

    def _within(self, request: Request, flow: Flow) -> Within | None:
        """A request that follows a route of ours within a dialog; None for any other."""
        if request.to.tag is None or not suspected(request):
            return None
        return within(self._arrived(request, flow), self._marks, self.dialogs)

    def _whence(self, flow: Flow) -> tuple[str, list[str]]:
        """The address at the other end, and the names of the trunks there."""
        return flow.remote_host, self.traffic.names_at(flow.remote_host)

    def _is_mark(self, uri: Uri, call_id: str) -> bool:
        return self._marks.read(uri, call_id) is not None

    def _arrived(self, request: Request, flow: Flow) -> Arrived:
        came = arrived(request, flow, self._marks, self._domains.is_own_hop)
        assert came.request.routes is not None  # read now, for what cannot be read is refused now
        return came

    def _refusal(self, request: Request) -> _Refusal | None:
        """Why a request may not be forwarded (16.3).

        :raises SipSyntaxError: Max-Forwards cannot be read, or Max-Breadth.
        """
        if request.max_forwards == 0:
            return 483, None, []
        if not breadth(request):
            return 440, None, []
        if has_looped(request, self._marks.loop(request)):
            return 482, None, []
        wanted = request.proxy_require
        return (420, None, [("Unsupported", ", ".join(wanted))]) if wanted else None

    def _send_ack(
        self, ack: Request, branch: str, far: Side, hops: Sequence[Flow | Destination]
    ) -> None:
        for hop in hops:
            try:
                flow = hop if isinstance(hop, Flow) else self.transport.flow_to(*hop)
            except TransportError:
                continue
            if not self.may_go(far, flow):
                continue
            self.transactions.send_ack(ack, flow, branch)
            return
        self.counters["ACK not forwarded"] += 1

    def _own_route(self, user: str, flow: Flow, scheme: str) -> str:
        """A Record-Route value that leads to the listener that ``flow``'s peer sees."""
        facing = self.transport.facing(flow)
        params: dict[str, str | None] = {}
        if flow.transport != "UDP":
            params["transport"] = uri_transport(flow.transport)
        params["lr"] = None
        return f"<{Uri(scheme, user=user, host=facing.host, port=facing.port, params=params)}>"

    def _way(self, flow: Flow, only: bool) -> Way:
        names = [listener.name for listener in self.transport.listeners]
        place = names.index(flow.listener)
        return Way(place, flow.remote_host, flow.remote_port, flow.serial, only)

    def _flow(self, way: Way) -> Flow | None:
        """Its flow; None where that has broken, or its listener is no more."""
        listeners = self.transport.listeners
        if way.listener >= len(listeners):
            return None
        name = listeners[way.listener].name
        flow = self.transport.flow(name, way.host, way.port, way.serial)
        return flow if self.transport.is_alive(flow) else None

    def _way_of_old(self, way: Way) -> Flow | None:
        """A flow to the other side of a dialog of which nothing but our route is known."""
        flow = self._flow(way)
        if flow is not None or way.listener >= len(self.transport.listeners):
            return flow
        transport = self.transport.listeners[way.listener].transport
        try:
            return self.transport.flow_to(transport, way.host, way.port)
        except TransportError:
            return None

    def _pinned(self, found: Within, calls: list[ForwardedCall]) -> Flow | None:
        """The way to the other side of a dialog that its Contact does not show: where it was
        heard last, else where the first request came from or went; None where its URI leads."""
        if not found.way.only or found.came.request.get("Route") is not None:
            return None
        flow = self._flow(found.way)
        for call in calls:
            heard = call.data.from_callee if found.by_caller else call.data.from_caller
            flow = heard or flow
        return flow if flow is not None and self.transport.is_alive(flow) else None


def _behind_nat(request: Request, flow: Flow) -> bool:
    """Whether a Contact that can be read shows no way to who sent the request."""
    try:
        return behind_nat(request, flow)
    except SipSyntaxError:
        return False


def _distinct(targets: Sequence[Target]) -> list[Target]:
    """The targets, each URI once (16.5)."""
    found: list[tuple[Uri, Target]] = []
    for target in targets:
        uri = Uri.parse(target.uri)
        if not any(uri.same_as(other) for other, _ in found):
            found.append((uri, target))
    return [target for _, target in found]
