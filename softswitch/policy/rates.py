"""Least-cost routing: a call goes over the trunk that asks the least for it.

::

    [[policy]]
    use = "rates"
    file = "/etc/softswitch/rates.csv"

The file has a row per prefix and trunk (see ``ratefile``)::

    prefix,price,valid_from,trunk
    44,0.0100,2026-01-01,carrier
    4420,0.0080,2026-01-01,carrier
    4420,0.0075,2026-03-01,other
"""

import re
from pathlib import Path
from typing import Any, Literal

import attrs
from twisted.internet import reactor as the_reactor
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route, Target
from softswitch.plugin.interfaces import Answer, IPriceList, IRouter
from softswitch.plugin.views import House, InviteView
from softswitch.policy.dialplan import is_for
from softswitch.policy.located import dialled
from softswitch.policy.numbers import pattern
from softswitch.policy.ratesource import RateSource, source_of
from softswitch.policy.ratetable import MOST

#: What answers while there is no table at all: none could be read, though it was tried.
NO_RATES = Reject(500, "No Rates")


@implementer(IRouter, IPriceList)
@attrs.define
class Rates:
    """A number goes over the trunks that have a rate for it: those of the longest prefix first,
    among them the cheapest; when one fails, over the next. Whose prefix nobody has, the next policy
    is asked for.

    :ivar file: rates, CSV or SQLite; seen from where the switch runs.
    :ivar match: regular expression for the whole number that was dialled, in E.164 with a plus
        where ``[numbering]`` says how to read it; others are the next policy's.
    :ivar strip: characters to take off its front; what is left are country code and number, with
        or without a plus.
    :ivar callers: whose calls.
    :ivar most: so many trunks are tried for one call.
    :ivar ring_seconds: how long it may ring; None for the switch's default.
    """

    file: str
    match: str = r"\+[0-9]+"
    strip: int = 0
    callers: Literal["anyone", "users", "trunks"] = "anyone"
    most: int = 3
    ring_seconds: float | None = None
    _pattern: re.Pattern[str] = attrs.field(init=False, repr=False)
    _house: House = attrs.field(init=False, repr=False)
    _source: RateSource = attrs.field(init=False, repr=False)
    _reactor: Any = attrs.field(init=False, repr=False, default=the_reactor)

    def __attrs_post_init__(self) -> None:
        self._pattern = pattern("match", self.match)
        if self.strip < 0:
            raise ValueError("strip: 0 or more is wanted")
        if not 1 <= self.most <= MOST:
            raise ValueError(f"most: 1 to {MOST} is wanted")

    def start(self, house: House) -> None:
        """Have the file read: a million rows take seconds, so that the log says so. While calls
        run it is read beside them, and those of this policy that come before the first table wait
        for it.

        The file is looked at every two seconds and read anew when it has changed; and whoever makes
        another policy of the same file shares its table.

        :raises ValueError: the file is wrong; names line and column.
        """
        self._house = house
        self._source = source_of(Path(self.file).absolute(), self._reactor)
        self._source.start(house.trunk)

    def route(self, invite: InviteView) -> Answer[Route | Reject]:
        """The trunks that have a rate, but for the one that the call came from; None where there
        are none, a route without targets where none of them has a member that is up."""
        digits = self._digits(invite)
        if not digits:
            return None
        if self._source.table is None:
            return self._routed_later(digits, invite)
        return self._routed(digits, invite)

    def explained(self, invite: InviteView) -> str:
        """Which trunks have a rate, for ``softswitch explain``."""
        digits, table = self._digits(invite), self._source.table
        if not digits:
            return f"no number of those that match {self.match!r}"
        if table is None:
            return "there are no rates"
        trunks = ", ".join(table.look_up(digits, self._house.now()))
        return (
            f"{digits} is cheapest over {trunks}" if trunks else f"nobody has a rate for {digits}"
        )

    def price(self, number: str, trunk: str) -> float | None:
        """What a minute costs, see ``IPriceList``; not known before the first table is there."""
        table, digits = self._source.table, number.removeprefix("+")
        if table is None or not (digits.isascii() and digits.isdigit()):
            return None
        return table.price(digits, trunk, self._house.now())

    def _digits(self, invite: InviteView) -> str:
        """Country code and number that are called; "" for what is the next policy's."""
        if not is_for(self.callers, invite.identity):
            return ""
        number = dialled(invite.uri, self._house)
        number = self._house.e164(number, invite.identity) or number
        if not self._pattern.fullmatch(number):
            return ""
        digits = number[self.strip :].removeprefix("+")
        return digits if digits.isascii() and digits.isdigit() else ""

    async def _routed_later(self, digits: str, invite: InviteView) -> Route | Reject | None:
        await self._source.loaded()
        return self._routed(digits, invite)

    def _routed(self, digits: str, invite: InviteView) -> Route | Reject | None:
        table, house, who = self._source.table, self._house, invite.identity
        came_from = who.name if who is not None and who.kind == "trunk" else ""
        if table is None:
            return NO_RATES
        targets: list[Target] = []
        tried, offered = 0, False
        for name in table.look_up(digits, house.now()):
            trunk = house.trunk(name)
            if trunk is None or name == came_from:
                continue
            offered = True
            found = trunk.targets(f"+{digits}", invite)
            targets += [
                attrs.evolve(each, callee=digits, ring_seconds=self.ring_seconds) for each in found
            ]
            tried += bool(found)
            if tried == self.most:
                break
        if not offered:
            return None
        return Route(targets)
