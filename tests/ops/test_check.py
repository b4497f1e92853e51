"""``softswitch check`` with plug-ins as users bring them: a folder on PYTHONPATH."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from softswitch.ops import check as checking
from softswitch.ops.cli import main

LISTEN = '[[listen]]\ntransport = "udp"\nbind = "127.33.6.1"\n'

MAKER = """
from softswitch.plugin.maker import PolicyMaker

odd = PolicyMaker("odd", "odd_policy:Odd", "Does what it is told.")
"""

ODD = """
import os
import time

import attrs
from softswitch.plugin.decisions import Reject, Route
from softswitch.plugin.interfaces import ICallObserver, IRouter
from zope.interface import implementer


@implementer(IRouter, ICallObserver)
@attrs.define
class Odd:
    mood: str = "meek"

    def start(self, house):
        print("what a plug-in prints harms nobody")
        if self.mood == "refuses":
            raise ValueError("mood: another is wanted")

    def route(self, invite):
        return getattr(self, self.mood)()

    def meek(self):
        return None

    def decides(self):
        return Route(["sip:x@192.0.2.9"])

    async def later(self):
        return None

    async def never(self):
        from twisted.internet.defer import Deferred
        await Deferred()

    def raises(self):
        raise RuntimeError("not today")

    def rubbish(self):
        return Route(["nowhere"])

    def sleeps(self):
        time.sleep(0.2)

    def blocks(self):
        time.sleep(60)

    def leaves(self):
        os._exit(7)

    def call_started(self, record):
        open(os.environ["MARK"], "w").close()

    call_ringing = call_answered = call_ended = call_started
"""


@pytest.fixture
def check(tmp_path: Path):
    """Runs the command on a configuration with such policies."""
    plugins = tmp_path / "mine" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "odd_plugin.py").write_text(MAKER)
    (tmp_path / "mine" / "odd_policy.py").write_text(ODD)

    def check(*moods: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        tables = "".join(f'[[policy]]\nuse = "odd"\nmood = "{mood}"\n' for mood in moods)
        (tmp_path / "switch.toml").write_text(LISTEN + tables)
        return subprocess.run(
            [sys.executable, "-m", "softswitch", "check", "switch.toml", *options],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path / "mine"),
                "MARK": str(tmp_path / "mark"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return check


def line_of(text: str) -> int:
    """Where the policy says that."""
    return next(number for number, line in enumerate(ODD.split("\n"), 1) if text in line)


def test_plug_ins_that_do_as_they_say(check, tmp_path):
    """Each is asked, and what it did is told; one that answers later is not waited for; an observer
    is not told of a call that never was."""
    done = check("meek", "decides", "later", "never")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "switch.toml: policy[0] odd: route: nothing, the next is asked",
        "switch.toml: policy[0] odd: observer: not told of a call that never was",
        "switch.toml: policy[1] odd: route: Route",
        "switch.toml: policy[1] odd: observer: not told of a call that never was",
        "switch.toml: policy[2] odd: route: nothing, the next is asked",
        "switch.toml: policy[2] odd: observer: not told of a call that never was",
        "switch.toml: policy[3] odd: route: answers later",
        "switch.toml: policy[3] odd: observer: not told of a call that never was",
        "switch.toml: no mistake found",
    ]
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("mood", "status", "told", "line"),
    [
        ("refuses", 2, "softswitch: switch.toml: policy[0]: mood: another is wanted", ""),
        ("raises", 3, "RuntimeError: not today", "raise RuntimeError"),
        ("sleeps", 4, "holds everybody up for 2", "def route"),
        ("blocks", 4, "no answer in 1 s", "time.sleep(60)"),
        ("rubbish", 5, "rubbish: unfit URI 'nowhere'", "def route"),
        ("leaves", 6, "ended the process with 7", ""),
    ],
)
def test_a_plug_in_that_does_wrong_is_named(check, tmp_path, mood, status, told, line):
    """With file and line; the exit status tells the class of the mistake; those after it are asked
    all the same."""
    done = check(mood, "meek", options=("--seconds", "1"))
    assert done.returncode == status
    (wrong,) = done.stderr.splitlines()
    assert told in wrong
    if line:
        assert wrong.endswith(f"({tmp_path}/mine/odd_policy.py:{line_of(line)})")
        assert wrong.startswith("switch.toml: policy[0] odd: route: ")
    assert "policy[1] odd: route: nothing" in done.stdout
    assert "no mistake" not in done.stdout


def test_of_several_mistakes_the_first_class_counts(check):
    """An exception weighs more than rubbish."""
    assert check("rubbish", "raises").returncode == 3


def test_plug_ins_can_be_left_alone(check):
    """--no-plugins only reads the configuration."""
    done = check("blocks", options=("--no-plugins",))
    assert (done.returncode, done.stdout) == (0, "switch.toml: no mistake found\n")


def test_what_is_wrong_without_plug_ins_comes_first(tmp_path: Path, capsys, monkeypatch):
    """A policy that nobody has is told before any process is started."""
    monkeypatch.setattr(checking.subprocess, "run", None)
    (file := tmp_path / "switch.toml").write_text(f'{LISTEN}[[policy]]\nuse = "locatd"')
    assert main(["check", str(file)]) == 2
    assert (
        'policy[0].use: no policy is called "locatd"; did you mean located?'
        in capsys.readouterr().err
    )
