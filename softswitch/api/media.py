"""How calls sound while they go on."""

from collections.abc import Iterable
from typing import Final

from twisted.internet.defer import Deferred

from softswitch.api.calls import Calls
from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation
from softswitch.api.problem import ProblemError
from softswitch.api.shapes import CallMedia
from softswitch.plugin.media import MediaReport
from softswitch.records.written import streams

#: Seconds for which the media engine may think.
PATIENCE: Final = 2.0


class Media:
    """The operation that asks whoever carries the packets."""

    def __init__(self, house: House, calls: Calls) -> None:
        self._house = house
        self._calls = calls

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        return (
            Operation(
                "show_call_media",
                "GET",
                "/api/v1/calls/{id}/media",
                "What has become of a call's packets until now: how each side sounds.",
                self.show,
                answers={200: CallMedia},
                refusals=(404, 503),
            ),
        )

    def show(self, asked: Asked) -> "Answer | Deferred[Answer]":
        """See ``operations``."""
        record, _, call = self._calls.find(asked.path["id"])
        if call is None:
            return Answer(body=CallMedia([], ""))
        told: Deferred[Answer] = Deferred()

        def tell(report: MediaReport) -> None:
            timer.cancel()
            if not told.called:
                told.callback(Answer(body=CallMedia(streams(report.streams), report.recording)))

        def give_up() -> None:
            told.errback(ProblemError(503, "the media engine does not answer"))

        timer = self._house.clock.callLater(PATIENCE, give_up)
        self._house.switch.snapshot(record.id, tell)
        return told
