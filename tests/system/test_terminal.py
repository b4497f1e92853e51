"""The commands over the API, on a running switch, as an operator types them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from phones import Phone, claimed_network
from processes import Process, Switch

from softswitch.api.tokens import hashed

SOFTSWITCH = str(Path(sys.executable).with_name("softswitch"))

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[users]
alice.password = "secret"
bob.password = "secret"
carol.password = "secret"

[trunks.carrier]
addresses = ["{network}.9"]

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[media]
engine = "relay"

[api]
bind = "{network}.1"
port = 8060

[[api.tokens]]
name = "viewer"
role = "view"
hash = "{hash}"
"""


class Operator:
    """A switch, three phones, and somebody at a terminal."""

    def __init__(self, folder: Path, network: str) -> None:
        self.network = network
        self.folder = folder
        text = CONFIGURATION.format(network=network, hash=hashed("look"))
        self.switch = Switch(text, folder)
        place = (f"{network}.1", 5060)
        self.alice, self.bob, self.carol = (
            Phone(name, f"{network}.{number}", place)
            for number, name in enumerate(("alice", "bob", "carol"), 2)
        )
        for phone in (self.alice, self.bob, self.carol):
            phone.register()

    def types(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SOFTSWITCH, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **environment},
        )

    def asks(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command on this switch, which is named by its configuration."""
        return self.types(*words, "--config", str(self.folder / "softswitch.toml"))

    def reads(self, *words: str):
        told = self.asks(*words, "--json")
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    def call(self) -> str:
        """Alice and Bob talk; the call's id."""
        invite = self.alice.call(f"sip:bob@{self.network}.1")
        self.bob.answer(self.bob.request_received("INVITE"), 200, self.bob.sdp)
        answered = self.alice.response_received(200)
        self.alice.send(self.alice.within(invite, answered, "ACK"))
        self.bob.request_received("ACK")
        [call] = self.reads("calls")
        assert call["state"] == "talking"
        return call["id"]

    def close(self) -> None:
        self.switch.kill()
        for phone in (self.alice, self.bob, self.carol):
            phone.close()


@pytest.fixture(name="operator")
def _operator(tmp_path: Path) -> Iterator[Operator]:
    with claimed_network() as network:
        operator = Operator(tmp_path, network)
        yield operator
        operator.close()


def test_a_call_is_seen_and_hung_up(operator: Operator):
    """In the list, by itself, and by the beginning of its id."""
    name = operator.call()
    shown = operator.asks("calls")
    assert name in shown.stdout
    assert "1 call\n" in shown.stdout
    assert "b1*" in operator.asks("show", name[:8]).stdout
    found = operator.reads("show", name)
    assert found["summary"]["id"] == name
    assert [(each["leg"], each["packets"]) for each in found["media"]] == [("a", 0), ("b1", 0)]
    assert "jitter ms" in operator.asks("show", name).stdout
    told = operator.asks("hangup", name[:8])
    assert told.stdout == f"softswitch: call {name} is hung up\n"
    for phone in (operator.alice, operator.bob):
        phone.answer(phone.request_received("BYE"), 200)
    assert operator.reads("calls") == []
    again = operator.asks("hangup", name)
    assert again.returncode == 1
    assert (
        again.stderr == f"softswitch: no call that goes on has an id that begins {name};"
        f" `softswitch cdr show {name}` shows one that has ended\n"
    )


def test_a_call_is_transferred(operator: Operator):
    """Bob's side is led to Carol."""
    name = operator.call()
    told = operator.asks("transfer", name, "carol")
    assert told.returncode == 0
    assert "sip:carol@" in told.stdout
    assert operator.carol.request_received("INVITE") is not None


def test_a_call_is_begun(operator: Operator):
    """Alice's phone rings; she answers, Bob's rings; his answer brings Alice a new offer."""
    told = operator.asks("originate", "alice", "bob")
    assert told.returncode == 0, told.stderr
    offered = operator.alice.request_received("INVITE")
    operator.alice.answer(offered, 200, operator.alice.sdp)
    operator.alice.request_received("ACK")
    offered = operator.bob.request_received("INVITE")
    assert b"inactive" not in offered.body
    operator.bob.answer(offered, 486)
    operator.bob.request_received("ACK")
    operator.alice.answer(operator.alice.request_received("BYE"), 200)
    operator.switch.until(lambda: operator.reads("calls") == [], 10)


def test_a_call_is_traced(operator: Operator, tmp_path: Path):
    """As a ladder, as files, and as it grows until it ends; also when it is over."""
    name = operator.call()
    shown = operator.asks("trace", name, "--messages").stdout
    assert "INVITE sip:bob@" in shown
    assert "Via: " in shown
    image, capture = tmp_path / "x.svg", tmp_path / "x.pcap"
    written = operator.asks("trace", name, "--svg", str(image), "--pcap", str(capture))
    assert written.returncode == 0
    assert image.read_bytes().startswith(b"<svg ")
    assert len(capture.read_bytes()) > 1000
    file = str(operator.folder / "softswitch.toml")
    command = [SOFTSWITCH, "trace", name, "--follow", "--config", file]
    following = Process(command, tmp_path, "trace")
    following.until(lambda: b"INVITE sip:bob@" in following.log.read_bytes(), 20)
    operator.asks("hangup", name)
    for phone in (operator.alice, operator.bob):
        phone.answer(phone.request_received("BYE"), 200)
    assert following.wait(20) == 0
    assert b"BYE " in following.log.read_bytes()
    assert operator.reads("trace", name)["ended"]
    assert operator.asks("trace", "nobody").stderr.startswith("softswitch: nobody: ")
    assert operator.reads("trace", name[:8])["id"] == name


def test_registrations_trunks_and_health(operator: Operator):
    """What the switch has, and what may be changed of it."""
    found = operator.reads("registrations")
    assert [each["aor"].partition("@")[0] for each in found] == ["alice", "bob", "carol"]
    assert "carol" in operator.asks("registrations", "--text", "carol").stdout
    assert operator.reads("registrations", "--remove", found[2]["aor"]) == {"removed": 1}
    [trunk] = operator.reads("trunks", "--out", "carrier")
    assert not trunk["up"]
    assert "taken out" in operator.asks("trunks").stdout
    assert operator.asks("trunks", "--back", "carrier").returncode == 0
    told = operator.asks("trunks", "--out", "nobody")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("softswitch: --out nobody: ")
    assert operator.asks("health").stdout.startswith("ok: softswitch ")


def test_from_elsewhere(operator: Operator):
    """--url, with the token in the environment; a role that is less is told."""
    url = ("--url", f"http://{operator.network}.1:8060")
    assert operator.types("health", *url).returncode == 0
    assert operator.types("calls", *url).stderr.startswith("softswitch: $SOFTSWITCH_TOKEN: ")
    assert operator.types("calls", *url, SOFTSWITCH_TOKEN="look").returncode == 0
    told = operator.types("trunks", "--out", "carrier", *url, SOFTSWITCH_TOKEN="look")
    assert told.returncode == 1
    assert '"operate" is wanted' in told.stderr


def test_events_and_top(operator: Operator, tmp_path: Path):
    """Live, as lines of JSON."""
    file = str(operator.folder / "softswitch.toml")
    for command in (["events", "--topics", "calls"], ["top"]):
        watching = Process([SOFTSWITCH, *command, "--json", "--config", file], tmp_path, command[0])
        watching.until(lambda watching=watching: b"{" in watching.log.read_bytes(), 20)
        if command[0] == "events":
            operator.call()
            watching.until(
                lambda watching=watching: b"call_answered" in watching.log.read_bytes(), 20
            )
        watching.kill()


def test_no_switch_runs(tmp_path: Path):
    """Status 1, and what would be right."""
    told = subprocess.run(
        [SOFTSWITCH, "calls", "--rundir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    assert "no switch runs with the state directory" in told.stderr
    assert "--rundir" in told.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str):
    """What is printed is a script of that shell, and knows the commands."""
    told = subprocess.run(
        [SOFTSWITCH, "completion", shell], capture_output=True, text=True, timeout=60, check=True
    )
    assert "hangup" in told.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=told.stdout, text=True, timeout=60, check=True)
