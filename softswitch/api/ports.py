"""Where the API is served: a unix socket for this machine's own, TCP and TLS for others."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from stat import S_ISSOCK
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorSocket
from twisted.protocols.tls import TLSMemoryBIOFactory

from softswitch.errors import TransportError
from softswitch.transport.certificates import Server
from softswitch.transport.sockets import bound_socket
from softswitch.transport.tls import Shown

#: Name of the socket in the state directory.
SOCKET: Final = "api.sock"

#: Connections that the kernel may hold before they are accepted.
BACKLOG: Final = 64


#: Bytes of a path to a socket that the kernel takes.
LONGEST: Final = 107


class ApiPorts:
    """The sockets of one API.

    :param factory: serves the connections.
    """

    def __init__(self, factory: Any, reactor: Any) -> None:
        self._factory = factory
        self._reactor = reactor
        self._ports: list[IListeningPort] = []
        self._folder: int | None = None

    def serve_unix(self, path: Path) -> None:
        """Serve a unix socket that its owner alone may use; one that a dead switch has left goes.

        :raises TransportError: there is something else, or it cannot be made.
        """
        try:
            if os.path.lexists(path):
                if not S_ISSOCK(os.lstat(path).st_mode):
                    raise TransportError(f"{path} is no socket: something else is there")
                os.unlink(path)
            where = str(path.absolute())
            if len(os.fsencode(where)) > LONGEST:
                self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
                where = short(self._folder, path.name)
            before = os.umask(0o177)
            try:
                port = self._reactor.listenUNIX(where, self._factory, BACKLOG, 0o600)
            finally:
                os.umask(before)
        except (OSError, CannotListenError) as error:
            raise TransportError(f"{path}: {error}") from error
        self._ports.append(port)

    def serve_tcp(self, host: str, port: int, shown: Callable[[], Server] | None) -> int:
        """Serve an address.

        :param shown: the certificate that is in force; None for no TLS.
        :returns: the port that is bound.
        :raises TransportError: when it is taken or not ours.
        """
        listening = bound_socket(socket.SOCK_STREAM, host, port)
        with listening:
            try:
                listening.listen(BACKLOG)
            except OSError as error:
                raise TransportError(f"{host}:{port}: {error.strerror or error}") from error
            factory = self._factory
            if shown is not None:
                factory = TLSMemoryBIOFactory(Shown(shown), False, factory, self._reactor)
            self._adopt(listening, factory)
            bound: int = listening.getsockname()[1]
        return bound

    def stop(self) -> Deferred[None]:
        """Take no more connections; what is told when the sockets have gone."""
        stopped = [maybeDeferred(port.stopListening) for port in self._ports]
        self._ports.clear()
        return DeferredList(stopped).addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _adopt(self, listening: socket.socket, factory: Any) -> None:
        reactor = cast(IReactorSocket, self._reactor)
        self._ports.append(reactor.adoptStreamPort(listening.fileno(), listening.family, factory))


def short(folder: int, name: str) -> str:
    """A path to a socket that the kernel takes, which wants no more than ``LONGEST`` bytes.

    :param folder: a descriptor of its folder, which is to stay open.
    """
    return f"/proc/self/fd/{folder}/{name}"
