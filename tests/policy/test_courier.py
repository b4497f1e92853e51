"""Between a policy and a web server, on a wire that the test holds in its hands."""

import hashlib
import hmac
import json

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from softswitch.policy.courier import BATCH, Breaker, Courier, HookError, Manners


class Server:
    """Takes what is posted; the test answers."""

    def __init__(self):
        self.requests = []
        self.waiting = []

    def post(self, body, headers):
        answer = Deferred()
        self.requests.append((body, dict(headers)))
        self.waiting.append(answer)
        return answer

    def answers(self, status=200, body=b"{}"):
        self.waiting.pop(0).callback((status, body))

    def breaks(self):
        self.waiting.pop(0).errback(ConnectionError("refused"))

    def ids(self):
        """Of the events in each request."""
        return [[event["id"] for event in json.loads(body)["events"]] for body, _ in self.requests]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def courier(server, clock):
    """Makes one: three failures open its breaker, for ten seconds."""

    def make(**manners):
        breaker = Breaker(3, 10.0, clock.seconds)
        return Courier(
            server.post,
            "secret",
            breaker,
            Manners(**manners),
            clock,
            lambda: 1000 + clock.seconds(),
        )

    return make


@pytest.fixture
def logged():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def asked(courier, **question):
    """The outcome of a question, in a list once it is there: a body, or why there is none."""
    outcome = []
    Deferred.fromCoroutine(courier.ask(question)).addCallbacks(
        outcome.append, lambda failure: outcome.append(str(failure.value))
    )
    return outcome


def test_a_question_is_signed(server, courier):
    """The body, its time, and HMAC-SHA256 of both with the secret; the body of the answer comes
    back."""
    outcome = asked(courier(), word="ä")
    ((body, headers),) = server.requests
    assert json.loads(body) == {"word": "ä"}
    assert headers["Content-Type"] == "application/json"
    stamp = headers["Softswitch-Timestamp"]
    assert stamp == "1000"
    proof = hmac.new(b"secret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Softswitch-Signature"] == f"sha256={proof}"
    server.answers(200, b"yes")
    assert outcome == [b"yes"]


def test_an_answer_without_a_body(server, courier):
    """204: nothing to say."""
    outcome = asked(courier())
    server.answers(204, b"")
    assert outcome == [None]


def test_a_server_that_is_slow(server, courier, clock):
    """After the time-out the question has failed, and the request is given up."""
    outcome = asked(courier(timeout=1.5))
    gone = []
    server.waiting[0].addErrback(lambda failure: gone.append(failure.type))
    clock.advance(1.4)
    assert outcome == []
    clock.advance(0.2)
    assert outcome == ["has not answered in time"]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("status", [201, 302, 404, 500, 503])
def test_another_status_is_no_answer(server, courier, status):
    """Only 200 and 204 are."""
    outcome = asked(courier())
    server.answers(status)
    assert outcome == [f"answered {status}"]


def test_a_server_that_is_down_is_left_alone(server, courier, clock):
    """After three failures in a row nobody waits for it: further questions fail at once. When the
    rest is over one question tries, and others fail still; its success lets all in again."""
    made = courier()
    for fail in (server.breaks, lambda: server.answers(500), server.breaks):
        asked(made)
        fail()
    outcome = asked(made)
    assert outcome == ["has failed 3 times in a row, and is left alone 10.0 s"]
    assert len(server.requests) == 3
    clock.advance(10)
    trial, other = asked(made), asked(made)
    assert len(server.requests) == 4
    assert "is left alone" in other[0]
    server.answers(200, b"again")
    assert trial == [b"again"]
    asked(made)
    assert len(server.requests) == 5


def test_a_trial_that_fails_closes_again(server, courier, clock):
    """For as long as before; one that is cancelled, too."""
    made = courier()
    for _ in range(3):
        asked(made)
        server.breaks()
    clock.advance(10)
    asked(made)
    server.breaks()
    assert "is left alone 10.0 s" in asked(made)[0]
    clock.advance(10)
    trial = Deferred.fromCoroutine(made.ask({}))
    trial.cancel()
    trial.addErrback(lambda failure: failure.trap(HookError, CancelledError))
    assert "is left alone 10.0 s" in asked(made)[0]


def test_what_a_server_refuses_is_no_trouble_of_its(server, courier):
    """Nor is an answer that others cannot read: such a question fails alone."""
    made = courier()
    for _ in range(10):
        outcome = asked(made)
        server.answers(404)
        assert outcome == ["answered 404"]


def test_events_come_in_order_one_batch_at_a_time(server, courier):
    """The first goes at once; what comes meanwhile goes together, after it."""
    made = courier()
    for number in range(BATCH + 5):
        made.tell({"id": number})
    server.answers()
    server.answers()
    assert server.ids() == [
        [0],
        list(range(1, BATCH + 1)),
        list(range(BATCH + 1, BATCH + 5)),
    ]
    server.answers(204)
    assert made.figures()["events_told"] == BATCH + 5
    assert made.figures()["events_waiting"] == 0


def test_events_are_posted_again(server, courier, clock):
    """The same batch, after 0.5 s and then twice as long each time; what comes meanwhile waits, so
    that the order stays."""
    made = courier(retries=2)
    made.tell({"id": 1})
    server.breaks()
    made.tell({"id": 2})
    clock.advance(0.4)
    assert len(server.requests) == 1
    clock.advance(0.1)
    server.answers(503)
    clock.advance(0.9)
    assert len(server.requests) == 2
    clock.advance(0.1)
    server.answers(200)
    assert server.ids() == [[1], [1], [1], [2]]
    server.answers(200)
    assert made.figures()["events_told"] == 2
    assert clock.getDelayedCalls() == []


def test_events_that_the_server_never_takes_are_lost(server, courier, clock, logged):
    """After the last try they are counted, the log hears of it once, and those behind them come."""
    made = courier(retries=1)
    for number in (1, 2):
        made.tell({"id": number})
        server.breaks()
        clock.advance(0.5)
        server.breaks()
    assert made.figures()["events_lost"] == 2
    assert [event["why"] for event in logged] == ["cannot be asked: ConnectionError refused"]
    made.tell({"id": 3})
    server.answers()
    made.tell({"id": 4})
    server.answers(400)
    assert made.figures()["events_lost"] == 3
    assert len(logged) == 2
    assert len(server.requests) == 6


def test_what_waits_is_bounded(server, courier, logged):
    """Beyond it new events are dropped and counted; those that wait come in order."""
    made = courier(most=3)
    for number in range(6):
        made.tell({"id": number})
    assert made.figures()["events_dropped"] == 3
    assert len(logged) == 1
    server.answers()
    made.tell({"id": 6})
    server.answers()
    server.answers()
    assert server.ids() == [[0], [1, 2], [6]]


def test_who_stops_has_all_told_first(server, courier):
    """``finish`` waits for what waits; where nothing does, for nothing."""
    made = courier()
    assert made.finish().called
    made.tell({"id": 1})
    finished = made.finish()
    assert not finished.called
    server.answers()
    assert finished.called
