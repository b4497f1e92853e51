"""Bans, as the API lists, makes and lifts them."""

from softswitch.testing.stage import Stage

BANS = "/api/v1/bans"


def test_a_ban_is_made_listed_and_lifted(stage, desk):
    """And the door heeds it meanwhile."""
    door = stage.house.transport.door
    response = desk.ask(
        "POST", BANS, {"network": "203.0.113.0/24", "seconds": 60, "why": "a  scan"}
    )
    assert response.status == 201
    assert response.json["why"] == "a scan"
    assert response.json["until"] == "1970-01-01T00:01:00.000000Z"
    assert door.bars("203.0.113.77")
    assert desk.get(BANS).json["bans"] == [response.json]
    assert desk.ask("DELETE", f"{BANS}/203.0.113.0%2F24").status == 204
    assert not door.bars("203.0.113.77")
    assert desk.ask("DELETE", f"{BANS}/203.0.113.0%2F24").status == 404
    assert desk.ask("DELETE", f"{BANS}/nonsense").field == "network"
    assert [line[3] for line in desk.audit] == [201, 204, 404, 404]


def test_a_ban_for_ever(desk):
    """Without seconds it never ends."""
    assert desk.ask("POST", BANS, {"network": "2001:db8::/64"}).json["until"] is None


def test_who_is_trusted_is_not_banned(desk_of):
    """A trunk's network: 409, and nothing has changed."""
    with Stage({"trunks": {"carrier": {"addresses": ["192.0.2.20"]}}}) as stage:
        desk = desk_of(stage)
        response = desk.ask("POST", BANS, {"network": "192.0.2.20"})
        assert (response.status, response.field) == (409, "network")
        assert desk.get(BANS).json["total"] == 0


def test_pages(desk):
    """Each once, whatever the kind of network; by who made them."""
    wanted = [f"198.51.100.{number}/32" for number in range(7)] + [
        "2001:db8::/32",
        "203.0.113.0/25",
    ]
    for network in wanted:
        desk.ask("POST", BANS, {"network": network})
    seen, cursor = [], ""
    while cursor is not None:
        found = desk.get(f"{BANS}?limit=4{cursor and f'&cursor={cursor}'}").json
        assert found["total"] == 9
        seen += [each["network"] for each in found["bans"]]
        cursor = found["next"]
    assert sorted(seen) == sorted(wanted)
    assert desk.get(f"{BANS}?by=score").json["bans"] == []
    assert desk.get(f"{BANS}?by=me").field == "by"
