"""Media without a socket: engines of which one counts, one takes its time and one is dead, and
ports for the relay that are numbers only. Pure.

They test who asks: whatever a call goes through, each of its ports is given back.
"""

import random
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from zope.interface import implementer

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media.channel import Channel
from softswitch.media.path import PacketPath
from softswitch.media.shapes import Shape
from softswitch.plugin.media import (
    IMediaEngine,
    IMediaWitness,
    MediaAnswer,
    MediaNotice,
    MediaQuestion,
    MediaReport,
    Tell,
)
from softswitch.plugin.record import Silence
from softswitch.sdp.rewrite import point_at
from softswitch.sdp.session import SessionDescription
from softswitch.wheel import Clock


@implementer(IMediaEngine)
class CountingEngine:
    """Answers at once, as the relay does: every SDP is led to ports of the leg that gets it.

    It holds the asker to the rules: an answer follows an offer of the other leg.

    :ivar sessions: session -> leg -> RTP ports, one for each m= line.
    :ivar questions: all that was asked, in order.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, list[int]]] = {}
        self.questions: list[MediaQuestion] = []
        self._offered: set[tuple[str, str, str]] = set()
        self._lost: set[str] = set()
        self._ports = count(20000, 2)

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Rewrite, and take a pair of ports for each m= line that has none yet.

        :raises AssertionError: when an answer comes without an offer.
        """
        self.questions.append(question)
        session = question.session
        if question.kind == "withdraw":
            withdrawn = (session, question.from_leg, question.to_leg)
            assert withdrawn in self._offered or session in self._lost
            self._offered.discard(withdrawn)
            return
        pair = (session, question.from_leg, question.to_leg)
        back = (session, question.to_leg, question.from_leg)
        if question.kind == "offer":
            self._offered.add(pair)
            self._offered.discard(back)
        elif back not in self._offered and session in self._lost:
            tell(MediaAnswer(question.token, error=MediaError("No offer is open", 500)))
            return
        else:
            assert back in self._offered, f"{session}: no offer to answer"
        try:
            sdp = SessionDescription.parse(question.sdp)
        except SdpSyntaxError as error:
            tell(MediaAnswer(question.token, error=error))
            return
        ports = self.sessions.setdefault(session, {}).setdefault(question.to_leg, [])
        while len(ports) < len(sdp.media):
            ports.append(next(self._ports))
        pairs = [
            None if section.refused else (port, port + 1)
            for section, port in zip(sdp.media, ports, strict=False)
        ]
        led = point_at(sdp, question.far.advertise, pairs)
        tell(MediaAnswer(question.token, led.encode(), renumbers=bool(question.held)))

    def lose(self) -> list[str]:
        """Die and be another, as a relay in a process of its own may: all sessions are gone.

        :returns: their names.
        """
        lost = list(self.sessions)
        self._lost.update(lost)
        self._offered.clear()
        self.sessions.clear()
        return lost

    def drop(self, session: str, leg: str) -> None:
        """Free a leg."""
        self.sessions.get(session, {}).pop(leg, None)
        self._offered = {each for each in self._offered if each[0] != session or leg not in each}

    def release(self, session: str) -> None:
        """Free the session."""
        self.sessions.pop(session, None)
        self._offered = {each for each in self._offered if each[0] != session}

    def ports_in_use(self, session: str, leg: str = "") -> int:
        """Two for each m= line of a leg."""
        legs = self.sessions.get(session, {})
        return 2 * sum(len(ports) for name, ports in legs.items() if leg in ("", name))

    def stop(self) -> None:
        """Free everything."""
        self.sessions.clear()


@implementer(IMediaWitness)
class SeeingEngine(CountingEngine):
    """One that says what has become of the packets, which are none: a test says what it has seen.

    :ivar talks: session -> whether it was to be recorded, of those that were answered.
    :ivar reports: session -> what is told at its end; one that is not there is told nothing.
    :param delay: seconds that it takes for that.
    """

    def __init__(self, clock: Clock, delay: float = 0.0) -> None:
        super().__init__()
        self.noticed: Callable[[MediaNotice], None] = lambda notice: None
        self.talks: dict[str, bool] = {}
        self.reports: dict[str, MediaReport] = {}
        self._clock = clock
        self._delay = delay

    def answered(self, session: str, record: bool) -> None:
        """Both sides talk.

        :raises AssertionError: it was to be recorded, or not, when that was said before.
        """
        assert self.talks.setdefault(session, record) is record

    def snapshot(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """Tell what will be told at its end, in as long."""
        self._tell(session, tell)

    def conclude(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """Free the session, and tell.

        :raises AssertionError: it was never answered.
        """
        assert session in self.talks
        self.release(session)
        self._tell(session, tell)

    def _tell(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        report = self.reports.get(session)
        if report is not None and self._delay:
            self._clock.callLater(self._delay, tell, report)
        elif report is not None:
            tell(report)

    def time_out(self, session: str) -> None:
        """Say that the caller has been silent for too long."""
        silence = Silence("a", "time-out", "nothing came", self._clock.seconds())
        self.noticed(MediaNotice(session, silence, ends=True))

    def load(self) -> Mapping[str, Any]:
        """How many sessions there are."""
        return {"sessions": len(self.sessions)}


@implementer(IMediaEngine)
class DeadEngine:
    """Never answers."""

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Nothing comes of it."""

    def drop(self, session: str, leg: str) -> None:
        """Nothing is held."""

    def release(self, session: str) -> None:
        """Nothing is held."""

    def ports_in_use(self, session: str, leg: str = "") -> int:
        """Always 0."""
        return 0

    def stop(self) -> None:
        """Nothing is held."""


@implementer(IMediaEngine)
class SlowEngine:
    """Another engine, whose answers come 0 to 2 seconds late, possibly in another order.

    An answer still comes after its session was released, as it would from another process.

    :ivar engine: is asked at once.
    :param seed: of the delays.
    """

    def __init__(self, engine: IMediaEngine, clock: Clock, seed: int) -> None:
        self.engine = engine
        self._clock = clock
        self._chance = random.Random(seed)

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Ask, and hold the answer back."""

        def later(answer: MediaAnswer) -> None:
            self._clock.callLater(self._chance.uniform(0.0, 2.0), tell, answer)

        self.engine.ask(question, later)

    def drop(self, session: str, leg: str) -> None:
        """Free a leg at once."""
        self.engine.drop(session, leg)

    def release(self, session: str) -> None:
        """Free the session at once."""
        self.engine.release(session)

    def ports_in_use(self, session: str, leg: str = "") -> int:
        """How many ports the session holds, or a leg of it."""
        return self.engine.ports_in_use(session, leg)

    def stop(self) -> None:
        """Free everything."""
        self.engine.stop()


class StillPath(PacketPath):
    """Ports of the relay that are numbers only."""

    def __init__(self) -> None:
        """No epoll is made."""

    def fileno(self) -> int:
        """Nothing will ever be readable."""
        return -1

    def open(self, host: str, port: int, shape: Shape) -> Channel:
        """A port with a socket that was never opened."""
        return Channel(_NO_SOCKET, port, shape, _NO_SOCKETS)

    def close(self, channel: Channel) -> None:
        """Nothing is held."""
        channel.part()

    def stop(self) -> None:
        """Nothing is held."""


#: What stands where a port has its socket.
_NO_SOCKET: Any = None
_NO_SOCKETS: Any = None
