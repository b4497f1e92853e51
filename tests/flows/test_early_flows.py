"""Before the answer, across both legs: reliable provisionals (RFC 3262), UPDATE (RFC 3311), several
early dialogs (RFC 3261 13.2.2.4), each leg with what its own side can do."""

import pytest


@pytest.mark.parametrize("near", [(), ("100rel",)], ids=["plain-caller", "100rel-caller"])
@pytest.mark.parametrize("far", [False, True], ids=["plain-callee", "100rel-callee"])
def test_each_leg_is_reliable_by_itself(flow, near, far):
    """The callee's PRACK is ours, the caller's is his: neither crosses, and none is missing."""
    alice, bob = flow.phones("alice", "bob")
    alice.can(*near)
    bob.can("100rel")
    line = alice.call("bob")
    bob.ring(183, sdp=bob.sdp(), reliable=far)
    bob.answer(sdp=b"" if far else None)
    flow.hang_up(line, bob.line)
    asked = "<183+ >PRACK <200" if near else "<183+"
    sent = ">183+ <PRACK >200 >200" if far else ">183+ >200+"
    answer = "<200" if near else "<200+"
    rows = flow.rows()
    assert rows["bob"].startswith(f"<INVITE+ {sent} <ACK")
    assert rows["alice"].startswith(f">INVITE+ <401 >ACK >INVITE+ {asked}")
    assert answer in rows["alice"]


def test_an_offer_in_a_reliable_183(flow):
    """The INVITE has none: the 183 offers, the PRACK answers, on both legs, and neither the 200
    nor the ACK says anything more."""
    alice, bob = flow.phones("alice", "bob", can=["100rel"])
    line = alice.call("bob", sdp=b"")
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    assert b"m=audio" in bob.line.sdp
    bob.answer(sdp=b"")
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: call <183+ >PRACK+ <200 <200 >ACK bye
        bob: <INVITE >183+ <PRACK+ >200 >200 <ACK bye
    """)


def test_an_offer_in_a_reliable_183_that_the_caller_cannot_answer_early(flow):
    """The caller knows no 100rel: he gets the offer in the 200 and answers in the ACK."""
    alice, bob = flow.phones("alice", "bob")
    bob.can("100rel")
    line = alice.call("bob", sdp=b"")
    bob.ring()
    bob.answer()
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: call <180 <200+ >ACK+ bye
        bob: <INVITE >180 >200+ <ACK+ bye
    """)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_an_update_in_an_early_dialog(flow, who):
    """A new offer before the answer crosses as UPDATE, and its answer comes back."""
    alice, bob = flow.phones("alice", "bob", can=["100rel"])
    line = alice.call("bob")
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    near, far = (line, bob.line) if who == "caller" else (bob.line, line)
    near.update(near.phone.sdp("sendonly", version=2))
    assert near.final == 200
    assert far.methods.count("UPDATE") == 1
    assert b"a=sendonly" in far.got("UPDATE").body
    assert b"a=recvonly" in near.sdp
    bob.answer(sdp=b"")
    assert line.statuses[-1] == 200
    flow.hang_up(line, bob.line)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_an_update_within_the_call(flow, who):
    """UPDATE with an offer crosses where the other side allows it."""
    alice, bob = flow.phones("alice", "bob", can=[])
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if who == "caller" else (other, line)
    far.description = far.phone.sdp("recvonly", version=2)
    near.update(near.phone.sdp("sendonly", version=2))
    assert near.final == 200
    assert b"a=recvonly" in near.sdp
    assert b"a=sendonly" in far.got("UPDATE").body
    flow.hang_up(line, other)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_an_update_becomes_a_reinvite(flow, who):
    """Where the other side knows no UPDATE."""
    alice, bob = flow.phones("alice", "bob")
    (alice if who == "caller" else bob).can()
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if who == "caller" else (other, line)
    far.answers["INVITE"] = 200
    far.description = far.phone.sdp("recvonly", version=2)
    near.update(near.phone.sdp("sendonly", version=2))
    assert near.final == 200
    assert b"a=recvonly" in near.sdp
    assert far.methods[-2:] == ["INVITE", "ACK"]
    flow.hang_up(line, other)


@pytest.mark.parametrize("early", ["one", "each"])
def test_several_early_dialogs(make_flow, transport, hangs_up, early):
    """Two forks ring with early media, the second one answers: the caller hears it, in one early
    dialog or in one for each, as his profile says."""
    flow = make_flow({"dialog": {"early": early}}, transport=transport, hangs_up=hangs_up)
    alice, bob = flow.phones("alice", "bob", can=["100rel"])
    line = alice.call("bob")
    bob.line.respond(183, tag="one", sdp=bob.sdp(), reliable=True)
    bob.line.respond(183, tag="two", sdp=bob.sdp().replace(b"4000", b"4200"), reliable=True)
    assert len(line.early) == (1 if early == "one" else 2)
    bob.line.respond(200, tag="two")
    flow.run(1)
    assert line.statuses[-1] == 200
    tags = {response.to.tag for response in line.responses if response.status > 100}
    assert len(tags) == (1 if early == "one" else 2)
    assert [prack.to.tag for prack in bob.line.requests if prack.method == "PRACK"] == [
        "one",
        "two",
    ]
    if hangs_up == "caller":
        line.request("BYE")
    else:
        bob.line.request("BYE", fork="two")
    flow.run(40)
    flow.close()


@pytest.mark.parametrize(("early", "knows"), [("one", True), ("each", True), ("each", False)])
def test_a_199_ends_one_early_dialog(make_flow, transport, hangs_up, early, knows):
    """RFC 6228: it is told to a caller who knows it and has a dialog for each callee; to others it
    would end the only one."""
    flow = make_flow({"dialog": {"early": early}}, transport=transport, hangs_up=hangs_up)
    alice, bob = flow.phones("alice", "bob")
    if knows:
        alice.can("199")
    line = alice.call("bob")
    bob.line.respond(180, tag="one")
    bob.line.respond(199, tag="one")
    bob.ring()
    bob.answer()
    told = [180, 199, 180, 200] if early == "each" and knows else [180, 180, 200]
    assert line.statuses == told
    flow.hang_up(line, bob.line)


def test_an_update_is_answered_in_time(make_flow, transport, hangs_up):
    """It has become a re-INVITE about which the far phone's user thinks: 504 before the 32 seconds
    are over after which its sender would believe the call dead (RFC 3261 17.1.2.2)."""
    flow = make_flow({}, transport=transport, hangs_up=hangs_up)
    alice, bob = flow.phones("alice", "bob")
    alice.can()
    line = alice.call("bob")
    bob.answer()
    line.update(alice.sdp("sendonly", version=2))
    flow.run(31)
    assert line.final == 504
    assert bob.line.methods[-3:] == ["INVITE", "CANCEL", "ACK"]
    flow.run(10)
    flow.hang_up(line, bob.line)
