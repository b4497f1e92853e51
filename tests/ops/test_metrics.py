"""What Prometheus is told of a house."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from softswitch.ops.meter import Buckets, result
from softswitch.ops.metrics import Metrics
from softswitch.plugin.media import MediaNotice, MediaReport
from softswitch.plugin.record import MediaStream, Silence
from softswitch.policy.chain import Policy
from softswitch.testing.media import SeeingEngine
from softswitch.testing.stage import CONFIG
from softswitch.wheel import Wheel

DASHBOARD = Path(__file__).parents[2] / "etc" / "grafana" / "softswitch.json"


class Scrape:
    """What one look at the metrics has found."""

    def __init__(self, text):
        self.types = {}
        self.samples = {}
        for family in text_string_to_metric_families(text.decode()):
            self.types[family.name] = family.type
            for sample in family.samples:
                self.samples[sample.name, frozenset(sample.labels.items())] = sample.value

    def __call__(self, name, **labels):
        return self.samples.get((f"softswitch_{name}", frozenset(labels.items())), 0)


CARRIER = {
    "trunks": {"carrier": {"addresses": ["127.88.0.101:5060"]}},
    "policy": [
        {"use": "dialplan", "rules": [{"match": "0.+", "strip": 1, "trunk": "carrier"}]},
        *CONFIG["policy"],
    ],
}


@pytest.fixture
def measured(start_switch):
    """A stage, and what looks at its metrics."""

    def make(config=None, **options):
        stage = start_switch(config or {}, **options)
        metrics = Metrics(stage.house, Wheel(stage.clock))
        stage.house.observe(Policy("metrics", metrics.meter))
        return stage, lambda: Scrape(metrics.text())

    return make


def test_a_call_by_its_states(measured):
    """Each state has its calls as long as they are in it; then the call is an ended one, answered,
    and has been measured."""
    stage, look = measured()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    stage.run(1)
    states = [[look()("calls", state=state) for state in ("setup", "ringing", "talking")]]
    for act in (bob.ring, bob.answer, alice.hang_up):
        act()
        stage.run(20 if act == bob.answer else 1)
        states.append([look()("calls", state=state) for state in ("setup", "ringing", "talking")])
    assert states == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    found = look()
    assert found("calls_ended_total", origin="user", result="answered", hung_up="caller") == 1
    assert found("attempts_total", trunk="", result="answered") == 1
    assert found("post_dial_delay_seconds_count", trunk="") == 1
    assert found("answer_delay_seconds_count") == 1
    assert found("call_duration_seconds_bucket", le="15.0") == 0
    assert found("call_duration_seconds_bucket", le="30.0") == 1
    assert found("leaks_total") == 0
    assert found("registrations") == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, "answered"),
        (302, "redirected"),
        (404, "refused"),
        (408, "unanswered"),
        (480, "unanswered"),
        (486, "busy"),
        (487, "cancelled"),
        (503, "failed"),
        (600, "busy"),
        (603, "declined"),
        (0, "failed"),
    ],
)
def test_what_a_status_is_called(status, said):
    """A final status in a word; there are few, so that they can be a label."""
    assert result(status) == said


def test_calls_over_trunks(measured):
    """A trunk is a label where a call comes from and where it goes; a caller's number never is."""
    stage, look = measured(CARRIER)
    carrier = stage.trunk("carrier")
    carrier.answers(486)
    alice = stage.phone("alice")
    alice.call("0123456789")
    stage.run(1)
    stage.phone("bob").answers(404)
    carrier.call("bob")
    stage.run(40)
    found = look()
    assert found("calls_ended_total", origin="user", result="busy", hung_up="callee") == 1
    assert found("attempts_total", trunk="carrier", result="busy") == 1
    assert found("calls_ended_total", origin="carrier", result="refused", hung_up="callee") == 1
    assert found("trunk_calls_begun_total", trunk="carrier", direction="out") == 1
    assert found("trunk_calls_begun_total", trunk="carrier", direction="in") == 1
    member = next(labels for name, labels in found.samples if name.endswith("trunk_member_up"))
    assert found("trunk_member_up", **dict(member)) == 1
    assert not any("0123456789" in str(labels) for _, labels in found.samples)


def test_messages_and_retransmissions(measured):
    """Each message by its method, and once more where it is sent or comes again; a method that
    nobody knows is "other"."""
    stage, look = measured()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    before = look()
    bob.vanish()
    alice.call("bob")
    stage.run(3)
    invite = next(
        each
        for each in reversed(stage.network.log)
        if each.to == stage.address and each.data.startswith(b"INVITE")
    )
    stage.network.carry(invite.data, invite.source, stage.address)
    stage.run(1)
    found = look()

    def more(name, **labels):
        return found(name, transport="UDP", **labels) - before(name, transport="UDP", **labels)

    again = more("retransmissions_total", direction="sent", method="INVITE")
    assert again >= 2
    assert more("messages_sent_total", method="INVITE") == 1 + again
    assert more("retransmissions_total", direction="received", method="INVITE") == 1
    assert more("retransmissions_total", direction="sent", method="response") == 1
    stage.network.carry(b"SPAM sip:x SIP/2.0\r\n\r\n", invite.source, stage.address)
    stage.run(1)
    assert look()("messages_received_total", transport="UDP", method="other") == 1


def test_what_the_audio_was_like(measured):
    """Packets, MOS and who was not heard, of calls that have ended."""
    stage, look = measured(engine=SeeingEngine)
    stage.phone("bob").answers(180, 200)
    alice = stage.phone("alice")
    alice.call("bob")
    stage.run(1)
    call = next(iter(stage.house.switch.calls))
    streams = MediaStream("a", 0, packets=50, lost=2, mos=4.1), MediaStream("b1", 0, foreign=3)
    stage.engine.reports[call] = MediaReport(streams, "")
    stage.engine.noticed(MediaNotice(call, Silence("b1", "wrong source", "", 5.0)))
    alice.hang_up()
    stage.run(5)
    found = look()
    assert [found("rtp_packets_total", fate=fate) for fate in ("taken", "lost", "foreign")] == [
        50,
        2,
        3,
    ]
    assert found("mos_bucket", le="4.0") == 0
    assert found("mos_bucket", le="4.2") == 1
    assert found("legs_not_heard_total", cause="wrong source") == 1


def test_lag_and_what_waits(start_switch):
    """How late timers were; what waits to be written, and what was lost."""
    metrics = Metrics(start_switch().house, waiting=lambda: {"call records": (7, 2)})
    metrics.measure_lag(0.2)
    found = Scrape(metrics.text())
    assert found("reactor_lag_seconds_bucket", le="0.1") == 0
    assert found("reactor_lag_seconds_bucket", le="0.25") == 1
    assert found("waiting", what="call records") == 7
    assert found("dropped_total", what="call records") == 2


def test_the_dashboard_asks_for_what_there_is(measured):
    """Each metric that a panel of etc/grafana/softswitch.json asks for is one of ours, and each
    kind of metric that we have stands on a panel."""
    _, look = measured(CARRIER)
    asked = {
        name
        for expression in re.findall(r'"expr": ("(?:[^"\\]|\\.)*")', DASHBOARD.read_text())
        for name in re.findall(r"\b(?:softswitch|process)_\w+", json.loads(expression))
    }
    ours = set()
    for name, kind in look().types.items():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        if not name.endswith("_created"):  # when counting began
            ours |= {name + suffix for suffix in suffixes.get(kind, [""])}
    assert asked <= ours, asked - ours
    told = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    known = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in ours}
    missing = {name for name in known - told if name.startswith("softswitch_")}
    assert missing <= {"softswitch_info", "softswitch_calls_limited"}, missing


@given(st.lists(st.floats(0, 100), max_size=30))
def test_buckets_are_prometheus_own(values):
    """What is counted in plain numbers is what its own histogram would tell."""
    bounds = (0.1, 0.5, 1, 7, 60)
    registry = CollectorRegistry()
    theirs = Histogram("x", "y", buckets=bounds, registry=registry)
    ours = Buckets(bounds)
    for value in values:
        theirs.observe(value)
        ours.count(value)
    (wanted,) = registry.collect()
    found = {
        (each.name, each.labels.get("le")): each.value for each in ours.family("x", "y").samples
    }
    for each in wanted.samples:
        if not each.name.endswith("_created"):
            assert found.pop((each.name, each.labels.get("le"))) == pytest.approx(each.value)
    assert not found
