"""A running switch and a web server of one's own.

It answers, is slow, fails, answers rubbish, is down; and is told of calls, in order."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from phones import Phone, claimed_network, pick_up
from processes import Process, Switch

SERVER = Path(__file__).with_name("hook_server.py")

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]

[[policy]]
use = "trunks"

[[policy]]
use = "webhook"
url = "http://{network}.4:8088/hook"
secret = "between us"
timeout = 0.5
events = ["started", "ringing", "answered", "ended"]
trip = 3
rest = 1

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "nobody"
refuse = 410

[media]
engine = "bypass"
"""


class Hooked:
    """A switch, a caller, a callee, and the server."""

    def __init__(self, folder: Path, network: str) -> None:
        self.network = network
        self._folder = folder
        self.told = folder / "told.jsonl"
        here = (f"{network}.1", 5060)
        self.caller, self.callee = (Phone(f"p{n}", f"{network}.{n}", here) for n in (2, 3))
        self.serve()
        self.switch = Switch(CONFIGURATION.format(network=network), folder / "switch")

    def serve(self) -> None:
        """Start the server."""
        command = [sys.executable, str(SERVER), f"{self.network}.4", "8088", str(self.told)]
        self.server = Process(command, self._folder, "server")
        self.server.until(lambda: b"listening" in self.server.log.read_bytes(), 20)

    def status(self, dialled: str) -> int:
        """What a call to it comes to."""
        return self.caller.ask(self.caller.invite(f"sip:{dialled}@{self.network}.1"))[1].status

    def talk(self) -> None:
        """A whole call to the callee, where the server sends it."""
        there = self.callee.contact.removeprefix("sip:").replace("@", "+")
        dialled = "sip%3A" + there.replace(":", "%3A").replace(";", "%3B").replace("=", "%3D")
        invite = self.caller.send(self.caller.invite(f"sip:{dialled}@{self.network}.1"))
        offered = self.callee.request_received("INVITE")
        self.callee.answer(offered, 180)
        self.caller.response_received(180)
        pick_up(self.caller, self.callee, invite, offered)

    def events(self, count: int) -> list[tuple[str, str]]:
        """Identifier and kind of each, once there are so many."""

        def lines() -> list[str]:
            return self.told.read_text().splitlines() if self.told.exists() else []

        self.switch.until(lambda: len(lines()) >= count, 20)
        read = map(json.loads, lines())
        return [(event["id"].partition("-")[0], event["event"]) for event in read]

    def close(self) -> None:
        self.switch.kill()
        self.server.kill()
        self.caller.close()
        self.callee.close()


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Hooked]:
    with claimed_network() as network:
        hooked = Hooked(tmp_path, network)
        yield hooked
        hooked.close()


def test_a_server_that_answers(hooked: Hooked):
    """A call goes where it says; a refusal is told as it says; where it has nothing to say the next
    policy is asked. It is told of each fact in order, though it refused the first at first, and to
    the end though the switch stops at once."""
    hooked.talk()
    assert hooked.status("busy") == 486
    assert hooked.status("nobody") == 410
    assert hooked.switch.stop() == 0
    events = hooked.events(8)
    calls = list(dict.fromkeys(call for call, _ in events))
    assert [[fact for call, fact in events if call == each] for each in calls] == [
        ["started", "ringing", "answered", "ended"],
        ["started", "ended"],
        ["started", "ended"],
    ]


def test_a_server_in_trouble(hooked: Hooked):
    """Slow, failing, answering rubbish or too much: 500, and the log says why; calls beside them go
    through. One that is down is left alone after three failures, and asked again once it is back.
    """
    for dialled, why in (
        ("fails", "answered 500"),
        ("rubbish", "answers rubbish: decision: "),
        ("huge", "cannot be asked: ValueError more than 65536 bytes"),
        ("slow", "has not answered in time"),
    ):
        assert hooked.status(dialled) == 500
        assert why in hooked.switch.log.read_text()
        hooked.talk()
    hooked.server.kill()
    for _ in range(3):
        assert hooked.status("busy") == 500
    assert "refused" in hooked.switch.log.read_text()
    assert hooked.status("busy") == 500
    assert "has failed 3 times in a row, and is left alone" in hooked.switch.log.read_text()
    hooked.serve()
    hooked.switch.until(lambda: hooked.status("busy") == 486, 10)
    hooked.talk()
    stats = hooked.switch.stats()
    assert stats["leaks"] == 0
    assert stats["policies"]["webhook"]["own"]["failures_in_a_row"] == 0
    assert stats["policies"]["webhook"]["failures"]["raised"] >= 8
    assert "between us" not in hooked.switch.log.read_text()
