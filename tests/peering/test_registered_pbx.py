"""A PBX that registers to us as a trunk."""

import pytest

from softswitch.sip.fields import NameAddr

PBX = {
    "pbx": {
        "registers": True,
        "inbound_username": "office",
        "inbound_password": "secret",
        "numbers": [r"\+4420[0-9]"],
    }
}


@pytest.fixture(params=["UDP", "TCP"])
def stage(request, make_stage, engine):
    """One to which a PBX may register, for each transport and engine."""
    return make_stage(PBX, engine=engine, transport=request.param)


def office(stage, **options):
    """The PBX."""
    return stage.phone("office", password="secret", register=False, **options)


def test_all_its_numbers_go_to_where_it_registered(stage):
    """Contact's place with the number in the Request-URI, over the flow on which it registered; To
    has the number in our domain (RFC 3261 16.5)."""
    alice, pbx = stage.phone("alice"), office(stage, port=5075)
    pbx.private = "<sip:trunk-7@192.168.1.5:5060;line=x>"
    assert pbx.register() == 200
    for number in ("+44201", "anything", "*31#1"):
        line = alice.call(f"9{number}")
        invite = pbx.line.invite
        uri = invite.request_uri
        assert uri.unquoted_user == number
        assert (uri.host, uri.port, uri.params) == ("192.168.1.5", 5060, {"line": "x"})
        assert (invite.to.uri.unquoted_user, invite.to.uri.host) == (number, "127.88.0.1")
        pbx.answer()
        assert line.statuses == [200]
        alice.hang_up()
        assert pbx.line.over
    assert stage.records[-1].attempts[0].trunk == "pbx"


def test_its_calls_are_the_trunks(stage):
    """It proves itself in each call, is the trunk, and may show what it owns."""
    alice, pbx = stage.phone("alice"), office(stage)
    assert pbx.register() == 200
    line = pbx.call("alice", caller='"Desk" <sip:+44203@pbx.example>')
    alice.answer()
    assert line.statuses == [200]
    assert alice.line.invite.get("From").startswith('"Desk" <sip:+44203@127.88.0.1>')
    alice.hang_up()
    assert line.over
    assert (stage.records[-1].identity_kind, stage.records[-1].identity) == ("trunk", "pbx")
    assert pbx.call("alice", caller="<sip:+1@pbx.example>").statuses == [403]


def test_one_that_is_not_registered_cannot_be_called(stage):
    """As a trunk without a member that is up, before it has registered and after it has gone."""
    alice, pbx = stage.phone("alice"), office(stage)
    line = alice.call("9+44201")
    assert line.statuses == [500]
    assert line.responses[-1].get("Reason") == "Q.850;cause=38"
    assert pbx.register() == 200
    assert pbx.register(expires=0) == 200
    assert alice.call("9+44201").statuses == [500]


def test_nobody_registers_in_its_place(stage):
    """Not without its password, not under another name, and it not in a user's place (10.3)."""
    stranger = stage.phone("office", password="wrong", register=False)
    assert stranger.register() == 401
    alice = stage.phone("alice")
    request = alice.request("REGISTER", "sip:127.88.0.1", to="<sip:office@127.88.0.1>")
    answers = []
    alice.ask(request, lambda response: answers.append(response.status))
    stage.run(2.5)
    assert answers == [403], "a user registers himself alone"
    pbx = office(stage)
    pbx.name = "office"
    request = pbx.request("REGISTER", "sip:127.88.0.1", to="<sip:alice@127.88.0.1>")
    pbx.ask(request, lambda response: answers.append(response.status))
    stage.run(2.5)
    assert answers == [403, 403]


def test_it_is_where_it_registered_last(make_stage, engine):
    """One place at a time: calls go to the new address, and none to the old one."""
    stage = make_stage(PBX, engine=engine)
    alice, old = stage.phone("alice"), office(stage)
    assert old.register() == 200
    new = office(stage)
    assert new.register() == 200
    line = alice.call("9+44201")
    new.refuse(486)
    assert line.statuses == [486]
    assert old.lines == []


@pytest.mark.parametrize("calling", [False, True])
def test_a_call_follows_it_to_another_address(make_stage, engine, calling):
    """It registers from another port, then another host, in mid-call: what is sent to it within the
    call goes where it is now, with the target that it gave (RFC 3261 12.2), and it is heard from
    there."""
    stage = make_stage(PBX, engine=engine)
    alice, pbx = stage.phone("alice"), office(stage)
    pbx.private = "<sip:office@192.168.1.5:5060>"
    alice.can()
    pbx.can()
    assert pbx.register() == 200
    if calling:
        line = pbx.call("alice", caller="<sip:+44201@pbx.example>")
        alice.answer()
        far = alice.line
    else:
        far = alice.call("9+44201")
        pbx.answer()
        line = pbx.line
    pbx.move(5099)
    assert pbx.register() == 200
    far.request("INFO")
    assert far.final == 200
    assert line.got("INFO").uri.endswith("@192.168.1.5:5060")
    line.request("INFO")
    assert line.final == 200
    assert far.got("INFO") is not None
    alice.hang_up()
    assert line.over
    assert line.got("BYE") is not None


def test_a_call_that_rings_follows_it_too(make_stage):
    """The CANCEL is of the INVITE's transaction and goes where that went (RFC 3261 9.1); the next
    call goes to the new place."""
    stage = make_stage(PBX)
    alice, pbx = stage.phone("alice"), office(stage)
    assert pbx.register() == 200
    line = alice.call("9+44201")
    pbx.ring()
    new = office(stage)
    assert new.register() == 200
    alice.cancel()
    assert line.statuses == [180, 487]
    assert "CANCEL" in pbx.line.methods
    line = alice.call("9+44202")
    new.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert NameAddr.parse(new.line.local).uri.user == "+44202"


def test_a_refresh_moves_nothing(make_stage):
    """A call that came in on another flow than the PBX registers on stays on its own."""
    stage = make_stage(PBX)
    alice, pbx = stage.phone("alice"), office(stage)
    out = office(stage, port=5066)
    alice.can()
    out.can()
    assert pbx.register() == 200
    line = out.call("alice", caller="<sip:+44201@pbx.example>")
    alice.answer()
    pbx.move(5077)
    assert pbx.register() == 200
    alice.line.request("INFO")
    assert line.got("INFO") is not None
    alice.hang_up()
    assert line.over
