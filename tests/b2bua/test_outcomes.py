"""How a call ends: each outcome of issue 2, with every transport and media engine."""

import pytest

from softswitch.testing.media import DeadEngine


def call(stage):
    """Alice calls Bob."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    return alice, bob, alice.call("bob")


def record(stage):
    """The one record that was written."""
    (record,) = stage.records
    return record


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_answered_and_hung_up(stage, who):
    """180 and 200 reach the caller; the BYE of either side reaches the other; the record says
    when, and who hung up (RFC 3261 13, 15)."""
    alice, bob, line = call(stage)
    bob.ring()
    bob.answer()
    assert line.statuses == [180, 200]
    assert bob.line.methods == ["INVITE", "ACK"]
    stage.run(30)
    (alice if who == "caller" else bob).hang_up()
    assert (line if who == "callee" else bob.line).methods[-1] == "BYE"
    assert line.over
    assert bob.line.over
    assert (alice if who == "caller" else bob).line.final == 200
    written = record(stage)
    assert (written.hung_up, written.status) == (who, 200)
    assert written.invited <= written.ringing <= written.answered <= written.ended - 30
    (attempt,) = written.attempts
    assert (attempt.status, attempt.call_id_b) == (200, bob.line.call_id)


def test_answered_without_ringing(stage):
    """A 200 needs no provisional response before it (RFC 3261 13.3.1.4)."""
    alice, bob, line = call(stage)
    bob.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert bob.line.over
    assert record(stage).ringing is None


def test_early_media(stage):
    """A 183 with a description is followed by a 200, and does not come behind it; both bear the
    callee's (RFC 3261 13.2.1)."""
    _, bob, line = call(stage)
    bob.ring(183, sdp=bob.sdp())
    assert line.statuses == [183]
    early = line.sdp
    assert b"m=audio" in early
    bob.answer()
    assert line.statuses == [183, 200]
    assert line.sdp == early  # RFC 3264 8: the same description keeps its version
    bob.hang_up()
    assert line.over


def test_early_media_answered_in_the_same_moment(stage):
    """However long the engine takes over the 183, the 200 waits behind it."""
    alice, bob, line = call(stage)
    pace, stage.pace = stage.pace, 0.0
    bob.ring(183, sdp=bob.sdp())
    bob.answer()
    stage.pace = pace
    stage.run(2 * pace)
    assert line.statuses == [183, 200]
    alice.hang_up()


@pytest.mark.parametrize(
    ("far", "near"),
    [
        (486, 486),
        (480, 480),
        (404, 404),
        (410, 410),
        (484, 484),
        (488, 488),
        (500, 500),
        (600, 600),
        (603, 603),
        (401, 403),
        (407, 403),
        (503, 500),
        (420, 500),
        (421, 500),
        (422, 500),
        (491, 500),
    ],
)
def test_refused(stage, far, near):
    """A refusal crosses by a table: what asks for credentials that the caller cannot have is 403,
    a far 503 is no 503 of ours (RFC 3261 16.7), what speaks of our own leg's request is 500, the
    rest passes. The callee's refusal is acknowledged."""
    _, bob, line = call(stage)
    bob.ring()
    bob.refuse(far)
    assert line.statuses == [180, near]
    assert bob.line.methods == ["INVITE", "ACK"]
    written = record(stage)
    assert (written.status, written.hung_up, written.answered) == (near, "callee", None)
    assert written.attempts[0].status == far


def test_cancelled_while_ringing(stage):
    """The CANCEL of either leg is answered 200, its INVITE 487 (RFC 3261 9)."""
    alice, bob, line = call(stage)
    bob.ring()
    alice.cancel([("Reason", 'SIP;cause=487;text="Enough"')])
    assert alice.line.final == 200
    assert line.statuses == [180, 487]
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert bob.line.requests[1].get("Reason") == 'SIP;cause=487;text="Enough"'
    written = record(stage)
    assert (written.status, written.hung_up) == (487, "caller")


def test_cancelled_before_any_provisional(make_stage, transport):
    """No CANCEL may leave before a provisional response has come (RFC 3261 9.1); it follows the
    first one. The caller is told 487 at once, with the To tag that the CANCEL's answer has
    (9.2)."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.tries = False
    line = alice.call("bob")
    alice.cancel()
    assert line.statuses == [487]
    assert line.replies[-1].to.tag == line.responses[-1].to.tag
    stage.run(1)
    assert "CANCEL" not in bob.line.methods
    bob.ring()
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert bob.line.over


def test_cancelled_and_never_heard_of_again(make_stage):
    """A far end that says nothing at all is not sent a CANCEL, and its leg ends with timer B."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.silent = True
    line = alice.call("bob")
    stage.run(1)
    alice.cancel()
    assert line.statuses == [487]
    stage.run(40)
    assert {message.method for _, message, _ in bob.received[2:]} == {"INVITE"}
    assert record(stage).status == 487


@pytest.mark.parametrize("reliable", [False, True])
def test_an_invitation_expires(make_stage, transport, reliable):
    """Nobody has answered in the time that Expires gives: 487, as if it had been cancelled
    (RFC 3261 13.3.1)."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    for phone in (alice, bob):
        phone.can("100rel")
    line = alice.call("bob", fields=[("Expires", "5")])
    bob.ring(183, sdp=bob.sdp(), reliable=reliable)
    stage.run(4.9)
    assert line.statuses == [183]
    stage.run(0.2)
    assert line.statuses == [183, 487]
    assert bob.line.methods[-2:] == ["CANCEL", "ACK"]
    stage.run(35)
    written = record(stage)
    assert (written.status, written.hung_up, written.ended) == (487, "caller", 5.0)


@pytest.mark.parametrize("expires", ["5", "0.5", "-1", "", "4294967295", "1, 2"])
def test_an_invitation_that_does_not_expire(make_stage, transport, expires):
    """It was answered before; or what it says is no time, or one that nobody will see."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", fields=[("Expires", expires)])
    bob.ring()
    stage.run(4)
    bob.answer()
    stage.run(60)
    assert line.stands
    alice.hang_up()


def test_an_invitation_that_has_expired(make_stage, transport):
    """Expires: 0 gives no time at all."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", fields=[("Expires", "0")])
    stage.run(1)
    assert line.statuses == [487]
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert record(stage).status == 487


def test_an_invitation_outlives_the_ringing(make_stage):
    """It is no longer than the other limits."""
    stage = make_stage({"switch": {"ring_seconds": 20}})
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", fields=[("Expires", "300")])
    bob.ring()
    stage.run(25)
    assert line.statuses == [180, 480]


def test_a_reinvite_expires(make_stage, transport):
    """Likewise, and the call stays as it was."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    line.reinvite(alice.sdp("sendonly", version=2), [("Expires", "5")])
    stage.run(6)
    assert line.statuses == [487]
    assert bob.line.methods[-2:] == ["CANCEL", "ACK"]
    assert line.stands
    alice.hang_up()


def test_cancelled_by_a_bye(stage):
    """A BYE in the early dialog ends it as a CANCEL does (RFC 3261 15.1.2)."""
    alice, bob, line = call(stage)
    bob.ring()
    line.remote = line.responses[-1].get("To")
    alice.hang_up()
    assert line.final == 200
    assert line.statuses == [180, 487]
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert record(stage).hung_up == "caller"


def test_cancelled_while_the_engine_is_asked(make_stage, transport):
    """Nothing is sent to the callee, and nothing is left at the engine."""
    stage = make_stage(transport=transport, engine=lambda clock: DeadEngine())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    stage.run(1)
    alice.cancel()
    assert line.statuses == [487]
    assert not bob.lines


def test_the_engine_never_answers(make_stage, transport):
    """Media that cannot be had in time are our fault, and no fault of the callee's: 503 after
    ``media_seconds``, and nothing was sent to the callee."""
    stage = make_stage(transport=transport, engine=lambda clock: DeadEngine())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    stage.run(3.9)
    assert line.statuses == []
    stage.run(0.1)
    assert line.statuses == [503]
    assert not bob.lines
    written = record(stage)
    assert (written.status, written.attempts[0].reason) == (503, "Media Engine Silent")


def test_nobody_picks_up(make_stage, transport):
    """After ``ring_seconds`` the far leg is cancelled and the caller told 480, to the second."""
    stage = make_stage({"switch": {"ring_seconds": 20}}, transport=transport)
    _, bob, line = call(stage)
    stage.run(5)
    bob.ring()
    stage.run(19.9)
    assert line.statuses == [180]
    stage.run(0.1)
    assert line.statuses == [180, 480]
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]
    written = record(stage)
    assert (written.status, written.hung_up, written.ended) == (480, "switch", 25.0)


def test_an_unknown_and_an_absent_user(stage):
    """Nobody's number is 404, a known user who is not registered 480, another domain 404 (RFC
    3261 21.4.5, 21.4.18)."""
    alice = stage.phone("alice")
    for number, status in (("nobody", 404), ("carol", 480), ("sip:bob@example.net", 404)):
        assert alice.call(number).statuses == [status]
    assert [each.hung_up for each in stage.records] == ["switch"] * 3
    assert [each.attempts for each in stage.records] == [[], [], []]


def test_a_stranger_is_challenged_and_leaves_no_record(stage):
    """Closed by default: no call, no state, no record (RFC 3261 22.1, 8.2.7)."""
    stage.phone("bob")
    stranger = stage.phone("mallory")
    assert stranger.call("bob").statuses == [401]
    wrong = stage.phone("alice", password="wrong", register=False)
    assert wrong.call("bob").statuses == [401]
    assert stage.records == []
    assert stage.house.switch.counters["calls"] == 0
