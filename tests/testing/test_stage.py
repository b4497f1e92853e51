"""The stage: what a test that plays on it may rely on."""

import attrs
import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Reject
from softswitch.plugin.interfaces import IRouter
from softswitch.testing.stage import Stage, written_down


@implementer(IRouter)
@attrs.define
class Closed:
    """A plug-in under test: nobody is called after hours."""

    hour: int

    def route(self, invite):
        return Reject(480, "Closed") if self.hour >= 18 else None


def test_a_plug_in_on_the_stage():
    """An author's policy in the real engine, with the time that he wants."""
    with Stage(plug_ins=[Closed(hour=19)]) as stage:
        alice = stage.phone("alice")
        stage.phone("bob")
        line = alice.call("bob")
        assert line.statuses == [480]
        assert line.responses[-1].reason == "Closed"


def test_a_configuration_in_toml():
    """Its tables lie on those of the stage."""
    with Stage('[switch]\nring_seconds = 3\n[users.zoe]\npassword = "z"\n') as stage:
        zoe = stage.phone("zoe")
        line = zoe.call("zoe")
        stage.run(3)
        assert line.statuses == [480]


def test_a_call_that_does_not_end_is_found(capsys):
    """The end of the stage says so, and prints the ladder."""
    stage = Stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    with pytest.raises(AssertionError, match="calls have not ended"), stage:
        pass
    assert "200 OK (1 INVITE)" in capsys.readouterr().out


def test_what_is_left_behind_is_found():
    """A scope that stays open fails the test."""
    stage = Stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    call = next(iter(stage.house.switch.calls.values()))
    call.caller.scope.hold(call.caller)
    alice.hang_up()
    with pytest.raises(AssertionError, match="still open"):
        stage.close()


def test_a_failing_test_shows_the_ladder(capsys):
    """Whatever fails on the stage."""
    stage = Stage()
    stage.phone("alice")
    with pytest.raises(ValueError, match="mine"), stage:
        raise ValueError("mine")
    assert "REGISTER" in capsys.readouterr().out


def test_every_event_is_followed_by_a_look_at_every_call(monkeypatch):
    """What a call knows is written down and rebuilt after each message and each timer."""
    seen = []

    def look(data):
        seen.append(data.state)
        return written_down(data)

    monkeypatch.setattr("softswitch.testing.stage.written_down", look)
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        alice.call("bob")
        bob.ring()
        bob.answer()
        alice.hang_up()
    assert list(dict.fromkeys(seen)) == ["hunting", "talking"]
    assert len(seen) >= 4


def test_a_phone_proves_its_password():
    """Once; what is wrong stays wrong."""
    with Stage() as stage:
        assert stage.phone("alice").registered == 200
        wrong = stage.phone("bob", password="wrong", register=False)
        assert wrong.register() == 401
        assert wrong.times(401) == [0.0, 0.0]


def test_what_was_not_expected_fails():
    """``expect`` takes the messages in their order."""
    with Stage() as stage:
        stranger = stage.peer("127.88.0.200")
        stranger.send(stranger.request("OPTIONS", "sip:127.88.0.1"))
        with pytest.raises(AssertionError, match="200 was expected"):
            stranger.expect(200)
        with pytest.raises(AssertionError, match="nothing came"):
            stranger.expect(401)
