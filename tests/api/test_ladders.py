"""What was recorded of a call, as the API shows it."""

import json

import pytest

CALLS = "/api/v1/calls"


@pytest.fixture(name="called")
def _called(stage):
    """Alice has called Bob; the call's id, while they talk."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.ring()
    bob.answer()
    [name] = stage.house.switch.calls
    yield name
    alice.hang_up()


def test_as_a_ladder(stage, desk, called):
    """All that was sent, while the call goes on; by its id or the Call-ID of a leg."""
    shown = desk.get(f"{CALLS}/{called}/ladder").json
    labels = [row["label"] for row in shown["rows"] if row["kind"] == "message"]
    assert labels[0].startswith("INVITE ")
    assert any(label.startswith("180") for label in labels)
    assert not shown["ended"]
    call_id = desk.get(f"{CALLS}/{called}").json["call_id"]
    assert desk.get(f"{CALLS}/{call_id}/ladder").json["id"] == called
    assert desk.get(f"{CALLS}/{called[:6]}/ladder").json["id"] == called


def test_as_an_image_and_a_capture(desk, called):
    """Each of its media type; an image brings its own style and nothing else."""
    image = desk.get(f"{CALLS}/{called}/ladder.svg", headers={"Accept": "image/*"})
    assert image.body.startswith(b"<svg ")
    assert "script" not in image.headers["content-security-policy"]
    capture = desk.get(f"{CALLS}/{called}/ladder.pcap")
    assert capture.body[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1")
    assert desk.get(f"{CALLS}/{called}/ladder.svg", headers={"Accept": "text/html"}).status == 406


def test_what_is_not_kept(desk):
    """404."""
    for path in ("ladder", "ladder.svg", "ladder.pcap", "ladder/events"):
        response = desk.get(f"{CALLS}/nobody/{path}")
        assert (response.status, response.field) == (404, "id")


def test_as_it_grows(stage, desk, line):
    """First what there is, then each row, and the end; nothing twice, nothing left out."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    [name] = stage.house.switch.calls
    connection = line()
    path = f"{CALLS}/{name}/ladder/events"
    fields = "Host: x\r\nAuthorization: Bearer look\r\n"
    connection.send(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
    bob.ring()
    stage.run(1)
    bob.answer()
    alice.hang_up()
    stage.run(2)
    data = connection.wire.value().partition(b"\r\n\r\n")[2]
    events = []
    while data:
        size, _, data = data.partition(b"\r\n")
        chunk, data = data[: int(size, 16)], data[int(size, 16) + 2 :]
        for event in filter(None, chunk.decode().split("\n\n")):
            fields = dict(each.partition(": ")[::2] for each in event.split("\n"))
            events.append((fields["event"], json.loads(fields["data"])))
    assert events[0][0] == "ladder"
    assert events[-1] == ("ended", {"id": name})
    grown = [row for row in events[0][1]["rows"] if row["kind"] == "message"]
    grown += [data["row"] for kind, data in events if kind == "row"]
    grown = [row["label"] for row in grown if row["kind"] == "message"]
    whole = desk.get(f"{CALLS}/{name}/ladder").json["rows"]
    assert grown == [row["label"] for row in whole if row["kind"] == "message"]
    connection.hang_up()


@pytest.mark.parametrize("before", [True, False])
def test_a_ladder_that_has_been_followed_to_its_end(stage, desk, line, before):
    """Nobody looks at its exchange any more, whose connection serves others: a change of who may
    call goes on as before, and the timer that sees tokens expire.

    :param before: whether the call had ended before it was followed."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    [name] = stage.house.switch.calls
    bob.answer()
    connection = line()
    follow = f"GET {CALLS}/{name}/ladder/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer look"
    if not before:
        connection.send(f"{follow}\r\n\r\n".encode())
    alice.hang_up()
    if before:
        connection.send(f"{follow}\r\n\r\n".encode())
    stage.run(3)
    assert b"event: ended" in connection.wire.value()
    assert connection.wire.connected
    assert not desk.api.factory.streams
    desk.api.factory.look_again()
    connection.hang_up()
