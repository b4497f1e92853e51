"""Tones are found where they are, and µ-law is ITU-T G.711's."""

from array import array

import pytest

from softswitch.testing.tones import (
    RATE,
    SILENCE,
    dominant,
    from_mulaw,
    level,
    seconds_above,
    to_mulaw,
    tone,
)


@pytest.mark.parametrize(
    ("byte", "sample"),
    [(0xFF, 0), (0x7F, 0), (0x80, 32124), (0x00, -32124), (0x8F, 16764), (0xFE, 8), (0x7E, -8)],
)
def test_mulaw_values(byte: int, sample: int):
    """The ends, the zeros and the steps of G.711's table, in 16 bits."""
    assert list(from_mulaw(bytes([byte]))) == [sample]
    if byte != 0x7F:  # the zero below zero is never sent
        assert to_mulaw([sample]) == bytes([byte])


def test_each_mulaw_byte_comes_back():
    """Decoded and encoded again, a byte is itself, the second zero apart; what is too loud is
    cut off."""
    every = bytes(range(256))
    assert to_mulaw(from_mulaw(every)) == every.replace(b"\x7f", b"\xff")
    assert to_mulaw([32767, -32768]) == b"\x80\x00"


def test_a_tone_stands_clear_of_what_mulaw_adds():
    """Full scale is 0 dB; after µ-law a tone is still 40 dB above any other frequency."""
    assert level(tone(1000, 1, 32767), 1000) == pytest.approx(0, abs=0.01)
    heard = from_mulaw(to_mulaw(tone(440, 1)))
    assert dominant(heard) == 440
    assert level(heard, 440) - level(heard, 1000) > 40


def test_silence_has_no_tone():
    """Nor have no samples at all."""
    assert dominant(array("h", bytes(2 * RATE))) == 0
    assert dominant(array("h")) == 0
    assert level([], 440) == SILENCE


def test_a_break_ends_the_count():
    """The longest stretch counts, and both tones at once are none."""
    first, both, last = tone(440, 1), tone(440, 0.5), tone(440, 2)
    both = array("h", map(sum, zip(both, tone(1000, 0.5), strict=True)))
    heard = first + both + last
    assert seconds_above(heard, 440, 1000) == 2
    assert seconds_above(heard, 1000, 440) == 0
    assert seconds_above([], 1000, 440) == 0
