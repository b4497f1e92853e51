"""Whether a WebSocket is opened in time, and whether its phone is still there. Pure.

RFC 6455 5.5.2, RFC 7118 6. A phone that has said something is there; one that is silent is pinged,
which also keeps what lies between awake, and is gone when it does not answer.
"""

from collections.abc import Callable
from typing import Protocol

from softswitch.transport.handshake import WebSocketSettings
from softswitch.wheel import Clock, Timer


class Pinged(Protocol):
    """A WebSocket, as its heartbeat sees it."""

    def ping(self) -> None:
        """Ask whether the phone is there."""

    def gone(self, reason: str) -> None:
        """It was not opened in time, or the phone is silent: end it."""


class Heartbeat:
    """The timer of one WebSocket, from the moment when its connection stands."""

    __slots__ = ("_clock", "_heard", "_settings", "_timer", "_websocket")

    def __init__(self, websocket: Pinged, settings: WebSocketSettings, clock: Clock) -> None:
        self._websocket = websocket
        self._settings = settings
        self._clock = clock
        self._heard = False
        self._timer: Timer | None = clock.callLater(settings.handshake_seconds, self._not_opened)

    def opened(self) -> None:
        """The handshake is over."""
        self.stop()
        if self._settings.ping_seconds:
            self._wait(self._settings.ping_seconds, self._look)

    def heard(self) -> None:
        """The phone has sent something, if only the answer to a ping."""
        self._heard = True

    def stop(self) -> None:
        """The connection is over. Harmless when repeated."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Ping, where nothing has come since the last look."""
        if self._heard:
            self._heard = False
            self._wait(self._settings.ping_seconds, self._look)
        else:
            self._websocket.ping()
            self._wait(self._settings.pong_seconds, self._judge)

    def _judge(self) -> None:
        if self._heard:
            self._look()
        else:
            self._timer = None
            self._websocket.gone("no answer to a ping")

    def _not_opened(self) -> None:
        self._timer = None
        self._websocket.gone("no WebSocket was opened")

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = self._clock.callLater(seconds, then)
