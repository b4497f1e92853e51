"""The server side: what both kinds share, and requests other than INVITE. Pure.

RFC 3261 17.2.2, figure 8.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from softswitch.errors import StateError, TransportError
from softswitch.flow import Flow
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Request, Response
from softswitch.transaction.transaction import Event, Home, Repeat, Transaction
from softswitch.wheel import Timer

if TYPE_CHECKING:
    from softswitch.transaction.invite_server import InviteServer


@attrs.define
class Screened:
    """A request was let in before any state was made of it.

    :ivar identity: whatever the screening user found out; handed on to whoever serves it.
    :ivar force_rport: answer as if the request had ``rport`` (RFC 3581).
    """

    identity: Any = None
    force_rport: bool = False


class ServerUser(Protocol):
    """What a server transaction tells whoever adopted it."""

    def cancelled(self, transaction: "InviteServer", cancel: Request) -> None:
        """A CANCEL has come and was answered with 200; the INVITE is to be answered with 487."""

    def transaction_failed(self, transaction: "InviteServer | Server", reason: str) -> None:
        """A response could not be delivered, or a final one other than 2xx got no ACK.

        Told once. An INVITE that is still without a final response has to be given one all the
        same (RFC 6026 7.1): what comes again on a flow that works gets it.
        """


class ServerTransaction(Transaction):
    """A request that we received.

    :ivar screened: what the layer's user said when it let the request in; without the identity
        once the final response has been sent.
    :ivar user: who hears of CANCEL and failures; ``UNADOPTED`` until ``adopt``, and once there
        is nothing left to tell.
    :ivar merge: hash under which the layer finds requests merged with this one; 0 for none.
    :ivar forwarded: whether the request is forwarded, and its responses are somebody else's.
    :ivar own_tag: To tag that our answers are to bear; "" where that is not known yet.
    """

    __slots__ = (
        "_back",
        "_data",
        "_request",
        "_way_back",
        "forwarded",
        "merge",
        "own_tag",
        "screened",
        "user",
    )

    def __init__(
        self, home: Home, key: str, request: Request, flow: Flow, screened: Screened, merge: int = 0
    ) -> None:
        super().__init__(home, key, flow)
        self.screened = screened
        self.user: ServerUser = UNADOPTED
        self.merge = merge
        self.forwarded = False
        self.own_tag = ""
        self._request: Request | None = request
        self._way_back: Request | None = request
        self._back: Flow | None = None
        self._data = b""

    @property
    def answered(self) -> bool:
        """Whether the final response has been given; by the layer, where a CANCEL came before
        ``adopt``."""
        return self._request is None

    @property
    def request(self) -> Request:
        """The request, until its final response has been sent.

        :raises StateError: afterwards; a finished transaction holds no message.
        """
        if self._request is None:
            raise StateError("a finished transaction has dropped its request")
        return self._request

    @property
    def sent_tag(self) -> str | None:
        """To tag of the last response; None when there was none, or a 100."""
        _, _, rest = self._data.partition(b"\r\nTo: ")
        to = rest.partition(b"\r\n")[0].decode("utf-8", "surrogateescape")
        return NameAddr.parse(to).tag if to else None

    def adopt(self, scope: Scope | None, user: ServerUser | None) -> None:
        """Belong to a leg: ``scope`` holds the transaction until it ends, ``user`` is told.

        A transaction that belongs to one already goes over to the other.
        """
        self.user = user or UNADOPTED
        if scope is not None and not self.terminated:
            if self.scope is not None:
                self.scope.give(self)
            self.scope = scope
            scope.hold(self)

    def respond(self, response: Response) -> None:
        """Send a response to the request; without effect after the final one.

        That it cannot be delivered is told later, by ``transaction_failed``.
        """
        raise NotImplementedError

    def _encoded(self, response: Response) -> bytes:
        """A response as it leaves: one of ours tells nothing that its receiver is not to see."""
        return (response if self.forwarded else self._home.veiled(response, self.flow)).encode()

    def retransmitted(self, flow: Flow) -> None:
        """The request has come again; over a stream, answers now go where it came from."""
        if flow.reliable:
            self.flow = self._back = flow
        self.fire(Event.REQUEST)

    def flow_failed(self, flow: Flow, reason: str) -> None:
        """A connection is gone.

        If it is the request's own, another is opened when there is something to send. If it
        is that other one, there is no way back.
        """
        if flow == self._back and flow != self.flow:
            self._fail_soon(reason)

    def _send(self) -> None:
        transport = self._home.transport
        try:
            if self._back is not None:
                try:
                    transport.send(self._data, self._back)
                    return
                except TransportError:
                    if not self.flow.reliable:
                        raise
            if self._way_back is not None:
                force_rport = self.screened.force_rport
                self._back = transport.response_flow(self._way_back, self.flow, force_rport)
                transport.send(self._data, self._back)
        except TransportError as error:
            self._fail_soon(str(error))

    def _send_again(self) -> None:
        self._home.repeats[Repeat("sent", "response", self.flow.transport)] += 1
        self._send()

    def _shrink(self) -> None:
        """Keep of the request only what finds another way back when a connection ends."""
        request, self._request = self._request, None
        if request is not None:
            self.screened = _FORGOTTEN[self.screened.force_rport]
            self._way_back = None
            if self.flow.reliable:
                via = str(request.top_via)
                self._way_back = Request(request.method, request.uri, [("Via", via)])

    def _tell_failure(self, reason: str) -> None:
        tell: Callable[..., None] = self.user.transaction_failed
        self.user = UNADOPTED if self.answered else _Told(self.user)
        tell(self, reason)

    def _fail(self, reason: str) -> None:
        self._leave()
        try:
            self._tell_failure(reason)
        finally:
            self._release()

    def _leave(self) -> None:
        self._stop_timers()
        self._home.forget_server(self)


class _Unadopted:
    """Stands in for a user: what is cancelled before anybody serves it ends here."""

    def cancelled(self, transaction: "InviteServer", cancel: Request) -> None:
        request = transaction.request
        transaction.respond(compose.response(request, 487, to_tag=transaction.own_tag))

    def transaction_failed(self, transaction: "InviteServer | Server", reason: str) -> None:
        pass


class _Told:
    """Stands in for a user who has heard of a failure: a CANCEL, which may come over another
    connection, he shall hear of all the same."""

    def __init__(self, user: ServerUser) -> None:
        self.cancelled = user.cancelled

    def transaction_failed(self, transaction: "InviteServer | Server", reason: str) -> None:
        pass


UNADOPTED: Final = _Unadopted()

# An identity may hold on to a whole call; a finished transaction needs none.
_FORGOTTEN: Final = {forced: Screened(force_rport=forced) for forced in (False, True)}


class State(StrEnum):
    """Figure 8."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    TERMINATED = "Terminated"


class Server(ServerTransaction):
    """A request other than INVITE and ACK."""

    __slots__ = ("timer_j",)

    TIMERS = ("timer_j", "failure")

    def __init__(
        self, home: Home, key: str, request: Request, flow: Flow, screened: Screened, merge: int = 0
    ) -> None:
        super().__init__(home, key, request, flow, screened, merge)
        self.state = State.TRYING
        self.timer_j: Timer | None = None

    def respond(self, response: Response) -> None:
        event = Event.PROVISIONAL if response.status < 200 else Event.FINAL
        self.fire(event, self._encoded(response))

    def _provide(self, data: bytes) -> None:
        self._data = data
        self._send()

    def _complete(self, data: bytes) -> None:
        self._data = data
        self._send()  # before timer J, whose zero seconds must not hide that it failed
        delay = self._home.timers.j(self.flow.reliable)
        self.timer_j = self._start_timer(delay, Event.TIMER_J)
        self._shrink()


Server.TABLE = {
    (State.TRYING, Event.REQUEST): (State.TRYING, None),
    (State.TRYING, Event.PROVISIONAL): (State.PROCEEDING, Server._provide),
    (State.TRYING, Event.FINAL): (State.COMPLETED, Server._complete),
    (State.PROCEEDING, Event.REQUEST): (State.PROCEEDING, Server._send_again),
    (State.PROCEEDING, Event.PROVISIONAL): (State.PROCEEDING, Server._provide),
    (State.PROCEEDING, Event.FINAL): (State.COMPLETED, Server._complete),
    (State.PROCEEDING, Event.TRANSPORT_ERROR): (State.TERMINATED, Server._fail),
    (State.COMPLETED, Event.REQUEST): (State.COMPLETED, Server._send_again),
    (State.COMPLETED, Event.PROVISIONAL): (State.COMPLETED, None),
    (State.COMPLETED, Event.FINAL): (State.COMPLETED, None),
    (State.COMPLETED, Event.TRANSPORT_ERROR): (State.TERMINATED, Server._fail),
    (State.COMPLETED, Event.TIMER_J): (State.TERMINATED, Server._end),
}
