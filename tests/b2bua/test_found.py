"""What random calls have found (``softswitch.testing.chaos``): each a test of its own."""

import pytest

from softswitch.scope import Auditor, Scope
from softswitch.testing.media import CountingEngine, SlowEngine


def talk(stage, caller, callee, **options):
    """A call that was answered: both lines."""
    line = caller.call(callee.name, **options)
    stage.run(1)
    callee.answer()
    stage.run(1)
    assert line.statuses[-1] == 200
    return line, callee.line


def acknowledge(line, number):
    """An ACK with that CSeq."""
    fields = {"caller": line.local, "to": line.remote, "call_id": line.call_id}
    line.phone.send(line.phone.request("ACK", line.target, cseq=number, **fields))


@pytest.fixture
def talking(make_stage):
    """Alice, who has called Bob."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    return stage, *talk(stage, alice, bob)


def test_an_ack_that_nobody_awaits(talking):
    """It is nobody's, be its CSeq that of an INVITE of our own (RFC 3261 13.2.2.4)."""
    _, alice, bob = talking
    bob.reinvite(bob.described)
    assert alice.open
    acknowledge(alice, alice.invite.cseq.number)
    alice.respond(200, sdp=alice.described)
    assert bob.statuses == [200]
    alice.request("BYE")


def test_what_may_outlive_a_leg_is_no_leak():
    """A REFER's subscription goes on after the BYE as long as its target rings (RFC 5057 5.2), the
    auditor's grace or not; but no longer."""
    now, leaks = [0.0], []

    class Clock:
        def monotonic(self):
            return now[0]

    class Held:
        def leftovers(self):
            return ["subscription expiry"]

    auditor = Auditor(Clock(), lambda scope, left: leaks.append(left), grace=100.0)
    scope = Scope("call/a", auditor)
    scope.hold(Held())
    scope.allow(240.0)
    scope.end()
    for now[0], found in ((120.0, 0), (339.0, 0), (341.0, 1)):
        auditor.sweep()
        assert len(leaks) == found


def test_a_transferor_that_leaves_while_the_target_rings(make_stage):
    """It hears by NOTIFY for as long as the target may ring, and the auditor does not mind
    (RFC 5589 6, RFC 5057 5.2)."""
    stage = make_stage({"switch": {"ring_seconds": 150}})
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line, far = talk(stage, alice, bob)
    bob.can()
    far.answers = dict(bob.answers)
    far.refer(bob.uri("carol"))
    stage.run(1)
    carol.ring()
    far.request("BYE")
    for _ in range(20):
        stage.run(10)
        stage.house.auditor.sweep()
    assert not stage.leaks
    assert line.over
    assert far.outcomes[-1] == 480


def pick_up(phone, line):
    """A phone would take somebody's place in a call (RFC 3891 3)."""
    return phone.call("bob", fields=[("Replaces", line.replaces)])


def test_a_pick_up_of_somebody_who_is_gone(make_stage):
    """Who is re-INVITEd for a pick-up and answers nothing has no dialog any more: the call that he
    was in ends, too (RFC 3261 12.2.1.2)."""
    stage = make_stage()
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line, _ = talk(stage, alice, bob)
    bob.silent = True
    taken = pick_up(carol, line)
    stage.run(40)
    assert taken.statuses == [408]
    assert line.over


def test_who_is_being_picked_up_is_not_picked_up_again(make_stage):
    """Not until it is known who talks to whom: 491."""
    stage = make_stage()
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    dave = stage.phone("carol")
    line, far = talk(stage, alice, bob)
    first, second = pick_up(carol, line), pick_up(dave, line)
    assert second.statuses == [491]
    far.respond(200, sdp=far.described)
    stage.run(1)
    assert (first.statuses, line.over) == ([200], True)
    first.request("BYE")


def test_a_caller_who_is_picked_up_is_lent_once(make_stage):
    """A call that has somebody on trial lends nobody: 491."""
    stage = make_stage()
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    dave = stage.phone("carol")
    line, far = talk(stage, alice, bob)
    first = pick_up(carol, line)
    invited = far.invite.from_.tag
    fields = [("Replaces", f"{far.call_id};to-tag={invited};from-tag={far.tag}")]
    second = dave.call("bob", fields=fields)
    assert second.statuses == [491]
    far.respond(486)
    stage.run(1)
    assert first.statuses == [486]
    assert line.stands
    line.request("BYE")


def test_a_refer_before_the_caller_has_heard_of_the_answer(make_stage):
    """The media engine still thinks about the answer: 491, for nothing can be transferred yet."""
    stage = make_stage(engine=lambda clock: SlowEngine(CountingEngine(), clock, seed=3))
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    stage.run(3)
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    assert bob.line.final == 491
    stage.run(3)
    alice.hang_up()


@pytest.mark.parametrize("wait", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("status", [200, 183, 486])
def test_somebody_answers_a_call_that_is_being_picked_up(make_stage, status, wait):
    """Whoever is first has it, the phone that rings or the one that picks up: the caller is
    answered once, and nobody is left hanging (RFC 3891 3, RFC 5359 2.16)."""
    stage = make_stage(engine=lambda clock: SlowEngine(CountingEngine(), clock, seed=5))
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob")
    stage.run(3)
    bob.ring()
    ringing = bob.line
    asked = ringing.invite
    fields = [("Replaces", f"{asked.call_id};to-tag={ringing.tag};from-tag={asked.from_.tag}")]
    taken = carol.call("bob", fields=fields)
    stage.run(wait)
    if ringing.open:
        ringing.respond(status, sdp=ringing.described if status < 300 else b"")
    stage.run(10)
    assert len([each for each in line.statuses if each >= 200]) == 1
    assert not (taken.stands and ringing.stands)
    for each in (line, taken, ringing):
        if each.stands:
            each.request("BYE")
            stage.run(1)
    stage.run(60)


@pytest.fixture
def ringing(make_stage):
    """Alice has called Bob, who rings reliably and has described himself, so that both may send
    UPDATEs: stage, Alice's line, Bob's."""
    stage = make_stage({"switch": {"ring_seconds": 60}})
    alice, bob = stage.phone("alice"), stage.phone("bob")
    for phone in (alice, bob):
        phone.can("100rel")
    line = alice.call("bob")
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    stage.run(1)
    return stage, line, bob.line


def test_an_early_update_does_not_make_a_phone_ring_for_ever(ringing):
    """Whoever changes what is heard before the answer is still told when nobody picks up."""
    stage, line, _ = ringing
    line.update(line.phone.sdp("inactive", version=2))
    assert line.final == 200
    stage.run(62)
    assert line.statuses[-1] == 480


def test_an_early_update_without_an_answer_does_not_end_the_call(ringing):
    """Whoever sent it is told; the phone rings on, and may be picked up (RFC 3311 5.2)."""
    stage, line, far = ringing
    far.answers["UPDATE"] = 0
    line.update(line.phone.sdp("inactive", version=2))
    stage.run(40)
    assert line.final in (408, 504)
    assert far.open
    far.respond(200)
    stage.run(1)
    assert (line.statuses[-1], far.stands) == (200, True)
    line.request("BYE")


def test_a_transferee_who_never_answers_a_reinvite_of_before(make_stage):
    """What the transferor had asked for is over with the transfer: nothing of it comes back
    later to the call that goes on."""
    stage = make_stage()
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line, far = talk(stage, alice, bob)
    line.refer(alice.uri("carol"))
    stage.run(1)
    line.reinvite(alice.sdp("sendonly", version=2))
    carol.answer()
    stage.run(1)
    far.respond(200, sdp=far.described)  # to what carol offers
    stage.run(60)
    assert line.over
    assert carol.line.stands
    assert far.stands
    carol.hang_up()


def test_a_reinvite_while_a_borrowed_leg_waits_after_491(make_stage):
    """Theirs goes first (RFC 3261 14.1): the transfer has failed, and their re-INVITE crosses to
    whom they talk to, as before."""
    stage = make_stage(transport="TCP")
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line, far = talk(stage, alice, bob)
    held, other = talk(stage, alice, carol)
    line.refer(alice.uri("carol"), held)
    stage.run(0.1)
    for each in (far, other):
        if each.open:
            each.respond(491)
            each.reinvite(each.described)
            stage.run(0.5)
            assert held.open or each.statuses
    for each in (line, held):
        if each.open:
            each.respond(200, sdp=each.described)
    stage.run(5)
    for each in (line, held, far, other):
        if each.stands:
            each.request("BYE")


def test_an_offer_to_a_leg_that_is_being_transferred(make_stage):
    """The transferor re-negotiates while the transferee is offered what the target holds to: it
    hears 491 or 500, and nothing breaks (RFC 3311 5.2)."""
    stage = make_stage()
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    for phone in (alice, bob, carol):
        phone.can()
    line, far = talk(stage, alice, bob)
    held, other = talk(stage, alice, carol)
    for each in (far, other):
        each.answers.pop("INVITE", None)
    line.refer(alice.uri("carol"), held)
    for each in (line, far, held, other):
        each.update(each.phone.sdp(version=2))
        assert each.final in (200, 491, 500)
    stage.run(60)
    for each in (line, far, held, other):
        if not each.over:
            each.request("BYE")


@pytest.mark.parametrize("who", ["transferor", "transferee"])
def test_an_offer_while_the_targets_answer_is_on_its_way(make_stage, who):
    """The media engine still thinks about it: the transferee is to hear one thing at a time, and
    whoever re-negotiates the old call is told to ask again."""
    stage = make_stage(engine=lambda clock: SlowEngine(CountingEngine(), clock, seed=7))
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    for phone in (alice, bob, carol):
        phone.can()
    line = alice.call("bob")
    stage.run(3)
    bob.answer()
    stage.run(5)
    line.refer(alice.uri("carol"))
    stage.run(3)
    carol.answer()
    asks = line if who == "transferor" else bob.line
    asks.update(asks.phone.sdp("sendonly", version=2))
    stage.run(1)
    assert asks.final in (491, 500)
    stage.run(10)
    assert line.over
    assert carol.line.stands
    assert bob.line.stands
    carol.hang_up()


@pytest.mark.parametrize("engine", [None, lambda clock: CountingEngine()])
def test_a_call_that_was_picked_up_while_it_rang_is_put_on_hold(make_stage, engine):
    """Either side may re-negotiate afterwards, as in any call (RFC 3261 14)."""
    stage = make_stage(engine=engine)
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob")
    bob.ring()
    asked = bob.line.invite
    fields = [("Replaces", f"{asked.call_id};to-tag={bob.line.tag};from-tag={asked.from_.tag}")]
    taken = carol.call("bob", fields=fields)
    stage.run(1)
    for one, other in ((line, taken), (taken, line)):
        one.reinvite(one.phone.sdp("sendonly", version=2))
        assert other.open
        other.respond(200, sdp=other.phone.sdp("recvonly", version=2))
        stage.run(1)
        assert one.statuses == [200]
    line.request("BYE")


@pytest.mark.parametrize("wait", [0.2, 0.8, 1.6])
def test_a_call_that_goes_on_to_the_next_while_it_is_picked_up(make_stage, wait):
    """The media engine is slow and the first gateway refuses; whatever comes first, each leg keeps
    its own description, and the caller is answered once."""
    stage = make_stage(engine=lambda clock: SlowEngine(CountingEngine(), clock, seed=9))
    alice, carol = stage.phone("alice"), stage.phone("carol")
    one, two, _ = (stage.phone(f"gateway{n}", host=f"127.88.0.10{n + 1}") for n in range(3))
    line = alice.call("0123")
    stage.run(3)
    one.ring(183, sdp=one.sdp())
    one.ring(180, sdp=one.sdp())
    stage.run(wait)
    ringing = one.line
    asked = ringing.invite
    fields = [("Replaces", f"{asked.call_id};to-tag={ringing.tag};from-tag={asked.from_.tag}")]
    taken = carol.call("bob", fields=fields)
    ringing.respond(503)
    stage.run(wait)
    for phone in (one, two):
        if phone.lines and phone.line.open:
            phone.ring(183, sdp=phone.sdp())
            stage.run(wait)
            phone.answer()
    stage.run(20)
    assert len([status for status in line.statuses if status >= 200]) == 1
    for each in (line, taken):
        if each.stands:
            each.request("BYE")
            stage.run(1)
    stage.run(60)
