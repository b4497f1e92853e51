"""When a UDP port reads: a real socket, a reactor that does only what the test says."""

import socket

import pytest
from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.internet.task import Clock
from zope.interface import directlyProvides

from softswitch.sip.parser import Limits
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.udp import BATCH, GATHER, UdpPort

HERE = "127.77.2.1"


class Reactor(Clock):
    """A clock that knows who wants to read."""

    def __init__(self):
        super().__init__()
        directlyProvides(self, IReactorFDSet, IReactorTime)
        self.rightNow = 1024.0
        self.readers = set()
        self.addReader = self.readers.add
        self.removeReader = self.readers.discard


class World:
    """A port, and a peer whose datagrams are empty lines, which the layer only counts."""

    def __init__(self):
        self.reactor = Reactor()
        self.layer = TransportLayer([Listener("udp", "UDP", HERE, 0)], Limits(), self.reactor)
        self.port = UdpPort(self.layer, self.layer.listeners[0], self.reactor)
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, number=1):
        for _ in range(number):
            self.peer.sendto(b"\r\n\r\n", (HERE, self.port.local_port))

    @property
    def read(self):
        return self.layer.counters["keep-alive"]

    @property
    def waits(self):
        """Whether the reactor is to say when something comes."""
        return self.port in self.reactor.readers

    @property
    def gathers(self):
        """Seconds until the port looks by itself, None where it does not."""
        waits = [each.getTime() - self.reactor.seconds() for each in self.reactor.calls]
        return round(waits[0], 6) if waits else None


@pytest.fixture
def world():
    world = World()
    yield world
    world.port.close()
    world.peer.close()
    assert not world.reactor.calls
    assert not world.reactor.readers


def test_one_after_a_silence_is_read_at_once(world):
    """A lone datagram waits for nothing and sets no timer, however often one comes."""
    for number in range(1, 4):
        world.reactor.advance(3 * GATHER)
        world.send()
        world.port.doRead()
        assert (world.read, world.waits, world.gathers) == (number, True, None)


def test_what_follows_closely_gathers(world):
    """From the second on they are read together, every ``GATHER`` seconds, until none has come;
    then the reactor says again when one comes."""
    world.send()
    world.port.doRead()
    world.reactor.advance(GATHER / 2)
    world.send()
    world.port.doRead()
    assert (world.read, world.waits) == (2, False)
    world.send(3)
    world.reactor.advance(GATHER / 2)
    assert world.read == 2
    world.reactor.advance(GATHER / 2)
    assert (world.read, world.waits) == (5, False)
    world.reactor.advance(GATHER)
    assert (world.waits, world.gathers) == (True, None)


def test_a_flood_is_read_in_batches_without_a_pause(world):
    """After a whole batch the reactor's other timers have their turn, then the next is read."""
    seen = []
    world.send(2 * BATCH + 5)
    world.port.doRead()
    world.port.doRead()
    assert (world.read, world.gathers) == (1 + BATCH, GATHER)
    world.reactor.callLater(GATHER, lambda: seen.append(world.read))
    world.reactor.advance(GATHER)
    assert seen == [1 + 2 * BATCH]
    assert (world.read, world.gathers) == (2 * BATCH + 5, GATHER)


def test_a_port_that_closes_while_datagrams_gather(world):
    """Nothing is read any more, and no timer is left."""
    world.send(2)
    world.port.doRead()
    world.port.doRead()
    world.send()
    world.port.close()
    world.reactor.advance(2 * GATHER)
    assert world.read == 2
