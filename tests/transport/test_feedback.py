"""What we tell of our load (RFC 7339)."""

import pytest

from softswitch.testing.clock import VirtualClock
from softswitch.transport.feedback import MOST, WINDOW, Feedback
from softswitch.transport.overload import RECENT, Overload


class World:
    """A switch of whose new requests some are refused."""

    def __init__(self):
        self.clock = VirtualClock()
        self.overload = Overload(self.clock.seconds)
        self.time = 1282321615.0
        self.feedback = Feedback(self.overload, lambda: self.time)

    def run(self, seconds, refused):
        """So many seconds with 100 new requests each, and a look after each."""
        for _ in range(seconds):
            if refused:
                self.overload.stands(float("-inf"), WINDOW)
            self.feedback.refused += refused
            self.feedback.admitted += 100 - refused
            self.clock.run(WINDOW)
            self.time += 1
            yield self.feedback.share()


@pytest.fixture
def world():
    return World()


def test_the_share_that_is_refused(world):
    """Each second counts half of what there is to say; another half goes with the next."""
    assert list(world.run(3, 40)) == pytest.approx([0.2, 0.3, 0.35])
    assert list(world.run(2, 0)) == pytest.approx([0.175, 0.0875])


def test_some_are_always_wanted(world):
    """Whatever is refused, so that we hear when there are fewer."""
    *_, share = world.run(30, 100)
    assert share == MOST


def test_it_is_over_when_it_is(world):
    """Some seconds after the last refusal nothing is kept back any more (RFC 7339 4.3)."""
    list(world.run(3, 40))
    assert world.feedback.params()["oc-validity"] != "0"
    world.clock.run(RECENT + WINDOW)
    assert world.feedback.share() == 0
    assert world.feedback.params()["oc"] == "0"
    assert world.feedback.params()["oc-validity"] == "0"


def test_each_word_has_a_greater_number(world):
    """Also where the time is set back; the same word has the same one (RFC 7339 4.4)."""
    numbers = []
    for _ in world.run(3, 40):
        numbers.append(float(world.feedback.params()["oc-seq"]))
        assert float(world.feedback.params()["oc-seq"]) == numbers[-1]
        world.time -= 3600
    assert numbers == sorted(set(numbers))
