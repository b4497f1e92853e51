"""Codecs of a trunk: what its offers and answers, and those towards it, may hold."""

import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.sdp.session import SessionDescription

CARRIER = "127.88.0.101"
LISTED = {"carrier": {"addresses": [CARRIER], "dialog": {"codecs": ["PCMA", "G729"]}}}
TO_ALICE = [{"match": "0.+", "strip": 1, "trunk": "carrier"}, {"match": "5", "user": "alice"}]


def with_codecs(phone, formats, version=1):
    """A phone's description with these formats; 101 are keys, 96 is Opus."""
    lines = phone.sdp(version=version).replace(b"RTP/AVP 0", b"RTP/AVP " + formats.encode())
    maps = {"101": b"telephone-event/8000", "96": b"opus/48000/2"}
    for number in formats.split():
        if number in maps:
            lines += b"a=rtpmap:" + number.encode() + b" " + maps[number] + b"\r\n"
    return lines


def offered(line):
    """Formats of the last description that came to a line."""
    return " ".join(SessionDescription.parse(line.sdp).media[0].formats)


@implementer(IRouter)
class Both:
    """7 goes to the carrier, then to the PBX."""

    def route(self, invite):
        places = ((CARRIER, "carrier"), ("127.88.0.102", "pbx"))
        targets = [Target(f"sip:7@{host}", trunk=name) for host, name in places]
        return Route(targets) if invite.uri.user == "7" else None


@implementer(IRouter)
class Narrow:
    """7 goes to the carrier with one codec."""

    def route(self, invite):
        target = Target(f"sip:7@{CARRIER}", trunk="carrier", dialog={"codecs": ["G729"]})
        return Route([target]) if invite.uri.user == "7" else None


@pytest.fixture
def played(make_stage, engine):
    """Alice, and the carrier with a list."""
    stage = make_stage(LISTED, rules=TO_ALICE, engine=engine)
    return stage.phone("alice"), stage.phone("gateway", host=CARRIER)


def test_an_offer_to_the_trunk_and_its_answer(played):
    """The trunk sees the list's codecs in the list's order, the caller what of them was taken; both
    go on so in a re-INVITE from either side."""
    alice, gateway = played
    line = alice.call("0+44", sdp=with_codecs(alice, "0 96 18 8 101"))
    assert offered(gateway.line) == "8 18 101"
    assert b"opus" not in gateway.line.sdp
    gateway.answer(sdp=with_codecs(gateway, "18 101"))
    assert line.statuses == [200]
    assert offered(line) == "18 101"
    line.reinvite(with_codecs(alice, "0 8 101", version=2))
    assert offered(gateway.line) == "8 101"
    gateway.answer(sdp=with_codecs(gateway, "8", version=2))
    assert offered(line) == "8"
    gateway.line.reinvite(with_codecs(gateway, "0 8 18", version=3))
    assert offered(line) == "8 18"
    alice.answer(sdp=with_codecs(alice, "8", version=3))
    assert offered(gateway.line) == "8"
    alice.hang_up()


def test_an_offer_from_the_trunk(played):
    """It cannot bring in what is not listed, nor does the list's order bind the other way."""
    alice, gateway = played
    line = gateway.call("5", sdp=with_codecs(gateway, "0 18 8 101"))
    assert offered(alice.line) == "8 18 101"
    alice.answer(sdp=with_codecs(alice, "8 101"))
    assert line.statuses == [200]
    assert offered(line) == "8 101"
    gateway.hang_up()


def test_a_late_offer_of_the_trunk(played):
    """What is asked of it is an offer, which comes in its 200 (RFC 3261 13.2.1)."""
    alice, gateway = played
    line = alice.call("0+44", sdp=b"")
    alice.line.description = with_codecs(alice, "8")
    gateway.answer(sdp=with_codecs(gateway, "0 18 8"))
    assert line.statuses == [200]
    assert offered(line) == "8 18"
    assert offered(gateway.line) == "8"
    alice.hang_up()


def test_an_offer_of_which_nothing_is_left(played):
    """488 to who has offered, and the trunk hears nothing (RFC 3261 21.4.26): first INVITE, both
    ways, and re-INVITE, after which the call goes on."""
    alice, gateway = played
    assert alice.call("0+44", sdp=with_codecs(alice, "0 101")).statuses == [488]
    assert gateway.lines == []
    assert gateway.call("5", sdp=with_codecs(gateway, "0")).statuses == [488]
    assert alice.lines[1:] == []
    line = alice.call("0+44", sdp=with_codecs(alice, "8"))
    gateway.answer(sdp=with_codecs(gateway, "8"))
    line.reinvite(with_codecs(alice, "0", version=2))
    assert line.statuses == [488]
    assert gateway.line.methods == ["INVITE", "ACK"]
    assert line.stands
    alice.hang_up()
    assert gateway.line.over


def test_an_answer_of_which_nothing_is_left(played):
    """A trunk that answers what it was not offered is acknowledged and hung up, its caller gets
    488."""
    alice, gateway = played
    line = alice.call("0+44", sdp=with_codecs(alice, "0 8"))
    gateway.answer(sdp=with_codecs(gateway, "0"))
    assert line.statuses == [488]
    assert gateway.line.methods == ["INVITE", "ACK", "BYE"]


def test_an_early_answer_of_which_nothing_is_left_is_not_told(played):
    """The caller hears that it rings, and no more."""
    alice, gateway = played
    line = alice.call("0+44", sdp=with_codecs(alice, "0 8"))
    gateway.ring(183, sdp=with_codecs(gateway, "0"))
    assert line.statuses == [183]
    assert line.sdp == b""
    alice.cancel()
    assert line.statuses == [183, 487]


def test_the_next_trunk_may_know_what_is_left(make_stage, engine):
    """One that can be offered nothing has failed like any other, and is passed over."""
    other = {"addresses": ["127.88.0.102"], "dialog": {"codecs": ["PCMU"]}}
    stage = make_stage({**LISTED, "pbx": other}, engine=engine, plug_ins=[Both()])
    alice, second = stage.phone("alice"), stage.phone("second", host="127.88.0.102")
    line = alice.call("7", sdp=with_codecs(alice, "0"))
    second.answer(sdp=with_codecs(second, "0"))
    assert line.statuses == [200]
    alice.hang_up()
    assert [each.status for each in stage.records[-1].attempts] == [488, 200]


def test_a_body_of_several_parts_keeps_the_others(played):
    """The description is changed where it lies (RFC 5621)."""
    alice, gateway = played
    sdp = with_codecs(alice, "0 8")
    body = (
        b"--x\r\nContent-Type: application/sdp\r\n\r\n"
        + sdp
        + b"\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n"
    )
    line = alice.dial("0+44")
    line.reinvite(body, [("Content-Type", "multipart/mixed;boundary=x")])
    sent = gateway.line.invite.body
    assert b"RTP/AVP 8\r\n" in sent
    assert b"\r\n\r\nhello\r\n--x--" in sent
    gateway.refuse(486)
    assert line.statuses == [486]


def test_a_policy_may_say_so_for_one_call(make_stage, engine):
    """A cell of the profile like any other (``Target.dialog``)."""
    stage = make_stage(engine=engine, plug_ins=[Narrow()])
    alice, gateway = stage.phone("alice"), stage.phone("gateway", host=CARRIER)
    alice.call("7", sdp=with_codecs(alice, "0 8 18"))
    assert offered(gateway.line) == "18"
    gateway.refuse(486)


def test_without_a_list_a_description_passes_as_it_is(make_stage):
    """To the byte, without an engine: nothing is parsed, nothing is written anew."""
    stage = make_stage()
    alice, gateway = stage.phone("alice"), stage.phone("gateway", host=CARRIER)
    odd = with_codecs(alice, "0 8 101").replace(b"a=sendrecv", b"a=x-odd: thing \r\na=sendrecv")
    alice.call("0+44", sdp=odd)
    assert gateway.line.sdp == odd
    gateway.refuse(486)
