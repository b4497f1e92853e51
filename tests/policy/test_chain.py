"""The chain: asked in order, each failure kept to its own request."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from softswitch.plugin.decisions import (
    Accept,
    Allow,
    Challenge,
    Follow,
    PassOn,
    Redirect,
    Reject,
    Route,
    Target,
)
from softswitch.plugin.interfaces import (
    IAdmissionPolicy,
    ICallObserver,
    IRedirectPolicy,
    IRegistrationPolicy,
    IRouter,
)
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import CallView, Identity
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.testing.clock import VirtualClock

ROUTE = Route(["sip:bob@10.0.0.1"])


@implementer(IAdmissionPolicy, IRouter, IRegistrationPolicy, IRedirectPolicy)
class Says:
    """Answers what it was given, calling it where it can be called."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def route(self, *question):
        self.asked += 1
        return self.answer(*question) if callable(self.answer) else self.answer

    admit = register = redirected = route


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def logged():
    """What is logged while the test runs, from info up."""
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


@pytest.fixture
def chain(clock):
    """Makes a chain of such answers; the first is of the policy p1."""

    def make(*answers, **options):
        policies = [Policy(f"p{n}", Says(answer)) for n, answer in enumerate(answers, 1)]
        options.setdefault("challenge_fields", lambda flow, challenge: [])
        return PolicyChain(policies, clock, **options)

    return make


def test_policies_are_asked_in_order_until_one_answers(chain, view):
    """None asks the next; what answered at once is told before the question returns."""
    policies = [
        Policy("p1", Says(None)),
        Policy("p2", Says(ROUTE)),
        Policy("p3", Says(Reject(480))),
    ]
    told = []
    PolicyChain(policies, VirtualClock(), challenge_fields=list).ask_route(view(), told.append)
    assert told == [ROUTE]
    assert [policy.plug_in.asked for policy in policies] == [1, 1, 0]


def test_closed_when_nobody_answers(chain, view):
    """No policy: 403 for admission and registration, 404 for routing, a 3xx is passed on."""
    told = []
    for silent in (chain(), chain(None)):
        silent.ask_admission(view(), told.append)
        silent.ask_route(view(), told.append)
        silent.ask_registration(view(), told.append)
        silent.ask_redirect(CallView("1", view(), Target("sip:x@y"), 302), [], told.append)
    assert told == [Reject(403), Reject(404), Reject(403), PassOn()] * 2


@pytest.mark.parametrize(
    ("place", "decision"),
    [
        ("admission", Allow(Identity("user", "alice"))),
        ("admission", Challenge(stale=True)),
        ("admission", Reject(403, "Not You", {"X-Why": "because"})),
        ("route", ROUTE),
        ("route", Redirect(["sip:a@b", "tel:+44123", "mailto:x@y"], 301)),
        ("route", Reject(699)),
        ("registration", Accept()),
        ("registration", Reject(400)),
    ],
)
def test_every_decision_passes_in_its_place(chain, view, place, decision):
    """What fits the question and is sound is told as it is."""
    told = []
    getattr(chain(decision), f"ask_{place}")(view(), told.append)
    assert told == [decision]


def test_a_redirect_policy_sees_call_and_contacts(chain, view):
    """Asked with both; Follow, PassOn and Reject pass."""
    call = CallView("1", view(), Target("sip:x@y"), 302)
    told, seen = [], []
    follow = Follow(["sip:c@d"])
    chain(lambda *question: seen.append(question) or follow).ask_redirect(
        call, ["sip:c@d"], told.append
    )
    assert told == [follow]
    assert seen == [(call, ["sip:c@d"])]


def test_a_policy_that_raises_fails_its_own_request(chain, view, logged):
    """500, its name and the Call-ID in the log, counted; nobody else is asked."""
    asked = chain(lambda invite: 1 / 0, ROUTE)
    told = []
    asked.ask_route(view(), told.append)
    assert told == [Reject(500)]
    assert asked.failures == {("p1", "raised"): 1}
    (event,) = logged
    assert event["policy"] == "p1"
    assert event["call_id"] == "call-1"
    assert event["log_failure"].check(ZeroDivisionError)


@pytest.mark.parametrize(
    "rubbish",
    [
        42,
        "sip:bob@10.0.0.1",
        True,
        Accept(),
        Allow(Identity("user", "alice")),
        Route([7]),
    ],
)
def test_rubbish_is_no_decision(chain, view, logged, rubbish):
    """What is no decision, or one that answers another question, is a failure of the policy."""
    asked = chain(rubbish, ROUTE)
    told = []
    asked.ask_route(view(), told.append)
    assert told == [Reject(500)]
    assert asked.failures == {("p1", "rubbish"): 1}
    assert logged[0]["policy"] == "p1"


def test_a_target_over_an_unknown_trunk_is_rubbish(chain, view):
    """A misspelt trunk fails the call with the policy's name, rather than ring a stranger."""
    told = []
    asked = chain(Route([Target("sip:1@x", trunk="carier")]), known_trunk={"carrier"}.__contains__)
    asked.ask_route(view(), told.append)
    assert told == [Reject(500)]


def test_an_answer_may_come_later(chain, view, clock):
    """A Deferred's result is told when it comes, and its timer goes."""
    answer = Deferred()
    told = []
    chain(answer).ask_route(view(), told.append)
    clock.run(1.9)
    assert told == []
    answer.callback(ROUTE)
    assert told == [ROUTE]
    assert clock.idle


def test_an_async_policy(chain, view, clock):
    """An ``async def`` is run; None from it asks the next; what it raises is a 500."""
    gate = Deferred()

    async def says_nothing(invite):
        await gate

    async def says_route(invite):
        return ROUTE

    async def raises(invite):
        raise LookupError("no")

    told = []
    asked = chain(says_nothing, says_route)
    asked.ask_route(view(), told.append)
    assert told == []
    gate.callback(None)
    assert told == [ROUTE]
    broken = chain(raises, ROUTE)
    broken.ask_route(view(), told.append)
    assert told == [ROUTE, Reject(500)]
    assert broken.failures == {("p1", "raised"): 1}
    assert clock.idle


def test_any_awaitable_will_do(chain, view, clock):
    """Not only Deferreds and coroutines: whatever has ``__await__``."""

    class Ready:
        def __await__(self):
            return ROUTE
            yield

    told = []
    chain(Ready()).ask_route(view(), told.append)
    assert told == [ROUTE]
    assert clock.idle


def test_a_policy_that_is_late(chain, view, clock, logged):
    """At its deadline: 500, named, counted, cancelled; what comes afterwards is ignored."""
    fates = []
    silent, forgetful = Deferred(), Deferred()
    silent.addErrback(lambda failure: fates.append(failure.type))

    async def swallows(invite):
        try:
            await Deferred()
        except CancelledError:
            return ROUTE

    told = []
    for answer in (silent, forgetful, swallows):
        asked = chain(answer, deadline=3)
        asked.ask_route(view(), told.append)
        clock.run(2.999)
        assert told == []
        clock.run(0.001)
        assert told == [Reject(500)]
        assert asked.failures == {("p1", "late"): 1}
        told.clear()
    assert fates == [CancelledError]
    forgetful.callback(ROUTE)
    assert told == []
    assert [event["policy"] for event in logged] == ["p1"] * 3
    assert clock.idle


def test_each_policy_has_the_whole_deadline(chain, view, clock):
    """The second of two slow ones is not charged for the first."""
    first, second = Deferred(), Deferred()
    told = []
    chain(first, second).ask_route(view(), told.append)
    clock.run(1.5)
    first.callback(None)
    clock.run(1.5)
    assert told == []
    second.callback(ROUTE)
    assert told == [ROUTE]
    assert clock.idle


def test_rubbish_that_comes_later(chain, view, clock):
    """An awaited answer is looked at like any other."""
    told = []
    asked = chain(Deferred())
    answer = asked._routing.asked[0][1].__self__.answer
    asked.ask_route(view(), told.append)
    answer.callback(Reject(99))
    assert told == [Reject(500)]
    assert asked.failures == {("p1", "rubbish"): 1}
    assert clock.idle


def test_other_questions_go_on_beside_a_slow_policy(chain, view, clock):
    """A question that waits delays no other."""
    slow = Deferred()
    answers = iter([slow, ROUTE])
    told = []
    asked = chain(lambda invite: next(answers))
    asked.ask_route(view(), lambda decision: told.append(("first", decision)))
    asked.ask_route(view(), lambda decision: told.append(("second", decision)))
    slow.callback(Reject(486))
    assert told == [("second", ROUTE), ("first", Reject(486))]
    assert clock.idle


def test_observers_cannot_harm(clock, logged):
    """Each is told of each fact in order; one that raises is named and the next is told."""
    happenings = []

    @implementer(ICallObserver)
    class Notes:
        def __init__(self, name):
            self.name = name

        def note(self, record):
            happenings.append((self.name, record.id))

        call_started = call_ringing = call_answered = call_ended = note

    @implementer(ICallObserver)
    class Raises:
        def raises(self, record):
            raise RuntimeError

        call_started = call_ringing = call_answered = call_ended = raises

    chain = PolicyChain(
        [Policy("broken", Raises()), Policy("one", Notes("one"))], clock, challenge_fields=list
    )
    chain.observe(Policy("two", Notes("two")))
    record = CallRecord("7", "c", "t", "user", "alice", "sip:a@x", "sip:b@x", 0.0)
    for tell in (chain.call_started, chain.call_ringing, chain.call_answered, chain.call_ended):
        tell(record)
    assert happenings == [("one", "7"), ("two", "7")] * 4
    assert chain.failures == {("broken", "raised"): 4}
    assert {event["policy"] for event in logged} == {"broken"}


def test_an_observer_is_asked_only_about_what_it_wants_to_know(clock):
    """One that is derived from Observer is told of the facts for which it has a method of its own,
    be it its class's or its own attribute, and the others cost it nothing."""
    happenings = []

    class Ends(Observer):
        def call_ended(self, record):
            happenings.append(("ended", record.id))

    class Late(Ends):
        def __init__(self):
            self.call_ringing = lambda record: happenings.append(("rings", record.id))

    chain = PolicyChain([Policy("ends", Ends())], clock, challenge_fields=list)
    chain.observe(Policy("late", Late()))
    record = CallRecord("7", "c", "t", "user", "alice", "sip:a@x", "sip:b@x", 0.0)
    for tell in (chain.call_started, chain.call_ringing, chain.call_answered, chain.call_ended):
        tell(record)
    assert happenings == [("rings", "7"), ("ended", "7"), ("ended", "7")]
    assert {name: each["questions"] for name, each in chain.figures().items()} == {
        "ends": 1,
        "late": 2,
    }


@pytest.mark.parametrize("rubbish", [Challenge(algorithms=5), Challenge(algorithms=[[]])])
def test_rubbish_that_cannot_even_be_looked_at(chain, view, rubbish):
    """Fields of any type may stand in a decision: that harms nobody else either."""
    told = []
    asked = chain(rubbish)
    asked.ask_admission(view(), told.append)
    assert told == [Reject(500)]
    assert asked.failures == {("p1", "rubbish"): 1}
