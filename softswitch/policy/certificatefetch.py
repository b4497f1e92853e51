"""Fetches the certificates of signers: over https, within a time and a size, from nobody else.

What is asked for has been read by ``certificatehosts``; here stands what is left to see to at the
connection itself. A name that is allowed may lead anywhere, so each address is looked at when it is
connected to: without the operator's word none is that is private, this machine's own, or no single
host's. Names are looked up as those of SIP are, without a thread that a dead server could hold. A
connection is for one question, and is aborted when that is over, whatever the other side does. A
redirection is followed on the same host, twice at most.
"""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final, TypeVar

import treq
from cryptography import x509
from OpenSSL.crypto import X509
from twisted.internet.address import IPv4Address as Address4
from twisted.internet.address import IPv6Address as Address6
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from zope.interface import implementer

from softswitch.errors import TransportError
from softswitch.policy.certificatecache import Fetched
from softswitch.policy.certificatehosts import Place
from softswitch.transport.hosts import is_address
from softswitch.transport.listener import Network
from softswitch.transport.search import LookUp

T = TypeVar("T")

#: Bytes of an answer; what is larger is none.
LONGEST: Final = 64 * 1024
#: Bytes of an answer's header are bounded by Twisted, lines and their number.
MOST_REDIRECTIONS: Final = 2

_HEADERS: Final = Headers({"Accept": ["application/pem-certificate-chain, */*;q=0.1"]})
_MOVED: Final = frozenset((301, 302, 303, 307, 308))
#: Networks in which an address of IPv4 stands at the end.
_NAT64: Final = ip_network("64:ff9b::/96")


class CertificateFetch:
    """Asks hosts for certificates.

    :param look_up: tells the addresses of a name.
    :param seconds: within which an answer has come whole.
    :param networks: with which one may connect though they are private.
    :param authorities: who vouches for the hosts; none for those whom the system believes.
    """

    def __init__(
        self,
        reactor: Any,
        look_up: LookUp,
        seconds: float,
        networks: Iterable[Network] = (),
        authorities: Iterable[x509.Certificate] = (),
    ) -> None:
        self._reactor = reactor
        self._look_up = look_up
        self._seconds = seconds
        self._networks = tuple(networks)
        trusted = [Certificate(X509.from_cryptography(each)) for each in authorities]
        root = trustRootFromCertificates(trusted) if trusted else None
        self._https = BrowserLikePolicyForHTTPS(root)

    def __call__(self, place: Place) -> Deferred[Fetched]:
        """What is there; fails where nothing is to be had."""
        careful = CarefulReactor(self._reactor, self._look_up, self.may_connect)
        pool = HTTPConnectionPool(careful, persistent=False)
        client = treq.client.HTTPClient(Agent(careful, self._https, self._seconds, pool=pool))
        fetching = Deferred.fromCoroutine(_fetched(client, place))
        fetching.addTimeout(self._seconds, self._reactor)
        return fetching.addBoth(careful.abort)

    def may_connect(self, host: str) -> bool:
        """Whether an address is public, or allowed all the same.

        :param host: an address literal.
        """
        address = ip_address(host.partition("%")[0])
        if any(address in network for network in self._networks):
            return True
        return all(map(_is_public, _inside(address) or (address,)))


async def _fetched(client: Any, place: Place) -> Fetched:
    """
    :raises TransportError: the answer is none that is wanted.
    """
    for _ in range(MOST_REDIRECTIONS + 1):
        response = await client.get(
            place.url, headers=_HEADERS, allow_redirects=False, unbuffered=True
        )
        if response.code not in _MOVED:
            break
        location = response.headers.getRawHeaders("Location") or [""]
        onwards = place.redirected(location[0])
        if onwards is None:
            raise TransportError("redirected to another host")
        place = onwards
    if response.code != 200:
        raise TransportError(f"answered {response.code}")
    lines = response.headers.getRawHeaders("Cache-Control") or []
    body = _Body()
    response.deliverBody(body)
    return Fetched(await body.done, max_age(lines))


@implementer(IReactorTime, IReactorTCP, IReactorPluggableNameResolver)
class CarefulReactor:
    """A reactor that connects with those only with whom it may, for one question.

    :param look_up: tells the addresses of a name.
    :param may_connect: whether an address literal is one of them.
    """

    def __init__(self, reactor: Any, look_up: LookUp, may_connect: Callable[[str], bool]) -> None:
        self._reactor = reactor
        self._may_connect = may_connect
        self._opened: list[Any] = []
        self.seconds = reactor.seconds
        self.callLater = reactor.callLater
        self.getDelayedCalls = reactor.getDelayedCalls
        self.nameResolver = _Resolver(look_up)

    def installNameResolver(self, resolver: Any) -> Any:
        """
        :raises TransportError: always: names are looked up as they are.
        """
        raise TransportError("it has a resolver")

    def abort(self, result: T) -> T:
        """The question is over: nothing stays open."""
        for connector in self._opened:
            if connector.state == "connecting":
                connector.stopConnecting()
            elif connector.state == "connected":
                connector.transport.abortConnection()
        return result

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Any:
        """
        :raises TransportError: one may not connect with that address.
        """
        if not self._may_connect(host):
            raise TransportError(f"{host} is no public address")
        connector = self._reactor.connectTCP(host, port, factory, timeout, bindAddress)
        self._opened.append(connector)
        return connector

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        :raises TransportError: always: nobody is to connect with us here.
        """
        raise TransportError("who fetches certificates does not listen")


@implementer(IHostResolution)
class _Resolution:
    """Names that are being looked up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Who has asked does not listen any more."""


@implementer(IHostnameResolver)
class _Resolver:
    """Looks names up for Twisted."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> _Resolution:
        """Tell where a name leads, or an address literal."""
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)

        def told(addresses: list[str]) -> None:
            for each in addresses:
                kind = Address6 if ":" in each else Address4
                resolutionReceiver.addressResolved(kind("TCP", each, portNumber))
            resolutionReceiver.resolutionComplete()

        if is_address(hostName):
            told([hostName])
        else:
            self._look_up(hostName, told)
        return resolution


class _Body(Protocol):
    """Collects the body of an answer, up to its bound."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._data = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """A part of it."""
        self._data += data
        if len(self._data) > LONGEST and not self.done.called:
            self.done.errback(TransportError(f"more than {LONGEST} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over, or broken off."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(bytes(self._data))
        else:
            self.done.errback(reason)


def max_age(lines: Iterable[str]) -> float | None:
    """For how many seconds an answer may be kept (RFC 9111 5.2.2); None where it does not say.

    :param lines: its Cache-Control.
    """
    found: float | None = None
    for line in lines:
        for directive in line.lower().split(","):
            name, _, value = directive.strip().partition("=")
            if name in ("no-store", "no-cache"):
                return 0.0
            value = value.strip('"')
            if name == "max-age" and value.isascii() and value.isdigit():
                found = float(value[:9])
    return found


def _inside(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """Addresses of IPv4 to which one of IPv6 leads."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved)
