"""Who is rung for a name: a user, where he has his calls forwarded, a ring group. Pure.

RFC 5359 2.7 to 2.9. Everything is said at once, in one route: who rings, and where the call goes on
by what comes of that, forwarded again there if need be. The hunt does the rest.
"""

from collections.abc import Callable
from random import Random

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.plugin.decisions import Diversion, DivertedFor, Outcome, Reject, Route, Target
from softswitch.plugin.views import Forwarded, House, InviteView, RingGroup, User
from softswitch.policy.checks import FORWARDINGS
from softswitch.policy.located import dialled, quiet_for, ring
from softswitch.policy.waiting import at_hand
from softswitch.sip.fields import NameAddr, number, split_values
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

#: What came of it -> where the call goes then, and what that is called.
_CONDITIONS: dict[Outcome, tuple[Callable[[Forwarded], str], DivertedFor]] = {
    "busy": (lambda forwarded: forwarded.busy, "user-busy"),
    "no_answer": (lambda forwarded: forwarded.no_answer, "no-answer"),
    "unreachable": (lambda forwarded: forwarded.unreachable, "unavailable"),
}


@attrs.frozen
class Way:
    """How a call has come to somebody.

    :ivar invite: the call.
    :ivar left: how often it may be forwarded still.
    :ivar seen: names of the users and ring groups whom it has come by.
    :ivar diversions: since the route began in which he is rung.
    """

    invite: InviteView
    left: int
    seen: frozenset[str] = frozenset()
    diversions: tuple[Diversion, ...] = ()

    @classmethod
    def of(cls, invite: InviteView, most: int = FORWARDINGS) -> "Way":
        """That of a call that has just come, which may have been forwarded before."""
        return cls(invite, most - _diverted(invite))

    def by(self, diversion: Diversion, *, begins: bool = False) -> "Way":
        """On from there, in a route of its own or in the same."""
        before = () if begins else self.diversions
        return attrs.evolve(self, diversions=(*before, diversion), left=self.left - 1)

    def to(self, name: str) -> "Way | None":
        """On to somebody; None where it has come by him, or too often by others."""
        if name in self.seen or self.left < 0:
            return None
        return attrs.evolve(self, seen=self.seen | {name})


class Callees:
    """Knows who is rung. To be asked within ``once_known``."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._random = Random()

    def user(self, user: User, way: Way) -> Route | Reject:
        """Where a user is rung, and on from there: 480 for one who cannot be reached; 482 where it
        goes round in a circle, or too often (RFC 5359 2.7)."""
        onward = way.to(user.name)
        if onward is None:
            return Reject(482)
        wanted, by = user.forwarded, self._address(user.name)
        if wanted.always:
            return self._follow(wanted.always, onward.by(Diversion(by)))
        quiet = quiet_for(user, self._house, way.invite)
        if quiet is not None:
            place = wanted.busy if quiet.status == 486 else wanted.unreachable
            if place:
                return self._follow(place, onward.by(Diversion(by, "do-not-disturb")))
            return quiet
        after = wanted.after if wanted.no_answer else None
        found = ring(user.name, self._house, after, way.invite)
        if not isinstance(found, Route):
            if wanted.unreachable:
                return self._follow(wanted.unreachable, onward.by(Diversion(by, "unavailable")))
            return Reject(480)
        further: dict[Outcome, Route] = {}
        for outcome, (place_of, reason) in _CONDITIONS.items():
            place = place_of(wanted)
            if place:
                on = self._follow(place, onward.by(Diversion(by, reason), begins=True))
                if isinstance(on, Route):  # else he stays busy, and the caller hears so
                    further[outcome] = on
        return Route(found.targets, forward=further, diversions=way.diversions)

    def group(self, group: RingGroup, way: Way) -> Route | Reject:
        """Whom a ring group rings, and where the call goes when nobody has taken it; 480 where
        there is nobody to ring."""
        onward = way.to(group.name)
        if onward is None:
            return Reject(482)
        by = self._address(group.name)
        found = [self._member(member, group, way) for member in group.members]
        members = self._in_order(group, [each for each in found if each])
        targets = [
            attrs.evolve(target, group=1 if group.strategy == "all" else place)
            for place, each in enumerate(members, 1)
            for target in each
        ]
        if not targets:
            if group.otherwise:
                return self._follow(group.otherwise, onward.by(Diversion(by, "unavailable")))
            return Reject(480)
        forward: dict[Outcome, Route] = {}
        if group.otherwise:
            on = self._follow(group.otherwise, onward.by(Diversion(by, "no-answer"), begins=True))
            if isinstance(on, Route):
                forward["failed"] = on
        return Route(targets, forward=forward, diversions=way.diversions)

    def _member(self, member: str, group: RingGroup, way: Way) -> list[Target]:
        """The phones of a member, which ring at once whatever their q; none where he cannot be
        reached, or is not to be disturbed. Where he forwards his calls is nothing to a group."""
        if ":" in member:
            try:
                targets = self._elsewhere(Uri.parse(member), member, way)[:1]
            except SipSyntaxError:
                return []
        else:
            found = ring(member, self._house, None, way.invite)
            targets = list(found.targets) if isinstance(found, Route) else []
        return [attrs.evolve(each, ring_seconds=group.ring_seconds, q=1.0) for each in targets]

    def _in_order(self, group: RingGroup, members: list[list[Target]]) -> list[list[Target]]:
        if group.strategy == "random":
            return self._random.sample(members, len(members))
        if group.strategy == "longest-idle":
            return sorted(members, key=self._idle_since)
        return members

    def _idle_since(self, targets: list[Target]) -> float:
        """Who is in a call comes last, who is no user of ours before him."""
        address = targets[0].call_to
        since = self._house.idle_since(Uri.parse(address).unquoted_user) if address else 0.0
        return float("inf") if since is None else since

    def _follow(self, place: str, way: Way) -> Route | Reject:
        """On to a user, a ring group, a trunk or anywhere else."""
        if way.left < 0:
            return Reject(482)
        house = self._house
        try:
            uri = Uri.parse(place if ":" in place else self._address(place))
        except SipSyntaxError:
            return Reject(404)
        name = dialled(uri, house)
        group = house.ring_group(name) if name else None
        if group is not None:
            return self.group(group, way)
        user = at_hand(name, house) if name else None
        if user is not None:
            return self.user(user, way)
        if name:
            return Reject(404)
        return Route(self._elsewhere(uri, place, way), diversions=way.diversions)

    def _elsewhere(self, uri: Uri, place: str, way: Way) -> list[Target]:
        trunk = self._house.trunk(uri.host)
        return [Target(place)] if trunk is None else trunk.targets(uri.unquoted_user, way.invite)

    def _address(self, name: str) -> str:
        """Address of record of a user or ring group."""
        return str(Uri("sip", escape_user(name), host=self._house.domain))


def _diverted(invite: InviteView) -> int:
    """How often a call had been forwarded when it came (RFC 5806)."""
    times = 0
    for line in invite.headers("Diversion"):
        for value in split_values(line):
            try:
                times += max(1, number(NameAddr.parse(value).params.get("counter") or "1", 99))
            except SipSyntaxError:
                times += 1
    return times
