"""A media engine whose relays are processes of their own.

Signalling never waits for a packet and packets never wait for signalling; audio goes on while the
switch restarts, and calls go on while a relay does. A session stays with one relay. What the switch
asks about ports is answered from what the relays have said, which is all that may be known at once.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media.process import RelaySettings
from softswitch.media.wire import (
    Answered,
    Ask,
    Conclude,
    Drop,
    Release,
    Sessions,
    Snapshot,
    answer_from_wire,
    question_to_wire,
    report_from_wire,
)
from softswitch.media.worker import RelayWorker
from softswitch.plugin.media import (
    IMediaEngine,
    IMediaWitness,
    MediaAnswer,
    MediaNotice,
    MediaQuestion,
    MediaReport,
    Tell,
)
from softswitch.wheel import Clock

_log = Logger()

#: What a relay that has died says to whoever had asked it.
_GONE = MediaError("Media Relay Lost")


@attrs.define
class FarmSession:
    """One call's media, and where they are.

    :ivar worker: number of the relay.
    :ivar ports: by leg, as the relay has said.
    :ivar talks: whether both sides talk.
    :ivar recorded: whether what they say is to be recorded.
    :ivar lost: whether its relay has died, and the one that has taken its place has not been told
        that they talk.
    """

    worker: int
    ports: dict[str, int] = attrs.Factory(dict)
    talks: bool = False
    recorded: bool = False
    lost: bool = False


@implementer(IMediaEngine, IMediaWitness)
class RelayFarm:
    """One or several relay processes.

    :ivar lost: told the names of sessions that are gone with their relay.
    :ivar noticed: told of each silence.
    :param folder: where their unix sockets are.
    :param settings: one for each relay; their ports do not overlap.
    :param leaked: told of a session and a leg that kept ports: a leak.
    """

    def __init__(
        self,
        folder: Path,
        settings: Sequence[RelaySettings],
        reactor: Any,
        clock: Clock,
        leaked: Callable[[str, str], None],
    ) -> None:
        self.lost: Callable[[list[str]], None] = _nobody_cares
        self.noticed: Callable[[MediaNotice], None] = lambda notice: None
        self._loads: dict[int, Mapping[str, Any]] = {}
        self._sessions: dict[str, FarmSession] = {}
        self._clock = clock
        self._leaked = leaked
        self._grace = settings[0].grace
        self.workers = [
            RelayWorker(folder / f"relay{number}.sock", each, reactor, self)
            for number, each in enumerate(settings)
        ]

    def start(self) -> None:
        """Find the relays that an earlier switch has left, or start them."""
        for worker in self.workers:
            worker.start()

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Have the session's relay take the step; it answers later."""
        try:
            written = question_to_wire(question)
        except SdpSyntaxError as error:
            tell(MediaAnswer(question.token, error=error))
            return
        session = self._sessions.get(question.session)
        if session is None:
            session = self._sessions[question.session] = FarmSession(self._freest())
        told = partial(self._answered, question, tell)
        self.workers[session.worker].send(Ask, told, question=written)

    def drop(self, session: str, leg: str) -> None:
        """The relay is told; that it has kept nothing is seen when it answers."""
        known = self._sessions.get(session)
        if known is not None:
            known.ports.pop(leg, None)
            told = partial(self._left, session, leg)
            self.workers[known.worker].send(Drop, told, session=session, leg=leg)

    def release(self, session: str) -> None:
        """As above."""
        known = self._sessions.pop(session, None)
        if known is not None:
            told = partial(self._left, session, "")
            self.workers[known.worker].send(Release, told, session=session)

    def answered(self, session: str, record: bool) -> None:
        """The relay watches from now on."""
        known = self._sessions.get(session)
        if known is not None:
            known.talks, known.recorded = True, record
            self._say_that_they_talk(session, known)

    def conclude(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """The relay tells with its answer; one that is lost meanwhile, never."""
        known = self._sessions.pop(session, None)
        if known is None:
            tell(MediaReport())
            return

        def told(response: dict[str, Any] | None) -> None:
            self._left(session, "", response)
            tell(report_from_wire(response["report"]) if response else MediaReport())

        self.workers[known.worker].send(Conclude, told, session=session)

    def snapshot(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """Likewise."""
        known = self._sessions.get(session)
        if known is None:
            tell(MediaReport())
            return

        def told(response: dict[str, Any] | None) -> None:
            tell(report_from_wire(response["report"]) if response else MediaReport())

        self.workers[known.worker].send(Snapshot, told, session=session)

    def load(self) -> Mapping[str, Any]:
        """What each relay has said last."""
        return {f"relay{number}": load for number, load in sorted(self._loads.items())}

    def ports_in_use(self, session: str, leg: str = "") -> int:
        """As far as the relay has said so."""
        known = self._sessions.get(session)
        ports = known.ports if known is not None else {}
        return ports.get(leg, 0) if leg else sum(ports.values())

    def stop(self) -> None:
        """End the relays, and all that they carry."""
        self._sessions.clear()
        for worker in self.workers:
            worker.stop()

    # From the workers.

    def worker_ready(self, worker: RelayWorker, sessions: int, *, same: bool) -> None:
        """What a relay that has died carried is gone; what one carries that we do not know is left
        alone for the grace, in which whoever restores calls may claim it."""
        number = self.workers.index(worker)
        if not same:
            gone = [name for name, each in self._sessions.items() if each.worker == number]
            began = [name for name in gone if self._sessions[name].ports]
            for name in began:
                self._sessions[name].ports.clear()
                self._sessions[name].lost = True
            if began:
                self.lost(began)
        if sessions:
            self._look_for_strangers(worker, "", [])

    def worker_noticed(self, notice: MediaNotice) -> None:
        """A side of a call is silent."""
        self.noticed(notice)

    def worker_warned(self, sentence: str) -> None:
        """The operator should know."""
        _log.warn("the media relay: {sentence}", sentence=sentence)

    def worker_loaded(self, worker: RelayWorker, load: dict[str, Any]) -> None:
        """So much it has to do."""
        self._loads[self.workers.index(worker)] = load

    def _say_that_they_talk(self, name: str, session: FarmSession) -> None:
        session.lost = False
        worker = self.workers[session.worker]
        worker.send(Answered, _heedless, session=name, record=session.recorded)

    def _look_for_strangers(self, worker: RelayWorker, after: str, found: list[str]) -> None:
        """Ask for all names of sessions, page by page."""

        def told(response: dict[str, Any] | None) -> None:
            names = response["names"] if response else []
            strangers = [*found, *(name for name in names if name not in self._sessions)]
            if names:
                self._look_for_strangers(worker, names[-1], strangers)
            elif strangers:
                _log.warn(
                    "the media relay carries {n} calls that this switch does not know, for {s:g} s",
                    n=len(strangers),
                    s=self._grace,
                )
                self._clock.callLater(self._grace, self._let_go, worker, strangers)

        worker.send(Sessions, told, after=after)

    def _let_go(self, worker: RelayWorker, strangers: list[str]) -> None:
        """Nobody has claimed them in the grace."""
        for name in strangers:
            if name not in self._sessions:
                worker.send(Release, partial(self._left, name, ""), session=name)

    def _answered(
        self, question: MediaQuestion, tell: Tell, response: dict[str, Any] | None
    ) -> None:
        session = self._sessions.get(question.session)
        if response is None:
            tell(MediaAnswer(question.token, error=_GONE))
            return
        if session is not None:
            session.ports = json.loads(response["ports"])
            if session.lost and session.talks and question.kind == "answer":
                self._say_that_they_talk(question.session, session)
        tell(answer_from_wire(response["answer"]))

    def _left(self, session: str, leg: str, response: dict[str, Any] | None) -> None:
        if response is not None and response["left"]:
            self._leaked(session, leg)

    def _freest(self) -> int:
        """The relay with the fewest sessions, of those that listen."""
        if len(self.workers) == 1:
            return 0
        load = [0] * len(self.workers)
        for session in self._sessions.values():
            load[session.worker] += 1
        numbers = range(len(self.workers))
        return min(numbers, key=lambda number: (not self.workers[number].ready, load[number]))


def _heedless(response: dict[str, Any] | None) -> None:
    """Nothing depends on the answer."""


def _nobody_cares(sessions: list[str]) -> None:
    """Until somebody says that he wants to know."""
