"""The webhook: a server's words become decisions, and its failures those of a policy."""

import json

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from softswitch.errors import ConfigError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Diversion, Reject, Route
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import BindingView
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.policy.courier import HookError
from softswitch.policy.load import load
from softswitch.testing.clock import VirtualClock

OPTIONS = {"url": "http://127.0.0.1:1/hook", "secret": "kept-to-itself"}
FLOW = Flow("lan", "UDP", "127.0.0.1", 5060, "127.0.0.9", 5062)


class Courier:
    """Answers as the test says, and notes what it is given."""

    def __init__(self):
        self.body = None
        self.fails = None
        self.questions = []
        self.events = []

    async def ask(self, question):
        self.questions.append(question)
        if self.fails is not None:
            raise self.fails
        return self.body

    def tell(self, event):
        self.events.append(event)

    def finish(self):
        return Deferred()


@pytest.fixture
def courier():
    return Courier()


@pytest.fixture
def hook(house, courier):
    """Makes a webhook whose server is the courier."""

    def make(**options):
        plug_in = load("webhook", {**OPTIONS, **options}, house).plug_in
        plug_in._courier = courier
        return plug_in

    return make


@pytest.fixture
def says(hook, courier, view):
    """What is decided when the server says so."""

    def decided(**answer):
        courier.body = json.dumps(answer).encode()
        told = []
        chain = PolicyChain([Policy("hook", hook())], VirtualClock(), challenge_fields=list)
        chain.ask_route(view(), told.append)
        (decision,) = told
        return decision

    return decided


@pytest.fixture
def logged():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def test_plain_targets_and_refusals(says):
    """As they are; "none" has the next policy asked, which here is nobody."""
    assert says(decision="route", targets=["sip:a@192.0.2.1"]) == Route(["sip:a@192.0.2.1"])
    assert says(decision="reject", status=486) == Reject(486)
    assert says(decision="none") == Reject(404)


def test_a_user_is_rung_at_his_contacts(says, house):
    """Each on the flow on which it registered; 480 where there is none, and nobody else."""
    house.bindings["bob"] = [
        BindingView("bob@example.org", f"sip:bob@127.0.0.{host}", FLOW, 1.0) for host in (8, 9)
    ]
    route = says(decision="route", targets=[{"user": "bob", "ring_seconds": 9}, "sip:x@192.0.2.1"])
    assert [target.uri for target in route.targets] == [
        "sip:bob@127.0.0.8",
        "sip:bob@127.0.0.9",
        "sip:x@192.0.2.1",
    ]
    assert {(target.flow, target.ring_seconds) for target in route.targets[:2]} == {(FLOW, 9.0)}
    assert route.targets[0].group == route.targets[1].group != 0
    house.bindings.clear()
    assert says(decision="route", targets=[{"user": "bob"}]) == Reject(480)


def test_a_number_is_dialled_over_a_trunk(says):
    """At each of its members, with what the answer adds."""
    route = says(
        decision="route",
        targets=[{"trunk": "carrier", "number": "+44", "headers": {"X-Account": "7"}}],
    )
    assert [target.uri for target in route.targets] == [
        "sip:+44@10.1.0.1;transport=tcp",
        "sip:+44@10.1.0.2:5070;transport=tcp",
    ]
    assert {target.trunk for target in route.targets} == {"carrier"}
    assert route.targets[1].headers == {"X-Account": "7"}


def test_where_a_call_is_forwarded(says):
    """``forward`` is read as the route itself."""
    route = says(
        decision="route",
        targets=["sip:a@192.0.2.1"],
        forward={"busy": {"targets": ["sip:b@192.0.2.1"], "diversions": [{"by": "sip:a@x"}]}},
    )
    assert route.forward == {"busy": Route(["sip:b@192.0.2.1"], diversions=[Diversion("sip:a@x")])}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"decision": "rute"}, "answers rubbish: decision: "),
        ({"decision": "route", "targets": [{"user": "zoe"}]}, "targets[0].user: no user 'zoe'"),
        (
            {"decision": "route", "targets": ["sip:a@b", {"trunk": "x", "number": "1"}]},
            "targets[1].trunk: no trunk 'x'",
        ),
        (
            {
                "decision": "route",
                "targets": ["sip:a@b"],
                "forward": {"busy": {"targets": [{"user": "zoe"}]}},
            },
            "forward.busy.targets[0].user: no user 'zoe'",
        ),
        (
            {"decision": "route", "targets": ["sip:a@b"], "forward": {"busy": {"target": []}}},
            "forward.busy.target: no such key; did you mean targets?",
        ),
        ({"decision": "route", "targets": ["what?"]}, "rubbish: unfit URI"),
        ({"decision": "reject", "status": 200}, "rubbish: status 200 rejects nothing"),
        (
            {"decision": "reject", "status": 486, "headers": {"Via": "x"}},
            "rubbish: header Via is not a policy's to set",
        ),
    ],
)
def test_rubbish_is_a_failed_policy(says, logged, answer, why):
    """500, and one line in the log that says what was wrong where, without a stack."""
    assert says(**answer) == Reject(500)
    (event,) = logged
    assert why in str(event["error"])
    assert event["call_id"] == "call-1"
    assert event.get("log_failure") is None


def test_a_server_that_fails_is_a_failed_policy(says, courier, logged):
    """The same for one that cannot be asked."""
    courier.fails = HookError("answered 503")
    assert says() == Reject(500)
    assert str(logged[0]["error"]) == "policy 'hook': http://127.0.0.1:1/hook answered 503"


def test_it_is_asked_about_the_methods_that_are_named(hook, courier, view):
    """INVITE alone, unless the configuration names others; about nothing where ``ask`` is false."""
    plug_in = hook()
    assert plug_in.route(view(method="MESSAGE")) is None
    assert hook(ask=False, events=["ended"]).route(view()) is None
    plug_in.route(view()).close()
    other = hook(methods=["MESSAGE"])
    other.route(view(method="MESSAGE")).close()
    assert other.route(view()) is None


def test_it_is_told_what_it_wants_to_know(hook, courier):
    """Of each call's facts those that are named, numbered."""
    plug_in = hook(ask=False, events=["started", "ended"])
    record = CallRecord("7", "c", "t", "user", "alice", "sip:a@x", "sip:b@x", 1.0)
    for tell in ("call_started", "call_ringing", "call_answered", "call_ended"):
        getattr(plug_in, tell)(record)
    assert [event["id"] for event in courier.events] == ["7-1", "7-2"]
    assert [event["event"] for event in courier.events] == ["started", "ended"]
    assert not plug_in._told


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        ({"url": "ftp://x"}, "url: http://... is wanted"),
        ({"secret": ""}, "secret: some text is wanted"),
        ({"ask": False}, "ask = true, or some events, are wanted"),
        ({"timeout": 0}, "timeout: more than 0 seconds are wanted"),
        ({"queue": 0}, "queue: 1 or more is wanted"),
        ({"events": ["eneded"]}, 'events[0]: "started" or "ringing" or "answered" or "ended" is '),
    ],
)
def test_wrong_options_stop_the_start(house, options, mend):
    """One line."""
    with pytest.raises(ConfigError) as caught:
        load("webhook", {**OPTIONS, **options}, house, file="my.toml", path="policy[1]")
    assert mend in str(caught.value)


def test_its_figures_stand_beside_the_switch_s(house):
    """A policy's own ``figures`` are shown with those of the chain, its secret nowhere."""
    policy = load("webhook", OPTIONS, house)
    chain = PolicyChain([policy], VirtualClock(), challenge_fields=list)
    assert chain.figures()["webhook"]["own"] == {
        "failures_in_a_row": 0,
        "events_told": 0,
        "events_waiting": 0,
        "events_dropped": 0,
        "events_lost": 0,
    }
    assert OPTIONS["secret"] not in repr(policy.plug_in)
