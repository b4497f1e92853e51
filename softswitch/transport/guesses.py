"""How many logins have failed of late: of each account from each source. Pure.

Whoever is known is not banned, but he may not try passwords as fast as he can send. Beyond a number
of failures, what names that account and comes from that source is not judged for a while; from
elsewhere it is, lest anybody lock somebody out. Failures at many accounts count together, and then
hold back those accounts alone at which something has failed there.

What has evidence that its source is real and what has none are counted apart (see ``door``): who
forges somebody's source takes nothing from him.
"""

from collections import OrderedDict
from typing import Final

from softswitch.transport.strangers import MOST, Bucket

#: Failures that are judged in a minute, and at once: at one account, and at all, from one source.
AT_ONE: Final = 10
AT_ALL: Final = 60
#: Characters of an account's name that count: anybody can make one up.
LONGEST: Final = 64

#: A source, and the account; None for all of them.
_Key = tuple[str, str | None]


class Guesses:
    """The failures that were told last; times are seconds by a clock that nobody sets."""

    def __init__(self) -> None:
        # -> without evidence, and with it.
        self._known: OrderedDict[_Key, tuple[Bucket, Bucket]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def are_known(self, source: str, account: str) -> bool:
        """Whether any login of an account has failed from a source, as far as is remembered.

        :param source: as ``networks.source_of`` makes it.
        """
        return (source, account[:LONGEST]) in self._known

    def exceed(self, source: str, account: str, proven: bool, now: float) -> bool:
        """Whether so many have failed that the next one, of which some are known, is not judged.

        :param proven: whether that one has evidence.
        """
        for account_or_all, most in ((account[:LONGEST], AT_ONE), (None, AT_ALL)):
            found = self._known.get((source, account_or_all))
            if found is not None and found[proven].left(now, most / 60, most) < 1:
                return True
        return False

    def failed(self, source: str, account: str, proven: bool, now: float) -> None:
        """One that was judged has failed."""
        known = self._known
        for account_or_all, most in ((account[:LONGEST], AT_ONE), (None, AT_ALL)):
            key = source, account_or_all
            if key not in known:
                if len(known) >= MOST:
                    known.popitem(last=False)
                known[key] = Bucket(most, now), Bucket(most, now)
            known.move_to_end(key)
            known[key][proven].take(now, most / 60, most)
