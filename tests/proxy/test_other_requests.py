"""Requests other than INVITE that a policy has forwarded, and what follows in their dialogs."""

import pytest

from softswitch.plugin.decisions import Target
from softswitch.sip import compose
from softswitch.testing.peer import kind


def asked(phone, request):
    """What a phone was answered; it proves its password by itself."""
    answers = []
    phone.ask(request, answers.append)
    phone.settle()
    return answers


def heard(phone, method):
    """The requests of a method that came to a phone."""
    return [message for _, message, _ in phone.received if kind(message) == method]


@pytest.mark.parametrize(
    "method", ["MESSAGE", "PUBLISH", "OPTIONS", "NOTIFY", "SUBSCRIBE", "REFER"]
)
def test_a_request_is_forwarded(proxying, method):
    """With body, fields and identity as they came; a Record-Route only where it may make a dialog
    (16.6 step 4)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers[method] = 202
    fields = [("Event", "x"), ("Content-Type", "text/odd"), ("Require", "x-odd"), ("Expires", "9")]
    request = alice.request(method, alice.uri("bob"), fields=fields)
    request.body = b"\0hello\xff"
    answers = asked(alice, request)
    [came] = heard(bob, method)
    assert (came.body, came.call_id, came.require) == (b"\0hello\xff", request.call_id, ["x-odd"])
    assert came.get("From") == request.get("From")
    assert came.uri == f"sip:bob@{bob.host}:5060"
    assert bool(came.record_routes) is (method in ("NOTIFY", "SUBSCRIBE", "REFER"))
    assert [answer.status for answer in answers] == [202]
    assert answers[0].to.tag
    assert not stage.records


def test_a_method_that_nobody_knows(proxying):
    """It is no reason to refuse (16.3 step 1); it may make a dialog, for all that we know."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers["FROBNICATE"] = 200
    answers = asked(alice, alice.request("FROBNICATE", alice.uri("bob")))
    assert [answer.status for answer in answers] == [200]
    assert heard(bob, "FROBNICATE")[0].record_routes


def test_register_is_never_forwarded(proxying):
    """It is the registrar's."""
    stage = proxying("bob")
    bob = stage.phone("bob")
    assert bob.register() == 200
    assert not stage.policy.asked


def test_forking(proxying):
    """One 2xx goes back, whatever the others say; nothing but an INVITE is cancelled (9.1)."""
    stage = proxying(Target("bob", group=1), Target("carol", group=1), Target("carol", q=0.1))
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    bob.answers["MESSAGE"], carol.answers["MESSAGE"] = 404, 200
    answers = asked(alice, alice.request("MESSAGE", alice.uri("bob")))
    assert [answer.status for answer in answers] == [200]
    assert len(heard(bob, "MESSAGE")) == len(heard(carol, "MESSAGE")) == 1
    assert not heard(bob, "CANCEL")


def test_the_slower_2xx_goes_nowhere(proxying):
    """Exactly one final response to a request other than INVITE (16.7 step 5)."""
    stage = proxying(Target("sip:a@127.88.0.98", group=1), Target("sip:b@127.88.0.99", group=1))
    first, second = stage.peer("127.88.0.98"), stage.peer("127.88.0.99")
    alice = stage.phone("alice")
    answers = asked(alice, alice.request("MESSAGE", alice.uri("bob")))
    for peer in (first, second):
        request = peer.expect("MESSAGE")
        peer.send(compose.response(request, 200, to_tag=peer.name))
    assert [answer.to.tag for answer in answers] == [first.name]


def test_nobody_answers(proxying):
    """64*T1, then 408 for that target, and the next is tried (16.6 step 7); a policy's patience
    may be shorter."""
    stage = proxying("sip:a@127.88.0.98", Target("sip:b@127.88.0.99", ring_seconds=3), "bob")
    stage.peer("127.88.0.98")
    stage.peer("127.88.0.99")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers["MESSAGE"] = 480
    alice.ask(alice.request("MESSAGE", alice.uri("bob")), lambda response: None)
    stage.run(31)
    assert not heard(bob, "MESSAGE")
    stage.run(4.5)
    assert heard(bob, "MESSAGE")


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_subscription(proxying, transport):
    """SUBSCRIBE makes a dialog through us; its NOTIFY comes back the same way, even before the
    answer, and bears our Record-Route too, for it may be the first to make the dialog (RFC 6665
    4.1.4)."""
    stage = proxying("sip:app@127.88.0.99" + (";transport=tcp" if transport == "TCP" else ""))
    app = stage.peer("127.88.0.99", transport=transport)
    alice = stage.phone("alice", transport="UDP")
    subscribe = alice.request("SUBSCRIBE", alice.uri("bob"), fields=[("Event", "presence")])
    answers = asked(alice, subscribe)
    came = app.expect("SUBSCRIBE")
    assert len(came.record_routes) == (2 if transport == "TCP" else 1)
    notify = app.request(
        "NOTIFY",
        str(came.contacts[0].uri),
        caller=f"{came.get('To')};tag=app",
        to=came.get("From"),
        call_id=came.call_id,
        fields=[("Route", route) for route in came.values("Record-Route")],
    )
    app.send(notify)
    [told] = heard(alice, "NOTIFY")
    assert told.call_id == subscribe.call_id
    assert told.get("Route") is None
    assert told.values("Record-Route") == came.values("Record-Route")[::-1]
    app.send(compose.response(came, 200, to_tag="app", record_route=True))
    assert answers[-1].values("Record-Route") == came.values("Record-Route")
    again = alice.request(
        "SUBSCRIBE",
        str(told.contacts[0].uri),
        caller=subscribe.get("From"),
        to=f"{subscribe.get('To')};tag=app",
        call_id=subscribe.call_id,
        cseq=9,
        fields=[("Route", route) for route in came.values("Record-Route")[::-1]],
    )
    app.unread.clear()
    alice.ask(again, lambda response: None)
    alice.settle()
    assert app.expect("SUBSCRIBE").get("Route") is None
    app.send(compose.response(app.received[-1][1], 200))
