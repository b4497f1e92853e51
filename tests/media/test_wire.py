"""What a switch and its relay say to each other is the same on both sides."""

import pytest

from softswitch.errors import NO_MULTICAST, MediaError, SdpSyntaxError
from softswitch.media.wire import (
    LONGEST,
    answer_from_wire,
    answer_to_wire,
    question_from_wire,
    question_to_wire,
)
from softswitch.plugin.media import MediaAnswer, MediaNetwork, MediaQuestion

NEAR, FAR = MediaNetwork("127.0.0.1", "203.0.113.7"), MediaNetwork("::1", "2001:db8::7")


def question(sdp):
    return MediaQuestion(7, "call", "answer", sdp, "b1", "a", NEAR, FAR, "192.0.2.1", b"v=0\r\n")


@pytest.mark.parametrize("sdp", [b"", b"v=0\r\ns=\xff\x00\r\n", bytes(range(256))])
def test_a_question(sdp):
    """Whatever bytes a peer sends."""
    assert question_from_wire(question_to_wire(question(sdp))) == question(sdp)


def test_a_question_that_is_too_long():
    """513, before anything is sent: AMP has no longer values."""
    with pytest.raises(SdpSyntaxError, match="SDP Too Long") as error:
        question_to_wire(question(b"x" * LONGEST))
    assert error.value.status == 513


@pytest.mark.parametrize(
    "error",
    [None, MediaError("No media ports left"), SdpSyntaxError("Multicast", 488, NO_MULTICAST)],
)
def test_an_answer(error):
    """Its error too, with whose fault it is, status, reason and warn-code."""
    given = MediaAnswer(7, b"v=0\r\n\xff", error, renumbers=True)
    got = answer_from_wire(answer_to_wire(given))
    assert (got.token, got.sdp, got.renumbers) == (7, b"v=0\r\n\xff", True)
    assert type(got.error) is type(error)
    if error is not None:
        assert vars(got.error) == vars(error)
