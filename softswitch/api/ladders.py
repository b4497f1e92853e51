"""What the flight recorder has of a call: as a ladder, an image, a capture, and as it grows."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import attrs

from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation, Stream
from softswitch.api.problem import ProblemError
from softswitch.api.shapes import to_json
from softswitch.api.stream import EventStream, Listened
from softswitch.errors import StateError
from softswitch.flight.ladder import Ladder, Participant, Row, iso
from softswitch.flight.recorder import Recorder
from softswitch.flight.svg import svg
from softswitch.flight.tape import Tape
from softswitch.wheel import Timer

T = TypeVar("T")

#: Seconds between two looks at who follows, and looks between two signs of life.
LOOK_SECONDS: Final = 1.0
LOOKS: Final = 15

#: An image may have a style of its own, and nothing else.
_IMAGE: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


@attrs.frozen
class ParticipantShown:
    """Whose line it is.

    :ivar name: who that is, as far as it is known.
    :ivar address: "host:port", or "" for the switch.
    :ivar leg: "a", "b1" ...; "" for the switch.
    """

    name: str
    address: str
    leg: str


@attrs.frozen
class RowShown:
    """One thing that happened.

    :ivar at: when.
    :ivar kind: "message", "timer", "decision", "media" or "state".
    :ivar source: of a message, whose line it leaves, counted from 0; of others, whose it stands by.
    :ivar target: likewise, whose it reaches.
    :ivar label: what it is in a line.
    :ivar text: the whole message, passwords and keys masked; "" for others.
    :ivar again: whether the same bytes have gone the same way before.
    :ivar transport: of a message.
    """

    at: str
    kind: str
    source: int
    target: int
    label: str
    text: str
    again: bool
    transport: str


@attrs.frozen
class LadderShown:
    """A call as a ladder.

    :ivar id: the call's.
    :ivar title: who called whom.
    :ivar participants: from left to right.
    :ivar rows: in order.
    :ivar dropped: things from between that are not kept any more.
    :ivar ended: whether the call is over.
    """

    id: str
    title: str
    participants: list[ParticipantShown]
    rows: list[RowShown]
    dropped: int
    ended: bool


class Ladders:
    """The operations on what was recorded."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1/calls/{id}/ladder"
        return (
            Operation(
                "ladder",
                "GET",
                path,
                "What has happened in a call, also for a while after its end. The id may be the"
                " Call-ID of a leg, a Session-ID, or the beginning of the id of one call alone.",
                self.ladder,
                answers={200: LadderShown},
                refusals=(404,),
            ),
            Operation(
                "ladder_image",
                "GET",
                f"{path}.svg",
                "The same as an image.",
                self.image,
                answers={200: str},
                refusals=(404,),
                kinds=("image/svg+xml",),
            ),
            Operation(
                "ladder_capture",
                "GET",
                f"{path}.pcap",
                "Its messages as a capture that Wireshark opens.",
                self.capture,
                answers={200: str},
                refusals=(404,),
                kinds=("application/vnd.tcpdump.pcap",),
            ),
            Operation(
                "follow",
                "GET",
                f"{path}/events",
                "A call's ladder as it grows, as server-sent events: ladder, with all there is;"
                " then row, each with all participants; and ended.",
                self.follow,
                answers={200: str},
                refusals=(404, 503),
                kinds=("text/event-stream",),
            ),
        )

    def ladder(self, asked: Asked) -> Answer:
        """See ``operations``."""
        return Answer(body=_shown(self._found(asked, Recorder.ladder)))

    def image(self, asked: Asked) -> Answer:
        """See ``operations``."""
        body = svg(self._found(asked, Recorder.ladder)).encode("utf-8", "replace")
        return Answer(body=body, kind="image/svg+xml", headers=_IMAGE)

    def capture(self, asked: Asked) -> Answer:
        """See ``operations``."""
        body = self._found(asked, Recorder.pcap)
        name = {"Content-Disposition": 'attachment; filename="call.pcap"'}
        return Answer(body=body, kind="application/vnd.tcpdump.pcap", headers=name)

    def follow(self, asked: Asked) -> Stream:
        """See ``operations``."""
        following = _Following(self._house, self._found(asked, Recorder.find))
        return Stream(partial(EventStream, following, topics=frozenset(), last=""))

    def _found(self, asked: Asked, look: Callable[[Recorder, str], T | None]) -> T:
        """
        :raises ProblemError: 404.
        """
        recorder = self._house.recorder
        if recorder is None:
            raise ProblemError(404, "[flight] in the configuration does without a recorder")
        found = look(recorder, asked.path["id"])
        if found is None:
            detail = "nothing is kept of a call of this id, nor of just one whose id begins so"
            raise ProblemError(404, detail, "id")
        return found


class _Following:
    """One who follows a call: he is shown what there is, and then each row."""

    def __init__(self, house: House, tape: Tape) -> None:
        assert house.recorder is not None
        self.dropped = 0
        self._clock = house.clock
        self._recorder = house.recorder
        self._tape = tape
        self._leave: Callable[[], None] | None = None
        self._stream: Listened | None = None
        self._timer: Timer | None = None
        self._looks = 0

    def listen(self, listener: Listened, last: str = "") -> None:
        """Somebody is there to be told."""
        self._stream = listener
        try:
            found = self._recorder.follow(self._tape.id, self._added)
        except StateError as error:
            self._tell("refused", {"why": str(error)})
            found = None
        if found is not None:
            ladder, self._leave = found
            self._tell("ladder", _shown(ladder))
        self._timer = self._clock.callLater(0.0 if found is None else LOOK_SECONDS, self._look)

    def leave(self, listener: Listened) -> None:
        """He has gone; harmless when repeated."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stream = None

    def _added(self, row: Row, participants: Sequence[Participant]) -> None:
        who = [_participant(each) for each in participants]
        self._tell("row", {"row": _row(row), "participants": who})

    def _tell(self, kind: str, found: Any) -> None:
        if self._stream is not None:
            event = f"event: {kind}\ndata: ".encode() + to_json(found) + b"\n\n"
            self._stream.tell(None, event)

    def _look(self) -> None:
        self._timer = None
        self._recorder.sort()
        self._looks += 1
        stream = self._stream
        if stream is None:
            return
        stream.look(b": still here\n\n" if self._looks % LOOKS == 0 else b"")
        if self._leave is None or self._tape.ended is not None:
            self._tell("ended", {"id": self._tape.id})
            stream.finish()
        elif self._stream is not None:
            self._timer = self._clock.callLater(LOOK_SECONDS, self._look)


def _shown(drawn: Ladder) -> LadderShown:
    return LadderShown(
        drawn.id,
        drawn.title,
        [_participant(each) for each in drawn.participants],
        [_row(each) for each in drawn.rows],
        drawn.dropped,
        drawn.ended,
    )


def _participant(each: Participant) -> ParticipantShown:
    return ParticipantShown(each.name, each.address, each.leg)


def _row(row: Row) -> RowShown:
    return RowShown(
        iso(row.at),
        row.kind,
        row.source,
        row.target,
        row.label,
        row.text,
        row.again,
        row.transport,
    )
