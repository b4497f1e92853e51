"""The records of the calls that are forwarded: what a proxy sees of them. Pure.

A proxy on the path of a call's requests sees its BYE, and what the other side says to it; one that
is not sees no more than the answer, and there its record ends. A BYE may be lost, or a phone: a
call in which nothing passes for as long as its session may live (RFC 4028) is taken for over.
"""

from collections import Counter
from typing import Final, Protocol

import attrs

from softswitch.flow import Flow
from softswitch.plugin.decisions import Target
from softswitch.plugin.record import Attempt, CallRecord
from softswitch.proxy.dialogs import LINGER_SECONDS, Dialog
from softswitch.scope import Auditor, Scope
from softswitch.sip.fields import seconds
from softswitch.sip.message import Request, Response
from softswitch.trunk.traffic import Place, Traffic
from softswitch.wheel import Clock, Timer

#: Seconds after which a call in which nothing passes is over, when its session has no timer.
UNHEARD_SECONDS: Final = 12 * 3600

#: Seconds that a session with a timer may live beyond it: until the last refresh has failed.
GRACE_SECONDS: Final = 32


class Observer(Protocol):
    """Told of facts, as ``ICallObserver``."""

    def call_ringing(self, record: CallRecord) -> None:
        """The first target rings."""

    def call_answered(self, record: CallRecord) -> None:
        """The caller was told of the answer."""

    def call_ended(self, record: CallRecord) -> None:
        """The call is over; told once, last."""


@attrs.define
class CallData:
    """What is known of a call that is forwarded; plain data.

    :ivar call_id: the Call-ID, one for the whole way.
    :ivar caller_tag: tag of who called.
    :ivar record: what is left of the call in the end.
    :ivar stays: whether we are on the path of its further requests.
    :ivar callee_tags: of the dialogs that stand; more than one where several forks answered.
    :ivar from_caller: flow on which the caller was last heard within the call.
    :ivar from_callee: flow on which the callee was.
    :ivar life: seconds for which nothing may pass.
    :ivar unheard_until: when the call is taken for over; None until it is answered.
    :ivar counted: the numbers for which it was counted at whoever's expense.
    :ivar places: what it takes up at trunks: number of an attempt, or -1 for where it is from ->
        that.
    """

    call_id: str
    caller_tag: str
    record: CallRecord
    stays: bool
    callee_tags: list[str] = attrs.Factory(list)
    from_caller: Flow | None = None
    from_callee: Flow | None = None
    life: int = UNHEARD_SECONDS
    unheard_until: float | None = None
    counted: list[str] = attrs.Factory(list)
    places: dict[int, Place] = attrs.Factory(dict)


class ForwardedCall:
    """A call that is forwarded, from its INVITE to its record's end.

    :ivar data: what is known of it.
    :ivar observer: told of it from its beginning to its end.
    :ivar dialog: what its INVITE has made; None where we do not stay on the path.
    """

    __slots__ = ("_ledger", "_scope", "_timer", "data", "dialog", "observer")

    def __init__(
        self, ledger: "Ledger", data: CallData, observer: Observer, dialog: Dialog | None
    ) -> None:
        self.data = data
        self.observer = observer
        self.dialog = dialog
        if dialog is not None:
            dialog.calls += 1
        self._ledger = ledger
        self._timer: Timer | None = None
        self._scope = Scope(f"{data.record.id}/forwarded", ledger.auditor)
        self._scope.hold(self)

    @property
    def over(self) -> bool:
        """Whether the record is complete."""
        return self.data.record.ended is not None

    def leftovers(self) -> list[str]:
        """The name of its timer while it is set (for the scope)."""
        return [] if self._timer is None else ["unheard"]

    def tried(
        self, attempt: Attempt, target: Target, goes_out: bool = True, toll: str = ""
    ) -> None:
        """A target is tried.

        :param goes_out: whether its trunk bears it.
        :param toll: its run at whoever's expense; "" for none.
        """
        attempts = self.data.record.attempts
        if target.trunk is not None and goes_out:
            self._take(len(attempts), Place(target.trunk, target.member, "out", toll))
        attempts.append(attempt)

    def failed(self, attempt: Attempt) -> None:
        """Nothing has come of it."""
        for number, each in enumerate(self.data.record.attempts):
            if each is attempt:
                self._leave(number)

    def came_from(self, trunk: str) -> None:
        """A trunk calls, which has been counted when the INVITE came."""
        self._take(-1, Place(trunk, "", "in"), anew=False)

    def rang(self, attempt: Attempt, response: Response) -> None:
        """A provisional response went to the caller."""
        record = self.data.record
        now = self._ledger.clock.seconds()
        if response.status >= 180 and attempt.ringing is None:
            attempt.ringing = now
            if record.ringing is None:
                record.ringing = now
                self.observer.call_ringing(record)

    def answered(self, attempt: Attempt, response: Response) -> None:
        """A 2xx went to the caller, the first or another fork's."""
        if self.over:
            return
        data, now = self.data, self._ledger.clock.seconds()
        record, tag = data.record, response.to.tag or ""
        if attempt.answered is None:
            for number, place in data.places.items():
                if number >= 0 and record.attempts[number] is attempt:
                    self._ledger.traffic.answered(place.toll)
            attempt.answered, attempt.ended = now, None
            attempt.status, attempt.reason = response.status, response.reason
        if record.answered is None:
            record.answered, record.to_tag = now, tag
            record.status, record.reason = response.status, response.reason
            self.observer.call_answered(record)
            if not data.stays:
                self.end("switch")
                return
        if tag not in data.callee_tags:
            data.callee_tags.append(tag)
            self.refreshed(response)

    def refused(self, response: Response, tag: str, who: str) -> None:
        """The final refusal went to the caller.

        :param tag: its To tag.
        :param who: "caller", "callee" or "switch": whose doing it is.
        """
        if not self.over:
            record = self.data.record
            record.status, record.reason, record.to_tag = response.status, response.reason, tag
            record.causes = response.all("Reason") or record.causes
            self.end(who)

    def heard(self, flow: Flow, by_caller: bool) -> None:
        """A request passes within the call, from where that side is."""
        if by_caller:
            self.data.from_caller = flow
        else:
            self.data.from_callee = flow
        self._wait()

    def hung_up(self, bye: Request, by_caller: bool) -> None:
        """The other side knows of a BYE; with that of its last dialog the call is over."""
        data, tag = self.data, (bye.to if by_caller else bye.from_).tag
        if tag in data.callee_tags:
            data.callee_tags.remove(tag)
            if not data.callee_tags:
                data.record.causes = bye.all("Reason")
                self.end("caller" if by_caller else "callee")

    def refreshed(self, response: Response) -> None:
        """A 2xx to an INVITE or UPDATE passes, perhaps with a session timer (RFC 4028 8)."""
        interval = (response.get("Session-Expires") or "").partition(";")[0].rstrip()
        if interval.isascii() and interval.isdigit():
            self.data.life = max(90, seconds(interval)) + GRACE_SECONDS
        self._wait()

    def end(self, who: str, reason: str | None = None) -> None:
        """The call is over, as far as a proxy sees; harmless when repeated."""
        record, now = self.data.record, self._ledger.clock.seconds()
        if self.over:
            return
        record.ended, record.hung_up = now, who
        record.reason = record.reason if reason is None else reason
        for attempt in record.attempts:
            record.limit = record.limit or attempt.limit
            if attempt.ended is None:
                attempt.ended = now
        for number in list(self.data.places):
            self._leave(number)
        self._stop()
        self._ledger.forget(self)
        if self.dialog is not None:
            self.dialog.calls -= 1
            self.dialog.until = max(self.dialog.until, now + LINGER_SECONDS)
        self._scope.release(self)
        self._scope.end()

    def _take(self, number: int, place: Place, anew: bool = True) -> None:
        self.data.places[number] = place
        self._ledger.traffic.leg_began(place, anew)

    def _leave(self, number: int) -> None:
        place = self.data.places.pop(number, None)
        if place is not None:
            self._ledger.traffic.leg_ended(place)

    def _wait(self) -> None:
        """Something has passed; wait anew."""
        if self.data.callee_tags:
            self._stop()
            self.data.unheard_until = self._ledger.clock.seconds() + self.data.life
            self._timer = self._ledger.clock.callLater(self.data.life, self._unheard)

    def _unheard(self) -> None:
        self._timer = None
        self.end("switch", "Nothing Heard")

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Ledger:
    """The calls that are forwarded and have not ended.

    :ivar traffic: the trunks, as calls see them.
    :param counters: "ended" -> how often.
    """

    def __init__(
        self, clock: Clock, auditor: Auditor, counters: Counter[str], traffic: Traffic
    ) -> None:
        self.clock = clock
        self.auditor = auditor
        self.traffic = traffic
        self._counters = counters
        self._calls: dict[tuple[str, str], list[ForwardedCall]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._calls.values()))

    def calls(self) -> list[ForwardedCall]:
        """All of them."""
        return [call for calls in self._calls.values() for call in calls]

    def open(
        self, request: Request, record: CallRecord, dialog: Dialog | None, observer: Observer
    ) -> ForwardedCall:
        """An INVITE is to be forwarded.

        :param dialog: what it makes; None where we do not stay on the path.
        """
        tag = request.from_.tag or ""
        data = CallData(request.call_id, tag, record, dialog is not None)
        call = ForwardedCall(self, data, observer, dialog)
        self._calls.setdefault((request.call_id, tag), []).append(call)
        if record.identity_kind == "trunk":
            call.came_from(record.identity)
        return call

    def find(self, request: Request, by_caller: bool) -> list[ForwardedCall]:
        """The calls that a request belongs to: several where an INVITE has passed twice."""
        tag = (request.from_ if by_caller else request.to).tag or ""
        return list(self._calls.get((request.call_id, tag), ()))

    def forget(self, call: ForwardedCall) -> None:
        """It has ended."""
        key = (call.data.call_id, call.data.caller_tag)
        calls = self._calls[key]
        calls.remove(call)
        if not calls:
            del self._calls[key]
        self._counters["ended"] += 1
        call.observer.call_ended(call.data.record)
