"""Calls, as the API shows and ends them."""

import pytest

CALLS = "/api/v1/calls"


@pytest.fixture(name="talking")
def _talking(stage):
    """Alice and Bob talk."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    call = alice.call("bob")
    bob.ring()
    bob.answer()
    return alice, bob, call


def test_a_call_is_listed_as_it_goes_on(stage, desk):
    """Its state follows the phones; when it has ended it is gone."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    assert desk.get(CALLS).json == {"calls": [], "next": None, "total": 0}
    alice.call("bob")
    states = [desk.get(CALLS).json["calls"][0]["state"]]
    bob.ring()
    states.append(desk.get(CALLS).json["calls"][0]["state"])
    bob.answer()
    [shown] = desk.get(CALLS).json["calls"]
    states.append(shown["state"])
    assert states == ["trying", "ringing", "talking"]
    assert shown["identity_kind"] == "user"
    assert shown["identity"] == "alice"
    assert "bob@" in shown["called"]
    assert shown["answered"].startswith("1970-01-01T00:00:0")
    alice.hang_up()
    assert desk.get(CALLS).json["total"] == 0


def test_one_call_is_shown_with_its_legs(stage, desk, talking):
    """Both legs by their dialogs, and whom was tried."""
    alice, _, _ = talking
    [shown] = desk.get(CALLS).json["calls"]
    whole = desk.get(f"{CALLS}/{shown['id']}").json
    assert whole["summary"] == shown
    legs = {leg["name"]: leg for leg in whole["legs"]}
    assert set(legs) == {"a", "b1"}
    assert legs["a"]["peer"] == "alice"
    assert legs["b1"]["peer"] == "bob"
    assert all(leg["joined"] and leg["life"] == "confirmed" for leg in legs.values())
    assert [each["leg"] for each in whole["attempts"]] == ["b1"]
    assert whole["transfer"] is None
    alice.hang_up()


def test_a_call_that_talks_is_hung_up(stage, desk, talking):
    """Both sides get a BYE, and the record says who it was."""
    alice, bob, _ = talking
    [shown] = desk.get(CALLS).json["calls"]
    assert desk.ask("DELETE", f"{CALLS}/{shown['id']}").status == 204
    stage.settle()
    assert alice.line.methods[-1] == bob.line.methods[-1] == "BYE"
    stage.run(1)
    [record] = stage.records
    assert record.hung_up == "switch"
    assert record.reason == "Hung up by the operator"
    assert record.status == 200
    assert desk.audit[-1][0] == "hang_up"
    assert desk.audit[-1][3] == 204


def test_a_call_that_rings_is_hung_up(stage, desk):
    """The caller hears 480, the callee a CANCEL."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    call = alice.call("bob")
    bob.ring()
    [shown] = desk.get(CALLS).json["calls"]
    assert desk.ask("DELETE", f"{CALLS}/{shown['id']}").status == 204
    stage.run(1)
    assert call.statuses == [180, 480]
    [record] = stage.records
    assert (record.hung_up, record.status) == ("switch", 480)


def test_a_call_that_nobody_knows(desk):
    """404, and the problem names the id."""
    for method in ("GET", "DELETE"):
        response = desk.ask(method, f"{CALLS}/nobody")
        assert response.status == 404
        assert response.field == "id"


def test_filters(stage, desk, talking):
    """By state, number, identity and trunk; what is none is a problem that names it."""
    alice, _, _ = talking

    def count(query):
        return len(desk.get(f"{CALLS}?{query}").json["calls"])

    assert count("state=talking") == 1
    assert count("state=ringing") == 0
    assert count("number=bob%40") == 1
    assert count("number=carol") == 0
    assert count("identity=alice") == 1
    assert count("identity=bob") == 0
    assert count("trunk=carrier") == 0
    for query, field in {
        "state=gone": "state",
        "limit=0": "limit",
        "limit=201": "limit",
        "limit=1_0": "limit",
        "limit=%D9%A3": "limit",
        "cursor=xyz": "cursor",
        "cursor=W10": "cursor",
        "colour=red": "colour",
        "number=a&number=b": "number",
        "number=": "number",
    }.items():
        response = desk.get(f"{CALLS}?{query}")
        assert response.status == 400, query
        assert response.field == field, query
    alice.hang_up()


def test_pages(stage, desk):
    """The newest first, each once, though calls come and go between two pages."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    calls = []
    for _ in range(5):
        calls.append(alice.call("bob"))
        stage.run(0.1)
    names = list(stage.house.switch.calls)[::-1]
    first = desk.get(f"{CALLS}?limit=2").json
    assert [each["id"] for each in first["calls"]] == names[:2]
    assert first["total"] == 5
    # The one that the cursor names ends, and another comes.
    assert desk.ask("DELETE", f"{CALLS}/{names[1]}").status == 204
    stage.run(0.1)
    alice.call("bob")
    second = desk.get(f"{CALLS}?limit=2&cursor={first['next']}").json
    assert [each["id"] for each in second["calls"]] == names[2:4]
    third = desk.get(f"{CALLS}?limit=2&cursor={second['next']}").json
    assert [each["id"] for each in third["calls"]] == names[4:]
    assert third["next"] is None
    for name in list(stage.house.switch.calls):
        desk.ask("DELETE", f"{CALLS}/{name}")
    stage.run(40)
    assert bob is not None


def test_what_a_caller_writes_is_text(stage, desk, talking):
    """Octets of no encoding become "?", and escapes and HTML come back as JSON writes them."""
    alice, _, _ = talking
    [call] = stage.house.switch.calls.values()
    record = call.data.record
    caller, record.caller = record.caller, "sip:\x1b[31m<b>\udcff\r\n@x"
    response = desk.get(CALLS)
    assert response.json["calls"][0]["caller"] == "sip:\x1b[31m<b>?\r\n@x"
    assert b"\x1b" not in response.body
    record.caller = caller
    alice.hang_up()
