"""The call records of a running switch: kept, and carried on to wherever somebody wants them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool

from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.records.exporter import Exporter
from softswitch.records.exports import Export, FileExport
from softswitch.records.files import try_out
from softswitch.records.keeping import Keeper, Retention

#: Seconds between two looks for what is too old.
TIDY_SECONDS: Final = 600.0


class Archive(Observer):
    """Keeps each call's record and has exporters carry it on.

    :ivar keeper: keeps them.
    :param path: the SQLite file.
    :param exports: where to.
    :param now: Unix time, seconds.
    :raises ConfigError: a file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        retention: Retention,
        exports: Sequence[Export],
        now: Callable[[], float],
        reactor: Any,
    ) -> None:
        self._path = path
        self._reactor = reactor
        self._exporters: dict[Export, Exporter] = {}
        self._ending: list[Exporter] = []
        self._exports = tuple(exports)
        self.check(exports)
        self.keeper = Keeper(path, retention, now)
        self.keeper.holders = frozenset(each.name for each in exports)
        self._tidying = LoopingCall(self.keeper.tidy)
        self._tidying.clock = reactor

    @staticmethod
    def check(exports: Sequence[Export]) -> None:
        """See whether records can be written where they are to go; a server may be away.

        :raises ConfigError: they cannot.
        """
        for export in exports:
            if isinstance(export, FileExport):
                try_out(export.path)

    def start(self) -> None:
        """Begin to carry and to tidy up; not before the service has become a daemon."""
        self._tidying.start(TIDY_SECONDS)
        self.renew(self._exports)

    def renew(self, exports: Sequence[Export], retention: Retention | None = None) -> None:
        """Carry to these places from now on; exporters whose place is as it was go on."""
        if retention is not None:
            self.keeper.retain(retention)
        self._ending = [each for each in self._ending if not each.join(0)]
        for export in set(self._exporters) - set(exports):
            exporter = self._exporters.pop(export)
            exporter.stop()
            self._ending.append(exporter)
        for export in exports:
            if export not in self._exporters:
                self._exporters[export] = self._begun(export)
        self._exports = tuple(exports)
        self.keeper.holders = frozenset(each.name for each in exports)

    def call_ended(self, record: CallRecord) -> None:
        """Have the record kept; nobody changes it any more."""
        self.keeper.call_ended(record)

    def figures(self) -> dict[str, Any]:
        """For an operator: what waits, what was lost, and how each exporter gets on."""
        return {
            "last": self.keeper.bell.last,
            "dropped": self.keeper.writer.dropped,
            "overtaken": self.keeper.overtaken,
            "exporters": {each.name: each.figures() for each in self._exporters.values()},
        }

    def waiting(self) -> dict[str, tuple[int, int]]:
        """What waits to be kept, and to be carried by each exporter, and what of it was lost."""
        writer, lost = self.keeper.writer, self.keeper.overtaken
        found = {"call records": (writer.waiting, writer.dropped)}
        for exporter in self._exporters.values():
            found[f"call records to {exporter.name}"] = (exporter.waiting, lost)
        return found

    def stop(self, seconds: float) -> Deferred[Any]:
        """Write what waits; when exporters have carried it as well, or for so many seconds have
        not, all is done."""
        if self._tidying.running:
            self._tidying.stop()
        self.keeper.close()
        pool = self._reactor.getThreadPool()
        exporters = [*self._exporters.values(), *self._ending]
        for exporter in exporters:
            exporter.stop()
        return DeferredList(
            [deferToThreadPool(self._reactor, pool, each.join, seconds) for each in exporters]
        )

    def _begun(self, export: Export) -> Exporter:
        # The last of its name: that one waits for those before it.
        former = next((each for each in reversed(self._ending) if each.name == export.name), None)
        exporter = Exporter(
            export.name,
            self._path,
            export.outlet(self._reactor),
            self.keeper.bell,
            batch=export.batch,
            from_now=export.begin == "now",
            former=former,
        )
        exporter.start()
        return exporter
