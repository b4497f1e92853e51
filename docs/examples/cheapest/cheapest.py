"""Calls go over the cheapest trunk; when that fails, over the next."""

from collections.abc import Mapping

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.views import House, InviteView


@implementer(IRouter)
@attrs.define
class Cheapest:
    """The longest prefix with a price decides; its trunks are tried from the cheapest up.

    The switch goes on to the next target by itself when one is dead, silent or refuses with what
    another may do better; ``stop_on`` in ``[switch]`` says which refusals end the search.

    :ivar prices: how a number begins -> trunk -> price of a minute.
    :ivar dearest: what costs more is not dialled at all; 0 for no limit.
    """

    prices: Mapping[str, Mapping[str, float]]
    dearest: float = 0.0
    _house: House = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """A trunk with a price has to exist."""
        self._house = house
        for prefix, trunks in self.prices.items():
            for name in trunks:
                if house.trunk(name) is None:
                    raise ValueError(f"prices.{prefix}.{name}: there is no [trunks.{name}]")

    def route(self, invite: InviteView) -> Route | Reject | None:
        """None for numbers without a price, 403 for those that are too dear."""
        uri = invite.uri
        number = uri.unquoted_user
        if not self._house.is_ours(uri.host, uri.port):
            return None
        prices = next(
            (
                self.prices[number[:length]]
                for length in range(len(number), 0, -1)
                if number[:length] in self.prices
            ),
            None,
        )
        if prices is None:
            return None
        cheap = sorted(
            (price, name) for name, price in prices.items() if price <= (self.dearest or price)
        )
        targets: list[Target] = []
        for _, name in cheap:
            trunk = self._house.trunk(name)
            targets += trunk.targets(number, invite) if trunk is not None else []
        return Route(targets) if cheap else Reject(403, "Too Expensive")
