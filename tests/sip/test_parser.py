"""A datagram to a message."""

import pytest

from softswitch.sip.compose import response
from softswitch.sip.message import Message, Request, Response
from softswitch.sip.parser import Limits, MessageSyntaxError, parse

VIA = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"
REST = "From: <sip:a@h>;tag=1\nTo: <sip:b@h>\nCall-ID: c\nCSeq: 1 OPTIONS\nMax-Forwards: 70"
START = "OPTIONS sip:b@h SIP/2.0"
OPTIONS = f"{START}\n{VIA}\n{REST}\n\n"


def wire(text: str) -> bytes:
    """Text with bare line feeds as it stands on the wire."""
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def read(text: str) -> Message:
    return parse(wire(text))


def refused(
    data: bytes, *, stream: bool = False, limits: Limits | None = None
) -> MessageSyntaxError:
    with pytest.raises(MessageSyntaxError) as caught:
        parse(data, stream=stream, limits=limits or Limits())
    return caught.value


def test_a_request_is_split_into_its_parts():
    """RFC 3261 7.1; names come canonical, values without white space around them."""
    request = read(f"{START}\n{VIA}\n{REST}\nx-Foo \t: \t bar \t\nk:\n\nbody")
    assert isinstance(request, Request)
    assert (request.method, request.uri, request.body) == ("OPTIONS", "sip:b@h", b"body")
    assert request.fields[0] == ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
    assert request.fields[-2:] == [("x-Foo", "bar"), ("Supported", "")]


@pytest.mark.parametrize("phrase", [" OK", " ", "", " = 2**3 * 5**2 но"])
def test_a_response_is_split_into_its_parts(phrase: str):
    """RFC 3261 7.2: the phrase may be anything, or nothing (RFC 4475 3.1.1.12, 3.1.1.13)."""
    answer = read(f"SIP/2.0 200{phrase}\n{VIA}\n{REST}\n\n")
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason) == (200, phrase[1:])


@pytest.mark.parametrize(
    "line",
    [
        "SIP/2.0 99 x",
        "SIP/2.0 700 x",
        "SIP/2.0 4294967301 x",
        "SIP/2.0 ٢٠٠ OK",
        "SIP/2.0 2000",
        "SIP/2.0  200 OK",
        "SIP/7.0 200 OK",
        "SIP/2.0",
        "SIP/",
    ],
)
def test_a_bad_status_line_is_dropped(line: str):
    """Nobody answers a response (RFC 3261 8.1.3; RFC 4475 3.1.2.19)."""
    error = refused(wire(f"{line}\n{VIA}\n{REST}\n\n"))
    assert (error.reason, error.request) == ("Bad Status-Line", None)


def test_folding_is_one_space():
    """RFC 3261 7.3.1: any line end with white space after it, also before the first character."""
    request = read(f"{START}\n{VIA}\n{REST}\nSubject:\n \t I know\n\t you're there,\n  pick up\n\n")
    assert request.get("Subject") == "I know you're there, pick up"


def test_compact_forms_and_case_are_one():
    """RFC 3261 7.3.1, 7.3.3."""
    request = read(
        f"{START}\nv: SIP/2.0/UDP h;branch=z\nF: <sip:a@h>;tag=1\nt: <sip:b@h>\nI: c\n"
        "CSEQ: 1 OPTIONS\nmax-forwards: 70\nL: 0\n\n"
    )
    assert [name for name, _ in request.fields] == [
        "Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards",
    ]  # fmt: skip


def test_text_is_utf8_and_other_octets_are_replaced():
    """RFC 3261 7.3.1; what is no UTF-8 means nothing to anybody, and goes no further."""
    data = wire(f'{START}\n{VIA}\n{REST}\nSubject: ü\udcff\x85\u2028"\n\n')
    request = parse(data)
    assert request.get("Subject") == 'ü\ufffd\x85\u2028"'
    assert 'Subject: ü\ufffd\x85\u2028"\r\n'.encode() in request.encode()


def test_line_ends_before_the_start_line_are_ignored():
    """RFC 3261 7.5."""
    assert read(f"\n\n{OPTIONS}").start_line() == START


def test_the_body_of_a_datagram():
    """RFC 3261 18.3: cut to Content-Length, 400 when shorter, to the end without one."""
    head = f"{START}\n{VIA}\n{REST}"
    assert read(f"{head}\nContent-Length: 3\n\nbody").body == b"bod"
    assert read(f"{head}\n\nbody").body == b"body"
    assert read(f"{head}\nl : \n 0003 \n\nbody").body == b"bod"
    for length in ("5", "-999", "+4", "4,4", "٤", "", "4 4", "0x4", "9" * 50):
        error = refused(wire(f"{head}\nContent-Length: {length}\n\nbody"))
        assert (error.status, error.reason) == (400, "Bad Content-Length")
        assert error.header == "Content-Length"
        assert error.request is not None
    for second in ("4", "5"):
        error = refused(wire(f"{head}\nContent-Length: 4\nl: {second}\n\nbody"))
        assert error.reason == "Duplicate Content-Length"


def test_content_length_is_mandatory_on_streams():
    """RFC 3261 18.3, 20.14."""
    error = refused(wire(OPTIONS), stream=True)
    assert (error.status, error.reason) == (400, "Missing Content-Length")


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards"])
def test_what_must_be_single_must_be_single(name: str):
    """RFC 3261 7.3.1; RFC 4475 3.3.8. The answer bears one of each."""
    line = next(line for line in REST.split("\n") if line.startswith(name))
    error = refused(wire(f"{START}\n{VIA}\n{REST}\n{line}\n\n"))
    assert (error.status, error.reason, error.header) == (400, f"Duplicate {name}", name)
    assert error.request is not None
    assert len(error.request.all(name)) == 1


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq"])
def test_what_is_mandatory_must_be_there(name: str):
    """RFC 3261 8.1.1; RFC 4475 3.3.1: 400 even so, with what there is."""
    rest = "\n".join(line for line in REST.split("\n") if not line.startswith(name))
    error = refused(wire(f"{START}\n{VIA}\n{rest}\n\n"))
    assert (error.status, error.reason, error.header) == (400, f"Missing {name}", name)
    assert error.request is not None
    answer = response(error.request, error.status, error.reason, to_tag="t").encode()
    assert answer.startswith(f"SIP/2.0 400 Missing {name}\r\n{VIA}\r\n".encode())


def test_what_has_no_via_has_no_answer():
    """There is nobody to send it to (RFC 3261 18.2.2)."""
    error = refused(wire(f"{START}\n{REST}\n\n"))
    assert (error.reason, error.request) == ("Missing Via", None)
    error = refused(wire(f"{START}\nVia: rubbish\n{REST}\n\n"))
    assert (error.reason, error.request) == ("Bad Via", None)


def test_an_ack_is_never_answered():
    """RFC 3261 17.1.1.3, 8.2.6."""
    error = refused(wire(OPTIONS.replace("OPTIONS", "ACK").replace("1 ACK", "x ACK")))
    assert (error.reason, error.request) == ("Bad CSeq", None)


def test_a_broken_via_is_answered_where_its_sender_can_be_read():
    """RFC 4475 3.1.2.1."""
    error = refused(wire(f"{START}\nVia: SIP/2.0/UDP 192.0.2.15;;,;,,\n{REST}\n\n"))
    assert error.reason == "Bad Via"
    assert error.request is not None
    assert error.request.all("Via") == ["SIP/2.0/UDP 192.0.2.15"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", "Bad CSeq"),
        ("CSeq: 1 OPTIONS", "CSeq: 2147483648 OPTIONS", "Bad CSeq"),
        ("Max-Forwards: 70", "Max-Forwards: 300", "Bad Max-Forwards"),
        ("To: <sip:b@h>", "To: <sip:b@h", "Bad To"),
        ("Call-ID: c", "Call-ID: a b", "Bad Call-ID"),
        ("OPTIONS sip:b@h", "OPTIONS <sip:b@h>", "Bad Request-URI"),
        ("OPTIONS sip:b@h", "OPTIONS sip:b@h?x=y", "Bad Request-URI"),
        ("OPTIONS sip:b@h", "OPTIONS  sip:b@h", "Bad Request-Line"),
        ("OPTIONS sip:b@h", "OPTIONS sip:b@h; lr", "Bad Request-Line"),
        ("SIP/2.0\n", "SIP/2.0 \n", "Bad Request-Line"),
        ("SIP/2.0\n", "SIP/2.0\n Subject: x\n", "Bad Request-Line"),
        ("SIP/2.0\n", "HTTP/1.1\n", "Bad Request-Line"),
        ("SIP/2.0\n", "\u017fIP/2.0\n", "Bad Request-Line"),
        ("OPTIONS sip", "OPT(IONS sip", "Bad Request-Line"),
        ("To: <", "Subject\nTo: <", "Bad header field"),
        ("To: <", ": x\nTo: <", "Bad header field"),
        ("To: <", "Sub ject: x\nTo: <", "Bad header field"),
        ("To: <", "Subj\u212aect: x\nTo: <", "Bad header field"),
        ("To: <", "Subject: a\0b\nTo: <", "Bad Subject"),
        ("To: <", 'X-Y: "a\0b"\nTo: <', "Bad header field"),
    ],
)
def test_a_fault_is_named_and_can_be_answered(old: str, new: str, reason: str):
    """400 with a reason that names the field; never a word of the peer's (RFC 3261 21.4.1)."""
    error = refused(wire(OPTIONS.replace(old, new, 1)))
    assert (error.status, error.reason) == (400, reason)
    assert error.request is not None
    answer = response(error.request, error.status, error.reason, to_tag="t").encode()
    assert answer.startswith(f"SIP/2.0 400 {reason}\r\n{VIA}\r\n".encode())


@pytest.mark.parametrize("end", ["\n", "\r", "\n\r"])
def test_a_bare_line_end_in_a_value_is_refused(end: str):
    """Only CRLF ends a line (RFC 3261 7); else two readers read two messages."""
    data = wire(OPTIONS).replace(b"To: <", f"Subject: a{end}Via: forged\r\nTo: <".encode())
    error = refused(data)
    assert (error.status, error.reason) == (400, "Bad Subject")
    assert error.request is not None
    assert b"forged" not in error.request.encode()


def test_a_nul_is_legal_as_a_quoted_pair():
    """RFC 3261 25.1; RFC 4475 3.1.1.2."""
    request = read(OPTIONS.replace("To: <", 'To: "NUL:\\\0" <'))
    assert request.to.display == "NUL:\0"


def test_another_version_is_505_whatever_else_is_wrong():
    """RFC 3261 21.5.6; RFC 4475 3.1.2.16."""
    error = refused(wire(OPTIONS.replace("SIP/2.0", "SIP/7.0").replace("To: <", "To: ")))
    assert (error.status, error.reason) == (505, "Version Not Supported")
    assert error.request is not None
    assert read(OPTIONS.replace("SIP/2.0", "sip/2.0", 1)).start_line() == START


def test_an_unknown_scheme_is_for_others_to_refuse():
    """With 416 (RFC 3261 8.2.2.1; RFC 4475 3.3.2)."""
    request = read(OPTIONS.replace("sip:b@h SIP", "nobodyKnows:this SIP", 1))
    assert isinstance(request, Request)
    assert request.request_uri.scheme == "nobodyknows"


def test_a_message_of_the_largest_size_is_read_and_a_larger_one_is_not():
    """513 (RFC 3261 21.5.7), to whom the first bytes name."""
    limits = Limits(max_message=1000)
    body = "x" * (1000 - len(wire(OPTIONS)))
    assert parse(wire(OPTIONS + body), limits=limits).body == body.encode()
    error = refused(wire(OPTIONS + body + "x"), limits=limits)
    assert (error.status, error.reason) == (513, "Message Too Large")
    assert error.request is not None
    assert error.request.call_id == "c"


def test_as_many_fields_as_allowed_and_no_more():
    """128 lines of header fields by default."""
    more = "".join(f"X-{n}: y\n" for n in range(128 - 6))
    assert len(read(f"{START}\n{VIA}\n{REST}\n{more}\n").fields) == 128
    error = refused(wire(f"{START}\n{VIA}\n{REST}\n{more}Via: SIP/2.0/UDP x\nVia: y\n\n"))
    assert (error.status, error.reason) == (400, "Too many header fields")
    assert error.request is not None
    assert response(error.request, 400).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"\xff" * 100,
        b"x" * 20000,
        b"\r\n" * 9000,
        b"OPTIONS",
        wire(OPTIONS)[:-2],
    ],
)
def test_rubbish_is_refused(data: bytes):
    """A keep-alive or a scan is no message."""
    assert refused(data).status in (400, 513)


@pytest.mark.parametrize("kind", ["application", "/sdp", "x/;charset=utf-8"])
def test_a_body_of_no_type_is_left_out_of_a_response(kind):
    """It is told to nobody who would refuse it, as the receiver of an ACK with a late answer; of a
    request its sender is told (RFC 3261 21.4.1)."""
    rest = f"{VIA}\n{REST}\nContent-Type: {kind}\n\nv=0"
    found = read(f"SIP/2.0 200 OK\n{rest}")
    assert (found.body, found.get("Content-Type"), found.content_type) == (b"", None, None)
    assert found.call_id == "c"
    with pytest.raises(MessageSyntaxError, match="Bad Content-Type"):
        read(f"{START}\n{rest}")
