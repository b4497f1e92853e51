"""A running switch whose machine has its clock set."""

from pathlib import Path

import pytest
from phones import PASSWORD, Phone, claimed_network
from processes import Switch

CONFIG = """
[switch]
state_directory = "@state@"
ring_seconds = 1

[[listen]]
transport = "udp"
bind = "{host}"

[users]
alice = {{ password = "{password}" }}
bob = {{ password = "{password}" }}

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"
"""

#: Has the clock set by so many seconds once a file is there.
SITE = """
import os, time
from time import time as real
time.time = lambda: real() + ({seconds} if os.path.exists("set") else 0)
"""


@pytest.mark.parametrize("seconds", [-3600, 1800])
def test_a_clock_that_is_set(tmp_path: Path, seconds: int):
    """While a phone rings: its time is over when it would have been, the next call
    rings, and the switch stops in order. A clock that is set back would have stopped all timers for
    an hour, and a UDP port that gathers datagrams with them."""
    (tmp_path / "sitecustomize.py").write_text(SITE.format(seconds=seconds))
    with claimed_network() as network:
        host = f"{network}.1"
        text = CONFIG.format(host=host, password=PASSWORD)
        switch = Switch(text, tmp_path, environment={"PYTHONPATH": str(tmp_path)})
        alice, bob = (Phone(name, f"{network}.9", (host, 5060)) for name in ("alice", "bob"))
        try:
            assert bob.register(expires=7200).status == 200
            for _ in range(2):
                alice.call(f"sip:bob@{host}")
                bob.answer(bob.request_received("INVITE"), 180)
                alice.response_received(180)
                (tmp_path / "set").touch()
                bob.answer(bob.request_received("CANCEL"), 200)
                assert alice.receive().status == 480
            assert switch.stop() == 0
        finally:
            switch.kill()
            alice.close()
            bob.close()
