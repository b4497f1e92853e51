"""When a WebSocket is pinged, and when it is given up (RFC 6455 5.5.2, RFC 7118 6)."""

from softswitch.testing.clock import VirtualClock
from softswitch.transport.handshake import WebSocketSettings
from softswitch.transport.heartbeat import Heartbeat

SETTINGS = WebSocketSettings(ping_seconds=20, pong_seconds=10, handshake_seconds=5)


class WebSocket:
    """Writes down what its heartbeat asks of it."""

    def __init__(self, settings: WebSocketSettings = SETTINGS) -> None:
        self.clock = VirtualClock()
        self.log = []
        self.heartbeat = Heartbeat(self, settings, self.clock)

    def ping(self) -> None:
        self.log.append((self.clock.seconds(), "ping"))

    def gone(self, reason: str) -> None:
        self.log.append((self.clock.seconds(), reason))

    def heard_at(self, *seconds: float) -> None:
        for each in seconds:
            self.clock.callLater(each - self.clock.seconds(), self.heartbeat.heard)


def test_it_must_be_opened_in_time():
    """However much has come until then."""
    websocket = WebSocket()
    websocket.heard_at(1, 2, 3, 4)
    websocket.clock.run(60)
    assert websocket.log == [(5, "no WebSocket was opened")]
    assert websocket.clock.idle


def test_a_silent_phone_is_pinged_and_then_gone():
    """After so long, and so much longer."""
    websocket = WebSocket()
    websocket.heartbeat.opened()
    websocket.clock.run(60)
    assert websocket.log == [(20, "ping"), (30, "no answer to a ping")]
    assert websocket.clock.idle


def test_a_phone_that_answers_stays():
    """And is pinged again; a message counts as an answer."""
    websocket = WebSocket()
    websocket.heartbeat.opened()
    websocket.heard_at(21, 52)
    websocket.clock.run(100)
    assert websocket.log == [(20, "ping"), (50, "ping"), (80, "ping"), (90, "no answer to a ping")]


def test_a_phone_that_talks_is_not_pinged():
    """As long as something comes between two looks."""
    websocket = WebSocket()
    websocket.heartbeat.opened()
    websocket.heard_at(19, 39, 59)
    websocket.clock.run(79)
    assert websocket.log == []
    websocket.heartbeat.stop()
    assert websocket.clock.idle


def test_without_pings():
    """Nobody is asked, and there is no timer."""
    websocket = WebSocket(WebSocketSettings(ping_seconds=0))
    websocket.heartbeat.opened()
    assert websocket.clock.idle
    websocket.heartbeat.stop()
