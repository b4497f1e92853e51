"""What may follow a Record-Route of ours: requests within dialogs that we know, to their own sides
(RFC 3261 12 and 16.12). Nobody gets an open relay by having been in a call."""

import json

import pytest

from softswitch.plain import from_plain, to_plain
from softswitch.proxy.dialogs import (
    LINGER_SECONDS,
    MOST_SECONDS,
    USUAL_SECONDS,
    Dialog,
    Dialogs,
    Side,
)
from softswitch.proxy.within import BYE_SECONDS
from softswitch.sip import compose
from softswitch.sip.message import Request, Response
from softswitch.sip.uri import Uri
from softswitch.testing.peer import kind

CARRIER = "127.88.0.201"
PREMIUM = f"sip:+19005550100@{CARRIER}"
STRANGER = "127.34.0.66"
TRUNK = {"trunks": {"carrier": {"addresses": [f"{CARRIER}:5060"]}}}


def forget(stage):
    """As if the process had been started anew."""
    stage.house.proxy.shut()
    stage.house.proxy.dialogs._known.clear()


def within(line, method, uri="", routes=(), peer=None, tag="", **fields):
    """A request of a line's dialog, or what somebody makes of one."""
    request = line.compose(method)
    request.uri = uri or request.uri
    for route in routes:
        request.fields.append(("Route", route))
    if peer is not None:
        via = f"SIP/2.0/UDP {peer.place};rport;branch={compose.new_branch()}"
        request = request.replaced("Via", [via])
    if tag:
        request = request.replaced("To", [f"<{request.to.uri}>;tag={tag}"])
    return request


@pytest.mark.parametrize("when", ["while the call lasts", "long after it", "after a restart"])
@pytest.mark.parametrize("routes", [(), (f"<sip:{CARRIER};lr>",)])
@pytest.mark.parametrize("tag", ["", "x"])
def test_our_record_route_is_no_relay(proxying, when, routes, tag):
    """It leads nowhere but to the dialog's other side: 481 for any further Route or Request-URI,
    for tags that nobody has, and for all once the call is over; an ACK is dropped. What out of a
    dialog would be refused, or cost, does not leave so."""
    stage = proxying("bob", config=TRUNK)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    carrier, stranger = stage.peer(CARRIER), stage.peer(STRANGER)
    line = alice.call("bob")
    bob.answer()
    if when == "long after it":
        bob.hang_up()
        stage.run(LINGER_SECONDS + 1)
    if when == "after a restart":
        forget(stage)
    for peer in (alice, stranger):
        for method in ("INVITE", "MESSAGE", "REFER", "SUBSCRIBE", "FROBNICATE", "ACK"):
            peer.unread.clear()
            peer.send(within(line, method, PREMIUM, routes, peer, tag))
            expected = [] if method == "ACK" else [481]
            assert [kind(message) for message in peer.unread] == expected
    assert not carrier.received
    assert "FROBNICATE" not in bob.line.methods
    if when == "while the call lasts":
        line.request("INFO")
        assert bob.line.methods[-1] == "INFO"
        bob.hang_up()


def test_both_tags_have_to_be_the_dialogs(proxying):
    """Our Record-Route alone, and the callee's very Contact, are not enough."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    heard = len(bob.received)
    alice.unread.clear()
    alice.send(within(line, "MESSAGE", tag="x"))
    forged = within(bob.line, "MESSAGE").replaced("From", [f"{bob.own};tag=y"])
    bob.send(forged)
    assert [kind(message) for message in alice.unread] == [481]
    assert [kind(message) for _, message, _ in bob.received[heard:]] == [481]
    bob.hang_up()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("refreshes", ["caller", "callee"])
def test_a_target_refresh(proxying, method, refreshes):
    """Where a side wants to be reached from now on stands in its own request, and in its answer
    (12.2); what it was before still counts, for a refresh may be refused, or cross with others."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.can()
    bob.can()
    alice.call("bob")
    bob.answer()
    mine, theirs = (alice, bob) if refreshes == "caller" else (bob, alice)
    before = theirs.line.target
    mine.private = f"<sip:moved@{mine.host}:5060>"
    if method == "UPDATE":
        mine.line.update()
    else:
        mine.line.reinvite(mine.sdp(version=2))
        theirs.answer()
    assert theirs.line.target == f"sip:moved@{mine.host}:5060"
    theirs.private = f"<sip:answered@{theirs.host}:5060>"
    theirs.line.request("INFO")
    assert mine.line.requests[-1].uri == f"sip:moved@{mine.host}:5060"
    mine.line.reinvite(mine.sdp(version=3))
    theirs.answer()
    mine.line.request("INFO")
    assert theirs.line.requests[-1].uri == f"sip:answered@{theirs.host}:5060"
    theirs.line.target = before
    theirs.line.request("BYE")
    assert theirs.line.final == 200
    assert mine.line.requests[-1].uri == before


def test_a_contact_leads_to_no_trunk_of_others(proxying):
    """Two who are in it together get nothing past us to a trunk by naming it as their own new
    Contact, be it by a name that leads there, or as a Record-Route."""
    for contact, routes in (
        (f"<{PREMIUM}>", []),
        ("<sip:+19005550100@carrier.example>", []),
        ("", [("Record-Route", f"<sip:{CARRIER};lr>")]),
    ):
        names = {"carrier.example": [CARRIER]}
        stage = proxying("bob", strangers=True, config=TRUNK, names=names)
        alice, bob = stage.phone("alice", register=False, password=""), stage.phone("bob")
        carrier = stage.peer(CARRIER)
        alice.call("bob", fields=routes)
        bob.answer()
        if contact:
            alice.private = contact
            alice.line.reinvite(alice.sdp(version=2))
            bob.answer()
        bob.line.reinvite(bob.sdp())
        bob.line.request("MESSAGE")
        assert bob.line.final == 500
        bob.send(within(bob.line, "ACK"))
        assert not carrier.received
        stage.house.proxy.shut()


def test_a_call_to_a_trunk_stays_with_its_number(proxying):
    """A national call is no key to a closed class: another number at the same gateway is not the
    dialog's target."""
    stage = proxying(f"sip:+493012345678@{CARRIER}", config=TRUNK)
    alice, gateway = stage.phone("alice"), stage.phone("gateway", host=CARRIER, register=False)
    line = alice.call("+493012345678")
    gateway.answer()
    heard = len(gateway.received)
    right, line.target = line.target, PREMIUM
    line.reinvite(alice.sdp())
    assert line.statuses == [481]
    assert len(gateway.received) == heard
    line.target = right
    line.reinvite(alice.sdp())
    gateway.answer()
    assert line.statuses == [200]
    gateway.hang_up()


def test_other_proxies_on_the_path(proxying):
    """The route set is that of the messages which have made the dialog: the proxies on either side
    of us, in that order, and no other (12.1)."""
    stage = proxying("sip:bob@127.88.0.99", strangers=True)
    near, far = stage.peer("127.88.0.98"), stage.peer("127.88.0.99")
    route = "<sip:127.88.0.98;lr;x=near>", "<sip:127.88.0.99;lr;x=far>"
    invite = near.request("INVITE", "sip:bob@127.88.0.1", fields=[("Record-Route", route[0])])
    near.send(invite)
    came = far.expect("INVITE")
    answer = compose.response(came, 200, to_tag="b", fields=[("Contact", "<sip:b@127.88.0.97>")])
    ours = came.values("Record-Route")[0]
    answer.fields += [("Record-Route", value) for value in (route[1], ours, route[0])]
    far.send(answer)
    dialog = {"to": f"{came.get('To')};tag=b", "caller": came.get("From"), "call_id": came.call_id}
    back = {"to": dialog["caller"], "caller": dialog["to"], "call_id": came.call_id}
    near.unread.clear()
    for number, routes, status in (
        (2, [ours, route[1]], 0),
        (3, [ours, route[1], "<sip:127.88.0.90;lr>"], 481),
        (4, [ours], 481),
        (5, [ours, route[1].replace(";lr", "")], 481),
    ):
        fields = [("Route", each) for each in routes]
        near.send(near.request("INFO", "sip:b@127.88.0.97", cseq=number, fields=fields, **dialog))
        if status:
            assert near.expect(status)
        else:
            assert far.expect("INFO").values("Route") == [route[1]]
    fields = [("Route", ours), ("Route", route[0])]
    far.send(far.request("INFO", str(came.contacts[0].uri), fields=fields, **back))
    assert near.expect("INFO").values("Route") == [route[0]]
    stage.house.proxy.shut()
    stage.run(40)


def test_a_dialog_that_lives_on_in_a_subscription(proxying):
    """Who has sent a REFER and hung up still hears what has become of it (RFC 3515)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.can()
    bob.can()
    line = alice.call("bob")
    bob.answer()
    line.refer("sip:carol@example.org")
    bob.line.notify("100 Trying", "active;expires=180")
    alice.hang_up()
    assert not len(stage.house.proxy.ledger)
    stage.run(170)
    bob.line.notify("200 OK", "terminated;reason=noresource")
    assert line.outcomes == [100, 200]
    stage.run(USUAL_SECONDS + LINGER_SECONDS)
    bob.line.notify("200 OK")
    assert bob.line.final == 481


def test_a_subscription_lasts_as_long_as_it_says(proxying):
    """By the Expires of its 2xx, and what NOTIFYs say later; then nobody knows it (RFC 6665)."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.can()
    line = alice.dial("bob")
    bob.answers["SUBSCRIBE"] = 0
    line.request("SUBSCRIBE", [("Event", "x"), ("Expires", "600")])
    subscribe = bob.line.got("SUBSCRIBE")
    bob.line.respond(200, to=subscribe, fields=[("Expires", "600")])
    notify = [("Event", "x"), ("Subscription-State", "active ; expires=1200")]
    stage.run(600)
    bob.line.request("NOTIFY", notify)
    assert bob.line.final == 200
    stage.run(1200 + LINGER_SECONDS - 1)
    bob.line.request("NOTIFY", [("Event", "x"), ("Subscription-State", "terminated")])
    assert bob.line.final == 200
    stage.run(USUAL_SECONDS + LINGER_SECONDS)
    bob.line.request("NOTIFY", notify)
    assert bob.line.final == 481


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
def test_a_call_from_before_a_restart_can_be_ended(proxying, transport, hangs_up):
    """Our value, made with a secret that stays, says who made the dialog, when, and both ways:
    its BYE goes there, whatever else it says. All else gets 481, on which a phone hangs up
    (12.2.1.2)."""
    stage = proxying("bob", transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    mine, theirs = (alice, bob) if hangs_up == "caller" else (bob, alice)
    forget(stage)
    mine.line.request("INFO")
    assert mine.line.final == 481
    stage.run(BYE_SECONDS - 2)
    elsewhere = stage.peer(CARRIER)
    mine.line.target = PREMIUM
    mine.hang_up()
    assert mine.line.final == 200
    assert theirs.line.methods[-1] == "BYE"
    assert not elsewhere.received


def test_a_bye_of_nobody_after_a_restart(proxying):
    """One has to know the caller's tag, and not come too late."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    forget(stage)
    stranger, heard, alices = stage.peer(STRANGER), len(bob.received), len(alice.received)
    bye = within(line, "BYE", peer=stranger)
    stranger.send(bye.replaced("From", ["<sip:a@x>;tag=other"]))
    assert stranger.expect(481)
    assert len(alice.received) == alices
    stage.run(BYE_SECONDS)
    alice.hang_up()
    assert line.final == 481
    assert len(bob.received) == heard


# The dialogs themselves.


def message(method="INVITE", routes=(), contact="<sip:a@127.0.0.2>", caller="a", call_id="c"):
    """A request that makes a dialog."""
    fields = [
        ("From", f"<sip:a@x>;tag={caller}"),
        ("To", "<sip:b@x>"),
        ("Call-ID", call_id),
        ("CSeq", f"1 {method}"),
        ("Contact", contact),
        *[("Record-Route", route) for route in routes],
    ]
    return Request(method, "sip:b@x", fields)


def answer(routes=(), contact="<sip:b@127.0.0.3>", tag="b", status=200):
    """What it is answered."""
    fields = [
        ("To", f"<sip:b@x>;tag={tag}"),
        ("Call-ID", "c"),
        ("Contact", contact),
        *[("Record-Route", route) for route in routes],
    ]
    return Response(status, "OK", fields)


class Known:
    """Dialogs at a time of the test's, where "us" is ours."""

    def __init__(self):
        self.now = 0.0
        self.dialogs = Dialogs(lambda: self.now, lambda uri, call_id: uri.host == "us")

    def open(self, request, host="127.0.0.2", trunk=""):
        return self.dialogs.open(request, host, trunk, [trunk] if trunk else [])

    def answered(self, dialog, response, host="127.0.0.3", trunk=""):
        self.dialogs.answered(dialog, response, host, trunk, [trunk] if trunk else [])


def test_what_is_known_of_a_dialog_is_plain_data():
    """It can be written down and rebuilt."""
    known = Known()
    dialog = known.open(message(routes=["<sip:p1;lr>"]))
    known.answered(dialog, answer(["<sip:p3;lr>", "<sip:us;lr>", "<sip:p1;lr>"]))
    assert dialog.callees["b"] == Side("127.0.0.3", "", ["sip:b@127.0.0.3"], [["<sip:p3;lr>"]])
    assert dialog.caller.routes == [["<sip:p1;lr>"]]
    assert from_plain(Dialog, json.loads(json.dumps(to_plain(dialog)))) == dialog


def test_a_call_that_passes_us_twice():
    """Both times something else is left of its route (16.12)."""
    known = Known()
    dialog = known.open(message(routes=["<sip:p1;lr>"]))
    assert known.open(message(routes=["<sip:p2;lr>", "<sip:us;lr>", "<sip:p1;lr>"])) is dialog
    route = ["<sip:p3;lr>", "<sip:us;lr>", "<sip:us;x;lr>", "<sip:p2;lr>", "<sip:us;lr>"]
    known.answered(dialog, answer([*route, "<sip:p1;lr>"]))
    callee, to_callee = dialog.callees["b"], Uri.parse("sip:b@127.0.0.3")
    for routes in (["<sip:p3;lr>"], ["<sip:p2;lr>", "<sip:us;x;lr>", "<sip:us;lr>", "<sip:p3;lr>"]):
        assert callee.is_meant(to_callee, routes)
    assert not callee.is_meant(to_callee, [])
    assert not callee.is_meant(to_callee, ["<sip:p2;lr>"])
    to_caller = Uri.parse("sip:a@127.0.0.2")
    for routes in (["<sip:p1;lr>"], ["<sip:p2;lr>", "<sip:us;lr>", "<sip:p1;lr>"]):
        assert dialog.caller.is_meant(to_caller, routes)
    assert not dialog.caller.is_meant(to_caller, [])


def test_nobody_speaks_for_a_trunk():
    """What comes from elsewhere teaches nothing of a side that is at one: neither an answer of
    another fork with the same tag, nor a second request with the same."""
    known = Known()
    dialog = known.open(message())
    known.answered(dialog, answer(), trunk="carrier")
    known.answered(dialog, answer(contact="<sip:thief@127.0.0.9>"), host="127.0.0.9")
    assert dialog.callees["b"].targets == ["sip:b@127.0.0.3"]
    known.answered(dialog, answer(contact="<sip:b2@127.0.0.8>"), host="127.0.0.4", trunk="carrier")
    assert dialog.callees["b"].targets == ["sip:b@127.0.0.3", "sip:b2@127.0.0.8"]
    assert dialog.callees["b"].is_at("127.0.0.8", []), "it has said so itself"
    called = known.open(message(caller="t"), trunk="carrier")
    known.open(message(caller="t", contact="<sip:thief@127.0.0.9>"), host="127.0.0.9")
    assert called.caller.targets == ["sip:a@127.0.0.2"]


def test_dialogs_are_forgotten_and_bounded():
    """Without any timer: whenever one begins, two are looked at. Callees, Contacts and routes that
    are remembered are few."""
    known = Known()
    for number in range(100):
        known.open(message("SUBSCRIBE", call_id=str(number)))
    assert len(known.dialogs) == 100
    known.now = LINGER_SECONDS
    assert known.dialogs.find("99", "a") is None
    for number in range(60):
        known.open(message("SUBSCRIBE", call_id=f"new-{number}"))
    assert len(known.dialogs) == 60
    dialog = known.open(message("SUBSCRIBE"))
    for number in range(100):
        known.answered(dialog, answer(tag=str(number)))
        contact = f"<sip:{number}@127.0.0.3>"
        known.answered(dialog, answer([f"<sip:p{number};lr>", "<sip:us;lr>"], contact, "0"))
    assert len(dialog.callees) == 64
    assert len(dialog.callees["0"].targets) == len(dialog.callees["0"].routes) == 8
    long = answer(tag="0")
    long.fields.append(("Expires", str(2**32 - 1)))
    known.answered(dialog, long)
    assert dialog.until == known.now + MOST_SECONDS + LINGER_SECONDS


@pytest.mark.parametrize("contact", ["*", "<<", "", "<tel:"])
def test_a_contact_that_cannot_be_read(contact):
    """Leads nowhere."""
    known = Known()
    dialog = known.open(message(contact=contact, routes=["<<rubbish"]))
    assert dialog.caller.targets == []
