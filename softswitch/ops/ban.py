"""``softswitch ban``: who is banned; bans somebody, or lifts a ban, in the running switch.

The wish is written into the state directory, then the switch gets SIGUSR2. Where none runs,
``list`` shows the bans that the next one will take over.
"""

import json
import signal
import time
from argparse import Namespace
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Any, Final

from softswitch.ops.asking import NoAnswerError, ask, told
from softswitch.ops.config import load
from softswitch.ops.pidfile import NAME
from softswitch.ops.values import read_network
from softswitch.ops.whole import write_whole

#: In the state directory: what is wished for, what came of it, and all bans as plain data.
WISH: Final = "ban.wish"
OUTCOME: Final = "ban.json"
BANS: Final = "bans.json"


def arrange(commands: Any) -> None:
    """Put the commands among the others."""
    doings = commands.add_parser("ban", help="addresses and networks that are banned")
    doings = doings.add_subparsers(required=True, metavar="DOING")
    listing = doings.add_parser("list", help="all bans, the latest first")
    banning = doings.add_parser("add", help="ban an address or a network")
    lifting = doings.add_parser("lift", help="end a ban before its time")
    for parser in (banning, lifting):
        parser.add_argument("network", help="192.0.2.1, 192.0.2.0/24, 2001:db8::/64")
    banning.add_argument("--seconds", type=float, help="for how long; for ever without it")
    banning.add_argument("--force", action="store_true", help="however many that are")
    banning.add_argument("--why", default="by hand", help="a few words for the list and the log")
    for parser, doing in ((listing, "list"), (banning, "add"), (lifting, "lift")):
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

    :returns: 0 when it is done, 1 when no switch runs or answers, 2 when it makes no sense.
    :raises ConfigError: the configuration is wrong.
    """
    wish: dict[str, Any] = {"do": chosen.doing}
    if chosen.doing != "list":
        try:
            wish["network"] = str(read_network(chosen.network))
        except ValueError as error:
            return told(error, 2)
    if chosen.doing == "add":
        if chosen.seconds is not None and not chosen.seconds > 0:
            return told("more than 0 seconds are wanted", 2)
        if is_everybody(wish["network"]) and not chosen.force:
            return told(
                f"{wish['network']} is nearly everybody, or this machine: ban it with --force", 2
            )
        wish |= {"seconds": chosen.seconds, "why": " ".join(chosen.why.split())}
    state = load(chosen.config, chosen.rundir).state_directory
    try:
        answer = ask(state, signal.SIGUSR2, OUTCOME, chosen.wait, lambda: leave(state, wish))
    except NoAnswerError as trouble:
        if chosen.doing != "list":
            return told(trouble, 1)
        try:
            answer = {"done": True, **json.loads((state / BANS).read_bytes())}
        except (OSError, ValueError):
            return told(trouble, 1)
    if not answer["done"]:
        return told(answer["said"], 2)
    if chosen.doing != "list":
        print(f"softswitch: {answer['said']}")
    for ban in answer.get("bans", ()):
        print(_line(ban))
    if not answer.get("bans", True):
        return told("nobody is banned", 0)
    return 0


def leave(state: Path, wish: dict[str, Any]) -> None:
    """Leave a wish where the switch finds it, for the user whose it is.

    :raises OSError: it cannot be written.
    """
    write_whole(state / WISH, wish, like=state / NAME)


def is_everybody(network: str) -> bool:
    """Whether a network is so wide that hardly anybody means to ban it: all that this machine calls
    itself, or more than a 256th of all addresses."""
    found = ip_network(network)
    if found.version == 4:
        return found.prefixlen < 8 or str(found) == "127.0.0.0/8"
    return found.prefixlen < 8 or (found.prefixlen < 128 and IPv6Address("::1") in found)


def _line(ban: dict[str, Any]) -> str:
    """A ban as a line of the list."""
    until = ban["until"]
    left = "for ever" if until is None else f"{max(0.0, until - time.time()):.0f} s"
    proven = "" if ban["proven"] else ", source unproven"
    return f"{ban['network']:<20} {left:>10}  {ban['why']} (by {ban['by']}{proven})"
