"""rtpengines without a socket: they speak NG, give out ports, may be silent, full or gone. Pure.

They keep to what Debian's rtpengine 10.5 was seen to do: an offer makes a call where there is none,
a repeated cookie gets the same answer, "delete" of the last leg but one ends the whole call, what
is unknown is "Unknown call-id".
"""

from collections.abc import Mapping
from itertools import count
from random import Random
from typing import Any

import attrs

from softswitch.errors import SdpSyntaxError
from softswitch.media.bencode import decode, encode
from softswitch.media.instances import Instance, Instances, Place
from softswitch.media.ng import NgClient
from softswitch.media.ngwitness import RtpengineWitness
from softswitch.sdp.rewrite import point_at
from softswitch.sdp.session import SessionDescription
from softswitch.wheel import Clock


@attrs.define
class FakeCall:
    """One call of an rtpengine.

    :ivar ports: leg -> RTP port of each m= line.
    :ivar blocked: legs that nobody hears.
    :ivar talks: leg -> whom it talks to.
    :ivar protocols: leg -> those of the m= lines that it has shown last.
    :ivar recording: whether it is recorded.
    :ivar packets: leg -> how many have come from it.
    """

    ports: dict[str, list[int]] = attrs.Factory(dict)
    blocked: set[str] = attrs.Factory(set)
    talks: dict[str, str] = attrs.Factory(dict)
    protocols: dict[str, list[str | None]] = attrs.Factory(dict)
    recording: bool = False
    packets: dict[str, int] = attrs.Factory(dict)


class FakeRtpengine:
    """One rtpengine.

    :ivar heard: all that was asked but pings and queries, in order: command -> the whole message.
    :ivar calls: by its name for them.
    :ivar silent: whether it answers nothing.
    :ivar gone: whether nobody listens there, as the network says at once.
    :ivar full: whether it takes no more calls.
    :ivar fails: what it says to every offer and answer; "" for what is right.
    :param host: address that its SDP shows.
    """

    def __init__(self, host: str, weight: int = 1) -> None:
        self.place = Place(host, 2223, weight)
        self.heard: list[dict[str, Any]] = []
        self.calls: dict[str, FakeCall] = {}
        self.silent = self.gone = self.full = False
        self.fails = ""
        self._said: dict[bytes, bytes] = {}
        self._ports = count(30000, 2)

    @property
    def commands(self) -> list[str]:
        """What was asked, without the details."""
        return [message["command"] for message in self.heard]

    def restart(self) -> None:
        """End, and be there again at once, without a memory."""
        self.calls.clear()
        self._said.clear()

    def answer(self, datagram: bytes) -> bytes:
        """What it says to that."""
        cookie, _, body = datagram.partition(b" ")
        if cookie not in self._said:
            self._said[cookie] = cookie + b" " + encode(self._obey(body))
        return self._said[cookie]

    def _obey(self, body: bytes) -> dict[str, Any]:
        read = decode(body)
        assert isinstance(read, dict)
        message: dict[str, Any] = {
            key: value if key == "sdp" else _text(value) for key, value in read.items()
        }
        command: str = message["command"]
        if command == "ping":
            return {"result": "pong"}
        if command != "query":
            self.heard.append(message)
        call = self.calls.get(message["call-id"])
        if command == "delete":
            return self._delete(message, call)
        if command == "offer" and self.full and call is None:
            return {"result": "load limit", "message": "Parallel session limit reached"}
        if command in ("offer", "answer") and self.fails:
            return {"result": "error", "error-reason": self.fails}
        if command == "offer" and call is None:
            call = self.calls[message["call-id"]] = FakeCall()
        if call is None:
            return {"result": "error", "error-reason": "Unknown call-id"}
        if command in ("offer", "answer"):
            return self._negotiate(message, call)
        if command == "block media":
            call.blocked.add(message["from-tag"])
        elif command == "unblock media":
            call.blocked.discard(message["from-tag"])
        elif command.endswith(" recording"):
            call.recording = command.startswith("start")
        return {"result": "ok", "tags": {leg: _tag(call, leg) for leg in call.ports}}

    def _negotiate(self, message: Mapping[str, Any], call: FakeCall) -> dict[str, Any]:
        offerer, answerer = message["from-tag"], message["to-tag"]
        answers = message["command"] == "answer"
        try:
            document = SessionDescription.parse(message["sdp"])
        except SdpSyntaxError:
            return {"result": "error", "error-reason": "Failed to parse SDP"}
        if answers and not {offerer, answerer} <= call.ports.keys():
            return {"result": "error", "error-reason": "Unknown tags"}
        for leg in (offerer, answerer):
            ports = call.ports.setdefault(leg, [])
            while len(ports) < len(document.media):
                ports.append(next(self._ports))
        call.talks[offerer], call.talks[answerer] = answerer, offerer
        shown = call.ports[offerer if answers else answerer]
        pairs = [
            None if section.refused else (port, port + 1)
            for section, port in zip(document.media, shown, strict=False)
        ]
        call.protocols[offerer if not answers else answerer] = [
            section.protocol for section in document.media
        ]
        wanted = message.get("transport-protocol")
        protocols = call.protocols[offerer] if answers else [wanted] * len(document.media)
        led = point_at(_spoken(document, protocols), self.place.host, pairs).encode()
        return {"result": "ok", "sdp": led}

    def _delete(self, message: Mapping[str, Any], call: FakeCall | None) -> dict[str, Any]:
        leg = message.get("from-tag", "")
        if call is None or (leg and leg not in call.ports):
            return {"result": "ok", "warning": "Call-ID not found or tags didn't match"}
        if leg:
            del call.ports[leg]
        if not leg or len(call.ports) < 2:
            del self.calls[message["call-id"]]
        return {"result": "ok"}


class FakeFarm:
    """A media engine on rtpengines that are not there.

    :ivar engine: the engine.
    :ivar leaked: what an rtpengine would not let go: session and leg.
    :ivar noted: how the instances were, one after the other: place and state.
    :param delay: seconds that a datagram takes each way.
    :param loss: the share of datagrams that get lost.
    :param duplicate: the share of those that come twice.
    """

    def __init__(
        self,
        clock: Clock,
        *rtpengines: FakeRtpengine,
        wait_seconds: float = 1.5,
        check_seconds: float = 5.0,
        delay: float = 0.001,
        loss: float = 0.0,
        duplicate: float = 0.0,
        seed: int = 2026,
    ) -> None:
        self.rtpengines = rtpengines
        self.leaked: list[tuple[str, str]] = []
        self.noted: list[tuple[str, str]] = []
        self._clock = clock
        self._delay = delay
        self._loss = loss
        self._duplicate = duplicate
        self._chance = Random(seed)
        self._instances: list[Instance] = []
        for number, each in enumerate(rtpengines):

            def send(datagram: bytes, number: int = number) -> None:
                self._send(number, datagram)

            self._instances.append(Instance(each.place, NgClient(clock, send)))
        self.instances = Instances(self._instances, clock, self._note, check_seconds)
        self.engine = RtpengineWitness(self.instances, clock, wait_seconds, self._leak)

    def _send(self, number: int, datagram: bytes) -> None:
        if self.rtpengines[number].gone:
            self.instances.refused(self._instances[number])
            return
        for _ in range(self._copies()):
            self._clock.callLater(self._delay, self._arrive, number, datagram)

    def _arrive(self, number: int, datagram: bytes) -> None:
        rtpengine = self.rtpengines[number]
        if not (rtpengine.silent or rtpengine.gone):
            answer = rtpengine.answer(datagram)
            for _ in range(self._copies()):
                client = self._instances[number].client
                self._clock.callLater(self._delay, client.received, answer)

    def _copies(self) -> int:
        if self._chance.random() < self._loss:
            return 0
        return 2 if self._chance.random() < self._duplicate else 1

    def _note(self, instance: Instance) -> None:
        self.noted.append((instance.place.host, instance.state))

    def _leak(self, session: str, leg: str) -> None:
        self.leaked.append((session, leg))


def _spoken(document: SessionDescription, protocols: list[str | None]) -> SessionDescription:
    """The document with other protocols; None for the one that it has."""
    media = []
    for section, protocol in zip(document.media, protocols, strict=True):
        first = section.lines[0].replace(section.protocol, protocol or section.protocol)
        media.append([first, *section.lines[1:]])
    return SessionDescription.of(document.lines, media)


def _tag(call: FakeCall, leg: str) -> dict[str, Any]:
    """What "query" tells of a leg."""
    packets = call.packets.get(leg, 0)
    endpoint = {"family": "IPv4", "address": "10.0.0.9", "port": 4000}

    def stream(port: int, packets: int) -> dict[str, Any]:
        stats = {"packets": packets, "bytes": 172 * packets, "errors": 0}
        flags = ["confirmed"] if packets else []
        return {
            "local port": port,
            "endpoint": endpoint,
            "advertised endpoint": endpoint,
            "last packet": 17,
            "flags": flags,
            "stats": stats,
        }

    medias = [
        {
            "index": index + 1,
            "type": "audio",
            "codec": "PCMU/8000",
            "streams": [stream(port, packets), stream(port + 1, 0)],
        }
        for index, port in enumerate(call.ports[leg])
    ]
    return {"tag": leg, "medias": medias}


def _text(value: Any) -> Any:
    """What was read, with text for bytes."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {key: _text(each) for key, each in value.items()}
    return [_text(each) for each in value] if isinstance(value, list) else value
