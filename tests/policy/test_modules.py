"""Plug-in code that is imported anew, beside the old code that still runs."""

import sys
from itertools import count

import pytest
from twisted.plugin import pluginPackagePaths

import twisted.plugins
from softswitch.errors import ConfigError
from softswitch.policy import load
from softswitch.policy.modules import imported_anew

#: Python remembers modules by name, so that each test needs names of its own.
NUMBERS = count()

MODULE = """
from zope.interface import implementer
from softswitch.plugin.interfaces import IRouter
from {helper} import word

@implementer(IRouter)
class Says:
    def route(self, invite):
        return word()
"""


class Room:
    """A plug-in author's folder on the path: a module, a helper beside it, and the maker."""

    def __init__(self, folder):
        self.folder = folder
        number = next(NUMBERS)
        self.name = f"says_{number}"
        self.helper = f"helper_{number}"
        plugins = folder / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        self.maker = plugins / f"{self.name}_plugin.py"
        self.makes(self.name)
        self.says("one")
        (folder / f"{self.name}.py").write_text(MODULE.format(helper=self.helper))

    def makes(self, *names):
        lines = ["from softswitch.plugin.maker import PolicyMaker"]
        where = f"{self.name}:Says"
        lines += [f'{name} = PolicyMaker("{name}", "{where}", "A test.")' for name in names]
        self.maker.write_text("\n".join(lines))

    def says(self, word):
        (self.folder / f"{self.helper}.py").write_text(f'def word():\n    return "{word}"\n')


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    room = Room(tmp_path)
    monkeypatch.setattr(twisted.plugins, "__path__", pluginPackagePaths("twisted.plugins"))
    return room


def test_new_code_beside_the_old(room, house):
    """The module, what stands beside it and the maker's file are read again, though they have
    changed within the second and in no byte's number; what was made before says what it said."""
    old = load.load(room.name, {}, house).plug_in
    room.says("two")
    with load.anew([room.name]):
        new = load.load(room.name, {}, house).plug_in
    assert (old.route(None), new.route(None)) == ("one", "two")
    assert type(old) is not type(new)
    assert sys.modules[room.name].Says is type(new)


def test_a_policy_that_a_file_makes_known_now(room, house):
    """A further name in a file that was read already is found."""
    load.load(room.name, {}, house)
    room.makes(room.name, f"{room.name}_too")
    with load.anew([room.name, f"{room.name}_too"]):
        found = load.load(f"{room.name}_too", {}, house)
    assert found.plug_in.route(None) == "one"


@pytest.mark.parametrize("broken", ["def (", "import no_such_module_here", "1 / 0"])
def test_code_that_does_not_load_changes_nothing(room, house, broken):
    """The modules are those of before, also for what imports them later."""
    old = load.load(room.name, {}, house).plug_in
    before = {name: sys.modules[name] for name in (room.name, room.helper)}
    settings = sys.dont_write_bytecode, sys.pycache_prefix
    (room.folder / f"{room.helper}.py").write_text(broken)
    with pytest.raises(ConfigError, match="does not load"), load.anew([room.name]):
        load.load(room.name, {}, house)
    assert {name: sys.modules[name] for name in before} == before
    assert old.route(None) == "one"
    assert (sys.dont_write_bytecode, sys.pycache_prefix) == settings


def test_a_package_is_imported_anew_as_a_whole(tmp_path, monkeypatch):
    """Every module of it, wherever it is installed; what fails leaves the old one whole."""
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"package_{next(NUMBERS)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "part.py").write_text("value = 1\n")
    exec(f"import {name}.part")
    package, part = sys.modules[name], sys.modules[f"{name}.part"]

    def fail():
        with imported_anew([f"{name}.part"]):
            exec(f"import {name}.part")
            assert sys.modules[f"{name}.part"] is not part
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert sys.modules[name] is package
    assert sys.modules[f"{name}.part"] is package.part is part
    (tmp_path / name / "part.py").write_text("value = 2\n")
    with imported_anew([f"{name}.part"]):
        exec(f"import {name}.part")
    assert sys.modules[f"{name}.part"].value == 2
    assert part.value == 1


def test_the_switch_and_libraries_stay(room, house):
    """Neither our own modules nor Twisted's nor anybody else's are imported twice."""
    load.load(room.name, {}, house)
    names = [name for name in sys.modules if name.partition(".")[0] in ("softswitch", "attrs")]
    names += [name for name in sys.modules if name.startswith("twisted.") and "says_" not in name]
    names = [name for name in names if not name.endswith("_plugin") or "softswitch" in name]
    before = {name: sys.modules[name] for name in names}
    with load.anew([room.name, "located"]):
        load.load(room.name, {}, house)
        load.load("located", {}, house)
    assert {name: sys.modules[name] for name in names} == before
