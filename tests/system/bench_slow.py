"""By how much 2,000 slow connections delay a good phone on TLS, and what is left of them."""

from contextlib import ExitStack
from pathlib import Path
from statistics import median

from slow import Beside

#: Slow connections.
SLOW = 2000
#: What the good phone does, with them and without.
ROUNDS = 101
#: Seconds by which the longest of its rounds may take longer.
LONGEST = 0.2
#: After which the switch has had enough of a slow connection, and within which they are gone.
PATIENCE, GONE = 60, 120


def measure(folder: Path, network: str) -> list[str]:
    """Print the figures.

    :returns: what was missed.
    """
    missed = []
    with ExitStack() as stack:
        beside = Beside(stack, folder, network, PATIENCE)
        switch = beside.siege.switch
        alone = beside.measure(ROUNDS)
        beside.slow_down(SLOW)
        slowed = beside.measure(ROUNDS)
        live = switch.stats()["connections"]
        delay = max(slowed) - max(alone)
        for who, took in (("alone", alone), (f"beside {live} slow connections", slowed)):
            print(
                f"to connect over TLS, register and ask takes {median(took) * 1e3:.1f} ms, "
                f"{max(took) * 1e3:.1f} at most, {who}"
            )
        print(f"the longest is delayed by {delay * 1e3:.1f} of {LONGEST * 1e3:.0f} ms")
        if delay > LONGEST:
            missed.append(f"slow: a good phone is delayed by {delay:.3f} s")
        if live < SLOW:
            missed.append(f"slow: only {live} slow connections were open")
        try:
            switch.until(lambda: beside.descriptors() == beside.before, GONE)
        except TimeoutError:
            missed.append(f"slow: {beside.descriptors()} are open, not {beside.before}")
        before, after = beside.before.total(), beside.descriptors().total()
        print(f"descriptors: {before} before, {after} after")
    for each in missed:
        print(f"MISSED {each}")
    return missed
