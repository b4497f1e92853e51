"""Thousands of slow connections to one switch, over TCP and TLS, and a good phone beside them.

Of the slow ones a quarter each sends half a message and no more; a byte of one each second; half a
handshake, at a byte a second; and a byte of a message each second over TLS.
"""

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import attrs
from phones import Phone
from siege import Siege

from softswitch.testing.authority import Authority

#: What the switch's certificate is for.
NAME: Final = "sip.example.org"
#: Sources of the slow ones, from this last number of their addresses; each has fewer connections
#: than it may.
FIRST, SOURCES = 70, 40
#: What is sent a byte at a time.
MESSAGE: Final = b"OPTIONS sip:slow@sip.example.org SIP/2.0\r\nSubject: " + b"x" * 1000
#: Parts of a second in which another part of the slow ones sends its byte.
PARTS = 20

CONFIGURATION = """
[[listen]]
transport = "tls"
bind = "{network}.1"
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"

[limits.connections]
handshake_seconds = {seconds}
silent_seconds = {seconds}
message_seconds = {seconds}
"""


@attrs.define
class Drip:
    """A slow connection.

    :ivar rest: what it has still to say, a byte a second.
    """

    line: socket.socket
    rest: bytes


class Swarm:
    """The slow connections, from ``start`` to ``stop``; their bytes are sent by a thread.

    :param context: of those who end their handshake.
    """

    def __init__(self, stack: ExitStack, network: str, context: ssl.SSLContext) -> None:
        self._stack = stack
        self._network = network
        self._context = context
        self._drips: list[Drip] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)

    def start(self, count: int) -> None:
        """Open so many, and have them speak."""
        kinds = (self._half_message, self._slow_message, self._half_handshake, self._slow_tls)
        for number in range(count):
            kinds[number % len(kinds)](f"{self._network}.{FIRST + number % SOURCES}")
        self._thread.start()

    def stop(self) -> None:
        """Have them say no more; the connections stay until the switch ends them."""
        self._over.set()
        self._thread.join()

    def _half_message(self, here: str) -> None:
        self._connected(here, 5060).sendall(b"INVITE sip:slow")

    def _slow_message(self, here: str) -> None:
        self._drips.append(Drip(self._connected(here, 5060), MESSAGE))

    def _half_handshake(self, here: str) -> None:
        hello, unread = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self._context.wrap_bio(unread, hello, server_hostname=NAME)
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        said = hello.read()
        line = self._connected(here, 5061)
        line.sendall(said[: len(said) // 2])
        self._drips.append(Drip(line, said[len(said) // 2 : -1]))

    def _slow_tls(self, here: str) -> None:
        line = self._context.wrap_socket(self._connected(here, 5061), server_hostname=NAME)
        self._drips.append(Drip(self._stack.enter_context(line), MESSAGE))

    def _connected(self, here: str, port: int) -> socket.socket:
        line = self._stack.enter_context(socket.socket())
        line.bind((here, 0))
        line.connect((f"{self._network}.1", port))
        return line

    def _drip(self) -> None:
        part = 0
        while not self._over.wait(1 / PARTS):
            part = (part + 1) % PARTS
            for drip in self._drips[part::PARTS]:
                with suppress(OSError):  # the switch has had enough of it
                    drip.line.sendall(drip.rest[:1])
                    drip.rest = drip.rest[1:]


class Beside:
    """A switch with TLS, a good phone, and the slow ones.

    :ivar siege: with the switch.
    :ivar before: what the switch has open without any connection.
    :param seconds: after which the switch has had enough of a slow one.
    """

    def __init__(self, stack: ExitStack, folder: Path, network: str, seconds: float) -> None:
        self._stack = stack
        authority = Authority(folder)
        authority.issue("switch", NAME)
        self._context = ssl.create_default_context(cafile=str(authority.certificate))
        further = CONFIGURATION.format(network=network, folder=folder, seconds=seconds)
        self.siege = Siege(stack, folder, network, phones=1, further=further)
        self._swarm = Swarm(stack, network, self._context)
        self.before = self.descriptors()

    def slow_down(self, count: int) -> None:
        """So many slow connections come."""
        self._swarm.start(count)
        self._stack.callback(self._swarm.stop)

    def measure(self, rounds: int) -> Sequence[float]:
        """Seconds that each of so many rounds took the good phone: to connect, to register, with a
        challenge, and to have an OPTIONS answered."""
        took = []
        for _ in range(rounds):
            begun = time.monotonic()
            network = self.siege.network
            with ExitStack() as stack:
                phone = Phone(
                    "new0",
                    f"{network}.40",
                    (f"{network}.1", 5061),
                    "tls",
                    context=self._context,
                    named=NAME,
                )
                stack.callback(phone.close)
                assert phone.register().status == 200
                asked = phone.request("OPTIONS", f"sip:{network}.1")
                assert phone.ask(asked)[1].status == 200
                took.append(time.monotonic() - begun)
            # Each round begins as a stranger's: faster ones are a flood, which the door holds back.
            self.siege.switch.pause(0.1)
        return took

    def descriptors(self) -> Counter[str]:
        """What the switch has open: "socket", "pipe" or a file's name -> how many. Its databases
        are left out: their threads open them when they first have something to write."""
        found: Counter[str] = Counter()
        for path in Path(f"/proc/{self.siege.switch.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found[path.readlink().name.partition(":")[0]] += 1
        for name in [name for name in found if ".sqlite" in name]:
            del found[name]
        return found
