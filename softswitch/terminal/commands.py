"""The commands over the API: ``calls``, ``show``, ``trace``, ``hangup``, ``transfer``,
``originate``, ``registrations``, ``trunks``, ``health``, ``events``, ``top``.

The exit status is 0, or 1 where the switch cannot be asked or refuses.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias

from rich.text import Text

from softswitch.api.events import TOPICS
from softswitch.ops.asking import counted
from softswitch.terminal import tables, top, trace
from softswitch.terminal.client import ApiError, Client, add_options, client_of

#: Does something with a switch, and gives the exit status.
Doing: TypeAlias = Callable[[Client, Namespace], int]

#: Field of the API -> options that say it, where they bear other names.
_OPTIONS: Final = {"name": ("out", "back"), "aor": ("remove",)}
#: What is typed without the name of an option.
_BARE: Final = frozenset(("id", "to", "user"))

#: Things that a table shows, at most, unless ``--all`` is there.
MOST = 200


def add(commands: Any) -> None:
    """Put the commands among the others."""
    parser = _command(commands, "calls", "the calls that go on, the newest first", _calls)
    parser.add_argument("--state", choices=("trying", "ringing", "talking", "forwarded"))
    parser.add_argument("--number", help="only those whose caller or called URI holds this")
    parser.add_argument("--identity", help="only those of this user or trunk")
    parser.add_argument("--trunk", help="only those that go out on this trunk")
    parser.add_argument("--all", action="store_true", help=f"more than {MOST}")

    parser = _command(commands, "show", "one call: its legs, what was tried, how it sounds", _show)
    parser.add_argument("id", help="of the call, or how it begins")

    about = "what has happened in a call, as a ladder; also for a while after its end"
    trace.options(_command(commands, "trace", about, trace.run))

    parser = _command(commands, "hangup", "end a call", _hang_up)
    parser.add_argument("id", help="of the call, or how it begins")

    parser = _command(commands, "transfer", "have one side talk to somebody else", _transfer)
    parser.add_argument("id", help="of the call, or how it begins")
    parser.add_argument("to", help="a user, a number, or a URI")
    parser.add_argument("--leg", default="a", help='that stays: "a", the caller, or "b1" ...')

    parser = _command(commands, "originate", "call a user, then connect him", _originate)
    parser.add_argument("user", help="on whose behalf; he is called first")
    parser.add_argument("to", help="a user, a number, or a URI that he is connected with")
    parser.add_argument("--first", help="who is called first instead")

    parser = _command(commands, "registrations", "the contacts of users", _registrations)
    parser.add_argument("--text", help="only those that hold this")
    parser.add_argument("--remove", metavar="USER", help="remove those of an address of record")
    parser.add_argument("--contact", help="with --remove: just this one")
    parser.add_argument("--all", action="store_true", help=f"more than {MOST}")

    parser = _command(commands, "trunks", "the trunks, and how their members are", _trunks)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--out", metavar="TRUNK", help="send no new calls there")
    one.add_argument("--back", metavar="TRUNK", help="send calls there again")
    parser.add_argument("--member", help="with --out or --back: just this one")
    parser.add_argument("--now", action="store_true", help="with --out: hang up what goes there")

    _command(commands, "health", "whether the switch is well; status 1 when it is not", _health)

    parser = _command(commands, "events", "what goes on, as it happens", _events)
    parser.add_argument("--topics", help=f"some of {','.join(TOPICS)}")

    _command(commands, "top", "calls, trunks and load, live", top.run)


def _command(commands: Any, name: str, about: str, doing: Doing) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(name, help=about)
    add_options(parser)
    parser.set_defaults(run=partial(_run, doing))
    return parser


def _run(doing: Doing, chosen: Namespace) -> int:
    """
    :raises ConfigError: it is not clear which switch is meant.
    """
    client = client_of(chosen)
    try:
        return doing(client, chosen)
    except ApiError as trouble:
        typed = _typed(trouble.field, chosen)
        print(f"softswitch: {tables.safe(f'{typed}{trouble}')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _typed(field: str, chosen: Namespace) -> str:
    """How an operator has said what is at fault, and ": "; "" for nothing."""
    for name in _OPTIONS.get(field, (field,)):
        value = getattr(chosen, name, None)
        if value is not None:
            return f"{value}: " if name in _BARE else f"--{name} {value}: "
    return f"{field}: " if field else ""


def _calls(client: Client, chosen: Namespace) -> int:
    found = client.pages(
        "calls",
        "calls",
        state=chosen.state,
        number=chosen.number,
        identity=chosen.identity,
        trunk=chosen.trunk,
        limit=MOST,
    )
    calls = list(islice(found, None if chosen.all else MOST))
    if chosen.json:
        return _print(calls)
    tables.show(tables.calls(calls), Text(counted(len(calls), "call")))
    return 0


def _show(client: Client, chosen: Namespace) -> int:
    name = find(client, chosen.id)
    found = {**client.get("calls", name), "media": []}
    with suppress(ApiError):  # nobody knows how it sounds
        found["media"] = client.get("calls", name, "media")["streams"]
    if chosen.json:
        return _print(found)
    tables.show(*tables.call(found))
    return 0


def _hang_up(client: Client, chosen: Namespace) -> int:
    name = find(client, chosen.id)
    client.ask("DELETE", "calls", name)
    return _said(chosen, f"call {name} is hung up", {"id": name})


def _transfer(client: Client, chosen: Namespace) -> int:
    wish = {"to": chosen.to, "leg": chosen.leg}
    tried = client.ask("POST", "calls", find(client, chosen.id), "transfer", body=wish)
    return _said(chosen, f"call {tried['id']}: {tried['target']} is tried", tried)


def _originate(client: Client, chosen: Namespace) -> int:
    wish = {"user": chosen.user, "to": chosen.to, "first": chosen.first}
    tried = client.ask("POST", "calls", body=wish)
    return _said(chosen, f"call {tried['id']}: {tried['target']} is called", tried)


def _registrations(client: Client, chosen: Namespace) -> int:
    if chosen.remove is not None:
        query = {"contact": chosen.contact}
        gone = client.ask("DELETE", "registrations", chosen.remove, query=query)
        return _said(chosen, f"{counted(gone['removed'], 'contact')} removed", gone)
    pages = client.pages("registrations", "registrations", text=chosen.text, limit=MOST)
    found = list(islice(pages, None if chosen.all else MOST))
    if chosen.json:
        return _print(found)
    tables.show(tables.registrations(found), Text(counted(len(found), "contact")))
    return 0


def _trunks(client: Client, chosen: Namespace) -> int:
    if chosen.out is not None:
        wish = {"member": chosen.member, "graceful": not chosen.now}
        found = [client.ask("POST", "trunks", chosen.out, "out", body=wish)]
    elif chosen.back is not None:
        found = [client.ask("POST", "trunks", chosen.back, "back", body={"member": chosen.member})]
    else:
        found = list(client.pages("trunks", "trunks"))
    if chosen.json:
        return _print(found)
    tables.show(tables.trunks(found))
    return 0


def _health(client: Client, chosen: Namespace) -> int:
    found = client.get("health", "live")
    if chosen.json:
        _print(found)
    else:
        words = f"{found['status']}: softswitch {found['version']}, up {found['seconds']:.0f} s"
        tables.show(tables.cell(found["status"]) + Text(words[len(found["status"]) :]))
    return 0 if found["status"] == "ok" else 1


def _events(client: Client, chosen: Namespace) -> int:
    for name, data in client.events("events", topics=chosen.topics):
        if not name:
            continue
        if chosen.json:
            print(json.dumps({"event": name, **data}), flush=True)
        else:
            print(f"{data.pop('at', '')} {name} {json.dumps(data)}", flush=True)
    return 0


def find(client: Client, beginning: str) -> str:
    """The id of the one call that goes on and whose id begins so.

    :raises ApiError: there is none, or several.
    """
    found: list[str] = []
    for call in client.pages("calls", "calls", limit=MOST):
        if call["id"] == beginning:
            return beginning
        if call["id"].startswith(beginning):
            found.append(call["id"])
    if len(found) == 1:
        return found[0]
    if found:
        raise ApiError(f"{len(found)} calls that go on have an id that begins {beginning}")
    raise ApiError(
        f"no call that goes on has an id that begins {beginning};"
        f" `softswitch cdr show {beginning}` shows one that has ended"
    )


def _said(chosen: Namespace, words: str, found: Any) -> int:
    if chosen.json:
        return _print(found)
    print(f"softswitch: {tables.safe(words)}")
    return 0


def _print(found: Any) -> int:
    print(json.dumps(found, indent=1))
    return 0
