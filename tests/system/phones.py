"""A phone for the system tests that does nothing by itself: each message is sent and awaited by
the test. And a network on which no other test is."""

import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from softswitch.sip import compose, digest
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.parser import Framer, Ping, parse

M = TypeVar("M", bound=Message)

PASSWORD = "secret"

SDP = (
    "v=0\r\no=- 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n"
    "m=audio 16400 RTP/AVP 0\r\n"
)


class Phone:
    """A phone with one socket, over which it sends and receives.

    :param user: its name, and that of its user.
    :param here: address literal; the kernel chooses the port.
    :param switch: address and port of the switch.
    :param domain: what stands behind the @ of its address; without it, the switch's address.
    :param algorithms: digest algorithms that it knows.
    :param context: of TLS: whom it believes, and what it shows.
    :param named: of TLS: what the switch's certificate must be for.
    """

    def __init__(
        self,
        user: str,
        here: str,
        switch: tuple[str, int],
        transport: str = "udp",
        *,
        domain: str = "",
        password: str = PASSWORD,
        algorithms: tuple[str, ...] = digest.ALGORITHMS,
        context: ssl.SSLContext | None = None,
        named: str = "",
    ) -> None:
        self.user = user
        self.domain = domain or bracketed(switch[0])
        self._password = password
        self._algorithms = algorithms
        self._transport = transport
        family = socket.AF_INET6 if ":" in here else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(family, kind)
        self._socket.bind((here, 0))
        self._socket.connect(switch)
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname=named)
        self._host, self._port = self._socket.getsockname()[:2]
        self._framer = Framer()
        self._waiting: list[bytes] = []
        self._seen: set[bytes] = set()

    @property
    def contact(self) -> str:
        """The URI at which it is."""
        return f"sip:{self.user}@{bracketed(self._host)}:{self._port};transport={self._transport}"

    @property
    def sdp(self) -> bytes:
        """What it has to say about its audio."""
        family = "IP6" if ":" in self._host else "IP4"
        return SDP.format(family=family, host=self._host).encode()

    def close(self) -> None:
        """Be gone; a connection is closed."""
        self._socket.close()

    def request(
        self, method: str, uri: str, fields: Iterable[Field] = (), body: bytes = b""
    ) -> Request:
        """A request outside of any dialog."""
        me = f"<sip:{self.user}@{self.domain}>"
        first = [
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", f"{me};tag={compose.new_tag()}"),
            ("To", me if method == "REGISTER" else f"<{uri}>"),
            ("Call-ID", compose.new_call_id("phone")),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<{self.contact}>"),
        ]
        return Request(method, uri, [*first, *fields], body)

    def invite(self, uri: str) -> Request:
        """An INVITE with an offer."""
        return self.request("INVITE", uri, [("Content-Type", "application/sdp")], self.sdp)

    def within(self, invite: Request, answer: Response, method: str) -> Request:
        """A request in the dialog that ``invite`` and its 200 made: its ACK or BYE."""
        fields: list[Field] = [
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", str(invite.from_)),
            ("To", str(answer.to)),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{invite.cseq.number + (method != 'ACK')} {method}"),
        ]
        return Request(method, str(answer.contacts[0].uri), fields)

    def register(self, expires: int = 300, fields: Iterable[Field] = ()) -> Response:
        """REGISTER, with credentials when it is asked for them; the last answer."""
        wanted: list[Field] = [("Expires", str(expires)), *fields]
        return self.ask(self.request("REGISTER", f"sip:{self.domain}", wanted))[1]

    def ask(self, request: Request) -> tuple[Request, Response]:
        """Send a request, answer a challenge, and return what was sent last with its final
        response. A refused INVITE is acknowledged."""
        response = self.ask_once(request)
        if response.status == 401:
            request = self._with_credentials(request, response)
            response = self.ask_once(request)
        return request, response

    def ask_once(self, request: Request) -> Response:
        """Send a request; its final response. A refused INVITE is acknowledged."""
        self.send(request)
        while True:
            response = self.receive()
            assert isinstance(response, Response), response
            if response.status < 200:
                continue
            if request.method == "INVITE" and response.status >= 300:
                self.send(compose.ack(request, response))
            return response

    def call(self, uri: str) -> Request:
        """Send an INVITE, and once more when it is challenged; the one that is under way now."""
        request = self.send(self.invite(uri))
        response = self.receive()
        assert isinstance(response, Response), response
        if response.status != 401:
            return request
        self.send(compose.ack(request, response))
        return self.send(self._with_credentials(request, response))

    def answer(self, request: Request, status: int, body: bytes = b"") -> None:
        """Answer a request; an SDP body is said to be one."""
        fields: list[Field] = [("Record-Route", each) for each in request.all("Record-Route")]
        fields.append(("Contact", f"<{self.contact}>"))
        if body:
            fields.append(("Content-Type", "application/sdp"))
        tag = request.to.tag or "phone"
        self.send(compose.response(request, status, to_tag=tag, fields=fields, body=body))

    def send(self, message: M) -> M:
        """Send a message."""
        self._socket.sendall(message.encode())
        return message

    def request_received(self, method: str) -> Request:
        """The next message: a request of that method."""
        message = self.receive()
        assert isinstance(message, Request), message
        assert message.method == method, message
        return message

    def response_received(self, status: int) -> Response:
        """The next message but for a 100: a response of that status."""
        message = self.receive()
        while isinstance(message, Response) and message.status == 100:
            message = self.receive()
        assert isinstance(message, Response), message
        assert message.status == status, message
        return message

    def receive(self, seconds: float = 5) -> Message:
        """The next message that is no retransmission.

        :raises TimeoutError: none came.
        :raises ConnectionError: the connection was closed.
        """
        self._socket.settimeout(seconds)
        while True:
            while not self._waiting:
                data = self._socket.recv(65536)
                if not data:
                    raise ConnectionError("closed")
                if self._transport == "udp":
                    self._waiting.append(data)
                else:
                    self._waiting += [
                        each for each in self._framer.feed(data) if not isinstance(each, Ping)
                    ]
            data = self._waiting.pop(0)
            if data not in self._seen:
                self._seen.add(data)
                return parse(data, stream=self._transport != "udp")

    def _via(self) -> str:
        where = f"{bracketed(self._host)}:{self._port}"
        branch = compose.new_branch()
        return f"SIP/2.0/{self._transport.upper()} {where};branch={branch};rport"

    def _with_credentials(self, request: Request, response: Response) -> Request:
        """The request once more, answering the first challenge that the phone knows."""
        challenge = digest.best(
            digest.parse_challenges(response.all("WWW-Authenticate")), self._algorithms
        )
        assert challenge is not None, response
        secret = digest.ha1(self.user, challenge.realm, self._password, challenge.algorithm)
        credentials = digest.answer(
            challenge, self.user, secret, request.method, request.uri, 1, "phone"
        )
        again = request.replaced("Via", [self._via()])
        again = again.replaced("CSeq", [f"{request.cseq.number + 1} {request.method}"])
        return again.replaced("Authorization", [str(credentials)])


def talk(caller: Phone, callee: Phone, uri: str) -> None:
    """A whole call: it rings, is answered and acknowledged, and the caller hangs up."""
    invite = caller.call(uri)
    offered = callee.request_received("INVITE")
    callee.answer(offered, 180)
    caller.response_received(180)
    pick_up(caller, callee, invite, offered)


def pick_up(caller: Phone, callee: Phone, invite: Request, offered: Request) -> None:
    """The rest of a call that rings.

    :param invite: as the caller sent it.
    :param offered: as the callee got it.
    """
    callee.answer(offered, 200, callee.sdp)
    answered = caller.response_received(200)
    caller.send(caller.within(invite, answered, "ACK"))
    callee.request_received("ACK")
    caller.send(caller.within(invite, answered, "BYE"))
    callee.answer(callee.request_received("BYE"), 200)
    caller.response_received(200)


class Talker:
    """Sends RTP, PCMU of silence, from where somebody has said that it would come.

    :param own: address and port.
    :param to: likewise.
    """

    def __init__(self, stack: ExitStack, own: tuple[str, int], to: tuple[str, int]) -> None:
        self._socket = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._socket.bind(own)
        self._to = to
        self._number = 0

    def say(self, *, lost: bool) -> None:
        """Send a packet of 20 ms, unless it gets lost."""
        self._number += 1
        head = struct.pack("!BBHII", 0x80, 0, self._number, 160 * self._number, 7)
        if not lost:
            self._socket.sendto(head + b"\xff" * 160, self._to)


def bracketed(host: str) -> str:
    """An address literal as it stands in a URI."""
    return f"[{host}]" if ":" in host else host


@contextmanager
def claimed_network() -> Iterator[str]:
    """The first three numbers of a network that nobody is on, in this run of the tests nor in
    another that runs at the same time: who is on one holds a port there."""
    for number in range(1, 250):
        with socket.socket() as claim:
            try:
                claim.bind((f"127.111.{number}.254", 5060))
            except OSError:
                continue
            yield f"127.111.{number}"
            return
    raise RuntimeError("no network is free")
