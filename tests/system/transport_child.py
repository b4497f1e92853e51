"""A transport layer on real sockets that answers every request; run by test_transport_sockets.

Prints a JSON line per happening; the first holds the ports. A request with ``X-Send: TRANSPORT
HOST PORT`` is also passed on to that peer. A line on its standard input has it print the counters;
it ends when that ends.
"""

import json
import sys

from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO

from softswitch.errors import TransportError
from softswitch.sip.compose import response
from softswitch.sip.message import Request
from softswitch.sip.parser import Limits
from softswitch.sip.uri import Uri
from softswitch.transport.handshake import WebSocketSettings
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Resolver, host_names
from softswitch.transport.tcp import TcpPort
from softswitch.transport.udp import UdpPort
from softswitch.transport.websocket import WebSocketPort
from softswitch.wheel import Wheel

#: For tests of what is refused, and of what takes too long.
PAGES = WebSocketSettings("/sip", ("https://phone.example.org:443",))
IMPATIENT = WebSocketSettings(handshake_seconds=0.5)
PINGING = WebSocketSettings(ping_seconds=0.5, pong_seconds=0.5)
PORTS = {"UDP": UdpPort, "TCP": TcpPort, "WS": WebSocketPort}

LISTENERS = [
    Listener("udp", "UDP", "127.77.0.1", 0),
    Listener("udp6", "UDP", "::1", 0),
    Listener("tcp", "TCP", "127.77.0.1", 0),
    Listener("any6", "TCP", "::", 0),
    Listener("ws", "WS", "127.77.0.1", 0, websocket=PAGES),
    Listener("ws6", "WS", "::1", 0),
    Listener("impatient", "WS", "127.77.0.1", 0, websocket=IMPATIENT),
    Listener("pinging", "WS", "127.77.0.1", 0, websocket=PINGING),
]


def tell(**happening):
    print(json.dumps(happening), flush=True)


class User:
    def __init__(self, layer):
        self.layer = layer

    def message_received(self, message, flow):
        if not isinstance(message, Request):
            return
        if message.get("X-Fail"):
            raise RuntimeError("a defect above")
        body = b"caf\xe9" if message.get("X-Body") else b"x" * int(message.get("X-Answer") or 0)
        answer = response(message, 200, body=body).encode()
        for _ in range(int(message.get("X-Times") or 1)):
            try:
                self.layer.send(answer, self.layer.response_flow(message, flow))
            except TransportError as error:
                tell(refused=str(error))
                break
        onward = message.get("X-Send")
        if onward is not None:
            transport, host, port = onward.split()
            self.layer.send(message.encode(), self.layer.flow_to(transport, host, int(port)))

    def flow_failed(self, flow, reason):
        tell(failed=flow.remote_port, reason=reason)


class Input(Protocol):
    def dataReceived(self, data):
        tell(counters=dict(layer.counters))

    def connectionLost(self, reason=None):
        reactor.stop()


layer = TransportLayer(LISTENERS, Limits(), Wheel(reactor))


def begin():
    layer.user = User(layer)
    for listener in LISTENERS:
        PORTS[listener.transport](layer, listener, reactor)
    taken = []
    for name, port in (("udp", UdpPort), ("tcp", TcpPort)):
        [bound] = [listener for listener in layer.listeners if listener.name == name]
        try:
            port(layer, bound, reactor)
        except TransportError as error:
            taken.append(str(error))
    try:
        UdpPort(layer, Listener("udp", "UDP", "203.0.113.1", 5060), reactor)
    except TransportError as error:
        taken.append(str(error))
    ports = {listener.name: listener.port for listener in layer.listeners}
    resolver = Resolver(host_names(reactor), layer.listeners)
    resolver.resolve(Uri.parse("sip:localhost"), lambda found: tell(localhost=found))
    tell(ports=ports, taken=taken)


StandardIO(Input())
reactor.callWhenRunning(begin)
reactor.run()
sys.exit(0)
