"""The API of the switch that runs: served from its start to its end, and what it needs of us."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from softswitch import __version__
from softswitch.api.figures import SAMPLE_SECONDS
from softswitch.api.interface import Api
from softswitch.api.ports import SOCKET, ApiPorts
from softswitch.api.running import Doings, Reloaded
from softswitch.errors import ConfigError, TransportError
from softswitch.ops.audit import Audit
from softswitch.ops.certificates import API
from softswitch.ops.config import Config
from softswitch.ops.explaining import Explaining
from softswitch.ops.house import House
from softswitch.ops.metrics import Metrics
from softswitch.ops.reloader import Reloader
from softswitch.ops.showing import Showing

log = Logger()


class ApiService:
    """Serves the API of one switch.

    :ivar api: what is served.
    :raises ConfigError: its audit cannot be written.
    """

    def __init__(
        self,
        config: Config,
        house: House,
        reloader: Reloader,
        showing: Showing,
        metrics: Metrics | None,
        reactor: Any,
    ) -> None:
        self._config = config
        self._showing = showing
        self._audit = Audit(config.state_directory / config.api.audit)
        written = None if metrics is None else metrics.text
        table = config.records
        doings = Doings(
            lambda: _reload(reloader),
            __version__,
            written,
            config.state_directory / table.store if table.store else None,
            Explaining(house, reactor).explain,
        )
        self.api = Api(house, config.api.settings(), doings, self._audit.note, reactor)
        self._ports = ApiPorts(self.api.factory, reactor)
        self._sampling = LoopingCall(self.api.figures.keep)
        self._sampling.clock = reactor

    def start(self) -> None:
        """Serve it.

        :raises ConfigError: a port is taken, or the socket cannot be made.
        """
        config, table, key = self._config, self._config.api, "unix"
        try:
            if table.unix:
                self._ports.serve_unix(config.state_directory / SOCKET)
            if table.port is not None:
                key = "port"
                shown = (lambda: self._showing.now().servers[API]) if table.certificate else None
                self._ports.serve_tcp(table.bind, table.port, shown)
                who = "this machine alone" if table.is_for_this_machine else "everybody"
                ask = "nobody" if table.trust_loopback else "everybody who comes this way"
                log.info(
                    "the API is at {where}, for {who}; a token is asked of {ask}",
                    where=table.where,
                    who=who,
                    ask=ask,
                )
        except TransportError as error:
            raise ConfigError(f"{config.file}: api.{key}", str(error)) from error
        self._sampling.start(SAMPLE_SECONDS, now=False)

    def late(self, seconds: float) -> None:
        """A timer was so late."""
        self.api.figures.lag(seconds)

    def renew(self, config: Config) -> None:
        """The configuration has been read anew."""
        self.api.renew(config.api.settings())

    def stop(self) -> "Deferred[None]":
        """Serve it no more, and write what waits; what is told when its sockets have gone."""
        self.api.stop()
        if self._sampling.running:
            self._sampling.stop()
        self._audit.close()
        return self._ports.stop()


def _reload(reloader: Reloader) -> "Deferred[Reloaded]":
    told: Deferred[Reloaded] = Deferred()
    reloader.begin(lambda done, said: told.callback(Reloaded(done, said)))
    return told
