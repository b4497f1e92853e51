"""What a connection knows of what waits on it: real sockets, a transport that only lends them."""

import socket
from contextlib import suppress
from types import SimpleNamespace

import pytest

from softswitch.sip.parser import Limits
from softswitch.testing.clock import VirtualClock
from softswitch.transport.layer import TransportLayer
from softswitch.transport.overload import RECENT
from softswitch.transport.tcp import BUFFERED, MUCH, TcpStream

HERE = "127.77.2.2"
#: What comes is keep-alives, in reads as large as Twisted's.
READ = b"\r\n" * (65536 // 2)


class World:
    """A connection whose bytes the test takes out of the socket, and its peer."""

    def __init__(self):
        self.clock = VirtualClock()
        self.layer = TransportLayer([], Limits(), self.clock)
        with socket.create_server((HERE, 0)) as server:
            self.peer = socket.create_connection(server.getsockname())
            self.ours, _ = server.accept()
        self.ours.setblocking(False)
        self.stream = TcpStream(self.layer)
        self.stream.connected = 1
        self.stream.transport = SimpleNamespace(getHandle=lambda: self.ours)

    def read(self, data=READ):
        """30 ms, and a read of so much."""
        self.clock.run(0.03)
        self.stream.dataReceived(data)

    @property
    def overloads(self):
        return self.layer.overload.times


@pytest.fixture
def world():
    world = World()
    yield world
    world.peer.close()
    world.ours.close()


def test_a_connection_that_is_behind_for_long(world):
    """Ten reads' worth waits, which takes 0.3 s: that is too much when it stays so for a second;
    after that it is known at once."""
    world.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    world.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    world.peer.sendall(b"x" * 655360)
    for _ in range(33):
        world.read()
    assert not world.overloads
    for _ in range(5):
        world.read()
    assert world.overloads == 1
    world.read(b"\r\n")
    world.clock.run(RECENT / 2)
    assert not world.layer.overload.now_on()
    for _ in range(2):
        world.read()
    assert world.layer.overload.now_on()
    assert world.overloads == 1


def test_a_connection_that_is_full(world):
    """Where the peer can send no more for the kernel to keep, most of the queue is at the peer."""
    world.peer.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            world.peer.send(READ)
    for _ in range(40):
        world.stream.dataReceived(READ)
        world.clock.run(0.03)
    assert world.overloads == 1


@pytest.mark.parametrize(("size", "waiting"), [(65536, 0), (65536, 65536), (MUCH - 1, 655360)])
def test_a_connection_that_keeps_up(world, size, waiting):
    """It reads much and leaves little, or reads so little that nothing can be waiting."""
    world.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    world.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    world.peer.sendall(b"x" * waiting)
    for _ in range(100):
        world.read(b"\r\n" * (size // 2))
    assert not world.overloads


class Below:
    """The buffer of Twisted's transport, and a kernel that takes so many bytes."""

    SEND_LIMIT = 128 * 1024

    def __init__(self, stream, takes):
        self.stream = stream
        self.takes = takes
        self.dataBuffer = b""
        self.offset = 0
        self._paused = False

    def write(self, data):
        self.dataBuffer += data
        if len(self.dataBuffer) - self.offset > BUFFERED:
            self._paused = True
            self.stream.pauseProducing()

    def doWrite(self):  # noqa: N802
        left = len(self.dataBuffer) - self.offset
        taken = min(left, self.takes)
        self.takes -= taken
        self.offset += taken
        if taken == left:
            self.dataBuffer, self.offset = b"", 0
            if self._paused:
                self._paused = False
                self.stream.resumeProducing()


def test_much_is_written_at_once(world):
    """As when much was read at once: the kernel is given what it takes before anybody says that the
    peer does not read."""
    below = world.stream.transport = Below(world.stream, 1 << 30)
    for _ in range(1000):
        world.stream.write(b"x" * 1000)
        assert world.stream.unsent() <= BUFFERED
    assert below.takes < (1 << 30) - 900_000


def test_a_peer_that_does_not_read(world):
    """What it has not taken is counted, and nothing else."""
    world.stream.transport = Below(world.stream, 500_000)
    for _ in range(600):
        world.stream.write(b"x" * 1000)
    assert world.stream.unsent() == 100_000
