"""``softswitch plugin new NAME``: a folder with a policy, its test and what makes its name known.

What it writes runs as it stands: ``pytest`` passes in the new folder, and ``softswitch check``
finds no mistake in its configuration.
"""

import re
import sys
from argparse import Namespace
from keyword import iskeyword
from pathlib import Path
from string import Template

from twisted.plugin import getPlugins

from softswitch.plugin.interfaces import IPolicyMaker

#: File -> text; ``$name`` is the policy's name, ``$class_`` its class.
FILES = {
    "$name.py": '''"""Calls to some numbers go to a colleague."""

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.views import House, InviteView


@implementer(IRouter)
@attrs.define
class $class_:
    """Calls to some numbers go to a colleague; all others are the next policy's.

    The fields are the options of the ``[[policy]]`` table, with their types.

    :ivar numbers: what is dialled, as it stands before the @ of the Request-URI.
    :ivar colleague: SIP URI that rings instead.
    :ivar ring_seconds: for how long.
    """

    numbers: tuple[str, ...]
    colleague: str
    ring_seconds: float = 20.0
    _house: House = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Called once, before the first question."""
        self._house = house

    def route(self, invite: InviteView) -> Route | None:
        """Where a call goes; None: the next policy is asked."""
        uri = invite.uri
        if not self._house.is_ours(uri.host, uri.port) or uri.unquoted_user not in self.numbers:
            return None
        return Route([Target(self.colleague, ring_seconds=self.ring_seconds)])
''',
    "twisted/plugins/${name}_plugin.py": """from softswitch.plugin.maker import PolicyMaker

$name = PolicyMaker("$name", "$name:$class_", "Calls to some numbers go to a colleague.")
""",
    "test_$name.py": '''"""$class_ in the real switch, under virtual time."""

CONFIG = "$name.toml"


def test_a_number_on_the_list_rings_the_colleague(start_switch):
    switch = start_switch(CONFIG)
    alice, desk = switch.phone("alice"), switch.trunk("desk")
    desk.answers(180, 200, after=3)
    call = alice.call("100")
    switch.run(3)
    assert call.statuses == [180, 200]
    alice.hang_up()


def test_the_colleague_does_not_answer(start_switch):
    switch = start_switch(CONFIG)
    alice, desk = switch.phone("alice"), switch.trunk("desk")
    desk.answers(180)
    call = alice.call("100")
    switch.run(20)
    assert call.statuses == [180, 480]


def test_other_numbers_are_not_ours(start_switch):
    switch = start_switch(CONFIG)
    alice, bob = switch.phone("alice"), switch.phone("bob")
    call = alice.call("bob")
    bob.answer()
    assert call.statuses == [200]
    alice.hang_up()
''',
    "$name.toml": """# A small switch to try the policy with: `softswitch check $name.toml`

[numbering]
country = "GB"  # where you are: it tells which calls go abroad, and these are closed

[[listen]]
transport = "udp"
bind = "127.0.0.1"

[users.alice]
password = "alice-demo"

[users.bob]
password = "bob-demo"

[trunks.desk]
addresses = ["127.0.0.2"]

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "$name"
numbers = ["100", "101"]
colleague = "sip:desk@127.0.0.2"

[[policy]]
use = "located"
""",
    "pyproject.toml": """[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "$project"
version = "0.1"
description = "A policy for softswitch"
dependencies = ["softswitch"]

[tool.setuptools]
py-modules = ["$name"]
packages = ["twisted.plugins"]

[tool.pytest.ini_options]
pythonpath = ["."]
""",
    "README.md": """# $name

Calls to some numbers go to a colleague: a policy for softswitch.

- `$name.py` is the policy; `twisted/plugins/${name}_plugin.py` makes its name known.
- `test_$name.py` plays calls through the real switch, under virtual time: `pytest`
- `$name.toml` is a small switch to try it with: `PYTHONPATH=. twistd -n softswitch -c $name.toml`

To install it beside softswitch: `pip install .`
""",
    ".gitignore": "__pycache__/\ndropin.cache\n*.egg-info/\nbuild/\nvar/\n",
}


def new(chosen: Namespace) -> int:
    """Make the folder NAME and write the files into it; nothing that exists is touched."""
    name: str = chosen.name
    folder: Path = chosen.folder / name
    mend = _unfit(name) or (f"{folder} is there already" if folder.exists() else "")
    if mend:
        print(f"softswitch: {mend}", file=sys.stderr)
        return 1
    words = {
        "name": name,
        "class_": "".join(word.capitalize() for word in name.split("_")),
        "project": f"softswitch-{name.replace('_', '-')}",
    }
    try:
        for file, text in FILES.items():
            path = folder / Template(file).substitute(words)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(text).substitute(words), encoding="utf-8")
    except OSError as error:
        print(f"softswitch: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{folder} holds the policy {name} and its test. Now:\n    cd {folder} && pytest")
    return 0


def _unfit(name: str) -> str:
    """Why a policy cannot have this name; "" where it can."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or iskeyword(name):
        return "NAME is to be small letters, digits and _, as a Python module's"
    if name in sys.stdlib_module_names or name in ("softswitch", "twisted"):
        return f"there is a Python module {name} already: choose another name"
    if any(maker.name == name for maker in getPlugins(IPolicyMaker)):
        return f"there is a policy {name} already: choose another name"
    return ""
