"""``softswitch user`` beside a running switch: what it does to the file is seen at once."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from phones import Phone, claimed_network, talk
from processes import Switch

SOFTSWITCH = Path(sys.executable).with_name("softswitch")

CONFIGURATION = """
[switch]
state_directory = "@state@"
realm = "example.org"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[users.alice]
password = "secret"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "forwarding"

[[policy]]
use = "located"

[media]
engine = "bypass"
"""


@pytest.fixture(name="network")
def _network():
    with claimed_network() as network:
        yield network


@pytest.fixture(name="switch")
def _switch(tmp_path: Path, network: str):
    switch = Switch(CONFIGURATION.format(network=network), tmp_path)
    yield switch
    switch.kill()


def user(switch: Switch, *words: str, password: str = "") -> str:
    """What ``softswitch user`` says, which is no complaint."""
    done = subprocess.run(
        [SOFTSWITCH, "user", *words, "--config", switch.folder / "softswitch.toml"],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def seen(switch: Switch, times: int) -> None:
    """The switch has taken over so many changes."""
    text = "users have changed"
    switch.until(lambda: switch.log.read_text("utf-8", "replace").count(text) >= times, 5)


def test_a_user_comes_changes_and_goes_while_the_switch_runs(switch: Switch, network: str):
    """Added, a user registers and is called, under his number too; with a new password the old one
    is good for nothing; removed, his next registration is refused and nobody reaches him; and what
    stands there is there after a restart."""
    here = (f"{network}.1", 5060)
    bob, alice = Phone("bob", f"{network}.2", here), Phone("alice", f"{network}.3", here)
    assert bob.register().status == 401
    assert "user bob added to " in user(switch, "add", "bob", "--numbers", "100", password="secret")
    seen(switch, 1)
    assert bob.register().status == 200
    talk(alice, bob, f"sip:100@{network}.1")

    user(switch, "set", "bob", "--numbers", "200", "--forward-unreachable", "alice")
    seen(switch, 2)
    assert alice.ask(alice.invite(f"sip:100@{network}.1"))[1].status == 404
    talk(alice, bob, f"sip:200@{network}.1")

    user(switch, "password", "bob", password="other")
    seen(switch, 3)
    assert bob.register().status == 401
    changed = Phone("bob", f"{network}.2", here, password="other")
    assert changed.register().status == 200

    assert '"numbers": ["200"]' in user(switch, "show", "bob", "--json")
    user(switch, "remove", "bob")
    seen(switch, 4)
    assert changed.register().status == 401
    assert alice.ask(alice.invite(f"sip:bob@{network}.1"))[1].status == 404
    user(switch, "add", "carol", password="secret")
    assert switch.stop() == 0
    again = Switch(CONFIGURATION.format(network=network), switch.folder)
    try:
        assert Phone("carol", f"{network}.4", here).register().status == 200
        assert again.stop() == 0
    finally:
        again.kill()


def test_a_file_that_is_locked_or_spoilt_stops_no_call(switch: Switch, network: str):
    """Another program has it for itself, then writes nonsense over it: who is known registers and
    calls; the log says what is wrong."""
    here = (f"{network}.1", 5060)
    user(switch, "add", "bob", password="secret")
    seen(switch, 1)
    bob, alice = Phone("bob", f"{network}.2", here), Phone("alice", f"{network}.3", here)
    file = switch.state / "softswitch.sqlite"
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO users VALUES ('carol', '{}')")
        assert bob.register().status == 200
        talk(alice, bob, f"sip:bob@{network}.1")
        other.rollback()
    for name in (file, file.with_name(f"{file.name}-wal")):
        size = name.stat().st_size
        with name.open("r+b") as octets:
            octets.write(b"\xff" * size)
    assert bob.register().status == 200
    switch.until(lambda: "cannot write bindings" in switch.log.read_text("utf-8", "replace"), 10)
    talk(alice, bob, f"sip:bob@{network}.1")
    assert switch.stop() == 0


def test_a_file_that_is_damaged_stops_the_start(tmp_path: Path, network: str):
    """With one line that names it."""
    (tmp_path / "state").mkdir()
    file = tmp_path / "state" / "users.sqlite"
    file.write_bytes(b"no database at all" * 100)
    text = f'{CONFIGURATION.format(network=network)}\n[store]\nusers = "users.sqlite"\n'
    with pytest.raises(RuntimeError, match="ended with 2"):
        Switch(text, tmp_path)
    (line,) = (tmp_path / "switch.log").read_text().splitlines()
    assert line.startswith(f"softswitch: {file}: a whole database that can be read and written")
