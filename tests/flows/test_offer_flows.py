"""What is re-negotiated while a call stands, and what keeps it alive: both legs (RFC 3264, RFC
4028)."""

import pytest

VIDEO = b"m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n"
REFUSED = b"m=video 0 RTP/AVP 97\r\n"


@pytest.fixture
def talk(flow):
    """Alice and Bob talk: flow, both lines."""
    return flow, *flow.talk(*flow.phones("alice", "bob"))


def sides(talk, who):
    """The line that acts, the other."""
    _, line, other = talk
    return (line, other) if who == "caller" else (other, line)


def streams(sdp):
    """Kind, whether there is a port, and formats of each m= line."""
    lines = [line.split() for line in sdp.decode().split("\r\n") if line.startswith("m=")]
    return [(kind[2:], port != "0", *formats) for kind, port, _, *formats in lines]


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_stream_is_added_refused_added_and_taken_away(talk, who):
    """m= lines cross in their order and are never taken out again (RFC 3264 8.2)."""
    flow, line, other = talk
    near, far = sides(talk, who)
    far.answers["INVITE"] = 200
    far.description = far.phone.sdp(version=2) + REFUSED
    near.reinvite(near.phone.sdp(version=2) + VIDEO)
    assert streams(far.sdp) == [("audio", True, "0"), ("video", True, "97")]
    assert streams(near.sdp) == [("audio", True, "0"), ("video", False, "97")]
    far.description = far.phone.sdp(version=3) + VIDEO
    near.reinvite(near.phone.sdp(version=3) + VIDEO)
    assert streams(near.sdp) == [("audio", True, "0"), ("video", True, "97")]
    far.description = far.phone.sdp(version=4) + REFUSED
    near.reinvite(near.phone.sdp(version=4) + REFUSED)
    assert streams(far.sdp) == streams(near.sdp) == [("audio", True, "0"), ("video", False, "97")]
    flow.hang_up(line, other)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_codec_is_changed(talk, who):
    """The formats of offer and answer cross as they are."""
    flow, line, other = talk
    near, far = sides(talk, who)
    far.answers["INVITE"] = 200
    far.description = far.phone.sdp(version=2).replace(b"RTP/AVP 0", b"RTP/AVP 8")
    near.reinvite(near.phone.sdp(version=2).replace(b"RTP/AVP 0", b"RTP/AVP 8 0"))
    assert streams(far.sdp) == [("audio", True, "8", "0")]
    assert streams(near.sdp) == [("audio", True, "8")]
    flow.hang_up(line, other)


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("status", [488, 603])
def test_a_refused_offer_counts_all_the_same(talk, who, status):
    """The refused description has used up a version of o=: the next one is one above it (RFC
    3264 8), and the call is as it was."""
    flow, line, other = talk
    near, far = sides(talk, who)
    before = near.sdp, streams(far.sdp)
    far.answers["INVITE"] = status
    near.reinvite(near.phone.sdp(version=2) + VIDEO)
    assert near.statuses == [status]
    refused = version(far.sdp)
    far.answers["INVITE"] = 200
    far.description = far.phone.sdp(version=1)
    near.reinvite(near.phone.sdp(version=3))
    assert (near.sdp, streams(far.sdp)) == before
    assert version(far.sdp) == refused + 1
    flow.hang_up(line, other)


def version(sdp):
    """Of the o= line."""
    return int(sdp.split(b"\r\n")[1].split()[2])


TIMER = {"dialog": {"session_expires": 100, "refresher": "us"}}


@pytest.mark.parametrize("update", [False, True], ids=["reinvite", "update"])
def test_a_timer_on_one_leg_alone(make_flow, transport, hangs_up, update):
    """Alice's phone knows session timers, Bob's does not: the switch refreshes her leg at half the
    time, by UPDATE where she allows it, and his sees nothing of it (RFC 4028)."""
    flow = make_flow(TIMER, transport=transport, hangs_up=hangs_up)
    alice, bob = flow.phones("alice", "bob")
    alice.supported = ("timer",)
    if update:
        alice.can("timer")
    alice.answers["INVITE"] = 200
    line = alice.call("bob", fields=[("Session-Expires", "100;refresher=uas")])
    bob.answer()
    alice.session_expires = "100;refresher=uac"
    flow.run(120)
    assert line.methods == (["UPDATE"] * 2 if update else ["INVITE", "ACK"] * 2)
    assert bob.line.methods == ["INVITE", "ACK"]
    flow.hang_up(line, bob.line)


def test_a_peer_that_died_is_noticed(make_flow, transport):
    """The refresh gets no answer: BYE on both legs before the time is up, and one record."""
    flow = make_flow(TIMER, transport=transport)
    flow.lossy = True
    alice, bob = flow.phones("alice", "bob", can=["timer"])
    line = alice.call("bob", fields=[("Session-Expires", "100;refresher=uas")])
    bob.answer()
    alice.silent = True
    flow.run(100)
    assert bob.line.over
    assert alice.times("BYE")
    assert line.stands  # she never heard
    assert len(flow.records) == 1
