"""How much a neighbour can bear, by its own word (RFC 7339)."""

from random import Random

import pytest

from softswitch.testing.clock import VirtualClock
from softswitch.transaction.throttle import LONGEST, USUAL, Throttle

WORD = {"oc": "100", "oc-algo": '"loss"', "oc-validity": "1000", "oc-seq": "1282321615.782"}


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def throttle(clock):
    return Throttle(clock.seconds, Random(7))


def test_it_holds_for_as_long_as_it_says(clock, throttle):
    """In milliseconds (RFC 7339 4.3)."""
    assert not throttle.keeps_back()
    throttle.heed(WORD)
    clock.run(0.99)
    assert throttle.keeps_back()
    clock.run(0.01)
    assert not throttle.keeps_back()


def test_how_long_without_a_word_of_it(clock, throttle):
    """Half a second (RFC 7339 4.3); and never longer than a minute."""
    throttle.heed({key: value for key, value in WORD.items() if key != "oc-validity"})
    clock.run(USUAL - 0.01)
    assert throttle.keeps_back()
    clock.run(0.01)
    assert not throttle.keeps_back()
    throttle.heed({**WORD, "oc-validity": "999999999"})
    clock.run(LONGEST)
    assert not throttle.keeps_back()


@pytest.mark.parametrize("last", [{"oc": "0"}, {"oc-validity": "0"}])
def test_it_can_be_taken_back(throttle, last):
    """By 0 of either (RFC 7339 4.3)."""
    throttle.heed(WORD)
    throttle.heed({**WORD, "oc-seq": "1282321616.0", **last})
    assert not throttle.keeps_back()


def test_an_older_word_says_nothing(throttle):
    """Responses may overtake each other (RFC 7339 4.4)."""
    throttle.heed(WORD)
    for older in ("1282321615.781", "1282321614.99999", "9.9"):
        throttle.heed({**WORD, "oc": "0", "oc-seq": older})
        assert throttle.keeps_back()
    throttle.heed({**WORD, "oc": "0", "oc-seq": "1282321615.7821"})
    assert not throttle.keeps_back()


@pytest.mark.parametrize(
    "wrong",
    [
        {"oc": "101"},
        {"oc": "-1"},
        {"oc": "\u0663"},
        {"oc": "1_0"},
        {"oc": ""},
        {"oc": None},
        {"oc-algo": '"rate"'},
        {"oc-algo": None},
        {"oc-validity": "soon"},
        {"oc-validity": "-1"},
        {"oc-seq": None},
        {"oc-seq": "1"},
        {"oc-seq": "1.1.1"},
        {"oc-seq": "1234567890123.1"},
    ],
)
def test_what_cannot_be_read_says_nothing(throttle, wrong):
    """Nor what names another algorithm than we offer (RFC 7339 4)."""
    throttle.heed({**WORD, **wrong})
    assert not throttle.keeps_back()
    throttle.heed({})
    assert not throttle.keeps_back()


def test_the_share_is_drawn_by_lots(throttle):
    """So that it is one for any kind of traffic (RFC 7339 6.3)."""
    throttle.heed({**WORD, "oc": "25"})
    kept = sum(throttle.keeps_back() for _ in range(10_000))
    assert 2300 < kept < 2700
