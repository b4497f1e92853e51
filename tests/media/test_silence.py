"""Why one side is not heard: each cause has its name, and what is no fault has none."""

import pytest

from softswitch.media.silence import Sighting, Terms, named, terms, why_silent
from softswitch.sdp.session import SessionDescription

HOME, ABROAD = ("192.0.2.1", 5004), ("198.51.100.9", 5004)
TALKS = Terms(0, held=False, codecs={0: "PCMU", 101: "TELEPHONE-EVENT"}, quiet=False)
HELD = Terms(0, held=True, codecs={0: "PCMU"}, quiet=False)
QUIET = Terms(0, held=False, codecs={0: "PCMU", 13: "CN"}, quiet=True)
VOICE = frozenset({0})


@pytest.mark.parametrize(
    ("seen", "agreed", "cause"),
    [
        (Sighting(), TALKS, "nothing sent"),
        (Sighting(rtcp=2), TALKS, "nothing sent"),
        (Sighting(before=True), TALKS, "time-out"),
        (Sighting(foreign=9), TALKS, "wrong source"),
        (Sighting(foreign=9, source=HOME, stranger=ABROAD), TALKS, "wrong source"),
        (Sighting(foreign=9, source=HOME, stranger=(HOME[0], 6000)), TALKS, "wrong port"),
        (Sighting(stray=20001, port=20000), TALKS, "wrong port"),
        (Sighting(malformed=5), TALKS, "not RTP"),
        (Sighting(packets=5, kinds=frozenset({8})), TALKS, "codec not in the answer"),
        (Sighting(packets=5, kinds=VOICE, unsent=5), TALKS, "not delivered"),
        (Sighting(packets=5, kinds=VOICE, unsent=5), HELD, "held"),
        (Sighting(), HELD, "held"),
        (Sighting(), QUIET, "nothing sent"),
    ],
)
def test_each_cause(seen, agreed, cause):
    """What has been counted names it."""
    found = why_silent(seen, agreed)
    assert found is not None
    assert found[0] == cause


@pytest.mark.parametrize(
    ("seen", "agreed"),
    [
        (Sighting(packets=200, kinds=VOICE), TALKS),
        (Sighting(packets=200, kinds=VOICE, unsent=3), TALKS),
        (Sighting(packets=200, kinds=VOICE | {77}), TALKS),
        (Sighting(packets=1, kinds=frozenset({13})), QUIET),
        (Sighting(packets=200, kinds=frozenset({101})), TALKS),
        (Sighting(packets=200, kinds=VOICE, foreign=10_000, malformed=7), TALKS),
        (Sighting(packets=200), TALKS),
        (Sighting(packets=200, kinds=VOICE), HELD),
        (Sighting(rtcp=1), QUIET),
    ],
)
def test_what_is_no_fault(seen, agreed):
    """A voice; one that a stranger would drown; comfort noise alone; music on hold; one that may
    be silent (RFC 3389) and is there by its RTCP."""
    assert why_silent(seen, agreed) is None


def test_the_detail_helps():
    """It says what came, and what was awaited."""
    told = [
        why_silent(Sighting(packets=1, kinds=frozenset({8, 96})), TALKS),
        why_silent(Sighting(foreign=1, source=HOME, stranger=("2001:db8::1", 4, 0, 0)), TALKS),
        why_silent(Sighting(stray=20001, port=20000), TALKS),
    ]
    assert [each and each[1] for each in told] == [
        "it sends PCMA (8), payload type 96, and PCMU was agreed",
        "its packets come from [2001:db8::1]:4, and are awaited from 192.0.2.1:5004",
        "it sends to port 20001, and was told 20000",
    ]
    assert named(HOME) == "192.0.2.1:5004"


def sdp(*lines, host="192.0.2.1"):
    """A description."""
    head = ["v=0", "o=- 1 1 IN IP4 h", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    return SessionDescription.parse("\r\n".join([*head, *lines, ""]).encode())


AUDIO = sdp("m=audio 4000 RTP/AVP 0 8 18 101", "a=rtpmap:101 telephone-event/8000")


def test_who_offers_may_send_what_is_answered():
    """And who answers: what of the offer is in his answer, by its numbers (RFC 3264 6.1)."""
    answer = sdp("m=audio 5000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000")
    offerer, answerer = terms(AUDIO, answer), terms(answer, AUDIO)
    assert offerer is not None
    assert answerer is not None
    assert offerer.codecs == {8: "PCMA", 96: "TELEPHONE-EVENT"}
    assert answerer.codecs == {8: "PCMA", 101: "TELEPHONE-EVENT"}
    assert answerer.voices == {8: "PCMA"}


@pytest.mark.parametrize("line", ["a=sendonly", "a=recvonly", "a=inactive"])
def test_a_direction_other_than_both_is_a_hold(line):
    """Of either side, for both (RFC 3264 8.4)."""
    other = sdp("m=audio 5000 RTP/AVP 0", line)
    assert [terms(*pair).held for pair in ((AUDIO, other), (other, AUDIO))] == [True, True]


def test_no_place_is_a_hold():
    """c=0.0.0.0, as before RFC 3264."""
    other = sdp("m=audio 5000 RTP/AVP 0", host="0.0.0.0")
    assert [terms(*pair).held for pair in ((AUDIO, other), (other, AUDIO))] == [True, True]
    assert not terms(AUDIO, AUDIO).held


@pytest.mark.parametrize(
    ("lines", "quiet"),
    [
        (["m=audio 4 RTP/AVP 0"], False),
        (["m=audio 4 RTP/AVP 0 13"], True),
        (["m=audio 4 RTP/AVP 18"], True),
        (["m=audio 4 RTP/AVP 18", "a=fmtp:18 annexb=no"], False),
    ],
)
def test_who_may_be_silent(lines, quiet):
    """With comfort noise (RFC 3389), or G.729 annex B, which holds unless it is denied."""
    assert terms(sdp(*lines), sdp(*lines)).quiet is quiet


def test_only_audio_that_is_in_use():
    """Of video, a refused line or a fax nothing is expected."""
    fax = sdp("m=audio 0 RTP/AVP 0", "m=image 4 udptl t38", "m=video 6 RTP/AVP 99")
    assert terms(fax, fax) is None
    both = sdp("m=video 6 RTP/AVP 99", "m=audio 4 RTP/AVP 0")
    assert terms(both, both).index == 1
