"""Call records: looked up in the archive of the switch, in threads, which write the answer, too: it
may be long, and the reactor also carries the calls."""

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from softswitch.api.operation import Answer, Asked, Operation, Parameter
from softswitch.api.paging import LIMIT
from softswitch.api.problem import ProblemError
from softswitch.api.shapes import to_json
from softswitch.errors import ConfigError
from softswitch.records import filters, query
from softswitch.store.snapshot import reading
from softswitch.wheel import Clock

#: Look-ups at one time: each has a thread and the disk.
MOST: Final = 3

#: Seconds that one may take.
SECONDS: Final = 10.0

#: Steps of SQLite between two looks at the time.
_STEPS: Final = 100_000

#: Lines of statistics in one answer.
LINES: Final = 5000

_FILTERS: Final = tuple(Parameter(word, about) for word, about in filters.WORDS.items())


@attrs.frozen
class RecordPage:
    """A page of call records, the latest first.

    :ivar records: each as it stands in the archive.
    :ivar next: cursor of the next page; null for none.
    """

    records: list[dict[str, Any]]
    next: str | None


@attrs.frozen
class StatsFound:
    """How calls went, by trunk and hour.

    :ivar stats: the earliest hour first; ratios are null where there is nothing to divide by.
    """

    stats: list[query.Stat]


class Records:
    """The operations on call records.

    :param path: of the archive; None where none is kept.
    """

    def __init__(self, path: Path | None, clock: Clock, reactor: Any) -> None:
        self._path = path
        self._clock = clock
        self._reactor = reactor
        self._busy = 0

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1/records"
        return (
            Operation(
                "list_records",
                "GET",
                path,
                "The records of calls that have ended, the latest first.",
                self.all,
                answers={200: RecordPage},
                refusals=(404, 503),
                parameters=(
                    *_FILTERS,
                    LIMIT,
                    Parameter("cursor", "where the page begins: `next` of the page before"),
                ),
            ),
            Operation(
                "record_stats",
                "GET",
                f"{path}/stats",
                "Answer-seizure ratio, average duration, post-dial delay and MOS.",
                self.stats,
                answers={200: StatsFound},
                refusals=(404, 503),
                parameters=(
                    *_FILTERS,
                    Parameter("by_trunk", "apart for each trunk", "boolean", default=True),
                    Parameter("by_hour", "apart for each hour", "boolean", default=True),
                ),
            ),
            Operation(
                "show_record",
                "GET",
                f"{path}/{{id}}",
                "The record of one call.",
                self.show,
                answers={200: dict[str, Any]},
                refusals=(404, 503),
            ),
        )

    def all(self, asked: Asked) -> "Deferred[Answer]":
        """See ``operations``."""
        wanted, limit = self._wanted(asked), asked.query["limit"]
        cursor = asked.query["cursor"] or ""

        def look(connection: sqlite3.Connection) -> Answer:
            found = query.find(connection, wanted, limit, cursor)
            return Answer(body=RecordPage(found.records, found.next or None))

        return self._look(look)

    def stats(self, asked: Asked) -> "Deferred[Answer]":
        """See ``operations``."""
        wanted, terms = self._wanted(asked), asked.query

        def look(connection: sqlite3.Connection) -> Answer:
            by = {"by_trunk": terms["by_trunk"], "by_hour": terms["by_hour"]}
            found = query.stats(connection, wanted, **by)
            if len(found) > LINES:
                shorter = f"a shorter time is wanted, or no hours: these are {len(found)} lines"
                raise ProblemError(400, shorter, "since")
            return Answer(body=StatsFound(found))

        return self._look(look)

    def show(self, asked: Asked) -> "Deferred[Answer]":
        """See ``operations``."""
        name = asked.path["id"]

        def look(connection: sqlite3.Connection) -> Answer:
            found = query.show(connection, name.encode("utf-8", "replace").decode())
            if found is None:
                raise ProblemError(404, "no call that has ended has this id", "id")
            return Answer(body=found)

        return self._look(look)

    def _wanted(self, asked: Asked) -> filters.Filter:
        words = {word: asked.query[word] or "" for word in filters.WORDS}
        try:
            # SQLite takes no octets of no encoding.
            words = {key: text.encode("utf-8", "replace").decode() for key, text in words.items()}
            return filters.read(words, self._clock.seconds())
        except filters.FilterError as error:
            raise ProblemError(400, error.wanted, error.field) from None

    def _look(self, look: Callable[[sqlite3.Connection], Answer]) -> "Deferred[Answer]":
        """Have somebody look into the archive, in a thread.

        :raises ProblemError: 404 without an archive, 503 while too many look.
        """
        path = self._path
        if path is None:
            raise ProblemError(404, "[records] in the configuration keeps none")
        if self._busy >= MOST:
            raise ProblemError(503, "too many look up records already", "", {"Retry-After": "1"})
        self._busy += 1

        def work() -> Answer:
            until = monotonic() + SECONDS
            try:
                with reading(path) as connection:
                    connection.set_progress_handler(lambda: monotonic() > until, _STEPS)
                    answer = look(connection)
            except filters.FilterError as error:
                raise ProblemError(400, error.wanted, error.field) from None
            except (ConfigError, sqlite3.Error) as error:
                detail = f"the records cannot be read: {error}"
                if monotonic() > until:
                    detail = f"this takes longer than {SECONDS:g} s: ask for a shorter time"
                raise ProblemError(503, detail) from None
            return attrs.evolve(answer, body=to_json(answer.body))

        found = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)
        return found.addBoth(self._looked)

    def _looked(self, found: Any) -> Any:
        self._busy -= 1
        return found
