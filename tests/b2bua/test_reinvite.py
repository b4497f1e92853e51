"""What is negotiated while a call stands (RFC 3261 14, RFC 3264 8)."""

import pytest

from softswitch.testing.media import CountingEngine


@pytest.fixture
def talk(stage):
    """Alice and Bob talk."""
    return talking(stage)


def talking(stage):
    """The stage, Alice's line and Bob's."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    assert line.statuses == [200]
    stage.run(5)
    return stage, line, bob.line


def ended(stage, line):
    """Hang up on this side, and see that the other heard of it."""
    line.request("BYE")
    assert line.final == 200
    (record,) = stage.records
    assert record.status == 200


def sides(talk, who):
    """The line that acts, and the other."""
    _, near, far = talk
    return (near, far) if who == "caller" else (far, near)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_hold_and_resume(talk, who):
    """A re-INVITE crosses, and its answer; o= goes up by one each time on each leg."""
    stage = talk[0]
    near, far = sides(talk, who)
    versions = [version(far)]
    for direction, back in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
        near.reinvite(near.phone.sdp(direction, version=len(versions) + 1))
        assert f"a={direction}".encode() in far.sdp
        far.respond(200, sdp=far.phone.sdp(back, version=len(versions) + 1))
        assert near.statuses == [200]
        assert f"a={back}".encode() in near.sdp
        assert far.methods[-2:] == ["INVITE", "ACK"]
        versions.append(version(far))
    if stage.engine is not None:
        assert versions == [versions[0], versions[0] + 1, versions[0] + 2]
    ended(stage, near)


def version(line):
    """Version in o= of what the switch sent last."""
    return int(line.sdp.split(b"\r\n")[1].split()[2])


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_reinvite_without_an_offer(talk, who):
    """The 200 bears the offer, the ACK the answer, on both legs (RFC 3261 14.1)."""
    near, far = sides(talk, who)
    near.reinvite(b"")
    assert far.invite.body == b""
    far.respond(200, sdp=far.phone.sdp(version=2))
    assert near.statuses == [200]
    assert b"m=audio" in near.sdp
    talk[0].settle()
    assert far.methods[-2:] == ["INVITE", "ACK"]
    assert b"m=audio" in far.requests[-1].body
    near.reinvite(near.phone.sdp("sendonly", version=3))
    far.respond(200, sdp=far.phone.sdp("recvonly", version=3))
    assert near.statuses == [200]
    ended(talk[0], far)


@pytest.mark.parametrize(("status", "told"), [(488, 488), (603, 603), (503, 500), (401, 403)])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_refused_reinvite_leaves_the_call_as_it_was(talk, who, status, told):
    """RFC 3261 14.1; the next one goes through."""
    near, far = sides(talk, who)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    far.respond(status)
    assert near.statuses == [told]
    assert not near.over
    assert not far.over
    near.reinvite(near.phone.sdp("inactive", version=3))
    far.respond(200, sdp=far.phone.sdp("inactive", version=2))
    assert near.statuses == [200]
    ended(talk[0], near)


@pytest.mark.parametrize("status", [408, 481])
def test_a_reinvite_that_shows_that_the_dialog_is_gone(talk, status):
    """RFC 3261 12.2.1.2: 481 and 408 end the call on both sides."""
    stage, near, far = talk
    near.reinvite(near.phone.sdp("sendonly", version=2))
    far.respond(status)
    assert near.statuses == [status]
    assert near.over
    assert stage.records[0].hung_up == "switch"


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_reinvite_is_cancelled(talk, who):
    """487 to whom it was, the other leg is cancelled, and the call goes on."""
    near, far = sides(talk, who)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    near.cancel()
    assert near.final == 200
    assert near.statuses == [487]
    assert far.methods[-3:] == ["INVITE", "CANCEL", "ACK"]
    far.reinvite(far.phone.sdp("sendonly", version=2))
    near.respond(200, sdp=near.phone.sdp("recvonly", version=3))
    assert far.statuses == [200]
    ended(talk[0], near)


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("hangs_up", ["near", "far"])
def test_a_bye_during_a_reinvite(talk, who, hangs_up):
    """Either side hangs up while the re-INVITE is open: it is answered, and both legs end."""
    near, far = sides(talk, who)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    line = near if hangs_up == "near" else far
    line.request("BYE")
    assert line.final == 200
    assert near.statuses == [487]
    other = far if hangs_up == "near" else near
    assert "BYE" in other.methods
    talk[0].run(5)


def test_a_reinvite_that_is_never_answered(talk):
    """Who got our BYE, and our CANCEL, and still does not answer: its transaction ends all the
    same, 64*T1 later (RFC 3261 9.1)."""
    _, near, far = talk
    far.phone.heeds_cancel = False
    near.reinvite(near.phone.sdp("sendonly", version=2))
    near.request("BYE")
    assert sorted(far.methods[-2:]) == ["BYE", "CANCEL"]
    assert near.statuses == [487]


def test_the_callee_answers_a_reinvite_after_the_bye(talk):
    """A 200 that crosses our BYE is acknowledged (RFC 3261 13.2.2.4), nothing more."""
    _, near, far = talk
    far.phone.heeds_cancel = False
    near.reinvite(near.phone.sdp("sendonly", version=2))
    near.request("BYE")
    far.respond(200, sdp=far.phone.sdp(version=2))
    assert far.methods[-1] == "ACK"
    assert far.methods.count("BYE") == 1


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_second_reinvite_while_the_first_is_open(talk, who):
    """500 with Retry-After (RFC 3261 14.2)."""
    near, far = sides(talk, who)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    first = near.sent
    near.reinvite(near.phone.sdp("inactive", version=3))
    assert near.statuses == [500]
    assert 0 <= int(near.responses[-1].get("Retry-After")) <= 10
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    assert first is not near.sent
    near.phone.acknowledge(first, near._request("ACK", first.cseq.number, (), b""))
    talk[0].run(5)
    ended(talk[0], near)


def test_glare_at_the_switch(make_stage, transport):
    """Both sides re-invite at once: each INVITE meets another leg that is busy: 491 (14.2)."""
    stage = make_stage(transport=transport, delay=0.05)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    stage.run(1)
    line = alice.call("bob")
    stage.run(1)
    bob.answer()
    stage.run(1)
    line.reinvite(alice.sdp("sendonly", version=2))
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    stage.run(0.2)
    assert bob.line.statuses == [491]
    bob.line.respond(200, sdp=bob.sdp("recvonly", version=3))
    stage.run(1)
    assert line.statuses == [200]
    alice.hang_up()
    stage.run(1)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_glare_at_the_far_end(make_stage, who):
    """A far 491 is settled on its own leg: who made the call waits 2.1 to 4 s, the other at most
    2 s, then asks again (RFC 3261 14.1); the near side only waits."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    near, far = (line, bob.line) if who == "caller" else (bob.line, line)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    began = stage.clock.seconds()
    far.respond(491)
    assert near.statuses == []
    stage.run(4)
    first, again = far.phone.times("INVITE")[-2:]
    assert first == began
    # The switch called the callee, and was called by the caller.
    low, high = (2.1, 4.0) if who == "caller" else (0.0, 2.0)
    assert low <= again - began <= high
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    assert near.statuses == [200]
    near.request("BYE")


def test_a_reinvite_before_the_ack(make_stage):
    """The callee is quick: his re-INVITE while the caller's ACK is still missing gets 491, and
    the call is none the worse (RFC 3261 14.2; drachtio-srf#62)."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = 1
    line = alice.call("bob")
    bob.answer()
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    assert bob.line.statuses == [491]
    stage.run(1)
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    line.respond(200, sdp=alice.sdp("recvonly"))
    assert bob.line.statuses == [200]
    alice.hang_up()


def test_a_reinvite_while_the_last_one_awaits_its_ack(make_stage):
    """491: the first is not finished (RFC 5407 3.1.5)."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    alice.lost_acks = 1
    line.reinvite(alice.sdp("sendonly", version=2))
    bob.answer()
    first, acknowledged = line.sent, bob.line.methods
    line.reinvite(alice.sdp("inactive", version=3))
    assert line.statuses == [491]
    assert acknowledged == bob.line.methods == ["INVITE", "ACK", "INVITE", "ACK"]
    assert first is not line.sent
    stage.run(1)
    alice.hang_up()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_the_cancel_of_a_reinvite_crosses_its_answer(talk, who):
    """The far end has accepted what the near end has taken back: it is acknowledged, the near
    end is told 487, and the far end is offered anew what was agreed, so that both hold to the
    same again (RFC 3261 9.1, 14.1; RFC 3264 8)."""
    stage = talk[0]
    near, far = sides(talk, who)
    agreed = far.sdp
    far.phone.heeds_cancel = False
    near.reinvite(near.phone.sdp("sendonly", version=2))
    near.cancel()
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    assert near.statuses == [487]
    asked = near.methods
    if stage.engine is None:
        assert far.methods[-2:] == ["CANCEL", "ACK"]
    else:
        assert far.methods[-3:] == ["CANCEL", "ACK", "INVITE"]
        described = [line for line in far.sdp.split(b"\r\n") if line[:2] != b"o="]
        assert described == [line for line in agreed.split(b"\r\n") if line[:2] != b"o="]
        far.respond(200, sdp=far.phone.sdp(version=3))
        assert far.methods[-1] == "ACK"
        stage.settle()
    assert near.methods == asked
    near.reinvite(near.phone.sdp(version=3))
    far.respond(200, sdp=far.phone.sdp(version=3))
    assert near.statuses == [200]
    ended(talk[0], near)


@pytest.mark.parametrize("status", [408, 481, 488, 491])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_what_was_agreed_is_refused(make_stage, who, status):
    """Who has accepted too late and refuses what was agreed before keeps what he likes; only 408
    and 481 end the call (RFC 3261 12.2.1.2)."""
    stage = make_stage(engine=lambda clock: CountingEngine())
    near, far = sides(talking(stage), who)
    far.phone.heeds_cancel = False
    near.reinvite(near.phone.sdp("sendonly", version=2))
    near.cancel()
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    far.respond(status)
    if status in (408, 481):
        assert near.over
        return
    if status == 491:
        stage.run(4)
        assert far.methods[-2:] == ["ACK", "INVITE"]
        far.respond(200, sdp=far.phone.sdp(version=3))
    near.reinvite(near.phone.sdp(version=3))
    far.respond(200, sdp=far.phone.sdp(version=4))
    assert near.statuses == [200]
    ended(stage, near)


@pytest.mark.parametrize("after", ["nothing", "hang up", "far hangs up"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_what_was_agreed_is_not_answered(make_stage, who, after):
    """Nor does it keep the call from ending."""
    stage = make_stage(engine=lambda clock: CountingEngine())
    near, far = sides(talking(stage), who)
    far.phone.heeds_cancel = False
    near.reinvite(near.phone.sdp("sendonly", version=2))
    near.cancel()
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    far.phone.heeds_cancel = True
    near.reinvite(near.phone.sdp(version=3))
    assert near.statuses == [491]
    if after == "nothing":
        stage.run(40)
        assert far.methods[-3:] == ["INVITE", "CANCEL", "ACK"]
        assert not near.over
    ended(stage, far if after == "far hangs up" else near)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_reinvite_is_cancelled_while_a_491_is_waited_out(talk, who):
    """It is not sent again, and later ones go through (RFC 3261 9.1, 14.1)."""
    stage = talk[0]
    near, far = sides(talk, who)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    far.phone.settle = lambda: None  # so that the wait is not over before it is looked at
    far.respond(491)
    near.cancel()
    assert near.final == 200
    assert near.statuses == [487]
    asked = far.methods.count("INVITE")
    stage.run(10)
    assert far.methods.count("INVITE") == asked
    far.phone.settle = stage.settle
    near.reinvite(near.phone.sdp("sendonly", version=3))
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    assert near.statuses == [200]
    ended(stage, near)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_cancelled_reinvite_gets_a_491(talk, who):
    """As good as a 487: nothing is waited for, and later ones go through (RFC 3261 9.1)."""
    stage = talk[0]
    near, far = sides(talk, who)
    far.phone.heeds_cancel = False
    near.reinvite(near.phone.sdp("sendonly", version=2))
    near.cancel()
    far.respond(491)
    assert near.statuses == [487]
    asked = far.methods.count("INVITE")
    stage.run(10)
    assert far.methods.count("INVITE") == asked
    near.reinvite(near.phone.sdp("sendonly", version=3))
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    assert near.statuses == [200]
    ended(stage, near)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_reinvite_while_a_491_is_waited_out(make_stage, who):
    """Who has sent 491 re-invites himself: that goes first, the near side is told 491 so that
    it asks again, and then gets through (RFC 3261 14.1)."""
    stage = make_stage(engine=lambda clock: CountingEngine())
    near, far = sides(talking(stage), who)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    far.respond(491)
    far.reinvite(far.phone.sdp("sendonly", version=2))
    assert near.statuses == [491]
    assert near.methods[-1] == "INVITE"
    near.respond(200, sdp=near.phone.sdp("recvonly", version=3))
    assert far.statuses == [200]
    asked = far.methods.count("INVITE")
    stage.run(10)
    assert far.methods.count("INVITE") == asked
    near.reinvite(near.phone.sdp(version=4))
    far.respond(200, sdp=far.phone.sdp(version=3))
    assert near.statuses == [200]
    ended(stage, near)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_reinvite_that_nobody_answers(make_stage, who):
    """After 64*T1 it is as good as a 408: the dialog is gone, both legs end (12.2.1.2)."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    near, far = (line, bob.line) if who == "caller" else (bob.line, line)
    far.phone.silent = True
    near.reinvite(near.phone.sdp("sendonly", version=2))
    stage.run(31.9)
    assert near.statuses == []
    stage.run(0.1)
    assert near.statuses == [408]
    assert near.over
    assert far.phone.times("BYE") == [32.0]


def test_both_hang_up_at_once(make_stage, transport):
    """The BYEs cross: each is answered 200, and there is one record (RFC 5407 3.2.1)."""
    stage = make_stage(transport=transport, delay=0.05)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    stage.run(1)
    alice.call("bob")
    stage.run(1)
    bob.answer()
    stage.run(1)
    alice.hang_up()
    bob.hang_up()
    stage.run(1)
    assert (alice.line.final, bob.line.final) == (200, 200)
    assert len(stage.records) == 1


def test_a_bye_that_nobody_answers(make_stage):
    """The far end is dead: the record is written at once, the scope closes with timer F."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    bob.silent = True
    alice.hang_up()
    assert len(stage.records) == 1
    stage.run(31.9)
    assert stage.house.auditor.open
    stage.run(40)
    assert not stage.house.auditor.open
    assert bob.times("BYE")[:5] == [0.0, 0.5, 1.5, 3.5, 7.5]


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_reinvite_that_gets_a_100_at_best(make_stage, who):
    """Who is there but never answers is cancelled after 40 s, the near side told 504, and the
    call stays as it was."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    near, far = (line, bob.line) if who == "caller" else (bob.line, line)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    stage.run(39.9)
    assert near.statuses == []
    stage.run(0.1)
    assert near.statuses == [504]
    assert far.methods[-3:] == ["INVITE", "CANCEL", "ACK"]
    near.reinvite(near.phone.sdp("sendonly", version=3))
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    assert near.statuses == [200]
    near.request("BYE")
