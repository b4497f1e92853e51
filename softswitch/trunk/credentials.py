"""A trunk's credentials: what answers its challenges (RFC 3261 22.2, 22.3; RFC 7616). Pure."""

from ipaddress import ip_address

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import NameAddr
from softswitch.transport.hosts import canonical_host, is_address
from softswitch.trunk.group import Trunk


@attrs.frozen
class TrunkCredentials:
    """Who we are to a trunk; ``dialog.proof.Credentials``.

    :ivar trunk: whose realm alone is answered.
    :ivar host: address at which the trunk was found, or from which it called: its name may stand
        for others later.
    """

    trunk: Trunk
    host: str

    @property
    def username(self) -> str:
        """Our name there."""
        return self.trunk.username

    def ha1(self, realm: str, algorithm: str) -> str | None:
        """None for another realm than the trunk's."""
        return self.trunk.ha1(realm, algorithm)

    def may_see(self, host: str) -> bool:
        """Whether a host is the trunk's."""
        return canonical_host(host) == self.host or is_of(self.trunk, host)


def credentials(trunk: Trunk, host: str, hop: str = "") -> TrunkCredentials | None:
    """What answers challenges to the requests that go to a trunk.

    :param host: address to which they go.
    :param hop: the URI or name-addr that led there; "" where the trunk has called us from it.
    :returns: None for a trunk without credentials, and for a place that is none of the trunk's,
        though a policy or a redirection sends its calls there.
    """
    if not trunk.username:
        return None
    if hop and not _leads_to(trunk, hop) and not is_of(trunk, host):
        return None
    return TrunkCredentials(trunk, host)


def _leads_to(trunk: Trunk, hop: str) -> bool:
    try:
        return canonical_host(NameAddr.parse(hop).uri.host) in trunk.hosts
    except SipSyntaxError:
        return False


def is_of(trunk: Trunk, host: str) -> bool:
    """Whether a host, a name or an address literal, is one that the configuration of a trunk names,
    or lies in its networks."""
    host = canonical_host(host)
    if host in trunk.hosts:
        return True
    return is_address(host) and any(ip_address(host) in each for each in trunk.sources())
