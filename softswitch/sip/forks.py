"""Forks: to how many places one request may go, and the breadth that they share. Pure.

RFC 5393. A request that is forked makes work for others; two users who forward to each other make
it double in each round. So each request goes to so many places and to no more, and says by its
Max-Breadth how many branches may ever come of it at one time: whoever forks it shares that out
among what he sends. Where it is not enough the answer is 440. (5.3.3 would also allow to try one
after the other. Then the attack goes on all the same, only slower.)
"""

from typing import Final

import attrs

from softswitch.sip.message import Field, Request

#: The breadth of a request that names none, and the greatest that is believed (RFC 5393 5.3.3).
BREADTH: Final = 60

FIELD: Final = "Max-Breadth"


@attrs.frozen
class ForkLimits:
    """To how many places a call, or another request, may go.

    :ivar at_once: targets of one step, with what rings already.
    :ivar in_all: targets of all steps together, those of redirections and forwardings with them.
    """

    at_once: int = 16
    in_all: int = 64

    def broken(self, breadth: int, running: int, before: int, more: int) -> str:
        """The limit that so many targets more would break, as it stands in the record; "" for
        none.

        :param breadth: what is left of the request's.
        :param running: those that are being tried.
        :param before: all that have been.
        """
        if running + more > self.at_once:
            return f"forks at_once {self.at_once}"
        if before + more > self.in_all:
            return f"forks in_all {self.in_all}"
        return f"Max-Breadth {breadth}" if more > breadth else ""


def breadth(request: Request) -> int:
    """How many branches may come of a request at one time.

    :raises SipSyntaxError: 400, Max-Breadth cannot be read.
    """
    asked = request.max_breadth
    return BREADTH if asked is None else min(asked, BREADTH)


def shares(whole: int, count: int) -> list[int]:
    """A breadth shared out among so many."""
    return [whole // count + (number < whole % count) for number in range(count)]


def fields(request: Request, share: int) -> list[Field]:
    """What tells a target of its share; nothing where it has all of what nobody has named."""
    named = share != BREADTH or request.get(FIELD) is not None
    return [(FIELD, str(share))] if named else []
