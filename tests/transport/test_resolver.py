"""URIs to destinations, with who looks names up faked."""

import pytest

from softswitch.sip.uri import Uri
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Resolver

LISTENERS = [
    Listener("udp", "UDP", "10.0.0.1", 5060),
    Listener("udp6", "UDP", "2001:db8::1", 5060),
    Listener("tcp", "TCP", "10.0.0.1", 5060),
]
HOSTS = {"gw.example": ["2001:db8::9", "10.0.0.9", "10.0.0.9"]}


def resolve(text: str) -> list[Destination]:
    told = []
    resolver = Resolver(lambda name, tell: tell(HOSTS.get(name, [])), LISTENERS)
    resolver.resolve(Uri.parse(text), told.append)
    [destinations] = told
    return destinations


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:a@10.0.0.9", ("UDP", "10.0.0.9", 5060)),
        ("sip:a@10.0.0.9:5062;transport=TCP", ("TCP", "10.0.0.9", 5062)),
        ("sip:a@[2001:DB8:0::9]", ("UDP", "2001:db8::9", 5060)),
        ("sip:a@example.com;maddr=10.0.0.9", ("UDP", "10.0.0.9", 5060)),
    ],
)
def test_an_address_is_told_at_once(uri, expected):
    """UDP and 5060 unless the URI says otherwise; ``maddr`` replaces the host (RFC 3261
    19.1.1, RFC 3263 section 4)."""
    assert resolve(uri) == [expected]


def test_a_name_gives_every_address_that_a_listener_can_reach():
    """In the order of the answer, each once, those of another address family left out."""
    assert resolve("sip:a@GW.example:5070") == [
        ("UDP", "2001:db8::9", 5070),
        ("UDP", "10.0.0.9", 5070),
    ]
    assert resolve("sip:a@gw.example;transport=tcp") == [("TCP", "10.0.0.9", 5060)]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:a@nowhere.example",
        "tel:+4930123456",
        "sips:a@10.0.0.9",
        "sip:a@10.0.0.9;transport=tls",
        "sip:a@10.0.0.9;transport=ws",
        "http://example.com/",
    ],
)
def test_what_cannot_be_reached_gives_nothing(uri):
    """Unknown names, and what we do not speak: an empty list, never an exception."""
    assert resolve(uri) == []
