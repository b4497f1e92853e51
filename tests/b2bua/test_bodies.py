"""What becomes of a body that crosses: freeswitch#1536, sems#129, issue 3."""

import json

import pytest

from softswitch.b2bua.bodies import Located, Translation, find_sdp
from softswitch.errors import SipSyntaxError
from softswitch.plain import from_plain, to_plain
from softswitch.sip.message import Request

NEAR = ("call-1@10.0.0.1", "mine", "theirs")
FAR = ("call-2@127.0.0.1", "ours", "hers")
TOLD = Translation(
    frozenset({"10.0.0.1", "phone.local", "2001:db8::1"}), "127.0.0.1", 5060, {NEAR: FAR}.get
)

TWO = (
    b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=first\r\n\r\n"
    b"--b\r\nContent-Type: application/sdp\r\nContent-Disposition: session\r\n"
    b"Content-Length: 13\r\n\r\nv=0\r\no=second\r\n"
    b"--b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n\r\n<presence/>\r\n--b--"
)


def message(body, content_type="multipart/mixed;boundary=b"):
    """A message with that body; None for no type."""
    fields = [] if content_type is None else [("Content-Type", content_type)]
    return Request("INVITE", "sip:bob@x", fields, body)


def test_a_plain_description():
    """No copy of it is made."""
    body = b"v=0\r\n"
    located = find_sdp(message(body, "Application/SDP; charset=utf-8"))
    assert located.sdp is body
    assert located.replaced(b"new") == ("Application/SDP; charset=utf-8", b"new")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/sdp"),
        (b"v=0\r\n", None),
        (b"v=0\r\n", "text/plain"),
        (b"v=0\r\n", "nonsense"),
        (b"v=0\r\n", "multipart/mixed"),
        (b"v=0\r\n", "multipart/mixed;boundary=b"),
        (b"--b\r\n\r\nv=0\r\n--b--", "multipart/mixed;boundary=b"),
    ],
)
def test_no_description(body, content_type):
    """None there, or none that could be found."""
    assert find_sdp(message(body, content_type)) is None


def test_of_two_descriptions_the_one_for_the_session_counts():
    """freeswitch#1536, sems#129: it is offered, and where it is replaced the other says the same;
    whatever else there is passes to the byte."""
    located = find_sdp(message(TWO))
    assert located.sdp == b"v=0\r\no=second\r\n"
    assert located.replaced(located.sdp)[1] is TWO
    content_type, body = located.replaced(b"v=0\r\no=ours\r\ns=-\r\n")
    assert content_type == "multipart/mixed;boundary=b"
    # The last line end was the boundary's, as the sender wrote it; so it is in what goes on.
    new = b"Content-Length: 16\r\n\r\nv=0\r\no=ours\r\ns=-\r\n--b"
    assert body == TWO.replace(b"Content-Length: 13\r\n\r\nv=0\r\no=second\r\n--b", new).replace(
        b"o=first\r\n", b"o=ours\r\ns=-\r\n"
    )


def test_a_description_that_ends_before_its_boundary():
    """Its own line end stays its own."""
    body = b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--"
    located = find_sdp(message(body))
    assert located.sdp == b"v=0\r\n"
    assert located.replaced(b"v=1\r\n")[1] == body.replace(b"v=0", b"v=1")


def test_what_was_found_is_plain_data():
    """It can wait in a bridge."""
    for located in (find_sdp(message(TWO)), find_sdp(message(b"v=0\r\n", "application/sdp"))):
        written = json.loads(json.dumps(to_plain(located)))
        assert from_plain(Located, written) == located


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ("sip:alice@10.0.0.1:5070;transport=tcp;user=phone", "sip:alice@127.0.0.1:5060;user=phone"),
        ("sip:alice@Phone.Local", "sip:alice@127.0.0.1:5060"),
        ("sip:alice@[2001:db8::1]", "sip:alice@127.0.0.1:5060"),
        ("sip:alice@example.org;transport=tcp", "sip:alice@example.org;transport=tcp"),
        ("tel:+44123", "tel:+44123"),
        ("pres:alice@10.0.0.1", "pres:alice@127.0.0.1"),
        ("pres:alice@example.org", "pres:alice@example.org"),
        ("no uri", "no uri"),
    ],
)
def test_the_senders_own_address_becomes_ours(came, goes):
    """Any other stays: it is public, or at least not ours to hide (issue 3)."""
    assert TOLD.uri_text(came) == goes


def test_a_dialog_in_a_refer():
    """Refer-To with Replaces names a dialog of the sender's leg; the receiver knows the other's
    (RFC 3891, opensips#2068)."""
    came = (
        "Refer-To",
        '"C" <sip:carol@10.0.0.1?Subject=x&Replaces=call-1%4010.0.0.1%3Bto-tag%3Dtheirs'
        "%3Bfrom-tag%3Dmine%3Bearly-only>;x=y",
    )
    assert TOLD.field(came) == (
        "Refer-To",
        '"C" <sip:carol@127.0.0.1:5060?Subject=x&Replaces=call-2%40127.0.0.1%3Bto-tag%3Dhers'
        "%3Bfrom-tag%3Dours%3Bearly-only>;x=y",
    )
    assert TOLD.field(("Referred-By", "<sip:alice@10.0.0.1>"))[1] == "<sip:alice@127.0.0.1:5060>"
    other = ("Refer-To", "<sip:carol@example.org?Replaces=other%3Bto-tag%3Da%3Bfrom-tag%3Db>")
    assert TOLD.field(other) == other
    assert TOLD.field(("Subject", "10.0.0.1")) == ("Subject", "10.0.0.1")


def test_a_dialog_in_a_replaces_field():
    """The same in its own field, whatever the order of the tags."""
    value = "call-1@10.0.0.1;from-tag=mine;to-tag=theirs;early-only"
    told = "call-2@127.0.0.1;from-tag=ours;to-tag=hers;early-only"
    assert TOLD.field(("Replaces", value)) == ("Replaces", told)
    assert TOLD.field(("Replaces", "x;to-tag=1;from-tag=2"))[1] == "x;to-tag=1;from-tag=2"
    with pytest.raises(SipSyntaxError):
        TOLD.field(("Replaces", "x;to-tag=1;to-tag=2"))


def told(kind, body):
    """That body in the other leg's terms."""
    return TOLD.body(kind, body)


@pytest.mark.parametrize(
    "body",
    [b"SIP/2.0 200 OK", b"SIP/2.0 100 Trying\r\n", b"SIP/2.0 603 Decline\r\n\r\n", b"\r\n", b"x"],
)
def test_the_common_fragment_passes_as_it_came(body):
    """A status line (RFC 3515 2.4.5)."""
    assert told("message/sipfrag;version=2.0", body) == body


def test_a_fragment_names_the_other_legs_dialog():
    """RFC 3420: Call-ID and tags of the other leg, addresses that it can know, nothing of the
    way that it came."""
    body = (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 10.0.0.1\r\n ;branch=1\r\n"
        b"Record-Route: <sip:10.0.0.7;lr>\r\n"
        b"From:<sip:alice@10.0.0.1>;tag=mine\r\n"
        b"t : <sip:bob@example.org>;tag=theirs\r\n"
        b"Call-ID: call-1@10.0.0.1\r\n"
        b"Contact: <sip:alice@10.0.0.1:5070>\r\n"
        b"CSeq:  1 INVITE\r\n\r\nbody"
    )
    assert told("Message/Sipfrag", body) == (
        b"SIP/2.0 200 OK\r\n"
        b"From: <sip:alice@127.0.0.1:5060>;tag=ours\r\n"
        b"t : <sip:bob@example.org>;tag=hers\r\n"
        b"Call-ID: call-2@127.0.0.1\r\n"
        b"Contact: <sip:alice@127.0.0.1:5060>\r\n"
        b"CSeq:  1 INVITE\r\n\r\nbody"
    )
    unknown = b"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\ni: y\r\nm: *\r\n"
    assert told("message/sipfrag", unknown) == unknown


INFO = (
    '<?xml version="1.0"?>\n'
    '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" state="full" '
    'entity="sip:alice@{host}">\n'
    '<dialog id="as7d" call-id="{call_id}" local-tag="{near}" remote-tag="{far}" '
    'direction="initiator"><state>confirmed</state>\n'
    '<local><identity display="A">sip:alice@{host}</identity>\n'
    '<target uri="sip:alice@{host}{params}"><param pname="+sip.rendering" pval="yes"/></target>'
    "</local><remote><identity>sip:carol@example.org</identity></remote>\n"
    '<replaces call-id="{call_id}" local-tag="{near}" remote-tag="{far}"/></dialog>'
    '<dialog id="z" call-id="other"><state>trying</state></dialog>\n</dialog-info>\n'
)


def test_a_lamp_names_the_other_legs_dialog():
    """RFC 4235 4.1: what a watcher would put into Replaces works on its side."""
    came = INFO.format(
        host="10.0.0.1", call_id=NEAR[0], near="mine", far="theirs", params=";transport=tcp"
    )
    goes = INFO.format(host="127.0.0.1:5060", call_id=FAR[0], near="ours", far="hers", params="")
    assert told("application/dialog-info+xml", came.encode()).decode() == goes


def test_presence_names_the_other_sides_contact():
    """RFC 3863 4.1: the entity and the contacts."""
    came = (
        b"<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:alice@10.0.0.1'>"
        b"<tuple id='1'><status><basic>open</basic></status>"
        b"<contact priority='0.8'>sip:alice@10.0.0.1:5070</contact><note>at 10.0.0.1</note>"
        b"</tuple></presence>"
    )
    goes = came.replace(b"pres:alice@10.0.0.1", b"pres:alice@127.0.0.1").replace(
        b"10.0.0.1:5070", b"127.0.0.1:5060"
    )
    assert told("application/pidf+xml", came) == goes
    mixed = b"--b\r\nContent-Type: application/pidf+xml\r\n\r\n%b\r\n--b\r\n\r\n10.0.0.1\r\n--b--"
    assert told("multipart/mixed;boundary=b", mixed % came) == mixed % goes


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", b"10.0.0.1"),
        ("text/plain", b"10.0.0.1"),
        ("application/sdp", b"c=IN IP4 10.0.0.1\r\n"),
        ("application/pidf+xml", b""),
        ("multipart/mixed;boundary=b", TWO),
    ],
)
def test_all_else_passes_unchanged(kind, body):
    """To the byte (issue 3)."""
    assert told(kind, body) == body


@pytest.mark.parametrize("kind", ["application/pidf+xml", "application/dialog-info+xml"])
def test_a_document_that_cannot_be_read(kind):
    """400: better none than one that says too much."""
    with pytest.raises(SipSyntaxError):
        told(kind, b"<presence")
