"""``softswitch doctor``: what is wrong with the machine on which the switch runs, or is to run.

A line for each thing: OK, WARN or FAIL, or ? where that cannot be found out, what was found, and
what mends it. The exit status is 0
where all is well, 1 where something may do harm, 2 where something stops the switch or its calls.
"""

import json
import shutil
import subprocess
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

import attrs

from softswitch.errors import ConfigError
from softswitch.ops.config import Config, load
from softswitch.ops.examine import EXAMINATIONS, Finding, Patient
from softswitch.records import query
from softswitch.store import snapshot

#: Seconds by which the store may be ahead of the clock.
SKEW = 2.0


def add(commands: Any) -> None:
    """Put the command among the others.

    :param commands: what ``ArgumentParser.add_subparsers`` has given.
    """
    parser: ArgumentParser = commands.add_parser(
        "doctor", help="say what is wrong with the machine, and what mends it"
    )
    parser.add_argument("--config", type=Path, help="without it, the package's defaults")
    parser.add_argument("--rundir", type=Path, default=Path(), help="as twistd's")
    parser.add_argument("--calls", type=int, default=100, help="wanted at once (100)")
    parser.add_argument("--json", action="store_true", help="the same for programs")
    parser.set_defaults(run=doctor)


def doctor(chosen: Namespace) -> int:
    """Look at everything, and print what was found."""
    patient = Patient(load(chosen.config, chosen.rundir), chosen.calls)
    found = list(examined(patient))
    if chosen.json:
        print(json.dumps([attrs.asdict(each) for each in found], indent=1))
    else:
        for each in found:
            remedy = f": {each.remedy}" if each.remedy else ""
            print(f"{each.state:<5}{each.check:<9}{each.found}{remedy}")
    return status(found)


def examined(patient: Patient) -> Iterator[Finding]:
    """All that is found."""
    for examination in EXAMINATIONS:
        yield from examination(patient)
    yield synchronised(_timedatectl())
    yield from clock(patient)


def status(found: list[Finding]) -> int:
    """The exit status."""
    states = {each.state for each in found}
    return 2 if "FAIL" in states else 1 if "WARN" in states else 0


def synchronised(said: str | None) -> Finding:
    """Whether the clock is kept right.

    :param said: by ``timedatectl``: "yes" or "no"; None where nobody could be asked.
    """
    if said == "yes":
        return Finding("clock", "OK", "the clock is synchronised")
    remedy = "timedatectl set-ntp true, or run chrony: records and nonces depend on the clock"
    if said == "no":
        return Finding("clock", "WARN", "the clock is not synchronised", remedy)
    return Finding("clock", "?", "whether the clock is synchronised cannot be asked here", remedy)


def clock(patient: Patient) -> Iterator[Finding]:
    """Whether the clock has gone back since something was written down."""
    config = patient.config
    folder = config.state_directory
    try:
        newest = max(_registered(folder / config.store.path), _ended(config))
    except (ConfigError, OSError) as error:
        yield Finding("store", "FAIL", f"{error}", "move the file away, or mend it")
        return
    ahead = newest - time()
    if ahead > SKEW:
        when = datetime.fromtimestamp(newest).isoformat(" ", "seconds")
        yield Finding(
            "clock",
            "FAIL",
            f"the newest entry of the store is of {when}, {ahead:.0f} s from now",
            "set the clock: registrations will not expire in time",
        )
    elif newest:
        yield Finding("clock", "OK", "nothing in the store is from the future")


def _registered(path: Path) -> float:
    """When the newest registration was made, Unix time; 0 for none."""
    kept = snapshot.load(path) or {}
    times = [
        each.get("registered_at", 0.0)
        for bindings in kept.values()
        for each in bindings
        if isinstance(each, dict)
    ]
    return max((each for each in times if isinstance(each, int | float)), default=0.0)


def _ended(config: Config) -> float:
    """When the last call ended, Unix time; 0 for none."""
    path = config.state_directory / config.records.store
    if not config.records.store or not path.exists():
        return 0.0
    with snapshot.reading(path) as connection:
        return query.last_end(connection)


def _timedatectl() -> str | None:
    """What ``timedatectl`` says; None where there is none, or it cannot say."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout.strip()
    return said if said in ("yes", "no") else None
