"""Strangers who spray a relay's ports get nothing in, nothing out, and end nothing."""

from contextlib import ExitStack

import pytest
from phones import claimed_network
from spray import Spray, faults

#: ``scripts/soak`` has a million over a hundred calls.
PACKETS, CALLS = 50_000, 25


@pytest.mark.parametrize("seed", [1, 2])
def test_strangers_spray_the_ports_of_calls_that_talk(seed):
    """At most 5 packets leak into any stream, whoever is behind a NAT is found all the same, no
    packet goes to a stranger, and all hear each other to the end (RTP injection, RTP Bleed)."""
    with claimed_network() as network, ExitStack() as stack:
        sprayed = Spray(stack, network, CALLS, seed).play(PACKETS)
    assert sprayed.packets == PACKETS
    assert sprayed.dropped > PACKETS / 2
    assert faults(sprayed) == []
