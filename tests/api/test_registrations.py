"""Registrations, as the API lists and removes them."""

from urllib.parse import quote

import pytest

REGISTRATIONS = "/api/v1/registrations"


def test_they_are_listed(stage, desk):
    """Who registered, from where, until when; ordered by address of record."""
    stage.phone("bob")
    stage.phone("alice")
    found = desk.get(REGISTRATIONS).json
    assert found["total"] == 2
    assert [each["aor"].partition("@")[0] for each in found["registrations"]] == [
        "alice",
        "bob",
    ]
    bob = found["registrations"][1]
    assert bob["address"].startswith("udp:127.88.0.")
    assert bob["reachable"]
    assert bob["expires_at"] > bob["registered_at"]


def test_pages_and_filters(stage, desk):
    """Each once; by address of record, and by what stands in it."""
    for name in ("carol", "bob", "alice"):
        stage.phone(name)
    seen, cursor = [], ""
    while cursor is not None:
        found = desk.get(f"{REGISTRATIONS}?limit=1{cursor and f'&cursor={cursor}'}").json
        seen += [each["aor"] for each in found["registrations"]]
        cursor = found["next"]
    assert len(seen) == 3
    assert seen == sorted(seen)
    [only] = desk.get(f"{REGISTRATIONS}?aor={quote(seen[0])}").json["registrations"]
    assert only["aor"] == seen[0]
    assert len(desk.get(f"{REGISTRATIONS}?text=bob").json["registrations"]) == 1
    assert desk.get(f"{REGISTRATIONS}?cursor=WzFd").field == "cursor"


@pytest.mark.parametrize("one", [True, False])
def test_one_is_removed(stage, desk, one):
    """By its contact, or with all of the user's; who calls then hears that nobody is there."""
    alice = stage.phone("alice")
    stage.phone("bob")
    found = {each["aor"]: each for each in desk.get(REGISTRATIONS).json["registrations"]}
    aor = next(each for each in found if "bob" in each)
    query = f"?contact={quote(found[aor]['contact'], safe='')}" if one else ""
    response = desk.ask("DELETE", f"{REGISTRATIONS}/{quote(aor, safe='')}{query}")
    assert response.json == {"removed": 1}
    assert desk.get(REGISTRATIONS).json["total"] == 1
    call = alice.call("bob")
    assert call.statuses == [480]
    assert desk.audit[-1][0] == "remove_registration"


def test_what_is_not_there_cannot_be_removed(stage, desk):
    """404, and the problem names what was not found."""
    stage.phone("bob")
    assert desk.ask("DELETE", f"{REGISTRATIONS}/sip:nobody@x").field == "aor"
    aor = desk.get(REGISTRATIONS).json["registrations"][0]["aor"]
    response = desk.ask("DELETE", f"{REGISTRATIONS}/{quote(aor, safe='')}?contact=sip:x@y")
    assert (response.status, response.field) == (404, "contact")
