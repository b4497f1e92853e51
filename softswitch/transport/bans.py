"""The ban list: addresses and networks from which nothing is taken, each until its time. Pure.

A ban is plain data with wall-clock times, so that it outlives the process. Whoever wants to hear of
bans, to write them down or to have a firewall keep them, is told.
"""

from collections.abc import Callable, Iterable
from math import inf
from typing import Literal

import attrs

from softswitch.transport.networks import Network, Networks, network_of

#: Who has made a ban: what was seen of the source, the operator's command, or the configuration.
By = Literal["score", "command", "configuration"]

#: Bans by score at one time. Beyond that the ones end first that nobody has proved himself worth.
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
        self._hosts: dict[str, Ban] = {}
        self._networks: Networks[Ban] = Networks()

    def __len__(self) -> int:
        return len(self._hosts) + len(self._networks)

    def find(self, host: str) -> Ban | None:
        """The ban that an address is under now.

        :param host: address literal without brackets.
        """
        ban = self._hosts.get(host)
        if ban is None:
            ban = self._networks.find(host)
            if ban is None:
                return None
        if ban.until is not None and ban.until <= self._now():
            self._drop(ban)
            return self.find(host)
        return ban

    def holds(self, host: str) -> bool:
        """Whether an address is banned now, by itself."""
        ban = self._hosts.get(host)
        return ban is not None and (ban.until is None or ban.until > self._now())

    def of(self, network: str) -> Ban | None:
        """The ban of exactly this network.

        :raises ValueError: it is no network.
        """
        found = network_of(network)
        return self._hosts.get(_host(found)) or self._networks.get(found)

    def put(self, ban: Ban) -> bool:
        """Make a ban, in the place of one of the same network; False where there is no room for
        one that nobody has proved himself worth.

        :raises ValueError: its network is none.
        """
        network = network_of(ban.network)
        if len(self) >= MOST and ban.by == "score" and not self._make_room(ban):
            return False
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
        """Take over those of an earlier run that have not ended; nobody is told.

        :returns: how many these are.
        """
        kept = [ban for ban in bans if ban.ends() > self._now()]
        for ban in kept:
            self._keep(network_of(ban.network), ban)
        return len(kept)

    def all(self) -> list[Ban]:
        """All that have not ended, the latest first."""
        self.sweep()
        found = [*self._hosts.values(), *(ban for _, ban in self._networks)]
        return sorted(found, key=lambda ban: -ban.at)

    def sweep(self) -> None:
        """Forget those that have ended."""
        now = self._now()
        for ban in [*self._hosts.values(), *(ban for _, ban in self._networks)]:
            if ban.until is not None and ban.until <= now:
                self._drop(ban)

    def _make_room(self, ban: Ban) -> bool:
        self.sweep()
        if len(self) < MOST:
            return True
        if not ban.proven:
            return False
        lesser = next((each for each in self._hosts.values() if _lesser(each)), None)
        if lesser is not None:
            self._drop(lesser)
        return lesser is not None

    def _keep(self, network: Network, ban: Ban) -> None:
        host = _host(network)
        if host:
            self._hosts[host] = ban
        else:
            self._networks.put(network, ban)

    def _drop(self, ban: Ban) -> None:
        network = network_of(ban.network)
        host = _host(network)
        if host:
            del self._hosts[host]
        else:
            self._networks.pop(network)


def _host(network: Network) -> str:
    """The address that a network of one IPv4 address is; "" for others."""
    alone = network.version == 4 and network.prefixlen == 32
    return str(network.network_address) if alone else ""


def _lesser(ban: Ban) -> bool:
    return ban.by == "score" and not ban.proven
