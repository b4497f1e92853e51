"""The switch at a glance, and what is kept of the last minutes."""

import pytest

from softswitch.api.figures import KEPT_SECONDS, SAMPLE_SECONDS, Lag

STATES = ("trying", "ringing", "talking")


def now(desk):
    return desk.get("/api/v1/figures").json["now"]


def test_calls_by_state(stage, desk):
    """Each is counted in one state at a time; in the end as answered."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    seen = []
    for step in (lambda: alice.call("bob"), bob.ring, bob.answer, alice.hang_up):
        step()
        seen.append([now(desk)[each] for each in STATES])
    assert seen == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    figures = now(desk)
    assert (figures["begun"], figures["answered"], figures["unanswered"]) == (1, 1, 0)
    assert figures["registrations"] == 2


@pytest.mark.parametrize("rings", [True, False])
def test_a_call_that_is_refused(stage, desk, rings):
    """It counts as unanswered, whether it rang or not, and is in no state any more."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    if rings:
        bob.ring()
    bob.refuse(486)
    figures = now(desk)
    assert [figures[each] for each in (*STATES, "answered", "unanswered")] == [0, 0, 0, 0, 1]


def test_a_call_by_its_id(stage, desk):
    """So that a page can see without an error whether it goes on."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    [shown] = desk.get("/api/v1/calls").json["calls"]
    found = "/api/v1/calls?id="
    assert desk.get(f"{found}{shown['id']}").json["calls"] == [shown]
    assert desk.get(f"{found}{shown['id']}&state=ringing").json["calls"] == []
    assert desk.get(f"{found}nobody").json["calls"] == []
    alice.hang_up()


def test_who_one_is(desk):
    """By the token, with what it allows."""
    for role in ("view", "operate", "admin"):
        assert desk.get("/api/v1/me", role=role).json["role"] == role


def test_the_worst_lag_of_the_last_moments():
    """It is shown for one sample more, and forgotten."""
    lag = Lag()
    for seconds in (0.01, 0.3, 0.02):
        lag(seconds)
    assert lag.worst == 0.3
    lag.turn()
    lag(0.05)
    assert lag.worst == 0.3
    lag.turn()
    assert lag.worst == 0.05


@pytest.mark.parametrize(("seconds", "count"), [(1, 1), (SAMPLE_SECONDS * 3, 3), (3600, 720)])
def test_the_last_minutes(desk, seconds, count):
    """As many samples as fit into the time, the earliest first, and no more than an hour's."""
    for _ in range(KEPT_SECONDS // SAMPLE_SECONDS + 5):
        desk.api.figures.keep()
    history = desk.get(f"/api/v1/figures/history?seconds={seconds}").json
    assert history["seconds"] == SAMPLE_SECONDS
    assert len(history["samples"]) == count
