"""The demonstration shows a call that was heard, or says what is wrong."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from softswitch.testing import demo

COMMAND = [sys.executable, "-m", "softswitch.testing.demo"]
HEARD = re.compile(r"(\w+) +heard (\d+) Hz for (\d\.\d) s, (\d+) dB above the (\d+) Hz of its own")


def test_the_phones_hear_each_other():
    """Within 30 s: both register with digest, call each other through the switch, hear the
    other's tone for 3 s at least 20 dB above their own; nothing leaks, and nothing is left
    behind."""
    begun = time.monotonic()
    # A short path: in the state directory is a unix socket.
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            COMMAND,
            cwd=folder,
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        left = os.listdir(folder)
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert time.monotonic() - begun < 30
    assert left == []
    told = done.stdout
    for message, count in (("401 Unauthorized", 4), ("180 Ringing", 4), ("BYE sip:", 4)):
        assert told.count(message) == count, told
    heard = [(name, int(hz), int(own)) for name, hz, _, _, own in HEARD.findall(told)]
    assert sorted(heard) == [("alice", 1000, 440)] * 2 + [("bob", 440, 1000)] * 2
    assert all(float(s) >= 3 and int(above) >= 20 for _, _, s, above, _ in HEARD.findall(told))
    assert told.count("the caller hung up, status 200") == 2
    assert told.endswith("exit status 0, 0 leaks.\nBoth heard each other, in both calls.\n")


def test_a_phone_that_cannot_register(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Status 1 and a sentence that says whose fault it is."""
    monkeypatch.setattr(demo.Switch, "password", lambda self, name: "wrong")
    assert demo.main() == 1
    told = capsys.readouterr().err
    assert told == "\nThe demo failed: alice's phone told 'registered 401', not 'registered 200'\n"


def test_a_switch_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The switch's own last words are shown."""
    monkeypatch.setattr(demo, "free_network", lambda: "127.99.7")
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.99.7.1", 5060))
        assert demo.main() == 1
    told = capsys.readouterr().err
    assert "The demo failed: the switch ended, status 2:\nsoftswitch: " in told
    assert "udp port 5060 of 127.99.7.1 is taken" in told


def test_an_end_before_the_end_leaves_no_process(tmp_path: Path):
    """SIGTERM ends the switch and the phones too."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(COMMAND, cwd=tmp_path, stdout=output)
    try:
        deadline = time.monotonic() + 15
        while b"alice calls bob" not in log.read_bytes():
            assert time.monotonic() < deadline
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    for number in re.findall(r"process (\d+)", log.read_text()):
        assert not Path(f"/proc/{number}").exists()


@pytest.mark.parametrize(
    ("packets", "frequency", "above", "seconds", "fault"),
    [
        (180, 1000, 58.0, 3.5, ""),
        (0, 0, 0.0, 0.0, "heard nothing: no packet came"),
        (180, 440, -60.0, 0.0, "did not hear 1000 Hz clearly, 20 dB above its own tone"),
        (180, 1000, 12.0, 0.0, "did not hear 1000 Hz clearly, 20 dB above its own tone"),
        (180, 1000, 40.0, 1.2, "heard 1000 Hz for 1.2 s only, and not for 3 s"),
    ],
)
def test_what_is_heard_is_judged(
    packets: int, frequency: int, above: float, seconds: float, fault: str
):
    """Silence, one's own echo, a mixture, and a break are each called by their name."""
    heard = {"packets": packets, "frequency": frequency, "above": above, "seconds": seconds}
    assert demo.fault_of(heard, 1000) == fault
