"""Names in certificates, as RFC 5922 section 7 has them."""

import pytest
from cryptography import x509

from softswitch.testing.authority import Authority
from softswitch.transport.identities import asked_for, bears, names


@pytest.fixture(name="certificate", scope="module")
def _certificate(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("tls"))

    def make(*borne: str) -> x509.Certificate:
        path = authority.issue("one", *borne).certificate
        return x509.load_pem_x509_certificate(path.read_bytes())

    return make


def test_a_sip_uri_names_its_host(certificate):
    """A URI without a user names a domain; of others' schemes, and with a user, it names none; DNS
    names count where there is no such URI only (7.1)."""
    both = certificate("sip:Example.org", "other.example")
    assert names(both) == {"example.org"}
    assert bears(both, ["example.org"])
    assert not bears(both, ["other.example"])
    others = certificate("sips:example.org", "sip:alice@example.org", "https://example.org", "a.b")
    assert names(others) == {"a.b"}


def test_names_are_compared_whole(certificate):
    """Whatever their case; neither a part nor a wildcard will do (7.2)."""
    plain = certificate("SIP.Example.org", "*.wild.example")
    assert bears(plain, ["sip.example.org"])
    assert not bears(plain, ["example.org"])
    assert not bears(plain, ["a.sip.example.org"])
    assert not bears(plain, ["a.wild.example"])


def test_a_wildcard_stands_for_one_label_where_it_is_allowed(certificate):
    """RFC 6125 6.4.3."""
    wild = certificate("*.example.org")
    assert bears(wild, ["sip.example.org"], wildcard=True)
    assert not bears(wild, ["example.org"], wildcard=True)
    assert not bears(wild, ["a.sip.example.org"], wildcard=True)
    assert not bears(wild, ["sip.example.net"], wildcard=True)


def test_an_address_is_proved_by_an_address(certificate):
    """Not by a DNS name that looks like one; IPv6 in any spelling."""
    assert bears(certificate("192.0.2.1"), ["192.0.2.1"])
    assert bears(certificate("2001:DB8:0::1"), ["2001:db8::1"])
    assert not bears(certificate("192.0.2.10"), ["192.0.2.1"])
    assert not bears(certificate("sip.example.org"), ["192.0.2.1"])


def test_one_of_several_names_is_enough(certificate):
    """A trunk may be known by another name than its address."""
    assert bears(certificate("b.example"), ["a.example", "b.example"])
    assert not bears(certificate("b.example"), [])


def test_without_a_name_nobody_is_named(certificate):
    """The common name does not count (RFC 5922 7.1 allows it, RFC 6125 6.4.4 does not)."""
    nameless = certificate()
    assert names(nameless) == frozenset()
    assert not bears(nameless, ["one"])


def test_a_certificate_is_asked_for_by_each_of_its_names(certificate):
    """A phone asks for a DNS name, though a SIP URI stands beside it (RFC 6066 3)."""
    both = certificate("sip:example.org", "SIP.example.org", "*.wild.example")
    assert asked_for(both) == {"example.org", "sip.example.org", "*.wild.example"}
    assert asked_for(certificate()) == frozenset()
