"""Who calls from outside decides what becomes of the call."""

from typing import Literal

import attrs
from zope.interface import implementer

from softswitch.errors import SipSyntaxError
from softswitch.plugin.decisions import Reject, Route, Routing, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.views import InviteView
from softswitch.sip.fields import NameAddr, split_values


@implementer(IRouter)
@attrs.define
class Screening:
    """Calls that come over a trunk are looked at; those that may pass are the next policy's.

    :ivar blocked: numbers, or how they begin, that are refused.
    :ivar welcome: those that always pass, whatever ``blocked`` says.
    :ivar anonymous: what becomes of who shows no number.
    :ivar machine: SIP URI of the machine that asks for a name; for ``anonymous = "ask"``.
    """

    blocked: tuple[str, ...] = ()
    welcome: tuple[str, ...] = ()
    anonymous: Literal["pass", "ask", "refuse"] = "pass"
    machine: str = ""

    def __attrs_post_init__(self) -> None:
        if self.anonymous == "ask" and not self.machine:
            raise ValueError('machine: a SIP URI is wanted for anonymous = "ask"')

    def route(self, invite: InviteView) -> Routing | None:
        """603 for a blocked number, 433 for none (RFC 5079)."""
        if invite.identity is None or invite.identity.kind != "trunk":
            return None
        number = caller(invite)
        if not number:
            if self.anonymous == "ask":
                return Route([Target(self.machine, ring_seconds=10)])
            return Reject(433, "Anonymity Disallowed") if self.anonymous == "refuse" else None
        if number.startswith(self.welcome) or not number.startswith(self.blocked):
            return None
        return Reject(603)


def caller(invite: InviteView) -> str:
    """The number that the trunk vouches for (RFC 3325), else that of From; "" for none."""
    for line in invite.headers("P-Asserted-Identity"):
        for value in split_values(line):
            try:
                user = NameAddr.parse(value).uri.unquoted_user
            except SipSyntaxError:
                continue
            if user:
                return user
    user = invite.from_.uri.unquoted_user
    return "" if user.lower() == "anonymous" else user
