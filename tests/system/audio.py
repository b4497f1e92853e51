"""Phones that talk through a media engine in a network of their own, and what each of them hears.

What a phone hears is taken from the wire at its own door and listened to: tones tell who is heard,
their level how loud.
"""

import socket
import struct
import time
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from baresip import Baresip
from engines import Engine
from namespaces import Namespace, Tap
from phones import bracketed
from processes import Switch

from softswitch.sdp.session import SessionDescription
from softswitch.testing.tones import (
    RATE,
    dominant,
    from_mulaw,
    level,
    seconds_above,
    to_mulaw,
    tone,
)

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

{listeners}
{users}
[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

"""
LISTENER = '[[listen]]\ntransport = "udp"\nbind = "{host}"\n\n'
USER = '[users.{name}]\npassword = "{name}-secret"\n{media}\n'

TONES = {"alice": 440, "bob": 1000, "carol": 1500}
#: What a phone's tone is in dB below full scale, and by how much it may seem otherwise.
LOUD, TOLERANCE = -10.3, 2.0
#: Samples in a packet of 20 ms.
SAMPLES = RATE // 50


class Hall:
    """A switch with one media engine, and phones.

    :param namespace: in which the switch runs.
    :param hosts: its addresses there, without brackets; phones register at the first one unless
        they say otherwise.
    :param running: ends whatever still runs.
    :param wants: user -> what his media are to be, as ``media`` in his table.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        namespace: Namespace,
        hosts: Sequence[str],
        running: ExitStack,
        wants: Mapping[str, str] = {},
    ) -> None:
        self.namespace = namespace
        self.hosts = hosts
        self._folder = folder
        self._running = running
        self._phones = 0
        media = engine.start(folder, namespace, hosts, running.callback)
        listeners = "".join(LISTENER.format(host=host) for host in hosts)
        users = "".join(
            USER.format(name=name, media=f"media = {wants[name]}\n" if name in wants else "")
            for name in TONES
        )
        configuration = CONFIGURATION.format(listeners=listeners, users=users) + media
        self.switch = Switch(configuration, folder, prefix=namespace.prefix)
        running.callback(self.switch.kill)

    def phone(
        self,
        name: str,
        host: str,
        namespace: Namespace | None = None,
        switch: str = "",
        encryption: str = "",
    ) -> "Listener":
        """A phone of that user, which has registered.

        :param host: its address, without brackets.
        :param namespace: where that is, if not where the switch is.
        :param switch: at which of the switch's addresses it registers, if not at the first.
        :param encryption: as ``Baresip`` has it; then only the phone itself can tell what it hears.
        """
        self._phones += 1
        there = namespace or self.namespace
        ports = range(30_000 + 100 * self._phones, 30_099 + 100 * self._phones)
        phone = Baresip(
            self._folder,
            name,
            f"{name}-secret",
            host,
            bracketed(switch or self.hosts[0]),
            TONES[name],
            namespace=there,
            control=f"127.1.1.{self._phones}",
            ports=ports,
            encryption=encryption,
        )
        self._running.callback(phone.kill)
        tap = Tap(there, ports)
        self._running.callback(tap.close)
        self.switch.until(lambda: self.switch.stats()["registrations"] == self._phones, 10)
        return Listener(name, phone, tap)

    def call(self, caller: "Listener", callee: "Listener") -> None:
        """One calls the other, who answers."""
        caller.phone.order("dial", f"sip:{callee.name}@{bracketed(self.hosts[0])}")
        for each in (caller, callee):
            each.phone.expect("CALL_ESTABLISHED")

    def heard(self, *listeners: "Listener", seconds: float = 1.2) -> list["array[int]"]:
        """What each of them hears for so long, once the audio has settled."""
        self.switch.pause(0.6)
        for each in listeners:
            each.tap.payloads()
        self.switch.pause(seconds)
        return [each.heard() for each in listeners]

    def hang_up(self, one: "Listener", other: "Listener") -> None:
        """One hangs up, and both hear of it."""
        one.phone.order("hangup")
        for each in (one, other):
            each.phone.expect("CALL_CLOSED")

    def close(self, *listeners: "Listener") -> None:
        """All end in order, and nothing has leaked."""
        for each in listeners:
            each.phone.quit()
        self.switch.until(lambda: self.switch.stats()["registrations"] == 0, 10)
        stats = self.switch.stats()
        assert (stats["calls"], stats["leaks"]) == (0, 0)
        assert self.switch.stop() == 0
        assert "stopped, 0 leaks" in self.switch.tail()


class Listener:
    """A phone, and an ear at its door."""

    def __init__(self, name: str, phone: Baresip, tap: Tap) -> None:
        self.name = name
        self.phone = phone
        self.tap = tap

    def heard(self) -> "array[int]":
        """What has come to it since it was asked last."""
        return from_mulaw(b"".join(self.tap.payloads()))


def is_tone(samples: "array[int]", name: str, seconds: float = 1.0) -> bool:
    """Whether these samples are somebody's tone and nobody else's, as loud as it was spoken, for so
    long without a break."""
    wanted = TONES[name]
    others = [TONES[each] for each in TONES if each != name]
    clear = all(seconds_above(samples, wanted, other) >= seconds for other in others)
    loud = abs(level(samples[-RATE // 2 :], wanted) - LOUD) < TOLERANCE
    return dominant(samples) == wanted and loud and clear


class Voice:
    """A phone's audio, played by the test: it speaks a tone and writes down what it hears.

    :param host: its address in ``namespace``; the kernel chooses the port.
    :param name: whose tone it speaks.
    """

    def __init__(self, namespace: Namespace, host: str, name: str) -> None:
        self._host = host
        self._socket = namespace.within(lambda: _bound(host))
        self._packets = [
            to_mulaw(tone(TONES[name], 1))[at : at + SAMPLES] for at in range(0, RATE, SAMPLES)
        ]
        self._sent = 0
        self._to = ("", 0)

    @property
    def port(self) -> int:
        """Where it is."""
        return int(self._socket.getsockname()[1])

    def description(self, version: int = 1) -> bytes:
        """What it offers or answers."""
        family = "IP6" if ":" in self._host else "IP4"
        return (
            f"v=0\r\no=- 7 {version} IN {family} {self._host}\r\ns=-\r\n"
            f"c=IN {family} {self._host}\r\nt=0 0\r\nm=audio {self.port} RTP/AVP 0\r\n"
        ).encode()

    def told(self, sdp: bytes) -> None:
        """Speak to where the other side's description says."""
        (section,) = SessionDescription.parse(sdp).media
        assert section.rtp is not None
        self._to = tuple(section.rtp)

    def talk(self, seconds: float) -> "array[int]":
        """Speak for so long; what was heard meanwhile."""
        heard: array[int] = array("h")
        begun = time.monotonic()
        for number in range(round(seconds * 50)):
            left = begun + number / 50 - time.monotonic()
            while left > 0:
                self._socket.settimeout(left)
                with suppress(TimeoutError):
                    heard += from_mulaw(self._socket.recv(2048)[12:])
                left = begun + number / 50 - time.monotonic()
            self._sent += 1
            header = struct.pack("!BBHII", 0x80, 0, self._sent, self._sent * SAMPLES, 7)
            packet = header + self._packets[self._sent % len(self._packets)]
            self._socket.sendto(packet, self._to)
        return heard

    def is_silent(self) -> bool:
        """Whether nothing has come since it last talked but for what was under way then."""
        self._socket.setblocking(False)
        came = 0
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(2048)
                came += 1
        return came <= 2

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _bound(host: str) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    found.bind((host, 0))
    return found
