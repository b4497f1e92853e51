"""Sides that want their media in other ways: rtpengine converts, at the switch's request."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from audio import TONES, Hall, is_tone
from engines import Rtpengine
from namespaces import World
from phones import Phone

from softswitch.sdp.session import SessionDescription
from softswitch.testing.tones import seconds_above

pytestmark = pytest.mark.peer("rtpengine", "baresip", "ip", "nft")

HERE, ALICE, BOB = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends whatever a test has left running, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("caller", ["plain", "secure"])
def test_srtp_to_rtp(tmp_path: Path, networks: World, running: ExitStack, caller: str):
    """One phone insists on SRTP with keys in the SDP (RFC 4568), the other knows plain RTP: each
    hears the other's tone, before and after a hold, whoever calls."""
    wants = {"bob": '{ profile = "srtp" }'}
    hall = Hall(tmp_path, Rtpengine(), networks.namespace(), [HERE], running, wants)
    alice = hall.phone("alice", ALICE)
    bob = hall.phone("bob", BOB, encryption="srtp-mand")
    for orders in ((), ("hold", "resume")):
        hall.call(*((alice, bob) if caller == "plain" else (bob, alice)))
        for order in orders:
            alice.phone.order(order)
            bob.phone.expect("CALL_REMOTE_SDP")
        heard, secret = hall.heard(alice, bob)
        assert is_tone(heard, "bob")
        assert secret, "nothing came"
        assert not is_tone(secret, "alice"), "it was to be encrypted"
        hall.hang_up(alice, bob)
    hall.close(alice, bob)
    heard = [
        seconds_above(each, TONES["alice"], TONES["bob"]) for each in bob.phone.recordings() if each
    ]
    assert max(heard) > 1
    assert b"failed to decrypt" not in bob.phone.log.read_bytes()  # after the hold, either


def test_transcoding(tmp_path: Path, networks: World, running: ExitStack):
    """A caller who knows PCMA alone, and a phone that knows PCMU alone: rtpengine is to offer that
    one PCMU, too, and answers the caller with PCMA."""
    wants = {"alice": '{ transcode = ["PCMU"] }'}
    hall = Hall(tmp_path, Rtpengine(), networks.namespace(), [HERE], running, wants)
    alice = hall.phone("alice", ALICE)
    caller = hall.namespace.within(
        lambda: Phone("carol", BOB, (HERE, 5060), password="carol-secret", domain=HERE)
    )
    running.callback(caller.close)
    described = [("Content-Type", "application/sdp")]
    offer = caller.sdp.replace(b"RTP/AVP 0", b"RTP/AVP 8")
    invite, answer = caller.ask(caller.request("INVITE", f"sip:alice@{HERE}", described, offer))
    assert answer.status == 200
    caller.send(caller.within(invite, answer, "ACK"))
    (section,) = SessionDescription.parse(answer.body).media
    assert section.formats == ("8",)
    alice.phone.expect("CALL_ESTABLISHED")
    assert caller.ask_once(caller.within(invite, answer, "BYE")).status == 200
    alice.phone.expect("CALL_CLOSED")
    hall.close(alice)
