"""One side of one call, at a test phone: a dialog as RFC 3261 section 12 has it. Pure."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.testing.ladder import Address
from softswitch.testing.peer import SDP
from softswitch.testing.reliable import Reliable

if TYPE_CHECKING:
    from softswitch.testing.phone import Phone


class Early(NamedTuple):
    """An early dialog, as the caller sees it.

    :ivar remote: To field value.
    """

    remote: str
    target: str
    routes: list[str]


class Line:
    """One side of one call, at a phone.

    :ivar call_id: the Call-ID.
    :ivar tag: the phone's own.
    :ivar sent: the last INVITE that we sent, None before.
    :ivar invite: the last INVITE that came, None before.
    :ivar responses: what came to the last INVITE that we sent, challenges and copies apart.
    :ivar requests: every request that came in the dialog, CANCEL and ACK too.
    :ivar replies: the final answers to requests other than INVITE that we sent.
    :ivar sdp: the last session description that came.
    :ivar over: whether the call has ended.
    :ivar open: whether the last INVITE that came has no final answer yet.
    :ivar forks: further To tags with which the INVITE was answered.
    :ivar early: the early dialogs of our INVITE, by To tag.
    :ivar answers: the status with which requests within the dialog are answered, by method; 0 for
        no answer until the test gives one. "INVITE" speaks of re-INVITEs: without it the test
        answers.
    :ivar description: the session description given where a test names none; empty for the
        phone's own.
    :ivar reliable: what is done by itself about reliable provisional responses.
    :ivar outcomes: the statuses that NOTIFYs of a REFER told.
    """

    def __init__(self, phone: "Phone", call_id: str, calling: bool) -> None:
        self.phone = phone
        self.call_id = call_id
        self.tag = compose.new_tag()
        self.calling = calling
        self.local = self.remote = self.target = ""
        self.routes: list[str] = []
        self.cseq = 0
        self.newest: Request | None = None
        self.sent: Request | None = None
        self.invite: Request | None = None
        self.responses: list[Response] = []
        self.requests: list[Request] = []
        self.replies: list[Response] = []
        self.sdp = b""
        self.over = False
        self.forks: set[str] = set()
        self.early: dict[str, Early] = {}
        self.open = False
        self.answers: dict[str, int] = dict(phone.answers)
        self.description = b""
        self.reliable = Reliable(self)
        self.outcomes: list[int] = []
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
    def final(self) -> int:
        """Status of the last final answer to a request other than INVITE, 0 before."""
        return self.replies[-1].status if self.replies else 0

    @property
    def stands(self) -> bool:
        """Whether the call was answered and has not ended."""
        answered = NameAddr.parse(self.remote).tag if self.calling else "ACK" in self.methods
        return bool(answered) and not self.over

    @property
    def described(self) -> bytes:
        """The session description that we give where none is named."""
        return self.description or self.phone.sdp()

    @property
    def replaces(self) -> str:
        """This dialog as a Replaces field names it to its other party (RFC 3891 6.1)."""
        return f"{self.call_id};to-tag={NameAddr.parse(self.remote).tag};from-tag={self.tag}"

    def got(self, method: str) -> Request:
        """The last request of that method that came."""
        return next(each for each in reversed(self.requests) if each.method == method)

    def reinvite(self, sdp: bytes, fields: Iterable[Field] = ()) -> None:
        """Send an INVITE: the first one, or one that re-negotiates."""
        self.responses = []
        self.reliable.answered = False
        self.sent = self.compose("INVITE", [*self.phone.abilities, *fields], sdp)
        self.phone.ask(self.sent, self._response_received)
        self.phone.settle()

    def request(
        self, method: str, fields: Iterable[Field] = (), body: bytes = b"", *, fork: str = ""
    ) -> None:
        """Send any other request within the dialog.

        :param fork: the To tag of the early dialog, or of our own fork, that is meant; before the
            2xx it is that of the newest early dialog.
        """
        self.over = self.over or (method == "BYE" and not fork)
        if method in ("UPDATE", "SUBSCRIBE"):
            fields = [*self.phone.abilities, *fields]
        self.phone.ask(self.compose(method, fields, body, fork=fork), self._answered)
        self.phone.settle()

    def update(self, sdp: bytes = b"", fields: Iterable[Field] = ()) -> None:
        """Send an UPDATE (RFC 3311)."""
        self.request("UPDATE", fields, sdp)

    def refer(self, target: str, replaced: "Line | None" = None, *fields: Field) -> None:
        """Send a REFER (RFC 3515), with Replaces in its Refer-To for an attended transfer.

        :param target: a URI, maybe with further header fields after "?".
        :param replaced: our other call, which the transferee is to take over.
        """
        if replaced is not None:
            escaped = replaced.replaces
            for character, code in (("@", "%40"), (";", "%3B"), ("=", "%3D")):
                escaped = escaped.replace(character, code)
            target = f"{target}{'&' if '?' in target else '?'}Replaces={escaped}"
        self.request("REFER", [("Refer-To", f"<{target}>"), *fields])

    def notify(self, status: str, state: str = "active;expires=60") -> None:
        """Tell the sender of a REFER how it goes: "180 Ringing" (RFC 3515 2.4.4)."""
        fields = [("Event", "refer"), ("Subscription-State", state), FRAGMENT]
        self.request("NOTIFY", fields, f"SIP/2.0 {status}\r\n".encode())

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
        reliable: bool = False,
    ) -> None:
        """Answer the INVITE that came.

        :param tag: To tag of another fork, instead of our own.
        :param to: another request.
        :param reliable: repeat the provisional response until its PRACK comes (RFC 3262).
        """
        request = to or self.invite
        assert request is not None
        assert self._source is not None
        phone = self.phone
        further = [("Contact", phone.contact), *([SDP] if sdp else []), *fields]
        if 100 < status < 300 and request.method in ("INVITE", "UPDATE", "SUBSCRIBE"):
            further += phone.abilities
        if reliable:
            further += self.reliable.fields(tag or self.tag)
        answer = compose.response(
            request,
            status,
            to_tag=tag or self.tag,
            fields=further,
            body=sdp,
            record_route=100 < status < 300,
        )
        if tag:
            self.forks.add(tag)
        if request is self.invite and status >= 200:
            self.open = False
            self.over = self.over or (status >= 300 and request.to.tag is None)
            self.reliable.over()
        key = phone.respond(request, answer, self._source)
        if reliable:
            self.reliable.sent(request, answer, key)
        phone.settle()

    def compose(
        self, method: str, fields: Iterable[Field] = (), body: bytes = b"", *, fork: str = ""
    ) -> Request:
        """Our next request within the dialog (RFC 3261 12.2.1.1)."""
        self.cseq += 1
        self.newest = self._request(method, self.cseq, fields, body, fork)
        return self.newest

    def request_received(self, request: Request, source: Address) -> None:
        """A request other than ACK."""
        self.requests.append(request)
        self._source = source
        method = request.method
        if not self.remote or (method == "NOTIFY" and not NameAddr.parse(self.remote).tag):
            self.remote = request.get("From") or ""
            self.routes = request.values("Record-Route")
            self._refresh(request)
        if method == "INVITE":
            self._invite_received(request, source)
            return
        status, body = self.answers.get(method, 405), b""
        if method == "PRACK" and status == 200:
            status, body = self.reliable.prack_received(request)
            self.sdp = request.body or self.sdp
        elif method == "UPDATE" and 200 <= status < 300:
            self._refresh(request)
            body = self.described if request.body else b""
        elif method == "NOTIFY" and request.content_type == "message/sipfrag":
            fragment = _FRAGMENT.match(request.body)  # of whoever sent it, be it rubbish
            self.outcomes += [int(fragment[1])] if fragment else []
        if method == "BYE" and request.to.tag == self.tag:
            self.over = True
        if status:
            self.respond(status, sdp=body, to=request)
        if method == "CANCEL" or self.over:
            self._terminate()

    def _invite_received(self, request: Request, source: Address) -> None:
        again = self.invite is not None or self.sent is not None
        self.invite = request
        self.open = True
        self._refresh(request)
        if self.phone.tries:
            self.phone.respond(request, compose.response(request, 100), source)
        status = self.answers.get("INVITE", 0)
        if again and status:
            self.respond(status, sdp=self.described if status < 300 else b"")

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
        tag = response.to.tag
        if tag and response.status < 300 and response.contacts:
            target, routes = str(response.contacts[0].uri), response.values("Record-Route")[::-1]
            self.early.setdefault(tag, Early(response.get("To") or "", target, routes))
        if response.status < 200 and not self.reliable.received(response):
            return
        self.responses.append(response)
        self.sdp = response.body or self.sdp
        if response.status < 200 or self.sent is None:
            return
        if response.status < 300:
            self._confirm(response)
            offered = response.body and not self.sent.body and not self.reliable.answered
            answer = self.described if offered else b""
            ack = self._request("ACK", self.sent.cseq.number, (), answer)
            self.phone.acknowledge(self.sent, ack)
        elif not NameAddr.parse(self.remote).tag:
            self.over = True

    def _answered(self, response: Response) -> None:
        if response.status >= 200:
            self.replies.append(response)
        if 200 <= response.status < 300 and response.cseq.method in ("UPDATE", "SUBSCRIBE"):
            self._confirm(response)
        if response.cseq.method in ("UPDATE", "PRACK"):
            self.sdp = response.body or self.sdp

    def _confirm(self, response: Response) -> None:
        """A 2xx makes the dialog, and says where its target is now."""
        if not NameAddr.parse(self.remote).tag and response.cseq.method != "UPDATE":
            self.remote = response.get("To") or ""
            self.routes = response.values("Record-Route")[::-1]
        self._refresh(response)

    def _refresh(self, message: Message) -> None:
        if message.contacts:
            self.target = str(message.contacts[0].uri)
        self.sdp = message.body or self.sdp

    def _request(
        self, method: str, cseq: int, fields: Iterable[Field], body: bytes, fork: str = ""
    ) -> Request:
        local, remote, target, hops = self.local, self.remote, self.target, self.routes
        if fork in self.forks:
            local = local.replace(f";tag={self.tag}", f";tag={fork}")
        elif self.early and method != "INVITE" and not NameAddr.parse(remote).tag:
            remote, target, hops = self.early[fork or list(self.early)[-1]]
        routes: list[Field] = [("Route", route) for route in hops]
        return self.phone.request(
            method,
            target,
            caller=local,
            to=remote,
            call_id=self.call_id,
            cseq=cseq,
            fields=[*routes, *fields],
            body=body,
        )


#: How a sipfrag of a response begins (RFC 3420).
_FRAGMENT: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})\b")
#: What says that a body is a piece of a SIP message (RFC 3420).
FRAGMENT: Field = ("Content-Type", "message/sipfrag;version=2.0")
