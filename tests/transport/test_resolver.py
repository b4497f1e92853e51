"""URIs to destinations, with who looks names up faked."""

from collections import Counter
from random import Random

import pytest

from softswitch.sip.uri import Uri
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Pointer, Resolver, Service, in_order

LISTENERS = [
    Listener("udp", "UDP", "10.0.0.1", 5060),
    Listener("udp6", "UDP", "2001:db8::1", 5060),
    Listener("tcp", "TCP", "10.0.0.1", 5060),
    Listener("tls", "TLS", "10.0.0.1", 5061),
]
HOSTS = {"gw.example": ["2001:db8::9", "10.0.0.9", "10.0.0.9"]}


def resolve(text: str) -> list[Destination]:
    told = []
    resolver = Resolver(lambda name, tell: tell(HOSTS.get(name, [])), LISTENERS)
    resolver.resolve(Uri.parse(text), told.append)
    [destinations] = told
    return [destination if destination.name else destination[:3] for destination in destinations]


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


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sips:a@10.0.0.9", ("TLS", "10.0.0.9", 5061, "10.0.0.9")),
        ("sips:a@10.0.0.9;transport=tcp", ("TLS", "10.0.0.9", 5061, "10.0.0.9")),
        ("sip:a@10.0.0.9:5062;transport=TLS", ("TLS", "10.0.0.9", 5062, "10.0.0.9")),
        (
            "sip:a@SIP.example.;maddr=10.0.0.9;transport=tls",
            ("TLS", "10.0.0.9", 5061, "sip.example"),
        ),
    ],
)
def test_over_tls_whoever_is_there_has_to_prove_the_uri_s_host(uri, expected):
    """``sips:`` means TLS, and 5061 where no port is said (RFC 3261 19.1.2, 26.2.2); the name is
    the URI's, whatever has led to the address (RFC 5922 7.2)."""
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
        "sips:a@10.0.0.9;transport=udp",
        "sip:a@10.0.0.9;transport=sctp",
        "http://example.com/",
    ],
)
def test_what_cannot_be_reached_gives_nothing(uri):
    """Unknown names, and what we do not speak: an empty list, never an exception."""
    assert resolve(uri) == []


SERVICES = {
    "_sip._udp.carrier.example": [
        Service(20, 0, 5080, "gw.example"),
        Service(10, 0, 5070, "second.example."),
        Service(30, 0, 5060, "nowhere.example"),
    ],
    "_sip._tcp.carrier.example": [Service(1, 0, 5071, "gw.example")],
    "_sip._udp.none.example": [Service(0, 0, 0, ".")],
    "_sips._tcp.carrier.example": [Service(1, 0, 5091, "gw.example")],
}


def resolve_service(text: str) -> list[Destination]:
    told = []
    hosts = {**HOSTS, "second.example": ["10.0.0.2"], "bare.example": ["10.0.0.3"]}
    resolver = Resolver(
        lambda name, tell: tell(hosts.get(name, [])),
        LISTENERS,
        lambda name, tell: tell(SERVICES.get(name, [])),
    )
    resolver.resolve(Uri.parse(text), told.append)
    [destinations] = told
    return [destination if destination.name else destination[:3] for destination in destinations]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (
            "sip:a@carrier.example",
            [
                ("UDP", "10.0.0.2", 5070),
                ("UDP", "2001:db8::9", 5080),
                ("UDP", "10.0.0.9", 5080),
            ],
        ),
        ("sip:a@carrier.example;transport=tcp", [("TCP", "10.0.0.9", 5071)]),
        ("sip:a@bare.example", [("UDP", "10.0.0.3", 5060)]),
        ("sip:a@gw.example:5090", [("UDP", "2001:db8::9", 5090), ("UDP", "10.0.0.9", 5090)]),
        ("sip:a@none.example", []),
        ("sips:a@Carrier.example", [("TLS", "10.0.0.9", 5091, "carrier.example")]),
        ("sip:a@carrier.example;transport=tls", [("TLS", "10.0.0.9", 5091, "carrier.example")]),
    ],
)
def test_a_service_and_its_servers(uri, expected):
    """A name without a port is a service's first: all addresses of its servers, by priority; with a
    port, or without such a record, it is a host's (RFC 3263 4.2). "." means that there is none."""
    assert resolve_service(uri) == expected


POINTERS = {
    "hosted.example": [
        Pointer(10, 1, "s", "SIP+D2U", "_sip._udp.hosted.example"),
        Pointer(20, 2, "s", "SIPS+D2T", "_sips._tcp.nowhere.example"),
        Pointer(20, 1, "s", "SIPS+D2T", "_sips._tcp.carrier.example"),
        Pointer(5, 1, "u", "SIPS+D2T", "no.service.example"),
    ]
}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sips:a@hosted.example", [("TLS", "10.0.0.9", 5091, "hosted.example")]),
        ("sips:a@carrier.example", [("TLS", "10.0.0.9", 5091, "carrier.example")]),
        ("sips:a@hosted.example;transport=tcp", []),
        ("sip:a@hosted.example;transport=tls", []),
        ("sip:a@hosted.example", []),
    ],
)
def test_a_pointer_says_where_a_domain_has_tls(uri, expected):
    """The first by order and preference that points to SRV records of SIPS+D2T; without one, and
    where the URI names a transport, the domain's own (RFC 3263 4.1). Who is there has to prove that
    he is the domain (RFC 5922 7.2)."""
    told = []
    resolver = Resolver(
        lambda name, tell: tell(HOSTS.get(name, [])),
        LISTENERS,
        lambda name, tell: tell(SERVICES.get(name, [])),
        lambda name, tell: tell(POINTERS.get(name, [])),
    )
    resolver.resolve(Uri.parse(uri), told.append)
    assert told == [expected]


def test_servers_are_asked_for_side_by_side():
    """The answers of the servers' names may come in any order, and what is told is told once."""
    asked, told = {}, []
    resolver = Resolver(asked.__setitem__, LISTENERS, lambda name, tell: tell(SERVICES[name]))
    resolver.resolve(Uri.parse("sip:carrier.example"), told.append)
    assert list(asked) == ["second.example", "gw.example", "nowhere.example"]
    asked["nowhere.example"]([])
    asked["gw.example"](["10.0.0.9"])
    assert told == []
    asked["second.example"](["10.0.0.2"])
    assert told == [[("UDP", "10.0.0.2", 5070, ""), ("UDP", "10.0.0.9", 5080, "")]]


def test_equal_priorities_share_by_weight():
    """RFC 2782: by chance, each by its weight; one without any is drawn now and then."""
    records = [Service(0, weight, 5060, str(weight)) for weight in (0, 1, 3)]
    random = Random(2782)
    orders = [in_order(records, random) for _ in range(4000)]
    first = Counter(order[0].weight for order in orders)
    assert all(len(order) == 3 for order in orders)
    assert 2250 < first[3] < 2550
    assert 650 < first[1] < 950
    assert 650 < first[0] < 950
