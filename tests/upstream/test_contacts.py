"""What arrives on a Contact that we have registered, and what is sent where we are registered."""

import pytest

from softswitch.sip import compose, digest
from softswitch.sip.message import Request
from softswitch.trunk.upstream import Upstream, new_token

FIRST, SECOND, ELSEWHERE = "127.88.0.101", "127.88.0.102", "127.88.0.103"

#: Every call from a trunk to 77 goes to Alice.
NUMBER = "77"


def call(registrar, uri, to=f"<sip:{NUMBER}@carrier.example>", fields=()):
    """An INVITE of the registrar's to a URI; what came to it, 100 apart."""
    peer = registrar.peer
    peer.unread.clear()
    peer.send(peer.request("INVITE", str(uri), to=to, body=peer.sdp(), fields=fields))
    return [each for each in peer.unread if getattr(each, "status", 100) != 100]


def hang_up(registrar, alice):
    """Refuse what rings, and acknowledge."""
    alice.refuse(486)
    peer = registrar.peer
    refusal = peer.unread[-1]
    assert refusal.status == 486
    invite = next(m for _, m, _ in reversed(peer.received) if m is refusal)
    ack = Request(
        "ACK",
        f"sip:x@{peer.switch[0]}",
        [
            ("Via", str(invite.top_via)),
            ("From", invite.get("From")),
            ("To", invite.get("To")),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{invite.cseq.number} ACK"),
        ],
    )
    peer.send(ack)


def test_a_call_on_the_contact_is_the_trunks(play):
    """Its name may stand for addresses that no configuration knows: the token in our Contact, and
    the registrar's address, tell whose the call is. The number is in To, for the token is in its
    place (issue 4, trunks)."""
    name = "sip.carrier.example"
    trunk = {"addresses": [name]}
    stage, registrar = play(names={name: [FIRST]}, trunk=trunk, registrars=[name])
    alice = stage.phone("alice")
    assert call(registrar, registrar.contact) == []
    assert alice.line.invite.request_uri.user == "alice"
    hang_up(registrar, alice)
    (record,) = stage.records
    assert (record.identity_kind, record.identity) == ("trunk", "carrier")


def test_a_contact_user_of_our_choice(play):
    """The token is then a parameter, and the number where the trunk says it."""
    name = "sip.carrier.example"
    trunk = {"addresses": [name], "called_from": "p-called-party-id"}
    stage, registrar = play(
        names={name: [FIRST]}, trunk=trunk, registrars=[name], contact_user="+441234"
    )
    alice = stage.phone("alice")
    contact = registrar.contact
    assert contact.user == "+441234"
    assert len(contact.params["line"]) == 32
    fields = [("P-Called-Party-ID", f"<sip:{NUMBER}@carrier.example>")]
    assert call(registrar, contact, "<sip:x@y.example>", fields) == []
    hang_up(registrar, alice)
    assert stage.records[-1].identity == "carrier"


def test_a_contact_is_no_password(play):
    """Who is not where we have registered is a stranger, though he has read our Contact on its
    way."""
    stage, registrar = play()
    stranger = stage.peer("127.88.0.66")
    stage.run(1)
    invite = stranger.request("INVITE", str(registrar.contact), body=stranger.sdp())
    stranger.send(invite)
    assert stranger.expect(401)


@pytest.mark.parametrize("case", ["guessed", "another secret", "stopped", "not registered"])
def test_a_contact_that_is_not_ours_now(play, case):
    """A guess, the token from before the secret was changed, one that we have un-registered, and
    one that was never accepted make nobody a trunk."""
    name = "sip.carrier.example"
    options = {"names": {name: [FIRST]}, "trunk": {"addresses": [name]}, "registrars": [name]}
    stage, registrar = play(**options)
    if case == "not registered":
        registrar.answers = [403]
    stage.run(1)
    contact = str(registrar.contact)
    if case == "guessed":
        contact = contact.replace(registrar.contact.user, compose.new_tag() * 2)
    elif case == "another secret":
        _, other = play(**options)
        other._stage.run(1)
        assert other.contact.user != registrar.contact.user
        contact = str(other.contact)
    elif case == "stopped":
        stage.house.stop()
        stage.run(1)
    (answer,) = call(registrar, contact)
    assert answer.status == 401


def test_tokens_outlive_a_restart(play):
    """The same secret makes the same token: calls to the Contact from before a crash find their
    trunk. Each trunk, address of record and, where all are registered at, registrar has its own."""
    upstream = Upstream((FIRST, SECOND), "sip:acme@carrier.example", "all")
    tokens = [
        new_token(secret, trunk, settings, registrars)
        for secret in (b"1", b"2")
        for trunk in ("a", "b")
        for settings in (upstream, Upstream((FIRST,), "sip:other@carrier.example", "all"))
        for registrars in settings.groups
    ]
    assert len(set(tokens)) == len(tokens) == 12
    assert new_token(b"1", "a", upstream, (FIRST,)) == tokens[0]
    first = Upstream((FIRST, SECOND), "sip:acme@carrier.example")
    fewer = Upstream((SECOND,), "sip:acme@carrier.example")
    assert new_token(b"1", "a", first, (FIRST,)) == new_token(b"1", "a", fewer, (SECOND,))


def test_trunks_that_share_a_registrar(play):
    """Two accounts at one carrier: each call is that of the account on whose Contact it comes."""
    stage, registrar = play(
        more={"other": {"addresses": [FIRST], "username": "o", "password": "p", "register": {}}}
    )
    alice = stage.phone("alice")
    by_user = {request.to.uri.user: request.contacts[0].uri for _, request in registrar.asked}
    for user, trunk in (("acme", "carrier"), ("o", "other")):
        assert call(registrar, by_user[user]) == []
        hang_up(registrar, alice)
        assert stage.records[-1].identity == trunk


def test_calls_go_where_we_are_registered(play):
    """First to the registrar that has accepted us, at its address, then to the members; with its
    Service-Route as Route (RFC 3608 6.1), which the dialog's own takes the place of."""
    stage, first, second = play(FIRST, SECOND, registrars=[FIRST, SECOND])
    first.answers = [403]
    second.fields = [("Service-Route", "<sip:orig@core.example;lr>, <sip:s2.example;lr>")]
    alice = stage.phone("alice")
    line = alice.call("0123")
    invite = second.peer.expect("INVITE")
    assert invite.uri == f"sip:123@{SECOND}"
    assert invite.values("Route") == ["<sip:orig@core.example;lr>", "<sip:s2.example;lr>"]
    answer = compose.response(
        invite,
        200,
        to_tag="callee",
        fields=[("Contact", second.peer.contact), ("Content-Type", "application/sdp")],
        body=second.peer.sdp(),
    )
    second.peer.send(answer)
    assert second.peer.expect("ACK").get("Route") is None
    assert line.statuses == [200]
    alice.hang_up()
    bye = second.peer.expect("BYE")
    assert bye.get("Route") is None
    second.peer.send(compose.response(bye, 200))
    assert first.peer.unread == []


def test_a_route_stays_with_the_credentials(play):
    """A challenge on the way of the Service-Route is answered on the same way."""
    stage, registrar = play()
    registrar.fields = [("Service-Route", "<sip:orig@core.example;lr>")]
    alice = stage.phone("alice")
    line = alice.call("0123")
    peer = registrar.peer
    challenge = digest.Challenge("carrier.example", "n")
    fields = [("Proxy-Authenticate", str(challenge))]
    peer.send(compose.response(peer.expect("INVITE"), 407, to_tag="x", fields=fields))
    peer.expect("ACK")
    again = peer.expect("INVITE")
    assert again.get("Route") == "<sip:orig@core.example;lr>"
    assert again.get("Proxy-Authorization")
    peer.send(compose.response(again, 486, to_tag="x"))
    assert line.statuses == [486]


def test_a_strict_router_in_the_service_route(play):
    """It wants itself in the Request-URI (RFC 3261 12.2.1.1)."""
    stage, registrar = play()
    registrar.fields = [("Service-Route", "<sip:strict.example>")]
    alice = stage.phone("alice")
    line = alice.call("0123")
    invite = registrar.peer.expect("INVITE")
    assert (invite.uri, invite.get("Route")) == ("sip:strict.example", f"<sip:123@{FIRST}>")
    registrar.peer.send(compose.response(invite, 486, to_tag="x"))
    assert line.statuses == [486]


def test_a_call_goes_on_the_connection_of_the_registration(play):
    """Over TCP no other connection is opened (RFC 5626 4.3 is why: a NAT may lie between)."""
    stage, registrar = play(transport="tcp")
    alice = stage.phone("alice")
    endpoint = registrar.peer.endpoint
    (before,) = endpoint.peers
    line = alice.call("0123")
    invite = registrar.peer.expect("INVITE")
    assert endpoint.peers == [before]
    endpoint.send(compose.response(invite, 486, to_tag="x").encode(), before)
    stage.run(0)
    assert line.statuses == [486]


def test_a_message_goes_there_too(play):
    """Other requests than INVITE bear the Service-Route as well."""
    stage, registrar = play()
    registrar.fields = [("Service-Route", "<sip:orig@core.example;lr>")]
    alice = stage.phone("alice")
    line = alice.dial("0123")
    line.request("MESSAGE", body=b"hello")
    message = registrar.peer.expect("MESSAGE")
    assert message.get("Route") == "<sip:orig@core.example;lr>"
    registrar.peer.send(compose.response(message, 200, to_tag="x"))
    assert line.final == 200


def test_a_member_that_is_out_is_not_preferred(play):
    """Where the registrar is a member that has just failed a call, the others go first."""
    stage, registrar = play(trunk={"addresses": [FIRST, SECOND]}, registrars=[FIRST])
    stage.run(0)
    trunk = stage.house.premises.trunks.find("carrier")
    assert [each.member for each in trunk.targets("1")] == [FIRST, SECOND]
    alice = stage.phone("alice")
    line = alice.call("0123")
    registrar.peer.send(compose.response(registrar.peer.expect("INVITE"), 503, to_tag="x"))
    assert [each.member for each in trunk.targets("1")] == [SECOND]
    line.cancel()
    stage.run(5)


def test_a_registrar_that_is_no_member(play):
    """It is called first all the same, at the address where it has accepted us."""
    stage, registrar = play(SECOND, registrars=[f"{SECOND}:5060"])
    stage.run(0)
    targets = stage.house.premises.trunks.find("carrier").targets("1")
    assert [each.uri for each in targets] == [f"sip:1@{SECOND}:5060", f"sip:1@{FIRST}"]
    assert targets[0].flow.remote_host == SECOND
    assert (targets[1].flow, targets[1].route) == (None, ())
    assert registrar.asked
