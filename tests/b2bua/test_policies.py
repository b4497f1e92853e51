"""Policies that misbehave or take their time: they harm their own call and no other."""

import attrs
import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer

from softswitch.plugin.decisions import Allow, Follow, Reject, Route
from softswitch.plugin.interfaces import IAdmissionPolicy, IRedirectPolicy, IRouter
from softswitch.plugin.views import Identity


@implementer(IRouter)
@attrs.define
class Router:
    """Answers ``answer()`` for calls to carol, and nothing for others."""

    answer: object
    asked: int = 0

    def route(self, invite):
        if invite.uri.user != "carol":
            return None
        self.asked += 1
        return self.answer()


@implementer(IAdmissionPolicy)
@attrs.define
class Admission:
    """Answers ``answer()`` for whoever calls himself carol."""

    answer: object

    def admit(self, request):
        return self.answer() if request.from_.uri.user == "carol" else None


@implementer(IRedirectPolicy)
@attrs.define
class Redirection:
    """Answers ``answer()`` to every 3xx."""

    answer: object

    def redirected(self, call, contacts):
        return self.answer()


def raises():
    raise RuntimeError("broken on purpose")


async def raises_later():
    raises()


@pytest.mark.parametrize("answer", [raises, raises_later, lambda: 42, lambda: Reject(200)])
def test_a_router_that_is_broken(make_stage, transport, answer):
    """500 for that call; another call at the same time is none the worse."""
    stage = make_stage(transport=transport, plug_ins=[Router(answer)])
    alice, bob = stage.phone("alice"), stage.phone("bob")
    good = alice.call("bob")
    assert alice.call("carol").statuses == [500]
    bob.answer()
    assert good.statuses == [200]
    good.request("BYE")
    assert [record.status for record in stage.records] == [500, 200]


def test_a_router_that_never_answers(make_stage, transport):
    """500 after ``policy_seconds``, to the second; its late answer is nobody's."""
    late = Deferred()
    stage = make_stage(transport=transport, plug_ins=[Router(lambda: late)])
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("carol")
    stage.run(1.9)
    assert line.statuses == []
    stage.run(0.1)
    assert line.statuses == [500]
    assert late.called  # cancelled
    assert bob.lines == []


def test_a_router_that_takes_its_time(make_stage, transport):
    """An awaitable is waited for; the caller hears 100 meanwhile."""
    answer = Deferred()
    stage = make_stage(transport=transport, plug_ins=[Router(lambda: answer)])
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("carol")
    stage.run(1)
    assert [response.status for response in line.responses] == [100]
    (binding,) = stage.house.whereabouts.locate("bob", stage.house.domain)
    answer.callback(Route([binding.contact]))
    stage.run(0)
    bob.answer()
    assert line.statuses == [200]
    alice.hang_up()


@pytest.mark.parametrize("after", ["answers", "raises", "is late"])
def test_the_caller_gives_up_while_the_router_is_asked(make_stage, transport, after):
    """487 at once; whatever the router says then begins nothing."""
    answer = Deferred()
    stage = make_stage(transport=transport, plug_ins=[Router(lambda: answer)])
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("carol")
    stage.run(1)
    alice.cancel()
    assert line.statuses == [487]
    if after == "answers":
        answer.callback(Route([f"sip:bob@{bob.host}"]))
    elif after == "raises":
        answer.errback(RuntimeError("broken on purpose"))
    stage.run(5)
    assert bob.lines == []
    assert [record.status for record in stage.records] == [487]


def test_an_admission_that_takes_its_time(make_stage, transport):
    """The INVITE waits in its transaction; then the call goes on."""
    answer = Deferred()
    stage = make_stage(transport=transport, plug_ins=[Admission(lambda: answer)])
    bob, carol = stage.phone("bob"), stage.phone("carol", register=False)
    line = carol.call("bob")
    stage.run(1)
    assert bob.lines == []
    answer.callback(Allow(Identity("peer", "carol")))
    stage.run(0)
    bob.answer()
    assert line.statuses == [200]
    carol.hang_up()


@pytest.mark.parametrize("then", ["answers", "is late"])
def test_the_caller_gives_up_while_admission_is_asked(make_stage, transport, then):
    """487, no call and no record, since nobody was admitted."""
    answer = Deferred()
    stage = make_stage(transport=transport, plug_ins=[Admission(lambda: answer)])
    bob, carol = stage.phone("bob"), stage.phone("carol", register=False)
    line = carol.call("bob")
    stage.run(1)
    carol.cancel()
    assert line.statuses == [487]
    if then == "answers":
        answer.callback(Allow(Identity("peer", "carol")))
    stage.run(5)
    assert bob.lines == []
    assert stage.records == []


@pytest.mark.parametrize("answer", [raises, raises_later, Deferred])
def test_an_admission_that_is_broken(make_stage, transport, answer):
    """500 for that request, and no call."""
    stage = make_stage(transport=transport, plug_ins=[Admission(answer)])
    carol = stage.phone("carol", register=False)
    line = carol.call("bob")
    stage.run(3)
    assert line.statuses == [500]
    assert stage.records == []


@pytest.mark.parametrize("answer", [raises, raises_later, Deferred])
def test_a_redirect_policy_that_is_broken(make_stage, transport, answer):
    """The target has failed with 500."""
    stage = make_stage(transport=transport, plug_ins=[Redirection(answer)])
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.private = "<sip:carol@127.88.0.1>"
    bob.refuse(302)
    stage.run(3)
    assert line.statuses == [500]


def test_the_caller_gives_up_while_the_redirect_policy_is_asked(make_stage, transport):
    """487, and the answer that comes then begins nothing."""
    answer = Deferred()
    stage = make_stage(transport=transport, plug_ins=[Redirection(lambda: answer)])
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob")
    bob.private = "<sip:carol@127.88.0.1>"
    bob.refuse(302)
    stage.run(1)
    alice.cancel()
    answer.callback(Follow([f"sip:carol@{carol.host}"]))
    stage.run(1)
    assert line.statuses == [487]
    assert carol.lines == []
