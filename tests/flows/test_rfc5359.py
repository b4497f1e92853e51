"""RFC 5359, service examples, as far as a back-to-back agent has a part in them."""

import re

import attrs
import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.testing.stage import CONFIG


@implementer(IRouter)
@attrs.define
class Routes:
    """Calls to a name go where the test says."""

    decisions: dict

    def route(self, invite):
        return self.decisions.get(invite.uri.user)


def where(phone):
    """A phone's address, as a target."""
    return phone.contact.strip("<>")


HOLDS = {
    "sendonly": lambda sdp: sdp.replace(b"sendrecv", b"sendonly"),
    "inactive": lambda sdp: sdp.replace(b"sendrecv", b"inactive"),
    "zero": lambda sdp: re.sub(rb"c=IN IP4 \S+", b"c=IN IP4 0.0.0.0", sdp),
}
BACK = {"sendonly": "recvonly", "inactive": "inactive", "zero": "sendrecv"}


@pytest.mark.parametrize("form", HOLDS)
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_2_1_call_hold(flow, who, form):
    """Hold in each of its forms, and back: the direction crosses, and its answer."""
    alice, bob = flow.phones("alice", "bob")
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if who == "caller" else (other, line)
    far.answers["INVITE"] = 200
    far.description = far.phone.sdp(BACK[form], version=2)
    near.reinvite(HOLDS[form](near.phone.sdp(version=2)))
    assert near.statuses == [200]
    assert (b"c=IN IP4 0.0.0.0" in far.sdp) == (form == "zero")
    far.description = far.phone.sdp(version=3)
    near.reinvite(near.phone.sdp(version=3))
    assert near.statuses == [200]
    flow.hang_up(line, other)
    first = {line: "calls", other: "answers"}
    held, kept = ("" if form == "zero" else form), BACK[form].replace("sendrecv", "")
    flow.saw(f"""
        {near.phone.name}: {first[near]} >INVITE+{held} <200+{kept} >ACK >INVITE+ <200+ >ACK bye
        {far.phone.name}: {first[far]} <INVITE+{held} >200+{kept} <ACK <INVITE+ >200+ <ACK bye
    """)


def test_2_2_consultation_hold(flow):
    """Bob holds Alice, talks to Carol, and comes back: two calls that know nothing of each
    other."""
    alice, bob, carol = flow.phones("alice", "bob", "carol")
    line, other = flow.talk(alice, bob)
    line.answers["INVITE"] = 200
    line.description = alice.sdp("recvonly", version=2)
    other.reinvite(bob.sdp("sendonly", version=2))
    second, third = flow.talk(bob, carol)
    second.request("BYE")
    assert third.over
    line.description = alice.sdp(version=3)
    other.reinvite(bob.sdp(version=3))
    assert other.statuses == [200]
    flow.hang_up(line, other)
    flow.saw("""
        alice: calls <INVITE+sendonly >200+recvonly <ACK <INVITE+ >200+ <ACK bye
        bob: answers >INVITE+sendonly <200+recvonly >ACK >INVITE+ <200+ >ACK bye
        bob.2: calls >BYE <200
        carol: answers <BYE >200
    """)


def test_2_3_music_on_hold(flow):
    """Bob holds Alice and has a music server take his place with Replaces; to come back he
    replaces it himself."""
    alice, bob, music = flow.phones("alice", "bob", "carol", can=["replaces"])
    line, other = flow.talk(alice, bob)
    line.answers["INVITE"] = 200
    other.reinvite(bob.sdp("sendonly", version=2))
    played = music.call("alice", sdp=music.sdp("sendonly"), fields=[("Replaces", other.replaces)])
    assert played.statuses[-1] == 200
    assert other.over
    assert line.stands
    again = bob.call("alice", fields=[("Replaces", played.replaces)])
    assert again.statuses[-1] == 200
    assert played.over
    flow.hang_up(line, again)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_2_4_transfer_unattended(flow, who):
    """The transferor is told how it goes and hangs up; transferee and target talk on."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=["replaces"])
    line, other = flow.talk(alice, bob)
    stays, leaves = (other, line) if who == "caller" else (line, other)
    stays.answers["INVITE"] = 200
    leaves.refer(leaves.phone.uri("carol"))
    assert leaves.final == 202
    assert leaves.outcomes[:1] == [100]
    carol.ring()
    carol.answer()
    flow.run(1)
    assert leaves.outcomes[-1] == 200
    assert leaves.got("NOTIFY").get("Subscription-State").startswith("terminated")
    if not leaves.over:
        leaves.request("BYE")
    assert stays.stands
    flow.hang_up(stays, carol.line)


def test_2_5_transfer_attended(flow):
    """Bob talks to Carol first, then joins her with Alice: the Replaces that he gives names his
    own leg, which Carol never saw."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=["replaces"])
    line, other = flow.talk(alice, bob)
    line.answers["INVITE"] = 200
    other.reinvite(bob.sdp("sendonly", version=2))
    second, third = flow.talk(bob, carol)
    third.answers["INVITE"] = 200
    other.refer(bob.uri("carol"), second)
    flow.run(1)
    assert other.outcomes[-1] == 200
    assert second.over
    if not other.over:
        other.request("BYE")
    assert line.stands
    assert carol.lines == [third]
    flow.hang_up(line, third)


def test_2_6_transfer_instant_messaging(flow):
    """Carol's URI crosses in a MESSAGE within the call, to the byte; Alice calls her."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=[])
    line, other = flow.talk(alice, bob)
    body = b"call sip:carol@127.88.0.1"
    other.request("MESSAGE", [("Content-Type", "text/plain")], body)
    assert other.final == 200
    assert line.got("MESSAGE").body == body
    second, third = flow.talk(alice, carol)
    other.request("BYE")
    flow.hang_up(second, third)


@pytest.mark.parametrize("when", ["always", "busy", "no_answer"])
def test_2_7_to_2_9_call_forwarding(make_flow, transport, hangs_up, when):
    """Unconditional, busy and no answer: the caller is told 181, and the new target from where
    and why (RFC 5806, RFC 7044)."""
    users = {name: {"password": name} for name in ("alice", "bob", "carol")}
    users["bob"] |= {f"forward_{when}": "carol", "forward_after": 10}
    policy = [{"use": "forwarding"}, *CONFIG["policy"]]
    flow = make_flow({"policy": policy, "users": users}, transport=transport, hangs_up=hangs_up)
    alice, bob, carol = flow.phones("alice", "bob", "carol")
    line = alice.call("bob")
    tried = {
        "always": "",
        "busy": "bob: <INVITE+ >486 <ACK",
        "no_answer": "bob: <INVITE+ >180 <CANCEL >200 >487 <ACK",
    }
    if when == "busy":
        bob.refuse(486)
    elif when == "no_answer":
        bob.ring()
        flow.run(10)
    carol.ring()
    carol.answer()
    flow.hang_up(line, carol.line)
    # A second 180 says who it is that rings (RFC 7989).
    heard = "<180 <181 <180" if when == "no_answer" else "<181 <180"
    flow.saw(f"""
        alice: call+ {heard} <200+ >ACK bye
        {tried[when]}
        carol: <INVITE+ >180 >200+ <ACK bye
    """)
    reasons = {"always": "unconditional", "busy": "user-busy", "no_answer": "no-answer"}
    diversion = carol.line.invite.get("Diversion")
    assert "sip:bob@" in diversion
    assert f"reason={reasons[when]}" in diversion
    assert "sip:bob@" in carol.line.invite.get("History-Info")


def test_2_10_3_way_conference_third_party_is_added(flow):
    """Bob mixes: he moves Alice's call to his mixer by re-INVITE, and calls Carol from it."""
    alice, bob, carol = flow.phones("alice", "bob", "carol")
    line, other = flow.talk(alice, bob)
    line.answers["INVITE"] = 200
    other.reinvite(bob.sdp(version=2).replace(b"4000", b"5000"))
    assert other.statuses == [200]
    second, third = flow.talk(bob, carol, sdp=bob.sdp().replace(b"4000", b"5002"))
    second.request("BYE")
    assert third.over
    flow.hang_up(line, other)
    flow.saw("""
        alice: calls answers bye
        bob: answers >INVITE+ <200+ >ACK bye
        bob.2: calls >BYE <200
        carol: answers <BYE >200
    """)


def test_2_11_3_way_conference_third_party_joins(refused):
    """Join (RFC 3911) is not served: who requires it hears so."""
    alice, bob, carol = refused.phones("alice", "bob", "carol")
    line, other = refused.talk(alice, bob)
    joined = [("Join", other.replaces), ("Require", "join")]
    assert carol.call("bob", fields=joined).statuses == [420]
    assert carol.line.responses[-1].get("Unsupported") == "join"
    line.request("BYE")
    assert other.over


def test_2_12_find_me(make_flow, transport, hangs_up):
    """In turn: nobody answers, somebody is busy, the third takes it; the first is cancelled."""
    routes = Routes({})
    flow = make_flow(transport=transport, hangs_up=hangs_up, plug_ins=[routes])
    alice, bob, carol, dave = flow.phones("alice", "bob", "carol", "dave")
    targets = [Target(where(bob), ring_seconds=10), Target(where(carol)), Target(where(dave))]
    routes.decisions["find"] = Route(targets)
    line = alice.call("find")
    bob.ring()
    flow.run(10)
    carol.refuse(486)
    dave.answer()
    flow.hang_up(line, dave.line)
    flow.saw("""
        alice: call+ <180 <200+ >ACK bye
        bob: <INVITE+ >180 <CANCEL >200 >487 <ACK
        carol: <INVITE+ >486 <ACK
        dave: answers bye
    """)


@pytest.mark.parametrize("number", ["13", "14"])
def test_2_13_and_2_14_call_management_screening(make_flow, transport, number):
    """Incoming: the callee's policy refuses this caller, 603. Outgoing: the caller's own refuses
    the number, 403. Nobody rings."""
    status = {"13": 603, "14": 403}[number]
    flow = make_flow(transport=transport, plug_ins=[Routes({"bob": Reject(status)})])
    alice, bob = flow.phones("alice", "bob")
    alice.call("bob")
    flow.saw(f"alice: call+ <{status} >ACK")
    assert bob.lines == []


def test_2_15_call_park(flow):
    """Bob parks Alice at a park server by REFER; Dave, elsewhere, fetches her with Replaces."""
    names = ("alice", "bob", "carol", "dave")
    alice, bob, park, dave = flow.phones(*names, can=["replaces"])
    line, other = flow.talk(alice, bob)
    line.answers["INVITE"] = 200
    other.refer(bob.uri("carol"))
    park.answer()
    flow.run(1)
    assert other.outcomes[-1] == 200
    if not other.over:
        other.request("BYE")
    fetched = dave.call("carol", fields=[("Replaces", park.line.replaces)])
    assert fetched.statuses[-1] == 200
    assert park.line.over
    flow.hang_up(line, fetched)


def test_2_16_call_pickup(flow):
    """Bob's phone rings; Carol, who watches it, takes the call by the names that she was told:
    his phone stops, Alice is answered."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=["replaces"])
    line = alice.call("bob")
    bob.ring()
    watch = carol.dial("bob")
    watch.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "600")])
    told = dict(re.findall(r'(call-id|local-tag|remote-tag)="(.*?)"', told_by(watch)))
    ringing = f"{told['call-id']};to-tag={told['local-tag']};from-tag={told['remote-tag']}"
    taken = carol.call("bob", fields=[("Replaces", f"{ringing};early-only")])
    flow.run(1)
    assert taken.statuses[-1] == 200
    assert line.statuses[-1] == 200
    assert bob.line.methods[:2] == ["INVITE", "CANCEL"]
    watch.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "0")])
    flow.hang_up(line, taken)


def told_by(watch):
    """The document in the last NOTIFY."""
    return watch.got("NOTIFY").body.decode()


def test_2_17_automatic_redial(flow):
    """Bob is busy; Alice watches his dialogs and calls when he is free (RFC 4235)."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=[])
    flow.talk(carol, bob)
    busy = bob.line
    line = alice.call("bob")
    bob.refuse(486)
    assert line.statuses[-1] == 486
    watch = alice.dial("bob")
    watch.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "600")])
    assert watch.final == 200
    assert b"confirmed" in watch.got("NOTIFY").body
    busy.request("BYE")
    flow.run(5)
    assert b"confirmed" not in watch.got("NOTIFY").body
    line, other = flow.talk(alice, bob)
    watch.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "0")])
    flow.hang_up(line, other)


def test_2_18_click_to_dial(flow):
    """A REFER outside a call reaches the phone of the user; it calls, and its NOTIFYs go back."""
    alice, bob, carol = flow.phones("alice", "bob", "carol", can=[])
    click = carol.dial("alice")
    click.request("REFER", [("Refer-To", f"<{bob.uri('bob')}>")])
    assert click.final == 202
    line, other = flow.talk(alice, bob)
    told = next(each for each in alice.lines if each.methods == ["REFER"])
    told.notify("200 OK", "terminated;reason=noresource")
    assert click.outcomes == [200]
    flow.hang_up(line, other)
