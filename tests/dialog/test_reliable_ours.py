"""Provisional responses that we send reliably (RFC 3262 3 and 5)."""

import pytest

from softswitch.plugin.profile import Profile
from softswitch.testing.peer import SDP

SUPPORTED = ("Supported", "100rel")
REQUIRED = ("Require", "100rel")


@pytest.mark.parametrize(
    ("reliable", "fields", "body", "sent_so"),
    [
        ("sdp", [SUPPORTED], b"answer", True),
        ("sdp", [SUPPORTED], b"", False),
        ("sdp", [], b"answer", False),
        ("sdp", [("Supported", "timer, 100REL")], b"answer", True),
        ("sdp", [REQUIRED], b"", True),
        ("supported", [SUPPORTED], b"", True),
        ("supported", [], b"", False),
        ("never", [SUPPORTED], b"answer", False),
        ("never", [REQUIRED], b"", True),
    ],
)
def test_when_a_response_is_sent_reliably(alone, reliable, fields, body, sent_so):
    """Where the caller requires it, and where it can and the profile says so (RFC 3262 3)."""
    session = alone.be_called(*fields, body=b"offer", profile=Profile(reliable=reliable))
    assert session.reliably(body) is sent_so
    session.provisional(180, "Ringing", [SDP] if body else [], body)
    ringing = alone.expect(180)
    assert (ringing.get("RSeq") is not None) is sent_so
    assert ("100rel" in ringing.require) is sent_so
    assert ringing.contacts
    assert "UPDATE" in ringing.allow or not sent_so


def ringing(alone, body=b"answer", status=183):
    """Our reliable provisional response has arrived."""
    alone.session.provisional(status, "Session Progress", [SDP] if body else [], body)
    return alone.expect(status)


def test_a_reliable_response_is_sent_until_its_prack_comes(alone):
    """At T1, then after twice as long each time, without an upper limit (RFC 3262 3)."""
    alone.be_called(SUPPORTED, body=b"offer")
    progress = ringing(alone)
    alone.run(16)
    assert alone.peer.times(183) == [0, 0.5, 1.5, 3.5, 7.5, 15.5]
    alone.peer.unread.clear()
    alone.prack(progress)
    alone.expect(200)
    alone.run(40)
    assert len(alone.peer.times(183)) == 6
    assert alone.told == []


def test_no_prack(alone):
    """64*T1 without a PRACK: the INVITE is refused with 504, and the session is over."""
    alone.be_called(SUPPORTED, body=b"offer")
    ringing(alone)
    alone.run(31.9)
    assert alone.told == []
    alone.run(0.2)
    assert alone.told == [("cancelled", None)]
    assert alone.statuses[-1] == 504
    assert alone.session.data.life == "ended"


def test_a_prack_that_matches_nothing(alone):
    """481, and what waits goes on waiting (RFC 3262 3)."""
    alone.be_called(SUPPORTED, body=b"offer")
    alone.ask("PRACK", ("RAck", "1 1 INVITE"))
    alone.expect(481)
    progress = ringing(alone)
    rseq = int(progress.get("RSeq"))
    for rack in (f"{rseq + 1} 1 INVITE", f"{rseq} 2 INVITE", f"{rseq} 1 UPDATE"):
        alone.ask("PRACK", ("RAck", rack))
        alone.expect(481)
    alone.ask("PRACK")
    alone.expect(481)
    alone.ask("PRACK", ("RAck", "nonsense"))
    alone.expect(400)
    alone.run(0.5)
    alone.expect(183)
    alone.prack(progress)
    alone.expect(200)
    alone.prack(progress)
    alone.expect(481)


def test_a_prack_whose_answer_is_lost(alone):
    """The same PRACK again gets the same answer again: it is a transaction like any other."""
    alone.be_called(SUPPORTED, body=b"offer")
    prack = alone.prack(ringing(alone))
    alone.expect(200)
    alone.peer.send(prack)
    alone.expect(200)


def test_one_after_the_other(alone):
    """No second one before the first is acknowledged; RSeq goes up by one (RFC 3262 3)."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    first = ringing(alone)
    session.provisional(180, "Ringing", [], b"")
    session.provisional(183, "Session Progress", [SDP], b"another")
    assert alone.quiet
    alone.prack(first)
    alone.expect(200)
    alone.expect(180)
    third = alone.expect(183)
    assert int(third.get("RSeq")) == int(first.get("RSeq")) + 1
    assert third.body == b"another"


def test_an_accepted_invite_waits_for_the_prack(alone):
    """A 183 with SDP on its way holds the 2xx back (RFC 3262 3 and 5)."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    progress = ringing(alone)
    session.accept([], b"")
    assert alone.quiet
    assert session.data.state == "held"
    alone.prack(progress)
    alone.expect(200)
    accepted = alone.expect(200)
    assert accepted.cseq.method == "INVITE"
    assert alone.told == [("sent",)]
    alone.acknowledge(accepted)
    assert alone.told == [("sent",), ("acknowledged", b"")]
    assert session.idle


def test_another_answer_takes_the_place_of_one_that_is_held_back(alone):
    """Whoever answered first has gone meanwhile, by a transfer or a pick-up; the caller, who knows
    of neither, is told of the one that is there."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    progress = ringing(alone)
    session.accept([], b"one")
    session.accept([], b"other")
    alone.prack(progress)
    alone.expect(200)
    accepted = alone.expect(200)
    assert (accepted.cseq.method, accepted.body) == ("INVITE", b"other")
    alone.acknowledge(accepted)
    assert session.idle


def test_an_accepted_invite_waits_for_a_description_that_waits_itself(alone):
    """The description goes first; what has none does not go at all after the final answer."""
    session = alone.be_called(REQUIRED, body=b"offer")
    first = ringing(alone, b"", 180)
    session.provisional(182, "Queued", [], b"")
    session.provisional(183, "Session Progress", [SDP], b"answer")
    session.accept([], b"")
    alone.prack(first)
    alone.expect(200)
    progress = alone.expect(183)
    assert alone.quiet
    alone.prack(progress)
    assert [alone.expect(200).cseq.method for _ in "12"] == ["PRACK", "INVITE"]
    alone.run(40)
    assert alone.told == [("sent",), ("ended", "No ACK")]


def test_an_accepted_invite_waits_for_nothing_without_a_description(alone):
    """The 2xx goes at once; the PRACK is answered all the same (RFC 3262 3)."""
    session = alone.be_called(REQUIRED, body=b"offer")
    progress = ringing(alone, b"", 180)
    session.accept([SDP], b"answer")
    accepted = alone.expect(200)
    alone.run(0.4)
    assert alone.quiet
    alone.prack(progress)
    alone.expect(200)
    alone.acknowledge(accepted)
    assert alone.peer.times(180) == [0]


def test_no_prack_for_what_holds_the_answer_back(alone):
    """504, and the user hears of it."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    ringing(alone)
    session.accept([], b"")
    alone.run(40)
    assert alone.told == [("cancelled", None)]
    assert alone.statuses[-1] == 504


@pytest.mark.parametrize("how", ["CANCEL", "BYE"])
def test_the_caller_gives_up_while_the_answer_is_held_back(alone, how):
    """487, and the user hears of it: the session has not begun."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    ringing(alone)
    session.accept([], b"")
    if how == "CANCEL":
        alone.cancel()
    else:
        alone.ask("BYE")
    assert sorted((alone.expect(200).status, alone.expect(487).status)) == [200, 487]
    assert alone.told == [("cancelled", how)]
    alone.run(40)
    assert alone.peer.times(183) == [0]


def test_we_hang_up_while_the_answer_is_held_back(alone):
    """There is no dialog to say goodbye in yet: the INVITE is refused."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    progress = ringing(alone)
    session.accept([], b"")
    session.bye([("Reason", "SIP;cause=200")])
    assert alone.expect(480).get("Reason") == "SIP;cause=200"
    alone.prack(progress)
    alone.expect(481)
    assert alone.told == []


@pytest.mark.parametrize("how", ["CANCEL", "BYE", "we refuse"])
def test_an_end_while_a_response_waits_for_its_prack(alone, how):
    """Nothing is sent again, and nothing is left."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    progress = ringing(alone)
    if how == "we refuse":
        session.reject(486, None)
    elif how == "CANCEL":
        alone.cancel()
    else:
        alone.ask("BYE")
    alone.run(20)
    assert alone.peer.times(183) == [0]
    alone.peer.unread.clear()
    alone.prack(progress)
    assert alone.expect(481)


def test_our_offer_is_answered_in_the_prack(alone):
    """An INVITE without an offer: the 1xx has it, the PRACK the answer (RFC 3262 5)."""
    session = alone.be_called(SUPPORTED)
    progress = ringing(alone, b"offer")
    alone.prack(progress, SDP, body=b"their answer")
    alone.expect(200)
    assert alone.told == [("prack", b"their answer")]
    session.accept([], b"")
    alone.acknowledge(alone.expect(200))


def test_an_offer_in_the_prack(alone):
    """It is answered in the 2xx of the PRACK; until then the INVITE is not accepted, and no other
    provisional response goes (RFC 3262 5)."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    alone.prack(ringing(alone), SDP, body=b"another offer")
    assert alone.told == [("prack", b"another offer")]
    session.provisional(180, "Ringing", [], b"")
    session.accept([], b"")
    assert alone.quiet
    session.answer_prack(200, [SDP], b"another answer")
    assert alone.expect(200).body == b"another answer"
    accepted = alone.expect(200)
    assert accepted.cseq.method == "INVITE"
    session.answer_prack(200, [SDP], b"once more")
    assert alone.quiet
    alone.acknowledge(accepted)


def test_an_offer_in_the_prack_is_refused(alone):
    """488; the 1xx is acknowledged all the same."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    alone.prack(ringing(alone), SDP, body=b"another offer")
    session.answer_prack(488)
    alone.expect(488)
    session.accept([], b"")
    alone.acknowledge(alone.expect(200))


@pytest.mark.parametrize("how", ["CANCEL", "BYE", "we refuse"])
def test_an_end_while_a_prack_waits_for_its_answer(alone, how):
    """The PRACK is answered with 487, as everything that is open (RFC 3261 15.1.2)."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    alone.prack(ringing(alone), SDP, body=b"another offer")
    if how == "we refuse":
        session.reject(486, None)
    elif how == "CANCEL":
        alone.cancel()
    else:
        alone.ask("BYE")
    alone.run()
    answered = {m.cseq.method: m.status for m in alone.peer.unread}
    assert answered["PRACK"] == 487
    session.answer_prack(200)


def test_another_body_in_the_prack(alone):
    """What is no session description is treated as in an ACK: the session answers (RFC 3262 3)."""
    alone.be_called(SUPPORTED, body=b"offer")
    alone.prack(ringing(alone), ("Content-Type", "application/isup"), body=b"IAM")
    alone.expect(200)
    assert alone.told == []


def test_a_long_ringing_goes_on_reliably(alone):
    """Every two and a half minutes, lest a proxy give up (RFC 3262 3); unreliably every minute."""
    alone.be_called(REQUIRED, body=b"offer")
    alone.prack(ringing(alone, b"", 180))
    alone.expect(200)
    alone.run(150)
    again = alone.expect(180)
    alone.prack(again)
    alone.expect(200)
    alone.run(150)
    assert alone.expect(180).get("RSeq") != again.get("RSeq")


def test_a_reinvite_is_answered_reliably(alone):
    """The same within a dialog; without a PRACK the call stays as it was."""
    session = alone.talk()
    alone.ask("INVITE", SUPPORTED, SDP, body=b"another offer")
    alone.prack(ringing(alone))
    alone.expect(200)
    session.accept([], b"")
    alone.acknowledge(alone.expect(200))
    alone.ask("INVITE", SUPPORTED, SDP, body=b"third offer")
    ringing(alone)
    alone.run(33)
    assert alone.told[-1] == ("cancelled", None)
    assert alone.statuses[-1] == 504
    assert session.idle


def test_a_reinvite_whose_answer_is_held_back_for_ever(alone):
    """The user believes it changed: only the end of the call sets that right."""
    session = alone.talk()
    alone.ask("INVITE", SUPPORTED, SDP, body=b"another offer")
    ringing(alone)
    session.accept([], b"")
    alone.run(33)
    assert alone.told[-1] == ("ended", "No PRACK")
    assert [m for _, m, _ in alone.peer.received if getattr(m, "method", "") == "BYE"]


def test_prack_out_of_order(alone):
    """500 for a CSeq below the last one, as for any request (RFC 3261 12.2.2)."""
    alone.be_called(SUPPORTED, body=b"offer")
    progress = ringing(alone)
    alone.ask("OPTIONS", cseq=9)
    alone.expect(200)
    alone.prack(progress, cseq=8)
    alone.expect(500)
    alone.prack(progress, cseq=10)
    alone.expect(200)


def test_a_bye_while_the_answer_to_a_reinvite_is_held_back(alone):
    """The re-INVITE is answered with 487 all the same (RFC 3261 15.1.2), and nothing is left."""
    session = alone.talk()
    alone.ask("INVITE", SUPPORTED, SDP, body=b"another offer")
    ringing(alone)
    session.accept([], b"")
    alone.ask("BYE")
    alone.expect(200)
    alone.expect(487)
    assert alone.told[-1] == ("ended", "BYE")


def in_fork(alone, tag, *fields, method="PRACK", cseq=2):
    """The caller sends a request in the early dialog with that To tag of ours."""
    dialog = alone.session.data.dialog
    to = f"{dialog.local.removesuffix(dialog.local_tag)}{tag}"
    names = {"caller": alone.theirs, "to": to, "call_id": dialog.call_id, "cseq": cseq}
    uri = alone.invite.uri
    alone.peer.send(alone.peer.request(method, uri, fields=fields, **names))


def test_early_dialogs_of_ours_count_by_themselves(alone):
    """To the caller each is another callee: RSeq goes up by one in each (RFC 3262 4), and so does
    the CSeq of what it sends in it (RFC 3261 12.1.1, 12.2.2)."""
    session = alone.be_called(SUPPORTED, body=b"offer")
    numbers = {"one": [], "two": []}
    for tag, cseq in (("one", 2), ("one", 3), ("two", 2), ("one", 4), ("two", 3)):
        session.provisional(183, None, [SDP], b"answer", tag)
        said = alone.expect(183)
        numbers[tag].append(int(said.get("RSeq")))
        in_fork(alone, tag, ("RAck", f"{said.get('RSeq')} 1 INVITE"), cseq=cseq)
        alone.expect(200)
    for each in numbers.values():
        assert each == list(range(each[0], each[0] + len(each)))
    in_fork(alone, "one", method="OPTIONS", cseq=3)
    alone.expect(500)


@pytest.mark.parametrize("answered", [False, True])
def test_a_bye_in_one_early_dialog_of_ours(alone, answered):
    """It ends that one; the others, and the call, go on (RFC 3261 15)."""
    session = alone.be_called(body=b"offer")
    session.provisional(180, None, [], b"", "one")
    session.provisional(180, None, [], b"", "two")
    alone.expect(180)
    alone.expect(180)
    if answered:
        session.accept([SDP], b"answer", "two")
        alone.acknowledge(alone.expect(200))
    in_fork(alone, "one", method="BYE")
    alone.expect(200)
    in_fork(alone, "one", method="OPTIONS", cseq=3)
    alone.expect(481)
    in_fork(alone, "two", method="OPTIONS")
    alone.expect(200)
    assert "ended" not in alone.names
    assert "cancelled" not in alone.names
