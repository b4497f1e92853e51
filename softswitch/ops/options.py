"""What ``twistd softswitch`` takes, and how a mistake in the configuration stops the start.

twistd knows usage errors only, with a page of help and status 1. A ``ConfigError`` is one line on
the standard error and status 2, told before twistd goes into the background or writes a file.
"""

import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path

from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python import usage

from softswitch.errors import ConfigError
from softswitch.ops.config import Config, load
from softswitch.ops.listen_tables import ListenTable, bound
from softswitch.ops.logs import twistd_output
from softswitch.ops.service import make_service, refuse

log = Logger()


class Options(usage.Options):
    """The command line behind ``twistd softswitch``.

    :ivar file: the configuration, or None for the defaults in the package.
    :ivar directory: where relative paths in it start: twistd's ``--rundir``.
    """

    synopsis = "[options]"
    longdesc = "A SIP back-to-back user agent, extended by plug-ins."

    file: Path | None = None

    @property
    def directory(self) -> Path:
        return Path(self.parent["rundir"] if self.parent is not None else ".")

    def opt_config(self, path: str) -> None:
        """The configuration, TOML; without it, the defaults in the package."""
        self.file = Path(path)

    opt_c = opt_config

    def parseArgs(self, *words: str) -> None:  # noqa: N802
        """
        :raises UsageError: there are words besides the options.
        """
        if words:
            raise usage.UsageError(f"{words[0]}: --config {words[0]} is what reads a file")


def makeService(options: Options) -> IService:
    """The switch, ready to be started.

    :raises SystemExit: status 2, after a line that says what is wrong in the configuration.
    """
    try:
        config = load(options.file, options.directory)
        check_ports(config)
        check_state(config)
        service = make_service(config)
        if options.parent is not None:
            service.write_log(twistd_output(options.parent))
    except ConfigError as error:
        refuse(error)
    for warning in config.warnings():
        log.warn("{file}: {warning}", file=config.file, warning=warning)
    return service


def check_ports(config: Config) -> None:
    """Try every port that is to be served, since twistd reports a failure to bind too late.

    :raises ConfigError: a port is taken, or the address is none of this machine.
    """
    with ExitStack() as held:
        for where, table in bound(config.listen, config.api):
            try:
                _try(table, held)
            except OSError as error:
                key, mend = _explained(error, table)
                raise ConfigError(f"{config.file}: {where}.{key}", mend) from None


def check_state(config: Config) -> None:
    """See that the state directory can be written, or made.

    :raises ConfigError: it is not for us.
    """
    folder = config.state_directory
    there = next(each for each in (folder, *folder.absolute().parents) if os.path.exists(each))
    where = f"{config.file}: switch.state_directory"
    if not there.is_dir():
        raise ConfigError(where, f"{there} is no directory: move it away, or choose another")
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        raise ConfigError(
            where,
            f"{there} cannot be written by the user {os.geteuid()}: chown it to that user, or"
            f" choose another directory than {folder}",
        )


def _try(table: ListenTable, held: ExitStack) -> None:
    family = socket.AF_INET6 if ":" in table.bind else socket.AF_INET
    kind = socket.SOCK_DGRAM if table.below == "udp" else socket.SOCK_STREAM
    probe = held.enter_context(socket.socket(family, kind))
    if family == socket.AF_INET6:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((table.bind, table.port))
    if kind == socket.SOCK_STREAM:
        probe.listen()


def _explained(error: OSError, table: ListenTable) -> tuple[str, str]:
    """Key at fault and what would be right."""
    where = f"{table.transport} port {table.port} of {table.bind}"
    if error.errno == errno.EADDRINUSE:
        return "port", f"{where} is taken: stop what serves it, or choose another"
    if error.errno == errno.EACCES:
        return "port", f"{where} is not for us: below 1024 it takes root or CAP_NET_BIND_SERVICE"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return "bind", f"{table.bind} is no address of this machine; `ip address` lists them"
    return "port", f"{where} cannot be served: {error.strerror}"
