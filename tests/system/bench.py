"""What a call and a registration cost the switch, beside Sippy B2BUA, and what rate it holds.

Run by ``scripts/bench``. SIPp calls and is called on loopback, without media. The two switches run
side by side and are measured in turn, several rounds, so that what else the machine does meets
both; of the rounds the median counts. CPU time is the process's own, user and system, out of
/proc. Ours includes what it spends on old calls while the other is measured.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from processes import Process, Sipp, Switch, is_bound

NETWORK = "127.66.200"
CALLER, CALLEE = f"{NETWORK}.3", f"{NETWORK}.4"
#: Name of each contender -> its address.
ADDRESSES = {"softswitch": f"{NETWORK}.1", "sippy": f"{NETWORK}.2"}

CONFIGURATION = f"""
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{ADDRESSES["softswitch"]}"

[trunks.caller]
addresses = ["{CALLER}"]

[trunks.callee]
addresses = ["{CALLEE}"]

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

#: What the issue of the first call asks for.
GREATEST_RATIO = 1 / 3
GREATEST_RETRANSMISSION = 0.001
#: Seconds after which a call has left nothing behind.
QUIET = 40


class Failed(Exception):
    """A figure that is not what it ought to be, or a run that went wrong."""


def start(name: str, folder: Path, cores: str = "") -> Process:
    """Start a contender; it listens when this returns."""
    if name == "softswitch":
        return Switch(CONFIGURATION, folder / name, cores)
    (folder / name).mkdir()
    command = str(Path(sys.executable).with_name("b2bua_simple"))
    address = ADDRESSES[name]
    sippy = Process(
        [command, "-f", "-l", address, "-p", "5060", "-n", f"{CALLEE}:5060"],
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

    def __init__(self, folder: Path, name: str, rate: int, seconds: int) -> None:
        self._folder = folder
        self._there = f"{ADDRESSES[name]}:5060"
        self._rate = rate
        self._seconds = seconds
        self.number = rate * seconds
        self.counts: dict[str, int] = {}

    def calls(self) -> None:
        """Basic calls: INVITE, 100, 180, 200, ACK, BYE, 200."""
        self._play("basic_caller", "basic_callee")

    def registrations(self) -> None:
        """REGISTER, 401, REGISTER with credentials, 200; a proxy needs a registrar behind it."""
        ours = self._there.startswith(ADDRESSES["softswitch"])
        credentials = ("-s", "phone", "-ap", "bench-password")
        self._play("phone_registers", "" if ours else "registrar_challenges", *credentials)

    def _play(self, caller: str, callee: str, *extra: str) -> None:
        limits = ("-timeout", f"{self._seconds + 60}", "-timeout_error", "-buff_size", "1048576")
        peers = []
        try:
            if callee:
                peers.append(
                    Sipp(callee, self._folder, CALLEE, calls=self.number, extra=limits),
                )
            pace = ("-r", str(self._rate), "-l", str(self.number))
            peers.append(
                Sipp(
                    caller,
                    self._folder,
                    CALLER,
                    self._there,
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
    what: str, play: Callable[[Run], None], names: list[str], folder: Path, wish: argparse.Namespace
) -> dict[str, float]:
    """Microseconds of CPU time per call or registration, a line per contender.

    :raises Failed: a call failed.
    """
    contenders = {name: start(name, folder) for name in names}
    spent: dict[str, list[float]] = {name: [] for name in names}
    begun: dict[str, float] = {}
    try:
        for _ in range(wish.rounds):
            for name, contender in contenders.items():
                run = Run(folder, name, wish.rate, wish.seconds)
                before = contender.cpu_seconds()
                if name == "softswitch" and name in begun:
                    spent[name].append((before - begun[name]) / run.number)
                begun[name] = before
                play(run)
                contender.pause(0.5)
                if run.counts["FailedCall"]:
                    raise Failed(f"{name}: {run.counts['FailedCall']} of {run.number} failed")
                if name != "softswitch":
                    spent[name].append((contender.cpu_seconds() - before) / run.number)
        if "softswitch" in contenders:
            switch = contenders["softswitch"]
            switch.pause(QUIET)
            total = (switch.cpu_seconds() - begun["softswitch"]) / (wish.rate * wish.seconds)
            spent["softswitch"].append(total)
    finally:
        for contender in contenders.values():
            contender.kill()
    result = {name: median(values) * 1e6 for name, values in spent.items()}
    for name, value in result.items():
        rounds = " ".join(f"{each * 1e6:.0f}" for each in spent[name])
        print(f"{name:<12}{value:>7.0f} µs of CPU per {what} at {wish.rate}/s   (rounds: {rounds})")
    if len(result) == 2:
        print(f"{'ratio':<12}{result['softswitch'] / result['sippy']:>7.3f}")
    return result


def hold(folder: Path, wish: argparse.Namespace) -> None:
    """Hold a high rate on one core, then look whether anything is left.

    :raises Failed: a call failed, too much was sent twice, or something is left open.
    """
    switch = start("softswitch", folder, cores="0")
    assert isinstance(switch, Switch)
    try:
        run = Run(folder, "softswitch", wish.hold_rate, wish.hold_seconds)
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
    parser = argparse.ArgumentParser("scripts/bench", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help="calls, registrations, hold; all without any")
    parser.add_argument("--only", choices=ADDRESSES, help="measure this one alone")
    parser.add_argument("--rate", type=int, default=100, help="calls or registrations per second")
    parser.add_argument("--seconds", type=int, default=10, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hold-rate", type=int, default=600, help="calls per second to be held")
    parser.add_argument("--hold-seconds", type=int, default=20)
    wish = parser.parse_args()
    parts = wish.parts or ["calls", "registrations", "hold"]
    names = [wish.only] if wish.only else list(ADDRESSES)
    missed = []
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="softswitch-bench-") as place:
            try:
                if part == "hold":
                    hold(Path(place), wish)
                    continue
                play = {"calls": Run.calls, "registrations": Run.registrations}[part]
                result = compare(part.removesuffix("s"), play, names, Path(place), wish)
                ours, theirs = result.get("softswitch"), result.get("sippy")
                if part == "calls" and ours and theirs and ours > theirs * GREATEST_RATIO:
                    raise Failed("more than a third of Sippy's CPU time per call")
            except (Failed, RuntimeError, TimeoutError) as error:
                missed.append(f"{part}: {error}")
                print(f"MISSED {missed[-1]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
