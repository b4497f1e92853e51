"""``softswitch trace``: what has happened in a call, as a ladder; with ``--follow`` as it grows."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from softswitch.flight.ladder import Ladder, Participant, Row
from softswitch.flight.terminal import drawn, line
from softswitch.terminal.client import ApiError, Client
from softswitch.terminal.tables import safe


def options(parser: ArgumentParser) -> None:
    """Those of the command."""
    parser.add_argument("id", help="of the call, or how it begins; Call-ID of a leg; Session-ID")
    parser.add_argument("--follow", action="store_true", help="go on until the call has ended")
    parser.add_argument("--messages", action="store_true", help="each message below its arrow")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write it as an image")
    parser.add_argument("--pcap", type=Path, metavar="FILE", help="write what Wireshark opens")


def run(client: Client, chosen: Namespace) -> int:
    """Show it, or write it.

    :raises ApiError: nothing of such a call is kept, or a file cannot be written.
    """
    path = ("calls", chosen.id)
    for file, name, kind in (
        (chosen.svg, "ladder.svg", "image/svg+xml"),
        (chosen.pcap, "ladder.pcap", "application/vnd.tcpdump.pcap"),
    ):
        if file is not None:
            data = client.text(*path, name, accept=kind)
            try:
                file.write_bytes(data)
            except OSError as error:
                raise ApiError(f"{file} cannot be written: {error.strerror}") from None
            print(f"softswitch: {file} is written")
    if chosen.svg is not None or chosen.pcap is not None:
        return 0
    console = Console(highlight=False, soft_wrap=True)
    if chosen.follow:
        return _follow(client.events(*path, "ladder", "events"), console, chosen)
    found = client.get(*path, "ladder")
    if chosen.json:
        print(json.dumps(found, indent=1))
    else:
        console.print(drawn(ladder_of(found), messages=chosen.messages))
    return 0


def _follow(events: Iterator[tuple[str, Any]], console: Console, chosen: Namespace) -> int:
    """Show what there is, then each row; who joins later has the heads written again.

    :raises ApiError: too many follow calls already, or the switch has gone.
    """
    began, columns = 0.0, 0
    ladder: Ladder | None = None
    for name, data in events:
        if chosen.json and name:
            print(json.dumps({"event": name, **data}), flush=True)
        elif name == "refused":
            raise ApiError(data["why"])
        elif name == "ladder":
            ladder = ladder_of(data)
            began = ladder.rows[0].at if ladder.rows else 0.0
            columns = len(ladder.participants)
            console.print(drawn(ladder, messages=chosen.messages), end="")
        elif name == "row" and ladder is not None:
            row, participants = _row(data["row"]), data["participants"]
            if len(participants) != columns:
                columns = len(participants)
                console.print(Text(" | ".join(safe(each["name"]) for each in participants), "bold"))
            began = began or row.at
            console.print(Text(f"{row.at - began:10.3f} ", "dim") + line(row, columns))
            if chosen.messages and row.text:
                console.print(Text(row.text, "dim"))
        if name == "ended":
            return 0
    return 0


def ladder_of(found: dict[str, Any]) -> Ladder:
    """A ladder as the API has told it, safe to be shown."""
    return Ladder(
        safe(found["id"]),
        safe(found["title"]),
        tuple(
            Participant(safe(each["name"]), safe(each["address"]), safe(each["leg"]))
            for each in found["participants"]
        ),
        tuple(map(_row, found["rows"])),
        found["dropped"],
        found["ended"],
    )


def _row(found: dict[str, Any]) -> Row:
    text = "\n".join(map(safe, found["text"].splitlines()))
    at = datetime.fromisoformat(found["at"]).timestamp()
    return Row(**{**found, "at": at, "label": safe(found["label"]), "text": text})
