"""Who a certificate says that its holder is, as a SIP domain (RFC 5922 7). Pure.

The names are those of ``sip:`` URIs without a user in subjectAltName; where there are none, the DNS
names there. The subject's common name is not looked at. A wildcard names nobody (7.2), unless
whoever asks allows it. RFC 5922 knows no addresses; an address that stands in a configuration or a
Contact is proved by a subjectAltName of its own kind (RFC 5280 4.2.1.6).
"""

from collections.abc import Iterable

from cryptography import x509
from service_identity import VerificationError
from service_identity.exceptions import CertificateError
from service_identity.hazmat import (
    DNS_ID,
    URI_ID,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    URIPattern,
    verify_service_identity,
)

from softswitch.transport.hosts import canonical_host, is_address

Pattern = DNSPattern | URIPattern | IPAddressPattern


def names(certificate: x509.Certificate) -> frozenset[str]:
    """The names and address literals that a certificate bears, as ``canonical_host`` writes them; a
    wildcard as it stands there."""
    found: set[str] = set()
    for pattern in _patterns(certificate):
        if isinstance(pattern, IPAddressPattern):
            found.add(str(pattern.pattern))
        elif isinstance(pattern, URIPattern):
            found.add(canonical_host(pattern.dns_pattern.pattern.decode()))
        else:
            found.add(canonical_host(pattern.pattern.decode()))
    return frozenset(found)


def asked_for(certificate: x509.Certificate) -> frozenset[str]:
    """The names under which somebody may ask for a certificate (SNI, RFC 6066 3): all that stand
    there, since who asks may look at DNS names alone."""
    there = _alternatives(certificate)
    dns = () if there is None else there.get_values_for_type(x509.DNSName)
    return names(certificate) | {canonical_host(name) for name in dns}


def bears(certificate: x509.Certificate, wanted: Iterable[str], wildcard: bool = False) -> bool:
    """Whether a certificate bears one of the names that are wanted.

    :param wanted: names and address literals, as ``canonical_host`` writes them.
    :param wildcard: whether ``*.example.org`` stands for ``sip.example.org`` (RFC 6125 6.4.3).
    """
    patterns = [
        each
        for each in _patterns(certificate)
        if wildcard or not isinstance(each, DNSPattern) or b"*" not in each.pattern
    ]
    by_uri = any(isinstance(each, URIPattern) for each in patterns)
    return any(_bears(patterns, by_uri, name) for name in wanted)


def _bears(patterns: list[Pattern], by_uri: bool, name: str) -> bool:
    try:
        if is_address(name):
            verify_service_identity(patterns, [IPAddress_ID(name)], [])
        elif by_uri:
            verify_service_identity(patterns, [URI_ID(f"sip:{name}")], [])
        else:
            verify_service_identity(patterns, [DNS_ID(name)], [])
    except (VerificationError, CertificateError, ValueError):
        return False
    return True


def _patterns(certificate: x509.Certificate) -> list[Pattern]:
    """What it bears; what cannot be read is passed over."""
    there = _alternatives(certificate)
    if there is None:
        return []
    found: list[Pattern] = []
    for uri in there.get_values_for_type(x509.UniformResourceIdentifier):
        scheme, _, rest = uri.partition(":")
        if scheme.lower() == "sip" and "@" not in rest:
            found += _read(URIPattern, uri.partition(";")[0])
    if not found:
        for name in there.get_values_for_type(x509.DNSName):
            found += _read(DNSPattern, name)
    found += [
        IPAddressPattern(each)
        for each in there.get_values_for_type(x509.IPAddress)
        if not hasattr(each, "netmask")
    ]
    return found


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _read(kind: type[DNSPattern] | type[URIPattern], text: str) -> list[Pattern]:
    try:
        return [kind.from_bytes(text.encode())]
    except (CertificateError, ValueError):
        return []
