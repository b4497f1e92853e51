"""Calls by the number that was dialled."""

import pytest

from softswitch.errors import ConfigError
from softswitch.plugin.decisions import Redirect, Reject, Route, Target
from softswitch.plugin.views import BindingView, Identity
from softswitch.policy.dialplan import Dialplan
from softswitch.settings import structure

ALICE = Identity("user", "alice", "example.org")


@pytest.fixture
def plan(house):
    """Makes a dialplan from tables, as the configuration does."""

    def make(*rules):
        policy = structure({"rules": list(rules)}, Dialplan, file="f", path="policy[0]")
        policy.start(house)
        return policy

    return make


def test_a_number_goes_over_a_trunk(plan, view):
    """Strip, then prepend; a target per address of the trunk, in turn."""
    policy = plan(
        {"match": "0[1-9][0-9]+", "strip": 1, "prepend": "+", "trunk": "carrier", "ring_seconds": 9}
    )
    assert policy.route(view("sip:0441234@example.org")) == Route(
        [
            Target(f"sip:+441234@{host};transport=tcp", 9, trunk="carrier", member=host)
            for host in ("10.1.0.1", "10.1.0.2:5070")
        ]
    )


@pytest.mark.parametrize(
    "uri", ["sip:04412345x@example.org", "sip:10@example.org", "sip:0441234@example.com"]
)
def test_what_no_rule_matches_is_left_to_the_next_policy(plan, view, uri):
    """The whole number must match, and only our domain is looked at."""
    assert plan({"match": "0[0-9]+", "trunk": "carrier"}).route(view(uri)) is None


def test_the_first_rule_that_applies_decides(plan, view):
    """In the order of the file; refusals before permissions."""
    policy = plan({"match": "0900.*", "refuse": 403}, {"match": "0.*", "trunk": "carrier"})
    assert policy.route(view("sip:0900123@example.org")) == Reject(403)
    assert isinstance(policy.route(view("sip:0123@example.org")), Route)


def test_a_user_is_rung(house, plan, view):
    """By name, or by what the number became; 480 when not registered, 404 when unknown."""
    policy = plan({"match": "9", "user": "bob"}, {"match": "77.*", "strip": 2, "user": "*"})
    assert policy.route(view("sip:9@example.org")) == Reject(480)
    assert policy.route(view("sip:77bob@example.org")) == Reject(480)
    assert policy.route(view("sip:77carol@example.org")) == Reject(404)
    house.bindings["bob"] = [BindingView("bob@example.org", "sip:bob@10.0.0.9", None)]
    for uri in ("sip:9@example.org", "sip:77bob@example.org"):
        (target,) = policy.route(view(uri)).targets
        assert target.uri == "sip:bob@10.0.0.9"


def test_a_rule_may_have_calls_recorded(house, plan, view):
    """Over a trunk and to a user, with another number shown or not; others are not."""
    house.bindings["bob"] = [BindingView("bob@example.org", "sip:bob@10.0.0.9", None)]
    policy = plan(
        {"match": "01", "trunk": "carrier", "record": True},
        {"match": "02", "trunk": "carrier"},
        {"match": "9", "user": "bob", "record": True, "caller": ".*", "caller_replace": "7"},
    )
    recorded = {
        number: policy.route(view(f"sip:{number}@example.org")).record
        for number in ("01", "02", "9")
    }
    assert recorded == {"01": True, "02": False, "9": True}
    assert policy.route(view("sip:9@example.org")).targets[0].caller == "7"


def test_a_caller_is_redirected(plan, view):
    """302 unless another status is given."""
    policy = plan(
        {"match": "1", "redirect": ["sip:a@example.com"]},
        {"match": "2", "redirect": ["sip:a@example.com", "tel:+44"], "status": 301},
    )
    assert policy.route(view("sip:1@example.org")) == Redirect(["sip:a@example.com"])
    assert policy.route(view("sip:2@example.org")) == Redirect(
        ["sip:a@example.com", "tel:+44"], 301
    )


@pytest.mark.parametrize(
    ("callers", "identity", "applies"),
    [
        ("anyone", ALICE, True),
        ("anyone", Identity("trunk", "carrier"), True),
        ("users", ALICE, True),
        ("users", Identity("trunk", "carrier"), False),
        ("users", None, False),
        ("trunks", ALICE, False),
        ("trunks", Identity("trunk", "carrier"), True),
    ],
)
def test_a_rule_may_be_for_some_callers_only(plan, view, callers, identity, applies):
    """Lest a carrier's calls go out again at our expense."""
    policy = plan({"match": ".*", "trunk": "carrier", "callers": callers})
    answer = policy.route(view("sip:1@example.org", identity=identity))
    assert isinstance(answer, Route) is applies


@pytest.mark.parametrize(
    ("rule", "mend"),
    [
        ({"match": "(", "refuse": 403}, "no regular expression"),
        ({"match": "1"}, "one of trunk, user, redirect, refuse is wanted, not none"),
        ({"match": "1", "user": "bob", "refuse": 403}, "not user and refuse"),
        ({"match": "1", "user": "bob", "strip": -1}, "strip"),
        ({"match": "1", "refuse": 200}, "status"),
        ({"match": "1", "refuse": "403"}, "a whole number"),
        ({"match": "1", "user": "bob", "callers": "everybody"}, '"users"'),
        ({"match": "1", "tronk": "carrier"}, "did you mean trunk"),
    ],
)
def test_a_mistake_is_told_with_its_place(plan, rule, mend):
    """The rule at fault and what would be right."""
    with pytest.raises(ConfigError, match=mend) as caught:
        plan({"match": "0", "refuse": 404}, rule)
    assert caught.value.where.startswith("f: policy[0].rules[1]")


def test_a_trunk_that_is_not_there(plan):
    """Told at load, not at the first call."""
    with pytest.raises(ValueError, match=r"rules\[0\]\.trunk: there is no \[trunks\.carier\]"):
        plan({"match": "0", "trunk": "carier"})
