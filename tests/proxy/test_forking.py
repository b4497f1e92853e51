"""One request, several targets: RFC 3261 16.5 to 16.8, with RFC 6026."""

import pytest

from softswitch.plugin.decisions import Target
from softswitch.sip.message import Response
from softswitch.testing.peer import kind

AT_ONCE = [Target("bob", group=1), Target("carol", group=1)]


def everybody(stage):
    """Alice, bob and carol."""
    return [stage.phone(name) for name in ("alice", "bob", "carol")]


def test_all_ring_and_one_answers(proxying):
    """Each 180 goes back at once, the first 2xx too; the others are cancelled, and told why
    (16.7 steps 5 and 10)."""
    stage = proxying(*AT_ONCE)
    alice, bob, carol = everybody(stage)
    line = alice.call("bob")
    bob.ring()
    carol.ring(183)
    carol.answer()
    assert line.statuses == [180, 183, 200]
    assert line.responses[-1].to.tag == carol.line.tag
    assert bob.line.got("CANCEL").get("Reason") == ('SIP;cause=200;text="Call completed elsewhere"')
    branches = {phone.line.invite.top_via.branch for phone in (bob, carol)}
    assert len(branches) == 2
    carol.hang_up()
    assert line.over
    [record] = stage.records
    assert [attempt.status for attempt in record.attempts] == [487, 200]
    assert record.to_tag == carol.line.tag


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_two_answer(proxying, transport):
    """Every 2xx goes to the caller, as often as it comes; who ends the second call is the caller's
    affair (16.7 step 5). The record ends with the last dialog."""
    stage = proxying(*AT_ONCE, strangers=True, transport=transport)
    alice, bob, carol = stage.peer("127.88.0.50"), stage.phone("bob"), stage.phone("carol")
    carol.heeds_cancel = False
    invite = alice.request("INVITE", "sip:bob@127.88.0.1", body=alice.sdp())
    alice.send(invite)
    bob.answer()
    carol.answer()
    stage.run(0.4)
    answers = [alice.expect(200), alice.expect(200)]
    assert [answer.to.tag for answer in answers] == [bob.line.tag, carol.line.tag]
    stage.run(0.2)
    assert {alice.expect(200).to.tag, alice.expect(200).to.tag} == {bob.line.tag, carol.line.tag}
    for answer, cseq in zip(answers, (2, 3), strict=True):
        for method, number in (("ACK", 1), ("BYE", cseq)):
            assert not stage.records
            within = {
                "caller": invite.get("From"),
                "to": answer.get("To"),
                "call_id": invite.call_id,
                "cseq": number,
                "fields": [("Route", route) for route in answer.values("Record-Route")],
            }
            alice.send(alice.request(method, str(answer.contacts[0].uri), **within))
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]
    assert carol.line.methods == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert [record.hung_up for record in stage.records] == ["caller"]
    assert [attempt.status for attempt in stage.records[0].attempts] == [200, 200]


def test_one_after_the_other(proxying):
    """In the order of ``steps``; the next is tried when all of a step have failed, and nothing
    goes back before the last one has (16.6, 16.7 step 6)."""
    stage = proxying(Target("carol", q=0.5), Target("bob", q=0.9))
    alice, bob, carol = everybody(stage)
    line = alice.call("bob")
    assert not carol.lines
    bob.refuse(486)
    assert line.statuses == []
    carol.answer()
    assert line.statuses == [200]
    alice.hang_up()
    [record] = stage.records
    assert [attempt.status for attempt in record.attempts] == [486, 200]


def test_a_target_that_rings_too_long(proxying):
    """After the policy's ``ring_seconds`` it is cancelled and the next is tried at once; what it
    answers all the same still counts (16.7 step 5)."""
    stage = proxying(Target("bob", ring_seconds=20), "carol")
    alice, bob, carol = everybody(stage)
    bob.heeds_cancel = False
    line = alice.call("bob")
    bob.ring()
    stage.run(19.9)
    assert not carol.lines
    stage.run(0.2)
    carol.ring()
    assert bob.line.methods == ["INVITE", "CANCEL"]
    bob.answer()
    assert line.statuses == [180, 180, 200]
    assert "CANCEL" in carol.line.methods
    bob.hang_up()
    assert line.over


def test_timer_c(proxying):
    """An INVITE that is answered with nothing but provisionals is given up after more than three
    minutes, counted from the last one that was not a 100 (16.6 step 11, 16.7 step 2, 16.8)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    stage.run(180)
    bob.ring()
    stage.run(180.5)
    assert bob.line.methods == ["INVITE"]
    stage.run(10)
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert line.statuses == [180, 180, 408]
    assert stage.records[0].hung_up == "switch"


def test_an_answer_after_we_gave_up(proxying):
    """The caller is told at once when timer C fires, whatever becomes of the branch; a 2xx that it
    brings all the same goes back past the transaction that was answered (16.7 steps 5 and 9)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.heeds_cancel = False
    line = alice.call("bob")
    bob.ring()
    stage.run(190)
    assert line.statuses == [180, 408]
    bob.answer()
    assert kind(alice.received[-1][1]) == 200
    bob.stop_answering(bob.line.invite)
    assert [record.status for record in stage.records] == [408]


def test_a_target_that_is_not_there(proxying):
    """Silence for 64*T1 counts as 408 (16.6 step 7)."""
    stage = proxying("sip:nobody@127.88.0.99")
    stage.peer("127.88.0.99")
    alice = stage.phone("alice")
    line = alice.call("bob")
    stage.run(31.9)
    assert line.statuses == []
    stage.run(0.2)
    assert line.statuses == [408]
    [record] = stage.records
    assert (record.hung_up, record.attempts[0].status) == ("switch", 408)


@pytest.mark.parametrize("uri", ["sip:x@127.88.0.99;transport=tcp", "sip:x@[::9]", "sip:x@nowhere"])
def test_a_target_that_cannot_be_reached(proxying, uri):
    """No connection, listener or address: as a 503, which is told as 500 (16.9, 16.7 step 6)."""
    stage = proxying(uri)
    alice = stage.phone("alice")
    line = alice.call("bob")
    assert line.statuses == [500]
    assert stage.records[0].attempts[0].status == 503


def test_the_next_address_of_a_name(proxying):
    """Each address of a target is tried, with a branch of its own (16.6 step 7)."""
    names = {"two.example": ["127.88.0.98", "127.88.0.99"]}
    stage = proxying("sip:x@two.example", names=names)
    silent, there = stage.peer("127.88.0.98"), stage.phone("x", host="127.88.0.99")
    alice = stage.phone("alice")
    line = alice.call("bob")
    stage.run(33)
    there.answer()
    assert line.statuses == [200]
    first = silent.expect("INVITE")
    assert first.top_via.branch != there.line.invite.top_via.branch
    alice.hang_up()
    assert len(stage.records[0].attempts) == 1


def test_a_resolver_that_does_not_answer(proxying):
    """Two seconds, then the target counts as unreachable; what comes later is ignored."""
    stage = proxying("sip:x@slow.example")
    asked = []
    stage.house.proxy._resolver.look_up = lambda name, tell: asked.append(tell)
    line = stage.phone("alice").call("bob")
    stage.run(1.9)
    assert line.statuses == []
    stage.run(0.2)
    assert line.statuses == [500]
    asked[0](["127.88.0.99"])
    stage.run(1)
    assert "127.88.0.99" not in stage.ladder()


def test_cancelled_while_the_target_is_looked_up(proxying):
    """Nothing was sent, so 487 is ours to say."""
    stage = proxying("sip:x@slow.example")
    stage.house.proxy._resolver.look_up = lambda name, tell: None
    alice = stage.phone("alice")
    line = alice.call("bob")
    alice.cancel()
    assert line.statuses == [487]
    assert stage.records[0].hung_up == "caller"


@pytest.mark.parametrize(
    ("theirs", "best"),
    [
        ([404, 486], 404),
        ([486, 302], 302),
        ([500, 480], 480),
        ([603, 302], 603),
        ([480, 484], 484),
        ([503, 503], 500),
        ([503, 480], 480),
        ([487, 404], 404),
    ],
)
def test_the_best_of_several(proxying, theirs, best):
    """6xx before all, else the lowest class; in 4xx what helps the caller to ask better; a 503 says
    nothing of us (16.7 step 6)."""
    stage = proxying(*AT_ONCE)
    alice, bob, carol = everybody(stage)
    line = alice.call("bob")
    for phone, status in zip((bob, carol), theirs, strict=True):
        fields = [("Contact", "<sip:elsewhere@x>")] if status == 302 else []
        if phone.line.open:
            phone.refuse(status, fields=fields)
    assert line.statuses == [best]
    if best == 302:
        assert "sip:elsewhere@x" in [str(each.uri) for each in line.responses[-1].contacts]


def test_a_6xx_ends_all(proxying):
    """The others are cancelled and no target is tried any more; it goes back when they have ended
    (16.7 steps 5 and 6)."""
    stage = proxying(*AT_ONCE, "sip:last@127.88.0.99")
    alice, bob, carol = everybody(stage)
    last = stage.peer("127.88.0.99")
    carol.heeds_cancel = False
    line = alice.call("bob")
    carol.ring()
    bob.refuse(603)
    assert line.statuses == [180]
    assert "CANCEL" in carol.line.methods
    carol.refuse(487)
    assert line.statuses == [180, 603]
    assert not last.received


def test_challenges_are_put_together(proxying):
    """The caller has to answer all of them (16.7 step 7)."""
    stage = proxying(*AT_ONCE, strangers=True)
    alice, bob, carol = stage.peer("127.88.0.50"), stage.phone("bob"), stage.phone("carol")
    invite = alice.request("INVITE", "sip:bob@127.88.0.1", body=alice.sdp())
    alice.send(invite)
    bob.refuse(401, fields=[("WWW-Authenticate", 'Digest realm="b", nonce="1"')])
    carol.refuse(407, fields=[("Proxy-Authenticate", 'Digest realm="c", nonce="2"')])
    stage.run(0.1)
    answer = alice.expect(401)
    assert answer.all("WWW-Authenticate") == ['Digest realm="b", nonce="1"']
    assert answer.all("Proxy-Authenticate") == ['Digest realm="c", nonce="2"']
    stage.run(40)


def test_no_target_twice(proxying):
    """Equal URIs are one target (16.5)."""
    stage = proxying("sip:bob@127.88.0.99", "sip:bob@127.88.0.99:5060", "sip:bob@127.88.0.99;x=y")
    there = stage.phone("x", host="127.88.0.99")
    line = stage.phone("alice").call("bob")
    there.refuse(486)
    assert line.statuses == []  # a port that is named is not one that is not (19.1.4)
    there.refuse(404)
    assert line.statuses == [486]
    assert len(stage.records[0].attempts) == 2


def test_copies_of_a_2xx_reach_the_caller(proxying):
    """Until its ACK has come through (16.7 step 5, RFC 6026)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.lost_acks = 3
    line = alice.call("bob")
    bob.answer()
    stage.run(10)
    assert [kind(message) for message in alice.unread].count(200) == 4
    assert line.statuses == [200]
    acks = [message for _, message, _ in bob.received if kind(message) == "ACK"]
    assert len(acks) == 1
    bob.hang_up()


def test_the_ack_has_one_branch_however_often_it_comes(proxying):
    """It is forwarded without state, yet each copy alike (16.11)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    sent = [each.data for each in stage.network.log if each.source[0] == alice.host]
    assert sent[-1].startswith(b"ACK")
    alice.send(sent[-1])
    first, again = (each for each in bob.line.requests if each.method == "ACK")
    assert first.encode() == again.encode()
    assert first.max_forwards == 69
    assert (first.get("Route"), first.get("Record-Route")) == (None, None)
    bob.hang_up()


def test_the_switch_stops(proxying):
    """What still rings is cancelled, and the caller is told 503; the record of a call that stands
    ends, the call does not."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    standing = alice.call("bob")
    bob.answer()
    answered = bob.line
    ringing = alice.call("bob")
    bob.ring()
    stage.house.proxy.shut()
    stage.run(0.1)
    assert ringing.statuses == [180, 503]
    assert "CANCEL" in bob.line.methods
    assert not answered.over
    assert sorted(record.status for record in stage.records) == [200, 503]
    assert {record.hung_up for record in stage.records} == {"switch"}
    standing.request("BYE")
    assert standing.final == 200
    assert answered.over
    assert not [each for each in alice.unread if isinstance(each, Response) and each.status == 481]
