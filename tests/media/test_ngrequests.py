"""What rtpengine is asked, by what both sides want and say."""

import pytest

from softswitch.errors import SdpSyntaxError
from softswitch.media.ngrequests import answer, answered, offer
from softswitch.plugin.media import MediaNetwork, MediaProfile, MediaQuestion

AUDIO = (
    b"v=0\r\no=x 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
SECURE = AUDIO.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF")
WEBRTC, SRTP = MediaProfile("webrtc"), MediaProfile("srtp")


def asked(kind="offer", sdp=AUDIO, near=None, far=None, address="10.1.0.1"):
    """A question from leg a to leg b1, or the answer back."""
    legs = ("a", "b1") if kind == "offer" else ("b1", "a")
    networks = MediaNetwork("10.0.0.1", "10.1.0.1", near), MediaNetwork(address, address, far)
    return MediaQuestion(1, "s", kind, sdp, *legs, *networks, "10.0.0.9")


def test_plain_rtp():
    """Nothing is changed but addresses; what a peer is not offered is what it has not asked for."""
    message = offer(asked(), "c")
    assert (message["call-id"], message["from-tag"], message["to-tag"]) == ("c", "a", "b1")
    assert (message["ICE"], message["rtcp-mux"]) == ("remove", ["demux"])
    assert message["address family"] == "IP4"
    assert message["supports"] == ["load limit"]
    assert "strict source" in message["flags"]
    assert "port latching" in message["flags"]
    assert not {"transport-protocol", "codec", "direction", "SDES"} & message.keys()
    assert offer(asked(address="2001:db8::1"), "c")["address family"] == "IP6"


def test_each_profile():
    """WebRTC is ICE, DTLS and one port; SRTP has its keys in the SDP, and none that are weak; what
    comes encrypted leaves plain for whoever wants that."""
    message = offer(asked(far=WEBRTC), "c")
    assert message["transport-protocol"] == "UDP/TLS/RTP/SAVPF"
    assert (message["ICE"], message["rtcp-mux"], message["SDES"]) == ("force", ["require"], ["off"])
    message = offer(asked(far=SRTP), "c")
    assert (message["transport-protocol"], message["DTLS"]) == ("RTP/SAVP", "off")
    assert "no-NULL_HMAC_SHA1_80" in message["SDES"]
    assert offer(asked(sdp=SECURE, near=WEBRTC), "c")["transport-protocol"] == "RTP/AVP"
    assert answer(asked("answer", far=WEBRTC), "c", AUDIO)["ICE"] == "force"
    assert answer(asked("answer"), "c", AUDIO)["ICE"] == "remove"


@pytest.mark.parametrize("wants", [WEBRTC, SRTP])
def test_who_wants_encryption_offers_nothing_less(wants):
    """Neither does it answer with less (488); a refused section is no media."""
    with pytest.raises(SdpSyntaxError, match="Encrypted Media Wanted"):
        offer(asked(near=wants), "c")
    with pytest.raises(SdpSyntaxError, match="Encrypted Media Wanted"):
        answer(asked("answer", near=wants), "c", SECURE)
    assert offer(asked(sdp=AUDIO.replace(b"4000", b"0"), near=wants), "c")
    assert offer(asked(sdp=SECURE, near=wants), "c")


@pytest.mark.parametrize(
    ("near", "far", "codec"),
    [
        ("pass", "tones", {"consume": ["telephone-event"]}),
        ("pass", "events", {"transcode": ["telephone-event"]}),
        ("tones", "pass", {"transcode": ["telephone-event"]}),
        ("events", "pass", {"accept": ["telephone-event"]}),
        ("events", "events", {"transcode": ["telephone-event"], "accept": ["telephone-event"]}),
        ("events", "tones", {"consume": ["telephone-event"]}),
        ("tones", "tones", {"consume": ["telephone-event"]}),
    ],
)
def test_keys(near, far, codec):
    """Events that one side has and the other has not are made, or heard, by rtpengine."""
    question = asked(near=MediaProfile(dtmf=near), far=MediaProfile(dtmf=far))
    assert offer(question, "c")["codec"] == codec


def test_codecs():
    """A side is offered its own besides the other's; and in a later offer the one that it spoke."""
    wants = MediaProfile(transcode=("PCMA", "opus/48000/2"))
    assert offer(asked(far=wants), "c")["codec"] == {"transcode": ["PCMA", "opus/48000/2"]}
    opus = AUDIO.replace(b"AVP 0 101", b"AVP 96") + b"a=rtpmap:96 opus/48000/2\r\n"
    assert offer(asked(near=wants), "c", opus)["codec"] == {"transcode": ["opus/48000/2"]}
    assert offer(asked(near=wants), "c", AUDIO)["codec"] == {"transcode": ["PCMU/8000"]}
    assert "codec" not in offer(asked(near=wants), "c")


def test_interfaces():
    """Both are named as soon as one is."""
    question = asked(far=MediaProfile(interface="inside"))
    assert offer(question, "c")["direction"] == ["default", "inside"]


def test_what_does_not_go_by_udp_is_refused():
    """It would lead around rtpengine; T.38 does go."""
    more = (
        b"m=message 7000 TCP/MSRP *\r\na=path:msrp://10.0.0.9/x;tcp\r\nm=image 7002 udptl t38\r\n"
    )
    sdp = offer(asked(sdp=AUDIO + more), "c")["sdp"]
    assert b"m=message 0 TCP/MSRP *\r\n" in sdp
    assert b"m=image 7002 udptl t38\r\n" in sdp
    assert offer(asked(), "c")["sdp"] == AUDIO


def test_an_offer_whose_addresses_are_to_come_holds_nobody():
    """Ours, and one whose candidates trickle, has 0.0.0.0 and port 9; another with 0.0.0.0 does
    (RFC 3264 8.4)."""
    to_come = AUDIO.replace(b"c=IN IP4 10.0.0.9", b"c=IN IP4 0.0.0.0")
    assert "original sendrecv" not in offer(asked(sdp=to_come), "c")["flags"]
    to_come = to_come.replace(b"audio 4000", b"audio 9")
    assert "original sendrecv" in offer(asked(sdp=to_come), "c")["flags"]


def test_where_the_media_are():
    """The guard hears of each address that rtpengine shows, and of ours, which stands in o=; and
    that keys are rtpengine's own, but where both sides have theirs in the SDP."""
    shown = AUDIO.replace(b"10.0.0.9", b"10.5.0.1")
    shown += b"a=candidate:1 1 UDP 2130706431 10.5.0.2 30536 typ host\r\n"
    told = answered(asked(), shown)
    assert told.hosts == ("10.5.0.1", "10.5.0.2", "10.1.0.1")
    assert told.terminates == {"ice", "dtls", "sdes"}
    keys = AUDIO + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
    assert answered(asked(sdp=keys), shown).terminates == {"ice", "dtls"}
    assert answered(asked(), b"rubbish").hosts == ("10.1.0.1",)
