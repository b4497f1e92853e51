"""What goes to a collector of Homer that does not do what it should, and what the log says."""

import pytest
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel

from softswitch.flight.homer import FAREWELL, Homer, HomerSettings
from softswitch.flight.recorder import FlightSettings, Recorder


class Wire(StringTransport):
    """A connection of which only we speak: what ends it is that nobody waits any more."""

    def __init__(self, reactor):
        super().__init__()
        self.ended_at = None
        self._reactor = reactor

    def setTcpKeepAlive(self, enabled):  # noqa: N802
        assert enabled

    def abortConnection(self):  # noqa: N802
        self.ended_at = self._reactor.seconds()


@pytest.fixture(name="reactor")
def _reactor():
    return MemoryReactorClock()


@pytest.fixture(name="homer")
def _homer(reactor):
    """One that is connected, and its connection."""
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 9060)
    recorder = Recorder(FlightSettings(), reactor.seconds)
    homer = Homer(HomerSettings("127.0.0.1", transport="tcp"), recorder, reactor, endpoint)
    homer.start()
    factory = reactor.tcpClients[0][2]
    protocol = factory.buildProtocol(None)
    homer.wire = Wire(reactor)
    protocol.makeConnection(homer.wire)
    homer.protocol = protocol
    homer.recorder = recorder
    return homer


def test_a_collector_that_never_closes_is_not_waited_for(homer, reactor):
    """It has read little, or does not answer the end of TLS: the switch stops all the same."""
    done = homer.stop()
    assert not done.called
    assert homer.wire.disconnecting
    reactor.advance(FAREWELL)
    assert homer.wire.ended_at == reactor.seconds()
    assert not reactor.getDelayedCalls()


def test_a_line_of_the_log_stands_with_its_call(homer, reactor):
    """The log names a Call-ID, or the call; the collector hears of the call's own id, as for its
    messages."""
    homer.recorder.leg_began("the-call", "a", "7@phone")
    for name in ("7@phone", "8@phone"):
        homer({"log_format": "hm", "log_level": LogLevel.info, "call_id": name, "log_time": 1.0})
    homer({"log_format": "ended", "log_level": LogLevel.info, "call": "the-call", "log_time": 2.0})
    homer.send()
    sent = homer.wire.value()
    assert sent.count(b"the-call") == 2
    assert b"ended" in sent
    assert b"7@phone" not in sent
    assert b"8@phone" in sent
    homer.stop()
    reactor.advance(FAREWELL)
