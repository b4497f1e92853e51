"""``softswitch cdr``: call records, looked up beside the switch, be it running or not.

``softswitch cdr`` lists them, the latest first, ``softswitch cdr show ID`` has all of one,
``softswitch cdr stats`` says per trunk and hour how calls went, ``softswitch cdr export`` writes
many into a file.
"""

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Final

import attrs
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from softswitch.errors import ConfigError
from softswitch.ops.asking import counted, told
from softswitch.ops.config import load
from softswitch.records import query
from softswitch.records.filters import WORDS, Filter, FilterError, read
from softswitch.records.lines import CsvLines, JsonLines
from softswitch.store.snapshot import reading

#: What a table of records shows of each: heading -> how it is made.
_SHOWN: Final = ("began", "from", "to", "over", "status", "rang", "talked", "hung up", "MOS", "id")


def add(commands: Any) -> None:
    """Put the command among the others.

    :param commands: what ``ArgumentParser.add_subparsers`` has given.
    """
    parser: ArgumentParser = commands.add_parser("cdr", help="call records, and how calls went")
    parser.add_argument(
        "doing",
        nargs="?",
        choices=("list", "show", "stats", "export"),
        default="list",
        help="list, which is meant without it; show ID; stats; export",
    )
    parser.add_argument("id", nargs="?", help="of the call that is to be shown, or how it begins")
    for word, meaning in WORDS.items():
        parser.add_argument(f"--{word.replace('_', '-')}", dest=word, default="", help=meaning)
    parser.add_argument("--limit", type=int, default=50, help="records of a list (50)")
    parser.add_argument("--after", default="", help="go on with a list where the last one ended")
    parser.add_argument(
        "--by",
        choices=("both", "trunk", "hour", "all"),
        default="both",
        help="statistics per trunk and hour (both), trunk, hour, or of all",
    )
    parser.add_argument("--json", action="store_true", help="for programs; export: JSON lines")
    parser.add_argument("--csv", action="store_true", help="export: CSV, as without --json")
    parser.add_argument("--to", type=Path, help="export: a new file; standard output without it")
    parser.add_argument("--config", type=Path, help="the configuration that the switch runs with")
    parser.add_argument("--rundir", type=Path, default=Path(), help="as twistd's --rundir")
    parser.set_defaults(run=run)


def run(chosen: Namespace) -> int:
    """Look up what is asked for.

    :returns: 0; 1 where a filter makes no sense, or there is no such call.
    :raises ConfigError: the configuration is wrong, or there are no records.
    """
    config = load(chosen.config, chosen.rundir)
    path = config.state_directory / config.records.store
    if not config.records.store:
        raise ConfigError(f"{config.file}: records.store", "a file is wanted: no records are kept")
    if not path.exists():
        raise ConfigError(str(path), "no call has been recorded here yet")
    if chosen.id and chosen.doing != "show":
        return told(f"{_plain(chosen.id)}: only show takes an id", 1)
    doings = {"list": _list, "show": _show, "stats": _stats, "export": _export}
    try:
        wanted = read({word: getattr(chosen, word) for word in WORDS}, time.time())
        with reading(path) as connection:
            return doings[chosen.doing](chosen, connection, wanted)
    except FilterError as error:
        word = {"cursor": "after"}.get(error.field, error.field).replace("_", "-")
        typed = _plain(chosen.id) if word == "id" else f"--{word}"
        return told(f"{typed}: {error.wanted}", 1)


def _list(chosen: Namespace, connection: Any, wanted: Filter) -> int:
    page = query.find(connection, wanted, chosen.limit, chosen.after)
    if chosen.json:
        for record in page.records:
            print(json.dumps(record))
    else:
        table = _table(*_SHOWN)
        for record in page.records:
            table.add_row(*_row(record))
        _print(table)
    if page.next:
        print(f"there are more: --after {page.next}", file=sys.stderr)
    return 0


def _show(chosen: Namespace, connection: Any, wanted: Filter) -> int:
    if not chosen.id:
        return told("which one? `softswitch cdr show ID`; `softswitch cdr` lists them", 1)
    record = query.show(connection, chosen.id)
    if record is None:
        return told(f"no call that has ended has an id that begins {_plain(chosen.id)}", 1)
    print(json.dumps(record, indent=None if chosen.json else 1))
    return 0


def _stats(chosen: Namespace, connection: Any, wanted: Filter) -> int:
    by_trunk, by_hour = chosen.by in ("both", "trunk"), chosen.by in ("both", "hour")
    stats = query.stats(connection, wanted, by_trunk=by_trunk, by_hour=by_hour)
    if chosen.json:
        for stat in stats:
            print(json.dumps(attrs.asdict(stat)))
        return 0
    table = _table("hour", "trunk", "way", "calls", "answered", "ASR", "ACD", "PDD", "MOS")
    for stat in stats:
        table.add_row(
            Text(stat.hour[:16].replace("T", " ")),
            Text(stat.trunk),
            Text(stat.way),
            Text(str(stat.calls)),
            Text(str(stat.answered)),
            Text("" if stat.asr is None else f"{stat.asr:.1%}"),
            Text(_seconds(stat.acd)),
            Text(_seconds(stat.pdd)),
            Text(_mos(stat.mos)),
        )
    _print(table)
    return 0


def _export(chosen: Namespace, connection: Any, wanted: Filter) -> int:
    form = JsonLines() if chosen.json and not chosen.csv else CsvLines()
    total = query.count(connection, wanted)
    records: Iterator[str] = query.every(connection, wanted)
    with _written(chosen.to) as file:
        file.write(form.head)
        shown = Console(stderr=True)
        for record in track(records, "exporting", total, console=shown, transient=True):
            file.write(form.line(record))
    return told(f"{counted(total, 'record')} exported", 0)


@contextmanager
def _written(path: Path | None) -> Iterator[IO[bytes]]:
    """
    :raises ConfigError: the file is there already, or cannot be written.
    """
    try:
        with nullcontext(sys.stdout.buffer) if path is None else path.open("xb") as file:
            yield file
    except FileExistsError as error:
        raise ConfigError(str(path), "is there already: a new file is wanted") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(str(path or "-"), f"cannot be written: {error}") from error


def _row(record: dict[str, Any]) -> list[Text]:
    over = " > ".join(filter(None, (record["trunk_in"], record["trunk_out"])))
    status = int(record["status"])
    colour = "green" if status < 300 else "yellow" if status < 500 or status >= 600 else "red"
    heard = [each for each in (record["mos_caller"], record["mos_callee"]) if each is not None]
    return [
        Text(record["invited"][:19].replace("T", " ")),
        Text(_plain(record["caller_number"])),
        Text(_plain(record["called_number"])),
        Text(over),
        Text(_plain(f"{status} {record['reason']}"), style=colour),
        Text(_seconds(record["pdd_seconds"])),
        Text(_seconds(record["talk_seconds"])),
        Text(record["hung_up"]),
        Text(_mos(min(heard, default=None))),
        Text(record["id"]),
    ]


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        right = heading in ("calls", "answered", "ASR", "ACD", "PDD", "MOS", "rang", "talked")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    return table


def _print(table: Table) -> None:
    """As wide as it is where nobody looks at it on a terminal."""
    console = Console()
    if not console.is_terminal:
        console.width = 1000
    console.print(table)


def _plain(text: str) -> str:
    """What a peer has written, as a terminal may show it."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def _mos(mos: float | None) -> str:
    return "" if mos is None else f"{mos:.1f}"
