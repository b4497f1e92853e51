"""A peer on the loop network that speaks SIP by hand, message by message. Pure."""

from collections.abc import Callable, Iterable

from softswitch.errors import SipSyntaxError
from softswitch.flow import WEBSOCKETS, uri_transport
from softswitch.sip import compose
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.parser import Limits, parse
from softswitch.testing.ladder import Address
from softswitch.testing.network import LoopNetwork

#: A peer reads more than the switch does: what crosses gets fields of the switch's.
LIMITS = Limits(max_message=128 * 1024, max_fields=256)

SDP: Field = ("Content-Type", "application/sdp")


class Peer:
    """An address on the loop network that speaks SIP by hand.

    :ivar name: on the ladder.
    :ivar host: its address.
    :ivar port: goes with it.
    :ivar transport: "UDP" or "TCP"; "WS" and "WSS" of one in a web page, which knows no address
        of its own.
    :ivar received: every message that came: second, message, source.
    :ivar unread: those that ``expect`` has not looked at.
    :ivar unreadable: where what cannot be read goes; None for a peer whom that surprises.
    :param switch: host and port to which it sends by default.
    :param settle: lets the network come to rest after each thing that is done.
    """

    def __init__(
        self,
        network: LoopNetwork,
        name: str,
        address: Address,
        transport: str,
        switch: Address,
        settle: Callable[[], None],
    ) -> None:
        self.name = name
        self.host, self.port = address
        self.transport = transport
        self.switch = switch
        self.received: list[tuple[float, Message, Address]] = []
        self.unread: list[Message] = []
        self.unreadable: list[bytes] | None = None
        self.network = network
        self.settle = settle
        self.endpoint = network.attach(*address, transport, self._take)

    def send(self, message: Message | bytes, to: Address | None = None) -> None:
        """Send a message or any bytes, and let the network come to rest."""
        self._put(message if isinstance(message, bytes) else message.encode(), to)
        self.settle()

    def expect(self, what: str | int) -> Message:
        """The next message that came, which has to be ``what``, a method or a status.

        :raises AssertionError: when it is something else, or nothing came.
        """
        assert self.unread, f"{self.name}: nothing came, but {what} was expected"
        message = self.unread.pop(0)
        assert what in (kind(message), message.start_line()), (
            f"{self.name}: {message.start_line()} came, but {what} was expected"
        )
        return message

    def times(self, what: str | int) -> list[float]:
        """The seconds at which messages of a method or status came, copies too."""
        return [at for at, message, _ in self.received if kind(message) == what]

    def request(
        self,
        method: str,
        uri: str,
        *,
        caller: str = "",
        to: str = "",
        call_id: str = "",
        cseq: int = 1,
        fields: Iterable[Field] = (),
        body: bytes = b"",
        branch: str = "",
    ) -> Request:
        """A request with all that RFC 3261 8.1.1 wants; what is not given is new.

        :param caller: From field value.
        :param to: To field value.
        """
        fields = list(fields)
        named = any(name == "Content-Type" for name, _ in fields)
        described = [SDP] if body and not named else []
        via = f"SIP/2.0/{self.transport} {self.place};rport"
        return Request(
            method,
            uri,
            [
                ("Via", f"{via};branch={branch or compose.new_branch()}"),
                ("Max-Forwards", "70"),
                ("From", caller or f"{self.own};tag={compose.new_tag()}"),
                ("To", to or f"<{uri}>"),
                ("Call-ID", call_id or compose.new_call_id(self.host)),
                ("CSeq", f"{cseq} {method}"),
                ("Contact", self.contact),
                *described,
                *fields,
            ],
            body,
        )

    @property
    def contact(self) -> str:
        """Contact field value."""
        named = uri_transport(self.transport)
        transport = "" if self.transport == "UDP" else f";transport={named}"
        return f"<sip:{self.name}@{self.place}{transport}>"

    @property
    def place(self) -> str:
        """Where it says that it is: in Via and Contact (RFC 7118 5.2)."""
        if self.transport in WEBSOCKETS:
            return f"{self.name}-page.invalid"
        return f"{in_uri(self.host)}:{self.port}"

    @property
    def own(self) -> str:
        """Its From field value, without a tag."""
        return f"<sip:{self.name}@{in_uri(self.host)}>"

    def sdp(self, direction: str = "sendrecv", version: int = 1) -> bytes:
        """A session description with one audio stream to port 4000 of this address."""
        where = f"IN IP{'6' if ':' in self.host else '4'} {self.host}"
        lines = (
            "v=0",
            f"o={self.name} 77 {version} {where}",
            "s=-",
            f"c={where}",
            "t=0 0",
            "m=audio 4000 RTP/AVP 0",
            f"a={direction}",
        )
        return "".join(f"{line}\r\n" for line in lines).encode()

    def heard(self, message: Message, source: Address) -> None:
        """A message has come; a peer by hand only keeps it."""

    def _put(self, data: bytes, to: Address | None = None) -> None:
        self.endpoint.send(data, to or self.switch)

    def _take(self, data: bytes, source: Address) -> None:
        try:
            message = parse(data, limits=LIMITS)
        except SipSyntaxError:
            if self.unreadable is None:
                raise
            self.unreadable.append(data)
            return
        self.received.append((self.network.clock.seconds(), message, source))
        self.unread.append(message)
        self.heard(message, source)


def kind(message: Message) -> str | int:
    """A request's method, a response's status."""
    return message.status if isinstance(message, Response) else getattr(message, "method", "")


def in_uri(host: str) -> str:
    """A host as it stands in a URI: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
