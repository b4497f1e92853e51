"""Bound sockets, UDP and TCP, and what waits in them. A port that is taken is told with its
address."""

import socket
from struct import Struct

from softswitch.errors import TransportError

#: Bytes of datagrams that may wait while the reactor is busy; the kernel may grant less.
RECEIVE_BUFFER = 4 * 1024 * 1024
#: Socket option of Linux: what a socket has in memory, as numbers of 32 bits; the first one is what
#: waits to be read, the second its limit.
SO_MEMINFO = 55
_MEMORY = Struct("=II")


def in_memory(of: socket.socket) -> tuple[int, int]:
    """Bytes of memory that hold what waits to be read, and how many there may be; 0 and 1 where
    the system, or a sandbox, does not tell."""
    try:
        memory = of.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMORY.size)
    except OSError:
        return 0, 1
    used, room = _MEMORY.unpack_from(memory)
    return used, room


def bound_socket(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """A non-blocking socket at an address of ours; "::" takes IPv6 alone, so that both families
    can have a listener each at the same port.

    :param kind: ``SOCK_DGRAM`` or ``SOCK_STREAM``.
    :param host: address literal without brackets.
    :param port: 0 for a free one.
    :raises TransportError: the address is taken or not ours; the text begins "host:port: ".
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # Without it a restart waits for old connections; on UDP it would share the port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.setblocking(False)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise TransportError(f"{written}: {error.strerror or error}") from error
    return bound
