"""Plug-ins found, loaded and refused as a user meets it."""

import os
import re
import subprocess
import sys
import tomllib
from itertools import count
from pathlib import Path

import pytest
from twisted.plugin import pluginPackagePaths

import twisted.plugins
from softswitch.errors import ConfigError
from softswitch.policy.load import load

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "night"

POLICY = """
import attrs
from zope.interface import implementer
from softswitch.plugin.interfaces import ICallObserver, IRouter

@implementer(IRouter)
@attrs.define
class Plain:
    office: str
    hour: int = 8
    rate: float = 1.0
    open: bool = True

    def __attrs_post_init__(self):
        if self.hour > 23:
            raise ValueError("hour: 0 to 23 is wanted")
        if self.hour == 13:
            raise OSError("no such luck")

    def route(self, invite):
        return None

class Optionless:
    pass

@implementer(IRouter)
class WithoutOptions:
    def route(self, invite):
        return None

@implementer(IRouter)
class Wrong:
    def route(self):
        return None

@implementer(IRouter)
class Missing:
    pass

@implementer(IRouter)
class Starts(WithoutOptions):
    def start(self, house):
        self.house = house

@implementer(IRouter)
class StartsNot(WithoutOptions):
    def start(self, house):
        raise LookupError("no database")

@implementer(IRouter)
class StartsWrongly(WithoutOptions):
    def start(self, house):
        raise ValueError("office: nobody of that name")

@implementer(IRouter)
@attrs.define
class Unresolved(WithoutOptions):
    office: "Nowhere"

class Breaks(WithoutOptions):
    def __init__(self):
        raise KeyError("gone")

function = print

@implementer(ICallObserver)
class Observes:
    def note(self, record):
        pass
    call_started = call_ringing = call_answered = call_ended = note
"""


#: What of it has a maker; the last is not there.
NAMES = (
    *("Plain", "Optionless", "WithoutOptions", "Wrong", "Missing", "Unresolved", "Breaks"),
    *("Starts", "StartsNot", "StartsWrongly", "function", "Observes", "Absent"),
)

#: Python remembers modules by name, so that each folder needs names of its own.
NUMBERS = count()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on the path with a module of policies and their makers."""
    number = next(NUMBERS)
    module = f"plain_policies_{number}"
    (tmp_path / f"{module}.py").write_text(POLICY)
    lines = ["from softswitch.plugin.maker import PolicyMaker"]
    for name in NAMES:
        lines.append(f'{name} = PolicyMaker("{name}", "{module}:{name}", "A test.")')
    lines.append('nowhere = PolicyMaker("nowhere", "no_such_module_here:X", "A test.")')
    lines.append('newer = PolicyMaker("newer", "no_such_module_here:X", "A test.", api="99.0")')
    lines.append(f'syntax = PolicyMaker("syntax", "syntax_{number}:X", "A test.")')
    lines.append(f'raising = PolicyMaker("raising", "raising_{number}:X", "A test.")')
    (tmp_path / f"syntax_{number}.py").write_text("def (:\n")
    (tmp_path / f"raising_{number}.py").write_text("limit = 1\nlimit / 0\n")
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / f"plain_plugin_{number}.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(twisted.plugins, "__path__", pluginPackagePaths("twisted.plugins"))
    return tmp_path


def refused(house, name, **options):
    """The one line that stops the start."""
    with pytest.raises(ConfigError) as caught:
        load(name, options, house, file="my.toml", path="policy[2]")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_options_become_fields(folder, house):
    """The table's keys are structured into the class's fields; defaults stay."""
    policy = load("Plain", {"office": "100", "rate": 2}, house)
    plain = policy.plug_in
    assert policy.name == "Plain"
    assert (plain.office, plain.hour, plain.rate, plain.open) == ("100", 8, 2.0, True)


def test_a_policy_is_started_with_the_house(folder, house):
    """``start`` is called once, where there is one; a plain class needs no attrs."""
    assert load("Starts", {}, house).plug_in.house is house
    assert load("WithoutOptions", {}, house).name == "WithoutOptions"


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("Plain", {}, "my.toml: policy[2].office: is required"),
        ("Plain", {"office": 1}, "policy[2].office: text in quotes is wanted, not 1"),
        ("Plain", {"office": "1", "hour": "8"}, "policy[2].hour: a whole number is wanted"),
        ("Plain", {"office": "1", "hour": True}, "policy[2].hour: a whole number is wanted"),
        ("Plain", {"office": "1", "open": 1}, "policy[2].open: true or false is wanted"),
        ("Plain", {"office": "1", "ofice": "2"}, "policy[2].ofice: no such key; did you mean"),
        ("Plain", {"office": "1", "hour": 24}, "policy[2]: hour: 0 to 23 is wanted"),
        ("Plain", {"office": "1", "hour": 13}, "policy[2]: no such luck"),
        ("Unresolved", {"office": "1"}, "policy[2]: Unresolved cannot be made: NameError: name "),
        ("Breaks", {}, "policy[2]: Breaks cannot be made: KeyError: 'gone' (/"),
        ("WithoutOptions", {"a": 1}, "policy[2].a: WithoutOptions is no attrs class"),
        ("Optionless", {}, "implements none of IAdmissionPolicy, IRouter"),
        ("Wrong", {}, "policy[2].use: Wrong (plain_policies_"),
        ("Missing", {}, "IRouter"),
        ("StartsNot", {}, "policy[2]: StartsNot does not start: LookupError: no database (/"),
        ("StartsWrongly", {}, "policy[2]: office: nobody of that name"),
        ("function", {}, "does not load: TypeError: function is no class"),
        ("Absent", {}, "does not load: AttributeError: module 'plain_policies_"),
        (
            "nowhere",
            {},
            "does not load: ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
        ("newer", {}, "newer (no_such_module_here:X) is written for plug-in API 99.0, and this "),
        ("Observes", {"deadline": 1}, "policy[2].deadline: Observes is only told of calls: it "),
        ("syntax", {}, "does not load: SyntaxError: invalid syntax (syntax_"),
        ("raising", {}, "does not load: ZeroDivisionError: division by zero (/"),
        ("Plainn", {}, 'policy[2].use: no policy is called "Plainn"; did you mean Plain?'),
        ("zzz", {}, 'policy[2].use: no policy is called "zzz"; known: Absent, Breaks, Missing, '),
    ],
)
def test_what_is_wrong_stops_the_start(folder, house, name, options, line):
    """One line: file, key and what would be right."""
    assert line in refused(house, name, **options)


def test_a_broken_plugin_file_is_told(folder, house, monkeypatch):
    """``getPlugins`` only logs a file that does not load; the missing name brings it up."""
    bad = folder / "twisted" / "plugins" / f"bad_plugin_{next(NUMBERS)}.py"
    bad.write_text("from softswitch.plugin.maker import PolicyMakr\n")
    line = refused(house, "mine")
    assert f"{bad} does not load: ImportError: cannot import name 'PolicyMakr'" in line


def test_a_name_belongs_to_one(folder, house):
    """Two plug-ins of one name: nobody could tell which is meant."""
    other = folder / "twisted" / "plugins" / f"other_plugin_{next(NUMBERS)}.py"
    other.write_text(
        "from softswitch.plugin.maker import PolicyMaker\n"
        'other = PolicyMaker("Plain", "elsewhere:Plain", "A test.")\n'
    )
    line = refused(house, "Plain", office="1")
    assert line.startswith("policy 'Plain': ")
    assert "elsewhere:Plain" in line


def test_nothing_is_imported_before_it_is_asked_for(folder, house):
    """A maker is strings only: the class's module waits for the configuration's wish."""
    load("WithoutOptions", {}, house)
    assert not any(name.startswith(("syntax_", "raising_")) for name in sys.modules)


NIGHT = """
import sys
from types import SimpleNamespace
from softswitch.policy.load import load

assert "night_service" not in sys.modules
house = SimpleNamespace(now=lambda: NOW)
policy = load("night", {"office": "100", "target": "sip:answering@service.example"}, house)
invite = SimpleNamespace(uri=SimpleNamespace(user=sys.argv[1]))
print(policy.plug_in.route(invite))
"""


@pytest.mark.parametrize(
    ("hour", "dialled", "answer"),
    [(20, "100", "sip:answering@service.example"), (20, "101", "None"), (9, "100", "None")],
)
def test_the_example_works_as_its_page_says(tmp_path, hour, dialled, answer):
    """The folder of the night service, put on PYTHONPATH, is found, loaded and asked."""
    code = NIGHT.replace("NOW", str(hour * 3600))
    found = subprocess.run(
        [sys.executable, "-c", code, dialled],
        env={
            **os.environ,
            "TZ": "UTC",
            "PYTHONPATH": os.pathsep.join([str(EXAMPLE), str(EXAMPLE.parents[2])]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert answer in found.stdout


def test_the_page_on_plugins_tells_the_truth(house):
    """Each Python block of docs/plugins.md runs, and its dial plan is loaded as it stands."""
    page = (EXAMPLE.parents[1] / "plugins.md").read_text()
    room: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "plugins.md", "exec"), room)
    policy = room["Lunch"](("101",), "sip:desk@service.example")
    policy.start(house)
    assert policy.route(room["invite"]) is None
    tables = [
        tomllib.loads(block)["policy"][0]
        for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    ]
    plan = next(table for table in tables if table["use"] == "dialplan")
    use = plan.pop("use")
    rules = load(use, plan, house).plug_in.rules
    assert [rule.rewritten("0441234") for rule in rules if rule.trunk] == ["+441234"]
    assert [rule.rewritten("+4420123") for rule in rules if rule.user] == ["123"]
