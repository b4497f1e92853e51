"""Which trunk an inbound request belongs to, and which numbers it may show."""

from ipaddress import ip_network

import pytest

from softswitch.flow import Flow
from softswitch.plugin.views import RequestView
from softswitch.sip.message import Request
from softswitch.trunk.group import Trunk, Trunks
from softswitch.trunk.inbound import Inbound
from softswitch.trunk.whose import NOBODYS, whose

SHARED = (ip_network("10.0.0.0/24"),)
PLAIN = Trunk("plain", (), networks=SHARED)
NAMED = Trunk("named", (), networks=SHARED, inbound=Inbound(hosts=("one.example", "two.example")))
NUMBERED = Trunk(
    "numbered", (), networks=SHARED, inbound=Inbound(dialled=("+4420", r"\+4930[0-9]{2}"))
)
BOTH = Trunk(
    "both", (), networks=SHARED, inbound=Inbound(hosts=("one.example",), dialled=("[0-9]{3}",))
)
NARROW = Trunk("narrow", (), networks=(ip_network("10.0.0.7/32"),))


def view(uri, source="10.0.0.1", method="INVITE", **fields):
    """A request that came from an address."""
    flow = Flow("lan", "UDP", "127.0.0.1", 5060, source, 5060)
    lines = {"From": "<sip:+33@far.example>;tag=1", "To": "<sip:x@far.example>", **fields}
    named = [(name.replace("_", "-"), value) for name, value in lines.items()]
    return RequestView(Request(method, uri, named), flow)


@pytest.mark.parametrize(
    ("uri", "owner"),
    [
        ("sip:100@one.example", "both"),
        ("sip:+4420@ONE.example:5070", "named"),
        ("sip:+4420@other.example", "numbered"),
        ("sip:%2b4420@other.example", "numbered"),
        ("sip:+493012@other.example", "numbered"),
        ("sip:+4930123@other.example", "plain"),
        ("sip:other.example", "plain"),
        ("tel:+4420", "numbered"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_of_trunks_that_share_a_source_the_request_uri_chooses(uri, owner, turned):
    """A trunk whose host and number both are called goes before one whose host alone is, that
    before one whose number is, and that before one that names neither, wherever they stand."""
    trunks = [PLAIN, NUMBERED, NAMED, BOTH]
    found = whose(Trunks(trunks[::-1] if turned else trunks), view(uri))
    assert isinstance(found, Trunk)
    if owner == "plain" and "sip:other" in uri:
        assert found is (BOTH if turned else PLAIN), "to nobody at all: the first in the file"
    else:
        assert found.name == owner


def test_what_nobody_has_a_claim_to_is_refused():
    """Whose Request-URI fulfils no trunk's conditions gets 404, from one trunk or several."""
    assert whose(Trunks([NAMED, NUMBERED]), view("sip:999@other.example")) is NOBODYS
    assert whose(Trunks([NUMBERED]), view("sip:999@other.example")) is NOBODYS
    assert NOBODYS.status == 404


def test_equal_claims_go_to_the_first_in_the_file():
    """The choice is the same each time."""
    twin = Trunk("twin", (), networks=SHARED, inbound=NUMBERED.inbound)
    assert whose(Trunks([twin, NUMBERED]), view("sip:+4420@x.example")) is twin
    assert whose(Trunks([NUMBERED, twin]), view("sip:+4420@x.example")) is NUMBERED


def test_the_narrowest_network_decides_before_any_uri():
    """A trunk of its own address is not robbed of its calls by one with a wide network."""
    trunks = Trunks([NAMED, NARROW])
    assert whose(trunks, view("sip:1@one.example", "10.0.0.7")) is NARROW
    assert whose(trunks, view("sip:1@one.example", "10.0.0.8")) is NAMED


def test_a_certificate_decides_before_any_address():
    """The trunks that it names share what comes with it, wherever it comes from; the Request-URI
    chooses among them (RFC 5922 7). A name that is nobody's leaves it to the address."""
    one = Trunk("one", ("10.0.0.7",), inbound=Inbound(certificates=frozenset(["c.example"])))
    two = Trunk(
        "two", (), inbound=Inbound(hosts=("two.example",), certificates=frozenset(["c.example"]))
    )
    trunks = Trunks([one, two, PLAIN])
    shown = ["c.example", "other.example"]
    for source in ("10.0.0.7", "192.0.2.66"):
        assert whose(trunks, view("sip:1@x.example", source), names=shown) is one
        assert whose(trunks, view("sip:1@two.example", source), names=shown) is two
        assert whose(Trunks([two]), view("sip:1@x.example", source), names=shown) is NOBODYS
    assert whose(trunks, view("sip:1@x.example"), names=["other.example"]) is PLAIN
    assert whose(trunks, view("sip:1@x.example", "192.0.2.66"), names=["other.example"]) is None
    assert whose(Trunks([one]), view("sip:1@x.example", "10.0.0.7")) is None, "address alone"


def test_our_contact_at_a_registrar_chooses_before_all_else():
    """A call to the token of our Contact is the trunk's at which we have registered, if it comes
    from there (RFC 3261 10.2.1)."""
    trunks, tokens = Trunks([PLAIN, NAMED, NARROW]), {"r-1": "named", "r-2": "narrow"}
    assert whose(trunks, view("sip:r-1@192.0.2.1"), tokens) is NAMED
    assert whose(trunks, view("sip:r-2@192.0.2.1"), tokens) is PLAIN, "not from narrow's address"
    assert whose(trunks, view("sip:r-3@192.0.2.1"), tokens) is PLAIN


def test_strangers_are_nobodys_whatever_they_say():
    """From, To, Contact and Via name a trunk's address in vain."""
    said = {
        "From": "<sip:1@10.0.0.7>;tag=1",
        "Contact": "<sip:1@10.0.0.7>",
        "Via": "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1",
    }
    trunks = Trunks([PLAIN, NAMED, NARROW])
    assert whose(trunks, view("sip:1@one.example", "192.0.2.66", **said)) is None


def test_no_networks_is_nowhere():
    """A trunk with an empty list is known by its password alone; without one, by its addresses."""
    assert whose(Trunks([Trunk("t", ("10.0.0.1",), networks=())]), view("sip:1@x.example")) is None
    here = Trunk("t", ("10.0.0.1",))
    assert whose(Trunks([here]), view("sip:1@x.example")) is here


def test_the_called_number_is_read_where_the_trunk_says_it():
    """Request-URI, To or P-Called-Party-ID; what is missing or broken leaves the Request-URI."""
    asked = view(
        "sip:token@192.0.2.1:5070;x=y",
        To="<sip:+4420@carrier.example;user=phone>",
        P_Called_Party_ID="<sip:+4930@carrier.example>",
    )
    assert str(asked.called("request-uri")) == "sip:token@192.0.2.1:5070;x=y"
    assert str(asked.called("to")) == "sip:+4420@192.0.2.1:5070;x=y"
    assert str(asked.called("p-called-party-id")) == "sip:+4930@192.0.2.1:5070;x=y"
    for broken in ("<sip:", "<sip:carrier.example>", ""):
        without = view("sip:7@192.0.2.1", P_Called_Party_ID=broken)
        assert str(without.called("p-called-party-id")) == "sip:7@192.0.2.1"
    by_to = Trunk("t", (), networks=SHARED, inbound=Inbound(dialled=("+4420",), called_from="to"))
    assert whose(Trunks([by_to]), asked) is by_to


OWNED = (r"\+4420[0-9]", "+4930")


@pytest.mark.parametrize(
    ("fields", "shown", "default"),
    [
        ({"From": "<sip:+44201@pbx.example>;tag=1"}, "", ""),
        ({"From": "<sip:+44201;ext=3@pbx.example>;tag=1"}, "", ""),
        ({"From": "<tel:+4930>;tag=1"}, "", ""),
        ({"From": "<sip:+44@pbx.example>;tag=1"}, None, "+44200"),
        ({"From": "<sip:pbx.example>;tag=1"}, None, "+44200"),
        (
            {
                "From": "<sip:+44201@pbx.example>;tag=1",
                "P_Asserted_Identity": "<sip:+4930@p>, <tel:+441>",
            },
            None,
            "+44200",
        ),
        ({"From": "<sip:+44201@p>;tag=1", "Remote_Party_ID": "<sip:+441@p>"}, None, "+44200"),
        ({"From": "<sip:+44201@p>;tag=1", "P_Preferred_Identity": "rubbish"}, None, "+44200"),
        ({"From": "<sip:anonymous@anonymous.invalid>;tag=1"}, "", "+44200"),
        (
            {
                "From": "<sip:anonymous@anonymous.invalid>;tag=1",
                "P_Asserted_Identity": "<sip:+4930@p>",
            },
            "",
            "",
        ),
    ],
)
def test_a_trunk_shows_numbers_that_it_owns(fields, shown, default):
    """Whatever names the caller must name a number of the trunk; else he is refused, or a default
    stands for him. Anonymous callers name none."""
    strict, lenient = Inbound(owned=OWNED), Inbound(owned=OWNED, default_number="+44200")
    request = view("sip:1@x.example", **fields)
    assert strict.shown(request) == shown
    assert lenient.shown(request) == default
    assert Inbound().shown(request) == ""
