"""Between a policy and a web server: signed requests, a circuit breaker, events in their order.

A question is asked once, within a time. Events are posted one batch after the other, so that they
come in order however slow the server is; a batch that fails is tried again some times, which harms
nobody, since each event has an identifier. What waits is bounded: beyond that, events are dropped
and counted.
"""

import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.logger import Logger

from softswitch.plugin.version import API

log = Logger()

#: Sends a body with header fields; status and body of the answer.
Post = Callable[[bytes, Mapping[str, str]], Deferred[tuple[int, bytes]]]

#: Events in one request.
BATCH: Final = 100

#: Seconds before a batch is tried again for the first time; each time twice as long.
BACK_OFF: Final = 0.5

#: What may answer otherwise next time, though it is no fault of the server.
_TRY_AGAIN: Final = frozenset((408, 425, 429))


class HookError(Exception):
    """The server could not be asked, or has not answered as it should; the text says why."""


class Breaker:
    """After so many failures in a row nobody is asked for a while, and then one alone (half-open).

    :ivar failures: in a row.
    :param trip: failures that open it.
    :param rest: seconds for which it stays open.
    :param now: the clock, seconds.
    """

    def __init__(self, trip: int, rest: float, now: Callable[[], float]) -> None:
        self.failures = 0
        self._trip = trip
        self._rest = rest
        self._now = now
        self._until = 0.0

    def closed_for(self) -> float:
        """Seconds for which nobody may ask; 0.0 where the caller now may, and then must say what
        came of it."""
        if self.failures < self._trip:
            return 0.0
        left = self._until - self._now()
        if left > 0:
            return left
        # This one tries; who comes meanwhile waits for what it says.
        self._until = self._now() + self._rest
        return 0.0

    def succeeded(self) -> None:
        """The server has answered."""
        self.failures = 0

    def failed(self) -> None:
        """It has not."""
        self.failures += 1
        if self.failures >= self._trip:
            self._until = self._now() + self._rest


@attrs.frozen
class Manners:
    """How a server is dealt with.

    :ivar timeout: seconds within which it answers.
    :ivar retries: how often a batch of events is tried again.
    :ivar most: events that may wait.
    """

    timeout: float = 1.5
    retries: int = 3
    most: int = 1000


class Courier:
    """Asks and tells one server.

    :ivar dropped: events that were lost because too many waited.
    :ivar lost: events that the server would not take.
    :ivar told: events that it took.
    :param secret: with which requests are signed.
    :param clock: a reactor, or a ``task.Clock``.
    :param now: Unix time, seconds.
    """

    def __init__(
        self,
        post: Post,
        secret: str,
        breaker: Breaker,
        manners: Manners,
        clock: Any,
        now: Callable[[], float],
    ) -> None:
        self.dropped = self.lost = self.told = 0
        self._post = post
        self._secret = secret.encode()
        self._breaker = breaker
        self._manners = manners
        self._clock = clock
        self._now = now
        self._waiting: deque[dict[str, Any]] = deque()
        self._running = False
        self._finished: list[Deferred[None]] = []
        self._troubled = False

    async def ask(self, question: Mapping[str, Any]) -> bytes | None:
        """The body of the answer; None for an answer without one (204).

        :raises HookError: there is none that could be read.
        """
        closed = self._breaker.closed_for()
        if closed:
            times = self._breaker.failures
            raise HookError(f"has failed {times} times in a row, and is left alone {closed:.1f} s")
        try:
            status, body = await self._sent(question)
        except Exception as error:  # cancelled, too: a half-open breaker must hear of it
            self._breaker.failed()
            raise HookError(_why(error)) from error
        if status >= 500:
            self._breaker.failed()
            raise HookError(f"answered {status}")
        self._breaker.succeeded()
        if status not in (200, 204):
            raise HookError(f"answered {status}")
        return body if status == 200 else None

    def tell(self, event: dict[str, Any]) -> None:
        """Have an event posted, after those that wait; returns at once."""
        if len(self._waiting) >= self._manners.most:
            self.dropped += 1
            self._trouble("{most} events wait for {why}: more are dropped", "the server")
            return
        self._waiting.append(event)
        if not self._running:
            self._running = True
            Deferred.fromCoroutine(self._run()).addErrback(
                lambda failure: log.failure("events are not posted any more", failure)
            )

    def finish(self) -> Deferred[None]:
        """When no event waits any more."""
        done: Deferred[None] = Deferred()
        if self._running:
            self._finished.append(done)
        else:
            done.callback(None)
        return done

    def figures(self) -> dict[str, Any]:
        """For an operator."""
        return {
            "failures_in_a_row": self._breaker.failures,
            "events_told": self.told,
            "events_waiting": len(self._waiting),
            "events_dropped": self.dropped,
            "events_lost": self.lost,
        }

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = list(islice(self._waiting, BATCH))
                taken = await self._deliver(batch)
                for _ in batch:
                    self._waiting.popleft()
                if taken:
                    self.told += len(batch)
                    self._troubled = False
                else:
                    self.lost += len(batch)
        finally:
            self._running = False
            finished, self._finished = self._finished, []
            for each in finished:
                each.callback(None)

    async def _deliver(self, batch: list[dict[str, Any]]) -> bool:
        """Whether the server has taken a batch."""
        for attempt in range(self._manners.retries + 1):
            if attempt:
                await deferLater(self._clock, BACK_OFF * 2 ** (attempt - 1), lambda: None)
            try:
                status, _ = await self._sent({"version": API, "events": batch})
            except Exception as error:
                why = _why(error)
            else:
                if 200 <= status < 300:
                    return True
                why = f"answered {status}"
                if status < 500 and status not in _TRY_AGAIN:
                    break
        self._trouble("events are lost: the server {why}", why)
        return False

    async def _sent(self, document: Mapping[str, Any]) -> tuple[int, bytes]:
        body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        stamp = str(int(self._now()))
        answer = self._post(
            body,
            {
                "Content-Type": "application/json",
                "Softswitch-Timestamp": stamp,
                "Softswitch-Signature": signature(self._secret, stamp, body),
            },
        )
        answer.addTimeout(self._manners.timeout, self._clock)
        return await answer

    def _trouble(self, text: str, why: str) -> None:
        """The log hears of it once, until events are taken again."""
        if not self._troubled:
            self._troubled = True
            log.error(text, why=why, most=self._manners.most)


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    """What proves that a request is ours, and when it was made: HMAC with SHA-256 of the time
    stamp, a full stop and the body."""
    return "sha256=" + hmac.new(secret, stamp.encode() + b"." + body, "sha256").hexdigest()


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "has not answered in time"
    text = " ".join(f"{type(error).__name__} {error}".split())
    return f"cannot be asked: {text}"
