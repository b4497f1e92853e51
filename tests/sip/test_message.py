"""Requests and responses: raw fields, typed views, the wire form."""

import pytest

from softswitch.errors import SipSyntaxError, StateError
from softswitch.sip.message import Field, Message, Request, Response

FIELDS: list[Field] = [
    ("Via", "SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport, SIP/2.0/TCP [2001:db8::1];branch=z2"),
    ("Via", "SIP/2.0/UDP c.example.com"),
    ("Route", '<sip:p1.example.com;lr>, "x, y" <sip:p2.example.com;lr>'),
    ("From", '"Alice" <sip:alice@example.com>;tag=1'),
    ("To", "<sip:bob@example.com>"),
    ("Call-ID", "call@example.com"),
    ("CSeq", "7 INVITE"),
    ("Contact", "<sip:alice@192.0.2.1>;q=0.5"),
    ("Record-Route", "<sip:p2.example.com;lr>"),
    ("Record-Route", "<sip:p1.example.com;lr>"),
    ("Max-Forwards", "70"),
    ("Expires", "180"),
    ("Supported", "replaces, timer"),
    ("Supported", "100rel"),
    ("Content-Type", "Application/SDP ; charset=utf-8"),
    ("X-Acme", "ü"),
]


def invite(*fields: Field) -> Request:
    return Request("INVITE", "sip:bob@example.com", fields or FIELDS, b"v=0\r\n")


def test_typed_views_read_each_field():
    """RFC 3261 section 20; comma-separated values and further lines are one list (7.3.1)."""
    request = invite()
    assert str(request.request_uri) == "sip:bob@example.com"
    assert request.top_via.host == "a.example.com"
    assert [via.host for via in request.vias] == ["a.example.com", "2001:db8::1", "c.example.com"]
    assert (request.from_.display, request.from_.tag, request.to.tag) == ("Alice", "1", None)
    assert request.call_id == "call@example.com"
    assert (request.cseq.number, request.cseq.method) == (7, "INVITE")
    assert [contact.q for contact in request.contacts] == [0.5]
    assert [route.uri.host for route in request.routes] == ["p1.example.com", "p2.example.com"]
    assert [route.uri.host for route in request.record_routes] == [
        "p2.example.com",
        "p1.example.com",
    ]
    assert (request.max_forwards, request.expires) == (70, 180)
    assert request.content_type == "application/sdp"
    assert request.supported == ["replaces", "timer", "100rel"]
    assert (request.require, request.proxy_require, request.allow) == ([], [], [])


def test_a_view_is_read_once():
    """A message never changes, so a value need not be read again."""
    request = invite()
    assert request.from_ is request.from_
    assert request.top_via is request.top_via
    assert request.routes is request.routes


def test_raw_values_are_found_by_name():
    """Canonical names by their spelling; names unknown here in any case."""
    request = invite()
    assert request.get("Via") == FIELDS[0][1]
    assert request.all("Via") == [FIELDS[0][1], FIELDS[1][1]]
    assert len(request.values("Via")) == 3
    assert request.get("x-acme") == request.get("X-ACME") == "ü"
    assert request.all("x-aCME") == ["ü"]
    assert request.get("Subject") is request.get("X-Other") is None
    assert request.all("Subject") == request.values("X-Other") == []


def test_what_is_absent():
    """A mandatory field that is missing is named; an optional one is None or empty."""
    bare = invite(("X", "y"))
    for view, name in {
        "top_via": "Via", "from_": "From", "to": "To", "call_id": "Call-ID", "cseq": "CSeq",
    }.items():  # fmt: skip
        with pytest.raises(SipSyntaxError) as caught:
            getattr(bare, view)
        assert (caught.value.reason, caught.value.header) == (f"Missing {name}", name)
        assert caught.value.status == 400
    assert bare.max_forwards is bare.expires is bare.content_type is None
    assert bare.vias == bare.contacts == bare.routes == bare.record_routes == []


@pytest.mark.parametrize(
    ("view", "name", "value"),
    [
        ("top_via", "Via", "x"),
        ("top_via", "Via", ""),
        ("top_via", "Via", ", SIP/2.0/UDP h"),
        ("vias", "Via", "SIP/2.0/UDP h,"),
        ("from_", "From", "x"),
        ("to", "To", "<sip:a@h"),
        ("call_id", "Call-ID", ""),
        ("call_id", "Call-ID", "a b"),
        ("cseq", "CSeq", "INVITE 1"),
        ("contacts", "Contact", "*, <sip:a@h>"),
        ("routes", "Route", "<sip:a@h>,"),
        ("record_routes", "Record-Route", "x"),
        ("max_forwards", "Max-Forwards", "256"),
        ("max_forwards", "Max-Forwards", "-1"),
        ("expires", "Expires", "soon"),
        ("content_type", "Content-Type", "sdp"),
    ],
)
def test_a_value_that_cannot_be_read_names_its_field(view: str, name: str, value: str):
    """So that the reason phrase of the 400 can (RFC 3261 21.4.1)."""
    with pytest.raises(SipSyntaxError) as caught:
        getattr(invite((name, value)), view)
    assert (caught.value.status, caught.value.reason) == (400, f"Bad {name}")
    assert caught.value.header == name


def test_a_bad_request_uri_is_named():
    """RFC 3261 21.4.1."""
    with pytest.raises(SipSyntaxError, match="Bad Request-URI"):
        _ = Request("INVITE", "<sip:a@h>", []).request_uri


def test_huge_expiry_is_clamped():
    """RFC 3261 20.19: 0 to 2^32-1."""
    assert invite(("Expires", "1" + "0" * 100)).expires == 2**32 - 1


def test_the_star_is_no_address():
    """RFC 3261 10.2.2: Contact "*" stands alone."""
    star = invite(("Contact", "*"))
    assert star.star
    assert star.contacts == []
    assert not invite().star


def test_the_wire_form():
    """RFC 3261 section 7: start line, fields in order, our own Content-Length, the body."""
    request = Request("BYE", "sip:a@h", [("To", "<sip:ü@h>"), ("Subject", "")], b"\0\xff")
    assert (
        request.encode()
        == (
            "BYE sip:a@h SIP/2.0\r\nTo: <sip:ü@h>\r\nSubject: \r\nContent-Length: 2\r\n\r\n"
        ).encode()
        + b"\0\xff"
    )
    assert Response(200, "OK", []).encode() == b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert Response(200, "", []).encode() == b"SIP/2.0 200 \r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "message",
    [
        Request("BYE", "sip:a@h", [("X", "y\r\nVia: forged")]),
        Request("BYE", "sip:a@h", [("X", "y\n")]),
        Request("BYE", "sip:a@h\rx", []),
        Response(200, "OK\r\n\r\nx", []),
    ],
)
def test_a_line_end_in_a_value_never_leaves(message: Message):
    """Whoever put it there, it would forge a field or a message."""
    with pytest.raises(StateError):
        message.encode()


def test_fields_replaced_in_a_copy():
    """In the place of the first; Via on top and others last where there were none."""
    request = invite(("To", "a"), ("Via", "b"), ("Via", "c"), ("From", "d"))
    copy = request.replaced("Via", ["x", "b", "c"])
    assert copy.fields == [("To", "a"), ("Via", "x"), ("Via", "b"), ("Via", "c"), ("From", "d")]
    assert (copy.method, copy.uri, copy.body) == (request.method, request.uri, request.body)
    assert request.replaced("Via", []).fields == [("To", "a"), ("From", "d")]
    assert invite(("To", "a")).replaced("Via", ["x"]).fields == [("Via", "x"), ("To", "a")]
    assert invite(("To", "a")).replaced("Route", ["x"]).fields == [("To", "a"), ("Route", "x")]
    response = Response(200, "OK", [("Via", "b")]).replaced("Via", ["c"])
    assert (response.status, response.reason, response.fields) == (200, "OK", [("Via", "c")])


def test_a_message_has_fields_of_its_own():
    """The list that it was made from may change afterwards."""
    fields: list[Field] = [("To", "a")]
    request = Request("BYE", "sip:a@h", fields)
    fields.append(("Via", "x"))
    assert request.fields == [("To", "a")]


def stamped(via: str, host: str, port: int) -> str | None:
    request = invite(("Via", via), ("Via", "SIP/2.0/UDP below"))
    before = request.top_via
    request.stamp(host, port)
    assert str(request.top_via) == request.values("Via")[0] or request.top_via == before
    assert [str(v) for v in request.vias] == request.values("Via")
    assert request.all("Via")[1] == "SIP/2.0/UDP below"
    return request.get("Via")


def test_received_is_noted_where_the_sender_named_another_address():
    """RFC 3261 18.2.1."""
    assert stamped("SIP/2.0/UDP 192.0.2.1:5060;branch=z", "192.0.2.1", 9) == (
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z"
    )
    assert stamped("SIP/2.0/UDP bobspc.biloxi.com;branch=z", "192.0.2.4", 9) == (
        "SIP/2.0/UDP bobspc.biloxi.com;branch=z;received=192.0.2.4"
    )


def test_rport_is_filled_in_and_brings_received():
    """RFC 3581 section 4, also where the sent-by is right."""
    assert stamped("SIP/2.0/UDP 192.0.2.1;rport;branch=z", "192.0.2.1", 4711) == (
        "SIP/2.0/UDP 192.0.2.1;rport=4711;branch=z;received=192.0.2.1"
    )
    assert stamped("SIP/2.0/UDP [2001:db8::1];branch=z;rport", "2001:db8::2", 4711) == (
        "SIP/2.0/UDP [2001:db8::1];branch=z;rport=4711;received=2001:db8::2"
    )


def test_what_the_sender_claims_about_its_address_is_overwritten():
    """Else a stranger would choose where our answers go."""
    assert stamped("SIP/2.0/UDP 192.0.2.1;received=198.51.100.1", "192.0.2.1", 9) == (
        "SIP/2.0/UDP 192.0.2.1"
    )
    assert stamped("SIP/2.0/UDP h;received=198.51.100.1;rport=1", "192.0.2.1", 9) == (
        "SIP/2.0/UDP h;rport=9;received=192.0.2.1"
    )


def test_stamping_touches_the_top_value_alone():
    """Several values may share a line (RFC 3261 7.3.1)."""
    assert stamped("SIP/2.0/UDP h;branch=z, SIP/2.0/TCP i;received=1.2.3.4", "192.0.2.1", 9) == (
        "SIP/2.0/UDP h;branch=z;received=192.0.2.1, SIP/2.0/TCP i;received=1.2.3.4"
    )
