"""Provisional responses that the callee sends reliably (RFC 3262 4 and 5)."""

import pytest

from softswitch.plugin.profile import Profile
from softswitch.testing.peer import SDP

RELIABLE = ("Require", "100rel")


def progress(alone, rseq, status=183, **options):
    """A reliable provisional response of the callee."""
    return alone.respond(status, RELIABLE, ("RSeq", str(rseq)), **options)


def test_we_say_that_we_can(alone):
    """Supported: 100rel in each INVITE (RFC 3262 4)."""
    alone.call(body=b"offer")
    assert "100rel" in alone.invite.supported
    assert not alone.invite.require


@pytest.mark.parametrize("options", [{"profile": Profile(reliable="never")}, {"reliable": False}])
def test_we_do_not_say_so(alone, options):
    """Where the profile or the caller of ``invite`` does not want it."""
    alone.call(body=b"offer", **options)
    assert "100rel" not in alone.invite.supported


def test_it_is_acknowledged_at_once(alone):
    """PRACK with the RSeq and CSeq, in the early dialog, to its target (RFC 3262 4, 7.2)."""
    alone.call(body=b"offer")
    progress(alone, 7, body=b"answer")
    prack = alone.expect("PRACK")
    assert prack.get("RAck") == "7 1 INVITE"
    assert prack.cseq.number == 2
    assert prack.to.tag == "theirs"
    assert prack.uri == f"sip:peer@{alone.peer.host}:5060"
    assert alone.told == [("provisional", 183)]
    alone.respond(200, to=prack)
    alone.respond(200)
    alone.session.acknowledge()
    assert alone.expect("ACK").cseq.number == 1


def test_a_copy(alone):
    """It is neither acknowledged again nor told (RFC 3262 4)."""
    alone.call(body=b"offer")
    for _ in "123":
        progress(alone, 7, body=b"answer")
    alone.respond(200, to=alone.expect("PRACK"))
    assert alone.quiet
    assert alone.names == ["provisional"]


def test_a_lost_prack(alone):
    """It is sent again like any request, until it is answered (RFC 3262 4)."""
    alone.call(body=b"offer")
    progress(alone, 7, body=b"answer")
    alone.run(2)
    assert alone.peer.times("PRACK") == [0, 0.5, 1.5]
    alone.respond(200, to=alone.expect("PRACK"))
    alone.run(20)
    assert len(alone.peer.times("PRACK")) == 3
    assert len({m.top_via.branch for _, m, _ in alone.peer.received if m.cseq.number == 2}) == 1


def test_a_prack_that_nobody_answered(alone):
    """When the callee goes on after 64*T1 of that, its copy is acknowledged anew."""
    alone.call(body=b"offer")
    progress(alone, 7, body=b"answer")
    alone.run(33)
    alone.peer.unread.clear()
    progress(alone, 7, body=b"answer")
    again = alone.expect("PRACK")
    assert (again.get("RAck"), again.cseq.number) == ("7 1 INVITE", 3)
    alone.respond(200, to=again)
    assert alone.names == ["provisional"]


def test_out_of_order(alone):
    """One whose RSeq is not the next is neither acknowledged nor told (RFC 3262 4)."""
    alone.call(body=b"offer")
    progress(alone, 7)
    alone.respond(200, to=alone.expect("PRACK"))
    progress(alone, 9, status=180)
    progress(alone, 6, status=180)
    assert alone.quiet
    progress(alone, 8, status=182)
    assert alone.expect("PRACK").get("RAck") == "8 1 INVITE"
    progress(alone, 9, status=180)
    alone.expect("PRACK")
    assert [status for _, status in alone.told] == [183, 182, 180]


def test_each_callee_counts_by_itself(alone):
    """RSeq and CSeq belong to a dialog, and go up by one in each (RFC 3261 12.2.1.1)."""
    alone.call(body=b"offer")
    progress(alone, 7, tag="one")
    progress(alone, 70, tag="two")
    progress(alone, 8, tag="one")
    pracks = [alone.expect("PRACK") for _ in "123"]
    assert [prack.to.tag for prack in pracks] == ["one", "two", "one"]
    assert [prack.cseq.number for prack in pracks] == [2, 2, 3]
    assert len(alone.told) == 3


@pytest.mark.parametrize(
    "fields", [[("RSeq", "7")], [RELIABLE], [RELIABLE, ("RSeq", "7"), ("X-100", "")]]
)
def test_a_hundred_is_never_acknowledged(alone, fields):
    """Nor what has no RSeq, or does not require 100rel (RFC 3262 4)."""
    alone.call(body=b"offer")
    status = 100 if len(fields) == 3 else 180
    alone.respond(status, *fields)
    assert alone.quiet


def test_a_broken_rseq(alone):
    """What cannot be acknowledged is not taken."""
    alone.call(body=b"offer")
    progress(alone, "x")
    assert alone.quiet
    assert alone.told == []


def test_their_offer_waits_for_our_answer(alone):
    """An INVITE without an offer: the 1xx has it, our PRACK has the answer (RFC 3262 5)."""
    session = alone.call()
    progress(alone, 7, body=b"their offer")
    progress(alone, 7, body=b"their offer")
    assert alone.quiet
    assert alone.names == ["provisional"]
    session.prack("nobody", [SDP], b"our answer")
    session.prack("theirs", [SDP], b"our answer")
    prack = alone.expect("PRACK")
    assert (prack.body, prack.get("RAck")) == (b"our answer", "7 1 INVITE")
    session.prack("theirs", [SDP], b"our answer")
    assert alone.quiet
    alone.respond(200, to=prack)
    progress(alone, 8, status=180)
    alone.expect("PRACK")


def test_an_answer_too_late_for_its_prack(alone):
    """The callee has answered the INVITE meanwhile: the PRACK goes all the same."""
    session = alone.call()
    progress(alone, 7, body=b"their offer")
    alone.respond(200)
    session.acknowledge()
    alone.expect("ACK")
    session.prack("theirs", [SDP], b"our answer")
    assert alone.expect("PRACK").cseq.number == 2


@pytest.mark.parametrize("end", ["refused", "given up", "no answer"])
def test_an_end_while_a_prack_is_under_way(alone, end):
    """Nothing is left of it."""
    session = alone.call(body=b"offer")
    progress(alone, 7)
    alone.expect("PRACK")
    if end == "refused":
        alone.respond(486)
    elif end == "given up":
        session.cancel()
        alone.respond(200, to=alone.expect("CANCEL"))
        alone.respond(487)
    alone.run(40)


def test_a_fork_that_answers_late_was_sent_a_prack(alone):
    """Its BYE comes after its PRACK: the CSeq is higher (RFC 3261 12.2.1.1, 13.2.2.4)."""
    session = alone.call(body=b"offer")
    progress(alone, 7, tag="one")
    progress(alone, 70, tag="two")
    for _ in "12":
        alone.respond(200, to=alone.expect("PRACK"))
    alone.respond(200, tag="one")
    session.acknowledge()
    alone.expect("ACK")
    alone.respond(200, tag="two")
    assert alone.expect("ACK").cseq.number == 1
    bye = alone.expect("BYE")
    assert bye.to.tag == "two"
    assert bye.cseq.number == 3


def test_a_reinvite(alone):
    """The same in a re-INVITE, whose RSeq numbers begin anew."""
    session = alone.talk(calling=True)
    session.invite([SDP], b"another offer")
    alone.invite = alone.expect("INVITE")
    progress(alone, 3)
    prack = alone.expect("PRACK")
    assert prack.get("RAck") == f"3 {alone.invite.cseq.number} INVITE"
    alone.respond(200, to=prack)
    alone.respond(200, body=b"another answer")
    session.acknowledge()
    alone.expect("ACK")
