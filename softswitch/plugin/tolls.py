"""What the calls that go out over trunks may be, lest somebody else's money be spent. Pure.

Each account has its limits: ``[fraud]`` of the configuration has those of everybody,
``[groups.NAME.fraud]``, ``[users.NAME.fraud]`` and ``[trunks.NAME.fraud]`` say where somebody
differs, and so may ``User.fraud`` of whoever knows users.
"""

from math import isfinite
from typing import Final

import attrs

#: Classes of destinations that are closed until somebody opens them: of another country than ours;
#: premium rate and personal numbers, of any country; satellites and other networks of no country.
CLOSED: Final = ("international", "premium", "satellite")


@attrs.frozen
class TollLimits:
    """What one account may do over trunks, or with one class of destinations; 0 for no limit.

    :ivar closed: classes of destinations that may not be called.
    :ivar calls: at once.
    :ivar per_minute: calls that begin within any minute.
    :ivar new_per_hour: destinations within any hour that have not been called before.
    :ivar sequence: numbers next to each other that are dialled within an hour.
    :ivar spend_per_day: what the calls of any 24 hours may cost, in the currency of the rates.
    :ivar max_seconds: that one call may last from its answer.
    :ivar block_seconds: for which nothing may be called after one of the limits but ``calls`` and
        ``max_seconds`` was reached.
    :ivar counts: whether anything is to be counted.
    """

    closed: tuple[str, ...] = CLOSED
    calls: int = 0
    per_minute: int = 0
    new_per_hour: int = 0
    sequence: int = 0
    spend_per_day: float = 0.0
    max_seconds: float = 0.0
    block_seconds: float = 3600.0
    counts: bool = attrs.field(init=False, eq=False, repr=False)

    @counts.default
    def _counts(self) -> bool:
        return any(getattr(self, name) for name in NUMBERS if name != "block_seconds")

    def __attrs_post_init__(self) -> None:
        """:raises ValueError: a limit is no number from 0 on."""
        for name in NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name}: a number is wanted")
            if not isfinite(value) or value < 0:
                raise ValueError(f"{name}: 0 or more is wanted")


#: The limits that are numbers.
NUMBERS: Final = tuple(
    each.name for each in attrs.fields(TollLimits) if each.init and each.name != "closed"
)
