"""The record of a call that is forwarded: there is one for each INVITE, and it ends."""

import json

import pytest

from softswitch.plain import from_plain, to_plain
from softswitch.proxy.ledger import GRACE_SECONDS, UNHEARD_SECONDS, CallData


def test_what_is_known_is_plain_data(proxying):
    """It can be written down and rebuilt."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    line.request("INFO")
    [call] = stage.house.proxy.ledger.calls()
    plain = to_plain(call.data)
    assert from_plain(CallData, json.loads(json.dumps(plain))) == call.data
    assert call.data.callee_tags == [bob.line.tag]
    assert call.data.from_caller is not None
    assert call.data.from_caller.remote_host == alice.host
    assert stage.house.stats()["calls_forwarded"] == 1
    bob.hang_up()
    assert stage.house.stats()["calls_forwarded"] == 0


def test_a_call_that_nothing_is_heard_of(proxying):
    """The BYE has gone astray: after half a day without a message the record ends."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    stage.run(UNHEARD_SECONDS - 1)
    line.request("OPTIONS")
    stage.run(UNHEARD_SECONDS - 1)
    assert not stage.records
    stage.run(2)
    [record] = stage.records
    assert (record.status, record.hung_up, record.reason) == (200, "switch", "Nothing Heard")
    alice.hang_up()
    assert bob.line.over, "the call itself may go on"


def test_a_call_with_a_session_timer(proxying):
    """It is over when its session has expired without a refresh (RFC 4028 8)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    timer = [("Session-Expires", "1800;refresher=uas")]
    bob.answer(fields=timer)
    stage.run(900)
    bob.line.reinvite(bob.sdp())
    alice.line.respond(200, sdp=alice.sdp(), fields=timer)
    stage.run(1800 + GRACE_SECONDS - 1)
    assert not stage.records
    stage.run(2)
    assert [record.reason for record in stage.records] == ["Nothing Heard"]


@pytest.mark.parametrize("expires", ["soon", "", "-1", "99999999999999999999", "٣"])
def test_a_session_timer_that_is_none(proxying, expires):
    """What cannot be read counts as absent, or is as long as it may be."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer(fields=[("Session-Expires", expires)])
    stage.run(2000)
    assert not stage.records
    bob.hang_up()
    assert len(stage.records) == 1


def test_a_bye_for_a_dialog_that_is_not_there(proxying):
    """Only the BYE of a dialog that stands ends the record."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    right, line.remote = line.remote, f"<{alice.uri('bob')}>;tag=wrong"
    line.request("BYE")
    assert line.final == 481
    assert not stage.records
    line.remote, line.over = right, False
    alice.hang_up()
    assert len(stage.records) == 1


def test_what_is_refused_before_it_is_forwarded(proxying):
    """There is a record of that too, without an attempt."""
    stage = proxying("bob")
    alice = stage.phone("alice")
    stage.phone("bob")
    line = alice.call("bob", fields=[("Proxy-Require", "foo")])
    assert line.statuses == [420]
    [record] = stage.records
    assert (record.status, record.hung_up, record.attempts) == (420, "switch", [])
    assert record.reason == "Bad Extension"


def test_the_record_says_who_decided_and_why_it_ended(proxying):
    """As that of any other call: the policies' verdicts, the Reason of BYE, CANCEL and refusal, the
    caller as he was sent on."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    bob.hang_up([("Reason", "Q.850;cause=16")])
    alice.call("bob")
    bob.ring()
    alice.cancel([("Reason", "SIP;cause=487")])
    stage.run(5)
    alice.call("bob")
    bob.refuse(486, fields=[("Reason", "Q.850;cause=17")])
    assert [record.causes for record in stage.records] == [
        ["Q.850;cause=16"],
        ["SIP;cause=487"],
        ["Q.850;cause=17"],
    ]
    for record in stage.records:
        assert [(each.question, each.policy, each.decision) for each in record.verdicts] == [
            ("admission", "users", "user alice"),
            ("routing", "Forwarding", "forwarded to 1 target"),
        ]
        assert record.call_group == record.id
        assert record.user == "alice"
        assert record.attempts[0].caller == record.caller


def test_a_call_that_is_forwarded_when_the_switch_stops(proxying):
    """Its record ends with the switch, be it answered or not, once."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    ringing = alice.call("bob")
    bob.ring()
    stage.house.switch.draining = True
    stage.house.switch.shut()
    stage.house.proxy.shut()
    stage.settle()
    assert ringing.statuses[-1] == 503
    assert sorted((each.status, each.hung_up) for each in stage.records) == [
        (200, "switch"),
        (503, "switch"),
    ]
    stage.house.close()
    assert len(stage.records) == 2
