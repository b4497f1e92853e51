"""``softswitch user``: makes, shows, changes and removes the users of the store.

A switch that runs sees what is changed within a second. For those of the configuration it makes
hashes.
"""

import json
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from getpass import getpass
from pathlib import Path
from typing import Any, Final

import attrs

from softswitch.errors import ConfigError
from softswitch.ops.accounts import faults, is_fit, read_settings, settings_of, written
from softswitch.ops.config import Config, load
from softswitch.ops.user_tables import UserTable
from softswitch.sip.digest import ALGORITHMS, ha1
from softswitch.store.users import UserFile

#: What a user's settings are, for ``--help``; the options bear their names.
HELP: Final[Mapping[str, str]] = {
    "display": "name that is shown to others",
    "group": "group of the configuration",
    "numbers": "further names under which he is reached, and may call; none to take them away",
    "forward_always": 'where his calls go: a user or a SIP URI; "" for nowhere',
    "forward_busy": "where they go when he is busy",
    "forward_no_answer": "where they go when he does not answer",
    "forward_unreachable": "where they go when no phone of his can be reached",
    "forward_after": "seconds after which he does not answer",
    "do_not_disturb": 'what callers hear: busy or unavailable; "" for nothing',
    "disturbed_by": "users and numbers who may ring him all the same; none to take them away",
    "max_calls": "calls that he may be in at once; 0 for any number",
    "max_calls_in": "likewise of those that others make to him",
    "max_calls_out": "likewise of those that he makes",
    "max_calls_status": "what a call beyond them gets: 486 or 480",
}


class _RefusedError(Exception):
    """The operator wants what cannot be.

    :ivar args: a line that says why.
    """


def arrange(commands: Any) -> None:
    """Take the part of the command line that begins with ``user``.

    :param commands: argparse's, to which it is added.
    """
    parser = commands.add_parser("user", help="users: those of the store, hashes for others")
    doings = parser.add_subparsers(required=True, metavar="DOING")

    hashing = doings.add_parser("hash", help="turn a password into [users.NAME]")
    hashing.add_argument("name", help="user part of the address: alice, 100")
    hashing.add_argument("--config", type=Path, help="where the realm is looked up")
    hashing.add_argument("--realm", help="the realm itself; a hash is good for one only")
    hashing.add_argument(
        "--algorithm", action="append", choices=ALGORITHMS, help="default: all; may be repeated"
    )
    hashing.set_defaults(run=make_hash)

    for doing, does, help_ in (
        (add, "add", "make a user of the store; asks for a password"),
        (change, "set", "change settings of one; those that are not named stay"),
        (new_password, "password", "give one a new password"),
        (remove, "remove", "remove one"),
        (show, "show", "show one, but for the hashes"),
        (show_all, "list", "show all, those of the configuration too"),
    ):
        one = doings.add_parser(does, help=help_)
        if doing is not show_all:
            one.add_argument("name", help="user part of the address: alice, 100")
        if doing in (show, show_all):
            one.add_argument("--json", action="store_true", help="for programs")
        if doing in (add, change):
            _add_settings(one)
        one.add_argument("--config", type=Path, help="the switch's; else the package's defaults")
        one.add_argument(
            "--rundir", type=Path, default=Path(), help="where the switch runs; else from here"
        )
        one.set_defaults(run=_answering(doing))


def make_hash(chosen: Namespace) -> int:
    """Ask for a password and print the user's table. It is not echoed, nor kept."""
    if not is_fit(chosen.name):
        print("softswitch: NAME is the part of an address before the @", file=sys.stderr)
        return 1
    realm = chosen.realm or load(chosen.config).realm
    try:
        password = _ask_password(chosen.name, realm)
    except _RefusedError as error:
        print(f"softswitch: {error}", file=sys.stderr)
        return 1
    hashes = ", ".join(
        f'{algorithm} = "{ha1(chosen.name, realm, password, algorithm)}"'
        for algorithm in chosen.algorithm or ALGORITHMS
    )
    print(f"[users.{_key(chosen.name)}]\n# for the realm {json.dumps(realm)} alone")
    print(f"ha1 = {{ {hashes} }}")
    return 0


def add(chosen: Namespace, config: Config) -> None:
    """A new user, with a hash for each algorithm with which he may be challenged."""
    name = chosen.name
    if not is_fit(name):
        raise _RefusedError("NAME is the part of an address before the @, without : ; or spaces")
    if name in config.users:
        raise _RefusedError(f"{name} stands in {config.file}")
    table = _changed(name, UserTable(), chosen, config)
    file = UserFile(config.user_file)
    _look_for_clashes(name, table, config, dict(file.load()), new=True)
    table = attrs.evolve(table, ha1=_hashes(name, table.group, config))
    with file.changing() as users:  # they may be others than before the password was typed
        _look_for_clashes(name, table, config, users, new=True)
        users[name] = written(table)
    print(f"user {name} added to {config.user_file}")


def change(chosen: Namespace, config: Config) -> None:
    """Other settings for a user."""
    name = chosen.name
    with _file(config).changing() as users:
        table = _changed(name, _table(name, users, config), chosen, config)
        _look_for_clashes(name, table, config, users)
        users[name] = written(table)
    for algorithm in config.offered(table.group):
        if algorithm not in table.ha1:
            print(
                f"softswitch: {name} has no hash for {algorithm}, which his group is offered;"
                f" `user password {name}` makes one",
                file=sys.stderr,
            )


def new_password(chosen: Namespace, config: Config) -> None:
    """Other hashes for a user."""
    name, file = chosen.name, _file(config)
    with file.changing() as users:
        group = _table(name, users, config).group
    hashes = _hashes(name, group, config)
    with file.changing() as users:
        users[name] = written(attrs.evolve(_table(name, users, config), ha1=hashes))


def remove(chosen: Namespace, config: Config) -> None:
    """A user is none any more."""
    with _file(config).changing() as users:
        if users.pop(chosen.name, None) is None:
            raise _unknown(chosen.name, config)


def show(chosen: Namespace, config: Config) -> None:
    """A user's settings, as the configuration would have them."""
    name = chosen.name
    if name in config.users:
        table = config.users[name]
    else:
        table = _table(name, dict(_file(config).load()), config)
    shown = _shown(table)
    if chosen.json:
        print(json.dumps({"name": name, **shown}, ensure_ascii=False))
        return
    hashes = ", ".join(table.ha1) or "none: a password in the clear"
    print(f"[users.{_key(name)}]\n# hashes: {hashes}")
    for key, value in shown.items():
        if key != "algorithms":
            print(f"{key} = {json.dumps(value, ensure_ascii=False)}")


def show_all(chosen: Namespace, config: Config) -> None:
    """All users, a line each: name, where he stands, numbers, display."""
    found = [(name, "configuration", table) for name, table in config.users.items()]
    rows = UserFile(config.user_file).load() if config.user_file.exists() else []
    for name, settings in rows:
        try:
            table = read_settings(name, settings or "", str(config.user_file))
        except ConfigError as error:
            print(f"softswitch: {error}", file=sys.stderr)
            continue
        found.append((name, "store", table))
    if chosen.json:
        rows_ = [{"name": name, "where": where, **_shown(table)} for name, where, table in found]
        print(json.dumps(rows_, ensure_ascii=False))
        return
    lines = [(name, where, " ".join(table.numbers), table.display) for name, where, table in found]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print(
            "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def _answering(doing: Any) -> Any:
    """What argparse runs: reads the configuration, and says in a line what cannot be."""

    def run(chosen: Namespace) -> int:
        config = load(chosen.config, chosen.rundir)
        try:
            doing(chosen, config)
        except _RefusedError as error:
            print(f"softswitch: {error}", file=sys.stderr)
            return 1
        return 0

    return run


def _add_settings(parser: ArgumentParser) -> None:
    """An option for each setting."""
    for field in attrs.fields(UserTable):
        if field.name not in HELP:
            continue
        option = f"--{field.name.replace('_', '-')}"
        about: dict[str, Any] = {"help": HELP[field.name], "dest": field.name}
        if isinstance(field.default, tuple):
            about |= {"nargs": "*", "metavar": "NUMBER"}
        elif isinstance(field.default, (int, float)):
            about |= {"type": type(field.default), "metavar": "N"}
        else:
            about |= {"metavar": "TEXT"}
        parser.add_argument(option, **about)


def _changed(name: str, table: UserTable, chosen: Namespace, config: Config) -> UserTable:
    """A table with the settings that the command line names.

    :raises _RefusedError: one of them cannot be.
    """
    wanted = {key: getattr(chosen, key) for key in HELP if getattr(chosen, key) is not None}
    settings = json.dumps({**settings_of(table), **wanted})
    try:
        table = read_settings(name, settings, str(config.user_file))
    except ConfigError as error:
        raise _RefusedError(f"{_option(error.where.rpartition('.')[2])}{error.mend}") from None
    groups = list(config.groups)
    for key, mend in faults(name, attrs.evolve(table, password="-", ha1={}), groups):
        raise _RefusedError(f"{_option(key)}{mend}")
    return table


def _option(key: str) -> str:
    """What was typed for a key of a user's table, and ": "; "" for the table itself."""
    option = key.partition("[")[0].replace("_", "-")
    return f"--{option}: " if option else ""


def _look_for_clashes(
    name: str, table: UserTable, config: Config, users: Mapping[str, str | None], new: bool = False
) -> None:
    """
    :raises _RefusedError: somebody else has a name or number that he is to have; or somebody new
        is there already.
    """
    if new and name in users:
        raise _RefusedError(f"there is a user {name} already; `user set {name}` changes him")
    if any(trunk.inbound_username == name for trunk in config.trunks.values()):
        raise _RefusedError(f"a trunk in {config.file} proves itself by the name {name}")
    taken: dict[str, str] = {}
    for other, theirs in _everybody(config, users):
        if other != name:
            taken |= dict.fromkeys((other, *theirs.numbers), other)
    groups = config.directory_of_ring_groups()
    for number in (name, *table.numbers):
        if number in groups:
            raise _RefusedError(f"{number} is ring group {groups[number].name}'s already")
        if number in taken:
            raise _RefusedError(f"{number} is user {taken[number]}'s already")
    if len(set(table.numbers)) < len(table.numbers) or name in table.numbers:
        raise _RefusedError("--numbers: each once is wanted, and not the name")


def _everybody(config: Config, users: Mapping[str, str | None]) -> Iterator[tuple[str, UserTable]]:
    yield from config.users.items()
    for name, settings in users.items():
        try:
            yield name, read_settings(name, settings or "", str(config.user_file))
        except ConfigError:
            continue


def _table(name: str, users: Mapping[str, str | None], config: Config) -> UserTable:
    """
    :raises _RefusedError: there is no such user.
    :raises ConfigError: what stands there makes none.
    """
    settings = users.get(name)
    if settings is None:
        raise _unknown(name, config)
    return read_settings(name, settings, str(config.user_file))


def _unknown(name: str, config: Config) -> _RefusedError:
    if name in config.users:
        return _RefusedError(f"{name} stands in {config.file}; he is changed there")
    return _RefusedError(f"there is no user {name} in {config.user_file}")


def _file(config: Config) -> UserFile:
    """
    :raises _RefusedError: there is none yet.
    """
    if not config.user_file.exists():
        raise _RefusedError(f"{config.user_file} is not there yet; `user add` makes it")
    return UserFile(config.user_file)


def _shown(table: UserTable) -> dict[str, object]:
    """Settings without the secrets, and what there are hashes for."""
    settings = settings_of(table)
    for secret in ("ha1", "password"):
        settings.pop(secret, None)
    return {**settings, "algorithms": list(table.ha1)}


def _hashes(name: str, group: str, config: Config) -> dict[Any, str]:
    password = _ask_password(name, config.realm)
    return {
        algorithm: ha1(name, config.realm, password, algorithm)
        for algorithm in config.offered(group)
    }


def _ask_password(name: str, realm: str) -> str:
    """From the terminal, twice and without echo; else the first line of the standard input.

    :raises _RefusedError: it is empty, or two that differ were typed.
    """
    if sys.stdin.isatty():
        password = getpass(f"Password of {name} in realm {realm}: ")
        again = getpass("Once more: ")
    else:
        password = again = sys.stdin.readline().rstrip("\r\n")
    if password != again or not password:
        raise _RefusedError("two equal passwords, not empty, are wanted")
    return password


def _key(name: str) -> str:
    """A user's name as a TOML key."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else f'"{name}"'
