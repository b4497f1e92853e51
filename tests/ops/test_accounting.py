"""Accounts towards the world: the store, the log, the command's wishes."""

import json

import pytest
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from softswitch.ops.accounting import Accounting
from softswitch.plugin.tolls import TollLimits
from softswitch.store.sqlite import SqliteStore
from softswitch.testing.clock import VirtualClock
from softswitch.trunk.destinations import Destinations
from softswitch.trunk.tolls import Outgoing, Refusal, TollRules, Tolls

LIMITS = TollLimits((), per_minute=2, spend_per_day=10, block_seconds=600)
HOME = "+442071838750"


def rules(limits=LIMITS):
    """Everybody has these, and a minute costs 6."""
    return TollRules(
        lambda kind, name: limits, Destinations({}), {}, lambda number, trunk: 6.0, 0, str
    )


def outgoing(call, number=HOME):
    return Outgoing("user", "alice", "", call, number, number, "carrier")


@pytest.fixture
def make(tmp_path):
    """Makes the accounts of a switch whose store is always the same; each is stopped."""
    made = []

    def begin(at=0.0):
        clock, reactor = VirtualClock(at), Clock()
        reactor.advance(at)
        tolls, store = Tolls(clock), SqliteStore(tmp_path / "store.sqlite")
        tolls.rules = rules()
        accounting = Accounting(tolls, store, reactor)
        accounting.start()
        made.append(store)
        return tolls, accounting, clock, reactor, store

    yield begin
    for store in made:
        store.close()


def test_what_is_counted_is_written_within_a_second(make):
    """And read by the next process, though this one has been killed: the block, and what a call has
    cost that ran until then."""
    tolls, _, clock, reactor, store = make(1_000_000.0)
    run = tolls.take(outgoing("1"), [])
    tolls.answered(run)
    for _ in range(50):
        clock.run(1)
        reactor.advance(1)
    store.close()  # nothing was told to the accounting
    again, *_ = make(1_000_050.0)
    assert again.plain("user alice")["spent"][-1][1] == pytest.approx(5, abs=0.2)


def test_a_block_is_taken_over(make):
    """Until its own time."""
    tolls, accounting, _, _, store = make(1_000_000.0)
    assert [isinstance(tolls.take(outgoing(str(n)), []), str) for n in range(3)] == [
        True,
        True,
        False,
    ]
    accounting.stop()
    store.close()
    again, *_ = make(1_000_100.0)
    assert again.blocked() == [("user alice", 1_000_600.0, "per_minute 2")]


def test_a_process_whose_clock_is_behind(make):
    """What the last one has written in the future counts as if it had been written now."""
    tolls, accounting, _, _, store = make(2_000_000.0)
    for n in range(3):
        tolls.take(outgoing(str(n)), [])
    accounting.stop()
    store.close()
    again, *_ = make(1_000_000.0)
    assert again.blocked() == [("user alice", 1_000_600.0, "per_minute 2")]


def test_the_log_hears_once_a_minute(make):
    """Of each account, whatever it dials."""
    _, accounting, _, reactor, _ = make()
    lines = []
    globalLogPublisher.addObserver(note := lambda event: lines.append(formatEvent(event)))
    try:
        for holder in ("user alice", "user bob", "user alice"):
            accounting._refused(Refusal(403, f"{holder}: calls 1", holder))
        reactor.advance(61)
        accounting._refused(Refusal(403, "user alice: calls 1", "user alice"))
    finally:
        globalLogPublisher.removeObserver(note)
    assert lines == [
        "a call over a trunk was refused, user alice: calls 1: 403",
        "a call over a trunk was refused, user bob: calls 1: 403",
        "a call over a trunk was refused, user alice: calls 1: 403",
    ]


def test_what_the_command_wishes_for(make):
    """Who is blocked, and why; one who is not cannot be let go."""
    tolls, accounting, *_ = make()
    assert accounting.blocked() == {"done": True, "blocked": []}
    for n in range(3):
        tolls.take(outgoing(str(n)), [])
    assert json.loads(json.dumps(accounting.blocked()))["blocked"] == [
        ["user alice", 600.0, "per_minute 2"]
    ]
    assert accounting.lift("user alice") == {"done": True, "said": "user alice may call again"}
    assert not accounting.lift("user alice")["done"]
    accounting.stop()
