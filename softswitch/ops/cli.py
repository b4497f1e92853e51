"""``softswitch``: what an operator does beside running the switch.

``softswitch check [FILE]`` reads a configuration and says what is wrong with it;
``softswitch user hash NAME`` turns a password into what ``[users.NAME]`` keeps;
``softswitch plugin new NAME`` begins a policy of one's own.
"""

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from getpass import getpass
from pathlib import Path
from typing import Any, TypeAlias

from softswitch import __version__
from softswitch.errors import ConfigError
from softswitch.ops import plugin
from softswitch.ops.config import UNFIT_IN_A_NAME, load
from softswitch.policy.load import makers
from softswitch.settings import nearest
from softswitch.sip.digest import ALGORITHMS, ha1

#: Puts a command among others: takes what ``ArgumentParser.add_subparsers`` has given.
AddCommand: TypeAlias = Callable[[Any], None]


def main(arguments: list[str] | None = None, further: Iterable[AddCommand] = ()) -> int:
    """Do what the command line says.

    :param arguments: without the command's name; None for the process's own.
    :param further: each puts a command of a higher floor among ours.
    :returns: exit status: 0, 1 for a wish that makes no sense, 2 for a wrong configuration.
    """
    chosen = _parser(further).parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except ConfigError as error:
        print(f"softswitch: {error}", file=sys.stderr)
        return 2
    return status


def check(chosen: Namespace) -> int:
    """Read a configuration as the switch would."""
    config = load(chosen.file)
    known = makers()
    for index, table in enumerate(config.policy):
        if table["use"] not in known:
            mend = nearest(table["use"], list(known))
            raise ConfigError(f"{config.file}: policy[{index}].use", mend)
    for warning in config.warnings():
        print(f"{config.file}: {warning}", file=sys.stderr)
    print(f"{config.file}: no mistake found")
    return 0


def user_hash(chosen: Namespace) -> int:
    """Ask for a password and print the user's table. It is not echoed, nor kept."""
    if UNFIT_IN_A_NAME & set(chosen.name):
        print("softswitch: NAME is the part of an address before the @", file=sys.stderr)
        return 1
    realm = chosen.realm or load(chosen.config).realm
    if sys.stdin.isatty():
        password = getpass(f"Password of {chosen.name} in realm {realm}: ")
        again = getpass("Once more: ")
    else:
        password = again = sys.stdin.readline().rstrip("\r\n")
    if password != again or not password:
        print("softswitch: two equal passwords, not empty, are wanted", file=sys.stderr)
        return 1
    hashes = ", ".join(
        f'{algorithm} = "{ha1(chosen.name, realm, password, algorithm)}"'
        for algorithm in chosen.algorithm or ALGORITHMS
    )
    print(f"[users.{_key(chosen.name)}]\nha1 = {{ {hashes} }}")
    return 0


def _key(name: str) -> str:
    """A user's name as a TOML key."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else f'"{name}"'


def _parser(further: Iterable[AddCommand]) -> ArgumentParser:
    parser = ArgumentParser("softswitch", description="Beside `twistd softswitch`.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in further:
        add(commands)

    checking = commands.add_parser("check", help="say what is wrong with a configuration")
    checking.add_argument("file", type=Path, nargs="?", help="without it, the package's defaults")
    checking.set_defaults(run=check)

    user = commands.add_parser("user", help="users").add_subparsers(required=True, metavar="DOING")
    hashing = user.add_parser("hash", help="turn a password into [users.NAME]")
    hashing.add_argument("name", help="user part of the address: alice, 100")
    hashing.add_argument("--config", type=Path, help="where the realm is looked up")
    hashing.add_argument("--realm", help="the realm itself; a hash is good for one only")
    hashing.add_argument(
        "--algorithm", action="append", choices=ALGORITHMS, help="default: all; may be repeated"
    )
    hashing.set_defaults(run=user_hash)

    plugins = commands.add_parser("plugin", help="policies of one's own")
    begin = plugins.add_subparsers(required=True, metavar="DOING").add_parser(
        "new", help="write a policy, its test and its configuration into a new folder"
    )
    begin.add_argument("name", help="of the policy and of its folder: night, my_queue")
    begin.add_argument("--folder", type=Path, default=Path(), help="where the folder is to be")
    begin.set_defaults(run=plugin.new)
    return parser
