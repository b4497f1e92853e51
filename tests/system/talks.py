"""Calls by hand through a real switch: a trunk's phone calls another's, and both have an ear."""

import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from engines import relays
from phones import Phone, claimed_network
from processes import Switch

from softswitch.sdp.session import SessionDescription

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 0

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]

[trunks.callee]
addresses = ["{network}.3:{port}"]

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"
rules = [{{ match = ".*", trunk = "callee", {rule} }}]

[media]
ports = "{ports}"
processes = {processes}
grace_seconds = {grace}
{media}
"""

DEADLINE = 10.0


class Ear:
    """A side's RTP socket.

    :ivar there: where its packets go.
    """

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(DEADLINE)
        self.there = ("", 0)
        self._sequence = 0

    @property
    def sdp(self) -> bytes:
        """What it offers or answers."""
        host, port = self.socket.getsockname()
        return (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\n"
        ).encode()

    def told(self, sdp: bytes) -> None:
        """Take the relay's address."""
        (section,) = SessionDescription.parse(sdp).media
        assert section.rtp is not None
        self.there = tuple(section.rtp)

    def say(self, text: bytes) -> None:
        """Send one packet."""
        self._sequence += 1
        header = struct.pack("!BBHII", 128, 0, self._sequence, 160 * self._sequence, 7)
        self.socket.sendto(header + text, self.there)

    def hears(self) -> bytes:
        """The next packet; empty when none is waiting in the deadline."""
        try:
            return self.socket.recv(2048)[12:]
        except TimeoutError:
            return b""


class Talk:
    """One call through the switch, by a trunk's phone to another's."""

    def __init__(self, place: "Place", number: int) -> None:
        caller, callee = place.caller, place.callee
        self.ears = place.ear(caller), place.ear(callee)
        self.caller, self.callee = caller, callee
        described = [("Content-Type", "application/sdp")]
        uri = f"sip:{number}@{place.network}.1"
        self.invite = caller.send(caller.request("INVITE", uri, described, self.ears[0].sdp))
        offered = callee.request_received("INVITE")
        self.ears[1].told(offered.body)
        callee.answer(offered, 200, self.ears[1].sdp)
        self.answered = caller.response_received(200)
        self.ears[0].told(self.answered.body)
        caller.send(caller.within(self.invite, self.answered, "ACK"))
        self.ack = callee.request_received("ACK")

    def is_heard(self, text: bytes) -> bool:
        """Whether a packet arrives, each way."""
        here, there = self.ears
        here.say(b"to " + text)
        there.say(b"from " + text)
        return (there.hears(), here.hears()) == (b"to " + text, b"from " + text)

    def hang_up(self) -> int:
        """Say goodbye; the status of the answer."""
        return self.caller.ask_once(self.caller.within(self.invite, self.answered, "BYE")).status

    def hang_up_at_both_ends(self) -> bool:
        """Say goodbye, and let the other side agree."""
        self.caller.send(self.caller.within(self.invite, self.answered, "BYE"))
        self.callee.answer(self.callee.request_received("BYE"), 200)
        return self.caller.response_received(200).cseq.method == "BYE"

    @property
    def relay(self) -> int:
        """The number of the relay that carries it, of two."""
        return int(self.ears[0].there[1] >= 20500)


class Place:
    """A switch between a caller and a callee."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self.folder = folder
        self.network = stack.enter_context(claimed_network())
        here = (f"{self.network}.1", 5060)
        self.caller = Phone("caller", f"{self.network}.2", here)
        self.callee = Phone("callee", f"{self.network}.3", here)
        self.switch: Switch
        for phone in (self.caller, self.callee):
            stack.callback(phone.close)

    def start(
        self,
        processes: int = 1,
        grace: float = 30.0,
        ports: str = "20000-20999",
        media: str = "",
        rule: str = "strip = 0",
    ) -> Switch:
        """Start the switch, the first time or once more.

        :param media: further lines of its [media].
        :param rule: what else the rule says that leads all calls to the callee.
        """
        port = int(self.callee.contact.partition(";")[0].rpartition(":")[2])
        text = CONFIGURATION.format(
            network=self.network,
            port=port,
            processes=processes,
            grace=grace,
            ports=ports,
            media=media,
            rule=rule,
        )
        self.switch = Switch(text, self.folder)
        self._stack.callback(self.switch.kill)
        return self.switch

    def ear(self, phone: Phone) -> Ear:
        """A socket for one side's audio."""
        ear = Ear(phone.contact.partition("@")[2].partition(":")[0])
        self._stack.callback(ear.socket.close)
        return ear

    def relays(self) -> list[int]:
        """The process numbers of the switch's relays, the first one first."""
        return relays(self.folder)

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds, while the switch lives."""
        self.switch.until(holds, 4 * DEADLINE)
