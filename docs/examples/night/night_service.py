"""After hours, the office number rings the answering service."""

from datetime import datetime

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.views import House, InviteView


@implementer(IRouter)
@attrs.define
class NightService:
    """After hours, the office number rings the answering service.

    :ivar office: user part of the Request-URI that is served.
    :ivar target: SIP URI rung after hours.
    :ivar opens: full hour at which the office opens, local time.
    :ivar closes: full hour at which it closes.
    """

    office: str
    target: str
    opens: int = 8
    closes: int = 18
    house: House = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Called once by the switch, before the first question."""
        self.house = house

    def route(self, invite: InviteView) -> Route | None:
        """The answering service, or None: the next policy is asked."""
        hour = datetime.fromtimestamp(self.house.now()).hour
        if invite.uri.user != self.office or self.opens <= hour < self.closes:
            return None
        return Route([Target(self.target, ring_seconds=20)])
