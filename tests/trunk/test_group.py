"""Trunks: where a number goes, and whose a source is."""

from ipaddress import ip_network

import pytest

from softswitch.plugin.decisions import Target
from softswitch.sip.digest import ha1
from softswitch.sip.uri import Uri
from softswitch.trunk.group import Trunk, Trunks, escape_user, is_emergency

CARRIER = Trunk(
    "carrier",
    ("10.1.0.1", "gw.carrier.example:5070", "[2001:db8::1]:5080"),
    transport="tcp",
    headers={"X-Account": "7"},
)


def test_a_number_goes_to_each_address_in_turn():
    """Addresses are tried in order, over the trunk's transport, with its headers."""
    assert [target.uri for target in CARRIER.targets("+441234")] == [
        "sip:+441234@10.1.0.1;transport=tcp",
        "sip:+441234@gw.carrier.example:5070;transport=tcp",
        "sip:+441234@[2001:db8::1]:5080;transport=tcp",
    ]
    assert CARRIER.targets("1")[1] == Target(
        "sip:1@gw.carrier.example:5070;transport=tcp",
        trunk="carrier",
        headers={"X-Account": "7"},
        member="gw.carrier.example:5070",
    )


def test_udp_needs_no_parameter():
    """UDP is the default transport of a SIP URI (RFC 3261 19.1.1)."""
    (target,) = Trunk("t", ("10.0.0.1",)).targets("1")
    assert target.uri == "sip:1@10.0.0.1"


@pytest.mark.parametrize("number", ["*31#123", "a b@c:d", "zoë", "50%", "\r\nVia: x"])
def test_any_number_becomes_a_user_part(number):
    """What a user part may not hold is escaped (RFC 3261 25.1), and means the same after."""
    (target,) = Trunk("t", ("10.0.0.1",)).targets(number)
    uri = target.uri
    assert uri.isascii()
    assert Uri.parse(uri).unquoted_user == number
    assert "\n" not in uri
    assert Uri.parse(uri).host == "10.0.0.1"
    assert uri == f"sip:{escape_user(number)}@10.0.0.1"


def test_a_source_belongs_to_the_trunk_of_the_longest_prefix():
    """Source networks say whose a request is; the narrower one wins, the first among equals."""
    wide = Trunk("wide", ("w.example",), networks=(ip_network("10.0.0.0/8"),))
    narrow = Trunk("narrow", ("n.example",), networks=(ip_network("10.9.0.0/16"),))
    lone = Trunk("lone", ("10.9.1.1:5070",))
    late = Trunk("late", ("10.9.1.1",))
    six = Trunk("six", ("x.example",), networks=(ip_network("2001:db8::/32"),))
    trunks = Trunks([wide, narrow, lone, late, six])
    assert trunks.at("10.1.1.1") is wide
    assert trunks.at("10.9.2.2") is narrow
    assert trunks.at("10.9.1.1") is lone
    assert trunks.at("::ffff:10.9.1.1") is lone
    assert trunks.at("2001:db8:5::1") is six
    assert trunks.at("192.0.2.1") is None
    assert trunks.at("2001:db9::1") is None
    assert trunks.at("w.example") is None


def test_networks_replace_the_addresses_as_sources():
    """Where networks are configured, the addresses that are dialled are no sources."""
    trunks = Trunks([Trunk("t", ("10.0.0.1",), networks=(ip_network("10.0.1.0/24"),))])
    assert trunks.at("10.0.0.1") is None
    assert trunks.at("10.0.1.9") is trunks.find("t")
    assert trunks.find("u") is None


def test_credentials_answer_their_realm_only():
    """A password is not used towards another realm; without a user name nothing is answered."""
    trunk = Trunk("t", ("10.0.0.1",), username="me", password="secret", realm="carrier")
    assert trunk.ha1("carrier", "SHA-256") == ha1("me", "carrier", "secret", "SHA-256")
    assert trunk.ha1("elsewhere", "MD5") is None
    assert Trunk("t", ("10.0.0.1",), username="me", password="x").ha1("any", "MD5") is not None
    assert CARRIER.ha1("carrier", "MD5") is None
    assert "secret" not in repr(trunk)


@pytest.mark.parametrize(
    "number",
    ["112", "%3112", "1-1-2", "1%201.(2)", "112;cpc=ordinary", "112;OLI=1;npdi", "1%31-2%3Bcpc=x"],
)
def test_an_emergency_number(number):
    """Escapes, visual separators and what is said of the caller make it no other one."""
    assert is_emergency(frozenset(["112"]), None, "0123", number)


@pytest.mark.parametrize(
    "number",
    [
        *("112;phone-context=+1900", "112;PHONE-CONTEXT=+1-900", "112%3bphone-context=+1900"),
        *("112;%70hone-context=+1900", "112;%2570hone-context=+1900", "112;cpc=x;phone-context="),
        *(
            "112;rn=+1900",
            "112;cic=+1900",
            "112;tgrp=a;trunk-context=b",
            "112;",
            ";phone-context=112",
        ),
        *("0112", "1122", "+112", "112%00", "112%2C1", ""),
    ],
)
def test_what_is_no_emergency_number(number):
    """What has a context, or where it is to be routed (RFC 3966 5.1.5, RFC 4694, RFC 4904), or is
    not known: carriers may read another number."""
    assert not is_emergency(frozenset(["112"]), number)
