"""RFC 5589, call transfer: Bob moves Alice, his transferee, to Carol, the target."""

import pytest


@pytest.fixture
def three(flow):
    """Alice talks to Bob, and does what a phone does when it is re-INVITEd: flow, Alice's line,
    Bob's line, Carol."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=["replaces"])
    for phone in (alice, bob, carol):
        phone.answers["INVITE"] = 200
    line, other = flow.talk(alice, bob)
    return flow, line, other, carol


def moved(flow, line, target):
    """Alice and the target talk, and whoever does hangs up."""
    flow.run(1)
    assert line.stands
    assert target.stands
    flow.hang_up(line, target)


def leave(other):
    """The transferor hangs up, unless the switch has done it."""
    if not other.over:
        other.request("BYE")
        assert other.final == 200


# Section 6: basic transfer.


def test_6_1_successful_transfer(three):
    """202, NOTIFYs from 100 to 200, and Bob hangs up; Alice keeps her dialog."""
    flow, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    assert other.final == 202
    assert other.outcomes == [100]
    carol.ring()
    carol.answer()
    assert other.outcomes[-1] == 200
    assert other.got("NOTIFY").get("Subscription-State").startswith("terminated")
    leave(other)
    assert len(line.phone.lines) == 1
    moved(flow, line, carol.line)


def test_6_2_transfer_with_dialog_reuse(three):
    """The REFER's subscription lives in the dialog of the call, and outlives its BYE (RFC 5057):
    the NOTIFYs come within it even when Bob has hung up."""
    flow, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    leave(other)
    carol.answer()
    flow.run(1)
    assert other.outcomes[-1] == 200
    assert {each.call_id for each in other.requests} == {other.call_id}
    moved(flow, line, carol.line)


def test_6_3_1_failed_transfer_target_busy(three):
    """Bob is told 486, and talks to Alice again."""
    flow, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    carol.refuse(486)
    flow.run(1)
    assert other.outcomes[-1] == 486
    assert line.stands
    assert other.stands
    flow.hang_up(line, other)


def test_6_3_2_failed_transfer_target_does_not_answer(three):
    """The ringing ends, Bob is told, and talks to Alice again."""
    flow, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    carol.ring()
    flow.run(200)
    assert carol.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert other.outcomes[-1] >= 400
    flow.hang_up(line, other)


# Section 7: transfer with consultation hold.


def test_7_1_exposing_transfer_target(three):
    """Bob talks to Carol, ends that, and transfers Alice: Carol is called anew."""
    flow, line, other, carol = three
    other.reinvite(other.phone.sdp("sendonly", version=2))
    second, third = flow.talk(other.phone, carol)
    second.request("BYE")
    assert third.over
    other.refer(other.phone.uri("carol"))
    carol.answer()
    leave(other)
    assert carol.line is not third
    moved(flow, line, carol.line)


def test_7_2_protecting_transfer_target(three):
    """Bob refers Carol to Alice, with a Replaces that names his call with Alice."""
    flow, line, other, carol = three
    other.reinvite(other.phone.sdp("sendonly", version=2))
    second, third = flow.talk(other.phone, carol)
    second.refer(second.phone.uri("alice"), other)
    flow.run(1)
    assert second.outcomes[-1] == 200
    assert other.over
    leave(second)
    moved(flow, line, third)


def test_7_3_attended_transfer(three):
    """Bob refers Alice to Carol, with a Replaces that names his call with Carol: nobody is
    called anew, and both of Bob's calls end."""
    flow, line, other, carol = three
    other.reinvite(other.phone.sdp("sendonly", version=2))
    second, third = flow.talk(other.phone, carol)
    other.refer(other.phone.uri("carol"), second)
    flow.run(1)
    assert other.outcomes[-1] == 200
    assert second.over
    leave(other)
    assert carol.lines == [third]
    moved(flow, line, third)


def test_7_4_recovery_when_one_party_does_not_support_refer(three):
    """Alice's phone knows no REFER: it never sees one."""
    flow, line, other, carol = three
    line.answers["REFER"] = 501
    other.refer(other.phone.uri("carol"))
    carol.answer()
    flow.run(1)
    assert other.outcomes[-1] == 200
    assert "REFER" not in line.methods
    leave(other)
    moved(flow, line, carol.line)


def test_7_5_attended_transfer_when_contact_uri_does_not_route(three):
    """Refer-To is an address of record that rings two phones: the one that Replaces names is
    meant, and the other stays silent."""
    flow, line, other, carol = three
    desk = flow.phone("carol", host="127.88.0.77")
    second, third = flow.talk(other.phone, carol)
    before = len(desk.lines)
    other.refer("sip:carol@127.88.0.1?Require=replaces", second)
    flow.run(1)
    assert second.over
    assert len(desk.lines) == before
    leave(other)
    moved(flow, line, third)


def test_7_6_semi_attended_transfer(three):
    """Carol still rings: Bob cancels that call and transfers Alice blindly."""
    flow, line, other, carol = three
    second = other.phone.call("carol")
    carol.ring()
    second.cancel()
    other.refer(other.phone.uri("carol"))
    carol.ring()
    carol.answer()
    flow.run(1)
    assert other.outcomes[-1] == 200
    leave(other)
    moved(flow, line, carol.line)


def test_7_7_attended_transfer_fallback_to_basic_transfer(three):
    """The call that Replaces names is over, which Carol's phone says: Bob is told 481, keeps
    Alice, and transfers her without it."""
    flow, line, other, carol = three
    second, third = flow.talk(other.phone, carol)
    third.request("BYE")
    other.refer(other.phone.uri("carol"), second)
    assert carol.line.invite.get("Replaces") == second.replaces
    carol.refuse(481)
    flow.run(1)
    assert other.outcomes[-1] == 481
    assert line.stands
    assert other.stands
    other.refer(other.phone.uri("carol"))
    carol.answer()
    flow.run(1)
    assert other.outcomes[-1] == 200
    leave(other)
    moved(flow, line, carol.line)


# Sections 8 to 11.


def test_8_transfer_with_referred_by(three):
    """Carol learns who sent Alice (RFC 3892)."""
    flow, line, other, carol = three
    other.refer(other.phone.uri("carol"), None, ("Referred-By", "<sip:bob@127.88.0.1>"))
    assert carol.line.invite.get("Referred-By") == "<sip:bob@127.88.0.1>"
    carol.answer()
    leave(other)
    moved(flow, line, carol.line)


def test_10_transfer_with_multiple_parties(three):
    """Alice is moved on from Carol to Dave: a call may be transferred as often as one likes."""
    flow, line, other, carol = three
    dave = flow.phone("dave")
    dave.can("replaces")
    other.refer(other.phone.uri("carol"))
    carol.answer()
    flow.run(1)
    leave(other)
    carol.line.refer(carol.uri("dave"))
    dave.answer()
    flow.run(1)
    assert carol.line.outcomes[-1] == 200
    leave(carol.line)
    moved(flow, line, dave.line)


def test_11_1_coerce_gateway_hairpins_to_the_same_gateway(trunked):
    """Both parties are behind the gateway: its two calls are joined here, and it hairpins
    nothing."""
    flow, (gateway, _), alice = trunked
    alice.can("replaces")
    gateway.can("replaces")
    gateway.answers["INVITE"] = 200
    first = alice.call("0123")
    gateway.answer()
    near = gateway.line
    second = alice.call("0456")
    gateway.answer()
    far = gateway.line
    first.refer(alice.uri("0456"), second)
    flow.run(1)
    assert first.outcomes[-1] == 200
    assert second.over
    leave(first)
    flow.hang_up(near, far)


def test_11_2_consultative_turned_blind_gateway_glare(three):
    """Carol answers while Bob turns the consultation into a blind transfer: she gets one call
    that ends and one that stays, and Alice is lost by nobody."""
    flow, line, other, carol = three
    second = other.phone.call("carol")
    carol.ring()
    second.cancel()
    other.refer(other.phone.uri("carol"))
    flow.run(0.5)
    carol.answer()
    flow.run(1)
    assert [each.over for each in carol.lines] == [True, False]
    leave(other)
    moved(flow, line, carol.line)
