"""Where a rate table comes from: read in a process of its own, and again when its file changes.

The reader (``ratefile``) writes into a file without a name, which is mapped once it is whole. So
the switch computes nothing, and there is always one table: the old one, until a new one is there. A
file that is wrong changes nothing but the log.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary, ref

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from softswitch.policy.ratetable import RateTable

log = Logger()

#: Seconds between two looks at a file. One that has changed since the last look may be being
#: written still, so it is read when it has stayed the same from one look to the next.
LOOK_SECONDS: Final = 2.0

#: What tells one state of a file from another: when it was changed, bytes, inode.
_State = tuple[int, int, int]


class RateSource:
    """A rate file, and the table that was read from it last.

    :ivar table: None before the first one.
    :ivar trouble: why the newest state of the file was refused, or "".
    """

    def __init__(self, path: Path, reactor: Any) -> None:
        self.path = path
        self.table: RateTable | None = None
        self.trouble = ""
        self._known: Callable[[str], object] = bool
        self._reactor = reactor
        self._tried: _State | None = None
        self._seen: _State | None = None
        self._reader: _Reader | None = None
        self._waiting: list[Deferred[None]] = []
        reactor.callWhenRunning(_look_again, ref(self), reactor)

    def start(self, known: Callable[[str], object]) -> None:
        """See that there is a table of the file as it is now.

        Before the reactor runs there are no calls: then it is read before this returns. Later it is
        read beside the calls, unless it is the table that there is.

        :param known: whether a trunk of that name exists.
        :raises ValueError: it is wrong; names line and column. Of a file that is read beside the
            calls only the log tells.
        """
        if self.table is not None and self._tried == self._state():
            self._check(self.table, known)
            self._known = known
        elif self._reactor.running:
            self._known = known
            self._seen = self._state()
            self._read()
        else:
            self._known = known
            self._read_now()

    def loaded(self) -> Deferred[None]:
        """When the reader that runs has come to an end; there may be no table even then."""
        waiting: Deferred[None] = Deferred()
        if self._reader is None:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    def look(self) -> None:
        """Read the file if it is another, and nobody writes it any more."""
        state = self._state()
        if state != self._tried and state == self._seen and self._reader is None:
            self._read()
        self._seen = state

    def _state(self) -> _State | None:
        """None where it cannot be found."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read_now(self) -> None:
        self._begin()
        begun = self._reactor.seconds()
        with nameless_file() as file:
            ended = subprocess.run(
                _command(self.path),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.PIPE,
                check=False,
            )
            if ended.returncode:
                raise ValueError(f"{self.path}: {_last_line(ended.stderr)}")
            self._take(file, begun)

    def _begin(self) -> None:
        log.info("reading the rates in {file}", file=str(self.path))
        self._tried = self._state()

    def _read(self) -> None:
        self._begin()
        self._reader = _Reader(self, self._reactor)

    def ended(self, file: int, begun: float, trouble: str) -> None:
        """The reader that ran beside the calls has ended.

        :param trouble: what it had to say, or "".
        """
        self._reader = None
        if self._state() != self._tried:
            # It was written meanwhile: what was read may be half of each.
            self._tried = None
        else:
            try:
                if trouble:
                    raise ValueError(f"{self.path}: {trouble}")
                self._take(file, begun)
            except ValueError as error:
                self.trouble = str(error)
                stays = "the old table stays" if self.table is not None else "there are no rates"
                log.error("{trouble}; {stays}", trouble=self.trouble, stays=stays)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _take(self, file: int, begun: float) -> None:
        """
        :raises ValueError: it names trunks that there are not.
        """
        table = RateTable(file)
        self._check(table, self._known)
        self.table, self.trouble = table, ""
        log.info(
            "{rates} rates for {prefixes} prefixes, read from {file} in {seconds:.1f} s",
            rates=table.rates,
            prefixes=table.prefixes,
            file=str(self.path),
            seconds=self._reactor.seconds() - begun,
        )

    def _check(self, table: RateTable, known: Callable[[str], object]) -> None:
        for name, place in table.trunks.items():
            if not known(name):
                raise ValueError(f"{self.path}: {place}: there is no [trunks.{name}]")


class _Reader(ProcessProtocol):
    """The process that reads a file, as long as it runs."""

    def __init__(self, source: RateSource, reactor: Any) -> None:
        self._source = source
        self._said = b""
        self._begun: float = reactor.seconds()
        self._files = ExitStack()
        self._file = self._files.enter_context(nameless_file())
        self._reactor = reactor
        reactor.spawnProcess(
            self,
            sys.executable,
            _command(source.path),
            env=_environment(),
            childFDs={1: self._file, 2: "r"},
        )
        self._stopping = reactor.addSystemEventTrigger("before", "shutdown", self._stop)

    def errReceived(self, data: bytes) -> None:
        """What it says when it goes wrong."""
        self._said += data

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and all that it said has come."""
        self._reactor.removeSystemEventTrigger(self._stopping)
        with self._files:
            failed = getattr(reason.value, "exitCode", None) != 0
            trouble = _last_line(self._said) if failed else ""
            self._source.ended(self._file, self._begun, trouble)

    def _stop(self) -> None:
        assert self.transport is not None
        self.transport.signalProcess("KILL")


def source_of(path: Path, reactor: Any) -> RateSource:
    """What reads a file; whoever asks for the same file meanwhile shares it, and its table."""
    source = _SOURCES.get(path)
    if source is None:
        source = _SOURCES[path] = RateSource(path, reactor)
    return source


@contextmanager
def nameless_file() -> Iterator[int]:
    """Descriptor of an empty file on the disk that is gone when nobody has it open or mapped."""
    file, name = tempfile.mkstemp(prefix="softswitch-rates-")
    try:
        os.unlink(name)
        yield file
    finally:
        os.close(file)


def _look_again(source: "ref[RateSource]", reactor: Any) -> None:
    """Look from time to time as long as somebody has the source."""
    found = source()
    if found is not None:
        found.look()
        reactor.callLater(LOOK_SECONDS, _look_again, source, reactor)


def _command(path: Path) -> list[str]:
    return [sys.executable, "-m", "softswitch.policy.ratefile", str(path)]


def _environment() -> Mapping[str, str]:
    """Our own, so that it runs the same code."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").splitlines()
    return lines[-1] if lines else "its reader was killed"


_SOURCES: "WeakValueDictionary[Path, RateSource]" = WeakValueDictionary()
