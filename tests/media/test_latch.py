"""Whose packets a relay's port takes, and where it sends, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.media.latch import (
    FORMER_RUN,
    STRANGE_RUN,
    STRANGE_SPAN,
    WATCHED,
    WINDOW,
    Latch,
)

SIGNALLED, MOVED = ("192.0.2.1", 4000), ("192.0.2.1", 4002)
NAT, STRANGER = ("198.51.100.7", 61000), ("203.0.113.66", 666)


class Port:
    """A latch to which packets come every 20 ms."""

    def __init__(self):
        self.latch = Latch()
        self.now = 100.0

    def signal(self, address, home=NAT[0]):
        """A negotiation has ended."""
        self.latch.signal(address, self.now, home)

    def takes(self, address, stream, after=0.02):
        """The next packet."""
        self.now += after
        return self.latch.takes(address, stream, self.now)

    def returns(self, address, stream, heard, after=0.02):
        """The next packet, though another source was found."""
        self.now += after
        return self.latch.returns(address, stream, heard, self.now)

    def learns(self, address, stream=1, packets=3):
        """As many packets as it takes, and no fewer."""
        assert not any(self.takes(address, stream) for _ in range(packets - 1))
        assert self.takes(address, stream)

    def __getattr__(self, name):
        return getattr(self.latch, name)


@pytest.fixture
def latch():
    """A port whose peer's SDP has come."""
    port = Port()
    port.signal(SIGNALLED)
    return port


def test_packets_go_to_the_signalled_address_until_another_is_learnt(latch):
    """Nothing has come yet: what the SDP says is all there is."""
    assert latch.destination == SIGNALLED
    latch.learns(NAT)
    assert latch.takes(NAT, 1)
    assert latch.destination == NAT


def test_the_signalled_address_is_taken_at_once_and_alone(latch):
    """It is preferred: its first packet ends the learning."""
    assert not latch.takes(STRANGER, 1)
    assert latch.takes(SIGNALLED, 2)
    assert not any(latch.takes(STRANGER, 1) for _ in range(1000))
    assert latch.destination == SIGNALLED


def test_three_packets_of_one_stream_and_no_fewer(latch):
    """Another SSRC begins the count anew; what others send meanwhile does not, or a stranger could
    keep a phone from being heard."""
    for packet in [(NAT, 1), (NAT, 1), (NAT, 2), (NAT, 2)]:
        assert not latch.takes(*packet)
    assert latch.destination == SIGNALLED
    assert not latch.takes(STRANGER, 3)
    assert latch.takes(NAT, 2)
    assert latch.destination == NAT


def test_a_flood_is_not_learnt_before_the_peer_has_spoken(latch):
    """Its packets come all at once; those of a phone last for a while."""
    assert not any(latch.takes(STRANGER, 1, after=STRANGE_SPAN / 1001) for _ in range(1000))
    assert latch.takes(SIGNALLED, 2)
    assert not any(latch.takes(STRANGER, 1) for _ in range(1000))


def test_strangers_from_everywhere_do_not_hide_a_phone(latch):
    """However many there are, a few are watched, and who has sent more stays among them."""
    assert not latch.takes(NAT, 1)
    assert not latch.takes(NAT, 1)
    for port in range(1000, 1000 + 10 * WATCHED):
        for _ in range(3):
            assert not latch.takes((STRANGER[0], port), port, after=0)
    assert latch.takes(NAT, 1)


def test_once_learnt_no_other_is_taken_not_even_the_signalled(latch):
    """Strict until the next negotiation."""
    latch.learns(NAT)
    assert not latch.takes(SIGNALLED, 1)
    assert not any(latch.takes(STRANGER, 1) for _ in range(1000))
    assert latch.takes(NAT, 99)
    assert latch.destination == NAT


def test_a_negotiation_at_the_same_address_keeps_what_was_learnt_in_use(latch):
    """A hold or refresh must not send audio back to the private address in the SDP; but a phone
    whose NAT gave it a new port can be learnt again."""
    latch.learns(NAT)
    latch.signal(SIGNALLED)
    assert latch.destination == NAT
    remapped = (NAT[0], 61002)
    latch.learns(remapped)
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


def test_the_signalled_address_with_a_stream_of_its_own_is_learnt_again(latch):
    """A phone's calls come out of its NAT no more, but from where it has said; not one packet that
    somebody sends twice, nor what comes from anywhere else."""
    latch.learns(NAT, 1)
    assert not any(latch.returns(SIGNALLED, 1, heard=1) for _ in range(10))
    assert not any(latch.returns(STRANGER, 2, heard=1) for _ in range(10))
    assert [latch.returns(SIGNALLED, 2, heard=1) for _ in range(3)] == [False, False, True]
    assert latch.destination == SIGNALLED
    assert latch.takes(SIGNALLED, 2)
    assert not latch.takes(NAT, 1)


def test_an_address_of_a_link_is_known_without_its_scope():
    """An SDP names none; packets go back with the one that the kernel has told."""
    port = Port()
    port.signal(("fe80::1", 4000, 0, 0))
    assert port.takes(("fe80::1", 4000, 0, 3), 1)
    assert port.destination == ("fe80::1", 4000, 0, 3)


def test_a_reopened_port_prefers_the_signalled_address(latch):
    """RTCP follows RTP; what was found is taken until another shows itself."""
    latch.learns(NAT)
    latch.reopen()
    assert latch.destination == NAT
    assert latch.takes(SIGNALLED, 1)
    assert not latch.takes(NAT, 1)


def test_an_unknown_host_is_found_in_the_first_seconds_only(latch):
    """A silent peer's port is no place where a stranger may listen (RTP Bleed): a host that is not
    the SDP's, nor that of the signalling, has until the window ends. The others have for ever."""
    latch.learns(STRANGER, packets=STRANGE_RUN)
    latch.signal(SIGNALLED)
    other = ("203.0.113.67", 666)
    assert not any(latch.takes(other, 1, after=WINDOW / 2 + 1) for _ in range(50))
    latch.learns((SIGNALLED[0], 5000))
    latch.signal(SIGNALLED)
    latch.now += 1000
    latch.learns(NAT)


def test_the_window_opens_anew_when_the_call_begins(latch):
    """A carrier may send nothing while its phone rings, long after its early answer."""
    latch.now += 60
    latch.begin(latch.now)
    latch.learns(STRANGER, packets=STRANGE_RUN)


def test_who_spoke_before_the_answer_and_is_nobody_known_is_learnt_again():
    """Nothing was known of the peer then; now it is preferred, and what is for it goes to it."""
    port = Port()
    port.learns(STRANGER, packets=STRANGE_RUN)
    port.signal(SIGNALLED)
    assert port.destination == SIGNALLED
    assert not port.takes(STRANGER, 1)
    assert port.takes(SIGNALLED, 2)


def test_reports_come_from_where_the_audio_does(latch):
    """Most phones send few or none, so that a stranger has all the time of a call: a host at which
    no audio was found will not do."""
    reports = Port()
    reports.latch.beside = latch.latch
    reports.signal(("192.0.2.1", 4001))
    assert not any(reports.takes(STRANGER, 1) for _ in range(100))
    latch.learns(STRANGER, packets=STRANGE_RUN)
    assert reports.takes(STRANGER, 1)


def test_a_hold_without_address_stops_sending_and_nothing_else(latch):
    """c=0.0.0.0 (RFC 3264 8.4): the peer wants nothing; its own packets are still its own."""
    latch.learns(NAT)
    latch.signal(None)
    assert latch.destination is None
    assert latch.takes(NAT, 1)
    assert not any(latch.takes(STRANGER, 1) for _ in range(5))
    latch.signal(SIGNALLED)
    assert latch.destination == NAT


def test_learning_before_the_answer_came():
    """Early media may outrun the answer (RFC 3264 5.1): a steady source is learnt, and stays in
    use when the answer shows another address."""
    latch = Port()
    assert latch.destination is None
    latch.learns(NAT, packets=STRANGE_RUN)
    latch.signal(SIGNALLED)
    assert latch.destination == NAT
    assert latch.takes(NAT, 1)


def test_a_held_peer_is_sent_nothing_however_it_is_learnt():
    """An offer that is on hold from the start."""
    latch = Port()
    latch.signal(None)
    latch.learns(NAT)
    assert latch.destination is None


@given(st.lists(st.sampled_from([SIGNALLED, MOVED, NAT, STRANGER]), max_size=300))
def test_at_most_one_source_is_taken_once_locked(sources):
    """Whatever comes in whatever order: after the lock one source alone passes."""
    latch = Port()
    latch.signal(SIGNALLED)
    passed = {source for source in sources if latch.takes(source, 7) and latch.locked}
    assert len(passed) <= 1
