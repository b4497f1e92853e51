"""rtpengine's NG protocol: a cookie, a blank and a bencoded dictionary in each datagram. Pure.

A question is sent again, with the same cookie, until it is answered or its time is up; rtpengine
answers a copy from its memory, so that nothing is done twice. What answers no open question is
counted and ignored.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

import attrs

from softswitch.media.bencode import Read, Value, decode, encode
from softswitch.wheel import Clock, Timer

#: Seconds until a question is sent again; then twice as long, and so on.
FIRST_AGAIN: Final = 0.1

#: Seconds by which two sums of times may differ that are the same.
ROUNDING: Final = 0.001

#: Bytes of the longest datagram.
LONGEST: Final = 65507

#: What becomes of a call of which an instance knows nothing.
UNKNOWN: Final = "Unknown call-id"


@attrs.frozen
class Reply:
    """What rtpengine has answered.

    :ivar result: "ok", "pong", "error", or "load limit" from one that takes no more calls.
    :ivar values: the whole dictionary.
    """

    result: str
    values: dict[str, Read]

    def text(self, key: str) -> str:
        """A text in it; "" where there is none."""
        value = self.values.get(key)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

    @property
    def reason(self) -> str:
        """Why it is an error."""
        return self.text("error-reason") or self.text("message") or self.result

    @property
    def sdp(self) -> bytes:
        """The session description in it; empty for none."""
        value = self.values.get("sdp")
        return value if isinstance(value, bytes) else b""


#: Told of a reply, or of None: there was none in time, or nobody listens there.
Told = Callable[[Reply | None], None]


class _Exchange:
    """An open question.

    :ivar left: seconds that there are beyond the next look at it. They are counted down, not looked
        up: a clock that is set back must not make the wait longer.
    """

    __slots__ = ("again", "datagram", "left", "tell", "timer")

    def __init__(self, datagram: bytes, left: float, tell: Told) -> None:
        self.datagram = datagram
        self.left = left
        self.tell = tell
        self.again = FIRST_AGAIN
        self.timer: Timer | None = None


class NgClient:
    """Asks one instance of rtpengine.

    :ivar counters: "sent", "again", "answered", "silent", and what was ignored: "late" for what
        answers no open question, "garbage" for what cannot be read.
    :param send: puts a datagram on the wire; that it may be lost is known.
    """

    def __init__(self, clock: Clock, send: Callable[[bytes], None]) -> None:
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._send = send
        self._open: dict[bytes, _Exchange] = {}
        # Another switch, or this one before a restart, may ask the same rtpengine.
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)

    @property
    def waiting(self) -> int:
        """How many questions are open."""
        return len(self._open)

    def ask(self, message: Mapping[str, Value], seconds: float, tell: Told) -> None:
        """Have a question answered within some seconds. ``tell`` is called once, now or later."""
        cookie = f"{self._prefix}_{next(self._numbers)}".encode()
        datagram = b"%b %b" % (cookie, encode(message))
        exchange = _Exchange(datagram, seconds, tell)
        self._open[cookie] = exchange
        self.counters["sent"] += 1
        self._send_in(cookie, exchange)

    def say(self, message: Mapping[str, Value]) -> None:
        """Send once what nobody will hear the answer of."""
        cookie = f"{self._prefix}_{next(self._numbers)}".encode()
        self._send(b"%b %b" % (cookie, encode(message)))

    def received(self, datagram: bytes) -> None:
        """A datagram has come from the instance."""
        cookie, _, body = datagram.partition(b" ")
        exchange = self._open.get(cookie)
        if exchange is None:
            self.counters["late"] += 1
            return
        try:
            values = decode(body)
        except ValueError:
            values = 0
        result = values.get("result") if isinstance(values, dict) else None
        if not isinstance(values, dict) or not isinstance(result, bytes):
            self.counters["garbage"] += 1
            return
        self.counters["answered"] += 1
        self._end(cookie, exchange, Reply(result.decode("utf-8", "replace"), values))

    def refused(self) -> None:
        """Nobody listens there: what is open will not be answered."""
        for cookie, exchange in list(self._open.items()):
            self._end(cookie, exchange, None)

    def stop(self) -> None:
        """Forget what is open; nobody is told."""
        for exchange in self._open.values():
            if exchange.timer is not None:
                exchange.timer.cancel()
        self._open.clear()

    def _send_in(self, cookie: bytes, exchange: _Exchange) -> None:
        """Send it, and look again when it is due once more, or its time is up."""
        wait, exchange.again = min(exchange.again, exchange.left), exchange.again * 2
        exchange.left -= wait
        exchange.timer = self._clock.callLater(wait, self._due, cookie, exchange)
        self._send(exchange.datagram)

    def _due(self, cookie: bytes, exchange: _Exchange) -> None:
        exchange.timer = None
        if exchange.left > ROUNDING:
            self.counters["again"] += 1
            self._send_in(cookie, exchange)
        else:
            self.counters["silent"] += 1
            self._end(cookie, exchange, None)

    def _end(self, cookie: bytes, exchange: _Exchange, reply: Reply | None) -> None:
        if self._open.pop(cookie, None) is None:
            return
        if exchange.timer is not None:
            exchange.timer.cancel()
        exchange.tell(reply)
