"""A running switch that is offered several times what it can carry, over UDP and TCP.

Each new call has a policy compute for 5 ms, so that little is too much whatever machine this is; a
refusal asks no policy. What an ordinary core carries is measured by ``scripts/bench overload``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_overload import Load
from phones import claimed_network

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.alone]

MAKERS = """
from softswitch.plugin.maker import PolicyMaker

computes = PolicyMaker("computes", "slow:Computes", "Computes for 5 ms.", api="1.0")
"""

POLICY = """
import time

from softswitch.plugin.interfaces import IRouter
from zope.interface import implementer


@implementer(IRouter)
class Computes:
    def route(self, invite):
        ends = time.thread_time() + 0.005
        while time.thread_time() < ends:
            pass
"""


@pytest.fixture
def load(tmp_path: Path, transport: str) -> Iterator[Load]:
    plugins = tmp_path / "python" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "slow_plugin.py").write_text(MAKERS)
    (tmp_path / "python" / "slow.py").write_text(POLICY)
    with claimed_network() as network:
        load = Load(
            tmp_path,
            network,
            transport,
            first='[[policy]]\nuse = "computes"\nbusy_share = 0',
            environment={"PYTHONPATH": str(tmp_path / "python")},
        )
        try:
            yield load
        finally:
            load.switch.kill()


def test_far_too_many_calls(load: Load):
    """Nearly each one is completed or refused: until an overload is known for what it is, some wait
    too long. Requests within dialogs are answered, of calls that stand as well; when it is over,
    every call succeeds (issue 6)."""
    before = load.offer(20, 2)
    assert before.completed == before.offered
    during = load.offer(400, 8, standing=10)
    assert during.refused > during.offered / 4
    assert during.completed > 0
    assert during.failed < during.offered / 20
    assert during.answered >= 0.999 * during.within
    load.switch.pause(5)
    after = load.offer(20, 3)
    assert after.completed == after.offered
    assert load.switch.stats()["overloads"] >= 1
