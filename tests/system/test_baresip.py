"""Two baresip phones register at the running switch and talk through its relay."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from baresip import Baresip
from processes import Switch

from softswitch.testing.demo import free_network
from softswitch.testing.tones import dominant, seconds_above

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

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"
"""

TONES = {"alice": 440, "bob": 1000}


class Stage:
    """A switch, and alice and bob who are registered at it.

    :param running: ends whatever still runs.
    """

    def __init__(self, folder: Path, transports: tuple[str, str], running: ExitStack) -> None:
        self._running = running
        network = free_network()
        self.host = f"{network}.1"
        self.switch = Switch(CONFIGURATION.format(host=self.host), folder)
        self._running.callback(self.switch.kill)
        self.alice, self.bob = (
            self._phone(folder, name, f"{network}.{place}", transport)
            for name, place, transport in zip(TONES, (2, 3), transports, strict=True)
        )
        self.switch.until(lambda: self.switch.stats()["registrations"] == 2, 10)

    def call(self) -> None:
        """Alice calls bob, who answers."""
        self.alice.order("dial", f"sip:bob@{self.host}")
        for phone in (self.alice, self.bob):
            phone.expect("CALL_ESTABLISHED")

    def talk(self) -> None:
        """Let 3 s of audio pass, and what it takes to begin."""
        self.switch.pause(3.8)

    def hang_up(self, phone: Baresip) -> None:
        """One of them hangs up; both hear of it."""
        phone.order("hangup")
        for each in (self.alice, self.bob):
            each.expect("CALL_CLOSED")

    def close(self) -> None:
        """All end in order, and nothing has leaked."""
        for phone in (self.alice, self.bob):
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


def heard(stage: Stage) -> dict[str, float]:
    """For how long each heard the other's tone, at least 20 dB above its own, seconds."""
    alice, bob = stage.alice.recording(), stage.bob.recording()
    assert (dominant(alice), dominant(bob)) == (TONES["bob"], TONES["alice"])
    return {
        "alice": seconds_above(alice, TONES["bob"], TONES["alice"]),
        "bob": seconds_above(bob, TONES["alice"], TONES["bob"]),
    }


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
    stage.hang_up(stage.alice if who == "caller" else stage.bob)
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
    assert min(heard(stage).values()) >= 3
    for phone in (stage.alice, stage.bob):
        # The relay's, since baresip itself sends from 127.0.0.1.
        assert f"receiving from {stage.host}:".encode() in phone.log.read_bytes()


def test_a_phone_holds_and_resumes(stage: Stage):
    """Its re-INVITEs cross, and afterwards audio flows again both ways, although both send from
    where no SDP says."""
    stage.call()
    for order in ("hold", "resume"):
        stage.alice.order(order)
        stage.bob.expect("CALL_REMOTE_SDP")
        stage.switch.pause(0.5)
    stage.talk()
    stage.talk()
    stage.hang_up(stage.bob)
    stage.close()
    for phone in (stage.alice, stage.bob):
        assert min(phone.rates()) > 60_000
