"""How a call sounds, asked of the API while it goes on."""

import pytest

from softswitch.plugin.media import MediaReport
from softswitch.plugin.record import MediaStream
from softswitch.testing.media import CountingEngine, SeeingEngine
from softswitch.testing.stage import Stage

CALLS = "/api/v1/calls"
REPORT = MediaReport((MediaStream("a", 0, "audio", "PCMU", packets=5, first=1.5),), "call.pcap")


@pytest.fixture(name="delay", params=[0.0, 1.0, 9.0])
def _delay(request):
    """Seconds for which the engine thinks; None for one that measures nothing."""
    return request.param


@pytest.fixture(name="stage")
def _stage(delay):
    def engine(clock):
        return CountingEngine() if delay is None else SeeingEngine(clock, delay)

    with Stage(engine=engine) as stage:
        yield stage


@pytest.fixture(name="talking")
def _talking(stage):
    """The id of a call of Alice's and Bob's."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers(180, 200)
    alice.call("bob")
    stage.run(1)
    (name,) = stage.house.switch.calls
    yield name
    alice.hang_up()
    stage.run(40)


def test_how_it_sounds(stage, desk, line, talking, delay):
    """As it will stand in the record; the call goes on as it was. An engine that does not answer in
    time is a 503, and whatever it says later harms nobody."""
    stage.engine.reports[talking] = REPORT
    path = f"{CALLS}/{talking}/media"
    asks = line()
    asks.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer look\r\n\r\n".encode())
    stage.run(2.5)
    response = asks.read()
    desk.hold("GET", path, response)
    if delay > 2:
        assert response.status == 503
        assert "media engine" in response.json["detail"]
        stage.run(10)
        return
    assert response.status == 200
    assert response.json["recording"] == "call.pcap"
    (stream,) = response.json["streams"]
    assert (stream["leg"], stream["codec"], stream["packets"]) == ("a", "PCMU", 5)
    assert (stream["first"], stream["last"]) == ("1970-01-01T00:00:01.500000Z", None)
    assert talking in stage.engine.talks
    assert talking in stage.house.switch.calls


@pytest.mark.parametrize("delay", [None])
def test_nobody_measures_it(desk, talking):
    """No streams, where the media go past the switch; 404 for a call that is none."""
    assert desk.get(f"{CALLS}/{talking}/media").json == {"streams": [], "recording": ""}
    assert desk.get(f"{CALLS}/nobody/media").field == "id"
