"""What a leg's RTCP says, without a socket."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.media.reports import Reports

US, THEM = 0x1111, 0x2222


def block(ssrc=US, fraction=64, lost=10, jitter=80, last_report=0, delay=0):
    """A report block (RFC 3550 6.4.1)."""
    losses = fraction << 24 | lost & 0xFFFFFF
    return struct.pack("!IIIIII", ssrc, losses, 4000, jitter, last_report, delay)


def sender_report(*blocks, middle=0):
    """An SR; ``middle`` is that of its time."""
    head = struct.pack("!BBHI", 128 | len(blocks), 200, 6 + 6 * len(blocks), THEM)
    return head + struct.pack("!QIII", middle << 16, 0, 100, 16000) + b"".join(blocks)


def receiver_report(*blocks):
    """An RR."""
    head = struct.pack("!BBHI", 128 | len(blocks), 201, 1 + 6 * len(blocks), THEM)
    return head + b"".join(blocks)


DESCRIPTION = struct.pack("!BBHIBBH", 129, 202, 2, THEM, 1, 0, 0)


@pytest.mark.parametrize("report", [sender_report, receiver_report])
def test_what_the_leg_lost_of_our_stream(report):
    """Loss since the beginning and of late, and the jitter in seconds, out of a compound packet;
    blocks about other streams are not for us."""
    reports = Reports()
    reports.received(report(block(ssrc=5, lost=99), block()) + DESCRIPTION, 3.0, US, 8000)
    said = reports.last
    assert (said.lost, said.fraction, said.jitter, said.at) == (10, 0.25, 0.01, 3.0)
    assert said.round_trip is None
    reports.received(report(block(ssrc=5)), 4.0, US, 8000)
    assert reports.last == said


def test_a_loss_may_be_negative():
    """24 bits with a sign (RFC 3550 6.4.1)."""
    reports = Reports()
    reports.received(receiver_report(block(lost=-3)), 0.0, US, 8000)
    assert reports.last.lost == -3


def test_without_a_known_stream_any_block_counts():
    """As before the first packet came; the clock's rate is not known then."""
    reports = Reports()
    reports.received(receiver_report(block()), 0.0, None, 0)
    assert (reports.last.lost, reports.last.jitter) == (10, 0.0)


def test_the_round_trip_is_that_to_the_leg():
    """The report went out at 10.0, lay there for half a second, and was answered at 10.55."""
    reports = Reports()
    reports.sent(sender_report(middle=0xABCD1234), 10.0)
    answer = receiver_report(block(last_report=0xABCD1234, delay=0x8000))
    reports.received(answer, 10.55, US, 8000)
    assert reports.last.round_trip == pytest.approx(0.05)
    reports.received(receiver_report(block(last_report=77)), 11.0, US, 8000)
    assert reports.last.round_trip == pytest.approx(0.05)


@given(st.binary(max_size=80), st.integers(0, 80))
def test_nothing_that_is_no_report_is_an_error(garbage, cut):
    """Cut short, wrong lengths, other versions: what comes before it counts."""
    for packet in (garbage, (receiver_report(block(), block()) + garbage)[:cut], garbage + b"\x80"):
        reports = Reports()
        reports.received(packet, 0.0, US, 8000)
        reports.sent(packet, 0.0)
