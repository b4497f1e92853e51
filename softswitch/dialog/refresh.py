"""Session timers (RFC 4028), and the probe of peers that have none. Pure.

Whoever refreshes sends an UPDATE, or a re-INVITE that changes nothing, after half of the interval
that was agreed; when nothing has come shortly before its end, the session is given up with a BYE.
Every request or answer that re-negotiates agrees anew. A peer without session timers may be asked
with OPTIONS, every so often, whether it is still there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from softswitch.dialog.data import TimerData
from softswitch.dialog.usage import has_option, supported
from softswitch.errors import SipSyntaxError
from softswitch.plugin.profile import Profile
from softswitch.sip.fields import parse_params, seconds
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.wheel import Timer

if TYPE_CHECKING:
    from softswitch.dialog.exchange import Exchange

#: Seconds after which a refresh that did not succeed, or could not begin, is tried again.
AGAIN = 5.0


class Refresh:
    """Keeps a session alive, or finds that it is dead.

    Made when an interval is agreed, or where the peer is to be probed.
    """

    __slots__ = ("_attempt", "_session", "_timers", "data")

    def __init__(self, session: "Exchange") -> None:
        if session.data.timer is None:
            session.data.timer = TimerData()
        self.data = session.data.timer
        self._session = session
        self._timers: dict[str, Timer] = {}
        self._attempt = 0

    def leftovers(self) -> list[str]:
        """Names of the timers that are set (for the scope)."""
        return list(self._timers)

    def agree(self, interval: int, ours: bool) -> None:
        """An interval holds from now on, or with 0 none does.

        :param ours: whether we refresh.
        """
        self.stop()
        data = self.data
        data.interval, data.ours = interval, ours
        if interval:
            # RFC 4028 10: a refresh may take some time, and one of theirs may be late.
            self._set("expiry", interval - min(32.0, interval / 3), self._expire)
            if ours:
                self._set("refresh", interval / 2, self._refresh)
        elif self._session.profile.probe_seconds:
            self._set("probe", self._session.profile.probe_seconds, self._probe)

    def stop(self) -> None:
        """Nothing is awaited any more."""
        self._attempt += 1
        self.data.expires_at = self.data.next_at = None
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def refused(self, status: int, response: Response | None) -> None:
        """Our refresh has failed: the peer is gone, or it is tried again."""
        if status in (408, 481):
            self._session.lost("Peer Gone")
        elif status == 422 and response is not None and longer(self._session, response):
            self._refresh()
        elif status in (405, 501) and not self.data.by_invite:
            self.data.by_invite = True
            self._refresh()
        elif "expiry" in self._timers:
            self._set("refresh", AGAIN, self._refresh)

    def _refresh(self) -> None:
        self._forget("refresh")
        session = self._session
        if session.allows("UPDATE") and not self.data.by_invite:
            attempt = self._attempt

            def tell(status: int, reason: str, response: Response | None) -> None:
                if attempt == self._attempt:
                    self._answered(status, response)

            session.request("UPDATE", asking(session), b"", tell)
        elif session.idle and (described := session.user.description()):
            session.refresh(described)
        else:
            self._set("refresh", AGAIN, self._refresh)

    def _answered(self, status: int, response: Response | None) -> None:
        """To our UPDATE."""
        if response is not None and status < 300:
            self._session.refreshed(response)
        else:
            self.refused(status, response)

    def _expire(self) -> None:
        self._forget("expiry")
        self._session.lost("Session Expired")

    def _probe(self) -> None:
        self._forget("probe")
        attempt = self._attempt

        def tell(status: int, reason: str, response: Response | None) -> None:
            if attempt != self._attempt:
                return
            if response is None or status in (408, 481):
                self._session.lost("Peer Gone")
            else:
                self._set("probe", self._session.profile.probe_seconds, self._probe)

        self._session.request("OPTIONS", [], b"", tell)

    def _set(self, name: str, delay: float, then: Callable[[], None]) -> None:
        clock = self._session.clock
        self._forget(name)
        self._timers[name] = clock.callLater(delay, then)
        due = clock.seconds() + delay
        if name == "expiry":
            self.data.expires_at = due
        else:
            self.data.next_at = due

    def _forget(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if name == "expiry":
            self.data.expires_at = None
        else:
            self.data.next_at = None


def too_brief(request: Request, profile: Profile) -> list[Field]:
    """What a 422 to a request of theirs says, whose interval is too small; empty when all is well
    (RFC 4028 9).

    :raises SipSyntaxError: when Session-Expires, or Min-SE, cannot be read.
    """
    if profile.session_timers == "refuse":
        return []
    if request.get("Min-SE") is not None:
        _least(request)
    if request.get("Session-Expires") is None:
        return []
    interval, _ = _session_expires(request)
    if interval >= profile.min_se or not has_option(request, "Supported", "timer"):
        return []
    return [("Min-SE", str(profile.min_se))]


def fields(session: "Exchange") -> list[Field]:
    """What a request of ours asks for (RFC 4028 7.1, 7.4)."""
    profile, timer = session.profile, session.data.timer
    if profile.session_timers == "refuse":
        return []
    interval = (timer.interval if timer is not None else 0) or profile.session_expires
    if not interval:
        return []
    least = max(profile.min_se, timer.min_se if timer is not None else 0)
    refresher = ""
    if timer is not None and timer.interval:
        refresher = ";refresher=uac" if timer.ours else ";refresher=uas"
    elif profile.refresher == "us":
        refresher = ";refresher=uac"
    return [
        ("Session-Expires", f"{max(interval, least)}{refresher}"),
        ("Min-SE", str(least)),
    ]


def asking(session: "Exchange") -> list[Field]:
    """What an UPDATE of ours says of us (RFC 4028 7.1), and asks for."""
    return [("Supported", supported(session.profile)), *fields(session)]


def answering(session: "Exchange", request: Request) -> list[Field]:
    """What our 2xx to a request of theirs says; from now on it holds (RFC 4028 9)."""
    profile, timer = session.profile, session.data.timer
    if profile.session_timers == "refuse" or not _matters(session, request):
        agree(session, 0, False)
        return []
    knows = has_option(request, "Supported", "timer")
    least = _min_se(request)
    theirs, refresher = _readable(request)
    interval = theirs
    if theirs and profile.session_expires:
        interval = min(theirs, profile.session_expires)
    elif knows and not theirs:
        interval = (timer.interval if timer is not None else 0) or profile.session_expires
    if interval:
        interval = max(interval, least, profile.min_se)
    ours = not knows or profile.refresher == "us"
    if knows and refresher:
        ours = refresher == "uas"
    elif timer is not None and timer.interval:
        ours = timer.ours
    agree(session, interval, ours)
    if not interval:
        return []
    session.keeper.data.min_se = max(session.keeper.data.min_se, least)
    if ours:
        return [("Session-Expires", f"{interval};refresher=uas")]
    return [("Session-Expires", f"{interval};refresher=uac"), ("Require", "timer")]


def answered(session: "Exchange", response: Response) -> None:
    """A 2xx to a request of ours says what holds from now on; without the field nothing does
    (RFC 4028 7.2)."""
    interval, refresher = 0, None
    if session.profile.session_timers != "refuse" and _matters(session, response):
        interval, refresher = _readable(response)
    agree(session, max(interval, session.profile.min_se) if interval else 0, refresher != "uas")


def agree(session: "Exchange", interval: int, ours: bool) -> None:
    """An interval holds from now on, or with 0 none does and the peer may be probed."""
    if interval or session.data.timer is not None or session.profile.probe_seconds:
        session.keeper.agree(interval, ours)


def _matters(session: "Exchange", message: Message) -> bool:
    """Whether there is, was or should be an interval: for most calls, no more is looked at."""
    return (
        message.get("Session-Expires") is not None
        or session.data.timer is not None
        or session.profile.session_expires > 0
    )


def longer(session: "Exchange", response: Response) -> bool:
    """Whether a 422 asks for more than we have asked for; the next request does (RFC 4028 7.3)."""
    least = _min_se(response)
    timer = session.keeper.data
    if least <= max(session.profile.min_se, timer.min_se):
        return False
    timer.min_se = least
    return True


def _session_expires(message: Message) -> tuple[int, str | None]:
    """The interval in seconds, 0 without one, and who refreshes.

    :raises SipSyntaxError: when it cannot be read.
    """
    value = message.get("Session-Expires")
    if value is None:
        return 0, None
    interval, semicolon, params = value.partition(";")
    try:
        refresher = parse_params(semicolon + params).get("refresher")
        return seconds(interval.strip(" \t")), refresher and refresher.lower()
    except SipSyntaxError as error:
        raise SipSyntaxError("Bad Session-Expires", header="Session-Expires") from error


def _readable(message: Message) -> tuple[int, str | None]:
    """The same, where what cannot be read is not there."""
    try:
        return _session_expires(message)
    except SipSyntaxError:
        return 0, None


def _least(message: Message) -> int:
    """Their least interval in seconds, 0 without one.

    :raises SipSyntaxError: when it cannot be read.
    """
    value = message.get("Min-SE")
    if value is None:
        return 0
    try:
        return seconds(value.partition(";")[0].strip(" \t"))
    except SipSyntaxError as error:
        raise SipSyntaxError("Bad Min-SE", header="Min-SE") from error


def _min_se(message: Message) -> int:
    """The same, where what cannot be read is not there."""
    try:
        return _least(message)
    except SipSyntaxError:
        return 0
