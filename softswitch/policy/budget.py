"""What a policy costs, and whether it may be asked now.

Two things run out: the places for questions that it is still thinking about, and its share of the
reactor's time. The time is kept as a bucket that drains by the share: what it takes flows in, and
when a second's worth stands in it, the policy rests until half of that has drained. One question
alone, however long, never makes it rest: the whole machine may have been held up meanwhile.
"""

from collections.abc import Callable
from inspect import getsourcefile, getsourcelines
from typing import Any, Final

import attrs
from twisted.logger import Logger

from softswitch.policy.terms import Terms

log = Logger()

#: Seconds of the reactor's time that a policy may be ahead of its share.
CAPACITY: Final = 1.0

#: A question that takes longer, in seconds, keeps everybody waiting.
SLOW: Final = 0.05

#: Seconds between two lines of the log about the same policy.
QUIET: Final = 10.0


class Cost:
    """What a policy has cost since the switch started; it goes on over a reload.

    :ivar questions: how often it was asked, or told.
    :ivar seconds: that it has taken of the reactor's time.
    :ivar worst: seconds that it took at once.
    :ivar slow: how often it kept everybody waiting.
    """

    __slots__ = ("questions", "seconds", "slow", "worst")

    def __init__(self) -> None:
        self.questions = self.slow = 0
        self.seconds = self.worst = 0.0


class Asked:
    """A policy, as the chain asks it.

    :ivar name: under which the configuration uses it.
    :ivar label: the same, with a number where several have that name.
    :ivar plug_in: the policy.
    :ivar deadline: seconds within which it must answer.
    :ivar fallback: what its failure means; None has the next policy asked.
    :ivar cost: what it has cost.
    :ivar open: questions that it is thinking about.
    :ivar shut: whether it may not be asked, unless ``is_shut`` finds that this is over.
    """

    __slots__ = (
        "_full",
        "_most_open",
        "_said",
        "_stretch",
        "cost",
        "deadline",
        "fallback",
        "label",
        "name",
        "open",
        "plug_in",
        "resting",
        "shut",
    )

    def __init__(
        self, name: str, label: str, plug_in: Any, terms: Terms, deadline: float, cost: Cost
    ) -> None:
        self.name = name
        self.label = label
        self.plug_in = plug_in
        self.deadline = deadline if terms.deadline is None else terms.deadline
        self.fallback = terms.fallback
        self.cost = cost
        self.open = 0
        self.shut = False
        self.resting = False
        self._most_open = terms.most_open
        # Seconds in which the time of one second's work drains; 0 where nothing is limited.
        self._stretch = 1 / terms.busy_share if terms.busy_share else 0.0
        # When the bucket will be empty.
        self._full = 0.0
        self._said = -QUIET

    def took(self, began: float, ended: float) -> None:
        """It had the reactor between these times, seconds."""
        spent = ended - began
        cost = self.cost
        cost.seconds += spent
        if spent > cost.worst:
            cost.worst = spent
        full = self._full
        self._full = (full if full > began else began) + spent * self._stretch
        if spent > SLOW:
            self._was_slow(spent, ended)
        if self._full - ended > CAPACITY * self._stretch:
            self._overdrawn(full - began <= CAPACITY * self._stretch / 2, ended)

    def began_to_think(self) -> None:
        """It has answered an awaitable."""
        self.open += 1
        if self.open >= self._most_open:
            self.shut = True

    def has_thought(self) -> None:
        """What was awaited has come, or nobody waits for it any more."""
        self.open -= 1
        self.shut = self.resting or self.open >= self._most_open

    def is_shut(self, now: float) -> str:
        """Why it may not be asked now: "crowded" or "resting"; "" when it may."""
        if self.resting and self._full - now <= CAPACITY * self._stretch / 2:
            self.resting = False
            self.shut = self.open >= self._most_open
            log.info("policy {policy!r} is asked again", policy=self.label)
        if self.resting:
            return "resting"
        return "crowded" if self.open >= self._most_open else ""

    def may_say(self, now: float) -> bool:
        """Whether the log may hear of it again."""
        if now - self._said < QUIET:
            return False
        self._said = now
        return True

    def figures(self) -> dict[str, Any]:
        """For an operator."""
        cost, own = self.cost, getattr(self.plug_in, "figures", None)
        return {
            **({} if own is None else {"own": _shielded(own)}),
            "questions": cost.questions,
            "seconds": round(cost.seconds, 6),
            "worst": round(cost.worst, 6),
            "slow": cost.slow,
            "open": self.open,
            "resting": self.resting,
            "failures": {},
        }

    def _was_slow(self, spent: float, now: float) -> None:
        self.cost.slow += 1
        if self.may_say(now):
            log.warn(
                "policy {policy!r} kept everybody waiting for {milliseconds} ms ({place})",
                policy=self.label,
                milliseconds=round(spent * 1000),
                place=_place(self.plug_in),
            )

    def _overdrawn(self, alone: bool, now: float) -> None:
        """More than a second's worth stands in the bucket.

        :param alone: one question has filled it, or nearly so.
        """
        if alone:
            self._full = now + CAPACITY * self._stretch * 0.9
        elif not self.resting:
            self._full = min(self._full, now + 1.5 * CAPACITY * self._stretch)
            self.resting = self.shut = True
            log.error(
                "policy {policy!r} takes more than its share of the time, and is not asked until"
                " that has been made up for",
                policy=self.label,
            )


def _place(plug_in: object) -> str:
    """File and line of a policy's class; the watchdog names the line at which one stands, but is
    itself kept waiting by C code that keeps the interpreter."""
    shape = type(plug_in)
    try:
        return f"{getsourcefile(shape)}:{getsourcelines(shape)[1]}"
    except (OSError, TypeError):
        return f"{shape.__module__}.{shape.__qualname__}"


def _shielded(figures: Callable[[], object]) -> object:
    """What a policy counts itself; one that raises spoils no other figures."""
    try:
        return figures()
    except Exception as error:
        return repr(error)


@attrs.define
class Attention:
    """Which policy has the reactor now; one object per switch, for whoever watches the reactor.

    :ivar policy: None for none.
    :ivar began: since when, by what measures the policies; written before ``policy``, so that who
        reads it after that, in another thread, never takes an older time for this one's.
    """

    policy: Asked | None = None
    began: float = 0.0
