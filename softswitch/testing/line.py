"""One side of one call, at a test phone: a dialog as RFC 3261 section 12 has it. Pure."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.testing.ladder import Address
from softswitch.testing.peer import SDP

if TYPE_CHECKING:
    from softswitch.testing.phone import Phone


class Line:
    """One side of one call, at a phone.

    :ivar call_id: the Call-ID.
    :ivar tag: the phone's own.
    :ivar sent: the last INVITE that we sent, None before.
    :ivar invite: the last INVITE that came, None before.
    :ivar responses: what came to the last INVITE that we sent, challenges apart.
    :ivar requests: every request that came in the dialog, CANCEL and ACK too.
    :ivar final: status of the last request other than INVITE that we sent, 0 before.
    :ivar sdp: the last session description that came.
    :ivar over: whether the call has ended.
    :ivar open: whether the last INVITE that came has no final answer yet.
    :ivar forks: further To tags with which the INVITE was answered.
    """

    def __init__(self, phone: "Phone", call_id: str, calling: bool) -> None:
        self.phone = phone
        self.call_id = call_id
        self.tag = compose.new_tag()
        self.calling = calling
        self.local = self.remote = self.target = ""
        self.routes: list[str] = []
        self.cseq = 0
        self.sent: Request | None = None
        self.invite: Request | None = None
        self.responses: list[Response] = []
        self.requests: list[Request] = []
        self.final = 0
        self.sdp = b""
        self.over = False
        self.forks: set[str] = set()
        self.open = False
        self._source: Address | None = None

    @property
    def statuses(self) -> list[int]:
        """What came to the last INVITE that we sent, 100 apart: it says nothing of the callee."""
        return [response.status for response in self.responses if response.status > 100]

    @property
    def methods(self) -> list[str]:
        """The methods of what came in the dialog."""
        return [request.method for request in self.requests]

    @property
    def stands(self) -> bool:
        """Whether the call was answered and has not ended."""
        answered = NameAddr.parse(self.remote).tag if self.calling else "ACK" in self.methods
        return bool(answered) and not self.over

    def reinvite(self, sdp: bytes, fields: Iterable[Field] = ()) -> None:
        """Send an INVITE: the first one, or one that re-negotiates."""
        self.responses = []
        self.sent = self.compose("INVITE", fields, sdp)
        self.phone.ask(self.sent, self._response_received)
        self.phone.settle()

    def request(self, method: str, fields: Iterable[Field] = (), body: bytes = b"") -> None:
        """Send any other request within the dialog."""
        self.over = self.over or method == "BYE"
        self.phone.ask(self.compose(method, fields, body), self._answered)
        self.phone.settle()

    def cancel(self, fields: Iterable[Field] = ()) -> None:
        """Cancel the INVITE that we sent."""
        assert self.sent is not None
        self.phone.ask(compose.cancel(self.sent, fields), self._answered)
        self.phone.settle()

    def respond(
        self,
        status: int,
        *,
        sdp: bytes = b"",
        fields: Iterable[Field] = (),
        tag: str = "",
        to: Request | None = None,
    ) -> None:
        """Answer the INVITE that came.

        :param tag: To tag of another fork, instead of our own.
        :param to: another request.
        """
        request = to or self.invite
        assert request is not None
        assert self._source is not None
        described = [SDP] if sdp else []
        answer = compose.response(
            request,
            status,
            to_tag=tag or self.tag,
            fields=[("Contact", self.phone.contact), *described, *fields],
            body=sdp,
            record_route=100 < status < 300,
        )
        if tag:
            self.forks.add(tag)
        if status >= 200:
            self.open = False
            self.over = self.over or (status >= 300 and request.to.tag is None)
        self.phone.respond(request, answer, self._source)
        self.phone.settle()

    def compose(self, method: str, fields: Iterable[Field] = (), body: bytes = b"") -> Request:
        """Our next request within the dialog (RFC 3261 12.2.1.1)."""
        self.cseq += 1
        return self._request(method, self.cseq, fields, body)

    def request_received(self, request: Request, source: Address) -> None:
        """A request other than ACK."""
        self.requests.append(request)
        self._source = source
        phone, method = self.phone, request.method
        if method == "INVITE":
            self.invite = request
            self.open = True
            self._refresh(request)
            if not self.remote:
                self.remote = request.get("From") or ""
                self.routes = request.values("Record-Route")
            if phone.tries:
                phone.respond(request, compose.response(request, 100), source)
        elif method == "CANCEL":
            phone.respond(request, compose.response(request, 200, to_tag=self.tag), source)
            self._terminate()
        elif method == "BYE":
            self.over = True
            phone.respond(request, compose.response(request, 200), source)
            self._terminate()
        else:
            status = 200 if method == "OPTIONS" else 405
            phone.respond(request, compose.response(request, status), source)

    def _terminate(self) -> None:
        """Answer an open INVITE with 487 (RFC 3261 9.2, 15.1.2)."""
        if self.open and self.phone.heeds_cancel:
            self.respond(487)

    def acknowledged(self, ack: Request) -> None:
        """An ACK came."""
        self.requests.append(ack)
        self.sdp = ack.body or self.sdp
        if self.invite is not None and ack.cseq.number == self.invite.cseq.number:
            self.phone.stop_answering(self.invite)

    def _response_received(self, response: Response) -> None:
        self.responses.append(response)
        self.sdp = response.body or self.sdp
        if response.status < 200 or self.sent is None:
            return
        if response.status < 300:
            if not NameAddr.parse(self.remote).tag:
                self.remote = response.get("To") or ""
                self.routes = response.values("Record-Route")[::-1]
            self._refresh(response)
            answer = b"" if self.sent.body else self.phone.sdp()
            ack = self._request("ACK", self.sent.cseq.number, (), answer)
            self.phone.acknowledge(self.sent, ack)
        elif not NameAddr.parse(self.remote).tag:
            self.over = True

    def _answered(self, response: Response) -> None:
        self.final = response.status

    def _refresh(self, message: Message) -> None:
        if message.contacts:
            self.target = str(message.contacts[0].uri)
        self.sdp = message.body or self.sdp

    def _request(self, method: str, cseq: int, fields: Iterable[Field], body: bytes) -> Request:
        routes: list[Field] = [("Route", route) for route in self.routes]
        return self.phone.request(
            method,
            self.target,
            caller=self.local,
            to=self.remote,
            call_id=self.call_id,
            cseq=cseq,
            fields=[*routes, *fields],
            body=body,
        )
