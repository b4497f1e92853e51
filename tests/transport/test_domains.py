"""Names and addresses are one domain; a hop is an address and a port."""

import pytest

from softswitch.sip.uri import Uri
from softswitch.transport.domains import Domains
from softswitch.transport.listener import Listener

LISTENERS = [
    Listener("udp", "UDP", "10.0.0.1", 5060, advertise_host="203.0.113.7", advertise_port=5080),
    Listener("six", "UDP", "2001:db8::1", 5062),
    Listener("any", "TCP", "0.0.0.0", 5070, source_towards={"192.0.2.1": "192.0.2.1"}.get),
]


@pytest.fixture
def domains():
    return Domains(["Example.com", "voice.example.com."], LISTENERS)


@pytest.mark.parametrize(
    ("host", "port", "ours"),
    [
        ("example.com", None, True),
        ("EXAMPLE.COM.", None, True),
        ("voice.example.com", 5060, True),
        ("example.com", 5080, True),
        ("example.com", 6060, False),
        ("sub.example.com", None, False),
        ("10.0.0.1", None, True),
        ("10.0.0.1", 5060, True),
        ("10.0.0.1", 5062, False),
        ("203.0.113.7", None, True),
        ("203.0.113.7", 5080, True),
        ("2001:DB8:0:0::1", None, True),
        ("[2001:db8::1]", 5062, True),
        ("2001:db8::2", None, False),
        ("192.0.2.1", None, True),
        ("192.0.2.1", 5070, True),
        ("192.0.2.2", None, False),
        ("127.0.0.9", None, True),
        ("0.0.0.0", None, True),
        ("other.example", None, False),
        ("", None, False),
    ],
)
def test_what_is_ours(domains, host, port, ours):
    """Names, bound, advertised and kernel addresses; with a port it must be a listener's, as
    another SIP endpoint may share our address."""
    assert domains.is_ours(host, port) is ours


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        ("sip:10.0.0.1;lr", True),
        ("sip:10.0.0.1:5060;lr", True),
        ("sip:token@10.0.0.1;lr", True),
        ("sip:203.0.113.7:5080;lr", True),
        ("sip:[2001:db8::1]:5062;lr", True),
        ("sip:[2001:db8::1];lr", False),
        ("sip:10.0.0.1:5099;lr", False),
        ("sip:example.com;lr", True),
        ("sip:example.com:5099;lr", False),
        ("sip:proxy.example.net;lr", False),
    ],
)
def test_a_route_that_names_us(domains, uri, ours):
    """Host and port are a listener's; without a port an address means 5060 (RFC 3261 16.4)."""
    assert domains.is_own_hop(Uri.parse(uri)) is ours


def test_the_primary_name():
    """The first configured name; without one what the first listener shows."""
    assert Domains(["a.example", "b.example"], LISTENERS).primary == "a.example"
    assert Domains([], LISTENERS).primary == "203.0.113.7"


def test_ports_are_those_that_are_bound():
    """A list that changes when a port is bound is seen as it is then."""
    listeners = [Listener("udp", "UDP", "10.0.0.1", 0)]
    domains = Domains([], listeners)
    listeners[0] = Listener("udp", "UDP", "10.0.0.1", 5077)
    assert domains.is_own_hop(Uri.parse("sip:10.0.0.1:5077;lr"))
