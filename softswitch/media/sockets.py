"""A relay's sockets, and one epoll for all of them."""

import select
import socket
from collections.abc import Callable, Iterator

from softswitch.media.latch import SocketAddress

#: Packets taken per wake-up, one from each socket that has some; the others come next.
BATCH = 128

#: The option that marks packets, by the IP version.
_MARKS = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TOS),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
}


class Sockets:
    """UDP sockets behind one file descriptor.

    :param dscp: mark of the packets that go out (RFC 2474), 0 to 63.
    """

    def __init__(self, dscp: int) -> None:
        self._mark = dscp << 2
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[float], None]] = {}

    def fileno(self) -> int:
        """The descriptor that is readable while any packet waits."""
        return self._epoll.fileno()

    def serve(self, now: float) -> int:
        """Have what waits received, at most ``BATCH`` packets; how many there were."""
        ready = self._ready
        events = self._epoll.poll(0, BATCH)
        for descriptor, _ in events:
            if (receive := ready.get(descriptor)) is not None:
                receive(now)
        return len(events)

    def stop(self) -> None:
        """Close the descriptor."""
        self._epoll.close()

    def beside(self, first: socket.socket, peer: SocketAddress) -> socket.socket | None:
        """A second socket on the port of another, connected to a peer; None if there can be none.

        Packets of the peer come to the one that is connected, all others to the first (Linux, for
        one, prefers whom it fits best). The port is shared for this moment only: nobody else may
        bind to it, before or after.
        """
        try:
            sock = self.new(first.family)
        except OSError:
            return None
        try:
            for each in (first, sock):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(first.getsockname())
            sock.connect(peer)
        except OSError:
            sock.close()
            return None
        finally:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        return sock

    def waiting(self, sock: socket.socket) -> Iterator[tuple[bytes, SocketAddress]]:
        """All that has come to a socket."""
        while True:
            try:
                yield sock.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for what was sent before
                continue

    def watch(self, sock: socket.socket, receive: Callable[[float], None]) -> None:
        """Have ``receive`` called with the time whenever something has come."""
        self._ready[sock.fileno()] = receive
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def forget(self, sock: socket.socket) -> None:
        """Close a socket that is watched."""
        self._epoll.unregister(sock.fileno())
        del self._ready[sock.fileno()]
        sock.close()

    def new(self, family: int) -> socket.socket:
        """A socket for one IP version, not bound yet."""
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if self._mark:
            level, option = _MARKS[socket.AddressFamily(family)]
            sock.setsockopt(level, option, self._mark)
        return sock
