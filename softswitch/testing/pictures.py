"""Draws every state machine from its table: ``python -m softswitch.testing.pictures``.

Writes ``docs/machines.md`` to the standard output.
"""

import sys
from importlib import import_module
from inspect import getdoc
from pkgutil import walk_packages

import softswitch
from softswitch.machine import Machine, mermaid

HEAD = """\
# The state machines

Drawn by `scripts/draw_machines` from the tables at the foot of each module; what is changed here
by hand is lost, and a test fails when the two differ. An event that a state does not show is
counted and ignored.
"""


def draw() -> str:
    """The page: what each machine is for, and its picture, by module."""
    pages = [HEAD]
    for machine in machines():
        summary = (getdoc(machine) or "").partition("\n\n")[0]
        pages.append(
            f"## {machine.__name__}\n\n`{machine.__module__}`: {summary}\n\n"
            f"```mermaid\n{mermaid(machine.TABLE)}```\n"
        )
    return "\n".join(pages)


def machines() -> list[type[Machine]]:
    """Every machine of the package that has a table of its own."""
    for module in walk_packages(softswitch.__path__, "softswitch."):
        import_module(module.name)
    found: list[type[Machine]] = []
    waiting = [Machine]
    while waiting:
        machine = waiting.pop()
        waiting += machine.__subclasses__()
        if "TABLE" in vars(machine) and machine.__module__.startswith("softswitch."):
            found.append(machine)
    return sorted(found, key=lambda machine: (machine.__module__, machine.__qualname__))


if __name__ == "__main__":
    sys.stdout.write(draw())
