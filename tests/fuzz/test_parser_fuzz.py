"""Parser, session descriptions, bodies of parts and XML documents against mutations of what is
real: nothing but a typed error leaves them."""

from collections.abc import Callable
from contextlib import suppress
from random import Random

from hostile import FUZZING, documents, messages
from hypothesis import given
from hypothesis import strategies as st

from softswitch.errors import SdpSyntaxError, SipSyntaxError
from softswitch.sdp import codecs, early, match, rewrite
from softswitch.sdp.session import SessionDescription
from softswitch.sip import compose, digest, multipart
from softswitch.sip.events import SubscriptionState, event_of
from softswitch.sip.fields import NameAddr, Via
from softswitch.sip.markup import changed
from softswitch.sip.message import Message, Request
from softswitch.sip.parser import Framer, MessageSyntaxError, parse
from softswitch.sip.replaces import ReferTo, Replaces
from softswitch.sip.uri import Uri
from softswitch.testing.mutation import BODIES, Mutator

VIEWS = (
    *("top_via", "vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes"),
    *("max_forwards", "expires", "content_type", "require", "proxy_require", "supported", "allow"),
)
DESCRIPTIONS = [
    *(body for kind, body in BODIES if kind == b"application/sdp"),
    b"v=0\no=alice 1 1 IN IP6 ::1\ns=\nc=IN IP6 fd88::1\nt=0 0\na=inactive\nm=audio 0 RTP/AVP\n"
    b"m=image 4000 udptl t38\nc=IN IP4 0.0.0.0\n",
]
MULTIPARTS = [Mutator(Random(seed), []).nested(*BODIES[seed % len(BODIES)]) for seed in range(40)]
DOCUMENTS = [body for kind, body in BODIES if b"xml" in kind] + [
    b"<?xml version='1.0' encoding='utf-8'?><a:b xmlns:a='u'><c d='&lt;'>&amp;</c><!--x--></a:b>",
    b"<a><![CDATA[<b>]]><b c='d'/><b>\xc3\xbc</b></a>",
]


@FUZZING
@given(messages())
def test_only_a_syntax_error_leaves_the_parser(data: bytes):
    """A message is read, written and read again as the same; or refused with a status, and what is
    left of it answered (RFC 3261 7, 8.2.6, 21.4)."""
    try:
        message = parse(data)
    except MessageSyntaxError as error:
        refused = error
    else:
        it_means_the_same_again(message)
        return
    assert refused.status in (400, 414, 505, 513)
    assert refused.reason.isascii()
    if refused.request is not None:
        refused.request.stamp("192.0.2.1", 5060)
        answer = compose.response(refused.request, refused.status, refused.reason, to_tag="t")
        assert answer.encode().startswith(b"SIP/2.0 %d " % refused.status)


def it_means_the_same_again(message: Message) -> None:
    """Whatever is asked of it, it is written as it was read."""
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


@FUZZING
@given(st.lists(messages(), min_size=1, max_size=2), st.integers(1, 400))
def test_only_a_syntax_error_leaves_the_framer(found: list[bytes], size: int):
    """A stream is cut alike in whatever pieces it comes (18.3)."""
    stream = b"".join(found)[:4000]

    def cut(step: int) -> tuple[list[object], str]:
        framer, frames = Framer(), []
        try:
            for start in range(0, len(stream), step):
                frames += framer.feed(stream[start : start + step])
            frames += framer.feed(b"")
        except MessageSyntaxError as error:
            return frames, error.reason
        return frames, ""

    assert cut(size) == cut(len(stream) or 1)


@FUZZING
@given(documents(DESCRIPTIONS), documents(DESCRIPTIONS))
def test_only_a_syntax_error_leaves_session_descriptions(one: bytes, other: bytes):
    """What is read is kept byte for byte, and whatever the switch makes of it can be read (RFC
    8866, RFC 3264)."""
    for data in (one, other):
        try:
            session = SessionDescription.parse(data)
        except SdpSyntaxError:
            continue
        assert session.encode() == data
        rewrite.media_addresses(session)
        ports = [None if each.refused else (4000, 4001) for each in session.media]
        for made in (
            rewrite.point_at(session, "192.0.2.1", ports),
            rewrite.fully_open(session),
        ):
            SessionDescription.parse(made.encode())
    for work in (
        lambda: SessionDescription.parse(codecs.allowed(one, ("PCMA", "video/H264"), offers=True)),
        lambda: SessionDescription.parse(match.match(one, other)),
        lambda: rewrite.fits(one, other),
        lambda: rewrite.renumbering(one, other),
        lambda: early.takes_all(one, other),
        lambda: SessionDescription.parse(early.led(one, "192.0.2.1")),
    ):
        try:
            work()
        except SdpSyntaxError:
            continue


@FUZZING
@given(
    st.sampled_from(MULTIPARTS).flatmap(
        lambda found: st.tuples(st.just(found[0].decode("latin-1")), documents([found[1]]))
    )
)
def test_only_a_syntax_error_leaves_bodies_of_parts(body: tuple[str, bytes]):
    """Parts lie within the body, and what is replaced is found again (RFC 2046 5.1)."""
    kind, data = body
    try:
        found = multipart.flattened(kind, data)
        multipart.session_parts(kind, data)
    except SipSyntaxError:
        return
    assert len(found) <= multipart.MOST_PARTS**2
    for part in found:
        assert 0 <= part.opened <= part.start <= part.end <= len(data)
        _ = part.content_type, part.disposition, part.is_optional, part.is_plain
    new = multipart.replaced(data, [(found[0], b"v=0\r\n")])
    assert new[: found[0].opened] == data[: found[0].opened]


@FUZZING
@given(documents(DOCUMENTS))
def test_only_a_syntax_error_leaves_documents(document: bytes):
    """What is written into an XML document is read there again, and nothing else changes."""
    seen: list[str] = []

    def change(name: str, values: dict[str, str]) -> dict[str, str]:
        seen.append(name)
        return dict.fromkeys(values, "<\"'&>")

    try:
        made = changed(document, change)
        if changed(document, lambda name, values: values) != document:
            raise AssertionError("changed though nothing was to be")
    except SipSyntaxError:
        return
    before = list(seen)
    seen.clear()
    changed(made, change)
    assert seen == before


def read_all(message: Message) -> None:
    """Ask for every view, and read whatever else is read from raw values."""
    for view in VIEWS:
        attempt(lambda: getattr(message, view))  # noqa: B023
    for view in (event_of, SubscriptionState.of, Replaces.of, ReferTo.of):
        attempt(lambda: view(message))  # noqa: B023
    for name, value in message.fields:
        message.get(name)
        message.values(name)
        for read in (Replaces.parse, NameAddr.parse, Via.parse, Uri.parse):
            attempt(lambda: read(value))  # noqa: B023
        digest.parse_challenges([value])
        for credentials in digest.parse_credentials([value]):
            digest.verify(credentials, "00", "REGISTER")


def attempt(work: Callable[[], object]) -> None:
    with suppress(SipSyntaxError):
        work()
