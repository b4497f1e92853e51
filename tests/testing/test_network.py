"""The loop network: what a test may rely on."""

import pytest

from softswitch.errors import TransportError
from softswitch.testing.clock import VirtualClock
from softswitch.testing.network import LoopNetwork

A = ("10.0.0.1", 5060)
B = ("10.0.0.2", 5060)


def pair(transport="UDP", **options):
    """A clock, a network, and an endpoint at A and at B."""
    clock = VirtualClock()
    network = LoopNetwork(clock, **options)
    return clock, network, *(network.attach(*address, transport) for address in (A, B))


def message(number: int) -> bytes:
    return f"OPTIONS sip:{number} SIP/2.0\r\nContent-Length: 0\r\n\r\n".encode()


def test_everything_takes_the_delay():
    """Datagrams arrive in order after the delay; the log holds the second of sending."""
    clock, network, a, b = pair(delay=0.25)
    a.send(b"one", B)
    a.send(b"two", B)
    clock.run(0.24)
    assert b.received == []
    clock.run(0.01)
    assert b.received == [(0.25, b"one", A), (0.25, b"two", A)]
    assert network.log == [(0.0, "UDP", A, B, data, "delivered") for data in (b"one", b"two")]
    assert clock.idle


def test_chance_is_seeded():
    """The same seed makes the same network, another seed another."""
    fates = []
    for seed in (1, 1, 2):
        _, network, a, _ = pair(seed=seed, loss=0.3, duplicate=0.3)
        for number in range(50):
            a.send(message(number), B)
        fates.append([carried.fate for carried in network.log])
    assert fates[0] == fates[1] != fates[2]
    assert set(fates[0]) == {"delivered", "lost", "duplicated"}


def test_what_arrives_is_what_the_log_says():
    """Lost: never; duplicated: twice; else once."""
    clock, network, a, b = pair(seed=3, loss=0.3, duplicate=0.3, jitter=0.05, reorder=0.2)
    for number in range(100):
        a.send(message(number), B)
    clock.run(1)
    arrived = [received.data for received in b.received]
    times = {"lost": 0, "delivered": 1, "duplicated": 2}
    for carried in network.log:
        assert arrived.count(carried.data) == times[carried.fate]
    assert arrived != sorted(arrived, key=lambda data: int(data.split()[1][4:]))


def test_nobody_is_there():
    """A datagram to a free address or a silent host vanishes; the log says so."""
    clock, network, a, b = pair()
    a.send(b"x", ("10.0.0.3", 5060))
    network.silent.add("10.0.0.2")
    a.send(b"x", B)
    network.silent.clear()
    b.close()
    a.send(b"x", B)
    clock.run()
    assert [carried.fate for carried in network.log] == ["nobody"] * 3
    assert b.received == []


def test_an_address_has_one_owner():
    """UDP and TCP each; a taken address is told as by a socket."""
    network = LoopNetwork(VirtualClock())
    network.attach(*A, "UDP")
    network.attach(*A, "TCP")
    for transport in ("UDP", "TCP"):
        with pytest.raises(TransportError, match=r"10\.0\.0\.1:5060"):
            network.attach(*A, transport)


@pytest.mark.parametrize("split", [False, True])
def test_a_connection_carries_whole_messages_in_order(split):
    """However the stream is cut up, an endpoint's log holds whole messages."""
    clock, network, a, b = pair("TCP", delay=0.1, split=split, loss=1.0)
    sent = [message(number) for number in range(20)]
    for data in sent:
        a.send(data, B)
    clock.run(1)
    assert [received.data for received in b.received] == sent
    [back] = b.peers
    b.send(sent[0], back)
    clock.run(1)
    assert [received.data for received in a.received] == [sent[0]]
    assert {carried.transport for carried in network.log} == {"TCP"}


def test_an_end_that_does_not_read_holds_the_bytes():
    """They wait, in order, until it reads on."""
    clock, _, a, b = pair("TCP")
    a.send(message(1), B)
    clock.run()
    [back] = b.peers
    b.stream(back).reading = False
    a.send(message(2), B)
    clock.run()
    assert a.stream(B).unsent() == len(message(2))
    assert len(b.received) == 1
    b.stream(back).read_on()
    assert a.stream(B).unsent() == 0
    assert [received.data for received in b.received] == [message(1), message(2)]


def test_closing_delivers_first_and_aborting_does_not_wait():
    """A close comes after what was written; both ends hear of either."""
    clock, _, a, b = pair("TCP", delay=0.1)
    a.send(message(1), B)
    clock.run(0.1)
    a.stream(B).close()
    clock.run(1)
    assert len(b.received) == 1
    assert (a.peers, b.peers) == ([], [])
    a.send(message(2), B)
    clock.run(0.1)
    a.stream(B).abort()
    clock.run(1)
    assert (a.peers, b.peers) == ([], [])
    assert clock.idle
