"""What is not forwarded, and why: RFC 3261 16.3, and what passes all the same."""

import pytest

from softswitch.sip import compose
from softswitch.testing.peer import kind

FAR = "127.88.0.99"


def invite(peer, *fields, method="INVITE", uri="sip:bob@127.88.0.1", **more):
    """A request with these fields instead of the peer's own."""
    request = peer.request(method, uri, **more)
    for name, value in fields:
        request = request.replaced(name, [value] if value else [])
    return request


@pytest.fixture
def stage(proxying):
    """Everything goes to one element further on, whoever sends it."""
    return proxying(f"sip:bob@{FAR}", strangers=True)


def answered(stage, peer, request):
    """The first answer to a request."""
    peer.send(request)
    stage.run(0.1)
    return peer.unread.pop(0)


def test_a_request_that_has_no_hop_left(stage):
    """483 (16.3 step 3)."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    answer = answered(stage, peer, invite(peer, ("Max-Forwards", "0")))
    assert answer.status == 483
    assert not far.received


def test_a_request_without_max_forwards_gets_one(stage):
    """70 (16.6 step 3)."""
    peer, far = stage.peer("127.88.0.50"), stage.phone("bob", host=FAR, register=False)
    peer.send(invite(peer, ("Max-Forwards", "")))
    assert far.line.invite.max_forwards == 70
    far.refuse(486)


def test_an_extension_that_proxies_have_to_know(stage):
    """420, naming it (16.3 step 5)."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    answer = answered(stage, peer, invite(peer, ("Proxy-Require", "foo, bar")))
    assert (answer.status, answer.get("Unsupported")) == (420, "foo, bar")
    assert not far.received


@pytest.mark.parametrize(
    ("field", "value"), [("Route", "rubbish<"), ("Max-Forwards", "many"), ("Route", "<sip:x")]
)
def test_what_we_need_has_to_be_readable(stage, field, value):
    """400; there is a record of it (16.3 step 1)."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    answer = answered(stage, peer, invite(peer, (field, value)))
    assert answer.status == 400
    assert not far.received


@pytest.mark.parametrize("contact", ["", "<<rubbish", "*"])
def test_what_we_do_not_need_may_be_rubbish(stage, contact):
    """It is forwarded as it came, also what no back-to-back agent can be made of (16.3 step 1)."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    odd = [
        ("Date", "<>;;"),
        ("Contact", contact),
        ("Require", "x-odd"),
        ("Content-Type", "odd/type"),
    ]
    peer.send(invite(peer, *odd, body=b"\0odd"))
    came = far.expect("INVITE")
    assert (came.get("Date"), came.require, came.body) == ("<>;;", ["x-odd"], b"\0odd")
    assert (came.content_type, came.get("Contact")) == ("odd/type", contact or None)
    far.send(compose.response(came, 486, to_tag="far"))


def test_a_loop(stage):
    """A request that comes back as it was is refused with 482 (16.3 step 4): the far end sends all
    it gets back to us."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    peer.send(invite(peer))
    came = far.expect("INVITE")
    via = f"SIP/2.0/UDP {FAR}:5060;branch=z9hG4bKfar"
    looped = came.replaced("Via", [via, *map(str, came.vias)])
    looped.uri = "sip:bob@127.88.0.1"
    answer = answered(stage, far, looped)
    assert answer.status == 482


def test_a_spiral(stage):
    """One that comes back with another Request-URI is no loop, nor is it merged (16.3)."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    peer.send(invite(peer))
    came = far.expect("INVITE")
    via = f"SIP/2.0/UDP {FAR}:5060;branch=z9hG4bKfar"
    spiral = came.replaced("Via", [via, *map(str, came.vias)])
    spiral.uri = "sip:carol@127.88.0.1"
    far.send(spiral)
    again = far.expect("INVITE")
    assert again.max_forwards == 68
    assert len(again.record_routes) == 2
    assert stage.policy.asked == ["INVITE", "INVITE"]
    stage.run(40)


def test_a_spiral_through_ourselves(proxying):
    """The first target leads back to us; the call passes twice and so do its requests, which take
    both of our routes off at once. There is a record for each pass."""
    stage = proxying("sip:carol@127.88.0.1:5060", strangers=True)
    far = stage.phone("bob", host=FAR, register=False)
    alice = stage.phone("alice", register=False, password="")
    route = stage.policy.route

    def twice(request):
        if request.uri.user == "carol":
            stage.policy.targets = [f"sip:bob@{FAR}"]
        return route(request)

    asked = stage.house.policies._routing.asked
    asked[0] = (asked[0][0], twice)
    line = alice.call("bob")
    assert len(far.line.invite.vias) == 3
    assert len(far.line.invite.record_routes) == 2
    far.answer()
    assert line.statuses == [200]
    line.request("INFO")
    assert len(far.line.got("INFO").vias) == 2
    far.hang_up()
    assert len(line.got("BYE").vias) == 2
    assert [record.hung_up for record in stage.records] == ["callee", "callee"]


def test_merged_requests_are_no_error(stage):
    """The same request on two ways is forwarded twice: it is the endpoint's to notice (16.3)."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    request = invite(peer)
    peer.send(request)
    other = request.replaced("Via", ["SIP/2.0/UDP 127.88.0.50:5060;branch=z9hG4bKother"])
    other.uri = "sip:bob@127.88.0.1:5060"
    peer.send(other)
    assert [kind(message) for message in far.unread].count("INVITE") == 2
    stage.run(40)


def test_responses_to_nothing(stage):
    """A response that matches no branch of ours goes nowhere (RFC 6026)."""
    peer, far = stage.peer("127.88.0.50"), stage.peer(FAR)
    peer.send(invite(peer))
    came = far.expect("INVITE")
    vias = [str(via).replace(came.top_via.branch, "z9hG4bK00.11") for via in came.vias]
    fields = [("Via", via) for via in vias]
    fields += [field for field in came.fields if field[0] in ("From", "To", "Call-ID", "CSeq")]
    peer.unread.clear()
    far.send("\r\n".join(["SIP/2.0 200 OK", *map(": ".join, fields), "", ""]).encode())
    assert not [message for message in peer.unread if kind(message) == 200]
    stage.run(40)


def test_an_authenticated_user_cannot_use_anothers_route(proxying):
    """A Record-Route value of ours is good for its own dialog alone: in another call it leads to
    nobody, so that it makes no open relay of us."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    stranger, victim = stage.peer("127.88.0.50"), stage.peer(FAR)
    within = stranger.request(
        "INVITE",
        f"sip:victim@{FAR}",
        to=f"<sip:victim@{FAR}>;tag=1",
        fields=[("Route", line.routes[0])],
    )
    stranger.send(within)
    assert stranger.expect(481)
    assert not victim.received
    forged = line.routes[0].replace("px.", "px.0")
    again = within.replaced("Route", [forged]).replaced("Call-ID", [line.call_id])
    again = again.replaced("Via", ["SIP/2.0/UDP 127.88.0.50:5060;branch=z9hG4bKagain"])
    stranger.send(again)
    assert stranger.expect(481)
    assert not victim.received
    bob.hang_up()


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [("Max-Forwards", "0", 483), ("Proxy-Require", "foo", 420), ("Max-Forwards", "x", 400)],
)
def test_within_a_dialog(proxying, field, value, status):
    """The same holds there; an ACK that may not pass is dropped."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    for method in ("INFO", "ACK"):
        before = len(bob.line.requests)
        request = line.compose(method)
        alice.unread.clear()
        alice.send(request.replaced(field, [value]))
        assert len(bob.line.requests) == before
        assert [kind(message) for message in alice.unread] == ([status] if method == "INFO" else [])
    bob.hang_up()


def test_a_target_of_an_unknown_scheme_within_a_dialog(proxying):
    """416 where nothing but the Request-URI says where to go (16.3 step 2)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    line.target = "urn:service:sos"
    line.request("INFO")
    assert line.final == 416
    bob.hang_up()
