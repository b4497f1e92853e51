"""What we tell of our load to neighbours that offer to heed it (RFC 7339), as a server. Pure.

A neighbour's Via bears ``oc``, and each answer to it says by how much we want less: the share of
new requests that we have refused of late. So a neighbour that heeds it and one that does not bear
the same, and what is too much all the same is refused here. The only algorithm is ``loss``, which
everybody has to know.
"""

from collections.abc import Callable
from math import ceil
from typing import Final

from softswitch.transport.overload import Overload

#: Seconds over which the share is taken; half as old, it counts half as much.
WINDOW: Final = 1.0
#: Seconds for which a neighbour is to believe it: it hears of us more often, unless it stops.
VALID: Final = 2.0
#: Of all requests we want some, or we would not hear when a neighbour has no more of them.
MOST: Final = 0.9


class Feedback:
    """How much less we want.

    :ivar admitted: new requests since the window began.
    :ivar refused: likewise, those that were refused.
    :param time: what time it is, seconds: a later word has a greater number, after a restart, too.
    """

    def __init__(self, overload: Overload, time: Callable[[], float]) -> None:
        self.admitted = 0
        self.refused = 0
        self._overload = overload
        self._time = time
        self._share = 0.0
        self._began = 0.0
        self._number = 0.0

    def share(self) -> float:
        """By how much we want less, 0 to ``MOST``."""
        overload = self._overload
        overload.now_on()
        if not overload.on:
            self._share = 0.0
            self._number = max(self._time(), self._number)
            return 0.0
        now = overload.seconds()
        if now - self._began >= WINDOW:
            new = self.admitted + self.refused
            latest = self.refused / new if new else 0.0
            kept = 0.5 ** ((now - self._began) / WINDOW)
            self._share = min(MOST, self._share * kept + latest * (1 - kept))
            self._number = max(self._time(), self._number + 0.001)
            self._began, self.admitted, self.refused = now, 0, 0
        return self._share

    def params(self) -> dict[str, str]:
        """The parameters of the Via as it goes back (RFC 7339 4): name -> value."""
        percent = ceil(self.share() * 100)
        valid = int(VALID * 1000) if percent else 0
        return {
            "oc": str(percent),
            "oc-algo": '"loss"',
            "oc-validity": str(valid),
            "oc-seq": f"{self._number:.3f}",
        }
