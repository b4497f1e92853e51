"""To how many places a call may go: RFC 5393, and the limits of our own."""

import attrs
import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Allow, Follow, Route, Target
from softswitch.plugin.interfaces import IAdmissionPolicy, IRedirectPolicy, IRouter
from softswitch.plugin.views import Identity
from softswitch.sip import compose
from softswitch.testing.stage import CONFIG, Stage

HERE = "127.88.0.1"


@implementer(IRouter, IRedirectPolicy)
@attrs.define
class Rings:
    """Has so many numbers ring at once, at the host of a gateway; and follows where it says."""

    host: str
    targets: int
    together: bool = True
    redirected_to: int = 0

    def route(self, invite):
        if invite.uri.user != "all":
            return None
        group = 1 if self.together else 0
        return Route([Target(f"sip:{n}@{self.host}", group=group) for n in range(self.targets)])

    def redirected(self, call, contacts):
        return Follow(
            [
                Target(f"sip:{call.target.uri[4]}{n}@{self.host}", group=2)
                for n in range(self.redirected_to)
            ]
        )


@pytest.fixture
def stage():
    """A stage with such a policy, who calls, and who is called."""
    stages = []

    def make(policy, config=None):
        made = Stage(config or {}, plug_ins=[policy])
        stages.append(made)
        return made, made.phone("alice"), made.peer(policy.host)

    yield make
    for made in stages:
        print(made.ladder())
        made.close()


def invited(peer):
    """The INVITEs that a peer has not read yet, each once."""
    found = {}
    for message in peer.received:
        request = message[1]
        if getattr(request, "method", "") == "INVITE":
            found.setdefault(request.top_via.branch, request)
    return list(found.values())


def breadths(peer):
    """What they say of their breadth."""
    return [request.get("Max-Breadth") for request in invited(peer)]


def test_the_breadth_is_shared_out(stage):
    """What rings at once shares the breadth of the call, 60 where it names none; no share is
    smaller than one, and together they are no more than there was (RFC 5393 5.3.3)."""
    made, alice, peer = stage(Rings("127.88.0.60", 7))
    line = alice.call("all")
    assert breadths(peer) == ["9", "9", "9", "9", "8", "8", "8"]
    line.cancel()
    made.run(40)


def test_one_target_keeps_the_breadth_that_came(stage):
    """And is told nothing where nothing came."""
    made, alice, peer = stage(Rings("127.88.0.60", 1))
    for fields, breadth in (
        ([], None),
        ([("Max-Breadth", "5")], "5"),
        ([("Max-Breadth", "1000")], "60"),
    ):
        line = alice.call("all", fields=fields)
        assert breadths(peer) == [breadth]
        line.cancel()
        made.run(40)
        peer.received.clear()


def test_without_breadth_for_all_nobody_rings(stage):
    """Three at once, breadth for two: 440 (RFC 5393 5.3.3), and the record says so."""
    made, alice, peer = stage(Rings("127.88.0.60", 3))
    assert alice.call("all", fields=[("Max-Breadth", "2")]).statuses == [440]
    assert not invited(peer)
    assert made.records[0].limit == "Max-Breadth 2"


def test_one_after_the_other_each_has_the_whole_breadth(stage):
    """What has ended has given back what it had (RFC 5393 5.3.3.1)."""
    made, alice, peer = stage(Rings("127.88.0.60", 2, together=False))
    line = alice.call("all", fields=[("Max-Breadth", "1")])
    for count in (1, 2):
        assert breadths(peer) == ["1"] * count
        peer.send(compose.response(invited(peer)[-1], 404, to_tag="far"))
    assert line.statuses == [404]
    made.run(40)


@pytest.mark.parametrize(("breadth", "status"), [("0", 440), ("none", 400), ("-1", 400)])
def test_without_any_breadth(stage, breadth, status):
    """440 where none is left, 400 where it cannot be read; there is a record of it."""
    made, alice, peer = stage(Rings("127.88.0.60", 1))
    assert alice.call("all", fields=[("Max-Breadth", breadth)]).statuses == [status]
    assert not invited(peer)
    assert [record.status for record in made.records] == [status]


@pytest.mark.parametrize(("targets", "status"), [(16, None), (17, 440)])
def test_targets_at_once(stage, targets, status):
    """Sixteen ring at once; of more, none. The record says by which limit."""
    made, alice, peer = stage(Rings("127.88.0.60", targets))
    line = alice.call("all")
    if status is None:
        assert len(invited(peer)) == targets
        line.cancel()
        made.run(40)
        return
    assert line.statuses == [440]
    assert not invited(peer)
    assert made.records[0].limit == "forks at_once 16"


def test_targets_in_all(stage):
    """As many as may be, one after the other; then the caller hears how the best has failed."""
    config = {"limits": {"forks": {"at_once": 2, "in_all": 3}}}
    made, alice, peer = stage(Rings("127.88.0.60", 5, together=False), config)
    line = alice.call("all")
    for number in range(3):
        [*_, request] = invited(peer)
        assert request.request_uri.user == str(number)
        peer.send(compose.response(request, 404, to_tag="far"))
    assert line.statuses == [404]
    assert len(invited(peer)) == 3
    assert made.records[0].limit == "forks in_all 3"


def test_redirections_count(stage):
    """A callee that redirects to ever more places reaches no more of them than a call may have;
    those that it adds count with what rings beside it."""
    config = {"limits": {"forks": {"at_once": 4, "in_all": 9}}}
    made, alice, peer = stage(Rings("127.88.0.60", 2, redirected_to=3), config)
    line = alice.call("all")
    answered = set()
    while waiting := [each for each in invited(peer) if each.top_via.branch not in answered]:
        answered.add(waiting[0].top_via.branch)
        contact = [("Contact", "<sip:more@127.88.0.60>")]
        peer.send(compose.response(waiting[0], 302, to_tag="far", fields=contact))
    made.run(40)
    assert line.statuses[-1] == 440
    assert len(invited(peer)) <= 9
    assert made.records[0].limit.startswith("forks ")


@implementer(IRouter, IAdmissionPolicy)
class Mirrors:
    """Two users who forward to each other, twice each, by way of the switch itself; everybody is
    let in: the attack of RFC 5393 3."""

    asked = 0

    def admit(self, request):
        return Allow(Identity("peer", "somebody"))

    def route(self, invite):
        self.asked += 1
        other = "bob" if invite.uri.user.startswith("alice") else "alice"
        return Route([Target(f"sip:{other}{self.asked}{n}@{HERE}", group=1) for n in range(2)])


def test_the_attack_of_rfc_5393_is_bounded():
    """Without bounds this would be 2^70 requests. Each comes back under another name, so that no
    mark tells. A request may have sixteen branches: they are used up in the fifth round, long
    before Max-Forwards is, and the caller hears so at once."""
    policy = Mirrors()
    with Stage({"policy": CONFIG["policy"]}, plug_ins=[policy]) as made:
        peer = made.peer("127.88.0.60")
        fields = [("Max-Breadth", "16")]
        invite = peer.request("INVITE", f"sip:alice@{HERE}", fields=fields, body=peer.sdp())
        peer.send(invite)
        answer = peer.expect(440)
        to = answer.get("To")
        own = {"caller": invite.get("From"), "call_id": invite.call_id}
        peer.send(peer.request("ACK", invite.uri, to=to, branch=invite.top_via.branch, **own))
        assert policy.asked == 1 + 2 + 4 + 8 + 16
