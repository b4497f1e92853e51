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


def backlog(overload, clock, seconds, delay, filled):
    """Full batches for so long."""
    queue = overload.queue()
    for _ in range(round(seconds / 0.01)):
        queue.measured(delay, filled)
        clock.run(0.01)
    queue.emptied()


@pytest.mark.parametrize(("delay", "filled"), [(0.11, 0.1), (0.01, 0.6)])
def test_a_backlog_that_stays(clock, overload, delay, filled):
    """What waits longer than the lag, or will soon find no room, for ten times the lag: then new
    work is refused until it is over. What gathers in a stall is none."""
    for _ in range(5):
        backlog(overload, clock, 0.9, delay, filled)
    backlog(overload, clock, 5, 0.09, 0.4)
    assert not overload.on
    backlog(overload, clock, 1.03, delay, filled)
    assert overload.now_on()
    clock.run(0.1)
    assert not overload.now_on()


def test_each_queue_has_to_stand_by_itself(clock, overload):
    """One that is short says nothing of another, which goes on waiting."""
    short, long = overload.queue(), overload.queue()
    for _ in range(101):
        assert not overload.on
        long.measured(0.2)
        short.emptied()
        clock.run(0.01)
    long.measured(0.2)
    assert overload.now_on()


def test_it_is_remembered_for_a_while(clock, overload):
    """So that what follows on a refusal is looked for as long as it may come."""
    backlog(overload, clock, 1.03, 0.2, 0.1)
    clock.run(RECENT / 2)
    assert (overload.now_on(), overload.on) == (False, True)
    clock.run(RECENT)
    assert (overload.now_on(), overload.on) == (False, False)


def test_the_next_one_is_known_at_once(clock, overload):
    """Where the switch was overloaded just now; some seconds later it has to stand again."""
    backlog(overload, clock, 1.03, 0.2, 0.1)
    clock.run(1)
    overload.queue().measured(0.2, 0.1)
    assert overload.now_on()
    assert overload.times == 1
    clock.run(RECENT + 1)
    overload.queue().measured(0.2, 0.1)
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
    backlog(overload, clock, 5, 100, 1)
    for _ in range(10):
        overload.woken_late(10)
        clock.run(1)
    assert not overload.on


@pytest.mark.parametrize("leap", [-3600, 3600])
def test_the_wheel_turns_when_the_time_is_set(leap):
    """Its timers are due by the clock that counts, whatever time somebody makes it; what time it
    is, it says all the same."""
    clock, time, fired = Clock(), [1e9], []
    wheel = Wheel(clock, now=lambda: time[0])
    wheel.callLater(1, fired.append, 1)
    time[0] += leap
    wheel.callLater(2, fired.append, 2)
    for seconds in range(1, 4):
        clock.advance(1)
        assert fired == [1, 2][:seconds]
    assert wheel.seconds() == 1e9 + leap


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
