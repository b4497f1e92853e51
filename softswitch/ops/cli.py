"""``softswitch``: what an operator does beside running the switch.

``softswitch check [FILE]`` says what is wrong with a configuration and its plug-ins (``check``);
``softswitch doctor`` says what is wrong with the machine (``doctor``);
``softswitch account`` lists accounts that are blocked, and lets them call again (``account``);
``softswitch ban`` lists, makes and lifts bans in the running switch (``ban``);
``softswitch cdr`` looks call records up, and says how calls went (``cdr``);
``softswitch reload [FILE]`` has the running switch take it (``reload``);
``softswitch completion SHELL`` prints what completes commands in a shell (``completion``);
``softswitch token NAME`` makes a token for the API (``token``);
``softswitch user`` makes and changes users (``users``);
``softswitch plugin new NAME`` begins a policy of one's own.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from softswitch import __version__
from softswitch.errors import ConfigError
from softswitch.ops import (
    account,
    ban,
    cdr,
    check,
    completion,
    doctor,
    plugin,
    reload,
    token,
    users,
)
from softswitch.ops.pipe import reader_gone

#: Puts a command among others: takes what ``ArgumentParser.add_subparsers`` has given.
AddCommand: TypeAlias = Callable[[Any], None]


def main(arguments: list[str] | None = None, further: Iterable[AddCommand] = ()) -> int:
    """Do what the command line says.

    :param arguments: without the command's name; None for the process's own.
    :param further: each puts a command of a higher floor among ours.
    :returns: exit status: 0, 1 for a wish that makes no sense, 2 for a wrong configuration,
        141 where nobody reads any more what is written.
    """
    chosen = _parser(further).parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
        sys.stdout.flush()
    except ConfigError as error:
        print(f"softswitch: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return reader_gone()
    return status


def _parser(further: Iterable[AddCommand]) -> ArgumentParser:
    parser = ArgumentParser("softswitch", description="Beside `twistd softswitch`.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (cdr.add, reload.add, token.add, *further):
        add(commands)

    check.add(commands)
    doctor.add(commands)

    parser.set_defaults(parser=parser)
    completion.add(commands)

    account.arrange(commands)
    ban.arrange(commands)
    users.arrange(commands)

    plugins = commands.add_parser("plugin", help="policies of one's own")
    begin = plugins.add_subparsers(required=True, metavar="DOING").add_parser(
        "new", help="write a policy, its test and its configuration into a new folder"
    )
    begin.add_argument("name", help="of the policy and of its folder: night, my_queue")
    begin.add_argument("--folder", type=Path, default=Path(), help="where the folder is to be")
    begin.set_defaults(run=plugin.new)
    return parser
