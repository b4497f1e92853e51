"""What packets say of their way, by RFC 3550 and RFC 4733, without a socket."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.media.reception import MOST_DIGITS, MOST_STREAMS, Format, Reception

VOICE, EVENTS, VIDEO = 0, 101, 96
FORMATS = {VOICE: Format(8000, False), EVENTS: Format(8000, True), VIDEO: Format(90000, False)}


class Ear:
    """Has packets noted that come every 20 ms, unless it is said otherwise."""

    def __init__(self, readable=True):
        self.reception = Reception()
        self.reception.understand(FORMATS, readable=readable)

    def hears(self, sequence, at=None, timestamp=None, ssrc=7, kind=VOICE, payload=b"voice"):
        """One packet."""
        at = sequence * 0.02 if at is None else at
        timestamp = sequence * 160 if timestamp is None else timestamp
        header = struct.pack("!BBHII", 128, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
        self.reception.notice(
            header + payload, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, at
        )


@pytest.mark.parametrize(
    ("sequences", "lost"),
    [
        (range(65000, 66000), 0),
        ([1, 2, 3, 5, 6, 9], 3),
        ([65534, 65535 + 2], 2),
        ([1, 2, 4, 3, 5], 0),
        ([1, 2, 3, 3, 4], -1),
        ([1, 2, 2000], 1997),
        ([1, 2, 30000, 3], 0),
        ([1, 2, 30000, 30001, 30002], 0),
        ([1, 2, 30000, 30001, 30003], 1),
    ],
    ids=["wrap", "gaps", "gap at the wrap", "late", "twice", "long", "stray", "new", "new, gap"],
)
def test_loss(sequences, lost):
    """Expected less received; a jump of over 3000 counts once two packets agree on it
    (RFC 3550 A.1 and A.3)."""
    ear = Ear()
    for sequence in sequences:
        ear.hears(sequence)
    assert ear.reception.lost == lost


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), min_size=2, max_size=60),
    st.integers(0, 0xFFFFFFFF),
)
def test_jitter(arrivals, start):
    """J += (|D| - J) / 16, where D is by how much more two packets are apart when they come than
    when they were made, wherever the timestamp wraps (RFC 3550 6.4.1 and A.8)."""
    ear = Ear()
    at, before, expected = 0.0, None, 0.0
    for sequence, (delay, marked) in enumerate(arrivals):
        at += delay
        ear.hears(sequence, at, start + 160 * sequence, kind=VOICE | 128 * marked)
        if before is not None and (start + 160 * sequence) & 0xFFFFFFFF >= 160:
            expected += (abs((at - before) * 8000 - 160) - expected) / 16
        before = at
    assert ear.reception.jitter == pytest.approx(expected, abs=1e-3)
    assert ear.reception.jitter_seconds == pytest.approx(expected / 8000, abs=1e-6)


def test_another_time_line_is_no_jitter():
    """A sender that begins to count its samples anew, as after a hold."""
    ear = Ear()
    for sequence in range(5):
        ear.hears(sequence)
    ear.hears(5, timestamp=3_000_000_000)
    ear.hears(6, timestamp=3_000_000_160)
    assert ear.reception.jitter == pytest.approx(0)


def test_another_codecs_clock_begins_the_jitter_anew():
    """Units of one clock are not compared to those of another."""
    ear = Ear()
    ear.hears(0)
    ear.hears(1, at=0.5)
    assert ear.reception.jitter > 0
    ear.hears(2, at=0.52, timestamp=0, kind=VIDEO)
    ear.hears(3, at=0.54, timestamp=1800, kind=VIDEO)
    assert ear.reception.jitter == pytest.approx(0, abs=1e-3)
    assert ear.reception.payload_types == [VOICE, VIDEO]


def test_a_new_stream_loses_nothing_of_the_old_ones_figures():
    """Loss adds up over the streams of a leg; each has numbers of its own (RFC 3550 8)."""
    ear = Ear()
    for sequence in (1, 3):
        ear.hears(sequence, ssrc=1)
    for sequence in (40000, 40002):
        ear.hears(sequence, ssrc=2)
    assert ear.reception.lost == 2
    assert ear.reception.ssrcs == [1, 2]
    for ssrc in range(100):
        ear.hears(0, ssrc=ssrc)
    assert ear.reception.ssrcs == list(range(100 - MOST_STREAMS, 100))


def test_what_is_ordinary_is_a_known_voice_that_was_heard():
    """With marker and without; no event, no unknown type, none of another clock."""
    ear = Ear()
    assert not any(ear.reception.ordinary)
    for sequence, kind in enumerate((VOICE, EVENTS, 55)):
        ear.hears(sequence, kind=kind)
    assert [at for at in range(256) if ear.reception.ordinary[at]] == [VOICE, 128 | VOICE]
    ear.reception.understand({55: Format(8000, False)}, readable=True)
    assert [at for at in range(256) if ear.reception.ordinary[at]] == [55, 128 | 55]


def dial(ear, sequence, digit, start, last=400, step=160, kind=EVENTS):
    """A key that is pressed for a while: the end thrice; the next sequence number."""
    durations = [*range(step, last, step), last, last, last]
    for duration in durations:
        ending = 0x80 * (duration == last)
        payload = struct.pack("!BBH", digit, ending | 10, duration)
        ear.hears(sequence, timestamp=start, kind=kind | 128 * (duration == step), payload=payload)
        sequence += 1
    return sequence


def test_keys_are_counted_and_named_once_each():
    """All packets of a key bear one timestamp, and its end comes three times (RFC 4733 2.5.1);
    they lose nothing and are no jitter."""
    ear = Ear()
    ear.hears(0)
    sequence = 1
    for press, digit in enumerate([1, 1, 0, 10, 11, 12, 15, 16, 200]):
        sequence = dial(ear, sequence, digit, 5000 * press)
    assert (ear.reception.events, ear.reception.digits) == (9, "110*#AD!")
    assert (ear.reception.lost, ear.reception.jitter) == (0, 0)


def test_a_long_key_is_one():
    """A new segment begins where the last ended, without a marker (RFC 4733 2.5.1.3)."""
    ear = Ear()
    for sequence, (start, marker) in enumerate([(0, 128), (0, 0), (65535, 0), (65535, 0)]):
        payload = struct.pack("!BBH", 5, 10, 65535 if sequence == 1 else 160)
        ear.hears(sequence, timestamp=start, kind=EVENTS | marker, payload=payload)
    assert (ear.reception.events, ear.reception.digits) == (1, "5")


def test_encrypted_keys_are_counted_and_not_read():
    """The payloads of SRTP look like anything (RFC 3711)."""
    ear = Ear(readable=False)
    dial(ear, dial(ear, 0, 1, 0), 2, 5000)
    assert (ear.reception.events, ear.reception.digits) == (2, "")


def test_a_key_behind_sources_and_an_extension():
    """The payload begins after both (RFC 3550 5.1 and 5.3.1); one cut short is none."""
    reception = Ear().reception
    for sequence, key in enumerate((b"\x07\x8a\x01\x90", b"\x07")):
        packet = struct.pack("!BBHIIIHHI", 0x91, EVENTS, sequence, 9, 7, 1, 0xBEDE, 1, 5) + key
        reception.notice(packet, EVENTS, sequence, 9, 7, 0.0)
    assert (reception.events, reception.digits) == (1, "7")


def test_nobody_fills_the_memory():
    """Endless keys are counted, and the first are kept."""
    ear = Ear()
    for press in range(200):
        dial(ear, 7 * press, 3, 5000 * press)
    assert (ear.reception.events, ear.reception.digits) == (200, "3" * MOST_DIGITS)


@given(st.lists(st.binary(min_size=12, max_size=40), max_size=30))
def test_no_packet_is_an_error(packets):
    """Whatever it says."""
    reception = Ear().reception
    for packet in packets:
        kind, sequence, timestamp, ssrc = struct.unpack_from("!xBHII", packet)
        reception.notice(packet, kind, sequence, timestamp, ssrc, 1.0)
        reception.notice(packet, EVENTS, sequence, timestamp, ssrc, 1.0)
