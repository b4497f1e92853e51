"""When the switch is overloaded, as its ports and timers see it."""

import pytest
from twisted.internet.task import Clock

from softswitch.testing.clock import VirtualClock
from softswitch.transport.overload import RECENT, Overload, OverloadSettings
from softswitch.wheel import Wheel


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def overload(clock):
    return Overload(clock.seconds, OverloadSettings(lag_seconds=0.1))


def test_a_backlog_that_stays(clock, overload):
    """Full batches for ten times the lag, or five where the receive buffer is half full; then new
    work is refused until it is over. What gathers in a stall is none."""
    overload.backlog(0.9, 0.2)
    overload.backlog(0.4, 0.9)
    assert not overload.on
    overload.backlog(0.6, 0.9)
    assert overload.now_on()
    clock.run(0.1)
    assert not overload.now_on()


def test_the_next_one_is_known_sooner(clock, overload):
    """Where the switch was overloaded just now, the lag itself will do; some seconds later it has
    to stand again."""
    overload.backlog(1.1, 0.1)
    clock.run(1)
    overload.backlog(0.11, 0.1)
    assert overload.now_on()
    assert overload.times == 2
    clock.run(RECENT + 1)
    overload.backlog(0.11, 0.1)
    assert not overload.now_on()


def test_timers_that_are_late(clock, overload):
    """All of them, for a second: one that is in time says that it was a stall."""
    for _ in range(20):
        for late in (0.3, 0.3, 0.0):
            overload.woken_late(late)
            clock.run(0.3)
    assert not overload.on
    for _ in range(4):
        clock.run(0.3)
        overload.woken_late(0.3)
    assert overload.now_on()


def test_without_a_lag_nothing_is_refused(clock):
    """0 turns it off."""
    overload = Overload(clock.seconds, OverloadSettings(lag_seconds=0))
    overload.backlog(100, 1)
    for _ in range(10):
        overload.woken_late(10)
        clock.run(1)
    assert not overload.on


def test_the_wheel_says_how_late_it_is():
    """By the slot for which it wanted to be woken."""
    clock = Clock()
    wheel = Wheel(clock)
    told = []
    wheel.late = told.append
    wheel.callLater(0.1, lambda: None)
    clock.advance(0.1)
    wheel.callLater(0.1, lambda: None)
    clock.advance(0.5)
    assert [round(late, 3) for late in told] == [0, 0.4]
