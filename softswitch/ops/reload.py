"""``softswitch reload``: has the running switch take its configuration and its plug-ins anew.

The file is read here first, so that a slip in it disturbs nobody. Then the switch that runs with
its state directory gets SIGHUP, and what it makes of it is waited for and printed.
"""

import fcntl
import json
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from softswitch.ops.config import load
from softswitch.ops.pidfile import NAME, holder

#: In the state directory: what came of the last reload.
OUTCOME: Final = "reload.json"

#: Seconds between two looks at the outcome.
_LOOK: Final = 0.05


def add(commands: Any) -> None:
    """Put the command among the others."""
    parser = commands.add_parser(
        "reload", help="have the running switch take its configuration and its plug-ins anew"
    )
    parser.add_argument("file", type=Path, nargs="?", help="the configuration that it runs with")
    parser.add_argument(
        "--rundir", type=Path, default=Path(), help="from where it runs, as twistd's --rundir"
    )
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for its answer")
    parser.set_defaults(run=run)


def run(chosen: Namespace) -> int:
    """Reload, and say what came of it.

    :returns: 0 when it is in force, 1 when no switch runs or answers, 2 when it was refused.
    :raises ConfigError: the file is wrong; nobody was disturbed.
    """
    state = load(chosen.file, chosen.rundir).state_directory
    try:
        with _alone(state):
            pid = holder(state / NAME)
            if pid is None:
                return _told(f"no switch runs with the state directory {state}", 1)
            before = _outcome(state)
            os.kill(pid, signal.SIGHUP)
            ends = time.monotonic() + chosen.wait
            while time.monotonic() < ends:
                outcome = _outcome(state)
                if outcome.get("at") != before.get("at"):
                    return _said(outcome)
                if holder(state / NAME) != pid:
                    return _told(f"process {pid} has ended meanwhile", 1)
                time.sleep(_LOOK)
            return _told(f"process {pid} has not answered in {chosen.wait:g} s: see its log", 1)
    except FileNotFoundError:
        return _told(f"no switch runs with the state directory {state}", 1)
    except PermissionError as error:
        return _told(f"{error.filename or f'process {pid}'} is not for us: run as its user", 1)


def _said(outcome: dict[str, Any]) -> int:
    if outcome["done"]:
        print(f"softswitch: {outcome['said']}")
        return 0
    return _told(f"{outcome['said']}; nothing has changed", 2)


def _told(trouble: str, status: int) -> int:
    print(f"softswitch: {trouble}", file=sys.stderr)
    return status


def _outcome(state: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((state / OUTCOME).read_bytes())
    except FileNotFoundError:
        return {}
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One reload after the other, so that each hears of its own."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
