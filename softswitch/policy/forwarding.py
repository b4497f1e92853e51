"""Calls that users have forwarded: always, when busy, not answered, or unreachable. Pure.

RFC 5359 2.7 to 2.9. Everything is said at once, in one route: who rings, and where the call goes on
by what comes of that, forwarded again there if need be. The hunt does the rest.
"""

from collections.abc import Callable
from functools import partial

import attrs
from zope.interface import implementer

from softswitch.errors import SipSyntaxError
from softswitch.plugin.decisions import (
    Diversion,
    DivertedFor,
    Outcome,
    Reject,
    Route,
    Routing,
    Target,
)
from softswitch.plugin.interfaces import Answer, IRouter
from softswitch.plugin.views import Forwarded, House, InviteView, User
from softswitch.policy.checks import FORWARDINGS
from softswitch.policy.located import dialled, ring
from softswitch.policy.waiting import at_hand, once_known
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
class _Way:
    """How a call has come to somebody.

    :ivar seen: names of the users whom it has come by.
    :ivar diversions: since the route began in which he is rung.
    :ivar left: how often it may be forwarded still.
    """

    seen: frozenset[str]
    diversions: tuple[Diversion, ...]
    left: int

    def by(self, diversion: Diversion, *, begins: bool = False) -> "_Way":
        """On from there, in a route of its own or in the same."""
        before = () if begins else self.diversions
        return _Way(self.seen, (*before, diversion), self.left - 1)


@implementer(IRouter)
@attrs.define
class Forwarding:
    """A call to a user of ours goes to where he has it forwarded; who forwards nothing is the next
    policy's.

    :ivar most: forwardings of one call, those before it came to us included.
    """

    most: int = FORWARDINGS
    _house: House = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.most <= FORWARDINGS:
            raise ValueError(f"most: 1 to {FORWARDINGS} is wanted")

    def start(self, house: House) -> None:
        """Take note of what knows users, their phones and trunks."""
        self._house = house

    def route(self, invite: InviteView) -> Answer[Routing]:
        """None for whoever is no user of ours, or forwards nothing; 480 for one who cannot be
        reached; 482 where it goes round in a circle, or too often (RFC 5359 2.7)."""
        name = dialled(invite.uri, self._house)
        return once_known(partial(self._decide, name, invite)) if name else None

    def _decide(self, name: str, invite: InviteView) -> Route | Reject | None:
        user = at_hand(name, self._house)
        if user is None or not user.forwarded.places:
            return None
        left = self.most - _diverted(invite)
        return self._ring(user, _Way(frozenset(), (), left))

    def _ring(self, user: User, way: _Way) -> Route | Reject:
        """Where a user is rung, and on from there."""
        if user.name in way.seen or way.left < 0:
            return Reject(482)
        way = attrs.evolve(way, seen=way.seen | {user.name})
        wanted = user.forwarded
        by = str(Uri("sip", escape_user(user.name), host=self._house.domain))
        if wanted.always:
            return self._follow(wanted.always, way.by(Diversion(by)))
        found = ring(user.name, self._house, wanted.after if wanted.no_answer else None)
        if not isinstance(found, Route):
            if wanted.unreachable:
                return self._follow(wanted.unreachable, way.by(Diversion(by, "unavailable")))
            return Reject(480)
        further: dict[Outcome, Route] = {}
        for outcome, (place, reason) in _CONDITIONS.items():
            if place(wanted):
                on = self._follow(place(wanted), way.by(Diversion(by, reason), begins=True))
                if isinstance(on, Route):  # else he stays busy, and the caller hears so
                    further[outcome] = on
        return Route(found.targets, forward=further, diversions=way.diversions)

    def _follow(self, place: str, way: _Way) -> Route | Reject:
        """On to a user, a trunk or anywhere else."""
        if way.left < 0:
            return Reject(482)
        house = self._house
        try:
            uri = Uri.parse(place if ":" in place else f"sip:{escape_user(place)}@{house.domain}")
        except SipSyntaxError:
            return Reject(404)
        name = dialled(uri, house)
        user = at_hand(name, house) if name else None
        if user is not None:
            return self._ring(user, way)
        if name:
            return Reject(404)
        trunk = house.trunk(uri.host)
        targets = [Target(place)] if trunk is None else trunk.targets(uri.unquoted_user)
        return Route(targets, diversions=way.diversions)


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
