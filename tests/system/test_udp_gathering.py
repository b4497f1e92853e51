"""When a UDP port reads: a real socket, a reactor that does only what the test says."""

import socket

import pytest
from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.internet.task import Clock
from zope.interface import directlyProvides

from softswitch.sip.parser import Limits
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.udp import BATCH, BELIEVED, LONGEST, WORTH, UdpPort
from softswitch.wheel import Wheel

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
        listener = Listener("udp", "UDP", HERE, 0)
        self.layer = TransportLayer([listener], Limits(), Wheel(self.reactor))
        self.port = UdpPort(self.layer, self.layer.listeners[0], self.reactor)
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, number=1):
        for _ in range(number):
            self.peer.sendto(b"\r\n\r\n", (HERE, self.port.local_port))

    def begin(self):
        """Send so many that the port begins to gather."""
        for _ in range(WORTH):
            self.send()
            self.port.doRead()
        assert (self.read, self.waits, self.gathers) == (WORTH, False, LONGEST)

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


def test_few_are_read_at_once(world):
    """A datagram that comes alone, or with few others, waits for nothing and sets no timer, however
    often that happens."""
    sent = 0
    for _ in range(3):
        for _ in range(WORTH - 1):
            world.send()
            world.port.doRead()
            sent += 1
            assert (world.read, world.waits, world.gathers) == (sent, True, None)
        world.reactor.advance(1.5 * LONGEST)


def test_many_gather(world):
    """Where they follow each other closely they are read together, until too few come to wait for;
    then the reactor says again when one comes."""
    world.begin()
    world.send(WORTH)
    world.reactor.advance(LONGEST / 2)
    assert world.read == WORTH
    world.reactor.advance(LONGEST / 2)
    assert (world.read, world.waits, world.gathers) == (2 * WORTH, False, LONGEST)
    world.send(WORTH - 1)
    world.reactor.advance(LONGEST)
    assert (world.read, world.waits, world.gathers) == (3 * WORTH - 1, True, None)
    world.send()
    world.port.doRead()
    assert (world.read, world.waits) == (3 * WORTH, True)


def test_the_wait_is_no_longer_than_a_batch_needs(world):
    """The more come, the shorter each waits: about a batch is read each time. When fewer come it
    waits longer again, and never longer than LONGEST."""
    world.begin()
    for came, wait in (
        (2 * BATCH - 2, LONGEST * BATCH / (2 * BATCH - 2)),
        (BATCH - 1, LONGEST * BATCH**2 / (2 * BATCH - 2) / (BATCH - 1)),
        (WORTH, LONGEST),
    ):
        world.send(came)
        world.reactor.advance(world.gathers + 1e-6)
        world.reactor.advance(0)
        assert world.gathers == pytest.approx(wait, abs=1e-5)


def test_a_flood_is_read_in_batches_without_a_pause(world):
    """After a whole batch the reactor's other timers have their turn, then the next is read."""
    seen = []
    world.begin()
    world.send(2 * BATCH + 5)
    world.reactor.callLater(LONGEST, lambda: seen.append(world.read))
    world.reactor.advance(LONGEST)
    assert seen == [WORTH + BATCH]
    assert world.read == WORTH + 2 * BATCH + 5


def test_a_port_that_closes_while_datagrams_gather(world):
    """Nothing is read any more, and no timer is left."""
    world.begin()
    world.send()
    world.port.close()
    world.reactor.advance(2 * LONGEST)
    assert world.read == WORTH


def test_whoever_was_known_is_asked_for_again(world):
    """What the door has said of an address is believed for a minute, however much comes from
    there: after that a phone that has gone is a stranger's."""
    door = world.layer.door
    door.called(HERE)
    world.peer.bind((HERE, 0))
    asked = []
    standing = door.standing
    door.standing = lambda *args: asked.append(world.reactor.seconds()) or standing(*args)
    for _ in range(2 * int(BELIEVED)):
        world.send()
        world.port.doRead()
        world.reactor.advance(1)
    assert world.read == 2 * BELIEVED
    assert asked == [1024, 1024 + BELIEVED + 1]
