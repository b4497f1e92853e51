"""Whether the switch is overloaded, as its own ports and timers see it. Pure.

No message sets a timer for it. A UDP port that reads full batches looks at what is still in its
receive buffer, and knows how long that will take, or that soon there will be no room; so does a
connection that is read as far as one read goes. A timer wheel that is woken late, time and again,
says that the reactor is busy with something, whatever it is. While that is so, and for a moment
after, new work is refused; what is under way goes on.

A stall is no overload: the machine was elsewhere, a configuration was read, and what has gathered
is soon done. So the first sign has to stand for some time; where the switch was overloaded just
now, any will do, so that the load stays at what it can bear.
"""

from collections.abc import Callable

import attrs


@attrs.frozen
class OverloadSettings:
    """When new work is refused, and how.

    :ivar lag_seconds: for which messages may wait before they are read; 0 to refuse nothing.
    :ivar retry_after: seconds that a refusal names in Retry-After; 0 for none: some peers then stay
        away altogether (RFC 3261 20.33).
    """

    lag_seconds: float = 0.1
    retry_after: int = 0


#: Seconds for which a late timer speaks of overload; the next one is not far.
HOLD = 0.05
#: The same of a backlog; the next batch is at hand.
BACKLOG_HOLD = 0.02
#: A receive buffer that is so full will overflow.
FULL = 0.5
#: So many times the lag a first sign has to stand.
STANDS = 10
#: Seconds after an overload in which a first sign speaks of another.
RECENT = 5.0


class Overload:
    """What is known of the load.

    :ivar settings: when new work is refused.
    :ivar on: whether it is overloaded or was so lately; ``now_on`` says whether it is.
    :ivar times: how often it has come about, some seconds after the one before.
    :ivar seconds: the clock.
    :param now: that clock.
    """

    def __init__(self, now: Callable[[], float], settings: OverloadSettings | None = None) -> None:
        self.settings = settings or OverloadSettings()
        self.on = False
        self.times = 0
        self.seconds = now
        self._until = -RECENT
        # Since when each timer has been late.
        self._late_since: float | None = None

    def now_on(self) -> bool:
        """Whether the switch is overloaded now; to be asked where ``on`` is set."""
        if not self.on:
            return False
        now = self.seconds()
        if now >= self._until + RECENT:
            self.on = False
        return now < self._until

    def queue(self) -> "Queue":
        """Something in which messages wait to be read."""
        return Queue(self)

    def woken_late(self, seconds: float) -> None:
        """A timer was so late."""
        lag = self.settings.lag_seconds
        if not seconds > lag > 0:
            self._late_since = None
            return
        now = self.seconds()
        if self._late_since is None:
            self._late_since = now - seconds
        if now - self._late_since > self._needed(lag, now):
            self._press(now + HOLD)

    def stands(self, since: float, hold: float) -> None:
        """A queue has been too long.

        :param since: when that was seen first.
        :param hold: seconds until somebody looks again.
        """
        now = self.seconds()
        if now - since >= self._needed(self.settings.lag_seconds, now):
            self._press(now + hold)

    def _needed(self, lag: float, now: float) -> float:
        """Seconds for which a sign has to stand."""
        return 0.0 if now < self._until + RECENT else lag * STANDS

    def _press(self, until: float) -> None:
        if self.seconds() >= self._until + RECENT:
            self.times += 1
        self.on = True
        self._until = max(self._until, until)


class Queue:
    """What waits at one port or connection, as whoever reads there sees it.

    :param overload: hears of it when it is too much.
    """

    __slots__ = ("_overload", "_since")

    def __init__(self, overload: Overload) -> None:
        self._overload = overload
        # Since when each look has found too much.
        self._since: float | None = None

    def measured(self, delay: float, filled: float = 0.0, hold: float = BACKLOG_HOLD) -> None:
        """So much waits.

        :param delay: seconds that the last of it will wait, by what the last read has taken.
        :param filled: how much of the room for it is in use, 0 to 1: beyond that more is lost, or
            waits where nobody sees it.
        :param hold: seconds until it is looked at again.
        """
        overload = self._overload
        lag = overload.settings.lag_seconds
        if not lag or (delay <= lag and filled <= FULL):
            self._since = None
            return
        if self._since is None:
            self._since = overload.seconds()
        overload.stands(self._since, hold)

    def emptied(self) -> None:
        """All that was there has been read."""
        self._since = None
