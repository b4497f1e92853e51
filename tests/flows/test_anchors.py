"""What broke other systems in the field: one test for each case, named after its issue."""

import re

import pytest

MULTIPART = [("Content-Type", "multipart/mixed;boundary=cut"), ("MIME-Version", "1.0")]
LOCATION = b"<presence xmlns='urn:ietf:params:xml:ns:pidf'><geopriv>51.5 0.1</geopriv></presence>"


def parts(*pairs):
    """A body of several parts: type, content."""
    made = b"".join(
        b"--cut\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), content)
        for kind, content in pairs
    )
    return made + b"--cut--\r\n"


@pytest.fixture
def transfer(flow):
    """Alice talks to Bob, who will transfer her to Carol: flow, her line, his, Carol."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=["replaces"])
    for phone in (alice, bob, carol):
        phone.answers["INVITE"] = 200
    line, other = flow.talk(alice, bob)
    return flow, line, other, carol


def test_opensips_3137_a_transferees_reinvite_crosses_the_transfer(transfer):
    """A party re-INVITEs while the switch negotiates the transfer, and answers the switch's own
    re-INVITE with 491: both are served in the end, and the call does not fail. The NOTIFY is
    still open meanwhile."""
    flow, line, other, carol = transfer
    other.answers["NOTIFY"] = 0
    line.answers["INVITE"] = 491
    other.refer(other.phone.uri("carol"))
    carol.answer(sdp=carol.sdp().replace(b"RTP/AVP 0", b"RTP/AVP 8"))
    line.reinvite(line.phone.sdp(version=2))
    flow.run(0.1)
    line.answers["INVITE"] = 200
    flow.run(8)
    other.answers["NOTIFY"] = 200
    if line.statuses != [200]:
        line.reinvite(line.phone.sdp(version=3))
    flow.run(32)
    assert line.statuses == [200]
    assert line.stands
    assert carol.line.stands
    if not other.over:
        other.request("BYE")
    flow.lossy = True
    flow.hang_up(line, carol.line)


def test_opensips_3196_the_transferor_hangs_up_early(transfer):
    """While the target still rings: the transfer goes on, and the transferor is told how it ends,
    in the dialog whose call is over."""
    flow, line, other, carol = transfer
    other.refer(other.phone.uri("carol"))
    carol.ring()
    other.request("BYE")
    assert other.final == 200
    assert not line.over
    flow.run(3)
    carol.answer()
    flow.run(1)
    assert other.outcomes[-1] == 200
    flow.hang_up(line, carol.line)


def test_opensips_2068_an_attended_transfer_takes_the_call_that_there_is(transfer):
    """No new INVITE goes to the target: the call that Replaces names is joined."""
    flow, line, other, carol = transfer
    second, third = flow.talk(other.phone, carol)
    other.refer(other.phone.uri("carol"), second)
    flow.run(1)
    assert len(carol.lines) == 1
    assert second.over
    if not other.over:
        other.request("BYE")
    flow.hang_up(line, third)


def test_itsbc_8_an_attended_transfer_through_hidden_topology(make_flow, transport, hangs_up):
    """A REFER that is relayed: the identifiers in its Refer-To are the other leg's, so that the
    INVITE that follows finds the call."""
    flow = make_flow({"dialog": {"refer": "relay"}}, transport=transport, hangs_up=hangs_up)
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=["replaces"])
    for phone in (alice, bob, carol):
        phone.answers["INVITE"] = 200
    line, other = flow.talk(alice, bob)
    second, third = flow.talk(bob, carol)
    other.refer(bob.uri("carol"), second)
    assert other.final == 202
    target, _, escaped = line.got("REFER").get("Refer-To").strip("<>").partition("?Replaces=")
    assert second.call_id.replace("@", "%40") not in escaped
    replaces = re.sub("%(..)", lambda code: chr(int(code[1], 16)), escaped)
    third_line = alice.call(target, fields=[("Replaces", replaces)])
    line.notify("200 OK", "terminated;reason=noresource")
    flow.run(1)
    assert other.outcomes == [200]
    assert third_line.statuses[-1] == 200
    assert second.over
    other.request("BYE")
    flow.hang_up(third_line, third)


@pytest.mark.parametrize("hears", [100, 180])
def test_drachtio_server_145_a_bye_during_a_reinvite(flow, hears):
    """The callee is re-INVITEd, says 100 and hangs up: nothing is left, which the end of every
    flow proves."""
    alice, bob = flow.phones("alice", "bob")
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if flow.hangs_up == "caller" else (other, line)
    near.reinvite(near.phone.sdp(version=2))
    far.respond(hears)
    far.request("BYE")
    flow.run(1)
    assert far.final == 200
    assert near.over
    assert near.statuses[-1] >= 400


def test_drachtio_srf_62_a_reinvite_at_once(flow):
    """A phone that re-INVITEs as soon as it has answered, before anything else has happened, is
    served, or told to wait and then served."""
    alice, bob = flow.phones("alice", "bob")
    line = alice.call("bob")
    line.answers["INVITE"] = 200
    settle, bob.settle = bob.settle, lambda: None
    bob.answer()
    bob.settle = settle
    bob.line.reinvite(bob.sdp(version=2).replace(b"4000", b"4800"))
    flow.run(1)
    if bob.line.statuses == [491]:
        bob.line.reinvite(bob.sdp(version=3).replace(b"4000", b"4800"))
    assert bob.line.statuses == [200]
    assert line.stands
    flow.hang_up(line, bob.line)


@pytest.mark.parametrize("held_by", ["caller", "callee"])
def test_freeswitch_1091_a_reinvite_without_an_offer_after_hold(flow, held_by):
    """The 200 offers anew what the other phone can, not what was held (RFC 3261 14.2)."""
    alice, bob = flow.phones("alice", "bob")
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if held_by == "caller" else (other, line)
    far.answers["INVITE"] = 200
    far.description = far.phone.sdp("recvonly", version=2)
    near.reinvite(near.phone.sdp("sendonly", version=2))
    far.description = far.phone.sdp(version=3)
    near.description = near.phone.sdp(version=3)
    near.reinvite(b"")
    assert near.statuses == [200]
    flow.hang_up(line, other)
    first = {line: "calls", other: "answers"}
    flow.saw(f"""
        {near.phone.name}: {first[near]} >INVITE+sendonly <200+recvonly >ACK >INVITE <200+ >ACK+ bye
        {far.phone.name}: {first[far]} <INVITE+sendonly >200+recvonly <ACK <INVITE >200+ <ACK+ bye
    """)


@pytest.mark.parametrize(
    "answer",
    ["recvonly", "sendrecv"],
)
def test_livekit_sip_779_hold_answered_sendrecv(flow, answer):
    """An offer of sendonly is answered recvonly (RFC 3264 6.1), whatever was said before, and
    whatever a careless phone says."""
    alice, bob = flow.phones("alice", "bob")
    line, other = flow.talk(alice, bob)
    line.answers["INVITE"] = 200
    line.description = alice.sdp(answer, version=2)
    other.reinvite(bob.sdp("sendonly", version=2))
    assert other.statuses == [200]
    assert b"a=recvonly" in other.sdp
    assert b"a=sendrecv" not in other.sdp
    flow.hang_up(line, other)


def test_sbc_outbound_123_one_way_audio_after_hold_and_resume(flow):
    """After the callee's hold and resume both sides are led to the ports that they had, and the
    engine knows that both send."""
    alice, bob = flow.phones("alice", "bob")
    line, other = flow.talk(alice, bob)
    before = media(line.sdp), media(other.sdp)
    line.answers["INVITE"] = 200
    line.description = alice.sdp("recvonly", version=2)
    other.reinvite(bob.sdp("sendonly", version=2))
    line.description = alice.sdp(version=3)
    other.reinvite(bob.sdp(version=3))
    assert (media(line.sdp), media(other.sdp)) == before
    assert b"a=sendrecv" in line.sdp
    assert b"a=sendrecv" in other.sdp
    last = [question.sdp for question in flow.engine.questions[-2:]]
    assert all(b"a=sendrecv" in sdp for sdp in last)
    flow.hang_up(line, other)


def media(sdp):
    """The c= and m= lines."""
    return [line for line in sdp.split(b"\r\n") if line[:2] in (b"c=", b"m=")]


def test_freeswitch_1536_two_descriptions_in_one_body(flow):
    """The first that describes the session is the offer; no other keeps an address of the
    caller's."""
    alice, bob = flow.phones("alice", "bob")
    sdp = "application/sdp"
    body = parts((sdp, alice.sdp()), (sdp, alice.sdp().replace(b"4000", b"4400")))
    line = alice.call("bob", sdp=body, fields=MULTIPART)
    assert alice.host.encode() not in bob.line.invite.body
    bob.answer()
    assert line.statuses[-1] == 200
    flow.hang_up(line, bob.line)


def test_sems_129_a_description_beside_a_location(flow):
    """The description is rewritten and not lost; the location crosses to the byte."""
    alice, bob = flow.phones("alice", "bob")
    body = parts(("application/sdp", alice.sdp()), ("application/pidf+xml", LOCATION))
    line = alice.call("bob", sdp=body, fields=[*MULTIPART, ("Geolocation", "<cid:alice>")])
    got = bob.line.invite
    assert got.content_type == "multipart/mixed"
    assert b"m=audio" in got.body
    assert alice.host.encode() not in got.body
    assert LOCATION in got.body
    assert got.get("Geolocation") == "<cid:alice>"
    bob.answer()
    assert line.statuses[-1] == 200
    flow.hang_up(line, bob.line)


def test_rtpengine_942_a_second_connection_line(flow):
    """c= of the session and of the stream are both led to the relay."""
    alice, bob = flow.phones("alice", "bob")
    head, stream = alice.sdp().split(b"m=", 1)
    kind, rest = stream.split(b"\r\n", 1)
    offer = b"%sm=%s\r\nc=IN IP4 %s\r\n%s" % (head, kind, alice.host.encode(), rest)
    line = alice.call("bob", sdp=offer)
    bob.answer()
    assert set(re.findall(rb"c=IN IP4 (\S+)", bob.line.sdp)) == {b"127.88.0.1"}
    flow.hang_up(line, bob.line)


def test_rtpengine_218_ice_in_the_answer_only(flow):
    """What is taken out of the offer is taken out of the answer, too, provisional or final."""
    alice, bob = flow.phones("alice", "bob")
    ice = (
        b"a=ice-ufrag:F7gI\r\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\r\n"
        b"a=candidate:1 1 UDP 2130706431 10.0.1.1 4000 typ host\r\n"
    )
    line = alice.call("bob", sdp=alice.sdp() + ice)
    bob.ring(183, sdp=bob.sdp() + ice)
    bob.answer(sdp=bob.sdp() + ice)
    flow.hang_up(line, bob.line)
    for step in flow.steps():
        assert step.sent or b"candidate" not in step.message.body
        assert step.sent or b"ice-" not in step.message.body


def test_asterisk_449_the_advertised_address_after_a_challenge(trunked):
    """The INVITE that answers the challenge says the same as the first one, to the letter but for
    CSeq, branch and proof."""
    flow, (gateway, _), alice = trunked
    line = alice.call("0123")
    first = gateway.line.invite
    challenge = 'Digest realm="carrier", nonce="4711"'
    gateway.line.respond(407, fields=[("Proxy-Authenticate", challenge)])
    again = gateway.line.invite
    assert again is not first
    assert again.body == first.body
    changed = ("Via", "CSeq", "Proxy-Authorization")
    kept = [[field for field in each.fields if field[0] not in changed] for each in (first, again)]
    assert kept[0] == kept[1]
    gateway.answer()
    flow.hang_up(line, gateway.line)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_siphon_sip_101_a_new_port_for_every_request(refused, who):
    """Whoever comes from a new port, or over a new connection, is known by the dialog: the
    re-INVITE crosses, and so does the BYE."""
    alice, bob = refused.phones("alice", "bob")
    line, other = refused.talk(alice, bob)
    near, far = (line, other) if who == "caller" else (other, line)
    far.answers["INVITE"] = 200
    for version, port in ((2, 5090), (3, 5091)):
        near.phone.move(port)
        near.reinvite(near.phone.sdp(version=version).replace(b"4000", b"40%d0" % version))
        assert near.statuses == [200]
    near.phone.move(5092)
    near.request("BYE")
    assert near.final == 200
    assert far.over
    assert far.methods.count("INVITE") == 2 + (far is other)
