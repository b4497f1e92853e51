"""A test phone: a SIP user agent that calls and answers, and can misbehave. Pure.

It is made of nothing but the syntax floor, so that a fault of the switch's dialogs is not
repeated here. It retransmits, acknowledges and proves its password by itself; what a broken phone
does wrong, a test makes it do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count

from softswitch.sip import compose, digest
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.testing.ladder import Address
from softswitch.testing.line import Line
from softswitch.testing.network import LoopNetwork
from softswitch.testing.peer import Peer, in_uri
from softswitch.wheel import Timer

T1 = 0.5
T2 = 4.0

#: With what a phone answers requests other than INVITE; what is not here gets 405.
ANSWERS = {"OPTIONS": 200, "BYE": 200, "CANCEL": 200, "PRACK": 200}
#: With what a phone answers them that can do everything.
ALL_ANSWERS = {
    **ANSWERS,
    **dict.fromkeys(("UPDATE", "INFO", "MESSAGE", "NOTIFY", "SUBSCRIBE"), 200),
    "REFER": 202,
}


class Answers(dict[str, int]):
    """What a phone answers by itself: method -> status, and when called, what it does with calls.

    ``phone.answers(180, 200, after=3)`` rings at once and answers three seconds later;
    ``phone.answers(486)`` is busy, ``phone.answers()`` leaves it to the test again.
    """

    def __init__(self, statuses: Mapping[str, int] = ANSWERS) -> None:
        super().__init__(statuses)
        self._calls: tuple[int, ...] = ()
        self._after = 0.0
        self._fields: list[Field] = []

    def __call__(self, *statuses: int, after: float = 0.0, fields: Iterable[Field] = ()) -> None:
        """From now on, do this with each call that comes.

        :param statuses: provisional ones, then a final one; the last comes ``after`` seconds later.
        :param fields: header fields of the last one.
        """
        self._calls, self._after, self._fields = statuses, after, list(fields)

    def play(self, line: Line) -> None:
        """Do it with a call that has come just now."""
        if self._calls:
            *first, last = self._calls
            for status in first:
                self._respond(line, status, ())
            line.phone.network.clock.callLater(self._after, self._respond, line, last, self._fields)

    def _respond(self, line: Line, status: int, fields: Iterable[Field]) -> None:
        if line.open:
            sdp = line.described if status in (183, 200) else b""
            line.respond(status, sdp=sdp, fields=fields)


class Phone(Peer):
    """A user agent: registers, calls, rings, answers, hangs up.

    What is asked of it concerns its newest line.

    :ivar password: proves who it is; "" for a phone that cannot.
    :ivar lines: every call that it made or got.
    :ivar private: Contact field value instead of its own, as of a phone behind NAT.
    :ivar silent: whether it does nothing at all with what comes.
    :ivar tries: whether it answers an INVITE with 100 at once.
    :ivar heeds_cancel: whether a CANCEL or BYE makes it answer an open INVITE with 487.
    :ivar lost_acks: how many ACKs of a 2xx it still forgets to send.
    :ivar supported: option tags that its INVITEs, UPDATEs and answers to them name.
    :ivar allow: methods that they name.
    :ivar session_expires: their Session-Expires; "" for none (RFC 4028).
    :ivar answers: what the ``answers`` of its new lines are, outside a call, too; called with
        statuses, it says what becomes of calls that come.
    :ivar requests: what came outside a call, and made none.
    :ivar registered: status of the last answer to a REGISTER, 0 before.
    :ivar registration: the last REGISTER that was sent, None before.
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
        self.supported: Sequence[str] = ()
        self.allow: Sequence[str] = ()
        self.session_expires = ""
        self.answers = Answers()
        self.requests: list[Request] = []
        self.registered = 0
        self.registration: Request | None = None
        self._nc = count(1)
        self._sent: dict[str, _Sent] = {}
        self._answers: dict[str, bytes] = {}
        self._repeats: dict[str, Timer] = {}

    @property
    def contact(self) -> str:
        """Contact field value."""
        return self.private or super().contact

    @property
    def own(self) -> str:
        """Its address of record."""
        return f"<sip:{self.name}@{in_uri(self.switch[0])}>"

    @property
    def line(self) -> Line:
        """The newest call."""
        assert self.lines, f"{self.name} has no call"
        return self.lines[-1]

    @property
    def abilities(self) -> list[Field]:
        """Header fields that say what it can do."""
        said = (
            ("Supported", ", ".join(self.supported)),
            ("Allow", ", ".join(self.allow)),
            ("Session-Expires", self.session_expires),
        )
        return [(name, value) for name, value in said if value]

    # What a test has it do.

    def can(self, *supported: str) -> None:
        """Serve and name every method, and these option tags."""
        self.supported, self.allow = supported, ("INVITE", "ACK", *ALL_ANSWERS)
        self.answers.clear()
        self.answers.update(ALL_ANSWERS)

    def register(
        self, expires: int = 3600, fields: Iterable[Field] = (), *, again: bool = False
    ) -> int:
        """Register, and say with what status; 0 when no answer has come yet.

        :param again: refresh what was registered last, under its Call-ID (RFC 3261 10.2).
        """
        last = self.registration if again else None
        request = self.request(
            "REGISTER",
            f"sip:{in_uri(self.switch[0])}",
            to=self.own,
            call_id=last.call_id if last is not None else "",
            cseq=last.cseq.number + 1 if last is not None else 1,
            fields=[("Expires", str(expires)), *fields],
        )
        self.registration = request
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
    ) -> Line:
        """Call a number at the switch, or a whole URI.

        :param sdp: None for the phone's own; empty for none at all.
        """
        line = self.dial(number, caller)
        line.reinvite(line.described if sdp is None else sdp, fields)
        return line

    def dial(self, number: str, caller: str = "") -> Line:
        """A line to a number at the switch, or a whole URI, on which nothing was sent yet: for a
        first request other than INVITE, as SUBSCRIBE or MESSAGE."""
        line = Line(self, compose.new_call_id(self.host), True)
        line.local = f"{caller or self.own};tag={line.tag}"
        line.target = self.uri(number)
        line.remote = f"<{line.target}>"
        self.lines.append(line)
        return line

    def uri(self, number: str) -> str:
        """A number at the switch as a URI; a URI stays."""
        host, port = self.switch
        return number if ":" in number else f"sip:{number}@{in_uri(host)}:{port}"

    def ring(
        self,
        status: int = 180,
        *,
        sdp: bytes = b"",
        fields: Iterable[Field] = (),
        reliable: bool = False,
    ) -> None:
        """Answer the INVITE with 180 or another provisional status.

        :param reliable: until its PRACK comes (RFC 3262).
        """
        self.line.respond(status, sdp=sdp, fields=fields, reliable=reliable)

    def answer(self, *, sdp: bytes | None = None, fields: Iterable[Field] = ()) -> None:
        """Answer the INVITE with 200, again and again until its ACK comes.

        :param sdp: None for the phone's own; empty for none at all.
        """
        line = self.line
        line.respond(200, sdp=line.described if sdp is None else sdp, fields=fields)

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

    def vanish(self) -> None:
        """Be gone without a word: nothing comes from it any more, and nothing reaches it."""
        self.silent = True
        self.network.silent.add(self.host)
        for key in list(self._repeats):
            self.stop(key)

    # Transactions, as simple as they can be.

    def ask(self, request: Request, tell: Callable[[Response], None]) -> None:
        """Send a request until it is answered; ``tell`` each response."""
        key = _key(request)
        self._sent[key] = _Sent(request, tell)
        self._repeat(key, request.encode(), again=self.transport == "UDP")

    def respond(self, request: Request, response: Response, source: Address) -> str:
        """Answer a request; a final answer to an INVITE is repeated until its ACK, a reliable
        provisional one until its PRACK.

        :returns: what ``stop`` ends the repetition with.
        """
        key, data = _key(request), response.encode()
        self._answers[key] = data
        lasting = request.method == "INVITE" and response.status >= 200
        again = lasting and (self.transport == "UDP" or response.status < 300)
        number = response.get("RSeq")
        if number is not None:
            key = f"{key} {response.to.tag} {number}"
        self._repeat(key, data, source, again=again or number is not None)
        return key

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
            self.stop(_key(response))
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
        asks, proves = _PROOFS.get(response.status, ("", ""))
        if not proves or not self.password or request.get(proves):
            return False
        challenge = digest.best(digest.parse_challenges(response.all(asks)))
        if challenge is None:
            return False
        ha1 = digest.ha1(self.name, challenge.realm, self.password, challenge.algorithm)
        proof = digest.answer(
            challenge, self.name, ha1, request.method, request.uri, next(self._nc), "0a4f113b"
        )
        via = request.top_via
        via.params["branch"] = compose.new_branch()
        again = request.replaced("Via", [str(via)]).replaced(proves, [str(proof)])
        number = request.cseq.number + 1
        again = again.replaced("CSeq", [f"{number} {request.method}"])
        line = next((line for line in self.lines if line.newest is request), None)
        if request is self.registration:
            self.registration = again
        if line is not None:
            line.newest, line.cseq = again, number
            line.sent = again if request.method == "INVITE" else line.sent
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

    def _serve(self, request: Request, line: Line | None, source: Address) -> None:
        """A request that came for the first time."""
        if request.to.tag is None and request.method in ("INVITE", "SUBSCRIBE", "REFER"):
            line = Line(self, request.call_id, False)
            line.local = f"{request.get('To')};tag={line.tag}"
            self.lines.append(line)
            line.request_received(request, source)
            self.answers.play(line)
        elif line is not None:
            line.request_received(request, source)
        else:
            self.requests.append(request)
            status = self.answers.get(request.method, 481)
            if request.to.tag is not None or request.method == "BYE":
                status = 481
            answer = compose.response(request, status, to_tag=compose.new_tag())
            self.respond(request, answer, source)

    def _line_of(self, request: Request) -> Line | None:
        for line in reversed(self.lines):
            if line.call_id == request.call_id:
                known = (None, line.tag, *line.forks)
                if request.to.tag in known:
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
        self.stop(key)
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
        self.stop(_key(request))

    def stop(self, key: str) -> None:
        """Repeat a request or an answer no more."""
        timer = self._repeats.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _registered(self, response: Response) -> None:
        self.registered = response.status


class _Sent:
    """A request of ours: who is told of its responses, and the ACK of its final one."""

    def __init__(self, request: Request, tell: Callable[[Response], None]) -> None:
        self.request = request
        self.tell = tell
        self.ack = b""


#: Status of a challenge -> where it stands, and where its answer does (RFC 3261 22).
_PROOFS = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


def _key(message: Message) -> str:
    """Under which a request and its responses find each other (RFC 3261 17.1.3, 17.2.3)."""
    return f"{message.top_via.branch} {message.cseq.method}"
