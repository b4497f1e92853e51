"""What rtpengines have seen of calls: figures for the records, legs that are not heard, recordings.

All of it is asked for by "query", when a call is answered, a little later, and at its end. Pure.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import attrs
from zope.interface import implementer

from softswitch.errors import SdpSyntaxError
from softswitch.media.ng import Reply
from softswitch.media.ngfigures import sightings, streams
from softswitch.media.ngsession import NgSession
from softswitch.media.rtpengine import RtpengineEngine
from softswitch.media.silence import Sighting, terms, why_silent
from softswitch.plugin.media import IMediaEngine, IMediaWitness, MediaNotice, MediaReport
from softswitch.plugin.record import Silence
from softswitch.sdp.session import SessionDescription
from softswitch.wheel import Timer

#: Seconds after the answer when it is looked whether both sides are heard.
LOOK: Final = 4.0


@attrs.define
class _Watch:
    """A call that talks.

    :ivar before: what had come from each leg on each line when it was answered.
    :ivar told: legs and causes that have been told.
    :ivar timer: of the next look.
    :ivar recorded: whether it is to be recorded.
    """

    before: dict[tuple[str, int], Sighting] = attrs.Factory(dict)
    told: set[tuple[str, str]] = attrs.Factory(set)
    timer: Timer | None = None
    recorded: bool = False


@implementer(IMediaEngine, IMediaWitness)
class RtpengineWitness(RtpengineEngine):
    """The engine on rtpengines, which knows what became of the packets."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.noticed: Callable[[MediaNotice], None] = _nobody_listens
        self._watches: dict[str, _Watch] = {}

    def answered(self, session: str, record: bool) -> None:
        """See ``IMediaWitness``."""
        known = self._sessions.get(session)
        if known is None:
            return
        watch = self._watches.setdefault(session, _Watch())
        if record and not watch.recorded:
            watch.recorded = True
            known.record()
        known.inquire(partial(self._begun, session, watch))
        if watch.timer is not None:
            watch.timer.cancel()
        watch.timer = self._clock.callLater(LOOK, self._look, session, watch)

    def conclude(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """See ``IMediaWitness``; tells when the rtpengine has, and nothing of one that is gone."""
        watch = self._watches.get(session, _Watch())
        known = self._sessions.pop(session, None)
        self.release(session)
        if known is None:
            tell(MediaReport())
            return
        recording = _recording(known, watch)

        def told(reply: Reply | None) -> None:
            known.close()
            tell(_report(reply, recording))

        known.inquire(told)

    def snapshot(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """See ``IMediaWitness``; likewise."""
        known = self._sessions.get(session)
        if known is None:
            tell(MediaReport())
            return
        recording = _recording(known, self._watches.get(session, _Watch()))
        known.inquire(lambda reply: tell(_report(reply, recording)))

    def release(self, session: str) -> None:
        """Look no more, and let it go."""
        watch = self._watches.pop(session, None)
        if watch is not None and watch.timer is not None:
            watch.timer.cancel()
        super().release(session)

    def stop(self) -> None:
        """Look no more."""
        for session in list(self._watches):
            self.release(session)
        super().stop()

    def load(self) -> Mapping[str, Any]:
        """See ``IMediaWitness``: how each rtpengine is, and what it was asked."""
        return {
            str(each.place): {
                "state": each.state,
                "calls": len(each.calls),
                "weight": each.place.weight,
                "owed": len(each.owed),
                "last error": each.last_error,
                **each.client.counters,
            }
            for each in self.instances.all
        }

    def _begun(self, session: str, watch: _Watch, reply: Reply | None) -> None:
        watch.before = sightings(reply.values) if reply is not None else {}

    def _look(self, session: str, watch: _Watch) -> None:
        watch.timer = None
        known = self._sessions.get(session)
        if known is not None:
            known.inquire(partial(self._seen, session, known, watch))

    def _seen(self, session: str, known: NgSession, watch: _Watch, reply: Reply | None) -> None:
        if reply is None or session not in self._sessions:
            return
        now = sightings(reply.values)
        for leg, own, theirs in known.descriptions():
            try:
                agreed = terms(SessionDescription.parse(own), SessionDescription.parse(theirs))
            except SdpSyntaxError:
                continue
            seen = None if agreed is None else now.get((leg, agreed.index))
            if agreed is None or seen is None:
                continue
            old = watch.before.get((leg, agreed.index), Sighting())
            lately = attrs.evolve(
                seen,
                packets=max(0, seen.packets - old.packets),
                malformed=max(0, seen.malformed - old.malformed),
                rtcp=max(0, seen.rtcp - old.rtcp),
                before=old.packets > 0,
            )
            found = why_silent(lately, agreed)
            if found is not None and (leg, found[0]) not in watch.told:
                watch.told.add((leg, found[0]))
                silence = Silence(leg, *found, self._clock.seconds())
                self.noticed(MediaNotice(session, silence))


def _recording(session: NgSession, watch: _Watch) -> str:
    where = session.instance.place if session.instance is not None else ""
    return f"rtpengine {where}: {session.call}" if watch.recorded else ""


def _report(reply: Reply | None, recording: str) -> MediaReport:
    return MediaReport(tuple(streams(reply.values)) if reply else (), recording)


def _nobody_listens(notice: MediaNotice) -> None:
    """Until somebody does."""
