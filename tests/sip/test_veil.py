"""What a veil hides, and what it leaves as it is."""

from ipaddress import ip_network

import pytest

from softswitch.sip.message import Request, Response
from softswitch.sip.veil import UNTOUCHED, Veil

VEIL = Veil(
    ["pbx.inside", "10.0.0.5", "2001:db8::5"],
    [ip_network("10.9.0.0/16"), ip_network("2001:db8:77::/48")],
    "sip.example.org",
    "203.0.113.7",
    sessions=True,
)


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ("<sip:200@pbx.inside>", "<sip:200@sip.example.org>"),
        (
            "<sip:200@PBX.Inside:5062;maddr=10.0.0.5>",
            "<sip:200@sip.example.org;maddr=sip.example.org>",
        ),
        ("sip:200@10.9.255.1", "sip:200@sip.example.org"),
        ("http://www.pbx.inside/x", "http://sip.example.org/x"),
        ('399 10.0.0.5:5060 "at pbx.inside."', '399 sip.example.org "at sip.example.org."'),
        ("a%4010.0.0.5%3Bb", "a%40sip.example.org%3Bb"),
        ("[2001:db8::5]:5060, 2001:db8:77::1", "sip.example.org, sip.example.org"),
        ("2001:DB8:0:0::5", "sip.example.org"),
    ],
)
def test_places_are_hidden(told, seen):
    """Names and those below them, addresses with and without a port, in brackets, after an escape;
    other spellings of an IPv6 address too."""
    assert VEIL.text(told) == seen


@pytest.mark.parametrize(
    "told",
    [
        "sip:200@10.0.0.55",
        "110.0.0.5",
        "pbx.inside.example",
        "notpbx.inside",
        "pbx-inside",
        "10.8.0.1",
        "1.10.9.1.1",
        "12:30:15",
        "sip:200@sip.example.org:5060",
        "%31%30",
        "::",
    ],
)
def test_what_only_looks_like_it(told):
    """What merely begins or ends like a hidden place, times, and our own address stay."""
    assert VEIL.text(told) == told


def test_a_message_that_tells_nothing_is_the_same():
    """It is not even copied."""
    request = Request("INVITE", "sip:1@x", [("Subject", "hello")], b"body")
    assert VEIL.over(request) is request


@pytest.mark.parametrize("name", sorted(UNTOUCHED - {"From", "To"}))
def test_what_keeps_the_protocol_right_stays(name):
    """Fields of the transaction and the dialog, and what proves something."""
    request = Request("INVITE", "sip:1@x", [(name, "x@10.0.0.5")])
    assert VEIL.over(request).get(name) == "x@10.0.0.5"


def test_names_of_the_two_ends():
    """Of From and To a request's display name is veiled, the address never; a response bears both
    as the peer has written them (RFC 3261 8.2.6.2)."""
    fields = [("From", '"at pbx.inside" <sip:1@pbx.inside>;tag=1'), ("X-A", "10.0.0.5")]
    request = VEIL.over(Request("INVITE", "sip:1@x", fields))
    assert request.get("From") == '"at sip.example.org" <sip:1@pbx.inside>;tag=1'
    response = VEIL.over(Response(200, "OK", fields))
    assert response.get("From") == fields[0][1]
    assert response.get("X-A") == "sip.example.org"


def test_contacts():
    """Our own Contact stays; that of a redirection leads to us (RFC 3261 8.3)."""
    fields = [("Contact", "<sip:2@10.0.0.5>")]
    assert VEIL.over(Response(302, "Moved", fields)).get("Contact") == "<sip:2@sip.example.org>"
    assert VEIL.over(Response(200, "OK", fields)).get("Contact") == "<sip:2@10.0.0.5>"


def test_reason_phrases():
    """The phrase of a response is text like any other."""
    assert VEIL.over(Response(480, "Ask pbx.inside", [])).reason == "Ask sip.example.org"


def body(kind, content, veil=VEIL, *fields):
    """A body as it leaves."""
    request = Request("NOTIFY", "sip:1@x", [("Content-Type", kind), *fields], content)
    return veil.over(request).body


def test_bodies():
    """Documents are veiled, a session description with our media address; what people write, or
    what is packed, is not."""
    assert body("application/pidf+xml", b"<a>pbx.inside</a>") == b"<a>sip.example.org</a>"
    assert body("application/sdp", b"a=x:10.0.0.5\r\n") == b"a=x:203.0.113.7\r\n"
    assert body("text/plain", b"pbx.inside") == b"pbx.inside"
    packed = ("Content-Encoding", "gzip")
    assert body("application/xml", b"\xff10.0.0.5", VEIL, packed) == b"\xff10.0.0.5"
    assert body("application/xml", b"\xff 10.0.0.5", VEIL) == b"\xff sip.example.org"


def test_session_descriptions_of_media_that_do_not_go_through_us():
    """They have to say where the media go."""
    veil = Veil(["10.0.0.5"], [], "sip.example.org", "203.0.113.7", sessions=False)
    assert body("application/sdp", b"c=IN IP4 10.0.0.5\r\n", veil) == b"c=IN IP4 10.0.0.5\r\n"


def test_hostile_text_costs_no_more_than_its_length():
    """Long runs of what almost is a place are read once."""
    for unit in ("1.", "a.", "a:", "0:", "[", "%4", "10.0.0.5", "-"):
        text = unit * (16384 // len(unit))
        assert VEIL.text(text) == text
