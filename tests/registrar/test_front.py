"""The registrar front: phones register through the switch at a PBX, which knows the passwords."""

import pytest

from softswitch.errors import ConfigError
from softswitch.sip.fields import NameAddr
from softswitch.testing.pbx import REALM
from softswitch.testing.stage import Stage

PBX = "127.88.0.40"
USERS = {"dave": "secret", "erin": "hidden"}


def config(front="", trunk="", addresses=(PBX,)):
    """A switch with three users of its own, in front of a PBX that knows everybody else."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    return f"""
[trunks.pbx]
addresses = [{listed}]
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
    """A switch, its PBX, and dave's phone, which has registered unless it is told not to."""

    def __init__(self, stage, register=True):
        self.stage = stage
        self.pbx = stage.pbx(PBX, USERS)
        self.dave = stage.phone("dave", password="secret", register=False)
        if register:
            assert self.dave.register() == 200

    @property
    def bindings(self):
        return self.stage.house.bindings.contacts(f"dave@{self.stage.house.domain}")

    @property
    def heard(self):
        """How many REGISTERs the PBX has got."""
        return len(self.pbx.registers)


def answer(phone, status):
    """The last response that a phone got, which has this status."""
    found = [message for _, message, _ in phone.received if getattr(message, "status", 0)]
    assert found[-1].status == status
    return found[-1]


def test_credentials_and_challenges_cross_and_the_contact_is_ours():
    """The PBX knows the password: its challenge reaches the phone, the phone's credentials reach
    it, and the Contact that it stores leads to the switch (RFC 3261 10.2, 22)."""
    with Stage(config()) as stage:
        house = House(stage)
        first, second = house.pbx.registers
        assert first.get("Authorization") is None
        assert second.get("Authorization") == house.dave.registration.get("Authorization")
        challenge = next(m for _, m, _ in house.dave.received if getattr(m, "status", 0) == 401)
        assert f'realm="{REALM}"' in challenge.get("WWW-Authenticate")
        contact = NameAddr.parse(second.get("Contact"))
        assert (contact.uri.host, contact.uri.port) == stage.address
        assert contact.uri.user.startswith("front-")
        assert second.to.uri.user == "dave"
        # Two requests of one registration (10.2): in order, and under one Call-ID.
        assert first.call_id == second.call_id != house.dave.registration.call_id
        assert first.cseq.number < second.cseq.number
        (binding,) = house.bindings
        assert binding.contact == f"sip:dave@{house.dave.host}:5060"
        assert binding.flow.remote_host == house.dave.host


def test_the_phone_comes_back_often_and_the_pbx_is_asked_for_long():
    """A short interval outside keeps the NAT open, a long one inside spares the PBX."""
    with Stage(config("ask = 1800\nmax_expires = 90\n")) as stage:
        house = House(stage)
        assert NameAddr.parse(house.pbx.registers[-1].get("Contact")).expires == 1800
        shown = NameAddr.parse(answer(house.dave, 200).get("Contact"))
        assert str(shown.uri) == f"sip:dave@{house.dave.host}:5060"
        assert shown.expires == 90


def test_a_pbx_that_grants_less_is_not_exceeded():
    """What the phone gets never outlasts what the PBX has granted."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        house.pbx.grants = 40
        assert house.dave.register() == 200
        assert NameAddr.parse(answer(house.dave, 200).get("Contact")).expires == 40


def test_refreshes_are_answered_here_until_the_grant_runs_out():
    """Within what the PBX has granted a refresh from the same flow does not reach it; the last
    one that would outlast it does."""
    with Stage(config("ask = 600\nmax_expires = 120\n")) as stage:
        house = House(stage)
        for _ in range(4):
            stage.run(100)
            assert house.dave.register(again=True) == 200
            assert NameAddr.parse(answer(house.dave, 200).get("Contact")).expires == 120
        assert house.heard == 2
        stage.run(100)
        assert house.dave.register(again=True) == 200
        assert house.heard == 4, "challenged, and accepted"
        assert house.pbx.registers[-1].get("Contact").startswith(f"<{house.pbx.token('dave')}>")


@pytest.mark.parametrize("change", ["expires", "flow", "call-id", "q", "username"])
def test_a_refresh_that_changes_something_goes_to_the_pbx(change):
    """Only a refresh that changes nothing, from the flow on which the password was proved, is
    answered here: an un-REGISTER, another source, a reboot, another preference, or somebody
    else's credentials are the PBX's to judge."""
    with Stage(config()) as stage:
        house = House(stage)
        dave = house.dave
        stage.run(10)
        if change == "expires":
            dave.register(0, again=True)
        elif change == "flow":
            dave.private = dave.contact
            dave.move(5099)
            dave.register(again=True)
        elif change == "call-id":
            dave.register()
        elif change == "q":
            dave.private = f"{dave.contact};q=0.3"
            dave.register(again=True)
        else:
            given = dave.registration.get("Authorization").replace('"dave"', '"erin"')
            dave.register(again=True, fields=[("Authorization", given)])
        assert house.heard > 2


def test_a_stranger_at_another_address_gets_nothing_by_it():
    """Who knows all of a registration but the password is challenged by the PBX, and the binding
    stays as it was."""
    with Stage(config()) as stage:
        house = House(stage)
        before = house.bindings
        thief = stage.phone("dave", password="guess", register=False)
        thief.private = house.dave.contact
        thief.registration = house.dave.registration
        assert thief.register(again=True) == 401
        assert house.bindings == before


def test_an_unregister_reaches_the_pbx_and_the_binding_goes():
    """Expires 0 is never answered here: PBX and switch forget the contact together."""
    with Stage(config()) as stage:
        house = House(stage)
        assert house.dave.register(0, again=True) == 200
        assert house.pbx.contacts["dave"] == {}
        assert house.bindings == []
        assert answer(house.dave, 200).get("Contact") is None


def test_an_unregister_of_a_forgotten_contact_still_reaches_the_pbx():
    """A phone that comes back after its binding has expired here removes what the PBX still
    holds: its token is the same as before."""
    with Stage(config()) as stage:
        house = House(stage)
        token = house.pbx.token("dave")
        stage.run(200)
        assert house.bindings == []
        assert house.pbx.token("dave") == token
        assert house.dave.register(0) == 200
        assert house.pbx.contacts["dave"] == {}


def test_star_removes_everything():
    """``Contact: *`` with Expires 0 goes to the PBX as it is (RFC 3261 10.2.2)."""
    with Stage(config()) as stage:
        house = House(stage)
        dave = house.dave
        dave.private = "*"
        assert dave.register(0, again=True) == 200
        assert house.pbx.registers[-1].get("Contact") == "*"
        assert house.pbx.contacts["dave"] == {}
        assert house.bindings == []


def test_several_contacts_get_a_token_each():
    """Each contact of a REGISTER is known to the PBX by a token of its own."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        dave = house.dave
        dave.private = f"<sip:dave@{dave.host}:5060>, <sip:dave@{dave.host}:5070>;q=0.5"
        assert dave.register() == 200
        tokens = list(house.pbx.contacts["dave"])
        assert len(set(tokens)) == 2
        assert ";q=0.5" in house.pbx.contacts["dave"][tokens[1]]
        assert len(house.bindings) == 2
        # One goes, the other stays.
        dave.private = f"<sip:dave@{dave.host}:5070>"
        assert dave.register(0, again=True) == 200
        assert list(house.pbx.contacts["dave"]) == tokens[:1]
        assert [each.contact for each in house.bindings] == [f"sip:dave@{dave.host}:5060"]


def test_a_question_shows_the_contacts_that_are_ours():
    """Who asks sees his contacts, and nothing of one that is registered inside."""
    with Stage(config()) as stage:
        house = House(stage)
        house.pbx.contacts["dave"]["sip:dave@10.9.8.7"] = "<sip:dave@10.9.8.7>;expires=99"
        house.dave.private = f"<sip:dave@{house.dave.host}:5062>"
        assert house.dave.register() == 200
        shown = [NameAddr.parse(value) for value in answer(house.dave, 200).values("Contact")]
        assert [each.uri.port for each in shown] == [5060, 5062]


def test_a_contact_that_the_pbx_does_not_list_is_not_registered():
    """A PBX that answers 200 with others' contacts alone has not taken this one."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        house.pbx.grants = 0
        house.pbx.says = [("Contact", "<sip:dave@10.9.8.7>;expires=99")]
        assert house.dave.register() == 200
        assert answer(house.dave, 200).get("Contact") is None
        assert house.bindings == []


def test_a_pbx_that_lists_no_contacts_is_believed():
    """Some answer 200 and no more: then Expires says how long, or what it was asked for."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        house.pbx.grants = 0  # it stores nothing that it could list
        house.pbx._register = lambda request: (200, [("Expires", "77")])
        assert house.dave.register() == 200
        assert NameAddr.parse(answer(house.dave, 200).get("Contact")).expires == 77


def test_423_inside_is_our_own_matter():
    """A PBX that wants longer intervals gets them, and the phone hears nothing of it (10.2.8)."""
    with Stage(config("ask = 300\n")) as stage:
        house = House(stage, register=False)
        house.pbx.min_expires = 900
        assert house.dave.register() == 200
        assert NameAddr.parse(house.pbx.registers[-1].get("Contact")).expires == 900
        assert 423 not in [getattr(m, "status", 0) for _, m, _ in house.dave.received]
        erin = stage.phone("erin", password="hidden", register=False)
        asked = house.heard
        assert erin.register() == 200
        assert house.heard == asked + 2, "it is known by now what the PBX wants"


def test_423_outside_is_ours_too():
    """A phone that asks for less than its least interval is told so at once."""
    with Stage(config("min_expires = 60\n")) as stage:
        house = House(stage, register=False)
        assert house.dave.register(30) == 423
        assert answer(house.dave, 423).get("Min-Expires") == "60"
        assert house.heard == 0


@pytest.mark.parametrize("status", [403, 404, 500, 302])
def test_a_refusal_crosses_in_our_own_words(status):
    """A refusal of the PBX is the phone's, its phrase and fields are not; a redirection leads
    inside and is none."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        house.pbx.refusal = status
        house.pbx.says = [
            ("Warning", '399 10.9.8.7 "secret place"'),
            ("Contact", "<sip:10.9.8.7>"),
            ("Retry-After", "99 (10.9.8.7 is down)"),
        ]
        told = 500 if status == 302 else status
        assert house.dave.register() == told
        response = answer(house.dave, told)
        assert b"10.9.8.7" not in response.encode()
        assert response.get("Retry-After") == "99"
        assert house.bindings == []


def test_a_challenge_does_not_say_where_it_is_from():
    """``domain`` of a challenge names the PBX's servers, and no digest depends on it (RFC 7616
    3.3): it stays inside."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        challenge = (
            'Digest domain="sip:10.9.8.7 sip:pbx.inside", realm="pbx", nonce="n1", qop="auth"'
        )
        house.pbx._challenge = lambda: ("WWW-Authenticate", challenge)
        assert house.dave.register() == 200
        first = next(m for _, m, _ in house.dave.received if getattr(m, "status", 0) == 401)
        assert first.get("WWW-Authenticate") == 'Digest realm="pbx", nonce="n1", qop="auth"'


def test_a_silent_pbx_leaves_what_stands():
    """503 with Retry-After before the phone's own timer runs out; its binding lives until it
    expires."""
    with Stage(config()) as stage:
        house = House(stage)
        house.pbx.silent = True
        house.dave.register()
        stage.run(31)
        assert house.dave.registered == 503
        assert answer(house.dave, 503).get("Retry-After") == "30"
        assert len(house.bindings) == 1
        stage.run(120)
        assert house.bindings == []


def test_the_pbx_s_next_address_is_tried():
    """An address that is silent is passed over after ``try_seconds``, one that says 503 at once."""
    with Stage(config(addresses=["127.88.0.41", "127.88.0.42", PBX])) as stage:
        stage.network.silent.add("127.88.0.41")
        broken = stage.pbx("127.88.0.42", {})
        broken.refusal = 503
        house = House(stage, register=False)
        house.dave.register()
        stage.run(10)
        assert house.dave.registered == 200
        assert len(broken.registers) == 2


def test_after_silence_every_grant_is_had_anew():
    """A PBX that was silent may have restarted, and forgotten everybody: the next refresh of each
    phone goes to it although its grant has not run out."""
    with Stage(config()) as stage:
        house = House(stage)
        erin = stage.phone("erin", password="hidden", register=False)
        assert erin.register() == 200
        house.pbx.silent = True
        house.dave.register()
        stage.run(31)
        house.pbx.silent = False
        house.pbx.restart()
        stage.run(20)
        assert house.dave.register() == 200
        assert erin.register(again=True) == 200
        assert set(house.pbx.contacts) == {"dave", "erin"}


def test_a_pbx_that_calls_have_found_out_may_have_forgotten():
    """What calls or checks find out of a trunk's member counts: once it is back, the next refresh
    of each phone goes to it."""
    with Stage(config()) as stage:
        house = House(stage)
        house.pbx.restart()
        house.dave.call("200")
        house.pbx.refuse(503)
        stage.run(20)
        assert house.dave.register(again=True) == 200
        assert list(house.pbx.contacts) == ["dave"]


def test_a_restart_that_is_known_of_renews_every_grant():
    """``Fronts.renew``: whoever knows that the PBX has come back says so."""
    with Stage(config()) as stage:
        house = House(stage)
        stage.run(5)
        house.pbx.restart()
        assert house.dave.register(again=True) == 200
        assert house.pbx.contacts == {}
        stage.house.fronts.renew("pbx")
        stage.run(5)
        assert house.dave.register(again=True) == 200
        assert list(house.pbx.contacts) == ["dave"]


def test_a_contact_that_the_pbx_has_dropped_is_had_anew():
    """A 200 that lists other contacts of the same address without a phone's ends its grant: its
    next refresh goes to the PBX."""
    with Stage(config()) as stage:
        house = House(stage)
        other = stage.phone("dave", password="secret", register=False)
        house.pbx.restart()
        assert other.register() == 200
        asked = house.heard
        assert house.dave.register(again=True) == 200
        assert house.heard == asked + 2
        assert len(house.pbx.contacts["dave"]) == 2


def test_a_pbx_that_asks_nobody_for_a_password_proves_nothing():
    """Accepted without a challenge, a phone can be called; but none of its refreshes is answered
    here, credentials that nobody asked for or not, and its calls are not let in by its flow."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        house.pbx.challenges = False
        given = 'Digest username="dave", realm="pbx", nonce="0", uri="sip:x", response="0"'
        assert house.dave.register(fields=[("Authorization", given)]) == 200
        assert house.dave.register(again=True) == 200
        assert house.heard == 2
        assert house.dave.call("200").statuses == [401]
        assert house.pbx.lines == []
        house.dave.hang_up()


def test_path_goes_to_who_knows_it():
    """RFC 3327 5.2: a PBX that has said ``Supported: path`` gets ours from then on."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        house.pbx.says = [("Supported", "path")]
        assert house.dave.register() == 200
        first, second = house.pbx.registers
        assert first.get("Path") is None
        host, port = stage.address
        assert second.get("Path") == f"<sip:{host}:{port};lr>"
        assert second.get("Supported") == "path"
        house.pbx.call(house.pbx.token("dave"), fields=[("Route", second.get("Path"))])
        house.dave.answer()
        house.dave.hang_up()


@pytest.mark.parametrize(("path", "sent"), [("always", True), ("never", False)])
def test_path_as_configured(path, sent):
    """``path`` says whether it goes along, whatever the PBX says."""
    with Stage(config(f'path = "{path}"\n')) as stage:
        house = House(stage, register=False)
        house.pbx.says = [("Supported", "path")]
        assert house.dave.register() == 200
        assert [each.get("Path") is not None for each in house.pbx.registers] == [sent, sent]


def test_the_pbx_s_own_domain():
    """``domain`` stands in Request-URI, From and To towards the PBX; the digest's URI stays the
    phone's, since it is signed."""
    with Stage(config('domain = "pbx.inside"\n')) as stage:
        house = House(stage)
        sent = house.pbx.registers[-1]
        assert sent.uri == "sip:pbx.inside"
        assert str(sent.to.uri) == str(sent.from_.uri) == "sip:dave@pbx.inside"
        assert "pbx.inside" not in sent.get("Authorization")
        assert b"pbx.inside" not in answer(house.dave, 200).encode()


def test_what_a_phone_says_of_itself_reaches_the_pbx():
    """Instance and features of a contact, User-Agent; not what promises flows or GRUUs that the
    switch does not keep (RFC 5626, 5627)."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        instance = '"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
        house.dave.private = (
            f"{house.dave.contact};+sip.instance={instance};reg-id=1;audio;expires=700"
        )
        assert house.dave.register(fields=[("User-Agent", "Phone/1"), ("X-Line", "2")]) == 200
        sent = house.pbx.registers[-1]
        contact = NameAddr.parse(sent.get("Contact"))
        assert contact.params["+sip.instance"] == instance
        assert "audio" in contact.params
        assert "reg-id" not in contact.params
        assert contact.expires == 600
        assert (sent.get("User-Agent"), sent.get("X-Line")) == ("Phone/1", "2")


def test_a_phone_that_moves_keeps_its_token():
    """A phone that comes back with another contact, known by its instance, stays the same contact
    to the PBX (RFC 5626 4.1)."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        dave = house.dave
        instance = '"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
        dave.private = f"<sip:dave@192.168.1.7:5060>;+sip.instance={instance}"
        assert dave.register() == 200
        token = house.pbx.token("dave")
        dave.private = f"<sip:dave@192.168.1.7:6066>;+sip.instance={instance}"
        dave.move(6066)
        assert dave.register() == 200
        assert house.pbx.token("dave") == token
        assert len(house.bindings) == 1


def test_an_old_register_is_refused():
    """One that is older than what it would change gets 500 and does not reach the PBX (10.3 step
    7)."""
    with Stage(config()) as stage:
        house = House(stage)
        old = house.dave.registration.replaced("CSeq", ["1 REGISTER"])
        old = old.replaced("Via", [old.get("Via").replace("branch=z9hG4bK", "branch=z9hG4bKold")])
        old = old.replaced("From", [f"{house.dave.own};tag=another"])
        asked = house.heard
        house.dave.send(old)
        answer(house.dave, 500)
        assert house.heard == asked


def test_a_user_of_ours_registers_here():
    """Who is in our own directory is challenged and registered by the switch, not by the PBX."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        stage.phone("alice")
        assert house.heard == 0


def test_names_that_are_not_the_pbx_s():
    """``match`` says which names are: others are strangers to the switch."""
    with Stage(config('match = "[0-9]{3}"\n')) as stage:
        house = House(stage, register=False)
        assert house.dave.register() == 401
        assert house.heard == 0


def test_a_register_for_another_domain_goes_nowhere():
    """An address of record of somebody else's domain is not passed on."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        request = house.dave.request(
            "REGISTER", "sip:elsewhere.example", to="<sip:dave@elsewhere.example>"
        )
        house.dave.send(request)
        answer(house.dave, 401)
        assert house.heard == 0


def test_tcp_connections_are_known_by_their_serial():
    """Over TCP what was proved belongs to the connection: a new one goes to the PBX although
    nothing else has changed, and what was registered on the old one cannot be reached."""
    with Stage(config()) as stage:
        house = House(stage, register=False)
        dave = stage.phone("dave", password="secret", register=False, transport="TCP")
        dave.private = f"<sip:dave@{dave.host}:5060;transport=tcp>"
        assert dave.register() == 200
        assert dave.register(again=True) == 200
        assert house.heard == 2
        (old,) = house.bindings
        assert old.flow.reliable
        dave.move(5061)
        assert house.bindings[0].reachable is False
        assert dave.register(again=True) == 200
        assert house.heard == 4
        assert house.bindings[0].flow.serial != old.flow.serial


@pytest.mark.parametrize(
    ("front", "wrong"),
    [
        ("max_expires = 30\n", "min_expires <= max_expires"),
        ("ask = 60\n", "ask: at least max_expires"),
        ("max_contacts = 0\n", "max_contacts"),
        ('match = "["\n', "no regular expression"),
    ],
)
def test_options_that_cannot_be_right(front, wrong):
    """What cannot be right stops the start, with what would be."""
    with pytest.raises(ConfigError, match=wrong):
        Stage(config(front))


def test_a_trunk_that_does_not_exist():
    """The PBX is named by its trunk."""
    with pytest.raises(ConfigError, match="no trunk 'pbx'"):
        Stage(config().replace("[trunks.pbx]", "[trunks.other]"))
