"""A UDP listener on the reactor: its own reader, without ``DatagramProtocol``.

As long as datagrams are few, each is read at once. When they follow each other closely, the port
lets them gather and then reads them all: what a message costs is mostly that code and data have
left the processor's caches since the one before, and a wake-up that serves many pays for that once.
(Network cards do the same with their interrupts.) It waits until a ``BATCH`` can be expected, and
never longer than ``LONGEST``; a wake-up reads at most a batch, so that timers never stall. Sending
is one system call.
"""

import errno
import socket
from collections import deque
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorFDSet,
    IReactorTime,
    IReadDescriptor,
)
from twisted.logger import Logger
from zope.interface import implementer

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.sockets import bound_socket, in_memory

#: Datagrams read in one wake-up.
BATCH = 32
#: Seconds for which datagrams gather: the most by which one is delayed.
LONGEST = 0.020
#: Datagrams within that time for which to wait: fewer are not worth it.
WORTH = 6
#: How many known peers' flows are kept; when it is full, all are forgotten.
KEPT = 16_384
#: Seconds for which they are believed to be known; then the door is asked again.
BELIEVED = 60.0
#: Bytes of the largest datagram.
LARGEST = 65535
#: Bytes that a datagram takes in memory, about: of the usual size, with what the kernel keeps.
DATAGRAM = 2304

_log = Logger()


@implementer(IReadDescriptor)
class UdpPort:
    """The socket of a UDP listener.

    :ivar local_port: the port that is bound.
    :ivar fileno: for the reactor.
    :param reactor: reads are asked of it.
    :raises TransportError: when the address is taken or not ours.
    """

    def __init__(self, layer: TransportLayer, listener: Listener, reactor: IReactorFDSet) -> None:
        self._socket = bound_socket(socket.SOCK_DGRAM, listener.bind_host, listener.port)
        self.local_port: int = self._socket.getsockname()[1]
        self._layer = layer
        self._name = listener.name
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._gathering: IDelayedCall | None = None
        # Of those who are known; of all others the layer's door is asked for each datagram.
        self._flows: dict[Any, Flow] = {}
        self._emptied = self._clock.seconds()
        layer.door.changed.append(self._flows.clear)
        self._queue = layer.overload.queue()
        # When each of the last datagrams came that nobody had waited for.
        self._came: deque[float] = deque(maxlen=WORTH)
        # Seconds of the present wait, and what has been read since it was over.
        self._wait = LONGEST
        self._gathered = 0
        self.fileno = self._socket.fileno
        layer.attach(listener.name, self)
        reactor.addReader(self)

    def send(self, data: bytes, remote_host: str, remote_port: int) -> None:
        """Send one datagram. One that the kernel has no room for counts as lost on the way.

        :raises TransportError: when it is too large or no route leads there.
        """
        try:
            self._socket.sendto(data, (remote_host, remote_port))
        except (BlockingIOError, InterruptedError):
            self._layer.counters["lost: send buffer full"] += 1
        except ConnectionError:
            # The answer to an earlier datagram, whose port was closed: it says nothing of this.
            self._layer.counters["lost: port unreachable"] += 1
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                self._layer.counters["lost: send buffer full"] += 1
                return
            raise TransportError(f"UDP to {remote_host}: {error.strerror or error}") from error

    def doRead(self) -> None:
        """Read the datagram that has come; if it follows closely on others, let more gather."""
        came = self._came
        now = self._clock.seconds()
        came.append(now)
        if now - self._emptied > BELIEVED:
            self._flows.clear()
            self._emptied = now
        self._read(1)
        if came[-1] - came[0] < LONGEST and len(came) == WORTH and self._socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self._gathering = self._clock.callLater(self._wait, self._read_gathered)

    def close(self) -> None:
        """Let the port go. Harmless when repeated."""
        if self._socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self.connectionLost(None)

    def connectionLost(self, reason: object) -> None:
        """The reactor stops, or found the socket broken."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._socket.close()

    def _read_gathered(self) -> None:
        """Read what has gathered; as long as it was worth the wait, wait again."""
        self._gathering = None
        began = self._clock.seconds()
        if began - self._emptied > BELIEVED:
            self._flows.clear()
            self._emptied = began
        read = self._read(BATCH)
        if self._socket.fileno() < 0:
            return
        self._gathered += read
        wait = 0.0
        if read == BATCH:
            self._measure(began)
        else:
            self._queue.emptied()
            gathered, self._gathered = self._gathered, 0
            if gathered < WORTH:
                self._came.clear()
                self._wait = LONGEST
                self._reactor.addReader(self)
                return
            wait = self._wait = min(LONGEST, self._wait * BATCH / gathered)
        self._gathering = self._clock.callLater(wait, self._read_gathered)

    def _read(self, most: int) -> int:
        """Read so many datagrams, or fewer if there are no more, and tell how many there were.

        An exception costs the datagram that caused it, no other.
        """
        receive = self._socket.recvfrom
        flows = self._flows
        received = self._layer.received
        for read in range(most):
            try:
                data, address = receive(LARGEST)
            except (BlockingIOError, InterruptedError):
                return read
            except ConnectionError:
                continue
            except OSError:
                if self._socket.fileno() >= 0:
                    _log.failure("{listener}: cannot read", listener=self._name)
                return read
            flow = flows.get(address)
            try:
                if flow is None:
                    flow = self._enter(data, address)
                    if flow is None:
                        continue
                received(data, flow)
            except Exception:
                _log.failure("{listener}: a datagram broke us", listener=self._name)
        return most

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return self._name

    def _enter(self, data: bytes, address: tuple[Any, ...]) -> Flow | None:
        """The flow of a datagram whose sender is not remembered; None when it is not let in."""
        flow, known = self._layer.enter(data, self._name, address[0], address[1])
        if known and flow is not None:
            if len(self._flows) >= KEPT:
                self._flows.clear()
            self._flows[address] = flow
        return flow

    def _measure(self, began: float) -> None:
        """Tell of a backlog: a batch was full.

        :param began: when its reading began.
        """
        used, room = in_memory(self._socket)
        batches = used / (BATCH * DATAGRAM)
        self._queue.measured(batches * (self._clock.seconds() - began), used / room)
