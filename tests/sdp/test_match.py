"""An answer to one offer out of another (RFC 3264 6)."""

import pytest

from softswitch.errors import SdpSyntaxError
from softswitch.sdp.match import match


def sdp(host, *lines):
    """A description at a host."""
    head = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    return "".join(f"{line}\r\n" for line in [*head, *lines]).encode()


def test_what_both_know_is_answered_at_the_others_place():
    """The formats in the order of the offer; attributes of formats that go, go too."""
    offer = sdp("192.0.2.1", "m=audio 4000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000")
    other = sdp(
        "192.0.2.2",
        "m=audio 6000 RTP/AVP 0 8 18 101",
        "a=rtpmap:18 G729/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
    )
    assert match(offer, other) == sdp(
        "192.0.2.2",
        "m=audio 6000 RTP/AVP 8 0 101",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
    )


def test_a_number_that_means_something_else_is_not_shared():
    """96 is opus here and telephone-event there."""
    offer = sdp("192.0.2.1", "m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 opus/48000/2")
    other = sdp("192.0.2.2", "m=audio 6000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000")
    assert match(offer, other) == sdp("192.0.2.2", "m=audio 6000 RTP/AVP 0")


def test_a_section_that_the_other_has_not_is_refused():
    """The number and order of the m= lines are the offer's."""
    offer = sdp("192.0.2.1", "m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/AVP 0")
    other = sdp("192.0.2.2", "m=audio 6000 RTP/AVP 0", "m=text 7000 RTP/AVP 98")
    assert match(offer, other) == sdp("192.0.2.2", "m=video 0 RTP/AVP 31", "m=audio 6000 RTP/AVP 0")


def test_nothing_in_common():
    """488: a call without audio would be the alternative."""
    with pytest.raises(SdpSyntaxError) as caught:
        match(sdp("192.0.2.1", "m=audio 4000 RTP/AVP 8"), sdp("192.0.2.2", "m=audio 6 RTP/AVP 0"))
    assert caught.value.status == 488
