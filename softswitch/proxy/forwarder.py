"""The proxy core: what is forwarded, and what is refused before that. Pure.

RFC 3261 section 16. Requests come from two sides. One outside of any dialog was admitted, and a
policy has answered ``Proxy``. One within a dialog bears a Record-Route value of ours, which
nobody else can make, and goes where its routes and its Request-URI say; nobody is asked again.

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
from softswitch.proxy.branch import Finding
from softswitch.proxy.context import ResponseContext
from softswitch.proxy.ledger import ForwardedCall, Ledger, Observer
from softswitch.proxy.routes import (
    NO_DIALOG,
    Arrived,
    Marks,
    Path,
    Way,
    arrived,
    forwarded,
    has_looped,
    next_hop,
    suspected,
)
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
        came = self._within(request, flow)
        if came is None or came.path is None:
            return None
        refusal = self._refusal(request)
        if refusal is None and request.get("Route") and came.request.get("Route") is None:
            uri = came.request.request_uri
            refusal = None if uri.scheme in ("sip", "sips") else (416, None, [])
        if refusal is not None:
            status, reason, fields = refusal
            return compose.response(request, status, reason, fields=fields)
        return Screened(self, force_rport=self._way_back(came.path, request) is not None)

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """One that was let in, and now has its transaction."""
        flow = transaction.flow
        came = self._within(request, flow)
        assert came is not None
        assert came.path is not None
        by_caller = self._marks.by_caller(came.path, request)
        context = self._context(came, request, transaction)
        context.calls = self.ledger.find(request, by_caller)
        context.stays = request.method not in NO_DIALOG
        context.pinned = self._pinned(came.path, context.calls, by_caller)
        for call in context.calls:
            call.heard(request, flow, by_caller)
        context.begin([[Target(came.request.uri)]])

    def ack_received(self, request: Request, flow: Flow) -> bool:
        """Forward the ACK of a 2xx, of which nothing is remembered (16.11).

        :returns: False where no route of ours leads here.
        :raises SipSyntaxError: it cannot be read.
        """
        came = self._within(request, flow)
        if came is None or came.path is None:
            return False
        if self._refusal(request) is not None:
            self.counters["ACK not forwarded"] += 1
            return True
        by_caller = self._marks.by_caller(came.path, request)
        calls = self.ledger.find(request, by_caller)
        hop: Flow | Uri = next_hop(came.request, came.request.uri)
        pinned = self._pinned(came.path, calls, by_caller)
        if pinned is not None and came.request.get("Route") is None:
            hop = pinned
        for call in calls:
            call.heard(request, flow, by_caller)
        branch = self._marks.branch(request, self._marks.loop(request))
        ack = forwarded(came.request, came.request.uri, ())
        if isinstance(hop, Flow):
            self.transactions.send_ack(ack, hop, branch)
        else:
            self.find(hop, partial(self._send_ack, ack, branch))
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
        if told is not None:
            context.call = self.ledger.open(request, told[0], decision.record_route, told[1])
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
        context.stays = decision.record_route and request.method not in NO_DIALOG
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
        path = self._marks.path(
            request,
            self._way(context.flow) if context.symmetric else None,
            self._way(flow) if direct else None,
        )
        user = self._marks.user(path, request.call_id)
        scheme = "sips" if target.uri.startswith("sips:") else "sip"
        far, near = (self._own_route(user, each, scheme) for each in (flow, context.flow))
        return [far] if far == near else [far, near]

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

    def _within(self, request: Request, flow: Flow) -> Arrived | None:
        """A request that follows a route of ours within a dialog; None for any other."""
        if request.to.tag is None or not suspected(request):
            return None
        return self._arrived(request, flow)

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

    def _send_ack(self, ack: Request, branch: str, destinations: list[Destination]) -> None:
        for destination in destinations:
            try:
                flow = self.transport.flow_to(*destination)
            except TransportError:
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

    def _way(self, flow: Flow) -> Way:
        names = [listener.name for listener in self.transport.listeners]
        place = names.index(flow.listener)
        return Way(place, flow.remote_host, flow.remote_port, flow.serial)

    def _way_back(self, path: Path, request: Request) -> Way | None:
        by_caller = self._marks.by_caller(path, request)
        return path.to_caller if by_caller else path.to_callee

    def _pinned(self, path: Path, calls: list[ForwardedCall], by_caller: bool) -> Flow | None:
        """The way to the other side of a dialog that its Contact does not show: where it was
        heard last, else where the first request came from or went; None where its URI leads."""
        way = path.to_callee if by_caller else path.to_caller
        if way is None:
            return None
        listener = self.transport.listeners[way.listener]
        flow = self.transport.flow(listener.name, way.host, way.port, way.serial)
        for call in calls:
            flow = (call.data.from_callee if by_caller else call.data.from_caller) or flow
        return flow if self.transport.is_alive(flow) else None


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
