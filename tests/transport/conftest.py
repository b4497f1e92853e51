"""A transport layer on a loop network, and somebody above it who writes down what rises."""

import attrs
import pytest

from softswitch.flow import Flow
from softswitch.sip.message import Message
from softswitch.sip.parser import Limits
from softswitch.testing.clock import VirtualClock
from softswitch.testing.network import LoopNetwork
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener

UDP = Listener("udp", "UDP", "10.0.0.1", 5060)
TCP = Listener("tcp", "TCP", "10.0.0.1", 5060)
UDP6 = Listener("udp6", "UDP", "2001:db8::1", 5060)


class Above:
    """The transport's user: a log of happenings in order."""

    def __init__(self) -> None:
        self.messages: list[tuple[Message, Flow]] = []
        self.failures: list[tuple[Flow, str]] = []

    def message_received(self, message: Message, flow: Flow) -> None:
        self.messages.append((message, flow))

    def flow_failed(self, flow: Flow, reason: str) -> None:
        self.failures.append((flow, reason))


@attrs.define
class Switch:
    clock: VirtualClock
    network: LoopNetwork
    layer: TransportLayer
    above: Above


@pytest.fixture
def make_switch():
    """Makes a switch with the listeners given, else UDP and TCP at 10.0.0.1:5060, on a network
    with the options given."""

    def make(*listeners: Listener, max_message: int = 16384, broken=None, **options) -> Switch:
        clock = VirtualClock()
        network = LoopNetwork(clock, **options)
        layer = TransportLayer(
            listeners or (UDP, TCP, UDP6), Limits(max_message), clock, broken=broken
        )
        layer.user = above = Above()
        network.join(layer)
        return Switch(clock, network, layer, above)

    return make


@pytest.fixture
def switch(make_switch):
    return make_switch()


@pytest.fixture
def request_bytes():
    """Makes an OPTIONS whose Via is as given."""

    def make(via: str = "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK1", *more: str) -> bytes:
        lines = [
            "OPTIONS sip:100@10.0.0.1 SIP/2.0",
            f"Via: {via}",
            "From: <sip:alice@example.com>;tag=a",
            "To: <sip:100@example.com>",
            "Call-ID: one",
            "CSeq: 1 OPTIONS",
            "Max-Forwards: 70",
            *more,
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    return make
