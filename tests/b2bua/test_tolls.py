"""What accounts may do over trunks, and what is beyond that."""

import attrs
import pytest
from zope.interface import implementer

from softswitch.machine import unexpected
from softswitch.plugin.decisions import Proxy, Route, Target
from softswitch.plugin.interfaces import IPriceList, IRouter
from softswitch.plugin.views import User
from softswitch.sip import compose
from softswitch.sip.digest import ha1
from softswitch.testing.stage import CONFIG, Stage

CARRIER = "127.88.0.101"
HOME, OTHER, ABROAD = "02071838750", "02071838999", "004930123456"
PREMIUM, EMERGENCY = "09098790000", "999"
CAUSE = 'Q.850;cause=21;text="Beyond the limits of the account"'


@implementer(IPriceList)
class Prices:
    """Six a minute to wherever it is, but nothing is known of Germany."""

    def price(self, number, trunk):
        return None if number.startswith("+49") else 6.0


@pytest.fixture(autouse=True)
def nothing_is_unexpected():
    """No state machine meets an event that its state does not know."""
    before = unexpected.copy()
    yield
    assert unexpected - before == {}


@pytest.fixture
def stage():
    """A stage where numbers go over a trunk; two phones, and the carrier."""
    stages = []

    def make(fraud=None, users=None, plug_ins=(), policies=(), rule=r"\+?[0-9]{3,}", **tables):
        rule = {"match": rule, "trunk": "carrier"}
        made = Stage(
            {
                "switch": {"emergency": [EMERGENCY]},
                "numbering": {"country": "GB"},
                "trunks": {
                    "carrier": {"addresses": [CARRIER]},
                    "other": {"addresses": ["127.88.0.102"]},
                },
                "users": {**CONFIG["users"], **(users or {})},
                "fraud": fraud or {},
                "policy": [
                    *policies,
                    {"use": "dialplan", "rules": [rule]},
                    *CONFIG["policy"],
                ],
                **tables,
            },
            plug_ins=plug_ins,
        )
        stages.append(made)
        return made, made.phone("alice"), made.phone("bob"), made.trunk("carrier")

    yield make
    for made in stages:
        print(made.ladder())
        made.close()


def limits(made):
    """What the records say, in their order."""
    return [(record.status, record.limit) for record in made.records]


def brief(phone, carrier, number):
    """A call that the carrier answers, if it comes so far, and that ends at once; its status."""
    line = phone.call(number)
    if line.statuses == []:
        carrier.answer()
        phone.hang_up()
    return line.statuses[-1]


@pytest.mark.parametrize(
    ("number", "which"),
    [
        (ABROAD, "international"),
        ("+4930123456", "international"),
        (PREMIUM, "premium"),
        ("00881612345678", "satellite"),
        ("+19005551234", "premium"),
    ],
)
def test_what_is_closed_until_it_is_opened(stage, number, which):
    """Other countries, premium numbers, satellites: 403 with a Reason, nothing reaches the trunk,
    and the record says which class it was. Nobody is blocked by that."""
    made, alice, _, carrier = stage()
    line = alice.call(number)
    assert line.statuses == [403]
    assert line.responses[-1].get("Reason") == CAUSE
    assert not carrier.lines
    assert brief(alice, carrier, HOME) == 200
    assert limits(made) == [(403, f"user alice: closed {which}"), (200, "")]


@pytest.mark.parametrize(
    ("number", "which"),
    [
        ("00881612345678999999", "satellite"),
        ("+00881612345678", "satellite"),
        ("+%2B881612345678", "satellite"),
        ("0-0881%20612345678", "satellite"),
        ("6212345678;phone-context=+881", "satellite"),
        ("%2331%2300881612345678", "satellite"),
        ("090987900001234", "premium"),
        ("+44909879000012", "premium"),
        ("0030123456789012345678901234", "international"),
    ],
)
def test_what_is_closed_by_whatever_name(stage, number, which):
    """Exchanges ignore digits too many; zeros, separators and codes before a number make it no
    other one, nor does a context (RFC 3966 5.1.5)."""
    made, alice, _, carrier = stage(rule=r".{3,}")
    line = alice.call(f"sip:{number}@{made.address[0]}")
    assert line.statuses == [403]
    assert not carrier.lines
    assert made.records[0].limit == f"user alice: closed {which}"


@pytest.mark.parametrize(
    "number",
    [
        "999;phone-context=+1900555",
        "999;Phone-Context=+1-900-555",
        "999;%70hone-context=+1900555",
        "999%3Bphone-context=+1900555",
        "9-9.9;cpc=ordinary;phone-context=+1900555",
    ],
)
def test_an_emergency_number_with_a_context_is_none(stage, number):
    """A carrier puts the context before it (RFC 3966 5.1.5)."""
    made, alice, _, carrier = stage({"closed": ["premium", "international"]}, rule=r".{3,}")
    assert alice.call(f"sip:{number}@{made.address[0]}").statuses == [403]
    assert not carrier.lines


def test_a_number_with_digits_too_many_is_the_same(stage):
    """For the count of new destinations, too."""
    _, alice, _, carrier = stage({"new_per_hour": 1})
    numbers = [HOME, f"{HOME}1", f"{HOME}99", OTHER]
    assert [brief(alice, carrier, number) for number in numbers] == [200, 200, 200, 403]


def test_opened_for_a_group_and_for_a_user(stage):
    """A group's table stands before the general one, a user's before his group's."""
    groups = {"far": {"fraud": {"closed": ["premium"]}}}
    users = {
        "alice": {"password": "alice", "group": "far"},
        "bob": {"password": "bob", "group": "far", "fraud": {"closed": ["international"]}},
    }
    _, alice, bob, carrier = stage(groups=groups, users=users)
    calls = [(alice, ABROAD), (alice, PREMIUM), (bob, ABROAD), (bob, PREMIUM)]
    assert [brief(*(phone, carrier, number)) for phone, number in calls] == [200, 403, 403, 200]


def test_a_class_of_ones_own(stage):
    """The longest prefix counts, before what is known of numbers: one country is open, a part of
    it closed."""
    classes = {"neighbour": {"begins": ["+49"]}, "mobile": {"begins": ["+4917"]}}
    made, alice, _, carrier = stage({"classes": classes, "closed": ["international", "mobile"]})
    assert brief(alice, carrier, ABROAD) == 200
    assert brief(alice, carrier, "00491701234567") == 403
    assert brief(alice, carrier, "0033140123456") == 403
    assert limits(made)[1][1] == "user alice: closed mobile"


def test_calls_at_once(stage):
    """One more than there may be is refused; with the end of one there is room. That blocks
    nobody, and calls between users are nobody's expense."""
    made, alice, bob, carrier = stage({"calls": 1})
    first = alice.call(HOME)
    carrier.answer()
    assert alice.call(OTHER).statuses == [403]
    second = alice.call("bob")
    bob.answer()
    assert second.statuses == [200]
    second.request("BYE")
    first.request("BYE")
    assert brief(alice, carrier, OTHER) == 200
    assert limits(made)[0] == (403, "user alice: calls 1")


@pytest.mark.parametrize("limit", ["per_minute", "new_per_hour"])
def test_too_many_calls_block(stage, limit):
    """Whoever calls too often, or too many whom he has never called, may call nobody for so long;
    the calls of others go on, and his own within the house, and emergency calls."""
    made, alice, bob, carrier = stage({limit: 3, "block_seconds": 600, "sequence": 0})
    numbers = [f"0207183{n}000" for n in range(1, 6)]
    assert [brief(alice, carrier, number) for number in numbers] == [200, 200, 200, 403, 403]
    assert limits(made)[3] == (403, f"user alice: {limit} 3")
    assert limits(made)[4] == (
        403,
        f"user alice: blocked until 1970-01-01 00:10:00+00:00 ({limit} 3)",
    )
    assert brief(bob, carrier, numbers[0]) == 200
    assert brief(alice, carrier, EMERGENCY) == 200
    made.run(601)
    assert brief(alice, carrier, numbers[0]) == 200


def test_known_destinations_are_not_new(stage):
    """Who calls the same people all day is no thief."""
    _, alice, _, carrier = stage({"new_per_hour": 2})
    numbers = [HOME, OTHER, HOME, OTHER, HOME, OTHER, "02079460000"]
    assert [brief(alice, carrier, number) for number in numbers] == [200] * 6 + [403]


@pytest.mark.parametrize("order", [range(1, 6), [5, 4, 3, 2, 1], [1, 4, 2, 5, 3]])
def test_sequential_dialling(stage, order):
    """Numbers next to each other, in whichever order, and with others between."""
    made, alice, _, carrier = stage({"sequence": 4})
    statuses = []
    for number in order:
        statuses.append(brief(alice, carrier, f"0207183875{number}"))
        brief(alice, carrier, f"0161496{number * 111:04}")
    assert statuses == [200, 200, 200, 200, 403]
    assert "sequence 4" in str(limits(made))


def test_a_lift(stage):
    """The operator lets somebody call before his time; once."""
    made, alice, _, carrier = stage({"per_minute": 1})
    assert [brief(alice, carrier, HOME) for _ in range(2)] == [200, 403]
    assert [each[0] for each in made.house.tolls.blocked()] == ["user alice"]
    assert made.house.tolls.lift("user alice")
    assert not made.house.tolls.lift("user alice")
    assert [brief(alice, carrier, HOME) for _ in range(2)] == [200, 403]


def test_the_longest_duration(stage):
    """A call ends so many seconds after its answer, on both sides, with a Reason; ringing counts
    for nothing."""
    made, alice, _, carrier = stage({"max_seconds": 60})
    line = alice.call(HOME)
    carrier.ring()
    made.run(50)
    carrier.answer()
    made.run(59)
    assert line.stands
    made.run(2)
    assert line.over
    assert line.got("BYE").get("Reason") == 'Q.850;cause=102;text="Longest Duration"'
    assert carrier.line.got("BYE").get("Reason") == 'Q.850;cause=102;text="Longest Duration"'
    [record] = made.records
    assert (record.hung_up, record.reason) == ("switch", "Longest Duration")
    assert record.ended - record.answered == pytest.approx(60, abs=0.1)


@pytest.mark.parametrize("way", ["picked up", "transferred"])
def test_the_longest_duration_while_somebody_takes_over(stage, way):
    """A call ends in time also where somebody is about to take its callee over, who would have gone
    back to talk on for ever."""
    made, alice, bob, carrier = stage({"max_seconds": 60})
    line = alice.call(HOME)
    carrier.answer()
    far = carrier.line
    if way == "transferred":
        other = alice.call("bob")
        bob.answer()
    made.run(58)
    carrier.silent = True
    if way == "picked up":
        taken = bob.call(HOME, fields=[("Replaces", line.replaces)])
        assert taken.statuses == []
    else:
        other.refer(f"sip:{HOME}@{made.address[0]}", line)
    made.run(1)
    assert line.stands
    made.run(2)
    assert line.over
    assert line.got("BYE").get("Reason") == 'Q.850;cause=102;text="Longest Duration"'
    if way == "picked up":
        assert taken.statuses == [480]
    carrier.silent = False
    made.run(60)
    assert far.got("BYE") is not None
    assert "Longest Duration" in [record.reason for record in made.records]
    if way == "transferred":
        other.request("BYE")
    made.run(60)
    assert not made.house.switch.calls


def test_a_budget_ends_the_call_that_spends_it(stage):
    """At the moment when it is spent: 10 of 6 a minute are 100 seconds. Nothing more goes out; what
    was spent is forgotten after a day."""
    made, alice, _, carrier = stage({"spend_per_day": 10, "max_seconds": 0}, plug_ins=[Prices()])
    line = alice.call(HOME)
    carrier.answer()
    made.run(99)
    assert line.stands
    made.run(2)
    assert line.got("BYE").get("Reason") == 'Q.850;cause=102;text="Budget Spent"'
    assert brief(alice, carrier, OTHER) == 403
    assert limits(made)[1][1].startswith("user alice: blocked until")
    made.run(3700)
    assert brief(alice, carrier, OTHER) == 403
    assert limits(made)[2][1] == "user alice: spend_per_day 10"
    made.run(25 * 3600)
    assert brief(alice, carrier, OTHER) == 200


def test_two_calls_spend_one_budget(stage):
    """Twice as fast; both end."""
    made, alice, _, carrier = stage({"spend_per_day": 10}, plug_ins=[Prices()])
    lines = []
    for number in (HOME, OTHER):
        lines.append(alice.call(number))
        carrier.answer()
    made.run(49)
    assert all(line.stands for line in lines)
    made.run(2)
    assert all(line.over for line in lines)


def test_what_has_no_price_costs_what_the_operator_says(stage):
    """So that a hole in the table is no hole in the budget."""
    made, alice, _, carrier = stage(
        {"spend_per_day": 10, "unpriced": 60, "closed": []}, plug_ins=[Prices()]
    )
    line = alice.call(ABROAD)
    carrier.answer()
    made.run(9)
    assert line.stands
    made.run(2)
    assert line.over


def test_a_class_has_limits_besides(stage):
    """Each account's in that class, and for that class alone."""
    classes = {"international": {"calls": 1, "max_seconds": 30}}
    made, alice, bob, carrier = stage({"closed": [], "classes": classes})
    line = alice.call(ABROAD)
    carrier.answer()
    assert alice.call("0033140123456").statuses == [403]
    assert brief(alice, carrier, HOME) == 200
    assert brief(bob, carrier, ABROAD) == 200
    made.run(31)
    assert line.over
    assert limits(made)[0] == (403, "user alice international: calls 1")


def test_one_call_at_several_places_counts_once(stage):
    """It is tried at a second member, and rings at two trunks at once: one call, though each trunk
    counts its leg."""

    @implementer(IRouter)
    class Both:
        def route(self, invite):
            if invite.uri.user != HOME:
                return None
            from softswitch.plugin.decisions import Route

            numbers = [
                attrs.evolve(each, group=1)
                for name in ("carrier", "other")
                for each in made.house.premises.trunk(name).targets(HOME)
            ]
            return Route(numbers)

    made, alice, _, carrier = stage({"per_minute": 2, "calls": 1}, plug_ins=[Both()])
    other = made.trunk("other")
    for _ in range(2):
        line = alice.call(HOME)
        assert carrier.line.invite
        assert other.line.invite
        carrier.answer()
        assert line.statuses[-1] == 200
        alice.hang_up()
    assert alice.call(HOME).statuses[-1] == 403


def test_who_forwards_a_call_pays_for_it(stage):
    """A stranger from a trunk calls alice, who has her calls forwarded abroad: that is hers to
    pay, and hers is closed."""
    users = {"alice": {"password": "alice", "forward_always": f"sip:{ABROAD}@carrier"}}
    made, *_ = stage(users=users, policies=[{"use": "forwarding"}])
    other = made.trunk("other")
    assert other.call("alice").statuses[-1] == 403
    assert made.records[0].limit == "user alice: closed international"


def redirect(phone, number):
    """It says that a number at the carrier is to be called instead (RFC 3261 21.3.3)."""
    contact = [("Contact", f"<sip:{number}@{CARRIER}>")]
    phone.send(compose.response(phone.line.invite, 302, to_tag="far", fields=contact))


def test_who_forwards_pays_wherever_it_is_redirected(stage):
    """alice has her calls forwarded to a carrier, who redirects them: it is still at her expense,
    not at that of the stranger who calls."""
    users = {
        "alice": {
            "password": "alice",
            "forward_always": f"sip:{HOME}@carrier",
            "fraud": {"per_minute": 2},
        }
    }
    policies = [{"use": "forwarding"}, {"use": "follow", "domains": [CARRIER]}]
    made, _, _, carrier = stage(users=users, policies=policies)
    other = made.trunk("other")
    line = other.call("alice")
    redirect(carrier, ABROAD)
    assert line.statuses[-1] == 403
    assert made.records[0].attempts[-1].limit == "user alice: closed international"


def test_a_redirection_to_a_gateway_is_a_call_over_it(stage):
    """bob's phone redirects to the address of a carrier that takes calls from us: that is a call
    over a trunk, though it names none, and at the expense of bob. It is counted until it ends."""
    users = {"bob": {"password": "bob", "fraud": {"calls": 1}}}
    made, alice, bob, carrier = stage(
        users=users, policies=[{"use": "follow", "domains": [CARRIER]}]
    )

    def redirected(number):
        line = alice.call("bob")
        redirect(bob, number)
        return line

    assert redirected(ABROAD).statuses[-1] == 403
    assert made.records[0].attempts[-1].limit == "user bob: closed international"
    line = redirected(HOME)
    carrier.answer()
    assert line.statuses[-1] == 200
    assert redirected(HOME).statuses[-1] == 403
    line.request("BYE")
    line = redirected(HOME)
    carrier.answer()
    assert line.statuses[-1] == 200
    line.request("BYE")


@implementer(IRouter)
class Finds:
    """Knows where bob is, but no flow to him."""

    def route(self, invite):
        place = "sip:bob@127.88.0.102"
        return Route([Target(place, call_to="sip:bob@softswitch")]) if invite.uri.user else None


def test_a_user_among_gateways_costs_nothing(stage):
    """A user of ours who is called at an address of a trunk's is still a user."""
    made, alice, _, _ = stage({"per_minute": 1}, plug_ins=[Finds()])
    phone = made.trunk("other")
    assert [brief(alice, phone, "bob") for _ in range(3)] == [200] * 3


def test_who_transfers_a_call_pays_for_it(stage):
    """REFER asks again: bob, who was called, may not send his caller abroad."""
    users = {"alice": {"password": "alice", "fraud": {"closed": []}}}
    made, alice, bob, carrier = stage(users=users)
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(f"sip:{ABROAD}@{made.address[0]}")
    assert not carrier.lines
    assert line.stands
    line.request("BYE")
    [record] = made.records
    assert record.limit == "user bob: closed international"


def test_transit_is_closed_as_well(stage):
    """A trunk that calls through us pays as an account; only what its own table says is counted."""
    made, _, _, carrier = stage()
    other = made.trunk("other")
    assert other.call(f"sip:{ABROAD}@{made.address[0]}").statuses == [403]
    assert made.records[0].limit == "trunk other: closed international"
    for _ in range(40):
        assert brief(other, carrier, f"sip:{HOME}@{made.address[0]}") == 200


@implementer(IRouter)
class Forwards:
    """Has the proxy forward numbers to the carrier."""

    def route(self, invite):
        number = invite.uri.user
        return Proxy([Target(f"sip:{number}@{CARRIER}", trunk="carrier")]) if number else None


def test_what_the_proxy_forwards_has_the_same_limits(stage):
    """Closed classes and counts; only the end of what was answered is the phones' own affair."""
    made, alice, _, carrier = stage({"per_minute": 1}, plug_ins=[Forwards()])
    assert alice.call(ABROAD).statuses == [403]
    assert brief(alice, carrier, HOME) == 200
    assert alice.call(OTHER).statuses == [403]
    assert [limit for _, limit in limits(made)] == [
        "user alice: closed international",
        "",
        "user alice: per_minute 1",
    ]


def texts(phone, number):
    """The answer to a MESSAGE."""
    line = phone.dial(number)
    line.request("MESSAGE", [("Content-Type", "text/plain")], b"hello")
    phone.settle()
    return line.final


@pytest.mark.parametrize("plug_ins", [(), (Forwards(),)])
def test_a_message_goes_where_a_call_may(stage, plug_ins):
    """To no closed class, and not from who is blocked; it is counted nowhere, and costs nobody a
    block. Among users it goes as ever."""
    _, alice, bob, carrier = stage({"per_minute": 2}, plug_ins=plug_ins)
    bob.answers["MESSAGE"] = carrier.answers["MESSAGE"] = 200
    assert [texts(alice, number) for number in (ABROAD, PREMIUM)] == [403, 403]
    assert not carrier.requests
    assert [texts(alice, HOME) for _ in range(5)] == [200] * 5
    assert len(carrier.requests) == 5
    assert [brief(alice, carrier, number) for number in (HOME, HOME, OTHER)] == [200, 200, 403]
    assert [texts(alice, number) for number in (HOME, EMERGENCY)] == [403, 200]
    if not plug_ins:
        assert texts(alice, "bob") == 200


def test_counters_outlive_the_switch(stage):
    """What was counted, spent and blocked when it was written down counts in the next one; a call
    that ran is paid for until then."""
    made, alice, _, carrier = stage({"spend_per_day": 10}, plug_ins=[Prices()])
    dirty = set()
    made.house.tolls.changed = dirty.add
    alice.call(HOME)
    carrier.answer()
    made.run(50)
    kept = {holder: made.house.tolls.plain(holder) for holder in dirty}
    alice.hang_up()
    again, alice, _, carrier = stage({"spend_per_day": 10}, plug_ins=[Prices()])
    again.run(60)
    assert again.house.tolls.restore(kept) == []
    line = alice.call(HOME)
    carrier.answer()
    again.run(49)
    assert line.stands
    again.run(2)
    assert line.over


def test_counters_that_cannot_be_read(stage):
    """Are named, and touch no others."""
    made, alice, _, carrier = stage()
    broken = {"user bob": {"at": 0}, "user carol": [], "user dave": {"at": "x", "begun": 5}}
    assert made.house.tolls.restore(broken) == list(broken)
    assert brief(alice, carrier, HOME) == 200


def test_a_clock_set_back_blocks_nobody_longer(stage):
    """All that is known goes back with it: ten minutes stay ten minutes."""
    made, alice, _, carrier = stage({"per_minute": 1, "block_seconds": 600})
    made.run(100_000)
    assert [brief(alice, carrier, HOME) for _ in range(2)] == [200, 403]
    tolls = made.house.tolls
    [(_, until, _)] = tolls.blocked()
    assert until - made.clock.seconds() == pytest.approx(600)
    clock = tolls._clock

    class Back:
        def seconds(self):
            return clock.seconds() - 90_000

        callLater = staticmethod(clock.callLater)

    tolls._clock = Back()
    [(_, until, _)] = tolls.blocked()
    assert until - Back().seconds() == pytest.approx(600)


def test_users_of_a_directory_have_limits_of_their_own(stage):
    """As soon as it says so; what is no limit is found out before anybody acts on it."""
    made, *_, carrier = stage()
    stored = made.house.premises.users.stored
    dave = made.phone("dave", password="dave", register=False)
    user = User("dave", {"MD5": ha1("dave", "softswitch", "dave", "MD5")})
    stored.put(user)
    assert dave.register() == 200
    assert brief(dave, carrier, ABROAD) == 403
    stored.put(attrs.evolve(user, fraud={"closed": ()}))
    assert brief(dave, carrier, ABROAD) == 200


def test_a_reload_changes_what_is_allowed(stage):
    """From the next call on; what was counted stays."""
    made, alice, _, carrier = stage({"per_minute": 2})
    assert brief(alice, carrier, ABROAD) == 403
    assert brief(alice, carrier, HOME) == 200
    config = {
        "numbering": {"country": "GB"},
        "trunks": {"carrier": {"addresses": [CARRIER]}},
        "policy": [
            {"use": "dialplan", "rules": [{"match": "[0-9]{3,}", "trunk": "carrier"}]},
            *CONFIG["policy"],
        ],
        "fraud": {"closed": [], "per_minute": 2},
    }
    made.reload(config)
    assert brief(alice, carrier, ABROAD) == 200
    assert brief(alice, carrier, HOME) == 403


def test_refusals_are_told(stage):
    """To whoever writes the log: the status, the limit, and until when that blocks."""
    made, alice, _, carrier = stage({"per_minute": 1})
    told = []
    made.house.tolls.refused = told.append
    for _ in range(2):
        brief(alice, carrier, HOME)
    assert [(each.holder, each.limit, each.blocks_until) for each in told] == [
        ("user alice", "user alice: per_minute 1", 3600.0)
    ]
