"""The transaction layer: which message belongs to which transaction. Pure.

RFC 3261 17.1.3, 17.2.3, 9.2 and 8.2.2.2. Between the transport layer below, whose user it is,
and the user agent above.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from secrets import randbits, token_hex
from typing import Final, Protocol, TypeVar

from softswitch.errors import SipSyntaxError, TransportError
from softswitch.flow import Flow
from softswitch.journal import Note
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.names import METHODS
from softswitch.sip.veil import Veil
from softswitch.transaction.client import Client, ClientTransaction, ClientUser, client_key
from softswitch.transaction.invite_client import InviteClient
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Screened, Server, ServerTransaction
from softswitch.transaction.throttle import OFFER, Throttle
from softswitch.transaction.timers import RFC_3261, Timers
from softswitch.transaction.transaction import Repeat, Transaction, Transport
from softswitch.transport.large import LARGEST
from softswitch.transport.overload import Overload
from softswitch.wheel import Clock

#: How the branch of an RFC 3261 client begins: it is unique, so that it tells all.
COOKIE: Final = "z9hG4bK"

#: Seconds after a request has left in which its responses are ours though nobody waits for them:
#: nobody rings for so long, and a 2xx is sent again for 64*T1.
LATE: Final = 3600


_M = TypeVar("_M", bound=Message)


class TransactionUser(Protocol):
    """The core above: what the layer asks and tells."""

    def screen(self, request: Request, flow: Flow) -> Response | Screened:
        """Whether a new request is let in; asked before any state is made of it (8.2.7).

        Never asked for ACK and CANCEL. A response is sent without state: it has to be the
        same each time the request comes.
        """

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """A new request was let in; its transaction is kept, and waits for ``respond``."""

    def ack_received(self, request: Request, flow: Flow) -> None:
        """The ACK of a 2xx, or of nothing that we know."""

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A response that no client transaction waits for: a 2xx of an INVITE may need ACK and
        BYE."""


class TransactionLayer:
    """All transactions.

    :ivar user: the core above; assigned before anything arrives.
    :ivar counters: what was merged, stray or could not be delivered -> how often.
    :ivar repeats: how often messages have come or were sent again.
    :ivar overload: whether new work is refused, and how.
    :ivar spared: whether a new request is served all the same.
    :ivar refused: told of each new request that is refused: its flow, the status.
    :ivar veils: listener and address of a peer -> what hides from it what it is not to see, None
        for nothing; None where nothing is hidden from anybody. What is forwarded goes as it is.
    :ivar throttles: address of a neighbour -> how much it can bear by its own word, None where it
        is not asked; None where nobody is.
    :ivar note: takes what timers do; None where nobody wants to look.
    """

    __slots__ = (
        "_clients",
        "_epoch",
        "_merged",
        "_secret",
        "_servers",
        "clock",
        "counters",
        "note",
        "overload",
        "refused",
        "repeats",
        "spared",
        "throttles",
        "timers",
        "transport",
        "user",
        "veils",
    )

    user: TransactionUser

    def __init__(self, clock: Clock, transport: Transport, timers: Timers = RFC_3261) -> None:
        self.clock = clock
        self.transport = transport
        self.timers = timers
        self.counters: Counter[str] = Counter()
        self.repeats: Counter[Repeat] = Counter()
        self._clients: dict[str, ClientTransaction] = {}
        self._servers: dict[str, ServerTransaction] = {}
        self._merged: set[int] = set()
        self._secret = token_hex(16)
        # The time in our branches is from a moment by chance: it tells nobody how long we run.
        self._epoch = randbits(31)
        self.overload = Overload(clock.monotonic)
        self.spared: Callable[[Request, Flow], bool] = lambda request, flow: False
        self.refused: Callable[[Flow, int], None] = lambda flow, status: None
        self.note: Note | None = None
        self.veils: Mapping[tuple[str, str], Veil | None] | None = None
        self.throttles: Mapping[str, Throttle | None] | None = None

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    def __iter__(self) -> Iterator[Transaction]:
        """Every transaction that has not terminated."""
        yield from self._clients.values()
        yield from self._servers.values()

    # The user above.

    def send_request(
        self,
        request: Request,
        flow: Flow,
        user: ClientUser,
        scope: Scope | None = None,
        loop: str = "",
    ) -> InviteClient | Client:
        """Put our Via on a request other than ACK, send it, and wait for its responses.

        That it cannot be sent is told later, by ``transport_failed``. One that is too large for a
        datagram goes over TCP where its user says that it may and TCP can be had (18.1.1).

        :param request: without a Via of ours.
        :param scope: holds the transaction until it ends.
        :param loop: of a request that is forwarded, the part of the branch by which it is known
            when it comes back (16.6 step 8): token characters, no ".".
        """
        branch = compose.sealed_branch(request.call_id, flow.remote_host, self._now(), self._secret)
        if loop:
            branch = f"{branch}.{loop}"
        else:
            request = self.veiled(request, flow)
        made = self._with_via(request, flow, branch)
        key = client_key(branch, request.method)
        transaction = (InviteClient if request.method == "INVITE" else Client)(
            self, key, made, flow, user, scope
        )
        if transaction.is_large and flow.transport == "UDP" and user.takes_tcp():
            wide = self.transport.large.flow(flow)
            if wide is not None:
                transaction.narrow = flow, made
                transaction.reroute(self._with_via(request, wide, branch), wide)
        self.begin(transaction)
        return transaction

    def send_ack(self, request: Request, flow: Flow, branch: str = "") -> None:
        """Put our Via on the ACK of a 2xx and send it; there is no transaction.

        One that cannot be sent is counted: the 2xx will come again.

        :param branch: of an ACK that is forwarded, the same for each copy (16.11).
        """
        if not branch:
            request = self.veiled(request, flow)
        branch = branch or compose.new_branch()
        data = self._with_via(request, flow, branch).encode()
        if len(data) > LARGEST and flow.transport == "UDP":
            wide = self.transport.large.standing(flow)
            if wide is not None:
                flow, data = wide, self._with_via(request, wide, branch).encode()
        try:
            self.transport.send(data, flow)
        except TransportError:
            self.counters["ACK not delivered"] += 1

    def send_stateless(
        self, response: Response, request: Request, flow: Flow, force_rport: bool = False
    ) -> None:
        """Answer a request of which nothing is remembered (8.2.7).

        :param flow: on which the request came.
        """
        try:
            back = self.transport.response_flow(request, flow, force_rport)
            self.transport.send(response.encode(), back)
        except TransportError:
            self.counters["stateless response not delivered"] += 1

    def allow_merging(self, transaction: ServerTransaction) -> None:
        """A request is forwarded: others that are merged with it are no error (16.3), and its
        responses go back as they are."""
        transaction.forwarded = True
        self._merged.discard(transaction.merge)

    # The transport below.

    def message_received(self, message: Message, flow: Flow) -> None:
        """A message has come; its mandatory fields can be read, a request's top Via is stamped.

        :raises SipSyntaxError: when a field that is needed cannot be read.
        """
        if isinstance(message, Response):
            self._response_received(message, flow)
            return
        assert isinstance(message, Request)
        method = message.method
        if method == "ACK":
            self._ack_received(message, flow)
            return
        key = server_key(message, method, message.to.tag)
        transaction = self._servers.get(key)
        if transaction is not None:
            known = method if method in METHODS else "other"
            self.repeats[Repeat("received", known, flow.transport)] += 1
            transaction.retransmitted(flow)
        elif method == "CANCEL":
            self._cancel_received(message, flow, key)
        else:
            self._new_request_received(message, flow, key)

    def is_under_way(self, key: str) -> bool:
        """Whether a server transaction stands.

        :param key: as ``server_key`` has it.
        """
        return key in self._servers

    def flow_failed(self, flow: Flow, reason: str) -> None:
        """A connection is gone or was never made; tell those who count on it."""
        for transaction in list(self):
            transaction.flow_failed(flow, reason)

    # The transactions.

    def veiled(self, message: _M, flow: Flow) -> _M:
        """A message as the peer on a flow may see it."""
        if self.veils is None:
            return message
        veil = self.veils[flow.listener, flow.remote_host]
        return message if veil is None else veil.over(message)

    def begin(self, transaction: ClientTransaction) -> None:
        """Keep a client transaction and start it."""
        self._clients[transaction.key] = transaction
        transaction.start()

    def forget_client(self, transaction: ClientTransaction) -> None:
        """It has ended: no response matches it any more."""
        del self._clients[transaction.key]

    def forget_server(self, transaction: ServerTransaction) -> None:
        """It has ended: no request matches it any more."""
        del self._servers[transaction.key]
        self._merged.discard(transaction.merge)

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A response is for the core; so are all that match no transaction, as long as we have
        sent the request that they answer to where they come from, in the last hour: a stranger can
        make one up, and who has had one can send it again."""
        self.counters["stray response"] += 1
        branch, since = response.top_via.branch or "", self._now() - LATE
        host = flow.remote_host
        if not compose.is_sealed(branch, response.call_id, host, since, self._secret):
            return
        try:
            self.user.stray_response(response, flow)
        except SipSyntaxError:  # its From ought to be ours, and cannot even be read
            self.counters["stray response that cannot be read"] += 1

    def ack_received(self, request: Request, flow: Flow) -> None:
        """An ACK is for the core; so are all that match no transaction."""
        self.user.ack_received(request, flow)

    def _now(self) -> int:
        return int(self.clock.monotonic()) + self._epoch

    def _with_via(self, request: Request, flow: Flow, branch: str) -> Request:
        try:
            facing = self.transport.facing(flow)
            host, port = facing.host, facing.port
        except TransportError:  # then sending fails too, and that is what the user hears
            host, port = flow.local_host, flow.local_port
        if ":" in host:
            host = f"[{host}]"
        via = f"SIP/2.0/{flow.transport} {host}:{port};rport;branch={branch}"
        if self.throttles is not None and self.throttles[flow.remote_host] is not None:
            via += OFFER
        return Request(request.method, request.uri, [("Via", via), *request.fields], request.body)

    def _response_received(self, response: Response, flow: Flow) -> None:
        branch = response.top_via.branch or ""
        # Misrouted (8.1.3.3), unless its request was forwarded: such a branch has a second part.
        if "." not in branch and len(response.values("Via")) > 1:
            self.counters["response with several Via"] += 1
            return
        key = client_key(branch, response.cseq.method)
        transaction = self._clients.get(key)
        if transaction is None:
            self.stray_response(response, flow)
        else:
            if self.throttles is not None:
                throttle = self.throttles[flow.remote_host]
                if throttle is not None:
                    throttle.heed(response.top_via.params)
            transaction.received(response, flow)

    def _new_request_received(self, request: Request, flow: Flow, key: str) -> None:
        merge = 0
        if request.to.tag is None:
            if self.overload.on and self._sheds(request, flow):
                return
            merge = hash((request.call_id, request.from_.tag, request.cseq.number, request.method))
            if merge in self._merged:
                self._answer_stateless(request, flow, 482)
                return
        screened = self.user.screen(request, flow)
        if isinstance(screened, Response):
            self._count_answer(request, screened.status)
            self.send_stateless(screened, request, flow)
            self.refused(flow, screened.status)
            return
        transaction = (InviteServer if request.method == "INVITE" else Server)(
            self, key, request, flow, screened, merge
        )
        self._servers[key] = transaction
        if merge:
            self._merged.add(merge)
        self.user.request_received(request, transaction)

    def _sheds(self, request: Request, flow: Flow) -> bool:
        """Whether the switch has too much to do for a new request, which then has been answered."""
        if not self.overload.now_on() or self.spared(request, flow):
            return False
        seconds = self.overload.settings.retry_after
        fields = [("Retry-After", str(seconds))] if seconds else []
        self._answer_stateless(request, flow, 503, fields)
        return True

    def _ack_received(self, ack: Request, flow: Flow) -> None:
        transaction = self._servers.get(server_key(ack, "INVITE", ack.to.tag))
        if transaction is None and not (ack.top_via.branch or "").startswith(COOKIE):
            # Of a first INVITE, which had no To tag: it is the one that we answered with.
            transaction = self._servers.get(server_key(ack, "INVITE", None))
            if transaction is not None and transaction.sent_tag != ack.to.tag:
                transaction = None
        if isinstance(transaction, InviteServer):
            transaction.acknowledged(ack, flow)
        else:
            self.user.ack_received(ack, flow)

    def _cancel_received(self, cancel: Request, flow: Flow, key: str) -> None:
        """Answer a CANCEL, and tell the INVITE's user unless it comes too late (9.2)."""
        keys = (server_key(cancel, method, cancel.to.tag) for method in METHODS)
        found = next((self._servers[other] for other in keys if other in self._servers), None)
        if found is None:
            self._answer_stateless(cancel, flow, 481)
            return
        transaction = Server(self, key, cancel, flow, found.screened)
        self._servers[key] = transaction
        transaction.adopt(found.scope, None)
        # That of the answers to come, too, where none has gone out.
        found.own_tag = found.sent_tag or found.own_tag or compose.new_tag()
        transaction.respond(compose.response(cancel, 200, to_tag=found.own_tag))
        if isinstance(found, InviteServer) and not found.answered:
            found.user.cancelled(found, cancel)

    def _count_answer(self, request: Request, status: int) -> None:
        """Count an answer of which nothing is kept; anybody can make up a method's name."""
        method = request.method if request.method in METHODS else "another method"
        self.counters[f"{method} answered with {status}"] += 1

    def _answer_stateless(
        self, request: Request, flow: Flow, status: int, fields: Iterable[Field] = ()
    ) -> None:
        self._count_answer(request, status)
        tag = compose.stateless_tag(request, self._secret.encode())
        response = compose.response(request, status, to_tag=tag, fields=fields)
        self.send_stateless(response, request, flow)


def server_key(request: Request, method: str, to_tag: str | None) -> str:
    """Under which a request finds the transaction that it belongs to (17.2.3).

    :param method: of that transaction: of an ACK or CANCEL, INVITE.
    :param to_tag: of the request that began it; counts without the magic cookie only.
    """
    via = request.top_via
    branch = via.branch
    key = f"{branch} {via.host} {via.port} {method}"
    if branch is not None and branch.startswith(COOKIE):
        return key
    tags = f"{to_tag or ''} {request.from_.tag or ''}"
    return f"{key} {request.uri} {tags} {request.call_id} {request.cseq.number}"
