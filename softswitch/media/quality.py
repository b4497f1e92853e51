"""How good a call may have sounded: an estimate by the E-model (ITU-T G.107). Pure.

What G.107 knows of telephones and rooms has its default here, so that its rating factor is 93.2
before delay, codec and loss are taken off:

    R = 93.2 - Id - Ie,eff

- ``Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl)`` with ``BurstR`` 1, losses being taken to
  be random: G.107 (06/2015) 7.2, ``Ie`` and ``Bpl`` of a codec by G.113 appendix I.
- ``Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3)``: the simplification of G.107's delay impairment
  by Cole and Rosenbluth, "Voice over IP performance monitoring" (2001).
- ``MOS = 1 + 0.035 R + R (R - 60) (100 - R) 7e-6``: G.107 annex B.

It is an estimate, and says at best what a listener may have heard: what happened before the packets
reached us, echo and noise, is not in it.
"""

from typing import Final, NamedTuple


class Codec(NamedTuple):
    """What a codec does to speech.

    :ivar impairment: ``Ie``, without any loss.
    :ivar robustness: ``Bpl``, against random loss.
    """

    impairment: float
    robustness: float


#: A telephone that conceals losses: G.711 with appendix I, by G.113.
_G711: Final = Codec(0.0, 25.1)

#: Upper-case name, as in ``a=rtpmap`` -> what it does. G.113 appendix I has no ``Bpl`` for GSM full
#: rate and none of both for iLBC, whose values come from measurements beside G.729: rough.
CODECS: Final = {
    "PCMU": _G711,
    "PCMA": _G711,
    "G729": Codec(11.0, 19.0),
    "G723": Codec(15.0, 16.1),
    "GSM": Codec(20.0, 10.0),
    "GSM-EFR": Codec(5.0, 10.0),
    "ILBC": Codec(11.0, 32.0),
}

#: Milliseconds that speech takes besides the network's: a packet's length and a codec's look-ahead.
PACKET_MS: Final = 40.0


def rating(codec: str, loss: float, delay_ms: float) -> float:
    """The rating factor R, 0 to 93.2.

    :param codec: upper-case name; of one that nobody knows, G.711 is the best guess.
    :param loss: share of the packets that got lost, 0.0 to 1.0.
    :param delay_ms: from mouth to ear.
    """
    impairment, robustness = CODECS.get(codec, _G711)
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    effective = impairment + (95.0 - impairment) * percent / (percent + robustness)
    late = max(0.0, delay_ms - 177.3)
    return max(0.0, 93.2 - effective - 0.024 * max(0.0, delay_ms) - 0.11 * late)


def mos_of_rating(r: float) -> float:
    """The mean opinion score of a rating factor, 1.0 to 4.5."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6)


def mos(codec: str, loss: float, jitter: float = 0.0, round_trip: float | None = None) -> float:
    """How good a stream may have sounded, to one hundredth.

    The receiver is taken to hold packets back for twice the jitter, so that what is late is not
    lost.

    :param codec: upper-case name.
    :param loss: share of its packets that got lost, 0.0 to 1.0.
    :param jitter: seconds (RFC 3550 6.4.1).
    :param round_trip: seconds; None where nobody knows, for none.
    """
    delay_ms = PACKET_MS + 2000.0 * jitter + 500.0 * (round_trip or 0.0)
    return round(mos_of_rating(rating(codec, loss, delay_ms)), 2)
