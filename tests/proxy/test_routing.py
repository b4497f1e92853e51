"""Routes: RFC 3261 16.4, 16.6 and the examples of 16.12."""

import pytest

from softswitch.flow import Flow
from softswitch.proxy.routes import Marks, Way, arrived, forwarded, next_hop, returned
from softswitch.sip.message import Request, Response
from softswitch.sip.uri import Uri

FLOW = Flow("lan", "UDP", "10.0.0.1", 5060, "10.0.0.2", 5060)
MARKS = Marks(b"secret")
WAY = Way(0, "10.0.0.2", 5060, 0, False)


def is_own(uri):
    """What leads to us."""
    return uri.host == "p2.example.com"


def request(*routes, uri="sip:callee@u2.domain.com", method="BYE", **more):
    """A request within a dialog."""
    fields = [
        ("Via", "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1"),
        *[("Route", route) for route in routes],
        ("From", "<sip:a@x>;tag=a"),
        ("To", "<sip:b@x>;tag=b"),
        ("Call-ID", "c"),
        ("CSeq", f"2 {method}"),
        *more.get("fields", ()),
    ]
    return Request(method, uri, fields)


def own(by="a"):
    """A Record-Route value of ours, as it stands in a Request-URI."""
    user = MARKS.user(MARKS.path(request(), 1, WAY, WAY), "c")
    return f"sip:{user}@p2.example.com;lr"


def sent(message):
    """Request-URI, routes and next hop of what goes on."""
    came = arrived(message, FLOW, MARKS, is_own)
    copy = forwarded(came.request, came.request.uri, ())
    hop = next_hop(came.request, came.request.uri)
    return copy.uri, copy.values("Route"), str(hop)


def test_our_own_route_comes_off():
    """16.12.1.1: P2 finds itself on top and sends the request where its Request-URI says."""
    assert sent(request(f"<{own()}>")) == (
        "sip:callee@u2.domain.com",
        [],
        "sip:callee@u2.domain.com",
    )


def test_the_next_route_is_the_next_hop():
    """Whether in one line or in two (7.3.1)."""
    routes = ["<sip:p3.middle.com;lr>", "<sip:p4.domain.com;lr>"]
    expected = ("sip:callee@u2.domain.com", routes, "sip:p3.middle.com;lr")
    assert sent(request(f"<{own()}>", *routes)) == expected
    assert sent(request(", ".join([f"<{own()}>", *routes]))) == expected


def test_a_strict_router_comes_next():
    """16.12.1.2, P4: the Request-URI goes to the end of the route, the strict router's own into
    its place."""
    routes = ["<sip:p3.middle.com>", "<sip:p2.example.org;lr>", "<sip:p1.example.com;lr>"]
    uri, left, hop = sent(request(f"<{own()}>", *routes, uri="sip:caller@u1.example.com"))
    assert (uri, hop) == ("sip:p3.middle.com", "sip:p3.middle.com")
    assert left == [*routes[1:], "<sip:caller@u1.example.com>"]


def test_a_strict_router_came_before():
    """16.12.1.2, P2: its own value in the Request-URI is replaced by the last of the route."""
    routes = ["<sip:p1.example.com;lr>", "<sip:caller@u1.example.com>"]
    message = request(*routes, uri=own())
    came = arrived(message, FLOW, MARKS, is_own)
    assert came.own == [f"<{own()}>"]
    assert came.path is not None
    assert sent(message) == ("sip:caller@u1.example.com", routes[:1], "sip:p1.example.com;lr")


def test_several_of_ours_come_off_at_once():
    """Both values of a change of transport, and an outbound proxy's entry that is but our
    address; what the last of them says holds."""
    first = f"<{own().replace(';lr', ';transport=tcp;lr')}>"
    came = arrived(request("<sip:p2.example.com;lr>", first, f"<{own()}>"), FLOW, MARKS, is_own)
    assert came.request.get("Route") is None
    assert came.own == [first, f"<{own()}>"]


@pytest.mark.parametrize(
    ("uri", "left"),
    [
        ("sip:b@x;maddr=p2.example.com", "sip:b@x"),
        ("sip:b@x:5060;maddr=p2.example.com;transport=udp;user=phone", "sip:b@x;user=phone"),
        ("sip:b@x:5080;maddr=p2.example.com", "sip:b@x:5080;maddr=p2.example.com"),
        ("sip:b@x;maddr=p2.example.com;transport=tcp", None),
        ("sip:b@x;maddr=9.9.9.9", None),
    ],
)
def test_a_maddr_that_means_us(uri, left):
    """It is taken off, if the request came to the port and by that transport (16.4)."""
    assert arrived(request(uri=uri), FLOW, MARKS, is_own).request.uri == (left or uri)


def test_a_request_uri_holds_no_headers():
    """What must not stand there is taken off the target (16.6 step 2, 19.1.1)."""
    copy = forwarded(request(), "sip:b@x;method=INVITE;user=phone?Subject=hello", ())
    assert copy.uri == "sip:b@x;user=phone"


def test_nothing_else_is_touched():
    """Order, unknown fields, malformed fields and the body stay; Record-Route goes before what is
    there (16.6 steps 1 and 4)."""
    fields = [
        ("Record-Route", "<sip:p1;lr>"),
        ("X-Odd", "<>"),
        ("Max-Forwards", "9"),
        ("Date", "?"),
    ]
    came = request(fields=fields)
    came.body = b"\0\r\n\xff"
    copy = forwarded(came, "sip:d@x", ["<sip:us;lr>"], [("X-Ours", "1")])
    assert copy.body == came.body
    changed = [
        ("Max-Forwards", "8") if name == "Max-Forwards" else (name, v) for name, v in came.fields
    ]
    assert copy.fields == [("Record-Route", "<sip:us;lr>"), *changed, ("X-Ours", "1")]


def test_a_route_says_who_it_was_made_for_and_nobody_else_can_make_it():
    """It holds for its Call-ID and for this switch; the peers' ways are read back as they were."""
    path = MARKS.path(request(), 1_700_000_000.5, Way(1, "2001:db8::7", 5071, 12, True), WAY)
    user = MARKS.user(path, "c")
    uri = Uri.parse(f"sip:{user}@p2.example.com;lr")
    assert MARKS.read(uri, "c") == path
    assert path.made == 1_700_000_000
    assert MARKS.by_caller(path, request())
    assert not MARKS.is_for_caller(path, request())
    assert MARKS.is_for_caller(path, request().replaced("To", ["<sip:b@x>;tag=a"]))
    assert MARKS.read(uri, "d") is None
    assert Marks(b"another").read(uri, "c") is None
    assert MARKS.read(Uri.parse(f"sip:{user}x@p2.example.com"), "c") is None
    assert MARKS.read(Uri.parse("sip:px.@p2.example.com"), "c") is None
    assert MARKS.read(Uri.parse("tel:+4412"), "c") is None


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("Max-Forwards", "3"), True),
        (("Via", "SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKx"), True),
        (("Route", "<sip:other;lr>"), False),
        (("Proxy-Require", "a"), False),
        (("Proxy-Authorization", "a"), False),
        (("CSeq", "3 BYE"), False),
        (("Call-ID", "d"), False),
        (("To", "<sip:b@x>"), False),
    ],
)
def test_what_makes_a_circle(change, same):
    """The second part of the branch depends on all that decides where a request goes, and on
    nothing that changes on its way round (16.6 step 8, RFC 5393 4.2)."""
    name, value = change
    assert (MARKS.loop(request()) == MARKS.loop(request().replaced(name, [value]))) is same


@pytest.mark.parametrize("separator", [None, ", ", " ,", ","])
def test_a_response_loses_our_via(separator):
    """However the values stand in lines (16.7 step 3); one with no other was meant for us."""
    ours, theirs = (f"SIP/2.0/UDP {host};branch=z9hG4bK1" for host in ("1.1.1.1", "2.2.2.2"))
    vias = [ours, theirs] if separator is None else [f"{ours}{separator}{theirs}"]
    fields = [("X", "1"), *[("Via", via) for via in vias], ("Y", "2")]
    back = returned(Response(200, "OK", fields, b"body"))
    assert back is not None
    assert back.fields == [("X", "1"), ("Via", theirs), ("Y", "2")]
    assert back.body == b"body"
    assert returned(back) is None
