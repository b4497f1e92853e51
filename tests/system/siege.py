"""A switch under attack while good calls go on: between trunks, from registered phones, and phones
that register for the first time. Short in the tests, longer in ``scripts/soak``."""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs
from phones import PASSWORD, Phone, claimed_network, talk
from processes import Process, Sipp, Switch

HERE: Final = Path(__file__).parent

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "tcp"
bind = "{network}.1"

[users]
{users}

[trunks.caller]
addresses = ["{network}.2"]

[trunks.callee]
addresses = ["{network}.3"]

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "service"
trunk = "callee"

[media]
engine = "bypass"

{further}
"""


@attrs.define
class Outcome:
    """What came of an attack.

    :ivar calls: between the trunks.
    :ivar failed: of these.
    :ivar talks: calls between registered phones, all of which were made.
    :ivar registered: phones that were never seen before, and registered.
    :ivar refused: phones that could not.
    :ivar attacker: what it said: ``sent``, ``answers``, ``last``.
    :ivar grown: bytes by which the switch's memory has grown.
    """

    calls: int = 0
    failed: int = 0
    talks: int = 0
    registered: int = 0
    refused: int = 0
    attacker: dict[str, Any] = attrs.field(factory=dict)
    grown: int = 0


class Siege:
    """A switch at ``.1`` of a network, trunks at ``.2`` and ``.3``, phones at ``.4`` and ``.5``.

    :ivar switch: the switch.
    :param phones: how many users there are whose phones have not been seen yet.
    :param further: of the configuration.
    """

    def __init__(
        self, stack: ExitStack, folder: Path, network: str, *, phones: int = 20, further: str = ""
    ) -> None:
        self._stack = stack
        self._folder = folder
        self.network = network
        names = ["alice", "bob", *(f"new{number}" for number in range(phones))]
        users = "\n".join(f'{name} = {{ password = "{PASSWORD}" }}' for name in names)
        text = CONFIGURATION.format(network=network, users=users, further=further)
        self.switch = Switch(text, folder)
        stack.callback(self.switch.kill)
        self._new = iter(names[2:])

    def phone(self, name: str, host: str) -> Phone:
        """A phone at the last number ``host``."""
        phone = Phone(name, f"{self.network}.{host}", (f"{self.network}.1", 5060))
        self._stack.callback(phone.close)
        return phone

    def memory(self) -> int:
        """Bytes that the switch has in memory."""
        status = Path(f"/proc/{self.switch.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def attacked(self, attack: Sequence[object], seconds: float, rate: int = 20) -> Outcome:
        """Good calls and phones for some seconds while somebody attacks.

        :param attack: source, how many there are, messages per second.
        """
        outcome = Outcome(calls=int(seconds * rate))
        alice, bob = self.phone("alice", "4"), self.phone("bob", "5")
        assert (alice.register().status, bob.register().status) == (200, 200)
        talk(alice, bob, f"sip:bob@{self.network}.1")
        limits = ("-timeout", str(int(seconds) + 60), "-timeout_error")
        self._sipp("basic_callee", ".3", outcome.calls, *limits)
        before = self.memory()
        source, count, per_second = attack
        command = [sys.executable, str(HERE / "attacker.py"), f"{self.network}.1", "5060"]
        attacker = Process(
            [*command, str(source), str(count), str(per_second), str(seconds)],
            self._folder,
            "attacker",
        )
        self._stack.callback(attacker.kill)
        pace = ("-r", str(rate), "-l", str(outcome.calls))
        caller = self._sipp("basic_caller", ".2", outcome.calls, *limits, *pace)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            talk(alice, bob, f"sip:bob@{self.network}.1")
            outcome.talks += 1
            name = next(self._new, "")
            if name:
                try:
                    status = self.phone(name, "40").register().status
                except TimeoutError:
                    status = 408
                outcome.registered += status == 200
                outcome.refused += status != 200
            self.switch.pause(0.2)
        caller.wait(seconds + 60)
        outcome.failed = caller.counts()["FailedCall"]
        attacker.wait(30)
        outcome.attacker = json.loads(attacker.log.read_text().splitlines()[-1])
        outcome.grown = self.memory() - before
        return outcome

    def _sipp(self, scenario: str, host: str, calls: int, *extra: str) -> Sipp:
        there = f"{self.network}.1:5060" if scenario == "basic_caller" else ""
        sipp = Sipp(scenario, self._folder, self.network + host, there, calls=calls, extra=extra)
        self._stack.callback(sipp.kill)
        return sipp


def besiege(seconds: float) -> list[str]:
    """One source at 5,000 messages per second, then 10,000 sources; what did not hold."""
    found = []
    for sources, rate, phones in ((1, 5000, 20), (10_000, 3000, 0)):
        with ExitStack() as stack:
            network = stack.enter_context(claimed_network())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            siege = Siege(stack, folder, network, phones=phones)
            outcome = siege.attacked(("127.200.0.1", sources, rate), seconds)
            print(f"{sources} sources: {outcome}")
            allowed = 0.001 if sources == 1 else 0.01
            if outcome.failed > outcome.calls * allowed or outcome.refused:
                found.append(f"good calls and phones beside {sources} sources: {outcome}")
            if sources == 1 and outcome.attacker["last"] >= 1:
                found.append(f"a flood was answered for a second: {outcome}")
            if outcome.grown >= 50 * 1024 * 1024:
                found.append(f"the memory grew: {outcome}")
    return found
