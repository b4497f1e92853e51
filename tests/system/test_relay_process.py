"""Relays in processes of their own: audio outlives the switch, and calls outlive a relay."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from engines import kill_relays
from processes import Switch
from talks import DEADLINE, Place, Talk


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Nothing of it is left in the end."""
    with ExitStack() as stack:
        place = Place(stack, tmp_path)
        yield place
        kill_relays(tmp_path)


def test_the_relay_ends_with_the_switch(place: Place):
    """SIGTERM: nothing is left, no process and no socket."""
    switch = place.start()
    talk = Talk(place, 1)
    assert talk.is_heard(b"1")
    (relay,) = place.relays()
    switch.send_signal(signal.SIGTERM)
    place.callee.answer(place.callee.request_received("BYE"), 200)
    assert switch.wait(DEADLINE) == 0
    deadline = time.monotonic() + DEADLINE
    while Path(f"/proc/{relay}/cmdline").exists() and place.relays():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_descriptions_that_are_wrong(place: Place):
    """What the relay's process cannot read gets 488 with a Warning; what tells a private address
    does not tell it on, and the log and the record say so."""
    switch = place.start()
    caller, callee = place.caller, place.callee
    described = [("Content-Type", "application/sdp")]
    uri = f"sip:1@{place.network}.1"
    nonsense = caller.request("INVITE", uri, described, b"v=0\r\no=x\r\n")
    refused = caller.ask_once(nonsense)
    assert (refused.status, refused.get("Warning")) == (
        488,
        '307 softswitch "Bad o= line in SDP"',
    )
    told = caller.sdp + b"a=X-nat:0 192.168.1.2\r\n"
    invite = caller.send(caller.request("INVITE", uri, described, told))
    offered = callee.request_received("INVITE")
    assert b"192.168" not in offered.body
    callee.answer(offered, 200, callee.sdp)
    answered = caller.response_received(200)
    caller.send(caller.within(invite, answered, "ACK"))
    callee.request_received("ACK")
    caller.send(caller.within(invite, answered, "BYE"))
    callee.answer(callee.request_received("BYE"), 200)
    caller.response_received(200)
    first, second = switch.records(2)
    assert first["attempts"][0]["reason"] == "Bad o= line in SDP"
    assert second["mended"] == ["b1: a=X-nat"]
    said = f"call {second['id']}: wrong in session descriptions for leg b1: a=X-nat"
    assert said.encode() in log(switch)


def test_the_switch_is_killed_and_audio_goes_on(place: Place):
    """kill -9 with 50 calls: not a packet is lost. A switch that is started again takes the relay
    over, says what it does not know, answers 481, and lets that go at the end of the grace."""
    switch = place.start(grace=15.0)
    talks = [Talk(place, number) for number in range(50)]
    assert all(talk.is_heard(b"before") for talk in talks)
    (relay,) = place.relays()
    switch.kill()
    for again in range(20):
        assert all(talk.is_heard(b"%d" % again) for talk in talks)
    switch = place.start(grace=15.0)
    place.until(lambda: b"carries 50 calls that this switch does not know" in log(switch))
    assert place.relays() == [relay]
    assert all(talk.is_heard(b"after") for talk in talks)
    assert talks[0].hang_up() == 481
    another = Talk(place, 51)
    assert another.is_heard(b"new")
    ears = talks[0].ears
    for ear in ears:
        ear.socket.settimeout(0.05)

    def silent() -> bool:
        ears[0].say(b"still there?")
        return ears[1].hears() == b""

    place.until(silent)
    assert another.is_heard(b"the new one stays")
    assert another.hang_up() == 200
    place.callee.answer(place.callee.request_received("BYE"), 200)


def test_a_relay_is_killed_and_calls_go_on(place: Place):
    """kill -9 of one of two relays: a call on the other one notices nothing; one that was on it is
    led through the relay that was started instead, by re-INVITE on both sides."""
    switch = place.start(processes=2)
    place.until(lambda: len(place.relays()) == 2)
    first, second = place.relays()
    # Both start at their own pace; when they listen, calls go to the one that has fewer.
    talks = [Talk(place, 0), Talk(place, 1)]
    while talks[0].relay == talks[1].relay:
        assert talks.pop().hang_up_at_both_ends()
        talks.append(Talk(place, 2))
    assert all(talk.is_heard(b"before") for talk in talks)
    lost, kept = sorted(talks, key=lambda talk: talk.relay)
    os.kill(first, signal.SIGKILL)
    for phone, ear in ((place.callee, lost.ears[1]), (place.caller, lost.ears[0])):
        offered = phone.request_received("INVITE")
        ear.told(offered.body)
        phone.answer(offered, 200, ear.sdp)
        phone.request_received("ACK")
    assert lost.is_heard(b"after")
    assert kept.is_heard(b"unmoved")
    assert second in place.relays()
    assert first not in place.relays()
    assert all(talk.hang_up_at_both_ends() for talk in talks)
    stats = switch.stats()
    assert stats["counters"]["media lost"] == 1
    # The relay that was started instead has been told that they talk, and tells what it has seen.
    record = next(each for each in switch.records(2) if "Lost" not in each["reason"])
    assert {each["leg"] for each in record["media"]} == {"a", "b1"}


def log(switch: Switch) -> bytes:
    """What it has said so far."""
    return switch.log.read_bytes()
