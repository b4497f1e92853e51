"""Three members and one number."""

import pytest

CONFIG = "desk_queue.toml"


@pytest.fixture
def switch(start_switch):
    return start_switch(CONFIG)


@pytest.fixture
def members(switch):
    return {name: switch.phone(name) for name in ("ann", "ben", "cleo")}


def test_they_ring_in_turn_and_begin_anew(switch, members):
    """15 s each, and after the last one the first again."""
    alice = switch.phone("alice")
    for phone in members.values():
        phone.answers(180)
    call = alice.call("800")
    for turn in range(6):
        name = ("ann", "ben", "cleo")[turn % 3]
        switch.run(7)
        assert [who for who, phone in members.items() if phone.lines and phone.line.open] == [name]
        switch.run(8)
    assert call.statuses[-1] == 480


def test_who_was_idle_for_longest_rings_first(switch, members):
    alice = switch.phone("alice")
    for phone in members.values():
        phone.answers(180, 200)
    answered = []
    for _ in range(4):
        alice.call("800")
        switch.run(1)
        answered += [name for name, phone in members.items() if phone.lines and phone.line.stands]
        alice.hang_up()
        switch.run(1)
    assert answered == ["ann", "ben", "cleo", "ann"]


def test_who_talks_is_not_rung(switch, members):
    """By the queue or called directly."""
    alice, other = switch.phone("alice"), members["cleo"]
    members["ann"].answers(200)
    direct = other.call("ann")
    switch.run(0)
    assert direct.statuses == [200]
    members["ben"].answers(200)
    alice.call("800")
    switch.run(0)
    assert len(members["ann"].lines) == 1
    assert members["ben"].line.stands
    alice.hang_up()
    other.hang_up()


def test_nobody_is_there(switch):
    call = switch.phone("alice").call("800")
    assert (call.statuses, call.responses[-1].reason) == ([480], "Nobody At The Desk")
