"""Stages for what passes between this switch and a PBX or a carrier, with each media engine."""

import pytest

from softswitch.machine import unexpected
from softswitch.testing.media import CountingEngine, SlowEngine
from softswitch.testing.stage import CONFIG, Stage

ENGINES = {
    "bypass": None,
    "relay": lambda clock: CountingEngine(),
    "slow": lambda clock: SlowEngine(CountingEngine(), clock, seed=2026),
}

CARRIER = "127.88.0.101"

#: What is dialled for the trunk of that name.
RULES = [
    {"match": "0.+", "strip": 1, "trunk": "carrier"},
    {"match": "9.+", "strip": 1, "trunk": "pbx"},
]


def config(trunks, rules=RULES, **tables):
    """Users alice, bob and carol, and these trunks."""
    trunks = {"carrier": {"addresses": [CARRIER]}, "pbx": {"addresses": ["127.88.0.102"]}} | trunks
    rules = [rule for rule in rules if rule.get("trunk") in (None, *trunks)]
    plan = {"use": "dialplan", "rules": rules}
    return {"trunks": trunks, "policy": [plan, *CONFIG["policy"]], **tables}


@pytest.fixture
def make_stage():
    """Makes stages; each must be left empty. Its ladder is shown when the test fails."""
    stages = []

    def make(trunks=None, *, engine="bypass", rules=RULES, transport="UDP", tables=None, **options):
        made = Stage(
            config(trunks or {}, rules, **(tables or {})),
            transport=transport,
            engine=ENGINES[engine],
            pace=2.5 if engine == "slow" else 0.0,
            **options,
        )
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


@pytest.fixture(params=ENGINES)
def engine(request):
    """Name of a media engine."""
    return request.param
