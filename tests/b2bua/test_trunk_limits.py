"""What a trunk may carry: calls at once and per second, each way; what is beyond it."""

import attrs
import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Route
from softswitch.plugin.interfaces import IRouter
from softswitch.testing.stage import CONFIG

FIRST, SECOND = "127.88.0.101", "127.88.0.102"


@pytest.fixture
def limited(make_stage):
    """Makes a stage whose trunk has limits: stage, gateway, Alice, Bob."""

    def make(**limits):
        rules = [
            {"match": "0.+", "strip": 1, "trunk": "carrier"},
            {"match": "112|911", "trunk": "carrier"},
        ]
        stage = make_stage(
            {
                "trunks": {"carrier": {"addresses": [f"{FIRST}:5060"], "limits": limits}},
                "policy": [{"use": "dialplan", "rules": rules}, *CONFIG["policy"]],
            }
        )
        return stage, stage.trunk("carrier"), stage.phone("alice"), stage.phone("bob")

    return make


@implementer(IRouter)
class Both:
    """Every call goes to one trunk, then to the other."""

    def route(self, invite):
        trunks = [self.house.trunk(name) for name in ("carrier", "spare")]
        return Route([target for trunk in trunks for target in trunk.targets("1", invite)])


def calls(stage):
    """How many calls the trunk carries: in, out."""
    figures = stage.house.stats()["trunks"]["carrier"]
    return figures["calls_in"], figures["calls_out"]


def final(line):
    """The final answer to a call."""
    return [response.status for response in line.responses if response.status >= 200]


@pytest.mark.parametrize("status", [486, 480])
def test_exactly_at_the_limit(limited, status):
    """So many calls go out, one more gets the configured status and a record that says which limit
    it was; with the next one that ends there is room again (issue 4)."""
    stage, gateway, alice, bob = limited(calls_out=2, status=status)
    lines = []
    for caller in (alice, bob):
        lines.append(caller.call("0123"))
        gateway.answer()
    assert calls(stage) == (0, 2)
    third = alice.call("0123")
    assert final(third) == [status]
    assert len(gateway.lines) == 2
    (record,) = stage.records
    assert record.limit == "trunk carrier: calls_out 2"
    assert (record.status, record.hung_up) == (status, "switch")
    assert [attempt.limit for attempt in record.attempts] == ["trunk carrier: calls_out 2"]
    lines[0].request("BYE")
    assert calls(stage) == (0, 1)
    fourth = alice.call("0123")
    gateway.answer()
    assert final(fourth) == [200]
    assert stage.house.stats()["trunks"]["carrier"]["refused"] == {"calls_out": 1}
    for line in (lines[1], fourth):
        line.request("BYE")
    assert calls(stage) == (0, 0)
    assert [each.limit for each in stage.records[1:]] == ["", "", ""]


def test_calls_from_the_trunk(limited):
    """The same for those that come from it; what is refused rings nobody."""
    stage, gateway, alice, bob = limited(calls_in=1)
    line = gateway.call("alice")
    alice.answer()
    assert calls(stage) == (1, 0)
    second = gateway.call("bob")
    assert final(second) == [486]
    assert bob.lines == []
    (record,) = stage.records
    assert (record.limit, record.identity) == ("trunk carrier: calls_in 1", "carrier")
    assert record.attempts == []
    line.request("BYE")
    assert calls(stage) == (0, 0)
    third = gateway.call("bob")
    bob.answer()
    assert final(third) == [200]
    third.request("BYE")


def test_both_ways_together(limited):
    """A limit on all calls counts those from the trunk and those to it."""
    stage, gateway, alice, bob = limited(calls=2)
    one = gateway.call("alice")
    alice.answer()
    two = bob.call("0123")
    gateway.answer()
    assert final(bob.call("0456")) == [486]
    assert final(gateway.call("bob")) == [486]
    assert [record.limit for record in stage.records] == ["trunk carrier: calls 2"] * 2
    one.request("BYE")
    two.request("BYE")
    assert calls(stage) == (0, 0)


@pytest.mark.parametrize(
    ("limits", "name"),
    [({"per_second_out": 2}, "per_second_out"), ({"per_second": 2}, "per_second")],
)
def test_calls_per_second(limited, limits, name):
    """Within no second more than so many begin: to the moment, a second after the first there is
    room for one more. What is turned away does not count."""
    stage, gateway, alice, _ = limited(**limits)

    def call():
        line = alice.call("0123")
        if not final(line):
            gateway.refuse(486)
        return final(line) == [486] and len(stage.records[-1].attempts[0].limit) == 0

    assert call()
    stage.run(0.4)
    assert call()
    stage.run(0.5)
    assert not call()
    assert stage.records[-1].limit == f"trunk carrier: {name} 2"
    stage.run(0.1)
    assert call()
    assert not call()
    stage.run(0.4)
    assert call()


def test_calls_per_second_when_the_clock_is_set_back(limited):
    """A second is a second: the trunk is not full for an hour."""
    stage, gateway, alice, _ = limited(per_second_out=1)
    stage.clock.set_by = 86400
    for _ in range(2):
        line = alice.call("0123")
        gateway.refuse(486)
        assert final(line) == [486]
        stage.clock.set_by -= 3600
        stage.run(1)
    assert [record.limit for record in stage.records] == ["", ""]


def test_calls_per_second_from_the_trunk(limited):
    """The same for those that come from it; calls to it have a count of their own."""
    stage, gateway, alice, bob = limited(per_second_in=1, per_second_out=1)
    for phone in (alice, bob):
        phone.answers(486)
    assert final(gateway.call("alice")) == [486]
    stage.run(0)
    assert bob.lines == []
    assert final(gateway.call("bob")) == [486]
    assert bob.lines == []
    assert stage.records[-1].limit == "trunk carrier: per_second_in 1"
    line = alice.call("0123")
    gateway.refuse(404)
    assert final(line) == [404]
    stage.run(1)
    assert final(gateway.call("bob")) == [486]
    assert len(bob.lines) == 1


def test_a_cancelled_call_gives_its_place_back(limited):
    """At once, whenever it is cancelled: before the callee was heard, or while it rings."""
    stage, gateway, alice, _ = limited(calls_out=1)
    gateway.tries = False
    for rings in (False, True):
        line = alice.call("0123")
        assert calls(stage) == (0, 1)
        if rings:
            gateway.ring()
        line.cancel()
        assert calls(stage) == (0, 0)
        gateway.tries = True
        stage.run(1)


def test_whatever_ends_a_call_gives_its_place_back(limited):
    """A refusal, silence, a callee or a caller that hangs up, a switch that stops."""
    stage, gateway, alice, _ = limited(calls=1)
    alice.call("0123")
    gateway.refuse(404)
    assert calls(stage) == (0, 0)
    alice.call("0123")
    gateway.answer()
    gateway.hang_up()
    assert calls(stage) == (0, 0)
    gateway.call("alice").cancel()
    assert calls(stage) == (0, 0)
    alice.call("0123")
    gateway.answer()
    assert calls(stage) == (0, 1)
    stage.house.switch.shut()
    assert calls(stage) == (0, 0)
    gateway.silent = True
    line = alice.call("0123")
    stage.run(4)
    assert final(line) == [500]
    assert calls(stage) == (0, 0)


def test_an_emergency_call_beyond_the_limit(limited):
    """It goes out whatever the limits say, and counts (issue 4)."""
    stage, gateway, alice, bob = limited(calls=1, calls_out=1, per_second=1)
    one = alice.call("0123")
    gateway.answer()
    line = bob.call("112")
    gateway.answer()
    assert final(line) == [200]
    assert calls(stage) == (0, 2)
    line.request("BYE")
    assert final(bob.call("0123")) == [486]
    one.request("BYE")


def test_an_emergency_call_from_the_trunk(limited):
    """A PBX at its limit may still call for help."""
    _stage, gateway, alice, bob = limited(calls_in=1)
    one = gateway.call("alice")
    alice.answer()
    assert final(gateway.call("bob")) == [486]
    line = gateway.call("911")
    gateway.answer()
    assert final(line) == [200]
    assert bob.lines == []
    for each in (line, one):
        each.request("BYE")


def test_as_it_is_dialled_or_as_it_is_sent(limited):
    """A number that only becomes an emergency number on its way is one."""
    stage, gateway, alice, bob = limited(calls_out=1)
    one = alice.call("0123")
    gateway.answer()
    line = bob.call("0112")
    gateway.answer()
    assert final(line) == [200]
    for each in (line, one):
        each.request("BYE")
    assert calls(stage) == (0, 0)


def test_a_transfer_to_a_trunk_at_its_limit(limited):
    """The transferor hears 486 and the call goes on; its record says which limit it met. With room
    the transfer succeeds, and takes it."""
    stage, gateway, alice, bob = limited(calls_out=1)
    for phone in (alice, bob):
        phone.can()
        phone.answers["INVITE"] = 200
    line = bob.call("alice")
    alice.answer()
    other = gateway.call("bob")  # from the trunk, which takes no place to it
    bob.refuse(486)
    busy = stage.phone("carol").call("0123")
    gateway.answer()
    alice.line.refer("sip:0999@127.88.0.1")
    stage.run(2)
    assert alice.line.outcomes == [100, 486]
    assert line.stands
    busy.request("BYE")
    alice.line.refer("sip:0999@127.88.0.1")
    stage.run(2)
    gateway.answer()
    stage.run(2)
    assert alice.line.outcomes[-1] == 200
    assert calls(stage) == (0, 1)
    line.request("BYE")
    assert calls(stage) == (0, 0)
    assert stage.records[-1].limit == "trunk carrier: calls_out 1"
    assert final(other) == [486]


def test_overflow_to_another_trunk(make_stage):
    """A trunk at its limit is passed over, all its members at once, for whatever the route has
    next; the record says which limit the call met there."""
    trunks = {
        "carrier": {"addresses": [FIRST, SECOND], "limits": {"calls": 1}},
        "spare": {"addresses": ["127.88.0.103"]},
    }

    stage = make_stage({"trunks": trunks}, plug_ins=[both := Both()])
    both.house = stage.house.premises
    carrier, spare = stage.trunk("carrier"), stage.trunk("spare")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    one = alice.call("5")
    carrier.answer()
    two = bob.call("5")
    spare.answer()
    assert final(two) == [200]
    for line in (one, two):
        line.request("BYE")
    limits = [[attempt.limit for attempt in record.attempts] for record in stage.records]
    assert limits == [[""], ["trunk carrier: calls 1", ""]]


def test_a_reload_counts_on(limited):
    """Calls that run still count when the configuration is read anew, under the new limits."""
    stage, gateway, alice, bob = limited(calls_out=1)
    one = alice.call("0123")
    gateway.answer()
    trunk = stage.config.trunks["carrier"]
    wider = attrs.evolve(trunk, limits=attrs.evolve(trunk.limits, calls_out=2))
    stage.house.reload(attrs.evolve(stage.config, trunks={"carrier": wider}))
    two = bob.call("0123")
    gateway.answer()
    assert calls(stage) == (0, 2)
    assert final(bob.call("0123")) == [486]
    one.request("BYE")
    two.request("BYE")
    assert calls(stage) == (0, 0)


def test_figures_of_each_member(make_stage):
    """How many calls a member has, and has had; round-robin spreads them."""
    trunk = {"addresses": [FIRST, SECOND], "select": "round-robin"}
    stage = make_stage({"trunks": {"carrier": trunk}})
    gateways = stage.trunk("carrier"), stage.trunk("carrier", 1)
    alice = stage.phone("alice")
    lines = []
    for gateway in (*gateways, gateways[0]):
        lines.append(alice.call("0123"))
        gateway.answer()
    figures = stage.house.stats()["trunks"]["carrier"]
    assert (figures["total_in"], figures["total_out"], figures["calls_out"]) == (0, 3, 3)
    assert {host: each["calls"] for host, each in figures["members"].items()} == {
        FIRST: 2,
        SECOND: 1,
    }
    for line in lines:
        line.request("BYE")
    figures = stage.house.stats()["trunks"]["carrier"]
    assert {host: (each["calls"], each["total"]) for host, each in figures["members"].items()} == {
        FIRST: (0, 2),
        SECOND: (0, 1),
    }
