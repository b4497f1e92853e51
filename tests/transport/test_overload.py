"""When the switch is overloaded, as its ports and timers see it."""

from twisted.internet.task import Clock

from softswitch.testing.clock import VirtualClock
from softswitch.transport.overload import Overload, OverloadSettings
from softswitch.wheel import Wheel


def test_a_backlog_that_stays():
    """Full batches for more than the lag, or half of it where the receive buffer is half full."""
    clock = VirtualClock()
    overload = Overload(clock.seconds, OverloadSettings(lag_seconds=0.1))
    overload.backlog(0.09, 0.2)
    overload.backlog(0.04, 0.9)
    assert not overload.on
    overload.backlog(0.06, 0.9)
    assert overload.now_on()
    clock.run(1)
    assert not overload.now_on()
    overload.backlog(0.11, 0.1)
    assert overload.now_on()
    assert overload.times == 2


def test_timers_that_are_late():
    """One that is late says little; three in a row do."""
    clock = VirtualClock()
    overload = Overload(clock.seconds, OverloadSettings(lag_seconds=0.1))
    for late in (0.3, 0.3, 0.0, 0.3, 0.3):
        overload.woken_late(late)
    assert not overload.on
    overload.woken_late(0.2)
    assert overload.now_on()


def test_without_a_lag_nothing_is_refused():
    """0 turns it off."""
    overload = Overload(VirtualClock().seconds, OverloadSettings(lag_seconds=0))
    overload.backlog(100, 1)
    for _ in range(10):
        overload.woken_late(10)
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
