"""Stages for the call tests: every outcome is played with each transport and media engine."""

import pytest

from softswitch.machine import unexpected
from softswitch.testing.media import CountingEngine, SlowEngine
from softswitch.testing.stage import CONFIG, Stage

#: What a trunk's gateways are, and where they are.
GATEWAYS = ("127.88.0.101", "127.88.0.102", "127.88.0.103")

ENGINES = {
    "bypass": None,
    "relay": lambda clock: CountingEngine(),
    "slow": lambda clock: SlowEngine(CountingEngine(), clock, seed=2026),
}


def config(transport="UDP", **tables):
    """Registered users, and a trunk "carrier" that is reached by dialling 0 first."""
    rule = {"match": "0.+", "strip": 1, "trunk": "carrier"}
    return {
        "trunks": {
            "carrier": {
                "addresses": [f"{host}:5060" for host in GATEWAYS],
                "transport": transport.lower(),
            }
        },
        "policy": [{"use": "dialplan", "rules": [rule]}, *CONFIG["policy"]],
        **tables,
    }


@pytest.fixture
def make_stage():
    """Makes stages; each must be left empty. Its ladder is shown when the test fails."""
    stages = []

    def make(tables=None, transport="UDP", **options):
        made = Stage(config(transport, **(tables or {})), transport=transport, **options)
        stages.append(made)
        return made

    yield make
    for made in stages:
        print(made.ladder())
        made.close()
        if isinstance(made.engine, CountingEngine):
            assert not made.engine.sessions


@pytest.fixture(autouse=True)
def nothing_is_unexpected():
    """No state machine meets an event that its state does not know."""
    before = unexpected.copy()
    yield
    assert unexpected - before == {}


@pytest.fixture(params=["UDP", "TCP"])
def transport(request):
    """Of every phone."""
    return request.param


@pytest.fixture(params=ENGINES)
def stage(request, transport, make_stage):
    """A stage of each transport and engine; with the slow one, each thing takes its time."""
    pace = 2.5 if request.param == "slow" else 0.0
    return make_stage(transport=transport, engine=ENGINES[request.param], pace=pace)
