"""One logical request (RFC 3261 8.1.3, 22.2): sent, and sent again with credentials. Pure.

The requester stands between a session and the transactions. A 401 or 407 is answered with
credentials and a new CSeq, as long as ``proof`` finds something to prove; whatever comes after that
is the session's to hear. Another address
is never tried here: each attempt at an address is a leg of its own, see ``b2bua/hunt.py``.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from softswitch.dialog.dialog import REFRESHING, Dialog
from softswitch.dialog.proof import PROOFS, Answers, Credentials, prove
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.scope import Scope
from softswitch.sip.fields import MOST_CSEQ
from softswitch.sip.message import Field, Request, Response
from softswitch.transaction.client import ClientTransaction
from softswitch.transaction.invite_client import InviteClient


class RequestUser(Protocol):
    """Told what became of a request."""

    def response_received(self, response: Response, requester: "Requester") -> None:
        """A provisional or final response, and every further 2xx to an INVITE."""

    def challenged(self, response: Response, requester: "Requester") -> None:
        """A 401 or 407 came and has been answered: the peer is there."""

    def request_failed(self, status: int, reason: str, requester: "Requester") -> None:
        """No final response: 408 when nobody answered, 503 when it could not be sent."""


class Sender(Protocol):
    """The part of the user agent that finds a flow and sends."""

    def send(
        self,
        request: Request,
        dialog: Dialog,
        user: "Requester",
        scope: Scope,
    ) -> None:
        """Send ``request`` to the dialog's next hop in a new client transaction; tell ``user``
        its transaction, or that it failed."""

    def send_ack(self, request: Request, dialog: Dialog) -> None:
        """Send an ACK of a 2xx; it has no transaction, and nobody hears when it is lost."""


class Requester:
    """Sends one request within a dialog and sees it to its end.

    :ivar request: as last sent, without Via.
    :ivar flow: the flow on which it was last sent, None before.
    :param credentials: answer the peer's challenges.
    """

    __slots__ = (
        "_answers",
        "_cancelled",
        "_credentials",
        "_dialog",
        "_scope",
        "_sender",
        "_transaction",
        "_user",
        "flow",
        "request",
    )

    def __init__(
        self,
        sender: Sender,
        dialog: Dialog,
        user: RequestUser,
        scope: Scope,
        credentials: Credentials | None = None,
    ) -> None:
        self.request: Request
        self.flow: Flow | None = None
        self._sender = sender
        self._dialog = dialog
        self._user = user
        self._scope = scope
        self._credentials = credentials
        self._answers: Answers | None = None
        self._transaction: ClientTransaction | None = None
        self._cancelled: list[Field] | None = None

    @property
    def heard_on(self) -> Flow:
        """The flow on which the last response has come: the peer may have moved meanwhile."""
        assert self._transaction is not None
        return self._transaction.heard_on

    def start(self, request: Request) -> None:
        """Send ``request``, which the dialog built; with proof where one was challenged before."""
        dialog, credentials = self._dialog, self._credentials
        if credentials is not None and dialog.spaces and (host := dialog.next_host()):
            proofs = prove(request, credentials, dialog.spaces, host)
            fields = [*request.fields, *proofs]
            request = Request(request.method, request.uri, fields, request.body)
        self.request = request
        self._sender.send(request, self._dialog, self, self._scope)

    def cancel(self, fields: Iterable[Field] = ()) -> None:
        """Cancel the INVITE (RFC 3261 9.1): now, or as soon as a provisional has come."""
        if isinstance(self._transaction, InviteClient):
            self._transaction.cancel(list(fields))
        else:
            self._cancelled = list(fields)

    def sent(self, transaction: ClientTransaction, flow: Flow) -> None:
        """The request has left on ``flow``."""
        self._transaction = transaction
        self.flow = flow
        if self._cancelled is not None:
            self.cancel(self._cancelled)

    def unsendable(self, reason: str) -> None:
        """No flow was found for the request."""
        self._user.request_failed(503, reason, self)

    def response_received(self, response: Response, transaction: ClientTransaction) -> None:
        """From the transaction."""
        if response.status in (401, 407) and self._is_answered(response):
            request = self.request
            anew = WRITTEN_ANEW if request.method in REFRESHING else WRITTEN_ANEW - OF_REFRESHING
            fields = [field for field in request.fields if field[0] not in anew]
            hops = request.max_forwards or 0
            self._transaction = None
            self.start(self._dialog.request(request.method, fields, request.body, hops))
            self._user.challenged(response, self)
            return
        self._user.response_received(response, self)

    def timed_out(self, transaction: ClientTransaction) -> None:
        """From the transaction: RFC 3261 8.1.3.1 has this treated as 408."""
        self._user.request_failed(408, "Request Timeout", self)

    def transport_failed(self, transaction: ClientTransaction, reason: str) -> None:
        """From the transaction: RFC 3261 8.1.3.1 has this treated as 503."""
        self._user.request_failed(503, reason, self)

    def takes_tcp(self) -> bool:
        """From the transaction: RFC 3261 18.1.1."""
        return self._dialog.takes_tcp()

    def proofs(self, dialog: Dialog) -> list[Field]:
        """The credentials of the INVITE, which its ACK in ``dialog`` bears too (RFC 3261 22.1),
        unless that goes to somebody else."""
        credentials = self._credentials
        if credentials is None or not credentials.may_see(dialog.next_host()):
            return []
        return [field for field in self.request.fields if field[0] in PROOFS]

    def _is_answered(self, response: Response) -> bool:
        """Whether a challenge can be answered, and is to be: not once the request is cancelled."""
        if self._credentials is None or self._cancelled is not None or self.flow is None:
            return False
        if self._answers is None:
            self._answers = Answers(self._credentials, self._dialog.spaces)
        return self._answers.take(response, self.flow.remote_host)


class _Nobody(RequestUser):
    """Does not care what becomes of a request: of a BYE, since the session is over anyhow."""

    def response_received(self, response: Response, requester: Requester) -> None:
        pass

    def challenged(self, response: Response, requester: Requester) -> None:
        pass

    def request_failed(self, status: int, reason: str, requester: Requester) -> None:
        pass


NOBODY = _Nobody()

#: Told the final answer to a request: status, reason, and the response unless none came.
Tell = Callable[[int, str, Response | None], None]


class Inquiry(RequestUser):
    """Waits for the final answer to one request."""

    __slots__ = ("_tell",)

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def response_received(self, response: Response, requester: Requester) -> None:
        if response.status >= 200:
            self._tell(response.status, response.reason, response)

    def challenged(self, response: Response, requester: Requester) -> None:
        pass

    def request_failed(self, status: int, reason: str, requester: Requester) -> None:
        self._tell(status, reason, None)


def take_down(
    sender: Sender,
    dialog: Dialog,
    response: Response,
    flow: Flow,
    scope: Scope,
    last_cseq: int = 0,
    credentials: Credentials | None = None,
) -> Dialog | None:
    """Acknowledge and end what a 2xx has made and nobody wants, or can use (RFC 3261 13.2.2.4).

    :param dialog: of our INVITE, in which another fork may have answered already.
    :param flow: on which the INVITE went.
    :param last_cseq: the highest that any dialog of the INVITE has used, so that the BYE is in
        order even where this one was early, and was forgotten, before.
    :param credentials: answer the peer's challenges.
    :returns: what is being ended; None for nothing that can be.
    """
    cseq = response.cseq.number
    if cseq == MOST_CSEQ:
        return None  # no INVITE of ours had that number, and no BYE could follow on it
    fork = dialog.another()
    fork.local_cseq = max(cseq, last_cseq)
    try:
        fork.established(response, flow)
    except SipSyntaxError:
        # It does not say where it can be reached: it is told where it was heard.
        fork.remote_tag, fork.remote = response.to.tag or "", response.get("To") or ""
        fork.symmetric, fork.flow = True, flow
    sender.send_ack(fork.ack(cseq), fork)
    Requester(sender, fork, NOBODY, scope, credentials).start(fork.request("BYE"))
    return fork


#: What the dialog, the transaction layer, the composer and the requester write into each request
#: themselves.
WRITTEN_ANEW = PROOFS | {
    *("Via", "Max-Forwards", "Route", "From", "To", "Call-ID", "CSeq", "Contact", "Allow"),
    "Session-ID",
}

#: What the dialog writes into requests that may refresh its target, and into no others.
OF_REFRESHING = frozenset(("Contact", "Allow"))
