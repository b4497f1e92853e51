"""What a trunk may carry: calls at once, calls per second, each way or both. Pure."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Literal

import attrs

#: Seen from the switch: "in" from the trunk, "out" to it.
Direction = Literal["in", "out"]

#: Seconds over which "per second" is counted: no span of that length holds more.
WINDOW = 1.0


@attrs.frozen
class Limits:
    """What a trunk may carry; None for any number.

    :ivar calls: at once, both ways together.
    :ivar calls_in: at once, from it.
    :ivar calls_out: at once, to it.
    :ivar per_second: calls that begin within any second, both ways together.
    :ivar per_second_in: likewise, from it.
    :ivar per_second_out: likewise, to it.
    :ivar status: what a call beyond them gets: 486 or 480.
    """

    calls: int | None = None
    calls_in: int | None = None
    calls_out: int | None = None
    per_second: int | None = None
    per_second_in: int | None = None
    per_second_out: int | None = None
    status: int = 486

    @cached_property
    def rates(self) -> dict[Direction, list[tuple[str, int]]]:
        """Direction -> the limits on calls per second that are set."""
        both = [] if self.per_second is None else [("per_second", self.per_second)]
        own: dict[Direction, int | None] = {"in": self.per_second_in, "out": self.per_second_out}
        return {
            way: both if rate is None else [*both, (f"per_second_{way}", rate)]
            for way, rate in own.items()
        }

    @cached_property
    def unset(self) -> bool:
        """Whether there is none."""
        counts = (self.calls, self.calls_in, self.calls_out)
        return not any(self.rates.values()) and counts == (None, None, None)


class Load:
    """What a trunk carries.

    :ivar now: direction -> calls at once.
    :ivar total: direction -> calls since the start.
    :ivar refused: limit -> calls that were turned away by it.
    """

    def __init__(self) -> None:
        self.now: dict[Direction, int] = {"in": 0, "out": 0}
        self.total: dict[Direction, int] = {"in": 0, "out": 0}
        self.refused: dict[str, int] = {}
        # Limit on calls per second -> when the newest calls under it began, as many as it says.
        self._begun: dict[str, deque[float]] = {}

    def over(self, limits: Limits, direction: Direction, now: float) -> str:
        """The limit that one call more would break, as ``calls_out 30``; "" for none. It is
        counted, for whoever asks turns that call away."""
        for name, most, reached in self._measured(limits, direction, now):
            if reached:
                self.refused[name] = self.refused.get(name, 0) + 1
                return f"{name} {most}"
        return ""

    def began(
        self, limits: Limits, direction: Direction, now: Callable[[], float], anew: bool = True
    ) -> None:
        """A call begins, be it within the limits or, as an emergency call may, beyond them.

        :param now: the clock, seconds: looked at where a limit wants to know.
        :param anew: whether it is a call more, and does not go on in another way.
        """
        self.now[direction] += 1
        if not anew:
            return
        self.total[direction] += 1
        for name, most in limits.rates[direction]:
            begun = self._begun.get(name)
            if begun is None or begun.maxlen != most:
                begun = self._begun[name] = deque(begun or (), most)
            begun.append(now())

    def ended(self, direction: Direction) -> None:
        """A call that began has ended; harmless for one that began before a trunk of the name was
        known."""
        if self.now[direction]:
            self.now[direction] -= 1

    def _measured(
        self, limits: Limits, direction: Direction, now: float
    ) -> Iterator[tuple[str, int, bool]]:
        """Each limit that is set: its name, what it says, whether it is reached."""
        own = limits.calls_in if direction == "in" else limits.calls_out
        if limits.calls is not None:
            yield "calls", limits.calls, sum(self.now.values()) >= limits.calls
        if own is not None:
            yield f"calls_{direction}", own, self.now[direction] >= own
        for name, most in limits.rates[direction]:
            yield name, most, self._is_full(name, most, now)

    def _is_full(self, name: str, most: int, now: float) -> bool:
        """Whether so many calls have begun within the last second."""
        begun = self._begun.get(name, ())
        return len(begun) >= most and begun[-most] + WINDOW > now
