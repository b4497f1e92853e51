"""Whether a call may go out over a trunk at whoever's expense, and how long it may last. Pure.

A stolen password is turned into money within a night: calls to destinations that share the charge
with the thief. So each call that is to leave over a trunk is held against the limits of the account
that pays for it, when its leg is made, in the same breath as it is counted. Who pays is whoever has
called; of a forwarded or redirected call the user who sends it on; of a transferred one whoever
transfers it. A call that is tried at several places counts once.

Emergency calls meet no limit, and count nowhere.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import attrs

from softswitch.plugin.numbering import PLAIN, Numbering
from softswitch.plugin.tolls import TollLimits
from softswitch.sip.message import Field
from softswitch.trunk.destinations import Destinations
from softswitch.trunk.meter import Meter, Run, restored
from softswitch.wheel import Clock, Timer

#: What is refused bears this (RFC 3326, Q.850: call rejected).
REFUSED: Final[Field] = ("Reason", 'Q.850;cause=21;text="Beyond the limits of the account"')

#: Why a call ends that was answered, and what its BYEs say.
TOO_LONG: Final = "Longest Duration"
SPENT: Final = "Budget Spent"

#: Seconds that a clock may go back unnoticed.
_SLACK: Final = 1.0


@attrs.frozen
class TollRules:
    """What one configuration says.

    :ivar limits: "user", "trunk" or "phone" and a name -> that account's; None for none.
    :ivar destinations: the classes.
    :ivar by_class: class -> what each account may do with it besides.
    :ivar price: number in E.164 and name of a trunk -> what a minute costs; None where nobody
        knows.
    :ivar unpriced: what a minute costs then.
    :ivar payer: URI of who has forwarded a call -> name of the user of ours who that is, "" for
        none.
    :ivar status: what a call beyond the limits gets.
    """

    limits: Callable[[str, str], TollLimits | None]
    destinations: Destinations
    by_class: Mapping[str, TollLimits]
    price: Callable[[str, str], float | None]
    unpriced: float
    payer: Callable[[str], str]
    status: int = 403


@attrs.frozen
class Outgoing:
    """A call that is about to go out.

    :ivar kind: of the identity that pays, unless somebody has forwarded the call.
    :ivar name: of that identity.
    :ivar forwarded_by: URIs of those who have, the last one first: the last that is a user of ours
        pays, whoever has redirected it since.
    :ivar call: id of the call.
    :ivar number: that is called, as the trunk is told it: user part of a URI, None where it has
        none.
    :ivar dialled: likewise, as it was dialled.
    :ivar trunk: its name.
    :ivar numbering: the trunk's.
    :ivar home: that of whoever has numbers dialled over it.
    """

    kind: str
    name: str
    forwarded_by: Sequence[str]
    call: str
    number: str | None
    dialled: str | None
    trunk: str
    numbering: Numbering = PLAIN
    home: Numbering = PLAIN


@attrs.frozen
class Refusal:
    """A call may not go out.

    :ivar limit: which limit it would have broken, as it stands in the record.
    :ivar holder: whose that is.
    :ivar blocks_until: when that account may call again, Unix time; 0.0 where it is not blocked.
    """

    status: int
    limit: str
    holder: str
    blocks_until: float = 0.0


class Tolls:
    """The accounts of one switch.

    :ivar rules: what is allowed; None for everything.
    :ivar refused: told of each refusal.
    :ivar changed: told of each holder whose counters have changed.
    :ivar end: has a call ended that has used up what it may: name of the run, why.
    :param clock: Unix time.
    """

    def __init__(self, clock: Clock) -> None:
        self.rules: TollRules | None = None
        self.refused: Callable[[Refusal], None] = lambda refusal: None
        self.changed: Callable[[str], None] = lambda holder: None
        self.end: Callable[[str, str], None] = lambda run, why: None
        self._clock = clock
        self._latest = clock.seconds()
        self._meters: dict[str, Meter] = {}
        self._runs: dict[str, Run] = {}
        self._timers: dict[str, Timer] = {}
        self._numbers = count(1)

    def take(self, out: Outgoing, counted: list[str]) -> Refusal | str:
        """A call wants to go out: whether it may. If so, it is counted, and runs until ``ended``.

        :param counted: the numbers for which this call has been counted; gets one more.
        :returns: the name of the run, "" where nothing is counted.
        """
        rules = self.rules
        if rules is None:
            return ""
        kind, name = _payer(rules, out)
        limits = rules.limits(kind, name)
        if limits is None:
            return ""
        account = f"{kind} {name}"
        number, which = rules.destinations.called(
            out.trunk, out.number, out.dialled, out.numbering, out.home
        )
        if which in limits.closed:
            return self._refuse(rules, account, f"closed {which}")
        holders = {account: limits} if limits.counts else {}
        if which in rules.by_class:
            holders[f"{account} {which}"] = rules.by_class[which]
        now, again = self._now(), number in counted
        for holder, each in holders.items():
            meter = self._meters.get(holder)
            if meter is None:
                meter = self._meters[holder] = Meter()
            meter.limits = each
            if meter.blocked_until > now:
                return self._refuse_blocked(rules, holder, meter)
            if each.spend_per_day:
                self._settle(holder, now)
            limit, blocks = meter.broken(out.call, number, again, now)
            if limit:
                if blocks:
                    self._block(holder, limit, now)
                return self._refuse(rules, holder, limit, meter.blocked_until)
        if not holders:
            return ""
        counted.append(number)
        run = Run(out.call, tuple(holders), 0.0)
        if any(each.spend_per_day for each in holders.values()):
            price = rules.price(number, out.trunk)
            run.price = (rules.unpriced if price is None else price) / 60
        name = self._runs_on(run)
        for holder in holders:
            if not again:
                self._meters[holder].count(number, now)
            self.changed(holder)
        return name

    def bars(self, out: Outgoing) -> Refusal | None:
        """What stands against something that is no call, such as a MESSAGE: where it goes is
        closed, or who pays is blocked. It is counted nowhere."""
        rules = self.rules
        kind, name = ("", "") if rules is None else _payer(rules, out)
        limits = None if rules is None else rules.limits(kind, name)
        if rules is None or limits is None:
            return None
        account, now = f"{kind} {name}", self._now()
        _, which = rules.destinations.called(
            out.trunk, out.number, out.dialled, out.numbering, out.home
        )
        if which in limits.closed:
            return self._refuse(rules, account, f"closed {which}")
        for holder in (account, f"{account} {which}"):
            meter = self._meters.get(holder)
            if meter is not None and meter.blocked_until > now:
                return self._refuse_blocked(rules, holder, meter)
        return None

    def answered(self, name: str) -> None:
        """Who was called has answered: from now on it costs, and lasts; harmless for no run."""
        run = self._runs.get(name)
        if run is None or run.settled is not None:
            return
        run.settled = self._now()
        meters = [self._meters[holder] for holder in run.holders]
        longest = [each.limits.max_seconds for each in meters if each.limits.max_seconds]
        if longest:
            self._timers[name] = self._clock.callLater(min(longest), self._too_long, name)
        for holder in run.holders if run.price else ():
            self._watch(holder)

    def ended(self, name: str) -> None:
        """Its leg has ended; harmless when repeated."""
        run = self._runs.pop(name, None)
        if run is None:
            return
        self._stop(name)
        now = self._now()
        for holder in run.holders:
            if run.price:
                self._settle(holder, now)
            self._meters[holder].runs.pop(name, None)
            if run.price:
                self._watch(holder)
            self.changed(holder)

    # For the operator.

    def blocked(self) -> list[tuple[str, float, str]]:
        """Who may call nobody now: holder, until when, and by which limit."""
        now = self._now()
        found = [(name, meter) for name, meter in self._meters.items()]
        return [(name, m.blocked_until, m.why) for name, m in found if m.blocked_until > now]

    def lift(self, account: str) -> bool:
        """Let an account call again before its time, and begin its counters anew, but for what it
        has spent; False where nothing blocks it."""
        now, found = self._now(), False
        for holder, meter in self._meters.items():
            if holder != account and not holder.startswith(f"{account} "):
                continue
            if meter.blocked_until > now:
                found = True
                meter.blocked_until, meter.why = 0.0, ""
                meter.begun, meter.fresh = [], []
                if meter.limits.spend_per_day and self._settle(holder, now) > 0:
                    meter.spent = []
                self.changed(holder)
        return found

    def costs(self, holder: str) -> bool:
        """Whether a call of its runs that costs something."""
        return any(run.costs for run in self._meters[holder].runs.values())

    def plain(self, holder: str) -> dict[str, Any]:
        """What is to outlive the process, what runs paid for until now."""
        now = self._now()
        self._settle(holder, now)
        return self._meters[holder].plain(now)

    def restore(self, kept: Mapping[str, Any]) -> list[str]:
        """Take over the counters of an earlier process, before the first call.

        :returns: those that cannot be read.
        """
        broken = []
        now = self._now()
        for holder, plain in kept.items():
            try:
                self._meters[holder] = restored(plain, now)
            except (KeyError, TypeError, ValueError, AttributeError):
                broken.append(holder)
        return broken

    # Helpers.

    def _refuse(self, rules: TollRules, holder: str, limit: str, until: float = 0.0) -> Refusal:
        refusal = Refusal(rules.status, f"{holder}: {limit}", holder, until)
        self.refused(refusal)
        return refusal

    def _refuse_blocked(self, rules: TollRules, holder: str, meter: Meter) -> Refusal:
        until = datetime.fromtimestamp(meter.blocked_until, UTC).isoformat(" ", "seconds")
        limit = f"blocked until {until} ({meter.why})"
        return self._refuse(rules, holder, limit, meter.blocked_until)

    def _block(self, holder: str, why: str, now: float) -> None:
        """A limit was reached that blocks."""
        meter = self._meters[holder]
        if meter.limits.block_seconds:
            meter.blocked_until, meter.why = now + meter.limits.block_seconds, why
            self.changed(holder)

    def _runs_on(self, run: Run) -> str:
        name = f"toll{next(self._numbers)}"
        self._runs[name] = run
        for holder in run.holders:
            self._meters[holder].runs[name] = run
        return name

    def _too_long(self, name: str) -> None:
        del self._timers[name]
        self.end(name, TOO_LONG)

    def _settle(self, holder: str, now: float) -> float:
        """Have a holder pay for what runs. A call runs on several meters, and what it has cost is
        told to each of them."""
        for run in list(self._meters[holder].runs.values()):
            if run.settled is None:
                continue
            cost = max(0.0, now - run.settled) * run.price
            run.settled = now
            for each in run.holders:
                self._meters[each].pay(cost, now)
        return self._meters[holder].pay(0.0, now)

    def _watch(self, holder: str) -> None:
        """Know when the budget is spent, as long as something costs."""
        self._stop(holder)
        meter = self._meters[holder]
        rate = sum(run.costs for run in meter.runs.values())
        if rate and meter.limits.spend_per_day:
            left = max(0.0, meter.limits.spend_per_day - self._settle(holder, self._now()))
            self._timers[holder] = self._clock.callLater(left / rate, self._is_spent, holder)

    def _is_spent(self, holder: str) -> None:
        """Unless what was spent a day ago has been forgotten meanwhile."""
        del self._timers[holder]
        meter, now = self._meters[holder], self._now()
        if self._settle(holder, now) < meter.limits.spend_per_day * (1 - 1e-9):
            self._watch(holder)
            return
        self._block(holder, f"spend_per_day {meter.limits.spend_per_day:g}", now)
        for name, run in list(meter.runs.items()):
            if run.costs:
                self.end(name, SPENT)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _now(self) -> float:
        """The clock; where it has been set back, all that is known goes back with it."""
        now = self._clock.seconds()
        back = self._latest - now
        self._latest = now
        if back > _SLACK:
            for run in self._runs.values():
                if run.settled is not None:
                    run.settled -= back
            for meter in self._meters.values():
                meter.shift(back)
        return now


def _payer(rules: TollRules, out: Outgoing) -> tuple[str, str]:
    """Kind and name of whoever pays."""
    for by in out.forwarded_by:
        if payer := rules.payer(by):
            return "user", payer
    return out.kind, out.name
