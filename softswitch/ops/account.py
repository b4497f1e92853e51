"""``softswitch account``: which accounts may call nobody over trunks; lets one call again.

The wish is written into the state directory, then the switch gets SIGUSR2, as ``softswitch ban``
does it.
"""

import signal
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from softswitch.ops.asking import NoAnswerError, ask, told
from softswitch.ops.ban import OUTCOME, leave
from softswitch.ops.config import load


def arrange(commands: Any) -> None:
    """Put the commands among the others."""
    doings = commands.add_parser("account", help="accounts that are blocked, see [fraud]")
    doings = doings.add_subparsers(required=True, metavar="DOING")
    listing = doings.add_parser("list", help="all that are blocked")
    lifting = doings.add_parser("lift", help="let one call again before its time")
    lifting.add_argument("account", help='as the list names it: "user alice", "trunk pbx"')
    for parser, doing in ((listing, "list accounts"), (lifting, "lift account")):
        parser.add_argument("--config", type=Path, help="the configuration that it runs with")
        parser.add_argument(
            "--rundir", type=Path, default=Path(), help="from where it runs, as twistd's --rundir"
        )
        parser.add_argument(
            "--wait", type=float, default=10.0, help="seconds to wait for an answer"
        )
        parser.set_defaults(run=run, doing=doing)


def run(chosen: Namespace) -> int:
    """Do what is wished for, and say what came of it.

    :returns: 0 when it is done, 1 when no switch runs or answers, 2 when nothing blocks it.
    :raises ConfigError: the configuration is wrong.
    """
    wish = {"do": chosen.doing, "account": getattr(chosen, "account", "")}
    state = load(chosen.config, chosen.rundir).state_directory
    try:
        answer = ask(state, signal.SIGUSR2, OUTCOME, chosen.wait, lambda: leave(state, wish))
    except NoAnswerError as trouble:
        return told(trouble, 1)
    if not answer["done"]:
        return told(answer["said"], 2)
    if "said" in answer:
        print(f"softswitch: {answer['said']}")
    for holder, until, why in answer.get("blocked", ()):
        print(f"{holder:<30} {max(0.0, until - time.time()):>8.0f} s  {why}")
    if not answer.get("blocked", True):
        return told("no account is blocked", 0)
    return 0
