"""A reload in the running switch, from the signal to the outcome.

The file is read and checked in a thread, since that takes its time; then the house is asked to take
it, in one turn of the reactor. What came of it is logged, and written for whoever asked.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from softswitch.errors import ConfigError
from softswitch.ops.asking import counted
from softswitch.ops.certificates import read_certificates
from softswitch.ops.config import Config, load
from softswitch.ops.house import House
from softswitch.ops.showing import Showing
from softswitch.ops.whole import write_whole
from softswitch.records.archive import Archive
from softswitch.transport.certificates import Certificates

log = Logger()

#: Told of a reload: whether it is in force, and what was said.
Tell: TypeAlias = Callable[[bool, str], object]


class Reloader:
    """Reloads one switch, one time after the other.

    :param path: the configuration's file.
    :param directory: where relative paths in it start.
    :param reload: takes a configuration and the certificates that it names; raises ConfigError
        when it is refused.
    """

    def __init__(
        self,
        path: Path,
        directory: Path,
        outcome: Path,
        reload: Callable[[Config, Certificates], None],
        reactor: Any,
    ) -> None:
        self._path = path
        self._directory = directory
        self._outcome = outcome
        self._reload = reload
        self._reactor = reactor
        self._busy = False
        self._again = False
        # Whether a configuration that could be read is being taken.
        self._taking = False
        # Who is told of the reload that goes on, and of the one that follows on it.
        self._told: list[Tell] = []
        self._told_again: list[Tell] = []

    def begin(self, tell: Tell | None = None) -> None:
        """Read the file and take what it says; once more afterwards, where it is being read already
        and may have changed since.

        :param tell: told whether it is in force, and what was said, once.
        """
        if tell is not None:
            (self._told_again if self._busy else self._told).append(tell)
        if self._busy:
            self._again = True
            return
        self._busy, self._taking = True, False
        pool = self._reactor.getThreadPool()
        reading = deferToThreadPool(self._reactor, pool, _read, self._path, self._directory)
        reading.addCallback(self._take).addErrback(self._refused).addBoth(self._ended)

    def _take(self, read: tuple[Config, Certificates]) -> None:
        config, certificates = read
        self._taking = True
        self._reload(config, certificates)
        for warning in config.warnings():
            log.warn("{file}: {warning}", file=config.file, warning=warning)
        said = (
            f"{config.file}: in force, with {counted(len(config.policy), 'policy', 'policies')}, "
            f"{counted(len(config.trunks), 'trunk')} and {counted(len(config.users), 'user')}"
        )
        log.info("reloaded {said}", said=said)
        self._write(True, said)

    def _refused(self, failure: Failure) -> None:
        if failure.check(ConfigError):
            log.error("not reloaded: {error}", error=failure.value)
            said = f"{failure.value}; nothing has changed"
        else:
            log.failure("not reloaded", failure)
            said = f"{self._path}: {type(failure.value).__name__}: {failure.value}; " + (
                "part of it may be in force: see the log, and restart the switch"
                if self._taking
                else "nothing has changed"
            )
        self._write(False, said)

    def _write(self, done: bool, said: str) -> None:
        said = " ".join(said.split())
        told, self._told = self._told, []
        for tell in told:
            tell(done, said)
        write_whole(self._outcome, {"at": time.time_ns(), "done": done, "said": said})

    def _ended(self, result: object) -> None:
        if isinstance(result, Failure):
            log.failure("the outcome of a reload is lost", result)
        self._busy = False
        if self._again:
            self._again = False
            self._told, self._told_again = self._told_again, []
            self.begin()


def _read(path: Path, directory: Path) -> tuple[Config, Certificates]:
    """The file, and the files that it names."""
    config = load(path, directory)
    return config, read_certificates(config)


def take(
    house: House,
    archive: Archive | None,
    shown: Showing,
    config: Config,
    certificates: Certificates,
) -> None:
    """Have a switch take a configuration.

    :raises ConfigError: it is refused; then everything is as it was.
    """
    exports = config.records.exports(config.state_directory)
    Archive.check(exports)
    house.reload(config)
    if archive is not None:
        archive.renew(exports, config.records.retention)
    shown.take(certificates)
