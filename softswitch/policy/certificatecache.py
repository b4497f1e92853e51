"""The certificates of signers, fetched once and kept for a while; what cannot be had, too.

A signer is judged when his certificate comes, so that a call costs the look at what is kept and one
signature. As many calls as there may be wait for one and the same answer. Everything is bounded, as
a stranger may name any path at a host that is allowed: how many are kept, how many asked for at
once, and how many wait. What failed is kept apart, so that it drives out nothing that is good.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from softswitch.errors import IdentityError
from softswitch.policy.authorities import Signer
from softswitch.policy.certificatehosts import Place

log = Logger()

#: Signers that are kept, and failures.
MOST_KEPT: Final = 1000
#: Places that are asked at once.
MOST_OPEN: Final = 32
#: Calls that wait at once.
MOST_WAITING: Final = 256


@attrs.frozen
class Fetched:
    """What has come from a host.

    :ivar body: PEM or DER.
    :ivar max_age: seconds for which it may be kept, as it says; None where it does not.
    """

    body: bytes
    max_age: float | None = None


#: Asks a place. Fails where nothing could be had, within a time of its own.
Fetch = Callable[[Place], Deferred[Fetched]]

#: Somebody whose signature counts, or why nobody's does.
Known = Signer | IdentityError


@attrs.frozen
class Keeping:
    """For how long what was fetched is kept, whatever its host says; seconds.

    :ivar usual: where it says nothing.
    :ivar failed: what could not be had, or does not count.
    """

    least: float = 60.0
    most: float = 86400.0
    usual: float = 3600.0
    failed: float = 60.0

    def seconds(self, max_age: float | None) -> float:
        """For how long something is kept that says so of itself."""
        return min(max(self.usual if max_age is None else max_age, self.least), self.most)


class CertificateCache:
    """Who is meant by the place of a certificate.

    :ivar counters: "fetched", "failed", "turned away" -> how often.
    :param judge: says who is meant by what has come; raises IdentityError.
    :param now: Unix time, seconds.
    """

    def __init__(
        self,
        fetch: Fetch,
        judge: Callable[[bytes], Signer],
        now: Callable[[], float],
        keeping: Keeping,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._fetch = fetch
        self._judge = judge
        self._now = now
        self._keeping = keeping
        #: Place -> when it is forgotten, and what is known of it.
        self._good: OrderedDict[Place, tuple[float, Known]] = OrderedDict()
        self._bad: OrderedDict[Place, tuple[float, Known]] = OrderedDict()
        self._open: dict[Place, list[Deferred[Known]]] = {}
        self._waiting = 0

    def at_hand(self, place: Place) -> Known | None:
        """What is known of a place; None where it has to be asked."""
        for kept in (self._good, self._bad):
            found = kept.get(place)
            if found is not None:
                if found[0] > self._now():
                    kept.move_to_end(place)
                    return found[1]
                del kept[place]
        return None

    def ask(self, place: Place) -> Deferred[Known]:
        """What is known of a place once it has been asked; never a failure."""
        waiting: Deferred[Known] = Deferred()
        asked = self._open.get(place)
        crowded = asked is None and len(self._open) >= MOST_OPEN
        if crowded or self._waiting >= MOST_WAITING:
            self.counters["turned away"] += 1
            waiting.callback(_NOT_TO_BE_HAD)
            return waiting
        self._waiting += 1
        if asked is not None:
            asked.append(waiting)
            return waiting
        self._open[place] = [waiting]
        fetching = self._fetch(place)
        fetching.addCallbacks(self._came, self._failed, (place,), {}, (place,))
        fetching.addErrback(self._broken, place)
        return waiting

    def _came(self, fetched: Fetched, place: Place) -> None:
        now = self._now()
        try:
            signer = self._judge(fetched.body)
        except IdentityError as error:
            self.counters["not trusted"] += 1
            self._keep(place, now + self._keeping.failed, error)
            return
        self.counters["fetched"] += 1
        until = min(now + self._keeping.seconds(fetched.max_age), signer.until)
        self._keep(place, until, signer)

    def _failed(self, failure: Failure, place: Place) -> None:
        self.counters["failed"] += 1
        self._keep(place, self._now() + self._keeping.failed, _NOT_TO_BE_HAD)

    def _broken(self, failure: Failure, place: Place) -> None:
        """Nobody is to wait for ever, whatever a certificate has done to its reader."""
        log.failure("the certificate at {url} cannot be judged", failure, url=place.url)
        self._failed(failure, place)

    def _keep(self, place: Place, until: float, known: Known) -> None:
        kept = self._good if isinstance(known, Signer) else self._bad
        kept[place] = until, known
        if len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        waiting = self._open.pop(place)
        self._waiting -= len(waiting)
        for each in waiting:
            if not each.called:  # a policy that was late is not told any more
                each.callback(known)


_NOT_TO_BE_HAD: Final = IdentityError("Bad Identity Info", 436)
