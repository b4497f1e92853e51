"""What may leave: the guard mends descriptions to the byte, or refuses them, and says why."""

import pytest

from softswitch.errors import (
    INCOMPATIBLE_TRANSPORT,
    NO_SUCH_FORMAT,
    NO_SUCH_MEDIA,
    SdpSyntaxError,
)
from softswitch.sdp.guard import aligned, guarded
from softswitch.sdp.places import Place
from softswitch.sdp.session import SessionDescription

HERE = "127.55.0.1"
HEAD = f"v=0\r\no=- 1 1 IN IP4 {HERE}\r\ns=-\r\nc=IN IP4 {HERE}\r\nt=0 0\r\n"
AUDIO = "m=audio 20000 RTP/AVP 0\r\n"
VIDEO = "m=video 20002 RTP/AVP 99\r\n"


def read(text):
    """A description."""
    return SessionDescription.parse(text.encode())


def left(text, offer=None, before="", host=HERE, **place):
    """What leaves of a description, and what was wrong with it."""
    offered = None if offer is None else read(offer)
    found = guarded(read(text), Place((host,), **place), offered, before.encode())
    return found.session.encode().decode(), found.mended


def refused(text, offer=None, **place):
    """Why a description may not leave: reason, status, warn-code."""
    with pytest.raises(SdpSyntaxError) as caught:
        left(text, offer, **place)
    return caught.value.reason, caught.value.status, caught.value.warning


def test_what_is_right_leaves_as_it_is():
    """The same object comes back; nothing is said."""
    session = read(HEAD + AUDIO + "a=rtcp:20001\r\na=ptime:20\r\n" + VIDEO + "a=sendonly\r\n")
    found = guarded(session, Place((HERE,)))
    assert found.session is session
    assert (found.mended, found.padding) == ((), 0)
    found = guarded(
        session, Place((HERE,)), session.of(session.lines, [m.lines for m in session.media])
    )
    assert found.mended == ("a=sendonly in answer to a=sendonly",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a=candidate:1 1 udp 2 192.0.2.1 4000 typ host", "a=candidate"),
        ("a=ice-ufrag:F7gI", "a=ice-ufrag"),
        ("a=ice-pwd:x9cml", "a=ice-pwd"),
        ("a=Candidate:1 1 udp 2 e.local 4000 typ host", "a=Candidate"),
        ("a=remote-candidates:1 192.0.2.3 45664", "a=remote-candidates"),
        ("a=altc:1 IP6 2001:db8::1 45678", "a=altc"),
        ("a=alt:1 1 : ab cd 192.168.1.2 8000", "a=alt"),
        ("a=X-nat:0 192.168.1.2", "a=X-nat"),
        ("a=tool:pbx.10.0.0.1", "a=tool"),
        ("a=tool:pb.fe80::1.", "a=tool"),
        ("a=source-filter: incl IN IP4 * host.example", "a=source-filter"),
        ("a=path:msrp://pbx.example:7394/2s93i9ek2a;tcp", "a=path"),
        ("a=ssrc:1 cname:alice@10.0.0.1", "a=ssrc"),
        ("a=rtcp:20001 IN IP4 10.0.0.1", "a=rtcp"),
        ("a=x-\u00e9t\u00e9:10.0.0.1", "a=?"),
        ("a=x-mapped:::ffff:10.0.0.1", "a=x-mapped"),
        ("a=x-six:fe80::1%eth0", "a=x-six"),
        (" a=candidate:1 1 udp 2 192.0.2.1 4000 typ host", "a line that is none"),
        ("A=rtcp:5", "a line that is none"),
        ("a", "a line that is none"),
        ("x=odd", "a line that is none"),
        ("k=clear:secret", "k="),
        ("a=note:one\rc=IN IP4 host.example", "a line that is none"),
        ("a=note:\0", "a line that is none"),
        ("", "a line that is none"),
        ("i=from 10.0.0.1", "an address in i="),
        ("o=bob 1 1 IN IP4 " + HERE, "a o= too many"),
        ("t=0 0", "a t= too many"),
    ],
)
def test_what_tells_of_another_place_is_taken_out(line, said):
    """Wherever it stands: an attribute that only ICE could keep (RFC 8839), any address that is not
    the relay's, and what is no line, for others may read it as two (RFC 8866 5)."""
    good = HEAD + AUDIO + "a=ptime:20\r\n"
    text, mended = left(HEAD + AUDIO + f"{line}\r\n" + "a=ptime:20\r\n")
    assert (text, mended) == (good, (said,))


def test_lines_of_the_session_that_tell_an_address():
    """Its name becomes none; what need not be there goes; a c= leads to the relay."""
    told = (
        f"v=0\r\no=- 1 1 IN IP4 {HERE}\r\ns=pbx 10.0.0.1\r\nu=http://10.0.0.2/\r\n"
        f"e=a@10.0.0.3\r\nc=IN IP4 10.0.0.4\r\nt=0 0\r\n" + AUDIO
    )
    text, mended = left(told)
    assert text == HEAD + AUDIO
    assert mended == ("an address in s=", "an address in u=", "an address in e=", "c=")


@pytest.mark.parametrize(
    "line",
    [
        "a=fingerprint:sha-256 42:89:C5:C6:55:9D:6E:8A:42:89:C5:C6:55:9D:6E:8A",
        "a=x-at:12:34:56",
        "a=tool:libavformat 58.29.100",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "a=setup:actpass",
        "a=rtcp:20001",
    ],
)
def test_what_is_no_address_stays(line):
    """Hashes, times and versions; keys that are end to end, for the relay terminates none."""
    told = HEAD + AUDIO + f"{line}\r\n"
    assert left(told) == (told, ())


def test_a_hold_by_connection_is_told_in_the_legs_own_version():
    """c=0.0.0.0 stays a hold (RFC 3264 8.4), for a peer of IPv6 as ::; a name under .invalid is
    told as no address."""
    for host, nowhere, kind in ((HERE, "0.0.0.0", "IP4"), ("fd00::1", "::", "IP6")):
        good = (
            f"v=0\r\no=- 1 1 IN {kind} {host}\r\ns=-\r\nc=IN {kind} {nowhere}\r\nt=0 0\r\n" + AUDIO
        )
        assert left(good, host=host) == (good, ())
    four = good.replace("IP6 ::", "IP4 0.0.0.0")
    assert left(four, host="fd00::1") == (good, ("c=",))


def test_an_engines_own_candidates_and_addresses_stay():
    """Where it speaks ICE itself: its candidates may leave, at its addresses alone; no names."""
    ours = "a=ice-ufrag:F7gI\r\na=candidate:1 1 udp 2 192.0.2.9 4000 typ host\r\n"
    told = HEAD + AUDIO + ours
    foreign = "a=candidate:1 1 udp 2 10.0.0.1 4000 typ host\r\n"
    hidden = "a=candidate:1 1 udp 2 secret.local 4000 typ host\r\n"
    place = Place((HERE, "192.0.2.9"), frozenset(("ice",)))
    found = guarded(read(told + foreign + hidden), place)
    assert found.session.encode().decode() == told
    assert found.mended == ("a=candidate",)


def test_the_far_sides_keys_do_not_leave_where_the_engine_has_its_own():
    """A fingerprint or key that the far side has told would be checked against the engine (500)."""
    prints = "a=fingerprint:sha-256 42:89:C5:C6\r\n"
    keys = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpV\r\n"
    for line, kind in ((prints, "dtls"), (keys, "sdes")):
        told = HEAD + AUDIO + line
        terms = frozenset((kind,))
        assert left(told, terminates=terms, said=b"another") == (told, ())
        reason, status, _ = refused(told, terminates=terms, said=told.encode())
        assert ("The Far Side's a=" in reason, status) == (True, 500)


@pytest.mark.parametrize(
    ("answer", "offered", "leaves"),
    [
        ("sendrecv", "sendonly", "recvonly"),
        ("sendrecv", "recvonly", "sendonly"),
        ("sendrecv", "inactive", "inactive"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "recvonly", "inactive"),
    ],
)
def test_directions_are_narrowed_to_what_answers_the_offer(answer, offered, leaves):
    """RFC 3264 6.1."""
    text, mended = left(HEAD + AUDIO + f"a={answer}\r\n", HEAD + AUDIO + f"a={offered}\r\n")
    assert text == HEAD + AUDIO + f"a={leaves}\r\n"
    assert mended == (f"a={answer} in answer to a={offered}",)


@pytest.mark.parametrize(
    ("answer", "offered"),
    [
        ("recvonly", "sendonly"),
        ("sendonly", "recvonly"),
        ("inactive", "sendrecv"),
        ("sendonly", "sendrecv"),
        ("inactive", "sendonly"),
    ],
)
def test_legal_directions_stay(answer, offered):
    """RFC 3264 6.1."""
    told = HEAD + AUDIO + f"a={answer}\r\n"
    assert left(told, HEAD + AUDIO + f"a={offered}\r\n") == (told, ())


def test_sections_of_an_answer_are_those_of_its_offer():
    """As many (RFC 3264 6): what is missing is refused, what is refused beyond them goes."""
    both = HEAD + AUDIO + VIDEO
    refusal = "m=video 0 RTP/AVP 99\r\n"
    said = ("the number of m= lines",)
    assert left(HEAD + AUDIO, both) == (HEAD + AUDIO + refusal, said)
    assert left(HEAD + AUDIO + refusal, HEAD + AUDIO) == (HEAD + AUDIO, said)
    assert refused(both, HEAD + AUDIO)[2] == NO_SUCH_MEDIA


def test_what_was_refused_stays_refused():
    """Port 0 is answered with port 0 (RFC 3264 6), whatever the far side thinks of it."""
    offer = HEAD + AUDIO + "m=video 0 RTP/AVP 99\r\n"
    assert left(HEAD + AUDIO + VIDEO, offer) == (offer, ("an m= line that was refused",))
    bare = HEAD + AUDIO + "m=video 0 RTP/AVP\r\n"
    assert left(bare, offer) == (offer, ("a refused m= line",))
    other = HEAD + AUDIO + "m=image 0 udptl t38\r\n"
    assert left(other, offer) == (offer, ("a refused m= line",))


def test_media_and_protocol_of_an_answer_are_those_of_its_offer():
    """The same line with other feedback (RFC 4585) is named as it was offered; what is another kind
    of packet cannot be mended."""
    offer = HEAD + "m=audio 20000 RTP/AVPF 0\r\n"
    assert left(HEAD + AUDIO, offer) == (offer, ("the protocol of an m= line",))
    secure = HEAD + "m=audio 20000 RTP/SAVP 0\r\n"
    assert refused(HEAD + AUDIO, secure)[1:] == (488, INCOMPATIBLE_TRANSPORT)
    assert refused(HEAD + VIDEO, HEAD + AUDIO)[1:] == (488, NO_SUCH_MEDIA)


def test_one_port_for_both_is_answered_only_where_it_was_offered():
    """a=rtcp-mux (RFC 5761 5.1.1)."""
    mux = HEAD + AUDIO + "a=rtcp-mux\r\n"
    assert left(mux, HEAD + AUDIO) == (HEAD + AUDIO, ("a=rtcp-mux, which was not offered",))
    assert left(mux, mux) == (mux, ())
    assert left(mux) == (mux, ())


def test_an_answer_says_the_time_of_its_offer():
    """RFC 3264 6."""
    offer = HEAD.replace("t=0 0", "t=3034423619 3042462419") + AUDIO
    assert left(HEAD + AUDIO, offer) == (offer, ("t=",))


def test_an_offer_keeps_the_sections_that_there_were():
    """As many m= lines as before at least, those that are missing refused (RFC 3264 8); whoever
    made the offer hears of its own alone in the answer."""
    before = HEAD + AUDIO + VIDEO
    found = guarded(read(HEAD + AUDIO), Place((HERE,)), None, before.encode())
    padded = HEAD + AUDIO + "m=video 0 RTP/AVP 99\r\n"
    assert found.session.encode().decode() == padded
    assert (found.mended, found.padding) == (("m= lines that were there before",), 1)
    assert aligned(padded.encode(), padded.encode(), 1).decode() == HEAD + AUDIO
    assert left(HEAD + AUDIO + VIDEO, before=HEAD + AUDIO) == (before, ())
    with pytest.raises(SdpSyntaxError):
        aligned(before.encode(), padded.encode(), 1)


def test_the_form():
    """Lines in their order, none missing, none too many (RFC 8866 5)."""
    told = (
        f"v=0\r\nt=0 0\r\no=- 1 1 IN IP4 {HERE}\r\na=tool:x\r\na=inactive\r\na=sendrecv\r\n"
        f"c=IN IP4 {HERE}\r\nm=audio 20000 RTP/AVP 0\r\na=ptime:20\r\na=sendonly\r\nb=AS:64\r\n"
        f"a=recvonly\r\nc=IN IP4 {HERE}\r\nc=IN IP4 {HERE}"
    )
    text, mended = left(told)
    assert text == (
        f"v=0\r\no=- 1 1 IN IP4 {HERE}\r\ns=-\r\nc=IN IP4 {HERE}\r\nt=0 0\r\na=tool:x\r\n"
        f"a=inactive\r\nm=audio 20000 RTP/AVP 0\r\nc=IN IP4 {HERE}\r\nb=AS:64\r\na=ptime:20\r\n"
        "a=sendonly\r\n"
    )
    assert mended == (
        "a direction too many",
        "the order of lines",
        "s=",
        "a c= too many",
    )
    assert refused(HEAD + "m=audio 20000 RTP/AVP\r\n")[2] == NO_SUCH_FORMAT
    assert refused(HEAD + "m=audio 20000 RTP/AVP 10.0.0.1\r\n")[1] == 488
