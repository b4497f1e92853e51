"""A real PBX behind the switch, and carriers before it that fail while calls are made."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kamailio import Kamailio
from phones import Phone, claimed_network, talk
from processes import Sipp, Switch

pytestmark = pytest.mark.peer("sipp", "kamailio")

TRY_SECONDS = 1.0
#: By how much a silent carrier may delay a call beyond that (issue 4).
GRACE = 0.5

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.pbx]
addresses = ["{network}.5"]
try_seconds = 0.5
[trunks.pbx.health]
check_seconds = 0.5
fail_after = 2

[trunks.carriers]
addresses = ["{network}.3", "{network}.4"]
select = "round-robin"
try_seconds = {try_seconds}
[trunks.carriers.health]
hold_seconds = 1

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "0.*"
trunk = "carriers"

[[policy.rules]]
match = "2.*"
trunk = "pbx"

[media]
engine = "bypass"
"""


class World:
    """The switch at ``.1``, with the PBX at ``.5`` on one side and carriers at ``.3`` and ``.4`` on
    the other."""

    def __init__(self, folder: Path, network: str, leaving: ExitStack) -> None:
        self.folder = folder
        self.network = network
        self._leaving = leaving
        configuration = CONFIGURATION.format(network=network, try_seconds=TRY_SECONDS)
        self.switch = Switch(configuration, folder)
        leaving.callback(self.switch.kill)
        self.start_pbx()

    def start_pbx(self) -> None:
        """Have the PBX run, at first or again."""
        self.pbx = Kamailio(self.folder, f"{self.network}.5", f"{self.network}.1")
        self._leaving.callback(self.pbx.stop)

    def is_up(self, trunk: str) -> bool:
        """Whether any member of a trunk is up."""
        members = self.switch.stats()["trunks"][trunk]["members"].values()
        return any(member["up"] for member in members)

    def carrier(self, host: int) -> Sipp:
        """A carrier that takes calls."""
        carrier = Sipp("carrier_turns", self.folder, f"{self.network}.{host}", calls=100_000)
        self._leaving.callback(carrier.kill)
        return carrier

    def callers(self, *, calls: int, rate: int) -> Sipp:
        """Phones of the PBX that call outside."""
        there = f"{self.network}.5:5060"
        extra = ("-r", str(rate), "-s", "0123", "-d", "300", "-timeout", "120")
        caller = Sipp(
            "plain.caller", self.folder, f"{self.network}.2", there, calls=calls, extra=extra
        )
        self._leaving.callback(caller.kill)
        return caller

    def phone(self, name: str, host: int, at: int = 5) -> Phone:
        """One phone, which the test plays by hand."""
        phone = Phone(name, f"{self.network}.{host}", (f"{self.network}.{at}", 5060))
        self._leaving.callback(phone.close)
        return phone

    def records(self, count: int) -> list[dict[str, Any]]:
        """The call records, once there are so many."""
        return self.switch.records(count, 60)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as leaving:
        yield World(tmp_path, leaving.enter_context(claimed_network()), leaving)


def seconds(later: str, earlier: str) -> float:
    """Between two times of a record."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def test_a_call_to_a_phone_of_the_pbx(world: World):
    """The phone registers at the PBX, a carrier calls its number: the switch sends the call to the
    PBX, and that to the phone. When the PBX has gone, its checks say so, and the carrier hears at
    once that it is out of order; a PBX that is back gets calls again."""
    phone = world.phone("200", 11)
    assert phone.register().status == 200
    carrier = world.phone("carrier", 3, at=1)
    number = f"sip:200@{world.network}.1"
    talk(carrier, phone, number)
    (record,) = world.records(1)
    assert (record["status"], record["identity"]) == (200, "carriers")
    assert [attempt["trunk"] for attempt in record["attempts"]] == ["pbx"]
    assert world.is_up("pbx")
    world.pbx.stop()
    world.switch.until(lambda: not world.is_up("pbx"), 10)
    _, refusal = carrier.ask(carrier.invite(number))
    assert (refusal.status, refusal.get("Reason")) == (500, "Q.850;cause=38")
    assert world.records(2)[1]["attempts"] == []
    world.start_pbx()
    world.switch.until(lambda: world.is_up("pbx"), 10)
    assert phone.register().status == 200
    talk(carrier, phone, number)
    assert world.switch.stats()["leaks"] == 0
    assert world.switch.stop() == 0


def test_a_carrier_fails_in_the_middle_of_the_load(world: World):
    """One of two carriers turns to 503, then to a closed port, then is silent, and is back in the
    end: no call fails in any of these, and a silent carrier adds at most ``try_seconds`` and half a
    second (issue 4)."""
    first = world.carrier(3)
    world.carrier(4)
    callers = world.callers(calls=300, rate=10)
    world.records(40)
    control = world.phone("control", 12, at=3)
    assert control.ask_once(control.invite(f"sip:turn@{world.network}.3")).status == 503
    turned = len(world.records(40))
    world.records(turned + 50)
    first.kill()
    closed = len(world.records(0))
    world.records(closed + 50)
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind((f"{world.network}.3", 5060))
        muted = len(world.records(0))
        world.records(muted + 50)
    world.carrier(3)
    back = len(world.records(0))
    assert callers.wait(90) == 0, callers.tail()
    counts = callers.counts()
    assert (counts["SuccessfulCall"], counts["FailedCall"]) == (300, 0)

    records = world.records(300)
    assert {record["status"] for record in records} == {200}
    tried = [[attempt["status"] for attempt in record["attempts"]] for record in records]
    outcomes = Counter(map(tuple, tried))
    assert set(outcomes) == {(200,), (503, 200), (408, 200)}, outcomes
    delays = [
        seconds(record["attempts"][-1]["started"], record["attempts"][0]["started"])
        for record in records
    ]
    assert max(delays) <= TRY_SECONDS + GRACE
    # Most calls never meet the carrier that fails: it is left alone.
    assert outcomes[200,] > 200
    # It is back in the end.
    host = f"{world.network}.3"
    late = [record["attempts"][-1]["target"] for record in records[back:]]
    assert any(host in target for target in late)
    stats = world.switch.stats()
    assert stats["leaks"] == 0
    carriers = stats["trunks"]["carriers"]
    assert (carriers["calls_out"], carriers["total_out"]) == (0, sum(map(len, tried)))
