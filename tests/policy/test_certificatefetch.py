"""With whom one connects for a certificate, and for how long it may be kept."""

from ipaddress import ip_network

import pytest
from twisted.internet.testing import MemoryReactorClock

from softswitch.errors import TransportError
from softswitch.policy.certificatefetch import CarefulReactor, CertificateFetch, max_age


def nobody(name, tell):
    """Knows no name."""
    tell([])


@pytest.fixture
def fetch():
    return CertificateFetch(MemoryReactorClock(), nobody, 1.0, [ip_network("10.1.0.0/16")])


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "10.1.2.3", "64:ff9b::808:808"]
)
def test_with_whom_one_may_connect(fetch, host):
    """What is public, and what the operator allows."""
    assert fetch.may_connect(host)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.2.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1", "240.0.0.1"),
        *("::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
        *("::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1"),
        *("2001:0:7f00:1::", "2001:db8::1", "::ffff:10.2.0.1"),
    ],
)
def test_with_whom_not(fetch, host):
    """What is private, our own, nobody's or everybody's, by whatever way it is written."""
    assert not fetch.may_connect(host)
    reactor = MemoryReactorClock()
    careful = CarefulReactor(reactor, nobody, fetch.may_connect)
    with pytest.raises(TransportError):
        careful.connectTCP(host, 443, None)
    with pytest.raises(TransportError):
        careful.listenTCP(443, None)
    assert reactor.tcpClients == []


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], None),
        (["public"], None),
        (["max-age=60"], 60.0),
        (['Public, MAX-AGE="60"'], 60.0),
        (["public", "max-age=60"], 60.0),
        (["max-age=60, no-cache"], 0.0),
        (["no-store"], 0.0),
        (["max-age=x"], None),
        (["max-age=-1"], None),
        (["max-age=" + "9" * 400], 999999999.0),
        (["max-age=\u0663"], None),
    ],
)
def test_for_how_long_it_may_be_kept(lines, seconds):
    """RFC 9111 5.2.2."""
    assert max_age(lines) == seconds
