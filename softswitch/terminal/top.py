"""``softswitch top``: calls, trunks and load, live, until somebody has seen enough."""

import json
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from softswitch.terminal import tables
from softswitch.terminal.client import ApiError, Client

#: Seconds between two looks, and calls that are shown.
EVERY: Final = 1.0
CALLS: Final = 40


def run(
    client: Client,
    chosen: Namespace,
    looks: int = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Show it until Ctrl-C; with ``--json`` a line for each look.

    :param looks: how many; 0 for no end.
    """
    before: dict[str, Any] = {}
    console = Console()
    with Live(console=console, screen=console.is_terminal and not chosen.json) as live:
        number = 0
        while True:
            found = look(client)
            if chosen.json:
                live.stop()
                print(json.dumps(found), flush=True)
            else:
                live.update(picture(found, before), refresh=True)
            before = found
            number += 1
            if number == looks:
                return 0
            sleep(EVERY)


def look(client: Client) -> dict[str, Any]:
    """How things are now; a switch that is being started anew is waited for.

    :raises ApiError: it refuses.
    """
    try:
        return {
            "at": time.time(),
            "health": client.get("health", "live"),
            "stats": client.get("stats"),
            "calls": client.get("calls", limit=CALLS),
            "trunks": list(client.pages("trunks", "trunks")),
        }
    except ApiError as trouble:
        if trouble.status:
            raise
        return {"at": time.time(), "trouble": str(trouble)}


def picture(found: dict[str, Any], before: dict[str, Any]) -> Group:
    """One look, and how much has happened since the one before."""
    if "trouble" in found:
        return Group(Text(tables.safe(found["trouble"]), "red"))
    health, stats = found["health"], found["stats"]
    since = found["at"] - before.get("at", found["at"])
    rate = 0.0
    if since > 0 and "stats" in before:
        begun = stats["counters"].get("calls", 0) - before["stats"]["counters"].get("calls", 0)
        rate = max(0.0, begun / since)
    head = Text.assemble(
        tables.cell(health["status"]),
        f"  softswitch {health['version']}  up {health['seconds']:.0f} s  ",
        (f"{found['calls']['total']} calls  {rate:.1f} calls/s", "bold"),
        f"  {stats['registrations']} registrations  {stats['bans']} bans",
        (f"  {stats['leaks']} leaks", "red" if stats["leaks"] else ""),
    )
    parts: list[Any] = [head, Text()]
    if found["trunks"]:
        parts += [tables.trunks(found["trunks"]), Text()]
    return Group(*parts, tables.calls(found["calls"]["calls"]))
