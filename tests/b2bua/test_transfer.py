"""Transfers that the switch makes itself: what may go wrong, with each media engine.

The plain flows are in tests/flows, by the sections of RFC 5589.
"""

import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Reject
from softswitch.plugin.interfaces import IAdmissionPolicy
from softswitch.testing.media import CountingEngine

OPUS = (
    b"v=0\r\no=- 7 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"
)


@pytest.fixture(params=["caller", "callee"])
def three(request, stage):
    """Alice and Bob talk and Carol is there: the stage, the transferee's line, the transferor's,
    and Carol."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    for phone in (alice, bob, carol):
        phone.can("replaces")
        phone.answers["INVITE"] = 200
    line = alice.call("bob")
    bob.answer()
    stage.run(5)
    assert line.stands
    near, far = (line, bob.line) if request.param == "callee" else (bob.line, line)
    return stage, near, far, carol


def hear(stage, line, target):
    """Both sides talk: where each sends its audio, the other has said so, or the relay."""
    stage.run(5)
    assert line.stands
    assert target.stands
    if stage.engine is None:
        assert line.phone.host.encode() in target.sdp
        assert target.phone.host.encode() in line.sdp
    else:
        assert b"m=audio" in target.sdp


def over(stage, line, other):
    """One hangs up, and the other hears of it."""
    line.request("BYE")
    stage.run(5)
    assert line.final == 200
    assert other.over


def test_a_blind_transfer(three):
    """The transferee keeps its dialog; the transferor is told, and dismissed. The record bears the
    Session-ID of those who talked in the end (RFC 7989 10.4)."""
    stage, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    stage.run(3)
    carol.ring()
    stage.run(3)
    carol.answer()
    stage.run(10)
    assert other.outcomes == [100, 180, 200]
    assert other.over
    hear(stage, line, carol.line)
    over(stage, line, carol.line)
    (record,) = stage.records
    assert [attempt.status for attempt in record.attempts] == [200, 200]
    assert carol.line.got("BYE").get("Session-ID") == record.session_id
    if other.call_id == record.attempts[0].call_id_b:
        first, second = record.attempts
        assert first.ended < second.ended == record.ended


def test_a_transferee_is_told_of_another_codec(three):
    """What the target answers does not fit what the transferee holds to: a re-INVITE."""
    stage, line, other, carol = three
    before = len(line.requests)
    other.refer(other.phone.uri("carol"))
    stage.run(3)
    host = carol.host.encode()
    carol.answer(sdp=OPUS % (host, host))
    stage.run(10)
    assert other.outcomes[-1] == 200
    assert "INVITE" in [request.method for request in line.requests[before:]]
    assert b"opus" in line.sdp
    over(stage, carol.line, line)


def test_another_number_for_digits_is_the_relays_matter(three):
    """The target calls telephone-event by another number than the transferee was told: the relay
    changes it on the way, and nobody is re-INVITEd; without a relay the transferee is told."""
    stage, line, other, carol = three
    events = "m=audio 4000 RTP/AVP 0 {0}\r\na=rtpmap:{0} telephone-event/8000\r\n"
    near = line.phone.sdp(version=2).partition(b"m=")[0] + events.format(101).encode()
    line.reinvite(near)
    stage.run(5)
    other.respond(
        200, sdp=other.phone.sdp(version=2).partition(b"m=")[0] + near.partition(b"t=0 0\r\n")[2]
    )
    stage.run(5)
    assert line.statuses == [200]
    before = len(line.requests)
    other.refer(other.phone.uri("carol"))
    stage.run(3)
    carol.answer(sdp=carol.sdp().partition(b"m=")[0] + events.format(96).encode())
    stage.run(10)
    assert other.outcomes[-1] == 200
    told = "INVITE" in [request.method for request in line.requests[before:]]
    assert told == (stage.engine is None)
    over(stage, carol.line, line)


def test_the_second_refer_of_a_dialog(three):
    """Its NOTIFYs name it by its CSeq, and so does who refreshes or ends its subscription
    (RFC 3515 2.4.6); those of the first are left as they always were."""
    stage, line, other, carol = three
    for _ in range(2):
        other.refer(other.phone.uri("carol"))
        stage.run(3)
        number = other.newest.cseq.number
        carol.ring()
        stage.run(3)
        if other.got("NOTIFY").get("Event") != "refer":
            other.request("SUBSCRIBE", [("Event", "refer"), ("Expires", "60")])
            stage.run(3)
            assert other.final == 489
            other.request("SUBSCRIBE", [("Event", f"refer;id={number}"), ("Expires", "60")])
            stage.run(3)
            assert other.final == 200
        carol.refuse(486)
        stage.run(3)
    events = [each.get("Event") for each in other.requests if each.method == "NOTIFY"]
    assert events == ["refer"] * 3 + [f"refer;id={number}"] * 4
    over(stage, line, other)


def test_an_attended_transfer(three):
    """The far leg of the transferor's other call comes over, and that call ends."""
    stage, line, other, carol = three
    second = other.phone.call("carol")
    stage.run(3)
    carol.answer()
    stage.run(5)
    other.refer(other.phone.uri("carol"), second)
    stage.run(10)
    assert other.outcomes == [100, 200]
    assert other.over
    assert second.over
    hear(stage, line, carol.line)
    over(stage, carol.line, line)
    assert len(stage.records) == 2


def consult(stage, other, carol, sdp=None):
    """The transferor calls the target, who rings, and has the transferee take that over: the line
    that rang."""
    second = other.phone.call("carol", sdp=sdp)
    stage.run(3)
    carol.ring()
    stage.run(3)
    dialog = second.call_id, second.responses[-1].to.tag, second.tag
    escaped = "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}".format(*dialog).replace("@", "%40")
    other.refer(f"{other.phone.uri('carol')}?Replaces={escaped}")
    stage.run(3)
    return second


@pytest.mark.parametrize("stays", [True, False])
def test_a_semi_attended_transfer(three, stays):
    """The transferor's call rings still: the transferee takes it over, and nobody is called anew.
    The transferor hears 487 in that call, and may leave the other at once."""
    stage, line, other, carol = three
    second = consult(stage, other, carol)
    assert second.statuses == [180, 487]
    assert other.outcomes == [100, 180]
    if not stays:
        second.cancel()
        other.request("BYE")
        stage.run(3)
        assert other.phone.name not in stage.house.occupancy.busy
    carol.answer()
    stage.run(10)
    assert other.outcomes == [100, 180, 200]
    assert other.over
    assert len(carol.lines) == 1
    hear(stage, line, carol.line)
    assert carol.line.got("INVITE").get("Replaces") is None
    over(stage, carol.line, line)
    taken, moved = stage.records
    assert (taken.status, taken.reason, taken.attempts[0].status) == (487, "Replaced", 200)
    assert taken.call_group == moved.call_group


def test_of_several_phones_one_takes_a_semi_attended_transfer(three):
    """The others are cancelled, as ever."""
    stage, line, other, carol = three
    desk = stage.phone("carol")
    desk.can("replaces")
    desk.answers["INVITE"] = 200
    consult(stage, other, carol)
    desk.answer()
    stage.run(10)
    assert other.outcomes[-1] == 200
    assert carol.line.over
    assert len(carol.lines) == len(desk.lines) == 1
    hear(stage, line, desk.line)
    over(stage, line, desk.line)


def test_the_target_of_a_semi_attended_transfer_refuses(three):
    """The transferor is told, and talks to the transferee as before; and after that he may transfer
    him anew."""
    stage, line, other, carol = three
    consult(stage, other, carol)
    carol.refuse(486)
    stage.run(3)
    assert other.outcomes == [100, 180, 486]
    assert line.stands
    consult(stage, other, carol)
    stage.run(400)
    assert other.outcomes[-1] >= 400
    assert carol.line.over
    over(stage, other, line)


def test_the_target_of_a_semi_attended_transfer_does_not_want_the_transferee(three):
    """It has answered, but not what the transferee offers: it is gone, and the call goes on."""
    stage, line, other, carol = three
    consult(stage, other, carol)
    carol.line.answers["INVITE"] = 488
    carol.answer()
    stage.run(10)
    assert other.outcomes[-1] == 488
    assert carol.line.over
    over(stage, line, other)


@pytest.mark.parametrize("who", ["transferee", "switch"])
def test_the_transferee_leaves_while_the_target_rings(three, who):
    """Nobody is left to talk to: the ringing ends."""
    stage, line, other, carol = three
    consult(stage, other, carol)
    if who == "switch":
        stage.house.switch.shut()
    else:
        line.request("BYE")
    stage.run(5)
    assert carol.line.methods[-2:] == ["CANCEL", "ACK"]
    assert line.over
    assert other.over
    assert not stage.house.switch.calls


def test_the_target_answers_while_the_transferee_negotiates(three):
    """It cannot be offered anything then: the transfer has failed, and the call goes on."""
    stage, line, other, carol = three
    consult(stage, other, carol)
    other.answers["INVITE"] = 0
    line.reinvite(line.phone.sdp("sendonly", version=2))
    stage.run(3)
    carol.answer()
    stage.run(3)
    assert other.outcomes[-1] == 491
    assert carol.line.over
    other.respond(200, sdp=other.phone.sdp(version=2))
    stage.run(3)
    assert line.statuses == [200]
    over(stage, line, other)


def test_a_semi_attended_transfer_of_a_call_without_an_offer(three):
    """What the target answers would be an offer for the transferor alone."""
    stage, line, other, carol = three
    second = consult(stage, other, carol, sdp=b"")
    assert other.outcomes == [100, 491]
    assert len(carol.lines) == 1
    second.cancel()
    stage.run(3)
    over(stage, line, other)


def test_the_target_of_an_attended_transfer_refuses(three):
    """Both calls go on as they were (RFC 3261 14.1)."""
    stage, line, other, carol = three
    second = other.phone.call("carol")
    stage.run(3)
    carol.answer()
    stage.run(5)
    carol.line.answers["INVITE"] = carol.answers["INVITE"] = 488
    other.refer(other.phone.uri("carol"), second)
    stage.run(10)
    assert other.outcomes == [100, 488]
    for each in (line, other, second, carol.line):
        assert each.stands
    carol.answers["INVITE"] = carol.line.answers["INVITE"] = 200
    second.reinvite(second.phone.sdp("sendonly", version=2))
    stage.run(5)
    assert second.statuses == [200]
    over(stage, second, carol.line)
    over(stage, other, line)


@pytest.mark.parametrize("who", ["line", "carol", "other", "second"])
def test_a_bye_while_the_target_is_taken_over(three, who):
    """The transferee, the target, or the transferor on either call hangs up while the target's
    re-INVITE is open: nothing is left, and no call stands with one side alone."""
    stage, line, other, carol = three
    second = other.phone.call("carol")
    stage.run(3)
    carol.answer()
    stage.run(5)
    carol.answers["INVITE"] = carol.line.answers["INVITE"] = 0
    other.refer(other.phone.uri("carol"), second)
    stage.run(5)
    lines = {"line": line, "carol": carol.line, "other": other, "second": second}
    lines[who].request("BYE")
    stage.run(5)
    if carol.line.open and who != "carol":
        carol.line.respond(200, sdp=carol.sdp(version=2))
    stage.run(60)
    if who in ("other", "second"):
        assert other.outcomes[-1] == 200
        hear(stage, line, carol.line)
        over(stage, line, carol.line)
    for each in (other, second):
        if not each.over:
            each.request("BYE")
    stage.run(5)
    assert all(each.over for each in lines.values())


@pytest.mark.parametrize("hear_of_it", [True, False])
def test_the_transferee_hangs_up_while_the_target_rings(three, hear_of_it):
    """The target is cancelled; who asked hears 487, unless it has hung up too."""
    stage, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    stage.run(3)
    carol.ring()
    stage.run(3)
    if not hear_of_it:
        other.request("BYE")
        stage.run(3)
    line.request("BYE")
    stage.run(5)
    assert carol.line.over
    assert line.over
    assert other.over
    assert other.outcomes[-1] == 487


def test_the_transferor_has_gone_and_the_target_refuses(three):
    """Nobody is left to talk to: the transferee hears BYE."""
    stage, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    stage.run(3)
    other.request("BYE")
    stage.run(3)
    carol.refuse(486)
    stage.run(5)
    assert line.over
    assert other.outcomes[-1] == 486


def test_who_wants_no_notify_gets_none(three):
    """Refer-Sub: false (RFC 4488)."""
    stage, line, other, carol = three
    other.refer(other.phone.uri("carol"), None, ("Refer-Sub", "false"))
    stage.run(3)
    carol.answer()
    stage.run(5)
    assert "NOTIFY" not in other.methods
    assert other.over
    over(stage, line, carol.line)


def test_a_second_refer_while_one_is_under_way(three):
    """491: one transfer at a time, whoever asks."""
    stage, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    stage.run(3)
    for each in (other, line):
        each.refer(each.phone.uri("carol"))
        stage.run(3)
        assert each.final == 491
    carol.answer()
    stage.run(5)
    over(stage, line, carol.line)


@pytest.mark.parametrize("refer_to", ["", "<sip:carol@127.88.0.1>, <sip:bob@127.88.0.1>", "<:>"])
def test_a_refer_that_names_nobody(three, refer_to):
    """400 (RFC 3515 2.4.2); the call goes on."""
    stage, line, other, _ = three
    other.request("REFER", [("Refer-To", refer_to)] if refer_to else [])
    stage.run(3)
    assert other.final == 400
    over(stage, line, other)


def test_a_target_that_nobody_knows(three):
    """404 is told, and the call goes on."""
    stage, line, other, _ = three
    other.refer(other.phone.uri("nobody"))
    stage.run(3)
    assert other.final == 202
    assert other.outcomes == [100, 404]
    over(stage, other, line)


@implementer(IAdmissionPolicy)
class NoTransfers:
    """Nobody may transfer a call to Carol."""

    def __init__(self):
        self.asked = []

    def admit(self, request):
        """Asked of REFERs with the INVITE that they want."""
        if request.identity is None or request.uri.user != "carol":
            return None
        self.asked.append((request.method, request.identity.name, str(request.uri)))
        return Reject(403)


def test_admission_is_asked_before_anything_is_replaced(make_stage):
    """A transferor who may not reach the target is told so at once."""
    policy = NoTransfers()
    stage = make_stage(engine=lambda clock: CountingEngine(), plug_ins=[policy])
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    assert bob.line.final == 403
    assert bob.line.outcomes == []
    assert policy.asked == [("INVITE", "bob", bob.uri("carol"))]
    assert not carol.lines
    over(stage, line, bob.line)


@pytest.mark.parametrize(("treatment", "status"), [("refuse", 603)])
def test_a_trunk_that_may_not_transfer(make_stage, treatment, status):
    """The in-dialog table says so."""
    stage = make_stage({"dialog": {"refer": treatment}})
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    assert bob.line.final == status
    over(stage, line, bob.line)


@pytest.mark.parametrize(
    "fields",
    [
        [("Subscription-State", "active")],
        [("Event", "refer"), ("Subscription-State", "active;expires=x")],
    ],
)
def test_a_relayed_notify_that_cannot_be_read(make_stage, fields):
    """400: the transferor is not told nonsense; the call goes on."""
    stage = make_stage({"dialog": {"refer": "relay"}})
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.answers["REFER"] = 202
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    line.request("NOTIFY", fields)
    assert line.final == 400
    assert "NOTIFY" not in bob.line.methods
    over(stage, line, bob.line)


def test_a_call_is_picked_up_while_another_phone_rings(stage):
    """INVITE with Replaces: the ringing phone is cancelled, both others are answered, each out of
    what the other has offered."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    line = alice.call("bob")
    stage.run(3)
    bob.ring()
    stage.run(3)
    taken = carol.call("bob", fields=[("Replaces", f"{bob.line.replaces};early-only")])
    stage.run(10)
    assert taken.statuses[-1] == 200
    assert line.statuses[-1] == 200
    assert bob.line.over
    hear(stage, line, taken)
    over(stage, line, taken)
    assert len(stage.records) == 2


def test_a_call_that_was_answered_is_taken_over(stage):
    """The far phone is re-INVITEd with the new one's offer; the replaced one hears BYE."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    alice.answers["INVITE"] = 200
    line = alice.call("bob")
    stage.run(3)
    bob.answer()
    stage.run(5)
    taken = carol.call("bob", fields=[("Replaces", bob.line.replaces)])
    stage.run(10)
    assert taken.statuses[-1] == 200
    assert bob.line.over
    hear(stage, line, taken)
    over(stage, taken, line)


def test_a_take_over_that_is_refused(stage):
    """The far phone will not have the new description: the call goes on as it was."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    alice.answers["INVITE"] = 488
    line = alice.call("bob")
    stage.run(3)
    bob.answer()
    stage.run(5)
    taken = carol.call("bob", fields=[("Replaces", bob.line.replaces)])
    stage.run(10)
    assert taken.statuses[-1] == 488
    assert line.stands
    assert bob.line.stands
    over(stage, line, bob.line)


def test_a_take_over_that_is_given_up(stage):
    """CANCEL: the call goes on as it was."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    alice.answers["INVITE"] = 0
    line = alice.call("bob")
    stage.run(3)
    bob.answer()
    stage.run(5)
    taken = carol.call("bob", fields=[("Replaces", bob.line.replaces)])
    stage.run(5)
    taken.cancel()
    stage.run(40)
    assert taken.statuses[-1] == 487
    assert line.stands
    assert bob.line.stands
    over(stage, line, bob.line)


def test_a_dialog_that_nobody_knows(stage):
    """481 (RFC 3891 3)."""
    carol = stage.phone("carol")
    taken = carol.call("bob", fields=[("Replaces", "x@y;to-tag=1;from-tag=2")])
    stage.run(3)
    assert taken.statuses[-1] == 481


@pytest.mark.parametrize("serves", [True, False])
def test_who_the_parties_talk_to_now(make_stage, serves):
    """After a transfer a peer whose profile says how is told of the other: by UPDATE, or by a
    re-INVITE where it knows none (RFC 3311, RFC 3325); and the lamps show it."""
    tables = {"dialog": {"connected": "pai"}}
    stage = make_stage(tables, engine=lambda clock: CountingEngine())
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    for phone in (alice, bob, carol):
        phone.answers["INVITE"] = 200
        if serves:
            phone.can()
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    carol.answer()
    stage.run(3)
    method = "UPDATE" if serves else "INVITE"
    for side, name in ((line, "carol"), (carol.line, "alice")):
        said = [request.get("P-Asserted-Identity") for request in side.requests]
        assert f"<sip:{name}@127.88.0.1>" in said, (method, said)
        assert side.methods.count(method) == 1 + (method == "INVITE" and side is carol.line)
    legs = next(iter(stage.house.switch.calls.values())).data.legs
    assert {leg.talks_to for leg in legs.values()} == {
        "<sip:carol@127.88.0.1>",
        "<sip:alice@127.88.0.1>",
    }
    over(stage, line, carol.line)


def test_a_trusted_caller_is_told_who_answers(make_stage):
    """P-Asserted-Identity in 180 and 200, towards the trusted alone (RFC 3325 9.1)."""
    for trusted in (True, False):
        stage = make_stage({"dialog": {"trusted": trusted}})
        alice, bob = stage.phone("alice"), stage.phone("bob")
        line = alice.call("bob")
        bob.ring()
        bob.answer()
        told = [response.get("P-Asserted-Identity") for response in line.responses[-2:]]
        assert told == (["<sip:bob@127.88.0.1>"] * 2 if trusted else [None, None])
        over(stage, line, bob.line)


@pytest.mark.parametrize("wait", [0.05, 0.15, 0.25, 0.35, 0.6])
def test_a_transferor_who_hangs_up_as_the_transfer_succeeds(three, wait):
    """His BYE crosses the NOTIFY that tells him so, and is no word about those who talk now."""
    stage, line, other, carol = three
    other.refer(other.phone.uri("carol"))
    carol.ring()
    stage.run(1)
    stage.network.delay = 0.1
    carol.answer()
    stage.run(wait)
    other.request("BYE")
    stage.run(5)
    hear(stage, line, carol.line)
    over(stage, line, carol.line)


def test_a_transferor_who_never_answers_the_notify_may_hang_up_as_well(three):
    """For up to 32 s it is still to come again."""
    stage, line, other, carol = three
    other.answers["NOTIFY"] = 0
    other.refer(other.phone.uri("carol"))
    carol.answer()
    stage.run(1)
    other.request("BYE")
    stage.run(1)
    hear(stage, line, carol.line)
    over(stage, carol.line, line)
