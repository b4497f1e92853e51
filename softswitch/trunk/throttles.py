"""Which neighbours are asked how much they can bear: the hosts of trunks that say so. Pure."""

from collections.abc import Callable, Iterable
from random import Random

from softswitch.transaction.throttle import Throttle
from softswitch.trunk.credentials import is_of
from softswitch.trunk.group import Trunk

#: Addresses that are kept; when it is full, all are forgotten.
MOST = 4096


class Throttles(dict[str, Throttle | None]):
    """Address of a neighbour -> what it has said, made when it is first asked for; None where it is
    not asked.

    :param trunks: those with ``overload_control`` are looked at.
    :param now: the clock, seconds.
    :param random: lots are drawn from it.
    """

    def __init__(self, trunks: Iterable[Trunk], now: Callable[[], float], random: Random) -> None:
        super().__init__()
        self._trunks = [trunk for trunk in trunks if trunk.overload_control]
        self._now = now
        self._random = random

    @property
    def needed(self) -> bool:
        """Whether anybody is asked."""
        return bool(self._trunks)

    def __missing__(self, host: str) -> Throttle | None:
        if len(self) >= MOST:
            self.clear()
        asked = any(is_of(trunk, host) for trunk in self._trunks)
        throttle = self[host] = Throttle(self._now, self._random) if asked else None
        return throttle
