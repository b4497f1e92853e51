"""What leaves is composed anew: a second reader, strict and written apart, and Python's own for
mail, read in it whom and what the switch's parser reads in it."""

from email.parser import BytesHeaderParser
from email.policy import compat32

import pytest
import reader
from hostile import FUZZING, besiege, corpus, messages
from hypothesis import given

from softswitch.errors import SipSyntaxError
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Request, Response
from softswitch.sip.parser import Limits, parse
from softswitch.testing.siege import Siege
from softswitch.testing.stage import Stage

LIMITS = Limits(max_message=2**20, max_fields=512, max_head=2**20)
#: Identities, and what is read of them: their values are addresses.
ADDRESSES = ("From", "To", "P-Asserted-Identity", "Contact")


def they_agree(data: bytes) -> None:
    """All readers see the same message.

    :raises AssertionError: they do not.
    :raises UnreadableError: the strict one cannot read it.
    """
    ours, theirs = parse(data, limits=LIMITS), reader.read(data)
    mail = BytesHeaderParser(policy=compat32).parsebytes(data.partition(b"\r\n")[2])
    assert " ".join(theirs.start) == ours.start_line()
    if isinstance(ours, Request):
        assert theirs.start[:2] == [ours.method, ours.uri]
    assert len(theirs.list("via")) == len(ours.values("Via"))
    assert mail.get_all("Content-Length") == [str(len(theirs.body))]
    assert theirs.body == ours.body
    assert theirs.only("call-id") == ours.call_id
    assert theirs.only("cseq") == ours.get("CSeq")
    for name in ADDRESSES:
        values = [] if ours.star and name == "Contact" else ours.values(name)
        assert [reader.address(each) for each in theirs.list(name.lower())][: len(values)] == [
            str(NameAddr.parse(each).uri) for each in values
        ]
        assert len(mail.get_all(name, [])) == len(theirs.fields.get(name.lower(), []))
    for name, view in (("from", ours.from_), ("to", ours.to)):
        assert reader.tag(theirs.only(name)) == view.tag


def judge(siege: Siege) -> None:
    """Every request that the switch has sent is the same to all; nothing that it has sent holds a
    control character beside what its receiver has written himself."""
    seen = 0
    for each in siege.stage.network.log:
        if each.source != siege.stage.address or not each.data.strip():
            continue
        if each.data.startswith(b"SIP/2.0"):
            continue
        head = each.data.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"")
        assert not [octet for octet in head if (octet < 32 and octet != 9) or octet == 127], head
        they_agree(each.data)
        seen += 1
    assert seen > 10


@pytest.mark.parametrize("seed", range(500, 520))
def test_what_leaves_a_besieged_switch_is_the_same_to_a_second_reader(seed: int):
    """From, To, PAI, Contact, Request-URI, the number of Vias and Content-Length of every request
    that it sends to anybody (RFC 3261 7, 25.1)."""
    besiege(seed, 400, judge)


@FUZZING
@given(messages())
def test_what_becomes_of_any_message_is_the_same_to_a_second_reader(data: bytes):
    """The same for the answer to any request that can be read, and for the request itself when it
    is composed anew."""
    try:
        message = parse(data)
    except SipSyntaxError:
        return
    if not isinstance(message, Request):
        return
    answer = compose.response(message, 200, to_tag="t").encode()
    again, read = parse(answer), reader.read(answer)
    assert int(read.only("content-length")) == 0
    assert len(read.list("via")) == len(message.values("Via")) == len(again.values("Via"))
    assert reader.tag(read.only("to")) == again.to.tag
    assert reader.tag(read.only("from")) == message.from_.tag
    assert again.call_id == read.only("call-id") == message.call_id


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("From: <sip:mallory@127.88.0.1>;tag=2", 400),
        ("f: <sip:mallory@127.88.0.1>;tag=2", 400),
        ("t: <sip:mallory@127.88.0.1>", 400),
        ("i: another", 400),
        ("CSeq: 2 INVITE", 400),
        ("From : <sip:mallory@127.88.0.1>;tag=2", 400),
        ("Fr om: <sip:mallory@127.88.0.1>;tag=2", 400),
        ("X-A\x00: b", 400),
        ("Subject: a\x00b", 400),
        ("Subject: a\x1bb", 400),
        ("Subject: a\x7fb", 400),
        ("Subject: a\nFrom: <sip:mallory@127.88.0.1>;tag=2", 400),
        ("Subject: a\rFrom: <sip:mallory@127.88.0.1>;tag=2", 400),
        ("Subject : a", 100),
        ("X-A: \xff\xfe", 100),
        ("X-A: %00", 100),
        ('Subject: "\\\x00"', 100),
    ],
)
def test_what_two_readers_may_read_otherwise_is_refused_or_neutralised(field: str, status: int):
    """Doubled identities, white space within a name, line ends, NUL and control characters are
    refused (RFC 3261 7.3.1, 25.1); octets of no encoding and control characters in a quoted pair
    go no further. White space before the colon and an escaped %00 are legal."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        alice.call("bob")
        sent = [each.data for each in stage.network.log if each.source[0] == alice.host]
        proven = next(each for each in reversed(sent) if b"\r\nAuthorization:" in each)
        bob.refuse(486)
        bob.unread.clear()
        alice.unread.clear()
        changed = proven.replace(b"nc=00000001", b"nc=00000009").replace(b"z9hG4bK", b"z9hG4bKx")
        line = field.encode("latin-1")
        changed = changed.replace(b"\r\nMax-Forwards", b"\r\n" + line + b"\r\nMax-Forwards", 1)
        alice.send(changed)
        statuses = [each.status for each in alice.unread if isinstance(each, Response)]
        assert (400 in statuses) == (status == 400)
        for message in bob.unread:
            they_agree(message.encode())
            assert b"\x00" not in message.encode()
        stage.run(40)


def test_a_contact_that_stands_twice_in_a_register_is_refused():
    """Once with and once without a lifetime: which of both holds is nobody's to guess (RFC 3261
    10.3)."""
    with Stage() as stage:
        alice = stage.phone("alice")
        twice = f"{alice.contact};expires=0, {alice.contact};expires=60"
        assert alice.register(fields=[("Contact", twice)]) == 400


def test_the_corpus_is_real():
    """RFC 4475's messages, those of explain's tests, and what is said on a stage."""
    assert len(corpus()) > 100
