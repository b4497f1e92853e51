"""A collector of HEP version 3 for the tests: over UDP, TCP or TLS, in a thread of its own."""

import socket
import ssl
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import attrs

#: Chunk -> what it is called here.
TEXTS = {0x000E: "password", 0x0011: "call", 0x0013: "node_name"}
NUMBERS = {
    0x0001: "family",
    0x0002: "protocol",
    0x0007: "source_port",
    0x0008: "target_port",
    0x0009: "second",
    0x000A: "microsecond",
    0x000B: "kind",
    0x000C: "node_id",
}
ADDRESSES = {0x0003: "source", 0x0004: "target", 0x0005: "source", 0x0006: "target"}


class Place(NamedTuple):
    """Where it listens."""

    host: str
    port: int


def decoded(packet: bytes) -> dict[str, Any]:
    """The chunks of a packet by name; those of vendors, and unknown ones, are a mistake."""
    magic, length = struct.unpack_from("!4sH", packet)
    assert magic == b"HEP3", packet[:20]
    assert length == len(packet)
    found: dict[str, Any] = {}
    at = 6
    while at < length:
        vendor, kind, size = struct.unpack_from("!HHH", packet, at)
        assert vendor == 0
        assert size >= 6
        content = packet[at + 6 : at + size]
        assert len(content) == size - 6
        at += size
        if kind in NUMBERS:
            found[NUMBERS[kind]] = int.from_bytes(content)
        elif kind in TEXTS:
            found[TEXTS[kind]] = content.decode()
        elif kind in ADDRESSES:
            family = socket.AF_INET6 if len(content) == 16 else socket.AF_INET
            found[ADDRESSES[kind]] = socket.inet_ntop(family, content)
        else:
            assert kind == 0x000F, kind
            found["payload"] = content
    assert at == length
    return found


@attrs.define
class Collector:
    """Takes every packet that comes.

    :ivar packets: decoded, in order.
    :ivar wrong: what could not be.
    :param certificate: PEM files of certificate and key, for TLS.
    """

    host: str
    transport: str
    certificate: tuple[Path, Path] | None = None
    packets: list[dict[str, Any]] = attrs.Factory(list)
    wrong: list[str] = attrs.Factory(list)
    _socket: socket.socket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((self.host, 9060))
        if self.transport != "udp":
            self._socket.listen()
        target = self._datagrams if self.transport == "udp" else self._connections
        threading.Thread(target=target, daemon=True).start()

    def close(self) -> None:
        """Listen no more; whoever waits on the socket is woken."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _datagrams(self) -> None:
        while True:
            try:
                packet = self._socket.recv(65536)
            except OSError:
                return
            if not packet:
                return
            self._take(packet)

    def _connections(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            try:
                connection = context.wrap_socket(connection, server_side=True)
            except OSError as error:
                self.wrong.append(repr(error))
                return
        stream = connection.makefile("rb")
        while True:
            try:
                head = stream.read(6)
                if len(head) < 6:
                    return
                length = int.from_bytes(head[4:])
                self._take(head + stream.read(length - 6))
            except OSError:
                return

    def _take(self, packet: bytes) -> None:
        try:
            self.packets.append(decoded(packet))
        except (AssertionError, struct.error, ValueError) as error:
            self.wrong.append(repr(error))
