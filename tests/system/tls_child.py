"""A transport layer on real TLS sockets that answers every request; run by test_tls_sockets.

Its argument is a folder with certificates. Prints a JSON line per happening; the first holds the
ports. A request with ``X-Send: NAME HOST PORT`` is also passed on to that peer. A line "reload" on
its standard input reads the certificates anew; it ends when that ends.
"""

import json
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

from softswitch.errors import TransportError
from softswitch.sip.compose import response
from softswitch.sip.message import Request
from softswitch.sip.parser import Limits
from softswitch.transport.certificates import Certificates, Client, Paths, Proof, Server
from softswitch.transport.connection import Patience
from softswitch.transport.guests import ConnectionSettings
from softswitch.transport.handshake import WebSocketSettings
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.tls import TlsPort
from softswitch.transport.websocket import SecureWebSocketPort
from softswitch.wheel import Wheel

FOLDER = Path(sys.argv[1])
LISTENERS = [
    Listener("tls", "TLS", "127.78.0.1", 0),
    Listener("wanted", "TLS", "127.78.0.1", 0),
    Listener("mutual", "TLS", "127.78.0.1", 0),
    Listener("tls6", "TLS", "::1", 0),
    Listener("wss", "WSS", "127.78.0.1", 0, websocket=WebSocketSettings(handshake_seconds=1)),
    Listener("wss mutual", "WSS", "127.78.0.1", 0),
]
PORTS = {"TLS": TlsPort, "WSS": SecureWebSocketPort}


def proof(name):
    return Proof.read(Paths(FOLDER / f"{name}.pem", FOLDER / f"{name}.key"))


def read():
    authority = FOLDER / "authority.pem"
    ours = [proof("switch"), proof("second")]
    plain = Server(ours)
    return Certificates(
        {
            "tls": plain,
            "tls6": plain,
            "wanted": Server(ours, "wanted", authority),
            "mutual": Server(ours, "required", authority),
            "wss": plain,
            "wss mutual": Server(ours, "required", authority),
        },
        {
            "peer.example": Client(authority=authority, proof=ours[0]),
            "wild.example": Client(["sip.wild.example"], True, authority),
            "strict.example": Client(["sip.wild.example"], False, authority),
        },
    )


def tell(**happening):
    print(json.dumps(happening), flush=True)


class User:
    def __init__(self, layer):
        self.layer = layer

    def message_received(self, message, flow):
        if not isinstance(message, Request):
            return
        names = ", ".join(sorted(self.layer.names_on(flow)))
        body = b"x" * int(message.get("X-Answer") or 0)
        answer = response(message, 200, fields=[("X-Names", names)], body=body).encode()
        for _ in range(int(message.get("X-Times") or 1)):
            try:
                self.layer.send(answer, self.layer.response_flow(message, flow))
            except TransportError as error:
                tell(refused=str(error))
                break
        onward = message.get("X-Send")
        if onward is not None:
            name, host, port = onward.split()
            self.layer.send(message.encode(), self.layer.flow_to("TLS", host, int(port), name))

    def flow_failed(self, flow, reason):
        tell(failed=flow.remote_port, reason=reason, open=len(self.layer.connections))


class Input(LineReceiver):
    delimiter = b"\n"

    def lineReceived(self, line):
        global certificates
        certificates = read()
        tell(reloaded=True)

    def connectionLost(self, reason=None):
        reactor.stop()


def begin():
    layer = TransportLayer(LISTENERS, Limits(), Wheel(reactor))
    layer.user = User(layer)
    # The test does not wait for all ten seconds of a handshake.
    layer.guests.settings = ConnectionSettings(patience=Patience(handshake_seconds=1.0))
    for listener in LISTENERS:
        PORTS[listener.transport](layer, listener, reactor, lambda: certificates)
    tell(ports={listener.name: listener.port for listener in layer.listeners})


certificates = read()
StandardIO(Input())
reactor.callWhenRunning(begin)
reactor.run()
sys.exit(0)
