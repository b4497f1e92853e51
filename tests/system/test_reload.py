"""``softswitch reload`` on a running switch, as an operator does it; and SIGHUP."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from phones import Phone, claimed_network, pick_up
from processes import Switch
from trunks import Stage, played

SOFTSWITCH = Path(sys.executable).with_name("softswitch")

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]

[[policy]]
use = "trunks"

[[policy]]
use = "sends"
target = "{target}"

[media]
engine = "bypass"
"""

MAKER = """
from softswitch.plugin.maker import PolicyMaker

sends = PolicyMaker("sends", "sends:Sends", "Sends every call to one place.")
"""

SENDS = """
import attrs
from softswitch.plugin.decisions import Redirect, Route
from softswitch.plugin.interfaces import IRouter
from zope.interface import implementer


@implementer(IRouter)
@attrs.define
class Sends:
    target: str

    def route(self, invite):
        return {answer}
"""


class Operator:
    """A switch with a plug-in from a folder, and who changes both."""

    def __init__(self, folder: Path, network: str) -> None:
        self.network = network
        self.service = Phone("service", f"{network}.3", (f"{network}.1", 5060))
        self.caller = Phone("caller", f"{network}.2", (f"{network}.1", 5060))
        self._mine = folder / "mine"
        (self._mine / "twisted" / "plugins").mkdir(parents=True)
        (self._mine / "twisted" / "plugins" / "sends_plugin.py").write_text(MAKER)
        self.code("Route([self.target])")
        self.path = os.pathsep.join(filter(None, [str(self._mine), os.environ.get("PYTHONPATH")]))
        self.switch = Switch(self.configuration, folder, environment={"PYTHONPATH": self.path})
        self.file = folder / "softswitch.toml"

    @property
    def configuration(self) -> str:
        return CONFIGURATION.format(network=self.network, target=self.service.contact)

    def code(self, answer: str) -> None:
        """What the plug-in says from now on."""
        (self._mine / "sends.py").write_text(SENDS.format(answer=answer))

    def write(self, text: str) -> None:
        """Another configuration."""
        self.file.write_text(text.replace("@state@", str(self.switch.state)))

    def reload(self, *options: str) -> subprocess.CompletedProcess[str]:
        """``softswitch reload``."""
        return subprocess.run(
            [SOFTSWITCH, "reload", str(self.file), *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def close(self) -> None:
        self.switch.kill()
        self.service.close()
        self.caller.close()


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with claimed_network() as network:
        operator = Operator(tmp_path, network)
        yield operator
        operator.close()


def test_new_code_and_a_new_configuration(operator: Operator):
    """Status 0 and a line; the next call meets the new code, the one that runs goes on, and its
    redirection is treated by the old policies. The log says what is in force."""
    caller, service = operator.caller, operator.service
    running = caller.send(caller.invite(f"sip:1@{operator.network}.1"))
    offered = service.request_received("INVITE")
    service.answer(offered, 180)
    caller.response_received(180)
    operator.code('Redirect(["sip:new@192.0.2.1"], 302)')
    operator.write(operator.configuration + "\n[users.new]\npassword = 'new'\n")
    done = operator.reload()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"softswitch: {operator.file}: in force, with 2 policies, 1 trunk and 1 user\n"
    )
    pick_up(caller, service, running, offered)
    assert caller.ask(caller.invite(f"sip:2@{operator.network}.1"))[1].status == 302
    assert operator.switch.stats()["leaks"] == 0
    assert operator.switch.stop() == 0
    assert not (operator.switch.state / "softswitch.pid").exists()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("code", "policy[1].use: sends (sends:Sends) does not load: SyntaxError"),
        ("option", "policy[1].targt: no such key; did you mean target?"),
        ("restart", "listen: a change here takes a restart of the switch"),
        ("toml", "is no TOML"),
    ],
)
def test_a_broken_reload_is_refused_with_its_reason(operator: Operator, broken: str, why: str):
    """Status 2, the reason on the standard error; whatever is broken, the switch goes on with what
    it had, and takes the mended one."""
    texts = {
        "option": operator.configuration.replace("target =", "targt ="),
        "restart": operator.configuration.replace('"udp"', '"tcp"'),
        "toml": operator.configuration + "\n[switch\n",
    }
    if broken == "code":
        operator.code("Route([")
    else:
        operator.write(texts[broken])
    done = operator.reload()
    assert done.returncode == 2
    assert why in done.stderr
    assert (done.stderr.count("\n"), done.stdout) == (1, "")
    caller, service = operator.caller, operator.service
    invite = caller.send(caller.invite(f"sip:1@{operator.network}.1"))
    pick_up(caller, service, invite, service.request_received("INVITE"))
    operator.code('Redirect(["sip:new@192.0.2.1"], 302)')
    operator.write(operator.configuration)
    assert operator.reload().returncode == 0
    assert caller.ask(caller.invite(f"sip:2@{operator.network}.1"))[1].status == 302


def test_a_signal_alone_does_it_too(operator: Operator):
    """SIGHUP to the process whose number stands in the state directory; the log tells."""
    pid = int((operator.switch.state / "softswitch.pid").read_text())
    assert pid == operator.switch.pid
    operator.code('Redirect(["sip:new@192.0.2.1"], 302)')
    os.kill(pid, signal.SIGHUP)
    operator.switch.until(lambda: b"reloaded " in operator.switch.log.read_bytes(), 10)
    caller = operator.caller
    assert caller.ask(caller.invite(f"sip:2@{operator.network}.1"))[1].status == 302


def test_nobody_to_reload(operator: Operator, tmp_path: Path):
    """Status 1: nobody runs with that state directory, though a file was left by one that was
    killed. Two switches cannot run with one."""
    operator.write(operator.configuration.replace(f"{operator.network}.1", f"{operator.network}.7"))
    other = subprocess.run(
        [SOFTSWITCH.with_name("twistd"), "-n", "--pidfile=", "softswitch", "-c", operator.file],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": operator.path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert other.returncode == 2
    assert f"process {operator.switch.pid} runs with this state directory" in other.stderr
    operator.switch.kill()
    assert (operator.switch.state / "softswitch.pid").exists()
    done = operator.reload()
    assert (done.returncode, done.stdout) == (1, "")
    assert "no switch runs with the state directory" in done.stderr


@pytest.mark.peer("sipp")
def test_a_reload_at_50_calls_per_second_drops_none(tmp_path: Path):
    """Good ones and broken ones, one after the other: all calls are answered and end in order, and
    none is sent a message twice that the switch has had."""
    stage = Stage(tmp_path, "udp")
    try:
        file = stage.folder / "softswitch.toml"
        good = file.read_text()
        calls = 600
        callee = stage.callee("callee_answers", "-m", str(calls))
        caller = stage.caller("caller_hangs_up", "-m", str(calls), "-r", "50", "-d", "500")
        outcomes = []
        for text in [good, good + "\n[swich]\n", good.replace("dialplan", "dialpln")] * 2:
            file.write_text(text)
            done = subprocess.run(
                [SOFTSWITCH, "reload", str(file)], capture_output=True, timeout=60, check=False
            )
            outcomes.append(done.returncode)
        # What the command itself has refused the switch must refuse too.
        for _ in range(4):
            stage.switch.send_signal(signal.SIGHUP)
            stage.switch.pause(0.3)
        played(callee, caller, seconds=60)
        assert outcomes == [0, 2, 2, 0, 2, 2]
        counts = caller.counts()
        assert (counts["SuccessfulCall"], counts["FailedCall"]) == (calls, 0)
        assert len(stage.switch.records(calls)) == calls
        log = stage.switch.log.read_text()
        assert log.count("reloaded ") == 2
        assert log.count("not reloaded") >= 3
        stage.close()
    finally:
        stage.clear()
