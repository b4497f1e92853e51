"""The switch itself: whether it is well, its figures, its configuration. Pure."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

import attrs

from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation
from softswitch.api.problem import ProblemError


@attrs.frozen
class Health:
    """Whether the switch is well.

    :ivar status: "ok", or what it is not: "draining" when it is about to stop, "overloaded".
    :ivar version: of the switch.
    :ivar seconds: for which it has run.
    """

    status: Literal["ok", "draining", "overloaded"]
    version: str
    seconds: float


@attrs.frozen
class Reloaded:
    """What came of a reload.

    :ivar done: whether the configuration is in force now; else nothing has changed.
    :ivar said: what is in force, or what is wrong.
    """

    done: bool
    said: str


@attrs.frozen
class Doings:
    """What the service does for the API.

    :ivar reload: reads the configuration anew; tells what came of it, a ``Reloaded``.
    :ivar version: of the switch.
    :ivar metrics: writes all metrics as Prometheus reads them; None where there are none.
    """

    reload: Callable[[], Any]
    version: str
    metrics: Callable[[], bytes] | None = None


class Running:
    """The operations on the switch itself.

    :param document: makes the OpenAPI document.
    """

    def __init__(
        self, house: House, doings: Doings, document: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._house = house
        self._doings = doings
        self._document = document
        self._began = house.clock.seconds()

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1"
        return (
            Operation(
                "live",
                "GET",
                f"{path}/health/live",
                "The process runs: whoever watches it need not start it again.",
                partial(self.health, ready=False),
                None,
                answers={200: Health},
            ),
            Operation(
                "ready",
                "GET",
                f"{path}/health/ready",
                "The switch takes new calls; 503 while it does not.",
                partial(self.health, ready=True),
                None,
                answers={200: Health, 503: Health},
            ),
            Operation(
                "stats",
                "GET",
                f"{path}/stats",
                "Figures: what lives, what was counted, what leaked.",
                self.stats,
                answers={200: dict[str, Any]},
            ),
            Operation(
                "metrics",
                "GET",
                "/metrics",
                "All metrics, as Prometheus reads them.",
                self.metrics,
                answers={200: str},
                refusals=(404,),
                kinds=("text/plain",),
            ),
            Operation(
                "reload",
                "POST",
                f"{path}/reload",
                "Take the configuration, its plug-ins and certificates anew, as"
                " `softswitch reload` does.",
                self.reload,
                "admin",
                answers={200: Reloaded},
                refusals=(409,),
            ),
            Operation(
                "openapi",
                "GET",
                f"{path}/openapi.json",
                "This document.",
                lambda asked: Answer(body=self._document()),
                None,
                answers={200: dict[str, Any]},
            ),
        )

    def health(self, asked: Asked, ready: bool) -> Answer:
        """See ``operations``."""
        status: Literal["ok", "draining", "overloaded"] = "ok"
        if self._house.switch.draining:
            status = "draining"
        elif self._house.transport.overload.now_on():
            status = "overloaded"
        seconds = round(self._house.clock.seconds() - self._began, 3)
        health = Health(status, self._doings.version, max(0.0, seconds))
        return Answer(503 if ready and status != "ok" else 200, health)

    def stats(self, asked: Asked) -> Answer:
        """See ``operations``."""
        return Answer(body=self._house.stats())

    def metrics(self, asked: Asked) -> Answer:
        """See ``operations``."""
        if self._doings.metrics is None:
            raise ProblemError(404, "[metrics] in the configuration does without them")
        return Answer(body=self._doings.metrics(), kind="text/plain; version=1.0.0; charset=utf-8")

    def reload(self, asked: Asked) -> Any:
        """See ``operations``."""
        if self._house.switch.draining:
            raise ProblemError(409, "the switch is about to stop")
        return self._doings.reload().addCallback(_reloaded)


def _reloaded(outcome: Reloaded) -> Answer:
    if not outcome.done:
        raise ProblemError(409, f"nothing has changed: {outcome.said}")
    return Answer(body=outcome)
