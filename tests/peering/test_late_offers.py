"""Late offers to a trunk that refuses them: it gets an early offer of ours (issue 4, trunks)."""

import pytest

from softswitch.sdp.session import SessionDescription
from softswitch.testing.media import CountingEngine, SlowEngine

CARRIER = "127.88.0.101"
TRUNK = {
    "addresses": [CARRIER],
    "dialog": {"late_offer": "offer", "offer_codecs": ["PCMU", "PCMA", "telephone-event"]},
}
TO_ALICE = [{"match": "0.+", "strip": 1, "trunk": "carrier"}, {"match": "5", "user": "alice"}]


def sdp(phone, formats, version=1, direction="sendrecv"):
    """A phone's description with these formats."""
    return phone.sdp(direction, version).replace(b"RTP/AVP 0", b"RTP/AVP " + formats.encode())


def media(description):
    """Host, port, formats and direction of the first section."""
    section = SessionDescription.parse(description).media[0]
    assert section.connection is not None
    return (
        section.connection.address,
        section.port,
        " ".join(section.formats),
        section.direction,
    )


@pytest.fixture(params=["relay", "slow"])
def engine(request):
    """Those that carry the media; without one there is nothing to offer."""
    return request.param


@pytest.fixture
def played(make_stage, engine):
    """A stage, Alice, and the carrier that wants offers."""
    stage = make_stage({"carrier": TRUNK}, rules=TO_ALICE, engine=engine)
    return stage, stage.phone("alice"), stage.phone("gateway", host=CARRIER)


def last_told(stage):
    """What the engine heard last: who offered and who answered, and what they said."""
    engine = stage.engine
    engine = engine.engine if isinstance(engine, SlowEngine) else engine
    assert isinstance(engine, CountingEngine)
    return [(each.kind, each.from_leg, media(each.sdp)) for each in engine.questions[-2:]]


def test_an_invite_without_a_description_leaves_with_one(played):
    """Of the codecs that are listed, with the relay's port; the answer comes to the caller as the
    offer that it asked for, and what the caller answers in its ACK is told to the relay: nothing
    more crosses (RFC 3261 13.2.1, RFC 3264)."""
    stage, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    host, port, formats, direction = media(gateway.line.invite.body)
    assert (host, formats, direction) == ("127.88.0.1", "0 8 101", "sendrecv")
    assert port >= 20000
    assert gateway.line.invite.get("Content-Type") == "application/sdp"
    assert "100rel" not in (gateway.line.invite.get("Supported") or "")
    gateway.ring()
    assert line.statuses == [180]
    line.description = sdp(alice, "0")
    gateway.answer(sdp=sdp(gateway, "0"))
    stage.settle()
    stage.settle()
    assert line.statuses == [180, 200]
    shown = media(line.responses[-1].body)
    assert (shown[0], shown[2:]) == ("127.88.0.1", ("0", "sendrecv"))
    assert line.stands
    assert last_told(stage) == [
        ("offer", "a", (alice.host, 4000, "0", "sendrecv")),
        ("answer", "b1", (CARRIER, 4000, "0", "sendrecv")),
    ]
    assert gateway.line.methods == ["INVITE", "ACK"]
    assert gateway.line.got("ACK").body == b""
    alice.hang_up()
    assert gateway.line.over


@pytest.mark.parametrize("hears", ["codec", "direction"])
def test_what_does_not_fit_is_told_by_a_re_invite(played, hears):
    """The carrier took two codecs, the caller one; or the caller only listens: the carrier is
    offered what the caller wants, and that once."""
    stage, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    wanted = sdp(alice, "8") if hears == "codec" else sdp(alice, "0 8", direction="recvonly")
    line.description = wanted
    gateway.line.answers["INVITE"] = 200
    gateway.line.description = sdp(gateway, "8" if hears == "codec" else "0 8")
    gateway.answer(sdp=sdp(gateway, "0 8"))
    stage.run(20)
    assert gateway.line.methods == ["INVITE", "ACK", "INVITE", "ACK"]
    again = media(gateway.line.invite.body)
    first = media(gateway.line.requests[0].body)
    assert again[:2] == first[:2], "the relay's port stays"
    assert again[2:] == media(wanted)[2:]
    assert line.methods == []
    assert line.stands
    alice.hang_up()
    assert gateway.line.over


def test_a_carrier_that_refuses_the_re_invite_keeps_its_call(played):
    """Both go on with what they agreed to (RFC 3261 14.1)."""
    stage, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    line.description = sdp(alice, "8")
    gateway.line.answers["INVITE"] = 488
    gateway.answer(sdp=sdp(gateway, "0 8"))
    stage.run(20)
    assert gateway.line.methods == ["INVITE", "ACK", "INVITE", "ACK"]
    assert line.stands
    assert gateway.line.stands
    alice.hang_up()


def test_an_early_answer_waits_for_the_2xx(played):
    """183 with a description: that would be an offer, which an unreliable response cannot bear
    (RFC 3261 13.2.1); a 200 that does not repeat it is completed from it."""
    stage, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    gateway.ring(183, sdp=sdp(gateway, "0"))
    stage.settle()
    assert line.statuses == [183]
    assert line.responses[-1].body == b""
    assert line.responses[-1].get("Content-Type") is None
    line.description = sdp(alice, "0")
    gateway.answer(sdp=b"")
    stage.settle()
    assert line.statuses == [183, 200]
    assert media(line.responses[-1].body)[2] == "0"
    stage.settle()
    alice.hang_up()


def test_a_2xx_without_any_answer(played):
    """The carrier has broken RFC 3264: it is acknowledged and hung up, the caller gets 488."""
    _, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    gateway.answer(sdp=b"")
    assert line.statuses == [488]
    assert gateway.line.methods == ["INVITE", "ACK", "BYE"]


def test_an_ack_without_an_answer(played):
    """The caller has broken it: nobody knows where it wants its media, so the call ends."""
    stage, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    line.reliable.answered = True  # makes the phone send an empty ACK
    gateway.answer(sdp=sdp(gateway, "0"))
    stage.run(5)
    assert gateway.line.over
    assert line.over
    assert "BYE" in line.methods


def test_an_answer_of_which_the_caller_takes_nothing(played):
    """A refused stream is one, too: the carrier hears of it."""
    stage, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    line.description = sdp(alice, "0").replace(b"audio 4000", b"audio 0")
    gateway.line.answers["INVITE"] = 488
    gateway.answer(sdp=sdp(gateway, "0"))
    stage.run(20)
    assert media(gateway.line.invite.body)[1] == 0
    alice.hang_up()
    assert line.over


def test_refused_and_cancelled_calls_leave_nothing(played):
    """As with any offer: the next member, or the caller, hears of it (the stage counts ports)."""
    _, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    gateway.refuse(486)
    assert line.statuses == [486]
    line = alice.call("0+44", sdp=b"")
    gateway.ring()
    alice.cancel()
    assert line.statuses == [180, 487]


def test_the_next_member_gets_one_of_its_own(make_stage, engine):
    """Each try has its own offer; the one that answers counts."""
    trunk = {**TRUNK, "addresses": [CARRIER, "127.88.0.103"]}
    stage = make_stage({"carrier": trunk}, engine=engine)
    alice = stage.phone("alice")
    first, second = stage.phone("one", host=CARRIER), stage.phone("two", host="127.88.0.103")
    line = alice.call("0+44", sdp=b"")
    first.ring(183, sdp=sdp(first, "0"))
    first.refuse(503)
    stage.settle()
    assert media(second.line.invite.body)[2] == "0 8 101"
    line.description = sdp(alice, "8")
    second.answer(sdp=sdp(second, "8"))
    stage.run(5)
    assert media(line.responses[-1].body)[2] == "8"
    assert line.stands
    alice.hang_up()


@pytest.mark.parametrize("asks", ["phone", "trunk's far side"])
def test_a_re_invite_without_a_description(played, asks):
    """It is an offer to the carrier, too: of what the other side holds to, both ways; whoever
    called whom. The carrier's answer is offered back, and the ACK told to the relay."""
    stage, alice, gateway = played
    if asks == "phone":
        line = alice.call("0+44", sdp=sdp(alice, "0 8", direction="sendonly"))
        gateway.answer(sdp=sdp(gateway, "0 8", direction="recvonly"))
    else:
        far = gateway.call("5", sdp=sdp(gateway, "0 8"))
        alice.answer(sdp=sdp(alice, "0 8"))
        assert far.statuses == [200]
        line = alice.line
    gateway.line.answers["INVITE"] = 200
    gateway.line.description = sdp(gateway, "0 8", version=2)
    line.description = sdp(alice, "0 8", version=2)
    stage.settle()
    line.reinvite(b"")
    stage.run(10)
    assert line.statuses == [200]
    again = media(gateway.line.invite.body)
    assert again[0] == "127.88.0.1"
    assert again[2:] == ("0 8", "sendrecv")
    assert gateway.line.methods[-2:] == ["INVITE", "ACK"]
    assert media(line.responses[-1].body)[2:] == ("0 8", "sendrecv")
    kinds = [(kind, said[:3]) for kind, _, said in last_told(stage)]
    assert kinds == [
        ("offer", (alice.host, 4000, "0 8")),
        ("answer", (CARRIER, 4000, "0 8")),
    ]
    line.reinvite(sdp(alice, "0", version=3))
    stage.run(10)
    assert line.statuses == [200], "and the call goes on as any other"
    alice.hang_up()
    assert gateway.line.over


def test_a_refused_re_invite_changes_nothing(played):
    """The caller hears the refusal, both stay as they were (RFC 3261 14.1)."""
    stage, alice, gateway = played
    line = alice.call("0+44")
    gateway.answer()
    gateway.line.answers["INVITE"] = 488
    line.reinvite(b"")
    stage.run(5)
    assert line.statuses == [488]
    assert line.stands
    gateway.line.answers["INVITE"] = 200
    line.reinvite(sdp(alice, "0", version=2))
    stage.run(5)
    assert line.statuses == [200]
    alice.hang_up()


def test_an_empty_ack_of_a_re_invite_takes_it_back(played):
    """What held before holds still."""
    stage, alice, gateway = played
    line = alice.call("0+44")
    gateway.answer()
    line.reinvite(b"")
    line.reliable.answered = True  # makes the phone send an empty ACK
    gateway.answer(sdp=gateway.sdp(version=2))
    stage.run(10)
    assert line.statuses == [200]
    assert line.stands
    gateway.line.answers["INVITE"] = 200
    line.reinvite(sdp(alice, "0", version=2))
    stage.run(10)
    assert line.statuses == [200]
    alice.hang_up()


def test_who_hangs_up_meanwhile(played):
    """BYE while the caller's answer is awaited, or on its way to the relay."""
    stage, alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    alice.lost_acks = 2
    gateway.answer(sdp=sdp(gateway, "0"))
    stage.run(2)
    gateway.hang_up()
    stage.run(10)
    assert line.over


def test_an_offer_passes_as_it_is(played):
    """Who makes an offer keeps it; a trunk that takes late offers gets them as they came."""
    _, alice, gateway = played
    line = alice.call("0+44", sdp=sdp(alice, "0 3"))
    assert media(gateway.line.invite.body)[2] == "0 3"
    gateway.refuse(486)
    assert line.statuses == [486]
    line = gateway.call("5", sdp=b"")
    assert alice.line.invite.body == b""
    alice.refuse(486)
    assert line.statuses == [486]


def test_the_trunks_list_of_codecs_holds_for_our_offer(make_stage, engine):
    """What it may not be offered, it is not offered by us either; nothing left is 488."""
    for codecs, seen in ((["PCMA"], "8 101"), (["G729"], "")):
        dialog = {**TRUNK["dialog"], "codecs": codecs}
        stage = make_stage({"carrier": {**TRUNK, "dialog": dialog}}, engine=engine)
        alice, gateway = stage.phone("alice"), stage.phone("gateway", host=CARRIER)
        line = alice.call("0+44", sdp=b"")
        if seen:
            assert media(gateway.line.invite.body)[2] == seen
            gateway.refuse(486)
        stage.settle()
        assert line.statuses == [486 if seen else 488]


def test_without_a_relay_nothing_is_offered(make_stage):
    """There would be no place to offer: it goes as it came."""
    stage = make_stage(
        engine="bypass", tables={"media": {"engine": "relay"}}, trunks={"carrier": TRUNK}
    )
    alice, gateway = stage.phone("alice"), stage.phone("gateway", host=CARRIER)
    alice.call("0+44", sdp=b"")
    assert gateway.line.invite.body == b""
    gateway.refuse(488)
