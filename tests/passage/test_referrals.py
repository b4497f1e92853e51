"""REFER outside of a call: a phone is asked to call (RFC 3515, RFC 5359 2.18)."""

from softswitch.sip import compose
from softswitch.testing.stage import Stage


def refer(phone, number, *fields, to="<sip:bob@127.88.0.1>"):
    """Ask somebody to call; the line on which it is asked."""
    line = phone.dial(number)
    line.request("REFER", [("Refer-To", to), *fields])
    return line


def test_it_crosses_with_its_subscription(stage, phones):
    """202, and the NOTIFYs of the phone that calls go back, each in a dialog of its own; what is
    referred to is said as the phone can reach it."""
    alice, carol = phones(stage, "alice", "carol")
    stage.phone("bob")
    line = refer(carol, "alice", ("Referred-By", f"<sip:carol@{carol.host}>"))
    assert line.final == 202
    asked = alice.line.got("REFER")
    assert asked.call_id != line.call_id
    assert asked.get("Refer-To") == "<sip:bob@127.88.0.1>"
    assert asked.get("Referred-By") == "<sip:carol@127.88.0.1>"
    assert (asked.get("Expires"), asked.get("Event")) == (None, None)
    alice.line.notify("100 Trying")
    alice.line.notify("200 OK", "terminated;reason=noresource")
    assert line.outcomes == [100, 200]
    assert line.got("NOTIFY").get("Event") == "refer"
    assert alice.line.final == 200
    assert not stage.house.passage.busy


def test_without_a_subscription(udp, phones):
    """Refer-Sub: false from either side (RFC 4488): the answer is all."""
    alice, carol = phones(udp, "alice", "carol")
    line = refer(carol, "alice", ("Refer-Sub", "false"))
    assert line.final == 202
    assert alice.line.got("REFER").get("Refer-Sub") == "false"
    assert not udp.house.passage.busy
    assert not udp.house.agent.dialogs


def test_the_phone_sends_no_news(udp, phones):
    """Its own word in the 202 counts, too."""
    (carol,) = phones(udp, "carol")
    pbx = udp.peer("127.88.0.200")
    line = refer(carol, "8100")
    asked = pbx.expect("REFER")
    fields = [("Contact", pbx.contact), ("Refer-Sub", "false")]
    pbx.send(compose.response(asked, 202, to_tag="x", fields=fields))
    assert (line.final, line.replies[-1].get("Refer-Sub")) == (202, "false")
    assert not udp.house.agent.dialogs


def test_it_is_refreshed_and_ended_by_subscribe(udp, phones):
    """As RFC 3515 2.4.4 has it: the subscription is one like any other."""
    alice, carol = phones(udp, "alice", "carol")
    line = refer(carol, "alice")
    alice.line.notify("100 Trying")
    line.request("SUBSCRIBE", [("Event", "refer"), ("Expires", "0")])
    assert line.final == 200
    ended = alice.line.got("SUBSCRIBE")
    assert (ended.get("Event"), ended.expires) == ("refer", 0)
    alice.line.notify("100 Trying", "terminated;reason=timeout")
    assert not udp.house.passage.busy


def test_what_is_refused(udp, phones):
    """400 without one Refer-To (RFC 3515 2.4.2), 480 for nobody there, the phone's own word."""
    alice, carol = phones(udp, "alice", "carol")
    line = carol.dial("alice")
    line.request("REFER")
    assert line.final == 400
    assert refer(carol, "bob").final == 480
    alice.answers["REFER"] = 603
    assert refer(carol, "alice").final == 603


def test_who_may_not_refer(phones):
    """603 for whom the in-dialog table refuses REFER."""
    with Stage({"dialog": {"refer": "refuse"}}) as stage:
        alice, carol = phones(stage, "alice", "carol")
        assert refer(carol, "alice").final == 603
        assert alice.lines == []


def test_what_is_referred_to_cannot_be_read(udp, phones):
    """400; the phone is not asked."""
    alice, carol = phones(udp, "alice", "carol")
    for to in ("", "<sip:>", "<:>", "<sip:bob@h>, <sip:carol@h>"):
        assert refer(carol, "alice", to=to).final == 400
    assert not alice.requests
