"""What is heard: real phones talk through a media engine, hold and resume, move to another port,
sit behind a NAT, speak another version of IP. Each time both sides hear the other's tone."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from audio import TONES, Hall, Listener, Voice, is_tone
from engines import Engine
from namespaces import World
from phones import Phone

from softswitch.sip.message import Request
from softswitch.testing.tones import seconds_above

pytestmark = pytest.mark.peer("baresip", "ip", "nft")

#: The switch and phones that are where it is.
HERE, ALICE, BOB = "127.0.0.1", "127.0.0.2", "127.0.0.3"
#: The same in IPv6.
HERE_6, BOB_6 = "fd00::1", "fd00::2"
#: The same before a NAT router; its own address there; whoever is behind it.
PUBLIC, PUBLIC_BOB, ROUTER, PRIVATE = "203.0.113.1", "203.0.113.2", "203.0.113.9", "192.168.7.2"


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends whatever a test has left running, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def hall(tmp_path: Path, engine: Engine, networks: World, running: ExitStack) -> Hall:
    """A switch, all by itself on its network."""
    return Hall(tmp_path, engine, networks.namespace(), [HERE], running)


def both_hear(hall: Hall, alice: Listener, bob: Listener) -> bool:
    """Whether each hears the other's tone, and not its own, as loud as it is spoken."""
    heard = hall.heard(alice, bob)
    assert is_tone(heard[0], bob.name), f"{alice.name} does not hear {bob.name}"
    assert is_tone(heard[1], alice.name), f"{bob.name} does not hear {alice.name}"
    return True


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_audio_before_and_after_a_hold(hall: Hall, who: str):
    """Both hear the other's tone before the hold and after the resumption; meanwhile there is
    silence on both sides (RFC 3264 8.4)."""
    alice, bob = hall.phone("alice", ALICE), hall.phone("bob", BOB)
    hall.call(alice, bob)
    assert both_hear(hall, alice, bob)
    holder, held = (alice, bob) if who == "caller" else (bob, alice)
    holder.phone.order("hold")
    held.phone.expect("CALL_REMOTE_SDP")
    assert not any(hall.heard(alice, bob))
    holder.phone.order("resume")
    held.phone.expect("CALL_REMOTE_SDP")
    assert both_hear(hall, alice, bob)
    hall.hang_up(holder, held)
    hall.close(alice, bob)


def test_audio_after_a_reinvite_that_changes_the_port(hall: Hall, running: ExitStack):
    """A phone that moves to another port by a re-INVITE hears and is heard there, and no more where
    it was (RFC 3264 8.3.1)."""
    alice = hall.phone("alice", ALICE)
    bob = hall.namespace.within(
        lambda: Phone("bob", BOB, (HERE, 5060), password="bob-secret", domain=HERE)
    )
    first, second = Voice(hall.namespace, BOB, "bob"), Voice(hall.namespace, BOB, "carol")
    for each in (bob, first, second):
        running.callback(each.close)
    assert first.port != second.port
    described = [("Content-Type", "application/sdp")]
    request = bob.request("INVITE", f"sip:alice@{HERE}", described, first.description())
    invite, answer = bob.ask(request)
    assert answer.status == 200
    bob.send(bob.within(invite, answer, "ACK"))
    alice.phone.expect("CALL_ESTABLISHED")
    first.told(answer.body)
    alice.tap.payloads()
    assert is_tone(first.talk(1.5), "alice")
    assert is_tone(alice.heard(), "bob")
    again = bob.within(invite, answer, "INVITE")
    fields = [*again.fields, ("Contact", f"<{bob.contact}>"), *described]
    again = Request("INVITE", again.uri, fields, second.description(2))
    answer = bob.ask_once(again)
    assert answer.status == 200
    bob.send(bob.within(again, answer, "ACK"))
    first.talk(0.1)
    second.told(answer.body)
    alice.tap.payloads()
    assert is_tone(second.talk(1.5), "alice")
    assert first.is_silent()
    assert is_tone(alice.heard(), "carol")
    assert bob.ask_once(bob.within(again, answer, "BYE")).status == 200
    alice.phone.expect("CALL_CLOSED")
    hall.close(alice)
    assert seconds_above(alice.phone.recording(), TONES["bob"], TONES["alice"]) > 1


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_audio_from_behind_a_nat(
    tmp_path: Path, engine: Engine, networks: World, running: ExitStack, who: str
):
    """A phone whose SDP and Contact show an address that leads nowhere registers, calls and is
    called, hears and is heard (RFC 3581, RFC 4961)."""
    public = networks.namespace()
    private = networks.nat(public, f"{ROUTER}/24", f"{PRIVATE}/24")
    public.add("outside", f"{PUBLIC}/24", f"{PUBLIC_BOB}/24")
    hall = Hall(tmp_path, engine, public, [PUBLIC], running)
    alice, bob = hall.phone("alice", PRIVATE, private), hall.phone("bob", PUBLIC_BOB)
    hall.call(*((alice, bob) if who == "caller" else (bob, alice)))
    assert both_hear(hall, alice, bob)
    holder, held = (alice, bob) if who == "caller" else (bob, alice)
    for order in ("hold", "resume"):
        holder.phone.order(order)
        held.phone.expect("CALL_REMOTE_SDP")
    assert both_hear(hall, alice, bob)
    hall.hang_up(alice, bob)
    hall.close(alice, bob)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_audio_from_ipv4_to_ipv6(
    tmp_path: Path, engine: Engine, networks: World, running: ExitStack, who: str
):
    """One phone knows IPv4 alone and the other IPv6: each is told of the switch's own address of
    its kind (RFC 6157 3.2), hears and is heard."""
    namespace = networks.namespace()
    namespace.add("lo", f"{HERE_6}/128", f"{BOB_6}/128")
    hall = Hall(tmp_path, engine, namespace, [HERE, HERE_6], running)
    alice, bob = hall.phone("alice", ALICE), hall.phone("bob", BOB_6, switch=HERE_6)
    if who == "caller":
        hall.call(alice, bob)
    else:
        bob.phone.order("dial", f"sip:alice@[{HERE_6}]")
        for each in (alice, bob):
            each.phone.expect("CALL_ESTABLISHED")
    assert both_hear(hall, alice, bob)
    hall.hang_up(alice, bob)
    hall.close(alice, bob)
