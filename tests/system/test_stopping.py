"""How a switch with live calls stops: new calls are refused, the others get their time, then both
legs of what is left are hung up; every call has its record, and nothing has leaked."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from phones import Phone, claimed_network
from processes import Process, Sipp, Switch

from softswitch.sip import compose

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = {drain_seconds}

[[listen]]
transport = "{transport}"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2", "{network}.4"]
transport = "{transport}"

[trunks.callee]
addresses = ["{network}.3"]
transport = "{transport}"

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = ".*"
trunk = "callee"
"""


class Place:
    """A switch with the relay on, between callers at ``.2`` and ``.4`` and a callee at ``.3``."""

    def __init__(
        self, stack: ExitStack, folder: Path, transport: str, drain_seconds: float
    ) -> None:
        self._stack = stack
        self._folder = folder
        self._transport = transport
        self.network = stack.enter_context(claimed_network())
        text = CONFIGURATION.format(
            network=self.network, transport=transport, drain_seconds=drain_seconds
        )
        self.switch = Switch(text, folder)
        stack.callback(self.switch.kill)

    def sipp(self, scenario: str, host: str, calls: int = 1, *extra: str, **words: object) -> Sipp:
        """SIPp at ``host``; only ``.3`` is called."""
        here = self.network + host
        there = "" if host == ".3" else f"{self.network}.1:5060"
        limits = ("-timeout", "60", "-timeout_error", "-r", str(calls), *extra)
        sipp = Sipp(
            scenario,
            self._folder,
            here,
            there,
            transport=self._transport,
            calls=calls,
            words=words,
            extra=limits,
        )
        self._stack.callback(sipp.kill)
        return sipp

    def phone(self) -> Phone:
        """A phone at ``.4``."""
        return Phone("4", f"{self.network}.4", (f"{self.network}.1", 5060), self._transport)

    def until_dialogs(self, count: int) -> None:
        """Wait for so many legs to be answered."""
        self.switch.until(lambda: self.switch.stats()["dialogs"] == count, 10)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Have the switch stop, and wait until it has begun to."""
        self.switch.send_signal(number)
        self.switch.until(lambda: b"stopping: " in self.switch.log.read_bytes(), 5)

    def ended(self, seconds: float) -> list[dict[str, Any]]:
        """The records, once the switch has stopped in order, having leaked nothing."""
        assert self.switch.wait(seconds) == 0
        log = self.switch.log.read_text()
        assert "stopped, 0 leaks" in log
        assert "Traceback" not in log
        file = self.switch.state / "calls.jsonl"
        return [json.loads(line) for line in file.read_bytes().splitlines()]


@pytest.fixture(params=["udp", "tcp"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.peer("sipp")
def test_live_calls_are_drained(stack: ExitStack, tmp_path: Path, transport: str):
    """A new INVITE gets 503; a call whose caller hangs up within ``drain_seconds`` ends by itself,
    after which both legs of the others get BYE. Each has its record, the refused one too."""
    place = Place(stack, tmp_path, transport, drain_seconds=2)
    callee = place.sipp("callee_answers", ".3", 6)
    leaving = place.sipp("caller_hangs_up", ".4", 1, "-d", "1500")
    staying = place.sipp("caller_is_hung_up_on", ".2", 5)
    place.until_dialogs(12)
    place.stop()
    begun = time.monotonic()
    refused = place.phone()
    assert refused.ask_once(refused.invite(f"sip:9@{place.network}.1")).status == 503
    assert leaving.wait(5) == 0, leaving.tail()
    assert time.monotonic() - begun < 2
    for peer in (staying, callee):
        assert peer.wait(5) == 0, peer.tail()
    assert time.monotonic() - begun >= 1.8
    outcomes = Counter((each["status"], each["hung_up"]) for each in place.ended(5))
    assert outcomes == {(200, "switch"): 5, (200, "caller"): 1, (503, "switch"): 1}


@pytest.mark.peer("sipp")
def test_a_call_that_rings_is_refused(stack: ExitStack, tmp_path: Path, transport: str):
    """When the time is up, the caller is told 503 and the callee's phone stops ringing."""
    place = Place(stack, tmp_path, transport, drain_seconds=0.5)
    callee = place.sipp("callee_is_cancelled", ".3", status=180, reason="Ringing", pause=0)
    caller = place.phone()
    invite = caller.send(caller.invite(f"sip:9@{place.network}.1"))
    caller.response_received(180)
    place.stop()
    response = caller.response_received(503)
    caller.send(compose.ack(invite, response))
    assert callee.wait(5) == 0, callee.tail()
    (record,) = place.ended(5)
    assert (record["status"], record["hung_up"], record["answered"]) == (503, "switch", None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_a_call_it_ends_at_once(stack: ExitStack, tmp_path: Path, number: signal.Signals):
    """Nobody waits ``drain_seconds`` for nothing; Ctrl-C stops in the same order."""
    place = Place(stack, tmp_path, "udp", drain_seconds=30)
    place.switch.send_signal(number)
    assert place.ended(2) == []


@pytest.mark.peer("sipp")
def test_a_second_signal_ends_the_wait(stack: ExitStack, tmp_path: Path):
    """Who presses Ctrl-C again will not wait: what is left is hung up now, in the same order."""
    place = Place(stack, tmp_path, "udp", drain_seconds=30)
    callee = place.sipp("callee_answers", ".3")
    caller = place.sipp("caller_is_hung_up_on", ".2")
    place.until_dialogs(2)
    place.stop(signal.SIGINT)
    place.switch.send_signal(signal.SIGINT)
    for peer in (caller, callee):
        assert peer.wait(5) == 0, peer.tail()
    (record,) = place.ended(5)
    assert (record["status"], record["hung_up"]) == (200, "switch")


def test_a_write_that_fails_does_not_keep_it_from_ending(stack: ExitStack, tmp_path: Path):
    """A ban, and at once the end, with a disk that takes none: the log says what could not be
    written, and everything else is let go of."""
    place = Place(stack, tmp_path, "udp", drain_seconds=30)
    bans = place.switch.state / "bans.json"
    bans.mkdir()
    command = Path(sys.executable).with_name("softswitch")
    config = tmp_path / "softswitch.toml"
    subprocess.run([command, "ban", "add", "192.0.2.9", "--config", config], check=True)
    place.switch.send_signal(signal.SIGTERM)
    assert place.ended(5) == []
    assert f"{bans} cannot be written: Is a directory" in place.switch.log.read_text()
    assert not (place.switch.state / "softswitch.pid").exists()


#: A switch in which steps of the stop fail.
FAILING = """
import sys
from softswitch.ops import service

def fails(*_):
    raise OSError("no room")

service.Watchdog.stop = service.Accounting.stop = service.SqliteStore.close = fails
service.House.stop = service.House.close = service.Archive.stop = fails
from twisted.scripts.twistd import run
sys.argv[0] = "twistd"
run()
"""


def test_whatever_fails_it_ends(tmp_path: Path):
    """Each step that fails is logged, and those behind it follow."""
    (tmp_path / "failing.py").write_text(FAILING)
    with claimed_network() as network:
        text = CONFIGURATION.format(network=network, transport="udp", drain_seconds=30)
        (tmp_path / "switch.toml").write_text(text.replace("@state@", "var"))
        command = [sys.executable, "failing.py", "-n", "--pidfile="]
        switch = Process([*command, "softswitch", "-c", "switch.toml"], tmp_path, "switch")
        try:
            switch.until(lambda: b"softswitch ready" in switch.log.read_bytes(), 15)
            assert switch.stop() == 0
        finally:
            switch.kill()
    said = switch.log.read_text()
    assert said.count("a step of the stop has failed; the stop goes on") == 6
    assert "stopped, 0 leaks" in said
