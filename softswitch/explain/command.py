"""``softswitch explain``: what the switch would do with an INVITE, and why.

The INVITE is a file, or the standard input with ``-``, or is composed from ``--from`` and ``--to``.
The exit status says what came of it: 0 an INVITE leaves, 1 the wish makes no sense, 2 the
configuration is wrong, 3 the caller is refused, redirected or not answered.
"""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

from softswitch.errors import ConfigError, SipSyntaxError
from softswitch.explain.invite import composed, whole
from softswitch.explain.live import live
from softswitch.explain.prose import written
from softswitch.explain.rehearsal import Source, Wishes, rehearse, without_waiting
from softswitch.explain.report import json_of, outcome
from softswitch.explain.surroundings import ELSEWHERE
from softswitch.ops.asking import told
from softswitch.ops.config import Config, load
from softswitch.ops.values import HostPort, read_host_port
from softswitch.sip.message import Field
from softswitch.sip.names import canonical
from softswitch.transport.hosts import canonical_host, is_address


def add(commands: Any) -> None:
    """Put the command among the others.

    :param commands: what ``ArgumentParser.add_subparsers`` has given.
    """
    parser: ArgumentParser = commands.add_parser(
        "explain",
        help="say what becomes of an INVITE, and why",
        description="Plays an INVITE through the real engine, without a network.",
    )
    parser.add_argument("file", nargs="?", help='the INVITE, as on the wire; "-": standard input')
    parser.add_argument("--config", type=Path, help="without it, the package's defaults")
    parser.add_argument("--rundir", type=Path, default=Path(), help="as twistd's")
    parser.add_argument("--from", dest="caller", metavar="FROM", help="name, number or URI")
    parser.add_argument("--to", dest="called", metavar="TO", help="name, number or URI")
    parser.add_argument(
        "--header", action="append", type=_field, default=[], metavar="'NAME: VALUE'",
        help="a field of the composed INVITE; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--source", type=_address, metavar="HOST[:PORT]", help="where it comes from"
    )
    parser.add_argument(
        "--transport", choices=("udp", "tcp", "tls", "ws", "wss"), help="over which it comes"
    )
    parser.add_argument(
        "--certificate", action="append", default=[], metavar="NAME",
        help="a name in the certificate that its sender shows; may be repeated",
    )  # fmt: skip
    parser.add_argument("--listener", default="", help="name of the listener at which it comes")
    parser.add_argument("--as-user", default="", metavar="NAME", help="take his password as proved")
    parser.add_argument(
        "--registered", action="append", type=_contact, default=[], metavar="NAME=URI",
        help="where a user's phone is; may be repeated; without it, the store is read",
    )  # fmt: skip
    parser.add_argument(
        "--down", action="append", default=[], metavar="ADDRESS",
        help="a member of a trunk, as in the configuration, that is out; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--stats", type=Path, metavar="FILE",
        help="take members that are out from what the running switch writes on SIGUSR1",
    )  # fmt: skip
    parser.add_argument(
        "--live", action="store_true", help="let policies ask whom they ask: databases, HTTP"
    )
    parser.add_argument("--resolve", action="store_true", help="look names up")
    parser.add_argument(
        "--all", action="store_true", help="try every target, each failing in its turn"
    )
    parser.add_argument(
        "--fate", type=_fate, default=0, metavar="STATUS",
        help='how they fail with --all: a status from 400 to 699, or "silent" (default)',
    )  # fmt: skip
    parser.add_argument("--at", type=_moment, help="when it happens, as 2026-12-24T18:30; now")
    parser.add_argument("--json", action="store_true", help="the same for programs")
    parser.set_defaults(run=explain)


def explain(chosen: Namespace) -> int:
    """Do it, and print what came of it."""
    config = load(chosen.config, chosen.rundir)
    try:
        data, sentence = _invite(chosen, config)
        down = [("", address) for address in chosen.down]
        if chosen.stats is not None:
            down += _out(chosen.stats)
    except OSError as error:
        return told(f"{error.filename} cannot be read: {error.strerror}", 1)
    except (SipSyntaxError, ValueError) as error:
        return told(error, 1)
    place: HostPort | None = chosen.source
    source = Source(
        place.host if place is not None else "",
        (place.port or 0) if place is not None else 0,
        (chosen.transport or "").upper(),
        chosen.listener,
        tuple(map(canonical_host, chosen.certificate)),
    )
    registered: dict[str, list[str]] = {}
    for name, contact in chosen.registered:
        registered.setdefault(name, []).append(contact)
    wishes = Wishes(
        chosen.as_user,
        registered,
        down,
        chosen.resolve,
        chosen.all,
        chosen.fate,
        time() if chosen.at is None else chosen.at,
    )
    try:
        found = rehearse(config, data, source, wishes, live if chosen.live else without_waiting)
    except ConfigError as error:
        if not error.where.startswith("--"):
            raise
        return told(error, 1)
    if not chosen.live and any(each.later and each.fault for each in found.diary.verdicts()):
        found.diary.assume("policies cannot reach what they ask (--live lets them)")
    if sentence:
        found.diary.assume(sentence)
    if chosen.json:
        print(json.dumps(json_of(found), indent=1))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(written(found))
    return 0 if outcome(found) == "leaves" else 3


def _invite(chosen: Namespace, config: Config) -> tuple[bytes, str]:
    """
    :raises ValueError: neither a file nor whom it is for.
    """
    if chosen.file is not None:
        if chosen.caller or chosen.called or chosen.header:
            raise ValueError("either a file or --from, --to and --header")
        if chosen.file == "-":
            return whole(sys.stdin.buffer.read())
        return whole(Path(chosen.file).read_bytes())
    caller = chosen.caller or chosen.as_user
    if not chosen.called or not caller:
        raise ValueError("an INVITE is wanted: a file, or --from and --to")
    place: HostPort | None = chosen.source
    first = next(iter(config.listeners()))
    host = ELSEWHERE[6 if ":" in first.bind_host else 4] if place is None else place.host
    shown = first.advertise_host or first.bind_host
    data = composed(
        caller=caller,
        called=chosen.called,
        domain=next(iter(config.switch.domains), shown),
        source=host,
        port=(place.port if place is not None else None) or 5060,
        transport=(chosen.transport or first.transport).upper(),
        fields=chosen.header,
    )
    return data, ""


def _out(stats: Path) -> list[tuple[str, str]]:
    """Members that are out in the figures of a running switch: trunk and address.

    :raises ValueError: it is no such file.
    """
    try:
        figures: dict[str, Any] = json.loads(stats.read_bytes())["trunks"]
        return [
            (name, address)
            for name, trunk in figures.items()
            for address, member in trunk["members"].items()
            if not member["up"]
        ]
    except (LookupError, TypeError, AttributeError, json.JSONDecodeError):
        raise ValueError(f"{stats}: what the switch writes on SIGUSR1 is wanted") from None


def _field(words: str) -> Field:
    name, colon, value = words.partition(":")
    if not colon or not name.strip() or "\n" in words or "\r" in words:
        raise ArgumentTypeError("NAME: VALUE is wanted")
    return canonical(name.strip()), value.strip()


def _address(text: str) -> HostPort:
    try:
        place = read_host_port(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if not is_address(place.host):
        raise ArgumentTypeError("an address is wanted, not a name")
    return place


def _contact(text: str) -> Sequence[str]:
    name, equals, contact = text.partition("=")
    if not equals or not name or not contact:
        raise ArgumentTypeError("NAME=URI is wanted")
    return name, contact


def _fate(text: str) -> int:
    if text == "silent":
        return 0
    if not text.isdigit() or not 400 <= int(text) <= 699:
        raise ArgumentTypeError('a status from 400 to 699 or "silent" is wanted')
    return int(text)


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ArgumentTypeError("a time such as 2026-12-24T18:30 is wanted") from None
