"""Session-ID: both sides of a call know it by one name, whoever speaks of it (RFC 7989)."""

import re

import pytest

from softswitch.sip.sessionid import NIL, new_uuid, sender_uuid, written

ALICE, BOB, CAROL = "a" * 32, "b" * 32, "c" * 32

UUID4 = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")


def said(message):
    """The Session-ID of a message: the sender's UUID and the other's."""
    values = message.all("Session-ID")
    assert len(values) <= 1
    local, _, remote = "".join(values).partition(";remote=")
    return local, remote


def identified(uuid, remote=""):
    """A Session-ID field."""
    return [("Session-ID", written(uuid, remote))]


def sent(stage, *, to="", since=0):
    """Every message of the switch, or to a host: the first word that matters -> its Session-ID."""
    here = stage.address[0]
    found = []
    for carried in stage.network.log[since:]:
        if carried.source[0] != here or (to and carried.to[0] != to):
            continue
        words = carried.data.partition(b"\r\n")[0].decode().split()
        value = re.search(rb"\r\nSession-ID: ([^\r]*)", carried.data)
        word = words[1] if words[0] == "SIP/2.0" else words[0]
        found.append((word, value[1].decode() if value else ""))
    return found


def test_uuids():
    """Of version 4, in 32 lower-case digits (RFC 7989 4.1); the nil UUID is nobody's."""
    assert len({new_uuid() for _ in range(100)}) == 100
    assert all(UUID4.fullmatch(new_uuid()) for _ in range(100))
    assert sender_uuid(written(ALICE)) == ALICE
    assert sender_uuid(f"{ALICE.upper()} ;x=y") == ALICE
    assert sender_uuid(ALICE) == ALICE  # RFC 7329
    for wrong in ("", NIL, written(NIL, ALICE), "a" * 31, "a" * 33, "g" * 32, f";{ALICE}"):
        assert sender_uuid(wrong) == ""


def test_it_crosses_as_if_we_were_not_there(stage):
    """Each end hears of the other's UUID: the callee with the INVITE, whose own is not known yet;
    the caller with the first answer; everybody with everything from then on (RFC 7989 6, 7)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    before = len(stage.network.log)
    line = alice.call("bob", fields=identified(ALICE))
    stage.settle()
    assert said(bob.line.invite) == (ALICE, NIL)
    bob.ring(fields=identified(BOB, ALICE))
    stage.settle()
    assert said(line.responses[-1]) == (BOB, ALICE)
    bob.answer(fields=identified(BOB, ALICE))
    stage.settle()
    assert said(line.responses[-1]) == (BOB, ALICE)
    line.request("BYE", fields=identified(ALICE, BOB))
    stage.settle()
    to_bob = sent(stage, to=bob.host, since=before)
    assert [each for each in to_bob if each[0] in ("ACK", "BYE")] == [
        ("ACK", written(ALICE, BOB)),
        ("BYE", written(ALICE, BOB)),
    ]
    assert sent(stage, to=alice.host, since=before)[-1] == ("200", written(BOB, ALICE))
    (record,) = stage.records
    assert record.session_id == written(ALICE, BOB)


def test_ends_that_know_nothing_of_it(stage):
    """Get a UUID of ours, the same in the whole call, so that both legs are found by either
    (RFC 7989 7)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    bob.answer()
    stage.settle()
    caller, nobody = said(bob.line.invite)
    assert UUID4.fullmatch(caller)
    assert nobody == NIL
    callee, remote = said(line.responses[-1])
    assert UUID4.fullmatch(callee)
    assert remote == caller
    assert said(line.responses[-2]) == (callee, caller)
    alice.hang_up()
    stage.settle()
    assert stage.records[0].session_id == written(caller, callee)
    assert stage.house.recorder.find(callee).id == stage.records[0].id


def test_nobody_answers(stage):
    """A refusal bears one, too: ours for the end that was never there."""
    alice = stage.phone("alice")
    line = alice.call("nobody", fields=identified(ALICE))
    stage.settle()
    assert line.statuses[-1] == 404
    ours, remote = said(line.responses[-1])
    assert UUID4.fullmatch(ours)
    assert remote == ALICE
    assert stage.records[0].session_id == written(ALICE)


def test_a_cancelled_call(stage):
    """CANCEL, and the ACK of what comes of it, bear that of their INVITE (RFC 7989 6)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    before = len(stage.network.log)
    line = alice.call("bob", fields=identified(ALICE))
    bob.ring(fields=identified(BOB, ALICE))
    stage.settle()
    line.cancel()
    stage.settle()
    values = dict(sent(stage, to=bob.host, since=before))
    assert values["CANCEL"] == values["ACK"] == values["INVITE"] == written(ALICE)
    stage.run(40)


def test_a_transfer(make_stage):
    """Whoever talks to another than before hears of his UUID (RFC 7989 10.4): the new callee of the
    transferee's, the transferee of the new callee's once he has answered."""
    stage = make_stage()
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob", fields=identified(ALICE))
    bob.answer(fields=identified(BOB, ALICE))
    carol.answers(180, 200, fields=identified(CAROL, ALICE))
    bob.line.refer(bob.uri("carol"))
    stage.run(5)
    assert said(carol.line.invite) == (ALICE, NIL)
    before = len(stage.network.log)
    assert line.stands
    carol.line.request("INFO")
    carol.hang_up()
    stage.run(1)
    assert dict(sent(stage, to=alice.host, since=before))["BYE"] == written(CAROL, ALICE)
    bob.hang_up()


@pytest.mark.parametrize("value", [NIL, "x", written(NIL, NIL), "a" * 500])
def test_what_is_no_session_id_is_none(make_stage, value):
    """It is as if the peer had said nothing: ours stands for it."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob", fields=[("Session-ID", value)])
    bob.answer()
    assert UUID4.fullmatch(said(bob.line.invite)[0])
    alice.hang_up()


def test_it_can_be_turned_off(make_stage):
    """Then no message of ours bears one, be it asked or not, and neither does the record."""
    stage = make_stage({"switch": {"session_id": False}})
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob", fields=identified(ALICE))
    bob.answer(fields=identified(BOB, ALICE))
    alice.hang_up()
    assert {value for _, value in sent(stage)} == {""}
    assert stage.records[0].session_id == ""
