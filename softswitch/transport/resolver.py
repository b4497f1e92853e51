"""From a URI to the addresses at which it can be reached (RFC 3263, for now by A and AAAA).

``Resolver`` knows no network: who looks names up is handed in; ``host_names`` does it with the
reactor's resolver.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host, is_address
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Listener, choose

#: Looks a name up, and tells its addresses, without brackets, at once or later; [] for none.
LookUp = Callable[[str, Callable[[list[str]], None]], None]


class Resolver:
    """Tells where a URI leads.

    :param look_up: asked for names; never for address literals.
    :param listeners: addresses of a name that none of them can reach are left out.
    """

    def __init__(self, look_up: LookUp, listeners: Sequence[Listener]) -> None:
        self._look_up = look_up
        self._listeners = listeners

    def at_once(self, uri: Uri) -> Destination | None:
        """Where ``uri`` leads if that stands in it, as an address; None when it has to be asked."""
        hop = next_hop(uri)
        return hop if hop is not None and is_address(hop.host) else None

    def resolve(self, uri: Uri, tell: Callable[[list[Destination]], None]) -> None:
        """Tell the destinations of ``uri`` in the order in which to try them.

        An address is told before this returns. Where nothing can be reached, and for ``tel:``,
        ``sips:`` and transports that we do not speak, the list is empty.
        """
        hop = next_hop(uri)
        if hop is None:
            tell([])
        elif is_address(hop.host):
            tell([hop])
        else:
            self._look_up(hop.host, lambda found: tell(self._reachable(hop, found)))

    def _reachable(self, hop: Destination, addresses: list[str]) -> list[Destination]:
        return [
            hop._replace(host=address)
            for address in dict.fromkeys(addresses)
            if choose(self._listeners, hop.transport, address) is not None
        ]


def next_hop(uri: Uri) -> Destination | None:
    """Transport, host (maybe a name) and port that a URI means; None when we cannot go there.

    ``maddr`` takes the host's place (RFC 3261 19.1.1); UDP and 5060 are what is meant when
    nothing is said.
    """
    if uri.scheme != "sip" or not uri.host:
        return None
    transport = (uri.params.get("transport") or "udp").upper()
    if transport not in ("UDP", "TCP"):
        return None
    host = canonical_host(uri.params.get("maddr") or uri.host)
    return Destination(transport, host, uri.port or 5060)


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
