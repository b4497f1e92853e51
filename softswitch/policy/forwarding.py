"""Calls that users have forwarded: always, when busy, not answered, or unreachable. Pure.

RFC 5359 2.7 to 2.9.
"""

from functools import partial

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route, Routing
from softswitch.plugin.interfaces import Answer, IRouter
from softswitch.plugin.views import House, InviteView
from softswitch.policy.callees import Callees, Way
from softswitch.policy.checks import FORWARDINGS
from softswitch.policy.located import dialled
from softswitch.policy.waiting import at_hand, once_known


@implementer(IRouter)
@attrs.define
class Forwarding:
    """A call to a user of ours goes to where he has it forwarded; who forwards nothing is the next
    policy's.

    :ivar most: forwardings of one call, those before it came to us included.
    """

    most: int = FORWARDINGS
    _house: House = attrs.field(init=False, repr=False)
    _callees: Callees = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.most <= FORWARDINGS:
            raise ValueError(f"most: 1 to {FORWARDINGS} is wanted")

    def start(self, house: House) -> None:
        """Take note of what knows users, their phones and trunks."""
        self._house = house
        self._callees = Callees(house)

    def route(self, invite: InviteView) -> Answer[Routing]:
        """None for whoever is no user of ours, or forwards nothing."""
        name = dialled(invite.uri, self._house)
        return once_known(partial(self._decide, name, invite)) if name else None

    def _decide(self, name: str, invite: InviteView) -> Route | Reject | None:
        user = at_hand(name, self._house)
        if user is None or not user.forwarded.places:
            return None
        return self._callees.user(user, Way.of(invite, self.most))
