"""A running switch that blocks an account: over kill -9, and until the operator lifts it."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from phones import Phone, claimed_network
from processes import Switch

SOFTSWITCH = str(Path(sys.executable).with_name("softswitch"))

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 0

[[listen]]
transport = "udp"
bind = "{network}.1"

[users.alice]
password = "secret"

[fraud]
per_minute = 2

[trunks.carrier]
addresses = ["{network}.9"]
try_seconds = 0.2

[[policy]]
use = "users"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "[0-9]+"
trunk = "carrier"

[media]
engine = "bypass"
"""


def account(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``softswitch account`` at a switch."""
    return subprocess.run(
        [SOFTSWITCH, "account", *arguments, "--config", str(folder / "softswitch.toml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def explained(folder: Path) -> str:
    """What ``softswitch explain`` says of another call of alice's: it reads what is on the disk."""
    file = str(folder / "softswitch.toml")
    command = [SOFTSWITCH, "explain", "--to", "123", "--as-user", "alice", "--config", file]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def test_a_block_outlives_the_process(tmp_path: Path):
    """Two calls are let out, though nobody is there; the third is beyond the limit, and the block
    is written within a second or so. The next process blocks from its beginning on; emergency
    calls go out. A lift ends it."""
    with ExitStack() as leaving:
        network = leaving.enter_context(claimed_network())
        configuration = CONFIGURATION.format(network=network)
        switch = Switch(configuration, tmp_path)
        leaving.callback(switch.kill)

        def call(number: str) -> int:
            phone = Phone("alice", f"{network}.2", (f"{network}.1", 5060), password="secret")
            leaving.callback(phone.close)
            return phone.ask(phone.invite(f"sip:{number}@{network}.1"))[1].status

        outside = [call(number) for number in ("123", "123", "123")]
        assert 403 not in outside[:2]
        assert outside[2] == 403
        switch.until(
            lambda: "Turned away by a limit: user alice: blocked" in explained(tmp_path), 15
        )
        switch.kill()
        switch = Switch(configuration, tmp_path)
        leaving.callback(switch.kill)
        assert call("123") == 403
        assert call("112") != 403
        listed = account(tmp_path, "list")
        assert (listed.returncode, listed.stderr) == (0, "")
        assert listed.stdout.startswith("user alice ")
        assert "per_minute 2" in listed.stdout
        lifted = account(tmp_path, "lift", "user alice")
        assert (lifted.returncode, lifted.stdout) == (0, "softswitch: user alice may call again\n")
        assert account(tmp_path, "lift", "user alice").returncode == 2
        assert call("123") != 403
        lines = [line for line in switch.log.read_text().splitlines() if "was refused" in line]
        assert len(lines) == 1
        assert switch.stop() == 0
