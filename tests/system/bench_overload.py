"""What the switch does when twice as many calls come as it can carry: ``scripts/bench overload``.

The switch has one core for itself, SIPp at both ends the others, so that what is measured is what
the switch's core can carry. First the peak is looked for, in steps; then twice as much is offered,
beside calls that stand and ask each other something every second; afterwards half the peak, of
which nothing may fail.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import attrs
from processes import Sipp, Switch

#: Who is there -> the last number of his address.
HOSTS = {"switch": 1, "caller": 2, "callee": 3, "standing": 4}

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "{transport}"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]
transport = "{transport}"

[trunks.callee]
addresses = ["{network}.3"]
transport = "{transport}"

[trunks.standing]
addresses = ["{network}.4"]
transport = "{transport}"

{first}

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "service"
trunk = "callee"

[[policy.rules]]
match = "standing"
trunk = "standing"

[media]
engine = "bypass"
"""

#: What the issue asks for.
LEAST_OF_PEAK = 0.9
LEAST_WITHIN = 0.999
#: Seconds after the overload until all is normal.
RECOVERS = 5
#: The first rate that is tried, calls per second, and by how much the next one is higher.
FIRST = 500
STEP = 1.25
STEP_SECONDS = 5
#: A step whose completed calls are fewer than this share of what was offered is beyond the peak.
CARRIED = 0.97
#: Calls that stand meanwhile.
STANDING = 20


#: One request of a call that stands, in SIPp's words.
ASKING = """
  <pause milliseconds="1000"/>

  <send retrans="500" counter="asked">
    <![CDATA[

      INFO sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:caller@[local_ip]>;tag=[pid]standing[call_number]
      [last_To:]
      Call-ID: [call_id]
      CSeq: [cseq] INFO
      Max-Forwards: 70
      Content-Length: 0

    ]]>
  </send>

  <recv response="200" counter="told"/>
"""


@attrs.frozen
class Figures:
    """What SIPp has counted at the callers.

    :ivar seconds: for which calls were offered.
    :ivar offered: calls.
    :ivar completed: calls whose BYE was answered.
    :ivar refused: with 503.
    :ivar failed: calls that came to no end, or to another.
    :ivar within: requests within dialogs.
    :ivar answered: of these.
    :ivar spent: CPU seconds of the switch.
    """

    seconds: float
    offered: int
    completed: int
    refused: int
    failed: int
    within: int
    answered: int
    spent: float

    @property
    def rate(self) -> float:
        """Calls that were completed per second."""
        return self.completed / self.seconds

    def __str__(self) -> str:
        return (
            f"offered {self.offered / self.seconds:.0f}/s for {self.seconds:g} s: completed "
            f"{self.rate:.0f}/s, refused {self.refused / self.seconds:.0f}/s, failed {self.failed}"
            f"; within dialogs {self.answered} of {self.within} answered; "
            f"{self.spent / self.seconds:.0%} of a core"
        )


class Load:
    """A switch on a core of its own, and SIPp at both ends.

    :ivar switch: the switch.
    :param network: the first three numbers of everybody's address.
    :param transport: "udp" or "tcp".
    :param first: a policy that is asked before others, TOML.
    :param environment: variables besides our own.
    """

    def __init__(
        self,
        folder: Path,
        network: str,
        transport: str,
        first: str = "",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._folder = folder
        self._network = network
        self._transport = transport
        self._runs = 0
        text = CONFIGURATION.format(network=network, transport=transport, first=first)
        self.switch = Switch(text, folder, "0" if len(_cores()) > 1 else "", environment)

    def offer(self, rate: float, seconds: float, standing: int = 0) -> Figures:
        """Offer so many calls per second.

        :param standing: calls that stand all the while.
        :raises RuntimeError: SIPp could not.
        """
        calls = int(rate * seconds)
        folder = self._folder / f"run{self._runs}"
        self._runs += 1
        folder.mkdir()
        limits = ("-timeout", f"{int(seconds) + 40}", "-buff_size", "4194304", "-fd", "1")
        pace = ("-r", str(int(rate)), "-l", str(min(calls, 15_000)))
        before = self.switch.cpu_seconds()
        with self._peers() as start:
            # What comes late of an earlier run is a call to it as well.
            start("overload_callee", folder, "callee", "", 10 * calls, limits)
            asking = None
            if standing:
                start("standing_callee", folder, "standing", "", standing, limits)
                words = {"asking": ASKING * int(seconds)}
                asking = start(
                    "standing_caller", folder, "caller", "standing", standing, limits, words
                )
                asking.pause(1)
            caller = start("overload_caller", folder, "caller", "service", calls, (*limits, *pace))
            status = caller.wait(seconds + 20)
            if status not in (0, 1):
                raise RuntimeError(f"SIPp ended with {status}: {caller.tail()}")
            counts = caller.counts()
            asked = told = 0
            if asking is not None:
                asking.wait(seconds + 20)
                within = asking.counts()
                asked, told = within["asked"], within["told"]
        spent = self.switch.cpu_seconds() - before
        return Figures(
            seconds=seconds,
            offered=calls,
            completed=counts["completed"],
            refused=counts["refused"],
            failed=calls - counts["completed"] - counts["refused"],
            within=counts["hung_up"] + asked,
            answered=counts["completed"] + told,
            spent=spent,
        )

    @contextmanager
    def _peers(self) -> Iterator[Callable[..., Sipp]]:
        """Starts SIPps, which are gone afterwards."""
        peers: list[Sipp] = []

        def start(
            scenario: str,
            folder: Path,
            who: str,
            number: str,
            calls: int,
            extra: tuple[str, ...],
            words: Mapping[str, object] = MappingProxyType({}),
        ) -> Sipp:
            there = f"{self._network}.1:5060" if number else ""
            port = 5061 if number == "standing" else 5060
            peer = Sipp(
                scenario,
                folder,
                f"{self._network}.{HOSTS[who]}",
                there,
                port=port,
                transport=self._transport,
                calls=calls,
                words=words,
                extra=(*extra, *(("-s", number) if number else ())),
            )
            others = _cores() - {0} or _cores()
            os.sched_setaffinity(peer.pid, others)
            peers.append(peer)
            return peer

        try:
            yield start
        finally:
            for peer in peers:
                peer.kill()


def measure(folder: Path, network: str, transport: str, seconds: float) -> list[str]:
    """Find the peak, offer twice as much for so long, then half of it; what was missed."""
    load = Load(folder, network, transport)
    try:
        peak = find_peak(load, seconds)
        print(f"{transport}: the peak is {peak:.0f} calls/s", flush=True)
        twice = load.offer(2 * peak, seconds, STANDING)
        print(f"{transport}: twice the peak: {twice}", flush=True)
        load.switch.pause(RECOVERS)
        after = load.offer(peak / 2, RECOVERS)
        print(f"{transport}: {RECOVERS} s later: {after}", flush=True)
        return [f"{transport}: {each}" for each in judged(peak, twice, after)]
    finally:
        load.switch.kill()


def judged(peak: float, twice: Figures, after: Figures) -> Iterator[str]:
    """What is not as it ought to be."""
    share = twice.rate / peak
    print(f"{share:.1%} of the peak", flush=True)
    if share < LEAST_OF_PEAK:
        yield f"{share:.1%} of the peak completed"
    if twice.answered < LEAST_WITHIN * twice.within:
        yield f"within dialogs {twice.answered} of {twice.within} were answered"
    if after.completed < after.offered:
        yield f"afterwards {after.completed} of {after.offered} completed"


def find_peak(load: Load, seconds: float) -> float:
    """The greatest number of calls per second that the switch completes for so long: in steps until
    much of what is offered does not complete, then where that begins. A call costs something for
    half a minute after its end, and a step is over before it shows."""
    rate, best = float(FIRST), 0.0
    while True:
        figures = load.offer(rate, STEP_SECONDS)
        print(f"step: {figures}", flush=True)
        best = max(best, figures.rate)
        if figures.rate < CARRIED * rate:
            break
        rate *= STEP
    whole = load.offer(best, seconds)
    print(f"for as long: {whole}", flush=True)
    return whole.rate


def _cores() -> set[int]:
    return os.sched_getaffinity(0)
