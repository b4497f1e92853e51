"""``softswitch completion``: what makes a shell complete the commands and their options."""

from argparse import ArgumentParser, Namespace
from typing import Any

import shtab


def add(commands: Any) -> None:
    """Put the command among the others."""
    parser: ArgumentParser = commands.add_parser(
        "completion",
        help="print what completes commands in a shell",
        description='bash: eval "$(softswitch completion bash)" in ~/.bashrc;'
        " zsh: softswitch completion zsh > ~/.zfunc/_softswitch, with ~/.zfunc in fpath.",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.set_defaults(run=run)


def run(chosen: Namespace) -> int:
    """Print it.

    :param chosen: its ``parser`` is that of the whole command line.
    """
    print(shtab.complete(chosen.parser, chosen.shell))
    return 0
