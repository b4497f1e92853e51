"""A running switch under mutated messages, beside good calls; ``scripts/soak`` sends 10^5."""

from pathlib import Path

import pytest
import wire

#: Messages, and the seconds in which they come.
MESSAGES, SECONDS = 5000, 10


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("bans", [False, True])
def test_good_calls_succeed_beside_mutated_messages(tmp_path: Path, bans: bool):
    """All of ten calls a second, whether who sends the others is banned or not; nothing is left
    open, nothing leaks, and the switch has caught no exception."""
    assert wire.play(tmp_path, MESSAGES, SECONDS, seed=6, bans=bans) == []
