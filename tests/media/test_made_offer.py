"""The relay carries packets after an offer that we have made, as its asker goes about it."""

import socket

import pytest

from softswitch.media.relay import RelayEngine
from softswitch.plugin.media import MediaNetwork, MediaQuestion
from softswitch.sdp.early import led, offer_of
from softswitch.sdp.session import SessionDescription
from softswitch.testing.clock import VirtualClock

NET = MediaNetwork("127.55.2.1", "127.55.2.1")
CALLER, CALLEE = "127.55.2.11", "127.55.2.12"


@pytest.fixture
def engine():
    """A relay on loopback."""
    made = RelayEngine(VirtualClock(), (21200, 21399), 10.0, seed=1)
    yield made
    made.stop()


@pytest.fixture
def phones():
    """A socket of each side."""
    made = {}
    for host in (CALLER, CALLEE):
        made[host] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made[host].bind((host, 0))
        made[host].settimeout(2)
    yield made
    for each in made.values():
        each.close()


def ask(engine, kind, source, target, sdp):
    """What comes back."""
    told = []
    engine.ask(
        MediaQuestion(1, "call", kind, sdp, source, target, NET, NET, "127.55.2.99"), told.append
    )
    assert told[0].error is None
    return told[0].sdp


def description(phone):
    """Of a phone with one codec."""
    host, port = phone.getsockname()
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\n"
    ).encode()


def place(sdp):
    """Where the first section's media are awaited."""
    rtp = SessionDescription.parse(sdp).media[0].rtp
    assert rtp is not None
    return tuple(rtp)


def test_packets_pass_once_the_late_answer_is_known(engine, phones):
    """The offer of ours leads the callee to a port that stays; when the caller's answer is told as
    if it had been that offer, both hear each other (RFC 3264)."""
    caller, callee = phones[CALLER], phones[CALLEE]
    offer = led(ask(engine, "offer", "a", "b", offer_of(["PCMU", "PCMA"])), NET.advertise)
    to_callee = place(offer)
    to_caller = place(ask(engine, "answer", "b", "a", description(callee)))
    again = ask(engine, "offer", "a", "b", description(caller))
    assert place(again) == to_callee, "the callee need not be told"
    assert place(ask(engine, "answer", "b", "a", description(callee))) == to_caller
    packet = b"\x80\x00" + bytes(10) + b"payload"
    for sender, receiver, port in ((caller, callee, to_caller), (callee, caller, to_callee)):
        sender.sendto(packet, port)
        engine.path.serve()
        assert receiver.recv(100) == packet
    assert engine.ports_in_use("call") == 4
    engine.release("call")
    assert engine.ports_in_use("call") == 0
