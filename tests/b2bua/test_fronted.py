"""Calls between a PBX and the phones that have registered at it through the switch."""

import pytest

from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.testing.pbx import REALM
from softswitch.testing.stage import Stage

PBX = "127.88.0.40"
USERS = {"dave": "secret", "erin": "hidden"}


def config(front="", trunk=""):
    """A switch with three users of its own, in front of a PBX that knows everybody else."""
    return f"""
[trunks.pbx]
addresses = ["{PBX}"]
{trunk}
[[policy]]
use = "trunks"
[[policy]]
use = "front"
trunk = "pbx"
{front}
[[policy]]
use = "users"
[[policy]]
use = "registration"
[[policy]]
use = "located"
"""


class House:
    """A switch, its PBX, and dave's phone, which has registered."""

    def __init__(self, stage):
        self.stage = stage
        self.pbx = stage.pbx(PBX, USERS)
        self.dave = self.phone("dave", "secret")

    def phone(self, name, password):
        phone = self.stage.phone(name, password=password, register=False)
        assert phone.register() == 200
        return phone


def test_the_pbx_calls_a_phone_by_its_token():
    """What the PBX sends to the Contact that it knows rings the phone at its own contact, along the
    flow on which it registered, under its own address."""
    with Stage(config()) as stage:
        house = House(stage)
        call = house.pbx.call(house.pbx.token("dave"), caller=f"<sip:200@{PBX}>")
        invite = house.dave.line.invite
        assert invite.uri == f"sip:dave@{house.dave.host}:5060"
        assert str(invite.to.uri) == f"sip:dave@{stage.house.domain}"
        assert invite.from_.uri.user == "200"
        house.dave.ring()
        house.dave.answer()
        assert call.statuses == [180, 200]
        house.pbx.hang_up()
        assert house.dave.line.over
        assert stage.records[0].identity == "pbx"


def test_a_phone_behind_a_nat_is_called_where_it_registered():
    """The private address in its Contact stands in the Request-URI; the flow leads there."""
    with Stage(config()) as stage:
        house = House(stage)
        house.dave.private = "<sip:dave@192.168.7.9:5060>"
        assert house.dave.register() == 200
        uris = list(house.pbx.contacts["dave"])
        house.pbx.call(uris[-1])
        assert house.dave.line.invite.uri == "sip:dave@192.168.7.9:5060"
        house.dave.answer()
        house.dave.hang_up()


def test_a_token_that_is_no_more():
    """A phone whose binding has expired here, though the PBX still believes in it, is not there:
    480, and its token is nobody's number."""
    with Stage(config()) as stage:
        house = House(stage)
        token = house.pbx.token("dave")
        stage.run(200)
        assert house.pbx.call(token).statuses == [480]
        assert house.pbx.call(f"sip:front-0@{stage.address[0]}").statuses == [480]


def test_a_token_is_for_its_pbx_alone():
    """Nobody else reaches a phone by the Contact that stands at the PBX."""
    with Stage(config()) as stage:
        house = House(stage)
        token = house.pbx.token("dave")
        assert stage.phone("alice").call(token).statuses == [404]
        assert house.dave.lines == []


def test_qualify_finds_the_phone_as_long_as_it_is_registered():
    """OPTIONS to the token gets what an INVITE would (RFC 3261 11.2): 200, then 480."""
    with Stage(config()) as stage:
        house = House(stage)
        token = house.pbx.token("dave")
        for expected in (200, 480):
            house.pbx.send(house.pbx.request("OPTIONS", token, caller=f"<sip:pbx@{PBX}>;tag=1"))
            assert house.pbx.received[-1][1].status == expected
            stage.run(200)


def test_a_phone_calls_through_to_the_pbx():
    """It is known by the flow on which its password was proved, and needs no account here; the PBX
    sees who calls and what was dialled."""
    with Stage(config()) as stage:
        house = House(stage)
        call = house.dave.call("200")
        invite = house.pbx.line.invite
        assert invite.uri == f"sip:200@{PBX}"
        assert invite.from_.uri.user == "dave"
        assert invite.get("P-Asserted-Identity") is None, "nobody vouches for a forgeable address"
        house.pbx.answer()
        assert call.statuses == [200]
        house.dave.hang_up()
        assert (stage.records[0].identity_kind, stage.records[0].identity) == ("phone", "dave")


def test_a_challenge_to_a_call_reaches_the_phone_and_its_answer_the_pbx():
    """``challenges``: the PBX's 401 to our INVITE is the phone's to answer (RFC 3261 22.2), and
    what it proves reaches the PBX untouched."""
    with Stage(config()) as stage:
        house = House(stage)
        house.pbx.challenges_calls = True
        call = house.dave.call("200")
        given = call.newest.get("Authorization")
        assert f'realm="{REALM}"' in given
        assert house.pbx.line.invite.get("Authorization") == given
        house.pbx.answer()
        assert call.statuses == [200]
        house.pbx.hang_up()
        assert [record.status for record in stage.records] == [401, 200]


def test_a_challenge_that_the_phone_cannot_answer_ends_its_call():
    """A phone with the wrong password hears 401 again, and nothing is left."""
    with Stage(config()) as stage:
        house = House(stage)
        house.pbx.challenges_calls = True
        house.dave.password = "forgotten"
        assert house.dave.call("200").statuses == [401]
        assert house.pbx.lines == []


def test_challenges_answered_by_the_trunk():
    """``challenges = "answer"``: the switch proves the trunk's password, as everywhere else."""
    own = 'username = "dave"\npassword = "secret"\n'
    with Stage(config('challenges = "answer"\n', own)) as stage:
        house = House(stage)
        house.pbx.challenges_calls = True
        call = house.dave.call("200")
        assert call.newest.get("Authorization") is None
        house.pbx.answer()
        assert call.statuses == [200]
        house.pbx.hang_up()


def test_a_challenge_to_what_others_send_does_not_cross():
    """Only phones of the PBX are asked by it: a call from elsewhere fails with 403."""
    dial = """
[[policy]]
use = "dialplan"
[[policy.rules]]
match = "2[0-9]+"
trunk = "pbx"
"""
    with Stage(config() + dial) as stage:
        house = House(stage)
        house.pbx.challenges_calls = True
        call = stage.phone("alice").call("200")
        assert call.statuses == [403]
        assert call.responses[-1].get("WWW-Authenticate") is None


def test_what_is_proved_to_us_stays_here():
    """Credentials for our own realm never reach a peer that passes its challenges."""
    with Stage(config()) as stage:
        house = House(stage)
        said = 'Digest username="dave", realm="{}", nonce="0", uri="sip:x", response="0"'
        ours, theirs = said.format(stage.config.realm), said.format("elsewhere")
        fields = [("Authorization", ours), ("Authorization", theirs)]
        house.dave.call("200", fields=fields)
        assert house.pbx.line.invite.all("Authorization") == [theirs]
        house.pbx.answer()
        house.dave.hang_up()


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE"])
def test_challenges_outside_of_calls(method):
    """A MESSAGE or SUBSCRIBE of a phone is challenged and proved the same way."""
    with Stage(config()) as stage:
        house = House(stage)
        house.pbx.challenges_calls = True
        house.pbx.can()
        line = house.dave.dial("200")
        line.request(method, [("Event", "dialog")] if method == "SUBSCRIBE" else [])
        assert line.final == 200
        proved = [r for _, r, _ in house.pbx.received if getattr(r, "method", "") == method]
        assert [r.get("Authorization") is None for r in proved] == [True, False]
        stage.run(4000)


@pytest.mark.parametrize("refused", ["INVITE", "INFO"])
def test_challenges_within_a_call(refused):
    """A re-INVITE, or a request that is relayed, is challenged by the PBX and proved by the phone;
    the call stands meanwhile (RFC 3261 14.1)."""
    with Stage(config()) as stage:
        house = House(stage)
        house.dave.can()
        house.pbx.can()
        call = house.dave.call("200")
        house.pbx.answer()
        line = house.pbx.line
        challenge = house.pbx._challenge()
        if refused == "INVITE":
            call.reinvite(house.dave.sdp(version=2))
            line.respond(401, fields=[challenge])
            given = call.newest.get("Authorization")
            assert given
            assert line.invite.get("Authorization") == given
            house.pbx.answer()
            assert call.statuses == [200]
        else:
            line.answers["INFO"] = 0
            call.request("INFO")
            asked = line.got("INFO")
            house.pbx.respond(asked, answer_to(asked, 401, challenge), stage.address)
            stage.settle()
            proved = line.got("INFO")
            assert proved.get("Authorization") is not None
            house.pbx.respond(proved, answer_to(proved, 200), stage.address)
            stage.settle()
            assert call.final == 200
        house.dave.hang_up()


def answer_to(request, status, *fields):
    """A final answer within a dialog."""
    return compose.response(request, status, fields=fields)


def test_a_stranger_on_another_flow_is_not_let_in():
    """Somebody else's address in From, from where nobody has proved a password: challenged by the
    switch itself, and the PBX hears nothing."""
    with Stage(config()) as stage:
        house = House(stage)
        thief = stage.phone("dave", register=False, password="")
        assert thief.call("200").statuses == [401]
        # Nor may a phone that did prove one call in another's name.
        assert house.dave.call("200", caller=f"<sip:erin@{stage.address[0]}>").statuses == [401]
        assert house.pbx.lines == []


def test_a_phone_that_has_left_is_not_let_in():
    """After un-registering, and after its binding has run out, its flow opens nothing."""
    with Stage(config()) as stage:
        house = House(stage)
        house.dave.register(0, again=True)
        assert house.dave.call("200").statuses == [401]
        erin = house.phone("erin", "hidden")
        stage.run(130)
        erin.password = ""
        assert erin.call("200").statuses == [401]


def test_messages_and_lamps_of_the_pbx_reach_the_phone():
    """What the PBX sends to a token outside of a call goes to the phone: a MESSAGE, a NOTIFY of
    waiting messages."""
    with Stage(config()) as stage:
        house = House(stage)
        house.dave.can()
        token, caller = house.pbx.token("dave"), f"<sip:200@{PBX}>;tag=1"
        waiting = [("Event", "message-summary"), ("Subscription-State", "active")]
        for method, fields in (("MESSAGE", []), ("NOTIFY", waiting)):
            house.pbx.send(house.pbx.request(method, token, caller=caller, fields=fields))
            stage.run(1)
        assert [request.method for request in house.dave.requests] == ["MESSAGE", "NOTIFY"]


def test_two_phones_of_one_name_ring_both_when_the_pbx_forks():
    """Each has a token of its own, and each call of the PBX finds its phone."""
    with Stage(config()) as stage:
        house = House(stage)
        second = house.phone("dave", "secret")
        first, other = list(house.pbx.contacts["dave"])
        one, two = house.pbx.call(first), house.pbx.call(other)
        house.dave.refuse(486)
        second.answer()
        assert (one.statuses, two.statuses) == ([486], [200])
        second.hang_up()


def test_a_called_phone_that_connects_anew_is_found():
    """A phone whose connection broke during its call, and that has registered anew, gets the BYE
    over the new one."""
    with Stage(config()) as stage:
        house = House(stage)
        dave = stage.phone("dave", password="secret", register=False, transport="TCP")
        dave.private = f"<sip:dave@{dave.host}:5060;transport=tcp>"
        assert dave.register() == 200
        call = dave.call("200")
        house.pbx.answer()
        assert call.statuses == [200]
        dave.move(5061)
        assert dave.register(again=True) == 200
        house.pbx.hang_up()
        stage.run(1)
        assert call.over


def test_a_call_keeps_the_display_name():
    """Names cross both ways, as numbers do."""
    with Stage(config()) as stage:
        house = House(stage)
        caller = f'"Dave D." <sip:dave@{stage.address[0]}>'
        house.dave.call("200", caller=caller)
        assert NameAddr.parse(house.pbx.line.invite.get("From")).display == "Dave D."
        house.pbx.answer()
        house.dave.hang_up()
