"""The session description as a document: what is read from it, and that nothing is lost."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.errors import SdpSyntaxError
from softswitch.sdp.session import Address, SessionDescription, payload_type

BARESIP = (
    b"v=0\r\no=- 3841420 1277 IN IP4 127.55.0.1\r\ns=-\r\nc=IN IP4 127.55.0.1\r\nt=0 0\r\n"
    b"a=tool:baresip 1.0.0\r\nm=audio 10008 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:10009\r\na=sendrecv\r\n"
    b"a=label:1\r\na=rtcp-rsize\r\na=ssrc:1374582 cname:sip:a@127.55.0.9\r\na=ptime:20\r\n"
)
CISCO = (
    b"v=0\r\no=Cisco-SIPUA 10208 0 IN IP4 192.0.2.15\r\ns=SIP Call\r\nb=AS:4064\r\nt=0 0\r\n"
    b"m=audio 24580 RTP/AVP 0 8 116 18 101\r\nc=IN IP4 192.0.2.15\r\nb=TIAS:64000\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:116 iLBC/8000\r\na=fmtp:116 mode=20"
    b"\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=yes\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-16\r\na=sendrecv\r\nm=video 32770 RTP/AVP 126 97\r\nc=IN IP4 192.0.2.15\r\n"
    b"b=TIAS:4000000\r\na=rtpmap:126 H264/90000\r\na=fmtp:126 profile-level-id=42E01E;"
    b"packetization-mode=1\r\na=imageattr:* recv [x=800,y=480,q=0.60]\r\na=sendonly\r\n"
)
CHROME = (
    b"v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    b"a=extmap-allow-mixed\r\na=msid-semantic: WMS stream\r\na=ice-lite\r\n"
    b"m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\n"
    b"c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    b"a=candidate:1467250027 1 udp 2122260223 192.0.2.5 46243 typ host generation 0\r\n"
    b"a=ice-ufrag:F7gI\r\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\r\na=ice-options:trickle\r\n"
    b"a=fingerprint:sha-256 42:89:C5:C6\r\na=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\n"
    b"a=rtcp-mux-only\r\na=rtpmap:111 opus/48000/2\r\na=end-of-candidates\r\n"
)
T38 = (
    b"v=0\no=MxSIP 0 1 IN IP4 192.0.2.7\ns=SIP Call\nc=IN IP4 192.0.2.7\nt=0 0\n"
    b"m=audio 0 RTP/AVP 0\nm=image 16400 udptl t38\na=T38FaxVersion:0\na=T38MaxBitRate:14400\n"
    b"a=T38FaxUdpEC:t38UDPRedundancy\n"
)
IPV6 = (
    b"v=0\r\no=- 1 1 IN IP6 2001:db8::5\r\ns=-\r\nt=0 0\r\nm=audio 4000/2 RTP/SAVP 0\r\n"
    b"c=IN IP6 2001:db8::5\r\na=rtcp:5000 IN IP6 2001:db8::6\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80"
    b" inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\na=inactive\r\n"
)
ODD = (
    b"v=0\r\no=John Q Public 7 8 IN IP4 host.example\r\ns= \r\ni=\xffnot UTF-8\r\nc=IN IP4 "
    b"192.0.2.9\r\nt=0 0\r\nz=strange\r\nQ=unknown type\r\n\r\nm=audio  3456  RTP/AVP  96 \r\n"
    b"c=IN IP4 192.0.2.10\r\nc=IN IP4 192.0.2.11\na=quirk\xc3\xa9: kept "
)
ALL = {
    "baresip": BARESIP,
    "cisco": CISCO,
    "chrome": CHROME,
    "t38": T38,
    "ipv6": IPV6,
    "odd": ODD,
}


@pytest.mark.parametrize("name", ALL)
def test_a_document_comes_out_as_it_went_in(name):
    """Every line is kept, in order, with its line end, whether understood or not."""
    assert SessionDescription.parse(ALL[name]).encode() == ALL[name]


def test_origin_connection_and_sections_are_read():
    """o=, c= and m= as RFC 8866 sections 5.2, 5.7 and 5.14 say."""
    session = SessionDescription.parse(BARESIP)
    assert str(session.origin) == "- 3841420 1277 IN IP4 127.55.0.1"
    assert session.connection is not None
    assert session.connection.address == "127.55.0.1"
    (audio,) = session.media
    assert (audio.kind, audio.port, audio.port_count, audio.protocol, audio.formats) == (
        "audio",
        10008,
        None,
        "RTP/AVP",
        ("0", "101"),
    )
    assert audio.attributes("rtpmap") == ["0 PCMU/8000", "101 telephone-event/8000"]
    assert session.attributes("tool") == ["baresip 1.0.0"]


def test_a_section_has_its_own_connection_and_direction_or_the_sessions():
    """A media-level c= or direction outdoes the session's (RFC 8866 5.7 and 6.7)."""
    cisco = SessionDescription.parse(CISCO).media
    assert [section.direction for section in cisco] == ["sendrecv", "sendonly"]
    assert [section.rtp for section in cisco] == [
        Address("192.0.2.15", 24580),
        Address("192.0.2.15", 32770),
    ]
    common = CISCO.replace(b"t=0 0\r\n", b"t=0 0\r\na=inactive\r\n").replace(b"a=sendonly\r\n", b"")
    assert [s.direction for s in SessionDescription.parse(common).media] == ["sendrecv", "inactive"]
    assert SessionDescription.parse(ODD).media[0].rtp == Address("192.0.2.10", 3456)


def test_rtcp_goes_to_the_attribute_or_to_the_next_port():
    """a=rtcp with or without an address (RFC 3605), else port + 1 (RFC 3550 11)."""
    assert SessionDescription.parse(IPV6).media[0].rtcp == Address("2001:db8::6", 5000)
    assert SessionDescription.parse(BARESIP).media[0].rtcp == Address("127.55.0.1", 10009)
    assert SessionDescription.parse(CISCO).media[0].rtcp == Address("192.0.2.15", 24581)


@pytest.mark.parametrize("address", ["IP4 0.0.0.0", "IP6 ::", "IP6 anything.invalid"])
def test_a_connection_to_nowhere_is_a_hold(address):
    """c=0.0.0.0 and its kin name no place to send to (RFC 3264 8.4)."""
    held = BARESIP.replace(b"c=IN IP4 127.55.0.1", f"c=IN {address}".encode())
    assert SessionDescription.parse(held).media[0].rtp is None
    assert SessionDescription.parse(held).media[0].rtcp is None


def test_a_refused_section_needs_no_connection():
    """Port 0 refuses a section (RFC 3264 6); what else stands there does not matter."""
    refused = b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP\r\n"
    (audio,) = SessionDescription.parse(refused).media
    assert audio.refused
    assert audio.formats == ()


@pytest.mark.parametrize(
    ("sdp", "reason"),
    [
        (b"", "SDP does not begin with v=0"),
        (b"v=1\r\no=- 1 1 IN IP4 h\r\n", "SDP does not begin with v=0"),
        (b"v=0\r\ns=-\r\n", "No o= line in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4\r\n", "Bad o= line in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4\r\n", "Bad c= line in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 4 RTP/AVP 0\r\n", "No c= line for an m= line in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio\r\n", "Bad m= line in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 65536 RTP/AVP 0\r\n", "Bad port in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 1_0 RTP/AVP 0\r\n", "Bad port in SDP"),
        ("v=0\r\no=- 1 1 IN IP4 h\r\nm=audio ٣ RTP/AVP 0\r\n".encode(), "Bad port in SDP"),
        (BARESIP.replace(b"rtcp:10009", b"rtcp:1 2"), "Bad a=rtcp line in SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\n" + b"m=audio 0 RTP/AVP 0\r\n" * 65, "More than 64 m= lines"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(sdp, reason):
    """A description that cannot be used is the peer's fault: 488, and the reason names the line."""
    with pytest.raises(SdpSyntaxError, match=reason) as caught:
        SessionDescription.parse(sdp)
    assert caught.value.status == 488


def test_sixty_four_sections_are_enough():
    """The limit of 64 m= lines holds at 64."""
    sdp = b"v=0\r\no=- 1 1 IN IP4 h\r\n" + b"m=audio 0 RTP/AVP 0\r\n" * 64
    assert len(SessionDescription.parse(sdp).media) == 64


LINES = st.binary(max_size=30).filter(lambda line: b"\n" not in line and line[:2] not in _READ)
_READ = (b"o=", b"c=", b"m=", b"a=")


@given(st.lists(LINES, max_size=20), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_any_lines_survive_the_round_trip(lines, end, closed):
    """Lines of any bytes, in any number, between those that are read: byte-exact."""
    head = [b"v=0", b"o=- 1 1 IN IP4 192.0.2.1", b"c=IN IP4 192.0.2.1"]
    sdp = end.join([*head, *lines, b"m=audio 4000 RTP/AVP 0", *lines]) + end * closed
    assert SessionDescription.parse(sdp).encode() == sdp


@given(st.binary(max_size=300).map(lambda tail: b"v=0\r\no=- 1 1 IN IP4 h\r\n" + tail))
def test_garbage_is_read_or_refused(sdp):
    """No bytes make the parser raise anything but SdpSyntaxError."""
    with suppress(SdpSyntaxError):
        assert SessionDescription.parse(sdp).encode() == sdp


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("0", 0), ("127", 127), ("007", 7), ("128", -1), ("", -1), ("-1", -1), ("1.5", -1)),
        *(("\u00b2", -1), ("0000", -1), ("9" * 5000, -1)),
    ],
)
def test_what_is_a_payload_type(text: str, number: int):
    """ASCII digits up to 127 (RFC 3550 5.1); digits of another script, or more of them than ``int``
    reads, are none."""
    assert payload_type(text) == number


def test_a_format_that_only_looks_like_a_number():
    """Its section is read all the same."""
    sdp = CISCO.replace(b"a=rtpmap:0 ", "a=rtpmap:\u00b2 X/8000\r\na=rtpmap:0 ".encode())
    sdp = sdp.replace(b"RTP/AVP 0 ", "RTP/AVP \u00b2 0 ".encode())
    assert SessionDescription.parse(sdp).media[0].codecs["\u00b2"] == "X/8000"
