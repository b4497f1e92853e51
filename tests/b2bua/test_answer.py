"""The 2xx of an INVITE and its ACK, on both legs (RFC 3261 13.2.2.4, 13.3.1.4)."""

import math

import pytest

from softswitch.sip.message import Response
from softswitch.testing.media import CountingEngine


class Dies(CountingEngine):
    """Answers what it is asked about an offer, and nothing more."""

    def ask(self, question, tell):
        if question.kind == "offer":
            super().ask(question, tell)


def test_a_2xx_is_sent_until_its_ack(make_stage, transport):
    """At T1, then doubling to T2; with no ACK in 64*T1 both legs get a BYE (13.3.1.4), over TCP
    too."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = math.inf
    line = alice.call("bob")
    bob.answer()
    stage.run(31.9)
    assert line.statuses == [200]
    expected = [0, 0.5, 1.5, 3.5, *(3.5 + 4 * n for n in range(1, 8))]
    assert alice.times(200)[-len(expected) :] == expected
    assert "BYE" not in line.methods + bob.line.methods
    stage.run(0.1)
    assert alice.times("BYE") == bob.times("BYE") == [32.0]
    (record,) = stage.records
    assert (record.hung_up, record.status, record.reason) == ("switch", 200, "No ACK")


def test_an_ack_lost_once(make_stage):
    """The 2xx comes again, and is acknowledged then; the call goes on."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = 1
    line = alice.call("bob")
    bob.answer()
    stage.run(60)
    assert alice.times(200)[1:] == [0.0, 0.5]
    assert not line.over
    alice.hang_up()


def test_a_hang_up_waits_for_the_ack(make_stage, transport):
    """No BYE of ours may leave before the ACK of our 2xx, or 64*T1 (RFC 3261 15)."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = 2
    line = alice.call("bob")
    bob.answer()
    bob.hang_up()
    assert bob.line.final == 200
    stage.run(1.4)
    assert "BYE" not in line.methods
    stage.run(0.1)
    assert alice.times("BYE") == [1.5]
    assert line.over


def test_a_hang_up_and_never_an_ack(make_stage):
    """The BYE leaves when the wait for the ACK is over."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = math.inf
    alice.call("bob")
    bob.answer()
    bob.hang_up()
    stage.run(40)
    assert alice.times("BYE") == [32.0]


def test_a_caller_who_never_acknowledges_may_hang_up(make_stage):
    """His BYE says that he has heard us: no 2xx is sent after it."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = math.inf
    alice.call("bob")
    bob.answer()
    stage.run(1)
    alice.hang_up()
    seen = len(alice.received)
    stage.run(40)
    assert len(alice.received) == seen
    assert bob.line.over


def test_a_copy_of_the_callees_2xx_is_acknowledged_again(make_stage):
    """With the same ACK but for its Via (13.2.2.4)."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    bob.answer()
    bob.answer()
    assert line.statuses == [200]
    acks = [request for request in bob.line.requests if request.method == "ACK"]
    assert len(acks) == 3
    assert len({tuple(field for field in ack.fields if field[0] != "Via") for ack in acks}) == 1
    alice.hang_up()


def test_another_fork_answers_too(stage):
    """A 2xx with another To tag makes a dialog that nobody wants: it is acknowledged and ended,
    and the call does not hear of it (13.2.2.4)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    bob.line.respond(200, sdp=bob.sdp(), tag="fork")
    forked = [
        message.method
        for _, message, _ in bob.received
        if not isinstance(message, Response) and message.to.tag == "fork"
    ]
    assert forked == ["ACK", "BYE"]
    assert line.statuses == [200]
    assert not bob.line.over
    alice.hang_up()
    assert bob.line.over


def test_the_cancel_crosses_the_answer(make_stage, transport):
    """The 200 is on its way while the CANCEL is: whichever the switch sees first, the caller's
    INVITE ends once and the callee's dialog is ended (RFC 3261 9.1, 15)."""
    stage = make_stage(transport=transport, delay=0.1)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    stage.run(2)
    line = alice.call("bob")
    stage.run(2)
    bob.heeds_cancel = False
    alice.cancel()
    stage.run(0.15)
    bob.answer()
    stage.run(2)
    assert line.statuses == [487]
    assert sorted(bob.line.methods) == ["ACK", "BYE", "CANCEL", "INVITE"]
    (record,) = stage.records
    assert (record.hung_up, record.answered) == ("caller", None)


def test_the_answer_crosses_the_cancel(make_stage, transport):
    """The CANCEL comes when the 200 has gone: it has no effect but its own 200 (RFC 3261 9.2);
    the caller then hangs up."""
    stage = make_stage(transport=transport, delay=0.1)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    stage.run(2)
    line = alice.call("bob")
    stage.run(2)
    bob.answer()
    stage.run(0.15)
    alice.cancel()
    stage.run(2)
    assert line.statuses == [200]
    assert line.final == 200
    alice.hang_up()
    stage.run(2)
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


def test_the_cancel_comes_while_the_answer_waits_for_its_media(make_stage):
    """The callee has answered, the engine has not: the caller's CANCEL still counts, and the
    callee gets a BYE."""
    stage = make_stage(engine=lambda clock: Dies())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    stage.run(1)
    alice.cancel()
    assert line.statuses == [487]
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


def test_the_engine_dies_before_the_caller_is_told(make_stage, transport):
    """The callee has answered, and there are no media: the caller is told 503 and the callee gets
    a BYE after ``media_seconds``."""
    stage = make_stage(transport=transport, engine=lambda clock: Dies())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    stage.run(3.9)
    assert line.statuses == []
    stage.run(0.1)
    assert line.statuses == [503]
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


def test_the_callee_hangs_up_before_the_caller_is_told(make_stage):
    """Answered and gone while the engine was asked: 480, and no 200."""
    stage = make_stage(engine=lambda clock: Dies())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    stage.run(1)
    bob.hang_up()
    assert line.statuses == [480]
    (record,) = stage.records
    assert (record.hung_up, record.answered) == ("callee", None)


def test_late_offer(stage):
    """An INVITE without a description: the callee's 200 bears the offer, the ACK the answer, and
    the callee's ACK waits for it (RFC 3264 4, RFC 3261 13.2.1)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", sdp=b"")
    assert bob.line.sdp == b""
    bob.answer()
    assert b"m=audio" in line.sdp
    assert bob.line.methods == ["INVITE", "ACK"]
    assert b"m=audio" in bob.line.sdp
    assert bob.line.requests[-1].content_type == "application/sdp"
    alice.hang_up()
    assert bob.line.over


def test_late_offer_and_never_an_ack(make_stage):
    """Both legs are ended all the same, and the callee's 2xx is acknowledged before its BYE."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = math.inf
    alice.call("bob", sdp=b"")
    bob.answer()
    stage.run(33)
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]
    assert alice.times("BYE") == [32.0]


def test_an_answer_without_a_description(stage):
    """A 200 without SDP to an offer breaks RFC 3264, but is no reason to hang."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer(sdp=b"")
    assert line.statuses == [200]
    bob.hang_up()
    assert line.over


@pytest.mark.parametrize("body", [b"v=nonsense", b"v=0\r\no=x\r\n"])
def test_an_offer_that_is_none(make_stage, body):
    """An SDP that the engine cannot read: 488, and nobody is rung."""
    stage = make_stage(engine=lambda clock: CountingEngine())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    assert alice.call("bob", sdp=body).statuses == [488]
    assert bob.lines == []
