"""Passwords, keys, dialled digits: never shown, in no form; all else as it was."""

import re

import pytest

from softswitch.flight.masking import masked, shown, visible

HEAD = "INVITE sip:bob@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCall-ID: x\r\n"

DIGEST = (
    'Digest username="alice", realm="r", nonce="N0nce", uri="sip:h", response="5ec2e7", '
    'algorithm=MD5, cnonce="5ec2e7c", qop=auth, nc=00000001'
)


def request(*lines, body="", method="INVITE"):
    """A request with these header fields."""
    head = HEAD.replace("INVITE", method) + "".join(f"{line}\r\n" for line in lines)
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    "name", ["Authorization", "Proxy-Authorization", "proxy-AUTHORIZATION ", "aUThorization"]
)
@pytest.mark.parametrize(
    "value",
    [
        DIGEST,
        DIGEST.replace('response="5ec2e7"', "response=5ec2e7"),
        DIGEST.replace('response="5ec2e7"', 'response = "5ec2e7'),
        DIGEST.replace('response="5ec2e7"', 'RESPONSE="5ec2e7\\"5ec2e7"'),
        DIGEST.replace(", ", ",\r\n "),
        "Basic NWVjMmU3OjVlYzJlNw==",
        "Bearer 5ec2e7.5ec2e7",
        "5ec2e7",
        'digest other="5ec2e7"',
    ],
)
def test_credentials(name, value):
    """What answers a challenge is hidden, whatever its form; the nonce may stay (RFC 3261 22)."""
    message = request(f"{name}: {value}")
    hidden = masked(message)
    assert len(hidden) == len(message)
    for secret in (b"5ec2e7", b"NWVjMm"):
        assert secret not in hidden
    if "N0nce" in value and 'response = "' not in value:
        assert b"N0nce" in hidden
        assert b'username="alice"' in hidden
        assert b"nc=00000001" in hidden


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n"])
def test_line_breaks_before_a_message(before):
    """They hide nothing from the mask (RFC 3261 7.5)."""
    digit = request("Content-Type: application/dtmf-relay", body="Signal=7\r\n", method="INFO")
    assert b"=7" not in masked(before + digit)
    text = request("Content-Type: text/plain", body="5ec2e7", method="MESSAGE")
    assert b"5ec2e7" not in masked(before + text)
    assert masked(before + text).startswith(before + b"MESSAGE")


def test_what_a_server_proves():
    """rspauth and cnonce of Authentication-Info, which tell as much (RFC 7615)."""
    hidden = masked(request('Authentication-Info: qop=auth, rspauth="5ec2e7", cnonce="5ec2e7"'))
    assert b"5ec2e7" not in hidden
    assert b"qop=auth" in hidden


def test_a_message_within_a_message():
    """The credentials in a sipfrag are hidden, too, and keys in any part of a multipart."""
    body = f"--x\r\nContent-Type: message/sip\r\n\r\n{HEAD}Authorization: {DIGEST}\r\n\r\n"
    body += "--x\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ec2e7|2^20|1:4\r\n--x--"
    message = request("Content-Type: multipart/mixed;boundary=x", body=body)
    hidden = masked(message)
    assert b"5ec2e7" not in hidden
    assert b"|2^20|1:4" in hidden
    assert len(hidden) == len(message)


@pytest.mark.parametrize(
    "line",
    [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ec2e7",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 INLINE:5ec2e7;inline:5ec2e7",
        "a=ice-pwd:5ec2e7",
        "a=ICE-PWD:5ec2e7",
        "a=key-mgmt:mikey 5ec2e7",
        "k=clear:5ec2e7",
    ],
)
def test_keys(line):
    """SDES, ICE, MIKEY and what RFC 4566 had for it."""
    message = request(body=f"v=0\r\n{line}\r\na=sendrecv\r\n")
    hidden = masked(message)
    assert b"5ec2e7" not in hidden
    assert hidden.endswith(b"a=sendrecv\r\n")
    assert len(hidden) == len(message)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/dtmf-relay", "Signal=7\r\nDuration=160\r\n"),
        ("application/dtmf-relay", "signal= 7\nDuration=160"),
        ("application/dtmf", "7"),
        ("application/dtmf", "7\r\n"),
        ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\r\nd=777\r\n"),
        ("audio/telephone-event", "77,7*"),
    ],
)
def test_digits(kind, body):
    """What somebody dials within a call may be his PIN."""
    message = request(f"Content-Type: {kind}", body=body, method="INFO")
    hidden = masked(message)
    assert b"7" not in hidden.partition(b"\r\n\r\n")[2]
    assert len(hidden) == len(message)
    if "Duration" in body:
        assert b"Duration=160" in hidden


def test_digits_of_kpml():
    """And likewise in a NOTIFY of KPML (RFC 4730)."""
    body = '<kpml-response version="1.0" code="200" digits="7733" tag="x"/>'
    hidden = masked(request("Event: kpml", body=body, method="NOTIFY"))
    assert b"7733" not in hidden
    assert b'digits=****** tag="x"' in hidden


@pytest.mark.parametrize(
    ("hide", "expected"), [(True, b"******\r\n****"), (False, b"secret\r\ntext")]
)
def test_what_people_write(hide, expected):
    """The body of a MESSAGE is hidden as the operator wants."""
    message = request("Content-Type: text/plain", body="secret\r\ntext", method="MESSAGE")
    assert masked(message, hide_messages=hide).endswith(b"\r\n\r\n" + expected)


def test_more_parameters_than_are_looked_at():
    """Are hidden, all of them."""
    for name, value in (("Authorization", "Digest nc=1"), ("Authentication-Info", "nc=1")):
        hidden = masked(request(f"{name}: {value}{', nc=5ec2e7' * 128}"))
        assert hidden.count(b"nc=") == hidden.count(b"5ec2e7") == 0


def test_the_password_in_a_uri():
    """RFC 3261 19.1.1 advises against it, and it is there all the same."""
    message = request("Contact: <sip:alice:5ec2e7@h:5060>", "To: sip:b@h:5060")
    assert masked(message) == message.replace(b"5ec2e7", b"******")


@pytest.mark.parametrize(
    ("before", "hidden", "after"),
    [
        ("sip:a:", "5ec2e7" * 2000, "@h"),
        ("sip:a:", "sip:b:5ec2e7", "@h"),
        ("xSIPS:a:", "5ec2e7:;?,5", "@h"),
        ("a@sip:a:", "5ec2e7", "@h"),
        ("sip:a;sip:b:", "5ec2e7", "@h"),
        ("sip:sip:", "5ec2e7", "@h>"),
    ],
)
def test_the_password_in_an_odd_uri(before, hidden, after):
    """However long it is, whatever stands before it, and whatever it looks like itself."""
    line = f"Subject: {before}{hidden}{after}"
    stars = f"Subject: {before}{'*' * len(hidden)}{after}"
    assert masked(request(line)) == request(stars)


@pytest.mark.parametrize(
    ("before", "hidden", "after"),
    [
        ("response=", "5ec2e7" * 2000, ""),
        ("x" * 4000 + "=", "5ec2e7", ""),
        ("x " * 4000 + "response" + " " * 4000 + "=" + " " * 4000, "5ec2e7", ", nc=1"),
        ("nonce=N0nce, nonce-response=", "5ec2e7", ' realm="r"'),
        ('realm="r"response="', "5ec2e7", '"'),
        ("nc=1, " * 127 + "response=", "5ec2e7", ""),
    ],
)
def test_an_odd_proof(before, hidden, after):
    """However long it, its name and the white space are."""
    line = f"Authorization: Digest {before}{hidden}{after}"
    stars = f"Authorization: Digest {before}{'*' * len(hidden)}{after}"
    assert masked(request(line)) == request(stars)


def test_nothing_to_hide():
    """Is the very same."""
    message = request("Content-Type: application/sdp", body="v=0\r\nc=IN IP4 127.0.0.1\r\n")
    assert masked(message) == message


def test_what_is_shown_is_text():
    """Terminal escapes, directions of writing, line breaks that are none of ours, bytes that are no
    text: all shown for what they are."""
    message = request("Subject: \x1b[31mred\x07 \u202eevil\u2028x\x85\ty <script>", body="a\0b")
    text = shown(message + b"\xff\xfe")
    assert re.search(r"[^\n -~]", text) is None
    assert "\\x1b[31mred\\x07 \\u202eevil\\u2028x\\x85    y <script>" in text
    assert text.endswith("a\\x00b\\xff\\xfe")
    assert visible("grün ✓") == "grün ✓"
