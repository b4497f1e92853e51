"""Who owes an offer or an answer on one leg."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.errors import StateError
from softswitch.plain import from_plain, to_plain
from softswitch.sdp.offer import OfferAnswer

STEPS = ["send_offer", "receive_offer", "send_answer", "receive_answer", "withdraw"]


def test_offer_in_the_invite_answer_in_the_200():
    """The common case (RFC 3261 13.2.1), from the caller's and from the callee's side."""
    caller, callee = OfferAnswer(), OfferAnswer()
    caller.send_offer()
    callee.receive_offer()
    assert caller.they_owe_answer
    assert callee.we_owe_answer
    callee.send_answer()
    caller.receive_answer()
    assert caller.idle
    assert callee.idle
    assert caller.agreed
    assert callee.agreed


def test_offer_in_the_200_answer_in_the_ack():
    """An INVITE without SDP: the 200 offers, the ACK answers (RFC 3261 13.2.1)."""
    callee = OfferAnswer()
    callee.send_offer()
    assert callee.they_owe_answer
    callee.receive_answer()
    assert callee.idle


def test_an_early_answer_is_repeated_in_the_200():
    """An answer in a 183 without 100rel holds but is still owed by the 2xx (RFC 3261 13.3.1.1)."""
    caller = OfferAnswer()
    caller.send_offer()
    caller.receive_answer(early=True)
    assert caller.agreed
    assert caller.they_owe_answer
    caller.receive_answer(early=True)
    caller.receive_answer()
    assert caller.idle


def test_no_second_offer_while_one_is_open():
    """Neither side may offer before the first is answered (RFC 3264 4)."""
    for open_ in ("send_offer", "receive_offer"):
        leg = OfferAnswer()
        getattr(leg, open_)()
        for step in ("send_offer", "receive_offer"):
            with pytest.raises(StateError):
                getattr(leg, step)()


def test_an_answer_needs_an_offer_of_the_other_side():
    """Nobody answers himself, nor what was not asked."""
    for before, step in [
        (None, "send_answer"),
        (None, "receive_answer"),
        ("send_offer", "send_answer"),
        ("receive_offer", "receive_answer"),
    ]:
        leg = OfferAnswer()
        if before:
            getattr(leg, before)()
        with pytest.raises(StateError):
            getattr(leg, step)()


def test_a_refused_offer_leaves_what_was_agreed():
    """After a 488 either side may offer again (RFC 3264 8)."""
    leg = OfferAnswer()
    leg.receive_offer()
    leg.send_answer()
    leg.receive_offer()
    leg.withdraw()
    assert leg.idle
    assert leg.agreed


@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_it_is_plain_data_after_every_step(steps):
    """Written down and rebuilt equal wherever it stands; an illegal step changes nothing."""
    leg = OfferAnswer()
    for step in steps:
        before = to_plain(leg)
        try:
            getattr(leg, step)()
        except StateError:
            assert to_plain(leg) == before
        assert from_plain(OfferAnswer, to_plain(leg)) == leg
