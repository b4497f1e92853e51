"""The served domain: every name and address by which a peer may mean us. Pure.

Configured names, bound, advertised and kernel source addresses are one domain: ``100@address``
and ``100@name`` are one user.
"""

from collections.abc import Iterable, Sequence

from softswitch.flow import usual_port
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host
from softswitch.transport.listener import Listener


class Domains:
    """All that is us.

    :ivar primary: the name for realms, Call-IDs and From: the first configured name, else the
        first listener's advertised or bound address.
    :param names: served domain names.
    :param listeners: looked at anew each time, so that bound ports are the real ones; the
        transport layer's ``listeners``.
    """

    def __init__(self, names: Iterable[str], listeners: Sequence[Listener]) -> None:
        self._names = [canonical_host(name) for name in names]
        self._listeners = listeners
        first = listeners[0] if listeners else None
        shown = (first.advertise_host or first.bind_host) if first else "localhost"
        self.primary = self._names[0] if self._names else canonical_host(shown)

    def is_ours(self, host: str, port: int | None = None) -> bool:
        """Whether a URI with this host, and port if it has one, is in the served domain.

        With a port, it must be one on which we listen: another SIP endpoint may share our
        address.
        """
        host = canonical_host(host)
        named = host in self._names
        if named and port is None:
            return True
        for listener in self._listeners:
            here = port is None or port == listener.port or port == listener.advertise_port
            if here and (named or listener.bears(host)):
                return True
        return False

    def is_own_hop(self, uri: Uri) -> bool:
        """Whether a Route or Request-URI leads to one of our listeners (RFC 3261 16.4).

        Without a port an address means 5060, of TLS 5061 (19.1.2); a name of ours means us.
        """
        host = canonical_host(uri.host)
        if uri.port is None and host in self._names:
            return True
        return self.is_ours(host, uri.port or usual_port(uri.transport))
