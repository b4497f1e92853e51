"""What a hunt knows: what is tried, what is still to be tried, how it has failed so far. Pure.

``hunt`` does what stands here.
"""

from collections.abc import Callable
from typing import Protocol

import attrs

from softswitch.b2bua import crossing
from softswitch.b2bua.bridge import Bridge
from softswitch.dialog.dialog import Dialog
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Diversion, Route, Target
from softswitch.plugin.profile import Profile
from softswitch.plugin.record import Attempt
from softswitch.sip.forks import BREADTH, ForkLimits, breadth, shares
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.uri import Uri
from softswitch.transport.layer import Destination
from softswitch.trunk.traffic import OUT_OF_ORDER

#: Statuses that mean the target was never reached: its trunk's next address may do better.
UNREACHED = frozenset((408, 500, 502, 503, 504))

#: Redirections of which the caller may be told as one: 305 names a proxy, 380 another service.
MERGED = frozenset((300, 301, 302))


@attrs.define
class Failure:
    """How one try failed.

    :ivar status: as the far end, or our own time-out, said it.
    :ivar reason: phrase.
    :ivar told: whether the far end itself said so.
    :ivar rang: whether somebody could have picked up.
    :ivar passed: whether the caller hears just that status: a challenge that he is to answer, or
        one of ours, as where we have no media ports left.
    :ivar contacts: of a 3xx that is passed on.
    :ivar fields: header fields of the refusal that the caller may see.
    :ivar trunk: over which trunk it was tried; "" for none.
    """

    status: int
    reason: str
    told: bool = False
    rang: bool = False
    passed: bool = False
    contacts: list[str] = attrs.Factory(list)
    fields: list[Field] = attrs.Factory(list)
    trunk: str = ""

    @property
    def reached(self) -> bool:
        """Whether the target itself refused."""
        return self.told and self.status not in UNREACHED

    @property
    def elsewhere(self) -> bool:
        """Whether the same may succeed at another address."""
        return not self.reached and self.status in UNREACHED

    @property
    def shown(self) -> int:
        """The status that the caller hears."""
        status = self.status if self.passed else crossing.status(self.status)
        return 480 if status < 400 and not self.contacts else status

    @property
    def rank(self) -> tuple[int, int]:
        """The order of preference of RFC 3261 16.7 step 6; the lowest is told. It goes by what the
        caller would hear: a challenge that is not his to answer helps him least."""
        if self.status >= 600:
            return (0, 0)
        if self.status in (401, 407):
            return (4, 0 if self.passed else 3)
        status = self.shown
        return (status // 100, 0 if status in (415, 484) else 2 if status in (408, 480) else 1)

    @property
    def said(self) -> tuple[str, int, str | None, list[Field]]:
        """What the caller hears: who has refused, status, reason phrase, fields."""
        reason = self.reason if self.shown == self.status and self.reason else None
        fields = [*self.fields, *crossing.contacts(self.contacts)]
        return "callee" if self.told else "switch", self.shown, reason, fields

    def out_of_order(self, status: int) -> "Failure":
        """The same where it has failed because no member of its trunk is up, which a far end may
        have said in its own words (RFC 3326)."""
        said = any(name == "Reason" and value.startswith("Q.850") for name, value in self.fields)
        fields = self.fields if said else [*self.fields, OUT_OF_ORDER]
        return attrs.evolve(self, status=status, reason="", fields=fields)

    def better(self, other: "Failure | None") -> "Failure":
        """The one of which the caller is told; the contacts of two redirections go together."""
        if other is None:
            return self
        best = self if self.rank < other.rank else other
        if {self.status, other.status} <= MERGED:
            contacts = list(dict.fromkeys([*other.contacts, *self.contacts]))
            status = self.status if self.status == other.status else 300
            reason = other.reason if status == other.status else ""
            return attrs.evolve(best, status=status, reason=reason, contacts=contacts)
        return best


@attrs.define
class Turn:
    """Targets that ring at once; plain data.

    :ivar depth: how many redirections led to them.
    :ivar diversions: who has forwarded the call to them, the first one first.
    """

    targets: list[Target]
    depth: int = 0
    diversions: list[Diversion] = attrs.Factory(list)


@attrs.define
class Trial:
    """One target being tried; plain data.

    :ivar leg: the leg's name; "" while the target is being resolved.
    :ivar target: what is tried.
    :ivar attempt: its entry in the record.
    :ivar depth: how many redirections led to it.
    :ivar diversions: who has forwarded the call to it, the first one first.
    :ivar heard: whether anything has come from it, be it a 100.
    :ivar flow: on which it is called; None while the target is being resolved.
    :ivar places: where else its URI leads, the next first (RFC 3263 4.3).
    :ivar breadth: of the call's, the share that is its own (RFC 5393).
    :ivar toll: its run at whoever's expense; "" for none.
    """

    leg: str
    target: Target
    attempt: Attempt
    depth: int = 0
    diversions: list[Diversion] = attrs.Factory(list)
    heard: bool = False
    flow: Flow | None = None
    places: list[Destination] = attrs.Factory(list)
    breadth: int = BREADTH
    toll: str = ""

    def ended(self, failure: Failure, now: float) -> None:
        """Write down how it failed, for the record and for whoever judges it."""
        attempt = self.attempt
        attempt.ended = now
        attempt.status, attempt.reason = failure.status, failure.reason
        failure.rang = failure.rang or attempt.ringing is not None
        failure.trunk = self.target.trunk or ""

    def over_another_flow(self, failure: Failure) -> Turn | None:
        """The same phone over its next flow, where this one has failed: it is broken, nothing at
        all was heard on it, or it ends at a proxy that says so (RFC 5626 5.3, 6)."""
        silent = not failure.told and not self.heard and failure.elsewhere
        if not self.target.spare or not (silent or failure.status == 430):
            return None
        (uri, flow), *rest = self.target.spare
        again = attrs.evolve(self.target, uri=uri, flow=flow, spare=tuple(rest))
        return Turn([again], self.depth, self.diversions)


@attrs.define
class HuntData:
    """What a hunt knows; plain data.

    :ivar turns: what is to come, the next first.
    :ivar tried: URIs that have been tried, in order.
    :ivar trials: what is being tried, by number.
    :ivar tries: how many trials there have been; a later hunt of the same call goes on from there,
        since legs are named by it.
    :ivar forks: how many targets have been tried.
    :ivar counted: the numbers for which the call was counted at whoever's expense.
    :ivar best: the failure that the caller is told when nothing is left.
    :ivar forward: where the call goes on when all of the present route has failed.
    :ivar diversions: who has forwarded the call to the present route, the first one first.
    :ivar outcome: what came of the present route so far; "" for nothing that forwards.
    :ivar asking: numbers of the open questions about 3xx.
    :ivar asked: how many there have been.
    """

    turns: list[Turn] = attrs.Factory(list)
    tried: list[str] = attrs.Factory(list)
    trials: dict[int, Trial] = attrs.Factory(dict)
    tries: int = 0
    forks: int = 0
    counted: list[str] = attrs.Factory(list)
    best: Failure | None = None
    forward: dict[str, Route] = attrs.Factory(dict)
    diversions: list[Diversion] = attrs.Factory(list)
    outcome: str = ""
    asking: list[int] = attrs.Factory(list)
    asked: int = 0

    @property
    def targets(self) -> list[Target]:
        """What is being tried, and what is to come."""
        to_come = [target for turn in self.turns for target in turn.targets]
        return [*[trial.target for trial in self.trials.values()], *to_come]

    def share_out(
        self, turn: Turn, invite: Request, limits: ForkLimits
    ) -> list[tuple[Target, int]] | str:
        """The targets of a turn, each with its share of the call's breadth; or the limit that they
        would break together."""
        left = breadth(invite) - sum(trial.breadth for trial in self.trials.values())
        count = len(turn.targets)
        limit = limits.broken(left, len(self.trials), self.forks, count)
        if limit:
            return limit
        self.forks += count
        return list(zip(turn.targets, shares(left, count), strict=True))

    def keep(self, wanted: Callable[[Target], bool]) -> None:
        """Of what is to come, only the targets that are still wanted."""
        for turn in self.turns:
            turn.targets = list(filter(wanted, turn.targets))
        self.turns = [turn for turn in self.turns if turn.targets]

    def give_up(self, callee: Target | None) -> list[Trial]:
        """Forget everything, or all that concerns the same user of ours as a target.

        :returns: what was being tried.
        """
        if callee is None:
            self.turns.clear()
            self.asking.clear()
            trials, self.trials = list(self.trials.values()), {}
            return trials
        self.keep(lambda each: is_another(each, callee))
        found = {
            number: trial
            for number, trial in self.trials.items()
            if not is_another(trial.target, callee)
        }
        for number in found:
            del self.trials[number]
        return list(found.values())


class HuntUser(Protocol):
    """The call."""

    def new_callee(
        self, name: str, dialog: Dialog, flow: Flow, target: Target, profile: Profile
    ) -> Bridge:
        """A leg for a try, and its bridge to the caller's."""

    def call_callee(self, bridge: Bridge, fields: list[Field]) -> None:
        """Have that leg invited."""

    def cancel_leg(self, name: str, fields: list[Field]) -> None:
        """A try is given up."""

    def end_leg(self, name: str) -> None:
        """A try is over: let its leg and bridge go."""

    def hunt_began(self, attempt: Attempt) -> None:
        """For the record."""

    def hunt_rang(self, now: float) -> None:
        """A target rings."""

    def hunt_forwarded(self) -> None:
        """The call is being forwarded to others than were called."""

    def hunt_failed(self) -> None:
        """Nothing is left to try; ``HuntData.best`` says how it failed."""


def same_callee(one: Target, other: Target, busy: bool = False) -> bool:
    """Whether both are addresses of one trunk at which the same number is called.

    :param busy: whether the callee is, whichever trunk one reaches him by.
    """
    if busy and one.callee and one.callee == other.callee:
        return True
    if one.trunk is None or one.trunk != other.trunk:
        return False
    return Uri.parse(one.uri).user == Uri.parse(other.uri).user


def is_another(one: Target, other: Target) -> bool:
    """Whether two targets belong to two users of ours, so that none speaks for the other."""
    return None not in (one.call_to, other.call_to) and one.call_to != other.call_to


def contacts_of(response: Response) -> list[str]:
    """The URIs of a 3xx, each once, in descending q (RFC 3261 8.1.3.4); none where they cannot be
    read."""
    try:
        found = sorted(response.contacts, key=lambda contact: -contact.q)
    except SipSyntaxError:
        return []
    return list(dict.fromkeys(str(contact.uri) for contact in found))
