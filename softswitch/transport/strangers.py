"""What is remembered of strangers: how much each has sent lately, and what he has earned. Pure.

However many sources an attacker has, and he may write any into his datagrams, no more than ``MOST``
are remembered; who has not been heard for longest is forgotten. What that lets through is held back
by the bucket that all of them share.

Those whose source is proven and those whose source may be forged are kept apart, in two objects:
what somebody does in another's name then costs that one neither a token nor a point of his own.
"""

from collections import OrderedDict

#: Sources that are remembered.
MOST = 16_384


class Bucket:
    """A token bucket: what may be taken at once, and what flows in.

    :ivar tokens: how many are left.
    :ivar at: when that was so, seconds.
    """

    __slots__ = ("at", "tokens")

    def __init__(self, tokens: float, at: float) -> None:
        self.tokens = tokens
        self.at = at

    def left(self, now: float, rate: float, burst: float) -> float:
        """How many tokens there are; see ``take``."""
        tokens = self.tokens + max(0.0, now - self.at) * rate  # clocks are set back, too
        return tokens if tokens < burst else burst

    def take(self, now: float, rate: float, burst: float) -> bool:
        """Whether there is a token; then it is taken.

        :param rate: tokens that flow in per second.
        :param burst: tokens that it holds at most.
        """
        tokens = self.left(now, rate, burst)
        self.at = now
        if tokens < 1:
            self.tokens = tokens
            return False
        self.tokens = tokens - 1
        return True


class Stranger(Bucket):
    """One source.

    :ivar score: what it has earned towards a ban; flows off with time.
    :ivar scored: when that was so, seconds.
    """

    __slots__ = ("score", "scored")

    def __init__(self, tokens: float, at: float) -> None:
        super().__init__(tokens, at)
        self.score = 0.0
        self.scored = at


class Strangers:
    """The sources that were heard last.

    :ivar together: the bucket that they share.
    :param burst: what a new one may send at once.
    :param per_second: what all may send together.
    """

    def __init__(self, burst: float, per_second: float, now: float) -> None:
        self.burst = burst
        self.together = Bucket(per_second, now)
        self._known: OrderedDict[str, Stranger] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def heard(self, source: str, now: float) -> Stranger:
        """What is known of a source, which was heard just now.

        :param source: as ``networks.source_of`` makes it.
        """
        known = self._known
        stranger = known.get(source)
        if stranger is not None:
            known.move_to_end(source)
            return stranger
        if len(known) >= MOST:
            known.popitem(last=False)
        stranger = known[source] = Stranger(self.burst, now)
        return stranger

    def score(self, source: str, now: float, points: float, per_second: float) -> float:
        """Add points to a source's score, and tell how many it has now.

        :param per_second: points that flow off.
        """
        stranger = self.heard(source, now)
        left = stranger.score - (now - stranger.scored) * per_second
        stranger.score = points + (left if left > 0 else 0.0)
        stranger.scored = now
        return stranger.score

    def forgive(self, source: str) -> None:
        """Forget what a source has earned."""
        stranger = self._known.get(source)
        if stranger is not None:
            stranger.score = 0.0
