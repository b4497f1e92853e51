"""From a URI to the addresses at which it can be reached (RFC 3263: SRV, A and AAAA). Of NAPTR
only what is said of ``sips:``; it chooses a transport, and ``sip:`` without one means UDP here.

``Resolver`` knows no network: who looks names up is handed in; ``names`` does it in the DNS,
``host_names`` with the reactor's resolver.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, groupby
from random import Random
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

from softswitch.flow import SECURE, usual_port
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host, is_address
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Listener, choose

#: Transport that we speak -> its service (RFC 3263 4.2).
_SERVICES = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}

#: Looks a name up, and tells its addresses, without brackets, at once or later; [] for none.
LookUp = Callable[[str, Callable[[list[str]], None]], None]


class Service(NamedTuple):
    """One SRV record (RFC 2782).

    :ivar target: the name of a host; "." where the service is decidedly not to be had.
    """

    priority: int
    weight: int
    port: int
    target: str


#: Looks a service up, as ``_sip._udp.example.org``, and tells its records, at once or later.
LookUpService = Callable[[str, Callable[[list[Service]], None]], None]


class Pointer(NamedTuple):
    """One NAPTR record (RFC 3403 4.1), its regular expression apart, which SIP does not use.

    :ivar flags: lower case: "s" for one that points to SRV records.
    :ivar service: upper case: "SIPS+D2T" for SIP over TLS (RFC 3263 4.1).
    :ivar replacement: the name to which it points.
    """

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


#: Looks a domain's NAPTR records up, and tells them, at once or later.
LookUpPointers = Callable[[str, Callable[[list[Pointer]], None]], None]


class Resolver:
    """Tells where a URI leads.

    :param look_up: asked for names; never for address literals.
    :param listeners: addresses of a name that none of them can reach are left out.
    :param look_up_service: asked first for names without a port (RFC 3263 4.2) that have a dot;
        without it, every name is a host's.
    :param look_up_pointers: asked where a domain has SIP over TLS, for ``sips:`` URIs that name
        neither port nor transport; without it, at ``_sips._tcp``.
    :param random: chooses between records of equal priority.
    """

    def __init__(
        self,
        look_up: LookUp,
        listeners: Sequence[Listener],
        look_up_service: LookUpService | None = None,
        look_up_pointers: LookUpPointers | None = None,
        random: Random | None = None,
    ) -> None:
        self._look_up = look_up
        self._listeners = listeners
        self._look_up_service = look_up_service
        self._look_up_pointers = look_up_pointers
        self._random = random or Random()

    def at_once(self, uri: Uri) -> Destination | None:
        """Where ``uri`` leads if that stands in it, as an address; None when it has to be asked."""
        hop = next_hop(uri)
        return hop if hop is not None and is_address(hop.host) else None

    def resolve(self, uri: Uri, tell: Callable[[list[Destination]], None]) -> None:
        """Tell the destinations of ``uri`` in the order in which to try them.

        An address is told before this returns. Where nothing can be reached, and for ``tel:`` and
        transports that we do not speak, the list is empty.
        """
        hop = next_hop(uri)
        if hop is None:
            tell([])
        elif is_address(hop.host):
            tell([hop])
        elif uri.port is not None or self._look_up_service is None or "." not in hop.host:
            self._resolve_host(hop, tell)
        elif uri.scheme == "sip" or "transport" in uri.params or self._look_up_pointers is None:
            self._ask_service(hop, [], tell)
        else:
            self._look_up_pointers(hop.host, lambda found: self._ask_service(hop, found, tell))

    def _resolve_host(self, hop: Destination, tell: Callable[[list[Destination]], None]) -> None:
        self._look_up(hop.host, lambda found: tell(self._reachable(hop, found)))

    def _ask_service(
        self, hop: Destination, found: list[Pointer], tell: Callable[[list[Destination]], None]
    ) -> None:
        """Ask for the service to which the best of the pointers leads, else by its usual name."""
        assert self._look_up_service is not None
        secure = [each for each in found if (each.flags, each.service) == ("s", "SIPS+D2T")]
        name = min(secure).replacement if secure else f"{_SERVICES[hop.transport]}.{hop.host}"
        self._look_up_service(name, lambda records: self._resolve_service(hop, records, tell))

    def _resolve_service(
        self, hop: Destination, found: list[Service], tell: Callable[[list[Destination]], None]
    ) -> None:
        """Ask for the addresses of all targets at once; a name without a service is a host's."""
        if not found:
            self._resolve_host(hop, tell)
            return
        wanted = [each for each in in_order(found, self._random) if each.target != "."]
        waiting = len(wanted)
        addresses: dict[int, list[Destination]] = {}

        def resolved(index: int, destinations: list[Destination]) -> None:
            addresses[index] = destinations
            if len(addresses) == waiting:
                ordered = chain.from_iterable(addresses[each] for each in range(waiting))
                tell(list(dict.fromkeys(ordered)))

        if not wanted:
            tell([])
        for index, each in enumerate(wanted):
            host = canonical_host(each.target)
            at = hop._replace(host=host, port=each.port)
            self._resolve_host(at, partial(resolved, index))

    def _reachable(self, hop: Destination, addresses: list[str]) -> list[Destination]:
        return [
            hop._replace(host=address)
            for address in dict.fromkeys(addresses)
            if choose(self._listeners, hop.transport, address) is not None
        ]


def in_order(services: Sequence[Service], random: Random) -> list[Service]:
    """Records in the order of trying: the lowest priority first, among equals by chance, each by
    its weight (RFC 2782)."""
    found: list[Service] = []
    ranked = sorted(services, key=lambda each: (each.priority, each.weight))
    for _, group in groupby(ranked, key=lambda each: each.priority):
        left = list(group)
        while left:
            drawn = random.randint(0, sum(each.weight for each in left))
            for each in left:
                drawn -= each.weight
                if drawn <= 0:
                    break
            left.remove(each)
            found.append(each)
    return found


def next_hop(uri: Uri) -> Destination | None:
    """Transport, host (maybe a name) and port that a URI means; None when we cannot go there.

    ``maddr`` takes the host's place (RFC 3261 19.1.1); UDP and 5060 are what is meant when
    nothing is said, with ``sips:`` TLS and 5061. Whoever is there has to prove that he is the
    URI's host, whatever records have led to him (RFC 5922 7.2).
    """
    if uri.scheme not in ("sip", "sips") or not uri.host:
        return None
    transport = uri.transport
    if transport not in _SERVICES:
        return None
    host = canonical_host(uri.params.get("maddr") or uri.host)
    if transport not in SECURE:
        return Destination(transport, host, uri.port or 5060)
    name = canonical_host(uri.host)
    return Destination(transport, host, uri.port or usual_port(transport), name)


def host_names(reactor: IReactorPluggableNameResolver) -> LookUp:
    """Look names up with the reactor's resolver."""

    def look_up(name: str, tell: Callable[[list[str]], None]) -> None:
        receiver = _Receiver(tell)
        try:
            reactor.nameResolver.resolveHostName(
                receiver, name, addressTypes=[IPv4Address, IPv6Address]
            )
        except ValueError:  # A name that cannot be written in IDNA.
            tell([])

    return look_up


@implementer(IResolutionReceiver)
class _Receiver:
    """Gathers the addresses of one name."""

    def __init__(self, tell: Callable[[list[str]], None]) -> None:
        self._tell = tell
        self._found: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803
        pass

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802
        found: Any = address
        self._found.append(found.host)

    def resolutionComplete(self) -> None:  # noqa: N802
        self._tell(self._found)
