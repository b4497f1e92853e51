"""The tables of the configuration that say what may be spent: ``[fraud]`` and those of single
accounts. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from softswitch.ops.values import Amount, Seconds
from softswitch.plugin.tolls import CLOSED, TollLimits
from softswitch.settings import key_path, nearest

#: An amount of money, in the currency of the rates.
Money = Seconds


@attrs.frozen
class ClassTable:
    """``[fraud.classes.NAME]``: a class of destinations.

    :ivar begins: prefixes of its numbers, with a plus those of E.164; empty for a class that is
        always there.

    What each account may do with it besides its own limits, as in ``plugin.tolls.TollLimits``:
    """

    begins: tuple[str, ...] = ()
    calls: Amount = 0
    per_minute: Amount = 0
    new_per_hour: Amount = 0
    sequence: Amount = 0
    spend_per_day: Money = 0.0
    max_seconds: Seconds = 0.0

    def limits(self, block_seconds: float) -> TollLimits:
        """What is meant."""
        cells = attrs.asdict(self)
        del cells["begins"]
        return TollLimits(closed=(), block_seconds=block_seconds, **cells)


@attrs.frozen
class AccountTable:
    """``[groups.NAME.fraud]``, ``[users.NAME.fraud]``, ``[trunks.NAME.fraud]``: where somebody
    differs from ``[fraud]``; None where he does not."""

    closed: tuple[str, ...] | None = None
    calls: Amount | None = None
    per_minute: Amount | None = None
    new_per_hour: Amount | None = None
    sequence: Amount | None = None
    spend_per_day: Money | None = None
    max_seconds: Seconds | None = None
    block_seconds: Seconds | None = None

    @property
    def cells(self) -> dict[str, Any]:
        """Those in which he does."""
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}


@attrs.frozen
class FraudTable:
    """``[fraud]``: what each user may do over trunks, see ``plugin.tolls.TollLimits``.

    :ivar unpriced: what a minute costs for which there is no rate.
    :ivar status: what a call beyond the limits gets.
    :ivar classes: further classes of destinations, and what each account may do with a class.
    """

    closed: tuple[str, ...] = CLOSED
    calls: Amount = 10
    per_minute: Amount = 30
    new_per_hour: Amount = 100
    sequence: Amount = 10
    spend_per_day: Money = 0.0
    max_seconds: Seconds = 14400.0
    block_seconds: Seconds = 3600.0
    unpriced: Money = 0.0
    status: Literal[403, 480, 486, 503] = 403
    classes: Mapping[str, ClassTable] = attrs.field(factory=dict)

    @property
    def limits(self) -> TollLimits:
        """Those of whoever has no others."""
        cells = {
            each.name: getattr(self, each.name) for each in attrs.fields(TollLimits) if each.init
        }
        return TollLimits(**cells)

    @property
    def known(self) -> list[str]:
        """The classes that there are."""
        return [*CLOSED, "national", "local", *self.classes]


def warnings(table: FraudTable, country: str, trunks: bool) -> Iterator[str]:
    """What is allowed but unwise, a sentence each.

    :param country: where we are; "" for nowhere in particular.
    :param trunks: whether there are any.
    """
    if trunks and not country and "international" in table.closed:
        yield (
            "fraud.closed stops no call abroad: nobody can tell which they are before "
            '[numbering] country says where you are, as "GB"'
        )


def contradictions(
    table: FraudTable, accounts: Mapping[str, AccountTable]
) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: key path and what would be right.

    :param accounts: key path -> the table of somebody.
    """
    seen: dict[str, str] = {}
    for name, each in table.classes.items():
        path = key_path("fraud.classes", name)
        if not each.begins and name not in FraudTable().known:
            yield f"{path}.begins", "at least one prefix is wanted"
        for index, prefix in enumerate(each.begins):
            if not prefix.removeprefix("+").isdecimal() or not prefix.isascii():
                yield (
                    f"{path}.begins[{index}]",
                    'digits are wanted, with a plus or without: "+4490"',
                )
            if prefix in seen:
                yield f"{path}.begins[{index}]", f"{prefix} is taken by {seen[prefix]}"
            seen.setdefault(prefix, path)
    closed = {"fraud": table.closed}
    closed |= {path: each.closed for path, each in accounts.items() if each.closed is not None}
    for path, names in closed.items():
        for index, name in enumerate(names):
            if name not in table.known:
                yield f"{path}.closed[{index}]", f"no such class; {nearest(name, table.known)}"
