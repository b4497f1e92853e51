"""Names looked up at a real name server on real sockets; run by test_names_live.

The server knows one zone and says nothing to questions about ``dead.example``. The arguments are
URIs: all are resolved at once, and a JSON line is printed for each as soon as it is known. The last
line holds how many threads the reactor has used.
"""

import json
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.names import authority, dns, resolve, server
from twisted.names.client import Resolver as Client
from twisted.names.hosts import Resolver as Hosts

from softswitch.sip.uri import Uri
from softswitch.transport.listener import Listener
from softswitch.transport.names import TIMEOUTS, Names
from softswitch.transport.resolver import Resolver, host_names

HERE = "127.77.53.1"
LISTENERS = [
    Listener("udp", "UDP", "127.0.0.1", 5060),
    Listener("udp6", "UDP", "::1", 5060),
    Listener("tcp", "TCP", "127.0.0.1", 5060),
    Listener("tls", "TLS", "127.0.0.1", 5061),
]
ZONE = {
    "example": [dns.Record_SOA("ns.example", "root.example", 1, 1, 1, 1, 1)],
    "_sip._udp.carrier.example": [
        dns.Record_SRV(10, 0, 5070, "a.carrier.example", ttl=60),
        dns.Record_SRV(20, 0, 5080, "b.carrier.example", ttl=60),
    ],
    "a.carrier.example": [dns.Record_A("127.77.53.10", ttl=60), dns.Record_AAAA("::1", ttl=60)],
    "b.carrier.example": [dns.Record_A("127.77.53.11", ttl=60)],
    "hosted.example": [
        dns.Record_NAPTR(10, 0, b"s", b"SIP+D2U", b"", b"_sip._udp.carrier.example", ttl=60),
        dns.Record_NAPTR(20, 0, b"s", b"SIPS+D2T", b"", b"_sips._tcp.carrier.example", ttl=60),
    ],
    "_sips._tcp.carrier.example": [dns.Record_SRV(0, 0, 5071, "b.carrier.example", ttl=60)],
    "alias.example": [dns.Record_CNAME("b.carrier.example", ttl=60)],
}


class Zone(authority.FileAuthority):
    """What the server knows."""

    def loadFile(self, filename):  # noqa: N802
        self.records = {name.encode(): records for name, records in ZONE.items()}
        self.soa = (b"example", ZONE["example"][0])


class Silent(resolve.ResolverChain):
    """Answers no question about a dead name."""

    def query(self, query, timeout=None):
        if b"dead" in query.name.name:
            return Deferred()
        return super().query(query, timeout)


def main(uris):
    factory = server.DNSServerFactory(authorities=[Zone("zone")])
    factory.resolver = Silent([Zone("zone")])
    port = reactor.listenUDP(0, dns.DNSDatagramProtocol(factory), interface=HERE)
    place = (HERE, port.getHost().port)

    def make():
        client = Client(servers=[place], timeout=TIMEOUTS, reactor=reactor)
        return resolve.ResolverChain([Hosts("/etc/hosts"), client])

    names = Names(make, reactor.seconds, host_names(reactor))
    resolver = Resolver(names.look_up, LISTENERS, names.look_up_service, names.look_up_pointers)
    waiting = set(uris)

    def told(uri, places):
        print(
            json.dumps(
                {"uri": uri, "places": [[part for part in place if part] for place in places]}
            ),
            flush=True,
        )
        waiting.discard(uri)
        if not waiting:
            print(json.dumps({"threads": len(reactor.getThreadPool().threads)}), flush=True)
            reactor.stop()

    for uri in uris:
        resolver.resolve(Uri.parse(uri), lambda places, uri=uri: told(uri, places))
    reactor.run()


main(sys.argv[1:])
