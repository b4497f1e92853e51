"""A virtual clock that stops at each deadline. Pure.

``twisted.internet.task.Clock.advance(40)`` runs timers that were set inside a callback late;
this one goes from deadline to deadline, so that every timer fires at its exact second.
"""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class VirtualTimer:
    """One thing that will happen in virtual time."""

    __slots__ = ("_clock", "args", "function")

    def __init__(
        self, clock: "VirtualClock", function: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._clock = clock
        self.function: Callable[..., object] | None = function
        self.args = args

    def cancel(self) -> None:
        """See that it does not happen; harmless when it has happened or was cancelled."""
        if self.function is not None:
            self.function = None
            self.args = ()
            self._clock.waiting -= 1


class VirtualClock:
    """Time that passes when told to.

    :ivar waiting: how many timers are set.
    :ivar after: called after each timer that has fired, so that a test can look at the world
        after every event.
    :ivar set_by: seconds by which somebody has set the time of day; timers go on.
    :param now: seconds at which it begins.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.waiting = 0
        self.set_by = 0.0
        self.after: Callable[[], object] = _nothing
        self._now = round(now, 6)
        self._heap: list[tuple[float, int, VirtualTimer]] = []
        self._order = count()

    def seconds(self) -> float:
        """Now, in seconds, rounded to the microsecond."""
        return round(self._now + self.set_by, 6) if self.set_by else self._now

    def monotonic(self) -> float:
        """The same, whatever somebody has set."""
        return self._now

    def callLater(self, delay: float, function: Callable[..., object], *args: Any) -> VirtualTimer:
        """Call ``function(*args)`` in ``delay`` seconds."""
        timer = VirtualTimer(self, function, args)
        self.waiting += 1
        heapq.heappush(self._heap, (round(self._now + delay, 6), next(self._order), timer))
        return timer

    def run(self, seconds: float = 0.0) -> None:
        """Let ``seconds`` pass, stopping at each deadline within them."""
        end = round(self._now + seconds, 6)
        while self._heap and self._heap[0][0] <= end:
            self._step()
        self._now = end

    def run_until_idle(self, limit: float = 86400.0) -> None:
        """Run until no timer is set.

        :raises AssertionError: when timers are still set after ``limit`` seconds.
        """
        end = self._now + limit
        while self.waiting:
            assert self._heap[0][0] <= end, f"{self.waiting} timers still set after {limit} s"
            self._step()

    @property
    def idle(self) -> bool:
        """Whether no timer is set."""
        return self.waiting == 0

    def _step(self) -> None:
        due, _, timer = heapq.heappop(self._heap)
        function = timer.function
        if function is None:
            return
        self._now = max(self._now, due)
        timer.function = None
        self.waiting -= 1
        function(*timer.args)
        self.after()


def _nothing() -> None:
    """Nobody looks."""
