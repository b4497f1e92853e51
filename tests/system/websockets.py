"""A WebSocket of a phone in the tests (RFC 6455), written by hand so that it can be broken, and
that phone itself."""

import base64
import hashlib
import os
import socket
import ssl
import struct
from collections.abc import Iterable

from phones import M, Phone

from softswitch.sip import compose
from softswitch.sip.message import Message
from softswitch.sip.parser import parse

WAIT = 10.0
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = base64.b64encode(b"sixteen bytes ok")


def handshake(host: str, path: str = "/", *more: str, protocol: str = "sip") -> bytes:
    """An opening handshake.

    :param more: further lines.
    :param protocol: "" for none.
    """
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY.decode()}",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True, masked: bool = True) -> bytes:
    """A frame of a client."""
    size = len(payload)
    if size < 126:
        length = bytes([size | (masked << 7)])
    elif size < 65536:
        length = struct.pack("!BH", 126 | (masked << 7), size)
    else:
        length = struct.pack("!BQ", 127 | (masked << 7), size)
    mask = os.urandom(4) if masked else b""
    whole = mask * (size // 4 + 1) if masked else bytes(size)
    hidden = (int.from_bytes(payload, "big") ^ int.from_bytes(whole[:size], "big")).to_bytes(size)
    return bytes([opcode | (final << 7)]) + length + mask + hidden


class WebSocket:
    """A connection to a WebSocket listener.

    :ivar answer: the head of what the handshake was answered with.
    :param opening: the bytes of the handshake; None for a good one.
    :param tls: whom it believes; None for a WebSocket in the clear.
    :param name: of the switch, in its certificate.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        here: str = "",
        opening: bytes | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "",
    ) -> None:
        plain = socket.create_connection(address, WAIT, (here, 0) if here else None)
        self.socket = tls.wrap_socket(plain, server_hostname=name or address[0]) if tls else plain
        self.own_port: int = self.socket.getsockname()[1]
        self._bytes = b""
        self.socket.sendall(handshake(address[0]) if opening is None else opening)
        self.answer = self._until(b"\r\n\r\n").decode()

    @property
    def status(self) -> int:
        """Of the answer to the handshake."""
        return int(self.answer.split()[1])

    @property
    def accepted(self) -> bool:
        """Whether it is a WebSocket now, of SIP (RFC 6455 4.1, RFC 7118 4.1)."""
        lines = self.answer.lower().split("\r\n")
        proof = base64.b64encode(hashlib.sha1(KEY + MAGIC).digest()).decode().lower()
        wanted = {f"sec-websocket-accept: {proof}", "sec-websocket-protocol: sip"}
        return self.status == 101 and wanted <= set(lines)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send a message in one frame."""
        self.socket.sendall(frame(payload, opcode))

    def send_in(self, pieces: Iterable[bytes], opcode: int = TEXT) -> None:
        """Send a message in several frames."""
        *first, last = pieces
        for piece in first:
            self.socket.sendall(frame(piece, opcode, final=False))
            opcode = CONTINUED
        self.socket.sendall(frame(last, opcode))

    def receive(self, seconds: float = WAIT) -> tuple[int, bytes]:
        """The next frame that is no ping: opcode and payload. Pings are answered.

        :raises ConnectionError: there is none any more.
        """
        while (found := self.frame(seconds))[0] == PING:
            self.send(found[1], PONG)
        return found

    def frame(self, seconds: float = WAIT) -> tuple[int, bytes]:
        """The next frame: opcode and payload.

        :raises ConnectionError: there is none any more.
        """
        self.socket.settimeout(seconds)
        head, size = self._take(2)
        if size == 126:
            size = int.from_bytes(self._take(2))
        elif size == 127:
            size = int.from_bytes(self._take(8))
        assert head & 128, "the switch sends messages in one frame"
        return head & 15, self._take(size)

    def closed_with(self) -> int:
        """The status code of the Close that comes next, after which there is nothing."""
        opcode, payload = self.receive()
        assert opcode == CLOSE, (opcode, payload)
        assert self.ended()
        return int.from_bytes(payload[:2])

    def ended(self) -> bool:
        """Whether the switch has closed the connection, without another word."""
        self.socket.settimeout(WAIT)
        try:
            return self._bytes == self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        """Be gone without a word."""
        self.socket.close()

    def __enter__(self) -> "WebSocket":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _take(self, size: int) -> bytes:
        while len(self._bytes) < size:
            self._read()
        taken, self._bytes = self._bytes[:size], self._bytes[size:]
        return taken

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._bytes:
            self._read()
        head, _, self._bytes = self._bytes.partition(mark)
        return head + mark

    def _read(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self._bytes += data


class WebPhone(Phone):
    """A phone in a page: it does not know its own address, and has none but its WebSocket.

    :ivar websocket: its connection.
    :ivar instance: by which it is known over several (RFC 5626 4.1).
    """

    def __init__(
        self,
        user: str,
        here: str,
        switch: tuple[str, int],
        transport: str = "ws",
        *,
        tls: ssl.SSLContext | None = None,
        name: str = "",
    ) -> None:
        self.websocket = WebSocket(switch, here=here, tls=tls, name=name)
        assert self.websocket.accepted, self.websocket.answer
        self._nowhere = f"{compose.new_tag()}.invalid"
        self.instance = f'"<urn:uuid:{user}>"'
        super().__init__(user, here, switch, transport)
        self._socket.close()

    @property
    def contact(self) -> str:
        """Where nobody finds it (RFC 7118 5.2)."""
        return f"sip:{self.user}@{self._nowhere};transport=ws"

    def close(self) -> None:
        """The page is left."""
        self.websocket.close()

    def send(self, message: M) -> M:
        """Send a message; nothing has to say how long it is."""
        whole = message.encode()
        self.websocket.send(whole.replace(b"Content-Length: 0\r\n", b""))
        return message

    def receive(self, seconds: float = 5) -> Message:
        """The next message.

        :raises TimeoutError: none came.
        :raises ConnectionError: the connection was closed.
        """
        opcode, payload = self.websocket.receive(seconds)
        if opcode == CLOSE:
            raise ConnectionError("closed")
        assert opcode == TEXT
        return parse(payload)

    def _via(self) -> str:
        transport = self._transport.upper()
        return f"SIP/2.0/{transport} {self._nowhere};branch={compose.new_branch()};rport"
