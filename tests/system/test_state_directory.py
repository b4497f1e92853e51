"""Whose the state directory of a running switch is, and what a command makes of one in disorder."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from phones import claimed_network
from processes import Process

BIN = Path(sys.executable).parent

CONFIGURATION = '[[listen]]\ntransport = "udp"\nbind = "{network}.1"\n'

#: A user who may do nothing.
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="softswitch-state-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def started(stack: ExitStack, folder: Path, *prefix: str) -> Process:
    """A switch that makes its state directory by itself, ``var`` in the folder."""
    network = stack.enter_context(claimed_network())
    (folder / "switch.toml").write_text(CONFIGURATION.format(network=network))
    twistd = [str(BIN / "twistd"), "-n", "--pidfile="]
    switch = Process([*prefix, *twistd, "softswitch", "-c", "switch.toml"], folder, "switch")
    stack.callback(switch.kill)
    switch.until(lambda: b"softswitch ready" in switch.log.read_bytes(), 20)
    return switch


def softswitch(folder: Path, *arguments: str, umask: int = -1) -> subprocess.CompletedProcess[str]:
    """A command beside the switch."""
    return subprocess.run(
        [BIN / "softswitch", *arguments],
        cwd=folder,
        umask=umask,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_is_the_switch_s_alone(stack: ExitStack, folder: Path):
    """The directory, and whatever is in it but for the records that are carried on, under a umask
    that takes nothing from anybody; SQLite's files beside its databases, too."""
    switch = started(stack, folder, "sh", "-c", 'umask 0; exec "$@"', "-")
    state = folder / "var"
    config = ("--config", "switch.toml")
    assert softswitch(folder, "ban", "add", "192.0.2.1", *config, umask=0).returncode == 0
    assert softswitch(folder, "reload", "switch.toml", umask=0).returncode == 0
    switch.send_signal(signal.SIGUSR1)
    wanted = {"bans.json", "stats.json", "calls.sqlite-wal", "ban.json", "ban.wish", "reload.json"}
    wanted |= {"softswitch.sqlite", "calls.sqlite", "softswitch.pid", "api.sock"}
    wanted |= {"softswitch.sqlite-wal", "softswitch.sqlite-shm"}
    switch.until(lambda: wanted <= {each.name for each in state.iterdir()}, 10)
    modes = {each.name: each.stat().st_mode & 0o777 for each in (state, *state.iterdir())}
    assert modes.pop("var") == 0o700
    modes.pop("calls.jsonl", None)
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
    assert "open to everybody" not in switch.log.read_text()


def test_one_that_is_open_is_warned_of(stack: ExitStack, folder: Path):
    """It stays as it is, for others may be meant to read it; the file of a process that was killed
    is no longer for everybody to lock."""
    (state := folder / "var").mkdir()
    state.chmod(0o755)
    (pid := state / "softswitch.pid").write_text("1\n")
    pid.chmod(0o644)
    switch = started(stack, folder)
    assert f"{state} is open to everybody" in switch.log.read_text()
    assert pid.stat().st_mode & 0o777 == 0o600


def test_a_command_waits_for_a_lock_no_longer_than_it_is_to(stack: ExitStack, folder: Path):
    """Whoever may open the directory can lock it; the command says so."""
    started(stack, folder)
    descriptor = os.open(folder / "var", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        wanted = ("add", "192.0.2.1", "--wait", "0.2", "--config", "switch.toml")
        done = softswitch(folder, "ban", *wanted)
    finally:
        os.close(descriptor)
    assert done.returncode == 1
    assert done.stderr.startswith(f"softswitch: somebody else holds the lock of {folder / 'var'}, ")
    assert done.stderr.count("\n") == 1


@needs_root
def test_a_wish_of_root_is_read_by_the_switch(stack: ExitStack, folder: Path):
    """The switch has a user of its own, and root a umask that lets nobody read."""
    os.chown(folder, NOBODY, NOBODY)
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*user, BIN / "python", "-c", ""], check=False).returncode:
        pytest.skip("another user cannot run this Python")
    started(stack, folder, *user)
    config = ("--config", "switch.toml")
    done = softswitch(folder, "ban", "add", "192.0.2.1", *config, umask=0o077)
    assert (done.returncode, done.stdout) == (0, "softswitch: 192.0.2.1/32 is banned\n"), done
    done = softswitch(folder, "account", "list", *config, umask=0o077)
    assert (done.returncode, done.stderr) == (0, "softswitch: no account is blocked\n"), done


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("reload.json", ["reload"]), ("ban.json", ["ban", "list", "--config"])],
)
def test_an_answer_that_cannot_be_read(
    stack: ExitStack, folder: Path, name: str, arguments: list[str]
):
    """One line says which file is in the way, be it a directory or rubbish."""
    started(stack, folder)
    path = folder / "var" / name
    path.mkdir()
    done = softswitch(folder, *arguments, "switch.toml")
    said = f"softswitch: {path}: Is a directory: move it away, or make room\n"
    assert (done.returncode, done.stderr) == (1, said)
    path.rmdir()
    path.write_text("[")
    done = softswitch(folder, *arguments, "switch.toml")
    said = f"softswitch: {path} holds no answer of a switch: move it away\n"
    assert (done.returncode, done.stderr) == (1, said)
    path.unlink()
    assert softswitch(folder, *arguments, "switch.toml").returncode == 0


def test_call_records_that_are_damaged_do_not_stop_telephony(stack: ExitStack, folder: Path):
    """The start goes on with a new file, and the log says where the old one is."""
    (state := folder / "var").mkdir(mode=0o700)
    (state / "calls.sqlite").write_bytes(b"rubbish" * 2000)
    switch = started(stack, folder)
    (aside,) = state.glob("calls.sqlite.damaged-*")
    said = switch.log.read_text()
    assert (
        f"calls.sqlite is damaged (file is not a database): it is put aside as {aside.name}" in said
    )
    assert softswitch(folder, "cdr", "--config", "switch.toml").returncode == 0
    assert switch.stop() == 0
