"""MESSAGE and PUBLISH across the switch (RFC 3428, RFC 3903)."""

import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Proxy, Redirect, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.sip import compose
from softswitch.sip.message import Response
from softswitch.testing.stage import Stage
from softswitch.trunk.health import HealthSettings

TEXT = [("Content-Type", "text/plain;charset=UTF-8"), ("X-Colour", "blue"), ("Subject", "tea")]


def send(phone, number, *fields, method="MESSAGE", body=b"hello"):
    """A request outside of any call; what answered it."""
    line = phone.dial(number)
    line.request(method, fields, body)
    phone.network.clock.run(0)
    return line.replies[-1] if line.replies else None


def plain(phone, number, *fields, **options):
    """The same with a text."""
    return send(phone, number, *TEXT, *fields, **options)


def answer(peer, request, status, *fields):
    """What a peer by hand answers."""
    peer.send(compose.response(request, status, to_tag="its", fields=fields))


def test_a_message_reaches_the_registered_phone(stage, phones):
    """Body and type cross, and the fields that cross in a call; Call-ID and tags are ours, there
    is no Contact (RFC 3428 4, 7, 8)."""
    alice, bob = phones(stage, "alice", "bob")
    assert plain(alice, "bob", ("Date", "Sat, 13 Nov 2010 23:29:00 GMT")).status == 200
    (request,) = bob.requests
    assert request.method == "MESSAGE"
    assert request.body == b"hello"
    assert request.all("Content-Type")[-1] == "text/plain;charset=UTF-8"
    assert (request.get("X-Colour"), request.get("Subject")) == ("blue", "tea")
    assert request.get("Date") == "Sat, 13 Nov 2010 23:29:00 GMT"
    assert request.get("Contact") is None
    assert request.call_id != alice.line.call_id
    assert request.from_.uri.user == "alice"
    assert request.from_.tag not in (None, alice.line.tag)
    assert request.max_forwards == 69


def test_every_phone_of_a_user_gets_it(stage, phones):
    """All contacts of the preferred q; the first 2xx is the answer."""
    alice, bob = phones(stage, "alice", "bob")
    (other,) = phones(stage, "bob", register=False)
    assert other.register(fields=[("User-Agent", "other")]) == 200
    bob.answers["MESSAGE"] = 486
    assert plain(alice, "bob").status == 200
    assert len(bob.requests) == len(other.requests) == 1


def test_the_best_refusal_is_told(udp, phones):
    """When nobody takes it: RFC 3261 16.7, and never a 401 or 503 of a far leg."""
    alice, bob = phones(udp, "alice", "bob")
    bob.answers["MESSAGE"] = 488
    assert plain(alice, "bob").status == 488
    bob.answers["MESSAGE"] = 503
    assert plain(alice, "bob").status == 500
    bob.answers["MESSAGE"] = 302
    assert plain(alice, "bob").status == 480


@pytest.mark.parametrize(
    ("one", "other", "told"), [(480, 486, 486), (486, 603, 603), (404, 500, 404), (500, 488, 488)]
)
def test_the_best_of_several_refusals(udp, phones, one, other, told):
    """A 6xx before a 4xx before a 5xx, and what says more before what says less."""
    alice, bob = phones(udp, "alice", "bob")
    (second,) = phones(udp, "bob", register=False)
    second.register()
    bob.answers["MESSAGE"], second.answers["MESSAGE"] = one, other
    assert plain(alice, "bob").status == told


def test_nobody_is_there(udp, phones):
    """480 for a user who is not registered, 404 for nobody."""
    (alice,) = phones(udp, "alice")
    assert plain(alice, "bob").status == 480
    assert plain(alice, "mallory").status == 404


def test_a_phone_that_is_silent(udp, phones):
    """480 before the sender's timer F runs out; 408 must not be sent (RFC 4320 4.2)."""
    alice, bob = phones(udp, "alice", "bob")
    bob.silent = True
    assert plain(alice, "bob") is None
    udp.run(29.9)
    assert alice.line.replies == []
    udp.run(0.2)
    assert alice.line.replies[-1].status == 480


def test_nobody_is_sent_his_own_message(udp, phones):
    """A user's other phones get what he sends to himself; with but one nobody is there."""
    (alice,) = phones(udp, "alice")
    assert plain(alice, "alice").status == 480
    assert alice.requests == []


def test_a_trunk_is_tried_address_by_address(udp, phones):
    """The first is silent for ``try_seconds``, the second takes it; a challenge to our leg is
    answered with the trunk's credentials (RFC 3261 22.3)."""
    (alice,) = phones(udp, "alice")
    udp.peer("127.88.0.201")
    second = udp.peer("127.88.0.202")
    assert plain(alice, "9123") is None
    udp.run(4)
    challenged = second.expect("MESSAGE")
    assert challenged.uri == "sip:123@127.88.0.202"
    answer(second, challenged, 401, ("WWW-Authenticate", 'Digest realm="c", nonce="n", qop="auth"'))
    proven = second.expect("MESSAGE")
    assert 'username="us"' in proven.get("Authorization")
    answer(second, proven, 202)
    udp.settle()
    assert alice.line.replies[-1].status == 202


def test_a_refusal_of_the_trunk_stands(udp, phones):
    """Who has been reached and refused is not asked again at another address."""
    (alice,) = phones(udp, "alice")
    first, second = udp.peer("127.88.0.201"), udp.peer("127.88.0.202")
    plain(alice, "9123")
    answer(first, first.expect("MESSAGE"), 404)
    assert alice.line.replies[-1].status == 404
    assert second.unread == []


def test_what_runs_in_a_circle(udp, phones):
    """A request that comes back with our mark is a loop (482); one without hops left is not passed
    on (483)."""
    (alice,) = phones(udp, "alice")
    pbx = udp.peer("127.88.0.200")
    plain(alice, "8123")
    request = pbx.expect("MESSAGE")
    mark = ("X-Softswitch-Mark", request.get("X-Softswitch-Mark"))
    back = pbx.request("MESSAGE", f"sip:8123@{udp.address[0]}:5060", fields=[mark])
    pbx.send(back)
    assert pbx.expect(482)
    short = pbx.request("MESSAGE", f"sip:8123@{udp.address[0]}").replaced("Max-Forwards", ["0"])
    pbx.send(short)
    assert pbx.unread[-1].status == 483
    answer(pbx, request, 200)


def test_a_stranger_is_challenged(udp, phones):
    """Like any other request outside of a dialog."""
    (bob,) = phones(udp, "bob")
    stranger = udp.peer("127.88.0.99")
    stranger.send(stranger.request("MESSAGE", f"sip:bob@{udp.address[0]}", body=b"spam"))
    assert isinstance(stranger.expect(401), Response)
    assert bob.requests == []


def test_a_policy_may_redirect_it(phones):
    """A Redirect is told as it is (RFC 3261 8.3)."""

    @implementer(IRouter)
    class Elsewhere:
        def route(self, invite):
            return Redirect("sip:bob@elsewhere.example")

    with Stage(plug_ins=[Elsewhere()]) as stage:
        (alice,) = phones(stage, "alice")
        reply = plain(alice, "bob")
        assert reply.status == 302
        assert reply.get("Contact") == "<sip:bob@elsewhere.example>"


def test_a_policy_may_have_it_forwarded(phones):
    """A Proxy decision hands it to the proxy, which leaves Call-ID and tags as they are."""

    @implementer(IRouter)
    class Forwards:
        def route(self, invite):
            (binding,) = stage.house.whereabouts.locate("bob", stage.house.domain)
            return Proxy(Target(binding.contact, flow=binding.flow))

    with Stage(plug_ins=[Forwards()]) as stage:
        alice, bob = phones(stage, "alice", "bob")
        assert plain(alice, "bob").status == 200
        assert bob.requests[0].call_id == alice.line.call_id


def test_who_sends_it(udp, phones):
    """The sender's name and number at our address; who wishes to stay unknown does, and a wish
    that is critical and cannot be had is refused (RFC 3323 5)."""
    alice, bob = phones(udp, "alice", "bob")
    assert plain(alice, "bob", ("Privacy", "header;user")).status == 200
    assert bob.requests[0].from_.uri.host == "anonymous.invalid"
    assert plain(alice, "bob", ("Privacy", "colour;critical")).status == 500
    assert len(bob.requests) == 1


PIDF = [("Content-Type", "application/pidf+xml"), ("Event", "presence")]


def test_publish_goes_to_whoever_keeps_the_state(udp, phones):
    """Event, Expires and SIP-If-Match cross with it, SIP-ETag and Expires come back (RFC 3903 4,
    6)."""
    (alice,) = phones(udp, "alice")
    pbx = udp.peer("127.88.0.200")
    fields = [*PIDF, ("Expires", "600"), ("SIP-If-Match", "etag1")]
    send(alice, "8100", *fields, method="PUBLISH", body=b"<presence/>")
    request = pbx.expect("PUBLISH")
    assert (request.get("Event"), request.expires) == ("presence", 600)
    assert (request.get("SIP-If-Match"), request.body) == ("etag1", b"<presence/>")
    answer(pbx, request, 200, ("SIP-ETag", "etag2"), ("Expires", "300"))
    reply = alice.line.replies[-1]
    assert (reply.status, reply.get("SIP-ETag"), reply.expires) == (200, "etag2", 300)
    send(alice, "8100", *fields, method="PUBLISH", body=b"<presence/>")
    answer(pbx, pbx.expect("PUBLISH"), 412)
    assert alice.line.replies[-1].status == 412
    send(alice, "8100", *fields, method="PUBLISH", body=b"<presence/>")
    answer(pbx, pbx.expect("PUBLISH"), 423, ("Min-Expires", "900"))
    assert alice.line.replies[-1].get("Min-Expires") == "900"


def test_a_document_that_cannot_be_read(udp, phones):
    """It goes no further: 400."""
    (alice,) = phones(udp, "alice")
    pbx = udp.peer("127.88.0.200")
    reply = send(alice, "8100", *PIDF, method="PUBLISH", body=b"<!DOCTYPE x><presence/>")
    assert reply.status == 400
    assert pbx.unread == []


def test_a_trunk_that_cannot_be_found(phones):
    """500, as for a call: the far 503 speaks of nobody but us."""
    nowhere = {"addresses": ["pbx.example"]}
    rule = {"match": "9.*", "trunk": "nowhere"}
    policy = [{"use": "users"}, {"use": "registration"}, {"use": "dialplan", "rules": [rule]}]
    with Stage({"trunks": {"nowhere": nowhere}, "policy": policy}) as stage:
        (alice,) = phones(stage, "alice")
        assert plain(alice, "911").status == 500


def test_a_phone_keeps_nobodys_state(udp, phones):
    """PUBLISH to a user of ours has nowhere to go: 489, with the events that would be right (RFC
    6665 4.4.4)."""
    alice, bob = phones(udp, "alice", "bob")
    reply = send(alice, "bob", *PIDF, method="PUBLISH", body=b"<presence/>")
    assert (reply.status, reply.get("Allow-Events")) == (489, "dialog, refer, reg")
    assert bob.requests == []


@pytest.mark.parametrize("method", ["PUBLISH", "NOTIFY", "SUBSCRIBE"])
def test_an_event_has_to_be_named(udp, phones, method):
    """400 without Event (RFC 6665 8.2.1, RFC 3903 6)."""
    (alice,) = phones(udp, "alice")
    assert send(alice, "8100", method=method, body=b"").status == 400


@pytest.mark.parametrize(("state", "status"), [("active;expires=x", 400), ("", 400), (None, 200)])
def test_a_notify_that_cannot_be_read(udp, phones, state, status):
    """400 for a Subscription-State that is none; check-sync often has none at all."""
    alice, bob = phones(udp, "alice", "bob")
    bob.answers["NOTIFY"] = 200
    fields = [("Event", "check-sync")]
    if state is not None:
        fields.append(("Subscription-State", state))
    assert send(alice, "bob", *fields, method="NOTIFY", body=b"").status == status
    assert len(bob.requests) == (status == 200)


def test_a_gateway_that_fails_is_skipped(udp, phones):
    """One that has answered 503 gets no further message while another is up; a trunk whose members
    are surely out is out of order: 500 with Q.850 cause 38, and no gateway hears anything."""
    (alice,) = phones(udp, "alice")
    gateways = [udp.trunk("carrier"), udp.trunk("carrier", 1)]
    for gateway in gateways:
        gateway.can()
    gateways[0].answers["MESSAGE"] = 503
    assert [plain(alice, "9123").status for _ in range(2)] == [200, 200]
    assert [len(gateway.requests) for gateway in gateways] == [1, 2]
    for state in udp.house.premises.trunks.find("carrier").state.states.values():
        for known in state.gateways.values():
            known.failed(HealthSettings(), udp.clock.seconds(), "503", 60)
    refused = plain(alice, "9123")
    assert (refused.status, refused.get("Reason")) == (500, "Q.850;cause=38")
    assert [len(gateway.requests) for gateway in gateways] == [1, 2]
