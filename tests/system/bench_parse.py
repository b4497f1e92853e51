"""What the worst message costs to be read: ``scripts/bench parse``.

Every message of RFC 4475, and messages made of what is expensive: as many fields, values,
parameters, quotes, parts, ``m=`` lines, formats and elements as their size allows. Each is read as
a whole: parsed, every view asked for, its credentials, its parts, its session description and its
document read and written anew, or, where it is refused, answered. What the log and a call's ladder
do with it is measured apart: its secrets are masked. Nothing that was read before is
remembered. What counts is the thread's CPU time, of some runs the least: what the machine does
besides only adds to it.

Then each is made twice as large: within the switch's limits, and with limits that are wide enough
for what a stricter one hides.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from softswitch.b2bua.bodies import find_sdp
from softswitch.errors import PeerError
from softswitch.flight.masking import masked
from softswitch.sdp import codecs, match, rewrite
from softswitch.sdp.session import SessionDescription
from softswitch.sip import compose, digest, fields, markup, message, multipart, uri
from softswitch.sip.message import Message, Request
from softswitch.sip.parser import STREAM_LIMITS, Limits, MessageSyntaxError, parse

#: What the issue asks for.
GREATEST_MILLISECONDS = 5.0
GREATEST_RATIO = 2.3

#: Bytes at which the switch stops to read, over UDP and over TCP.
SIZES = (Limits().max_message, STREAM_LIMITS.max_message)
WIDE = Limits(max_message=2**24, max_fields=2**20, max_head=2**24)
#: Runs of which the least counts; in each the work is done until it can be measured.
RUNS = 5
LEAST_SECONDS = 2e-3

TORTURE = Path(__file__).parent.parent / "torture" / "messages"
VIEWS = (
    *("top_via", "vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes"),
    *("max_forwards", "expires", "content_type", "require", "proxy_require", "supported", "allow"),
)
HEAD = {
    "Via": "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
    "From": "<sip:a@h>;tag=1",
    "To": "<sip:b@h>",
    "Call-ID": "c",
    "CSeq": "1 INVITE",
    "Max-Forwards": "70",
}
SDP = "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"

Made = Callable[[int], bytes]


def request(body: bytes = b"", start: str = "INVITE sip:b@h SIP/2.0", **values: str) -> bytes:
    """A request with some fields otherwise; "_" in their names stands for "-"."""
    head = HEAD | {name.replace("_", "-"): value for name, value in values.items()}
    lines = [start, *(f"{name}: {value}" for name, value in head.items())]
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def many(piece: str, size: int, mark: str = "") -> str:
    """A piece as often as the size allows; "#" in it stands for its number."""
    made, length, number = [], 0, 0
    while length < size - 600:
        made.append(piece.replace("#", str(number)))
        length += len(made[-1]) + len(mark)
        number += 1
    return mark.join(made)


def lines(piece: str) -> Made:
    """Header fields, a line each."""

    def made(size: int) -> bytes:
        return request().replace(b"\r\nContent", f"\r\n{many(piece, size)}Content".encode(), 1)

    return made


def field(name: str, piece: str, mark: str = "", head: str = "", end: str = "") -> Made:
    """One field, of many pieces."""
    return lambda size: request(**{name: f"{head}{many(piece, size, mark)}{end}"})


def body(kind: str, piece: str, head: str = "", end: str = "", mark: str = "") -> Made:
    """A body of many pieces."""

    def made(size: int) -> bytes:
        return request(f"{head}{many(piece, size, mark)}{end}".encode(), Content_Type=kind)

    return made


def nested(size: int) -> bytes:
    """Bodies of parts within each other, as deep as the size allows."""
    inner, kind, depth = b"x", "text/plain", 0
    while len(inner) < size - 700:
        inner = b"--b%d\r\nContent-Type: %s\r\n\r\n%s\r\n--b%d--" % (
            depth,
            kind.encode(),
            inner,
            depth,
        )
        kind, depth = f"multipart/mixed;boundary=b{depth}", depth + 1
    return request(inner, Content_Type=kind)


def sections(size: int) -> bytes:
    """As many ``m=`` lines as are taken, with as many attributes each."""
    each = many("a=rtpmap:# X#/8000\r\n", (size - 1000) // 64 + 560)
    text = SDP + f"m=audio 4000 RTP/AVP 0 8 101\r\n{each}" * 64
    return request(text.encode(), Content_Type="application/sdp")


def formats(size: int) -> bytes:
    """A section with as many formats as there is room for, each with its name."""
    count = size // 40
    numbers = " ".join(map(str, range(count)))
    names = "".join(f"a=rtpmap:{number} PCMA{number}/8000\r\n" for number in range(count))
    text = f"{SDP}m=audio 4000 RTP/AVP {numbers}\r\n{names}"
    return request(text.encode(), Content_Type="application/sdp")


def alike(size: int) -> bytes:
    """The same, and all formats are called alike."""
    return formats(size).replace(b" PCMA", b" PCMA/8000/")


XML = "application/dialog-info+xml"
CASES: dict[str, Made] = {
    "fields": lines("X-#: y\r\n"),
    "known fields": lines("Supported: a#\r\n"),
    "the same field": lines("s: y\r\n"),
    "folded lines": field("Subject", "a\r\n ", end="b"),
    "one long field": field("Subject", "é"),
    "Via values": field("Via", "SIP/2.0/UDP h#;branch=#", ", "),
    "Via lines": lines("v: SIP/2.0/UDP h#;branch=#\r\n"),
    "parameters of Via": field("Via", ";p#=#", head="SIP/2.0/UDP h"),
    "parameters of From": field("From", ";p#", head="<sip:a@h>"),
    "parameters of a URI": field("To", ";p#=1", head="<sip:a@h", end=">"),
    "header of a URI": field("Contact", "h#=1", "&", head="<sip:a@h?", end=">"),
    "a long URI": field("To", "a", head="<sip:", end="@h>"),
    "a long Request-URI": lambda size: request(start=f"INVITE sip:{'1' * (size - 600)}@h SIP/2.0"),
    "Contact values": field("Contact", "<sip:a#@h>;q=0.5", ", "),
    "Route values": field("Route", "<sip:a#@h;lr>", ","),
    "Record-Route lines": lines("Record-Route: <sip:a#@h;lr>\r\n"),
    "quotes": field("Contact", '\\"', head='"', end='" <sip:a@h>'),
    "quotes without end": field("Contact", '"\\', head='<sip:a@h>, "'),
    "angle brackets": field("Contact", "<", head="<sip:a@h>, "),
    "commas": field("Route", ","),
    "comments": field("Subject", "(", end="a"),
    "control characters": field("Subject", "\\\0", head='"', end='"'),
    "credentials": field("Authorization", 'p#="x"', ", ", head="Digest "),
    "Authorization lines": lines('Authorization: Digest username="a", realm="r#"\r\n'),
    "credentials without values": field("Authorization", "x", head="Digest "),
    "passwords of URIs": field("Subject", "sip:a:"),
    "challenges": field("WWW_Authenticate", 'Digest realm="r#", nonce="n"', ", "),
    "option tags": field("Supported", "t#", ","),
    "no UTF-8": lambda size: field("Subject", "e")(size).replace(b"e" * 500, b"\xff" * 500),
    "parts": body("multipart/mixed;boundary=b", "--b\r\n\r\nx\r\n", end="--b--"),
    "boundaries that are none": body("multipart/mixed;boundary=b", "\r\n--bx", end="\r\n--b--"),
    "fields of parts": body("multipart/mixed;boundary=b", "A: b\r\n", "--b\r\n", "\r\nx\r\n--b--"),
    "nested parts": nested,
    "attributes": body("application/sdp", "a=x#\r\n", SDP + "m=audio 4000 RTP/AVP 0\r\n"),
    "m= lines": sections,
    "formats": formats,
    "formats that are alike": alike,
    "c= lines": body("application/sdp", "c=IN IP4 h\r\n", SDP + "m=audio 4000 RTP/AVP 0\r\n"),
    "elements": body(XML, '<dialog id="#"/>', "<dialog-info>", "</dialog-info>"),
    "attributes of an element": body(XML, ' a#="&lt;"', "<dialog-info", "/>"),
    "elements with text": body(XML, "<identity>sip:a@h</identity>", "<x>", "</x>"),
    "deep elements": body(XML, "<a>"),
    "entities": body(XML, "&amp;", "<identity>", "</identity>"),
}


def whole(data: bytes, limits: Limits) -> None:
    """Read a message as far as anybody might, and answer it where it is refused."""
    try:
        read = parse(data, limits=limits)
    except MessageSyntaxError as error:
        if error.request is not None:
            error.request.stamp("192.0.2.1", 5060)
            compose.response(error.request, error.status, error.reason, to_tag="t").encode()
        return
    for view in VIEWS:
        with suppress(PeerError):
            getattr(read, view)
    if isinstance(read, Request):
        read.stamp("192.0.2.1", 5060)
    digest.parse_credentials(read.all("Authorization"))
    digest.parse_challenges(read.all("WWW-Authenticate"))
    with suppress(PeerError):
        _body(read)
    read.encode()


def _body(read: Message) -> None:
    """What is done with a body on its way to the other leg."""
    kind = read.get("Content-Type") or ""
    if multipart.is_multipart(kind):
        multipart.flattened(kind, read.body)
    if kind == XML:
        markup.changed(read.body, lambda name, values: dict.fromkeys(values, "x" * 20))
    found = find_sdp(read)
    if found is None:
        return
    session = SessionDescription.parse(found.sdp)
    ports = [None if each.refused else (4000, 4001) for each in session.media]
    rewrite.point_at(session, "192.0.2.1", ports).encode()
    codecs.allowed(found.sdp, ("PCMA", "PCMU"), offers=True)


def compared(data: bytes, limits: Limits) -> None:
    """What is done with two descriptions: with an answer and its offer, or with two offers."""
    with suppress(PeerError):
        found = find_sdp(parse(data, limits=limits))
        if found is not None:
            match.match(found.sdp, found.sdp)
            rewrite.fits(found.sdp, found.sdp + b"\r\n", renumbered=True)
            rewrite.renumbering(found.sdp, found.sdp)


def masking(data: bytes, limits: Limits) -> None:
    """What is done with a message to show it, parsed or not."""
    masked(data)


def forget() -> None:
    """Nothing that was read before is remembered."""
    for kept in (
        fields.NameAddr.parse,
        fields.CSeq.parse,
        fields.number,
        fields._hop,
        uri._parse_again,
        message._media_type,
    ):
        kept.cache_clear()


def cost(data: bytes, limits: Limits, work: Callable[[bytes, Limits], None] = whole) -> float:
    """Seconds of the thread's CPU time that a piece of work takes."""
    least, times = 1.0, 1
    for _ in range(RUNS):
        while True:
            begun = time.thread_time()
            for _ in range(times):
                forget()
                work(data, limits)
            spent = time.thread_time() - begun
            if spent >= LEAST_SECONDS:
                break
            times *= 2
        least = min(least, spent / times)
    return least


def corpus() -> Iterator[tuple[str, bytes]]:
    """Every message, and what it is: at the limit of a datagram, and of a stream."""
    for path in sorted(TORTURE.glob("*.dat")):
        yield path.stem, path.read_bytes()
    for size in SIZES:
        for name, made in CASES.items():
            yield f"{name}, {size // 1024} KiB", made(size)[:size]


def ratios() -> Iterator[tuple[str, float]]:
    """How much dearer each message is that is twice as large, and what it is: at the switch's own
    limits, and far beyond them."""
    for limits, size in ((STREAM_LIMITS, SIZES[0]), (STREAM_LIMITS, SIZES[1]), (WIDE, SIZES[1])):
        for name, made in CASES.items():
            for work in (whole, masking, compared):
                if work is not compared or b"Content-Type: application/sdp" in made(2000):
                    what = f"{name}, {work.__name__}, {size // 2048} to {size // 1024} KiB"
                    yield what, min(_ratio(made, size, limits, work) for _ in range(2))


def _ratio(made: Made, size: int, limits: Limits, work: Callable[[bytes, Limits], None]) -> float:
    once, twice = (cost(made(each)[:each], limits, work) for each in (size // 2, size))
    return twice / once


def measure() -> list[str]:
    """Print the dearest messages and the greatest ratios beside their bounds; what was missed."""
    gc.disable()
    try:
        costs = sorted(
            (
                (cost(data, STREAM_LIMITS, work) * 1e3, f"{name}, {work.__name__}")
                for name, data in corpus()
                for work in (whole, masking)
            ),
            reverse=True,
        )
        grown = sorted(((ratio, name) for name, ratio in ratios()), reverse=True)
    finally:
        gc.enable()
    missed = []
    print(f"{len(costs) // 2} messages; the dearest:")
    for value, name in costs[:5]:
        print(f"{value:>8.2f} ms of {GREATEST_MILLISECONDS:g} ms   {name}")
    missed += [f"{name}: {value:.2f} ms" for value, name in costs if value >= GREATEST_MILLISECONDS]
    print("twice as large costs at most:")
    for value, name in grown[:5]:
        print(f"{value:>8.2f} times, of {GREATEST_RATIO:g}   {name}")
    missed += [f"{name}: {value:.2f} times" for value, name in grown if value > GREATEST_RATIO]
    for each in missed:
        print(f"MISSED {each}")
    return missed
