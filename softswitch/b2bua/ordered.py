"""What an operator orders within a call, in the place of a request that a phone sends. Pure.

A transfer is done by the very code that serves a REFER (RFC 3515): the policies are asked, and the
call goes on as before when nothing comes of it. Only that nobody has sent one, so what it is
answered is told to whoever ordered it, and no subscription is made (RFC 4488).
"""

from collections.abc import Callable
from typing import Final, cast

from softswitch.b2bua.call import Call
from softswitch.b2bua.leg import Leg
from softswitch.scope import Scope
from softswitch.sip.message import Request, Response
from softswitch.transaction.server import Server

#: Where an order comes from, as far as a Via can say.
_NOWHERE: Final = "SIP/2.0/UDP operator.invalid;branch=z9hG4bKoperator"


class Order:
    """Stands in the place of the server transaction of a REFER.

    :ivar request: what was ordered.
    :ivar answered: whether it has been answered.
    :param tell: told the answer's status and phrase, once.
    """

    def __init__(self, request: Request, tell: Callable[[int, str], None]) -> None:
        self.request = request
        self.answered = False
        self._tell = tell

    def adopt(self, scope: Scope, user: object) -> None:
        """It has no timers that a scope must see the end of."""

    def respond(self, response: Response) -> None:
        """The answer."""
        self.answered = True
        self._tell(response.status, response.reason)


def transfer(call: Call, stays: Leg, uri: str, tell: Callable[[int, str], None]) -> None:
    """Have a leg talk to somebody else; whom it talks to now is dismissed once that one answers.

    :param stays: one that talks.
    :param uri: whom it is to talk to.
    :param tell: told what the policies say: 202 when it is tried, else why not; 491 where the call
        does not talk, or a transfer is under way already. It may be told before this returns.
    """
    leaves = call.legs.far_of(stays)
    if leaves is None:
        tell(491, "Request Pending")
        return
    dialog = leaves.session.data.dialog
    fields = [
        ("Via", _NOWHERE),
        ("From", dialog.remote),
        ("To", dialog.local),
        ("Call-ID", dialog.call_id),
        ("CSeq", "1 REFER"),
        ("Refer-To", f"<{uri}>"),
        ("Refer-Sub", "false"),
    ]
    order = Order(Request("REFER", dialog.remote_target, fields), tell)
    call.refer(leaves, order.request, cast(Server, order))
