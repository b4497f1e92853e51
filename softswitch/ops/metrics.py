"""Figures in the form of Prometheus: of calls, messages, policies, trunks, and of the process.

What is counted anyway is read when somebody asks, in the reactor's thread, and no call is looked at
for it; ``ops/meter`` measures the calls, the timer wheel says how late it is.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from softswitch import __version__
from softswitch.ops.house import House
from softswitch.ops.meter import Buckets, Meter
from softswitch.transport.tally import Tally, counts
from softswitch.wheel import Wheel

#: What ``Metrics.text`` is, as a Content-Type.
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

#: Seconds up to which the histogram of the reactor's lag counts; the wheel's ticks are 0.05.
_LAGS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

#: Figures of the house that go up and down: key -> what they are.
_GAUGES: Final = {
    "calls_forwarded": "Calls that are forwarded, and known.",
    "subscriptions": "Subscriptions that stand.",
    "dialogs": "Dialogs that stand.",
    "transactions": "Transactions that have not terminated.",
    "registrations": "Contacts that are registered.",
    "scopes_open": "Legs of which something is left, transactions among it.",
    "bans": "Addresses and networks that are banned.",
    "connections": "Connections that stand or are being made.",
}

#: Those that only grow.
_COUNTERS: Final = {
    "scopes_closed": "Legs of which nothing is left.",
    "leaks": "Legs that have left something behind: this is to stay 0.",
    "overloads": "How often new work was refused, for there was too much.",
}


class Metrics:
    """The metrics of one switch.

    :ivar meter: to be told of its calls.
    :ivar measure_lag: to be told how many seconds late a timer is.
    :param wheel: its timers.
    :param waiting: what waits to be written, by what it is -> how many wait, how many were dropped.
    """

    def __init__(
        self,
        house: House,
        wheel: Wheel | None = None,
        waiting: Callable[[], Mapping[str, tuple[int, int]]] = dict,
    ) -> None:
        self._registry = CollectorRegistry()
        self.meter = Meter()
        self._registry.register(self.meter)
        lags = Buckets(_LAGS)
        self.measure_lag = lags.count
        self._registry.register(_HouseCollector(house, wheel, waiting, lags))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class _HouseCollector(Collector):
    """Reads what a house has counted."""

    def __init__(
        self,
        house: House,
        wheel: Wheel | None,
        waiting: Callable[[], Mapping[str, tuple[int, int]]],
        lags: Buckets,
    ) -> None:
        self._lags = lags
        self._house = house
        self._wheel = wheel
        self._waiting = waiting

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: it may be asked before the house is whole."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        stats = self._house.stats()
        info = GaugeMetricFamily("softswitch_info", "Its version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        for key, meaning in _GAUGES.items():
            yield GaugeMetricFamily(f"softswitch_{key}", meaning, stats[key])
        for key, meaning in _COUNTERS.items():
            yield CounterMetricFamily(f"softswitch_{key}", meaning, stats[key])
        yield _single("events", "What was refused, dropped, lost and the like.", stats["counters"])
        yield self._lags.family("softswitch_reactor_lag_seconds", "How late timers were.")
        yield from self._timers()
        yield from self._messages()
        yield from _policies(stats["policies"])
        yield from _trunks(stats["trunks"])
        yield _registered_at(stats["registered_at"])
        yield from _ports(stats["media"])
        yield from self._writers()

    def _timers(self) -> Iterator[Metric]:
        if self._wheel is not None:
            yield GaugeMetricFamily(
                "softswitch_timers",
                "Timers that are set, with those that were cancelled before their time.",
                self._wheel.entries(),
            )

    def _messages(self) -> Iterator[Metric]:
        transport = self._house.transport
        yield _messages("received", transport.came)
        yield _messages("sent", transport.left)
        repeats = CounterMetricFamily(
            "softswitch_retransmissions",
            "Messages that came, or were sent, once more.",
            labels=["direction", "method", "transport"],
        )
        for repeat, number in self._house.transactions.repeats.items():
            repeats.add_metric(list(repeat), number)
        yield repeats

    def _writers(self) -> Iterator[Metric]:
        waits = GaugeMetricFamily(
            "softswitch_waiting", "What waits to be written or sent.", labels=["what"]
        )
        dropped = CounterMetricFamily(
            "softswitch_dropped", "What was lost, for too much waited.", labels=["what"]
        )
        for what, (waiting, lost) in self._waiting().items():
            waits.add_metric([what], waiting)
            dropped.add_metric([what], lost)
        yield waits
        yield dropped


def _single(name: str, meaning: str, found: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"softswitch_{name}", meaning, labels=["event"])
    for event, number in found.items():
        family.add_metric([event], number)
    return family


def _messages(direction: str, tally: Tally) -> Metric:
    family = CounterMetricFamily(
        f"softswitch_messages_{direction}",
        f"SIP messages {direction}, retransmissions too.",
        labels=["method", "transport"],
    )
    for transport, method, number in counts(tally):
        family.add_metric([method, transport], number)
    return family


def _policies(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    questions = CounterMetricFamily(
        "softswitch_policy_questions", "Questions that were put to a policy.", labels=["policy"]
    )
    seconds = CounterMetricFamily(
        "softswitch_policy_seconds", "For which a policy had the reactor.", labels=["policy"]
    )
    worst = GaugeMetricFamily(
        "softswitch_policy_worst_seconds", "The longest of them at once.", labels=["policy"]
    )
    failures = CounterMetricFamily(
        "softswitch_policy_failures", "Failed answers.", labels=["policy", "kind"]
    )
    for policy, found in figures.items():
        questions.add_metric([policy], found["questions"])
        seconds.add_metric([policy], found["seconds"])
        worst.add_metric([policy], found["worst"])
        for kind, number in found["failures"].items():
            failures.add_metric([policy, kind], number)
    yield from (questions, seconds, worst, failures)


def _trunks(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    calls = GaugeMetricFamily(
        "softswitch_trunk_calls", "Calls over a trunk.", labels=["trunk", "direction"]
    )
    total = CounterMetricFamily(
        "softswitch_trunk_calls_begun", "All that there were.", labels=["trunk", "direction"]
    )
    refused = CounterMetricFamily(
        "softswitch_trunk_refused", "Calls beyond a trunk's limit.", labels=["trunk", "limit"]
    )
    up = GaugeMetricFamily(
        "softswitch_trunk_member_up", "Whether calls go to it.", labels=["trunk", "member"]
    )
    for trunk, found in figures.items():
        for direction in ("in", "out"):
            calls.add_metric([trunk, direction], found[f"calls_{direction}"])
            total.add_metric([trunk, direction], found[f"total_{direction}"])
        for limit, number in found["refused"].items():
            refused.add_metric([trunk, limit], number)
        for member, state in found["members"].items():
            up.add_metric([trunk, member], state["up"])
    yield from (calls, total, refused, up)


def _registered_at(figures: list[dict[str, Any]]) -> Metric:
    family = GaugeMetricFamily(
        "softswitch_registered_at",
        "Whether a trunk's registrar has accepted us.",
        labels=["trunk", "registrar"],
    )
    for found in figures:
        family.add_metric([found["trunk"], found["registrar"]], found["state"] == "registered")
    return family


def _ports(media: Mapping[str, Any]) -> Iterator[Metric]:
    """Of the built-in relay: pairs of ports, by its process and address."""
    pairs = GaugeMetricFamily(
        "softswitch_media_port_pairs",
        "Pairs of ports for audio.",
        labels=["relay", "host", "state"],
    )
    sessions = GaugeMetricFamily(
        "softswitch_media_sessions", "Calls of which it carries the audio.", labels=["relay"]
    )
    for relay, load in _relays(media):
        sessions.add_metric([relay], load.get("sessions", 0))
        for host, pool in load.get("ports", {}).items():
            for state, key in (("all", "pairs"), ("in use", "in_use"), ("resting", "resting")):
                pairs.add_metric([relay, host, state], pool[key])
    yield from (sessions, pairs)


def _relays(media: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each process that carries audio, or the one that does without."""
    if "sessions" in media:
        yield "", media
        return
    for name, load in media.items():
        if isinstance(load, Mapping):
            yield name, load
