"""Every outcome of a call, with SIPp as caller and callee and the switch a process between them.

The caller and the callee are trunks.
"""

from pathlib import Path

import pytest
from trunks import Stage, played

pytestmark = pytest.mark.peer("sipp")


@pytest.mark.parametrize(
    ("caller", "callee", "who"),
    [
        ("caller_hangs_up", "callee_answers", "caller"),
        ("caller_is_hung_up_on", "callee_hangs_up", "callee"),
        ("caller_hears_early_media", "callee_plays_early_media", "caller"),
    ],
)
def test_an_answered_call(stage: Stage, caller: str, callee: str, who: str):
    """Answered, and hung up from either side (RFC 3261 13, 15); early media passes before the
    answer; the record says who hung up."""
    played(stage.callee(callee), stage.caller(caller))
    record = stage.record()
    assert (record["status"], record["hung_up"]) == (200, who)
    assert record["invited"] <= record["ringing"] <= record["answered"] <= record["ended"]
    (attempt,) = record["attempts"]
    assert (attempt["trunk"], attempt["status"]) == ("callee", 200)
    assert attempt["call_id_b"] != record["call_id_a"]
    stage.close()


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (486, "Busy Here", 486),
        (603, "Decline", 603),
        (404, "Not Found", 404),
        (480, "Temporarily Unavailable", 480),
        (503, "Service Unavailable", 500),
        (401, "Unauthorized", 403),
        (407, "Proxy Authentication Required", 403),
    ],
)
def test_a_refusal_crosses_by_the_table(stage: Stage, status: int, reason: str, told: int):
    """Busy, decline and not found pass; a far 503 must not stop the caller from calling anybody
    (RFC 3261 16.7 step 6), and nobody can answer a challenge that is not his."""
    callee = stage.callee("callee_refuses", status=status, reason=reason)
    played(stage.caller("caller_is_refused", status=told), callee)
    record = stage.record()
    assert (record["status"], record["answered"], record["hung_up"]) == (told, None, "callee")
    (attempt,) = record["attempts"]
    assert attempt["status"] == status
    stage.close()


def test_a_cancel_before_ringing_waits_for_a_provisional_response(stage: Stage):
    """The callee has not said a word when the CANCEL comes: it is kept until he does (9.1)."""
    callee = stage.callee("callee_is_cancelled", status=100, reason="Trying", pause=500)
    played(stage.caller("caller_cancels_before_ringing"), callee)
    record = stage.record()
    assert (record["status"], record["hung_up"]) == (487, "caller")
    assert record["ringing"] is None
    stage.close()


def test_a_cancel_after_ringing_crosses(stage: Stage):
    """CANCEL after 180: 200 and 487 to the caller, CANCEL to the callee (9.1, 9.2)."""
    callee = stage.callee("callee_is_cancelled", status=180, reason="Ringing", pause=0)
    played(stage.caller("caller_cancels_ringing"), callee)
    record = stage.record()
    assert (record["status"], record["hung_up"]) == (487, "caller")
    assert record["ringing"] is not None
    stage.close()


def test_a_cancel_that_meets_the_callees_200_ends_it(stage: Stage):
    """The caller has been told 487; the callee's 200 is acknowledged and ended with BYE."""
    callee = stage.callee("callee_answers_cancelled")
    played(stage.caller("caller_cancels_ringing"), callee)
    record = stage.record()
    assert (record["status"], record["answered"], record["hung_up"]) == (487, None, "caller")
    stage.close()


def test_a_cancel_that_meets_our_200_changes_nothing(stage: Stage):
    """It is answered, and the call goes on (RFC 3261 9.2, RFC 6026 7.1)."""
    played(stage.callee("callee_answers"), stage.caller("caller_cancels_too_late"))
    record = stage.record()
    assert (record["status"], record["hung_up"]) == (200, "caller")
    stage.close()


def test_a_200_that_comes_again_is_acknowledged_again(stage: Stage):
    """RFC 3261 13.2.2.4."""
    callee = stage.callee("callee_repeats_its_answer", "-nr")
    played(stage.caller("caller_hangs_up", "-d", "1000"), callee)
    assert stage.record()["status"] == 200
    stage.close()


def test_nobody_picks_up(tmp_path: Path, transport: str):
    """The ring time-out cancels the far leg and the caller is told 480."""
    stage = Stage(tmp_path, transport, ring_seconds=1)
    try:
        callee = stage.callee("callee_is_cancelled", status=180, reason="Ringing", pause=0)
        played(stage.caller("caller_is_refused", status=480), callee)
        record = stage.record()
        assert (record["status"], record["answered"]) == (480, None)
        assert record["ringing"] is not None
        stage.close()
    finally:
        stage.clear()


def test_a_dead_callee(stage: Stage):
    """Not even a 100 within ``try_seconds``: long before timer B the caller is told 500, since the
    trunk has no other member; the record knows that this one was silent."""
    stage.silent_callee(3)
    played(stage.caller("caller_is_refused", status=500))
    record = stage.record()
    assert (record["status"], record["ringing"]) == (500, None)
    assert [attempt["status"] for attempt in record["attempts"]] == [408]
    stage.close()


def test_a_dead_callee_is_passed_over(tmp_path: Path, transport: str):
    """The trunk's next address gets the call."""
    stage = Stage(tmp_path, transport, callees=(4, 3))
    try:
        stage.silent_callee(4)
        played(stage.callee("callee_answers"), stage.caller("caller_hangs_up"))
        record = stage.record()
        assert (record["status"], record["hung_up"]) == (200, "caller")
        assert [attempt["status"] for attempt in record["attempts"]] == [408, 200]
        stage.close()
    finally:
        stage.clear()


def test_a_late_answer_is_acknowledged_and_ended(stage: Stage):
    """A callee who was passed over and then answers is not left talking to nobody."""
    callee = stage.callee("callee_answers_late", pause=2500)
    played(stage.caller("caller_is_refused", status=500), callee)
    assert stage.record()["status"] == 500
    stage.close()


def test_a_caller_who_never_acknowledges_loses_the_call(tmp_path: Path):
    """The 200 is sent again until 64*T1 have gone by; then both legs get BYE (13.3.1.4). Over UDP
    and over TCP at the same time, since it takes 32 seconds."""
    stages = [Stage(tmp_path, transport) for transport in ("udp", "tcp")]
    try:
        peers = [
            peer
            for stage in stages
            for peer in (
                stage.callee("callee_answers"),
                stage.caller("caller_never_acknowledges"),
            )
        ]
        played(*peers, seconds=45)
        for stage in stages:
            record = stage.record()
            assert (record["status"], record["hung_up"]) == (200, "switch")
            stage.close()
    finally:
        for stage in stages:
            stage.clear()
