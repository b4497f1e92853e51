"""The tables of the configuration that say what an operator is told: log, metrics. Pure."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

#: How grave an event is, the least first.
Level = Literal["debug", "info", "warn", "error"]
LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warn", "error")

#: Parts of the log that are quiet unless the configuration says otherwise: each call would have its
#: lines.
QUIET: Final[Mapping[Any, Level]] = {"calls": "warn"}

#: What has a level of its own.
Part = Literal[
    "api",
    "b2bua",
    "calls",
    "dialog",
    "flight",
    "media",
    "ops",
    "policy",
    "proxy",
    "records",
    "registrar",
    "store",
    "transaction",
    "transport",
    "trunk",
    "twisted",
    "wire",
]


@attrs.frozen
class LogTable:
    """``[log]``: what is written, and how.

    :ivar format: "text", or "json" for one object a line.
    :ivar level: what is less grave is left out.
    :ivar levels: the same for single parts.
    """

    format: Literal["text", "json"] = "text"
    level: Level = "info"
    levels: Mapping[Part, Level] = attrs.field(factory=dict)

    def rank(self, part: str) -> int:
        """How grave an event of a part has to be: the index of its level in ``LEVELS``."""
        levels: Mapping[Any, Level] = {**QUIET, **self.levels}
        return LEVELS.index(levels.get(part, self.level))

    def shows(self, part: str, level: Level) -> bool:
        """Whether an event is written."""
        return LEVELS.index(level) >= self.rank(part)


@attrs.frozen
class MetricsTable:
    """``[metrics]``: figures in the form of Prometheus, under ``/metrics`` of the API.

    :ivar enabled: whether calls are measured for them.
    """

    enabled: bool = True
