"""Which listener faces whom, and what the peer sees of it."""

from ipaddress import ip_network

import pytest

from softswitch.transport.listener import Facing, Listener, choose

OFFICE = (ip_network("192.168.0.0/16"),)


def listener(name, host, transport="UDP", networks=(), source=None) -> Listener:
    return Listener(
        name,
        transport,
        host,
        5060,
        local_networks=tuple(map(ip_network, networks)),
        source_towards=lambda peer: source,
    )


def test_the_listener_of_the_peers_local_network_is_preferred():
    """Before the kernel's source address and a wildcard."""
    listeners = [
        listener("any", "0.0.0.0", source="10.0.0.1"),
        listener("out", "10.0.0.1"),
        listener("office", "192.168.0.1", networks=["192.168.0.0/16"]),
    ]
    assert choose(listeners, "UDP", "192.168.5.5").name == "office"


def test_then_the_one_bound_to_the_kernels_source_address():
    """Before a wildcard."""
    listeners = [
        listener("any", "0.0.0.0", source="10.0.0.2"),
        listener("one", "10.0.0.1"),
        listener("two", "10.0.0.2"),
    ]
    assert choose(listeners, "UDP", "198.51.100.4").name == "two"


def test_then_a_wildcard_and_at_last_the_first():
    """A listener that fits nothing still serves, rather than none."""
    one, any_ = listener("one", "10.0.0.1", source="10.0.0.9"), listener("any", "0.0.0.0")
    assert choose([one, any_], "UDP", "198.51.100.4") is any_
    assert choose([one, listener("two", "10.0.0.2")], "UDP", "198.51.100.4") is one


def test_transport_and_address_family_must_fit():
    """UDP is never chosen for TCP, nor IPv4 for IPv6; without a fitting one: None."""
    listeners = [
        listener("udp", "10.0.0.1"),
        listener("tcp", "10.0.0.1", "TCP"),
        listener("six", "::"),
    ]
    assert choose(listeners, "TCP", "10.0.0.9").name == "tcp"
    assert choose(listeners, "UDP", "2001:db8::9").name == "six"
    assert choose(listeners, "TCP", "2001:db8::9") is None


@pytest.mark.parametrize(
    ("settings", "peer", "expected"),
    [
        ({}, "198.51.100.4", Facing("10.0.0.1", 5060, "10.0.0.1", "10.0.0.1")),
        (
            {"advertise_host": "203.0.113.7"},
            "198.51.100.4",
            Facing("203.0.113.7", 5060, "10.0.0.1", "203.0.113.7"),
        ),
        (
            {"advertise_host": "sip.example.com", "advertise_port": 5080},
            "198.51.100.4",
            Facing("sip.example.com", 5080, "10.0.0.1", "10.0.0.1"),
        ),
        (
            {"advertise_host": "sip.example.com", "media_host": "203.0.113.8"},
            "198.51.100.4",
            Facing("sip.example.com", 5060, "10.0.0.1", "203.0.113.8"),
        ),
        (
            {
                "advertise_host": "203.0.113.7",
                "media_host": "203.0.113.8",
                "local_networks": OFFICE,
            },
            "192.168.1.1",
            Facing("10.0.0.1", 5060, "10.0.0.1", "10.0.0.1"),
        ),
        (
            {"media_host": "203.0.113.8"},
            "1.1.1.1",
            Facing("10.0.0.1", 5060, "10.0.0.1", "203.0.113.8"),
        ),
    ],
    ids=["plain", "cloud", "name", "name and media", "inside", "media alone"],
)
def test_what_a_peer_sees(settings, peer, expected):
    """Outside the local networks the advertised addresses, inside our own; media follows an
    advertised address, and never a name, which is none."""
    assert Listener("udp", "UDP", "10.0.0.1", 5060, **settings).facing(peer) == expected


def test_a_wildcard_shows_the_kernels_source_address():
    """In Via, Contact and as the relay's address; an advertised address replaces the first."""
    plain = listener("any", "0.0.0.0", source="192.0.2.1")
    assert plain.facing("198.51.100.4") == Facing("192.0.2.1", 5060, "192.0.2.1", "192.0.2.1")


def test_addresses_have_one_spelling():
    """IPv6 is compressed, brackets are for the wire only, names are in lower case."""
    six = Listener("six", "UDP", "[2001:DB8:0::1]", 5060, advertise_host="SIP.Example.COM.")
    assert (six.bind_host, six.advertise_host) == ("2001:db8::1", "sip.example.com")
    assert six.facing("2001:db8::9").media_host == "2001:db8::1"
    assert six.is_hop("sip.example.com", 5060)
