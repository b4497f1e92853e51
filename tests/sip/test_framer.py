"""A stream to messages (RFC 3261 18.3, 7.5; RFC 5626 4.4.1)."""

import pytest

from softswitch.sip.parser import KEEPALIVE, Framer, Limits, MessageSyntaxError, Ping


def message(body: bytes = b"", length: str | None = None) -> bytes:
    length = str(len(body)) if length is None else length
    return (
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n"
        "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode() + body


def fed(data: bytes, size: int) -> list[bytes | Ping]:
    framer = Framer()
    return [frame for i in range(0, len(data), size) for frame in framer.feed(data[i : i + size])]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10000])
def test_messages_are_cut_wherever_the_segments_end(size: int):
    """Content-Length says where, though the body look like a header."""
    one, two, three = message(b"a\r\n\r\nb"), message(), message(b"\r\n" * 50)
    assert fed(one + two + three, size) == [one, two, three]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pings_are_told_and_single_line_ends_ignored(size: int):
    """CRLF CRLF asks for an answer (RFC 5626 4.4.1), one CRLF does not (RFC 3261 7.5)."""
    one = message(b"x")
    ping, line = b"\r\n\r\n", b"\r\n"
    data = ping + one + line + one + ping + ping + one
    assert fed(data, size) == [KEEPALIVE, one, one, KEEPALIVE, KEEPALIVE, one]


@pytest.mark.parametrize(
    "field",
    [b"l: 4", b"L:4", b"Content-length\t: 0004 ", b"CONTENT-LENGTH:\r\n  4\r\n\t"],
)
def test_content_length_in_every_form(field: bytes):
    """Compact, folded, in any case (RFC 3261 7.3)."""
    data = message(b"body").replace(b"Content-Length: 4", field)
    assert fed(data + data, 1000) == [data, data]


@pytest.mark.parametrize(
    ("old", "new", "status", "reason"),
    [
        (b"Content-Length: 4\r\n", b"", 400, "Missing Content-Length"),
        (b"Content-Length: 4", b"Content-Length: 4\r\nl: 4", 400, "Duplicate Content-Length"),
        (b": 4", b": -4", 400, "Bad Content-Length"),
        (b": 4", b": 4x", 400, "Bad Content-Length"),
        (b": 4", b": ", 400, "Bad Content-Length"),
        (b": 4", b": 4\nX: y", 400, "Bad Content-Length"),
        (b": 4", b": 99999999999999", 400, "Bad Content-Length"),
        (b": 4", b": 4000000000", 513, "Message Too Large"),
        (b"Content-Length: 4", b"Content-Length\r\n : 4", 400, "Missing Content-Length"),
    ],
)
def test_a_stream_that_cannot_be_followed_is_given_up(
    old: bytes, new: bytes, status: int, reason: str
):
    """Where the next message begins is no guess to make; the sender can still be told."""
    with pytest.raises(MessageSyntaxError) as caught:
        Framer().feed(message(b"body").replace(old, new))
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert caught.value.request is not None
    assert caught.value.request.call_id == "c"


def test_what_came_before_the_fault_is_served():
    """The error comes with the next bytes."""
    framer = Framer()
    bad = message().replace(b"Content-Length: 0", b"Content-Length: x")
    assert framer.feed(message(b"a") + bad) == [message(b"a")]
    with pytest.raises(MessageSyntaxError):
        framer.feed(b"x")


def test_a_message_of_the_largest_size_passes_and_a_larger_one_does_not():
    """Announced or not: nobody fills our memory."""
    largest = message(b"x" * 500)
    limits = Limits(max_message=len(largest))
    assert Framer(limits).feed(largest) == [largest]
    with pytest.raises(MessageSyntaxError) as caught:
        Framer(limits).feed(message(b"x" * 501))
    assert caught.value.status == 513
    framer = Framer(Limits(max_message=1000))
    assert framer.feed(b"x" * 1000) == []
    with pytest.raises(MessageSyntaxError) as caught:
        framer.feed(b"x")
    assert (caught.value.status, caught.value.request) == (513, None)
