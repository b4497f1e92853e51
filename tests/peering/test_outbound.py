"""How calls look to a trunk that wants them otherwise: with the messages of both legs."""

import pytest

from softswitch.sip.compose import response as answering
from softswitch.sip.digest import Challenge
from softswitch.sip.fields import NameAddr

CARRIER = "127.88.0.101"
PROXY = "127.88.0.150"


def played(make_stage, carrier=None, *, host=CARRIER, **options):
    """A stage, alice, and whoever takes the calls of the trunk."""
    stage = make_stage({"carrier": {"addresses": [CARRIER], **(carrier or {})}}, **options)
    return stage, stage.phone("alice"), stage.phone("gateway", host=host)


def test_without_settings_nothing_is_otherwise(make_stage):
    """The member's address in Request-URI and To, ours in From and Contact, no Route."""
    _, alice, gateway = played(make_stage)
    line = alice.call("0+44123")
    invite = gateway.line.invite
    assert invite.uri == f"sip:+44123@{CARRIER}"
    assert invite.get("To") == f"<sip:+44123@{CARRIER}>"
    assert str(invite.from_.uri) == "sip:alice@127.88.0.1"
    assert invite.get("Contact") == "<sip:alice@127.88.0.1:5060>"
    assert invite.get("Route") is None
    assert invite.get("User-Agent").startswith("softswitch/")
    gateway.refuse(486)
    assert line.statuses == [486]


SHAPED = {
    "request_host": "ims.carrier.example:5062",
    "from_user": "acme",
    "from_domain": "acme.example",
    "contact_user": "trunk 1",
    "contact_host": "sbc.acme.example:5070",
    "user_phone": True,
    "user_agent": "Acme SBC",
}


def test_every_request_of_a_call_says_the_same(make_stage, engine):
    """INVITE and its copies, CANCEL, the ACK of a refusal; and in a call ACK, re-INVITE, BYE: From
    and To are the dialog's (RFC 3261 12.2.1.1), Contact ours as the trunk wants it, and the
    caller's leg knows nothing of it."""
    _, alice, gateway = played(make_stage, SHAPED, engine=engine)
    gateway.tries = False
    gateway.silent = True
    alice.call("0+44123")
    alice.network.clock.run(2)
    copies = [each for _, each, _ in gateway.received]
    assert len(copies) > 2
    assert {each.encode() for each in copies} == {copies[0].encode()}, "copies are copies"
    alice.cancel()
    alice.network.clock.run(64)
    gateway.silent, gateway.tries = False, True

    line = alice.call("0+44123")
    invite = gateway.line.invite
    assert invite.uri == "sip:+44123@ims.carrier.example:5062;user=phone"
    assert invite.get("To") == "<sip:+44123@ims.carrier.example:5062;user=phone>"
    assert str(invite.from_.uri) == "sip:acme@acme.example"
    assert invite.get("Contact") == "<sip:trunk%201@sbc.acme.example:5070>"
    assert invite.all("User-Agent") == ["Acme SBC"]
    gateway.ring()
    alice.cancel()
    for request in gateway.line.requests:
        assert request.uri == invite.uri
        assert request.get("From") == invite.get("From")
    assert gateway.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert line.statuses == [180, 487]

    line = alice.call("0+44123")
    gateway.answer()
    invite = gateway.line.invite
    line.reinvite(alice.sdp(version=2))
    gateway.answer()
    alice.hang_up()
    assert gateway.line.methods == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]
    for request in gateway.line.requests:
        assert request.get("From") == invite.get("From")
        assert request.to.uri == invite.to.uri
        if request.contacts:
            assert request.get("Contact") == invite.get("Contact")
        if request is not invite:
            assert request.uri == f"sip:gateway@{CARRIER}:5060", "its Contact is the target"
    for response in line.responses:
        assert all(contact.uri.host == "127.88.0.1" for contact in response.contacts)
        assert "acme" not in str(response).lower()


def test_only_telephone_numbers_are_marked(make_stage):
    """A name is no telephone number (RFC 3261 19.1.1); From says so, too, where it is one."""
    pbx = {"addresses": ["127.88.0.102"]}
    stage = make_stage({"carrier": {"addresses": [CARRIER], "user_phone": True}, "pbx": pbx})
    gateway, pbx = stage.phone("gateway", host=CARRIER), stage.phone("pbx", host="127.88.0.102")
    for number, caller, called, shown in (
        ("0*31#1", "<sip:+4420@x>", "*31%231", "+4420"),
        ("0reception", "<sip:desk@x>", "reception", "desk"),
    ):
        pbx.call(number, caller=caller)
        marked = {"user": "phone"} if shown == "+4420" else {}
        invite = gateway.line.invite
        assert (invite.request_uri.user, invite.request_uri.params) == (called, marked)
        assert (invite.from_.uri.user, invite.from_.uri.params) == (shown, marked)
        gateway.refuse(486)


def test_who_is_anonymous_stays_so(make_stage):
    """A fixed From user is no reason to name somebody who wants to stay unknown (RFC 3323 4.1)."""
    _, alice, gateway = played(make_stage, SHAPED)
    alice.call("0+44123", caller='"Anonymous" <sip:anonymous@anonymous.invalid>')
    assert str(gateway.line.invite.from_.uri) == "sip:anonymous@anonymous.invalid"
    assert "alice" not in str(gateway.line.invite)
    gateway.refuse(486)


def test_what_was_signed_for_another_is_left_out(make_stage):
    """An Identity speaks of the From that it came with (RFC 8224 4.1)."""
    for carrier, signed in (({"from_user": "4711"}, False), ({"contact_user": "x"}, True)):
        pbx = {"addresses": ["127.88.0.102"], "dialog": {"trusted": True}}
        stage = make_stage({"carrier": {"addresses": [CARRIER], **carrier}, "pbx": pbx})
        gateway, pbx = stage.phone("gw", host=CARRIER), stage.phone("pbx", host="127.88.0.102")
        line = pbx.dial("0+44123", "<sip:+4420@x.example>")
        line.remote = "<sip:+44123@x.example>"
        line.reinvite(pbx.sdp(), [("Identity", "signed"), ("Date", "today")])
        assert (gateway.line.invite.get("Identity") == "signed") is signed
        assert (gateway.line.invite.get("Date") == "today") is signed
        gateway.refuse(486)


def test_our_contact_in_answers_to_its_calls(make_stage, engine):
    """The host by which a trunk knows us stands in what we answer, and in what we send it within
    the call."""
    stage = make_stage({"pbx": {"addresses": ["127.88.0.102"], **SHAPED}}, engine=engine)
    alice, pbx = stage.phone("alice"), stage.phone("pbx", host="127.88.0.102")
    line = pbx.call("alice")
    alice.ring()
    alice.answer()
    for response in line.responses[-2:]:
        assert response.get("Contact") == "<sip:trunk%201@sbc.acme.example:5070>"
    alice.line.reinvite(alice.sdp(version=2))
    again = line.got("INVITE")
    assert again.get("Contact") == "<sip:trunk%201@sbc.acme.example:5070>"
    assert again.from_.uri == line.sent.to.uri, "the dialog's own (12.2.1.1)"
    line.respond(200, sdp=pbx.sdp(version=2))
    alice.hang_up()
    assert line.over


@pytest.mark.parametrize("routed", [True, False])
def test_an_outbound_proxy_takes_what_begins_a_dialog(make_stage, engine, routed):
    """INVITE, its CANCEL and the ACK of a refusal go there, with a Route unless that is turned off
    (RFC 3261 8.1.2); after an answer with Record-Route the dialog goes that way (12.1.2)."""
    shape = {"outbound_proxy": PROXY, "outbound_route": routed, "request_host": "ims.example"}
    _, alice, proxy = played(make_stage, shape, host=PROXY, engine=engine)
    line = alice.call("0+44123")
    proxy.ring()
    alice.cancel()
    assert line.statuses == [180, 487]
    assert proxy.line.methods == ["INVITE", "CANCEL", "ACK"]
    for request in proxy.line.requests:
        assert request.uri == "sip:+44123@ims.example"
        assert request.all("Route") == ([f"<sip:{PROXY};lr>"] if routed else [])
    line = alice.call("0+44123")
    way = [f"<sip:{PROXY};lr>", "<sip:10.9.9.9;lr>"]
    proxy.answer(fields=[("Record-Route", way[1]), ("Record-Route", way[0])])
    line.reinvite(alice.sdp(version=2))
    proxy.answer()
    alice.hang_up()
    assert proxy.line.methods == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]
    for request in proxy.line.requests[1:]:
        assert request.all("Route") == way
        assert request.uri == f"sip:gateway@{PROXY}:5060"


def test_after_an_answer_without_record_route_the_proxy_is_out_of_it(make_stage):
    """The route set of the dialog is what the answer says, and nothing else (RFC 3261 12.1.2)."""
    stage, alice, proxy = played(make_stage, {"outbound_proxy": PROXY}, host=PROXY)
    far = stage.peer(CARRIER)
    alice.call("0+44123")
    proxy.private = f"<sip:core@{CARRIER}>"
    proxy.answer()
    ack = far.expect("ACK")
    assert ack.get("Route") is None
    proxy.stop_answering(proxy.line.invite)
    alice.hang_up()
    bye = far.expect("BYE")
    assert bye.uri == f"sip:core@{CARRIER}"
    far.send(answering(bye, 200))


def test_a_challenged_invite_is_sent_again_the_same_way(make_stage):
    """With credentials and a new CSeq, by the same proxy, with the same Route, From and To
    (RFC 3261 22.2)."""
    shape = {**SHAPED, "outbound_proxy": PROXY, "username": "acme", "password": "secret"}
    _, alice, proxy = played(make_stage, shape, host=PROXY)
    line = alice.call("0+44123")
    first = proxy.line.invite
    challenge = str(Challenge("carrier", "n0", "MD5"))
    proxy.refuse(407, fields=[("Proxy-Authenticate", challenge)])
    again = proxy.line.invite
    assert again.cseq.number == first.cseq.number + 1
    assert 'uri="sip:+44123@ims.carrier.example:5062;user=phone"' in again.get(
        "Proxy-Authorization"
    )
    for name in ("Route", "From", "To", "Call-ID", "Contact", "User-Agent"):
        assert again.all(name) == first.all(name)
    proxy.answer()
    assert line.statuses == [200]
    alice.hang_up()


def test_a_message_goes_the_same_way(make_stage):
    """What begins a dialog, or stands alone, looks like a call (RFC 3428)."""
    _, alice, proxy = played(make_stage, {**SHAPED, "outbound_proxy": PROXY}, host=PROXY)
    proxy.can()
    line = alice.dial("0+44123")
    line.request("MESSAGE", [("Content-Type", "text/plain")], b"hello")
    assert line.final == 200
    (message,) = proxy.requests
    assert message.uri == "sip:+44123@ims.carrier.example:5062;user=phone"
    assert NameAddr.parse(message.get("From")).uri.user == "acme"
    assert message.all("User-Agent") == ["Acme SBC"]
    assert message.all("Route") == [f"<sip:{PROXY};lr>"]


def test_the_called_number_is_read_where_a_trunk_says_it(make_stage):
    """Request-URI, To or P-Called-Party-ID, for the same call."""
    rules = [
        {"match": f"{digit}", "callers": "trunks", "user": name}
        for digit, name in (("1", "alice"), ("2", "bob"), ("3", "carol"))
    ]
    for place, name in (("request-uri", "alice"), ("to", "bob"), ("p-called-party-id", "carol")):
        pbx = {"addresses": ["127.88.0.102"], "called_from": place}
        stage = make_stage({"pbx": pbx}, rules=rules)
        phone, gateway = stage.phone(name), stage.phone("gw", host="127.88.0.102")
        line = gateway.dial("1")
        line.remote = "<sip:2@carrier.example>"
        line.reinvite(gateway.sdp(), [("P-Called-Party-ID", "<sip:3@carrier.example>")])
        phone.answer()
        assert line.statuses == [200]
        gateway.hang_up()
        assert phone.line.over
