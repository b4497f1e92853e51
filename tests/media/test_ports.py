"""The relay's port pairs: even and odd, shuffled, in quarantine, exhausted."""

import random

import pytest

from softswitch.errors import MediaError
from softswitch.media.ports import PortPool
from softswitch.testing.clock import VirtualClock


def pool(clock, first=20001, last=20010, quarantine=10.0):
    """A small pool in a known order."""
    return PortPool(first, last, quarantine, clock.seconds, random.Random(1))


def test_pairs_are_even_lie_in_the_range_and_come_in_no_order():
    """RTP on an even port, RTCP on the next (RFC 3550 11), both within the range."""
    ports = pool(VirtualClock(), 20001, 20200)
    taken = [ports.take() for _ in range(99)]
    assert sorted(taken) == list(range(20002, 20200, 2))
    assert taken != sorted(taken)
    assert ports.in_use == 99


def test_exhaustion_is_a_503():
    """No ports left: the call is refused, nothing else happens."""
    ports = pool(VirtualClock(), 20000, 20001)
    ports.take()
    with pytest.raises(MediaError) as caught:
        ports.take()
    assert caught.value.status == 503


def test_a_pair_waits_before_it_is_used_again():
    """Late packets of one call must not be heard in the next."""
    clock = VirtualClock()
    ports = pool(clock, 20000, 20001)
    ports.give_back(ports.take())
    assert ports.in_use == 0
    clock.run(9.9)
    assert ports.free == 0
    clock.run(0.1)
    assert ports.free == 1
    assert ports.take() == 20000
