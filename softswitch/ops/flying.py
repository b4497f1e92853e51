"""Keeps the recorder of calls going in a running switch, and has what it is told sent to Homer."""

from pathlib import Path
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.logger import globalLogPublisher

from softswitch.errors import ConfigError
from softswitch.flight.homer import Homer
from softswitch.flight.recorder import Recorder
from softswitch.ops.config import Config
from softswitch.ops.house import House

#: Seconds between two times that what the recorder has been told is sorted: where nobody watches,
#: and where somebody does.
SORT_SECONDS: Final = 2.0
WATCHED_SECONDS: Final = 0.25

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


class Flying:
    """The recorder's part of the service.

    :ivar homer: sends what is recorded to a collector; None where there is none.
    :raises ConfigError: from the constructor: the collector's authorities cannot be read.
    """

    def __init__(self, config: Config, house: House, reactor: Any) -> None:
        self.homer: Homer | None = None
        self._timer: Any = None
        self._reactor = reactor
        self._logs = config.hep.logs
        self._recorder = recorder = house.recorder
        if recorder is None:
            return
        settings = config.hep.settings()
        if settings is not None:
            endpoint: Any = HostnameEndpoint(reactor, settings.host, settings.port)
            if settings.transport == "tls":
                terms = optionsForClientTLS(settings.host, trustRoot=_authorities(config))
                endpoint = wrapClientTLS(terms, endpoint)
            connects = settings.transport != "udp"
            self.homer = Homer(settings, recorder, reactor, endpoint if connects else None)

    def start(self) -> None:
        """Once the reactor runs."""
        if self.homer is not None:
            self.homer.start()
            if self._logs:
                globalLogPublisher.addObserver(self.homer)
        if self._recorder is not None:
            self._sort(self._recorder)

    def stop(self) -> "Deferred[None]":
        """Sort and send what there is; fires once that is over, or nobody reads it."""
        if self._recorder is not None and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._recorder.sort()
        if self.homer is None:
            return succeed(None)
        if self._logs:
            globalLogPublisher.removeObserver(self.homer)
        return self.homer.stop() or succeed(None)

    def _sort(self, recorder: Recorder) -> None:
        seconds = WATCHED_SECONDS if recorder.is_watched else SORT_SECONDS
        self._timer = self._reactor.callLater(seconds, self._sort, recorder)
        recorder.sort()

    def figures(self) -> dict[str, Any]:
        """For an operator; nothing without a collector."""
        return {} if self.homer is None else {"hep": self.homer.figures()}


def _authorities(config: Config) -> Any:
    """Whom we believe that the collector is who it says; None for those of the system.

    :raises ConfigError: the file cannot be read.
    """
    if not config.hep.ca:
        return None
    path = config.directory / config.hep.ca
    try:
        blocks = Path(path).read_bytes().split(_BEGIN)[1:]
        found = [Certificate.loadPEM(_BEGIN + block) for block in blocks]
    except (OSError, ValueError, SSL.Error) as error:
        where = f"{config.file}: hep.ca"
        raise ConfigError(where, f"a PEM file with certificates is wanted: {error}") from None
    if not found:
        raise ConfigError(f"{config.file}: hep.ca", "a PEM file with certificates is wanted")
    return trustRootFromCertificates(found)
