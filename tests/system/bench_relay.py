"""What a packet costs the built-in relay, beside rtpengine in userspace.

Run by ``scripts/bench relay``. So many calls of G.711, each with a packet every 20 ms both ways,
cross one relay and the other in turn, several rounds; of the rounds the median counts. Each relay
runs on the first core, and whoever plays the phones on the last. He sends at even distances and
waits in a loop; a packet bears the time at which it was sent, and the kernel says when it came
back, so that neither is his own waking up. CPU time is that of all threads, by the scheduler. What
the kernel has dropped at the relays' sockets is theirs; what it has dropped at the phones' is the
phones' fault and told apart, as are the moments in which these were stopped.
"""

import gc
import json
import os
import random
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from time import time_ns
from typing import Any, NamedTuple

import attrs
from processes import Process
from twisted.protocols import amp

from softswitch.media.process import RelaySettings
from softswitch.media.wire import answer_from_wire, question_to_wire
from softswitch.plugin.media import MediaNetwork, MediaQuestion
from softswitch.sdp.session import SessionDescription

#: How many calls there are.
CALLS = (100, 300, 500)
SECONDS = 5
ROUNDS = 3
#: Seconds at the beginning of each round that do not count.
WARM_UP = 1
#: Milliseconds that a packet may take at the 99th percentile, and for how many calls at most the
#: figures are promised.
GREATEST_DELAY = 2.0
PROMISED = 300

#: Who is there -> the last number of his address.
HOSTS = {"softswitch": 1, "rtpengine": 2, "phones": 3}
#: On the first core, and before whatever else wants to have it, where that may be asked for.
ALONE = [*(["chrt", "-r", "1"] if os.geteuid() == 0 else []), "taskset", "-c", "0"]
INTERVAL = 20_000_000
#: Nanoseconds by which the phones may be behind; after more they do not hurry to catch up.
BEHIND = 500_000
#: Nanoseconds of silence after which nothing more will come.
SILENCE = 300_000_000
SAMPLES = 160
PACKET = struct.Struct("!BBHIIQ")
#: The option by which the kernel tells when a packet came, and what it says then (socket(7)).
SO_TIMESTAMPNS = 35
TIMESTAMP = struct.Struct("@qq")
ROOM = socket.CMSG_SPACE(TIMESTAMP.size)
SDP = (
    "v=0\r\no=- {call} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class Failed(Exception):
    """A run that went wrong."""


class Contender:
    """A relay on the first core.

    :ivar host: its address.
    """

    def __init__(self, process: Process, host: str) -> None:
        self.process = process
        self.host = host

    def cpu_nanoseconds(self) -> int:
        """CPU time of all its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def call(self, name: str, a: bytes, b: bytes) -> tuple[bytes, bytes]:
        """Anchor a call; the SDP that each side is told, the offerer's first."""
        raise NotImplementedError

    def hang_up(self, name: str) -> None:
        """Let go of a call."""
        raise NotImplementedError


class OurRelay(Contender):
    """``softswitch.media.process``, spoken to without a reactor."""

    def __init__(self, folder: Path, host: str) -> None:
        settings = RelaySettings(20000, 29999, 0.0, 600.0)
        path = folder / "relay.sock"
        words = ["--socket", str(path), "--settings", json.dumps(attrs.asdict(settings))]
        command = [*ALONE, sys.executable, "-m", "softswitch.media.process", *words]
        super().__init__(Process(command, folder, "softswitch"), host)
        self.process.until(path.exists, 15)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(path))
        self._asked = 0
        self._say(b"Hello")

    def _say(self, command: bytes, **arguments: bytes) -> dict[bytes, bytes]:
        self._asked += 1
        box = amp.AmpBox(_command=command, _ask=b"%d" % self._asked)
        for name, value in arguments.items():
            box[name.encode()] = value
        self._line.sendall(box.serialize())
        received = b""
        while True:
            received += self._line.recv(1 << 16)
            # It tells things by itself, too; they are none of ours.
            boxes = amp.parseString(received) if received.endswith(b"\0\0") else []
            for box in boxes:
                if box.get(b"_answer") == b"%d" % self._asked:
                    return dict(box)

    def call(self, name: str, a: bytes, b: bytes) -> tuple[bytes, bytes]:
        """Ask the two questions that a call has."""
        net = MediaNetwork(self.host, self.host)
        told = []
        for kind, sdp, source, target in (("offer", a, "a", "b"), ("answer", b, "b", "a")):
            question = MediaQuestion(1, name, kind, sdp, source, target, net, net, "")
            answer = answer_from_wire(
                self._say(b"Ask", question=question_to_wire(question))[b"answer"]
            )
            if answer.error is not None:
                raise Failed(f"softswitch: {answer.error}")
            told.append(answer.sdp)
        return told[1], told[0]

    def hang_up(self, name: str) -> None:
        """Release the session."""
        self._say(b"Release", session=name.encode())


class Rtpengine(Contender):
    """Debian's rtpengine without its kernel module, spoken to in bencode over UDP."""

    def __init__(self, folder: Path, host: str) -> None:
        ports = ["--port-min=30000", "--port-max=39999"]
        where = [f"--interface={host}", f"--listen-ng={host}:2223"]
        how = [
            "--config-file=none",
            "--table=-1",
            "-f",
            "-E",
            "--log-level=3",
            f"--pidfile={folder / 'rtpengine.pid'}",
        ]
        command = [*ALONE, "rtpengine", *how, *where, *ports]
        super().__init__(Process(command, folder, "rtpengine"), host)
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.connect((host, 2223))
        self._line.settimeout(0.2)
        self.process.until(self._is_there, 15)
        self._line.settimeout(5)

    def _is_there(self) -> bool:
        try:
            return self._say(command="ping")["result"] == b"pong"
        except OSError:
            return False

    def _say(self, **words: Any) -> dict[str, Any]:
        cookie = b"%x" % random.getrandbits(64)
        self._line.send(cookie + b" " + b"".join(bencoded(words)))
        while True:
            heard, _, answer = self._line.recv(65535).partition(b" ")
            if heard == cookie:
                said, _ = bdecoded(answer, 0)
                return dict(said)

    def call(self, name: str, a: bytes, b: bytes) -> tuple[bytes, bytes]:
        """Offer and answer."""
        common = {"call-id": name, "from-tag": "a", "ICE": "remove"}
        offered = self._say(command="offer", sdp=a, **common)
        answered = self._say(command="answer", sdp=b, **common, **{"to-tag": "b"})
        if "sdp" not in offered or "sdp" not in answered:
            raise Failed(f"rtpengine: {offered} {answered}")
        return answered["sdp"], offered["sdp"]

    def hang_up(self, name: str) -> None:
        """Delete the call, at once."""
        self._say(command="delete", **{"call-id": name, "from-tag": "a", "delete-delay": 0})


def bencoded(value: Any) -> Iterator[bytes]:
    """The bytes of a dictionary, list, text, bytes or number."""
    if isinstance(value, dict):
        yield b"d"
        for name in sorted(value):
            yield from bencoded(name)
            yield from bencoded(value[name])
        yield b"e"
    elif isinstance(value, int):
        yield b"i%de" % value
    else:
        written = value.encode() if isinstance(value, str) else value
        yield b"%d:%b" % (len(written), written)


def bdecoded(data: bytes, at: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends."""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"d", b"l"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = bdecoded(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        names = (name.decode() for name in items[::2])
        return dict(zip(names, items[1::2], strict=True)), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end


class Figures(NamedTuple):
    """What came of one round.

    :ivar cost: µs of CPU per packet.
    :ivar rate: packets per second that the phones got out.
    :ivar lost: packets that did not arrive, but for those that the phones had no room for.
    :ivar dropped: packets that the kernel dropped at the relay's sockets.
    :ivar missed: packets that it dropped at the phones'.
    :ivar delays: ms at the 50th and the 99th percentile, and the longest.
    :ivar stalls: how often the phones were stopped by something else on the machine.
    """

    cost: float
    rate: float
    lost: int
    dropped: int
    missed: int
    delays: tuple[float, float, float]
    stalls: int


class Phones:
    """All callers on one socket, and all callees on another."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._sockets = []
        for _ in range(2):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), 1 << 24)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.bind((host, 0))
            self._sockets.append(sock)

    def talk(self, contender: Contender, calls: int, seconds: int) -> Figures:
        """Make so many calls, talk in all of them, and hang up."""
        names = [f"bench-{random.getrandbits(32)}-{number}" for number in range(calls)]
        streams = []
        for name in names:
            a, b = (
                SDP.format(call=7, host=self.host, port=sock.getsockname()[1]).encode()
                for sock in self._sockets
            )
            for sock, told in zip(self._sockets, contender.call(name, a, b), strict=True):
                (section,) = SessionDescription.parse(told).media
                assert section.rtp is not None
                ssrc = random.getrandbits(32)
                streams.append(
                    (sock.sendto, bytearray(PACKET.size + SAMPLES - 8), section.rtp, ssrc)
                )
        try:
            self._exchange(streams, WARM_UP, [])
            hosts = contender.host, self.host
            before = [drops(host) for host in hosts]
            spent = contender.cpu_nanoseconds()
            delays: list[int] = []
            took, sent, stalls = self._exchange(streams, seconds, delays)
            spent = contender.cpu_nanoseconds() - spent
            dropped, missed = (drops(host) - had for host, had in zip(hosts, before, strict=True))
        finally:
            for name in names:
                contender.hang_up(name)
        delays.sort()
        shown = [delays[int(len(delays) * at)] / 1e6 for at in (0.5, 0.99)]
        return Figures(
            spent / 1e3 / sent,
            sent / took,
            sent - len(delays) - missed,
            dropped,
            missed,
            (shown[0], shown[1], delays[-1] / 1e6),
            stalls,
        )

    def _exchange(
        self, streams: list[Any], seconds: int, delays: list[int]
    ) -> tuple[float, int, int]:
        """Send at even distances and receive meanwhile, and a little longer.

        :param delays: gets what each packet took, ns.
        :returns: for how many seconds he sent, how many packets, and how often he himself was
            stopped for a while. He goes on then where he was, for it is no relay's fault.
        """
        now = time_ns
        pack, unpack, read = PACKET.pack_into, PACKET.unpack_from, TIMESTAMP.unpack
        listen = [sock.recvmsg for sock in self._sockets]
        stalls = 0
        distance = INTERVAL / len(streams)
        due = float(now() + 1_000_000)

        def receive(until: float) -> int:
            while True:
                for heard in listen:
                    try:
                        packet, ((_, _, came),), _, _ = heard(2048, ROOM)
                    except BlockingIOError:
                        continue
                    seconds, nanoseconds = read(came)
                    delays.append(seconds * 1_000_000_000 + nanoseconds - unpack(packet)[5])
                if (at := now()) >= until:
                    return at

        gc.collect()
        gc.disable()
        begun = now()
        for sequence in range(seconds * 1_000_000_000 // INTERVAL):
            for send, packet, there, ssrc in streams:
                at = receive(due)
                if at - due > BEHIND:
                    stalls += 1
                    due = at
                pack(packet, 0, 128, 0, sequence, sequence * SAMPLES, ssrc, at)
                send(packet, there)
                due += distance
        took = (now() - begun) / 1e9
        heard = -1
        while heard < len(delays):
            heard = len(delays)
            receive(now() + SILENCE)
        gc.enable()
        return took, seconds * 1_000_000_000 // INTERVAL * len(streams), stalls


@contextmanager
def alone() -> Iterator[None]:
    """Be on the last core, and before whatever else wants to have it, where that is allowed."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, cores)


def drops(host: str) -> int:
    """Packets that the kernel has dropped at UDP sockets that are bound to an address."""
    written = f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:"
    rows = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
    return sum(int(row[-1]) for row in rows if row[1].startswith(written))


def measure(folder: Path, network: str) -> list[str]:
    """Print a line for each number of calls and contender; what was promised and is not so."""
    missed = []
    hosts = {who: f"{network}.{number}" for who, number in HOSTS.items()}
    makers: dict[str, Callable[[Path, str], Contender]] = {
        "softswitch": OurRelay,
        "rtpengine": Rtpengine,
    }
    with ExitStack() as stack:
        stack.enter_context(alone())
        contenders = {}
        for name, make in makers.items():
            contenders[name] = make(folder, hosts[name])
            stack.callback(contenders[name].process.kill)
        phones = Phones(hosts["phones"])
        for calls in CALLS:
            rounds: dict[str, list[Figures]] = {name: [] for name in contenders}
            for _ in range(ROUNDS):
                for name, contender in contenders.items():
                    rounds[name].append(phones.talk(contender, calls, SECONDS))
            for name, figures in rounds.items():
                print(f"{name:<12}{calls:>4} calls: {_told(figures)}", flush=True)
            missed += [f"{calls} calls: {each}" for each in _missed(calls, rounds)]
    for each in missed:
        print(f"MISSED relay: {each}")
    return missed


def _told(figures: list[Figures]) -> str:
    """A line about the rounds."""
    costs = " ".join(f"{each.cost:.1f}" for each in figures)
    half, most, longest = (median(each.delays[at] for each in figures) for at in range(3))
    return (
        f"{median(each.cost for each in figures):>5.1f} µs of CPU per packet ({costs}) at "
        f"{median(each.rate for each in figures):.0f}/s, "
        f"{sum(each.lost for each in figures)} lost, "
        f"{sum(each.dropped for each in figures)} dropped at its sockets; "
        f"took {half:.2f} ms, p99 {most:.2f}, longest {longest:.2f}; the phones missed "
        f"{sum(each.missed for each in figures)} and were stopped "
        f"{sum(each.stalls for each in figures)} times"
    )


def _missed(calls: int, rounds: dict[str, list[Figures]]) -> Iterator[str]:
    """What is not as the issue wants it."""
    ours, theirs = rounds["softswitch"], rounds["rtpengine"]
    if calls > PROMISED:
        return
    if median(each.cost for each in ours) > median(each.cost for each in theirs):
        yield "more CPU per packet than rtpengine"
    if dropped := sum(each.dropped for each in ours):
        yield f"{dropped} packets dropped at our sockets"
    if median(each.delays[1] for each in ours) >= GREATEST_DELAY:
        yield f"packets take {GREATEST_DELAY:g} ms or more at the 99th percentile"
