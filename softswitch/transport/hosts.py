"""Hosts as they stand in URIs, Via and configuration: names and address literals. Pure."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


@lru_cache(maxsize=8192)
def canonical_host(host: str) -> str:
    """One spelling for each host: names in lower case without the final dot, addresses bare."""
    host = host.strip("[]").lower().rstrip(".")
    address = _address(host) if ":" in host else None
    return host if address is None else str(address)


def canonical_host_or_none(host: str | None) -> str | None:
    """The one spelling of a host that may be absent."""
    return canonical_host(host) if host else None


def is_address(host: str) -> bool:
    """Whether ``host`` is an address literal without brackets rather than a name."""
    return _address(host) is not None


@lru_cache(maxsize=8192)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
