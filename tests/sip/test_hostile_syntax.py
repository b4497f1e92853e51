"""Whatever comes: nothing but a syntax error, and no work that outgrows its input."""

from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from softswitch.errors import SipSyntaxError
from softswitch.flight.masking import masked
from softswitch.sip import compose, digest
from softswitch.sip.fields import CSeq, NameAddr, Via, parse_params, split_values
from softswitch.sip.message import Message, Request
from softswitch.sip.parser import Framer, Limits, MessageSyntaxError, parse
from softswitch.sip.uri import Uri

TORTURE = Path(__file__).parent.parent / "torture" / "messages"

ORDINARY = [
    b"INVITE sip:bob@biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776"
    b"\r\nMax-Forwards: 70\r\nTo: Bob <sip:bob@biloxi.com>\r\nFrom: Alice <sip:alice@atlanta.com>"
    b";tag=1928301774\r\nCall-ID: a84b4c76e66710@pc33.atlanta.com\r\nCSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@pc33.atlanta.com>\r\nContent-Type: application/sdp\r\n"
    b"Content-Length: 4\r\n\r\nv=0\n",
    b"REGISTER sip:registrar.biloxi.com SIP/2.0\r\nVia: SIP/2.0/TCP [2001:db8::1]:5060;rport"
    b";branch=z9hG4bKnashds7\r\nTo: <sip:bob@biloxi.com>\r\nFrom: <sip:bob@biloxi.com>;tag=4\r\n"
    b"Call-ID: 843817637684230@998sdasdh09\r\nCSeq: 1826 REGISTER\r\nExpires: 7200\r\n"
    b'Contact: <sip:bob@192.0.2.4>;q=0.5;expires=60;+sip.instance="<urn:uuid:0>", "x" <sip:b@h>\r\n'
    b'Authorization: Digest username="bob", realm="biloxi.com", nonce="n", uri="sip:biloxi.com", '
    b'response="00", algorithm=MD5, cnonce="c", qop=auth, nc=00000001\r\nContent-Length: 0\r\n\r\n',
    b"SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1\r\n"
    b"f: <tel:+1-201-555-0123>;tag=1\r\nt: <sip:b@h>;tag=2\r\ni: c\r\nCSeq: 1 REGISTER\r\n"
    b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", Basic realm="x"\r\nl: 0\r\n\r\n',
]
CORPUS = ORDINARY + [path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))]
# What syntax is made of, and what has broken parsers.
FRAGMENTS = [
    *(bytes([octet]) for octet in b'\r\n\t\0 ,;:<>"\\@%?&=/[]*+-.019aZ\x7f\x80\xff'),
    *(b"\r\n", b"\r\n ", b"\r\n\r\n", b"%00", b"%0d%0a", b";;", b",,", b'"\\"', b"::1", b"[::]"),
    *("ü\u0085\u2028\u212a\u017f٣".encode(), b"\xed\xa0\x80", b"1_0", b"4294967296", b"9" * 400),
    *(b"sip:", b"tel:+", b"SIP/2.0", b"SIP/7.0", b"Via: ", b"l:5\r\n", b"Content-Length: 3\r\n"),
    *(b"From: ", b"t:\r\n", b"CSeq: 1 ACK\r\n", b"Contact: *\r\n", b"Digest ", b'nc="'),
]
VIEWS = [name for name in dir(Request) if isinstance(getattr(Request, name), property)]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message of the corpus with pieces cut, doubled, moved and replaced."""
    data = draw(st.sampled_from(CORPUS))[:2000]
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(
            st.sampled_from(FRAGMENTS) | st.binary(max_size=3) | st.just(data[start:end] * 2)
        )
        data = data[:start] + piece + data[end:]
    return data


def attempt(work: Callable[[], object]) -> tuple[Any, SipSyntaxError | None]:
    """What came of it, or the only kind of error that may."""
    try:
        return work(), None
    except SipSyntaxError as error:
        return None, error


def read_all(message: Message) -> None:
    """Ask for every typed view, and for all that is read from raw values."""
    for view in VIEWS:
        if hasattr(type(message), view):
            value, error = attempt(lambda: getattr(message, view))  # noqa: B023
            assert error is None or (error.status == 400 and error.reason)
            for address in value if isinstance(value, list) else [value]:
                read_value(address)
    for name, _ in message.fields:
        message.get(name)
        message.values(name)
    digest.parse_challenges(message.all("WWW-Authenticate"))
    for credentials in digest.parse_credentials(message.all("Authorization")):
        digest.verify(credentials, "00", "REGISTER")


def read_value(value: object) -> None:
    """What hangs on a view can be asked for and written, and read again as the same."""
    if isinstance(value, NameAddr):
        assert NameAddr.parse(str(value)).uri == value.uri
        _ = value.tag, value.expires
        _, error = attempt(lambda: value.q)
        assert error is None or error.header == "Contact"
        read_value(value.uri)
    elif isinstance(value, Via):
        assert Via.parse(str(value)) == value
        _ = value.branch, value.received, value.rport
    elif isinstance(value, Uri):
        assert Uri.parse(str(value)) == value
        assert value.same_as(value)
        _ = value.unquoted_user, value.address


@settings(
    max_examples=600, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(mutated())
@example(b"")
def test_nothing_but_a_syntax_error_leaves_the_parser(data: bytes):
    """A datagram is read and written again, or refused with a status, and answered."""
    message, error = attempt(lambda: parse(data))
    if error is not None:
        assert isinstance(error, MessageSyntaxError)
        assert error.status in (400, 505, 513)
        if error.request is not None:
            error.request.stamp("192.0.2.1", 5060)
            answer = compose.response(error.request, error.status, error.reason, to_tag="t")
            assert answer.encode().startswith(b"SIP/2.0 %d " % error.status)
            compose.stateless_tag(error.request, b"secret")
            read_all(error.request)
        return
    read_all(message)
    again = parse(message.encode())
    assert (again.start_line(), again.fields, again.body) == (
        message.start_line(),
        message.fields,
        message.body,
    )
    if isinstance(message, Request):
        message.stamp("192.0.2.1", 5060)
        parse(message.encode())
        parse(compose.response(message, 200, to_tag="t").encode())


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(st.lists(mutated(), min_size=1, max_size=3), st.integers(1, 400))
def test_a_stream_is_cut_alike_in_whatever_pieces_it_comes(messages: list[bytes], size: int):
    """Frames or the fault do not depend on the segments."""
    stream = b"".join(messages)

    def cut(step: int) -> tuple[list[object], bool]:
        framer = Framer()
        frames: list[object] = []
        try:
            for start in range(0, len(stream), step):
                frames += framer.feed(stream[start : start + step])
            frames += framer.feed(b"")
        except MessageSyntaxError:
            return frames, True
        return frames, False

    assert cut(size) == cut(len(stream) or 1)


def pathological(piece: str) -> Callable[[int], bytes]:
    """A message that is one piece over and over, ``size`` bytes of it, in every field."""

    def made(size: int) -> bytes:
        text = (piece * (size // len(piece)))[:size]
        lines = [f"{name}: {text}" for name in ("Via", "From", "To", "Contact", "Route")]
        head = "OPTIONS sip:a@h SIP/2.0\r\n" + "\r\n".join(lines)
        return (head + "\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n").encode()

    return made


PIECES = [
    *('"', '\\"', '"\\', "<", ">", "<>", '"<', ",", ", ", ";", ";a", ";a=", "; ", " ", "\t", "%"),
    *("%4", "sip:", "a", "@", "a@", ":", "[", "1", "0", "-", "a=b;", ";x=1,", '"a",', "<sip:a@h>,"),
    *("\r\n ", "\\\0", '"\\\0"', "\0", "\n", "a:", "tel:1", "(", "SIP/2.0/UDP a;", "é", 'a="b",'),
]
READERS: list[Callable[[str], object]] = [
    Uri.parse,
    NameAddr.parse,
    Via.parse,
    Via.salvage,
    CSeq.parse,
    split_values,
    parse_params,
    lambda text: Uri.parse("sip:" + text),
    lambda text: Uri.parse("tel:" + text),
    lambda text: NameAddr.parse("<sip:a@h>;" + text),
    lambda text: NameAddr.parse('"' + text),
    lambda text: Via.parse("SIP/2.0/UDP h;" + text),
    lambda text: digest.parse_challenges(["Digest " + text]),
    lambda text: digest.parse_credentials(["Digest " + text]),
]


def cost(work: Callable[[], object]) -> float:
    """Seconds of processor time of the quickest of three runs."""

    def run() -> float:
        start = process_time()
        attempt(work)
        return process_time() - start

    return min(run() for _ in range(3))


def test_no_value_takes_work_that_outgrows_its_size():
    """Sixteen times the size is some sixteen times the work; a square would be 256 times."""
    for piece in PIECES:
        small, large = piece * (8192 // len(piece)), piece * (131072 // len(piece))
        for reader in READERS:
            once = max(cost(lambda: reader(small)), 50e-6)  # noqa: B023
            assert cost(lambda: reader(large)) < 80 * once, (piece, reader)  # noqa: B023


@pytest.mark.parametrize("piece", PIECES)
def test_no_message_takes_work_that_outgrows_its_size(piece: str):
    """Through the parser and through the framer, byte runs that regular expressions fear."""
    made = pathological(piece)
    limits = Limits(max_message=2**22)
    small, large = made(2048), made(32768)
    once = max(cost(lambda: parse(small, limits=limits)), 50e-6)
    assert cost(lambda: parse(large, limits=limits)) < 80 * once
    framed = max(cost(lambda: Framer(limits).feed(small)), 50e-6)
    assert cost(lambda: Framer(limits).feed(large)) < 80 * framed


MASKED = [
    *(
        "sip:a:",
        "sip:a",
        "a=",
        'a="',
        'a="b\\',
        "a ",
        "x",
        "inline:",
        "digits",
        "digits=",
        "digits='",
    ),
    *("Signal", "d=", "\nd ", "\nAuthorization", "\nAuthorization: Digest ", "\nk=", "\r\n "),
]


@pytest.mark.parametrize("piece", [*PIECES, *MASKED])
@pytest.mark.parametrize(
    "head", ["INFO a\r\nAuthorization: Digest a", "Authentication-Info: a", "INFO a\r\n\r\n"]
)
def test_no_message_takes_work_to_mask_that_outgrows_its_size(piece: str, head: str):
    """It is masked as it came from a stranger, before anybody has parsed it."""

    def made(size: int) -> bytes:
        return (head + piece * (size // len(piece))).encode() + b"@"

    once = max(cost(lambda: masked(made(2048))), 50e-6)
    assert cost(lambda: masked(made(32768))) < 80 * once


def test_a_slow_sender_makes_the_framer_look_at_each_byte_once():
    """A header that comes byte by byte is searched on, not again."""

    def drip(size: int) -> None:
        framer = Framer()
        for _ in range(size):
            framer.feed(b"x")

    assert cost(lambda: drip(60000)) < 80 * cost(lambda: drip(3750))


def test_many_keep_alives_in_one_segment_are_counted_in_one_pass():
    """Taking them off the front one by one must not move the rest each time."""
    pings = b"\r\n\r\n"
    assert cost(lambda: Framer().feed(pings * 64000)) < 80 * cost(
        lambda: Framer().feed(pings * 4000)
    )


def test_the_corpus_is_whole():
    """The 49 messages of RFC 4475 and three everyday ones."""
    assert len(CORPUS) == 52
