"""What the relay and the switch change in a session description, to the byte."""

import pytest

from softswitch.sdp.rewrite import media_addresses, opened, point_at, set_origin
from softswitch.sdp.session import Address, Origin, SessionDescription

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"


def pointed(sdp, host, ports):
    """``sdp`` led to a relay."""
    return point_at(SessionDescription.parse(sdp), host, ports).encode()


def test_connection_ports_and_rtcp_become_the_relays():
    """c=, the m= port and a=rtcp are rewritten; every other line stays as it is."""
    sdp = (
        HEAD + b"c=IN IP4 192.0.2.1\r\nt=0 0\r\nx=odd\r\nm=audio 4000 RTP/AVP 0 8\r\n"
        b"a=rtcp:4444\r\na=ptime:20\r\nm=video 4002 RTP/AVP 99\r\na=rtcp:4003 IN IP4 192.0.2.1\r\n"
    )
    assert pointed(sdp, "127.55.0.1", [(20000, 20001), (20002, 20003)]) == (
        HEAD + b"c=IN IP4 127.55.0.1\r\nt=0 0\r\nx=odd\r\nm=audio 20000 RTP/AVP 0 8\r\n"
        b"a=rtcp:20001\r\na=ptime:20\r\nm=video 20002 RTP/AVP 99\r\n"
        b"a=rtcp:20003 IN IP4 127.55.0.1\r\n"
    )


def test_every_c_line_is_rewritten():
    """A second, media-level c= leads past the relay when it is forgotten (rtpengine#942)."""
    sdp = (
        HEAD + b"c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\n"
        b"c=IN IP4 224.2.1.1/127/3\r\nm=audio 4002/2 RTP/AVP 0\r\n"
    )
    assert pointed(sdp, "2001:db8::1", [(20000, 20001), (20002, 20003)]) == (
        HEAD + b"c=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\n"
        b"c=IN IP6 2001:db8::1\r\nc=IN IP6 2001:db8::1\r\nm=audio 20002 RTP/AVP 0\r\n"
    )


def test_what_cannot_pass_a_relay_is_taken_out():
    """ICE, rtcp-mux, BUNDLE, alternative addresses and source filters go; DTLS's lines stay."""
    kept = b"a=setup:actpass\r\na=mid:0\r\na=fingerprint:sha-256 42:89\r\n"
    sdp = (
        HEAD + b"c=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE 0\r\na=group:LS 0\r\na=ice-lite\r\n"
        b"m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=candidate:1 1 udp 2 192.0.2.1 4000 typ host\r\n"
        b"a=ice-ufrag:F7gI\r\na=ice-pwd:x9cml\r\na=ice-options:trickle\r\na=end-of-candidates\r\n"
        b"a=remote-candidates:1 192.0.2.3 45664\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n"
        b"a=bundle-only\r\na=altc:1 IP6 2001:db8::1 45678\r\na=ice-mismatch\r\n"
        b"a=source-filter: incl IN IP4 * 192.0.2.1\r\n" + kept
    )
    assert pointed(sdp, "127.55.0.1", [(20000, 20001)]) == (
        HEAD + b"c=IN IP4 127.55.0.1\r\nt=0 0\r\na=group:LS 0\r\n"
        b"m=audio 20000 UDP/TLS/RTP/SAVPF 0\r\n" + kept
    )


def test_a_refused_section_stays_in_its_place():
    """Port 0 stays 0 and keeps its line (RFC 3264 6); ports=None refuses a section."""
    sdp = (
        HEAD + b"c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"
        b"m=message 7394 TCP/MSRP *\r\na=rtcp:9\r\nm=image 4000 udptl t38\r\n"
    )
    assert pointed(sdp, "127.55.0.1", [None, None, (20000, 20001)]) == (
        HEAD + b"c=IN IP4 127.55.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"
        b"m=message 0 TCP/MSRP *\r\nm=image 20000 udptl t38\r\n"
    )


def test_a_hold_by_connection_stays_a_hold():
    """c=0.0.0.0 passes as it came (RFC 3264 8.4); the port is the relay's all the same."""
    sdp = HEAD + b"c=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    assert pointed(sdp, "127.55.0.1", [(20000, 20001)]) == sdp.replace(b"4000", b"20000")


def test_line_ends_stay_as_they_were():
    """A document with bare line feeds keeps them on the lines that change."""
    sdp = b"v=0\no=- 1 1 IN IP4 h\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n"
    assert pointed(sdp, "127.55.0.1", [(20000, 20001)]) == (
        b"v=0\no=- 1 1 IN IP4 h\nc=IN IP4 127.55.0.1\nm=audio 20000 RTP/AVP 0\n"
    )


def test_origin_is_replaced():
    """By the switch's own, whatever it was before (RFC 8866 5.2)."""
    one = SessionDescription.parse(HEAD + b"c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n")
    other = set_origin(one, Origin("-", "5", "6", "IN", "IP6", "2001:db8::1"))
    assert other.encode().startswith(b"v=0\r\no=- 5 6 IN IP6 2001:db8::1\r\ns=-\r\n")


def test_addresses_of_each_section():
    """RTP and RTCP address per m= line; none where it is refused or held."""
    sdp = (
        HEAD + b"c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n"
        b"m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"
    )
    assert media_addresses(SessionDescription.parse(sdp)) == [
        (Address("192.0.2.1", 4000), Address("192.0.2.1", 4001)),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("said", "told", "anew"),
    [
        ("a=recvonly\r\n", "a=sendonly\r\n", "a=sendrecv\r\n"),
        ("a=inactive\r\n", "a=inactive\r\n", "a=sendrecv\r\n"),
        ("a=sendonly\r\n", "a=recvonly\r\n", "a=sendonly\r\n"),
        ("", "", ""),
    ],
)
def test_a_hold_was_not_meant_for_somebody_new(said, told, anew):
    """Who only follows a hold offers both directions to others; who holds himself goes on."""

    def described(direction):
        head = HEAD + b"c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
        return SessionDescription.parse(head + direction.encode())

    assert opened(described(said), described(told)).encode() == described(anew).encode()
