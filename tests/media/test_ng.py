"""The NG protocol over a wire that loses, copies and delays."""

import pytest

from softswitch.media.bencode import decode, encode
from softswitch.media.ng import NgClient
from softswitch.testing.clock import VirtualClock

PONG = encode({"result": "pong"})


class Wire:
    """A client, what it sends and when, and what it is told."""

    def __init__(self):
        self.clock = VirtualClock()
        self.sent = []
        self.told = []
        self.client = NgClient(self.clock, self.send)

    def send(self, datagram):
        self.sent.append((self.clock.seconds(), datagram))

    def ask(self, seconds=2.0, **message):
        """Ask, and return the cookie."""
        self.client.ask(message or {"command": "ping"}, seconds, self.told.append)
        return self.sent[-1][1].partition(b" ")[0]


@pytest.fixture
def wire():
    """One client."""
    wire = Wire()
    yield wire
    assert wire.clock.idle
    assert not wire.client.waiting


def test_a_question_and_its_answer(wire):
    """Cookie, blank, dictionary; the answer with that cookie is told once."""
    cookie = wire.ask(command="ping")
    assert wire.sent == [(0.0, cookie + b" d7:command4:pinge")]
    wire.client.received(cookie + b" " + PONG)
    (reply,) = wire.told
    assert (reply.result, reply.values) == ("pong", {"result": b"pong"})


def test_it_is_asked_again_with_the_same_cookie(wire):
    """At 0.1 s, then after twice as long each time, until its time is up: then there is none."""
    wire.ask(2.0)
    wire.clock.run(1.999)
    assert not wire.told
    wire.clock.run(0.001)
    assert [at for at, _ in wire.sent] == [0.0, 0.1, 0.3, 0.7, 1.5]
    assert len({datagram for _, datagram in wire.sent}) == 1
    assert wire.told == [None]
    assert wire.client.counters == {"sent": 1, "again": 4, "silent": 1}


def test_a_clock_that_is_set_back_makes_nobody_wait(wire):
    """The time that a question has is that of its timers."""
    wire.ask(2.0)
    wire.clock.seconds = lambda seconds=wire.clock.seconds: seconds() - 3600
    wire.clock.run(2.0)
    assert wire.told == [None]


def test_late_and_repeated_answers_are_ignored(wire):
    """Both are counted, neither is told."""
    cookie = wire.ask(0.5)
    wire.clock.run(0.5)
    wire.client.received(cookie + b" " + PONG)
    cookie = wire.ask(0.5)
    for _ in range(3):
        wire.client.received(cookie + b" " + PONG)
    assert [reply and reply.result for reply in wire.told] == [None, "pong"]
    assert wire.client.counters["late"] == 3


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b" garbage", b" i5e", b" le", b" de", b" d6:resulti5ee", b" d6:result4:pong", b"d"],
)
def test_garbage_is_ignored(wire, body):
    """Whatever comes under an open cookie and is no answer: the question is asked again."""
    cookie = wire.ask(1.0)
    wire.client.received(cookie + body)
    assert not wire.told
    wire.clock.run(0.15)
    assert len(wire.sent) == 2
    wire.client.received(cookie + b" " + PONG)
    assert len(wire.told) == 1
    assert wire.client.counters["garbage"] + wire.client.counters["late"] == 1


def test_cookies_are_unique(wire):
    """Of one client and of all of them, for rtpengine answers a known cookie from its memory."""
    cookies = {wire.ask() for _ in range(100)} | {Wire().ask() for _ in range(10)}
    assert len(cookies) == 110
    wire.client.stop()
    assert not wire.told


def test_nobody_listens(wire):
    """All that is open is told so at once; what is asked after that is asked."""
    for _ in range(3):
        wire.ask()
    wire.client.refused()
    assert wire.told == [None, None, None]
    cookie = wire.ask()
    wire.client.received(cookie + b" " + PONG)
    assert wire.told[-1].result == "pong"


def test_nobody_listens_as_is_heard_while_sending(wire):
    """The socket may say so at once: that is an answer, too."""
    sent = []

    def send(datagram):
        sent.append(datagram)
        client.refused()

    client = NgClient(wire.clock, send)
    client.ask({"command": "ping"}, 1.0, wire.told.append)
    assert (len(sent), wire.told) == (1, [None])


def test_an_error_says_why(wire):
    """The reason is text, be it what it may."""
    cookie = wire.ask(command="query")
    said = {"result": "error", "error-reason": b"Unknown \xff call-id"}
    wire.client.received(cookie + b" " + encode(said))
    assert wire.told[0].reason == "Unknown � call-id"
    cookie = wire.ask(command="query")
    wire.client.received(cookie + b" " + encode({"result": "load limit"}))
    assert (wire.told[1].reason, wire.told[1].sdp) == ("load limit", b"")


def test_what_nobody_waits_for(wire):
    """Said once, with a cookie of its own."""
    wire.client.say({"command": "delete", "call-id": "x"})
    ((_, datagram),) = wire.sent
    assert decode(datagram.partition(b" ")[2]) == {"command": b"delete", "call-id": b"x"}
