"""Whether the switch is overloaded, as its own ports and timers see it. Pure.

No message sets a timer for it. A UDP port that reads full batches looks at what is still in its
receive buffer, and knows how long that will take, or that soon there will be no room; a timer
wheel that is woken late, time and again, says that the reactor is busy with something, whatever it
is, connections among it. While that is so, and for a moment after, new work is refused; what is
under way goes on.

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
    :ivar on: whether it may be overloaded; ``now_on`` says whether it is.
    :ivar times: how often it has come about.
    :param now: seconds.
    """

    def __init__(self, now: Callable[[], float], settings: OverloadSettings | None = None) -> None:
        self.settings = settings or OverloadSettings()
        self.on = False
        self.times = 0
        self._now = now
        self._until = 0.0
        # Since when each timer has been late.
        self._late_since: float | None = None
        # Since when each full batch has left a backlog.
        self._full_since: float | None = None

    def now_on(self) -> bool:
        """Whether the switch is overloaded now; to be asked where ``on`` is set."""
        if self.on and self._now() >= self._until:
            self.on = False
        return self.on

    def woken_late(self, seconds: float) -> None:
        """A timer was so late."""
        lag = self.settings.lag_seconds
        if not seconds > lag > 0:
            self._late_since = None
            return
        now = self._now()
        if self._late_since is None:
            self._late_since = now - seconds
        if now - self._late_since > self._needed(lag, now):
            self._press(now + HOLD)

    def backlog(self, delay: float, filled: float) -> None:
        """A port has read a full batch, and more is waiting.

        :param delay: seconds that it will wait, by what the batch has taken.
        :param filled: how much of the receive buffer is in use, 0 to 1.
        """
        lag = self.settings.lag_seconds
        if not lag or (delay <= lag and filled <= FULL):
            self.no_backlog()
            return
        now = self._now()
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since >= self._needed(lag, now):
            self._press(now + BACKLOG_HOLD)

    def no_backlog(self) -> None:
        """A port has read all that was there."""
        self._full_since = None

    def _needed(self, lag: float, now: float) -> float:
        """Seconds for which a sign has to stand."""
        return 0.0 if self.times and now < self._until + RECENT else lag * STANDS

    def _press(self, until: float) -> None:
        if not self.now_on():
            self.on = True
            self.times += 1
        self._until = max(self._until, until)
