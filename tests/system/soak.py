"""A live switch under every kind of call for some minutes, then a look at what is left of them.

Run by ``scripts/soak``. The relay is on; SIPp calls and is called, over UDP and TCP, and within the
calls happens what ``flows`` has. The seed says how often each outcome comes, over which transport
to which, and how long calls last; it is printed, and given again it makes the same run. In the end
every call must have come out as its kind does, with one record for each INVITE that was admitted,
nothing left open, nothing leaked, and the memory as it was after the first quarter.

Then come random calls on a bad network, with seeds that no test has seen, strangers who spray the
ports of a relay while calls talk there (``spray``), and whatever else phones may do, lawful or not,
chosen by Hypothesis: virtual time, so that each is looked at to the end.
"""

import argparse
import json
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from math import ceil
from multiprocessing import Pool
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import attrs

sys.path.insert(0, str(Path(__file__).parent.parent / "chaos"))
sys.path.insert(0, str(Path(__file__).parent.parent / "b2bua"))

import soak_hostile
from conftest import config
from flows import FLOWS, LASTS, TIMERS
from phones import claimed_network
from processes import Sipp, Switch
from siege import besiege
from spray import Spray, faults
from test_chaos import BAD, CALLS, Director
from test_chaos_machine import LENGTH, play

from softswitch.testing import mutations
from softswitch.testing.media import CountingEngine, SlowEngine
from softswitch.testing.stage import Stage

#: New calls per second, all kinds together.
RATE = 50
#: Seconds after which a call has left nothing behind.
QUIET = 40
#: Growth of the memory after the first quarter that is taken for noise.
GREATEST_GROWTH = 0.10
#: Seconds that pass at least before the memory is what it stays: the longest timer's, and some.
SETTLED = 50
#: Seeds that are played on the loop network, each with two media engines.
ROUNDS = 10
#: Runs of random acts that a seed stands for.
ROUND = 100
#: Seconds between two looks at the memory.
PACE = 5.0


#: What phones do inside calls, but for what needs a trunk of the caller's own, or takes long.
WITHIN = {
    name: flow
    for name, flow in FLOWS.items()
    if flow.engine in ("", "relay")
    and not flow.dialog
    and name not in (*TIMERS, "wants_too_little")
}


class Callee(NamedTuple):
    """Somebody who is called; ``scenario`` "" says nothing at all."""

    scenario: str
    words: Mapping[str, object] = MappingProxyType({})
    extra: tuple[str, ...] = ()


CALLEES = {
    "answers-a": Callee("callee_answers"),
    "answers-b": Callee("callee_answers"),
    "hangs-up": Callee("callee_hangs_up"),
    "early-media": Callee("callee_plays_early_media"),
    "busy": Callee("callee_refuses", {"status": 486, "reason": "Busy Here"}),
    "overloaded": Callee("callee_refuses", {"status": 503, "reason": "Service Unavailable"}),
    "challenging": Callee("callee_refuses", {"status": 407, "reason": "Who Are You"}),
    "ringing": Callee("callee_is_cancelled", {"status": 180, "reason": "Ringing", "pause": 0}),
    "slow": Callee("callee_is_cancelled", {"status": 100, "reason": "Trying", "pause": 500}),
    "crossing": Callee("callee_answers_cancelled"),
    "repeating": Callee("callee_repeats_its_answer", extra=("-nr",)),
    "late": Callee("callee_answers_late", {"pause": 2500}),
    "silent": Callee(""),
} | {
    name if side == "callee" else f"{name}-{side}": Callee(f"{name}.{side}", {"flow": name})
    for name, flow in WITHIN.items()
    for side in flow.sides
    if side != "caller"
}


class Kind(NamedTuple):
    """A kind of call.

    :ivar scenario: of the caller.
    :ivar callees: names of those to whom it goes, one after the other; none when a rule of the
        dialplan refuses it.
    :ivar status: that the caller is told, and that stands in the record; 0 for no call at all.
    :ivar weight: how often it comes, least and most.
    :ivar lasts: seconds for which the caller stays on the line, least and most.
    :ivar user: in the configuration, who has the calls forwarded; without one a rule of the
        dialplan says where they go.
    """

    scenario: str
    callees: tuple[str, ...]
    status: int
    weight: tuple[float, float] = (1, 3)
    lasts: tuple[float, float] = (0, 0)
    user: str = ""


KINDS = {
    "hung-up-a": Kind("caller_hangs_up", ("answers-a",), 200, (6, 10), lasts=(0, 2)),
    "hung-up-b": Kind("caller_hangs_up", ("answers-b",), 200, (3, 6), lasts=(2, 20)),
    "hung-up-on": Kind("caller_is_hung_up_on", ("hangs-up",), 200, (3, 6)),
    "early-media": Kind("caller_hears_early_media", ("early-media",), 200),
    "busy": Kind("caller_is_refused", ("busy",), 486),
    "overloaded": Kind("caller_is_refused", ("overloaded",), 500),
    "challenged": Kind("caller_is_refused", ("challenging",), 403),
    "refused": Kind("caller_is_refused", (), 403),
    "no-answer": Kind("caller_is_refused", ("ringing",), 480),
    "dead": Kind("caller_is_refused", ("silent",), 500),
    "late": Kind("caller_is_refused", ("late",), 500),
    "passed-over": Kind("caller_hangs_up", ("silent", "answers-a"), 200),
    "cancelled": Kind("caller_cancels_ringing", ("ringing",), 487),
    "cancelled-early": Kind("caller_cancels_before_ringing", ("slow",), 487),
    "cancel-crosses-200": Kind("caller_cancels_ringing", ("crossing",), 487),
    "cancel-too-late": Kind("caller_cancels_too_late", ("answers-b",), 200),
    "repeated": Kind("caller_hangs_up", ("repeating",), 200, lasts=(0.5, 2)),
    "never-acknowledged": Kind("caller_never_acknowledges", ("answers-b",), 200, (0.2, 0.5)),
    "stranger": Kind("caller_is_refused", (), 0),
    "registration": Kind("phone_registers", (), 0),
} | {
    name: Kind(
        f"{name}.caller", (name,), 200, (0.4, 1), lasts=(LASTS / 1000, 5), user=WITHIN[name].user
    )
    for name in WITHIN
}

CONFIGURATION = """
[switch]
state_directory = "@state@"
try_seconds = 1
drain_seconds = 2

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "tcp"
bind = "{network}.1"

[users.phone]
password = "soak-password"

[trunks.callers]
addresses = ["{network}.2"]
networks = ["{network}.0/26"]

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "forwarding"

[[policy]]
use = "dialplan"
"""
RULE = """
[[policy.rules]]
match = "{name}"
ring_seconds = 2
"""
TRUNK = """
[trunks.{name}]
addresses = {addresses}
transport = "{transport}"
"""


@attrs.define
class Plan:
    """What the seed says of a kind.

    :ivar transport: of the caller; the callees have their own.
    :ivar calls: how many there are.
    :ivar milliseconds: for which each lasts.
    """

    transport: str
    calls: int
    milliseconds: int
    sipp: Sipp | None = None


class Soak:
    """One run.

    :ivar faults: what did not hold, a sentence each.
    """

    def __init__(self, stack: ExitStack, folder: Path, seconds: int, seed: int) -> None:
        self.faults: list[str] = []
        self._stack = stack
        self._folder = folder
        self._seconds = seconds
        self._network = stack.enter_context(claimed_network())
        chance = random.Random(seed)
        self._transports = _both(chance, list(CALLEES))
        transports = _both(chance, list(KINDS))
        weights = {name: chance.uniform(*kind.weight) for name, kind in KINDS.items()}
        share = RATE * seconds / sum(weights.values())
        self.plans = {
            name: Plan(
                transports[name],
                max(1, round(weights[name] * share)),
                round(chance.uniform(*kind.lasts) * 1000),
            )
            for name, kind in KINDS.items()
        }
        self._callees: list[Sipp] = []
        self._memory: list[float] = []

    def run(self) -> None:
        """Call for as long as was asked, wait, stop, and look at everything."""
        switch = Switch(self._configuration(), self._folder)
        self._stack.callback(switch.kill)
        self._be_called()
        idle = switch.cpu_seconds()
        self._call()
        for _ in range(round(self._seconds / PACE)):
            switch.pause(PACE)
            self._memory.append(_resident(switch.pid))
        for name, plan in self.plans.items():
            assert plan.sipp is not None
            self._ended(f"the callers of {name}", plan.sipp)
        switch.pause(QUIET)
        stats = switch.stats()
        for number, callee in enumerate(self._callees):
            callee.send_signal(signal.SIGUSR1)
            self._ended(f"callee {number}, {callee.name}", callee)
        spent = switch.cpu_seconds() - idle
        if switch.stop() != 0:
            self.faults.append("the switch did not end with status 0")
        records = [json.loads(line) for line in (switch.state / "calls.jsonl").open("rb")]
        self._judge_records(records)
        self._judge(stats, switch)
        calls = sum(plan.calls for plan in self.plans.values())
        print(f"{calls} calls and registrations, {spent / calls * 1e6:.0f} µs of CPU for each")
        print(f"{QUIET} s later: {stats}")

    def _configuration(self) -> str:
        # Rules belong to the policy that stands last.
        rules, tables = "", ""
        places = {name: kind.callees for name, kind in KINDS.items() if kind.callees}
        places |= {name: (name,) for name in CALLEES if name.endswith("-target")}
        for name, callees in places.items():
            addresses = [self._at(callee) for callee in callees]
            transport = self._transports[callees[-1]]
            tables += TRUNK.format(name=name, addresses=addresses, transport=transport)
            if name in KINDS and KINDS[name].user:
                tables += KINDS[name].user
            else:
                rules += RULE.format(name=name) + f'trunk = "{name}"\n'
        for name, kind in KINDS.items():
            if kind.status and not kind.callees:
                rules += RULE.format(name=name) + f"refuse = {kind.status}\n"
        return CONFIGURATION.format(network=self._network) + rules + tables

    def _at(self, callee: str) -> str:
        return f"{self._network}.{64 + list(CALLEES).index(callee)}"

    def _be_called(self) -> None:
        for name, (scenario, words, extra) in CALLEES.items():
            here, transport = self._at(name), self._transports[name]
            if not scenario:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    silent = self._stack.enter_context(socket.socket(type=kind))
                    silent.bind((here, 5060))
                    if kind == socket.SOCK_STREAM:
                        silent.listen()
                continue
            limits = ("-timeout", str(self._seconds + 300), "-fd", "1", *extra)
            callee = Sipp(
                scenario,
                self._folder,
                here,
                transport=transport,
                calls=10**9,
                words={**words, "switch": f"{self._network}.1"},
                extra=limits,
            )
            self._stack.callback(callee.kill)
            self._callees.append(callee)

    def _call(self) -> None:
        for number, (name, plan) in enumerate(self.plans.items()):
            kind = KINDS[name]
            host = 130 if name == "stranger" else 3 + number
            pace = ("-r", str(plan.calls), "-rp", str(self._seconds * 1000), "-l", str(plan.calls))
            who = ("-s", name) if kind.scenario != "phone_registers" else ("-s", "phone")
            plan.sipp = Sipp(
                kind.scenario,
                self._folder,
                f"{self._network}.{host}",
                f"{self._network}.1:5060",
                transport=plan.transport,
                calls=plan.calls,
                words={
                    "status": kind.status or 401,
                    "flow": name,
                    "switch": f"{self._network}.1",
                },
                extra=(
                    *pace,
                    *who,
                    "-ap",
                    "soak-password",
                    "-d",
                    str(plan.milliseconds),
                    "-timeout",
                    str(self._seconds + 120),
                    "-timeout_error",
                ),
            )
            self._stack.callback(plan.sipp.kill)

    def _ended(self, who: str, sipp: Sipp) -> None:
        """Wait for SIPp, and see that no call of it failed."""
        try:
            sipp.wait(120)
        except TimeoutError as error:
            self.faults.append(str(error))
            return
        failed = sipp.counts()["FailedCall"]
        if failed:
            self.faults.append(f"{failed} failed of {who}: {sipp.tail()[:600]}")

    def _judge_records(self, records: list[dict[str, Any]]) -> None:
        """One for each admitted INVITE, and each as its kind comes out; prints the table."""
        statuses: dict[str, Counter[int]] = {name: Counter() for name in KINDS}
        for record in records:
            statuses[record["called"].partition(":")[2].partition("@")[0]][record["status"]] += 1
        if len({record["call_id_a"] for record in records}) != len(records):
            self.faults.append("a call has two records")
        print(f"{'kind':<30}{'from':<5}{'to':<5}{'lasts':>7}{'calls':>7}  records by status")
        for name, plan in self.plans.items():
            kind = KINDS[name]
            to = self._transports[kind.callees[-1]] if kind.callees else "-"
            found = dict(statuses[name])
            print(
                f"{name:<30}{plan.transport:<5}{to:<5}{plan.milliseconds / 1000:>6.1f}s"
                f"{plan.calls:>7}  {found or '-'}"
            )
            if found != ({kind.status: plan.calls} if kind.status else {}):
                self.faults.append(f"{name}: {plan.calls} calls have the records {found}")

    def _judge(self, stats: dict[str, Any], switch: Switch) -> None:
        for what in ("calls", "dialogs", "transactions", "scopes_open", "leaks"):
            if stats[what]:
                self.faults.append(f"{what} is {stats[what]}, not 0")
        log = switch.log.read_text("utf-8", "replace")
        if "stopped, 0 leaks" not in log or "Traceback" in log:
            self.faults.append(f"the log is not clean: {log[-2000:]}")
        settled = max(len(self._memory) // 4, round(SETTLED / PACE))
        if settled >= len(self._memory):
            print(f"memory {self._memory[-1]:.1f} MiB; the run is too short to see it flat")
            return
        before, most = self._memory[settled], max(self._memory[settled:])
        growth = most / before - 1
        print(
            f"memory {before:.1f} MiB after {settled * PACE:.0f} s, at most {most:.1f} MiB from "
            f"then on: {growth:+.1%}"
        )
        if growth >= GREATEST_GROWTH:
            self.faults.append(f"the memory grew by {growth:.1%}")


def bad_network(seed: int) -> list[str]:
    """Random calls on the loop network.

    :returns: what did not hold, a sentence each; a stage prints its ladder.
    """
    faults = []
    played = 0
    for each in range(seed, seed + ROUNDS):
        for seconds in (0, 2):

            def make(clock: Any, seconds: int = seconds, each: int = each) -> Any:
                counting = CountingEngine()
                return SlowEngine(counting, clock, each) if seconds else counting

            try:
                tables = config(switch={"ring_seconds": 30})
                with Stage(tables, engine=make, seed=each, **BAD) as stage:
                    director = Director(stage, each)
                    for number in range(CALLS):
                        director.play(number)
                        stage.run(director.chance.uniform(0, 8))
                    stage.run(120)
                    played += stage.house.switch.counters["calls"]
            except AssertionError as error:
                faults.append(
                    f"the loop network with seed {each}, media engine within {seconds} s: {error}"
                )
    print(f"{played} calls on a bad network, seeds {seed} to {seed + ROUNDS - 1}")
    return faults


def _both(chance: random.Random, names: list[str]) -> dict[str, str]:
    """Name -> transport; half of them each."""
    shuffled = chance.sample(names, len(names))
    return {name: ("udp", "tcp")[place % 2] for place, name in enumerate(shuffled)}


def _resident(pid: int) -> float:
    """MiB of memory that a process has in use."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


def random_acts(acts: int, seed: int) -> list[str]:
    """Play so many acts of tests/chaos, on every processor.

    :returns: what did not hold, with the shortest acts that show it.
    """
    faults, begun = [], time.monotonic()
    seeds = range(seed, seed + ceil(acts / (ROUND * LENGTH)))
    with Pool() as pool:
        for done, fault in enumerate(pool.imap_unordered(_some_acts, seeds), 1):
            if fault:  # at once: who breaks off is to have it
                faults.append(fault)
                print(fault, flush=True)
            print(
                f"{done * ROUND * LENGTH} of {acts} acts, {time.monotonic() - begun:.0f} s, "
                f"{len(faults)} faults",
                flush=True,
            )
    return faults


def _some_acts(seed: int) -> str:
    try:
        play(ROUND, seed)
    except Exception as error:
        return f"random acts with seed {seed}: {''.join(traceback.format_exception(error))}"
    return ""


def broken_descriptions(count: int, seed: int) -> list[str]:
    """So many mutated session descriptions through relay and guard, of which nothing illegal may
    leave.

    :returns: what did not hold.
    """
    begun = time.monotonic()
    try:
        tally = mutations.play(seed, count)
    except Exception as error:
        said = "".join(traceback.format_exception(error))
        return [f"broken descriptions with seed {seed}: {said}"]
    seconds = time.monotonic() - begun
    print(
        f"{tally.sent} broken descriptions: {tally.left} left, {tally.mended} of them mended, "
        f"{tally.refused} refused, {seconds:.0f} s",
        flush=True,
    )
    return []


def _live(minutes: float, seed: int) -> list[str]:
    """The live switch, and random calls; what did not hold."""
    seconds = max(5, round(minutes * 60))
    print(f"seed {seed}: {RATE} calls per second for {seconds} s", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="softswitch-soak-") as folder,
        ExitStack() as stack,
    ):
        soak = Soak(stack, Path(folder), seconds, seed)
        try:
            soak.run()
        except (RuntimeError, TimeoutError) as error:
            soak.faults.append(str(error))
    return soak.faults + bad_network(seed)


def strangers(packets: int, seed: int) -> list[str]:
    """So many foreign packets to the ports of a hundred calls that talk.

    :returns: what did not hold.
    """
    begun = time.monotonic()
    with claimed_network() as network, ExitStack() as stack:
        sprayed = Spray(stack, network, 100, seed).play(packets)
    print(
        f"{sprayed.packets} foreign packets to 100 calls in {time.monotonic() - begun:.0f} s: "
        f"{sprayed.dropped} dropped, at most {sprayed.leaked} leaked into a stream, "
        f"{sprayed.answered} went to strangers, {sprayed.deaf} of 200 talkers missed something"
    )
    return faults(sprayed)


def main() -> int:
    """Do what the command line asks; 1 when something did not hold."""
    parser = argparse.ArgumentParser("scripts/soak", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--minutes", type=float, default=10, help="of the live switch; 0 for random acts alone"
    )
    parser.add_argument("--seed", type=int, help="without it, a new one")
    parser.add_argument(
        "--acts",
        type=int,
        default=10**6,
        help="random acts on the loop network: so many, after all else",
    )
    parser.add_argument(
        "--descriptions", type=int, default=10**5, help="broken session descriptions, last of all"
    )
    parser.add_argument(
        "--strangers",
        type=int,
        default=10**6,
        help="packets that strangers send to the ports of calls that talk",
    )
    parser.add_argument(
        "--messages", type=int, default=10**7, help="mutated messages at the whole switch"
    )
    parser.add_argument(
        "--wire", type=int, default=10**5, help="mutated messages at a running one, beside calls"
    )
    parser.add_argument("--atheris", type=int, default=10**6, help="runs of atheris; 0 for none")
    parser.add_argument(
        "--siege", type=float, default=60, help="seconds under each kind of flood; 0 for none"
    )
    wish = parser.parse_args()
    seed = random.randrange(10**6) if wish.seed is None else wish.seed
    found = _live(wish.minutes, seed) if wish.minutes else []
    found += besiege(wish.siege) if wish.siege else []
    found += strangers(wish.strangers, seed) if wish.strangers else []
    found += random_acts(wish.acts, seed) if wish.acts else []
    found += broken_descriptions(wish.descriptions, seed) if wish.descriptions else []
    if wish.wire:
        found += soak_hostile.on_the_wire(wish.wire, seed)
    if wish.atheris:
        found += soak_hostile.by_coverage(wish.atheris)
    if wish.messages:
        found += soak_hostile.at_the_switch(wish.messages, seed)
    for fault in found:
        print(f"MISSED {fault}")
    print(f"seed {seed}: {'not everything' if found else 'everything'} held")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
