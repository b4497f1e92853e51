"""What the README shows is true."""

import re
from pathlib import Path

import pytest

from softswitch.ops.config import load
from softswitch.plugin.decisions import Route, Target

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_policy_routes(monkeypatch: pytest.MonkeyPatch):
    """The ten lines are a router; the second block makes its name known."""
    policy, maker = blocks("python")
    names: dict[str, object] = {}
    exec(compile(policy, "lunch.py", "exec"), names)
    exec(compile(maker, "lunch_plugin.py", "exec"), names)
    assert names["lunch"].factory == "lunch:Lunch"
    lunch = names["Lunch"]("sip:bob@192.0.2.20")
    for hour, decision in ((12, Route([Target("sip:bob@192.0.2.20")])), (13, None)):
        names["datetime"] = type("Clock", (), {"now": lambda hour=hour: _At(hour)})
        assert lunch.route(None) == decision


class _At:
    def __init__(self, hour: int) -> None:
        self.hour = hour


def test_the_configuration_in_front_of_a_pbx_reads(tmp_path: Path):
    """The sketch is a whole configuration, about which there is nothing to warn of."""
    (file := tmp_path / "pbx.toml").write_text(blocks("toml")[1])
    config = load(file)
    assert [trunk.name for trunk in config.trunk_groups()] == ["pbx", "carrier"]
    assert [policy["use"] for policy in config.policy] == ["trunks", "dialplan"]
    assert config.warnings() == []


def test_the_users_of_the_first_call_are_those_of_the_defaults():
    """Names, passwords and address as the package's configuration has them."""
    config = load()
    for name, user in config.users.items():
        assert f"`{name}`" in TEXT
        assert f"`{user.password}`" in TEXT
    assert {table.bind for table in config.listen} == {"127.0.0.1"}


def test_links_lead_somewhere():
    """Every relative link names a file of the project."""
    for link in re.findall(r"\]\(([^):]+)\)", TEXT):
        assert (ROOT / link).exists(), link
