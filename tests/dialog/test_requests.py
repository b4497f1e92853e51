"""Requests in and out of dialogs, and what the user agent says to each (RFC 3261 8.2, 12.2.2)."""

import pytest

from softswitch.dialog.usage import ACCEPT, unacceptable
from softswitch.sip import compose
from softswitch.sip.compose import ALLOW
from softswitch.sip.message import Request
from softswitch.testing.peer import kind

KNOWN = ["INFO"]


@pytest.fixture
def talk(stage):
    """Alice and Bob talk."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    yield stage, alice, bob
    if not line.over:
        alice.hang_up()


def answer(peer, request):
    """Send a request by hand; the answer that came, 100 apart."""
    peer.unread.clear()
    peer.send(request)
    (response,) = [message for message in peer.unread if kind(message) != 100]
    return response


def switch(stage, user=""):
    """A URI at the switch."""
    return f"sip:{user}{'@' if user else ''}{stage.address[0]}"


@pytest.fixture
def stranger(stage):
    """Somebody whom the switch does not know."""
    return stage.peer("127.88.0.200")


def asked(phone, method, number, **options):
    """A request with a phone's credentials: the final answer."""
    host, port = phone.switch
    request = phone.request(
        method,
        number if ":" in number else f"sip:{number}@{host}:{port}",
        caller=f"<sip:{phone.name}@{host}>;tag={compose.new_tag()}",
        **options,
    )
    answers = []
    phone.ask(request, answers.append)
    phone.settle()
    return answers[-1]


@pytest.mark.parametrize(("method", "status"), [*((each, 405) for each in KNOWN), ("FETCH", 501)])
def test_a_method_that_is_not_served(stage, method, status):
    """405 where it is known, 501 where it is not, with what is served (8.2.1), in a dialog too."""
    response = asked(stage.phone("alice"), method, switch(stage, "bob"))
    assert response.status == status
    assert response.allow == list(ALLOW)


@pytest.mark.parametrize("method", [*KNOWN, "FETCH"])
def test_who_sends_such_a_method_is_asked_first(stage, stranger, method):
    """A policy may have it forwarded, and not for everybody (8.2, 16.3)."""
    assert answer(stranger, stranger.request(method, switch(stage, "bob"))).status == 401


@pytest.mark.parametrize(("method", "status"), [("FETCH", 501)])
def test_a_method_that_is_not_served_in_a_dialog(talk, method, status):
    """The same, and the call goes on."""
    _, alice, bob = talk
    bob.line.request(method)
    assert bob.line.final == status
    alice.line.request(method)
    assert alice.line.final == status
    assert not alice.line.over


def test_options(stage):
    """Answered as an INVITE would be (11.2): 200 and our abilities for the switch itself and for
    who can be reached, 480 for who is not registered, 404 for who is not known."""
    alice = stage.phone("alice")
    for uri in (switch(stage), switch(stage, "alice")):
        response = asked(alice, "OPTIONS", uri)
        assert response.status == 200
        assert response.allow == list(ALLOW)
        assert response.get("Accept") == ACCEPT
    assert asked(alice, "OPTIONS", switch(stage, "bob")).status == 480
    assert asked(alice, "OPTIONS", switch(stage, "nobody")).status == 404
    assert asked(alice, "OPTIONS", "sip:bob@example.net").status == 404


def test_options_in_a_dialog(talk):
    """200, as a sign that the dialog stands."""
    _, _, bob = talk
    bob.line.request("OPTIONS")
    assert bob.line.final == 200


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "OPTIONS"])
def test_a_dialog_that_is_not(stage, stranger, method):
    """481 for whatever claims to belong to a dialog that nobody has (12.2.2)."""
    request = stranger.request(method, switch(stage, "bob"), to=f"<{switch(stage)}>;tag=gone")
    assert answer(stranger, request).status == 481


@pytest.mark.parametrize("method", ["BYE", "PRACK", "UPDATE"])
def test_a_request_that_wants_a_dialog(stage, stranger, method):
    """481 without a To tag (15.1.2)."""
    assert answer(stranger, stranger.request(method, switch(stage, "bob"))).status == 481


def test_a_cancel_of_nothing(stage, stranger):
    """481 (9.2)."""
    invite = stranger.request("INVITE", switch(stage, "bob"))
    assert answer(stranger, compose.cancel(invite)).status == 481


def test_an_ack_of_nothing(stage, stranger):
    """An ACK is never answered (17.1.1.3)."""
    stranger.send(stranger.request("ACK", switch(stage, "bob"), to="<sip:x@y>;tag=1"))
    assert stranger.received == []


def test_a_stray_response(stage, stranger):
    """One that nobody asked for is never answered (18.1.2)."""
    stranger.send(compose.response(stranger.request("INVITE", switch(stage)), 180, to_tag="1"))
    assert stranger.received == []


@pytest.mark.parametrize(
    "scheme", ["mailto:bob@127.88.0.1", "http://127.88.0.1/", "sips:bob@127.88.0.1"]
)
def test_a_scheme_that_is_not_served(stage, stranger, scheme):
    """416 (8.2.2.1)."""
    assert answer(stranger, stranger.request("INVITE", scheme)).status == 416


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER"])
def test_an_extension_that_is_not_known(stage, method):
    """420 with the ones that are meant in Unsupported (8.2.2.3); not what we know."""
    alice = stage.phone("alice")
    fields = [("Require", "100rel, magic"), ("Require", "more")]
    response = asked(alice, method, switch(stage), fields=fields)
    assert response.status == 420
    assert response.values("Unsupported") == ["magic", "more"]


def test_an_extension_that_is_not_known_in_a_dialog(talk):
    """The same for a re-INVITE, which leaves the call as it was (14.2)."""
    _, alice, bob = talk
    alice.line.reinvite(alice.sdp(version=2), [("Require", "magic")])
    assert alice.line.statuses == [420]
    assert bob.line.methods == ["INVITE", "ACK"]


def test_a_reinvite_that_has_come_too_far(talk):
    """483 where Max-Forwards has run out (8.1.1.6, 16.3), and the call goes on."""
    _, alice, bob = talk
    plain = alice.request
    alice.request = lambda *args, **options: plain(*args, **options).replaced("Max-Forwards", ["0"])
    alice.line.reinvite(alice.sdp("sendonly", version=2))
    assert alice.line.statuses == [483]
    assert bob.line.methods == ["INVITE", "ACK"]
    alice.request = plain
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    assert alice.line.methods == ["INVITE"]
    alice.line.respond(200, sdp=alice.sdp("recvonly", version=2))
    assert bob.line.statuses == [200]


SDP = "Content-Type: application/sdp\r\n\r\nv=0\r\n"
ISUP = "Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n\r\n\1"
XML = "Content-Type: application/pidf+xml\r\n\r\n<presence/>"


@pytest.mark.parametrize(
    ("kind", "parts", "status"),
    [
        ("multipart/mixed", [SDP, ISUP], None),
        ("multipart/alternative", [XML, SDP], None),
        ("multipart/mixed", [ISUP], None),
        ("multipart/mixed", [XML], 415),
        ("multipart/mixed", [ISUP, XML], 415),
        ("multipart/form-data", [SDP], 415),
    ],
)
def test_a_body_of_several_parts(kind, parts, status):
    """One with a session description is understood, the rest crosses; one without is where all of
    it may be ignored (RFC 5621, 8.2.3)."""
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
    fields = [("Content-Type", f"{kind}; boundary=b")]
    found = unacceptable(Request("INVITE", "sip:bob@x", fields, body.encode()))
    assert found == (None if status is None else (status, [("Accept", ACCEPT)]))


def test_a_body_whose_parts_cannot_be_read(stage):
    """400 (21.4.1)."""
    alice = stage.phone("alice")
    plain = alice.request

    def request(*args, **options):
        return plain(*args, **options).replaced("Content-Type", ["multipart/mixed; boundary=b"])

    alice.request = request
    assert alice.call(switch(stage, "bob")).statuses == [400]


@pytest.mark.parametrize(
    ("fields", "accept"),
    [
        ([("Content-Type", "text/plain")], ("Accept", ACCEPT)),
        (
            [("Content-Type", "application/sdp"), ("Content-Encoding", "gzip")],
            ("Accept-Encoding", "identity"),
        ),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_a_body_that_is_not_understood(talk, fields, accept, again):
    """415 and what would be (8.2.3), for an INVITE and a re-INVITE alike."""
    _, alice, bob = talk
    plain = alice.request

    def request(*args, **options):
        made = plain(*args, **options)
        for name, value in fields:
            made = made.replaced(name, [value])
        return made

    alice.request = request
    if again:
        alice.line.reinvite(b"hello")
        response = alice.line.responses[-1]
    else:
        response = asked(alice, "INVITE", "bob", body=b"hello")
    assert response.status == 415
    assert response.get(accept[0]) == accept[1]
    assert len(bob.lines) == 1
    alice.request = plain


def test_a_body_that_may_be_ignored(stage):
    """Optional, by its Content-Disposition: the call is made without it (8.2.3)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    plain = alice.request
    kept = [("Content-Disposition", "render;handling=optional")]

    def request(*args, **options):
        made = plain(*args, **{**options, "fields": [*options["fields"], *kept]})
        return made.replaced("Content-Type", ["text/plain"]) if made.body else made

    alice.request = request
    line = alice.call("bob", sdp=b"hello")
    bob.answer()
    assert line.statuses == [200]
    alice.hang_up()


def test_a_merged_request(stage):
    """The same request over two paths: 482 for the second (8.2.2.2)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    again = line.sent.replaced("Via", [str(line.sent.top_via).partition(";branch")[0]])
    again = again.replaced("Via", [f"{again.get('Via')};branch=z9hG4bKother"])
    assert answer(alice, again).status == 482
    assert len(bob.lines) == 1
    alice.cancel()


def test_an_invite_that_comes_again(stage):
    """One call, whose last answer is sent again (17.2.1)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    alice.send(line.sent)
    assert alice.times(180) == [0.0, 0.0]
    assert len(bob.lines) == 1
    alice.cancel()


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "BYE"])
def test_a_request_that_is_out_of_order(talk, method):
    """A CSeq below the last one gets 500 (12.2.2), and the call goes on."""
    _, alice, bob = talk
    line = alice.line
    line.cseq -= 2
    late = line.compose(method, (), b"")
    line.cseq += 1
    assert answer(alice, late).status == 500
    if method == "INVITE":
        alice.send(compose.ack(late, alice.received[-1][1]))
    assert not bob.line.over


@pytest.mark.parametrize("contacts", [[], ["<sip:a@127.0.0.1>, <sip:b@127.0.0.1>"], ["<broken"]])
def test_an_invite_that_makes_no_dialog(stage, contacts):
    """Exactly one Contact (8.1.1.8): else 400, and the reason names the field."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    plain = alice.request
    alice.request = lambda *args, **options: plain(*args, **options).replaced("Contact", contacts)
    line = alice.call("bob")
    assert line.statuses == [400]
    assert "Contact" in line.responses[-1].reason
    assert bob.lines == []


def test_a_request_in_the_dialog_from_the_wrong_side(talk, stranger):
    """A dialog is known by Call-ID and both tags: one that guesses gets 481 (12)."""
    stage, alice, bob = talk
    line = alice.line
    tag = line.responses[-1].to.tag
    request = stranger.request(
        "BYE", switch(stage), to=f"<sip:x@y>;tag={tag}", call_id=line.call_id, cseq=9
    )
    assert answer(stranger, request).status == 481
    assert not bob.line.over


def test_an_interval_that_is_too_small(stage):
    """422 with our Min-SE before a call is made of it (RFC 4028 9)."""
    alice = stage.phone("alice")
    fields = [("Supported", "timer"), ("Session-Expires", "60")]
    response = asked(alice, "INVITE", "bob", fields=fields, body=alice.sdp())
    assert (response.status, response.get("Min-SE")) == (422, "90")
