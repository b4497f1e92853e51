"""Whether a gateway can be used: what its calls and its checks say of it. Pure.

A gateway is one address of a member. A call that it fails with 503, by silence or by a broken
connection takes it out at once, for as long as its ``Retry-After`` says, else for the hold-down.
Then one call may try it, and all others leave it alone until that one has been heard (half-open).
A hold-down is no more than a doubt, which a moment's overload can raise: where nobody else is up,
who is doubted is tried all the same. A gateway that has named a time, or has failed its checks, is
surely out.
Where the trunk is checked by OPTIONS, the checks bring it back instead, after so many answers in a
row, and take it out after so many that did not come.
"""

from collections.abc import Collection
from enum import StrEnum

import attrs

#: Seconds of a ``Retry-After`` beyond which nobody is believed: it may be a slip.
LONGEST = 3600.0


@attrs.frozen
class HealthSettings:
    """How the members of a trunk are watched.

    :ivar check_seconds: an OPTIONS goes to each gateway so often; 0 for never.
    :ivar fail_after: checks in a row that come to nothing before a gateway is out.
    :ivar back_after: checks in a row that are answered before it is back.
    :ivar dead: answers to a check that are none.
    :ivar hold_seconds: a gateway that failed a call is left alone for so long where it did not say
        for how long itself; 0 has only those out that did.
    """

    check_seconds: float = 0.0
    fail_after: int = 3
    back_after: int = 2
    dead: Collection[int] = frozenset((408, 503))
    hold_seconds: float = 5.0

    @property
    def checks(self) -> bool:
        """Whether the gateways are checked."""
        return self.check_seconds > 0


class State(StrEnum):
    """What is known of a gateway."""

    UP = "up"
    OUT = "out"
    TRIED = "tried"


@attrs.define
class Gateway:
    """One address, and what is known of it; plain data.

    :ivar state: "tried" is between out and up: one call is at it.
    :ivar until: by the clock; out: it is left alone until then; tried: others leave it alone.
    :ivar missed: checks in a row that came to nothing.
    :ivar answered: checks in a row that were answered.
    :ivar why: what took it out last; "" for nothing yet.
    :ivar failures: how often it has gone out.
    :ivar surely: whether it is out by its own word, or by its checks.
    """

    state: State = State.UP
    until: float = 0.0
    missed: int = 0
    answered: int = 0
    why: str = ""
    failures: int = 0
    surely: bool = False

    @property
    def doubted(self) -> bool:
        """Whether it is to be tried where nobody else is up."""
        return self.state is not State.UP and not self.surely

    def can_be_tried(self, settings: HealthSettings, now: float) -> bool:
        """Whether a call may go to it now."""
        if self.state is State.UP:
            return True
        if self.state is State.OUT and settings.checks:
            return False
        return now >= self.until

    def tried(self, settings: HealthSettings, now: float, patience: float) -> None:
        """A call goes to it.

        :param patience: seconds within which it will have been heard, or have failed.
        """
        if self.state is not State.UP and not settings.checks and now >= self.until:
            self.state, self.until = State.TRIED, now + patience

    def heard(self) -> None:
        """It says something to a call, and no 503."""
        if self.state is State.TRIED:
            self.state = State.UP

    def failed(
        self, settings: HealthSettings, now: float, why: str, retry_after: float | None
    ) -> None:
        """A call has come to nothing at it.

        :param retry_after: seconds for which it wants to be left alone; None: it says nothing.
        """
        seconds = settings.hold_seconds if retry_after is None else min(retry_after, LONGEST)
        if seconds > 0:
            before = self.until if self.state is State.OUT else 0.0
            named = retry_after is not None or (self.surely and self.state is State.OUT)
            self._go_out(why, max(before, now + seconds), surely=named)

    def check_answered(self, settings: HealthSettings, now: float) -> None:
        """A check was answered."""
        self.missed = 0
        self.answered += 1
        if self.state is State.UP:
            return
        if self.answered >= settings.back_after and now >= self.until:
            self.state = State.UP

    def check_missed(self, settings: HealthSettings, now: float, why: str) -> None:
        """A check came to nothing."""
        self.answered = 0
        self.missed += 1
        if self.missed >= settings.fail_after and (self.state is State.UP or not self.surely):
            self._go_out(why, max(self.until, now), surely=True)

    def _go_out(self, why: str, until: float, *, surely: bool) -> None:
        if self.state is State.UP:
            self.failures += 1
        self.state, self.until, self.why, self.answered = State.OUT, until, why, 0
        self.surely = surely
