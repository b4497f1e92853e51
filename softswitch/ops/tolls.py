"""What one configuration says of who pays for calls, in the words of ``trunk.tolls``. Pure."""

from collections.abc import Iterable

import attrs

from softswitch.ops.premises import Premises
from softswitch.plugin.interfaces import IPriceList
from softswitch.plugin.tolls import TollLimits
from softswitch.policy.chain import Policy
from softswitch.sip.uri import Uri
from softswitch.trunk.destinations import Destinations
from softswitch.trunk.tolls import TollRules


def toll_rules(premises: Premises, policies: Iterable[Policy]) -> TollRules:
    """The rules that hold for calls over trunks.

    :param policies: those of them that know prices are asked for these.
    """
    config = premises.config
    table, general = config.fraud, config.fraud.limits
    classes = table.classes
    by_group = {
        name: attrs.evolve(general, **group.fraud.cells) for name, group in config.groups.items()
    }
    transit = TollLimits(closed=table.closed, block_seconds=table.block_seconds)
    by_trunk = {
        name: attrs.evolve(transit, **trunk.fraud.cells) for name, trunk in config.trunks.items()
    }
    lists = [each.plug_in for each in policies if IPriceList.providedBy(each.plug_in)]
    by_class = {
        name: limits
        for name, each in classes.items()
        if (limits := each.limits(table.block_seconds)).counts
    }

    def limits_of(kind: str, name: str) -> TollLimits | None:
        if kind == "trunk":
            return by_trunk.get(name, transit)
        user = premises.find_user(name) if kind == "user" else None
        if user is None:
            return general
        limits = by_group.get(user.group, general)
        return attrs.evolve(limits, **user.fraud) if user.fraud else limits

    def price(number: str, trunk: str) -> float | None:
        found = (each.price(number, trunk) for each in lists)
        return next((each for each in found if each is not None), None)

    return TollRules(
        limits_of,
        Destinations(
            {name: each.begins for name, each in classes.items()}, config.numbering.country
        ),
        by_class,
        price,
        table.unpriced,
        lambda uri: premises.user_of(Uri.parse(uri)),
        table.status,
    )
