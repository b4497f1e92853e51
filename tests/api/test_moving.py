"""Transfers that an operator orders."""

import pytest

CALLS = "/api/v1/calls"


@pytest.fixture(name="talking")
def _talking(stage):
    """Alice and Bob talk; Carol is there."""
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    alice.call("bob")
    bob.answer()
    return alice, bob, carol


def path(stage):
    [name] = stage.house.switch.calls
    return f"{CALLS}/{name}/transfer"


@pytest.mark.parametrize("stays", ["a", "b1"])
@pytest.mark.parametrize("to", ["carol", "sip:carol@127.88.0.1"])
def test_either_leg_goes_to_somebody_else(stage, desk, talking, stays, to):
    """By name or URI. The other one is dismissed when he answers; there is one record, with both
    tries."""
    alice, bob, carol = talking
    there, gone = (alice, bob) if stays == "a" else (bob, alice)
    response = desk.ask("POST", path(stage), {"to": to, "leg": stays})
    assert response.status == 202
    assert response.json["target"] == "sip:carol@127.88.0.1"
    assert not gone.line.over
    carol.ring()
    name = response.json["id"]
    assert desk.get(f"{CALLS}/{name}").json["transfer"] == "trying"
    carol.answer()
    stage.run(1)
    if there.line.open:
        there.answer()
    stage.run(1)
    assert gone.line.over
    assert not there.line.over
    legs = desk.get(f"{CALLS}/{name}").json["legs"]
    assert {leg["peer"] for leg in legs if leg["joined"]} == {there.name, "carol"}
    carol.hang_up()
    [record] = stage.records
    assert len(record.attempts) == 2
    assert desk.audit[-1][0] == "transfer"


def test_nothing_comes_of_it(stage, desk, talking):
    """The target is busy: the two talk on."""
    alice, bob, carol = talking
    assert desk.ask("POST", path(stage), {"to": "carol"}).status == 202
    carol.refuse(486)
    stage.run(1)
    assert not alice.line.over
    assert not bob.line.over
    assert desk.ask("POST", path(stage), {"to": "carol"}).status == 202
    carol.refuse(486)
    stage.run(1)
    alice.hang_up()


def test_one_at_a_time(stage, desk, talking):
    """409 while one is under way; the first goes on."""
    alice, bob, carol = talking
    assert desk.ask("POST", path(stage), {"to": "carol"}).status == 202
    response = desk.ask("POST", path(stage), {"to": "carol", "leg": "b1"})
    assert (response.status, response.field) == (409, "id")
    carol.refuse(603)
    stage.run(1)
    alice.hang_up()
    assert bob.line.over


def test_before_the_answer(stage, desk):
    """409: there are no two sides that talk."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.ring()
    response = desk.ask("POST", path(stage), {"to": "carol"})
    assert (response.status, response.field) == (409, "id")
    alice.cancel()
    stage.run(1)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "to"),
        ({"to": ""}, 400, "to"),
        ({"to": "sip:"}, 400, "to"),
        ({"to": "http://example.org"}, 400, "to"),
        ({"to": "sip:a@b?Replaces=x"}, 400, "to"),
        ({"to": "sip:a@b>\r\nX: y"}, 400, "to"),
        ({"to": "sip:a@b>;x=<c"}, 400, "to"),
        ({"to": "sip:a@b;method=BYE"}, 400, "to"),
        ({"to": "x" * 600}, 400, "to"),
        ({"to": "carol", "leg": "z"}, 404, "leg"),
    ],
)
def test_what_makes_no_sense(stage, desk, talking, body, status, field):
    """A problem that names the key; the call goes on."""
    alice, bob, _ = talking
    response = desk.ask("POST", path(stage), body)
    assert (response.status, response.field) == (status, field)
    assert not bob.line.over
    alice.hang_up()
