"""From a URI to the addresses at which it can be reached (RFC 3263: NAPTR, SRV, A and AAAA).

``Resolver`` knows no network: who looks names up is handed in; ``names`` does it in the DNS,
``host_names`` with the reactor's resolver.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

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
from softswitch.transport.listener import Listener
from softswitch.transport.search import (
    SERVICES,
    DnsSettings,
    LookUp,
    LookUpPointers,
    LookUpService,
    Search,
)
from softswitch.wheel import Clock


class Resolver:
    """Tells where a URI leads.

    :ivar settings: how the DNS is asked; may be exchanged.
    :param look_up: asked for names; never for address literals.
    :param listeners: addresses of a name that none of them can reach are left out.
    :param look_up_service: asked first for names without a port (RFC 3263 4.2) that have a dot;
        without it, every name is a host's.
    :param look_up_pointers: asked by which transports a domain is to be reached, for URIs that name
        neither port nor transport (RFC 3263 4.1); without it, ``sip:`` means UDP.
    :param random: chooses between records of equal priority.
    :param clock: on which nothing is waited for longer than the settings say; without it, whoever
        looks names up is waited for.
    """

    def __init__(
        self,
        look_up: LookUp,
        listeners: Sequence[Listener],
        look_up_service: LookUpService | None = None,
        look_up_pointers: LookUpPointers | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
        settings: DnsSettings | None = None,
    ) -> None:
        self.settings = settings or DnsSettings()
        self.listeners = listeners
        self.look_up = look_up
        self.look_up_service = look_up_service
        self.look_up_pointers = look_up_pointers
        self.random = random or Random()
        self.clock = clock

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
        else:
            Search(self, hop, uri, tell).start()


def next_hop(uri: Uri) -> Destination | None:
    """Transport, host (maybe a name) and port that a URI means; None when we cannot go there.

    ``maddr`` takes the host's place (RFC 3261 19.1.1); UDP and 5060 are what is meant when
    nothing is said, with ``sips:`` TLS and 5061. Whoever is there has to prove that he is the
    URI's host, whatever records have led to him (RFC 5922 7.2).
    """
    if uri.scheme not in ("sip", "sips") or not uri.host:
        return None
    transport = uri.transport
    if transport not in SERVICES:
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
