"""The subscription that a REFER makes (RFC 3515 2.4.4, RFC 6665), and what far ends say early."""

import pytest

from softswitch.testing.media import CountingEngine


@pytest.fixture
def referred(make_stage):
    """Bob has sent his call with Alice on to Carol, whose phone rings: stage, Alice's line, Bob's
    and Carol."""
    stage = make_stage(engine=lambda clock: CountingEngine())
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    for phone in (alice, bob, carol):
        phone.can("replaces")
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    return stage, line, bob.line, carol


def subscribe(line, event, seconds):
    """The transferor speaks of its subscription."""
    line.request("SUBSCRIBE", [("Event", event), ("Expires", str(seconds))])
    return line.final


def goes_on(stage, line, other):
    """The call is as it was."""
    assert line.stands
    assert other.stands
    line.request("BYE")
    assert line.final == 200
    assert other.over


def test_who_has_unsubscribed_hears_no_more(referred):
    """Not even of the failure (RFC 6665 4.1.2.3)."""
    stage, line, other, carol = referred
    assert subscribe(other, "refer", 0) == 200
    told = list(other.outcomes)
    carol.refuse(486)
    assert other.outcomes == told
    goes_on(stage, line, other)


def test_who_knows_of_no_subscription_hears_no_more(make_stage):
    """Its 481 to the first NOTIFY ends the subscription, not the transfer (RFC 6665 4.2.2)."""
    stage = make_stage(engine=lambda clock: CountingEngine())
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    for phone in (alice, bob, carol):
        phone.can("replaces")
    bob.answers["NOTIFY"] = 481
    line = alice.call("bob")
    bob.answer()
    bob.line.refer(bob.uri("carol"))
    carol.refuse(486)
    assert bob.line.methods.count("NOTIFY") == 1
    goes_on(stage, line, bob.line)


def test_it_is_a_subscription_to_the_refer_alone(referred):
    """Any other event is none that we serve within a call: 489 (RFC 6665 4.2.1.3)."""
    stage, line, other, carol = referred
    assert subscribe(other, "presence", 60) == 489
    carol.ring(188)
    assert subscribe(other, "refer", 60) == 200
    assert other.outcomes == [100, 188, 188]
    carol.refuse(486)
    goes_on(stage, line, other)


def test_a_request_before_there_is_anybody_to_hear_it(make_stage):
    """The first gateway has rung and failed, the second one says nothing: 500 with Retry-After,
    for a 481 would end the caller's dialog (RFC 5057 5.1)."""
    stage = make_stage()
    hosts = [str(each).partition(":")[0] for each in stage.config.trunks["carrier"].addresses]
    first, second, *_ = (stage.phone(host, host=host) for host in hosts)
    alice = stage.phone("alice")
    second.tries = False
    line = alice.call("0123")
    first.ring()
    first.refuse(503)
    line.request("INFO")
    assert line.final == 500
    assert line.replies[-1].get("Retry-After")
    second.answer()
    line.request("BYE")
    assert second.line.over
