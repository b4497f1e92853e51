"""How much a neighbour can bear, by its own word (RFC 7339), as its client. Pure.

Our Via offers to heed it; each response may say which share of new requests is not to be sent, and
for how long that holds. In-dialog requests, emergency calls and whatever keeps a trunk known, as
REGISTER and OPTIONS, go out all the same: who asks draws lots for what may be kept back.
"""

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

#: What our Via says: we heed it, and know the algorithm that everybody has to know.
OFFER: Final = ';oc;oc-algo="loss"'
#: Seconds for which a word holds that does not say it (RFC 7339 4.3), and the longest.
USUAL: Final = 0.5
LONGEST: Final = 60.0

_NUMBER: Final = re.compile(r"([0-9]{1,12})\.([0-9]{1,5})")


class Throttle:
    """What one neighbour has said.

    :param now: the clock, seconds.
    :param random: lots are drawn from it.
    """

    __slots__ = ("_last", "_now", "_percent", "_random", "_until")

    def __init__(self, now: Callable[[], float], random: Random) -> None:
        self._now = now
        self._random = random
        self._percent = 0
        self._until = 0.0
        self._last = (-1, 0)

    def heed(self, params: Mapping[str, str | None]) -> None:
        """A response has come, with these parameters in the Via that was ours. What cannot be read,
        names another algorithm, or is older than what was said last, says nothing."""
        percent, number = params.get("oc"), _NUMBER.fullmatch(params.get("oc-seq") or "")
        if percent is None or number is None or (params.get("oc-algo") or "").lower() != '"loss"':
            return
        said, last = params.get("oc-validity"), (int(number[1]), int(number[2].ljust(5, "0")))
        if not _is_count(percent) or int(percent) > 100 or last < self._last:
            return
        if said is not None and not _is_count(said):
            return
        self._last = last
        self._percent = int(percent)
        self._until = self._now() + (USUAL if said is None else min(int(said) / 1000, LONGEST))

    def keeps_back(self) -> bool:
        """Whether a request is one of those that are not to be sent; another time it may not be."""
        percent = self._percent
        return percent > 0 and self._now() < self._until and self._random.random() * 100 < percent


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
