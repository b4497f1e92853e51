"""Who listens to events over HTTP: server-sent events, with a bounded queue for each.

A page that is slow, or has gone without a word, costs no more than its queue; what it misses is
counted, and told once it reads again. One that reads nothing for a minute is let go.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from softswitch.api.events import LOOK_SECONDS, Topic, too_slow

#: Events that may wait for one listener.
QUEUE: Final = 500

#: Looks after which one that reads nothing is let go.
PATIENCE: Final = 60 / LOOK_SECONDS


class Listened(Protocol):
    """One who listens, as what he listens to sees him."""

    def tell(self, topic: Topic | None, event: bytes) -> None:
        """One more event; None for what concerns everybody."""

    def look(self, sign: bytes) -> None:
        """Time passes; a sign of life is to be sent, b"" for none."""

    def finish(self) -> None:
        """Nothing follows."""


class Source(Protocol):
    """What is listened to.

    :ivar dropped: events that somebody was too slow to hear.
    """

    dropped: int

    def listen(self, listener: Listened, last: str = "") -> None:
        """Tell him from now on."""

    def leave(self, listener: Listened) -> None:
        """Tell him no more; harmless when repeated."""


@implementer(IPushProducer)
class EventStream:
    """One listener.

    :param http: an ``ApiRequest`` whose header has been sent.
    :param topics: that it wants to hear of.
    """

    def __init__(self, events: Source, http: Any, topics: frozenset[Topic], last: str) -> None:
        self._events = events
        self._http = http
        self._topics = topics
        self._waiting: deque[bytes] = deque()
        self._paused = False
        self._dropped = 0
        self._paused_looks = 0
        http.notifyFinish().addBoth(self._gone)
        http.registerProducer(self, True)
        events.listen(self, last)

    # What the events call.

    def tell(self, topic: Topic | None, event: bytes) -> None:
        """One more event."""
        if topic is not None and topic not in self._topics:
            return
        if not self._paused:
            self._http.write(event)
        elif len(self._waiting) < QUEUE:
            self._waiting.append(event)
        else:
            self._dropped += 1
            self._events.dropped += 1

    def look(self, sign: bytes) -> None:
        """Time passes."""
        if not self._paused:
            if sign:
                self._http.write(sign)
            return
        self._paused_looks += 1
        if self._paused_looks >= PATIENCE:
            self.end()

    def finish(self) -> None:
        """Nothing follows: the answer is whole, once what waits has been read."""
        self._events.leave(self)
        if not self._paused:
            self._http.unregisterProducer()
            self._http.finish()
        else:
            self.end()

    def end(self) -> None:
        """Let it go, whatever waits for it."""
        self._events.leave(self)
        abort: Callable[[], None] = self._http.channel.transport.abortConnection
        abort()

    # What the connection calls.

    def pauseProducing(self) -> None:  # noqa: N802
        """It does not read."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        """It reads again."""
        self._paused = False
        self._paused_looks = 0
        while self._waiting and not self._paused:
            self._http.write(self._waiting.popleft())
        if self._dropped and not self._paused:
            count, self._dropped = self._dropped, 0
            self._http.write(too_slow(count))

    def stopProducing(self) -> None:  # noqa: N802
        """It has gone."""
        self._events.leave(self)

    def _gone(self, _: object) -> None:
        self._events.leave(self)
        self._waiting.clear()
