"""Where users have their calls forwarded: RFC 5359 2.7 to 2.9."""

import attrs
import pytest

from softswitch.errors import ConfigError
from softswitch.plugin.decisions import Diversion, Reject, Route
from softswitch.plugin.views import BindingView, Forwarded, User
from softswitch.policy.checks import FORWARDINGS, fault
from softswitch.policy.load import load
from softswitch.testing.stage import Stage

OUT = "sip:voicemail@10.9.9.9"


def by(name, reason="unconditional"):
    """A user of ours has forwarded."""
    return Diversion(f"sip:{name}@example.org", reason)


@pytest.fixture
def rung(house, view):
    """Gives users their forwarding, and asks where a call to Bob goes."""

    def ask(uri="sip:bob@example.org", most=FORWARDINGS, headers=None, **forwarded):
        for name, wanted in forwarded.items():
            known = house.users.get(name, User(name))
            house.users[name] = attrs.evolve(known, forwarded=Forwarded(**wanted))
        policy = load("forwarding", {"most": most}, house).plug_in
        decision = policy.route(view(uri, **(headers or {})))
        assert decision is None or fault(decision) == ""
        return decision

    return ask


@pytest.fixture
def phones(house):
    """Registers a phone for each name."""

    def register(*names):
        for name in names:
            aor = f"{name}@example.org"
            house.bindings[name] = [BindingView(aor, f"sip:{name}@10.0.0.1", None)]

    return register


def uris(route):
    """Where a route rings."""
    assert isinstance(route, Route), route
    return [target.uri for target in route.targets]


def test_who_forwards_nothing_is_the_next_policys(rung, phones):
    """As is who is no user, or not ours."""
    phones("bob")
    assert rung() is None
    assert rung("sip:nobody@example.org") is None
    assert rung("sip:bob@example.net", bob={"always": OUT}) is None


def test_always(rung, phones):
    """No phone of his rings (2.7)."""
    phones("bob", "alice")
    route = rung(bob={"always": "alice", "busy": OUT})
    assert uris(route) == ["sip:alice@10.0.0.1"]
    assert (route.diversions, route.forward) == ((by("bob"),), {})
    assert route.targets[0].call_to == "sip:alice@example.org"


def test_by_what_comes_of_it(rung, phones):
    """Busy and not answered (2.8, 2.9), or not to be reached; he rings only so long where he would
    have it so."""
    phones("bob", "alice")
    wanted = {"busy": OUT, "no_answer": "alice", "unreachable": "sip:x@example.net", "after": 7.0}
    route = rung(bob=wanted)
    assert uris(route) == ["sip:bob@10.0.0.1"]
    assert route.diversions == ()
    assert route.targets[0].ring_seconds == 7
    assert {outcome: (uris(on), on.diversions) for outcome, on in route.forward.items()} == {
        "busy": ([OUT], (by("bob", "user-busy"),)),
        "no_answer": (["sip:alice@10.0.0.1"], (by("bob", "no-answer"),)),
        "unreachable": (["sip:x@example.net"], (by("bob", "unavailable"),)),
    }
    route = rung(bob={"busy": OUT})
    assert route.targets[0].ring_seconds is None


def test_a_user_without_a_phone(rung):
    """Is not to be reached, which is known at once."""
    route = rung(bob={"unreachable": OUT, "no_answer": "alice"})
    assert (uris(route), route.diversions) == ([OUT], (by("bob", "unavailable"),))
    assert rung(bob={"busy": OUT}) == Reject(480)
    assert rung(bob={"always": "alice"}) == Reject(480)
    assert rung(bob={"always": "nobody"}) == Reject(404)


def test_by_the_name_of_a_trunk(rung):
    """A number is dialled over each of its addresses."""
    route = rung(bob={"always": "sip:+441234@carrier"})
    assert [target.trunk for target in route.targets] == ["carrier", "carrier"]
    assert uris(route)[0] == "sip:+441234@10.1.0.1;transport=tcp"


def test_forwarded_again(rung, phones):
    """Each who forwards is named, the first one first."""
    phones("bob", "dave")
    route = rung(
        bob={"busy": "carol"}, carol={"always": "sip:dave@example.org"}, dave={"no_answer": OUT}
    )
    on = route.forward["busy"]
    assert uris(on) == ["sip:dave@10.0.0.1"]
    assert on.diversions == (by("bob", "user-busy"), by("carol"))
    assert on.forward["no_answer"].diversions == (by("dave", "no-answer"),)


def test_round_in_a_circle(rung, phones):
    """482 where there is nothing else; else he stays busy, and the caller hears so."""
    phones("bob", "alice")
    assert rung(bob={"always": "alice"}, alice={"always": "bob"}) == Reject(482)
    route = rung(bob={"busy": "alice"}, alice={"busy": "bob", "no_answer": OUT})
    on = route.forward["busy"]
    assert list(on.forward) == ["no_answer"]


def chain(length):
    """So many users, each of whom forwards to the next, and the last to somewhere else."""
    names = ["bob", *(f"u{index}" for index in range(1, length))]
    return {one: {"always": other} for one, other in zip(names, [*names[1:], OUT], strict=True)}


def test_not_more_often_than_so(rung):
    """Forwardings before the call came to us count too (RFC 5806)."""
    assert len(rung(**chain(5)).diversions) == 5
    assert rung(most=4, **chain(5)) == Reject(482)
    came = {"Diversion": "<sip:a@x>;counter=2, <sip:b@x>"}
    assert len(rung(headers=came, **chain(2)).diversions) == 2
    assert rung(headers=came, **chain(3)) == Reject(482)
    assert rung(headers={"Diversion": "<>, x;counter=bad, <sip:a@x>;counter=9"}, **chain(1)) == (
        Reject(482)
    )
    assert rung(**chain(6)) == Reject(482)


@pytest.mark.parametrize("most", [0, 6])
def test_an_option_that_is_wrong_is_told(house, most):
    """When the switch starts."""
    with pytest.raises(ConfigError, match="most: 1 to 5 is wanted"):
        load("forwarding", {"most": most}, house)


USERS = {
    "alice": {"password": "alice"},
    "bob": {"password": "bob"},
    "carol": {"password": "carol"},
}


@pytest.fixture
def stage():
    """A stage on which Bob forwards."""
    stages = []

    def make(**forwarded):
        policies = ["trunks", "users", "registration", "forwarding", "located", "follow"]
        made = Stage(
            {
                "users": {**USERS, "bob": {"password": "bob", **forwarded}},
                "policy": [{"use": name} for name in policies],
            }
        )
        stages.append(made)
        return made

    yield make
    for made in stages:
        print(made.ladder())
        made.close()


@pytest.mark.parametrize(
    ("forwarded", "reason", "cause"),
    [
        ("forward_always", "unconditional", 302),
        ("forward_busy", "user-busy", 486),
        ("forward_no_answer", "no-answer", 408),
        ("forward_unreachable", "unavailable", 503),
    ],
)
def test_a_forwarded_call(stage, forwarded, reason, cause):
    """The caller hears 181, Carol sees by whom and why, and answers (RFC 5359 2.7 to 2.9,
    RFC 5806, RFC 7044)."""
    made = stage(**{forwarded: "carol", "forward_after": 12})
    alice, carol = made.phone("alice"), made.phone("carol")
    bob = made.phone("bob", register=forwarded != "forward_unreachable")
    line = alice.call("bob")
    if forwarded == "forward_busy":
        bob.refuse(486)
    elif forwarded == "forward_no_answer":
        bob.ring()
        made.run(12.5)
    got = carol.line.invite
    domain = made.house.domain
    assert got.all("Diversion") == [f"<sip:bob@{domain}>;reason={reason};counter=1"]
    called, target = got.all("History-Info")
    assert f"?Reason=SIP%3Bcause%3D{cause}>;index=1" in called
    assert target == f"<sip:carol@{domain}>;index=1.1;mp=1"
    assert got.to.uri.user == "carol"
    carol.answer()
    early = [180] if forwarded == "forward_no_answer" else []
    assert line.statuses == [*early, 181, 200]
    alice.hang_up()


def test_nobody_is_there_in_the_end(stage):
    """The caller hears of the best of all failures (RFC 3261 16.7)."""
    made = stage(forward_busy="carol")
    alice, bob, carol = (made.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob")
    bob.refuse(486)
    carol.refuse(480)
    assert line.statuses == [181, 486]


def test_a_caller_who_gives_up_is_not_forwarded(stage):
    """487, and nobody else rings."""
    made = stage(forward_no_answer="carol", forward_busy="carol", forward_unreachable="carol")
    alice, bob, carol = (made.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob")
    bob.ring()
    alice.cancel()
    made.run(40)
    assert line.statuses == [180, 487]
    assert carol.lines == []
