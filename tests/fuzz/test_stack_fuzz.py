"""The whole switch against mutated messages, from strangers, phones, trunks and within dialogs."""

import os
from multiprocessing import get_context
from random import Random

import pytest
from hostile import FUZZING, MESSAGES, besiege, corpus, messages
from hypothesis import given
from hypothesis import strategies as st

from softswitch.testing.siege import GATEWAY, INSIDER, STRANGER, Siege

#: Messages of the seeded mutator in ``scripts/test``.
SEEDED = 200_000
#: Growth of the memory after the first half that is taken for noise: caches are filling still.
GREATEST_GROWTH = 0.05


def test_two_hundred_thousand_messages_by_a_seed():
    """Nothing that they do leaves the stack as an exception; the memory stays as it is; after the
    longest timer no call, dialog, transaction, scope or timer is left; and calls that others make
    meanwhile come about."""
    sent, sizes = 0, {}
    with get_context("fork").Pool(min(2, os.cpu_count() or 1)) as pool:
        for pid, number, size in pool.imap_unordered(_besiege, range(SEEDED // MESSAGES)):
            sent += number
            sizes.setdefault(pid, []).append(size)
    assert sent == SEEDED
    for of_process in sizes.values():
        half = len(of_process) // 2
        growth = max(of_process[half:]) / max(of_process[:half]) - 1
        assert growth < GREATEST_GROWTH, of_process


def _besiege(seed: int) -> tuple[int, int, int]:
    try:
        return (os.getpid(), *besiege(seed))
    except BaseException as error:
        raise RuntimeError(f"seed {seed}: {type(error).__name__}: {error}") from error


class World:
    """A siege that lasts for some hundred examples; one that has failed is not used again."""

    def __init__(self) -> None:
        self.siege: Siege | None = None

    def strike(self, host: str, data: bytes) -> None:
        siege, self.siege = self.siege, None
        if siege is None:
            siege = Siege(Random(0), corpus())
        siege.sent += 1
        siege.send(data, host)
        siege.stage.run(0.05)
        if siege.sent == 500:
            siege.good_call()
            siege.end()
        else:
            self.siege = siege


@pytest.fixture(scope="module")
def world():
    made = World()
    yield made
    if made.siege is not None:
        made.siege.end()


@FUZZING
@given(st.sampled_from((STRANGER, INSIDER, GATEWAY)), messages())
def test_no_message_breaks_the_switch(world: World, host: str, data: bytes):
    """The same by Hypothesis, which shortens what it finds."""
    world.strike(host, data)
