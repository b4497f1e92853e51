"""Calls whose media relay has died: led through another one, or ended with their reason."""

import pytest

from softswitch.testing.media import CountingEngine, SlowEngine


@pytest.fixture(params=["at once", "slow"])
def stage(request, make_stage):
    """A stage whose engine can lose what it has."""

    def engine(clock):
        counting = CountingEngine()
        return counting if request.param == "at once" else SlowEngine(counting, clock, seed=7)

    return make_stage(engine=engine, pace=0.0 if request.param == "at once" else 2.5)


def talk(stage, answers=200):
    """Alice and Bob talk, and would answer a re-INVITE so."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    stage.run(1)
    for phone in (alice, bob):
        phone.line.answers["INVITE"] = answers
    return line, bob.line


def counting(stage):
    """The engine that has the ports."""
    return getattr(stage.engine, "engine", stage.engine)


def lose(stage):
    """The relay dies, and another one is there."""
    stage.house.switch.media_lost([*counting(stage).lose(), "nobody's"])
    stage.run(15)


def port(sdp):
    """Of the audio."""
    return int(sdp.split(b"m=audio ")[1].split()[0])


def test_both_sides_are_led_to_new_ports(stage):
    """Each gets a re-INVITE with a port that the new relay has, and the call goes on."""
    line, far = talk(stage)
    before = port(line.sdp), port(far.sdp)
    lose(stage)
    (legs,) = counting(stage).sessions.values()
    assert (port(line.sdp), port(far.sdp)) == (legs["a"][0], legs["b1"][0])
    assert not {port(line.sdp), port(far.sdp)} & set(before)
    assert (line.methods.count("INVITE"), far.methods.count("INVITE")) == (1, 2)
    line.request("BYE")
    stage.run(5)
    assert far.over
    (record,) = stage.records
    assert (record.status, record.hung_up) == (200, "caller")


def test_a_hold_lasts(stage):
    """What was held is held still, and can be resumed."""
    line, far = talk(stage)
    far.answers["INVITE"] = 0
    line.reinvite(line.phone.sdp("sendonly", version=2))
    stage.run(5)
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2))
    stage.run(5)
    for each, direction in ((line, "sendonly"), (far, "recvonly")):
        each.answers["INVITE"] = 200
        each.description = each.phone.sdp(direction, version=2)
    lose(stage)
    assert b"a=sendonly" in far.sdp
    assert b"a=recvonly" in line.sdp
    line.request("BYE")
    stage.run(5)
    assert far.over


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("status", [488, 481, 500])
def test_a_side_that_does_not_agree(stage, who, status):
    """The call ends on both sides, and the record says why."""
    line, far = talk(stage)
    (line if who == "caller" else far).answers["INVITE"] = status
    lose(stage)
    stage.run(40)
    assert line.over
    assert far.over
    (record,) = stage.records
    assert (record.status, record.hung_up) == (200, "switch")
    if status != 481:
        assert record.reason == "Media Relay Lost"


def test_something_is_being_negotiated(stage):
    """The re-INVITE that is under way fails; then both are led to the new relay."""
    line, far = talk(stage)
    far.answers["INVITE"] = 0
    line.reinvite(line.phone.sdp("sendonly", version=2))
    stage.run(5)
    far.answers["INVITE"] = 200
    lose(stage)
    far.respond(488)
    stage.run(20)
    (legs,) = counting(stage).sessions.values()
    assert (port(line.sdp), port(far.sdp)) == (legs["a"][0], legs["b1"][0])
    line.request("BYE")
    stage.run(5)


def test_a_call_that_rings_fails_when_it_is_answered(stage):
    """Its callee was told of ports that are gone."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    stage.run(3)
    lose(stage)
    bob.answer()
    stage.run(5)
    assert line.statuses[-1] >= 480
    assert bob.line.over
