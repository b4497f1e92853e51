"""Strangers who send RTP to all ports of a relay while calls talk there (RTP injection, RTP Bleed).

A port has no secret: whoever finds it may send there. Some strangers go on with one stream, as a
phone does, others change it with every packet, or take the one that the phone has, and they are
there before the phones have said a word. The time is one's own, so that a second of talk takes as
long as its packets.
"""

import random
import select
import socket
import struct
from contextlib import ExitStack

import attrs

from softswitch.media.relay import RelayEngine
from softswitch.plugin.media import MediaNetwork, MediaQuestion
from softswitch.sdp.session import SessionDescription

HEADER = struct.Struct("!BBHII")
OURS, FOREIGN = b"ours", b"theirs"
#: Foreign packets that come to a port while its phone says one thing, on the average.
DENSITY = 10
#: Who is there -> the last numbers of his address.
RELAY, PHONES, NAT, STRANGERS = "1", "2", "3", range(10, 30)

SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\n"


class Talker:
    """One side of a call.

    :ivar leaked: foreign packets that it has heard.
    :ivar heard: packets of the other side.
    :ivar there: the relay's port that faces it.
    """

    def __init__(self, sock: socket.socket, shown: str, ssrc: int) -> None:
        self.sock = sock
        self.ssrc = ssrc
        self.leaked = self.heard = self.said = 0
        self.there = ("", 0)
        self.sdp = SDP.format(shown, sock.getsockname()[1]).encode()

    def told(self, sdp: bytes) -> None:
        """Take the relay's address."""
        (section,) = SessionDescription.parse(sdp).media
        assert section.rtp is not None
        self.there = tuple(section.rtp)

    def says(self) -> None:
        """Send the next packet."""
        self.said += 1
        header = HEADER.pack(128, 0, self.said & 0xFFFF, 160 * self.said, self.ssrc)
        self.sock.sendto(header + OURS, self.there)

    def listen(self) -> None:
        """Hear what has come."""
        while True:
            try:
                payload = self.sock.recv(2048)[HEADER.size :]
            except BlockingIOError:
                return
            self.heard += payload == OURS
            self.leaked += payload == FOREIGN


@attrs.define
class Watch:
    """A clock that is put forward by hand."""

    now: float = 0.0

    def seconds(self) -> float:
        """What it shows."""
        return self.now

    monotonic = seconds


@attrs.frozen
class Sprayed:
    """What came of it.

    :ivar packets: that strangers have sent.
    :ivar dropped: of these, those that the relay knows to have dropped.
    :ivar leaked: into the stream that got most of them.
    :ivar answered: packets that a stranger got from the relay.
    :ivar deaf: talkers who have missed more of what the other side said than the first packets, by
        which a phone behind a NAT is found.
    """

    packets: int
    dropped: int
    leaked: int
    answered: int
    deaf: int


class Spray:
    """Calls of which every fourth caller is behind a NAT, and strangers.

    :param network: the first three numbers of everybody's address.
    """

    def __init__(self, stack: ExitStack, network: str, calls: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._stack = stack
        self._network = network
        self._watch = Watch()
        self._engine = RelayEngine(self._watch, (20000, 20000 + 4 * calls), 0.0, seed)
        stack.callback(self._engine.stop)
        self._strangers = [self._socket(f"{network}.{host}") for host in STRANGERS]
        self._sessions = [f"call {number}" for number in range(calls)]
        self._talkers: list[Talker] = []
        for number, session in enumerate(self._sessions):
            caller = self._talker(NAT if number % 4 == 0 else PHONES, "192.0.2.1")
            callee = self._talker(PHONES, "")
            callee.told(self._ask(session, "offer", caller, ("a", "b")))
            caller.told(self._ask(session, "answer", callee, ("b", "a")))
            self._talkers += [caller, callee]

    def play(self, packets: int) -> Sprayed:
        """Send so many foreign packets while all talk."""
        sent = 0
        while sent < packets:
            number = min(DENSITY * len(self._talkers), packets - sent)
            for _ in range(number // 2):
                self._intrude()
            self._serve()
            for talker in self._talkers:
                talker.says()
            self._serve()
            for _ in range(number - number // 2):
                self._intrude()
            self._serve()
            sent += number
            self._watch.now += 0.02
        pairs = zip(self._talkers[::2], self._talkers[1::2], strict=True)
        deaf = sum(one.said - other.heard > 3 for a, b in pairs for one, other in ((a, b), (b, a)))
        counters = [each for name in self._sessions for each in self._engine.counters(name)]
        return Sprayed(
            sent,
            sum(each.foreign for each in counters),
            max(talker.leaked for talker in self._talkers),
            sum(self._answers(sock) for sock in self._strangers),
            deaf,
        )

    def _intrude(self) -> None:
        """One foreign packet to a port of RTP or RTCP, or between."""
        chance = self._chance
        number = chance.randrange(len(self._strangers))
        victim = chance.choice(self._talkers)
        ssrc = (number, chance.getrandbits(32), victim.ssrc)[number % 3]
        kind, port = chance.choice(((0, 0), (0, 0), (0, 0), (200, 1), (chance.getrandbits(7), 0)))
        header = HEADER.pack(128, kind, chance.getrandbits(16), chance.getrandbits(32), ssrc)
        host, first = victim.there
        self._strangers[number].sendto(header + FOREIGN, (host, first + port))

    def _serve(self) -> None:
        """Let the relay carry all, and everybody hear it."""
        path = self._engine.path
        while select.select([path], [], [], 0)[0]:
            path.serve()
        for talker in self._talkers:
            talker.listen()

    def _answers(self, sock: socket.socket) -> int:
        """How many packets have come to a stranger."""
        number = 0
        while True:
            try:
                sock.recv(2048)
            except ConnectionRefusedError:
                continue
            except BlockingIOError:
                return number
            number += 1

    def _talker(self, host: str, shown: str) -> Talker:
        sock = self._socket(f"{self._network}.{host}")
        shown = shown if host == NAT else f"{self._network}.{host}"
        return Talker(sock, shown, self._chance.getrandbits(32))

    def _socket(self, host: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._stack.callback(sock.close)
        sock.bind((host, 0))
        return sock

    def _ask(self, session: str, kind: str, talker: Talker, legs: tuple[str, str]) -> bytes:
        """A step of a negotiation; signalling comes from where the packets do."""
        net = MediaNetwork(f"{self._network}.{RELAY}", f"{self._network}.{RELAY}")
        source = talker.sock.getsockname()[0]
        told = []
        question = MediaQuestion(1, session, kind, talker.sdp, *legs, net, net, source)
        self._engine.ask(question, told.append)
        assert told[0].error is None, told[0].error
        return told[0].sdp


def faults(sprayed: Sprayed) -> list[str]:
    """What did not hold, a sentence each."""
    found = []
    if sprayed.leaked > 5:
        found.append(f"{sprayed.leaked} foreign packets leaked into a stream")
    if sprayed.answered:
        found.append(f"strangers got {sprayed.answered} packets")
    if sprayed.deaf:
        found.append(f"{sprayed.deaf} did not hear the other side")
    return found
