"""Two switches' transaction and transport layers on a bad network: every transaction ends."""

from collections import Counter

import pytest

from softswitch.sip import compose
from softswitch.sip.message import Request
from softswitch.sip.parser import Limits
from softswitch.testing.clock import VirtualClock
from softswitch.testing.network import LoopNetwork
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.server import Screened
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener

CALLS = 20


class Side:
    """One switch: as a caller it notes what it hears; as a callee it answers after a while."""

    def __init__(self, network, clock, host, transport):
        self.clock = clock
        self.transport = TransportLayer([Listener("l", transport, host, 5060)], Limits(), clock)
        network.join(self.transport)
        self.layer = TransactionLayer(clock, self.transport)
        self.layer.user = self
        self.transport.user = self.layer
        self.heard = {}
        self.asked = Counter()

    def send(self, method, number, to):
        fields = [
            ("From", "<sip:a@x>;tag=a"),
            ("To", "<sip:b@y>"),
            ("Call-ID", f"c{number}"),
            ("CSeq", f"{number} {method}"),
        ]
        flow = self.transport.flow_to(self.transport.listeners[0].transport, to, 5060)
        transaction = self.layer.send_request(
            Request(method, "sip:b@y", fields), flow, self, scope=None
        )
        self.heard[transaction] = []
        return transaction

    def response_received(self, response, transaction):
        if response.status >= 200:
            self.heard[transaction].append(str(response.status))

    def timed_out(self, transaction):
        self.heard[transaction].append("timed out")

    def transport_failed(self, transaction, reason):
        self.heard[transaction].append(reason)

    def screen(self, request, flow):
        return Screened()

    def request_received(self, request, transaction):
        self.asked[request.call_id] += 1
        transaction.adopt(None, self)
        if request.method == "INVITE":
            self.clock.callLater(3, self._respond, request, transaction, 486)
        else:
            self._respond(request, transaction, 200)

    def cancelled(self, transaction, cancel):
        self._respond(transaction.request, transaction, 487)

    def transaction_failed(self, transaction, reason):
        pass

    def ack_received(self, request, flow):
        pass

    def stray_response(self, response, flow):
        pass

    def _respond(self, request, transaction, status):
        transaction.respond(compose.response(request, status, to_tag="b"))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_every_transaction_ends(seed, transport):
    """With loss, delay, duplicates and reordering: each client hears of one end, each request is
    served once, and nothing is left, neither timer nor transaction (section 17)."""
    clock = VirtualClock()
    network = LoopNetwork(
        clock, seed, delay=0.02, jitter=0.1, loss=0.3, duplicate=0.1, reorder=0.1, split=True
    )
    near = Side(network, clock, "127.0.0.1", transport)
    far = Side(network, clock, "127.0.0.2", transport)
    for number in range(CALLS):
        invite = near.send("INVITE", number, "127.0.0.2")
        near.send("BYE", CALLS + number, "127.0.0.2")
        if number % 3 == 0:
            clock.callLater(1, invite.cancel)
        clock.run(0.1)
    clock.run(200)
    assert [ends for ends in near.heard.values() if len(ends) != 1] == []
    assert set(far.asked.values()) <= {1}
    assert list(near.layer) == list(far.layer) == []
    ends = Counter(end for ends in near.heard.values() for end in ends)
    if transport == "TCP":
        assert ends == {"200": 20, "486": 13, "487": 7}
        near.transport.stop()
        far.transport.stop()
        clock.run_until_idle()
    else:
        assert ends["200"] >= 15
    assert clock.idle


def test_a_connection_that_is_refused():
    """The client hears why, once, and not before ``send_request`` has returned (17.1.4)."""
    clock = VirtualClock()
    network = LoopNetwork(clock, delay=0.02)
    near = Side(network, clock, "127.0.0.1", "TCP")
    invite = near.send("INVITE", 1, "127.0.0.2")
    assert near.heard[invite] == []
    clock.run_until_idle()
    assert near.heard[invite] == ["connection refused"]
    assert list(near.layer) == []
