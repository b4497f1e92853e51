"""The relay in a process of its own, behind a unix socket: ``python -m softswitch.media.process``.

It outlives the switch that has started it: when that is gone without a word, audio goes on for a
configured grace, in which a restarted switch may come back and say which sessions it still wants.
A SIGTERM ends it at once.
"""

import argparse
import gc
import json
import os
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as the_reactor
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media.recording import Recorder
from softswitch.media.watch import Patience
from softswitch.media.watched import WatchedRelay
from softswitch.media.wire import (
    LONGEST,
    Answered,
    Ask,
    Conclude,
    Drop,
    Hello,
    Loaded,
    Noticed,
    Release,
    Sessions,
    Snapshot,
    Warned,
    answer_to_wire,
    question_from_wire,
    report_to_wire,
)
from softswitch.plain import to_plain
from softswitch.plugin.media import MediaAnswer, MediaNotice, MediaReport
from softswitch.wheel import Clock, Wheel

_log = Logger()

#: Names told in one answer about sessions.
PAGE = 500

#: Seconds between two times that the switch is told how much the relay has to do.
TELL_LOAD = 5.0


@attrs.frozen
class RelaySettings:
    """What a relay is started with.

    :ivar first: lowest port.
    :ivar last: highest port.
    :ivar quarantine: seconds that a port rests.
    :ivar grace: seconds for which sessions outlive the switch.
    :ivar timeout: seconds after which a side that sends nothing ends its call; 0 for never.
    :ivar held_timeout: the same of a call on hold.
    :ivar dscp: mark of its packets.
    :ivar recordings: path of the folder of recorded calls; "" for none.
    """

    first: int
    last: int
    quarantine: float
    grace: float
    timeout: float = 0.0
    held_timeout: float = 0.0
    dscp: int = 0
    recordings: str = ""


def relay_of(
    settings: RelaySettings,
    clock: Clock,
    reactor: Any,
    warned: Callable[[str], None],
    *,
    gathers: bool = False,
) -> WatchedRelay:
    """The relay that is meant.

    :param warned: told what an operator should know.
    :param gathers: see ``RelayEngine``.
    """
    recorder = None
    if settings.recordings:
        recorder = Recorder(Path(settings.recordings), clock, warned)
    relay = WatchedRelay(
        clock,
        (settings.first, settings.last),
        settings.quarantine,
        reactor=reactor,
        patience=Patience(settings.timeout, settings.held_timeout),
        recorder=recorder,
        gathers=gathers,
        dscp=settings.dscp,
    )
    relay.warned = warned
    return relay


class RelayServer(Factory):
    """Serves one switch at a time, the one that came last.

    :ivar engine: carries the packets.
    :param now: the time of day, where the reactor does not tell it.
    """

    noisy = False

    def __init__(
        self, settings: RelaySettings, reactor: Any, now: Callable[[], float] | None = None
    ) -> None:
        self.settings = settings
        wheel = Wheel(reactor, broken=_broken, now=now)
        self.engine = relay_of(settings, wheel, reactor, self._warn, gathers=True)
        self.engine.noticed = self._notice
        self._told: Mapping[str, Any] = {}
        self._clock = wheel
        self._reactor = reactor
        self._master: RelayProtocol | None = None
        self._alone = reactor.callLater(settings.grace, self._expire)
        self._tell_load()

    def buildProtocol(self, address: IAddress | None) -> "RelayProtocol":
        """A switch has connected."""
        return RelayProtocol(self)

    def greeted(self, protocol: "RelayProtocol") -> None:
        """A switch says that it is the one."""
        before, self._master = self._master, protocol
        if before is not None and before is not protocol and before.transport is not None:
            before.transport.loseConnection()
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
        self._told = {}
        self._say_load()

    def lost(self, protocol: "RelayProtocol") -> None:
        """A switch is gone: sessions wait for the next one."""
        if protocol is self._master:
            self._master = None
            _log.warn(
                "the switch is gone; {sessions} sessions go on for {grace:g} s",
                sessions=len(self.engine.sessions),
                grace=self.settings.grace,
            )
            self._alone = self._reactor.callLater(self.settings.grace, self._expire)

    def _notice(self, notice: MediaNotice) -> None:
        if self._master is not None:
            self._master.tell(Noticed, notice=json.dumps(to_plain(notice)).encode())

    def _warn(self, sentence: str) -> None:
        if self._master is not None:
            self._master.tell(Warned, sentence=sentence)

    def _tell_load(self) -> None:
        self._say_load()
        self._clock.callLater(TELL_LOAD, self._tell_load)

    def _say_load(self) -> None:
        load = self.engine.load()
        if self._master is not None and load != self._told:
            self._told = load
            self._master.tell(Loaded, load=json.dumps(load).encode())

    def _expire(self) -> None:
        _log.info("nobody has come back; {n} sessions end", n=len(self.engine.sessions))
        self._alone = None
        self._reactor.stop()


class RelayProtocol(amp.AMP):
    """One switch, as the relay sees it."""

    def __init__(self, server: RelayServer) -> None:
        amp.AMP.__init__(self)
        self._server = server

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The switch is gone."""
        amp.AMP.connectionLost(self, reason)
        self._server.lost(self)

    def tell(self, command: type[amp.Command], **arguments: Any) -> None:
        """Say something; that a switch is gone meanwhile is told elsewhere."""
        told = amp.AMP.callRemote(self, command, **arguments)
        told.addErrback(lambda failure: None)

    def hello(self) -> dict[str, Any]:
        """See ``wire.Hello``."""
        self._server.greeted(self)
        return {
            "pid": os.getpid(),
            "sessions": len(self._server.engine.sessions),
            "settings": json.dumps(attrs.asdict(self._server.settings)).encode(),
        }

    def ask(self, question: bytes) -> dict[str, bytes]:
        """See ``wire.Ask``."""
        asked = question_from_wire(question)
        answers: list[MediaAnswer] = []
        try:
            self._server.engine.ask(asked, answers.append)
        except Exception:  # by which all other sessions would lose their relay
            _log.failure("session {session}: a question broke the relay", session=asked.session)
            answers = [MediaAnswer(asked.token, error=MediaError("Media Relay Failed", 500))]
        ports = self._server.engine.ports_by_leg(asked.session)
        written = answer_to_wire(answers[0])
        if len(written) > LONGEST:
            error = SdpSyntaxError("SDP Too Long", 513)
            written = answer_to_wire(MediaAnswer(asked.token, error=error))
        return {"answer": written, "ports": json.dumps(ports).encode()}

    def drop(self, session: str, leg: str) -> dict[str, int]:
        """See ``wire.Drop``."""
        self._server.engine.drop(session, leg)
        return {"left": self._server.engine.ports_in_use(session, leg)}

    def release(self, session: str) -> dict[str, int]:
        """See ``wire.Release``."""
        self._server.engine.release(session)
        return {"left": self._server.engine.ports_in_use(session)}

    def answered(self, session: str, record: bool) -> dict[str, Any]:
        """See ``wire.Answered``."""
        try:
            self._server.engine.answered(session, record)
        except Exception:
            _log.failure("session {session} cannot be watched", session=session)
        return {}

    def conclude(self, session: str) -> dict[str, Any]:
        """See ``wire.Conclude``."""
        report = self._report(session, self._server.engine.conclude)
        return {"left": self._server.engine.ports_in_use(session), "report": report}

    def snapshot(self, session: str) -> dict[str, bytes]:
        """See ``wire.Snapshot``."""
        return {"report": self._report(session, self._server.engine.snapshot)}

    def sessions(self, after: str) -> dict[str, list[str]]:
        """See ``wire.Sessions``."""
        names = sorted(name for name in self._server.engine.sessions if name > after)
        return {"names": names[:PAGE]}

    def _report(
        self, session: str, ask: Callable[[str, Callable[[MediaReport], None]], None]
    ) -> bytes:
        reports: list[MediaReport] = []
        try:
            ask(session, reports.append)
        except Exception:
            _log.failure("session {session} cannot be reported", session=session)
            reports = [MediaReport()]
        return report_to_wire(reports[0])

    Hello.responder(hello)
    Ask.responder(ask)
    Drop.responder(drop)
    Release.responder(release)
    Answered.responder(answered)
    Conclude.responder(conclude)
    Sessions.responder(sessions)
    Snapshot.responder(snapshot)


def _broken(error: BaseException) -> None:
    """A timer has let an exception out; the others have their turn."""
    _log.failure("a timer of the relay has failed", Failure(error))


def main() -> None:
    """Serve until the switch says that it is enough, or has been gone for too long."""
    parser = argparse.ArgumentParser("softswitch-relay", description=__doc__.partition("\n")[0])
    parser.add_argument("--socket", required=True, help="path of the unix socket")
    parser.add_argument("--settings", required=True, help="RelaySettings as JSON")
    chosen = parser.parse_args()
    reactor: Any = the_reactor
    reactor.seconds = time.monotonic  # so that no timer stops when the clock is set back
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = RelayServer(RelaySettings(**json.loads(chosen.settings)), reactor, time.time)
    reactor.listenUNIX(chosen.socket, server, mode=0o600)
    reactor.addSystemEventTrigger("before", "shutdown", server.engine.stop)
    gc.collect()
    gc.freeze()
    reactor.run()


if __name__ == "__main__":
    main()
