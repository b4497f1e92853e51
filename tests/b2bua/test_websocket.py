"""Phones in web pages: SIP over WebSocket (RFC 7118). They are found nowhere but on the WebSocket
that they have opened."""

import pytest

from softswitch.plugin.media import MediaProfile
from softswitch.testing.media import CountingEngine

#: A media engine that knows WebRTC.
FARM = {"engine": "rtpengine", "rtpengine": [{"address": "127.0.0.1:2223"}]}

WEB = {"transport": "WS"}


@pytest.fixture(name="stage")
def _stage(make_stage):
    return make_stage()


def test_a_page_calls_a_phone(stage):
    """Its Via is answered on its WebSocket (RFC 7118 5.1); our Contact says ws towards it, and
    nothing of it towards the phone."""
    alice, bob = stage.phone("alice", **WEB), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    bob.answer()
    assert line.statuses == [180, 200]
    host, port = alice.switch
    assert [str(each.uri) for each in line.responses[-1].contacts] == [
        f"sip:bob@{host}:{port};transport=ws"
    ]
    invite = bob.line.invite
    assert invite.top_via.transport == "UDP"
    assert "transport" not in invite.contacts[0].uri.params
    alice.hang_up()
    assert bob.line.over
    assert line.final == 200
    assert alice.endpoint.peers == [alice.switch]


def test_a_phone_calls_a_page(stage):
    """Over the flow on which it has registered (RFC 5626 5.3), with its own Contact, which no one
    could resolve, in the Request-URI; ACK, re-INVITE and BYE go there, too."""
    alice, bob = stage.phone("alice"), stage.phone("bob", **WEB)
    line = alice.call("bob")
    invite = bob.line.invite
    host, port = bob.switch
    assert invite.uri == "sip:bob@bob-page.invalid;transport=ws"
    assert (invite.top_via.transport, invite.top_via.port) == ("WS", port)
    assert str(invite.contacts[0].uri) == f"sip:alice@{host}:{port};transport=ws"
    bob.answer()
    line.reinvite(alice.sdp("sendonly", version=2))
    bob.line.respond(200, sdp=bob.sdp("recvonly", version=2))
    alice.hang_up()
    assert bob.line.methods == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]


def test_two_pages(stage):
    """One calls the other, who hangs up; the caller has given up before, once."""
    alice, bob = stage.phone("alice", **WEB), stage.phone("bob", **WEB)
    alice.call("bob")
    bob.ring()
    alice.cancel()
    assert alice.line.statuses == [180, 487]
    alice.call("bob")
    bob.answer()
    bob.hang_up()
    assert alice.line.over


def test_a_page_that_is_no_user(stage):
    """It is answered where it is, and challenged like anybody."""
    stranger = stage.phone("mallory", **WEB)
    line = stranger.call("bob")
    assert line.statuses == [401]
    assert stranger.endpoint.peers == [stranger.switch]


def test_a_page_that_is_left(stage):
    """Its user cannot be reached from that moment on: 480 at once, and nobody looks for a name
    that is invalid."""
    alice, bob = stage.phone("alice"), stage.phone("bob", **WEB)
    bob.endpoint.stream(bob.switch).close()
    stage.run(0)
    assert alice.call("bob").statuses == [480]
    assert stage.clock.seconds() == 0


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_page_that_is_left_while_it_rings(make_stage, who):
    """The try fails at once; of a caller that is gone, nobody is told, and the call ends."""
    stage = make_stage({"switch": {"ring_seconds": 20}})
    alice, bob = stage.phone("alice", **WEB), stage.phone("bob", **WEB)
    line = alice.call("bob")
    bob.ring()
    left = alice if who == "caller" else bob
    left.endpoint.stream(left.switch).close()
    stage.run(0)
    if who == "callee":
        assert line.statuses == [180, 500]
    stage.run(30)


def test_a_page_that_is_left_while_they_talk(stage):
    """The other side hangs up, and no WebSocket is opened by us (RFC 7118 5)."""
    alice, bob = stage.phone("alice"), stage.phone("bob", **WEB)
    alice.call("bob")
    bob.answer()
    bob.endpoint.close()
    stage.run(0)
    alice.hang_up()
    assert alice.line.final == 200
    stage.run(40)


def test_a_page_that_has_come_back(stage):
    """Loaded anew, or in another network, and registered: its call is hung up where it is now."""
    alice, bob = stage.phone("alice"), stage.phone("bob", **WEB)
    alice.call("bob")
    bob.answer()
    bob.move(5070)
    assert bob.register() == 200
    alice.hang_up()
    assert bob.line.over


def test_a_message_to_a_page(stage):
    """Outside of calls, too."""
    alice, bob = stage.phone("alice"), stage.phone("bob", **WEB)
    bob.can()
    line = alice.dial("bob")
    line.request("MESSAGE", [("Content-Type", "text/plain")], b"hello")
    assert line.final == 200
    assert [each.body for each in bob.requests] == [b"hello"]


@pytest.mark.parametrize("page", ["caller", "callee"])
def test_a_page_wants_webrtc(make_stage, page):
    """Where the media engine knows it, and nothing else is said of its user; his phone on the desk
    goes on with plain RTP, and what he wants besides holds for both."""
    tables = {
        "media": FARM,
        "groups": {"desk": {"media": {"dtmf": "events"}}},
        "users": {
            "alice": {"password": "alice"},
            "bob": {"password": "bob", "group": "desk"},
        },
    }
    stage = make_stage(tables, engine=lambda clock: CountingEngine())
    kinds = ("WS", "UDP") if page == "caller" else ("UDP", "WS")
    alice, bob = stage.phone("alice", transport=kinds[0]), stage.phone("bob", transport=kinds[1])
    alice.call("bob")
    bob.answer()
    [call] = stage.house.switch.calls.values()
    wants = [leg.network.wants for leg in call.data.legs.values()]
    if page == "caller":
        assert wants == [MediaProfile("webrtc"), MediaProfile("rtp", dtmf="events")]
    else:
        assert wants == [None, MediaProfile("webrtc", dtmf="events")]
    alice.hang_up()


WEBRTC = (
    """v=0
o=mozilla 77 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 54321 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 192.168.1.7
a=candidate:1 1 udp 2113937151 192.168.1.7 54321 typ host
a=candidate:2 1 udp 2113937151 5d3a4c11.local 54321 typ host
a=ice-ufrag:Xy12
a=ice-pwd:0123456789abcdefghijklmn
a=fingerprint:sha-256 {print}
a=setup:actpass
a=mid:0
a=rtcp-mux
a=sendrecv
""".format(print=":".join(["AB"] * 32))
    .replace("\n", "\r\n")
    .encode()
)


def test_pages_talk_to_each_other(stage):
    """Without a media engine they find each other by ICE: candidates, fingerprints and all cross as
    they are."""
    alice, bob = stage.phone("alice", **WEB), stage.phone("bob", **WEB)
    line = alice.call("bob", sdp=WEBRTC)
    bob.answer(sdp=WEBRTC.replace(b"actpass", b"active"))
    for found, setup in ((bob.line.invite.body, b"actpass"), (line.responses[-1].body, b"active")):
        told = [each for each in found.split(b"\r\n") if not each.startswith((b"o=", b"s="))]
        wanted = WEBRTC.replace(b"actpass", setup).split(b"\r\n")
        assert told == [each for each in wanted if not each.startswith((b"o=", b"s="))]
    alice.hang_up()
