"""The relay's ports: pairs of an even one for RTP and the next for RTCP (RFC 3550 11). Pure."""

import random
from collections import deque
from collections.abc import Callable

from softswitch.errors import MediaError


class PortPool:
    """The pairs of one local address.

    A pair that was given back waits before it is taken again: late packets of the old call must
    not be heard in the next. Pairs come in random order, so that a stranger cannot guess them.

    :ivar pairs: how many there are.
    :ivar in_use: how many of them are taken.
    :param first: lowest port that may be used.
    :param last: highest port that may be used.
    :param quarantine: seconds that a pair waits.
    :param seconds: tells the time.
    """

    def __init__(
        self,
        first: int,
        last: int,
        quarantine: float,
        seconds: Callable[[], float],
        chance: random.Random,
    ) -> None:
        pairs = list(range(first + first % 2, last, 2))
        chance.shuffle(pairs)
        self.pairs = len(pairs)
        self.in_use = 0
        self._free = deque(pairs)
        self._waiting: deque[tuple[float, int]] = deque()
        self._quarantine = quarantine
        self._seconds = seconds

    @property
    def free(self) -> int:
        """How many pairs could be taken now."""
        self._welcome_back()
        return len(self._free)

    @property
    def resting(self) -> int:
        """How many wait until they may be taken again."""
        self._welcome_back()
        return len(self._waiting)

    def take(self) -> int:
        """The even port of a pair.

        :raises MediaError: every pair is in use or in quarantine (503).
        """
        self._welcome_back()
        if not self._free:
            raise MediaError("No media ports left")
        self.in_use += 1
        return self._free.popleft()

    def give_back(self, port: int) -> None:
        """Put a taken pair into quarantine."""
        self.in_use -= 1
        self._waiting.append((self._seconds() + self._quarantine, port))

    def _welcome_back(self) -> None:
        now = self._seconds()
        while self._waiting and self._waiting[0][0] <= now:
            self._free.append(self._waiting.popleft()[1])
