"""RFC 5407, race conditions: what crosses on the wire while a dialog changes its state.

"Mortal" is a dialog whose BYE has been sent and not answered, "moratorium" one whose 2xx has been
sent and not acknowledged. The switch is on both ends of every race, each on one leg.
"""

import math

import pytest

# Section 2: the states of a dialog, and that each can be left.


@pytest.mark.parametrize("state", ["preparative", "early", "moratorium", "established"])
def test_2_the_caller_may_end_it_in_every_state(race, state):
    """By CANCEL before there is a dialog, by BYE in it: nothing stays on either leg."""
    flow, alice, bob = race
    line = alice.call("bob")
    flow.run(1)
    alice.lost_acks = math.inf if state == "moratorium" else 0
    if state != "preparative":
        bob.ring()
    if state in ("moratorium", "established"):
        bob.answer()
    flow.run(1)
    if state == "preparative":
        alice.cancel()
    else:
        alice.hang_up()
    flow.run(1)
    assert line.final == 200
    assert line.over
    assert bob.line.over
    answered = state in ("moratorium", "established")
    assert line.statuses[-1] == (200 if answered else 487)
    assert [record.status for record in flow.records] == [line.statuses[-1]]


# Section 3.1: in the moratorium.


def test_3_1_1_callee_receives_initial_invite_retransmission(race):
    """A copy of the INVITE that crosses the 2xx is no second call."""
    flow, alice, bob = race
    line = alice.call("bob")
    flow.run(1)
    bob.answer()
    flow.run(0.15)
    alice.send(line.sent)
    flow.run(1)
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: calls bye
        bob: answers bye
    """)


def test_3_1_2_callee_receives_cancel(race):
    """A CANCEL that crosses the 2xx is answered and changes nothing (RFC 3261 9.2)."""
    flow, alice, bob = race
    line = alice.call("bob")
    flow.run(1)
    bob.answer()
    flow.run(0.15)
    alice.cancel()
    flow.run(1)
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: call+ <200+ >CANCEL >ACK <200 bye
        bob: answers bye
    """)


def test_3_1_3_callee_receives_early_bye(race):
    """A BYE of the early dialog that crosses the 2xx ends the call; the 2xx gets its ACK."""
    flow, alice, bob = race
    line = alice.call("bob")
    flow.run(1)
    bob.ring()
    flow.run(1)
    bob.answer()
    flow.run(0.15)
    alice.hang_up()
    flow.run(1)
    assert line.over
    flow.saw("""
        alice: call+ <180 <200+ >BYE >ACK <200
        bob: <INVITE+ >180 >200+ <ACK <BYE >200
    """)


def test_3_1_4_callee_receives_reinvite_case_1(race):
    """The ACK is lost, a re-INVITE comes: it is served, for the first offer has been answered, or
    asked to wait with 491, which is as good; the first ACK comes after the next copy of the
    2xx."""
    flow, alice, bob = race
    line = alice.call("bob")
    flow.run(1)
    alice.lost_acks = 1
    bob.line.answers["INVITE"] = 200
    bob.answer()
    flow.run(0.25)
    line.reinvite(alice.sdp(version=2).replace(b"4000", b"4444"))
    flow.run(2)
    assert line.statuses in ([200], [491])
    line.reinvite(alice.sdp(version=3).replace(b"4000", b"4446"))
    flow.run(1)
    assert line.statuses == [200]
    flow.hang_up(line, bob.line)


def test_3_1_5_callee_receives_reinvite_case_2(race):
    """The ACK that is lost bears the answer, so the offer of the re-INVITE has to wait: 491."""
    flow, alice, bob = race
    line = alice.call("bob", sdp=b"")
    flow.run(1)
    alice.lost_acks = 1
    bob.answer()
    flow.run(0.25)
    line.reinvite(alice.sdp(version=2))
    flow.run(0.2)
    assert line.statuses == [491]
    flow.run(2)
    flow.hang_up(line, bob.line)
    assert bob.line.methods.count("INVITE") == 1


def test_3_1_6_callee_receives_bye(race):
    """The ACK is lost, a BYE comes: it is answered, and the 2xx is not repeated any more."""
    flow, alice, bob = race
    line = alice.call("bob")
    flow.run(1)
    alice.lost_acks = 1
    bob.answer()
    flow.run(0.25)
    alice.hang_up()
    flow.run(1)
    assert line.final == 200
    flow.saw("""
        alice: call+ <200+ >BYE <200
        bob: answers <BYE >200
    """)
    assert len(alice.times(200)) == 3  # registration, INVITE, BYE


# Section 3.2: in the mortal state.


def test_3_2_1_ua_receives_bye(race):
    """Both hang up: each BYE is answered with 200, on its leg."""
    flow, alice, bob = race
    line, other = flow.talk(alice, bob)
    line.request("BYE")
    other.request("BYE")
    flow.run(1)
    assert (line.final, other.final) == (200, 200)
    assert len(flow.records) == 1


def test_3_2_2_ua_receives_reinvite(race):
    """A re-INVITE that crosses a BYE is answered 481."""
    flow, alice, bob = race
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if flow.hangs_up == "caller" else (other, line)
    near.request("BYE")
    flow.run(0.05)
    far.reinvite(far.phone.sdp(version=2))
    flow.run(1)
    assert near.final == 200
    assert far.statuses == [481]
    assert far.methods[-1] == "BYE"


def test_3_2_3_ua_receives_200_for_reinvite(race):
    """The 2xx of a re-INVITE that crosses the BYE is acknowledged nevertheless."""
    flow, alice, bob = race
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if flow.hangs_up == "caller" else (other, line)
    near.reinvite(near.phone.sdp(version=2))
    flow.run(0.3)
    far.respond(200, sdp=far.phone.sdp(version=2))
    near.request("BYE")
    flow.run(2)
    assert near.final == 200
    assert far.methods[-3:] in (["INVITE", "ACK", "BYE"], ["INVITE", "BYE", "ACK"])
    assert len(near.statuses) == 1


def test_3_2_4_callee_receives_ack(race):
    """The callee hangs up before the ACK of its 2xx has come: the caller is told of the answer
    first, and of the end when it has acknowledged (RFC 3261 15)."""
    flow, alice, bob = race
    alice.call("bob")
    flow.run(1)
    bob.answer()
    bob.hang_up()
    flow.run(2)
    assert bob.line.final == 200
    flow.saw("""
        alice: calls <BYE >200
        bob: <INVITE+ >200+ >BYE <ACK <200
    """)


# Section 3.3: others.


def test_3_3_1_reinvite_crossover(race):
    """Both re-INVITE: 491, the waits of RFC 3261 14.1, and in the end both have been served."""
    flow, alice, bob = race
    line, other = flow.talk(alice, bob)
    other.answers["INVITE"] = 491
    line.answers["INVITE"] = 200
    line.reinvite(alice.sdp("sendonly", version=2))
    other.reinvite(bob.sdp("sendonly", version=2))
    flow.run(0.5)
    assert other.statuses == [491]
    other.answers["INVITE"] = 200
    flow.run(8)
    assert line.statuses == [200]
    other.reinvite(bob.sdp(version=3))
    flow.run(1)
    assert other.statuses == [200]
    flow.hang_up(line, other)


def test_3_3_2_update_and_reinvite_crossover(race):
    """An UPDATE with an offer crosses a re-INVITE: neither offer is lost, none is answered
    twice (RFC 3311 5.2)."""
    flow, alice, bob = race
    for phone in (alice, bob):
        phone.can()
    line, other = flow.talk(alice, bob)
    line.answers["INVITE"] = 491
    line.update(alice.sdp("sendonly", version=2))
    other.reinvite(bob.sdp("sendonly", version=2))
    flow.run(0.5)
    assert 491 in (line.final, *other.statuses)
    line.answers["INVITE"] = 200
    flow.run(8)
    finals = [reply.status for reply in line.replies]
    assert sorted(finals + other.statuses) in ([200, 491], [200, 200])
    flow.hang_up(line, other)


def test_3_3_3_receiving_refer(race):
    """A REFER that crosses a BYE is answered 481, and nobody is called."""
    flow, alice, bob = race
    for phone in (alice, bob):
        phone.can()
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if flow.hangs_up == "caller" else (other, line)
    near.request("BYE")
    flow.run(0.05)
    far.refer(alice.uri("carol"))
    flow.run(1)
    assert far.final == 481
    assert near.final == 200


# The appendices.


def test_a_bye_in_the_early_dialog(race):
    """The caller's BYE in an early dialog: 200 to it, 487 to the INVITE; the callee is
    cancelled."""
    flow, alice, bob = race
    alice.call("bob")
    flow.run(1)
    bob.ring()
    flow.run(1)
    alice.hang_up()
    flow.run(1)
    flow.saw("""
        alice: call+ <180 >BYE <200 <487 >ACK
        bob: <INVITE+ >180 <CANCEL >200 >487 <ACK
    """)


def test_b_bye_request_overlapping_reinvite(race):
    """A BYE while a re-INVITE is open, from either side: the re-INVITE gets 487 or the like, and
    nothing is left."""
    flow, alice, bob = race
    line, other = flow.talk(alice, bob)
    line.reinvite(alice.sdp(version=2))
    flow.run(0.5)
    flow.hang_up(line, other)
    flow.run(1)
    (status,) = line.statuses
    assert status >= 400


def test_c_behaviour_for_cancel(race):
    """The callee's 487 crosses nothing: the CANCEL is answered at once, whatever the callee does;
    a callee that never answers its INVITE is given up after 64*T1 (RFC 3261 9.1)."""
    flow, alice, bob = race
    flow.lossy = True
    bob.heeds_cancel = False
    line = alice.call("bob")
    flow.run(1)
    bob.ring()
    flow.run(1)
    alice.cancel()
    flow.run(0.5)
    assert line.statuses == [180, 487]
    flow.run(33)
    flow.saw("""
        alice: call+ <180 >CANCEL <200 <487 >ACK
        bob: <INVITE+ >180 <CANCEL >200
    """)


def test_d_requests_in_the_mortal_state(race):
    """OPTIONS, INFO and the like that cross a BYE: 481."""
    flow, alice, bob = race
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if flow.hangs_up == "caller" else (other, line)
    near.request("BYE")
    flow.run(0.05)
    far.request("OPTIONS")
    far.request("INFO")
    flow.run(1)
    assert [reply.status for reply in far.replies] == [481, 481]


def test_e_forking_and_new_to_tags(race):
    """Two forks ring and both answer: the first is the call, the other is acknowledged and
    ended, and the caller sees one dialog."""
    flow, alice, bob = race
    line = alice.call("bob")
    flow.run(1)
    bob.line.respond(180, tag="one")
    bob.line.respond(180, tag="two")
    flow.run(1)
    bob.line.respond(200, sdp=bob.sdp(), tag="two")
    bob.line.respond(200, sdp=bob.sdp(), tag="one")
    flow.run(1)
    ended = [each.to.tag for each in bob.line.requests if each.method == "BYE"]
    assert ended == ["one"]
    assert len({response.to.tag for response in line.responses if response.status > 100}) == 1
    if flow.hangs_up == "caller":
        line.request("BYE")
    else:
        bob.line.request("BYE", fork="two")
    flow.run(1)
    assert (line if flow.hangs_up == "caller" else bob.line).final == 200
