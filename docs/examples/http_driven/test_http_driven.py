"""A web service, in memory, and the switch that asks it."""

import json

import pytest
from treq.testing import StubTreq
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET


class Service(Resource):
    """Says what the test tells it to; None: nothing at all."""

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.answer = {}
        self.questions = []

    def render_POST(self, request):
        self.questions.append(json.loads(request.content.read()))
        if self.answer is None:
            return NOT_DONE_YET
        if isinstance(self.answer, int):
            request.setResponseCode(self.answer)
            return b""
        return json.dumps(self.answer).encode()


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def switch(start_switch, service):
    switch = start_switch("http_driven.toml")
    switch.policy("http_driven").client = StubTreq(service)
    return switch


def test_it_names_targets(switch, service):
    service.answer = {"targets": ["sip:100@127.0.0.2"], "ring_seconds": 5}
    alice, desk = switch.phone("alice"), switch.trunk("desk")
    desk.answers(180)
    call = alice.call("sales")
    switch.run(5)
    assert call.statuses == [180, 480]
    assert service.questions[0]["called"].startswith("sip:sales@")


def test_it_refuses(switch, service):
    service.answer = {"refuse": 403}
    assert switch.phone("alice").call("sales").statuses == [403]


def test_it_leaves_it_to_the_next_policy(switch, service):
    alice, bob = switch.phone("alice"), switch.phone("bob")
    bob.answers(200)
    call = alice.call("bob")
    switch.run(0)
    assert call.statuses == [200]
    alice.hang_up()


@pytest.mark.parametrize("answer", [500, {"targets": ["no uri"]}, {"refuse": "no"}, ["rubbish"]])
def test_it_is_broken(switch, service, answer):
    """The call fails, and no other."""
    service.answer = answer
    alice = switch.phone("alice")
    assert alice.call("sales").statuses == [500]


def test_it_is_silent(switch, service):
    """The switch waits for ``policy_seconds``, whatever the policy does."""
    service.answer = None
    call = switch.phone("alice").call("sales")
    switch.run(2)
    assert call.statuses == [500]
