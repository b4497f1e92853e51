"""Relays in processes of their own: audio outlives the switch, and calls outlive a relay."""

import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from engines import kill_relays, relays
from phones import Phone, claimed_network
from processes import Switch

from softswitch.sdp.session import SessionDescription

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 0

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]

[trunks.callee]
addresses = ["{network}.3:{port}"]

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"
rules = [{{ match = ".*", trunk = "callee" }}]

[media]
ports = "20000-20999"
processes = {processes}
grace_seconds = {grace}
"""

DEADLINE = 10.0


class Ear:
    """A side's RTP socket.

    :ivar there: where its packets go.
    """

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(DEADLINE)
        self.there = ("", 0)
        self._sequence = 0

    @property
    def sdp(self) -> bytes:
        """What it offers or answers."""
        host, port = self.socket.getsockname()
        return (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\n"
        ).encode()

    def told(self, sdp: bytes) -> None:
        """Take the relay's address."""
        (section,) = SessionDescription.parse(sdp).media
        assert section.rtp is not None
        self.there = tuple(section.rtp)

    def say(self, text: bytes) -> None:
        """Send one packet."""
        self._sequence += 1
        header = struct.pack("!BBHII", 128, 0, self._sequence, 160 * self._sequence, 7)
        self.socket.sendto(header + text, self.there)

    def hears(self) -> bytes:
        """The next packet; empty when none is waiting in the deadline."""
        try:
            return self.socket.recv(2048)[12:]
        except TimeoutError:
            return b""


class Talk:
    """One call through the switch, by a trunk's phone to another's."""

    def __init__(self, place: "Place", number: int) -> None:
        caller, callee = place.caller, place.callee
        self.ears = place.ear(caller), place.ear(callee)
        self.caller, self.callee = caller, callee
        described = [("Content-Type", "application/sdp")]
        uri = f"sip:{number}@{place.network}.1"
        self.invite = caller.send(caller.request("INVITE", uri, described, self.ears[0].sdp))
        offered = callee.request_received("INVITE")
        self.ears[1].told(offered.body)
        callee.answer(offered, 200, self.ears[1].sdp)
        self.answered = caller.response_received(200)
        self.ears[0].told(self.answered.body)
        caller.send(caller.within(self.invite, self.answered, "ACK"))
        self.ack = callee.request_received("ACK")

    def is_heard(self, text: bytes) -> bool:
        """Whether a packet arrives, each way."""
        here, there = self.ears
        here.say(b"to " + text)
        there.say(b"from " + text)
        return (there.hears(), here.hears()) == (b"to " + text, b"from " + text)

    def hang_up(self) -> int:
        """Say goodbye; the status of the answer."""
        return self.caller.ask_once(self.caller.within(self.invite, self.answered, "BYE")).status

    def hang_up_at_both_ends(self) -> bool:
        """Say goodbye, and let the other side agree."""
        self.caller.send(self.caller.within(self.invite, self.answered, "BYE"))
        self.callee.answer(self.callee.request_received("BYE"), 200)
        return self.caller.response_received(200).cseq.method == "BYE"

    @property
    def relay(self) -> int:
        """The number of the relay that carries it, of two."""
        return int(self.ears[0].there[1] >= 20500)


class Place:
    """A switch between a caller and a callee."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self.network = stack.enter_context(claimed_network())
        here = (f"{self.network}.1", 5060)
        self.caller = Phone("caller", f"{self.network}.2", here)
        self.callee = Phone("callee", f"{self.network}.3", here)
        self.switch: Switch
        for phone in (self.caller, self.callee):
            stack.callback(phone.close)

    def start(self, processes: int = 1, grace: float = 30.0) -> Switch:
        """Start the switch, the first time or once more."""
        port = int(self.callee.contact.partition(";")[0].rpartition(":")[2])
        text = CONFIGURATION.format(
            network=self.network, port=port, processes=processes, grace=grace
        )
        self.switch = Switch(text, self._folder)
        self._stack.callback(self.switch.kill)
        return self.switch

    def ear(self, phone: Phone) -> Ear:
        """A socket for one side's audio."""
        ear = Ear(phone.contact.partition("@")[2].partition(":")[0])
        self._stack.callback(ear.socket.close)
        return ear

    def relays(self) -> list[int]:
        """The process numbers of the switch's relays, the first one first."""
        return relays(self._folder)

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds, while the switch lives."""
        self.switch.until(holds, 4 * DEADLINE)


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


def log(switch: Switch) -> bytes:
    """What it has said so far."""
    return switch.log.read_bytes()
