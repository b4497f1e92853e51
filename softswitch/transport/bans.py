"""The ban list: addresses and networks from which nothing is taken, each until its time. Pure.

A ban is plain data with wall-clock times, so that it outlives the process. Whoever wants to hear of
bans, to write them down or to have a firewall keep them, is told.

Those that the operator has ordered are kept apart from those by score: they mean everybody, and
nothing that an attacker does may cover them. Of those by score, the proven ones and the others have
bounds of their own, so that forged sources push out nobody who has been caught.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Literal

import attrs

from softswitch.transport.networks import Network, Networks, network_of

#: Who has made a ban: what was seen of the source, the operator's command, or the configuration.
By = Literal["score", "command", "configuration"]

#: Bans by score at one time, of the proven ones and of the others; beyond that the first one ends.
MOST = 20_000


@attrs.frozen
class Ban:
    """A network from which nothing is taken. Plain data.

    :ivar network: in CIDR notation, or a single address.
    :ivar until: when it ends, wall-clock seconds; None for never.
    :ivar why: what for, in a few words.
    :ivar by: who has made it.
    :ivar proven: whether the source was seen to be real; that of a datagram may be anybody's.
    :ivar at: when it was made, wall-clock seconds.
    """

    network: str
    until: float | None
    why: str
    by: By = "score"
    proven: bool = True
    at: float = 0.0

    def ends(self) -> float:
        """When it ends, as a number that can be compared."""
        return inf if self.until is None else self.until


class Bans:
    """All bans. Those of single IPv4 addresses, which are most, are found by one look.

    :ivar made: told of each that is made, by whomever.
    :ivar lifted: told of each that is lifted before its time.
    :param now: wall-clock seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.made: list[Callable[[Ban], None]] = []
        self.lifted: list[Callable[[Ban], None]] = []
        self._now = now
        self._ordered = _Book()
        self._by_score = _Book()
        # Whether proven -> those by score, the one that was made first first.
        self._in_turn: dict[bool, OrderedDict[str, Ban]] = {
            proven: OrderedDict() for proven in (False, True)
        }

    def __len__(self) -> int:
        return len(self._ordered) + len(self._by_score)

    def __iter__(self) -> Iterator[Ban]:
        """All that have not ended, in no order."""
        now = self._now()
        for ban in (*self._ordered, *self._by_score):
            if ban.until is None or ban.until > now:
                yield ban

    def find(self, host: str) -> Ban | None:
        """The ban that an address is under now; one that was ordered before one by score.

        :param host: address literal without brackets.
        """
        return self.ordered(host) or self.by_score(host)

    def ordered(self, host: str) -> Ban | None:
        """The ban by command or configuration that an address is under now."""
        book = self._ordered
        ban = book.hosts.get(host) or book.networks.find(host)
        if ban is None or ban.until is None or ban.until > self._now():
            return ban
        self._drop(ban)
        return self.ordered(host)

    def by_score(self, host: str) -> Ban | None:
        """The ban by score that an address is under now."""
        book = self._by_score
        ban = book.hosts.get(host) or book.networks.find(host)
        if ban is None or ban.until is None or ban.until > self._now():
            return ban
        self._drop(ban)
        return self.by_score(host)

    def holds(self, host: str) -> bool:
        """Whether an IPv4 address is banned now, by itself."""
        ban = self._by_score.hosts.get(host) or self._ordered.hosts.get(host)
        return ban is not None and (ban.until is None or ban.until > self._now())

    def of(self, network: str) -> Ban | None:
        """The ban of exactly this network.

        :raises ValueError: it is no network.
        """
        return self._of(network_of(network))

    def put(self, ban: Ban) -> bool:
        """Make a ban, in the place of one of the same network; False where one by score is made
        and there is one that counts more.

        :raises ValueError: its network is none.
        """
        network = network_of(ban.network)
        present = self._of(network)
        if present is not None:
            if ban.by == "score" and self._counts_more(present, ban):
                return False
            self._drop(present)
        self._keep(network, ban)
        for tell in self.made:
            tell(ban)
        return True

    def lift(self, network: str) -> Ban | None:
        """End the ban of exactly this network; None where there is none.

        :raises ValueError: it is no network.
        """
        ban = self.of(network)
        if ban is not None:
            self._drop(ban)
            for tell in self.lifted:
                tell(ban)
        return ban

    def lift_all(self, which: Callable[[Ban], bool]) -> int:
        """End all bans of some kind; how many there were."""
        found = [ban for ban in self.all() if which(ban)]
        for ban in found:
            self.lift(ban.network)
        return len(found)

    def restore(self, bans: Iterable[Ban]) -> int:
        """Take over those of an earlier run that have not ended, but of networks that are banned
        already; nobody is told.

        :returns: how many these are.
        """
        before = len(self)
        for ban in sorted(bans, key=lambda ban: ban.at):
            network = network_of(ban.network)
            if ban.ends() > self._now() and self._of(network) is None:
                self._keep(network, ban)
        return len(self) - before

    def all(self) -> list[Ban]:
        """All that have not ended, the latest first."""
        self.sweep()
        return sorted([*self._ordered, *self._by_score], key=lambda ban: -ban.at)

    def left(self, ban: Ban) -> float | None:
        """Seconds that a ban will still hold, 1 at least; None for ever."""
        return None if ban.until is None else max(1.0, ban.until - self._now())

    def sweep(self) -> None:
        """Forget those that have ended; one that is of a time to come begins now, for the clock has
        been set back."""
        now = self._now()
        for ban in [*self._ordered, *self._by_score]:
            if ban.until is None:
                continue
            if ban.until <= now:
                self._drop(ban)
            elif ban.at > now:
                self._drop(ban)
                begun = attrs.evolve(ban, at=now, until=now + ban.until - ban.at)
                self._keep(network_of(ban.network), begun)

    def _of(self, network: Network) -> Ban | None:
        return self._ordered.get(network) or self._by_score.get(network)

    def _counts_more(self, present: Ban, ban: Ban) -> bool:
        """Whether a ban that is there counts more than one by score."""
        if present.ends() <= self._now():
            return False
        return present.by != "score" or (present.proven and not ban.proven)

    def _keep(self, network: Network, ban: Ban) -> None:
        if ban.by != "score":
            self._ordered.put(network, ban)
            return
        in_turn = self._in_turn[ban.proven]
        if len(in_turn) >= MOST:
            self._drop(next(iter(in_turn.values())))
        in_turn[ban.network] = ban
        self._by_score.put(network, ban)

    def _drop(self, ban: Ban) -> None:
        network = network_of(ban.network)
        if ban.by != "score":
            self._ordered.pop(network)
        else:
            self._by_score.pop(network)
            del self._in_turn[ban.proven][ban.network]


class _Book:
    """Bans by their networks.

    :ivar hosts: those of single IPv4 addresses.
    :ivar networks: all others.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Ban] = {}
        self.networks: Networks[Ban] = Networks()

    def __len__(self) -> int:
        return len(self.hosts) + len(self.networks)

    def __iter__(self) -> Iterator[Ban]:
        yield from self.hosts.values()
        for _, ban in self.networks:
            yield ban

    def get(self, network: Network) -> Ban | None:
        """The ban of exactly this network."""
        return self.hosts.get(_host(network)) or self.networks.get(network)

    def put(self, network: Network, ban: Ban) -> None:
        """Add one."""
        host = _host(network)
        if host:
            self.hosts[host] = ban
        else:
            self.networks.put(network, ban)

    def pop(self, network: Network) -> None:
        """Strike one out."""
        host = _host(network)
        if host:
            del self.hosts[host]
        else:
            self.networks.pop(network)


def _host(network: Network) -> str:
    """The address that a network of one IPv4 address is; "" for others."""
    alone = network.version == 4 and network.prefixlen == 32
    return str(network.network_address) if alone else ""
