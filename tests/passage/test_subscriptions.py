"""Subscriptions across the switch, and NOTIFYs that nobody asked for (RFC 6665)."""

import pytest

from softswitch.sip import compose
from softswitch.sip.uri import Uri
from softswitch.testing.stage import Stage

HOST = "127.88.0.1"
XML = ("Content-Type", "application/pidf+xml")
ACCEPT = ("Accept", "application/pidf+xml")


def event(name="presence", **params):
    """An Event field."""
    return ("Event", ";".join([name, *(f"{key}={value}" for key, value in params.items())]))


def subscribe(phone, number, *fields, expires=600):
    """A phone subscribes; its line."""
    line = phone.dial(number)
    again(line, *(fields or (event(), ACCEPT)), expires=expires)
    return line


def again(line, *fields, expires=600):
    """A SUBSCRIBE on a line."""
    line.request("SUBSCRIBE", [*(fields or (event(),)), ("Expires", str(expires))])


def notify(line, state, body=b"", *fields):
    """A NOTIFY on a line."""
    described = [XML] if body else []
    said = [event(), *described, ("Subscription-State", state), *fields]
    line.request("NOTIFY", said, body)


def notified(line):
    """What has been notified: states and bodies."""
    return [
        (each.get("Subscription-State"), each.body.decode())
        for each in line.requests
        if each.method == "NOTIFY"
    ]


def over(stage, line):
    """The subscription has ended: a refresh finds nothing, on neither side."""
    assert not stage.house.agent.dialogs
    assert not stage.house.passage.busy
    again(line)
    assert line.final == 481


def test_from_the_first_subscribe_to_the_last_notify(stage, phones):
    """SUBSCRIBE, NOTIFYs, refresh, end: each crosses and is answered with what the far side says;
    Event with its id, Accept, Expires, states and bodies cross, identities do not."""
    alice, bob = phones(stage, "alice", "bob")
    line = subscribe(alice, "bob", event(id="7"), ACCEPT)
    far = bob.line
    request = far.got("SUBSCRIBE")
    assert (request.get("Event"), request.get("Accept")) == ("presence;id=7", ACCEPT[1])
    assert request.expires == 600
    assert request.call_id != line.call_id
    assert request.contacts[0].uri.host == HOST
    assert (line.final, line.replies[-1].expires) == (200, 600)
    assert line.replies[-1].contacts[0].uri.host == HOST
    said = [event(id="7"), XML, ("Subscription-State", "active;expires=300")]
    far.request("NOTIFY", said, b"<open/>")
    assert far.final == 200
    heard = line.got("NOTIFY")
    assert (heard.get("Event"), heard.body) == ("presence;id=7", b"<open/>")
    assert heard.get("Subscription-State") == "active;expires=300"
    assert heard.all("Content-Type")[-1] == XML[1]
    again(line, event(id="7"), expires=900)
    assert (line.final, line.replies[-1].expires) == (200, 900)
    assert far.got("SUBSCRIBE").expires == 900
    again(line, event(id="7"), expires=0)
    assert far.got("SUBSCRIBE").expires == 0
    said[-1] = ("Subscription-State", "terminated;reason=timeout")
    far.request("NOTIFY", said)
    assert far.final == 200
    assert line.got("NOTIFY").get("Subscription-State") == "terminated;reason=timeout"
    over(stage, line)


def test_pending_then_active(udp, phones):
    """The far side's word on whether it has been granted is passed on, and its news in order."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    notify(bob.line, "pending;expires=600")
    notify(bob.line, "active;expires=600", b"<open/>")
    notify(bob.line, "terminated;reason=probation;retry-after=30")
    assert notified(line) == [
        ("pending;expires=600", ""),
        ("active;expires=600", "<open/>"),
        ("terminated;reason=probation;retry-after=30", ""),
    ]
    over(udp, line)


def test_a_refused_notify_ends_both_sides(udp, phones):
    """481 from the subscriber is the notifier's answer (RFC 6665 4.2.2)."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    line.answers["NOTIFY"] = 481
    notify(bob.line, "active;expires=600")
    assert bob.line.final == 481
    over(udp, line)


def test_a_subscriber_that_is_silent(udp, phones):
    """No answer to a NOTIFY in 64*T1 ends it on both sides (RFC 6665 4.2.2)."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    alice.silent = True
    notify(bob.line, "active;expires=600")
    udp.run(32)
    assert bob.line.final == 481
    alice.silent = False
    over(udp, line)


def test_a_refused_refresh(udp, phones):
    """481 ends it on both sides (RFC 6665 4.1.2.2); a busy notifier's 500 does not."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    notify(bob.line, "active;expires=600")
    bob.line.answers["SUBSCRIBE"] = 500
    again(line)
    assert line.final == 500
    notify(bob.line, "active;expires=500")
    assert bob.line.final == 200
    bob.line.answers["SUBSCRIBE"] = 481
    again(line)
    assert line.final == 481
    over(udp, line)


def test_a_notifier_that_falls_silent(udp, phones):
    """Nobody says when it is over: the subscriber is told "timeout", some time after the end."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob", expires=100)
    notify(bob.line, "active;expires=100")
    udp.run(131)
    assert len(notified(line)) == 1
    udp.run(2)
    assert notified(line)[1:] == [("terminated;reason=timeout", "")]
    over(udp, line)


def test_no_notify_at_all(udp, phones):
    """64*T1 after the SUBSCRIBE (timer N) the subscription has failed (RFC 6665 4.1.2.4)."""
    alice, _ = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    assert line.final == 200
    udp.run(32)
    assert notified(line) == [("terminated;reason=timeout", "")]
    over(udp, line)


def test_asked_once(udp, phones):
    """SUBSCRIBE with Expires 0 fetches the state (RFC 6665 4.4.3)."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob", expires=0)
    assert line.replies[-1].expires == 0
    notify(bob.line, "terminated;reason=timeout", b"<closed/>")
    assert notified(line) == [("terminated;reason=timeout", "<closed/>")]
    over(udp, line)


def test_too_brief(udp, phones):
    """423 with Min-Expires (RFC 6665 4.2.1.1), also to a refresh; a wish that is too long is cut
    short."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob", expires=59)
    assert (line.final, line.replies[-1].get("Min-Expires")) == (423, "60")
    line = subscribe(alice, "bob", expires=7200)
    assert line.replies[-1].expires == 3600
    again(line, expires=5)
    assert line.final == 423
    notify(bob.line, "terminated;reason=noresource")


def test_documents_say_our_address(udp, phones):
    """Presence and dialog documents name the notifier as the subscriber can reach him; what cannot
    be read goes no further."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    there = f"{bob.host}"
    document = f'<presence entity="pres:bob@{there}"><tuple id="a"><contact>sip:bob@{there}'
    notify(bob.line, "active", f"{document}</contact></tuple></presence>".encode())
    heard = line.got("NOTIFY").body.decode()
    assert 'entity="pres:bob@127.88.0.1"' in heard
    assert "<contact>sip:bob@127.88.0.1</contact>" in heard
    notify(bob.line, "active", b"<presence")
    assert bob.line.final == 400
    assert len(notified(line)) == 1
    notify(bob.line, "terminated;reason=noresource")


class Notifying:
    """A peer by hand that notifies of what it was asked for."""

    def __init__(self, peer, switch):
        self.peer, self.switch = peer, switch
        self.request = peer.expect("SUBSCRIBE")
        self.cseq = 0

    def accept(self, tag="one", expires=600):
        fields = [("Contact", self.peer.contact), ("Expires", str(expires))]
        self.peer.send(compose.response(self.request, 200, to_tag=tag, fields=fields))

    def notify(self, state, tag="one", body=b"", name="presence"):
        self.cseq += 1
        asked = self.request
        self.peer.send(
            self.peer.request(
                "NOTIFY",
                str(asked.contacts[0].uri),
                caller=f"{asked.get('To')};tag={tag}",
                to=asked.get("From"),
                call_id=asked.call_id,
                cseq=self.cseq,
                fields=[("Event", name), ("Subscription-State", state)],
                body=body,
            )
        )
        return self.peer.unread.pop(0).status


@pytest.fixture
def notifying(udp, phones):
    """Alice has subscribed at the exchange, which has not answered yet: stage, line, notifier."""
    (alice,) = phones(udp, "alice")
    peer = udp.peer("127.88.0.200")
    line = subscribe(alice, "8100")
    return udp, line, Notifying(peer, udp.address)


def test_a_notify_before_the_answer(notifying):
    """It makes the dialog (RFC 6665 4.1.2.4), and answers the SUBSCRIBE for the subscriber, who is
    never notified of what he does not know to exist; the answer that comes later is nothing."""
    stage, line, far = notifying
    assert far.notify("active;expires=500") == 200
    assert (line.final, line.replies[-1].expires) == (200, 500)
    assert notified(line) == [("active;expires=500", "")]
    far.accept()
    assert far.notify("terminated;reason=noresource") == 200
    assert notified(line)[1:] == [("terminated;reason=noresource", "")]
    over(stage, line)


def test_a_subscribe_that_forked(notifying):
    """The first to send a NOTIFY wins, whatever tag the 2xx had; the others get 481 (4.4.1)."""
    stage, line, far = notifying
    far.accept("one")
    assert far.notify("active;expires=600", "two") == 200
    assert far.notify("active;expires=600", "one") == 481
    assert far.notify("terminated;reason=noresource", "two") == 200
    assert len(notified(line)) == 2
    over(stage, line)


def test_a_notify_that_is_not_understood(notifying):
    """481 for another event's, 400 without a state, and the subscription stands."""
    stage, line, far = notifying
    far.accept()
    assert far.notify("active;expires=600", name="dialog") == 481
    assert far.notify(";;") == 400
    assert far.notify("active;expires=600") == 200
    assert far.notify("flying;expires=600") == 200
    far.cseq = 0
    assert far.notify("active;expires=600") == 500
    far.cseq = 9
    assert far.notify("terminated") == 200
    assert [state for state, _ in notified(line)][-1] == "terminated"
    over(stage, line)


def test_what_else_the_notifier_sends(udp, phones):
    """405 for what is no NOTIFY, and the subscription stands."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    notify(bob.line, "active;expires=600")
    bob.line.request("OPTIONS")
    assert bob.line.final == 405
    line.answers["NOTIFY"] = 503
    notify(bob.line, "active;expires=600")
    assert bob.line.final == 500
    notify(bob.line, "terminated;reason=noresource")
    assert bob.line.final == 500
    over(udp, line)


def test_an_answer_that_cannot_be_used(notifying):
    """A 2xx that does not say where the notifier is: 502, and its NOTIFYs find nothing."""
    _, line, far = notifying
    fields = [("Contact", "<sip:a@x>"), ("Contact", "<sip:b@x>")]
    far.peer.send(compose.response(far.request, 200, to_tag="one", fields=fields))
    assert line.final == 502
    assert far.notify("active;expires=600") == 481


def test_unsubscribed_before_any_notify(notifying):
    """The dialog that the 2xx has made is good enough for that."""
    stage, line, far = notifying
    far.accept("one")
    again(line, expires=0)
    far.request = far.peer.expect("SUBSCRIBE")
    assert (far.request.to.tag, far.request.expires) == ("one", 0)
    far.accept("one", 0)
    assert line.replies[-1].expires == 0
    far.request = far.request.replaced("To", ["<sip:100@127.88.0.200>"])
    assert far.notify("terminated;reason=timeout") == 200
    over(stage, line)


def test_every_phone_is_asked_and_one_wins(udp, phones):
    """All contacts at once; who accepts too late finds out by 481 to his NOTIFY."""
    alice, bob = phones(udp, "alice", "bob")
    (other,) = phones(udp, "bob", register=False)
    assert other.register() == 200
    line = subscribe(alice, "bob")
    lines = bob.lines + other.lines
    assert len(lines) == 2
    for each in lines:
        notify(each, "active;expires=600")
    assert sorted(each.final for each in lines) == [200, 481]
    for each in lines:
        notify(each, "terminated;reason=noresource")
    over(udp, line)


def test_refused(udp, phones):
    """The notifier's refusal crosses; an event that nobody knows gets 489 with those that we know;
    a far 401 that cannot be answered is 403."""
    alice, bob = phones(udp, "alice", "bob")
    bob.answers["SUBSCRIBE"] = 403
    assert subscribe(alice, "bob").final == 403
    bob.answers["SUBSCRIBE"] = 401
    assert subscribe(alice, "bob").final == 403
    line = subscribe(alice, "mallory")
    assert line.final == 489
    assert line.replies[-1].get("Allow-Events") == "dialog, refer, reg"
    assert subscribe(alice, "alice").final == 489
    assert subscribe(alice, "carol").final == 480
    assert subscribe(alice, "mallory", event("dialog")).final == 404


def test_so_many_and_no_more(phones):
    """A user's subscriptions are bounded."""
    with Stage({"subscriptions": {"per_user": 2}}) as stage:
        alice, bob = phones(stage, "alice", "bob")
        lines = [subscribe(alice, "bob") for _ in range(3)]
        assert [line.final for line in lines] == [200, 200, 403]
        for each in bob.lines:
            notify(each, "terminated;reason=noresource")
        assert subscribe(alice, "bob").final == 200
        notify(bob.line, "terminated;reason=noresource")


def test_the_switch_stops(udp, phones):
    """Every subscription ends with "deactivated" (RFC 6665 4.1.3), the far side is unsubscribed
    from, and no new one begins."""
    alice, bob = phones(udp, "alice", "bob")
    line = subscribe(alice, "bob")
    notify(bob.line, "active;expires=600")
    udp.house.passage.shut()
    udp.settle()
    assert notified(line)[1:] == [("terminated;reason=deactivated", "")]
    assert bob.line.got("SUBSCRIBE").expires == 0
    notify(bob.line, "terminated;reason=timeout")
    assert bob.line.final == 200
    assert subscribe(alice, "bob").final == 503


def test_message_waiting(udp, phones):
    """An unsolicited NOTIFY of an exchange reaches each of the user's phones (RFC 3842)."""
    alice, bob = phones(udp, "alice", "bob")
    pbx = udp.peer("127.88.0.200")
    summary = b"Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n"
    fields = [
        ("Event", "message-summary"),
        ("Subscription-State", "active"),
        ("Content-Type", "application/simple-message-summary"),
    ]
    pbx.send(pbx.request("NOTIFY", f"sip:alice@{HOST}", fields=fields, body=summary))
    assert pbx.expect(200)
    (request,) = alice.requests
    assert (request.get("Event"), request.body) == ("message-summary", summary)
    assert request.get("Subscription-State") == "active"
    assert request.contacts[0].uri.host == HOST
    assert bob.requests == []


def test_check_sync(udp, phones):
    """So does the NOTIFY that makes a phone look for its configuration; for nobody, 489."""
    (alice,) = phones(udp, "alice")
    pbx = udp.peer("127.88.0.200")
    fields = [("Event", "check-sync;reboot=true")]
    pbx.send(pbx.request("NOTIFY", f"sip:alice@{HOST}", fields=fields))
    assert pbx.expect(200)
    assert alice.requests[0].get("Event") == "check-sync;reboot=true"
    pbx.send(pbx.request("NOTIFY", f"sip:{HOST}", fields=fields))
    assert pbx.expect(489).get("Allow-Events")


def test_a_notify_of_nothing(udp, phones):
    """481 where it says that it belongs to a dialog, and there is none (RFC 6665 4.1.3)."""
    phones(udp, "alice")
    pbx = udp.peer("127.88.0.200")
    stray = pbx.request(
        "NOTIFY",
        str(Uri.parse(f"sip:alice@{HOST}")),
        to=f"<sip:alice@{HOST}>;tag=none",
        fields=[event(), ("Subscription-State", "active")],
    )
    pbx.send(stray)
    assert pbx.expect(481)
