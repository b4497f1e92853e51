# ruff: noqa: N802 -- Twisted's names
"""Handshakes and frames of nobody knows whom, given to the WebSocket of a listener without a
socket: thousands of connections in a second (RFC 6455)."""

from random import Random

import attrs
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from websockets import BINARY, CLOSE, CONTINUED, PING, PONG, TEXT, frame, handshake

from softswitch.sip.parser import Limits
from softswitch.testing.clock import VirtualClock
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.websocket import WebSocketStream, _Accepting

MESSAGE = (
    b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
)
EXTENSIONS = 'permessage-deflate; client_max_window_bits, x-y; a="b"'
OPENING = handshake("x", "/", "Origin: http://a.b", f"Sec-WebSocket-Extensions: {EXTENSIONS}")
WHOLE = [frame(MESSAGE), frame(MESSAGE, BINARY), frame(b"x", PING)]
FRAMES = [
    *WHOLE,
    frame(b"x", PONG),
    frame(MESSAGE[:50], TEXT, final=False) + frame(MESSAGE[50:], CONTINUED),
    frame(b"\x03\xe8bye", CLOSE),
]
MARKS = (b";", b",", b"=", b'"', b":", b" ", b"\r\n", b"%", b"?", b"#", b"[", b"//", b"\xff", b"\0")


class Wire(StringTransport):
    """The connection below."""

    def getPeer(self):
        return IPv4Address("TCP", "10.0.0.9", 40000)

    def setTcpNoDelay(self, enabled):
        """From the listener."""

    def setTcpKeepAlive(self, enabled):
        """From the listener."""

    def getHandle(self):
        return self

    def setsockopt(self, *option):
        """From the listener."""

    def abortConnection(self):
        self.disconnecting = True


class Above:
    """Counts what has come, and what has ended."""

    def __init__(self):
        self.messages = 0
        self.failed = 0

    def message_received(self, message, flow):
        self.messages += 1

    def flow_failed(self, flow, reason):
        self.failed += 1


class World:
    """A listener and its clock."""

    def __init__(self):
        self.clock = VirtualClock()
        listener = Listener("ws", "WS", "10.0.0.1", 8080)
        self.layer = TransportLayer([listener], Limits(), self.clock)
        self.layer.user = self.above = Above()
        self._factory = _Accepting(self.layer, listener, self.clock)

    def connect(self) -> tuple[WebSocketStream, Wire]:
        stream, wire = self._factory.buildProtocol(None), Wire()
        stream.makeConnection(wire)
        return stream, wire

    def end(self, stream: WebSocketStream) -> None:
        stream.connectionLost(Failure(ConnectionDone()))
        self.clock.run(40)


def mutated(data: bytes, chance: Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(found) + 1)
        match chance.randrange(5):
            case 0:
                found[place : place + 1] = chance.randbytes(1)
            case 1:
                del found[place : place + chance.randint(1, 9)]
            case 2:
                found[place:place] = chance.randbytes(chance.randint(1, 9))
            case 3:
                found[place:place] = chance.choice(MARKS)
            case _:
                start = chance.randrange(len(found) + 1)
                found[place:place] = found[start : start + chance.randint(1, 40)]
    return bytes(found)


@pytest.mark.parametrize("what", ["handshake", "frames"])
def test_whatever_comes(what):
    """Nothing breaks the library, or us; what is wrong ends its own connection, of which nothing is
    left, no timer either."""
    broken = []

    def note(event):
        if "log_failure" in event:
            broken.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(note)
    world, chance = World(), Random(2026)
    try:
        for _ in range(2000):
            stream, wire = world.connect()
            if what == "handshake":
                data = mutated(OPENING, chance) + b"".join(chance.choices(WHOLE, k=2))
            else:
                stream.dataReceived(OPENING)
                assert wire.value().startswith(b"HTTP/1.1 101 ")
                data = mutated(b"".join(chance.choices(FRAMES, k=chance.randint(1, 5))), chance)
            size = chance.choice((1, 3, 7, 60, 5000))
            for start in range(0, len(data), size):
                stream.dataReceived(data[start : start + size])
            world.end(stream)
    finally:
        globalLogPublisher.removeObserver(note)
    assert broken == []
    assert world.above.failed == 2000
    assert world.above.messages > 20
    assert world.clock.idle
    stream, wire = world.connect()
    stream.dataReceived(OPENING + frame(MESSAGE))
    assert world.above.messages > 0
    world.end(stream)


def test_a_handshake_without_end_is_not_kept():
    """Beyond 16 KiB it is refused, however it comes, and no more is kept of what follows."""
    world = World()
    stream, wire = world.connect()
    for _ in range(1000):
        stream.dataReceived(b"GET / HTTP/1.1\r\nX: " + b"x" * 1000)
    assert wire.value().startswith(b"HTTP/1.1 431 ")
    assert len(stream.data) < 20_000
    world.end(stream)


def test_a_page_that_is_told_to_wait():
    """While the transport's buffer is full, what is written is counted (256 KiB are too much)."""
    world = World()
    stream, wire = world.connect()
    stream.dataReceived(OPENING)
    assert stream.unsent() == 0
    wire.producer.pauseProducing()
    stream.write(b"x" * 1000)
    wire.producer.pauseProducing()
    assert stream.unsent() == 65536 + 1000
    wire.producer.resumeProducing()
    assert stream.unsent() == 0
    world.end(stream)


def test_one_source_opens_so_many():
    """As of any connection, counted from the moment when the connection below stands: what has not
    ended its handshake counts, and whoever ends makes room."""
    world = World()
    world.layer.guests.settings = attrs.evolve(world.layer.guests.settings, per_source=3)
    streams = [world.connect() for _ in range(4)]
    assert [wire.disconnecting for _, wire in streams] == [False, False, False, True]
    for stream, _ in streams[:2]:
        world.end(stream)
    stream, wire = world.connect()
    stream.dataReceived(OPENING)
    assert wire.value().startswith(b"HTTP/1.1 101 ")
    for each in (stream, streams[2][0], streams[3][0]):
        world.end(each)
    assert world.clock.idle
