"""The JSON of the webhook."""

import json

import pytest

from softswitch.plugin.decisions import Diversion, Proxy, Redirect, Reject, Route, Target
from softswitch.plugin.record import Attempt, CallRecord
from softswitch.plugin.views import Identity
from softswitch.policy.hooks import AnswerError, Place, answered, event, question


def says(**answer):
    """What an answer means."""
    return answered(json.dumps(answer).encode())


@pytest.mark.parametrize("body", [b"null", b'{"decision": "none"}'])
def test_nothing_to_say(body):
    """The next policy is asked."""
    assert answered(body) is None


def test_a_refusal_and_a_redirection():
    """With and without what need not be said."""
    assert says(decision="reject", status=486) == Reject(486)
    assert says(decision="reject", status=403, reason="No", headers={"X-Why": "so"}) == Reject(
        403, "No", {"X-Why": "so"}
    )
    assert says(decision="redirect", contacts=["sip:a@b"]) == Redirect(["sip:a@b"])
    assert says(decision="redirect", contacts=["sip:a@b"], status=301) == Redirect(["sip:a@b"], 301)


def test_a_route():
    """Targets as URIs, users, numbers over a trunk, each with what a ``Target`` takes; a profile,
    diversions, whether it is recorded; where the call is forwarded is kept until its targets are
    looked up."""
    way = says(
        decision="route",
        targets=[
            "sip:a@b",
            {"uri": "sip:c@d", "ring_seconds": 20, "q": 0.5, "headers": {"X-A": "1"}},
            {"user": "bob", "group": 1},
            {"trunk": "carrier", "number": "+44"},
        ],
        dialog={"refer": "relay"},
        diversions=[{"by": "sip:x@y", "reason": "no-answer"}],
        forward={"busy": {"targets": ["sip:e@f"], "diversions": [{"by": "sip:x@y"}]}},
        record=True,
    )
    assert way.targets == (
        Place("sip:a@b"),
        Place("sip:c@d", ring_seconds=20.0, q=0.5, headers={"X-A": "1"}),
        Place(user="bob", group=1),
        Place(trunk="carrier", number="+44"),
    )
    target = way.targets[1].own(Target("sip:c@d"), 1)
    assert target == Target("sip:c@d", 20.0, q=0.5, headers={"X-A": "1"})
    assert way.route([target], {}) == Route(
        [target],
        dialog={"refer": "relay"},
        diversions=[Diversion("sip:x@y", "no-answer")],
        record=True,
    )
    assert list(way.forward) == ["busy"]


def test_what_an_answer_does_not_say_stays():
    """A target that was looked up keeps what it has."""
    target = Target("sip:a@b", 5, q=0.5, headers={"X": "1"}, call_to="sip:c@d")
    assert Place("sip:a@b").own(target, 0) == target


def test_a_request_that_is_forwarded():
    """``Proxy``, too."""
    found = says(decision="proxy", targets=["sip:a@b"], record_route=False)
    assert found.proxy([Target("sip:a@b")]) == Proxy(["sip:a@b"], False)


def test_a_users_contacts_ring_by_themselves():
    """Those of one user at once, where they did; not with those of the next one in the answer,
    unless the answer says so."""
    contact = Target("sip:1@x", group=1)
    groups = {Place(user="a").own(contact, index).group for index in range(3)}
    assert len(groups) == 3
    assert 0 not in groups
    assert Place(user="a", group=4).own(contact, 2).group == 4
    assert Place(user="a").own(Target("sip:1@x"), 2).group == 0


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is no JSON: "),
        (b"<html>", "is no JSON: "),
        (b'{"decision": "none"', "is no JSON: "),
        (b"\xff", "is no JSON: "),
        (b'{"decision": "reject", "status": NaN}', "is no JSON: NaN is no number"),
        (b"[" * 60_000, "is no JSON: "),
        (b"[]", "a JSON object is wanted"),
        (b'"none"', "a JSON object is wanted"),
        (b"{}", 'decision: "route" or "proxy" or "redirect" or "reject" or "none" is wanted'),
        (b'{"decision": ["route"]}', "decision: "),
        (b'{"decision": "none", "status": 486}', 'status: goes with no decision "none"'),
        (b'{"decision": "reject"}', "status: is required"),
        (b'{"decision": "reject", "status": "486"}', "status: a whole number is wanted"),
        (b'{"decision": "reject", "status": 486, "a": 1}', "a: no such key; known: "),
        (b'{"decision": "redirect", "contacts": "sip:a@b"}', "contacts: a list is wanted"),
        (b'{"decision": "route"}', "targets: is required"),
        (b'{"decision": "route", "targets": "sip:a@b"}', "targets: a list is wanted"),
        (b'{"decision": "route", "targets": [7]}', "targets[0]: a table is wanted, not 7"),
        (b'{"decision": "route", "targets": [{"url": "x"}]}', "targets[0].url: no such key"),
        (
            b'{"decision": "route", "targets": ["sip:a@b", {"q": 1}]}',
            "targets[1]: one of uri, user and number is wanted",
        ),
        (
            b'{"decision": "route", "targets": [{"uri": "sip:a@b", "user": "b"}]}',
            "targets[0]: one of uri, user and number is wanted",
        ),
        (
            b'{"decision": "route", "targets": [{"number": "1"}]}',
            "targets[0]: number goes with a trunk",
        ),
        (
            b'{"decision": "route", "targets": [{"user": "b", "trunk": "c"}]}',
            "targets[0]: user goes without a trunk",
        ),
        (
            b'{"decision": "route", "targets": [{"uri": "sip:a@b", "ring_seconds": "5"}]}',
            "targets[0].ring_seconds: a number is wanted",
        ),
        (
            b'{"decision": "route", "targets": [{"uri": "sip:a@b", "headers": {"X": 1}}]}',
            "targets[0].headers.X: text in quotes is wanted",
        ),
        (b'{"decision": "proxy", "targets": [{}]}', "targets[0]: one of uri"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(body, why):
    """Nothing is guessed."""
    with pytest.raises(AnswerError) as caught:
        answered(body)
    assert why in str(caught.value)


def test_what_the_other_side_is_asked(view):
    """Who calls whom, who that is for us, from where; of the header fields those that are named and
    are there."""
    invite = view(
        "sip:10%2B0@example.org",
        sender='"Alice" <sip:alice@example.org>;tag=1',
        identity=Identity("user", "alice", "example.org"),
        Subject="hello",
    )
    asked = question(invite, ("Subject", "Diversion"), 12.5)
    assert json.loads(json.dumps(asked)) == asked
    assert asked == {
        "version": "1.0",
        "ask": "route",
        "at": 12.5,
        "request": {
            "method": "INVITE",
            "uri": "sip:10%2B0@example.org",
            "dialled": "10+0",
            "from": "sip:alice@example.org",
            "from_display": "Alice",
            "caller": "alice",
            "to": "sip:bob@example.org",
            "call_id": "call-1",
            "headers": {"Subject": ["hello"]},
        },
        "identity": {"kind": "user", "name": "alice", "domain": "example.org"},
        "source": {"listener": "lan", "transport": "UDP", "host": "127.0.0.2", "port": 5062},
    }


def test_what_the_other_side_is_told():
    """A copy of the record as it is now, with an identifier by which a second one is known."""
    record = CallRecord("7", "c", "t", "user", "alice", "sip:a@x", "sip:b@x", 1.0)
    record.attempts.append(Attempt("sip:b@y", "d", 2.0))
    told = event("ringing", record, 2, 3.0)
    record.status = 200
    record.attempts[0].status = 200
    assert (told["id"], told["event"], told["at"]) == ("7-2", "ringing", 3.0)
    assert told["call"]["status"] == told["call"]["attempts"][0]["status"] == 0
    assert told["call"]["caller"] == "sip:a@x"
    assert json.loads(json.dumps(told)) == told
