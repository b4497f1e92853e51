"""A listener: one address and port that we serve, and how a peer sees it. Pure.

Via, Contact, Record-Route and the relay's address on a leg all come from the listener that
faces the leg's peer, so that a switch with two network cards, or behind the one-to-one NAT of
a cloud, tells each side an address that it can reach.
"""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Literal

import attrs

from softswitch.transport.handshake import WebSocketSettings
from softswitch.transport.hosts import canonical_host, canonical_host_or_none, is_address
from softswitch.transport.routes import kernel_source

Network = IPv4Network | IPv6Network

#: What a listener of TLS wants of those who connect: no certificate, one that is good if they have
#: one, or a good one from everybody.
Clients = Literal["none", "wanted", "required"]


@attrs.frozen
class Facing:
    """What a peer sees of a listener.

    :ivar host: for Via, Contact and Record-Route; an address without brackets, or a name.
    :ivar port: goes with it.
    :ivar media_bind: address of ours to which the relay binds the ports that face the peer.
    :ivar media_host: address that the session descriptions sent to the peer show.
    :ivar webrtc: whether the peer is taken for a phone in a page.
    """

    host: str
    port: int
    media_bind: str
    media_host: str
    webrtc: bool = False


def _bare(host: str) -> str:
    return canonical_host(host)


@attrs.frozen
class Listener:
    """One address and port that we serve.

    :ivar name: unique; flows name their listener.
    :ivar transport: "UDP", "TCP", "TLS", "WS" or "WSS", as in a Via.
    :ivar bind_host: address literal without brackets; "0.0.0.0" and "::" mean every address of
        that family.
    :ivar port: 0 lets the kernel choose; the transport layer then knows the real one.
    :ivar advertise_host: what peers outside ``local_networks`` are told, an address or a name;
        None: our own address.
    :ivar advertise_port: goes with it; None: ``port``.
    :ivar media_host: address that peers outside ``local_networks`` find in session
        descriptions; None: ``advertise_host`` where it is an address, else our own.
    :ivar local_networks: peers in here are told our own address.
    :ivar algorithms: digest algorithms of our challenges, in the order of the challenges.
    :ivar websocket: how WebSockets are served; of the transports "WS" and "WSS".
    :ivar source_towards: our address towards a peer, or None where no route leads.
    """

    name: str
    transport: str
    bind_host: str = attrs.field(converter=_bare)
    port: int
    advertise_host: str | None = attrs.field(default=None, converter=canonical_host_or_none)
    advertise_port: int | None = None
    media_host: str | None = attrs.field(default=None, converter=canonical_host_or_none)
    local_networks: tuple[Network, ...] = ()
    algorithms: tuple[str, ...] = ("MD5",)
    websocket: WebSocketSettings = attrs.field(factory=WebSocketSettings)
    source_towards: Callable[[str], str | None] = attrs.field(
        default=kernel_source, eq=False, repr=False
    )

    @property
    def wildcard(self) -> bool:
        """Whether it serves every address of its family."""
        return self.bind_host in ("0.0.0.0", "::")

    def local_host(self, remote_host: str) -> str:
        """Our own address towards a peer: the bound one, or for a wildcard the kernel's."""
        if not self.wildcard:
            return self.bind_host
        return self.source_towards(remote_host) or self.bind_host

    def is_local(self, remote_host: str) -> bool:
        """Whether a peer is in one of the local networks."""
        if not self.local_networks:
            return False
        address = ip_address(remote_host)
        return any(address in network for network in self.local_networks)

    def facing(self, remote_host: str) -> Facing:
        """What the peer at ``remote_host``, an address without brackets, sees of us."""
        own = self.local_host(remote_host)
        if self.is_local(remote_host):
            return Facing(own, self.port, own, own, self.websocket.webrtc)
        shown = self.advertise_host
        if self.media_host is not None:
            media_host = self.media_host
        else:
            media_host = shown if shown is not None and is_address(shown) else own
        port, webrtc = self.advertise_port or self.port, self.websocket.webrtc
        return Facing(shown or own, port, own, media_host, webrtc)

    def bears(self, host: str) -> bool:
        """Whether ``host``, as ``canonical_host`` writes it, is an address or name of ours."""
        if host == self.bind_host or host == self.advertise_host:
            return True
        if not self.wildcard or not is_address(host) or (":" in host) != (":" in self.bind_host):
            return False
        return ip_address(host).is_loopback or self.source_towards(host) == host

    def is_hop(self, host: str, port: int) -> bool:
        """Whether a Via's sent-by or a Route with this host and port means this listener."""
        return port in (self.port, self.advertise_port) and self.bears(host)


def choose(listeners: Iterable[Listener], transport: str, remote_host: str) -> Listener | None:
    """The listener that faces a peer; None where none has its transport and address family.

    Preferred is the one whose local networks hold the peer, then the one bound to the kernel's
    source address for it, then a wildcard, else the first.
    """
    six = ":" in remote_host
    fitting = [
        listener
        for listener in listeners
        if listener.transport == transport and (":" in listener.bind_host) == six
    ]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    for listener in fitting:
        if listener.is_local(remote_host):
            return listener
    source = fitting[0].source_towards(remote_host)
    for listener in fitting:
        if listener.bind_host == source:
            return listener
    return next((listener for listener in fitting if listener.wildcard), fitting[0])
