"""Two baresip phones register at the running switch and talk through its relay, hold, resume and
transfer."""

import socket
import time
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from itertools import dropwhile
from pathlib import Path

import pytest
from baresip import Baresip
from phones import Phone
from processes import Switch

from softswitch.testing.demo import free_network
from softswitch.testing.tones import dominant, from_mulaw, seconds_above

pytestmark = pytest.mark.peer("baresip")

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{host}"

[[listen]]
transport = "tcp"
bind = "{host}"

[users.alice]
password = "alice-secret"

[users.bob]
password = "bob-secret"

[users.carol]
password = "carol-secret"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"
"""

TONES = {"alice": 440, "bob": 1000, "carol": 1500}


class Stage:
    """A switch, and phones that are registered at it.

    :ivar alice: a phone, as ``bob`` and ``carol`` are where they are there.
    :param transports: of alice, bob and carol, as many as there are to be.
    :param running: ends whatever still runs.
    """

    def __init__(self, folder: Path, transports: tuple[str, ...], running: ExitStack) -> None:
        self._running = running
        self.network = free_network()
        self.host = f"{self.network}.1"
        self.switch = Switch(CONFIGURATION.format(host=self.host), folder)
        self._running.callback(self.switch.kill)
        self.phones = [
            self._phone(folder, name, f"{self.network}.{place}", transport)
            for place, (name, transport) in enumerate(zip(TONES, transports, strict=False), 2)
        ]
        self.alice, self.bob, self.carol = (*self.phones, *[self.phones[0]] * 2)[:3]
        self.registered(len(self.phones))

    def registered(self, count: int) -> None:
        """So many phones are registered."""
        self.switch.until(lambda: self.switch.stats()["registrations"] == count, 10)

    def call(self) -> None:
        """Alice calls bob, who answers."""
        self.alice.order("dial", f"sip:bob@{self.host}")
        for phone in (self.alice, self.bob):
            phone.expect("CALL_ESTABLISHED")

    def talk(self) -> None:
        """Let 3 s of audio pass, and what it takes to begin."""
        self.switch.pause(3.8)

    def hang_up(self, phone: Baresip, *others: Baresip) -> None:
        """One hangs up; he and the others hear of it."""
        phone.order("hangup")
        for each in (phone, *others):
            each.expect("CALL_CLOSED")

    def close(self) -> None:
        """All end in order, and nothing has leaked."""
        for phone in self.phones:
            phone.quit()
        stats = self.switch.stats()
        assert (stats["calls"], stats["registrations"], stats["leaks"]) == (0, 0, 0)
        assert self.switch.stop() == 0
        assert "stopped, 0 leaks" in self.switch.tail()

    def _phone(self, folder: Path, name: str, host: str, transport: str) -> Baresip:
        phone = Baresip(folder, name, f"{name}-secret", host, self.host, TONES[name], transport)
        self._running.callback(phone.kill)
        return phone


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with ExitStack() as running:
        yield Stage(tmp_path, getattr(request, "param", ("udp", "udp")), running)


def overheard(phone: Baresip, wanted: str) -> float:
    """For how long a phone heard somebody's tone, at least 20 dB above its own, seconds."""
    own = phone.name.removeprefix("baresip-")
    return seconds_above(phone.recording(), TONES[wanted], TONES[own])


@pytest.mark.parametrize(
    ("stage", "who"),
    [
        (("udp", "udp"), "caller"),
        (("udp", "udp"), "callee"),
        (("tcp", "udp"), "callee"),
        (("udp", "tcp"), "caller"),
    ],
    indirect=["stage"],
)
def test_two_phones_talk(stage: Stage, who: str):
    """Registered with digest over UDP or TCP, each hears the other's tone for 3 s through the
    relay, though their packets come from an address that no SDP has shown; either side hangs
    up, and the record says which."""
    stage.call()
    stage.talk()
    stage.hang_up(*(stage.phones if who == "caller" else stage.phones[::-1]))
    (record,) = stage.switch.records(1)
    assert (record["identity_kind"], record["identity"]) == ("user", "alice")
    assert record["caller"] == f"sip:alice@{stage.host}"
    assert record["called"].partition(";")[0] == f"sip:bob@{stage.host}"
    assert (record["status"], record["hung_up"]) == (200, who)
    assert record["invited"] <= record["ringing"] <= record["answered"] < record["ended"]
    (attempt,) = record["attempts"]
    assert (attempt["trunk"], attempt["status"]) == (None, 200)
    assert attempt["call_id_b"] != record["call_id_a"]
    stage.close()
    for phone, other in ((stage.alice, "bob"), (stage.bob, "alice")):
        assert dominant(phone.recording()) == TONES[other]
        assert overheard(phone, other) >= 3
        # The relay's, since baresip itself sends from 127.0.0.1.
        assert f"receiving from {stage.host}:".encode() in phone.log.read_bytes()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_phone_holds_and_resumes(stage: Stage, who: str):
    """Its re-INVITEs cross: audio flows both ways, then none, then again, although both send from
    where no SDP says. Tones can be heard until the hold; then what flows can be counted."""
    holder, held = stage.phones if who == "caller" else stage.phones[::-1]
    stage.call()
    stage.talk()
    for order in ("hold", "resume"):
        holder.order(order)
        held.expect("CALL_REMOTE_SDP")
        stage.talk()
        stage.talk()
    stage.hang_up(holder, held)
    assert stage.switch.records(1)[0]["status"] == 200
    stage.close()
    for phone, other in ((stage.alice, "bob"), (stage.bob, "alice")):
        assert overheard(phone, other) >= 2
        rates = list(dropwhile(lambda each: each == (0, 0), phone.rates()))
        assert (0, 0) in rates
        assert min(rates[-1]) > 60_000


@pytest.mark.parametrize("stage", [("udp",)], indirect=True)
def test_what_is_heard_of_a_phone_that_holds(stage: Stage):
    """Its tone before it holds the call and after it has resumed it, and nothing meanwhile."""
    bob = Phone("bob", f"{stage.network}.3", (stage.host, 5060), password="bob-secret")
    ear = socket.socket(type=socket.SOCK_DGRAM)
    ear.bind((f"{stage.network}.3", 16400))
    with closing(bob), ear:
        assert bob.register().status == 200
        stage.registered(2)
        stage.alice.order("dial", f"sip:bob@{stage.host}")
        heard = []
        for order in ("hold", "resume", "hangup"):
            bob.answer(bob.request_received("INVITE"), 200, bob.sdp)
            bob.request_received("ACK")
            listen(ear, 0.5)
            heard.append(listen(ear, 2))
            stage.alice.order(order)
        bob.answer(bob.request_received("BYE"), 200)
        assert [len(each) > 12_000 for each in heard] == [True, False, True]
        assert dominant(heard[0]) == dominant(heard[2]) == TONES["alice"]
        assert not heard[1]
        assert bob.register(0).status == 200
    stage.close()


@pytest.mark.parametrize("stage", [("udp", "udp", "udp"), ("tcp", "udp", "tcp")], indirect=True)
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_phone_transfers_blindly(stage: Stage, who: str):
    """Alice has called bob; one of them transfers the other to carol and is gone (RFC 5589 6.1).
    Those two hear each other's tones; the record has both attempts and says who hung up."""
    staying, leaving = stage.phones[:2][:: 1 if who == "callee" else -1]
    stage.call()
    stage.talk()
    leaving.order("transfer", f"sip:carol@{stage.host}")
    stage.carol.expect("CALL_ESTABLISHED")
    leaving.expect("CALL_CLOSED")
    stage.talk()
    stage.hang_up(staying, stage.carol)
    (record,) = stage.switch.records(1)
    assert (record["status"], record["hung_up"]) == (200, "caller" if who == "callee" else "callee")
    assert [attempt["status"] for attempt in record["attempts"]] == [200, 200]
    first, second = record["attempts"]
    assert first["answered"] < second["started"] < second["answered"] < second["ended"]
    stage.close()
    stay = staying.name.removeprefix("baresip-")
    assert overheard(staying, "carol") >= 3
    assert overheard(stage.carol, stay) >= 3
    assert 2 <= overheard(leaving, stay) < 6
    assert overheard(staying, leaving.name.removeprefix("baresip-")) >= 2


def listen(ear: socket.socket, seconds: float) -> "array[int]":
    """What is heard for so long, as µ-law in RTP."""
    heard = array("h")
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ear.settimeout(left)
        with suppress(TimeoutError):
            heard += from_mulaw(ear.recv(2048)[12:])
    return heard
