"""A test phone's voice and ear: a tone as RTP, and what came from the other side (RFC 3550)."""

import struct
from array import array
from contextlib import suppress
from random import randrange
from secrets import randbits
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from softswitch.sdp.session import SessionDescription
from softswitch.testing.tones import RATE, from_mulaw, to_mulaw, tone

#: Seconds and samples of a packet.
INTERVAL = 0.02
SAMPLES = round(RATE * INTERVAL)
#: G.711 µ-law (RFC 3551 6).
PCMU = 0
#: Version 2, no padding, no extension, no sources.
_VERSION_2 = 0x80
_HEADER = struct.Struct("!BBHII")


class Voice(DatagramProtocol):
    """Speaks a tone in µ-law to one address and writes down what it hears.

    :ivar heard: samples, in the order of their arrival.
    :ivar packets: how many came.
    :param reactor: sends and tells time.
    :param host: our address.
    :param frequency: of the tone, Hz.
    """

    def __init__(self, reactor: Any, host: str, frequency: int) -> None:
        self.heard: array[int] = array("h")
        self.packets = 0
        spoken = to_mulaw(tone(frequency, 1))
        self._spoken = [spoken[at : at + SAMPLES] for at in range(0, RATE, SAMPLES)]
        self._host = host
        self._to = ("", 0)
        self._stream = randbits(32)
        self._sequence = 0
        self._port = _even_port(reactor, self, host)
        self._clock = LoopingCall.withCount(self._speak)
        self._clock.clock = reactor

    @property
    def description(self) -> bytes:
        """The SDP that offers this voice, or answers with it."""
        lines = [
            "v=0",
            f"o=- {self._stream} 1 IN IP4 {self._host}",
            "s=-",
            f"c=IN IP4 {self._host}",
            "t=0 0",
            f"m=audio {self._port.getHost().port} RTP/AVP {PCMU}",
            f"a=rtpmap:{PCMU} PCMU/{RATE}",
            "a=ptime:20",
        ]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def speak_to(self, description: bytes) -> None:
        """Begin to speak to where the other side's SDP says.

        :raises SdpSyntaxError: it cannot be read.
        """
        rtp = SessionDescription.parse(description).media[0].rtp
        if rtp is not None and not self._clock.running:
            self._to = rtp.host, rtp.port
            self._clock.start(INTERVAL)

    def stop(self) -> None:
        """Fall silent and give the port back."""
        if self._clock.running:
            self._clock.stop()
        self._port.stopListening()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A packet came."""
        if len(datagram) > _HEADER.size and datagram[0] == _VERSION_2 and datagram[1] & 0x7F == 0:
            self.packets += 1
            self.heard += from_mulaw(datagram[_HEADER.size :])

    def _speak(self, due: int) -> None:
        """Send what is due: more than one packet after the reactor was busy."""
        for _ in range(due):
            number = self._sequence
            header = _HEADER.pack(
                _VERSION_2,
                PCMU | (0x80 if number == 0 else 0),
                number & 0xFFFF,
                number * SAMPLES & 0xFFFFFFFF,
                self._stream,
            )
            self._port.write(header + self._spoken[number % len(self._spoken)], self._to)
            self._sequence += 1


def _even_port(reactor: Any, voice: Voice, host: str) -> Any:
    """A free port for RTP, an even number (RFC 3550 11)."""
    while True:
        with suppress(CannotListenError):
            return reactor.listenUDP(randrange(20_000, 60_000, 2), voice, interface=host)
