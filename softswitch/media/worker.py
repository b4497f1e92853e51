"""One relay process as the switch sees it: found or started, spoken to, started again when it dies.

What is asked before the process listens waits for it; who asks has a deadline of his own.
"""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from softswitch.media.process import RelaySettings
from softswitch.media.wire import Hello, Loaded, Noticed, Warned
from softswitch.plain import from_plain
from softswitch.plugin.media import MediaNotice

_log = Logger()

#: Seconds between two tries to connect, and between two complaints that it does not work.
AGAIN = 0.05
COMPLAINT = 5.0

#: Told what came of a command: its response, or None when the process was lost meanwhile.
Told = Callable[[dict[str, Any] | None], None]


class WorkerUser(Protocol):
    """Whom a worker tells."""

    def worker_ready(self, worker: "RelayWorker", sessions: int, *, same: bool) -> None:
        """The process listens.

        :param sessions: how many it has.
        :param same: whether it is the one that was spoken to before; else what that one had is
            gone.
        """

    def worker_noticed(self, notice: MediaNotice) -> None:
        """It has seen something of a call."""

    def worker_warned(self, sentence: str) -> None:
        """It wants the operator to know something."""

    def worker_loaded(self, worker: "RelayWorker", load: dict[str, Any]) -> None:
        """So much it has to do."""


class _Talk(amp.AMP):
    """The connection to a relay process."""

    def __init__(self, worker: "RelayWorker", user: WorkerUser) -> None:
        amp.AMP.__init__(self)
        self._worker = worker
        self._user = user

    def connectionMade(self) -> None:
        """It stands."""
        amp.AMP.connectionMade(self)
        self._worker.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The process is gone, or has another master."""
        amp.AMP.connectionLost(self, reason)
        self._worker.lost()

    def noticed(self, notice: bytes) -> dict[str, Any]:
        """See ``wire.Noticed``."""
        self._user.worker_noticed(from_plain(MediaNotice, json.loads(notice)))
        return {}

    def warned(self, sentence: str) -> dict[str, Any]:
        """See ``wire.Warned``."""
        self._user.worker_warned(sentence)
        return {}

    def loaded(self, load: bytes) -> dict[str, Any]:
        """See ``wire.Loaded``."""
        self._user.worker_loaded(self._worker, json.loads(load))
        return {}

    Noticed.responder(noticed)
    Warned.responder(warned)
    Loaded.responder(loaded)


class _Door(ClientFactory):
    """Where a relay process is knocked at, once."""

    noisy = False

    def __init__(self, worker: "RelayWorker", user: WorkerUser) -> None:
        self._worker = worker
        self._user = user

    def buildProtocol(self, addr: IAddress | None) -> _Talk:
        """Somebody is there."""
        return _Talk(self._worker, self._user)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """Nobody is."""
        self._worker.not_there(reason.getErrorMessage())


class RelayWorker:
    """A relay process.

    :ivar ready: whether it listens now.
    :param path: of its unix socket; a process that listens there already is taken over.
    :param settings: with which a new one is started.
    """

    def __init__(self, path: Path, settings: RelaySettings, reactor: Any, user: WorkerUser) -> None:
        self.ready = False
        self._path = path
        self._settings = settings
        self._reactor = reactor
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._talk: amp.AMP | None = None
        self._waiting: deque[tuple[type[amp.Command], dict[str, Any], Told]] = deque()
        self._again: Any = None
        self._stopped = False
        self._complains_at = 0.0

    def start(self) -> None:
        """Find the process that an earlier switch has left, or start one."""
        self._complains_at = self._reactor.seconds() + COMPLAINT
        self._connect()

    def send(self, command: type[amp.Command], told: Told, **arguments: Any) -> None:
        """Send a command, when the process listens; ``told`` is called once, later."""
        if not self.ready or self._talk is None:
            self._waiting.append((command, arguments, told))
            return
        asked = self._talk.callRemote(command, **arguments)
        asked.addCallbacks(told, lambda failure: _failed(command, failure, told))
        asked.addErrback(_broken)

    def stop(self) -> None:
        """End the process, and all that it carries."""
        self._stopped = True
        self.ready = False
        if self._again is not None:
            self._again.cancel()
        if self._talk is not None and self._talk.transport is not None:
            self._talk.transport.loseConnection()
        self._kill()
        self._abandon()

    def _connect(self) -> None:
        self._again = None
        self._reactor.connectUNIX(str(self._path), _Door(self, self._user))

    # From the connection.

    def opened(self, talk: amp.AMP) -> None:
        """It stands: say who we are."""
        if self._stopped:
            if talk.transport is not None:
                talk.transport.loseConnection()
            return
        self._talk = talk
        greeted = talk.callRemote(Hello)
        greeted.addCallbacks(self._greeted, lambda failure: None)  # it is gone: ``lost`` is told
        greeted.addErrback(_broken)

    def _greeted(self, told: dict[str, Any]) -> None:
        settings = RelaySettings(**json.loads(told["settings"]))
        if settings != self._settings and not told["sessions"]:
            # What it was started with is not what is wanted now, and nobody needs it.
            self._pid = told["pid"]
            self._kill()
            return
        if settings != self._settings:
            _log.warn("{path}: a relay with older settings goes on", path=self._path)
        same, self._pid = told["pid"] == self._pid, told["pid"]
        self.ready = True
        self._user.worker_ready(self, told["sessions"], same=same)
        while self._waiting:
            command, arguments, asker = self._waiting.popleft()
            self.send(command, asker, **arguments)

    def not_there(self, reason: str) -> None:
        """Nobody listens: start a process, unless one that was started is on its way."""
        if self._stopped:
            return
        if self._process is None or self._process.poll() is not None:
            self._spawn()
        now = self._reactor.seconds()
        if now >= self._complains_at:
            _log.error("the media relay does not start: {why}", why=reason)
            self._complains_at = now + COMPLAINT
        self._again = self._reactor.callLater(AGAIN, self._connect)

    def _spawn(self) -> None:
        self._path.unlink(missing_ok=True)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "softswitch.media.process"),
            *("--socket", str(self._path)),
            *("--settings", json.dumps(attrs.asdict(self._settings))),
        ]
        # A session of its own: what ends the switch by the terminal or by a signal to its group
        # does not end the audio.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def lost(self) -> None:
        """The process is gone, or has another master."""
        self._talk = None
        if self._stopped:
            return
        if self.ready:
            _log.error("the media relay {pid} is gone", pid=self._pid)
        self.ready = False
        self._complains_at = self._reactor.seconds() + COMPLAINT
        self._again = self._reactor.callLater(0, self._connect)

    def _kill(self) -> None:
        pid = self._pid or (self._process.pid if self._process is not None else 0)
        if pid:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                return

    def _abandon(self) -> None:
        while self._waiting:
            _, _, told = self._waiting.popleft()
            told(None)


def _failed(command: type[amp.Command], failure: Failure, told: Told) -> None:
    """The process was lost before it answered, or could not answer."""
    _log.error(
        "the media relay: {command}: {why}",
        command=command.__name__,
        why=failure.getErrorMessage(),
    )
    told(None)


def _broken(failure: Failure) -> None:
    """Whoever was told let an exception out."""
    _log.failure("what follows from the media relay's answer failed", failure)
