"""What a rate table of a million prefixes costs: ``scripts/bench rates``.

A running switch routes calls by a small table, which is twice replaced by one of a million
prefixes: the second time the old one, as large, is still there. Meanwhile calls come, fifty a
second, to numbers all over the table. Of each the time to the first answer is taken. The switch
sends a 100 of its own only where nothing better comes within 200 ms, so that what the callee sends
at once, 180, has gone through it twice when it counts for us.

Memory is that of the switch and of the process that reads for it, taken together at the worst
moment, and both tables as if every page of them were in it. Look-ups are those of random numbers,
so that the processor has nothing at hand; CPU time, the median of several rounds. Loading is
measured by the clock, and at a low priority: on a machine that has something else to do it says
nothing, so the load of the machine is told, too.
"""

import os
import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

from processes import Switch

from softswitch.policy import ratefile, raterows
from softswitch.policy.ratetable import RateTable
from softswitch.sip import compose
from softswitch.sip.message import Request
from softswitch.sip.parser import parse

#: What the issue asks for.
GREATEST_LOAD_SECONDS = 10.0
GREATEST_WAIT_SECONDS = 0.2
GREATEST_MEGABYTES = 300.0
GREATEST_LOOK_UP_MICROSECONDS = 5.0

PREFIXES = 1_000_000
CALLS_PER_SECOND = 50
LOOK_UPS = 100_000
ROUNDS = 5

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.3"]

{trunks}
[[policy]]
use = "trunks"

[[policy]]
use = "rates"
file = "{file}"

[media]
engine = "bypass"
"""

TRUNKS = [f"carrier{number}" for number in range(10)]
#: Some prices are valid since long, some for some time, some are still to come.
DATES = ("", "2026-01-01", "2026-10-01", "2035-01-01")

HEAD = "prefix,price,valid_from,trunk"

INVITE = """\
INVITE sip:+{number}@{network}.1 SIP/2.0
Via: SIP/2.0/UDP {network}.3:5060;branch=z9hG4bK{id}
From: <sip:caller@{network}.3>;tag={id}
To: <sip:+{number}@{network}.1>
Call-ID: {id}
CSeq: 1 INVITE
Max-Forwards: 70
Contact: <sip:caller@{network}.3>
Content-Length: 0

"""


def write_rates(path: Path, seed: int) -> None:
    """A million prefixes of two to nine digits, in no order; every third has two of ten trunks."""
    chance = random.Random(seed)
    seen: set[str] = set()
    part = path.with_suffix(".part")
    with part.open("w", encoding="ascii") as file:
        print(HEAD, file=file)
        while len(seen) < PREFIXES:
            length = chance.choice((2, 3, 4, 5, 6, 6, 7, 7, 7, 8, 8, 9))
            prefix = str(chance.randrange(10 ** (length - 1), 10**length))
            if prefix not in seen:
                seen.add(prefix)
                for trunk in chance.sample(TRUNKS, chance.choice((1, 1, 2))):
                    price = f"0.{chance.randrange(100_000):05}"
                    print(f"{prefix},{price},{chance.choice(DATES)},{trunk}", file=file)
    os.replace(part, path)


def number(chance: random.Random) -> str:
    """A number that somebody may dial."""
    return str(chance.randrange(10**11, 10**12))


class Calls:
    """Calls through the switch that are refused as soon as they ring.

    :ivar waits: seconds from each INVITE to its first answer.
    """

    def __init__(self, network: str) -> None:
        self.waits: list[float] = []
        self._network = network
        self._chance = random.Random(0)
        self._caller, self._callee = (self._bound(f"{network}.{host}") for host in (3, 4))
        self._asked: dict[str, float] = {}
        self._next = time.monotonic()

    def until(self, hoped: Callable[[], bool], seconds: float) -> None:
        """Call and be called until what is hoped for has come.

        :raises TimeoutError: it has not.
        """
        end = time.monotonic() + seconds
        while not hoped():
            now = time.monotonic()
            if now > end:
                raise TimeoutError(f"waited {seconds:g} s in vain")
            if now >= self._next:
                self._call(now)
                self._next += 1 / CALLS_PER_SECOND
            both = [self._caller, self._callee]
            for readable in select.select(both, [], [], max(0.0, self._next - now))[0]:
                data = readable.recv(65536)
                if readable is self._caller:
                    self._caller_hears(data)
                else:
                    self._callee_hears(data)

    def close(self) -> None:
        """Be gone."""
        self._caller.close()
        self._callee.close()

    def _bound(self, host: str) -> socket.socket:
        made = socket.socket(type=socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind((host, 5060))
        made.connect((f"{self._network}.1", 5060))
        return made

    def _call(self, now: float) -> None:
        called, name = number(self._chance), f"{os.getpid()}-{now:.6f}"
        text = INVITE.format(network=self._network, number=called, id=name)
        self._asked[name] = time.monotonic()
        self._caller.send(text.replace("\n", "\r\n").encode())

    def _caller_hears(self, data: bytes) -> None:
        response = parse(data)
        assert not isinstance(response, Request)
        begun = self._asked.pop(response.call_id, None)
        if begun is not None:
            self.waits.append(time.monotonic() - begun)
        if response.status >= 300:
            via = f"SIP/2.0/UDP {self._network}.3:5060;branch=z9hG4bK{response.call_id}"
            fields = [
                ("Via", via),
                ("From", str(response.from_)),
                ("To", str(response.to)),
                ("Call-ID", response.call_id),
                ("CSeq", "1 ACK"),
            ]
            self._caller.send(Request("ACK", f"sip:{self._network}.1", fields).encode())

    def _callee_hears(self, data: bytes) -> None:
        request = parse(data)
        if isinstance(request, Request) and request.method == "INVITE":
            contact = [("Contact", f"<sip:{self._network}.4>")]
            for status in (180, 603):
                answer = compose.response(request, status, to_tag="callee", fields=contact)
                self._callee.send(answer.encode())


class Memory:
    """What a process and those that it started take, at the worst moment."""

    def __init__(self, pid: int) -> None:
        self.worst = 0.0
        self._pid = pid
        self._taken = 0.0

    def look(self) -> None:
        """Take the present moment into account, ten times a second."""
        now = time.monotonic()
        if now < self._taken + 0.1:
            return
        self._taken = now
        self.worst = max(self.worst, sum(map(_megabytes, _family(self._pid))))


def _family(pid: int) -> Iterator[int]:
    """A process and its children, and theirs."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))
    except OSError:  # it is gone
        return


def _megabytes(pid: int) -> float:
    """Resident memory of a process but for its tables; 0 for one that is gone."""
    total = 0
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except OSError:
        return 0.0
    for line in lines:
        if not line[0].isupper():
            table = "softswitch-rates-" in line
        elif line.startswith("Rss:") and not table:
            total += int(line.split()[1])
    return total * 1024 / 1e6


def measure(folder: Path, network: str) -> list[str]:
    """Print each figure beside its bound; what was missed.

    :raises RuntimeError: the switch went away.
    :raises TimeoutError: it did not take the table.
    """
    file = folder / "rates.csv"
    write_rates(folder / "first.csv", 1)
    write_rates(folder / "second.csv", 2)
    table, size = _table(folder / "first.csv")
    print(f"a table of {table.rates} rates for {table.prefixes} prefixes, {size:.0f} MB in memory")
    file.write_text(f"{HEAD}\n1,1,,{TRUNKS[0]}\n")
    trunks = "\n".join(f'[trunks.{name}]\naddresses = ["{network}.4"]' for name in TRUNKS)
    configuration = CONFIGURATION.format(network=network, file=file, trunks=trunks)
    switch = Switch(configuration, folder / "switch")
    try:
        before = _megabytes(switch.pid)
        loads, waits, worst = _load(switch, network, folder, file)
    finally:
        switch.kill()
    look_up = _look_up(table)
    print(f"the switch took {before:.0f} MB before; {len(waits)} calls while it loaded")
    busy, *_ = os.getloadavg()
    print(f"{os.cpu_count()} processors, {busy:.1f} processes that want one")
    figures = (
        ("load", max(loads), GREATEST_LOAD_SECONDS, "s"),
        ("INVITE to answer, p99", _percentile(waits) * 1e3, GREATEST_WAIT_SECONDS * 1e3, "ms"),
        ("memory", worst + 2 * size, GREATEST_MEGABYTES, "MB"),
        ("look-up", look_up, GREATEST_LOOK_UP_MICROSECONDS, "µs"),
    )
    missed = []
    for name, value, bound, unit in figures:
        verdict = "ok" if value < bound else "MISSED"
        print(f"{name:<24}{value:>8.2f} {unit:<3} of {bound:g} {unit}   {verdict}")
        if value >= bound:
            missed.append(name)
    return missed


def _load(
    switch: Switch, network: str, folder: Path, file: Path
) -> tuple[list[float], list[float], float]:
    """Replace the table twice while calls come: seconds of each loading, seconds that each caller
    waited meanwhile, and megabytes at the worst moment."""
    memory = Memory(switch.pid)
    loads: list[float] = []
    waits: list[float] = []

    def said(count: int, what: str) -> bool:
        memory.look()
        return switch.log.read_text().count(what) >= count

    with closing(Calls(network)) as calls:
        for count, name in enumerate(("first.csv", "second.csv"), 2):
            os.replace(folder / name, file)
            calls.until(lambda count=count: said(count, "reading the rates"), 15)  # type: ignore[misc]
            calls.waits.clear()
            calls.until(lambda count=count: said(count, "read from"), 60)  # type: ignore[misc]
            waits += calls.waits
            line = switch.log.read_text().splitlines()[-1]
            loads.append(float(line.rpartition(" in ")[2].removesuffix(" s")))
    return loads, waits, memory.worst


def _table(path: Path) -> tuple[RateTable, float]:
    """The table of a file, and its size in megabytes."""
    whole = path.with_suffix(".table")
    with whole.open("w+b") as file:
        ratefile.write(raterows.read(path), file, time.time())
        file.flush()
        return RateTable(file.fileno()), whole.stat().st_size / 1e6


def _look_up(table: RateTable) -> float:
    """Microseconds of a look-up."""
    chance = random.Random(3)
    numbers = [number(chance) for _ in range(LOOK_UPS)]
    now = time.time()
    spent = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for each in numbers:
            table.look_up(each, now, 3)
        spent.append((time.process_time() - begun) / LOOK_UPS * 1e6)
    return median(spent)


def _percentile(waits: list[float]) -> float:
    return quantiles(waits, n=100)[-1]
