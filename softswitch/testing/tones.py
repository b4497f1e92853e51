"""Tones: made, written in G.711 µ-law, and found again in what was heard. Pure.

Samples are 16 bit signed integers, 8,000 per second. Frequencies should be multiples of 10 Hz:
those fit a window of 100 ms whole, so that none spills over into another.
"""

import math
from array import array
from collections.abc import Sequence
from itertools import groupby

#: Samples per second.
RATE = 8000
#: Samples in which one looks for a tone: 100 ms.
WINDOW = 800
#: dB by which a tone must stand above another to be heard.
CLEAR = 20.0
#: dB below full scale of what is not there at all.
SILENCE = -120.0

#: G.711: added to a sample's size, so that each segment begins with a power of two.
_BIAS = 0x84
_LARGEST = 32635


def tone(frequency: float, seconds: float, amplitude: int = 10_000) -> "array[int]":
    """The samples of a sine."""
    step = 2 * math.pi * frequency / RATE
    return array("h", (round(amplitude * math.sin(step * n)) for n in range(round(seconds * RATE))))


def to_mulaw(samples: Sequence[int]) -> bytes:
    """Samples as G.711 µ-law, a byte each."""
    return bytes(map(_encoded, samples))


def from_mulaw(data: bytes) -> "array[int]":
    """The samples of G.711 µ-law."""
    return array("h", map(_DECODED.__getitem__, data))


def level(samples: Sequence[int], frequency: float) -> float:
    """How loud one frequency is, in dB below a sine of full scale; by Goertzel's algorithm."""
    factor = 2 * math.cos(2 * math.pi * frequency / RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    power = last * last + before * before - factor * last * before
    amplitude = 2 * math.sqrt(max(power, 0.0)) / max(len(samples), 1) / 32768
    return max(SILENCE, 20 * math.log10(amplitude)) if amplitude > 0 else SILENCE


def dominant(samples: Sequence[int]) -> int:
    """The loudest frequency of speech, in steps of 10 Hz, from the middle 100 ms; 0 for silence."""
    middle = max(0, (len(samples) - WINDOW) // 2)
    window = samples[middle : middle + WINDOW]
    loudest, frequency = max((level(window, each), each) for each in range(100, 3500, 10))
    return frequency if loudest > SILENCE else 0


def seconds_above(samples: Sequence[int], wanted: float, other: float) -> float:
    """The longest time without a break for which one tone stood clear above another, seconds."""
    clear = (
        level(window, wanted) - level(window, other) >= CLEAR
        for start in range(0, len(samples) - WINDOW + 1, WINDOW)
        for window in (samples[start : start + WINDOW],)
    )
    return max(
        (len(list(run)) * WINDOW / RATE for above, run in groupby(clear) if above), default=0
    )


def _encoded(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    size = min(abs(sample), _LARGEST) + _BIAS
    segment = size.bit_length() - 8
    return ~(sign | segment << 4 | size >> segment + 3 & 0x0F) & 0xFF


def _decoded(byte: int) -> int:
    byte = ~byte & 0xFF
    segment = byte >> 4 & 7
    size = ((byte & 0x0F) << 3 | _BIAS) << segment
    return _BIAS - size if byte & 0x80 else size - _BIAS


_DECODED = tuple(map(_decoded, range(256)))
