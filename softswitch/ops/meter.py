"""What calls come to, as counters and histograms: how many, how they end, how long they take. Pure.

Told of each call as any observer; what has a name in the configuration is a label, what a caller
says never is. Calls are counted in plain numbers, and made metrics when somebody looks: a counter
of prometheus_client's takes a lock and some microseconds, and a call has fifteen of them.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from softswitch.plugin.observer import Observer
from softswitch.plugin.record import Attempt, CallRecord, MediaStream

#: Seconds, or a MOS, up to which a histogram counts.
_DELAYS: Final = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 60)
_DURATIONS: Final = (5, 15, 30, 60, 120, 300, 600, 1200, 3600, 7200)
_MOS: Final = (1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.2, 4.4)

#: What becomes of RTP packets.
_FATES: Final = ("taken", "lost", "foreign", "malformed", "unsent")

#: What a final status means to the caller; others go by their class.
_RESULTS: Final = {
    408: "unanswered",
    480: "unanswered",
    486: "busy",
    487: "cancelled",
    600: "busy",
    0: "failed",
}
_CLASSES: Final = {2: "answered", 3: "redirected", 4: "refused", 5: "failed", 6: "declined"}


def result(status: int) -> str:
    """How a call, or the try of one target, has ended: "answered", "cancelled", "busy",
    "unanswered", "redirected", "refused" (4xx), "failed" (5xx, or no answer at all) or
    "declined" (6xx).

    :param status: the final one.
    """
    return _RESULTS.get(status) or _CLASSES.get(status // 100, "failed")


class Buckets:
    """How many values there were, by how large they are.

    :param bounds: up to which each bucket counts, in order; beyond them is one more.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def count(self, value: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, meaning: str) -> HistogramMetricFamily:
        """A histogram of what was counted."""
        family = HistogramMetricFamily(name, meaning, labels=[])
        self.put(family)
        return family

    def put(self, family: HistogramMetricFamily, *labels: str) -> None:
        """Add what was counted to a histogram."""
        total, found = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            found.append(("+Inf" if bound == float("inf") else str(float(bound)), total))
        family.add_metric(labels, found, self._sum)


class Meter(Observer, Collector):
    """Measures calls, and tells Prometheus of them."""

    def __init__(self) -> None:
        self._setup = self._ringing = self._talking = self._limited = 0
        self._ended: Counter[tuple[str, str, str]] = Counter()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._ring_delay: defaultdict[str, Buckets] = defaultdict(lambda: Buckets(_DELAYS))
        self._answer_delay = Buckets((*_DELAYS, 120, 180))
        self._duration = Buckets(_DURATIONS)
        self._mos = Buckets(_MOS)
        self._packets = Counter(dict.fromkeys(_FATES, 0))
        self._silences: Counter[str] = Counter()

    def call_started(self, record: CallRecord) -> None:
        """It lives, and does not ring yet."""
        self._setup += 1

    def call_ringing(self, record: CallRecord) -> None:
        """Its first target rings."""
        self._setup -= 1
        self._ringing += 1

    def call_answered(self, record: CallRecord) -> None:
        """It talks."""
        self._rang(record)
        self._talking += 1

    def call_ended(self, record: CallRecord) -> None:
        """It is over; here is all that is measured."""
        answered = record.answered
        if answered is not None:
            self._talking -= 1
            self._answer_delay.count(answered - record.invited)
            if record.ended is not None:
                self._duration.count(record.ended - answered)
        else:
            self._rang(record)
        origin = record.identity if record.identity_kind == "trunk" else record.identity_kind
        status = 200 if answered is not None else record.status
        self._ended[origin, result(status), record.hung_up] += 1
        self._limited += bool(record.limit)
        for attempt in record.attempts:
            self._tried(attempt)
        for stream in record.media:
            self._heard(stream)
        for silence in record.silences:
            self._silences[silence.cause] += 1

    def _rang(self, record: CallRecord) -> None:
        """It rings no more, or is not set up any more."""
        if record.ringing is None:
            self._setup -= 1
        else:
            self._ringing -= 1

    def _tried(self, attempt: Attempt) -> None:
        trunk = attempt.trunk or ""
        status = 200 if attempt.answered is not None else attempt.status
        self._attempts[trunk, result(status)] += 1
        first = attempt.answered if attempt.ringing is None else attempt.ringing
        if first is not None:
            self._ring_delay[trunk].count(first - attempt.started)

    def _heard(self, stream: MediaStream) -> None:
        packets = self._packets
        packets["taken"] += stream.packets
        packets["lost"] += stream.lost or 0
        packets["foreign"] += stream.foreign
        packets["malformed"] += stream.malformed
        packets["unsent"] += stream.unsent
        if stream.mos is not None:
            self._mos.count(stream.mos)

    # What Prometheus calls.

    def describe(self) -> Iterator[Metric]:
        """See ``collect``."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        calls = GaugeMetricFamily(
            "softswitch_calls", "Calls that live, by state.", labels=["state"]
        )
        calls.add_metric(["setup"], self._setup)
        calls.add_metric(["ringing"], self._ringing)
        calls.add_metric(["talking"], self._talking)
        yield calls
        yield _counters(
            "calls_ended",
            "Calls that have ended, by where they came from (a trunk, or a kind of peer), "
            "what came of them and who hung up.",
            ["origin", "result", "hung_up"],
            self._ended,
        )
        yield _counters(
            "attempts",
            'Targets that were tried, by trunk ("" for none) and what came of them.',
            ["trunk", "result"],
            self._attempts,
        )
        yield _counters(
            "rtp_packets",
            "RTP packets of calls that have ended, by what became of them.",
            ["fate"],
            {(fate,): number for fate, number in self._packets.items()},
        )
        yield _counters(
            "legs_not_heard",
            "Legs of answered calls that the other side did not hear, by cause.",
            ["cause"],
            {(cause,): number for cause, number in self._silences.items()},
        )
        yield CounterMetricFamily(
            "softswitch_calls_limited", "Calls that a limit has turned away.", self._limited
        )
        ring_delay = HistogramMetricFamily(
            "softswitch_post_dial_delay_seconds",
            "From a target's INVITE to its ringing, or its answer where it did not ring.",
            labels=["trunk"],
        )
        for trunk, buckets in self._ring_delay.items():
            buckets.put(ring_delay, trunk)
        yield ring_delay
        for found, name, meaning in (
            (self._answer_delay, "answer_delay_seconds", "From the caller's INVITE to the answer."),
            (self._duration, "call_duration_seconds", "From the answer to the end."),
            (
                self._mos,
                "mos",
                "How what came from a leg sounds at best, estimated, 1.0 to 4.4.",
            ),
        ):
            yield found.family(f"softswitch_{name}", meaning)


def _counters(
    name: str, meaning: str, labels: Sequence[str], counts: Mapping[Any, float]
) -> Metric:
    """What was counted by the values of these labels."""
    family = CounterMetricFamily(f"softswitch_{name}", meaning, labels=labels)
    for values, number in counts.items():
        family.add_metric(values, number)
    return family
