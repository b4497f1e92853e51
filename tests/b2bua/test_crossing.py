"""What crosses from one leg to the other, and what stays (RFC 3261 section 16 does not apply)."""

import pytest

from softswitch.b2bua import crossing
from softswitch.plugin.profile import Profile
from softswitch.sip.message import Request
from softswitch.testing.media import CountingEngine

PRIVATE = [
    ("User-Agent", "alice's phone"),
    ("Record-Route", "<sip:127.88.0.77;lr>"),
    ("P-Asserted-Identity", "<sip:secret@127.88.0.77>"),
    ("Supported", "replaces"),
    ("Organization", "alice's own"),
]
PUBLIC = [
    ("X-Account", "4711"),
    ("x-lower", "case"),
    ("Alert-Info", "<http://127.0.0.1/ring.wav>"),
    ("Call-Info", "<http://127.0.0.1/alice.png>;purpose=icon"),
    ("Subject", "lunch"),
    ("Priority", "urgent"),
    ("User-to-User", "56a390f3d2b7310023a2;encoding=hex"),
    ("Recv-Info", "conference, foo"),
]


def test_two_dialogs(stage):
    """The legs share no Call-ID, tag, Via, Contact, CSeq (RFC 3261 6, "B2BUA")."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    near, far = line.sent, bob.line.invite
    assert near.call_id != far.call_id
    assert near.from_.tag != far.from_.tag
    assert line.responses[-1].to.tag != bob.line.tag
    assert [via.host for via in far.vias] == ["127.88.0.1"]
    assert far.contacts[0].uri.host == "127.88.0.1"
    assert line.responses[-1].contacts[0].uri.host == "127.88.0.1"
    assert far.cseq.number == 1
    assert alice.host not in far.encode().decode().replace(alice.sdp().decode(), "")
    assert bob.host not in line.responses[-1].encode().decode().replace(bob.sdp().decode(), "")
    alice.hang_up()


def test_fields_of_a_request(stage):
    """X- fields, and those that are the caller's message to the callee, cross; what speaks of
    the caller's own network, phone or abilities does not."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob", fields=[*PRIVATE, *PUBLIC])
    got = bob.line.invite
    for name, value in PUBLIC:
        assert got.all(name) == [value]
    for name, value in PRIVATE:
        assert value not in got.all(name)
    assert got.get("Authorization") is None
    assert got.get("User-Agent").startswith("softswitch/")
    alice.cancel()


@pytest.mark.parametrize("status", [180, 200, 486])
def test_fields_of_a_response(stage, status):
    """The same the other way, for provisional, accepting and refusing answers."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.line.respond(status, fields=[*PRIVATE, *PUBLIC], sdp=bob.sdp() if status == 200 else b"")
    got = line.responses[-1]
    if status < 300:
        for name, value in PUBLIC:
            assert got.all(name) == [value]
    for name, value in PRIVATE:
        assert value not in got.all(name)
    if status == 180:
        alice.cancel()
    elif status == 200:
        alice.hang_up()


def test_a_display_name_crosses_and_the_host_does_not(stage):
    """The callee sees who calls, at an address of ours."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob", caller='"Alice \\"A.\\" Müller" <sip:alice@127.88.0.1:5060>')
    got = bob.line.invite.from_
    assert (got.display, got.uri.user, got.uri.host) == ('Alice "A." Müller', "alice", "127.88.0.1")
    alice.cancel()


def test_who_is_anonymous_stays_so(stage):
    """RFC 3323 4.1.1.3."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob", caller='"Anonymous" <sip:anonymous@anonymous.invalid>')
    assert str(bob.line.invite.from_.uri) == "sip:anonymous@anonymous.invalid"
    assert "alice" not in bob.line.invite.encode().decode().replace(alice.sdp().decode(), "")
    alice.cancel()


@pytest.mark.parametrize(("came", "went"), [(70, 69), (2, 1), (1, 0)])
def test_max_forwards_is_carried_on(stage, came, went):
    """And decremented, so that a circle of back-to-back agents ends (RFC 3261 16.6 step 3)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    call(alice, came)
    assert bob.line.invite.max_forwards == went
    bob.refuse(486)


def call(alice, max_forwards):
    """Alice calls Bob with a Max-Forwards of her own; None for none."""
    plain = alice.request

    def request(*args, **options):
        made = plain(*args, **options)
        values = [] if max_forwards is None else [str(max_forwards)]
        return made.replaced("Max-Forwards", values) if made.method == "INVITE" else made

    alice.request = request
    return alice.call("bob")


def test_no_max_forwards_at_all(stage):
    """70 is what is meant (RFC 3261 16.6 step 3)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    call(alice, None)
    assert bob.line.invite.max_forwards == 69
    bob.refuse(486)


def test_max_forwards_is_used_up(stage):
    """483 (RFC 3261 16.3 step 3), before anybody is asked for a password."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    assert call(alice, 0).statuses == [483]
    assert bob.lines == []
    assert stage.records == []


def test_a_call_that_comes_back(stage):
    """With our own mark and the same Request-URI: 482, and a record (RFC 3261 16.3 step 4). To
    another Request-URI it is a call like any other, and keeps one mark for each of ours."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    alice.call("bob")
    marks = [("X-Softswitch-Mark", value) for value in bob.line.invite.all("X-Softswitch-Mark")]
    assert len(marks) == 1
    assert bob.call("bob", fields=marks).statuses == [482]
    onward = bob.call("carol", fields=marks)
    assert len(carol.line.invite.all("X-Softswitch-Mark")) == 2
    carol.refuse(486)
    assert onward.statuses == [486]
    alice.cancel()
    assert [record.status for record in stage.records] == [482, 486, 487]


@pytest.mark.parametrize("transport", ["UDP"])
def test_descriptions_are_ours_on_each_leg(make_stage, transport):
    """Lines that nobody knows cross in their order; c= and m= are led to the relay; o= is the
    switch's own on each leg, and its version stays for a description that stays (RFC 3264 8)."""
    stage = make_stage(transport=transport, engine=lambda clock: CountingEngine())
    alice, bob = stage.phone("alice"), stage.phone("bob")
    offer = alice.sdp() + b"a=x-unknown:1\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\n"
    line = alice.call("bob", sdp=offer)
    text = bob.line.sdp.decode()
    assert alice.host not in text
    assert "a=x-unknown:1\r\n" in text
    assert "candidate" not in text
    assert "c=IN IP4 127.88.0.1\r\n" in text
    bob.ring(183, sdp=bob.sdp())
    early = line.sdp
    bob.answer()
    assert line.sdp == early
    assert bob.host.encode() not in early
    ids = {body.split(b"\r\n")[1].split()[1] for body in (early, bob.line.sdp, offer, bob.sdp())}
    assert len(ids) == 3  # ours to her, ours to him, and the phones' own
    line.reinvite(offer)
    assert bob.line.sdp.decode() == text
    bob.answer()
    alice.hang_up()


@pytest.mark.parametrize("transport", ["UDP"])
def test_descriptions_pass_unchanged_without_a_relay(make_stage, transport):
    """Bypass: to the byte, o= too."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    assert bob.line.sdp == alice.sdp()
    bob.answer()
    assert line.sdp == bob.sdp()
    alice.hang_up()


def test_the_reason_of_a_bye_crosses(stage):
    """RFC 3326."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    alice.hang_up([("Reason", 'Q.850;cause=16;text="Normal"')])
    assert bob.line.requests[-1].get("Reason") == 'Q.850;cause=16;text="Normal"'


@pytest.mark.parametrize("transport", ["UDP"])
def test_the_reason_of_a_cancel_and_of_a_failure_crosses(make_stage, transport):
    """With its Q.850 cause (RFC 3326 2)."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    cause = [("Reason", 'Q.850;cause=17;text="User busy"')]
    line = alice.call("bob")
    bob.line.respond(486, fields=cause)
    assert line.responses[-1].all("Reason") == [cause[0][1]]
    alice.call("bob")
    alice.cancel(cause)
    sent = [packet.data for packet in stage.network.log if packet.data.startswith(b"CANCEL")]
    assert b'Reason: Q.850;cause=17;text="User busy"' in sent[-1]


def test_the_receiving_sides_profile_says_what_crosses():
    """Its list, in its spelling; and whether a Reason may go with what ends a call (issue 3)."""
    offered = [("Subject", "lunch"), ("x-Mine", "1"), ("Organization", "us"), ("Reason", "SIP")]
    message = Request("BYE", "sip:bob@127.0.0.1", offered)
    assert crossing.fields(message) == [offered[0], offered[1], offered[3]]
    assert crossing.fields(message, Profile(crossing=("organization", "X-M*"))) == offered[1:3]
    assert crossing.fields(message, Profile(crossing=())) == []
    assert crossing.reasons(message) == [offered[3]]
    assert crossing.reasons(message, Profile(crossing=())) == crossing.reasons(None) == []


def test_info_packages_are_listed_before_they_are_sent(stage):
    """Recv-Info crosses with the INVITE and its 2xx, so that each side knows which INFO the other
    takes (RFC 6086 4.2.1); a 469 lists them once."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", fields=[("Recv-Info", "foo")])
    assert bob.line.invite.all("Recv-Info") == ["foo"]
    bob.answer(fields=[("Recv-Info", "bar")])
    assert line.responses[-1].all("Recv-Info") == ["bar"]
    line.answers["INFO"] = 0
    bob.line.request("INFO", [("Info-Package", "baz")])
    assert line.got("INFO").get("Info-Package") == "baz"
    line.respond(469, to=line.got("INFO"), fields=[("Recv-Info", "foo")])
    stage.settle()
    assert bob.line.final == 469
    assert bob.line.replies[-1].all("Recv-Info") == ["foo"]
    alice.hang_up()
