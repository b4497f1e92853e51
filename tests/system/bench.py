"""What a call and a registration cost the switch, beside Sippy B2BUA or an older revision of
itself, and what rate it holds.

Run by ``scripts/bench``. SIPp calls and is called on loopback, without media. The two switches run
side by side and are measured in turn, several rounds, so that what else the machine does meets
both; the median of the rounds' ratios counts. CPU time is the process's own, user and system, out
of /proc. Ours, old or new, includes what it spends on old calls while the others are measured, but
not what a switch at rest uses in that time.

With ``--against REVISION`` the other one is this project as it was then, checked out for the time
being in a temporary folder. The configuration has only what the first real call knew (dfa401e).
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from math import inf
from pathlib import Path
from statistics import median
from time import monotonic

import bench_auth
import bench_overload
import bench_parse
import bench_rates
import bench_relay
import bench_scrape
import bench_slow
from phones import claimed_network
from processes import Process, Sipp, Switch, is_bound

#: Who is there -> the last number of his address.
HOSTS = {"softswitch": 1, "sippy": 2, "caller": 3, "callee": 4, "older": 5}
HOSTS |= {"no flight": 6, "no records": 7, "no metrics": 8, "bare": 9}

#: A switch without a feature -> what its configuration says otherwise: of [switch], and in tables
#: of their own.
WITHOUT = {
    "no flight": ("session_id = false\n", "[flight]\nrecorder = false\n"),
    "no records": ("", '[records]\nstore = ""\npath = ""\n'),
    "no metrics": ("", "[metrics]\nenabled = false\n"),
}
WITHOUT["bare"] = ("session_id = false\n", "".join(tables for _, tables in WITHOUT.values()))

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "@here@"

[trunks.caller]
addresses = ["@caller@"]

[trunks.callee]
addresses = ["@callee@"]

[users.phone]
password = "bench-password"

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = ".*"
trunk = "callee"

[media]
engine = "bypass"
"""

#: Whose CPU time per call may be how much of whose: a third of Sippy's and a tenth more than the
#: first real call, be it with recorder, records and metrics, which neither has; each of these adds
#: a tenth at most, and all of them a quarter.
GREATEST = {
    (own, other): limit
    for own in ("softswitch", "bare")
    for other, limit in (("sippy", 1 / 3), ("older", 1.1))
} | {
    ("softswitch", "no flight"): 1.1,
    ("softswitch", "no records"): 1.1,
    ("softswitch", "no metrics"): 1.1,
    ("softswitch", "bare"): 1.25,
}
GREATEST_RETRANSMISSION = 0.001
#: Seconds after which a call has left nothing behind.
QUIET = 40
#: Seconds for which it is seen what the contenders use at rest.
REST = 20


class Account:
    """What the calls of a contender cost it.

    :ivar spent: seconds of CPU time for each run.
    :ivar idle: CPU time per second at rest; to be measured before the first run.
    """

    def __init__(self, process: Process) -> None:
        self.spent: list[float] = []
        self.idle = 0.0
        self._process = process
        self._rests()

    def _rests(self) -> None:
        self._since = monotonic(), self._process.cpu_seconds()

    def _rest(self) -> tuple[float, float]:
        """Seconds, and CPU time, since it began to rest."""
        return monotonic() - self._since[0], self._process.cpu_seconds() - self._since[1]

    def has_rested(self) -> None:
        """Nobody has called yet."""
        seconds, cpu = self._rest()
        self.idle = cpu / seconds

    def has_finished(self) -> None:
        """What it has done since the last run, and would not have done without, belongs to it."""
        seconds, cpu = self._rest()
        self.spent[-1] += max(0.0, cpu - self.idle * seconds)

    def has_run(self, play: Callable[[], None]) -> None:
        """Measure a run."""
        before = self._process.cpu_seconds()
        play()
        self._process.pause(0.5)
        self.spent.append(self._process.cpu_seconds() - before)
        self._rests()


class Failed(Exception):
    """A figure that is not what it ought to be, or a run that went wrong."""


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """A folder with the project as it was at a revision, which is gone afterwards.

    :raises Failed: there is no such revision.
    """
    git = ["git", "-C", str(Path(__file__).parent), "worktree"]
    with tempfile.TemporaryDirectory(prefix="softswitch-older-") as place:
        tree = Path(place, "tree")
        command = [*git, "add", "--quiet", "--detach", str(tree), revision]
        try:
            if subprocess.run(command, check=False).returncode:
                raise Failed(f"{revision} cannot be checked out")
            yield tree
        finally:
            if tree.exists():
                subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def run_from(tree: Path) -> dict[str, str]:
    """The environment in which a program runs the code of a folder, and has its plug-ins.

    :raises Failed: it would run other code.
    """
    environment = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    module = "import softswitch.ops.service as s, twisted.plugins.softswitch_plugin as p"
    command = [sys.executable, "-c", f"{module}; print(s.__file__); print(p.__file__)"]
    found = subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, check=True
    )
    if not all(Path(line).is_relative_to(tree) for line in found.stdout.splitlines()):
        raise Failed(f"the older revision would run {found.stdout}")
    return environment


def start(
    name: str, network: str, folder: Path, cores: str = "", tree: Path | None = None
) -> Process:
    """Start a contender; it listens when this returns.

    :param network: the first three numbers of everybody's address.
    :param tree: where the older revision lies.
    """
    address, caller, callee = (f"{network}.{HOSTS[who]}" for who in (name, "caller", "callee"))
    if name != "sippy":
        configuration = CONFIGURATION
        for word, value in (("here", address), ("caller", caller), ("callee", callee)):
            configuration = configuration.replace(f"@{word}@", value)
        cells, tables = WITHOUT.get(name, ("", ""))
        configuration = configuration.replace("[switch]\n", f"[switch]\n{cells}") + tables
        environment = run_from(tree) if name == "older" and tree is not None else {}
        return Switch(configuration, folder / name, cores, environment)
    (folder / name).mkdir()
    command = str(Path(sys.executable).with_name("b2bua_simple"))
    sippy = Process(
        [command, "-f", "-l", address, "-p", "5060", "-n", f"{callee}:5060"],
        folder / name,
        name,
        {"SIPLOG_BEND": "none"},
    )
    sippy.until(lambda: is_bound(address, 5060, "udp"), 15)
    return sippy


class Run:
    """SIPp at both ends of a contender, for one stretch of calls or registrations.

    :ivar counts: of caller and callee together, by SIPp's names.
    """

    def __init__(self, folder: Path, name: str, network: str, rate: int, seconds: int) -> None:
        self._folder = folder
        self._name = name
        self._network = network
        self._rate = rate
        self._seconds = seconds
        self.number = rate * seconds
        self.counts: dict[str, int] = {}

    def calls(self) -> None:
        """Basic calls: INVITE, 100, 180, 200, ACK, BYE, 200."""
        self._play("basic_caller", "basic_callee")

    def registrations(self) -> None:
        """REGISTER, 401, REGISTER with credentials, 200; a proxy needs a registrar behind it."""
        credentials = ("-s", "phone", "-ap", "bench-password")
        behind = "registrar_challenges" if self._name == "sippy" else ""
        self._play("phone_registers", behind, *credentials)

    def _play(self, caller: str, callee: str, *extra: str) -> None:
        limits = ("-timeout", f"{self._seconds + 60}", "-timeout_error", "-buff_size", "1048576")
        peers = []
        here = {who: f"{self._network}.{host}" for who, host in HOSTS.items()}
        try:
            if callee:
                peers.append(
                    Sipp(callee, self._folder, here["callee"], calls=self.number, extra=limits),
                )
            pace = ("-r", str(self._rate), "-l", str(self.number))
            peers.append(
                Sipp(
                    caller,
                    self._folder,
                    here["caller"],
                    f"{here[self._name]}:5060",
                    calls=self.number,
                    extra=(*limits, *pace, *extra),
                )
            )
            for peer in reversed(peers):
                peer.wait(self._seconds + 70)
                for name, value in peer.counts().items():
                    self.counts[name] = self.counts.get(name, 0) + value
        finally:
            for peer in peers:
                peer.kill()


def compare(
    what: str,
    play: Callable[[Run], None],
    names: list[str],
    folder: Path,
    wish: argparse.Namespace,
    tree: Path | None,
) -> dict[str, list[float]]:
    """Microseconds of CPU time per call or registration in each round, a line per contender.

    :raises Failed: a call failed.
    """
    contenders: dict[str, Process] = {}
    accounts: dict[str, Account] = {}
    try:
        for name in names:
            contenders[name] = start(name, wish.network, folder, tree=tree)
            accounts[name] = Account(contenders[name])
        for contender in contenders.values():
            contender.pause(REST / len(contenders))
        for account in accounts.values():
            account.has_rested()
        ours = [account for name, account in accounts.items() if name != "sippy"]
        for _ in range(wish.rounds):
            for name, account in accounts.items():
                if account in ours and account.spent:
                    account.has_finished()
                run = Run(folder, name, wish.network, wish.rate, wish.seconds)
                account.has_run(partial(play, run))
                if run.counts["FailedCall"]:
                    raise Failed(f"{name}: {run.counts['FailedCall']} of {run.number} failed")
        for contender in contenders.values():
            contender.pause(QUIET / len(contenders))
        for account in ours:
            account.has_finished()
    finally:
        for contender in contenders.values():
            contender.kill()
    calls = wish.rate * wish.seconds
    result = {}
    for name, account in accounts.items():
        result[name] = found = [each / calls * 1e6 for each in account.spent]
        rounds = " ".join(f"{each:.0f}" for each in found)
        print(
            f"{name:<12}{median(found):>7.0f} µs of CPU per {what} at {wish.rate}/s   "
            f"(rounds: {rounds}; at rest {account.idle * 1e3:.1f} ms a second)"
        )
    return result


def judge(part: str, result: dict[str, list[float]]) -> None:
    """Print the ratio of ours to another one's, the median of the rounds' own.

    :raises Failed: calls cost too much.
    """
    missed = []
    for own, other in combinations(result, 2):
        if own not in ("softswitch", "bare"):
            continue
        ratio = median(
            ours / theirs for ours, theirs in zip(result[own], result[other], strict=True)
        )
        print(f"{own} takes {ratio:.3f} of {other}")
        limit = GREATEST.get((own, other), inf) if part != "registrations" else inf
        if ratio > limit:
            missed.append(f"{own} takes more than {limit:.2f} of {other}'s CPU time per call")
    if missed:
        raise Failed("; ".join(missed))


def hold(folder: Path, wish: argparse.Namespace) -> None:
    """Hold a high rate on one core, then look whether anything is left.

    :raises Failed: a call failed, too much was sent twice, or something is left open.
    """
    switch = start("softswitch", wish.network, folder, cores="0")
    assert isinstance(switch, Switch)
    try:
        run = Run(folder, "softswitch", wish.network, wish.hold_rate, wish.hold_seconds)
        before = switch.cpu_seconds()
        run.calls()
        spent = (switch.cpu_seconds() - before) / run.number * 1e6
        failed = run.counts["FailedCall"]
        retransmitted = run.counts["Retransmissions"] / run.number
        print(
            f"held {wish.hold_rate} calls/s on one core for {wish.hold_seconds} s: "
            f"{failed} of {run.number} calls failed, {retransmitted:.3%} retransmissions per call, "
            f"{spent:.0f} µs of CPU per call"
        )
        switch.pause(QUIET)
        stats = switch.stats()
        print(f"{QUIET} s later: {stats}")
        if failed or retransmitted >= GREATEST_RETRANSMISSION:
            raise Failed("the rate was not held")
        if stats["scopes_open"] or stats["leaks"]:
            raise Failed("something is left of the calls")
    finally:
        switch.kill()


def main() -> int:
    """Do what the command line asks; 1 when a figure is not what it ought to be."""
    parser = argparse.ArgumentParser("scripts/bench", description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "parts",
        nargs="*",
        help="calls, registrations, features, hold, overload, rates, relay, parse, auth, scrape, "
        "slow; or all",
    )
    parser.add_argument("--only", choices=("softswitch", "sippy"), help="measure this one alone")
    parser.add_argument(
        "--against",
        metavar="REVISION",
        help="instead of Sippy, this project as it was then (dfa401e is the first real call): "
        "the basic call may cost a tenth more, and without parts only that is measured",
    )
    parser.add_argument("--rate", type=int, default=100, help="calls or registrations per second")
    parser.add_argument("--seconds", type=int, default=5, help="of a round")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--hold-rate", type=int, default=600, help="calls per second to be held")
    parser.add_argument("--hold-seconds", type=int, default=20)
    parser.add_argument("--overload-seconds", type=int, default=60, help="at twice the peak")
    parser.add_argument("--transport", choices=("udp", "tcp"), help="overload over this one alone")
    wish = parser.parse_args()
    # So that what was begun is ended, and what was checked out goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    names = [wish.only] if wish.only else ["softswitch", "bare", "sippy"]
    every = ["calls", "registrations", "features", "hold", "overload", "rates", "relay", "parse"]
    every += ["auth", "scrape", "slow"]
    parts = wish.parts or every
    with claimed_network() as wish.network:
        if not wish.against:
            return play_all(parts, names, wish)
        try:
            with checked_out(wish.against) as tree:
                names = ["softswitch", "bare", "older"]
                return play_all(wish.parts or ["calls"], names, wish, tree)
        except Failed as error:
            print(f"MISSED {error}")
            return 1


def play_all(
    parts: list[str], names: list[str], wish: argparse.Namespace, tree: Path | None = None
) -> int:
    """Measure part by part; 1 when a figure is not what it ought to be."""
    missed = []
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="softswitch-bench-") as place:
            try:
                if part == "hold":
                    hold(Path(place), wish)
                    continue
                if part == "relay":
                    missed += bench_relay.measure(Path(place), wish.network)
                    continue
                if part == "auth":
                    missed += bench_auth.measure()
                    continue
                if part == "scrape":
                    missed += bench_scrape.measure()
                    continue
                if part == "slow":
                    missed += bench_slow.measure(Path(place), wish.network)
                    continue
                if part == "parse":
                    missed += bench_parse.measure()
                    continue
                if part == "overload":
                    for transport in [wish.transport] if wish.transport else ["udp", "tcp"]:
                        there = Path(place, transport)
                        seconds = wish.overload_seconds
                        missed += bench_overload.measure(there, wish.network, transport, seconds)
                    continue
                if part == "rates":
                    missed += bench_rates.measure(Path(place), wish.network)
                    continue
                if part == "features":
                    both = ["softswitch", *WITHOUT]
                    judge(part, compare("call", Run.calls, both, Path(place), wish, None))
                    continue
                play = {"calls": Run.calls, "registrations": Run.registrations}[part]
                what = part.removesuffix("s")
                judge(part, compare(what, play, names, Path(place), wish, tree))
            except (
                Failed,
                bench_relay.Failed,
                RuntimeError,
                TimeoutError,
            ) as error:
                missed.append(f"{part}: {error}")
                print(f"MISSED {missed[-1]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
