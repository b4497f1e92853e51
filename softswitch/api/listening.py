"""The operation that tells what goes on, as it happens: server-sent events."""

from collections.abc import Iterable
from functools import partial

from softswitch.api.events import TOPICS, Events, read_topics
from softswitch.api.operation import Asked, Operation, Parameter, Stream
from softswitch.api.problem import ProblemError
from softswitch.api.stream import EventStream

#: What is said of the operation.
_ABOUT = (
    "What goes on, as server-sent events: call_started, call_ringing, call_answered, call_ended,"
    " silence, registration_added, registration_refreshed, registration_removed, ban_made,"
    " ban_lifted, trunk_changed. It begins with hello, or, where Last-Event-ID names something that"
    " is not known any more, with reset: look anew then. dropped says how many events somebody was"
    " too slow for."
)


class Listening:
    """The operation on events."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        return (
            Operation(
                "events",
                "GET",
                "/api/v1/events",
                _ABOUT,
                self.listen,
                answers={200: str},
                refusals=(503,),
                parameters=(
                    Parameter("topics", f"some of {', '.join(TOPICS)}, with commas between"),
                ),
                kinds=("text/event-stream",),
            ),
        )

    def listen(self, asked: Asked) -> Stream:
        """See ``operations``."""
        try:
            topics = read_topics(asked.query["topics"])
        except ValueError as error:
            raise ProblemError(400, str(error), "topics") from None
        if self._events.is_full:
            raise ProblemError(503, "too many listen already", "", {"Retry-After": "30"})
        last = asked.headers.get("last-event-id", "")
        return Stream(partial(EventStream, self._events, topics=topics, last=last))
