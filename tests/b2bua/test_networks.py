"""Where requests of a call go: flows, targets, route sets, the faces of a listener."""

import pytest

from softswitch.sip.message import Response
from softswitch.testing.media import CountingEngine

FIRST, SECOND = "127.88.0.101", "127.88.0.102"
PROXY = "127.88.0.77"


def methods(peer):
    """The requests that came to a peer."""
    return [message.method for _, message, _ in peer.received if not isinstance(message, Response)]


def test_a_registered_phone_behind_nat(make_stage, transport):
    """Its Contact is a private address: INVITE, ACK, BYE, and what follows in either direction,
    go along the flow on which it registered."""
    stage = make_stage(transport=transport)
    alice = stage.phone("alice", register=False)
    bob = stage.phone("bob", register=False)
    for phone in (alice, bob):
        phone.private = f"<sip:{phone.name}@10.9.9.9:5060>"
        assert phone.register() == 200
    line = alice.call("bob")
    assert bob.line.invite.uri == "sip:bob@10.9.9.9:5060"
    bob.answer()
    assert line.statuses == [200]
    assert bob.line.methods == ["INVITE", "ACK"]
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    assert line.methods == ["INVITE"]
    line.respond(200, sdp=alice.sdp("recvonly"))
    alice.hang_up()
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_peer_behind_nat(make_stage, who):
    """A private Contact in what came from a public address: answered where it came from."""
    trunk = {"addresses": ["9.9.9.9:5060"]}
    stage = make_stage({"trunks": {"carrier": trunk}})
    carrier, alice = stage.phone("carrier", host="9.9.9.9"), stage.phone("alice")
    carrier.private = "<sip:carrier@10.9.9.9:5060>"
    if who == "caller":
        far, near = carrier.call("alice"), alice
        alice.answer()
    else:
        near = alice
        alice.call("0123")
        carrier.answer()
        far = carrier.line
    near.hang_up()
    assert far.over
    assert "BYE" in far.methods


def test_a_peers_contact_is_where_its_requests_go(make_stage):
    """A gateway that says it is to be reached elsewhere: ACK and BYE go there (12.2.1.1)."""
    stage = make_stage()
    first, second, alice = stage.phone("a", host=FIRST), stage.peer(SECOND), stage.phone("alice")
    alice.call("0123")
    first.private = f"<sip:x@{SECOND}:5060>"
    first.answer()
    assert methods(first) == ["INVITE"]
    assert methods(second) == ["ACK"]
    first.stop(next(iter(first._repeats)))
    alice.hang_up()
    assert methods(second)[1:2] == ["BYE"]


def test_a_reinvite_refreshes_the_target(make_stage):
    """The peer moves to another address with its Contact (RFC 3261 12.2.2)."""
    stage = make_stage()
    first, second, alice = stage.phone("a", host=FIRST), stage.peer(SECOND), stage.phone("alice")
    line = alice.call("0123")
    first.answer()
    first.private = f"<sip:x@{SECOND}:5060>"
    first.line.reinvite(first.sdp(version=2))
    line.respond(200, sdp=alice.sdp())
    assert first.line.statuses == [200]
    alice.hang_up()
    assert "BYE" in methods(second)
    assert "BYE" not in methods(first)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_phone_moves_to_a_new_port(make_stage, transport, who):
    """Requests in a dialog are found by the dialog, wherever they come from: another port,
    another connection; from then on ours go there too."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    moved, other = (line, bob.line) if who == "caller" else (bob.line, line)
    moved.phone.move(5999)
    moved.reinvite(moved.phone.sdp("sendonly", version=2))
    other.respond(200, sdp=other.phone.sdp("recvonly", version=2))
    assert moved.statuses == [200]
    other.request("BYE")
    assert moved.over


def test_a_phone_hangs_up_from_a_new_port(make_stage, transport):
    """Its BYE is answered there."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    alice.move(5999)
    alice.hang_up()
    assert alice.line.final == 200
    assert bob.line.over


def test_a_phone_is_reached_on_its_connection(make_stage):
    """No connection is opened towards a phone that registered over TCP."""
    stage = make_stage(transport="TCP")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    alice.hang_up()
    assert alice.endpoint.peers == bob.endpoint.peers == [stage.address]


def test_a_phone_whose_connection_is_closed(make_stage):
    """It cannot be reached any more: 480 at once."""
    stage = make_stage(transport="TCP")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.endpoint.stream(stage.address).close()
    stage.run(0)
    assert alice.call("bob").statuses == [480]
    assert bob.lines == []


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_connection_breaks_while_the_phone_rings(make_stage, who):
    """The callee's: the try has failed. The caller's: nobody to tell, but the call ends."""
    stage = make_stage({"switch": {"ring_seconds": 20}}, transport="TCP")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    broken = alice if who == "caller" else bob
    broken.endpoint.stream(stage.address).close()
    stage.run(0)
    if who == "callee":
        assert line.statuses == [180, 500]
    stage.run(30)


def test_a_connection_breaks_while_they_talk(make_stage):
    """The other side's BYE cannot be delivered, and the call ends all the same."""
    stage = make_stage(transport="TCP")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    bob.endpoint.close()
    stage.run(0)
    alice.hang_up()
    assert alice.line.final == 200


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("where", ["same port", "other port", "other host"])
def test_a_phone_connects_anew_while_it_talks(make_stage, who, where):
    """Its connection breaks and it registers on another: what concerns its call goes there, a
    re-INVITE with its ACK, and the BYE (RFC 3261 12.2.1.1, 10.3)."""
    stage = make_stage(transport="TCP")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    moved, other = (line, bob.line) if who == "caller" else (bob.line, line)
    phone = moved.phone
    if where == "other host":
        phone.host = "127.88.0.99"
    phone.move(5060 if where == "same port" else 5070)
    assert phone.register() == 200
    other.reinvite(other.phone.sdp("sendonly", version=2))
    moved.respond(200, sdp=phone.sdp("recvonly", version=2))
    assert other.statuses == [200]
    assert moved.methods[-2:] == ["INVITE", "ACK"]
    other.request("BYE")
    assert moved.over
    assert phone.endpoint.peers == [stage.address]


def test_the_phone_among_several_that_has_connected_anew(make_stage):
    """The one that has the call is told of its end, and no other phone of that user."""
    stage = make_stage(transport="TCP")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    other = stage.phone("bob", host="127.88.0.88")
    alice.call("bob")
    bob.answer()
    bob.move(5060)
    assert bob.register() == 200
    alice.hang_up()
    assert bob.line.over
    assert other.line.methods == ["INVITE", "CANCEL", "ACK"]


def test_a_phone_whose_connection_is_gone_is_called_back(make_stage):
    """It has not registered anew: its Contact is where it was heard, so it may listen there."""
    stage = make_stage(transport="TCP")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    bob.move(5060)
    stage.run(1)
    alice.hang_up()
    assert bob.line.over


@pytest.mark.parametrize("loose", [True, False])
def test_the_callers_route_set(make_stage, loose):
    """Our BYE goes to the proxy that recorded itself, over a route of ours or, where it is a
    strict router, in its own way (RFC 3261 12.1.1, 12.2.1.1)."""
    stage = make_stage()
    alice, bob, proxy = stage.phone("alice"), stage.phone("bob"), stage.peer(PROXY)
    route = f"<sip:{PROXY}:5060{';lr' if loose else ''}>"
    further = "<sip:10.8.8.8;lr>"
    alice.call("bob", fields=[("Record-Route", f"{route}, {further}")])
    bob.answer()
    assert alice.line.responses[-1].values("Record-Route") == [route, further]
    bob.hang_up()
    bye = proxy.expect("BYE")
    target = f"sip:alice@{alice.host}:5060"
    if loose:
        assert (bye.uri, bye.values("Route")) == (target, [route, further])
    else:
        assert (bye.uri, bye.values("Route")) == (route[1:-1], [further, f"<{target}>"])


def test_the_callees_route_set(make_stage):
    """Taken from the 2xx in reverse; the ACK goes along it too (RFC 3261 12.1.2)."""
    stage = make_stage()
    alice, first, proxy = stage.phone("alice"), stage.phone("a", host=FIRST), stage.peer(PROXY)
    alice.call("0123")
    routes = ["<sip:10.8.8.8;lr>", f"<sip:{PROXY};lr>"]
    first.answer(fields=[("Record-Route", ", ".join(routes))])
    ack = proxy.expect("ACK")
    assert ack.values("Route") == routes[::-1]
    assert ack.uri == f"sip:a@{FIRST}:5060"
    first.stop(next(iter(first._repeats)))
    alice.hang_up()
    proxy.expect("BYE")


def test_a_route_set_holds_for_a_registered_phone(make_stage):
    """Behind a proxy of its own, a phone is reached through that proxy."""
    stage = make_stage()
    alice, bob, proxy = stage.phone("alice"), stage.phone("bob"), stage.peer(PROXY)
    alice.call("bob", fields=[("Record-Route", f"<sip:{PROXY};lr>")])
    bob.answer()
    bob.hang_up()
    assert methods(proxy)[0] == "BYE"


def test_what_each_side_sees_of_the_switch(make_stage):
    """Via, Contact and relay address come from the listener that faces the peer: the world sees
    what is advertised, the local network the real address."""
    listen = [
        {
            "transport": "udp",
            "bind": "127.88.0.1",
            "advertise": "sip.example.org:5099",
            "media_address": "192.0.2.1",
            "local_networks": ["127.88.0.0/24"],
        }
    ]
    trunks = {"carrier": {"addresses": ["127.88.5.5:5060"]}}
    stage = make_stage({"listen": listen, "trunks": trunks}, engine=lambda _: CountingEngine())
    alice, carrier = stage.phone("alice"), stage.phone("carrier", host="127.88.5.5")
    line = alice.call("0123")
    invite = carrier.line.invite
    assert (invite.top_via.host, invite.top_via.port) == ("sip.example.org", 5099)
    assert str(invite.contacts[0].uri) == "sip:alice@sip.example.org:5099"
    assert b"c=IN IP4 192.0.2.1\r\n" in invite.body
    carrier.answer()
    answer = line.responses[-1]
    assert str(answer.contacts[0].uri) == "sip:0123@127.88.0.1:5060"
    assert b"c=IN IP4 127.88.0.1\r\n" in answer.body
    alice.hang_up()


@pytest.mark.parametrize("force", [True, False])
def test_a_peer_that_forgets_rport(make_stage, force):
    """Without ``rport`` an answer goes to the port of the Via (RFC 3261 18.2.2), unless
    ``force_rport`` says that this peer means its source (RFC 3581)."""
    trunk = {"addresses": [f"{FIRST}:5060"], "force_rport": force}
    stage = make_stage({"trunks": {"carrier": trunk}})
    carrier, alice = stage.phone("carrier", host=FIRST), stage.phone("alice")
    plain = carrier.request

    def request(*args, **options):
        made = plain(*args, **options)
        via = str(made.top_via).replace(";rport", "").replace(":5060", ":5099")
        return made.replaced("Via", [via])

    carrier.request = request
    line = carrier.call("alice")
    alice.refuse(486)
    assert line.statuses == ([486] if force else [])
    stage.run(40)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_call_over_ipv6(make_stage, transport):
    """Literals stand in brackets in Via, Contact and URIs, and without in SDP (RFC 3261 25.1)."""
    listen = [{"transport": kind, "bind": "fd00::1"} for kind in ("udp", "tcp")]
    stage = make_stage(
        {"listen": listen}, transport=transport, engine=lambda clock: CountingEngine()
    )
    alice, bob = stage.phone("alice", host="fd00::a"), stage.phone("bob", host="fd00::b")
    line = alice.call("bob")
    assert bob.line.invite.encode().count(b"[fd00::1]") >= 3
    assert b"c=IN IP6 fd00::1\r\n" in bob.line.sdp
    bob.answer()
    assert line.statuses == [200]
    bob.hang_up()
    assert line.over


def test_a_call_from_one_network_to_another(make_stage):
    """A caller over IPv6 and TCP, a callee over IPv4 and UDP: each leg has its own listener."""
    listen = [{"transport": "tcp", "bind": "fd00::1"}, {"transport": "udp", "bind": "127.88.0.1"}]
    stage = make_stage({"listen": listen}, engine=lambda clock: CountingEngine())
    first = stage.phone("a", host=FIRST)
    alice = stage.phone("alice", host="fd00::a", transport="TCP")
    line = alice.call("0123")
    assert str(first.line.invite.top_via).startswith("SIP/2.0/UDP 127.88.0.1:5060")
    assert b"c=IN IP4 127.88.0.1\r\n" in first.line.sdp
    first.answer()
    assert b"c=IN IP6 fd00::1\r\n" in line.sdp
    alice.hang_up()
    assert first.line.over


@pytest.mark.parametrize("private", ["", "<sip:bob@10.0.0.9:5060>"])
def test_a_phone_that_moves_while_it_rings_is_answered_where_it_answers(make_stage, private):
    """Its 200 comes from elsewhere than the INVITE went to: there go the ACK and the BYE."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.private = private
    bob.register()
    alice.call("bob")
    bob.ring()
    bob.move(5070)
    bob.register(again=True)
    bob.answer()
    alice.hang_up()
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


def test_a_phone_that_moves_while_it_is_invited_again_is_answered_where_it_answers(make_stage):
    """Where it was heard last, not where the INVITE went."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.can()
    line = alice.call("bob")
    bob.answer()
    bob.answers["INVITE"] = 0
    line.reinvite(alice.sdp(version=2))
    bob.move(5070)
    bob.line.request("INFO", [("Info-Package", "x")])
    bob.line.respond(200, sdp=bob.sdp(version=2))
    alice.hang_up()
    assert bob.line.methods == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]
