"""Session descriptions on their way out of the switch: what the guard mends and refuses in a call,
what its record and log say of it, and whom it leaves alone (RFC 3264, RFC 3261 20.43)."""

import pytest

from softswitch.media.bypass import BypassEngine
from softswitch.testing.media import CountingEngine

VIDEO = b"m=video 4002 RTP/AVP 99\r\n"


@pytest.fixture
def stage(make_stage):
    """With a relay whose ports are numbers."""
    return make_stage(engine=lambda clock: CountingEngine())


def warning(message):
    """Warn-code and text of its Warning."""
    code, agent, text = message.get("Warning").split(" ", 2)
    assert agent == "softswitch"
    return int(code), text.strip('"')


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"v=nonsense", 307, "SDP does not begin with v=0"),
        (b"v=0\r\no=x\r\ns=-\r\nt=0 0\r\n", 307, "Bad o= line in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", 307, "No c="),
    ],
)
def test_an_unreadable_offer_is_refused_with_a_warning(stage, body, code, text):
    """488 and why (RFC 3261 21.4.26, 20.43), nobody is rung, and the record says it too."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", sdp=body)
    assert line.statuses == [488]
    found = warning(line.responses[-1])
    assert found[0] == code
    assert found[1].startswith(text)
    assert bob.lines == []
    assert stage.records[0].attempts[0].reason == found[1]


def test_an_unreadable_offer_later_leaves_the_call_as_it_was(stage):
    """A re-INVITE and an UPDATE get 488 with a Warning; the call goes on (RFC 3261 14.2)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.can()
    line = alice.call("bob")
    bob.answer()
    line.reinvite(b"v=nonsense")
    assert line.statuses == [488]
    assert warning(line.responses[-1])[0] == 307
    line.update(b"v=nonsense")
    assert line.final == 488
    assert warning(line.replies[-1])[0] == 307
    line.reinvite(alice.sdp("sendonly", version=2))
    bob.line.respond(200, sdp=bob.sdp("recvonly", version=2))
    assert line.statuses == [200]
    alice.hang_up()


def test_an_unreadable_answer_ends_the_try(stage):
    """The callee is said goodbye, the caller hears why."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer(sdp=b"v=nonsense")
    assert line.statuses == [488]
    assert warning(line.responses[-1])[0] == 307
    stage.run(1)
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


def test_what_was_mended_stands_in_the_record_and_is_told(make_stage):
    """Each thing once for each leg, when the leg ends; never what its sender has put there."""
    stage = make_stage(engine=lambda clock: CountingEngine())
    told = []
    stage.house.switch._shared.mended = lambda *said: told.append(said)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    secret = b"a=X-nat:0 10.11.12.13\r\na=X-nat:1 10.11.12.14\r\ns\r\n"
    line = alice.call("bob", sdp=alice.sdp("sendonly") + secret)
    assert b"10.11" not in bob.line.sdp
    bob.answer(sdp=bob.sdp("sendrecv"))
    assert b"a=recvonly" in line.sdp
    alice.hang_up()
    stage.run(40)
    (record,) = stage.records
    assert sorted(record.mended) == [
        "a: a=sendrecv in answer to a=sendonly",
        "b1: a line that is none",
        "b1: a=X-nat",
    ]
    assert sorted(told, key=lambda each: each[1]) == [
        (record.id, "a", ["a=sendrecv in answer to a=sendonly"]),
        (record.id, "b1", ["a=X-nat", "a line that is none"]),
    ]


def test_a_call_without_fault_says_nothing(stage):
    """The record's list is empty."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob", sdp=alice.sdp() + VIDEO)
    bob.answer(sdp=bob.sdp() + VIDEO)
    bob.line.reinvite(bob.sdp("sendonly", version=2) + VIDEO)
    alice.line.respond(200, sdp=alice.sdp("recvonly", version=2) + VIDEO)
    alice.hang_up()
    stage.run(40)
    assert stage.records[0].mended == []


def test_an_answer_that_lacks_sections_refuses_them(stage):
    """The callee forgets the video: the caller's offer is answered whole (RFC 3264 6)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", sdp=alice.sdp() + VIDEO)
    bob.answer(sdp=bob.sdp())
    assert line.statuses == [200]
    assert line.sdp.endswith(b"m=video 0 RTP/AVP 99\r\n")
    alice.hang_up()
    stage.run(40)
    assert "b1: its answer: the number of m= lines" in stage.records[0].mended


def test_whoever_is_joined_keeps_his_sections(stage):
    """A transferee whose call had video is offered audio alone by the target: the video stays as a
    refused section (RFC 3264 8), of which the target hears nothing in the answer."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    for phone in (alice, bob, carol):
        phone.can("replaces")
    line = alice.call("bob", sdp=alice.sdp() + VIDEO)
    bob.answer(sdp=bob.sdp() + VIDEO)
    other = bob.line
    consulted = bob.call("carol")
    carol.answer()
    stage.run(5)
    other.refer(bob.uri("carol"), consulted)
    stage.run(1)
    asked = [each for each in (line, carol.line) if each.open]
    for each in asked:
        count = each.sdp.count(b"m=")
        answer = each.phone.sdp(version=5) + (b"m=video 0 RTP/AVP 99\r\n" if count > 1 else b"")
        each.respond(200, sdp=answer)
        stage.run(1)
    for each in (line, carol.line):
        if each.open:
            each.respond(200, sdp=each.phone.sdp(version=6))
        stage.run(1)
    assert line.stands
    assert carol.line.stands
    assert line.sdp.count(b"m=") == 2
    line.request("BYE")
    stage.run(40)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_the_media_of_a_trunk_that_says_so_go_past_us(make_stage, who):
    """``media = "bypass"``: each side gets the other's description to the byte, one that nobody can
    read too, with the engine at hand; nothing is asked of it."""
    trunks = {"carrier": {"addresses": ["127.88.0.101:5060"], "dialog": {"media": "bypass"}}}
    engine = CountingEngine()
    stage = make_stage({"trunks": trunks}, engine=lambda clock: engine)
    alice, carrier = stage.phone("alice"), stage.trunk("carrier")
    odd, strange = b"v=nonsense 10.0.0.1\r\n", b"v=0\r\nm=carrier pigeon\r\n"
    if who == "callee":
        line = alice.call("0123", sdp=odd)
        carrier.answer(sdp=strange)
        far = carrier.line
    else:
        line = carrier.call("alice", sdp=odd)
        alice.answer(sdp=strange)
        far = alice.line
    assert line.statuses == [200]
    assert (far.requests[0].body, line.responses[-1].body) == (odd, strange)
    line.reinvite(strange)
    assert far.requests[-1].body == strange
    far.respond(200, sdp=odd)
    assert line.responses[-1].body == odd
    line.request("BYE")
    stage.run(40)
    assert engine.questions == []


def test_an_engine_may_leave_a_description_alone(make_stage):
    """It says so, and what the far side has written leaves to the byte, o= and all."""
    stage = make_stage(engine=lambda clock: BypassEngine())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    odd = b"v=0\r\nx=odd\r\n"
    line = alice.call("bob", sdp=odd)
    bob.answer()
    assert bob.line.requests[0].body == odd
    assert line.sdp == bob.sdp()
    line.request("BYE")


def test_what_a_trunk_hides_may_be_told_where_its_media_go_past_us(make_stage):
    """Its gateway's address stands in its description: whoever is to send there has to read it,
    while all other fields hide it."""
    trunks = {"carrier": {"addresses": ["127.88.0.101:5060"], "dialog": {"media": "bypass"}}}
    stage = make_stage({"trunks": trunks}, engine=lambda clock: CountingEngine())
    alice, carrier = stage.phone("alice"), stage.trunk("carrier")
    line = alice.call("0123")
    carrier.answer(fields=[("X-From", "127.88.0.101")])
    assert b"127.88.0.101" in line.sdp
    assert line.responses[-1].get("X-From") == "127.88.0.1"
    line.request("BYE")


def test_others_on_the_same_switch_are_not_left_alone(make_stage):
    """What one trunk wants is nobody else's."""
    trunks = {"carrier": {"addresses": ["127.88.0.101:5060"], "dialog": {"media": "bypass"}}}
    stage = make_stage({"trunks": trunks}, engine=lambda clock: CountingEngine())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    assert alice.call("bob", sdp=b"v=nonsense").statuses == [488]
    line = alice.call("bob")
    assert alice.host.encode() not in bob.line.sdp
    bob.answer()
    line.request("BYE")


def test_from_past_us_to_the_engine_the_session_is_told_on(make_stage):
    """Somebody who has talked to such a trunk is transferred to a phone: to him it is the same
    session, of the next version (RFC 3264 8)."""
    trunks = {"carrier": {"addresses": ["127.88.0.101:5060"], "dialog": {"media": "bypass"}}}
    stage = make_stage({"trunks": trunks}, engine=lambda clock: CountingEngine())
    alice, bob, carrier = stage.phone("alice"), stage.phone("bob"), stage.trunk("carrier")
    line = alice.call("0123")
    carrier.answer(sdp=carrier.sdp())
    before = line.sdp.split(b"\r\n")[1].split()
    carrier.line.refer("sip:bob@127.88.0.1")
    stage.run(2)
    bob.answer()
    stage.run(2)
    for _ in range(3):
        for each in (line, bob.line):
            if each.open:
                each.respond(200, sdp=each.phone.sdp(version=3))
            stage.run(1)
    assert line.stands
    assert bob.line.stands
    after = line.sdp.split(b"\r\n")[1].split()
    assert after[1:2] == before[1:2]
    assert int(after[2]) > int(before[2])
    line.request("BYE")
    stage.run(40)
