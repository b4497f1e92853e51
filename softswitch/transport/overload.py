"""Whether the switch is overloaded, as its own ports and timers see it. Pure.

No message sets a timer for it. A UDP port that has read nothing but full batches for a while has a
backlog, and so has one whose receive buffer fills; a timer wheel that is woken late says that the
reactor is busy with something, whatever it is, connections among it. While that is so, and for a
moment after, new work is refused; what is under way goes on.
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
#: A receive buffer that is so full has a backlog in half the time.
FULL = 0.5
#: Timers in a row that have to be late: a single one says that the machine was elsewhere.
LATE = 3


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
        self._late = 0

    def now_on(self) -> bool:
        """Whether the switch is overloaded now; to be asked where ``on`` is set."""
        if self.on and self._now() >= self._until:
            self.on = False
        return self.on

    def woken_late(self, seconds: float) -> None:
        """A timer was so late."""
        if seconds > self.settings.lag_seconds > 0:
            self._late += 1
            if self._late >= LATE:
                self._press(self._now() + HOLD)
        else:
            self._late = 0

    def backlog(self, seconds: float, filled: float) -> None:
        """A port has read full batches for so long.

        :param filled: how much of its receive buffer is in use, 0 to 1.
        """
        lag = self.settings.lag_seconds
        if lag > 0 and seconds > (lag / 2 if filled > FULL else lag):
            self._press(self._now() + BACKLOG_HOLD)

    def _press(self, until: float) -> None:
        if not self.now_on():
            self.on = True
            self.times += 1
        self._until = max(self._until, until)
