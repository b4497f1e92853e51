"""One leg's own o= line, and negotiations that may fail."""

import json
import re

import pytest

from softswitch.errors import StateError
from softswitch.media.endpoint import MediaEndpoint
from softswitch.plain import from_plain, to_plain

SDP = (
    b"v=0\r\no=bob 77 3 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 127.55.0.1\r\nt=0 0\r\n"
    b"m=audio %d RTP/AVP 0\r\n"
)


def version(sdp):
    """The version in an o= line."""
    return int(re.search(rb"o=- 5 (\d+) IN", sdp)[1])


def test_the_origin_is_ours():
    """User name "-", our session id, our address; the far leg's o= never crosses."""
    sent = MediaEndpoint(session_id=5).outgoing(SDP % 4000, "127.55.0.1")
    assert sent == (SDP % 4000).replace(b"bob 77 3 IN IP4 10.0.0.1", b"- 5 1 IN IP4 127.55.0.1")
    assert b"o=- 5 1 IN IP6 ::1\r\n" in MediaEndpoint(session_id=5).outgoing(SDP % 4000, "::1")


def test_sessions_are_told_apart():
    """Each endpoint has a session id of its own, from its first SDP on (RFC 8866 5.2)."""
    one, other = MediaEndpoint(), MediaEndpoint()
    one.outgoing(SDP % 4000, "127.55.0.1")
    other.outgoing(SDP % 4000, "127.55.0.1")
    assert 0 != one.session_id != other.session_id != 0


def test_the_version_stays_for_the_same_sdp_and_else_goes_up_by_one():
    """RFC 3264 8; the far leg's own version does not matter."""
    leg = MediaEndpoint(session_id=5)
    versions = [
        version(leg.outgoing(sdp, "127.55.0.1"))
        for sdp in (SDP % 4000, SDP.replace(b"77 3", b"77 9") % 4000, SDP % 4002, SDP % 4000)
    ]
    assert versions == [1, 1, 2, 3]


def test_a_refused_offer_counts_for_the_version():
    """The peer saw it: the version is never rolled back (RFC 3264 8)."""
    leg = MediaEndpoint(session_id=5)
    leg.outgoing(SDP % 4000, "127.55.0.1")
    leg.fork()
    leg.outgoing(SDP % 4002, "127.55.0.1")
    leg.roll_back()
    assert b"4000" in leg.state.local
    assert version(leg.outgoing(SDP % 4000, "127.55.0.1")) == 3


def test_a_fork_is_swapped_in_on_success():
    """What is negotiated holds from the commit on, and not before."""
    leg = MediaEndpoint(session_id=5)
    leg.fork()
    leg.incoming(SDP % 4000)
    assert leg.state.remote == b""
    leg.commit()
    assert leg.state.remote == SDP % 4000
    leg.fork()
    leg.incoming(SDP % 4002)
    leg.roll_back()
    assert leg.state.remote == SDP % 4000


def test_one_negotiation_at_a_time():
    """A second fork, or a commit of nothing, is a mistake of ours."""
    leg = MediaEndpoint()
    with pytest.raises(StateError):
        leg.commit()
    leg.fork()
    with pytest.raises(StateError):
        leg.fork()
    leg.roll_back()
    leg.roll_back()
    leg.fork()


def test_it_is_plain_data():
    """Written down as JSON in mid-negotiation and rebuilt equal."""
    leg = MediaEndpoint()
    leg.outgoing(SDP % 4000, "127.55.0.1")
    leg.fork()
    leg.incoming(SDP % 4002)
    assert from_plain(MediaEndpoint, json.loads(json.dumps(to_plain(leg)))) == leg
