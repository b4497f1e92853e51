"""What stands in the record of a call: who decided what, numbers as sent, why it ended, what
belongs together; and that there is one, told while whoever is told of it still listens."""

import attrs
import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Redirect, Reject
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.media import MediaReport
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import MediaStream
from softswitch.policy.chain import Policy
from softswitch.testing.media import CountingEngine, SeeingEngine, SlowEngine

CAUSE = 'Q.850;cause=16;text="Bye"'


def verdicts(record):
    return [(each.question, each.policy, each.decision) for each in record.verdicts]


@implementer(IRouter)
class Closed:
    """Answers "bob" as it is told."""

    def __init__(self, decision):
        self.decision = decision

    def route(self, invite):
        return self.decision if invite.uri.user == "bob" else None


def test_who_has_decided(stage):
    """The policy that has said who calls, and the one that has said where to."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.trunk("carrier")
    alice.call("bob")
    bob.refuse(486)
    alice.call("0100")
    carol.refuse(404)
    alice.call("nobody")
    local, out, lost = stage.records
    assert verdicts(local) == [
        ("admission", "users", "user alice"),
        ("routing", "located", "1 target"),
    ]
    assert verdicts(out)[1] == ("routing", "dialplan", "3 targets")
    assert verdicts(lost)[1] == ("routing", "", "404 Not Found")


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Reject(603, "Closed"), "603 Closed"),
        (Reject(480), "480 Temporarily Unavailable"),
        (Redirect(["sip:1@x", "sip:2@x"]), "302 to sip:1@x, sip:2@x"),
    ],
)
def test_a_policy_turns_a_call_away(make_stage, decision, said):
    """There is a record, which names the policy and what it has said."""
    stage = make_stage(plug_ins=[Closed(decision)])
    stage.phone("alice").call("bob")
    (record,) = stage.records
    assert record.status == decision.status
    assert verdicts(record)[1] == ("routing", "Closed", said)


def test_a_policy_that_takes_its_time(make_stage):
    """It is named too, though others were asked for other calls meanwhile."""

    async def later():
        return Reject(480)

    class Slow(Closed):
        def route(self, invite):
            return later() if super().route(invite) is not None else None

    stage = make_stage(plug_ins=[Slow(Reject(480))])
    stage.phone("alice").call("bob")
    assert verdicts(stage.records[0])[1] == ("routing", "Slow", "480 Temporarily Unavailable")


def test_numbers_as_received_and_as_sent(make_stage):
    """Request-URI and From of both sides; the user who calls and the one who is called."""
    trunk = {
        "addresses": ["127.88.0.101"],
        "from_user": "4989",
        "request_host": "carrier.example",
    }
    stage = make_stage({"trunks": {"carrier": trunk}})
    alice, bob, carrier = stage.phone("alice"), stage.phone("bob"), stage.trunk("carrier")
    alice.call("bob")
    bob.refuse(486)
    alice.call("0100")
    carrier.refuse(486)
    local, out = stage.records
    assert (local.user, local.attempts[0].user, local.attempts[0].trunk) == ("alice", "bob", None)
    assert local.attempts[0].caller == f"<sip:alice@{stage.address[0]}>"
    assert out.called == alice.uri("0100")
    (attempt,) = out.attempts
    assert (attempt.user, attempt.trunk) == ("", "carrier")
    assert attempt.caller == carrier.line.invite.get("From").partition(";tag")[0]
    assert "sip:4989@" in attempt.caller


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_why_a_call_ended(stage, who):
    """The Reason of the BYE, as it came (RFC 3326)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    stage.run(5)
    (alice if who == "caller" else bob).hang_up([("Reason", CAUSE), ("Reason", "SIP;cause=200")])
    (record,) = stage.records
    assert record.causes == [CAUSE, "SIP;cause=200"]


def test_why_a_call_was_given_up_or_refused(stage):
    """The Reason of the CANCEL, and of the refusal."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.ring()
    alice.cancel([("Reason", "SIP;cause=487")])
    stage.run(5)
    alice.call("bob")
    bob.refuse(486, fields=[("Reason", "Q.850;cause=17")])
    alice.call("bob")
    stage.run(5)
    bob.refuse(486)
    stage.run(5)
    assert [record.causes for record in stage.records] == [
        ["SIP;cause=487"],
        ["Q.850;cause=17"],
        [],
    ]


def test_a_call_that_stands_alone(stage):
    """Its group is itself."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.refuse(486)
    (record,) = stage.records
    assert record.call_group == record.id


def test_an_attended_transfer_is_one_group(stage):
    """The call whose leg came over, the call that it came to, named after the one that began first;
    a call that is picked up out of that belongs to it too."""
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    for phone in (alice, bob, carol):
        phone.can("replaces")
        phone.answers["INVITE"] = 200
    alice.call("bob")
    bob.answer()
    stage.run(5)
    first = next(iter(stage.house.switch.calls))
    other = bob.line
    second = bob.call("carol")
    stage.run(5)
    carol.answer()
    stage.run(5)
    other.refer(bob.uri("carol"), second)
    stage.run(10)
    assert len(stage.house.switch.calls) == 1
    taken = bob.call("carol", fields=[("Replaces", carol.line.replaces)])
    stage.run(10)
    assert taken.stands
    taken.request("BYE")
    stage.run(5)
    assert len(stage.records) == 3
    assert {record.call_group for record in stage.records} == {first}


def test_a_pick_up_is_one_group(stage):
    """The call that rang, and the one that took it."""
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    alice.call("bob")
    stage.run(3)
    bob.ring()
    stage.run(3)
    first = next(iter(stage.house.switch.calls))
    taken = carol.call("bob", fields=[("Replaces", f"{bob.line.replaces};early-only")])
    stage.run(10)
    taken.request("BYE")
    stage.run(5)
    assert [record.call_group for record in stage.records] == [first, first]


def talkers(stage):
    """Alice talks to Bob: all three phones, both lines, and the call's id."""
    phones = [stage.phone(name) for name in ("alice", "bob", "carol")]
    for phone in phones:
        phone.can("replaces")
        phone.answers["INVITE"] = 200
    alice, bob, _ = phones
    line = alice.call("bob")
    stage.run(3)
    bob.answer()
    stage.run(5)
    return *phones, line, bob.line, next(iter(stage.house.switch.calls))


def test_a_transferor_leaves_its_other_call_before_the_target_has_come_over(make_stage):
    """As many phones do, right after the REFER: the record of that call is told before the calls
    are one, and yet has their group; so has each further one."""
    stage = make_stage()
    _, bob, carol, line, far, first = talkers(stage)
    for transferor, target in ((bob, carol), (carol, bob)):
        second = transferor.call(target.name)
        stage.run(1)
        target.answer()
        stage.run(1)
        stage.network.delay = 0.05
        far.refer(transferor.uri(target.name), second)
        second.request("BYE")
        stage.run(5)
        stage.network.delay = 0
        far = target.line
        assert line.stands
        assert far.stands
    line.request("BYE")
    assert [record.call_group for record in stage.records] == [first] * 3


@pytest.mark.parametrize("status", [200, 488])
def test_who_is_picked_up_leaves_before_it_is_done(make_stage, status):
    """The same, and the record is told even where nothing comes of it."""
    stage = make_stage()
    alice, _, carol, line, far, first = talkers(stage)
    line.answers["INVITE"] = 0
    taken = carol.call("bob", fields=[("Replaces", far.replaces)])
    far.request("BYE")
    assert len(stage.records) == 1
    line.respond(status, sdp=alice.sdp() if status == 200 else b"")
    stage.run(1)
    assert taken.statuses == [status]
    if taken.stands:
        taken.request("BYE")
    assert [record.call_group for record in stage.records] == [first] * 2


def test_a_take_over_that_fails_is_none(stage):
    """Calls that have nothing to do with each other afterwards are no group."""
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    alice.answers["INVITE"] = 488
    line = alice.call("bob")
    stage.run(3)
    bob.answer()
    stage.run(5)
    carol.call("bob", fields=[("Replaces", bob.line.replaces)])
    stage.run(10)
    line.request("BYE")
    stage.run(5)
    assert len(stage.records) == 2
    assert all(record.call_group == record.id for record in stage.records)


@attrs.define
class Listening(Observer):
    """Notes what it is told, in order, and that it is told to stop."""

    told: list[str] = attrs.Factory(list)

    def call_ended(self, record):
        self.told.append(f"{record.status} {len(record.media)}")

    def stop(self):
        self.told.append("stop")


@pytest.mark.parametrize("delay", [0.5, 60])
def test_policies_hear_of_what_the_stop_has_ended(make_stage, delay):
    """A call that is hung up because the switch stops is told of before the policies are stopped,
    with its figures where they come in time, without them else; nothing comes in after that."""
    stage = make_stage(engine=lambda clock: SeeingEngine(clock, delay))
    listening = Listening()
    stage.house.policies.observe(Policy("listening", listening))
    stage.house.policies.policies += (Policy("listening", listening),)
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    alice.call("bob")
    bob.answer()
    stage.run(5)
    stage.engine.reports[next(iter(stage.house.switch.calls))] = MediaReport(
        (MediaStream("a", 0, packets=5),), ""
    )
    stage.house.switch.draining = True
    stage.house.switch.shut()
    stage.run(1)
    assert stage.house.close() == []
    assert listening.told == [f"200 {int(delay < 1)}", "stop"]
    refused = carol.call("bob")
    stage.run(1)
    assert refused.statuses == []
    assert len(stage.records) == 1


@attrs.define
class Billing(Observer):
    """Notes when it is told that calls were answered."""

    began: list[float] = attrs.Factory(list)

    def call_answered(self, record):
        self.began.append(record.answered)


def held(stage, delay=0.0):
    """A call that was answered while the caller's PRACK, which that waits for, is lost or on its
    way (RFC 3262 3): the caller's line, the callee, and who bills it."""
    billing = Billing()
    stage.house.policies.observe(Policy("billing", billing))
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.can("100rel")
    line = alice.call("bob")
    line.reliable.pracks = delay > 0
    stage.network.delay = delay
    bob.ring(183, sdp=bob.sdp())
    bob.answer()
    return line, bob, billing


def test_a_cancel_crosses_an_answer_that_was_held_back(make_stage):
    """Nobody has been answered, and nobody pays: the caller was told 487."""
    stage = make_stage()
    line, bob, billing = held(stage, delay=0.1)
    stage.run(0.15)
    line.cancel([("Reason", CAUSE)])
    stage.run(3)
    (record,) = stage.records
    assert line.statuses == [183, 487]
    assert (record.answered, record.status, record.hung_up) == (None, 487, "caller")
    assert bob.line.got("BYE").get("Reason") == CAUSE
    assert record.causes == [CAUSE]
    assert billing.began == []


@pytest.mark.parametrize(
    ("who", "status"), [("caller", 487), ("callee", 480), ("switch", 504), ("stop", 503)]
)
def test_who_ends_a_call_whose_answer_is_held_back(make_stage, who, status):
    """The record says what the caller was told."""
    stage = make_stage()
    line, bob, billing = held(stage)
    if who == "stop":
        stage.house.switch.shut()
    elif who != "switch":
        (line if who == "caller" else bob.line).request("BYE", [("Reason", CAUSE)])
    stage.run(40)
    (record,) = stage.records
    assert line.statuses == [183, status]
    assert (record.answered, record.status) == (None, status)
    assert record.hung_up == {"stop": "switch"}.get(who, who)
    assert billing.began == []
    assert bob.line.over


def test_an_answer_that_was_held_back_leaves(make_stage):
    """The call has been answered when the caller is told."""
    stage = make_stage()
    line, bob, billing = held(stage, delay=0.1)
    stage.run(5)
    line.request("BYE")
    stage.run(5)
    (record,) = stage.records
    assert line.statuses == [183, 200]
    assert record.answered > record.attempts[0].answered
    assert billing.began == [record.answered]
    assert (record.status, record.hung_up) == (200, "caller")
    assert bob.line.over


@pytest.mark.parametrize("told", [True, False])
def test_a_pick_up_finds_a_caller_who_has_to_acknowledge_something(make_stage, told):
    """What answers the caller would be held back as well, be it for what the media engine has
    still: 491, and the call is as it was."""
    stage = make_stage(engine=lambda clock: SlowEngine(CountingEngine(), clock, seed=9))
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    alice.can("100rel")
    line = alice.call("bob")
    line.reliable.pracks = False
    stage.run(3)
    bob.ring(183, sdp=bob.sdp())
    stage.run(3 if told else 0)
    taken = carol.call("bob", fields=[("Replaces", bob.line.replaces)])
    assert taken.statuses == [491]
    stage.run(3)
    line.reliable.prack(line.responses[-1])
    bob.answer()
    stage.run(3)
    assert line.stands
    line.request("BYE")


def test_no_prack_for_what_rings(make_stage):
    """The caller has not hung up: the switch has, with 504 (RFC 3262 3)."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", fields=[("Require", "100rel")])
    line.reliable.pracks = False
    bob.ring()
    stage.run(50)
    (record,) = stage.records
    assert line.statuses[-1] == record.status == 504
    assert (record.hung_up, record.reason) == ("switch", "No PRACK")


def ringing(stage):
    """A call that rings, who bills it, who is to pick it up, and how."""
    billing = Billing()
    stage.house.policies.observe(Policy("billing", billing))
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob")
    stage.run(3)
    bob.ring()
    stage.run(3)
    return line, billing, carol, [("Replaces", f"{bob.line.replaces};early-only")]


def test_a_ringing_call_that_is_picked_up_has_been_answered(make_stage):
    """The caller was told 200, and talks: so says her record, and whoever bills her hears of it.
    What the media engine has seen is in the other record."""
    stage = make_stage(engine=lambda clock: SeeingEngine(clock, 0.5))
    line, billing, carol, replaces = ringing(stage)
    taken = carol.call("bob", fields=replaces)
    stage.run(10)
    assert line.statuses == [180, 200]
    taken.request("BYE")
    stage.run(5)
    picked_up, other = stage.records
    assert picked_up.answered == picked_up.ended == other.answered
    assert (picked_up.status, picked_up.hung_up) == (200, "switch")
    assert picked_up.reason == "Replaced"
    assert billing.began == [picked_up.answered, other.answered]


def test_a_pick_up_is_given_up_when_the_caller_has_been_answered(make_stage):
    """She was told 200, and then BYE: she has not hung up."""
    stage = make_stage(engine=lambda clock: SlowEngine(CountingEngine(), clock, seed=3))
    line, billing, carol, replaces = ringing(stage)
    taken = carol.call("bob", fields=replaces)
    while line.statuses != [180, 200]:
        stage.run(0.05)
    assert taken.statuses == []
    taken.cancel()
    stage.run(5)
    picked_up, other = stage.records
    assert line.over
    assert (picked_up.status, picked_up.hung_up) == (200, "switch")
    assert (other.status, other.hung_up, other.answered) == (487, "caller", None)
    assert billing.began == [picked_up.answered]


@pytest.mark.parametrize("how", ["CANCEL", "BYE"])
def test_a_caller_gives_up_while_being_picked_up(make_stage, how):
    """She has hung up, and says why; whoever picks up is told 487."""
    stage = make_stage(engine=lambda clock: SlowEngine(CountingEngine(), clock, seed=3))
    line, billing, carol, replaces = ringing(stage)
    taken = carol.call("bob", fields=replaces)
    if how == "CANCEL":
        line.cancel([("Reason", CAUSE)])
    else:
        line.request("BYE", [("Reason", CAUSE)])
    stage.run(5)
    picked_up = stage.records[0]
    assert line.statuses == [180, 487]
    assert (picked_up.status, picked_up.hung_up, picked_up.answered) == (487, "caller", None)
    assert picked_up.causes == [CAUSE]
    assert taken.statuses == [487]
    assert billing.began == []


def test_the_far_party_hangs_up_while_being_picked_up(make_stage):
    """She has hung up, and the other side hears why; nobody was gone meanwhile."""
    stage = make_stage()
    _, _, carol, line, far, _ = talkers(stage)
    line.answers["INVITE"] = 0
    taken = carol.call("alice", fields=[("Replaces", far.replaces)])
    line.request("BYE", [("Reason", CAUSE)])
    stage.run(1)
    assert far.got("BYE").get("Reason") == CAUSE
    assert taken.statuses == [480]
    record = stage.records[0]
    assert (record.hung_up, record.reason, record.causes) == ("caller", "BYE", [CAUSE])
