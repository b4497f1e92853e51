"""The service: the house with its sockets, its store, its records and its signals."""

import gc
import resource
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from softswitch.errors import ConfigError
from softswitch.media.farm import RelayFarm
from softswitch.media.rtpengine import RtpengineEngine
from softswitch.ops.accounting import Accounting
from softswitch.ops.api import ApiService
from softswitch.ops.banning import Banning
from softswitch.ops.certificates import read_certificates
from softswitch.ops.config import Config
from softswitch.ops.firewall import Firewall
from softswitch.ops.flying import Flying
from softswitch.ops.house import SWEEP_SECONDS, House
from softswitch.ops.logs import CallLog, Log, Output, WireLog
from softswitch.ops.media import media_engine, mended, noticed
from softswitch.ops.metrics import Metrics
from softswitch.ops.operator_tables import LogTable
from softswitch.ops.pages import use_large_pages
from softswitch.ops.pidfile import NAME, PidFile
from softswitch.ops.ports import open_ports
from softswitch.ops.reload import OUTCOME
from softswitch.ops.reloader import Reloader, take
from softswitch.ops.secret import kept_secret
from softswitch.ops.showing import Showing
from softswitch.ops.stir import StirFiles
from softswitch.ops.stir_tables import StirTable
from softswitch.ops.stored import StoredUsers
from softswitch.ops.watchdog import Watchdog
from softswitch.ops.whole import write_whole
from softswitch.plugin.media import MediaNotice
from softswitch.plugin.record import CallRecord
from softswitch.policy.certificatefetch import CertificateFetch
from softswitch.policy.chain import Policy
from softswitch.records.archive import Archive
from softswitch.store.sqlite import SqliteStore
from softswitch.store.users import Row, UserFile
from softswitch.transport.certificates import Certificates
from softswitch.transport.names import names_in_dns
from softswitch.trunk.registering import RegistrationData, State
from softswitch.wheel import Wheel

log = Logger()

#: Seconds that BYEs, their answers and the last records get when the switch stops.
FAREWELL_SECONDS = 1.0

#: Seconds beyond that which policies get that have something to finish.
FINISH_SECONDS = 3.0

#: Seconds that exporters get, after all, to carry the last records on; later they go on from there.
EXPORT_SECONDS = 2.0


class SwitchService(Service):
    """Runs one switch.

    :ivar house: the switch itself.
    :param reactor: for tests; else the global one.
    :raises ConfigError: from the constructor, for whatever can be known before the start.
    """

    name = "softswitch"

    def __init__(self, config: Config, reactor: Any = the_reactor) -> None:
        self._config = config
        self._reactor = reactor
        self._wheel = Wheel(reactor, broken=_broken, now=time.time)
        self._showing = Showing(read_certificates(config), reactor)
        state = config.state_directory
        self._store = SqliteStore(state / config.store.path)
        self._archive = _archive(config, reactor)
        engine = media_engine(config, self._wheel, reactor)
        names = names_in_dns(reactor)
        self.house = House(
            config,
            self._wheel,
            names.look_up,
            engine=engine,
            look_up_service=names.look_up_service,
            look_up_pointers=names.look_up_pointers,
            store=self._store,
            report=_leaked,
            broken=_broken,
            secret=kept_secret(state / "secret"),
            registration=_registration,
            noticed=self._noticed,
            mended=mended,
        )
        if self._archive is not None:
            self.house.observe(Policy("records", self._archive))
        self._look_up = names.look_up
        self.house.premises.stir.fetch_with(self._fetch)
        self._wheel.late = self._late
        #: What Prometheus is told; None where the configuration does without.
        self.metrics: Metrics | None = None
        if config.metrics.enabled:
            self.metrics = Metrics(self.house, self._wheel, self._waiting)
            self.house.observe(Policy("metrics", self.metrics.meter))
        self._watchdog = Watchdog(reactor, self.house.attention)
        self._user_file = UserFile(config.user_file)
        self._users = StoredUsers(self.house, config.user_file)
        self._users.start(self._user_file.load())
        self._sweep = LoopingCall(self.house.guard.sweep)
        self._sweep.clock = reactor
        self._flying = Flying(config, self.house, reactor)
        self._stats = state / "stats.json"
        self._pid = PidFile(state / NAME)
        self._banning = Banning(
            self.house.transport.door, state, Firewall(config.door.firewall), reactor
        )
        self._accounting = Accounting(self.house.tolls, self._store, reactor)
        self._banning.others["list accounts"] = lambda wish: self._accounting.blocked()
        self._banning.others["lift account"] = lambda wish: self._accounting.lift(wish["account"])
        self._reloader = Reloader(
            Path(config.file).absolute(),
            config.directory,
            state / OUTCOME,
            self._take,
            reactor,
        )
        self._log: Log | None = None
        self._call_log: Policy | None = None
        self._tell_more(config.log)
        self._api = ApiService(
            config, self.house, self._reloader, self._showing, self.metrics, reactor
        )
        # When the calls that are left are hung up.
        self._deadline = 0.0

    def write_log(self, output: Output | None) -> None:
        """Have the log written as the configuration says; to be called before ``setServiceParent``.

        :param output: where to; None leaves it to twistd.
        """
        if output is not None:
            self._log = Log(self._config.log, output)

    def setServiceParent(self, parent: Any) -> None:  # noqa: N802
        """Become part of twistd's application, which asks for the log."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self._log is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log)

    def startService(self) -> None:
        """Open the ports and restore the registrations.

        :raises SystemExit: status 2, after a line that says what is wrong: a port that somebody
            took after it was tried, a store that is damaged, another switch with this state.
        """
        Service.startService(self)
        _allow_many_files()
        transport = self.house.transport
        try:
            # Who finds this process by its file may ask something of it at once.
            self._heed_wishes()
            self._pid.take()
            open_ports(transport, self._showing, self._config.file, self._reactor)
            if isinstance(self.house.engine, RelayFarm | RtpengineEngine):
                self.house.engine.lost = self.house.switch.media_lost
                self.house.engine.start()
            restored = self.house.bindings.restore(transport.is_alive, _unreadable)
            self._api.start()
            self._accounting.start()
        except ConfigError as error:
            refuse(error)
        state = self._config.state_directory
        if state.stat().st_mode & stat.S_IRWXO:
            log.warn(
                "{state} is open to everybody, with passwords and calls in it: chmod o= it",
                state=state,
            )
        self._banning.start()
        self._user_file.watch(self._users_changed)
        self._sweep.start(SWEEP_SECONDS, now=False)
        # The reactor installs its own signal handlers when it begins to run.
        self._reactor.callWhenRunning(self._run, restored)

    def _run(self, restored: int) -> None:
        """The reactor runs: from now on messages are served, and signals that end it heeded."""
        self._heed_stops()
        self.house.start()
        self._showing.start()
        self._flying.start()
        if self._archive is not None:
            self._archive.start()
        # What was made at the start stays; the collector need not look at it again, and calls
        # free their memory without it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 1_000, 20)
        use_large_pages()
        # From here on somebody waits.
        self._watchdog.start()
        log.info(
            "softswitch ready: {listeners}, {restored} registrations restored",
            listeners=", ".join(
                f"{each.transport} {each.bind_host}:{each.port}"
                for each in self.house.transport.listeners
            ),
            restored=restored,
        )

    def stopService(self) -> Deferred[None]:
        """Refuse new calls, un-register and end all subscriptions, let the calls that run end, hang
        up what is left, write everything."""
        switch = self.house.switch
        switch.draining = True
        _step(self.house.stop)
        _step(self.house.passage.shut)
        done: Deferred[None] = Deferred()
        self._deadline = self._reactor.seconds() + self.house.config.switch.drain_seconds
        log.info("stopping: {calls} calls", calls=len(switch.calls))
        self._drain(done)
        return done

    def _drain(self, done: "Deferred[None]") -> None:
        switch = self.house.switch
        if switch.calls and self._reactor.seconds() < self._deadline:
            self._wheel.callLater(0.2, self._drain, done)
            return
        _step(switch.shut)
        _step(self.house.proxy.shut)
        # A call that ended by itself just now has a BYE under way, too, and figures to come.
        farewell = FAREWELL_SECONDS if self.house.auditor.open else 0.0
        self._wheel.callLater(farewell, self._finish, done)

    def _finish(self, done: "Deferred[None]") -> None:
        """Give policies that have something to finish a little time for it."""
        finished = _step(lambda: DeferredList(self.house.close()))
        finished.addTimeout(FINISH_SECONDS, self._reactor)
        finished.addBoth(lambda _: self._close(done))

    def _close(self, done: "Deferred[None]") -> None:
        engine, archive = self.house.engine, self._archive
        for stop in (self._watchdog.stop, self._showing.stop, self._sweep.stop):
            _step(stop)
        if engine is not None:
            _step(engine.stop)
        for stop in (self.house.bindings.stop, self._banning.stop, self._accounting.stop):
            _step(stop)
        ending = [_step(self._api.stop), _step(self._flying.stop)]
        if archive is not None:
            ending.append(_step(lambda: archive.stop(EXPORT_SECONDS)))
        ended = DeferredList(ending)
        ended.addTimeout(EXPORT_SECONDS + FINISH_SECONDS, self._reactor)
        ended.addBoth(lambda _: self._end(done))

    def _end(self, done: "Deferred[None]") -> None:
        for close in (self._store.close, self._user_file.close, self._pid.release):
            _step(close)
        log.info("stopped, {leaks} leaks", leaks=self.house.auditor.leaks)
        Service.stopService(self)
        done.callback(None)

    def _noticed(self, notice: MediaNotice, record: CallRecord) -> None:
        noticed(notice, record)
        self._api.api.events.media_noticed(notice, record)

    def _late(self, seconds: float) -> None:
        """The wheel was woken so late."""
        self.house.transport.overload.woken_late(seconds)
        self._api.late(seconds)
        if self.metrics is not None:
            self.metrics.measure_lag(seconds)

    def _waiting(self) -> dict[str, tuple[int, int]]:
        """What the threads that write have before them, and have lost."""
        registrations = self._store.writer
        waiting = {"registrations": (registrations.waiting, registrations.dropped)}
        return waiting if self._archive is None else {**self._archive.waiting(), **waiting}

    def _fetch(self, table: StirTable, files: StirFiles) -> CertificateFetch:
        return CertificateFetch(
            self._reactor,
            self._look_up,
            table.fetch_seconds,
            table.networks,
            files.https_authorities,
        )

    def _users_changed(self, rows: list[Row]) -> None:
        """In the store's thread, so that reading them costs the calls little."""
        self._reactor.callFromThread(self._users.changed, self._users.read(rows))

    def _heed_stops(self) -> None:
        """SIGTERM and Ctrl-C stop in order, with exit status 0: left to itself, twistd would end
        as one killed."""
        self._heed(signal.SIGTERM, self._stop_reactor)
        self._heed(signal.SIGINT, self._stop_reactor)

    def _heed_wishes(self) -> None:
        """SIGHUP reloads, SIGUSR1 writes the figures, SIGUSR2 does what ``softswitch ban`` wishes
        for; before the reactor runs, it is done as soon as it does."""
        self._heed(signal.SIGHUP, self._reload)
        self._heed(signal.SIGUSR2, self._banning.serve)
        self._heed(signal.SIGUSR1, self._write_stats)

    def _heed(self, number: signal.Signals, serve: Callable[[], object]) -> None:
        signal.signal(number, lambda *_: self._reactor.callFromThread(serve))

    def _stop_reactor(self) -> None:
        """Begin to stop; a second signal means that nobody wants to wait for the calls."""
        if self.house.switch.draining:
            self._deadline = self._reactor.seconds()
        elif self.running:
            self._reactor.stop()

    def _reload(self) -> None:
        if self.running and not self.house.switch.draining:
            self._reloader.begin()

    def _take(self, config: Config, certificates: Certificates) -> None:
        take(self.house, self._archive, self._showing, config, certificates)
        self._banning.firewall.table = config.door.firewall
        self._banning.renewed()
        self._api.renew(config)
        if self._log is not None:
            self._log.table = config.log
        self._tell_more(config.log)

    def _tell_more(self, table: LogTable) -> None:
        """Log what becomes of each call, and each message, as long as somebody wants to read it."""
        if self._call_log is None and table.shows("calls", "info"):
            self._call_log = Policy("log", CallLog())
            self.house.observe(self._call_log)
        transport = self.house.transport
        beyond = transport.note
        if isinstance(beyond, WireLog):
            beyond = beyond.beyond
        transport.note = WireLog(beyond) if table.shows("wire", "debug") else beyond

    def figures(self) -> dict[str, Any]:
        """For an operator: those of the house, and of its records."""
        records = {} if self._archive is None else self._archive.figures()
        return {**self.house.stats(), "records": records}

    def _write_stats(self) -> None:
        write_whole(self._stats, {**self.figures(), **self._flying.figures()})


def _step(stop: Callable[[], object]) -> "Deferred[Any]":
    """Take a step of the stop, whatever becomes of it: where one fails, for a full disk perhaps,
    the others follow all the same."""
    return maybeDeferred(stop).addErrback(
        lambda failure: log.failure("a step of the stop has failed; the stop goes on", failure)
    )


def make_service(config: Config) -> SwitchService:
    """The switch that a configuration describes, on the global reactor; the timers of this then go
    on when somebody sets the clock back, for it looks its clock up with each of them.

    :raises ConfigError: with file, key and what would be right.
    """
    reactor: Any = the_reactor
    reactor.seconds = time.monotonic
    return SwitchService(config)


def refuse(error: ConfigError) -> NoReturn:
    """End the process with status 2 and one line on the standard error.

    :raises SystemExit: always.
    """
    print(f"softswitch: {error}", file=sys.__stderr__)
    raise SystemExit(2)


def _archive(config: Config, reactor: Any) -> Archive | None:
    """
    :raises ConfigError: a file of call records cannot be opened.
    """
    table, state = config.records, config.state_directory
    if not table.store:
        return None
    return Archive(state / table.store, table.retention, table.exports(state), time.time, reactor)


def _allow_many_files() -> None:
    """Raise the limit on open files to the hardest: the relay has four sockets a call."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _leaked(scope: str, left: list[str]) -> None:
    log.error("call {call_id} leaked: {left}", call_id=scope, left=", ".join(left))


def _registration(data: RegistrationData) -> None:
    if data.state is State.REGISTERED:
        log.info(
            "registered at trunk {trunk}: {registrar}", trunk=data.trunk, registrar=data.registrar
        )
    elif data.state is State.IDLE:
        log.info("no longer registered at trunk {trunk}", trunk=data.trunk)
    else:
        log.warn(
            "not registered at trunk {trunk}: {registrar} says {status} {reason}; "
            "trying again in {seconds:.0f} s",
            trunk=data.trunk,
            registrar=data.registrar,
            status=data.status,
            reason=data.reason,
            seconds=data.wait,
        )


def _unreadable(aor: str, error: Exception) -> None:
    log.error("a registration of {aor} cannot be restored: {error}", aor=aor, error=repr(error))


def _broken(error: BaseException) -> None:
    log.failure("a message or timer failed; all others go on", Failure(error))
