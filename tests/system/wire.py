"""Mutated messages at a running switch, over UDP and TCP, beside good calls.

Strangers send them, and whoever has a trunk's address; SIPp calls and is called meanwhile, ten
times a second. Every good call must succeed, the switch must lose nothing, and must have caught no
exception.
"""

import random
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))

from hostile import corpus
from phones import claimed_network
from processes import Sipp, Switch

from softswitch.testing.mutation import Mutator

#: Good calls per second.
RATE = 10
#: Seconds after which a call has left nothing behind.
QUIET = 40
#: Messages that a connection carries at most before it is closed.
PER_CONNECTION = 50

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1
try_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "tcp"
bind = "{network}.1"

{door}

[users.phone]
password = "wire-password"

[trunks.caller]
addresses = ["{network}.3"]

[trunks.callee]
addresses = ["{network}.4"]

[trunks.sink]
addresses = ["{network}.5"]

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "service"
trunk = "callee"

[[policy.rules]]
match = ".*"
trunk = "sink"

[media]
engine = "bypass"
"""


def play(folder: Path, messages: int, seconds: int, seed: int, bans: bool) -> list[str]:
    """Send so many mutated messages within so many seconds.

    :param bans: whether the door bans who sends them.
    :returns: what did not hold, a sentence each.
    """
    with claimed_network() as network, ExitStack() as stack:
        door = "" if bans else f'[door]\ntrusted = ["{network}.0/24"]'
        switch = Switch(CONFIGURATION.format(network=network, door=door), folder)
        stack.callback(switch.kill)
        calls = RATE * seconds
        limits = ("-timeout", f"{seconds + 90}", "-timeout_error")
        callee = Sipp("basic_callee", folder, f"{network}.4", calls=calls, extra=limits)
        stack.callback(callee.kill)
        pace = ("-r", str(RATE), "-l", str(calls))
        caller = Sipp(
            "basic_caller",
            folder,
            f"{network}.3",
            f"{network}.1:5060",
            calls=calls,
            extra=(*limits, *pace),
        )
        stack.callback(caller.kill)
        storm(network, messages, seconds, seed)
        faults = []
        for peer in (caller, callee):
            peer.wait(seconds + 100)
            failed = peer.counts()["FailedCall"]
            if failed:
                faults.append(f"{failed} of {calls} good calls failed: {peer.tail()[:600]}")
        switch.pause(QUIET)
        faults += _judge(switch.stats(), switch, bans)
    return faults


def storm(network: str, messages: int, seconds: int, seed: int) -> None:
    """Send them, evenly; half over UDP, half over TCP."""
    chance = random.Random(seed)
    mutator = Mutator(chance, corpus())
    there = (f"{network}.1", 5060)
    hosts = [*(f"{network}.{number}" for number in range(100, 120)), f"{network}.3"]
    with ExitStack() as stack:
        mouths = {}
        for host in hosts:
            mouths[host] = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            mouths[host].setblocking(False)
            mouths[host].bind((host, 5070))
        begun, connection, carried = time.monotonic(), None, 0
        for number in range(messages):
            host = chance.choice(hosts)
            data = mutator.mutate(chance.choice(corpus()))
            # What would have the switch send elsewhere than back to us is no part of this.
            if b"maddr" in data or data.startswith((b"SUBSCRIBE", b"REFER")):
                data = b"OPTIONS sip:x SIP/2.0\r\n" + data.partition(b"\r\n")[2]
            if number % 2:
                with suppress(OSError):
                    mouths[host].sendto(data[:60_000], there)
            else:
                if connection is None or carried == PER_CONNECTION:
                    connection, carried = _connected(stack, host, there), 0
                carried += 1
                try:
                    connection.sendall(data)
                    with suppress(BlockingIOError):
                        connection.recv(65536)
                except OSError:  # the switch has had enough
                    connection = None
            late = begun + number * seconds / messages - time.monotonic()
            if late > 0.02:
                time.sleep(late)


def _connected(stack: ExitStack, host: str, there: tuple[str, int]) -> socket.socket:
    made = stack.enter_context(socket.socket())
    made.settimeout(2)
    made.bind((host, 0))
    with suppress(OSError):  # banned
        made.connect(there)
    made.setblocking(False)
    return made


def _judge(stats: dict[str, Any], switch: Switch, bans: bool) -> list[str]:
    """What is left, and what the log says."""
    faults = []
    for what in ("calls", "dialogs", "transactions", "scopes_open", "leaks"):
        if stats[what]:
            faults.append(f"{what} is {stats[what]}, not 0")
    if switch.stop() != 0:
        faults.append("the switch did not end with status 0")
    log = switch.log.read_text("utf-8", "replace")
    if "Traceback" in log or "a message or timer failed" in log:
        faults.append(f"the log is not clean: {log[-3000:]}")
    if bans and "ban" not in log.lower():
        faults.append("nobody was banned")
    return faults
