"""Several who are rung for one name."""

import pytest

from softswitch.plugin.decisions import Diversion, Reject, Route, steps
from softswitch.plugin.views import BindingView, Forwarded, Identity, RingGroup, User
from softswitch.policy.checks import fault
from softswitch.policy.load import load
from softswitch.testing.stage import CONFIG, Stage

OUT = "sip:voicemail@10.9.9.9"
STAFF = ("alice", "bob", "carol")


@pytest.fixture
def rung(house, view):
    """Whom a call to the group "sales" of such members rings, step by step, and its decision."""

    def ask(members, uri="sip:sales@example.org", **settings):
        group = RingGroup("sales", members, **settings)
        house.ring_groups = dict.fromkeys(("sales", *group.numbers), group)
        decision = load("ring_groups", {}, house).plug_in.route(view(uri))
        assert decision is None or fault(decision) == ""
        if not isinstance(decision, Route):
            return decision
        names = [[each.uri for each in step] for step in steps(decision.targets)]
        return names, decision

    return ask


@pytest.fixture
def phones(house):
    """Registers a phone for each name, and another for the first, which it prefers less."""

    def register(*names):
        for name in names:
            house.users.setdefault(name, User(name))
            aor = f"{name}@example.org"
            house.bindings[name] = [BindingView(aor, f"sip:{name}@10.0.0.1", None)]
        aor = f"{names[0]}@example.org"
        cell = BindingView(aor, f"sip:{names[0]}@10.0.0.2", None, 0.5)
        house.bindings[names[0]].append(cell)

    return register


ALICE = ["sip:alice@10.0.0.1", "sip:alice@10.0.0.2"]
BOB, CAROL = ["sip:bob@10.0.0.1"], ["sip:carol@10.0.0.1"]


def test_all_at_once(rung, phones):
    """Every phone of every member, whatever its q, for so long."""
    phones(*STAFF)
    names, route = rung(STAFF, ring_seconds=7.0)
    assert names == [[*ALICE, *BOB, *CAROL]]
    assert {target.ring_seconds for target in route.targets} == {7.0}
    assert (route.forward, route.diversions) == ({}, ())


def test_one_after_the_other(rung, phones):
    """In the order given, all phones of a member at once."""
    phones(*STAFF)
    assert rung(("carol", "alice", "bob"), strategy="in-turn")[0] == [CAROL, ALICE, BOB]


def test_by_chance(rung, phones):
    """Each order comes up, and each member once in it."""
    phones(*STAFF)
    orders = {tuple(map(tuple, rung(STAFF, strategy="random")[0])) for _ in range(200)}
    assert len(orders) == 6
    assert all(sorted(order) == sorted(map(tuple, (ALICE, BOB, CAROL))) for order in orders)


def test_whoever_was_idle_longest(rung, phones, house):
    """Who has been in no call yet comes first, who is in one now last."""
    phones(*STAFF)
    house.idle = {"alice": None, "bob": 20.0, "carol": 10.0}
    assert rung(STAFF, strategy="longest-idle")[0] == [CAROL, BOB, ALICE]
    house.idle = {"alice": 5.0, "carol": 10.0}
    assert rung(STAFF, strategy="longest-idle")[0] == [BOB, ALICE, CAROL]


def test_members_who_cannot_be_rung_are_left_out(rung, phones, house):
    """Who has no phone, is unknown, or is not to be disturbed; 480 where nobody is left."""
    phones("bob")
    house.users["carol"] = User("carol", do_not_disturb="busy")
    house.bindings["carol"] = house.bindings["bob"]
    assert rung(("alice", "bob", "carol", "nobody"))[0] == [
        ["sip:bob@10.0.0.1", "sip:bob@10.0.0.2"]
    ]
    assert rung(("alice", "carol")) == Reject(480)


def test_a_member_elsewhere(rung, phones):
    """A SIP URI, over a trunk where its host is the name of one; once, not at each address."""
    phones("bob")
    names, _ = rung(("bob", "sip:+44123@carrier", "sip:x@y.example", "sip:"), strategy="in-turn")
    assert names[1:] == [["sip:+44123@10.1.0.1;transport=tcp"], ["sip:x@y.example"]]


def test_when_nobody_answers(rung, phones, house):
    """Whatever came of it, the call goes on, told as forwarded; at once where there is nobody."""
    phones("bob")
    _, route = rung(("bob",), otherwise=OUT)
    assert route.forward.keys() == {"failed"}
    on = route.forward["failed"]
    assert [target.uri for target in on.targets] == [OUT]
    assert on.diversions == (Diversion("sip:sales@example.org", "no-answer"),)
    names, route = rung(("alice",), otherwise=OUT)
    assert names == [[OUT]]
    assert route.diversions == (Diversion("sip:sales@example.org", "unavailable"),)
    _, route = rung(("bob",), otherwise="sales")
    assert route.forward == {}
    house.users["alice"] = User("alice", forwarded=Forwarded(always="sales"))
    assert rung(("nobody",), otherwise="alice") == Reject(482)


def test_under_a_number(rung, phones):
    """And nothing else is the group's."""
    phones("bob")
    assert rung(("bob",), "sip:200@example.org", numbers=("200",))[0]
    assert rung(("bob",), "sip:201@example.org", numbers=("200",)) is None
    assert rung(("bob",), "sip:sales@example.net") is None


def test_a_user_forwards_to_a_group_and_a_number_leads_to_one(house, phones, view):
    """By `forwarding`, and by a rule of the dial plan."""
    phones(*STAFF)
    house.ring_groups = {"sales": RingGroup("sales", ("bob", "carol"))}
    house.users["alice"] = User("alice", forwarded=Forwarded(always="sales"))
    route = load("forwarding", {}, house).plug_in.route(view("sip:alice@example.org"))
    assert [each.uri for each in route.targets] == [*BOB, *CAROL]
    assert route.diversions == (Diversion("sip:alice@example.org"),)
    rules = {"rules": [{"match": "0800", "user": "sales"}]}
    route = load("dialplan", rules, house).plug_in.route(view("sip:0800@example.org"))
    assert [each.uri for each in route.targets] == [*BOB, *CAROL]


@pytest.fixture
def stage():
    """A stage with a ring group of Bob, Carol and Dave, and a phone for each; Alice calls."""
    stages = []

    def make(users=(), **settings):
        policies = ["users", "registration", "forwarding", "ring_groups", "located"]
        group = {"members": ["bob", "carol", "dave"], "ring_seconds": 10, **settings}
        made = Stage(
            {
                "users": {**CONFIG["users"], "dave": {"password": "dave"}, **dict(users)},
                "ring_groups": {"sales": group},
                "policy": [{"use": name} for name in policies],
            }
        )
        stages.append(made)
        return made, *(made.phone(name) for name in ("alice", "bob", "carol", "dave"))

    yield make
    for made in stages:
        made.close()


def test_one_of_all_answers(stage):
    """The others stop ringing."""
    _, alice, bob, carol, dave = stage()
    line = alice.call("sales")
    for phone in (bob, carol, dave):
        phone.ring()
    carol.answer()
    assert line.statuses == [180, 180, 180, 200]
    assert [each.line.over for each in (bob, carol, dave)] == [True, False, True]
    alice.hang_up()


def test_in_turn(stage):
    """Each rings for so long, then the next; a refusal has the next ring at once."""
    made, alice, bob, carol, dave = stage(strategy="in-turn")
    line = alice.call("sales")
    bob.ring()
    assert not carol.lines
    made.run(10.1)
    carol.refuse(486)
    dave.answer()
    assert line.statuses == [180, 200]
    dave.hang_up()


def test_one_who_declines_speaks_for_himself(stage):
    """A 603 of a member stops his own phones, no other's (RFC 3261 16.7 speaks of one callee); of a
    group that rings in turn the next one rings."""
    made, alice, bob, carol, dave = stage()
    second = made.phone("bob")
    line = alice.call("sales")
    for phone in (bob, second, carol, dave):
        phone.ring()
    bob.refuse(603)
    assert second.line.over
    assert not carol.line.over
    carol.answer()
    assert line.statuses == [180, 180, 180, 180, 200]
    alice.hang_up()
    made, alice, bob, carol, dave = stage(strategy="in-turn")
    line = alice.call("sales")
    bob.refuse(603)
    carol.refuse(603)
    dave.refuse(603)
    assert line.statuses == [603]


@pytest.mark.parametrize("status", [486, 603, 480])
def test_what_comes_when_nobody_answers(stage, status):
    """Whatever the members say; the caller hears 181."""
    made, alice, bob, carol, dave = stage(members=["bob", "carol"], otherwise="dave")
    line = alice.call("sales")
    bob.refuse(status)
    carol.ring()
    made.run(11)
    (diversion,) = dave.line.invite.all("Diversion")
    assert diversion == f"<sip:sales@{made.house.domain}>;reason=no-answer;counter=1"
    dave.answer()
    assert line.statuses == [180, 181, 200]
    alice.hang_up()


def test_a_caller_who_gives_up_goes_nowhere(stage):
    """Nobody else rings, and all stop."""
    made, alice, bob, _carol, dave = stage(members=["bob", "carol"], otherwise="dave")
    line = alice.call("sales")
    bob.ring()
    alice.cancel()
    made.run(40)
    assert line.statuses == [180, 487]
    assert not dave.lines


def test_the_longest_idle_member_rings_first(stage):
    """By the calls that they really had; who is in one now rings last."""
    made, alice, bob, carol, dave = stage(strategy="longest-idle")
    for phone in (carol, dave):
        made.run(5)
        alice.call(phone.name)
        phone.answer()
        alice.hang_up()
    held = bob.call("carol")
    carol.answer()
    line = alice.call("sales")
    dave.refuse(486)
    assert [len(phone.lines) for phone in (bob, carol, dave)] == [2, 2, 2]
    assert bob.line is not held
    bob.answer()
    assert line.statuses == [200]
    alice.hang_up()
    carol.hang_up()


QUIET = {
    "busy": (486, {"forward_busy": "carol"}),
    "unavailable": (480, {"forward_unreachable": "carol"}),
}


@pytest.mark.parametrize("word", QUIET)
def test_do_not_disturb(stage, word):
    """Callers hear 486 or 480, but for those who may pass; no phone rings."""
    quiet = {"password": "bob", "do_not_disturb": word, "disturbed_by": ["carol", "4711"]}
    _, alice, bob, carol, _dave = stage({"bob": quiet})
    assert alice.call("bob").statuses == [QUIET[word][0]]
    assert not bob.lines
    line = carol.call("bob")
    bob.answer()
    assert line.statuses == [200]
    carol.hang_up()


@pytest.mark.parametrize("word", QUIET)
def test_who_is_not_to_be_disturbed_may_forward(stage, word):
    """As when he is busy, or cannot be reached; it is told why (RFC 5806)."""
    _, forwards = QUIET[word]
    quiet = {"password": "bob", "do_not_disturb": word, **forwards}
    _, alice, bob, carol, _dave = stage({"bob": quiet})
    line = alice.call("bob")
    assert "reason=do-not-disturb" in carol.line.invite.all("Diversion")[0]
    carol.answer()
    assert line.statuses == [181, 200]
    assert not bob.lines
    alice.hang_up()


def test_who_may_disturb(house, view):
    """A user by his name or number, whatever he writes; a stranger by a number that is no user's,
    for it proves nothing."""
    house.users["bob"] = User("bob", do_not_disturb="busy", disturbed_by=("alice", "100", "+44"))
    house.users["carol"] = User("carol", numbers=("100",))
    house.users["100"] = house.users["carol"]
    house.bindings["bob"] = [BindingView("bob@example.org", "sip:b@c", None)]
    located = load("located", {}, house).plug_in
    trunk = Identity("trunk", "carrier")
    for identity, sender, passes in (
        (Identity("user", "alice"), "<sip:anonymous@anonymous.invalid>;tag=1", True),
        (Identity("user", "carol"), "<sip:carol@example.org>;tag=1", True),
        (Identity("user", "dave"), "<sip:alice@example.org>;tag=1", False),
        (trunk, "<sip:+44@carrier.example>;tag=1", True),
        (trunk, "<sip:+45@carrier.example>;tag=1", False),
        (trunk, "<sip:alice@carrier.example>;tag=1", False),
        (trunk, "<sip:100@carrier.example>;tag=1", False),
        (None, "<sip:+44@carrier.example>;tag=1", False),
    ):
        answer = located.route(view("sip:bob@example.org", identity=identity, sender=sender))
        assert (answer != Reject(486)) is passes, (identity, sender)


def test_only_calls_disturb(house, view):
    """A message comes through; OPTIONS hears what a call would (RFC 3261 11.2)."""
    house.users["bob"] = User("bob", do_not_disturb="unavailable")
    house.bindings["bob"] = [BindingView("bob@example.org", "sip:b@c", None)]
    located = load("located", {}, house).plug_in
    answers = {
        method: located.route(view("sip:bob@example.org", method=method))
        for method in ("INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE")
    }
    assert [method for method, answer in answers.items() if answer == Reject(480)] == [
        "INVITE",
        "OPTIONS",
    ]
