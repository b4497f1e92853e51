"""Calls that an operator begins between two parties."""

import pytest

from softswitch.testing.media import CountingEngine
from softswitch.testing.stage import Stage

CALLS = "/api/v1/calls"


@pytest.fixture(name="stage", params=["bypass", "relay"])
def _stage(request):
    engine = None if request.param == "bypass" else lambda clock: CountingEngine()
    with Stage(engine=engine) as stage:
        yield stage


@pytest.fixture(name="phones")
def _phones(stage):
    return [stage.phone(name) for name in ("alice", "bob", "carol")]


def begin(desk, **wish):
    return desk.ask("POST", CALLS, {"user": "alice", "to": "bob", **wish})


def answered(stage, *phones):
    """All of them answer what comes, and what follows within their calls."""
    for _ in range(4):
        for phone in phones:
            if phone.lines and phone.line.open:
                phone.answer()
        stage.run(0.2)


def test_one_is_called_and_then_connected(stage, desk, phones):
    """Alice's phone rings and shows whom she will talk to; once she answers Bob's rings, and they
    talk, by themselves. There is one record, of Alice's call, with both tries."""
    alice, bob, _ = phones
    response = begin(desk)
    assert response.status == 202
    stage.run(0.1)
    assert '"bob"' in alice.line.invite.get("From")
    assert not bob.lines
    alice.ring()
    assert desk.get(CALLS).json["calls"][0]["identity"] == "alice"
    answered(stage, alice)
    bob.ring()
    answered(stage, bob, alice)
    stage.run(1)
    shown = desk.get(f"{CALLS}/{response.json['id']}").json
    assert {leg["peer"] for leg in shown["legs"] if leg["joined"]} == {"alice", "bob"}
    assert len(shown["legs"]) == 2
    assert b"a=inactive" not in alice.line.sdp
    assert b"a=inactive" not in bob.line.sdp
    bob.hang_up()
    stage.run(1)
    assert alice.line.over
    [record] = stage.records
    assert record.id == response.json["id"]
    assert record.identity == "alice"
    assert len(record.attempts) == 2
    assert desk.audit[-1][0] == "originate"


def test_somebody_else_first(stage, desk, phones):
    """On Alice's behalf, Carol and Bob."""
    alice, bob, carol = phones
    begin(desk, first="carol")
    stage.run(0.1)
    answered(stage, carol, bob)
    stage.run(1)
    assert not alice.lines
    carol.hang_up()
    stage.run(1)
    assert bob.line.over


def test_the_first_does_not_want(stage, desk, phones):
    """Nobody else is called; the record says how it ended."""
    alice, bob, _ = phones
    begin(desk)
    stage.run(0.1)
    alice.refuse(486)
    stage.run(1)
    assert not bob.lines
    [record] = stage.records
    assert record.status == 486


def test_the_second_cannot_be_had(stage, desk, phones):
    """Who was called first is hung up."""
    alice, bob, _ = phones
    begin(desk)
    stage.run(0.1)
    answered(stage, alice)
    bob.refuse(486)
    stage.run(2)
    assert alice.line.over
    assert not stage.house.switch.calls


def test_the_first_hangs_up_while_the_second_rings(stage, desk, phones):
    """The second is cancelled."""
    alice, bob, _ = phones
    begin(desk)
    stage.run(0.1)
    answered(stage, alice)
    bob.ring()
    alice.hang_up()
    stage.run(2)
    assert not bob.line.open
    assert not stage.house.switch.calls


def test_an_operator_hangs_up(stage, desk, phones):
    """While the first one rings: he is cancelled."""
    alice, _, _ = phones
    name = begin(desk).json["id"]
    stage.run(0.1)
    alice.ring()
    assert desk.ask("DELETE", f"{CALLS}/{name}").status == 204
    stage.run(1)
    assert not alice.line.open
    assert not stage.house.switch.calls


def test_nobody_is_there(stage, desk):
    """The first has no phone: 409, and there is a record of that."""
    stage.phone("bob")
    response = begin(desk)
    assert (response.status, response.field) == (409, "first")
    assert "480" in response.json["detail"]
    stage.run(1)
    assert not stage.house.switch.calls
    assert stage.records[0].status == 480


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"user": "nobody"}, "user"),
        ({"user": ""}, "user"),
        ({"to": ""}, "to"),
        ({"to": "http://x"}, "to"),
        ({"first": "sip:"}, "first"),
        ({"first": 5}, "first"),
    ],
)
def test_what_makes_no_sense(desk, wish, field):
    """400, and the problem names the key."""
    response = begin(desk, **wish)
    assert (response.status, response.field) == (400, field)
