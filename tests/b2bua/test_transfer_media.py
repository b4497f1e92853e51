"""What the parties of a transfer hear: a hold ends with it, early media as the profile says."""

import pytest

from softswitch.testing.media import CountingEngine

#: Direction of an offer -> what a phone answers.
ANSWERS = {b"sendrecv": "sendrecv", b"sendonly": "recvonly", b"inactive": "inactive"}


def direction(sdp):
    """The direction of the only section."""
    found = [each for each in ANSWERS if b"a=" + each in sdp]
    return found[0] if found else b"sendrecv"


def answer(line):
    """Answer the INVITE as its description allows."""
    phone = line.phone
    line.respond(
        200, sdp=phone.sdp(ANSWERS[direction(line.invite.body)], version=len(line.methods))
    )


@pytest.mark.parametrize("attended", [False, True])
@pytest.mark.parametrize("hold", ["sendonly", "inactive", "0.0.0.0"])
def test_a_transferee_on_hold(stage, hold, attended):
    """Phones hold a call before they transfer it. The transferee's answer to that was not meant for
    the target: both talk afterwards, in both directions."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    bob.can("replaces")
    line = alice.call("bob")
    bob.answer()
    stage.run(5)
    other, consulted = bob.line, None
    if hold == "0.0.0.0":
        other.reinvite(
            bob.sdp(version=2).replace(f"c=IN IP4 {bob.host}".encode(), b"c=IN IP4 0.0.0.0")
        )
        stage.run(5)
        line.respond(200, sdp=alice.sdp("recvonly", version=2))
    else:
        other.reinvite(bob.sdp(hold, version=2))
        stage.run(5)
        answer(line)
    stage.run(5)
    if attended:
        consulted = bob.call("carol")
        stage.run(3)
        carol.answer()
        stage.run(5)
    other.refer(bob.uri("carol"), consulted)
    for _ in range(4):
        stage.run(5)
        for each in (carol.line, line):
            if each.open:
                answer(each)
    assert other.outcomes == [100, 200]
    for each in (line, carol.line):
        assert each.stands
        assert direction(each.sdp) == b"sendrecv"
        assert b"0.0.0.0" not in each.sdp
    line.request("BYE")
    stage.run(5)
    assert carol.line.over


@pytest.mark.parametrize("hears", ["ringback", "hold"])
def test_what_a_transferee_hears_meanwhile(make_stage, hears):
    """The relay leads the target's early media to the transferee, or leaves all as it was."""
    engine = CountingEngine()
    stage = make_stage({"dialog": {"transfer_hears": hears}}, engine=lambda clock: engine)
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    alice.answers["INVITE"] = 200
    bob.can()
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    carol.ring(183, sdp=carol.sdp())
    asked = [(each.kind, each.from_leg) for each in engine.questions]
    assert (("answer", "b2") in asked) == (hears == "ringback")
    carol.answer()
    assert bob.line.outcomes == [100, 183, 200]
    assert line.stands
    line.request("BYE")
    assert carol.line.over


def test_a_target_is_not_asked_for_an_early_offer(stage):
    """Without descriptions of its own the switch asks the target for an offer; nobody could answer
    that before the 200, so no reliable response may bear it (RFC 3262 5)."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    for phone in (alice, bob, carol):
        phone.can("100rel")
        phone.answers["INVITE"] = 200
    line = alice.call("bob")
    stage.run(5)
    bob.answer()
    stage.run(5)
    bob.line.refer(bob.uri("carol"))
    stage.run(5)
    invite = carol.line.invite
    assert bool(invite.body) == ("100rel" in invite.get("Supported"))
    carol.answer()
    stage.run(10)
    line.request("BYE")
    stage.run(5)
    assert carol.line.over
