"""SIP endpoints of the test kit: peers that speak by hand, phones that call and answer. Pure.

A phone is a user agent of its own, made of nothing but the syntax floor, so that a fault of the
switch's dialogs is not repeated here. It retransmits, acknowledges and proves its password by
itself; what a broken phone does wrong, a test makes it do.
"""

from collections.abc import Callable, Iterable
from itertools import count

from softswitch.sip import compose, digest
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.parser import parse
from softswitch.testing.ladder import Address
from softswitch.testing.network import LoopNetwork
from softswitch.wheel import Timer

T1 = 0.5
T2 = 4.0

SDP: Field = ("Content-Type", "application/sdp")


class Peer:
    """An address on the loop network that speaks SIP by hand.

    :ivar name: on the ladder.
    :ivar host: its address.
    :ivar port: goes with it.
    :ivar transport: "UDP" or "TCP".
    :ivar received: every message that came: second, message, source.
    :ivar unread: those that ``expect`` has not looked at.
    :param switch: host and port to which it sends by default.
    :param settle: lets the network come to rest after each thing that is done.
    """

    def __init__(
        self,
        network: LoopNetwork,
        name: str,
        address: Address,
        transport: str,
        switch: Address,
        settle: Callable[[], None],
    ) -> None:
        self.name = name
        self.host, self.port = address
        self.transport = transport
        self.switch = switch
        self.received: list[tuple[float, Message, Address]] = []
        self.unread: list[Message] = []
        self.network = network
        self.settle = settle
        self.endpoint = network.attach(*address, transport, self._take)

    def send(self, message: Message | bytes, to: Address | None = None) -> None:
        """Send a message or any bytes, and let the network come to rest."""
        self._put(message if isinstance(message, bytes) else message.encode(), to)
        self.settle()

    def expect(self, what: str | int) -> Message:
        """The next message that came, which has to be ``what``, a method or a status.

        :raises AssertionError: when it is something else, or nothing came.
        """
        assert self.unread, f"{self.name}: nothing came, but {what} was expected"
        message = self.unread.pop(0)
        assert what in (kind(message), message.start_line()), (
            f"{self.name}: {message.start_line()} came, but {what} was expected"
        )
        return message

    def request(
        self,
        method: str,
        uri: str,
        *,
        caller: str = "",
        to: str = "",
        call_id: str = "",
        cseq: int = 1,
        fields: Iterable[Field] = (),
        body: bytes = b"",
        branch: str = "",
    ) -> Request:
        """A request with all that RFC 3261 8.1.1 wants; what is not given is new.

        :param caller: From field value.
        :param to: To field value.
        """
        described = [SDP] if body else []
        via = f"SIP/2.0/{self.transport} {self.host}:{self.port};rport"
        return Request(
            method,
            uri,
            [
                ("Via", f"{via};branch={branch or compose.new_branch()}"),
                ("Max-Forwards", "70"),
                ("From", caller or f"<sip:{self.name}@{self.host}>;tag={compose.new_tag()}"),
                ("To", to or f"<{uri}>"),
                ("Call-ID", call_id or compose.new_call_id(self.host)),
                ("CSeq", f"{cseq} {method}"),
                ("Contact", self.contact),
                *described,
                *fields,
            ],
            body,
        )

    @property
    def contact(self) -> str:
        """Contact field value."""
        transport = "" if self.transport == "UDP" else f";transport={self.transport.lower()}"
        return f"<sip:{self.name}@{self.host}:{self.port}{transport}>"

    def sdp(self, direction: str = "sendrecv", version: int = 1) -> bytes:
        """A session description with one audio stream to port 4000 of this address."""
        lines = (
            "v=0",
            f"o={self.name} 77 {version} IN IP4 {self.host}",
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            "m=audio 4000 RTP/AVP 0",
            f"a={direction}",
        )
        return "".join(f"{line}\r\n" for line in lines).encode()

    def heard(self, message: Message, source: Address) -> None:
        """A message has come; a peer by hand only keeps it."""

    def _put(self, data: bytes, to: Address | None = None) -> None:
        self.endpoint.send(data, to or self.switch)

    def _take(self, data: bytes, source: Address) -> None:
        message = parse(data)
        self.received.append((self.network.clock.seconds(), message, source))
        self.unread.append(message)
        self.heard(message, source)


class Phone(Peer):
    """A user agent: registers, calls, rings, answers, hangs up.

    What is asked of it concerns its newest line.

    :ivar password: proves who it is; "" for a phone that cannot.
    :ivar lines: every call that it made or got.
    :ivar private: Contact field value instead of its own, as of a phone behind NAT.
    :ivar silent: whether it does nothing at all with what comes.
    :ivar tries: whether it answers an INVITE with 100 at once.
    :ivar heeds_cancel: whether a CANCEL makes it answer the INVITE with 487.
    :ivar lost_acks: how many ACKs of a 2xx it still forgets to send.
    """

    def __init__(
        self,
        network: LoopNetwork,
        name: str,
        address: Address,
        transport: str,
        switch: Address,
        settle: Callable[[], None],
        password: str = "",
    ) -> None:
        super().__init__(network, name, address, transport, switch, settle)
        self.password = password
        self.lines: list[Line] = []
        self.private = ""
        self.silent = False
        self.tries = True
        self.heeds_cancel = True
        self.lost_acks = 0.0
        self.registered = 0
        self._nc = count(1)
        self._sent: dict[str, _Sent] = {}
        self._answers: dict[str, bytes] = {}
        self._repeats: dict[str, Timer] = {}

    @property
    def contact(self) -> str:
        """Contact field value."""
        return self.private or super().contact

    @property
    def line(self) -> "Line":
        """The newest call."""
        assert self.lines, f"{self.name} has no call"
        return self.lines[-1]

    # What a test has it do.

    def register(self, expires: int = 3600, fields: Iterable[Field] = ()) -> int:
        """Register, and say with what status; 0 when no answer has come yet."""
        domain = f"sip:{self.switch[0]}"
        own = f"<sip:{self.name}@{self.switch[0]}>"
        request = self.request(
            "REGISTER",
            domain,
            caller=f"{own};tag={compose.new_tag()}",
            to=own,
            fields=[("Expires", str(expires)), *fields],
        )
        self.registered = 0
        self.ask(request, self._registered)
        self.settle()
        return self.registered

    def call(
        self,
        number: str,
        *,
        sdp: bytes | None = None,
        fields: Iterable[Field] = (),
        caller: str = "",
    ) -> "Line":
        """Call a number at the switch, or a whole URI.

        :param sdp: None for the phone's own; empty for none at all.
        """
        host, port = self.switch
        uri = number if ":" in number else f"sip:{number}@{host}:{port}"
        line = Line(self, compose.new_call_id(self.host), True)
        line.local = f"{caller or f'<sip:{self.name}@{host}>'};tag={line.tag}"
        line.remote, line.target = f"<{uri}>", uri
        self.lines.append(line)
        line.reinvite(self.sdp() if sdp is None else sdp, fields)
        return line

    def ring(self, status: int = 180, *, sdp: bytes = b"", fields: Iterable[Field] = ()) -> None:
        """Answer the INVITE with 180 or another provisional status."""
        self.line.respond(status, sdp=sdp, fields=fields)

    def answer(self, *, sdp: bytes | None = None, fields: Iterable[Field] = ()) -> None:
        """Answer the INVITE with 200, again and again until its ACK comes.

        :param sdp: None for the phone's own; empty for none at all.
        """
        self.line.respond(200, sdp=self.sdp() if sdp is None else sdp, fields=fields)

    def refuse(self, status: int, *, fields: Iterable[Field] = ()) -> None:
        """Answer the INVITE with 300 to 699."""
        self.line.respond(status, fields=fields)

    def cancel(self, fields: Iterable[Field] = ()) -> None:
        """Cancel the INVITE, without waiting for a provisional answer."""
        self.line.cancel(fields)

    def hang_up(self, fields: Iterable[Field] = ()) -> None:
        """Say goodbye."""
        self.line.request("BYE", fields)

    def move(self, port: int) -> None:
        """Go on from another port, as behind a NAT that forgot us; nobody is told.

        Over TCP the connection is closed.
        """
        self.endpoint.close()
        self.port = port
        self.endpoint = self.network.attach(self.host, port, self.transport, self._take)
        self.settle()

    # Transactions, as simple as they can be.

    def ask(self, request: Request, tell: Callable[[Response], None]) -> None:
        """Send a request until it is answered; ``tell`` each response."""
        key = _key(request)
        self._sent[key] = _Sent(request, tell)
        self._repeat(key, request.encode(), again=self.transport == "UDP")

    def respond(self, request: Request, response: Response, source: Address) -> None:
        """Answer a request; a final answer to an INVITE is repeated until its ACK."""
        key, data = _key(request), response.encode()
        self._answers[key] = data
        lasting = request.method == "INVITE" and response.status >= 200
        again = lasting and (self.transport == "UDP" or response.status < 300)
        self._repeat(key, data, source, again=again)

    def heard(self, message: Message, source: Address) -> None:
        """Do what a phone does by itself."""
        if self.silent:
            return
        if isinstance(message, Response):
            self._response_received(message)
        elif isinstance(message, Request):
            self._request_received(message, source)

    def _response_received(self, response: Response) -> None:
        sent = self._sent.get(_key(response))
        if sent is None:
            return
        first = not sent.ack
        if response.status >= 200 or sent.request.method == "INVITE":
            self._stop(_key(response))
        if response.status < 200:
            if first:
                sent.tell(response)
            return
        if sent.request.method != "INVITE":
            del self._sent[_key(response)]
        elif response.status >= 300:
            sent.ack = sent.ack or compose.ack(sent.request, response).encode()
            self._put(sent.ack)
        elif not first:
            self._acknowledge(sent.ack)
        if first and not self._proven(sent, response):
            sent.tell(response)

    def acknowledge(self, request: Request, ack: Request) -> None:
        """Send the ACK of a 2xx, and keep it for the copies of that 2xx."""
        self._sent[_key(request)].ack = ack.encode()
        self._acknowledge(ack.encode())

    def _acknowledge(self, ack: bytes) -> None:
        if self.lost_acks > 0:
            self.lost_acks -= 1
        else:
            self._put(ack)

    def _proven(self, sent: "_Sent", response: Response) -> bool:
        """Answer a challenge with a new request, once."""
        request = sent.request
        if response.status != 401 or not self.password or request.get("Authorization"):
            return False
        challenge = digest.best(digest.parse_challenges(response.all("WWW-Authenticate")))
        if challenge is None:
            return False
        ha1 = digest.ha1(self.name, challenge.realm, self.password, challenge.algorithm)
        proof = digest.answer(
            challenge, self.name, ha1, request.method, request.uri, next(self._nc), "0a4f113b"
        )
        via = request.top_via
        via.params["branch"] = compose.new_branch()
        again = request.replaced("Via", [str(via)]).replaced("Authorization", [str(proof)])
        number = request.cseq.number + 1
        again = again.replaced("CSeq", [f"{number} {request.method}"])
        line = next((line for line in self.lines if line.sent is request), None)
        if line is not None:
            line.sent, line.cseq = again, number
        self.ask(again, sent.tell)
        return True

    def _request_received(self, request: Request, source: Address) -> None:
        key = _key(request)
        line = self._line_of(request)
        if request.method == "ACK":
            if line is not None:
                line.acknowledged(request)
        elif key in self._answers:
            if self._answers[key]:
                self._put(self._answers[key], source)
        else:
            self._answers[key] = b""
            self._serve(request, line, source)

    def _serve(self, request: Request, line: "Line | None", source: Address) -> None:
        """A request that came for the first time."""
        if request.to.tag is None and request.method == "INVITE":
            line = Line(self, request.call_id, False)
            line.local = f"{request.get('To')};tag={line.tag}"
            self.lines.append(line)
            line.request_received(request, source)
        elif line is not None:
            line.request_received(request, source)
        else:
            status = 200 if request.method == "OPTIONS" else 481
            answer = compose.response(request, status, to_tag=compose.new_tag())
            self.respond(request, answer, source)

    def _line_of(self, request: Request) -> "Line | None":
        for line in reversed(self.lines):
            if line.call_id == request.call_id and request.to.tag in (None, line.tag):
                return line
        return None

    def _repeat(
        self,
        key: str,
        data: bytes,
        to: Address | None = None,
        *,
        again: bool,
        wait: float = T1,
        passed: float = 0.0,
    ) -> None:
        """Send, and unless ``again`` is false go on with it for 64*T1."""
        self._stop(key)
        self._put(data, to)
        if again and passed + wait < 64 * T1:
            self._repeats[key] = self.network.clock.callLater(
                wait,
                lambda: self._repeat(
                    key, data, to, again=True, wait=min(2 * wait, T2), passed=passed + wait
                ),
            )

    def stop_answering(self, request: Request) -> None:
        """The ACK has come: the final answer is not repeated."""
        self._stop(_key(request))

    def _stop(self, key: str) -> None:
        timer = self._repeats.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _registered(self, response: Response) -> None:
        self.registered = response.status


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
    """

    def __init__(self, phone: Phone, call_id: str, calling: bool) -> None:
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
        self._source: Address | None = None

    @property
    def statuses(self) -> list[int]:
        """What came to the last INVITE that we sent."""
        return [response.status for response in self.responses]

    @property
    def methods(self) -> list[str]:
        """The methods of what came in the dialog."""
        return [request.method for request in self.requests]

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
            self._refresh(request)
            if not self.remote:
                self.remote = request.get("From") or ""
                self.routes = request.values("Record-Route")
            if phone.tries:
                phone.respond(request, compose.response(request, 100), source)
        elif method == "CANCEL":
            phone.respond(request, compose.response(request, 200, to_tag=self.tag), source)
            if phone.heeds_cancel and not self.over:
                self.respond(487)
        elif method == "BYE":
            self.over = True
            phone.respond(request, compose.response(request, 200), source)
        else:
            status = 200 if method == "OPTIONS" else 405
            phone.respond(request, compose.response(request, status), source)

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


class _Sent:
    """A request of ours: who is told of its responses, and the ACK of its final one."""

    def __init__(self, request: Request, tell: Callable[[Response], None]) -> None:
        self.request = request
        self.tell = tell
        self.ack = b""


def kind(message: Message) -> str | int:
    """A request's method, a response's status."""
    return message.status if isinstance(message, Response) else getattr(message, "method", "")


def _key(message: Message) -> str:
    """Under which a request and its responses find each other (RFC 3261 17.1.3, 17.2.3)."""
    return f"{message.top_via.branch} {message.cseq.method}"
