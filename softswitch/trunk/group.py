"""Trunks: named groups of gateways, found by name or by the source of a request. Pure."""

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import quote

import attrs

from softswitch.plugin.decisions import Target
from softswitch.sip.digest import ha1
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host, is_address
from softswitch.transport.listener import Network

#: What a user part may hold as it is, besides letters, digits and ``_.-~`` (RFC 3261 25.1).
_USER_UNRESERVED = "!*'()&=+$,;?/"


@attrs.frozen
class Trunk:
    """A carrier, a PBX, a gateway: one or several addresses that are used as one.

    :ivar name: name in the configuration.
    :ivar addresses: ``host`` or ``host:port``, IPv6 in brackets; tried in this order.
    :ivar transport: "udp" or "tcp".
    :ivar networks: a request from here is the trunk's; empty for those of ``addresses`` that
        are literals.
    :ivar username: for the trunk's challenges; "" for none.
    :ivar password: goes with it.
    :ivar realm: the only realm whose challenges are answered; "" for any.
    :ivar headers: fields that each INVITE to it bears, name -> value.
    :ivar force_rport: see ``plugin.views.Identity``.
    """

    name: str
    addresses: tuple[str, ...]
    transport: str = "udp"
    networks: tuple[Network, ...] = ()
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    realm: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    force_rport: bool = False

    def uris(self, number: str) -> list[str]:
        """A SIP URI per address, in the order of trying.

        :param number: the user part without escapes.
        """
        user = escape_user(number)
        params = "" if self.transport == "udp" else f";transport={self.transport}"
        return [f"sip:{user}@{address}{params}" for address in self.addresses]

    def targets(self, number: str) -> list[Target]:
        """What a router answers to have a number dialled over this trunk."""
        return [Target(uri, trunk=self.name, headers=self.headers) for uri in self.uris(number)]

    def ha1(self, realm: str, algorithm: str) -> str | None:
        """What answers a challenge of the trunk (RFC 7616 3.4.2); None: it is not answered."""
        if not self.username or self.realm not in ("", realm):
            return None
        return ha1(self.username, realm, self.password, algorithm)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The names and address literals that the configuration gives it."""
        uris = [Uri.parse(f"sip:{address}") for address in self.addresses]
        return frozenset(canonical_host(uri.host) for uri in uris)

    def sources(self) -> tuple[Network, ...]:
        """The networks whose requests are this trunk's."""
        if self.networks:
            return self.networks
        hosts = [Uri.parse(f"sip:{address}").host for address in self.addresses]
        return tuple(ip_network(host) for host in hosts if is_address(host))


class Trunks:
    """All trunks. Of several that share a network the first is found.

    A source is looked up once per length of prefix in use, whatever the number of networks.
    """

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        self._by_name: dict[str, Trunk] = {}
        by_prefix: dict[tuple[int, int], dict[int, Trunk]] = {}
        for trunk in trunks:
            self._by_name[trunk.name] = trunk
            for network in trunk.sources():
                prefixes = by_prefix.setdefault((network.version, network.prefixlen), {})
                shift = network.max_prefixlen - network.prefixlen
                prefixes.setdefault(int(network.network_address) >> shift, trunk)
        #: IP version -> (bits to cut off, what remains -> trunk), the longest prefix first.
        self._by_source: dict[int, list[tuple[int, dict[int, Trunk]]]] = {0: [], 4: [], 6: []}
        for (version, length), prefixes in sorted(by_prefix.items(), reverse=True):
            bits = 32 if version == 4 else 128
            self._by_source[version].append((bits - length, prefixes))

    def find(self, name: str) -> Trunk | None:
        """The trunk of that name."""
        return self._by_name.get(name)

    def at(self, host: str) -> Trunk | None:
        """The trunk to whose networks an address belongs, that of the longest prefix.

        :param host: an address literal without brackets.
        """
        version, number = _address(host)
        for shift, prefixes in self._by_source[version]:
            trunk = prefixes.get(number >> shift)
            if trunk is not None:
                return trunk
        return None


def escape_user(text: str) -> str:
    """Any text as the user part of a SIP URI."""
    if text.isascii() and text.isalnum():
        return text
    return quote(text, _USER_UNRESERVED, errors="surrogateescape")


@lru_cache(maxsize=8192)
def _address(host: str) -> tuple[int, int]:
    """IP version and number, version 0 for what is no address; an IPv4 address that came on an
    IPv6 socket is IPv4."""
    try:
        address = ip_address(host)
    except ValueError:
        return 0, 0
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)
