"""What is known of networks, found by an address in them. Pure.

An address is looked up once per length of prefix in use, whatever the number of networks.
"""

import socket
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Generic, TypeVar

Network = IPv4Network | IPv6Network
T = TypeVar("T")

#: Bits of the network that one customer usually has; who owns it has all of its addresses.
CUSTOMER = 64

_BITS = {4: 32, 6: 128}


class Networks(Generic[T]):
    """A value for each of some networks."""

    __slots__ = ("_by_version", "_count")

    def __init__(self) -> None:
        #: IP version -> bits to cut off -> what remains of the address -> network and value; the
        #: longest prefix first.
        self._by_version: dict[int, dict[int, dict[int, tuple[Network, T]]]] = {4: {}, 6: {}}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Network, T]]:
        for lengths in self._by_version.values():
            for found in lengths.values():
                yield from found.values()

    def put(self, network: Network, value: T) -> None:
        """Give a network its value."""
        lengths, shift, number = self._place(network)
        if shift not in lengths:
            lengths[shift] = {}
            self._by_version[network.version] = dict(sorted(lengths.items()))
        found = self._by_version[network.version][shift]
        self._count += number not in found
        found[number] = network, value

    def get(self, network: Network) -> T | None:
        """The value of exactly this network."""
        lengths, shift, number = self._place(network)
        found = lengths.get(shift, {}).get(number)
        return None if found is None else found[1]

    def pop(self, network: Network) -> T | None:
        """Forget a network; the value that it had."""
        lengths, shift, number = self._place(network)
        found = lengths.get(shift, {})
        gone = found.pop(number, None)
        if gone is None:
            return None
        self._count -= 1
        if not found:
            del lengths[shift]
        return gone[1]

    def find(self, host: str) -> T | None:
        """The value of the narrowest network that holds an address; None for none, or a name.

        :param host: address literal without brackets.
        """
        if not self._count:
            return None
        version, number = numbered(host)
        for shift, found in self._by_version.get(version, {}).items():
            entry = found.get(number >> shift)
            if entry is not None:
                return entry[1]
        return None

    def within(self, network: Network) -> Network | None:
        """One of them that is a part of a network, or that network itself; None for none. All are
        looked at."""
        shift, number = _BITS[network.version] - network.prefixlen, int(network.network_address)
        for narrower, found in self._by_version[network.version].items():
            if narrower <= shift:
                for key, (part, _) in found.items():
                    if key >> (shift - narrower) == number >> shift:
                        return part
        return None

    def _place(self, network: Network) -> tuple[dict[int, dict[int, tuple[Network, T]]], int, int]:
        shift = _BITS[network.version] - network.prefixlen
        return self._by_version[network.version], shift, int(network.network_address) >> shift


def numbered(host: str) -> tuple[int, int]:
    """IP version and number of an address literal without brackets; (0, 0) for what is none."""
    try:
        if ":" in host:
            packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
            return 6, int.from_bytes(packed)
        return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, host))
    except OSError:
        return 0, 0


def source_of(host: str) -> str:
    """Who stands behind an address, as far as counting goes: an IPv4 address is one source, and so
    is an IPv6 network of 64 bits, since who has one of its addresses has all of them.

    :param host: address literal without brackets.
    :returns: the address, or the network in CIDR notation.
    """
    if ":" not in host:
        return host
    try:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        return host
    return f"{socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8))}/{CUSTOMER}"


def network_of(source: str) -> Network:
    """A source, or any network in CIDR notation, as a network.

    :raises ValueError: it is none.
    """
    return ip_network(source)
