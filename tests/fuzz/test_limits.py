"""Everything is bounded before it is believed: what is just small enough is read, and one more is
refused with a typed error."""

from collections.abc import Callable

import pytest

from softswitch.errors import PeerError
from softswitch.sdp.session import MAX_FORMATS, MAX_LINES, MAX_MEDIA, SessionDescription
from softswitch.sip import markup, multipart, uri
from softswitch.sip.fields import MOST_PARAMS, NameAddr, parse_params
from softswitch.sip.message import MOST_VALUES, MOST_VIAS, Message
from softswitch.sip.parser import STREAM_LIMITS, Framer, Limits, parse
from softswitch.sip.uri import LONGEST, Uri

LIMITS = Limits()
SDP = b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 h\r\nt=0 0\r\n"


def message(*lines: str, body: bytes = b"", uri: str = "sip:b@h") -> bytes:
    head = [
        f"INVITE {uri} SIP/2.0",
        *("From: <sip:a@h>;tag=1", "To: <sip:b@h>", "Call-ID: c", "CSeq: 1 INVITE"),
        *lines,
    ]
    if not any(line.startswith("Via") for line in lines):
        head.append("Via: SIP/2.0/UDP h;branch=z9hG4bK1")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def padded(size: int, body: bool) -> bytes:
    """A message of exactly so many bytes."""
    empty = message("Subject: ") if not body else message()
    fill = size - len(empty)
    return message(f"Subject: {'x' * fill}") if not body else message(body=b"x" * fill)


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


def parts(number: int) -> bytes:
    return b"--b\r\n\r\nx\r\n" * number + b"--b--"


def untouched(name: str, values: dict[str, str]) -> dict[str, str]:
    return {}


def described(number: int, lines: str) -> bytes:
    return SDP + (lines * number).encode()


def formats(number: int) -> bytes:
    return SDP + f"m=audio 4000 RTP/AVP {' '.join(map(str, range(number)))}\r\n".encode()


def params(number: int) -> str:
    return "".join(f";p{each}" for each in range(number))


def several(line: str, number: int) -> list[str]:
    return [line] * number


VIA = "SIP/2.0/UDP h;branch=z9hG4bK1"

#: What is bounded: how much of it is just allowed, and what reads that much.
BOUNDS: dict[str, tuple[int, Callable[[int], object]]] = {
    "bytes of a datagram": (LIMITS.max_message, lambda n: parse(padded(n, True))),
    "bytes of a header": (
        LIMITS.max_head + 4,
        lambda n: parse(padded(n, False), limits=Limits(max_message=10**6)),
    ),
    "bytes of a message on a stream": (
        STREAM_LIMITS.max_message,
        lambda n: parse(padded(n, True), limits=STREAM_LIMITS),
    ),
    "header fields": (LIMITS.max_fields - 5, lambda n: parse(message(*several("X-A: b", n)))),
    "Via lines": (
        LIMITS.max_fields - 4,
        lambda n: parse(message(*several(f"Via: {VIA}", n))),
    ),
    "Via values": (MOST_VIAS, lambda n: parse(message("Via: " + ", ".join(several(VIA, n))))),
    "Via values of several lines": (
        MOST_VIAS // 2,
        lambda n: parse(message(*several("Via: " + ", ".join(several(VIA, n)), 2))),
    ),
    "Route values": (MOST_VALUES, lambda n: view("Route", "<sip:h;lr>", n).routes),
    "Record-Route values": (
        MOST_VALUES,
        lambda n: view("Record-Route", "<sip:h>", n).record_routes,
    ),
    "Contact values": (MOST_VALUES, lambda n: view("Contact", "<sip:h>", n).contacts),
    "parameters": (MOST_PARAMS, lambda n: parse_params(params(n))),
    "parameters of an address": (MOST_PARAMS, lambda n: NameAddr.parse(f"<sip:h>{params(n)}")),
    "parameters of a URI": (uri.MOST_PARAMS, lambda n: Uri.parse(f"sip:h{params(n)}")),
    "header fields of a URI": (
        uri.MOST_PARAMS,
        lambda n: Uri.parse("sip:h?" + "&".join(f"h{each}=1" for each in range(n))),
    ),
    "characters of a URI": (LONGEST, lambda n: Uri.parse(f"sip:{'a' * (n - 6)}@h")),
    "characters of a Request-URI": (
        LONGEST,
        lambda n: parse(message(uri=f"sip:{'a' * (n - 6)}@h")),
    ),
    "m= lines": (
        MAX_MEDIA,
        lambda n: SessionDescription.parse(described(n, "m=audio 4000 RTP/AVP 0\r\n")),
    ),
    "lines of a description": (
        MAX_LINES - 5,
        lambda n: SessionDescription.parse(described(n, "a=x\r\n")),
    ),
    "formats": (MAX_FORMATS, lambda n: SessionDescription.parse(formats(n))),
    "body parts": (multipart.MOST_PARTS, lambda n: multipart.parts("x/y;boundary=b", parts(n))),
    "fields of a body part": (
        multipart.MOST_FIELDS,
        lambda n: multipart.parts(
            "x/y;boundary=b", b"--b\r\n" + b"A: b\r\n" * n + b"\r\nx\r\n--b--"
        ),
    ),
    "bytes of a document": (
        markup.LARGEST,
        lambda n: markup.changed(b"<a>" + b"x" * (n - 7) + b"</a>", untouched),
    ),
    "elements within each other": (
        markup.DEEPEST,
        lambda n: markup.changed(nested(n), untouched),
    ),
}


def view(name: str, value: str, number: int) -> Message:
    return parse(message(f"{name}: " + ",".join(several(value, number))))


@pytest.mark.parametrize("what", BOUNDS)
def test_one_more_than_is_allowed_is_refused(what: str):
    """With a typed error, whose status answers it (RFC 3261 21.4)."""
    most, read = BOUNDS[what]
    read(most)
    with pytest.raises(PeerError) as caught:
        read(most + 1)
    assert caught.value.status in (400, 413, 414, 488, 513)


def test_a_request_uri_that_is_too_long_gets_414():
    """RFC 3261 21.4.12."""
    with pytest.raises(PeerError, match="Request-URI Too Long") as caught:
        parse(message(uri=f"sip:{'1' * LONGEST}@h"))
    assert caught.value.status == 414


def test_a_stream_is_given_up_that_announces_more_than_is_read():
    """What Content-Length says is not waited for (RFC 3261 18.3)."""
    with pytest.raises(PeerError, match="Message Too Large"):
        Framer().feed(message(f"Content-Length: {STREAM_LIMITS.max_message}"))


def test_bodies_of_parts_are_read_one_within_another_and_no_deeper():
    """What lies deeper is one part, whatever it holds (RFC 2046 5.1)."""
    inner = b"--c\r\nContent-Type: multipart/mixed;boundary=d\r\n\r\n--d\r\n\r\nx\r\n--d--\r\n--c--"
    outer = b"--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n" + inner + b"\r\n--b--"
    (part,) = multipart.flattened("multipart/mixed;boundary=b", outer)
    assert part.content_type == "multipart/mixed"
