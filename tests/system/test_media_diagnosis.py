"""What a relay in a process of its own tells the switch of its calls, and of its ports."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from engines import kill_relays
from talks import DEADLINE, Place, Talk

from softswitch.sip import compose
from softswitch.sip.message import Message, Request

#: Ten pairs of ports, two of which a call takes.
FEW_PORTS = "20000-20019"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Nothing of it is left in the end."""
    with ExitStack() as stack:
        place = Place(stack, tmp_path)
        yield place
        kill_relays(tmp_path)


def is_accepted(place: Place, number: int) -> bool:
    """Whether a call gets as far as the callee, who is busy then; else it has got 503."""
    caller, callee = place.caller, place.callee
    described = [("Content-Type", "application/sdp")]
    uri, ear = f"sip:{number}@{place.network}.1", place.ear(caller)
    invite = caller.send(caller.request("INVITE", uri, described, ear.sdp))
    offered: Message | None = None
    with suppress(TimeoutError):
        offered = callee.receive(0.5)
    if isinstance(offered, Request):
        callee.answer(offered, 486)
        callee.request_received("ACK")
        refused = caller.response_received(486)
    else:
        refused = caller.response_received(503)
    caller.send(compose.ack(invite, refused))
    return offered is not None


@pytest.mark.parametrize("processes", [0, 1])
def test_ports_run_out(place: Place, processes: int):
    """It is said before it happens; then a call gets 503, and those that talk go on. What a call
    gives back rests for a while, and is taken again."""
    switch = place.start(processes, ports=FEW_PORTS, media="quarantine_seconds = 2")
    talks = [Talk(place, number) for number in range(4)]
    place.until(lambda: b"80% of the 10 pairs of media ports" in switch.log.read_bytes())
    talks.append(Talk(place, 4))
    assert not is_accepted(place, 5)
    assert all(talk.is_heard(b"still") for talk in talks)
    assert talks.pop().hang_up_at_both_ends()
    assert not is_accepted(place, 6)
    attempts = iter(range(7, 100))
    place.until(lambda: is_accepted(place, next(attempts)))
    assert all(talk.is_heard(b"and still") for talk in talks)
    assert all(talk.hang_up_at_both_ends() for talk in talks)
    assert switch.log.read_bytes().count(b"of the 10 pairs of media ports") == 1

    def ports() -> dict[str, int]:
        media = switch.stats()["media"]
        relay = media["relay0"] if processes else media
        found: dict[str, int] = relay["ports"].get(f"{place.network}.1", {})
        return found

    place.until(lambda: ports() == {"pairs": 10, "in_use": 0, "resting": 0})


def test_one_side_is_not_heard(place: Place):
    """Logged once, counted, and in the record with its cause and the figures of both sides."""
    switch = place.start()
    talk = Talk(place, 1)
    for _ in range(10):
        talk.ears[0].say(b"hello?")
    place.until(lambda: b"nothing is heard of the callee: nothing sent" in switch.log.read_bytes())
    assert switch.stats()["counters"]["not heard: nothing sent"] == 1
    assert talk.hang_up_at_both_ends()
    (record,) = switch.records(1)
    (silence,) = record["silences"]
    assert (silence["leg"], silence["cause"]) == ("b1", "nothing sent")
    assert {each["leg"]: each["packets"] for each in record["media"]} == {"a": 10, "b1": 0}
    assert record["media"][0]["codec"] == "PCMU"
    assert record["media"][0]["mos"] > 4
    assert switch.log.read_bytes().count(b"nothing is heard of") == 1


def test_a_side_is_gone(place: Place):
    """After the configured time both sides get a BYE that says why."""
    switch = place.start(media="timeout_seconds = 3")
    talk = Talk(place, 1)
    assert talk.is_heard(b"once")
    for phone in (place.caller, place.callee):
        bye = phone.receive(DEADLINE)
        assert isinstance(bye, Request)
        assert bye.method == "BYE"
        assert bye.get("Reason") == 'Q.850;cause=102;text="Media Timeout"'
        phone.answer(bye, 200)
    (record,) = switch.records(1)
    assert (record["hung_up"], record["reason"]) == ("switch", "Media Timeout")
    assert record["silences"][0]["detail"] == "nothing came for 3 s"
    assert [each["packets"] for each in record["media"]] == [1, 1]
