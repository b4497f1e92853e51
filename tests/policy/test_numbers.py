"""Which numbers a rule of the dialplan is for, and what it makes of them."""

import pytest

from softswitch.errors import ConfigError
from softswitch.plugin.decisions import Reject, Route
from softswitch.plugin.numbering import Numbering
from softswitch.plugin.views import Identity
from softswitch.policy.dialplan import Dialplan
from softswitch.settings import structure

ALICE = Identity("user", "alice", "example.org")
CARRIER = Identity("trunk", "carrier")


@pytest.fixture
def plan(house):
    """Makes a dialplan from tables, as the configuration does."""

    def make(*rules, **options):
        table = {"rules": list(rules), **options}
        policy = structure(table, Dialplan, file="f", path="policy[0]")
        policy.start(house)
        return policy

    return make


@pytest.fixture
def goes(view):
    """Where a number goes: the user part that the trunk is asked for, or the answer."""

    def ask(policy, number, identity=ALICE, **more):
        answer = policy.route(view(f"sip:{number}@example.org", identity=identity, **more))
        if not isinstance(answer, Route):
            return answer
        return answer.targets[0].uri.partition("@")[0].removeprefix("sip:")

    return ask


def shown(policy, view, sender, identity=ALICE, **more):
    """The number that is shown as the caller's."""
    request = view("sip:1@example.org", sender=sender, identity=identity, **more)
    return {each.caller for each in policy.route(request).targets}


@pytest.mark.parametrize(
    ("which", "inside", "outside"),
    [
        ({"begins": ["0900", "+44900"]}, ["0900", "09001", "+449001"], ["090", "900", "+4490"]),
        (
            {"ranges": ["+44207100-+44207199", "20-29"]},
            ["+44207100", "+44207150", "+44207199", "20", "29"],
            ["+44207200", "44207150", "+442071500", "2", "030", "2x"],
        ),
        ({"numbers": ["112", "999"]}, ["112", "999"], ["1123", "12"]),
        ({"match": "5.", "numbers": ["7"], "begins": ["8"]}, ["51", "7", "81"], ["5", "71", "9"]),
    ],
)
def test_the_numbers_of_a_rule(plan, goes, which, inside, outside):
    """Premium prefixes, DID ranges, short codes; a range has numbers of one length."""
    policy = plan({**which, "refuse": 403})
    assert [goes(policy, each) for each in inside] == [Reject(403)] * len(inside)
    assert [goes(policy, each) for each in outside] == [None] * len(outside)


def test_a_regular_expression_with_a_replacement(plan, goes):
    """Groups of ``match`` in ``replace``; the whole number is replaced."""
    policy = plan({"match": "0([1-9])([0-9]+)", "replace": r"+44\1-\2", "trunk": "carrier"})
    assert goes(policy, "0207") == "+442-07"


def test_a_rule_that_only_rewrites(plan, goes):
    """The next ones look at what has become of the number; with none, the next policy is asked."""
    policy = plan(
        {"match": "9(.+)", "replace": r"\1"},
        {"begins": ["00"], "strip": 2, "prepend": "+"},
        {"begins": ["+1900"], "refuse": 403},
        {"begins": ["+"], "trunk": "carrier"},
    )
    assert goes(policy, "900441234") == "+441234"
    assert goes(policy, "9001900") == Reject(403)
    assert goes(policy, "9100") is None


def test_telephone_numbers_as_the_rules_want_them(plan, goes, house):
    """In E.164 with a plus or without, read as the caller's numbering says."""
    house.numberings = {"alice": Numbering("GB"), "carrier": Numbering("DE")}
    rules = [{"begins": ["+44", "44"], "trunk": "carrier"}, {"begins": ["+49"], "refuse": 480}]
    policy = plan(*rules, read_as="plus")
    assert goes(policy, "02071838750") == "+442071838750"
    assert goes(policy, "030123456", CARRIER) == Reject(480)
    assert goes(policy, "100") is None
    assert goes(plan(*rules, read_as="digits"), "02071838750") == "442071838750"
    assert goes(plan(*rules), "02071838750") is None


@pytest.mark.parametrize(
    ("fields", "anonymous"),
    [
        ({}, False),
        ({"sender": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'}, True),
        ({"sender": "<sip:anonymous@10.0.0.1>;tag=1"}, True),
        ({"sender": "<sip:10.0.0.1>;tag=1"}, True),
        ({"Privacy": "id"}, True),
        ({"Privacy": "header; USER"}, True),
        ({"Privacy": "none"}, False),
    ],
)
def test_anonymous_callers(plan, goes, fields, anonymous):
    """Refused with 433 (RFC 5079) or whatever the rule says, or let through."""
    policy = plan(
        {"match": ".*", "anonymous": True, "refuse": 433}, {"match": ".*", "trunk": "carrier"}
    )
    assert goes(policy, "1", CARRIER, **fields) == (Reject(433) if anonymous else "1")
    policy = plan(
        {"match": ".*", "anonymous": False, "refuse": 480}, {"match": ".*", "refuse": 481}
    )
    assert goes(policy, "1", CARRIER, **fields) == Reject(481 if anonymous else 480)


def test_a_rule_for_some_callers(plan, goes):
    """By the number that they show; of an anonymous one by what his trunk asserts (RFC 3325), whom
    we believe no user."""
    policy = plan({"match": ".*", "caller": r"\+1900.*", "refuse": 403})
    nobody = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'
    asserted = {"sender": nobody, "P-Asserted-Identity": "<tel:+19001>, <sip:x@y>"}
    assert goes(policy, "1", CARRIER, sender="<sip:+19001;npdi@x>;tag=1") == Reject(403)
    assert goes(policy, "1", CARRIER, sender="<sip:+14001@x>;tag=1") is None
    assert goes(policy, "1", CARRIER, **asserted) == Reject(403)
    assert goes(policy, "1", ALICE, **asserted) is None
    assert goes(policy, "1", CARRIER, **{**asserted, "P-Asserted-Identity": "<<"}) is None


def test_the_number_that_is_shown(plan, view):
    """Rewritten as the called one is, and by rules one after another; else the caller's own."""
    trunk = {"match": ".*", "trunk": "carrier"}
    alice = "<sip:alice@example.org>;tag=1"
    desk = "<sip:101@example.org>;tag=1"
    policy = plan(
        {"match": ".*", "caller": "([0-9]{3})", "caller_replace": r"442071838\1"},
        {"match": ".*", "caller": "4420.*", "caller_strip": 2, "caller_prepend": "+44"},
        trunk,
    )
    assert shown(policy, view, desk) == {"+442071838101"}
    assert shown(policy, view, alice) == {""}
    assert shown(plan({**trunk, "caller_strip": 1}), view, desk) == {"01"}
    assert shown(plan(trunk), view, desk) == {""}


@pytest.mark.parametrize(
    ("rule", "mend"),
    [
        ({"refuse": 403}, "one of match, begins, ranges and numbers is wanted"),
        ({"begins": [""], "refuse": 403}, "one of match, begins"),
        ({"ranges": ["1"], "refuse": 403}, 'ranges: "1" is none'),
        ({"ranges": ["+1-2"], "refuse": 403}, "the same length"),
        ({"ranges": ["9-10"], "refuse": 403}, "the same length"),
        ({"ranges": ["20-10"], "refuse": 403}, "the lower first"),
        ({"match": "1", "replace": "2", "strip": 1}, "replace goes without strip"),
        ({"match": "1", "replace": r"\1"}, "replace: invalid group reference"),
        ({"begins": ["1"], "replace": "2"}, "replace refers to match"),
        ({"match": "1", "caller_replace": "2"}, "caller_replace refers to caller"),
        ({"match": "1", "caller": "("}, "caller is no regular expression"),
        ({"match": "1", "caller_strip": -1}, "caller_strip: 0 or more"),
    ],
)
def test_a_mistake_in_a_rule(plan, rule, mend):
    """The rule at fault and what would be right."""
    with pytest.raises(ConfigError, match=mend) as caught:
        plan({"match": "0", "refuse": 404}, rule)
    assert caught.value.where.startswith("f: policy[0].rules[1]")


def test_the_dialplan_says_how_it_came_to_its_answer(plan, view):
    """For ``softswitch explain``: the rule that decides, those that rewrote before, and what has
    become of both numbers."""
    policy = plan(
        {"match": "9(.+)", "replace": r"\1", "caller": "alice", "caller_replace": "100"},
        {"begins": ["1"], "trunk": "carrier"},
    )
    said = policy.explained(view("sip:912@example.org", identity=ALICE))
    assert said == "rules[1], begins = ['1'], by rules[0]: 912 is 12, shown as 100"
    assert policy.explained(view("sip:7@example.org")) == "no rule applies to 7"
    assert policy.explained(view("sip:912@example.com")) == "not dialled in our domain"
