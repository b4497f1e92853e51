"""The switch at a glance: how many calls, how they go, how late the reactor is. Pure.

The last minutes are kept, a sample every few seconds, so that whoever opens the page sees at once
whether things have just changed. What is counted here costs a call four additions.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import attrs

from softswitch.api.events import Events
from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation, Parameter
from softswitch.api.shapes import utc
from softswitch.api.tokens import Role
from softswitch.trunk.group import Trunk

#: Seconds between two samples, and for which they are kept.
SAMPLE_SECONDS: Final = 5
KEPT_SECONDS: Final = 3600


@attrs.frozen
class Sample:
    """The switch at one time.

    :ivar at: when.
    :ivar trying: calls for which nobody has rung yet.
    :ivar ringing: calls that ring.
    :ivar talking: calls that were answered.
    :ivar begun: calls that have begun since the start.
    :ivar answered: those of them that were answered.
    :ivar unanswered: those of them that have ended without an answer.
    :ivar registrations: contacts.
    :ivar lag: seconds that a timer was late at worst in the last moments.
    """

    at: str
    trying: int
    ringing: int
    talking: int
    begun: int
    answered: int
    unanswered: int
    registrations: int
    lag: float


@attrs.frozen
class Figures:
    """The switch now.

    :ivar now: its figures.
    :ivar bans: networks from which nothing is taken.
    :ivar leaks: legs that have left something behind; this is to stay 0.
    :ivar trunks: all that there are.
    :ivar trunks_up: those of them that take calls.
    """

    now: Sample
    bans: int
    leaks: int
    trunks: int
    trunks_up: int


@attrs.frozen
class History:
    """The last minutes.

    :ivar seconds: between two samples.
    :ivar samples: the earliest first.
    """

    seconds: int
    samples: list[Sample]


@attrs.frozen
class Oneself:
    """Who asks.

    :ivar name: of his token; "local" where none is asked for.
    :ivar role: what he may do.
    """

    name: str
    role: Role


class Lag:
    """The worst lag of the last moments: this sample's and that before.

    It is told with each wake-up of the timers.
    """

    def __init__(self) -> None:
        self._now = self._before = 0.0

    def __call__(self, seconds: float) -> None:
        """A timer was so late."""
        if seconds > self._now:
            self._now = seconds

    def turn(self) -> None:
        """A sample was taken: a new moment begins."""
        self._before, self._now = self._now, 0.0

    @property
    def worst(self) -> float:
        """Seconds."""
        return max(self._now, self._before)


class FigureOperations:
    """The operations on figures.

    :ivar lag: to be told how late timers are.
    """

    def __init__(self, house: House, events: Events) -> None:
        self.lag = Lag()
        self._house = house
        self._events = events
        self._kept: deque[Sample] = deque(maxlen=KEPT_SECONDS // SAMPLE_SECONDS)

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1/figures"
        return (
            Operation(
                "figures",
                "GET",
                path,
                "The switch at a glance: calls by state, registrations, trunks, lag.",
                self.now,
                answers={200: Figures},
            ),
            Operation(
                "figures_history",
                "GET",
                f"{path}/history",
                "The figures of the last minutes.",
                self.history,
                answers={200: History},
                parameters=(
                    Parameter(
                        "seconds",
                        "for which one looks back",
                        "integer",
                        least=1,
                        most=KEPT_SECONDS,
                        default=600,
                    ),
                ),
            ),
            Operation(
                "oneself",
                "GET",
                "/api/v1/me",
                "Whose the token is, and what he may do.",
                lambda asked: Answer(body=Oneself(asked.caller.name, asked.caller.role)),
                answers={200: Oneself},
            ),
        )

    def now(self, asked: Asked) -> Answer:
        """See ``operations``."""
        house = self._house
        trunks = [house.traffic.named(name) for name in house.traffic.names]
        up = sum(each is not None and _takes_calls(each) for each in trunks)
        bans = len(house.transport.door.bans)
        figures = Figures(self._sample(), bans, house.auditor.leaks, len(trunks), up)
        return Answer(body=figures)

    def history(self, asked: Asked) -> Answer:
        """See ``operations``."""
        count = -(-asked.query["seconds"] // SAMPLE_SECONDS)
        return Answer(body=History(SAMPLE_SECONDS, list(self._kept)[-count:]))

    def keep(self) -> None:
        """So many seconds have passed: keep a sample."""
        self._kept.append(self._sample())
        self.lag.turn()

    def _sample(self) -> Sample:
        house, events = self._house, self._events
        return Sample(
            utc(house.clock.seconds()),
            events.trying,
            events.ringing,
            events.talking,
            events.begun,
            events.answered,
            events.unanswered,
            len(house.bindings),
            round(self.lag.worst, 4),
        )


def _takes_calls(trunk: Trunk) -> bool:
    """Whether a call may go out on it now, as the list of trunks has it."""
    members = trunk.state
    return trunk.pbx is not None or any(map(members.can_be_tried, members.states))
