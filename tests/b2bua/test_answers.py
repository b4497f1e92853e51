"""What our answers say, who is told what, and what is written down of a refusal."""

import pytest

from softswitch.sip import compose

FIRST, SECOND = "127.88.0.101", "127.88.0.102"


def carrier(**options):
    """A trunk of one address, unless told otherwise."""
    return {"trunks": {"carrier": {"addresses": [f"{FIRST}:5060"], **options}}}


# What our answers say.


def test_contact_and_allow(make_stage, transport):
    """Contact in whatever makes a dialog, provisional answers too (RFC 3261 12.1.1), and Allow in
    each INVITE and 2xx (13.2.1, 13.3.1.4)."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    bob.ring(183, sdp=bob.sdp())
    bob.answer()
    assert line.statuses == [180, 183, 200]
    contacts = {response.get("Contact") for response in line.responses if response.status > 100}
    (contact,) = contacts
    assert stage.address[0] in contact
    assert bob.line.invite.allow == list(compose.ALLOW)
    assert line.responses[-1].allow == list(compose.ALLOW)
    alice.hang_up()


def test_a_ringing_phone_is_heard_each_minute(make_stage):
    """180 is sent again each minute, lest a proxy give up (RFC 3261 13.3.1.1)."""
    stage = make_stage({"switch": {"ring_seconds": 600}})
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    stage.run(100)
    assert alice.times(180) == [0.0, 60.0]
    bob.ring(183, sdp=bob.sdp())
    stage.run(200)
    assert alice.times(183) == [100.0, 160.0, 220.0, 280.0]
    assert alice.times(180) == [0.0, 60.0]
    bob.answer()
    stage.run(200)
    assert len(alice.times(183)) == 4
    assert alice.times(200)[-1] == 300.0
    line.request("BYE")


@pytest.mark.parametrize("host", ["anonymous.invalid", "Anonymous.Invalid"])
def test_an_anonymous_caller(stage, host):
    """Nothing that names him reaches the callee (RFC 3323 4.1): neither display name nor user."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", caller=f'"Carol Secret" <sip:carol@{host}>')
    invite = bob.line.invite
    assert str(invite.from_.uri) == "sip:anonymous@anonymous.invalid"
    assert invite.from_.display == "Anonymous"
    assert invite.contacts[0].uri.user == "anonymous"
    data = invite.encode().partition(b"\r\n\r\n")[0].lower()
    assert b"carol" not in data
    assert b"alice" not in data
    bob.refuse(486)
    assert line.statuses == [486]


def test_what_a_refusal_says_reaches_the_caller(stage):
    """Reason (RFC 3326), Warning (RFC 3261 20.43) and X- fields; nothing else of the far leg."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    told = [("Reason", "Q.850;cause=19"), ("Warning", '399 x "y"'), ("X-Why", "because")]
    bob.refuse(480, fields=[*told, ("Server", "bob's")])
    assert line.statuses == [480]
    response = line.responses[-1]
    assert [(name, response.get(name)) for name, _ in told] == told
    assert response.get("Server") != "bob's"


# What is written down of a refusal.


def test_a_refused_stranger_is_counted(make_stage):
    """No record, no state; a count, by method and status (RFC 3261 8.2.7)."""
    stage = make_stage()
    stranger = stage.peer("127.88.0.200")
    for method in ("INVITE", "INVITE", "OPTIONS"):
        stranger.send(stranger.request(method, f"sip:bob@{stage.address[0]}"))
    counters = stage.house.transactions.counters
    assert counters["INVITE answered with 401"] == 2
    assert counters["OPTIONS answered with 401"] == 1
    assert not list(stage.house.transactions)
    assert stage.records == []
    assert stage.house.stats()["counters"]["INVITE answered with 401"] == 2


def test_methods_that_strangers_make_up_are_counted_as_one(make_stage):
    """Whatever they are called: who has proved nothing fills no memory."""
    stage = make_stage()
    stranger = stage.peer("127.88.0.200")
    for number in range(20):
        stranger.send(stranger.request(f"MADE{number}", f"sip:bob@{stage.address[0]}"))
    counted = [each for each in stage.house.transactions.counters if "answered" in each]
    assert counted == ["another method answered with 401"]


REFUSED = {
    420: lambda invite: invite.replaced("Require", ["magic"]),
    415: lambda invite: invite.replaced("Content-Type", ["text/plain"]),
    400: lambda invite: invite.replaced("Contact", []),
    482: lambda invite: invite,
    503: lambda invite: invite,
}


@pytest.mark.parametrize("status", REFUSED)
def test_a_refused_caller_is_recorded(make_stage, transport, status):
    """Whoever is known has a record of each call that came to nothing, before any policy was
    asked, too."""
    stage = make_stage(transport=transport)
    gateway, alice = stage.peer(FIRST), stage.phone("alice")
    invite = gateway.request("INVITE", f"sip:alice@{stage.address[0]}", body=gateway.sdp())
    if status == 482:
        # A call that goes out and comes back from somebody who forwards it (RFC 5393).
        invite = gateway.request("INVITE", f"sip:0123@{stage.address[0]}", body=gateway.sdp())
        alice.call("0123")
        marked = gateway.expect("INVITE")
        invite = invite.replaced("X-Softswitch-Mark", marked.all("X-Softswitch-Mark"))
        gateway.send(compose.response(marked, 486, to_tag="1"))
        gateway.unread.clear()
    stage.house.switch.draining = status == 503
    gateway.send(REFUSED[status](invite))
    (refusal,) = (message for message in gateway.unread if message.status > 100)
    assert refusal.status == status
    gateway.send(compose.ack(invite, refusal))
    record = stage.records[-1]
    assert len(stage.records) == (2 if status == 482 else 1)
    assert (record.identity_kind, record.identity) == ("trunk", "carrier")
    assert (record.status, record.reason) == (status, refusal.reason)
    assert (record.hung_up, record.attempts) == ("switch", [])
    assert record.to_tag == refusal.to.tag
    assert alice.lines[1:] == []
    stage.run(40)


# Trunks.


def test_a_resolver_that_never_answers(make_stage):
    """The next address is tried after ``dns.seconds``, to the second."""
    stage = make_stage(carrier(addresses=["gw.example.net:5060", f"{FIRST}:5060"]))
    stage.house.switch._shared._resolver.look_up = lambda name, tell: None
    gateway, alice = stage.phone("gateway", host=FIRST), stage.phone("alice")
    line = alice.call("0123")
    stage.run(1.9)
    assert gateway.lines == []
    stage.run(0.1)
    assert gateway.times("INVITE") == [2.0]
    gateway.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert [attempt.status for attempt in stage.records[0].attempts] == [503, 200]


def test_a_resolver_that_answers_too_late(make_stage):
    """Nobody waits for it any more."""
    tells = []
    stage = make_stage(carrier(addresses=["gw.example.net:5060", f"{FIRST}:5060"]))
    stage.house.switch._shared._resolver.look_up = lambda name, tell: tells.append(tell)
    gateway, alice = stage.phone("gateway", host=FIRST), stage.phone("alice")
    late = stage.peer(SECOND)
    line = alice.call("0123")
    stage.run(5)
    tells[0]([SECOND])
    stage.run(5)
    assert late.received == []
    gateway.answer()
    assert line.statuses == [200]
    alice.hang_up()


def test_a_name_is_resolved_once(make_stage, transport):
    """The first INVITE leaves on the flow that was found, whatever the name means a moment
    later; its CANCEL follows it (RFC 3261 9.1)."""
    names = []

    def look_up(name, tell):
        names.append(name)
        tell([FIRST, SECOND] if len(names) % 2 else [SECOND, FIRST])

    trunk = carrier(addresses=["gw.example.net:5060"], transport=transport.lower())
    stage = make_stage(trunk, transport=transport)
    stage.house.switch._shared._resolver.look_up = look_up
    first, second = stage.phone("first", host=FIRST), stage.phone("second", host=SECOND)
    alice = stage.phone("alice")
    line = alice.call("0123")
    first.ring()
    assert names == ["gw.example.net"]
    assert second.received == []
    line.cancel()
    assert first.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert second.received == []


def test_a_challenge_is_a_sign_of_life(make_stage):
    """A trunk that challenges just before ``try_seconds`` are over is there, and is waited for."""
    stage = make_stage(carrier(username="u", password="p"))
    gateway, alice = stage.peer(FIRST), stage.phone("alice")
    line = alice.call("0123")
    stage.run(3.8)
    invite = gateway.received[0][1]
    challenge = ("WWW-Authenticate", 'Digest realm="x", nonce="y"')
    gateway.unread.clear()
    gateway.send(compose.response(invite, 401, to_tag="q", fields=[challenge]))
    gateway.expect("ACK")
    again = gateway.expect("INVITE")
    stage.run(3)
    assert line.statuses == []
    gateway.send(compose.response(again, 486, to_tag="q"))
    assert line.statuses == [486]


def test_separators_in_a_telephone_number(make_stage):
    """Visual separators mean nothing (RFC 3966 5.1.1): neither to a user's number nor to a
    rule."""
    number = "+1234"
    stage = make_stage({"users": {name: {"password": name} for name in ("alice", number)}})
    alice, called = stage.phone("alice"), stage.phone(number)
    line = alice.call("tel:+1-2.(34)")
    assert len(called.lines) == 1
    called.refuse(486)
    assert line.statuses == [486]
    gateway = stage.phone("gateway", host=FIRST)
    line = alice.call("tel:0(1)2-3")
    assert gateway.line.invite.request_uri.user == "123"
    gateway.refuse(486)
    assert line.statuses == [486]
