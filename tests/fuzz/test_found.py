"""What the fuzzers have found in the whole switch, case by case."""

from softswitch.sip import compose
from softswitch.sip.message import Response
from softswitch.sip.parser import STREAM_LIMITS
from softswitch.testing.phone import Phone
from softswitch.testing.stage import Stage


def late(stage: Stage) -> tuple[Phone, Response]:
    """Bob has refused a call, and a 2xx of his for it is still to come."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.refuse(486)
    invite = bob.line.invite
    assert invite is not None
    bob.unread.clear()
    return bob, compose.response(invite, 200, to_tag="x", fields=[("Contact", bob.contact)])


def test_a_late_2xx_with_another_from_than_ours_is_dropped():
    """A fork's answer must be acknowledged and ended (RFC 3261 13.2.2.4); but not where its From,
    which is ours, cannot even be read: then nobody knows to which dialog it belongs."""
    with Stage() as stage:
        bob, answer = late(stage)
        bob.send(answer.replaced("From", [f"{answer.get('From')};;"]))
        assert bob.unread == []


def test_a_late_2xx_whose_cseq_nothing_can_follow_is_dropped():
    """A CSeq is less than 2^31 (RFC 3261 8.1.1.5), and that of the BYE would be no more; no INVITE
    of ours had the one before."""
    with Stage() as stage:
        bob, answer = late(stage)
        bob.send(answer.replaced("CSeq", [f"{2**31 - 1} INVITE"]))
        assert bob.unread == []
        bob.send(answer)
        assert [request.method for request in bob.unread] == ["ACK", "BYE"]


def test_header_fields_of_a_contact_stand_in_no_request_uri():
    """Neither of a call nor of a subscription (RFC 3261 19.1.1)."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        uri = alice.contact.strip("<>")
        alice.private = f"<{uri}?Route=%3Csip:evil.example.com%3E>"
        watcher = alice.dial("bob")
        watcher.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "60")])
        stage.run(1)
        bob.answers(180, 200)
        alice.call("bob")
        bob.hang_up()
        stage.run(1)
        sent = [each.data for each in stage.network.log if each.to == (alice.host, alice.port)]
        found = {tuple(data.split()[:2]) for data in sent if data.startswith((b"NOTIFY", b"BYE"))}
        assert found == {(b"NOTIFY", uri.encode()), (b"BYE", uri.encode())}


def test_max_forwards_never_falls_below_nothing():
    """A request within a call whose hops are used up goes no further than to the other side, and
    says so in digits (RFC 3261 20.22)."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        bob.can()
        alice.call("bob")
        bob.answer()
        info = alice.line.compose("INFO", [("Info-Package", "x")])
        alice.send(info.replaced("Max-Forwards", ["0"]))
        assert bob.line.got("INFO").max_forwards == 0
        alice.hang_up()


def test_a_line_end_escaped_in_refer_to_forges_no_header_field():
    """The header of a Refer-To's URI is unescaped (RFC 3261 19.1.1), and never written into the
    INVITE as lines of its own."""
    with Stage() as stage:
        alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
        alice.call("bob")
        bob.answer()
        for hidden in ("%0d%0aX-Forged:y", "%00", "%0a", "x%20y"):
            value = f"<{bob.uri('carol')}?Replaces=a{hidden}%3Bto-tag%3D1%3Bfrom-tag%3D2>"
            bob.line.request("REFER", [("Refer-To", value)])
            stage.run(1)
            assert bob.line.final == 400
        assert carol.lines == []
        bob.hang_up()


def test_a_tag_that_says_nothing_gets_no_second_one():
    """``;tag`` without a value is none that a dialog could have, and none to which ours could be
    added: 400, and what we would have sent within that dialog nobody could have read."""
    with Stage() as stage:
        alice = stage.phone("alice")
        alice.unreadable = []
        line = alice.dial("bob")
        for name in ("To", "From"):
            for tag in (";tag", ";tag;x=1", ";x;TAG"):
                request = line.compose("OPTIONS")
                value = (request.get(name) or "").partition(";tag")[0]
                alice.send(request.replaced(name, [value + tag]))
                assert stage.network.log[-1].data.startswith(f"SIP/2.0 400 Bad {name}\r\n".encode())


def test_header_fields_of_a_registered_contact_stand_in_no_request_uri():
    """Neither of a call nor of what asks whether the phone is still there; its 200 lists it as it
    wrote it (RFC 3261 10.3)."""
    with Stage({"registration": {"keep_alive": "options"}}) as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        alice.register(0)
        alice.private = "<sip:alice@10.9.9.9?Subject=hi&Route=%3Csip:evil.example.com%3E>"
        alice.register()
        alice.answers(486)
        bob.call("alice")
        stage.run(60)
        sent = [each.data for each in stage.network.log if each.to == (alice.host, alice.port)]
        assert any(b"10.9.9.9?Subject=hi&" in data for data in sent)
        starts = [data.split(b"\r\n")[0] for data in sent if not data.startswith(b"SIP/2.0")]
        assert {start.split()[0] for start in starts} >= {b"INVITE", b"OPTIONS"}
        assert not any(b"?" in start for start in starts)


def test_what_grows_too_large_on_its_way_leaves_the_callee_his_connection():
    """Whoever reads it could but close the connection, on which others' calls go as well; its
    sender hears 500, and the call goes on."""
    most = STREAM_LIMITS.max_message
    with Stage(transport="TCP") as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        bob.can()
        alice.call("bob")
        bob.answer()
        connections = list(stage.house.transport.connections)
        for room, status in ((0, 500), (1024, 200)):
            fields = [("Info-Package", "x"), ("Content-Type", "x/y")]
            size = most - room - len(alice.line.compose("INFO", fields).encode()) - 4
            alice.line.request("INFO", fields, b"x" * size)
            stage.run(1)
            assert alice.line.final == status
        assert list(stage.house.transport.connections) == connections
        alice.hang_up()
        assert alice.line.final == 200


def test_a_tag_that_comes_late_leaves_the_dialog_as_it_was():
    """Whoever answers without a tag, as of RFC 2543, is known by none for as long as the call
    lasts (RFC 3261 12.2.1.2)."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        alice.call("bob")
        invite = bob.line.invite
        described = [("Contact", bob.contact), ("Content-Type", "application/sdp")]
        answer = compose.response(invite, 200, fields=described, body=bob.line.described)
        bob.send(answer)
        bob.unread.clear()
        alice.line.reinvite(alice.sdp(version=2))
        again = bob.expect("INVITE")
        assert again.to.tag is None
        bob.send(compose.response(again, 200, to_tag="late", fields=described, body=answer.body))
        assert bob.expect("ACK").to.tag is None
        alice.hang_up()
        assert bob.expect("BYE").to.tag is None
