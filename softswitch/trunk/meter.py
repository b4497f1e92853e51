"""What is counted for one account, or for one account and one class of destinations. Pure.

Everything is counted over the last minute, hour or 24 hours, never by the calendar: no time zone
and no change of the clocks in spring makes a budget whole again. A meter is plain data with
wall-clock times, so that it outlives the process; one that a later clock has written is moved
(``shift``).
"""

from bisect import bisect_right
from typing import Any, Final

import attrs

from softswitch.plugin.tolls import TollLimits

MINUTE: Final = 60.0
HOUR: Final = 3600.0
#: Hours that a budget is for.
HOURS: Final = 24

#: Destinations that an account is known to call; the longest unused are forgotten first.
KNOWN: Final = 200

#: Numbers that are no further apart are next to each other.
_NEAR: Final = 2


@attrs.define
class Run:
    """A call of an account's over a trunk, until its leg has ended.

    :ivar call: id of the call.
    :ivar holders: whose meters it runs on.
    :ivar price: per second, in the currency of the rates; 0.0 where nobody has a budget.
    :ivar settled: until when it has been paid for; None before the answer.
    """

    call: str
    holders: tuple[str, ...]
    price: float
    settled: float | None = None

    @property
    def costs(self) -> float:
        """What a second of it costs now."""
        return 0.0 if self.settled is None else self.price


@attrs.define
class Meter:
    """The counters of one holder; plain data but for what runs.

    :ivar begun: when the calls of the last minute began, as many as a limit asks for.
    :ivar fresh: when those destinations of the last hour were called that were not known before;
        likewise.
    :ivar known: destination -> when it was called last, in that order.
    :ivar spent: hours since 1970, and what was spent in each.
    :ivar blocked_until: when it may call again; 0.0 where it may.
    :ivar why: the limit that was reached.
    """

    begun: list[float] = attrs.Factory(list)
    fresh: list[float] = attrs.Factory(list)
    known: dict[str, float] = attrs.Factory(dict)
    spent: list[tuple[int, float]] = attrs.Factory(list)
    blocked_until: float = 0.0
    why: str = ""
    runs: dict[str, Run] = attrs.Factory(dict)
    limits: TollLimits = attrs.Factory(TollLimits)

    def broken(self, call: str, number: str, again: bool, now: float) -> tuple[str, bool]:
        """The limit that a call would break, as it stands in the record, "" for none; and whether
        reaching it blocks.

        :param again: whether this call has been counted for that number before.
        """
        limits = self.limits
        if limits.calls and len({run.call for run in self.runs.values()} - {call}) >= limits.calls:
            return f"calls {limits.calls}", False
        if limits.spend_per_day and self.pay(0.0, now) >= limits.spend_per_day:
            return f"spend_per_day {limits.spend_per_day:g}", True
        if again:
            return "", False
        self._forget(now)
        if limits.per_minute and len(self.begun) >= limits.per_minute:
            return f"per_minute {limits.per_minute}", True
        is_new = number not in self.known
        if limits.new_per_hour and is_new and len(self.fresh) >= limits.new_per_hour:
            return f"new_per_hour {limits.new_per_hour}", True
        if limits.sequence and is_new and self._in_sequence(number, now) > limits.sequence:
            return f"sequence {limits.sequence}", True
        return "", False

    def count(self, number: str, now: float) -> None:
        """A call to a number begins."""
        self.begun.append(now)
        if self.known.pop(number, None) is None:
            self.fresh.append(now)
        self.known[number] = now
        if len(self.known) > KNOWN:
            del self.known[next(iter(self.known))]

    def pay(self, cost: float, now: float) -> float:
        """Something is spent; what was spent in 24 hours."""
        hour = int(now // HOUR)
        spent = [(when, amount) for when, amount in self.spent if when > hour - HOURS]
        if cost:
            before = spent.pop()[1] if spent and spent[-1][0] == hour else 0.0
            spent.append((hour, before + cost))
        self.spent = spent
        return sum(amount for _, amount in spent)

    def shift(self, seconds: float) -> None:
        """The clock was set back by so much: as if it had stood still."""
        self.begun = [when - seconds for when in self.begun]
        self.fresh = [when - seconds for when in self.fresh]
        self.known = {number: when - seconds for number, when in self.known.items()}
        self.spent = [(when - round(seconds / HOUR), amount) for when, amount in self.spent]
        self.blocked_until = max(0.0, self.blocked_until - seconds)

    def plain(self, now: float) -> dict[str, Any]:
        """What outlives the process."""
        self._forget(now)
        return {
            "at": now,
            "begun": self.begun,
            "fresh": self.fresh,
            "known": self.known,
            "spent": self.spent,
            "blocked_until": self.blocked_until,
            "why": self.why,
        }

    def _forget(self, now: float) -> None:
        """What is too old, and what no limit asks for: a gateway begins as many calls in an hour as
        it likes."""
        limits = self.limits
        most = max(limits.per_minute, KNOWN), max(limits.new_per_hour, KNOWN)
        del self.begun[: max(bisect_right(self.begun, now - MINUTE), len(self.begun) - most[0])]
        del self.fresh[: max(bisect_right(self.fresh, now - HOUR), len(self.fresh) - most[1])]

    def _in_sequence(self, number: str, now: float) -> int:
        """How many numbers next to each other, this one among them, were dialled in an hour; in
        whichever order, and whatever was dialled between."""
        if len(number) > 20 or not number.lstrip("+").isdecimal():
            return 0
        dialled = {
            int(each)
            for each, when in self.known.items()
            if when > now - HOUR and len(each) == len(number) and each.lstrip("+").isdecimal()
        }
        length = 1
        for way in (-1, 1):
            here = int(number)
            while True:
                near = (here + way * far for far in range(1, _NEAR + 1))
                found = next((each for each in near if each in dialled), None)
                if found is None:
                    break
                here, length = found, length + 1
        return length


def restored(plain: dict[str, Any], now: float) -> Meter:
    """A meter that an earlier process has written.

    :raises (KeyError, TypeError, ValueError): it is none.
    """
    meter = Meter(
        [float(when) for when in plain["begun"]],
        [float(when) for when in plain["fresh"]],
        {str(number): float(when) for number, when in plain["known"].items()},
        [(int(hour), float(amount)) for hour, amount in plain["spent"]],
        float(plain["blocked_until"]),
        str(plain["why"]),
    )
    ahead = float(plain["at"]) - now
    if ahead > 1:
        meter.shift(ahead)
    return meter
