"""Records are posted until they are taken: the same batch under the same key. That a real server
gets them is shown in tests/system/test_records.py."""

import hmac
import json
from hashlib import sha256

import pytest
from twisted.internet.defer import Deferred, TimeoutError, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock

from softswitch.records import webhook
from softswitch.records.exporter import CarryError, Entry, RefusedError
from softswitch.records.webhook import WebServer

BATCH = [Entry(1, "a", '{"id": "a"}'), Entry(2, "b", '{"id": "b", "reason": "ü"}')]


class Reactor(Clock):
    """A reactor whose thread is ours."""

    def callFromThread(self, function, *args):  # noqa: N802
        function(*args)


class Posts:
    """In the place of what posts: answers as it is told.

    :ivar answers: statuses, or what is wrong, the next first.
    :ivar heard: header fields and body of each request.
    :ivar closed: how often connections were let go.
    """

    def __init__(self):
        self.answers = []
        self.heard = []
        self.closed = 0

    def __call__(self, url, connections, reactor):
        self.url = url
        return self

    def post(self, body, fields) -> Deferred:
        self.heard.append((fields, body))
        answer = self.answers.pop(0)
        return succeed((answer, b"")) if isinstance(answer, int) else fail(answer)

    def close(self):
        self.closed += 1


@pytest.fixture
def posts(monkeypatch):
    posts = Posts()
    monkeypatch.setattr(webhook, "HttpPost", posts)
    return posts


def test_a_batch_is_posted(posts):
    """All records as they were kept, with a key; signed where there is a secret, else not."""
    posts.answers = [200, 204]
    web = WebServer("http://x/calls", "", 10.0, Reactor())
    assert posts.url == "http://x/calls"
    assert web.carry(BATCH, {}) == {}
    fields, body = posts.heard[0]
    assert json.loads(body) == {
        "version": "1.0",
        "records": [{"id": "a"}, {"id": "b", "reason": "ü"}],
    }
    assert fields["Content-Type"] == "application/json"
    assert "Softswitch-Signature" not in fields
    web.close()
    assert posts.closed == 1
    WebServer("http://x/calls", "between us", 10.0, Reactor()).carry(BATCH[:1], {})
    signed, body = posts.heard[1]
    stamp = signed["Softswitch-Timestamp"].encode()
    proof = hmac.new(b"between us", stamp + b"." + body, sha256).hexdigest()
    assert signed["Softswitch-Signature"] == f"sha256={proof}"
    assert signed["Idempotency-Key"] != fields["Idempotency-Key"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (500, "answered 500"),
        (404, "answered 404"),
        (302, "answered 302"),
        (TimeoutError(), "in time"),
        (ConnectionRefusedError(), "cannot be reached: ConnectionRefusedError"),
    ],
)
def test_what_is_not_taken_comes_again(posts, answer, said):
    """Whatever is not 2xx, or nothing at all: the same key with the same records."""
    posts.answers = [answer, 200]
    web = WebServer("http://x", "", 10.0, Reactor())
    with pytest.raises(CarryError, match=said):
        web.carry(BATCH, {})
    web.carry(BATCH, {})
    (first, body), (second, again) = posts.heard
    assert first["Idempotency-Key"] == second["Idempotency-Key"]
    assert body == again


@pytest.mark.parametrize("answer", [400, 413, 422])
def test_what_is_refused_for_its_content(posts, answer):
    """The exporter may try fewer records at once."""
    posts.answers = [answer]
    with pytest.raises(RefusedError, match=f"answered {answer}"):
        WebServer("http://x", "", 10.0, Reactor()).carry(BATCH, {})
