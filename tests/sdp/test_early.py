"""Offers of our own: what is in them, where they lead, and what an answer takes of an offer."""

import pytest

from softswitch.sdp.early import OFFERABLE, led, offer_of, takes_all
from softswitch.sdp.session import SessionDescription


def test_every_codec_can_be_offered():
    """Each has its number and its name, none the number of another (RFC 3264 5.1)."""
    offer = SessionDescription.parse(offer_of(list(OFFERABLE)))
    (section,) = offer.media
    assert len(set(section.formats)) == len(OFFERABLE)
    assert section.rtp is None, "where to is not known yet"
    assert not section.refused
    assert len(section.attributes("rtpmap")) == len(OFFERABLE)
    dynamic = [number for number in section.formats if int(number) >= 96]
    assert all(section.codecs[number] for number in dynamic)


def test_the_order_is_the_lists():
    """The first is preferred."""
    (section,) = SessionDescription.parse(offer_of(["opus", "PCMU", "telephone-event"])).media
    assert list(section.formats) == ["107", "0", "101"]
    assert section.attributes("fmtp") == ["107 useinbandfec=1", "101 0-16"]


@pytest.mark.parametrize(("host", "kind"), [("192.0.2.7", "IP4"), ("2001:db8::7", "IP6")])
def test_what_is_on_hold_is_led_to_a_place(host, kind):
    """Every c= that names no place does then, at whatever level; others stay."""
    offer = offer_of(["PCMU"])
    assert led(offer, host) == offer.replace(b"c=IN IP4 0.0.0.0", f"c=IN {kind} {host}".encode())
    placed = offer.replace(b"c=IN IP4 0.0.0.0", b"c=IN IP4 10.0.0.1")
    assert led(placed, host) == placed
    both = placed.replace(b"a=sendrecv", b"c=IN IP6 ::\r\na=sendrecv")
    assert led(both, host).count(host.encode()) == 1


OFFER = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
AUDIO = b"m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (AUDIO, True),
        (AUDIO.replace(b"0 101", b"101 0 8"), True),
        (AUDIO + b"a=sendrecv\r\n", True),
        (AUDIO.replace(b"0 101", b"0"), False),
        (AUDIO.replace(b"rtpmap:101 telephone-event", b"rtpmap:101 opus"), False),
        (AUDIO.replace(b"4000", b"0"), False),
        (AUDIO + b"a=sendonly\r\n", False),
        (AUDIO + b"c=IN IP4 0.0.0.0\r\n", False),
        (AUDIO + AUDIO, False),
    ],
)
def test_an_answer_takes_all_or_not(answer, whole):
    """Same sections, as wide, with all codecs by the same numbers; then nobody need be told."""
    assert takes_all(OFFER + answer, OFFER + AUDIO) is whole


def test_directions_answer_each_other():
    """A sendonly offer is taken whole by recvonly (RFC 3264 6.1); a refused section by anything."""
    assert takes_all(OFFER + AUDIO + b"a=recvonly\r\n", OFFER + AUDIO + b"a=sendonly\r\n")
    assert not takes_all(OFFER + AUDIO + b"a=inactive\r\n", OFFER + AUDIO + b"a=sendonly\r\n")
    refused = AUDIO.replace(b"4000", b"0")
    assert takes_all(OFFER + refused, OFFER + refused)
