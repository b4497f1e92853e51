"""Timers: the clock that the sans-IO floors are given, and a timer wheel over any clock. Pure.

SIP sets a great many timers and cancels nearly all of them. A wheel keeps them in slots of
50 ms; to set one is to append to a list, to cancel one is to clear its function. The clock
beneath is asked to wake the wheel only while something waits. A wake-up costs more than all the
timers of a slot, so that the long ones share slots of half a second.
"""

import heapq
from collections.abc import Callable
from math import ceil
from typing import Any, Protocol


class Timer(Protocol):
    """One thing that will happen."""

    def cancel(self) -> None:
        """See that it does not happen; harmless when it has happened or was cancelled."""


class Clock(Protocol):
    """What tells the time and calls back: the wheel, or the tests' virtual clock."""

    def seconds(self) -> float:
        """Now, in seconds since an epoch of the clock's own: what is written down. In a running
        switch it is the time of day, which may be set."""

    def monotonic(self) -> float:
        """Seconds since some moment, by what nobody sets: how long something lasts."""

    def callLater(self, delay: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call ``function(*args)`` in ``delay`` seconds."""


class TwistedClock(Protocol):
    """The part of ``IReactorTime`` that the wheel uses: a reactor or ``task.Clock``."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any) -> Any: ...


#: Timers of so many ticks, 4 seconds, are long.
COARSE = 80


class WheelTimer:
    """A slot's entry; spent when ``function`` is None."""

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.function: Callable[..., object] | None = function
        self.args = args

    def cancel(self) -> None:
        """Clear the slot's function; the wheel passes over it."""
        self.function = None
        self.args = ()


class Wheel:
    """A timer wheel; a timer fires at most one tick late, never early.

    One of ``COARSE`` ticks or more fires at most ten ticks late.

    :ivar late: told with each wake-up how many seconds late it is; None where nobody wants to know.
    :ivar seconds: what time it is.
    :ivar monotonic: seconds by the clock beneath, which are not set with the time.
    :param clock: a reactor or ``twisted.internet.task.Clock``; it alone says when a timer is due.
    :param tick: width of a slot, seconds.
    :param broken: told of an exception that a timer's function let out; the other timers of
        the slot go on.
    :param now: what time it is, where the clock counts from another day on, or is not to be set
        with the time; None where the clock tells.
    """

    def __init__(
        self,
        clock: TwistedClock,
        tick: float = 0.05,
        broken: Callable[[BaseException], None] | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._tick = tick
        self._broken = broken
        self.late: Callable[[float], None] | None = None
        self._slots: dict[int, list[WheelTimer]] = {}
        self._due: list[int] = []
        self._wake: Any = None
        self._wake_slot = 0
        self.seconds = now or clock.seconds
        self.monotonic = clock.seconds

    def callLater(self, delay: float, function: Callable[..., object], *args: Any) -> WheelTimer:
        """Call ``function(*args)`` in ``delay`` seconds, rounded up to the next tick."""
        slot = ceil((self.monotonic() + delay) / self._tick - 1e-6)
        if delay >= COARSE * self._tick:
            slot = -(-slot // 10) * 10
        timer = WheelTimer(function, args)
        entries = self._slots.get(slot)
        if entries is None:
            self._slots[slot] = [timer]
            heapq.heappush(self._due, slot)
            if self._wake is None or slot < self._wake_slot:
                self._wake_at(slot)
        else:
            entries.append(timer)
        return timer

    def pending(self) -> int:
        """How many timers wait; walks them all, so for tests and an auditor only."""
        return sum(
            1 for entries in self._slots.values() for timer in entries if timer.function is not None
        )

    def entries(self) -> int:
        """The same with those that were cancelled before their time; quickly known."""
        return sum(map(len, self._slots.values()))

    def _wake_at(self, slot: int) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake_slot = slot
        delay = max(0.0, slot * self._tick - self.monotonic())
        self._wake = self._clock.callLater(delay, self._turn)

    def _turn(self) -> None:
        self._wake = None
        now = self.monotonic() / self._tick + 1e-6
        if self.late is not None:
            self.late((now - self._wake_slot) * self._tick)
        while self._due and self._due[0] <= now:
            for timer in self._slots.pop(heapq.heappop(self._due)):
                function = timer.function
                if function is None:
                    continue
                args = timer.args
                timer.cancel()
                try:
                    function(*args)
                except Exception as error:
                    if self._broken is None:
                        raise
                    self._broken(error)
        if self._due and (self._wake is None or self._due[0] < self._wake_slot):
            self._wake_at(self._due[0])
