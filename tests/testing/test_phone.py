"""The test phone itself: two of them, wire to wire, without a switch between."""

from softswitch.testing.clock import VirtualClock
from softswitch.testing.network import LoopNetwork
from softswitch.testing.phone import Phone


def pair(transport="UDP"):
    """The clock and two phones that can do everything, each the other's switch."""
    clock = VirtualClock()
    network = LoopNetwork(clock)
    places = {"alice": ("127.88.0.11", 5060), "bob": ("127.88.0.12", 5060)}
    phones = []
    for name, other in (("alice", "bob"), ("bob", "alice")):
        phone = Phone(network, name, places[name], transport, places[other], lambda: clock.run(0))
        phone.can("100rel", "replaces")
        phones.append(phone)
    return clock, *phones


def test_a_reliable_response_is_repeated_until_its_prack():
    """At 0, T1, 3*T1 ... while the caller is silent, then answered once (RFC 3262 3, 4)."""
    clock, alice, bob = pair()
    line = alice.call("bob")
    line.reliable.pracks = False
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    clock.run(4)
    assert alice.times(183) == [0, 0.5, 1.5, 3.5]
    assert line.statuses == [183]
    line.reliable.prack(line.responses[-1])
    assert line.replies[-1].status == 200
    assert bob.line.got("PRACK").get("RAck") == f"{line.responses[-1].get('RSeq')} 1 INVITE"
    clock.run(40)
    assert len(alice.times(183)) == 4
    line.reliable.pracks = True
    bob.ring(180, reliable=True)
    assert line.final == 200
    numbers = [int(response.get("RSeq")) for response in line.responses if response.status > 100]
    assert numbers[1] == numbers[0] + 1
    bob.answer()
    assert line.stands
    assert clock.idle


def test_an_offer_in_a_reliable_response():
    """The PRACK bears the answer (RFC 3262 5); a later one may bear an offer, which the 200 to it
    answers."""
    clock, alice, bob = pair()
    line = alice.call("bob", sdp=b"")
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    assert bob.line.sdp == alice.sdp()
    assert line.replies[-1].body == b""
    bob.answer(sdp=b"")
    assert line.stands
    line = alice.call("bob")
    line.reliable.body = alice.sdp("inactive", version=2)
    bob.line.description = bob.sdp("inactive", version=2)
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    assert line.replies[-1].body == bob.line.description
    bob.answer(sdp=b"")
    assert line.stands
    clock.run(40)
    assert clock.idle


def test_early_dialogs_are_kept_apart():
    """A request goes into the dialog of the tag that is named, or into the newest."""
    clock, alice, bob = pair()
    line = alice.call("bob")
    bob.line.respond(180, tag="one")
    bob.line.respond(183, tag="two", sdp=bob.sdp())
    assert list(line.early) == ["one", "two"]
    line.request("UPDATE", body=alice.sdp(version=2), fork="one")
    assert bob.line.got("UPDATE").to.tag == "one"
    assert line.replies[-1].body == bob.sdp()
    bob.line.request("INFO", fork="two")
    assert alice.line.got("INFO").from_.tag == "two"
    bob.line.respond(200, sdp=bob.sdp(), tag="two")
    line.request("BYE")
    assert bob.line.got("BYE").to.tag == "two"
    clock.run(40)
    assert clock.idle


def test_transfer_and_subscription():
    """REFER with Replaces, the NOTIFYs of it; a SUBSCRIBE makes a dialog, too."""
    clock, alice, bob = pair()
    line = alice.call("bob")
    bob.answer()
    line.refer("sip:carol@127.88.0.13", line, ("Referred-By", "<sip:alice@127.88.0.11>"))
    assert line.final == 202
    uri = bob.line.got("REFER").get("Refer-To")
    assert "Replaces=" in uri
    assert "%3Bto-tag%3D" in uri
    bob.line.notify("100 Trying")
    bob.line.notify("200 OK", "terminated;reason=noresource")
    assert line.outcomes == [100, 200]
    line.request("BYE")
    watch = alice.dial("bob")
    watch.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "60")])
    bob.line.request("NOTIFY", [("Event", "dialog"), ("Subscription-State", "active")])
    assert watch.methods == ["NOTIFY"]
    clock.run(40)
    assert clock.idle
