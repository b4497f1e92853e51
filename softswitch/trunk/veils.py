"""Which places are hidden from whom: a veil before each peer that is not of the trunk itself. Pure.

What lies behind a trunk is its own business: the addresses of its members and networks, the names
in ``inside``, and the address by which it alone knows us. A peer from the trunk's own networks may
see them.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from softswitch.sip.veil import Veil
from softswitch.transport.hosts import is_address
from softswitch.transport.listener import Listener, Network
from softswitch.trunk.credentials import is_of
from softswitch.trunk.group import Trunk

#: Peers whose veils are kept, so that each is made once.
MOST = 4096


class Veils(dict[tuple[str, str], Veil | None]):
    """The veil before each peer, by listener and address, made when it is first asked for; None
    where nothing is hidden from it.

    :param trunks: those that hide what lies behind them are looked at.
    :param listeners: ours, as they are when a veil is made.
    :param served: names that everybody may see.
    :param sessions: whether media go through us, so that session descriptions can be veiled.
    """

    def __init__(
        self,
        trunks: Iterable[Trunk],
        listeners: Sequence[Listener],
        served: Iterable[str],
        sessions: bool,
    ) -> None:
        super().__init__()
        self._trunks = [trunk for trunk in trunks if trunk.hides]
        self._listeners = listeners
        self._served = frozenset(served)
        self._sessions = sessions

    @property
    def needed(self) -> bool:
        """Whether anything is hidden from anybody."""
        return bool(self._trunks)

    def __missing__(self, key: tuple[str, str]) -> Veil | None:
        if len(self) >= MOST:
            self.clear()
        veil = self[key] = self._made(*key)
        return veil

    def _made(self, name: str, peer: str) -> Veil | None:
        hidden = [trunk for trunk in self._trunks if not is_of(trunk, peer)]
        listener = next((each for each in self._listeners if each.name == name), None)
        if not hidden or listener is None:
            return None
        facing = listener.facing(peer)
        names: set[str] = set()
        networks: set[Network] = set()
        for trunk in hidden:
            names.update(_places(trunk), self._our_side(trunk))
            networks.update((*trunk.sources(), *trunk.inside_networks))
        seen = {peer, facing.host, facing.media_host, *self._served}
        return Veil(names - seen, networks, facing.host, facing.media_host, self._sessions)

    def _our_side(self, trunk: Trunk) -> Iterable[str]:
        """Our addresses towards the trunk, where they mean nothing to the world."""
        hosts = [host for host in trunk.hosts if is_address(host)]
        for listener in self._listeners:
            for host in hosts:
                if (":" in host) == (":" in listener.bind_host):
                    own = listener.local_host(host)
                    if ip_address(own).is_private:
                        yield own


def _places(trunk: Trunk) -> Iterable[str]:
    """Names and addresses behind a trunk. Its members' names only where its own peers can be told
    by their addresses: else they would be hidden from themselves."""
    known = bool(trunk.sources())
    return (*trunk.inside, *(host for host in trunk.hosts if known or is_address(host)))
