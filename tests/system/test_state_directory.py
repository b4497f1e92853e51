"""Whose the state directory of a running switch is, and what a command makes of one in disorder."""

import os
import shutil
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
    assert (done.returncode, done.stderr) == (0, ""), done


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
