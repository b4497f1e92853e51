"""The corpus of ``tests/explain/corpus``: INVITEs and configurations, and peers that play them.

A folder holds a configuration, ``switch.toml``, and INVITEs with an editor's line ends. In all of
them NET is a network of 127.0.0.0/8, PORT6 the switch's port at [::1], PORT7 a peer's and PORT8
another's. The lines that begin with # say from where an INVITE comes, which user proves his
password (it is his name), and what becomes of each target that is tried (a status, or silence;
603 if nothing is said).
"""

import re
import selectors
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import attrs

from softswitch.explain.invite import whole
from softswitch.sip import compose, digest
from softswitch.sip.message import Message, Request, Response
from softswitch.sip.parser import Framer, Ping, parse

CORPUS = Path(__file__).parent.parent / "explain" / "corpus"

Address = tuple[str, int]


@attrs.frozen
class Case:
    """One INVITE.

    :ivar source: whence it comes.
    :ivar transport: "udp" or "tcp".
    :ivar user: who proves a password, which is his name; "" for nobody.
    :ivar fate: what each target answers; 0 for nothing.
    :ivar data: as on the wire.
    """

    name: str
    source: Address
    transport: str
    user: str
    fate: int
    data: bytes


def names(folder: str) -> list[str]:
    """Names of the INVITEs."""
    return sorted(path.stem for path in (CORPUS / folder).glob("*.sip"))


def case(folder: str, name: str, words: Mapping[str, str]) -> Case:
    """One of them, with the words replaced."""
    text = placed((CORPUS / folder / f"{name}.sip").read_text("utf-8"), words)
    said: dict[str, str] = {"user": "", "fate": "603"}
    while text.startswith("#"):
        line, _, text = text.partition("\n")
        key, _, value = line[1:].strip().partition(" ")
        said[key] = value
    place, transport = said["source"].split()
    host, _, port = place.rpartition(":")
    fate = 0 if said["fate"] == "silent" else int(said["fate"])
    data, _ = whole(text.encode())
    return Case(name, (host.strip("[]"), int(port)), transport, said["user"], fate, data)


def configuration(folder: str, words: Mapping[str, str]) -> str:
    """The configuration of a folder."""
    return placed((CORPUS / folder / "switch.toml").read_text("utf-8"), words)


def placed(text: str, words: Mapping[str, str]) -> str:
    """A text with the words replaced."""
    for word, value in words.items():
        text = re.sub(rf"\b{word}\b", value, text)
    return text


class Peer:
    """A socket: one that sends INVITEs, or one at which they arrive."""

    def __init__(self, address: Address, transport: str, *, listens: bool = False) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(family, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address)
        self.listens = listens and transport == "tcp"
        if self.listens:
            self.socket.listen()
        self.transport = transport
        self.framer = Framer()
        self.remote: Address = ("", 0)

    def send(self, data: bytes) -> None:
        """Send to whence something came last, or to where the socket is connected."""
        if self.transport == "udp":
            self.socket.sendto(data, self.remote)
        else:
            self.socket.sendall(data)

    def received(self) -> list[bytes]:
        """The messages that wait."""
        if self.transport == "udp":
            data, self.remote = self.socket.recvfrom(65536)
            return [data]
        data = self.socket.recv(65536)
        return [each for each in self.framer.feed(data) if not isinstance(each, Ping)]


class Playground:
    """Callees at every address of the corpus, and whoever is calling.

    :param switch: address of the switch by transport and IP version.
    """

    def __init__(self, callees: list[tuple[Address, str]], switch: Callable[[str, str], Address]):
        self._exit = ExitStack()
        self._selector = self._exit.enter_context(selectors.DefaultSelector())
        self._switch = switch
        # Of all INVITEs so far: one that nobody has answered is sent again for half a minute.
        self._branches: set[str] = set()
        for address, transport in callees:
            self._watch(Peer(address, transport, listens=True))

    def caller(self, source: Address, transport: str) -> Peer:
        """Somebody at an address; over TCP, connected to the switch."""
        peer = Peer(source, transport)
        peer.remote = self._switch(transport, source[0])
        if transport == "tcp":
            peer.socket.connect(peer.remote)
        self._watch(peer)
        return peer

    def gone(self, peer: Peer) -> None:
        """Hang up."""
        self._selector.unregister(peer.socket)
        peer.socket.close()

    def events(self, seconds: float = 10) -> Iterator[tuple[Peer, bytes]]:
        """What comes, each with who has got it.

        :raises TimeoutError: nothing more.
        """
        while True:
            found = self._selector.select(seconds)
            if not found:
                raise TimeoutError("nothing more came")
            for key, _ in found:
                peer: Peer = key.data
                if peer.listens:
                    accepted, _ = peer.socket.accept()
                    self._watch(_Accepted(accepted))
                    continue
                try:
                    messages = peer.received()
                except ConnectionError:
                    messages = []
                if not messages and peer.transport == "tcp" and _closed(peer.socket):
                    self.gone(peer)
                for data in messages:
                    yield peer, data

    def close(self) -> None:
        """Everybody leaves."""
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._exit.close()

    def play(self, case: Case) -> tuple[bytes, list[bytes], list[bytes]]:
        """Have a switch get an INVITE, and its targets fail as the case says.

        :returns: the INVITE as it was sent in the end; those that left; the answers but for 100.
        """
        caller = self.caller(case.source, case.transport)
        try:
            sent = case.data
            caller.send(sent)
            if case.user:
                sent = self._proof(caller, sent, case.user)
                caller.send(sent)
            return sent, *self._followed(caller, sent, case.fate)
        finally:
            self.gone(caller)

    def register(self, user: str, address: Address, transport: str, q: str) -> None:
        """Have a phone register and stay: the callee at that address, or one that connects now.

        :raises TimeoutError: it is not registered.
        """
        known = [key.data for key in self._selector.get_map().values()]
        here = [peer for peer in known if peer.socket.getsockname()[:2] == address]
        phone = here[0] if here else self.caller(address, transport)
        phone.remote = self._switch(transport, address[0])
        place = f"{address[0]}:{address[1]}"
        me = f"<sip:{quote(user)}@example.org>"
        fields = [
            ("Via", f"SIP/2.0/{transport.upper()} {place};branch=z9hG4bK-{q}-{address[0]}"),
            ("Max-Forwards", "70"),
            ("From", f"{me};tag=1"),
            ("To", me),
            ("Call-ID", f"{user}-{place}"),
            ("CSeq", "1 REGISTER"),
            ("Contact", f"<sip:{quote(user)}@{place};transport={transport}>;q={q}"),
        ]
        data = Request("REGISTER", "sip:example.org", fields).encode()
        phone.send(data)
        again = self._proof(phone, data, user)
        phone.send(again)
        for peer, answer in self.events():
            if peer is phone and answer.startswith(b"SIP/2.0 200 "):
                return

    def _proof(self, phone: Peer, data: bytes, user: str) -> bytes:
        """The same request with credentials, once it was challenged and that acknowledged."""
        request = _request(data)
        for peer, answer in self.events():
            response = parse(answer, stream=peer.transport == "tcp")
            if peer is phone and isinstance(response, Response) and response.status == 401:
                break
        if request.method == "INVITE":
            phone.send(compose.ack(request, response).encode())
        (challenge,) = digest.parse_challenges(response.all("WWW-Authenticate"))
        secret = digest.ha1(user, challenge.realm, user, challenge.algorithm)
        proof = digest.answer(challenge, user, secret, request.method, request.uri, 1, "phone")
        head, end, body = data.partition(b"\r\n\r\n")
        head = head.replace(b"CSeq: 1 ", b"CSeq: 2 ").replace(b"z9hG4bK-", b"z9hG4bK-again-")
        return head + f"\r\nAuthorization: {proof}".encode() + end + body

    def _followed(self, caller: Peer, sent: bytes, fate: int) -> tuple[list[bytes], list[bytes]]:
        tries: list[bytes] = []
        answers: list[bytes] = []
        own = _request(sent)
        for peer, data in self.events():
            message = parse(data, stream=peer.transport == "tcp")
            if isinstance(message, Request):
                branch = message.top_via.branch or ""
                if message.method != "INVITE" or branch in self._branches:
                    continue
                self._branches.add(branch)
                tries.append(data)
                if fate:
                    answer = compose.response(message, fate, to_tag="callee")
                    peer.send(answer.encode())
            elif peer is caller and message.call_id == own.call_id and message.status > 100:
                if data not in answers and message.cseq == own.cseq:
                    answers.append(data)
                if message.status >= 300 and message.cseq == own.cseq:
                    caller.send(compose.ack(own, message).encode())
                    return tries, answers
        raise AssertionError("events() never ends by itself")

    def _watch(self, peer: Peer) -> None:
        self._selector.register(peer.socket, selectors.EVENT_READ, peer)


class _Accepted(Peer):
    """The switch has connected to a callee."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.listens = False
        self.transport = "tcp"
        self.framer = Framer()


def _closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _request(data: bytes) -> Request:
    """An INVITE as it was sent; a broken one as far as it can be read."""
    message: Message = parse(data)
    assert isinstance(message, Request)
    return message


#: What is drawn by lot, in the form in which the switch writes it -> what stands for it.
RANDOM = [
    (re.compile(r";branch=z9hG4bK[0-9a-f]{20,32}(?=[;\r])"), ";branch=BRANCH"),
    (re.compile(r";tag=[0-9a-f]{16}(?=[;\r])"), ";tag=TAG"),
    (re.compile(r"(?m)^Call-ID: [0-9a-f]{24}@"), "Call-ID: RANDOM@"),
    (re.compile(r"(?m)^X-Softswitch-Mark: [0-9a-f]{16}(?=\r)"), "X-Softswitch-Mark: MARK"),
    (re.compile(r"(?m)^Session-ID: (?!0{32})[0-9a-f]{32}(?=;remote=)"), "Session-ID: UUID"),
    (re.compile(r"(?m)(?<=;remote=)(?!0{32})[0-9a-f]{32}(?=\r)"), "UUID"),
    (re.compile(r'nonce="[^"]+"'), 'nonce="NONCE"'),
    (re.compile(r"(?m)^(o=\S+) [0-9]+ "), r"\1 SESSION "),
    # The number of digits in a session's name is drawn, too.
    (re.compile(r"(?m)^Content-Length: [0-9]+(?=\r)"), "Content-Length: LENGTH"),
]
#: Of the relay.
PORTS = re.compile(r"(?m)^(m=\w+|a=rtcp:) ?(1[6-9]|2[0-9]|3[0-2])[0-9]{3}(?= |\r)")


def masked(data: bytes, relayed: bool) -> str:
    """A message without what is drawn by lot; that its Content-Length is right has been seen."""
    head, _, body = data.partition(b"\r\n\r\n")
    assert re.search(rb"(?m)^Content-Length: %d\r?$" % len(body), head + b"\r"), data
    text = data.decode("utf-8", "surrogateescape")
    for pattern, word in RANDOM:
        text = pattern.sub(word, text)
    return PORTS.sub(r"\1 PORT", text) if relayed else text
