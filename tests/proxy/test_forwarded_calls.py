"""Calls of which no back-to-back agent is made: RFC 3261 16, as two phones see it."""

import pytest

from softswitch.sip.uri import Uri


@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_call_is_forwarded(proxying, transport, hangs_up):
    """One Call-ID, one CSeq, one pair of tags and the body untouched from end to end; a
    Record-Route keeps us on the path, and the BYE, whoever sends it, comes through (16.6)."""
    stage = proxying("bob", transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    invite = bob.line.invite
    assert invite.call_id == line.call_id
    assert invite.body == alice.sdp()
    assert invite.get("From") == line.sent.get("From")
    assert invite.get("CSeq") == line.sent.get("CSeq")
    assert invite.get("Contact") == alice.contact
    assert invite.uri == f"sip:bob@{bob.host}:5060" + (
        "" if transport == "UDP" else ";transport=tcp"
    )
    assert invite.max_forwards == 69
    assert [via.host for via in invite.vias] == [stage.address[0], alice.host]
    assert len(invite.record_routes) == 1
    bob.ring()
    bob.answer()
    assert line.statuses == [180, 200]
    assert line.sdp == bob.sdp()
    assert bob.line.methods == ["INVITE", "ACK"]
    (alice if hangs_up == "caller" else bob).hang_up()
    assert (line.over, bob.line.over) == (True, True)
    assert line.final == (200 if hangs_up == "caller" else 0)
    [record] = stage.records
    assert (record.status, record.hung_up, record.ended) == (200, hangs_up, stage.clock.seconds())
    assert record.to_tag == bob.line.tag
    [attempt] = record.attempts
    assert (attempt.call_id_b, attempt.status, attempt.ended) == (line.call_id, 200, record.ended)
    assert None not in (record.ringing, record.answered, attempt.ringing, attempt.answered)


def test_without_record_route_we_see_no_more_than_the_answer(proxying):
    """The ACK and the BYE go from phone to phone (12.2.1.1); the record ends with the answer."""
    stage = proxying("bob", record_route=False)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    assert bob.line.invite.record_routes == []
    alice.switch = (bob.host, 5060)
    bob.answer()
    assert bob.line.methods == ["INVITE", "ACK"]
    [record] = stage.records
    assert (record.status, record.hung_up) == (200, "switch")
    assert record.answered == record.ended == record.attempts[0].ended
    alice.hang_up()
    assert bob.line.over
    assert line.final == 200


def test_what_passes_within_the_dialog_is_not_touched(proxying):
    """Reliable provisionals and PRACK, re-INVITE, UPDATE, INFO, methods and extensions that we do
    not know: bodies, CSeq and tags are the phones' own (16.3 step 1, 16.12)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.can("100rel")
    bob.can("100rel")
    line = alice.call("bob", fields=[("Require", "x-unheard-of"), ("X-Thing", "a")])
    assert bob.line.invite.require == ["x-unheard-of"]
    assert bob.line.invite.get("X-Thing") == "a"
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    assert bob.line.got("PRACK").max_forwards == 69
    bob.answer(sdp=b"")
    line.reinvite(alice.sdp("sendonly", version=2))
    assert bob.line.methods[-1] == "INVITE"
    assert bob.line.sdp == alice.sdp("sendonly", version=2)
    bob.answer(sdp=bob.sdp("recvonly", version=2))
    assert line.sdp == bob.sdp("recvonly", version=2)
    for method in ("INFO", "UPDATE", "FROBNICATE"):
        line.request(method, [("Content-Type", "text/plain"), ("Require", "x-odd")], b"\0\xff odd")
        came = bob.line.requests[-1]
        assert (came.method, came.body, came.require) == (method, b"\0\xff odd", ["x-odd"])
        assert came.max_forwards == 69
    bob.line.reinvite(bob.sdp("inactive", version=3))
    line.respond(488)
    assert bob.line.statuses == [488]
    bob.hang_up()
    assert line.over


def test_no_figure_bears_a_name_that_a_caller_makes_up(proxying):
    """Methods that we do not know are counted together, forwarded or sent again: the figures do not
    grow by what somebody writes."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    bob.line.answers["FROBNICATE"] = 0
    line.request("FROBNICATE")
    stage.run(40)
    house = stage.house
    assert house.proxy.counters["another method forwarded"] == 1
    assert not any("FROB" in name for name in house.proxy.counters)
    assert house.transactions.repeats["sent", "other", "UDP"]
    assert not any("FROB" in repeat.method for repeat in house.transactions.repeats)
    alice.hang_up()


@pytest.mark.parametrize("state", ["silent", "trying", "ringing"])
def test_the_caller_gives_up(proxying, state):
    """A CANCEL is answered by us and sent on, with its Reason, once the callee has said anything;
    its 487 goes back (16.10, 9.1)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.tries = state != "silent"
    line = alice.call("bob")
    if state == "ringing":
        bob.ring()
    alice.cancel([("Reason", "SIP;cause=487")])
    if state == "silent":
        assert bob.line.methods == ["INVITE"]
        bob.ring()
    cancel = bob.line.got("CANCEL")
    assert cancel.all("Reason") == ["SIP;cause=487"]
    assert cancel.top_via.branch == bob.line.invite.top_via.branch
    assert line.statuses[-1] == 487
    assert line.responses[-1].to.tag == bob.line.tag
    [record] = stage.records
    assert (record.status, record.hung_up, record.attempts[0].status) == (487, "caller", 487)


def test_a_callee_that_does_not_answer_a_cancel(proxying):
    """64*T1 after the CANCEL its INVITE has failed, and the caller is told (9.1)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.heeds_cancel = False
    line = alice.call("bob")
    bob.ring()
    alice.cancel()
    stage.run(31.9)
    assert line.statuses == [180]
    stage.run(0.2)
    assert line.statuses == [180, 487]


def test_an_answer_that_crosses_the_cancel(proxying):
    """The call stands: a 2xx is forwarded even then (16.7 step 5)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.heeds_cancel = False
    line = alice.call("bob")
    bob.ring()
    alice.cancel()
    bob.answer()
    assert line.statuses == [180, 200]
    assert bob.line.methods[-1] == "ACK"
    alice.hang_up()
    assert bob.line.over
    assert stage.records[0].hung_up == "caller"


def test_a_refusal_goes_back_as_it_is(proxying):
    """To tag, reason phrase, fields and body of a final response are the callee's (16.7)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.refuse(486, fields=[("Retry-After", "10"), ("X-Why", "asleep")])
    [refusal] = [each for each in line.responses if each.status == 486]
    assert (refusal.to.tag, refusal.get("Retry-After")) == (bob.line.tag, "10")
    assert refusal.get("X-Why") == "asleep"
    assert [via.host for via in refusal.vias] == [alice.host]
    [record] = stage.records
    assert (record.status, record.hung_up, record.to_tag) == (486, "callee", bob.line.tag)
    assert record.attempts[0].status == 486


def test_challenges_are_the_callers_to_answer(proxying):
    """A 401 or 407 from further on goes back; the INVITE that comes again bears credentials that
    are not ours to look at (22.3)."""
    stage = proxying("bob", strangers=True)
    alice, bob = stage.phone("alice", register=False, password=""), stage.phone("bob")
    line = alice.call("bob")
    bob.refuse(407, fields=[("Proxy-Authenticate", 'Digest realm="far", nonce="1"')])
    assert line.statuses == [407]
    assert line.responses[-1].get("Proxy-Authenticate") == 'Digest realm="far", nonce="1"'
    again = alice.call("bob", fields=[("Proxy-Authorization", 'Digest realm="far"')])
    assert bob.line.invite.get("Proxy-Authorization") == 'Digest realm="far"'
    bob.answer()
    assert again.statuses == [200]
    bob.hang_up()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_phones_behind_nat(proxying, transport):
    """What their Contacts say means nothing here: requests within the dialog go where the phones
    were heard; the BYE of a call from before a restart, too."""
    stage = proxying("bob", transport=transport)
    alice = stage.phone("alice", register=False)
    bob = stage.phone("bob", register=False)
    for phone in (alice, bob):
        phone.private = f"<sip:{phone.name}@10.9.9.9:5060>"
        assert phone.register() == 200
    line = alice.call("bob")
    bob.answer()
    assert bob.line.methods == ["INVITE", "ACK"]
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    assert line.methods == ["INVITE"]
    line.respond(200, sdp=alice.sdp("recvonly"))
    assert line.methods == ["INVITE", "ACK"]
    stage.house.proxy.shut()
    stage.house.proxy.dialogs._known.clear()  # as if we had been started anew
    alice.hang_up()
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


def test_a_phone_behind_nat_that_moves(proxying):
    """A new port within the call: what follows goes there, as soon as it was heard from there."""
    stage = proxying("bob")
    alice = stage.phone("alice", register=False)
    alice.private = "<sip:alice@10.9.9.9:5060>"
    alice.register()
    bob = stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    alice.move(5099)
    line.request("OPTIONS")
    assert line.final == 200
    bob.hang_up()
    assert line.over


@pytest.mark.parametrize("callers", ["UDP", "TCP"])
def test_a_change_of_transport(proxying, callers):
    """Two Record-Route values, each with the transport of its side; both come off again, in
    either direction (16.6 step 4)."""
    stage = proxying("bob")
    alice = stage.phone("alice", transport=callers)
    bob = stage.phone("bob", transport="TCP" if callers == "UDP" else "UDP")
    line = alice.call("bob")
    far, near = (route.uri for route in bob.line.invite.record_routes)
    assert far.params.get("transport") == (None if callers == "TCP" else "tcp")
    assert near.params.get("transport") == (None if callers == "UDP" else "tcp")
    assert far.user == near.user
    bob.answer()
    line.reinvite(alice.sdp("sendonly", version=2))
    assert bob.line.invite.get("Route") is None
    assert [str(route) for route in bob.line.invite.record_routes] == [f"<{far}>", f"<{near}>"]
    bob.answer()
    assert bob.line.methods[-1] == "ACK"
    bob.line.request("INFO")
    assert line.requests[-1].method == "INFO"
    assert line.requests[-1].get("Route") is None
    bob.hang_up()
    assert line.over


def test_over_ipv6(proxying):
    """Brackets where they belong."""
    listen = [{"transport": "udp", "bind": "::1"}]
    stage = proxying("bob", config={"listen": listen})
    alice, bob = stage.phone("alice", host="::2"), stage.phone("bob", host="::3")
    line = alice.call("bob")
    assert Uri.parse(str(bob.line.invite.record_routes[0].uri)).host == "::1"
    bob.answer()
    bob.hang_up()
    assert line.over


def test_a_lossy_network(proxying):
    """Each hop repeats what it has to: half the calls' messages may be lost."""
    stage = proxying("bob", loss=0.2, seed=7, delay=0.02, pace=0.2)
    alice = stage.phone("alice", register=False)
    bob = stage.phone("bob", register=False)
    for phone in (alice, bob):
        while phone.register() != 200:
            stage.run(1)
    line = alice.call("bob")
    stage.run(10)
    bob.answer()
    stage.run(30)
    assert line.statuses[-1] == 200
    assert "ACK" in bob.line.methods
    bob.hang_up()
    stage.run(30)
    assert line.over
