"""How a start ends: with the switch running, or with one line and status 2."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

TWISTD = Path(sys.executable).parent / "twistd"

LISTEN = '[[listen]]\ntransport = "{transport}"\nbind = "{bind}"\nport = 5060\n'


def start(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Have twistd start on a configuration that is to stop it."""
    (folder / "switch.toml").write_text(text)
    return subprocess.run(
        [TWISTD, *(options or ["-n"]), "softswitch", "--config", "switch.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[switch\n", "switch.toml: is no TOML: "),
        ("[swich]\n", "switch.toml: swich: no such key; did you mean switch?"),
        (
            LISTEN.format(transport="udp", bind="192.0.2.1"),
            "switch.toml: listen[0].bind: 192.0.2.1 is no address of this machine; ",
        ),
        (
            LISTEN.format(transport="udp", bind="127.33.3.1") + '[[policy]]\nuse = "locatd"',
            'switch.toml: policy[0].use: no policy is called "locatd"; did you mean located?',
        ),
        (
            LISTEN.format(transport="udp", bind="127.33.3.1")
            + '[[policy]]\nuse = "registration"\nmax_expire = 1',
            "switch.toml: policy[0].max_expire: no such key; did you mean max_expires?",
        ),
        (
            '[switch]\nstate_directory = "switch.toml"\n'
            + LISTEN.format(transport="udp", bind="127.33.3.1"),
            "switch.state_directory: ",
        ),
    ],
)
@pytest.mark.parametrize("options", [["-n"], ["--logfile=twistd.log"]], ids=["fore", "back"])
def test_a_mistake_stops_the_start_with_one_line(
    tmp_path: Path, options: list[str], text: str, mistake: str
):
    """Exit status 2, a line on the standard error with file, key and what would be right, and no
    file left by twistd, in the foreground and as a daemon alike."""
    done = start(tmp_path, text, *options)
    assert done.returncode == 2, done
    assert done.stderr.startswith("softswitch: ")
    assert mistake in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tmp_path.glob("twistd.*"))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_that_is_taken_stops_the_start(tmp_path: Path, transport: str):
    """The line says which."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.33.4.1", 5060))
        if transport == "tcp":
            other.listen()
        done = start(tmp_path, LISTEN.format(transport=transport, bind="127.33.4.1"))
    assert done.returncode == 2, done
    assert done.stderr == (
        f"softswitch: switch.toml: listen[0].port: {transport} port 5060 of 127.33.4.1 is taken:"
        " stop what serves it, or choose another\n"
    )


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path):
    """The same for the configuration itself."""
    done = subprocess.run(
        [TWISTD, "-n", "softswitch", "--config", "none.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "softswitch: none.toml: cannot be read: No such file or directory\n"


def test_the_switch_runs_until_sigterm(tmp_path: Path):
    """It says that it is ready, warns of passwords in the clear without showing them, keeps its
    state below the run directory, and ends with status 0."""
    (tmp_path / "switch.toml").write_text(
        LISTEN.format(transport="udp", bind="127.33.5.1") + '[users.a]\npassword = "geheim"\n'
    )
    (tmp_path / "run").mkdir()
    command = [TWISTD, "-n", "--rundir=run", "softswitch", "--config", "switch.toml"]
    with (tmp_path / "log").open("wb") as log:
        switch = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while b"softswitch ready" not in (tmp_path / "log").read_bytes():
            assert switch.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            with pytest.raises(subprocess.TimeoutExpired):
                switch.wait(0.05)
        switch.send_signal(signal.SIGTERM)
        assert switch.wait(10) == 0
    finally:
        switch.kill()
        switch.wait()
    told = (tmp_path / "log").read_text()
    assert "users.a has a password in the clear" in told
    assert "geheim" not in told
    assert f"the API starting on '{tmp_path / 'run' / 'var' / 'api.sock'}'" in told
    assert "object at 0x" not in told
    assert "twistd:" not in told
    assert (tmp_path / "run" / "var" / "softswitch.sqlite").exists()


#: A switch that is asked for everything before its reactor runs.
EARLY = """
import os, signal
from pathlib import Path
from twisted.internet import reactor
from softswitch.ops.config import load
from softswitch.ops.service import make_service
service = make_service(load(Path("switch.toml"), Path()))
service.startService()
assert Path("var/softswitch.pid").read_text() == f"{os.getpid()}\\n"
for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    os.kill(os.getpid(), number)
reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
reactor.run()
"""


def test_what_is_asked_before_the_switch_runs_is_answered(tmp_path: Path):
    """`softswitch reload` and `ban` find the process by its file, which is there a moment earlier:
    their signals do not end it, and are heeded as soon as it runs."""
    (tmp_path / "switch.toml").write_text(LISTEN.format(transport="udp", bind="127.33.6.1"))
    state = tmp_path / "var"
    state.mkdir()
    (state / "ban.wish").write_text('{"do": "list"}')
    answers = [state / name for name in ("reload.json", "stats.json", "ban.json")]
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", EARLY]
        switch = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not all(each.exists() for each in answers):
            assert switch.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            with pytest.raises(subprocess.TimeoutExpired):
                switch.wait(0.05)
        switch.send_signal(signal.SIGTERM)
        assert switch.wait(10) == 0
    finally:
        switch.kill()
        switch.wait()
