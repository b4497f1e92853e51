"""Bodies of several parts: RFC 2046 5.1, RFC 5621."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.errors import SipSyntaxError
from softswitch.sip.multipart import (
    MOST_FIELDS,
    MOST_PARTS,
    boundary,
    compose,
    is_multipart,
    parts,
    replaced,
    session_parts,
)

MIXED = "multipart/mixed;boundary=b1"
BODY = (
    b"This is a preamble.\r\n"
    b"--b1  \r\n"
    b"content-type : application/sdp\r\n"
    b"Content-Disposition: session;\r\n handling=required\r\n"
    b"l: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
    b"\r\n--b1\r\n"
    b"\r\n"
    b"plain\n--b1x\r\n--b1x\r\n"
    b"--b1\r\n"
    b"c: application/isup;version=x\r\n"
    b"Content-Disposition: signal;handling=optional\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"--b1--\r\n"
    b"An epilogue\r\n--b1\r\n"
)


def contents(content_type, body):
    """What the parts hold."""
    return [body[part.start : part.end] for part in parts(content_type, body)]


def test_where_the_parts_lie():
    """Preamble and epilogue belong to none; nor does a line that only begins as a boundary."""
    assert contents(MIXED, BODY) == [b"v=0\r\n", b"plain\n--b1x\r\n--b1x", b""]
    sdp, plain, isup = parts(MIXED, BODY)
    assert (sdp.content_type, sdp.disposition, sdp.is_optional) == (
        "application/sdp",
        "session",
        False,
    )
    assert sdp.get("Content-Disposition") == "session; handling=required"
    assert (plain.fields, plain.content_type, plain.disposition) == ([], "text/plain", "")
    assert (isup.content_type, isup.is_optional) == ("application/isup", True)
    assert [part.is_plain for part in (sdp, plain, isup)] == [True, True, False]


def test_what_is_not_replaced_stays_to_the_byte():
    """Nothing is put together anew; a part's own Content-Length is set right."""
    sdp, plain, isup = parts(MIXED, BODY)
    assert replaced(BODY, []) == BODY
    assert replaced(BODY, [(plain, b"")]) == BODY.replace(b"plain\n--b1x\r\n--b1x", b"")
    new = replaced(BODY, [(isup, b"\0"), (sdp, b"v=0\r\no=longer\r\n")])
    assert contents(MIXED, new) == [b"v=0\r\no=longer\r\n", b"plain\n--b1x\r\n--b1x", b"\0"]
    longer = BODY.replace(b"l: 5\r\n\r\nv=0\r\n", b"l: 15\r\n\r\nv=0\r\no=longer\r\n")
    assert new == longer.replace(b"64\r\n\r\n--b1--", b"64\r\n\r\n\0\r\n--b1--")


def test_a_part_may_have_parts():
    """Read in its place, so that ranges stay those of the whole."""
    inner = b"--in\r\n\r\none\r\n--in\r\n\r\ntwo\r\n--in--"
    kind = 'multipart/alternative; boundary="in"'
    body = f"--b1\r\nContent-Type: {kind}\r\n\r\n".encode() + inner + b"\r\n--b1--\r\n"
    (outer,) = parts(MIXED, body)
    assert is_multipart(outer.get("Content-Type"))
    found = parts(kind, body, outer.start, outer.end)
    assert [body[part.start : part.end] for part in found] == [b"one", b"two"]
    assert replaced(body, [(found[1], b"2")]) == body.replace(b"two", b"2")


@pytest.mark.parametrize(
    ("content_type", "mark"),
    [
        ("multipart/mixed;boundary=abc", b"abc"),
        ('Multipart/Mixed ; charset=x; Boundary="gc0p:4Jq0M 2Yt08j"', b"gc0p:4Jq0M 2Yt08j"),
        ("multipart/mixed;boundary=----=_Part_1.2", b"----=_Part_1.2"),
        ('multipart/mixed;boundary="' + "x" * 70 + '"', b"x" * 70),
    ],
)
def test_a_boundary_may_be_quoted(content_type, mark):
    """RFC 2046 5.1.1."""
    assert boundary(content_type) == mark
    assert is_multipart(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed",
        "multipart/mixed;boundary",
        "multipart/mixed;boundary=",
        'multipart/mixed;boundary=""',
        'multipart/mixed;boundary="ends "',
        'multipart/mixed;boundary="é"',
        "multipart/mixed;boundary=a;boundary=b",
        'multipart/mixed;boundary="' + "x" * 71 + '"',
        "multipart/mixed;;",
    ],
)
def test_a_boundary_that_is_none(content_type):
    """400, and the field is named."""
    with pytest.raises(SipSyntaxError) as caught:
        parts(content_type, BODY)
    assert (caught.value.status, caught.value.header) == (400, "Content-Type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=0\r\n",
        b"--b1--\r\n",
        b"preamble\r\n--b1--",
        b"--b1\r\n\r\nno end\r\n",
        b"--b1\r\n\r\nno end\r\n--b1",
        b"--b1\r\n\r\nno end\r\n--b1 -",
        b"--b1 x\r\n\r\none\r\n--b1--",
        b"--b1\r\nContent-Type: text/plain\r\n--b1--",
        b"--b1\r\nno field\r\n\r\n\r\n--b1--",
        b"--b1\r\nA B: c\r\n\r\n\r\n--b1--",
        b"--b1\r\nA: b\nC: d\r\n\r\n\r\n--b1--",
        b"--b1\r\n" + b"A: b\r\n" * (MOST_FIELDS + 1) + b"\r\n\r\n--b1--",
        b"--b1\r\n\r\n" * (MOST_PARTS + 1) + b"\r\n--b1--",
    ],
)
def test_a_malformed_body(body):
    """400 (RFC 3261 21.4.1)."""
    with pytest.raises(SipSyntaxError) as caught:
        parts(MIXED, body)
    assert caught.value.status == 400


def test_the_limits_can_be_reached():
    """Just so many parts and fields are read."""
    body = (
        b"--b1\r\n" + b"A: b\r\n" * MOST_FIELDS + b"\r\nx\r\n" + b"--b1\r\n\r\n" * (MOST_PARTS - 1)
    )
    assert len(parts(MIXED, body + b"\r\n--b1--")) == MOST_PARTS


CONTENT = st.binary(max_size=40) | st.sampled_from([b"--part0", b"\r\n--part0--\r\n", b"\r\n"])


@given(st.lists(CONTENT, min_size=1, max_size=5))
def test_what_is_composed_can_be_read(wanted):
    """Whatever the parts hold, the boundary is none of it."""
    fields = [("Content-Type", "application/octet-stream")]
    mark, body = compose([(fields if index % 2 else [], each) for index, each in enumerate(wanted)])
    kind = f"multipart/mixed;boundary={mark}"
    assert contents(kind, body) == wanted
    assert [part.fields for part in parts(kind, body)] == [
        fields if index % 2 else [] for index in range(len(wanted))
    ]


@given(st.lists(st.sampled_from([b"--b1", b"--", b"\r\n", b"a: b", b" ", b"x", b"--b1--"])))
def test_nothing_else_is_ever_raised(pieces):
    """Whatever comes is read, or refused with 400; ranges lie in order within the body."""
    body = b"".join(pieces)
    try:
        found = parts(MIXED, body)
    except SipSyntaxError:
        return
    places = [place for part in found for place in (part.opened, part.start, part.end)]
    assert places == sorted(places)
    assert places[-1] <= len(body)
    same = [(part, body[part.start : part.end]) for part in found]
    assert replaced(body, same) == body


SDP = "Content-Type: application/sdp\r\n"
SESSION = f"{SDP}Content-Disposition: Session;handling=required\r\n"


@pytest.mark.parametrize(
    ("heads", "chosen"),
    [
        ([SDP, SDP], [0, 1]),
        ([SDP, SESSION, SESSION], [1, 2, 0]),
        (["", f"{SDP}Content-Disposition: early-session\r\n", SESSION], [2]),
        ([f"{SDP}Content-Transfer-Encoding: base64\r\n", SDP], [1]),
        (["Content-Type: application/pidf+xml\r\n"], []),
    ],
)
def test_the_session_description_among_the_parts(heads, chosen):
    """The one for the session, else the first (freeswitch#1536, sems#129; RFC 3264 4)."""
    body = b"".join(f"--b1\r\n{head}\r\nv={n}\r\n".encode() for n, head in enumerate(heads))
    found = [body[part.start : part.end] for part in session_parts(MIXED, body + b"--b1--")]
    assert found == [b"v=%d" % number for number in chosen]


def test_a_session_description_lies_one_level_deep_at_most():
    """What is nested deeper passes as it is."""
    sdp = b"--in\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--in--"
    inner = b"Content-Type: multipart/alternative;boundary=in\r\n\r\n" + sdp
    body = b"--b1\r\n\r\nplain\r\n--b1\r\n" + inner + b"\r\n--b1--"
    (part,) = session_parts(MIXED, body)
    assert body[part.start : part.end] == b"v=0"
    deep = b"--b2\r\nContent-Type: multipart/mixed;boundary=b1\r\n\r\n" + body + b"\r\n--b2--"
    assert session_parts("multipart/mixed;boundary=b2", deep) == []
