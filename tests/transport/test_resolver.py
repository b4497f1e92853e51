"""URIs to destinations, with who looks names up faked."""

from collections import Counter
from functools import partial
from random import Random

import pytest

from softswitch.sip.uri import Uri
from softswitch.testing.clock import VirtualClock
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Resolver
from softswitch.transport.search import DnsSettings, Pointer, Service, in_order

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
        ("sip:a@hosted.example", [("TLS", "10.0.0.9", 5091, "hosted.example")]),
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
    assert list(asked) == ["carrier.example", "second.example", "gw.example", "nowhere.example"]
    asked["nowhere.example"]([])
    asked["gw.example"](["10.0.0.9"])
    assert told == []
    asked["second.example"](["10.0.0.2"])
    assert told == [[("UDP", "10.0.0.2", 5070, ""), ("UDP", "10.0.0.9", 5080, "")]]


#: What the DNS of a test says, by the kind of question; what is not here is answered with nothing.
DNS = {
    "pointer": {
        "all.example": [
            Pointer(20, 1, "s", "SIP+D2U", "_sip._udp.all.example"),
            Pointer(10, 1, "s", "SIP+D2T", "_sip._tcp.all.example"),
            Pointer(5, 1, "s", "SIPS+D2S", "_sips._sctp.all.example"),
            Pointer(5, 1, "s", "E2U+pstn", "unrelated.example"),
        ],
        "astray.example": [Pointer(1, 1, "s", "SIP+D2T", "_sip._tcp.astray.example")],
    },
    "service": {
        "_sip._tcp.all.example": [Service(1, 0, 5071, "one.example")],
        "_sip._udp.all.example": [Service(1, 0, 5070, "two.example")],
        "_sip._tcp.streams.example": [Service(1, 0, 5072, "one.example")],
        "_sips._tcp.safe.example": [Service(1, 0, 5073, "two.example")],
        "_sip._udp.gone.example": [Service(0, 0, 0, ".")],
        "_sip._tcp.gone.example": [Service(1, 0, 5074, "one.example")],
        "_sip._udp.farm.example": [Service(1, 0, 5060, f"n{n}.example") for n in range(40)],
    },
    "host": {
        "one.example": ["10.0.0.1"],
        "two.example": ["10.0.0.2"],
        "astray.example": ["10.0.0.3"],
        "bare.example": ["10.0.0.4"],
        "gone.example": ["10.0.0.5"],
        **{f"n{n}.example": [f"10.1.0.{n}"] for n in range(40)},
    },
}


class Asking:
    """A DNS whose answers wait, where a test has it silent about a kind of question."""

    def __init__(self, silent=(), listeners=LISTENERS, **settings):
        self.asked = []
        self.late = []
        self.told = []
        self.clock = VirtualClock()
        self._silent = silent
        self.resolver = Resolver(
            partial(self._ask, "host"),
            listeners,
            partial(self._ask, "service"),
            partial(self._ask, "pointer"),
            clock=self.clock,
            settings=DnsSettings(**settings),
        )

    def _ask(self, kind, name, tell):
        self.asked.append((kind, name))
        found = DNS[kind].get(name, [])
        if kind in self._silent or name in self._silent:
            self.late.append(partial(tell, found))
        else:
            tell(found)

    def places(self, uri):
        self.resolver.resolve(Uri.parse(uri), self.told.append)
        return [place[:3] for place in self.told[-1]] if self.told else None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        # The most preferred transport that both sides have (RFC 3263 4.1).
        ("sip:all.example", [("TCP", "10.0.0.1", 5071)]),
        # Said by the URI, NAPTR is not asked.
        ("sip:all.example;transport=udp", [("UDP", "10.0.0.2", 5070)]),
        ("sip:all.example:5060", []),
        # Without NAPTR the SRV records that there are say it.
        ("sip:streams.example", [("TCP", "10.0.0.1", 5072)]),
        ("sip:safe.example", [("TLS", "10.0.0.2", 5073)]),
        # UDP is decidedly not to be had there.
        ("sip:gone.example", [("TCP", "10.0.0.1", 5074)]),
        # NAPTR leads astray, or there is none of both: a host, over UDP (4.2).
        ("sip:astray.example", [("UDP", "10.0.0.3", 5060)]),
        ("sip:bare.example", [("UDP", "10.0.0.4", 5060)]),
        ("sip:nowhere.example", []),
    ],
)
def test_a_domain_says_how_it_wants_to_be_reached(uri, expected):
    """RFC 3263 4.1 and 4.2: NAPTR, then SRV of each transport that we have, then the host."""
    asking = Asking()
    assert asking.places(uri) == expected
    assert len(asking.told) == 1
    assert asking.clock.idle


def test_a_transport_without_a_listener_is_no_choice():
    """Nor are its SRV records asked for."""
    asking = Asking(listeners=LISTENERS[:1])
    assert asking.places("sip:all.example") == [("UDP", "10.0.0.2", 5070)]
    assert ("service", "_sips._tcp.all.example") not in asking.asked


def test_naptr_can_be_left_alone():
    """Then UDP is meant, and nothing else is asked for; ``sips:`` asks as ever."""
    asking = Asking(naptr=False)
    assert asking.places("sip:all.example") == [("UDP", "10.0.0.2", 5070)]
    assert {name for kind, name in asking.asked if kind != "host"} == {"_sip._udp.all.example"}


@pytest.mark.parametrize(
    ("silent", "uri", "expected"),
    [
        (("pointer",), "sip:bare.example", [("UDP", "10.0.0.4", 5060)]),
        (("pointer",), "sip:all.example", [("UDP", "10.0.0.2", 5070)]),
        (("pointer", "service"), "sip:bare.example", [("UDP", "10.0.0.4", 5060)]),
        (("service",), "sip:bare.example;transport=tcp", [("TCP", "10.0.0.4", 5060)]),
        (("one.example",), "sip:all.example", []),
        (("host",), "sip:bare.example:5060", []),
    ],
)
def test_after_two_seconds_what_is_known_has_to_do(silent, uri, expected):
    """A server that never answers one kind of question delays a call and no more; what comes later
    is told to nobody."""
    asking = Asking(silent)
    assert asking.places(uri) is None
    asking.clock.run(1.9)
    assert asking.told == []
    asking.clock.run(0.1)
    assert [place[:3] for place in asking.told[0]] == expected
    for answer in asking.late:
        answer()
    assert len(asking.told) == 1
    assert asking.clock.idle


def test_what_comes_in_time_ends_the_waiting():
    """Each answer is looked at when it comes."""
    asking = Asking(("pointer", "one.example"))
    asking.places("sip:all.example")
    asking.late[0]()
    assert asking.told == []
    asking.late[-1]()
    assert [place[:3] for place in asking.told[0]] == [("TCP", "10.0.0.1", 5071)]
    assert asking.clock.idle


def test_a_name_leads_to_sixteen_places_at_most():
    """However many records somebody has (RFC 3263 leaves it open)."""
    asking = Asking()
    places = asking.places("sip:farm.example")
    assert len(places) == 16
    assert len([name for kind, name in asking.asked if kind == "host"]) == 17


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
