"""The wire writes down what happens, in order."""

import pytest

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.sip.message import Response
from softswitch.testing.clock import VirtualClock
from softswitch.testing.wire import Wire

FLOW = Flow("udp", "UDP", "10.0.0.1", 5060, "10.0.0.9", 5062)


def test_one_log_of_happenings():
    """Bytes that were sent and what the user was told, each with its second."""
    wire = Wire(clock := VirtualClock())
    wire.send(b"INVITE", FLOW)
    clock.callLater(0.5, wire.send, b"INVITE")
    clock.callLater(0.7, wire.response_received, Response(180, "Ringing", []), None)
    clock.callLater(1, wire.cancelled, None, None)
    clock.callLater(2, wire.transaction_failed, None, "no ACK")
    clock.callLater(32, wire.timed_out, None)
    clock.run(40)
    assert wire.log == [
        (0.0, b"INVITE"),
        (0.5, b"INVITE"),
        (0.7, "180"),
        (1.0, "cancelled"),
        (2.0, "transaction failed: no ACK"),
        (32.0, "timed out"),
    ]


def test_a_broken_wire():
    """Sending raises, and nothing is written down but what the test's object notes."""
    wire = Wire(VirtualClock())
    assert wire.is_alive(FLOW)
    assert wire.response_flow(None, FLOW) is FLOW
    assert (wire.facing(FLOW).host, wire.facing(FLOW).port) == ("10.0.0.1", 5060)
    wire.broken = "no route"
    assert not wire.is_alive(FLOW)
    with pytest.raises(TransportError, match="no route"):
        wire.send(b"x", FLOW)
    wire.transport_failed(None, "no route")
    assert wire.log == [(0.0, "transport failed: no route")]
