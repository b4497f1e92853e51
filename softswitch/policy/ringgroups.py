"""Calls to several who are rung for one name. Pure."""

from functools import partial

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Routing
from softswitch.plugin.interfaces import Answer, IRouter
from softswitch.plugin.views import House, InviteView
from softswitch.policy.callees import Callees, Way
from softswitch.policy.located import dialled
from softswitch.policy.waiting import once_known


@implementer(IRouter)
@attrs.define
class RingGroups:
    """A call to a ring group of the configuration rings its members; any other is the next
    policy's."""

    _house: House = attrs.field(init=False, repr=False)
    _callees: Callees = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Take note of what knows the groups and their members."""
        self._house = house
        self._callees = Callees(house)

    def route(self, invite: InviteView) -> Answer[Routing]:
        """None for whatever is no ring group."""
        name = dialled(invite.uri, self._house)
        group = self._house.ring_group(name) if name else None
        if group is None:
            return None
        return once_known(partial(self._callees.group, group, Way.of(invite)))
