"""The terms on which a policy is asked: as they are written, and as the chain keeps them."""

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from softswitch.errors import ConfigError
from softswitch.plugin.decisions import PassOn, Reject, Route, Target
from softswitch.plugin.interfaces import ICallObserver, IRedirectPolicy, IRouter
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import CallView
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.policy.load import load
from softswitch.policy.terms import Terms, check_shape, divided
from softswitch.testing.clock import VirtualClock

ROUTE = Route(["sip:bob@10.0.0.1"])
NEXT = Terms(fallback=None)


@implementer(IRouter, IRedirectPolicy)
class Says:
    """Answers with what it calls, or with what it was given."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def route(self, *question):
        self.asked += 1
        return self.answer() if callable(self.answer) else self.answer

    redirected = route


class Time:
    """What measures how long a policy takes; a policy moves it on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def takes(self, seconds, answer=None):
        """An answer that takes so long."""

        def answering():
            self.now += seconds
            return answer

        return answering


@pytest.fixture
def time():
    return Time()


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
def chain(clock, time):
    """Makes a chain of answers, each with its terms; the first is of the policy p1."""

    def make(*answers, **options):
        policies = [
            Policy(f"p{n}", Says(answer), terms) for n, (answer, terms) in enumerate(answers, 1)
        ]
        return PolicyChain(policies, clock, challenge_fields=list, time=time, **options)

    return make


@pytest.fixture
def asks(view):
    """Asks a chain once; what was told until now."""

    def ask(chain):
        told = []
        chain.ask_route(view(), told.append)
        return told

    return ask


def broken():
    raise LookupError("no")


@pytest.mark.parametrize("answer", [broken, 42, Route([7]), "late"])
def test_a_failure_has_the_next_one_asked_where_its_terms_say_so(chain, clock, asks, answer):
    """Raised, rubbish or late: the policy is named and counted as ever, and the next one decides;
    nobody else: what holds when nobody answers."""
    slow = Deferred() if answer == "late" else answer
    asked = chain((slow, NEXT), (ROUTE, Terms()))
    told = asks(asked)
    clock.run(2)
    assert told == [ROUTE]
    assert sum(asked.failures.values()) == 1
    alone = chain((Deferred() if answer == "late" else answer, NEXT))
    told = asks(alone)
    clock.run(2)
    assert told == [Reject(404)]
    assert clock.idle


def test_a_failure_may_mean_another_status(chain, asks, view):
    """As the terms say, for each kind of question."""
    asked = chain((broken, Terms(fallback=Reject(480))))
    assert asks(asked) == [Reject(480)]
    told = []
    asked.ask_redirect(CallView("1", view(), Target("sip:x@y"), 302), [], told.append)
    assert told == [Reject(480)]
    told.clear()
    chain((broken, NEXT)).ask_redirect(
        CallView("1", view(), Target("sip:x@y"), 302), [], told.append
    )
    assert told == [PassOn()]


def test_a_policy_may_have_a_deadline_of_its_own(chain, clock, asks, logged):
    """Shorter or longer than ``policy_seconds``; the log says which."""
    asked = chain((Deferred(), Terms(deadline=0.5, fallback=None)), (Deferred(), Terms(deadline=5)))
    told = asks(asked)
    clock.run(0.5)
    assert asked.failures == {("p1", "late"): 1}
    clock.run(4.9)
    assert told == []
    clock.run(0.1)
    assert told == [Reject(500)]
    assert [str(event["error"]) for event in logged] == [
        "policy 'p1': no answer in 0.5 s",
        "policy 'p2': no answer in 5 s",
    ]


def test_no_more_questions_wait_than_its_terms_allow(chain, clock, asks, logged):
    """A policy that does not answer holds up so many requests and no more: what comes beyond fails
    at once, with one line in the log however much comes; a place that is free again is used."""
    answers = [Deferred() for _ in range(4)]
    given = iter(answers)
    asked = chain((lambda: next(given), Terms(most_open=2)))
    first, second = asks(asked), asks(asked)
    assert [asks(asked) for _ in range(3)] == [[Reject(500)]] * 3
    assert asked.failures == {("p1", "crowded"): 3}
    assert len(logged) == 1
    assert "thinks about too many questions already" in str(logged[0]["error"])
    answers[0].callback(ROUTE)
    assert first == [ROUTE]
    third = asks(asked)
    assert third == []
    clock.run(2)
    assert (second, third) == ([Reject(500)], [Reject(500)])
    assert asks(asked) == []
    assert asked.figures()["p1"]["open"] == 1
    clock.run(2)
    assert clock.idle


def test_a_policy_that_takes_more_than_its_share_rests(chain, time, asks, logged):
    """A tenth of a second for each of ten questions a second is the whole reactor: with half of it
    allowed the policy is soon asked no more, and its requests fail at once; once the time has been
    made up for it is asked again. The log says both."""
    asked = chain((time.takes(0.1, ROUTE), Terms(busy_share=0.5, fallback=Reject(480))))
    told = [asks(asked)[0] for _ in range(40)]
    answered = told.index(Reject(480))
    assert 15 < answered < 25
    assert told[answered:] == [Reject(480)] * (40 - answered)
    assert asked.figures()["p1"]["resting"]
    time.now += 3
    assert asks(asked) == [ROUTE]
    assert not asked.figures()["p1"]["resting"]
    said = [event["log_format"] for event in logged]
    assert sum("more than its share" in text for text in said) == 1
    assert sum("is asked again" in text for text in said) == 1


def test_one_long_question_does_not_make_a_policy_rest(chain, time, asks):
    """A machine that stood still for ten seconds is no policy's fault; nor is one second now and
    then."""
    waits = iter([10, 0.0001, 0.0001, 1, 1])

    def answer():
        time.now += next(waits)
        return ROUTE

    asked = chain((answer, Terms()))
    told = []
    for pause in (0, 0, 5, 5, 5):
        time.now += pause
        told += asks(asked)
    assert told == [ROUTE] * 5
    assert asked.figures()["p1"]["slow"] == 3


def test_a_policy_without_a_limit_never_rests(chain, time, asks):
    """``busy_share`` 0."""
    asked = chain((time.takes(1, ROUTE), Terms(busy_share=0)))
    assert [asks(asked) for _ in range(20)] == [[ROUTE]] * 20


def test_the_steps_of_a_coroutine_are_its_time_too(chain, time, asks, clock):
    """What it does after it has waited counts, what it waits for does not; and whoever watches the
    reactor is told whose turn it is."""
    gate = Deferred()
    seen = []

    def answer():
        async def think():
            time.now += 0.25
            await gate
            seen.append(asked._attention.policy.name)
            time.now += 0.5
            return ROUTE

        return think()

    asked = chain((answer, Terms()))
    told = asks(asked)
    time.now += 60
    gate.callback(None)
    assert told == [ROUTE]
    figures = asked.figures()["p1"]
    assert (figures["questions"], figures["seconds"], figures["worst"]) == (1, 0.75, 0.5)
    assert seen == ["p1"]
    assert asked._attention.policy is None


def test_a_coroutine_hears_of_what_it_waits_for_and_is_cancelled(chain, asks, clock):
    """An exception is thrown into it where it waits; at its deadline it is cancelled, and may clean
    up."""
    gate, heard = Deferred(), []

    def answer():
        async def think():
            try:
                await gate
            except LookupError:
                heard.append("lookup")
            try:
                await Deferred()
            finally:
                heard.append("end")

        return think()

    told = asks(chain((answer, Terms())))
    gate.errback(LookupError())
    assert heard == ["lookup"]
    clock.run(2)
    assert told == [Reject(500)]
    assert heard == ["lookup", "end"]


def test_the_switchs_own_observers_are_always_told(clock, time):
    """Who keeps the records never rests, also on a machine that is held up: no call is without
    one."""
    told = []

    class Slow(Observer):
        def call_ended(self, record):
            time.now += 0.5
            told.append(record)

    chain = PolicyChain([], clock, challenge_fields=list, time=time)
    chain.observe(Policy("records", Slow()))
    record = CallRecord("7", "c", "t", "user", "alice", "sip:a@x", "sip:b@x", 0.0)
    for _ in range(40):
        chain.call_ended(record)
    assert told == [record] * 40
    assert not chain.failures


def test_observers_have_a_share_too(clock, time):
    """One that is told of calls and takes too long over it is told no more, for a while."""
    told = []

    @implementer(ICallObserver)
    class Slow:
        def note(self, record):
            time.now += 0.2
            told.append(record)

        call_started = call_ringing = call_answered = call_ended = note

    chain = PolicyChain([Policy("slow", Slow())], clock, challenge_fields=list, time=time)
    record = CallRecord("7", "c", "t", "user", "alice", "sip:a@x", "sip:b@x", 0.0)
    for _ in range(40):
        chain.call_started(record)
    assert 5 < len(told) < 20
    assert chain.failures["slow", "resting"] == 40 - len(told)


def test_what_is_counted_goes_on_over_a_reload(chain, time, asks, clock):
    """Figures by the policy's name, a number behind the second of one name; the chain that takes
    another's place goes on counting, and gives new code a new start."""
    first = PolicyChain(
        [Policy("same", Says(time.takes(0.25))), Policy("same", Says(broken))],
        clock,
        challenge_fields=list,
        time=time,
    )
    asks(first)
    second = PolicyChain(
        [Policy("same", Says(ROUTE))], clock, challenge_fields=list, time=time, previous=first
    )
    asks(second)
    assert list(first.figures()) == ["same", "same (2)"]
    assert second.figures() == {
        "same": {
            "questions": 2,
            "seconds": 0.25,
            "worst": 0.25,
            "slow": 1,
            "open": 0,
            "resting": False,
            "failures": {"raised": 1},
        }
    }


@pytest.mark.parametrize(
    ("table", "terms"),
    [
        ({}, Terms()),
        ({"deadline": 3}, Terms(deadline=3.0)),
        ({"fallback": "next", "most_open": 5}, Terms(fallback=None, most_open=5)),
        ({"fallback": 480, "busy_share": 0}, Terms(fallback=Reject(480), busy_share=0.0)),
    ],
)
def test_terms_are_read_beside_the_options(table, terms):
    """From the same table; what is no term stays the policy's."""
    assert divided({**table, "office": "1"}, file="my.toml", path="policy[0]") == (
        terms,
        {"office": "1"},
    )


@pytest.mark.parametrize(
    ("term", "value", "mend"),
    [
        ("deadline", 0, "seconds, more than 0, are wanted, not 0"),
        ("deadline", "2", 'seconds, more than 0, are wanted, not "2"'),
        ("deadline", True, "seconds, more than 0, are wanted, not true"),
        ("fallback", "none", '"next" or a status from 400 to 699 is wanted, not "none"'),
        ("fallback", 302, '"next" or a status from 400 to 699 is wanted, not 302'),
        ("most_open", 0, "a whole number of at least 1 is wanted, not 0"),
        ("most_open", 1.5, "a whole number of at least 1 is wanted, not 1.5"),
        ("busy_share", 1.5, "a number from 0 to 1 is wanted, not 1.5"),
        ("busy_share", -1, "a number from 0 to 1 is wanted, not -1"),
    ],
)
def test_a_wrong_term_is_told(house, term, value, mend):
    """One line with the key and what would be right."""
    with pytest.raises(ConfigError) as caught:
        load("located", {term: value}, house, file="my.toml", path="policy[3]")
    assert str(caught.value) == f"my.toml: policy[3].{term}: {mend}"


def test_terms_reach_the_policy(house):
    """``load`` gives them along."""
    policy = load("located", {"deadline": 3, "ring_seconds": 20}, house)
    assert policy.terms == Terms(deadline=3.0)
    assert policy.plug_in.ring_seconds == 20


def test_a_class_may_not_have_a_field_of_that_name():
    """The key would mean two things: the load is refused, and says what to rename."""

    @attrs.define
    class Queue:
        deadline: float = 1.0

    with pytest.raises(ConfigError) as caught:
        check_shape(Queue, "my.toml: policy[1]")
    assert str(caught.value) == (
        "my.toml: policy[1].deadline: this key is the switch's own: rename the field of Queue"
    )
