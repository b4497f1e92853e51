"""The built-in relay with a memory: what both sides have said, and whether they are heard.

It is the relay that a switch has, within it or in a process of its own; all that is added here
happens when something is negotiated, or when a timer says so, and not to a packet.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from zope.interface import implementer

from softswitch.media.figures import streams
from softswitch.media.recording import Recorder, Recording
from softswitch.media.relay import RelayEngine
from softswitch.media.silence import Terms, terms
from softswitch.media.watch import Patience, Watch
from softswitch.plugin.media import (
    IMediaEngine,
    IMediaWitness,
    MediaAnswer,
    MediaNotice,
    MediaQuestion,
    MediaReport,
    Tell,
)
from softswitch.sdp.session import SessionDescription
from softswitch.wheel import Clock

#: Share of the ports from which on it is said that there are few, and below which that is over.
FEW: Final = 0.8
ENOUGH: Final = 0.7


class Descriptions:
    """What the legs of one session have said.

    :ivar agreed: by leg, what it said in the last exchange that came to an end.
    """

    __slots__ = ("_offers", "agreed")

    def __init__(self) -> None:
        self.agreed: dict[str, bytes] = {}
        self._offers: dict[tuple[str, str], bytes] = {}

    def note(self, question: MediaQuestion) -> None:
        """Take over a question that was answered."""
        here, there = question.from_leg, question.to_leg
        if question.kind == "offer":
            self._offers[here, there] = question.sdp
        elif question.kind == "withdraw":
            self._offers.pop((here, there), None)
        else:
            self.agreed[here] = question.sdp
            self.agreed[there] = self._offers.get((there, here), b"")

    @property
    def parsed(self) -> dict[str, SessionDescription]:
        """The same, read."""
        parse = SessionDescription.parse
        return {leg: parse(sdp) for leg, sdp in self.agreed.items() if sdp}


@implementer(IMediaEngine, IMediaWitness)
class WatchedRelay(RelayEngine):
    """A relay that says what has become of the packets.

    :ivar noticed: told of each silence.
    :ivar warned: told, in a sentence with its remedy, of what an operator should know.
    :ivar patience: with those who send nothing.
    :param recorder: records calls; None for one that cannot.
    """

    def __init__(
        self,
        clock: Clock,
        *args: Any,
        patience: Patience | None = None,
        recorder: Recorder | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(clock, *args, **kwargs)
        self.noticed: Callable[[MediaNotice], None] = lambda notice: None
        self.warned: Callable[[str], None] = lambda sentence: None
        self.patience = patience or Patience()
        self._clock = clock
        self._described: dict[str, Descriptions] = {}
        self._watches: dict[str, Watch] = {}
        self._few: set[str] = set()
        self._recorder = recorder
        self._recordings: dict[str, Recording] = {}

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """As any relay, and remember what was said."""
        name = question.session
        watch = self._watches.get(name)
        before = self.counters(name) if watch is not None and question.kind != "offer" else []
        answers: list[MediaAnswer] = []
        super().ask(question, answers.append)
        (answer,) = answers
        if name not in self._sessions:
            self._described.pop(name, None)
        elif answer.error is None:
            self._described.setdefault(name, Descriptions()).note(question)
        if watch is not None and question.kind != "offer":
            self._put_by(watch, name, before)
            if question.kind == "answer" and answer.error is None:
                watch.negotiated()
                self._tap(name)
        if question.kind == "offer":
            self._look_at_ports(question.far.bind)
        tell(answer)  # by which the call may be answered, or end

    def drop(self, session: str, leg: str) -> None:
        """As any relay, but that figures of a call that talks outlive the leg."""
        watch = self._watches.get(session)
        before = self.counters(session) if watch is not None else []
        super().drop(session, leg)
        if watch is not None:
            self._put_by(watch, session, before)
        if session not in self._sessions:
            self._described.pop(session, None)

    def release(self, session: str) -> None:
        """As any relay."""
        watch = self._watches.pop(session, None)
        if watch is not None:
            watch.stop()
        self._described.pop(session, None)
        super().release(session)
        recording = self._recordings.pop(session, None)
        if recording is not None:
            recording.end()

    def stop(self) -> None:
        """As any relay; recordings are written to their end."""
        super().stop()
        if self._recorder is not None:
            self._recorder.stop()

    def answered(self, session: str, record: bool) -> None:
        """See ``IMediaWitness``."""
        if session not in self._sessions:
            return
        if session in self._watches:
            self._watches[session].talk()
            return
        self._watches[session] = Watch(self, session, self._clock, self.patience, self._notice)
        self.begin(session)
        if record and self._recorder is None:
            self.warned(f"call {session} is to be recorded, but media.recordings names no folder")
        elif record and self._recorder is not None:
            self._recordings[session] = self._recorder.begin(session, self._seconds())
            self._tap(session)

    def conclude(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """See ``IMediaWitness``; tells before it returns."""
        try:
            report = self.report(session)
        finally:
            self.release(session)
        tell(report)

    def snapshot(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """See ``IMediaWitness``; likewise."""
        tell(self.report(session))

    def report(self, session: str) -> MediaReport:
        """What has become of a session's packets so far."""
        watch, described = self._watches.get(session), self._described.get(session)
        past = watch.past if watch is not None else []
        said = described.parsed if described is not None else {}
        found = streams([*past, *self.counters(session)], said, self._partners(session))
        recording = self._recordings.get(session)
        return MediaReport(tuple(found), recording.name if recording is not None else "")

    def load(self) -> Mapping[str, Any]:
        """See ``IMediaWitness``: by local address its pairs of ports, in use and at rest."""
        return {
            "sessions": len(self._sessions),
            "watched": len(self._watches),
            "recordings": {
                "open": len(self._recordings),
                "waiting_bytes": self._recorder.waiting if self._recorder else 0,
                "missing": self._recorder.missing if self._recorder else 0,
            },
            "ports": {
                host: {"pairs": pool.pairs, "in_use": pool.in_use, "resting": pool.resting}
                for host, pool in self._pools.items()
            },
        }

    def terms(self, session: str) -> Mapping[str, Terms | None]:
        """By leg of a session that has agreed with another, and that one with it, what it may
        send."""
        described = self._described.get(session)
        if described is None:
            return {}
        said = described.parsed
        partners = self._partners(session)
        return {
            leg: terms(said[leg], said[partner])
            for leg, partner in partners.items()
            if partners.get(partner) == leg and leg in said and partner in said
        }

    def _partners(self, session: str) -> dict[str, str]:
        known = self._sessions.get(session)
        return {} if known is None else {leg: it.partner for leg, it in known.agreed.items()}

    def _put_by(self, watch: Watch, session: str, before: list[Any]) -> None:
        """Keep the figures of ports that are closed by now, if there is something in them."""
        left = {(each.leg, each.line, each.port) for each in self.counters(session)}
        watch.past += [
            each for each in before if each.packets and (each.leg, each.line, each.port) not in left
        ]

    def _tap(self, session: str) -> None:
        """Have all ports of a call that is recorded recorded, new ones too."""
        recording, known = self._recordings.get(session), self._sessions.get(session)
        if recording is None or known is None:
            return
        for side in known.sides.values():
            for stream in side.streams.values():
                for channel in (stream.rtp, stream.rtcp):
                    recording.tap(channel, side.network.bind)

    def _notice(self, notice: MediaNotice) -> None:
        self.noticed(notice)

    def _look_at_ports(self, host: str) -> None:
        """Say so in time where the ports of a local address will not do."""
        pool = self._pools.get(host)
        if pool is None:
            return
        share = 1 - pool.free / pool.pairs if pool.pairs else 1.0
        if host in self._few:
            if share < ENOUGH:
                self._few.discard(host)
        elif share >= FEW:
            self._few.add(host)
            self.warned(
                f"{share:.0%} of the {pool.pairs} pairs of media ports on {host} are in use or at "
                "rest: soon calls will get 503; widen media.ports, or shorten "
                "media.quarantine_seconds"
            )
