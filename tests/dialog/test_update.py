"""UPDATE, before the INVITE is answered and after (RFC 3311)."""

import pytest

from softswitch.errors import StateError
from softswitch.testing.peer import SDP

ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE")
SUPPORTED = ("Supported", "100rel")


def offer(alone, body=b"their offer", **options):
    """The peer sends an UPDATE with an offer."""
    return alone.ask("UPDATE", SDP, body=body, **options)


def ours(alone, body=b"our offer"):
    """We send an UPDATE: it has arrived."""
    alone.session.update([SDP], body)
    return alone.expect("UPDATE")


def test_without_an_offer(alone):
    """Answered by the session: it moves the peer's target, and no more (RFC 3311 5.2)."""
    session = alone.talk()
    alone.peer.port = 5062
    alone.ask("UPDATE")
    answer = alone.expect(200)
    assert answer.contacts
    assert "UPDATE" in answer.allow
    assert session.data.dialog.remote_target.endswith(":5062")
    assert alone.told == []


def test_their_offer(alone):
    """The user answers it in the 2xx (RFC 3311 5.2)."""
    session = alone.talk()
    offer(alone)
    assert alone.told == [("update", b"their offer")]
    assert not session.idle
    session.accept_update([SDP], b"our answer")
    answer = alone.expect(200)
    assert (answer.body, bool(answer.contacts)) == (b"our answer", True)
    assert session.idle
    session.accept_update([SDP], b"once more")
    session.reject_update(488)
    assert alone.quiet


def test_their_offer_is_refused(alone):
    """All stays as it was."""
    session = alone.talk()
    offer(alone)
    session.reject_update(488, None, [("Warning", '304 us "No"')])
    assert alone.expect(488).get("Warning")
    assert session.idle


def test_another_before_the_first_is_answered(alone):
    """500 with Retry-After from 0 to 10 (RFC 3311 5.2), with an offer or without."""
    session = alone.talk()
    offer(alone)
    for body in (b"x", b""):
        alone.ask("UPDATE", *([SDP] if body else []), body=body)
        assert 0 <= int(alone.expect(500).get("Retry-After")) <= 10
    session.accept_update([SDP], b"our answer")
    alone.expect(200)


def test_our_offer(alone):
    """It is answered in the 2xx, which may move the peer's target (RFC 3311 5.3)."""
    session = alone.talk(ALLOW)
    assert session.can_update
    update = ours(alone)
    assert update.body == b"our offer"
    assert update.contacts
    assert not session.can_update
    assert not session.idle
    alone.peer.port = 5062
    alone.respond(200, to=update, body=b"their answer")
    assert alone.told == [("updated", b"their answer")]
    assert session.idle
    assert session.data.dialog.remote_target.endswith(":5062")


@pytest.mark.parametrize("status", [488, 408, 481])
def test_our_offer_is_refused(alone, status):
    """The user hears of it, and decides whether that is the end."""
    session = alone.talk(ALLOW)
    update = ours(alone)
    if status == 408:
        alone.run(33)
    else:
        alone.respond(status, to=update)
    assert alone.told == [("not updated", status)]
    assert session.idle


def test_a_peer_that_knows_no_update(alone):
    """None is sent without its Allow."""
    session = alone.talk()
    assert not session.can_update
    with pytest.raises(StateError):
        session.update([SDP], b"our offer")


def test_one_too_many(alone):
    """Ours that finds another exchange open is refused at once: it has come too late."""
    session = alone.talk(ALLOW)
    update = ours(alone)
    session.update([SDP], b"another")
    session.invite([SDP], b"another")
    assert alone.told == [("not updated", 491), ("refused", 491)]
    assert alone.quiet
    alone.respond(200, to=update)
    session.bye()
    session.update([SDP], b"too late")
    session.invite([SDP], b"too late")
    alone.expect("BYE")
    assert alone.quiet
    assert alone.names[2:] == ["updated"]


@pytest.mark.parametrize(("calling", "least", "most"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_glare_is_tried_again(alone, calling, least, most):
    """491 to ours: again after 2.1 to 4 s where the Call-ID is ours, else 0 to 2 (RFC 3311 5.3)."""
    alone.talk(ALLOW, calling=calling)
    update = ours(alone)
    alone.respond(491, to=update)
    alone.run(least - 0.01 if least else 0)
    alone.run(most - least + 0.1)
    again = alone.expect("UPDATE")
    assert again.body == b"our offer"
    assert again.cseq.number == update.cseq.number + 1
    assert least <= alone.peer.times("UPDATE")[-1] <= most + 0.1
    alone.respond(200, to=again, body=b"answer")
    assert alone.names == ["updated"]


def test_theirs_meets_ours(alone):
    """491 to theirs, ours goes on (RFC 3311 5.2)."""
    alone.talk(ALLOW)
    update = ours(alone)
    offer(alone)
    alone.expect(491)
    alone.respond(200, to=update, body=b"answer")
    assert alone.names == ["updated"]


def test_theirs_comes_while_ours_waits(alone):
    """Theirs goes first; whoever asked for ours has to ask again."""
    session = alone.talk(ALLOW, calling=True)
    alone.respond(491, to=ours(alone))
    offer(alone)
    assert alone.told == [("not updated", 491), ("update", b"their offer")]
    session.accept_update([SDP], b"our answer")
    alone.expect(200)
    alone.run(10)
    assert alone.quiet


def test_an_invite_comes_while_ours_waits(alone):
    """The same."""
    session = alone.talk(ALLOW, calling=True)
    alone.respond(491, to=ours(alone))
    alone.ask("INVITE", SDP, body=b"their offer")
    assert alone.told == [("not updated", 491), ("invited", b"their offer")]
    session.reject(488, None)
    alone.acknowledge(alone.expect(488))


def test_an_invite_that_meets_an_update(alone):
    """491 when the offer in our UPDATE is open, 500 when the one in theirs is (RFC 3261 14.2)."""
    session = alone.talk(ALLOW)
    update = ours(alone)
    alone.ask("INVITE", SDP, body=b"x")
    alone.acknowledge(alone.expect(491))
    alone.respond(200, to=update)
    offer(alone)
    alone.ask("INVITE", SDP, body=b"x")
    refused = alone.expect(500)
    assert refused.get("Retry-After")
    alone.acknowledge(refused)
    session.accept_update([SDP], b"answer")
    alone.expect(200)


def test_an_update_that_meets_our_invite(alone):
    """491: the offer in our re-INVITE is open."""
    session = alone.talk(ALLOW)
    session.invite([SDP], b"our offer")
    alone.invite = alone.expect("INVITE")
    assert not session.can_update
    offer(alone)
    alone.expect(491)
    alone.respond(200, body=b"answer")
    offer(alone)
    alone.expect(500)
    session.acknowledge()
    alone.expect("ACK")
    offer(alone)
    assert alone.names == ["accepted", "update"]


def test_an_update_overtakes_our_invite_that_waits(alone):
    """Our re-INVITE has met 491: their UPDATE goes before it (RFC 3261 14.1)."""
    session = alone.talk(ALLOW, calling=True)
    session.invite([SDP], b"our offer")
    alone.invite = alone.expect("INVITE")
    alone.respond(491)
    alone.expect("ACK")
    offer(alone)
    assert alone.told == [("refused", 491), ("update", b"their offer")]
    session.accept_update([SDP], b"answer")
    alone.expect(200)
    alone.run(10)
    assert alone.quiet


def test_an_update_that_meets_their_invite(alone):
    """500: the offer in their own re-INVITE has no answer yet."""
    session = alone.talk(ALLOW)
    alone.ask("INVITE", SDP, body=b"their offer")
    assert not session.can_update
    offer(alone)
    alone.expect(500)
    session.reject(488, None)
    alone.acknowledge(alone.expect(488))


@pytest.mark.parametrize(("invited", "status"), [(b"offer", 0), (b"", 491)])
def test_an_update_overtakes_the_ack(alone, invited, status):
    """Taken where all is agreed by the 2xx, 491 where that bears our offer."""
    session = alone.be_called(ALLOW, body=invited)
    session.accept([SDP], b"ours")
    accepted = alone.expect(200)
    offer(alone)
    if status:
        alone.expect(status)
    else:
        session.accept_update([SDP], b"answer")
        alone.expect(200)
    alone.acknowledge(accepted)


def early_caller(alone, *fields, invited=b"offer"):
    """The peer calls, and knows our answer before it has rung."""
    session = alone.be_called(SUPPORTED, ALLOW, *fields, body=invited)
    assert not session.can_update
    session.provisional(183, "Session Progress", [SDP], b"ours")
    return session, alone.expect(183)


@pytest.mark.parametrize("invited", [b"offer", b""])
def test_update_of_an_early_caller(alone, invited):
    """After its PRACK either side may offer (RFC 3311 5.1)."""
    session, progress = early_caller(alone, invited=invited)
    offer(alone)
    alone.expect(500 if invited else 491)
    answered = b"" if invited else b"answer"
    assert not session.can_update
    alone.prack(progress, *([SDP] if answered else []), body=answered)
    alone.expect(200)
    assert session.can_update
    update = ours(alone)
    alone.respond(200, to=update, body=b"answer")
    offer(alone)
    session.accept_update([SDP], b"our answer")
    alone.expect(200)
    session.accept([], b"")
    alone.acknowledge(alone.expect(200))
    assert session.idle
    assert update.cseq.number == 1


def early_callee(alone, tag="theirs", rseq=1, prack=True):
    """The callee answers our offer reliably."""
    alone.respond(
        183,
        ("Require", "100rel"),
        ("RSeq", str(rseq)),
        ALLOW,
        body=b"answer",
        tag=tag,
    )
    request = alone.expect("PRACK")
    if prack:
        alone.respond(200, to=request)
    return request


def test_update_of_an_early_callee(alone):
    """After the answer to our PRACK (RFC 3311 5.1), in the early dialog, in order of CSeq."""
    session = alone.call(body=b"offer")
    prack = early_callee(alone, prack=False)
    assert not session.can_update
    offer(alone)
    alone.expect(491)
    alone.respond(200, to=prack)
    assert session.can_update
    update = ours(alone)
    assert [prack.cseq.number, update.cseq.number] == [2, 3]
    assert update.to.tag == "theirs"
    alone.respond(200, to=update, body=b"another answer")
    offer(alone)
    session.accept_update([SDP], b"our answer")
    alone.expect(200)
    alone.respond(200)
    session.acknowledge()
    assert alone.expect("ACK").cseq.number == 1
    session.bye()
    assert alone.expect("BYE").cseq.number == 4


def test_update_without_an_agreement(alone):
    """The callee rings unreliably: an UPDATE with an offer would meet ours in the INVITE."""
    session = alone.call(body=b"offer")
    alone.respond(180, ALLOW)
    assert not session.can_update
    offer(alone)
    alone.expect(491)
    alone.ask("UPDATE")
    alone.expect(200)


def test_an_update_goes_to_the_callee_that_is_named(alone):
    """Or to the latest; with another's answer it has failed."""
    session = alone.call(body=b"offer")
    early_callee(alone, "one")
    early_callee(alone, "two")
    session.update([SDP], b"our offer", tag="one")
    assert alone.expect("UPDATE").to.tag == "one"
    alone.respond(200, tag="two")
    assert [told[0] for told in alone.told[2:]] == ["not updated", "accepted"]
    session.acknowledge()
    alone.expect("ACK")
    assert session.can_update


def test_an_update_goes_on_when_its_callee_answers(alone):
    """The INVITE's 2xx overtakes the UPDATE's."""
    session = alone.call(body=b"offer")
    early_callee(alone, "one")
    early_callee(alone, "two")
    update = ours(alone)
    alone.respond(200, tag="two")
    session.acknowledge()
    alone.expect("ACK")
    assert not session.idle
    alone.respond(200, to=update, body=b"answer")
    assert alone.names[-2:] == ["accepted", "updated"]
    assert session.idle


def test_their_update_when_another_answers(alone):
    """It is answered with 487: its dialog is gone."""
    session = alone.call(body=b"offer")
    early_callee(alone, "one")
    offer(alone, tag="one")
    alone.respond(200, tag="two")
    alone.expect(487)
    session.acknowledge()
    alone.expect("ACK")
    session.accept_update([SDP], b"too late")
    assert alone.quiet


@pytest.mark.parametrize("who", ["ours", "theirs", "waiting"])
@pytest.mark.parametrize("how", ["we hang up", "they hang up"])
def test_the_end_of_the_call_at_any_moment(alone, who, how):
    """An UPDATE that is open is answered with 487 (RFC 3261 15.1.2); nothing is left, or told."""
    session = alone.talk(ALLOW)
    if who == "theirs":
        offer(alone)
    else:
        update = ours(alone)
        if who == "waiting":
            alone.respond(491, to=update)
    if how == "we hang up":
        session.bye()
        alone.respond(200, to=alone.expect("BYE") if who != "theirs" else last(alone, "BYE"))
    else:
        alone.ask("BYE")
    if who == "ours":
        alone.respond(200, to=update, body=b"answer")
    alone.run()
    assert (487 in alone.statuses) == (who == "theirs")
    assert "updated" not in alone.names
    assert "not updated" not in alone.names


def last(alone, method):
    """The last request with this method that came."""
    alone.run()
    found = [m for _, m, _ in alone.peer.received if getattr(m, "method", "") == method]
    alone.peer.unread.clear()
    return found[-1]


@pytest.mark.parametrize("how", ["we refuse", "CANCEL"])
def test_the_end_of_an_early_dialog_with_an_update(alone, how):
    """The same before the answer."""
    session, progress = early_caller(alone)
    alone.prack(progress)
    alone.expect(200)
    offer(alone)
    if how == "CANCEL":
        alone.cancel()
    else:
        session.reject(486, None)
    alone.run()
    assert 487 in alone.statuses


def test_an_offer_in_a_prack_stands_against_an_update(alone):
    """500: the offer in their PRACK has no answer yet (RFC 3311 5.2)."""
    session, progress = early_caller(alone)
    alone.prack(progress, SDP, body=b"another offer")
    offer(alone)
    alone.expect(500)
    assert not session.can_update
    session.answer_prack(200, [SDP], b"answer")
    alone.expect(200)
    assert session.can_update


def test_an_update_out_of_order(alone):
    """500 (RFC 3261 12.2.2)."""
    alone.talk()
    offer(alone, cseq=0)
    alone.expect(500)
    assert alone.told == []
