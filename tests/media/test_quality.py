"""The estimate of how a call has sounded (ITU-T G.107)."""

import pytest

from softswitch.media.quality import CODECS, mos, mos_of_rating, rating


@pytest.mark.parametrize(
    ("r", "score"), [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)]
)
def test_the_score_of_a_rating(r, score):
    """G.107 annex B, figure and table B.1."""
    assert mos_of_rating(r) == pytest.approx(score, abs=0.01)


def test_the_ends_of_the_scale():
    """Nothing is worse than 1 nor better than 4.5, between which more is better."""
    assert (mos_of_rating(-5), mos_of_rating(0), mos_of_rating(100)) == (1, 1, 4.5)
    scores = [mos_of_rating(r) for r in range(7, 101)]
    assert scores == sorted(scores)


@pytest.mark.parametrize(
    ("codec", "loss", "effective"),
    [("PCMU", 0.0, 0.0), ("PCMA", 0.05, 15.78), ("G729", 0.0, 11.0), ("G729", 0.02, 19.0)],
)
def test_codec_and_loss_are_taken_off(codec, loss, effective):
    """Ie,eff of G.107 7.2, by hand: 95 * 5 / (5 + 25.1); 11 + 84 * 2 / (2 + 19)."""
    assert rating(codec, loss, 0.0) == pytest.approx(93.2 - effective, abs=0.01)


def test_delay_is_taken_off_and_more_of_it_beyond_177_ms():
    """Cole and Rosenbluth: 0.024 a millisecond, and 0.11 more beyond."""
    assert rating("PCMU", 0.0, 100.0) == pytest.approx(93.2 - 2.4)
    assert rating("PCMU", 0.0, 277.3) == pytest.approx(93.2 - 0.024 * 277.3 - 11.0)


@pytest.mark.parametrize("codec", [*CODECS, "OPUS", ""])
def test_worse_is_worse(codec):
    """More loss, more jitter or a longer way never sound better, and the scale is kept to."""
    for worse in ({"loss": 0.3}, {"jitter": 0.2}, {"round_trip": 2.0}, {"loss": 7.0}):
        assert 1.0 <= mos(codec, **{"loss": 0.0, **worse}) < mos(codec, 0.0) <= 4.4
