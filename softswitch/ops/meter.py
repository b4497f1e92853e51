"""What calls come to, as counters and histograms: how many, how they end, how long they take. Pure.

Told of each call as any observer; what has a name in the configuration is a label, what a caller
says never is.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from softswitch.plugin.observer import Observer
from softswitch.plugin.record import Attempt, CallRecord

#: Seconds, or a MOS, up to which a histogram counts.
_DELAYS: Final = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 60)
_DURATIONS: Final = (5, 15, 30, 60, 120, 300, 600, 1200, 3600, 7200)
_MOS: Final = (1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.2, 4.4)

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


class Meter(Observer):
    """Measures calls.

    :param registry: of the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        calls = Gauge(
            "softswitch_calls", "Calls that live, by state.", ["state"], registry=registry
        )
        self._setup, self._ringing, self._talking = map(
            calls.labels, ("setup", "ringing", "talking")
        )
        self._ended = Counter(
            "softswitch_calls_ended",
            "Calls that have ended, by where they came from (a trunk, or a kind of peer), "
            "what came of them and who hung up.",
            ["origin", "result", "hung_up"],
            registry=registry,
        )
        self._attempts = Counter(
            "softswitch_attempts",
            'Targets that were tried, by trunk ("" for none) and what came of them.',
            ["trunk", "result"],
            registry=registry,
        )
        self._limits = Counter(
            "softswitch_calls_limited", "Calls that a limit has turned away.", registry=registry
        )
        self._ring_delay = Histogram(
            "softswitch_post_dial_delay_seconds",
            "From a target's INVITE to its ringing, or its answer where it did not ring.",
            ["trunk"],
            buckets=_DELAYS,
            registry=registry,
        )
        self._answer_delay = Histogram(
            "softswitch_answer_delay_seconds",
            "From the caller's INVITE to the answer.",
            buckets=(*_DELAYS, 120, 180),
            registry=registry,
        )
        self._duration = Histogram(
            "softswitch_call_duration_seconds",
            "From the answer to the end.",
            buckets=_DURATIONS,
            registry=registry,
        )
        self._mos = Histogram(
            "softswitch_mos",
            "How what came from a leg sounds at best, estimated, 1.0 to 4.4.",
            buckets=_MOS,
            registry=registry,
        )
        self._packets = Counter(
            "softswitch_rtp_packets",
            "RTP packets of calls that have ended, by what became of them.",
            ["fate"],
            registry=registry,
        )
        self._taken, self._lost, self._foreign, self._malformed, self._unsent = map(
            self._packets.labels, ("taken", "lost", "foreign", "malformed", "unsent")
        )
        self._silences = Counter(
            "softswitch_legs_not_heard",
            "Legs of answered calls that the other side did not hear, by cause.",
            ["cause"],
            registry=registry,
        )

    def call_started(self, record: CallRecord) -> None:
        """It lives, and does not ring yet."""
        self._setup.inc()

    def call_ringing(self, record: CallRecord) -> None:
        """Its first target rings."""
        self._setup.dec()
        self._ringing.inc()

    def call_answered(self, record: CallRecord) -> None:
        """It talks."""
        (self._setup if record.ringing is None else self._ringing).dec()
        self._talking.inc()

    def call_ended(self, record: CallRecord) -> None:
        """It is over; here is all that is measured."""
        if record.answered is not None:
            self._talking.dec()
            self._answer_delay.observe(record.answered - record.invited)
            if record.ended is not None:
                self._duration.observe(record.ended - record.answered)
        else:
            (self._setup if record.ringing is None else self._ringing).dec()
        origin = record.identity if record.identity_kind == "trunk" else record.identity_kind
        status = 200 if record.answered is not None else record.status
        self._ended.labels(origin, result(status), record.hung_up).inc()
        if record.limit:
            self._limits.inc()
        for attempt in record.attempts:
            self._tried(attempt)
        for stream in record.media:
            self._taken.inc(stream.packets)
            self._lost.inc(stream.lost or 0)
            self._foreign.inc(stream.foreign)
            self._malformed.inc(stream.malformed)
            self._unsent.inc(stream.unsent)
            if stream.mos is not None:
                self._mos.observe(stream.mos)
        for silence in record.silences:
            self._silences.labels(silence.cause).inc()

    def _tried(self, attempt: Attempt) -> None:
        trunk = attempt.trunk or ""
        status = 200 if attempt.answered is not None else attempt.status
        self._attempts.labels(trunk, result(status)).inc()
        first = attempt.answered if attempt.ringing is None else attempt.ringing
        if first is not None:
            self._ring_delay.labels(trunk).observe(first - attempt.started)
