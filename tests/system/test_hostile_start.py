"""Mistakes that ``test_start`` does not make: each ends with one line and status 2, but for a
registration that cannot be read back, which stops nothing."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from phones import claimed_network
from processes import Switch
from twisted.internet.testing import MemoryReactorClock

from softswitch.ops.config import load
from softswitch.ops.service import SwitchService

#: What a switch heeds from its start on.
WISHES = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

LISTEN = '[[listen]]\ntransport = "udp"\nbind = "{host}"\n'

BROKEN_PLUGIN = """
from softswitch.plugin.maker import PolicyMaker

broken = PolicyMaker("broken", "no_such_module:Router", "Is not there.")
"""


def start(folder: Path, config: str = "switch.toml") -> str:
    """The one line with which a start ends."""
    done = subprocess.run(
        [Path(sys.executable).with_name("twistd"), "-n", "softswitch", "--config", config],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
    return done.stderr.removeprefix("softswitch: ").rstrip("\n")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "[switch]\ndrain_seconds = true\n",
            "switch.toml: switch.drain_seconds: a number of seconds, 0 or more, is wanted, not ",
        ),
        (
            '[[policy]]\nuse = "broken"\n',
            "switch.toml: policy[0].use: ",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, mistake: str):
    """A value of the wrong type; a plug-in whose module is not there."""
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "broken_plugin.py").write_text(BROKEN_PLUGIN)
    (tmp_path / "switch.toml").write_text(text + LISTEN.format(host="127.0.0.1"))
    assert start(tmp_path).startswith(mistake)


def test_a_file_that_cannot_be_read(tmp_path: Path):
    """A folder, which not even root can read as a file."""
    assert start(tmp_path, ".") == ".: cannot be read: Is a directory"


def test_a_damaged_store(tmp_path: Path):
    """A database of ours in which something is missing."""
    with claimed_network() as network:
        text = '[switch]\nstate_directory = "@state@"\n' + LISTEN.format(host=f"{network}.1")
        switch = Switch(text, tmp_path)
        assert switch.stop() == 0
        file = switch.state / "softswitch.sqlite"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("ALTER TABLE bindings RENAME COLUMN contacts TO others")
        line = start(tmp_path, "softswitch.toml")
    assert line.startswith(f"{file}: a whole database is needed here; move it away: ")


def test_a_registration_that_cannot_be_read_back(tmp_path: Path):
    """It is named in the log, and the switch serves."""
    with claimed_network() as network:
        text = '[switch]\nstate_directory = "@state@"\n' + LISTEN.format(host=f"{network}.1")
        assert Switch(text, tmp_path).stop() == 0
        file = tmp_path / "state" / "softswitch.sqlite"
        with closing(sqlite3.connect(file)) as connection:
            connection.executemany(
                "INSERT INTO bindings VALUES (?, ?)",
                [(b"carol@here", "{"), (b"bob@here", '[{"aor": "bob@here"}]')],
            )
            connection.commit()
        switch = Switch(text, tmp_path)
        assert switch.stats()["registrations"] == 0
        assert switch.stop() == 0
    log = switch.log.read_text()
    assert "carol@here" in log
    assert "a registration of bob@here cannot be restored" in log


def test_a_port_that_is_taken_after_it_was_tried(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Somebody was quicker: the same line and status."""
    with claimed_network() as network:
        file = tmp_path / "switch.toml"
        file.write_text(LISTEN.format(host=f"{network}.1"))
        service = SwitchService(load(file, tmp_path), MemoryReactorClock())
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind((f"{network}.1", 5060))
            heeded = {number: signal.getsignal(number) for number in WISHES}
            with pytest.raises(SystemExit) as end:
                service.startService()
            for number, handler in heeded.items():
                signal.signal(number, handler)
    assert end.value.code == 2
    assert capfd.readouterr().err == (
        f"softswitch: {file}: listen[0].port: {network}.1:5060: Address already in use\n"
    )
