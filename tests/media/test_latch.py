"""Whose packets a relay's port takes, and where it sends, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.media.latch import FORMER_RUN, Latch

SIGNALLED, MOVED = ("192.0.2.1", 4000), ("192.0.2.1", 4002)
NAT, STRANGER = ("198.51.100.7", 61000), ("203.0.113.66", 666)


@pytest.fixture
def latch():
    """A port whose peer's SDP has come."""
    latch = Latch()
    latch.signal(SIGNALLED)
    return latch


def test_packets_go_to_the_signalled_address_until_another_is_learnt(latch):
    """Nothing has come yet: what the SDP says is all there is."""
    assert latch.destination == SIGNALLED
    assert [latch.takes(NAT, 1) for _ in range(4)] == [False, False, True, True]
    assert latch.destination == NAT


def test_the_signalled_address_is_taken_at_once_and_alone(latch):
    """It is preferred: its first packet ends the learning."""
    assert not latch.takes(STRANGER, 1)
    assert latch.takes(SIGNALLED, 2)
    assert not any(latch.takes(STRANGER, 1) for _ in range(1000))
    assert latch.destination == SIGNALLED


@pytest.mark.parametrize(
    "packets",
    [
        [(NAT, 1), (NAT, 1), (NAT, 2), (NAT, 2)],
        [(NAT, 1), (NAT, 1), (STRANGER, 1), (NAT, 1), (NAT, 1)],
        [(NAT, 1), (STRANGER, 2)] * 20,
    ],
)
def test_three_packets_in_a_row_of_one_ssrc_and_no_fewer(latch, packets):
    """Another SSRC or another source between them begins the count anew."""
    assert not any(latch.takes(*packet) for packet in packets)
    assert latch.destination == SIGNALLED


def test_once_learnt_no_other_is_taken_not_even_the_signalled(latch):
    """Strict until the next negotiation."""
    for _ in range(3):
        latch.takes(NAT, 1)
    assert not latch.takes(SIGNALLED, 1)
    assert not any(latch.takes(STRANGER, 1) for _ in range(1000))
    assert latch.takes(NAT, 99)
    assert latch.destination == NAT


def test_a_negotiation_at_the_same_address_keeps_what_was_learnt_in_use(latch):
    """A hold or refresh must not send audio back to the private address in the SDP; but a phone
    whose NAT gave it a new port can be learnt again."""
    for _ in range(3):
        latch.takes(NAT, 1)
    latch.signal(SIGNALLED)
    assert latch.destination == NAT
    remapped = (NAT[0], 61002)
    assert [latch.takes(remapped, 1) for _ in range(3)] == [False, False, True]
    assert latch.destination == remapped
    latch.signal(SIGNALLED)
    assert latch.takes(remapped, 1)
    assert latch.locked


def test_a_new_address_is_used_at_once_and_the_former_source_still_taken(latch):
    """After a re-INVITE that changes the port the old one sends a little longer; it must not be
    learnt in those moments, or the new one would be a stranger."""
    latch.takes(SIGNALLED, 1)
    latch.signal(MOVED)
    assert latch.destination == MOVED
    assert all(latch.takes(SIGNALLED, 1) for _ in range(FORMER_RUN - 1))
    assert latch.takes(MOVED, 1)
    assert not latch.takes(SIGNALLED, 1)
    assert latch.destination == MOVED


def test_a_former_address_that_had_not_spoken_yet_is_taken_too(latch):
    """The first packets from the old port may come after the re-INVITE that gives it up."""
    latch.signal(MOVED)
    assert latch.takes(SIGNALLED, 1)
    assert not latch.locked
    assert latch.takes(MOVED, 1)


def test_a_former_source_that_stays_ends_the_learning(latch):
    """A phone that changed only where it listens keeps its source; the window closes, and our
    packets go where it listens."""
    latch.takes(SIGNALLED, 1)
    latch.signal(MOVED)
    assert all(latch.takes(SIGNALLED, 1) for _ in range(FORMER_RUN))
    assert not any(latch.takes(STRANGER, 1) for _ in range(1000))
    assert latch.destination == MOVED


def test_a_hold_without_address_stops_sending_and_nothing_else(latch):
    """c=0.0.0.0 (RFC 3264 8.4): the peer wants nothing; its own packets are still its own."""
    for _ in range(3):
        latch.takes(NAT, 1)
    latch.signal(None)
    assert latch.destination is None
    assert latch.takes(NAT, 1)
    assert not any(latch.takes(STRANGER, 1) for _ in range(5))
    latch.signal(SIGNALLED)
    assert latch.destination == NAT


def test_learning_before_the_answer_came():
    """Early media may outrun the answer (RFC 3264 5.1): a steady source is learnt, and stays in
    use when the answer shows another address."""
    latch = Latch()
    assert latch.destination is None
    assert [latch.takes(NAT, 1) for _ in range(3)] == [False, False, True]
    latch.signal(SIGNALLED)
    assert latch.destination == NAT
    assert latch.takes(NAT, 1)


def test_a_held_peer_is_sent_nothing_however_it_is_learnt():
    """An offer that is on hold from the start."""
    latch = Latch()
    latch.signal(None)
    for _ in range(3):
        latch.takes(NAT, 1)
    assert latch.destination is None


@given(st.lists(st.sampled_from([SIGNALLED, MOVED, NAT, STRANGER]), max_size=300))
def test_at_most_one_source_is_taken_once_locked(sources):
    """Whatever comes in whatever order: after the lock one source alone passes."""
    latch = Latch()
    latch.signal(SIGNALLED)
    passed = {source for source in sources if latch.takes(source, 7) and latch.locked}
    assert len(passed) <= 1
