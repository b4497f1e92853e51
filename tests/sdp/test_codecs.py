"""Which codecs of a description a list of names lets pass."""

import pytest

from softswitch.errors import SdpSyntaxError
from softswitch.sdp.codecs import Codecs, allowed
from softswitch.sdp.session import SessionDescription

OFFER = b"""v=0\r
o=- 1 1 IN IP4 192.0.2.1\r
s=-\r
c=IN IP4 192.0.2.1\r
t=0 0\r
m=audio 4000 RTP/AVP 0 8 18 96 101 13 102\r
a=rtpmap:96 opus/48000/2\r
a=fmtp:96 useinbandfec=1\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=rtpmap:102 Telephone-Event/48000\r
a=rtcp-fb:* nack\r
a=fmtp:18 annexb=no\r
a=ptime:20\r
a=sendrecv\r
m=video 4002 RTP/AVP 99 100\r
a=rtpmap:99 H264/90000\r
a=rtpmap:100 VP8/90000\r
a=rtcp-fb:99 nack pli\r
"""


def formats(sdp):
    """Port and formats of each section."""
    return [(each.port, list(each.formats)) for each in SessionDescription.parse(sdp).media]


VIDEO = (4002, ["99", "100"])


@pytest.mark.parametrize(
    ("names", "offered", "answered"),
    [
        (["PCMA", "PCMU"], ["8", "0", "101"], ["0", "8", "101"]),
        (["G729", "pcma"], ["18", "8", "101"], ["8", "18", "101"]),
        (["Opus"], ["96", "102"], ["96", "102"]),
        (["opus", "PCMA"], ["96", "8", "101", "102"], ["8", "96", "101", "102"]),
        (["PCMA", "-telephone-event"], ["8"], ["8"]),
        (["telephone-event", "PCMA"], ["101", "102", "8"], ["8", "101", "102"]),
        (["PCMA", "CN"], ["8", "13", "101"], ["8", "13", "101"]),
    ],
)
def test_a_list_filters_and_orders_an_offer_and_filters_an_answer(names, offered, answered):
    """Names in any case, static numbers by what they mean (RFC 3551 6); telephone-event stays at a
    rate that is left (RFC 4733 2.1), unless it is struck out or has a place of its own."""
    assert formats(allowed(OFFER, tuple(names), offers=True)) == [(4000, offered), VIDEO]
    assert formats(allowed(OFFER, tuple(names), offers=False)) == [(4000, answered), VIDEO]


def test_what_is_left_keeps_its_lines_to_the_byte():
    """Attributes of codecs that went go with them; all else stays as it was."""
    left = allowed(OFFER, ("PCMA", "G729"), offers=True)
    gone = (b"a=rtpmap:96", b"a=fmtp:96", b"a=rtpmap:102")
    wanted = [line for line in OFFER.split(b"\n") if not line.startswith(gone)]
    wanted[5] = b"m=audio 4000 RTP/AVP 8 18 101\r"
    assert left == b"\n".join(wanted)


def test_a_list_may_speak_of_video():
    """A section of which nothing is left is refused (RFC 3264 6), the others stay."""
    left = allowed(OFFER, ("PCMU", "video/VP8"), offers=True)
    assert formats(left) == [(4000, ["0", "101"]), (4002, ["100"])]
    assert b"rtcp-fb:99" not in left
    left = allowed(OFFER, ("PCMU", "video/H261"), offers=True)
    assert formats(left) == [(4000, ["0", "101"]), (0, ["99", "100"])]
    assert left.endswith(b"m=video 0 RTP/AVP 99 100\r\n")
    left = allowed(OFFER, ("G722",), offers=True)
    assert formats(left) == [(0, ["0", "8", "18", "96", "101", "13", "102"]), VIDEO]


def test_what_needs_no_change_is_the_same_object():
    """Nothing is written anew where the list lets all pass, nor where it says nothing."""
    plain = OFFER[: OFFER.index(b"m=video")]
    everything = ("PCMU", "PCMA", "G729", "opus", "telephone-event", "CN")
    assert allowed(plain, everything, offers=False) is plain
    assert allowed(plain, ("video/H264",), offers=True) is plain
    refused = plain.replace(b"audio 4000", b"audio 0")
    assert allowed(refused, ("G722",), offers=True) is refused
    fax = plain[: plain.index(b"m=audio")] + b"m=image 4000 udptl t38\r\n"
    assert allowed(fax, ("PCMA",), offers=True) is fax


@pytest.mark.parametrize("names", [("G722",), ("telephone-event",), ("CN", "telephone-event")])
def test_nothing_left_is_488(names):
    """Keys and silence alone are no call (RFC 3261 21.4.26)."""
    plain = OFFER[: OFFER.index(b"m=video")]
    with pytest.raises(SdpSyntaxError) as caught:
        allowed(plain, names, offers=True)
    assert caught.value.status == 488


@pytest.mark.parametrize("name", ["", "PCM A", "-PCMA", "Video/H264", "a/b/c", "PCMA\r\n"])
def test_what_is_no_name_is_refused(name):
    """The operator is told which."""
    with pytest.raises(ValueError, match="the name of a codec is wanted"):
        Codecs.read([name])
