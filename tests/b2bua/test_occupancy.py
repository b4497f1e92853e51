"""In how many calls a user may be, and what is beyond that."""

import attrs
import pytest

from softswitch.plugin.views import CallLimits, User
from softswitch.sip.digest import ha1
from softswitch.testing.stage import CONFIG, Stage


@pytest.fixture
def stage():
    """A stage on which Bob has limits; a phone for each user."""
    stages = []

    def make(policies=(), **limits):
        names = ["users", "registration", *policies, "located"]
        made = Stage(
            {
                "users": {**CONFIG["users"], "bob": {"password": "bob", **limits}},
                "policy": [{"use": name} for name in names],
            }
        )
        stages.append(made)
        return made, *(made.phone(name) for name in ("alice", "bob", "carol"))

    yield make
    for made in stages:
        made.close()


def connected(caller, callee):
    """The caller's line of a call that the callee has answered."""
    line = caller.call(callee.name)
    callee.answer()
    assert line.statuses[-1] == 200
    return line


def limits(made):
    """What the records say, in their order."""
    return [(record.status, record.limit) for record in made.records]


@pytest.mark.parametrize("status", [486, 480])
@pytest.mark.parametrize("key", ["max_calls", "max_calls_in"])
def test_calls_to_a_user(stage, key, status):
    """One more than he may be in is refused before a phone rings, as configured; the record says
    by which limit. When one has ended there is room again."""
    made, alice, bob, carol = stage(**{key: 1, "max_calls_status": status})
    line = connected(alice, bob)
    assert carol.call("bob").statuses == [status]
    assert len(bob.lines) == 1
    line.request("BYE")
    connected(carol, bob)
    bob.hang_up()
    assert limits(made) == [(status, f"user bob: {key} 1"), (200, ""), (200, "")]
    assert [each.limit for each in made.records[0].attempts] == [f"user bob: {key} 1"]


@pytest.mark.parametrize("key", ["max_calls", "max_calls_out"])
def test_calls_of_a_user(stage, key):
    """The same for those that he makes; nobody is asked where it goes."""
    made, alice, bob, carol = stage(**{key: 1})
    line = connected(bob, alice)
    assert bob.call("carol").statuses == [486]
    assert not carol.lines
    line.request("BYE")
    connected(bob, carol)
    bob.hang_up()
    assert limits(made) == [(486, f"user bob: {key} 1"), (200, ""), (200, "")]
    assert made.records[0].attempts == []


def test_each_direction_by_itself(stage):
    """Two calls out and one in, three in all but no more."""
    made, alice, bob, carol = stage(max_calls_in=2, max_calls_out=2, max_calls=3)
    lines = [connected(bob, alice), connected(bob, carol)]
    assert bob.call("alice").statuses == [486]
    lines.append(connected(alice, bob))
    assert carol.call("bob").statuses == [486]
    for line in lines:
        line.request("BYE")
    assert [limit for _, limit in limits(made)[:2]] == [
        "user bob: max_calls_out 2",
        "user bob: max_calls 3",
    ]


def test_several_phones_that_ring_are_one_call(stage):
    """All ring; while they do, a second call finds him busy."""
    made, alice, bob, carol = stage(max_calls_in=1)
    second = made.phone("bob")
    line = alice.call("bob")
    bob.ring()
    second.ring()
    assert carol.call("bob").statuses == [486]
    assert (len(bob.lines), len(second.lines)) == (1, 1)
    second.answer()
    assert line.statuses[-1] == 200
    second.hang_up()


def test_a_caller_who_gives_up_makes_room(stage):
    """And one who is refused."""
    _, alice, bob, carol = stage(max_calls=1)
    alice.call("bob")
    bob.ring()
    alice.cancel()
    line = carol.call("bob")
    bob.refuse(603)
    assert line.statuses[-1] == 603
    connected(alice, bob)
    alice.hang_up()


def test_over_the_limit_he_is_busy_and_forwards_as_such(stage):
    """The limit stands in the record of a call that was answered elsewhere, too."""
    made, alice, bob, carol = stage(["forwarding"], max_calls_in=1, forward_busy="carol")
    line = connected(alice, bob)
    second = alice.call("bob")
    assert "reason=user-busy" in carol.line.invite.all("Diversion")[0]
    carol.answer()
    assert second.statuses == [181, 200]
    carol.hang_up()
    line.request("BYE")
    assert limits(made) == [(200, "user bob: max_calls_in 1"), (200, "")]


@pytest.mark.parametrize("answered", [False, True])
def test_he_takes_his_own_call_to_another_phone(stage, answered):
    """An INVITE with Replaces of a call that he is in is none more (RFC 3891); in any other it
    is, and so is one that replaces nothing."""
    made, alice, bob, carol = stage(max_calls=1)
    desk = made.phone("bob")
    first = alice.call("bob")
    bob.ring()
    if answered:
        bob.answer()
    far, gone = bob.line, bob.line.replaces.replace(bob.line.tag, "other")
    assert desk.call("carol", fields=[("Replaces", gone)]).statuses == [486]
    other = connected(alice, carol)
    assert desk.call("alice", fields=[("Replaces", carol.line.replaces)]).statuses == [486]
    taken = desk.call("bob", fields=[("Replaces", far.replaces)])
    for line in (first, desk.line):
        line.answers["INVITE"] = 200
    if answered:
        first.respond(200, sdp=alice.sdp(version=2))
    made.run(1)
    assert taken.stands
    assert first.stands
    assert far.over
    assert desk.call("carol").statuses == [486]
    taken.request("BYE")
    other.request("BYE")


def test_an_emergency_call_meets_no_limit(stage):
    """Whatever he may; here nobody serves the number, which is what he hears."""
    made, alice, bob, _ = stage(max_calls_out=1, max_calls=1)
    connected(bob, alice)
    assert bob.call("112").statuses == [404]
    assert bob.call("113").statuses == [486]
    alice.hang_up()
    assert [limit for _, limit in limits(made)] == ["", "user bob: max_calls 1", ""]


def test_a_transfer_keeps_count(stage):
    """Who transfers a call is out of it; who was transferred is in one, not in two."""
    made, alice, bob, carol = stage(max_calls=1)
    line = connected(alice, bob)
    line.refer(f"sip:carol@{made.address[0]}")
    carol.answer()
    assert bob.line.stands
    line.request("BYE")
    assert sorted(made.house.occupancy.busy) == ["bob", "carol"]
    assert alice.call("bob").statuses == [486]
    bob.hang_up()
    connected(alice, bob)
    alice.hang_up()


def test_limits_of_users_from_anywhere(stage):
    """A user of the store has them as well, as soon as they change."""
    made, alice, bob, carol = stage()
    stored = made.house.premises.users.stored
    dave = made.phone("dave", password="dave", register=False)
    user = User("dave", {"MD5": ha1("dave", "softswitch", "dave", "MD5")})
    stored.put(user)
    assert dave.register() == 200
    connected(dave, alice)
    stored.put(attrs.evolve(user, limits=CallLimits(calls_out=1)))
    assert dave.call("carol").statuses == [486]
    alice.hang_up()
    connected(dave, carol)
    carol.hang_up()
    assert not bob.lines
