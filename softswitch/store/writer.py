"""A thread that writes, so that signalling never waits for a disk.

What is handed over waits in memory and is written in groups. A disk that is full or locked is
tried again until it takes what waits; the log says so once, and once more when it does. An item
that no disk can ever take is lost alone, and the log says why. The thread starts with the first
item: a service that becomes a daemon forks before, and threads do not survive a fork.
"""

import sqlite3
from collections.abc import Hashable, Sequence
from itertools import islice
from threading import Condition, Thread
from time import monotonic
from typing import Generic, Protocol, TypeVar

from twisted.logger import Logger

_log = Logger()

Item = TypeVar("Item")
_Item_contra = TypeVar("_Item_contra", contravariant=True)

#: Items that are written at once, at most.
_GROUP = 1000

#: What a sink raises when it could not write.
WRITE_ERRORS = (OSError, sqlite3.Error)


class Sink(Protocol[_Item_contra]):
    """Where the items go. Only the writer's thread calls it."""

    def write(self, items: Sequence[_Item_contra]) -> None:
        """Write all of them, or none and raise one of ``WRITE_ERRORS``."""

    def close(self) -> None:
        """Let go of files and connections; nothing follows."""


class Writer(Generic[Item]):
    """Hands items to a sink, in their order, in a thread of its own.

    :ivar dropped: items that were lost because too many waited, the sink failed to the end, or
        could not write this one.
    :param name: what is written, for the log and the thread's name.
    :param limit: items that may wait; beyond it new ones are dropped.
    :param gather: seconds from one write to the next at least; what comes meanwhile is written
        together, for a wake-up costs more than a write.
    :param retry: seconds between attempts while the sink fails.
    """

    def __init__(
        self,
        name: str,
        sink: Sink[Item],
        *,
        limit: int = 50_000,
        gather: float = 0.05,
        retry: float = 5.0,
    ) -> None:
        self.dropped = 0
        self._name = name
        self._sink = sink
        self._limit = limit
        self._gather = gather
        self._retry = retry
        self._waiting: dict[Hashable, Item] = {}
        self._changed = Condition()
        self._closing = False
        self._rests_until = 0.0
        self._thread: Thread | None = None

    def put(self, key: Hashable, item: Item) -> None:
        """Have ``item`` written; returns at once.

        :param key: an item that still waits under the same key is replaced.
        """
        with self._changed:
            if self._closing or (len(self._waiting) >= self._limit and key not in self._waiting):
                self._drop(1)
                return
            self._waiting[key] = item
            if self._thread is None:
                self._thread = Thread(target=self._run, name=f"write {self._name}", daemon=True)
                self._thread.start()
            elif len(self._waiting) == 1:
                self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def close(self) -> None:
        """Write what waits, with one last attempt, and end the thread; returns when it has."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        failing = False
        while self._wait(failing):
            with self._changed:
                group = dict(islice(self._waiting.items(), _GROUP))
                last = self._closing
            try:
                self._write(list(group.values()))
            except WRITE_ERRORS as error:
                if not failing:
                    _log.error(
                        "cannot write {name}, trying again: {error}", name=self._name, error=error
                    )
                failing = True
                if last:
                    self._drop(len(self._waiting))
                    break
            else:
                if failing:
                    _log.info("writing {name} again", name=self._name)
                failing = False
                with self._changed:
                    for key, item in group.items():
                        if self._waiting[key] is item:
                            del self._waiting[key]
            self._rests_until = monotonic() + (self._retry if failing else self._gather)
        self._sink.close()

    def _write(self, items: Sequence[Item]) -> None:
        """Write them, and lose none of them for one that cannot be written.

        :raises OSError: the disk takes nothing now; likewise
        :raises sqlite3.Error: this.
        """
        try:
            self._sink.write(items)
        except WRITE_ERRORS:
            raise
        except Exception:
            if len(items) > 1:
                for half in (items[: len(items) // 2], items[len(items) // 2 :]):
                    self._write(half)
                return
            self.dropped += 1
            _log.failure("cannot write one of {name}: it is lost", name=self._name)

    def _wait(self, failing: bool) -> bool:
        """Wait until there is something to write and it is time; False when all is done."""
        with self._changed:
            if not failing:
                self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(lambda: self._closing, self._rests_until - monotonic())
            return bool(self._waiting)

    def _drop(self, count: int) -> None:
        if not self.dropped:
            _log.error("losing {name}: the disk does not take them", name=self._name)
        self.dropped += count
