"""``softswitch``, or ``python -m softswitch``: every command there is.

Those of ``ops`` stand in ``ops/cli``; what stands on a higher floor is put beside them here.
"""

import sys

from softswitch.explain import command
from softswitch.ops import cli
from softswitch.terminal import commands


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; see ``ops.cli.main``."""
    return cli.main(arguments, [command.add, commands.add])


if __name__ == "__main__":
    sys.exit(main())
