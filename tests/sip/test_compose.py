"""Messages made from messages."""

import pytest

from softswitch.sip import compose
from softswitch.sip.message import Request, Response
from softswitch.sip.parser import parse

INVITE = Request(
    "INVITE",
    "sip:bob@biloxi.com",
    [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2"),
        ("Via", "SIP/2.0/UDP c"),
        ("Max-Forwards", "10"),
        ("Route", "<sip:p1;lr>"),
        ("Route", "<sip:p2;lr>"),
        ("To", "Bob <sip:bob@biloxi.com>"),
        ("From", '"Alice" <sip:alice@atlanta.com>;tag=88sja8x'),
        ("Call-ID", "987asjd97y7atg"),
        ("CSeq", "986759 INVITE"),
        ("Timestamp", "54"),
        ("Record-Route", "<sip:p0;lr>"),
        ("Require", "x"),
        ("Contact", "<sip:alice@atlanta.com>"),
    ],
    b"v=0",
)


def test_a_response_copies_what_it_must_in_order():
    """RFC 3261 8.2.6.2: Via, From, To, Call-ID, CSeq; a tag on To."""
    answer = compose.response(INVITE, 486, to_tag="1928", fields=[("Retry-After", "5")], body=b"x")
    assert (answer.status, answer.reason, answer.body) == (486, "Busy Here", b"x")
    assert answer.fields == [
        INVITE.fields[0],
        INVITE.fields[1],
        ("To", "Bob <sip:bob@biloxi.com>;tag=1928"),
        INVITE.fields[6],
        INVITE.fields[7],
        INVITE.fields[8],
        ("Retry-After", "5"),
    ]


def test_a_trying_takes_the_timestamp_along():
    """RFC 3261 8.2.6.1; and a To without tag stays so."""
    answer = compose.response(INVITE, 100)
    assert answer.get("Timestamp") == "54"
    assert answer.to.tag is None
    assert compose.response(INVITE, 180).get("Timestamp") is None


def test_what_may_make_a_dialog_bears_the_route():
    """RFC 3261 12.1.1."""
    assert compose.response(INVITE, 180, record_route=True).all("Record-Route") == ["<sip:p0;lr>"]
    assert compose.response(INVITE, 180).all("Record-Route") == []


@pytest.mark.parametrize("to", ["<sip:b@h>;tag=old", "sip:b@h;tag=old", "<sip:b@h> ; Tag = old"])
def test_a_tag_that_is_there_stays(to: str):
    """RFC 3261 8.2.6.2."""
    assert compose.response(INVITE.replaced("To", [to]), 200, to_tag="new").get("To") == to


def test_a_request_that_was_refused_can_be_answered():
    """A To that cannot be read, or is not there, is no obstacle; reasons can be our own."""
    answer = compose.response(INVITE.replaced("To", ["<sip:"]), 400, "Bad To", to_tag="t")
    assert (answer.reason, answer.get("To")) == ("Bad To", "<sip:")
    assert compose.response(INVITE.replaced("To", []), 400, to_tag="t").get("To") is None


def test_the_ack_of_a_refusal():
    """RFC 3261 17.1.1.3: the INVITE's Via, Request-URI, From, Call-ID, Route; the answer's To."""
    answer = compose.response(INVITE, 486, to_tag="99sa0xk")
    ack = compose.ack(INVITE, answer)
    assert (ack.method, ack.uri, ack.body) == ("ACK", "sip:bob@biloxi.com", b"")
    assert ack.fields == [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"),
        ("Max-Forwards", "70"),
        ("Route", "<sip:p1;lr>"),
        ("Route", "<sip:p2;lr>"),
        ("To", "Bob <sip:bob@biloxi.com>;tag=99sa0xk"),
        INVITE.fields[6],
        INVITE.fields[7],
        ("CSeq", "986759 ACK"),
    ]


def test_the_cancel_of_a_request():
    """RFC 3261 9.1: as the request, one Via, no Require; further fields as wished."""
    cancel = compose.cancel(INVITE, [("Reason", "SIP ;cause=200")])
    assert (cancel.method, cancel.uri) == ("CANCEL", "sip:bob@biloxi.com")
    assert cancel.fields == [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"),
        ("Max-Forwards", "70"),
        ("Route", "<sip:p1;lr>"),
        ("Route", "<sip:p2;lr>"),
        INVITE.fields[5],
        INVITE.fields[6],
        INVITE.fields[7],
        ("CSeq", "986759 CANCEL"),
        ("Reason", "SIP ;cause=200"),
    ]
    assert isinstance(parse(cancel.encode()), Request)


def test_identifiers_are_random_and_long_enough():
    """RFC 3261 8.1.1.7 and 19.3: the magic cookie; tags of at least 32 random bits."""
    branches = {compose.new_branch() for _ in range(100)}
    tags = {compose.new_tag() for _ in range(100)}
    assert len(branches) == len(tags) == 100
    assert all(branch.startswith("z9hG4bK") and len(branch) >= 23 for branch in branches)
    assert all(len(tag) == 16 for tag in tags)
    assert compose.new_call_id("2001:db8::1").endswith("@2001:db8::1")


def test_a_stateless_answer_has_the_same_tag_each_time():
    """RFC 3261 8.2.7: for the same request, from our secret; other requests have others."""
    tag = compose.stateless_tag(INVITE, b"secret")
    again = parse(INVITE.replaced("Record-Route", []).encode())
    assert isinstance(again, Request)
    again.stamp("192.0.2.1", 5060)
    assert compose.stateless_tag(again, b"secret") == tag
    assert compose.stateless_tag(INVITE, b"other") != tag
    for name, value in [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK3"),
        ("From", "<sip:alice@atlanta.com>;tag=2"),
        ("Call-ID", "x"),
        ("CSeq", "986760 INVITE"),
    ]:
        assert compose.stateless_tag(INVITE.replaced(name, [value]), b"secret") != tag
    assert compose.stateless_tag(Request("X", "sip:h", []), b"secret")


def test_allow_names_what_is_served():
    """RFC 3261 20.5."""
    answer = Response(405, "Method Not Allowed", [("Allow", ", ".join(compose.ALLOW))])
    assert answer.allow == list(compose.ALLOW)
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"} <= set(answer.allow)
