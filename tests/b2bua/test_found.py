"""What random calls have found (``softswitch.testing.chaos``): each a test of its own."""

import pytest

from softswitch.scope import Auditor, Scope


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
        def seconds(self):
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
