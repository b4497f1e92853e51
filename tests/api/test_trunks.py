"""Trunks, as the API shows them, takes them out and puts them back."""

import pytest

from softswitch.testing.stage import CONFIG, Stage

TRUNKS = "/api/v1/trunks"
FIRST, SECOND = "192.0.2.21", "192.0.2.22"


def config(*members):
    rules = [{"match": "0.+", "strip": 1, "trunk": "carrier"}, {"match": "112", "trunk": "carrier"}]
    return {
        "trunks": {"carrier": {"addresses": list(members)}},
        "policy": [{"use": "dialplan", "rules": rules}, *CONFIG["policy"]],
    }


@pytest.fixture(name="stage")
def _stage():
    with Stage(config(FIRST, SECOND)) as stage:
        yield stage


def test_they_are_shown(stage, desk):
    """By name, with their members and what they carry."""
    trunk = stage.trunk("carrier")
    alice = stage.phone("alice")
    alice.call("0123")
    trunk.answer()
    [shown] = desk.get(TRUNKS).json["trunks"]
    assert shown == desk.get(f"{TRUNKS}/carrier").json
    assert (shown["name"], shown["up"], shown["calls_out"]) == ("carrier", True, 1)
    assert [each["address"] for each in shown["members"]] == [FIRST, SECOND]
    assert shown["members"][0]["calls"] == 1
    assert shown["members"][0]["gateways"][0]["state"] == "up"
    assert desk.get(f"{TRUNKS}/nobody").field == "name"
    alice.hang_up()


def test_a_member_is_taken_out_and_put_back(stage, desk):
    """Calls go to the other one meanwhile, the call that runs goes on, and a reload changes
    nothing of it."""
    first, second = stage.trunk("carrier"), stage.trunk("carrier", 1)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("0123")
    first.answer()
    response = desk.ask("POST", f"{TRUNKS}/carrier/out", {"member": FIRST})
    assert [each["taken_out"] for each in response.json["members"]] == [True, False]
    assert response.json["up"]
    stage.reload(config(FIRST, SECOND))
    bob.call("0456")
    second.answer()
    assert len(first.lines) == 1
    desk.ask("POST", f"{TRUNKS}/carrier/back", {"member": FIRST})
    bob.hang_up()
    bob.call("0789")
    first.answer()
    assert len(first.lines) == 2
    bob.hang_up()
    alice.hang_up()
    assert [line[0] for line in desk.audit] == ["take_out", "put_back"]


def test_a_trunk_that_is_out_takes_no_calls(stage, desk):
    """Its callers hear that the network is out of order; an emergency call goes there all the
    same."""
    trunk = stage.trunk("carrier")
    alice = stage.phone("alice")
    assert not desk.ask("POST", f"{TRUNKS}/carrier/out", {}).json["up"]
    assert alice.call("0123").statuses == [500]
    alice.call("112")
    trunk.answer()
    alice.hang_up()
    assert desk.ask("POST", f"{TRUNKS}/carrier/back").json["up"]


def test_not_gracefully(stage, desk):
    """The calls that go out there end; others stay."""
    trunk = stage.trunk("carrier")
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    alice.call("0123")
    trunk.answer()
    bob.call("carol")
    carol.answer()
    desk.ask("POST", f"{TRUNKS}/carrier/out", {"graceful": False})
    stage.settle()
    assert alice.line.over
    assert not bob.line.over
    bob.hang_up()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"member": "192.0.2.99"}, 404, "member"),
        ({"graceful": "no"}, 400, "graceful"),
        ({"members": []}, 400, "members"),
    ],
)
def test_what_makes_no_sense(desk, body, status, field):
    """A problem that names the key."""
    response = desk.ask("POST", f"{TRUNKS}/carrier/out", body)
    assert (response.status, response.field) == (status, field)
    assert desk.get(TRUNKS).json["trunks"][0]["up"]
