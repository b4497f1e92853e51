"""What goes on, told as it happens: calls, silences, registrations, bans, trunks. Pure.

Nobody listens most of the time: then nothing is written down, and a call costs four times a look at
one flag. Each event is written once, however many listen. The last ones are kept for as long as
somebody listens and a while longer, so that who has lost his connection can go on where he was; who
has been away for too long is told to look anew (``reset``).
"""

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import attrs

from softswitch.api.house import House
from softswitch.api.shapes import (
    CallState,
    CallSummary,
    ban_shown,
    maybe_utc,
    registration,
    summary,
    to_json,
    utc,
)
from softswitch.plugin.media import MediaNotice
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.registrar.bindings import Binding, Change
from softswitch.transport.bans import Ban
from softswitch.wheel import Timer

#: What events are about.
Topic: TypeAlias = Literal["calls", "media", "registrations", "bans", "trunks"]
TOPICS: Final = get_args(Topic)

#: Events that are kept for who comes back, and seconds for which, when nobody listens.
KEPT: Final = 1000
AWAKE_SECONDS: Final = 60.0

#: Seconds between two looks at the trunks and at who listens, and looks between two signs of life.
LOOK_SECONDS: Final = 1.0
LOOKS: Final = 15

#: Who may listen at once.
LISTENERS: Final = 32


@attrs.frozen
class CallEvent:
    """Something has happened to a call.

    :ivar at: when.
    :ivar call: the call.
    :ivar ended: when it ended; null while it goes on.
    :ivar hung_up: who ended it; "" while it goes on.
    :ivar status: final SIP status that the caller heard; 0 while there is none.
    :ivar reason: its phrase, or why the switch ended the call.
    """

    at: str
    call: CallSummary
    ended: str | None = None
    hung_up: str = ""
    status: int = 0
    reason: str = ""


class Listener(Protocol):
    """Who is told."""

    def tell(self, topic: Topic | None, event: bytes) -> None:
        """An event as it goes over the line; None for what concerns everybody."""

    def look(self, sign: bytes) -> None:
        """Time passes.

        :param sign: of life, to be sent; b"" for none.
        """


class Events(Observer):
    """All that is told, and who is told.

    :ivar dropped: events that somebody was too slow to hear.
    :ivar trying: calls for which nobody has rung yet.
    :ivar ringing: calls that ring.
    :ivar talking: calls that were answered.
    :ivar begun: calls that have begun.
    :ivar answered: those of them that were answered.
    :ivar unanswered: those of them that have ended without an answer.
    """

    def __init__(self, house: House) -> None:
        self.dropped = 0
        self.trying = self.ringing = self.talking = 0
        self.begun = self.answered = self.unanswered = 0
        self._house = house
        self._clock = house.clock
        self._listeners: list[Listener] = []
        self._awake = False
        self._began = f"{int(house.clock.seconds() * 1000):x}"
        self._number = 0
        #: Of what is kept: number, topic, event.
        self._kept: deque[tuple[int, Topic, bytes]] = deque(maxlen=KEPT)
        self._timer: Timer | None = None
        self._looks = 0
        self._alone_since = 0.0
        self._trunks: dict[str, Any] = {}
        house.bindings.observers.append(self._registration_changed)
        bans = house.transport.door.bans
        bans.made.append(lambda ban: self._ban("ban_made", ban))
        bans.lifted.append(lambda ban: self._ban("ban_lifted", ban))

    def __len__(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def is_full(self) -> bool:
        """Whether nobody more may listen."""
        return len(self._listeners) >= LISTENERS

    def listen(self, listener: Listener, last: str = "") -> None:
        """Tell somebody from now on; and what has happened since, where he has heard some.

        :param last: id of the last event that he has heard; "" for none.
        """
        began, _, number = last.partition("-")
        known = number.isascii() and number.isdigit() and began == self._began
        oldest = self._kept[0][0] if self._kept else self._number + 1
        if last and not (known and oldest - 1 <= int(number) <= self._number):
            listener.tell(None, self._written("reset", {"at": utc(self._clock.seconds())}))
        elif last:
            for each, topic, event in self._kept:
                if each > int(number):
                    listener.tell(topic, event)
        else:
            listener.tell(None, self._written("hello", {"at": utc(self._clock.seconds())}))
        self._listeners.append(listener)
        if not self._awake:
            self._awake = True
            self._trunks = _conditions(self._house.traffic.figures())
            self._timer = self._clock.callLater(LOOK_SECONDS, self._look)

    def leave(self, listener: Listener) -> None:
        """Tell somebody no more; harmless when he has left."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._alone_since = self._clock.seconds()

    def stop(self) -> None:
        """Nothing more happens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._awake = False

    # What is told us.

    def call_started(self, record: CallRecord) -> None:
        """An INVITE was admitted."""
        self.begun += 1
        self.trying += 1
        if self._awake:
            self._call("call_started", record, "trying")

    def call_ringing(self, record: CallRecord) -> None:
        """The first target rings."""
        self.trying -= 1
        self.ringing += 1
        if self._awake:
            self._call("call_ringing", record, "ringing")

    def call_answered(self, record: CallRecord) -> None:
        """The caller was told of the answer."""
        self.answered += 1
        self.talking += 1
        self._left_setup(record)
        if self._awake:
            self._call("call_answered", record, "talking")

    def call_ended(self, record: CallRecord) -> None:
        """The call is over."""
        if record.answered is not None:
            self.talking -= 1
        else:
            self.unanswered += 1
            self._left_setup(record)
        if self._awake:
            state: CallState = "trying" if record.answered is None else "talking"
            self._call("call_ended", record, state)

    def _left_setup(self, record: CallRecord) -> None:
        """A call tries, or rings, no more."""
        if record.ringing is None:
            self.trying -= 1
        else:
            self.ringing -= 1

    def media_noticed(self, notice: MediaNotice, record: CallRecord) -> None:
        """A leg of a call is not heard."""
        if self._awake:
            silence = notice.silence
            found = {"at": utc(silence.at), "id": record.id, "leg": silence.leg}
            self._tell(
                "media", "silence", found | {"cause": silence.cause, "detail": silence.detail}
            )

    def _registration_changed(self, change: Change, binding: Binding) -> None:
        if self._awake:
            found = {"at": utc(self._clock.seconds()), "registration": registration(binding)}
            self._tell("registrations", f"registration_{change}", found)

    def _ban(self, kind: str, ban: Ban) -> None:
        if self._awake:
            found = {"at": utc(self._clock.seconds()), "ban": ban_shown(ban)}
            self._tell("bans", kind, found)

    def _call(self, kind: str, record: CallRecord, state: CallState) -> None:
        event = CallEvent(
            utc(self._clock.seconds()),
            summary(record, state),
            maybe_utc(record.ended),
            record.hung_up,
            record.status,
            record.reason,
        )
        self._tell("calls", kind, event)

    # The work.

    def _tell(self, topic: Topic, kind: str, found: Any) -> None:
        self._number += 1
        event = self._written(kind, found)
        self._kept.append((self._number, topic, event))
        for listener in list(self._listeners):
            listener.tell(topic, event)

    def _written(self, kind: str, found: Any) -> bytes:
        """An event as it goes over the line; JSON has no line breaks in it."""
        head = f"id: {self._began}-{self._number}\nevent: {kind}\ndata: "
        return head.encode() + to_json(found) + b"\n\n"

    def _look(self) -> None:
        """Time has passed: how are the trunks, and who has gone?"""
        self._timer = None
        if not self._listeners and self._clock.seconds() - self._alone_since >= AWAKE_SECONDS:
            self._awake = False
            # What happens now is told nobody: who comes back then is to look anew.
            self._number += 1
            self._kept.clear()
            return
        conditions = _conditions(self._house.traffic.figures())
        for name, members in conditions.items():
            if members != self._trunks.get(name):
                found = {"at": utc(self._clock.seconds()), "trunk": name, "members": members}
                self._tell("trunks", "trunk_changed", found)
        self._trunks = conditions
        self._looks += 1
        sign = b": still here\n\n" if self._looks % LOOKS == 0 else b""
        for listener in list(self._listeners):
            listener.look(sign)
        self._timer = self._clock.callLater(LOOK_SECONDS, self._look)


def read_topics(text: str | None) -> frozenset[Topic]:
    """The topics that somebody wants, all without a word.

    :raises ValueError: one is none.
    """
    words: Iterable[Any] = TOPICS if text is None else text.split(",")
    chosen: frozenset[Topic] = frozenset(words)
    if not chosen <= frozenset(TOPICS):
        raise ValueError(f"some of these are wanted, with commas between: {', '.join(TOPICS)}")
    return chosen


def _conditions(figures: dict[str, Any]) -> dict[str, Any]:
    """How the members of each trunk are, without what changes all the time."""
    return {
        name: {
            address: {
                "up": member["up"],
                "taken_out": member["barred"],
                "gateways": {place: each["state"] for place, each in member["gateways"].items()},
            }
            for address, member in trunk["members"].items()
        }
        for name, trunk in figures.items()
    }


def too_slow(count: int) -> bytes:
    """What is said to who was too slow to hear so many events."""
    return f"event: dropped\ndata: {json.dumps({'count': count})}\n\n".encode()
