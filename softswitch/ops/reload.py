"""``softswitch reload``: has the running switch take its configuration and its plug-ins anew.

The file is read here first, so that a slip in it disturbs nobody. Then the switch that runs with
its state directory gets SIGHUP, and what it makes of it is waited for and printed.
"""

import signal
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from softswitch.ops.asking import NoAnswerError, ask, told
from softswitch.ops.config import load

#: In the state directory: what came of the last reload.
OUTCOME: Final = "reload.json"


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
        outcome = ask(state, signal.SIGHUP, OUTCOME, chosen.wait)
    except NoAnswerError as trouble:
        return told(trouble, 1)
    if outcome["done"]:
        print(f"softswitch: {outcome['said']}")
        return 0
    return told(outcome["said"], 2)
