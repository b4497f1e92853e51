"""A flow: the path on which a message came and its answer can go back. Pure.

A value, never a connection: it can be compared, used as a key, written down. It stands on the
ground floor because bindings, dialogs and a plug-in's views name flows, and none of them knows
a socket.
"""

from typing import NamedTuple

#: SIP over WebSocket (RFC 7118): each message is sent as a whole, and only the phone connects.
WEBSOCKETS = frozenset({"WS", "WSS"})


def uri_transport(transport: str) -> str:
    """What a URI's ``transport`` parameter says for a transport as a Via has it: "WSS" is "ws"
    there, too (RFC 7118 5.1)."""
    return "ws" if transport == "WSS" else transport.lower()


#: Transports that nobody can listen to on the way.
SECURE = frozenset(("TLS", "WSS"))


def usual_port(transport: str) -> int:
    """The port that is meant where none is said (RFC 3261 19.1.2).

    :param transport: as in a Via.
    """
    return 5061 if transport == "TLS" else 5060


class Flow(NamedTuple):
    """Where a message came from or goes to, and through which listener of ours.

    An address pair may be reused by another phone; the serial tells the connections apart.

    :ivar listener: name of the listener in the configuration.
    :ivar transport: "UDP", "TCP", "TLS", "WS" or "WSS", as in a Via.
    :ivar local_host: our end, an address literal without brackets.
    :ivar local_port: our end.
    :ivar remote_host: the peer's end, an address literal without brackets.
    :ivar remote_port: the peer's end.
    :ivar serial: number of the connection, from 1; 0 over UDP.
    """

    listener: str
    transport: str
    local_host: str
    local_port: int
    remote_host: str
    remote_port: int
    serial: int = 0

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself, so that SIP does not have to."""
        return self.transport != "UDP"

    @property
    def secure(self) -> bool:
        """Whether nobody can listen to it on the way."""
        return self.transport in SECURE
