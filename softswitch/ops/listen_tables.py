"""The tables of the configuration that say where we listen, and how. Pure."""

from collections.abc import Iterable, Iterator
from typing import Literal

import attrs

from softswitch.flow import usual_port
from softswitch.ops.api_tables import ApiTable
from softswitch.ops.tls_tables import CertificateTable
from softswitch.ops.values import (
    Address,
    Algorithm,
    HostPort,
    Network,
    Origin,
    Port,
    Seconds,
    UrlPath,
)
from softswitch.transport.listener import Clients


@attrs.frozen
class WebSocketTable:
    """``[listen.websocket]``: see ``transport.handshake.WebSocketSettings``.

    :ivar webrtc: counts where the media engine knows WebRTC.
    """

    path: UrlPath = "/"
    origins: tuple[Origin, ...] = ()
    ping_seconds: Seconds = 25.0
    pong_seconds: Seconds = 10.0
    handshake_seconds: Seconds = 5.0
    webrtc: bool = True


@attrs.frozen
class ListenTable:
    """``[[listen]]``: one address and port that we serve; see ``transport.listener.Listener``.

    :ivar name: for the log; "" for one made of transport, address and port.
    :ivar algorithms: of our challenges; empty for those of ``[auth]``.
    :ivar websocket: how WebSockets are served; None for the defaults, and for other transports.

    Of TLS and secure WebSockets, files being PEM and seen from where the switch runs:

    :ivar certificate: what is shown, first the listener's own certificate and then its chain.
    :ivar key: that belongs to it, without a password.
    :ivar chain: more of the chain; "" for none.
    :ivar certificates: others, shown to those who ask for one of their names (SNI).
    :ivar client_certificates: whether who connects must show a certificate, too.
    :ivar client_ca: the authorities that vouch for those.
    """

    transport: Literal["udp", "tcp", "tls", "ws", "wss"]
    bind: Address = "0.0.0.0"
    port: Port = attrs.field()
    name: str = ""
    advertise: HostPort | None = None
    media_address: Address | None = None
    local_networks: tuple[Network, ...] = ()
    algorithms: tuple[Algorithm, ...] = ()
    certificate: str = ""
    key: str = ""
    chain: str = ""
    certificates: tuple[CertificateTable, ...] = ()
    client_certificates: Clients = "none"
    client_ca: str = ""
    websocket: WebSocketTable | None = None

    @port.default
    def _usual_port(self) -> int:
        return usual_port(self.transport.upper())

    @property
    def serves_pages(self) -> bool:
        """Whether who connects is taken for a phone in a page, whose media are WebRTC."""
        websocket = self.transport in ("ws", "wss")
        return websocket and (self.websocket is None or self.websocket.webrtc)

    @property
    def below(self) -> str:
        """What the kernel serves: "udp" or "tcp"."""
        return "udp" if self.transport == "udp" else "tcp"

    @property
    def called(self) -> str:
        """The name, or what stands for it."""
        return self.name or f"{self.transport}:{HostPort(self.bind, self.port)}"


def bound(listen: Iterable[ListenTable], api: ApiTable) -> Iterator[tuple[str, ListenTable]]:
    """Every address and port that is served, that of the API too: the key that says it, and what
    is bound."""
    for index, table in enumerate(listen):
        yield f"listen[{index}]", table
    if api.port is not None:
        yield "api", ListenTable("tcp", api.bind, api.port)
