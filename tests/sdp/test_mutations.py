"""Broken session descriptions, by a seed and by Hypothesis: through relay and guard nothing is
raised but ``SdpSyntaxError``, and nothing illegal leaves, by what ``testing.legality`` knows."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.media.relay import RelayEngine
from softswitch.testing.clock import VirtualClock
from softswitch.testing.legality import faults
from softswitch.testing.media import StillPath
from softswitch.testing.mutations import HOSTS, Tally, negotiate, play
from softswitch.testing.mutator import GOOD, LINES, WORDS

#: Of the hundred thousand that scripts/soak plays.
COUNT = 10_000

HOST = HOSTS[0]
GOOD_ANSWER = (
    f"v=0\r\no=- 5 1 IN IP4 {HOST}\r\ns=-\r\nt=0 0\r\n"
    f"m=audio 20000 RTP/AVP 0\r\nc=IN IP4 {HOST}\r\na=recvonly\r\n"
).encode()


def test_mutated_descriptions():
    """Ten thousand by one seed: more than half of them leave, most of those mended."""
    tally = play(2026, COUNT)
    assert tally.sent >= COUNT
    assert tally.left + tally.refused == tally.sent
    assert tally.left > tally.sent / 2
    assert tally.mended > tally.left / 2


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (GOOD_ANSWER, ""),
        (GOOD_ANSWER.replace(b"a=recvonly", b"a=sendonly"), "sendonly answers sendonly"),
        (GOOD_ANSWER.replace(b"20000", b"20002"), "the relay's is"),
        (GOOD_ANSWER.replace(b"c=IN IP4 127", b"c=IN IP4 10"), "media are not there"),
        (GOOD_ANSWER.replace(b"a=recvonly", b"a=recvonly\r\na=ice-lite"), "nothing for a relay"),
        (GOOD_ANSWER.replace(b"a=recvonly", b"a=x:10.0.0.1"), "somebody's address"),
        (GOOD_ANSWER.replace(b"a=recvonly", b"a=x:fe80::1"), "somebody's address"),
        (GOOD_ANSWER.replace(b"o=- 5 1 IN IP4 127", b"o=- 5 1 IN IP4 10"), "o="),
        (GOOD_ANSWER.replace(b"recvonly", b"recvonly\r\na=rtcp:9"), "RTCP is not there"),
        (GOOD_ANSWER.replace(b"recvonly", b"recvonly\r\na=inactive"), "two directions"),
        (GOOD_ANSWER.replace(b"recvonly", b"recvonly\r\na=rtcp-mux"), "one port for both"),
        (GOOD_ANSWER.replace(b"RTP/AVP", b"RTP/SAVP"), "answers"),
        (GOOD_ANSWER.replace(b"t=0 0", b"t=1 0"), "another time"),
        (GOOD_ANSWER.replace(b"s=-\r\n", b""), "lines of the session"),
        (GOOD_ANSWER + b"m=video 0 RTP/AVP 99\r\n", "2 m= lines answer 1"),
        (GOOD_ANSWER[:-2], "has no end"),
        (GOOD_ANSWER.replace(b"recvonly", b"recvonly\r\na=a\rb"), "a line that is none"),
    ],
)
def test_the_checker_finds_what_is_wrong(changed, wrong):
    """Each fault by itself, and none in what is right: a checker that sees nothing proves
    nothing."""
    offer = GOOD_ANSWER.replace(b"recvonly", b"sendonly")
    found = faults(changed, HOST, [20000], offer=offer)
    assert bool(found) == bool(wrong)
    assert wrong in " ".join(found)


LINE = st.one_of(
    st.sampled_from([line for sdp in GOOD for line in sdp.split(b"\r\n")] + list(LINES)),
    st.builds(
        lambda name, words: b"a=" + name + b":" + b" ".join(words),
        st.sampled_from((b"rtcp", b"x-nat", b"candidate", b"crypto", b"tool", b"rtpmap", b"ssrc")),
        st.lists(st.sampled_from(WORDS), max_size=6),
    ),
    st.builds(
        lambda kind, port, protocol, formats: b"m=%b %d %b %b" % (kind, port, protocol, formats),
        st.sampled_from((b"audio", b"video", b"image", b"text", b"application")),
        st.sampled_from((0, 9, 4000, 65535, 65536)),
        st.sampled_from((b"RTP/AVP", b"RTP/AVPF", b"RTP/SAVP", b"udptl", b"UDP", b"TCP/MSRP")),
        st.sampled_from((b"0", b"8 101", b"t38", b"*", b"")),
    ),
    st.binary(max_size=40),
)


@st.composite
def descriptions(draw):
    """Good ones in which lines have been put, and such as are made of lines alone."""
    lines = draw(st.sampled_from(GOOD)).split(b"\r\n")[:-1] if draw(st.booleans()) else []
    if not lines:
        lines = [b"v=0", b"o=- 1 1 IN IP4 192.0.2.1", b"s=-", b"c=IN IP4 192.0.2.1", b"t=0 0"]
    for line in draw(st.lists(LINE, max_size=6)):
        lines.insert(draw(st.integers(1, len(lines))), line)
    return b"\r\n".join([*lines, b""])


@settings(max_examples=300, deadline=None)
@given(st.lists(descriptions(), min_size=8, max_size=8), st.integers(0, 1000))
def test_nothing_illegal_leaves(found, seed):
    """Whatever two sides say to each other in up to three rounds."""
    engine = RelayEngine(VirtualClock(), (20000, 29999), 0.0, seed=seed, path=StillPath())
    said = iter(found)
    tally = Tally()
    negotiate(engine, "call", lambda good: next(said), Random(seed), tally)
    engine.release("call")
    assert tally.left + tally.refused == tally.sent > 0
