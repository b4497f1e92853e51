"""Watches one call that talks: is each side heard, and does it still send? Pure.

It looks a few seconds after the answer, and after each re-negotiation, and then only when a side
may have been silent for too long, which the times of its last packets say. No packet meets it.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import attrs

from softswitch.media.path import Counters
from softswitch.media.silence import Sighting, Terms, why_silent
from softswitch.plugin.media import MediaNotice
from softswitch.plugin.record import Silence, SilenceCause
from softswitch.wheel import Clock, Timer

#: Seconds after the answer at which nobody is silent without a cause.
LOOK: Final = 4.0

#: More packets than these until then are no RTCP, whatever the port at which they come.
MOST_RTCP: Final = 25


@attrs.frozen
class Patience:
    """How long a side may send nothing until its call ends.

    RTP and RTCP on any line count, if they come from where the side's packets are taken from.

    :ivar seconds: 0 for ever.
    :ivar held: the same while one side is on hold, and of a call without audio, as a fax.
    """

    seconds: float = 0.0
    held: float = 0.0


class Watched(Protocol):
    """The relay."""

    def counters(self, session: str) -> list[Counters]:
        """What each port of a session has seen."""

    def terms(self, session: str) -> Mapping[str, Terms | None]:
        """By leg, what it may send; None for no audio."""


#: Leg, line, and whether it is the second port.
Key = tuple[str, int, bool]


class Watch:
    """One call.

    :ivar past: what ports have seen that were closed since the answer.
    :param tell: told of each silence, each leg and cause once.
    """

    def __init__(
        self,
        relay: Watched,
        session: str,
        clock: Clock,
        patience: Patience,
        tell: Callable[[MediaNotice], None],
    ) -> None:
        self.past: list[Counters] = []
        self._relay = relay
        self._session = session
        self._clock = clock
        self._patience = patience
        self._tell = tell
        self._told: set[tuple[str, SilenceCause]] = set()
        self._negotiations = 0
        self._talking: set[str] = set()
        self._since = 0.0
        self._before: dict[Key, Counters] = {}
        self._look_timer: Timer | None = None
        self._timer: Timer | None = None
        self.talk()

    def talk(self) -> None:
        """Those who have agreed talk; who comes later only rings, until this is said again."""
        self._talking = set(self._relay.terms(self._session))
        self.negotiated()

    def negotiated(self) -> None:
        """Both sides have agreed, for the first time or anew: what counts begins now."""
        self.stop()
        self._negotiations += 1
        # Where the answer to an offer in the 200 comes with the ACK, nobody had agreed before.
        self._talking = self._talking or set(self._relay.terms(self._session))
        self._since = self._clock.seconds()
        self._before = self._counters()
        self._look_timer = self._clock.callLater(LOOK, self._look)
        self._wait()

    def stop(self) -> None:
        """Look no more."""
        for timer in (self._look_timer, self._timer):
            if timer is not None:
                timer.cancel()
        self._look_timer = self._timer = None

    def _counters(self) -> dict[Key, Counters]:
        found = self._relay.counters(self._session)
        return {(each.leg, each.line, each.rtcp): each for each in found}

    def _look(self) -> None:
        """Name what is silent. A hold that somebody asks for later is no news."""
        self._look_timer = None
        counters = self._counters()
        agreed = self._relay.terms(self._session)
        for leg, terms in agreed.items() if agreed.keys() <= self._talking else ():
            seen = None if terms is None else self._sighting(counters, leg, terms)
            found = None if terms is None or seen is None else why_silent(seen, terms)
            if found is not None and (found[0] != "held" or self._negotiations == 1):
                self._notice(leg, *found)

    def _sighting(self, now: Mapping[Key, Counters], leg: str, terms: Terms) -> Sighting | None:
        """What has come from a leg since both sides agreed; None where it has no port."""
        rtp, rtcp = now.get((leg, terms.index, False)), now.get((leg, terms.index, True))
        if rtp is None or rtcp is None:
            return None
        was, was_rtcp = (self._before.get((leg, terms.index, each)) for each in (False, True))
        packets = _gain("packets", rtp, was)
        reports = _gain("packets", rtcp, was_rtcp)
        kinds = frozenset(rtp.payload_types)
        earlier = frozenset(was.payload_types if was else ())
        if not earlier & terms.codecs.keys():  # of early media that were another's
            kinds = kinds - earlier or kinds
        stray = rtcp.port if reports > MOST_RTCP else self._stray(now, rtp)
        return Sighting(
            packets,
            _gain("unsent", rtp, was),
            _gain("foreign", rtp, was),
            _gain("malformed", rtp, was),
            0 if stray == rtcp.port else reports,
            kinds,
            was is not None and was.packets > 0,
            rtp.learnt or rtp.signalled,
            rtp.foreign_source,
            rtp.port,
            stray,
        )

    def _stray(self, now: Mapping[Key, Counters], rtp: Counters) -> int:
        """The port of another leg to which this one sends; 0 for none."""
        for key, other in now.items():
            stranger, own = other.foreign_source, rtp.signalled
            if other.leg == rtp.leg or stranger is None or own is None:
                continue
            if _gain("foreign", other, self._before.get(key)) and (
                stranger == own or (stranger[0] == own[0] and own[0] != (other.signalled or own)[0])
            ):
                return other.port
        return 0

    def _wait(self) -> None:
        """Look again when a side may have been silent for too long; or say that it has."""
        self._timer = None
        now, least = self._clock.seconds(), 0.0
        counters = self._counters().values()
        for leg, terms in self._relay.terms(self._session).items():
            held = terms is None or terms.held
            seconds = self._patience.held if held else self._patience.seconds
            if not seconds:
                continue
            heard = [each.last_at or 0.0 for each in counters if each.leg == leg]
            due = max([self._since, *heard]) + seconds
            if due <= now:
                what = "it is on hold, and " if held else ""
                self._notice(leg, "time-out", f"{what}nothing came for {seconds:g} s", ends=True)
                return
            least = min(least or due, due)
        if least:
            self._timer = self._clock.callLater(least - now, self._wait)

    def _notice(self, leg: str, cause: SilenceCause, detail: str, *, ends: bool = False) -> None:
        if ends or (leg, cause) not in self._told:
            self._told.add((leg, cause))
            silence = Silence(leg, cause, detail, self._clock.seconds())
            self._tell(MediaNotice(self._session, silence, ends))


def _gain(name: str, now: Counters, was: Counters | None) -> int:
    """By how much a counter has grown."""
    grown: int = getattr(now, name) - (getattr(was, name) if was is not None else 0)
    return grown
