"""Carries call records on to somewhere else, in their order: never one twice, never one lost.

An exporter is a thread that reads what has been kept, from its own position in the file, and
stores that position once the records have arrived. Where nobody knows whether they have (it broke
off in between), the same records go there once more, and are known by their ids. What cannot be
reached costs the calls nothing: the exporter waits, and catches up later. One record that is
refused for what stands in it does not hold up the others for ever.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, Final, Protocol

import attrs
from twisted.logger import Logger

from softswitch.records.keeping import Bell
from softswitch.records.schema import open_records

_log = Logger()

#: Seconds for which records are gathered before they are carried: each batch wakes a thread and has
#: the disk written three times, which costs as much as some twenty records.
GATHER_SECONDS: Final = 2.0
#: Seconds before records that could not be carried are tried again; each time twice as long.
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
#: Seconds for which a record that is refused for what stands in it holds up the others.
REFUSED_SECONDS: Final = 3600.0


class CarryError(Exception):
    """The records could not be carried now; the text says why."""


class RefusedError(CarryError):
    """Something that stands in them will not be taken, now or ever; none of them has been."""


@attrs.frozen
class Entry:
    """One record, as it was kept.

    :ivar position: its place in the order.
    :ivar id: by which it is known wherever it goes.
    :ivar text: the record as JSON.
    """

    position: int
    id: str
    text: str


class Outlet(Protocol):
    """Where records go. Only the exporter's thread calls it."""

    def carry(self, batch: Sequence[Entry], state: dict[str, Any]) -> dict[str, Any]:
        """Carry them all there. After a failure, or a crash, the same batch comes again.

        :param state: what it has answered last time; {} the first time.
        :raises CarryError: they have not arrived, or only perhaps; likewise
        :raises OSError: this.
        :raises RefusedError: fewer of them may be taken; what else is raised is a fault of ours,
            and is treated alike.
        """

    def close(self) -> None:
        """Let go of files and connections; nothing follows."""


@attrs.define
class Progress:
    """How an exporter gets on, for an operator.

    :ivar position: of the last record that has arrived.
    :ivar carried: records that have, since the start.
    :ivar passed_over: records that were refused for too long, likewise.
    :ivar failures: in a row.
    :ivar error: why the last attempt has failed; "" where it has not.
    """

    position: int = 0
    carried: int = 0
    passed_over: int = 0
    failures: int = 0
    error: str = ""


class Exporter:
    """Carries records to one outlet.

    :ivar name: of its position in the file.
    :ivar progress: how it gets on.
    :param path: the file of records.
    :param outlet: makes the outlet, in the exporter's thread.
    :param bell: rings when there is something to carry.
    :param batch: records that are carried at once, at most.
    :param from_now: whether one that begins leaves out what was kept before.
    :param gather: seconds for which records are gathered.
    :param first_wait: seconds before the first new attempt after a failure.
    :param refused_seconds: a record that has been refused for so long is passed over.
    :param former: one of the same name that is about to end, which this one waits for.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        outlet: Callable[[], Outlet],
        bell: Bell,
        *,
        batch: int = 1000,
        from_now: bool = False,
        gather: float = GATHER_SECONDS,
        first_wait: float = FIRST_WAIT,
        refused_seconds: float = REFUSED_SECONDS,
        former: "Exporter | None" = None,
    ) -> None:
        self.name = name
        self.progress = Progress()
        self._path = path
        self._make = outlet
        self._bell = bell
        self._batch = self._most = batch
        self._from_now = from_now
        self._gather = gather
        self._first_wait = first_wait
        self._refused_seconds = refused_seconds
        self._refused_since: float | None = None
        self._former = former
        self._stopping = False
        self._thread = Thread(target=self._run, name=f"export {name}", daemon=True)

    def start(self) -> None:
        """Begin; not before a service has become a daemon, for threads do not survive a fork."""
        self._thread.start()

    def stop(self) -> None:
        """Carry what waits, if that works at the first attempt, and end; returns at once."""
        self._stopping = True
        self._bell.ring()

    def join(self, seconds: float | None = None) -> bool:
        """Wait for its end, and say whether it has come."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Records that are still to be carried, about."""
        return max(0, self._bell.last - self.progress.position)

    def figures(self) -> dict[str, Any]:
        """For an operator."""
        progress = self.progress
        return {
            "carried": progress.carried,
            "waiting": self.waiting,
            "passed_over": progress.passed_over,
            "failures_in_a_row": progress.failures,
            "error": progress.error,
        }

    def _run(self) -> None:
        if self._former is not None:
            self._former.join()
            self._former = None
        outlet: Outlet | None = None
        try:
            outlet = self._make()
            while not self._carry_all(outlet):
                self._rest()
        except Exception:
            self.progress.error = "has ended by a fault of its own: see the log"
            _log.failure("exporter {name} has ended", name=self.name)
        finally:
            if outlet is not None:
                outlet.close()

    def _carry_all(self, outlet: Outlet) -> bool:
        """Carry what there is, and what comes, until something fails or another file is begun.

        :returns: whether all is done for good.
        """
        try:
            with closing(_Place(self._path, self.name, self._from_now)) as place:
                self.progress.position = place.position
                while True:
                    batch = place.next(self._most)
                    if batch:
                        self._carry(outlet, place, batch)
                    elif place.is_replaced():
                        return False
                    elif self._stopping:
                        return True
                    else:
                        self._wait()
        except (CarryError, OSError, sqlite3.Error) as error:
            self._failed(error)
            return self._stopping

    def _carry(self, outlet: Outlet, place: "_Place", batch: list[Entry]) -> None:
        try:
            state = outlet.carry(batch, place.state)
        except RefusedError as error:
            self._refused(place, batch, error)
            return
        except (CarryError, OSError):
            raise
        except Exception as error:
            if self._refused_since is None:
                _log.failure("exporter {name} has a fault of its own", name=self.name)
            self._refused(place, batch, RefusedError(f"{type(error).__name__}: {error}"))
            return
        place.arrived(batch, state)
        self._most, self._refused_since = min(self._batch, 2 * self._most), None
        progress = self.progress
        if progress.error:
            _log.info("exporter {name} works again", name=self.name)
        progress.position = place.position
        progress.carried += len(batch)
        progress.failures, progress.error = 0, ""

    def _refused(self, place: "_Place", batch: list[Entry], error: RefusedError) -> None:
        """Look for the one that is refused, wait whether somebody mends that, and pass it over.

        :raises RefusedError: it has been found, and holds up the others for now.
        """
        place.broke_up()
        self._refused_since = self._refused_since or monotonic()
        if len(batch) > 1:
            self._most = len(batch) // 2
            return
        if monotonic() - self._refused_since < self._refused_seconds:
            raise error
        _log.error(
            "exporter {name} passes over record {id}, which was refused for {seconds:.0f} s: "
            "{error}; it stands in the records still",
            name=self.name,
            id=batch[0].id,
            seconds=self._refused_seconds,
            error=str(error),
        )
        place.arrived(batch, place.state)
        self._refused_since = None
        self.progress.position = place.position
        self.progress.passed_over += 1

    def _failed(self, error: Exception) -> None:
        progress = self.progress
        said = " ".join(str(error).split()) or type(error).__name__
        if said != progress.error:
            _log.error(
                "exporter {name} carries nothing, trying again: {error}",
                name=self.name,
                error=said,
            )
        progress.failures += 1
        progress.error = said

    def _wait(self) -> None:
        """Until there is more, and some seconds for company."""
        position = self.progress.position
        self._bell.wait(lambda: self._stopping or self._bell.last > position, None)
        self._bell.wait(lambda: self._stopping, self._gather)

    def _rest(self) -> None:
        """After a failure."""
        seconds = min(LONGEST_WAIT, self._first_wait * 2.0 ** min(self.progress.failures - 1, 16))
        until = monotonic() + seconds
        self._bell.wait(lambda: self._stopping, until - monotonic())


class _Place:
    """How far an exporter is, as it stands in the file.

    A batch that is under way is written down before it goes out, so that after a crash the very
    same one comes again.

    :ivar position: of the last record that has arrived.
    :ivar state: what the outlet wants to remember.
    """

    def __init__(self, path: Path, name: str, from_now: bool) -> None:
        self._name = name
        self._path = path
        # Before it is opened: should it be replaced just now, it is opened once more.
        self._file = path.stat() if path.exists() else None
        self._connection = open_records(path)
        try:
            self._connection.isolation_level = None
            first = "(SELECT max(seq) FROM sqlite_sequence WHERE name = 'calls')"
            self._connection.execute(
                "INSERT INTO exporters (name, position, state) "
                f"VALUES (?, coalesce({first if from_now else 0}, 0), '{{}}') "
                "ON CONFLICT DO NOTHING",
                [name],
            )
            position, text = self._connection.execute(
                "SELECT position, state FROM exporters WHERE name = ?", [name]
            ).fetchone()
        except BaseException:
            self._connection.close()
            raise
        kept: dict[str, Any] = {}
        with suppress(ValueError):
            kept = json.loads(text)
        self.position: int = position
        self.state: dict[str, Any] = kept.get("outlet", {})
        self._until: int = kept.get("until", 0)

    def next(self, most: int) -> list[Entry]:
        """The records that are to be carried now, which then are under way; none where all are.

        :raises sqlite3.Error: they cannot be read, or that cannot be written down.
        """
        last = self._until if self._until > self.position else 2**62
        rows = self._connection.execute(
            "SELECT position, id, record FROM calls WHERE position > ? AND position <= ? "
            "ORDER BY position LIMIT ?",
            [self.position, last, most if last == 2**62 else -1],
        )
        batch = [Entry(*row) for row in rows]
        if batch:
            self._store(self.position, self.state, batch[-1].position)
        elif last != 2**62:  # they have been deleted meanwhile
            self._until = 0
            return self.next(most)
        return batch

    def arrived(self, batch: Sequence[Entry], state: dict[str, Any]) -> None:
        """They have been carried.

        :raises sqlite3.Error: that cannot be written down.
        """
        self._store(batch[-1].position, state, 0)

    def broke_up(self) -> None:
        """None of those under way has been taken: fewer may go another time.

        :raises sqlite3.Error: likewise.
        """
        self._store(self.position, self.state, 0)

    def is_replaced(self) -> bool:
        """Whether another file has been begun in the place of this one."""
        try:
            return self._file is None or not os.path.samestat(self._path.stat(), self._file)
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _store(self, position: int, state: dict[str, Any], until: int) -> None:
        text = json.dumps({"until": until, "outlet": state})
        self._connection.execute(
            "UPDATE exporters SET position = ?, state = ? WHERE name = ?",
            [position, text, self._name],
        )
        self.position, self.state, self._until = position, state, until
