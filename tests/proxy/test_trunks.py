"""Calls that are forwarded over trunks: they count, and tell how the members are."""

import attrs
import pytest
from zope.interface import implementer

from softswitch.machine import unexpected
from softswitch.plugin.decisions import Proxy
from softswitch.plugin.interfaces import IRouter
from softswitch.testing.stage import Stage

FIRST, SECOND = "127.88.0.101", "127.88.0.102"


@implementer(IRouter)
@attrs.define
class OverTrunk:
    """Forwards numbers that begin with 0 over the trunk, all others to where their user is."""

    house: object = None

    def route(self, request):
        user = request.uri.user
        if user.startswith("0"):
            return Proxy(self.house.trunk("carrier").targets(user, request))
        found = self.house.locate(user, self.house.domain)
        return Proxy([binding.contact for binding in found])


@pytest.fixture
def forwarding():
    """Makes stages; each must be left empty."""
    stages, before = [], unexpected.copy()

    def make(**trunk):
        carrier = {"addresses": [f"{FIRST}:5060", f"{SECOND}:5060"], **trunk}
        policy = OverTrunk()
        made = Stage({"trunks": {"carrier": carrier}}, plug_ins=[policy])
        policy.house = made.house.premises
        stages.append(made)
        gateways = made.trunk("carrier"), made.trunk("carrier", 1)
        return made, *gateways, made.phone("alice"), made.phone("bob")

    yield make
    for made in stages:
        print(made.ladder())
        made.close()
    assert unexpected - before == {}


def calls(stage):
    """How many calls the trunk carries: in, out."""
    figures = stage.house.stats()["trunks"]["carrier"]
    return figures["calls_in"], figures["calls_out"]


def final(line):
    """The final answer to a call."""
    return [response.status for response in line.responses if response.status >= 200]


def test_a_forwarded_call_counts(forwarding):
    """From its INVITE to the end of its record; one more than the limit gets 486, and its record
    says which limit (issue 4)."""
    stage, first, second, alice, bob = forwarding(limits={"calls_out": 1})
    line = alice.call("0123")
    assert calls(stage) == (0, 1)
    first.answer()
    assert final(bob.call("0456")) == [486]
    (record,) = stage.records
    assert record.limit == "trunk carrier: calls_out 1"
    assert {attempt.limit for attempt in record.attempts} == {record.limit}
    line.request("BYE")
    assert calls(stage) == (0, 0)
    for end in ("refused", "cancelled"):
        line = bob.call("0456")
        assert calls(stage) == (0, 1)
        if end == "refused":
            first.refuse(404)
            assert calls(stage) == (0, 1)
            second.refuse(404)
        else:
            line.cancel()
        assert calls(stage) == (0, 0)
        stage.run(1)


def test_a_forwarded_call_from_the_trunk_counts(forwarding):
    """Once, and as long as it lasts."""
    stage, first, _, alice, bob = forwarding(limits={"calls_in": 1, "per_second_in": 1})
    line = first.call("alice")
    assert calls(stage) == (1, 0)
    alice.answer()
    stage.run(1)
    assert final(first.call("bob")) == [486]
    assert bob.lines == []
    line.request("BYE")
    assert calls(stage) == (0, 0)
    assert stage.house.stats()["trunks"]["carrier"]["total_in"] == 1
    second = first.call("bob")
    bob.answer()
    assert final(second) == [200]
    second.request("BYE")


def test_a_member_that_fails_a_forwarded_call(forwarding):
    """It is skipped by the next; when none is left the caller hears 500 with Q.850 cause 38."""
    _stage, first, second, alice, bob = forwarding()
    line = alice.call("0123")
    first.line.respond(503, fields=[("Retry-After", "60")])
    second.answer()
    line.request("BYE")
    line = bob.call("0123")
    second.line.respond(503, fields=[("Retry-After", "60")])
    assert final(line) == [500]
    assert len(first.lines) == 1
    line = alice.call("0123")
    assert final(line) == [500]
    assert line.responses[-1].get("Reason") == "Q.850;cause=38"
    assert [len(gateway.lines) for gateway in (first, second)] == [1, 2]


def test_emergency_calls_are_forwarded_beyond_the_limit(forwarding):
    """Whatever the limits say."""
    stage, first, _, alice, bob = forwarding(limits={"calls": 1})
    stage.house.premises.trunks.find("carrier").state.around.emergency = frozenset(("0112",))
    one = alice.call("0123")
    first.answer()
    line = bob.call("0112")
    first.answer()
    assert final(line) == [200]
    for each in (one, line):
        each.request("BYE")
    assert calls(stage) == (0, 0)


def test_a_member_that_wants_less(forwarding):
    """By its own word (RFC 7339): what begins something goes to the other one, what belongs to a
    dialog goes where it belongs; where nobody else is, the caller hears of it."""
    stage, first, second, alice, bob = forwarding(overload_control=True)
    less = {"oc": "100", "oc-algo": '"loss"', "oc-validity": "5000", "oc-seq": "1.1"}
    line = alice.call("0123")
    assert first.line.invite.top_via.params["oc"] is None
    first.line.invite.tell(less)
    first.answer()
    bob.call("0456")
    second.line.invite.tell(less)
    second.answer()
    bob.hang_up()
    assert len(first.lines) == 1
    assert final(bob.call("0789"))[0] >= 500
    line.request("BYE")
    assert first.line.methods[-1] == "BYE"
    assert stage.house.stats()["trunks"]["carrier"]["members"][f"{FIRST}:5060"]["up"]
