"""The user agent: what comes in finds its dialog or its handler, what goes out finds a flow
(RFC 3261 sections 8 and 12). Pure.

A request in a dialog is found by the dialog's identity, never by its source address. One outside
of any is looked at before any state is made for it: a stranger costs one answer and no memory.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Protocol

from softswitch.dialog import sips
from softswitch.dialog.dialog import Dialog, DialogKey
from softswitch.dialog.hops import Locate, found_again
from softswitch.dialog.late import LateAnswers
from softswitch.dialog.requester import Requester
from softswitch.dialog.usage import CAPABILITIES, Usage, unacceptable
from softswitch.errors import SipSyntaxError, TransportError
from softswitch.flow import Flow
from softswitch.plugin.decisions import (
    Admission,
    Allow,
    Challenge,
    Proxy,
    Redirect,
    Reject,
    Routing,
)
from softswitch.plugin.views import Identity, RequestView
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import METHODS
from softswitch.sip.uri import Uri
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.server import Screened, Server
from softswitch.transport.domains import Domains
from softswitch.transport.layer import Destination, TransportLayer

#: Serves a request outside of any dialog that has been admitted.
Handler = Callable[[Request, InviteServer | Server, Identity], None]


class Resolver(Protocol):
    """Finds where a URI leads (RFC 3263)."""

    def at_once(self, uri: Uri) -> Destination | None:
        """Where it leads if that stands in it, as an address; None when it has to be asked."""

    def resolve(self, uri: Uri, tell: Callable[[list[Destination]], None]) -> None:
        """Call ``tell`` with the destinations, best first; now for an address, later for a
        name, with none when there are none."""


class Gate(Protocol):
    """Says who may send us requests: the policy chain."""

    def ask_admission(self, request: RequestView, tell: Callable[[Admission], None]) -> None:
        """Call ``tell`` once, now or later."""

    def ask_route(self, invite: RequestView, tell: Callable[[Routing], None]) -> None:
        """Call ``tell`` once, now or later."""

    def challenge_fields(self, flow: Flow, challenge: Challenge) -> list[Field]:
        """The WWW-Authenticate fields of a challenge that leaves on ``flow``."""


class Forwarding(Protocol):
    """Forwards what is sent within dialogs that are not ours: the proxy (RFC 3261 16)."""

    def screen(self, request: Request, flow: Flow) -> Response | Screened | None:
        """Look at a request with a Route before any state is made for it; let in with itself as
        the identity. None where the route is not of the proxy's making."""

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """One that was let in."""

    def ack_received(self, request: Request, flow: Flow) -> bool:
        """Forward an ACK with a Route; False where the route is not of the proxy's making."""

    def forward(
        self,
        request: Request,
        transaction: InviteServer | Server,
        identity: Identity,
        decision: Proxy,
    ) -> None:
        """Forward a request other than INVITE outside of any dialog."""


class _Asking:
    """An admission question that may be answered later than the request must be screened."""

    __slots__ = ("decision", "then")

    def __init__(self) -> None:
        self.decision: Admission | None = None
        self.then: Callable[[Admission], None] | None = None

    def tell(self, decision: Admission) -> None:
        self.decision = decision
        if self.then is not None:
            self.then(decision)


class _Lookup:
    """A request that waits for its target to be resolved; held by the leg's scope."""

    __slots__ = ("answered", "held", "request", "scope", "user")

    def __init__(self, request: Request, user: Requester, scope: Scope) -> None:
        self.request = request
        self.user = user
        self.scope = scope
        self.answered = False
        self.held = False

    def leftovers(self) -> list[str]:
        return [] if self.answered else ["resolving"]


class UserAgent:
    """Dispatches requests; sends on behalf of the sessions and the other usages of a dialog.

    :ivar handlers: method -> who serves it outside of a dialog.
    :ivar proxy: serves what follows a route of its making; None without one.
    :ivar timers: of RFC 3261 table 4.
    :ivar gate: asked about each request outside of a dialog.
    :ivar inner: flows that do not leave the process, and who is there: the gate is not asked.
    :param domains: which names and addresses mean us.
    :param locate: finds a registered phone that has connected anew; without it none is known.
    """

    def __init__(
        self,
        transport: TransportLayer,
        transactions: TransactionLayer,
        resolver: Resolver,
        domains: Domains,
        gate: Gate,
        auditor: Auditor,
        locate: Locate = lambda user: (),
    ) -> None:
        self.handlers: dict[str, Handler] = {"OPTIONS": self._options}
        self.proxy: Forwarding | None = None
        self.timers = transactions.timers
        self.transport = transport
        self._transactions = transactions
        self._resolver = resolver
        self._domains = domains
        self.gate = gate
        self._late = LateAnswers(transport, transactions, auditor)
        self._locate = locate
        self.inner: dict[Flow, Identity] = {}
        self._dialogs: dict[DialogKey, Usage] = {}
        self._secret = os.urandom(16)
        transactions.user = self

    @property
    def dialogs(self) -> Mapping[DialogKey, Usage]:
        """Who can be reached within a dialog, by the dialog's identity."""
        return self._dialogs

    # What the transaction layer asks and tells.

    def screen(self, request: Request, flow: Flow) -> Response | Screened:
        """Look at a request before any state is made for it (RFC 3261 8.2)."""
        try:
            if self.proxy is not None and request.get("Route") is not None:
                screened = self.proxy.screen(request, flow)
                if screened is not None:
                    return screened
            tag = request.to.tag
            if tag is not None:
                usage = self._dialogs.get((request.call_id, tag, request.from_.tag or ""))
                if usage is None and request.method == "NOTIFY":
                    # It makes the dialog, and may come before the 2xx (RFC 6665 4.4.1).
                    usage = self._dialogs.get((request.call_id, tag, ""))
                if usage is None:
                    return compose.response(request, 481)
                dialog = usage.data.dialog
                refused = sips.unprotected(dialog.secure, flow) if dialog.secure else None
                refused = refused or unacceptable(request)
                if refused is not None:
                    return self._answer(request, *refused)
                return Screened(usage, force_rport=dialog.symmetric)
            refusal = self._refusal(request, flow)
            if refusal is not None:
                return refusal
            if flow in self.inner:
                return Screened(self.inner[flow])
            asking = _Asking()
            self.gate.ask_admission(RequestView(request, flow), asking.tell)
            decision = asking.decision
            if decision is None:
                return Screened(asking)
            if isinstance(decision, Allow):
                return Screened(decision.identity, force_rport=decision.identity.force_rport)
            return self._refuse(request, flow, decision)
        except SipSyntaxError as error:
            return self._answer(request, error.status, reason=error.reason)

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """A request that was screened and now has its transaction."""
        who = transaction.screened.identity
        if isinstance(who, _Asking):
            who.then = partial(self._decided, request, transaction)
        else:
            self._serve(request, transaction, who)

    def _serve(
        self, request: Request, transaction: InviteServer | Server, who: Identity | Usage
    ) -> None:
        """Hand a request to its dialog's usage or its handler; what fails there is answered all the
        same, lest its transaction wait for ever."""
        try:
            if not isinstance(who, Identity):
                who.request_received(request, transaction)
            else:
                invites = request.method == "INVITE"
                refusal = None if invites else self._unserved(request)
                if refusal is None:
                    self.handlers[request.method](request, transaction, who)
                elif request.method == "REGISTER" or self.proxy is None:
                    transaction.respond(refusal)
                else:
                    view = RequestView(request, transaction.flow, who)
                    told = partial(self._forward, request, transaction, who, refusal)
                    self.gate.ask_route(view, told)
        except SipSyntaxError as error:
            if not transaction.answered:
                transaction.respond(self._answer(request, error.status, reason=error.reason))
        except Exception:
            if not transaction.answered:
                transaction.respond(self._answer(request, 500))
            raise

    def ack_received(self, request: Request, flow: Flow) -> None:
        """An ACK of a 2xx; one without a dialog is nobody's."""
        if self.proxy is not None and request.get("Route") is not None:
            try:
                if self.proxy.ack_received(request, flow):
                    return
            except SipSyntaxError:
                return  # an ACK is never answered
        key = (request.call_id, request.to.tag or "", request.from_.tag or "")
        usage = self._dialogs.get(key)
        if usage is not None and not (usage.data.dialog.secure and not flow.secure):
            usage.ack_received(request, flow)

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A response without a transaction is too late to matter, but for the 2xx of an INVITE
        that has failed: a fork answered after all, and is ended (RFC 3261 13.2.2.4)."""
        if response.cseq.method != "INVITE" or not 200 <= response.status < 300:
            return
        key = (response.call_id, response.from_.tag or "", response.to.tag or "")
        if key not in self._dialogs:
            self._late.received(key, response, flow)

    # What the usages ask for.

    def open(self, key: DialogKey, usage: Usage) -> None:
        """Requests of the dialog ``key`` now reach this usage."""
        self._dialogs[key] = usage

    def close(self, key: DialogKey, usage: Usage) -> None:
        """They no longer do; harmless when another has taken its place."""
        if self._dialogs.get(key) is usage:
            del self._dialogs[key]

    def moved(self, registered: str, left: Collection[Flow], flow: Flow) -> None:
        """The dialogs of a registered peer that go along the flows it has left go along another."""
        for usage in self._dialogs.values():
            dialog = usage.data.dialog
            if dialog.registered == registered and dialog.flow in left:
                dialog.flow = dialog.flow if dialog.secure and not flow.secure else flow

    def send(self, request: Request, dialog: Dialog, user: Requester, scope: Scope) -> None:
        """Send a request in a client transaction of its own, once its target is resolved."""
        try:
            hop = self._hop(dialog)
        except SipSyntaxError as error:
            user.unsendable(error.reason)
            return
        if isinstance(hop, Flow):
            self._send_on(hop, request, user, scope)
            return
        lookup = _Lookup(request, user, scope)
        self._resolver.resolve(hop, partial(self._resolved, lookup))
        if not lookup.answered:
            lookup.held = True
            scope.hold(lookup)

    def send_ack(self, request: Request, dialog: Dialog) -> None:
        """Send the ACK of a 2xx."""
        hop = self._hop(dialog)
        if isinstance(hop, Flow):
            self._transactions.send_ack(request, hop)
        else:
            self._resolver.resolve(hop, partial(self._ack_resolved, request))

    # Helpers.

    def _hop(self, dialog: Dialog) -> Flow | Uri:
        """Where a dialog's next request goes."""
        hop = dialog.next_hop()
        if not isinstance(hop, Flow) or self.transport.is_alive(hop):
            return hop
        return found_again(dialog, hop, self._locate)

    def _send_on(self, flow: Flow, request: Request, user: Requester, scope: Scope) -> None:
        if not self.transport.is_alive(flow):
            user.unsendable("Flow Failed")
            return
        user.sent(self._transactions.send_request(request, flow, user, scope), flow)

    def _resolved(self, lookup: _Lookup, destinations: list[Destination]) -> None:
        lookup.answered = True
        flow = self._flow_to(destinations)
        if flow is None:
            lookup.user.unsendable("No Route To Target")
        else:
            self._send_on(flow, lookup.request, lookup.user, lookup.scope)
        if lookup.held:
            lookup.scope.release(lookup)

    def _ack_resolved(self, request: Request, destinations: list[Destination]) -> None:
        flow = self._flow_to(destinations)
        if flow is not None:
            self._transactions.send_ack(request, flow)

    def _flow_to(self, destinations: list[Destination]) -> Flow | None:
        """A flow to the first destination that a listener faces."""
        for destination in destinations:
            try:
                return self.transport.flow_to(*destination)
            except TransportError:
                continue
        return None

    def _refusal(self, request: Request, flow: Flow) -> Response | None:
        """What is wrong with a request outside of a dialog, whoever sent it."""
        if request.method in ("BYE", "PRACK", "UPDATE"):
            return self._answer(request, 481)
        uri = request.request_uri
        refused = sips.refusal(uri, flow, self.transport.listeners) if uri.scheme != "sip" else None
        if refused is not None:
            return self._answer(request, *refused)
        if request.max_forwards == 0 and not self._ends_here(request, uri):
            return self._answer(request, 483)
        return None

    def _unserved(self, request: Request) -> Response | None:
        """Why a request of somebody known, other than INVITE, cannot be served by us, though it may
        be forwarded."""
        method = request.method
        if method not in self.handlers:
            return self._answer(request, 405 if method in METHODS else 501, CAPABILITIES)
        refused = unacceptable(request)
        return None if refused is None else self._answer(request, *refused)

    def _forward(
        self,
        request: Request,
        transaction: InviteServer | Server,
        identity: Identity,
        answer: Response,
        decision: Routing,
    ) -> None:
        """Forward what a policy wants forwarded; everything else gets our answer."""
        if isinstance(decision, Proxy) and self.proxy is not None:
            self.proxy.forward(request, transaction, identity, decision)
        else:
            transaction.respond(answer)

    def _ends_here(self, request: Request, uri: Uri) -> bool:
        """Whether a request is answered by us, so that it needs no hop more."""
        return request.method != "INVITE" and self._domains.is_ours(uri.host, uri.port)

    def _refuse(self, request: Request, flow: Flow, decision: Challenge | Reject) -> Response:
        if isinstance(decision, Challenge):
            # Its nonce proves something of whoever gets it, wherever the Via has it sent.
            to = flow if flow.reliable else self.transport.response_flow(request, flow)
            return self._answer(request, 401, self.gate.challenge_fields(to, decision))
        return self._answer(
            request, decision.status, list(decision.headers.items()), decision.reason
        )

    def _answer(
        self, request: Request, status: int, fields: Iterable[Field] = (), reason: str | None = None
    ) -> Response:
        """A final answer whose To tag is the same for each copy of the request (8.2.7)."""
        tag = compose.stateless_tag(request, self._secret)
        return compose.response(request, status, reason, to_tag=tag, fields=fields)

    def _decided(
        self, request: Request, transaction: InviteServer | Server, decision: Admission
    ) -> None:
        """An admission question was answered late; the transaction stands already, unless a
        CANCEL has ended it meanwhile."""
        if transaction.answered:
            return
        if isinstance(decision, Allow):
            self._serve(request, transaction, decision.identity)
        else:
            refusal = self._refuse(request, transaction.flow, decision)
            transaction.respond(refusal)
            self._transactions.refused(transaction.flow, refusal.status)

    def _options(
        self, request: Request, transaction: InviteServer | Server, identity: Identity
    ) -> None:
        """What we can do, with the status that an INVITE would get (RFC 3261 11.2)."""
        if request.request_uri.user is None and self._ends_here(request, request.request_uri):
            transaction.respond(self._answer(request, 200, CAPABILITIES))
        else:
            view = RequestView(request, transaction.flow, identity)
            told = partial(self._tell_options, request, transaction, identity)
            self.gate.ask_route(view, told)

    def _tell_options(
        self,
        request: Request,
        transaction: InviteServer | Server,
        identity: Identity,
        decision: Routing,
    ) -> None:
        status = decision.status if isinstance(decision, Redirect | Reject) else 200
        answer = self._answer(request, status, CAPABILITIES)
        self._forward(request, transaction, identity, answer, decision)
