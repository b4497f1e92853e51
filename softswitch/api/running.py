"""The switch itself: whether it is well, its figures, its configuration. Pure."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import attrs

from softswitch.api.body import reader
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

    :ivar done: whether the configuration is in force now.
    :ivar said: what is in force; or what is wrong, and whether anything has changed.
    """

    done: bool
    said: str


@attrs.frozen
class ExplainWish:
    """An INVITE that is not sent.

    :ivar caller: a user's name, a number or a URI.
    :ivar called: likewise.
    :ivar source: whence it comes, "HOST" or "HOST:PORT"; "" for elsewhere.
    :ivar as_user: whose password is taken as proved; "" for nobody's.
    :ivar every: whether all targets are tried, each failing in its turn.
    """

    caller: str
    called: str
    source: str = ""
    as_user: str = ""
    every: bool = False


@attrs.frozen
class Doings:
    """What the service does for the API.

    :ivar reload: reads the configuration anew; tells what came of it, a ``Reloaded``.
    :ivar version: of the switch.
    :ivar records: the archive of call records; None for none.
    :ivar explain: plays an INVITE: wish -> what came of it, later.
    :ivar metrics: writes all metrics as Prometheus reads them; None where there are none.
    """

    reload: Callable[[], Any]
    version: str
    metrics: Callable[[], bytes] | None = None
    records: Path | None = None
    explain: Callable[["ExplainWish"], Any] | None = None


class Running:
    """The operations on the switch itself.

    :param document: the OpenAPI document, JSON.
    """

    def __init__(self, house: House, doings: Doings, document: Callable[[], bytes]) -> None:
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
                "explain",
                "POST",
                f"{path}/explain",
                "What would become of an INVITE, and why: who is asked and says what, and what"
                " would leave. Nothing is sent. It takes the configuration's file as it is now.",
                self.explain,
                "operate",
                answers={200: dict[str, Any]},
                refusals=(404, 409, 503),
                body=ExplainWish,
                read=reader(ExplainWish),
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

    def explain(self, asked: Asked) -> Any:
        """See ``operations``."""
        if self._doings.explain is None:
            raise ProblemError(404, "this switch cannot")
        for name, text in attrs.asdict(asked.body).items():
            if isinstance(text, str) and not (text.isprintable() and len(text) <= 512):
                raise ProblemError(400, "one line of 512 characters at most is wanted", name)
        for name in ("caller", "called"):
            if not getattr(asked.body, name):
                raise ProblemError(400, "a name, a number or a URI is wanted", name)
        return self._doings.explain(asked.body)

    def reload(self, asked: Asked) -> Any:
        """See ``operations``."""
        if self._house.switch.draining:
            raise ProblemError(409, "the switch is about to stop")
        return self._doings.reload().addCallback(_reloaded)


def _reloaded(outcome: Reloaded) -> Answer:
    if not outcome.done:
        raise ProblemError(409, outcome.said)
    return Answer(body=outcome)
