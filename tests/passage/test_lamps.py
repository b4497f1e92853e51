"""Busy lamps: the switch as notifier of its users' calls (RFC 4235)."""

import xml.etree.ElementTree as ET

import pytest

from softswitch.testing.stage import Stage

NS = {"d": "urn:ietf:params:xml:ns:dialog-info"}
DIALOG = ("Event", "dialog")


def watch(phone, user, *fields, expires=600):
    """A phone's key watches a user; its line."""
    line = phone.dial(user)
    line.request("SUBSCRIBE", [DIALOG, *fields, ("Expires", str(expires))])
    return line


def documents(line):
    """Version, and for each dialog its attributes, state and remote identity."""
    found = []
    for request in line.requests:
        if request.method == "NOTIFY" and request.body:
            assert request.content_type == "application/dialog-info+xml"
            root = ET.fromstring(request.body)
            assert root.get("state") == "full"
            assert root.get("entity") == "sip:bob@127.88.0.1"
            dialogs = [
                (
                    each.attrib,
                    each.findtext("d:state", None, NS),
                    each.findtext("d:remote/d:identity", None, NS),
                )
                for each in root.findall("d:dialog", NS)
            ]
            found.append((int(root.get("version")), dialogs))
    return found


def states(line):
    """What the lamp has shown, one document after the other."""
    return [[state for _, state, _ in dialogs] for _, dialogs in documents(line)]


def put_out(line):
    """Nobody watches any more."""
    line.request("SUBSCRIBE", [DIALOG, ("Expires", "0")])
    assert line.got("NOTIFY").get("Subscription-State") == "terminated;reason=timeout"


def test_a_lamp_follows_the_calls(stage, phones):
    """Dark, then the call that rings, that is answered, that ends: full state each time with a
    version one higher (RFC 4235 4.1), the direction and the caller as Bob sees them; the tags are
    those of the dialog that Bob's phone has."""
    alice, bob, carol = phones(stage, "alice", "bob", "carol")
    line = watch(carol, "bob")
    assert (line.final, line.replies[-1].expires) == (200, 600)
    assert line.got("NOTIFY").get("Subscription-State") == "active;expires=600"
    assert line.got("NOTIFY").get("Event") == "dialog"
    alice.call("bob")
    bob.ring()
    stage.settle()
    _, ((attributes, state, remote),) = documents(line)[-1]
    assert (state, remote) == ("early", "sip:alice@127.88.0.1")
    assert attributes["direction"] == "recipient"
    shown = attributes["call-id"]
    assert bob.line.call_id not in line.got("NOTIFY").body.decode()
    assert attributes["local-tag"] == bob.line.tag
    assert attributes["remote-tag"] == bob.line.invite.from_.tag
    bob.answer()
    ((attributes, state, _),) = documents(line)[-1][1]
    assert (attributes["call-id"], state) == (shown, "confirmed")
    alice.hang_up()
    assert documents(line)[-1][1] == []
    versions = [version for version, _ in documents(line)]
    assert versions == list(range(len(versions)))
    put_out(line)


def test_who_calls_is_busy_too(udp, phones):
    """A call of the watched user's own: he is its initiator, and sees whom he has called."""
    alice, bob, carol = phones(udp, "alice", "bob", "carol")
    line = watch(carol, "bob")
    bob.call("alice")
    alice.ring()
    alice.answer()
    _, ((attributes, state, remote),) = documents(line)[-1]
    assert (attributes["direction"], state) == ("initiator", "confirmed")
    assert attributes["local-tag"] == bob.line.tag
    assert remote.startswith("sip:alice@127.88.0.1")
    bob.hang_up()
    assert states(line)[-1] == []
    put_out(line)


def test_a_call_that_is_not_answered(udp, phones):
    """The lamp goes out when the caller gives up, and when the callee refuses."""
    alice, bob, carol = phones(udp, "alice", "bob", "carol")
    line = watch(carol, "bob")
    alice.call("bob")
    bob.ring()
    alice.cancel()
    assert states(line)[-1] == []
    alice.call("bob")
    bob.ring()
    assert states(line)[-1] == ["early"]
    bob.refuse(486)
    assert states(line)[-1] == []
    put_out(line)


def test_two_calls_at_once(udp, phones):
    """Each dialog is an element of its own, with an id of its own."""
    alice, bob, carol = phones(udp, "alice", "bob", "carol")
    line = watch(carol, "bob")
    alice.call("bob")
    bob.answer()
    carol.call("bob")
    bob.ring()
    _, dialogs = documents(line)[-1]
    assert [state for _, state, _ in dialogs] == ["confirmed", "early"]
    assert len({attributes["id"] for attributes, _, _ in dialogs}) == 2
    carol.cancel()
    alice.hang_up()
    put_out(line)


def test_a_slow_watcher_hears_the_newest_only(udp, phones):
    """One NOTIFY at a time; what has happened meanwhile is told at once in the next (RFC 6665
    4.2.2)."""
    alice, bob, carol = phones(udp, "alice", "bob", "carol")
    line = watch(carol, "bob")
    carol.silent = True
    alice.call("bob")
    bob.ring()
    bob.answer()
    before = len(documents(line))
    carol.silent = False
    udp.run(1)
    assert states(line)[before:] == [["trying"], ["confirmed"]]
    alice.hang_up()
    put_out(line)


def test_a_watcher_who_is_gone(udp, phones):
    """No answer in 64*T1, and nothing more is sent."""
    alice, bob, carol = phones(udp, "alice", "bob", "carol")
    watch(carol, "bob")
    carol.silent = True
    alice.call("bob")
    bob.answer()
    udp.run(32)
    assert not udp.house.passage.busy
    alice.hang_up()


def test_it_expires(udp, phones):
    """Not refreshed: terminated, "timeout", at its last second."""
    _, carol = phones(udp, "bob", "carol")
    line = watch(carol, "bob", expires=60)
    udp.run(59)
    assert len(line.requests) == 1
    line.request("SUBSCRIBE", [DIALOG, ("Expires", "120")])
    assert len(line.requests) == 2
    udp.run(119)
    assert len(line.requests) == 2
    udp.run(1)
    assert line.requests[-1].get("Subscription-State") == "terminated;reason=timeout"
    line.request("SUBSCRIBE", [DIALOG])
    assert line.final == 481


def test_what_is_granted(udp, phones):
    """An hour where nothing is asked for; a refresh is judged as the first SUBSCRIBE is."""
    _, carol = phones(udp, "bob", "carol")
    line = carol.dial("bob")
    line.request("SUBSCRIBE", [DIALOG])
    assert line.replies[-1].expires == 3600
    line.request("SUBSCRIBE", [DIALOG, ("Expires", "5")])
    assert (line.final, line.replies[-1].get("Min-Expires")) == (423, "60")
    line.cseq = 0
    line.request("SUBSCRIBE", [DIALOG, ("Expires", "600")])
    assert line.final == 500
    line.cseq = 9
    put_out(line)


@pytest.mark.parametrize("number", ["bob", "alice"])
def test_somebody_must_be_reachable(udp, phones, number):
    """400 without a Contact, here and across (RFC 6665 8.3, RFC 3261 8.1.1.8)."""
    alice, carol = phones(udp, "alice", "carol")
    event = ("Event", "dialog" if number == "bob" else "presence")
    request = carol.request(
        "SUBSCRIBE", carol.uri(number), caller=f"{carol.own};tag=x", fields=[event]
    )
    told = []
    carol.ask(request.replaced("Contact", []), told.append)
    carol.settle()
    assert told[-1].status == 400
    assert len(alice.lines) == 0


def test_asked_once(udp, phones):
    """Expires 0: the state, and that was all (RFC 6665 4.4.3)."""
    _, carol = phones(udp, "bob", "carol")
    line = watch(carol, "bob", expires=0)
    assert states(line) == [[]]
    assert line.got("NOTIFY").get("Subscription-State") == "terminated;reason=timeout"
    assert not udp.house.passage.busy


@pytest.mark.parametrize(
    ("fields", "expires", "status"),
    [
        ((("Accept", "application/pidf+xml"),), 600, 406),
        ((("Accept", "application/*, text/plain"),), 600, 200),
        ((), 59, 423),
        ((("Require", "eventlist"),), 600, 420),
    ],
)
def test_what_is_wanted_must_be_possible(udp, phones, fields, expires, status):
    """406 for another document, 423 for too brief an interval, 420 for an extension."""
    _, carol = phones(udp, "bob", "carol")
    line = watch(carol, "bob", *fields, expires=expires)
    assert line.final == status
    if status == 200:
        put_out(line)


def test_who_may_watch(udp, phones):
    """A user of ours, proven; a trunk is told 403, a stranger is challenged."""
    phones(udp, "bob")
    pbx = udp.peer("127.88.0.200")
    fields = [DIALOG, ("Expires", "600")]
    pbx.send(pbx.request("SUBSCRIBE", "sip:bob@127.88.0.1", fields=fields))
    assert pbx.expect(403)
    stranger = udp.peer("127.88.0.99")
    stranger.send(stranger.request("SUBSCRIBE", "sip:bob@127.88.0.1", fields=fields))
    assert stranger.expect(401)


def test_another_event_in_the_dialog(udp, phones):
    """A subscription has one event: 481 for another's, 405 for what is no SUBSCRIBE."""
    _, carol = phones(udp, "bob", "carol")
    line = watch(carol, "bob")
    line.request("SUBSCRIBE", [("Event", "reg")])
    assert line.final == 481
    line.request("OPTIONS")
    assert line.final == 405
    line.request("SUBSCRIBE", [])
    assert line.final == 400
    put_out(line)


def test_so_many_and_no_more(phones):
    """A user's keys are bounded, each user's by himself."""
    with Stage({"subscriptions": {"per_user": 1}}) as stage:
        alice, carol = phones(stage, "alice", "carol")
        line = watch(carol, "bob")
        assert watch(carol, "alice").final == 403
        other = watch(alice, "bob")
        assert other.final == 200
        put_out(line)
        line = watch(carol, "alice")
        assert line.final == 200
        stage.house.passage.shut()
        stage.settle()
        for each in (line, other):
            assert each.got("NOTIFY").get("Subscription-State") == "terminated;reason=deactivated"


def test_who_watches_cannot_speak_in_the_dialogs_that_he_sees(udp, phones):
    """Call-ID and tags are all that a request within a dialog proves: the Call-ID that is shown is
    good for Replaces alone (RFC 3891), and for no longer than the call."""
    alice, bob, carol = phones(udp, "alice", "bob", "carol")
    call = alice.call("bob")
    bob.answer()
    line = watch(carol, "bob")
    ((shown, _, _),) = documents(line)[-1][1]
    for method in ("BYE", "INFO", "REFER", "UPDATE"):
        forged = bob.line.compose(method, [("Refer-To", f"<{bob.uri('carol')}>")])
        carol.unread.clear()
        carol.send(forged.replaced("Call-ID", [shown["call-id"]]))
        carol.expect(481)
    assert call.stands
    alice.hang_up()
    named = f"{shown['call-id']};to-tag={shown['local-tag']};from-tag={shown['remote-tag']}"
    assert carol.call("bob", fields=[("Replaces", named)]).statuses == [481]
    put_out(line)
