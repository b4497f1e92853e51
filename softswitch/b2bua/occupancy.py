"""In how many calls each user is, and how many he may be in; since when he has been in none. Pure.

Several phones that ring for one call are one call. Who has no limits is counted all the same, for
ring groups ask who has been idle longest; that costs a call two entries in a dict.
"""

from collections.abc import Callable
from typing import Final, Literal

import attrs

from softswitch.b2bua.leg import LegData
from softswitch.plugin.views import User
from softswitch.trunk.group import is_emergency

#: Seen from the user: "in" is a call to him, "out" one that he makes.
Direction = Literal["in", "out"]

#: Users of whom it is known when they were last in a call; the longest idle are forgotten first.
_REMEMBERED: Final = 200_000


@attrs.define
class _Busy:
    """Calls of a user: id -> how many legs of his it has, by direction."""

    calls: dict[Direction, dict[str, int]] = attrs.Factory(lambda: {"in": {}, "out": {}})


class Occupancy:
    """Counts the calls of users.

    :ivar emergency: numbers that may be called whatever the limits.
    :param find_user: name -> user, or None.
    :param now: Unix time, seconds.
    """

    def __init__(self, find_user: Callable[[str], User | None], now: Callable[[], float]) -> None:
        self.emergency: frozenset[str] = frozenset()
        self._find_user = find_user
        self._now = now
        self._busy: dict[str, _Busy] = {}
        # Leg, by its identity -> direction and call.
        self._legs: dict[int, tuple[Direction, str]] = {}
        self._ended: dict[str, float] = {}

    @property
    def busy(self) -> list[str]:
        """Names of the users who are in a call."""
        return list(self._busy)

    def over(
        self, name: str, direction: Direction, call: str, *dialled: str | None
    ) -> tuple[int, str] | None:
        """What one call more of a user would meet: a status, and the limit as it stands in the
        record.

        :param call: its id; a call that he is in already is none more.
        :param dialled: the numbers by which an emergency call is known, which meets none.
        """
        user = self._find_user(name)
        limits = None if user is None else user.limits
        if limits is None or not limits.any or is_emergency(self.emergency, *dialled):
            return None
        busy = self._busy.get(name)
        if busy is None or call in busy.calls[direction]:
            return None
        own = limits.calls_in if direction == "in" else limits.calls_out
        for limit, most, now in (
            ("max_calls", limits.calls, sum(map(len, busy.calls.values()))),
            (f"max_calls_{direction}", own, len(busy.calls[direction])),
        ):
            if most and now >= most:
                return limits.status, f"user {name}: {limit} {most}"
        return None

    def idle_since(self, name: str) -> float | None:
        """When the last call of a user ended; 0.0 where that is not known, None while he is in
        one."""
        return None if name in self._busy else self._ended.get(name, 0.0)

    def leg_began(self, leg: LegData, call: str) -> None:
        """A leg from or to a user has been made."""
        if not leg.peer:
            return
        direction: Direction = "in" if leg.session.calling else "out"
        calls = self._busy.setdefault(leg.peer, _Busy()).calls[direction]
        calls[call] = calls.get(call, 0) + 1
        self._legs[id(leg)] = direction, call

    def leg_ended(self, leg: LegData) -> None:
        """It is gone; harmless when repeated."""
        known = self._legs.pop(id(leg), None)
        if known is None:
            return
        direction, call = known
        busy = self._busy[leg.peer].calls
        busy[direction][call] -= 1
        if not busy[direction][call]:
            del busy[direction][call]
        if not busy["in"] and not busy["out"]:
            del self._busy[leg.peer]
            self._ended.pop(leg.peer, None)
            self._ended[leg.peer] = self._now()
            if len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]
