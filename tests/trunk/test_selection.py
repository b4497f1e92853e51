"""In which order the members of a trunk are tried."""

from collections import Counter
from random import Random

import pytest

from softswitch.flow import Flow
from softswitch.plugin.views import RequestView
from softswitch.sip.message import Request
from softswitch.trunk.group import Trunk, Trunks
from softswitch.trunk.selection import Member

ONE, TWO, THREE = Member("10.0.0.1"), Member("10.0.0.2"), Member("10.0.0.3")


def call(caller="alice", called="123", call_id="1"):
    """An INVITE, as a policy sees it."""
    fields = [
        ("From", f"<sip:{caller}@example.org>;tag=1"),
        ("To", f"<sip:{called}@example.org>"),
        ("Call-ID", call_id),
    ]
    flow = Flow("lan", "UDP", "127.0.0.1", 5060, "127.0.0.2", 5062)
    return RequestView(Request("INVITE", f"sip:{called}@example.org", fields), flow)


def trunk(*members, **options):
    """A trunk among trunks, whose chance is the same each time."""
    made = Trunk("t", members or (ONE, TWO, THREE), **options)
    Trunks([made], random=Random(2782))
    return made


def order(trunk, number="123", invite=None):
    """The members that are tried, by the last figure of their address."""
    return [int(target.member[-1]) for target in trunk.targets(number, invite)]


def test_by_priority_alone():
    """The lowest number first; of equal ones in the order of the configuration, each time."""
    late, first = Member("10.0.0.8", priority=9), Member("10.0.0.9", priority=1)
    made = trunk(late, ONE, first, TWO)
    assert [order(made) for _ in range(3)] == [[1, 2, 9, 8]] * 3


def test_round_robin():
    """Each call begins with the next member; those of a higher priority number only stand in."""
    made = trunk(ONE, TWO, THREE, Member("10.0.0.9", priority=1), select="round-robin")
    assert [order(made) for _ in range(4)] == [
        [1, 2, 3, 9],
        [2, 3, 1, 9],
        [3, 1, 2, 9],
        [1, 2, 3, 9],
    ]


def test_by_weight():
    """Who is first is drawn by weight (RFC 2782); with 0 it is drawn last, but is there."""
    members = (Member("10.0.0.1", 3), Member("10.0.0.2", 1), Member("10.0.0.3", 0))
    made = trunk(*members, select="weighted")
    found = [order(made) for _ in range(4000)]
    first = Counter(each[0] for each in found)
    assert 2850 < first[1] < 3150
    assert first[1] + first[2] == 4000
    assert {each[2] for each in found} == {3}


def test_the_least_busy():
    """Who has the fewest calls for its weight gets the next."""
    made = trunk(Member("10.0.0.1", 2), Member("10.0.0.2", 1), select="least-busy")
    busy = made.state.states
    assert order(made) == [1, 2]
    busy["10.0.0.1"].calls = 1
    assert order(made) == [1, 2]
    busy["10.0.0.1"].calls = 2
    assert order(made) == [2, 1]
    busy["10.0.0.2"].calls = 1
    assert order(made) == [1, 2]


@pytest.mark.parametrize(
    ("key", "same", "other"),
    [
        ("caller", {"caller": "alice"}, {"caller": "bob"}),
        ("called", {"called": "1"}, {"called": "2"}),
        ("call-id", {"call_id": "x"}, {"call_id": "y"}),
    ],
)
def test_sticky(key, same, other):
    """What is the same in two calls leads them to the same member; what is not spreads them."""
    made = trunk(select="sticky", sticky=key)
    first = [order(made, invite=call(**{"call_id": str(n), **same}), number="1") for n in range(5)]
    if key != "call-id":
        assert len({tuple(each) for each in first}) == 1
    (kind,) = same
    found = set()
    for n in range(60):
        invite = call(**{kind: f"k{n}"})
        found.add(order(made, invite.uri.user, invite)[0])
    assert found == {1, 2, 3}


def test_a_lost_member_moves_its_own_calls_only():
    """Calls of the members that are left stay where they were; those of the lost one spread over
    all others (rendezvous hashing)."""
    callers = [f"caller{n}" for n in range(300)]
    whole, less = trunk(select="sticky"), trunk(ONE, THREE, select="sticky")
    before = {name: order(whole, invite=call(name))[0] for name in callers}
    after = {name: order(less, invite=call(name))[0] for name in callers}
    assert all(after[name] == before[name] for name in callers if before[name] != 2)
    assert {after[name] for name in callers if before[name] == 2} == {1, 3}
    assert 60 < Counter(before.values())[2] < 140


def test_weights_hold_for_what_sticks():
    """A member of three times the weight gets three times as many callers; of weight 0, none."""
    members = (Member("10.0.0.1", 3), Member("10.0.0.2", 1), Member("10.0.0.3", 0))
    made = trunk(*members, select="sticky")
    first = Counter(order(made, invite=call(f"c{n}"))[0] for n in range(2000))
    assert 1400 < first[1] < 1600
    assert first[3] == 0


def test_a_policy_that_knows_no_call():
    """Without the INVITE, calls stick by the number that is dialled."""
    made = trunk(select="sticky", sticky="caller")
    assert order(made, "1") == order(made, "1")
    assert {order(made, str(n))[0] for n in range(40)} == {1, 2, 3}


def test_a_member_of_another_transport():
    """Its own, or the trunk's."""
    made = trunk(Member("10.0.0.1", transport="tcp"), TWO)
    assert [target.uri for target in made.targets("1")] == [
        "sip:1@10.0.0.1;transport=tcp",
        "sip:1@10.0.0.2",
    ]
