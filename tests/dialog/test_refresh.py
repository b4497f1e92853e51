"""Session timers (RFC 4028), and the probe of peers that have none."""

import pytest

from softswitch.dialog.refresh import too_brief
from softswitch.errors import SipSyntaxError
from softswitch.plugin.profile import Profile
from softswitch.sip.message import Request
from softswitch.testing.peer import SDP

TIMER = ("Supported", "timer")
ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE")
ASKS = Profile(session_expires=1800)
QUARTER = Profile(session_expires=900, refresher="peer")


def expires(value):
    """The field."""
    return ("Session-Expires", value)


def test_we_say_that_we_can(alone):
    """Supported: timer, and nothing is asked for where none is configured (RFC 4028 7.1)."""
    alone.call(body=b"offer")
    assert "timer" in alone.invite.supported
    assert alone.invite.get("Session-Expires") is None


def test_we_refuse_timers(alone):
    """The profile says so: neither offered nor agreed."""
    profile = Profile(session_timers="refuse", session_expires=1800)
    session = alone.talk(TIMER, expires("100"), profile=profile)
    assert alone.accepted.get("Session-Expires") is None
    assert "timer" not in alone.accepted.supported
    session.invite([SDP], b"offer")
    invite = alone.expect("INVITE")
    assert "timer" not in invite.supported
    assert invite.get("Session-Expires") is None
    alone.respond(200, expires("100;refresher=uac"), to=invite)
    session.acknowledge()
    alone.expect("ACK")
    alone.run(200)
    assert alone.told == [("accepted", 200, b"")]


@pytest.mark.parametrize(("profile", "asked"), [(ASKS, "1800;refresher=uac"), (QUARTER, "900")])
def test_we_ask(alone, profile, asked):
    """Session-Expires and Min-SE in the INVITE (RFC 4028 7.1)."""
    alone.call(body=b"offer", profile=profile)
    assert alone.invite.get("Session-Expires") == asked
    assert alone.invite.get("Min-SE") == "90"


@pytest.mark.parametrize(
    ("fields", "profile", "answered", "required"),
    [
        ([TIMER, expires("1800;refresher=uac")], Profile(), "1800;refresher=uac", True),
        ([TIMER, expires("1800;refresher=uas")], Profile(), "1800;refresher=uas", False),
        ([TIMER, expires("1800")], Profile(), "1800;refresher=uas", False),
        ([TIMER, expires("1800")], Profile(refresher="peer"), "1800;refresher=uac", True),
        ([expires("1800")], Profile(refresher="peer"), "1800;refresher=uas", False),
        ([TIMER, expires("1800")], QUARTER, "900;refresher=uac", True),
        ([TIMER, expires("1800"), ("Min-SE", "1000")], QUARTER, "1000;refresher=uac", True),
        ([TIMER], ASKS, "1800;refresher=uas", False),
        ([TIMER, ("Min-SE", "3600")], ASKS, "3600;refresher=uas", False),
        ([TIMER], Profile(), None, False),
        ([], ASKS, None, False),
        ([TIMER, expires("nonsense")], Profile(), None, False),
    ],
)
def test_what_our_2xx_says(alone, fields, profile, answered, required):
    """Who refreshes, as table 2 of RFC 4028 has it, and how often."""
    alone.talk(*fields, profile=profile)
    assert alone.accepted.get("Session-Expires") == answered
    assert ("timer" in alone.accepted.require) is required


def refreshed(alone, request, value):
    """The peer accepts our refresh."""
    alone.respond(200, *([expires(value)] if value else []), to=request, body=b"")


def test_we_refresh_by_update(alone):
    """After half of the interval, without a description, in the same role (RFC 4028 7.4, 10)."""
    session = alone.talk(TIMER, ALLOW, expires("300;refresher=uas"))
    for at in (150, 300, 450):
        alone.run(150)
        update = alone.expect("UPDATE")
        assert update.body == b""
        assert update.get("Session-Expires") == "300;refresher=uac"
        assert "timer" in update.supported
        assert alone.clock.seconds() == at
        refreshed(alone, update, "300;refresher=uac")
    assert alone.told == []
    assert session.idle


def test_we_refresh_by_invite(alone):
    """Where the peer knows no UPDATE: what was agreed last is offered again, and the user does not
    hear of it (RFC 4028 7.4)."""
    session = alone.talk(TIMER, expires("300;refresher=uas"))
    alone.run(150)
    invite = alone.invite = alone.expect("INVITE")
    assert invite.body == b"as agreed"
    assert invite.get("Session-Expires") == "300;refresher=uac"
    assert not session.idle
    alone.respond(180)
    alone.respond(200, expires("300;refresher=uac"), body=b"answer")
    alone.expect("ACK")
    assert session.idle
    assert alone.told == []
    alone.run(150)
    alone.expect("INVITE")


@pytest.mark.parametrize("status", [405, 501])
def test_a_peer_that_refuses_update(alone, status):
    """It has allowed it, but does not serve it: an INVITE follows at once."""
    alone.talk(TIMER, ALLOW, expires("300;refresher=uas"))
    alone.run(150)
    alone.respond(status, to=alone.expect("UPDATE"))
    alone.invite = alone.expect("INVITE")
    alone.respond(200, expires("300;refresher=uac"), body=b"answer")
    alone.expect("ACK")
    alone.run(150)
    alone.expect("INVITE")


@pytest.mark.parametrize("status", [491, 500])
def test_a_refresh_that_comes_at_a_bad_moment(alone, status):
    """It is tried again soon, as long as the session has not expired."""
    alone.talk(TIMER, ALLOW, expires("300;refresher=uas"))
    alone.run(150)
    alone.respond(status, to=alone.expect("UPDATE"))
    alone.run(5)
    refreshed(alone, alone.expect("UPDATE"), "300;refresher=uac")
    assert alone.told == []


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
@pytest.mark.parametrize("status", [408, 481])
def test_a_refresh_finds_nobody(alone, method, status):
    """BYE, and the user hears that the peer is gone (RFC 4028 10)."""
    session = alone.talk(TIMER, *([ALLOW] if method == "UPDATE" else []), expires("300"))
    alone.run(150)
    request = alone.expect(method)
    if status == 481:
        alone.respond(481, to=request)
    alone.run(33)
    assert alone.told == [("ended", "Peer Gone")]
    assert alone.peer.times("BYE")
    assert session.data.life == "ended"


def test_a_refresh_that_is_never_accepted(alone):
    """The session expires: BYE min(32 s, a third) before the end (RFC 4028 10)."""
    alone.talk(TIMER, ALLOW, expires("300"))
    for _ in range(60):
        alone.run(5)
        while alone.peer.unread:
            message = alone.peer.unread.pop(0)
            if getattr(message, "method", "") in ("UPDATE", "BYE"):
                alone.respond(500 if message.method == "UPDATE" else 200, to=message)
    assert alone.told == [("ended", "Session Expired")]
    assert alone.peer.times("BYE")[0] == 268


@pytest.mark.parametrize(("interval", "at"), [("300", 268), ("90", 60)])
def test_the_peer_does_not_refresh(alone, interval, at):
    """The same where that was its turn."""
    alone.talk(TIMER, expires(f"{interval};refresher=uac"))
    alone.run(at - 1)
    assert alone.quiet
    alone.run(1)
    alone.expect("BYE")
    assert alone.told == [("ended", "Session Expired")]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_the_peer_refreshes(alone, method):
    """Each of its refreshes agrees anew (RFC 4028 9)."""
    session = alone.talk(TIMER, expires("300;refresher=uac"))
    for _ in "123":
        alone.run(150)
        if method == "UPDATE":
            alone.ask("UPDATE", TIMER, expires("300;refresher=uac"))
            answer = alone.expect(200)
        else:
            alone.ask("INVITE", TIMER, SDP, expires("300;refresher=uac"), body=b"same")
            session.accept([SDP], b"same")
            answer = alone.expect(200)
            alone.acknowledge(answer)
        assert answer.get("Session-Expires") == "300;refresher=uac"
    alone.run(267)
    assert alone.quiet
    alone.run(1)
    alone.expect("BYE")


def test_the_roles_may_change(alone):
    """The peer's request says who refreshes from now on."""
    alone.talk(TIMER, ALLOW, expires("300;refresher=uac"))
    alone.ask("UPDATE", TIMER, expires("200;refresher=uas"))
    alone.expect(200)
    alone.run(100)
    assert alone.expect("UPDATE").get("Session-Expires") == "200;refresher=uac"


def test_a_request_that_says_nothing_keeps_the_roles(alone):
    """A peer's re-INVITE without Session-Expires is answered with what holds."""
    session = alone.talk(TIMER, ALLOW, expires("300;refresher=uac"))
    alone.ask("INVITE", TIMER, SDP, body=b"hold")
    session.accept([SDP], b"held")
    answer = alone.expect(200)
    assert answer.get("Session-Expires") == "300;refresher=uac"
    alone.acknowledge(answer)


def test_a_peer_drops_the_timer(alone):
    """No Session-Expires in its 2xx: none holds any more (RFC 4028 7.2)."""
    session = alone.talk(TIMER, ALLOW, expires("300;refresher=uas"))
    session.invite([SDP], b"offer")
    alone.respond(200, to=alone.expect("INVITE"), body=b"answer")
    session.acknowledge()
    alone.expect("ACK")
    alone.run(1000)
    assert alone.quiet
    assert session.idle


def test_a_callee_agrees(alone):
    """The 2xx to our INVITE says who refreshes (RFC 4028 7.2)."""
    session = alone.call(body=b"offer", profile=ASKS)
    alone.respond(200, ALLOW, expires("600;refresher=uac"), ("Require", "timer"), body=b"answer")
    session.acknowledge()
    alone.expect("ACK")
    alone.run(300)
    assert alone.expect("UPDATE").get("Session-Expires") == "600;refresher=uac"


def test_a_callee_refreshes(alone):
    """It has chosen to; our own requests keep that."""
    session = alone.call(body=b"offer", profile=QUARTER)
    alone.respond(200, ALLOW, expires("600;refresher=uas"), body=b"answer")
    session.acknowledge()
    alone.expect("ACK")
    session.update([SDP], b"offer")
    update = alone.expect("UPDATE")
    assert update.get("Session-Expires") == "600;refresher=uas"
    alone.respond(200, expires("600;refresher=uas"), to=update, body=b"answer")
    alone.run(567)
    assert alone.quiet
    alone.run(1)
    alone.expect("BYE")


def test_a_callee_without_timers(alone):
    """None holds."""
    session = alone.call(body=b"offer", profile=ASKS)
    alone.respond(200, body=b"answer")
    session.acknowledge()
    alone.expect("ACK")
    alone.run(4000)
    assert session.idle


@pytest.mark.parametrize("value", ["nonsense", "1;refresher=uac"])
def test_a_callee_says_nonsense(alone, value):
    """What cannot be read is not there; less than our Min-SE is our Min-SE."""
    session = alone.call(body=b"offer", profile=ASKS)
    alone.respond(200, expires(value), body=b"answer")
    session.acknowledge()
    alone.expect("ACK")
    alone.run(44)
    assert alone.quiet
    session.bye()


def test_the_interval_is_too_small_for_the_callee(alone):
    """422: the INVITE is sent again with what its Min-SE says; the user does not hear of it
    (RFC 4028 7.3)."""
    session = alone.call(("X-Kept", "yes"), body=b"offer", profile=QUARTER)
    alone.respond(422, ("Min-SE", "1000"))
    alone.expect("ACK")
    again = alone.invite = alone.expect("INVITE")
    assert again.get("Session-Expires") == "1000"
    assert again.get("Min-SE") == "1000"
    assert (again.body, again.get("X-Kept"), again.cseq.number) == (b"offer", "yes", 2)
    assert len(again.all("Supported")) == 1
    alone.respond(200, expires("1000;refresher=uas"), body=b"answer")
    session.acknowledge()
    alone.expect("ACK")
    assert alone.names == ["accepted"]


def test_a_422_that_says_nothing_new(alone):
    """It is a refusal like any other: nobody goes round in circles."""
    alone.call(body=b"offer", profile=QUARTER)
    alone.respond(422, ("Min-SE", "1000"))
    alone.expect("ACK")
    alone.invite = alone.expect("INVITE")
    alone.respond(422, ("Min-SE", "1000"))
    alone.expect("ACK")
    assert alone.told == [("refused", 422)]


def test_an_update_whose_interval_is_too_small(alone):
    """Sent again likewise, our own refresh and the user's."""
    session = alone.talk(TIMER, ALLOW, expires("300;refresher=uas"))
    session.update([SDP], b"offer")
    alone.respond(422, ("Min-SE", "400"), to=alone.expect("UPDATE"))
    again = alone.expect("UPDATE")
    assert (again.get("Session-Expires"), again.body) == ("400;refresher=uac", b"offer")
    alone.respond(200, expires("400;refresher=uac"), to=again, body=b"answer")
    alone.run(200)
    alone.respond(422, ("Min-SE", "500"), to=alone.expect("UPDATE"))
    again = alone.expect("UPDATE")
    assert again.get("Session-Expires") == "500;refresher=uac"
    refreshed(alone, again, "500;refresher=uac")
    assert alone.names == ["updated"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_their_interval_is_too_small(alone, method):
    """422 with our Min-SE, if they know the timer (RFC 4028 9); all stays as it was."""
    alone.talk(TIMER, expires("1800"), profile=Profile(min_se=120))
    alone.ask(method, TIMER, SDP, expires("100"), body=b"offer")
    refused = alone.expect(422)
    assert refused.get("Min-SE") == "120"
    if method == "INVITE":
        alone.acknowledge(refused)
    assert alone.told == []
    alone.ask(method, TIMER, SDP, expires("x"), body=b"offer")
    refused = alone.expect(400)
    if method == "INVITE":
        alone.acknowledge(refused)


@pytest.mark.parametrize(
    ("fields", "profile", "refused"),
    [
        ([TIMER, expires("89")], Profile(), True),
        ([TIMER, expires("90")], Profile(), False),
        ([expires("89")], Profile(), False),
        ([TIMER], Profile(), False),
        ([TIMER, expires("89")], Profile(session_timers="refuse"), False),
    ],
)
def test_which_interval_is_too_small(fields, profile, refused):
    """Of a first INVITE, before there is a session (RFC 4028 9)."""
    assert too_brief(Request("INVITE", "sip:h", fields), profile) == (
        [("Min-SE", "90")] if refused else []
    )


@pytest.mark.parametrize("field", [expires("1;;"), ("Min-SE", "soon")])
def test_an_interval_that_cannot_be_read(field):
    """It is a syntax error, unless nobody wants to know."""
    with pytest.raises(SipSyntaxError) as raised:
        too_brief(Request("INVITE", "sip:h", [TIMER, field]), Profile())
    assert raised.value.header == field[0]
    refused = Profile(session_timers="refuse")
    assert too_brief(Request("INVITE", "sip:h", [TIMER, field]), refused) == []


def test_a_refresh_waits_for_an_exchange(alone):
    """Their re-INVITE is being answered when the refresh is due: a little later, then."""
    session = alone.talk(TIMER, expires("300;refresher=uas"))
    alone.run(149)
    alone.ask("INVITE", TIMER, SDP, body=b"hold")
    alone.run(2)
    session.reject(488, None)
    alone.acknowledge(alone.expect(488))
    alone.run(4)
    alone.expect("INVITE")


@pytest.mark.parametrize("calling", [True, False])
def test_their_invite_meets_our_refresh(alone, calling):
    """491 to theirs; or ours was told that, and theirs goes first: it refreshes as well."""
    if calling:
        session = alone.call(body=b"offer", profile=ASKS)
        alone.respond(200, expires("300;refresher=uac"), body=b"answer")
        session.acknowledge()
        alone.expect("ACK")
        alone.told.clear()
    else:
        session = alone.talk(TIMER, expires("300;refresher=uas"))
    alone.run(150)
    ours = alone.expect("INVITE")
    alone.ask("INVITE", SDP, body=b"x")
    alone.acknowledge(alone.expect(491))
    alone.respond(491, to=ours)
    alone.expect("ACK")
    alone.ask("INVITE", SDP, TIMER, body=b"theirs")
    assert alone.told == [("invited", b"theirs")]
    session.accept([SDP], b"ours")
    answer = alone.expect(200)
    assert answer.get("Session-Expires") == "300;refresher=uas"
    alone.acknowledge(answer)
    alone.run(149)
    assert alone.quiet
    alone.run(1)
    alone.expect("INVITE")


def test_a_refresh_that_is_given_up(alone):
    """Whoever cancels it, a later one follows."""
    session = alone.talk(TIMER, expires("300;refresher=uas"))
    alone.run(150)
    invite = alone.invite = alone.expect("INVITE")
    alone.respond(100, to=invite)
    session.cancel()
    alone.respond(200, to=alone.expect("CANCEL"))
    alone.respond(487, to=invite)
    alone.expect("ACK")
    alone.run(5)
    alone.invite = alone.expect("INVITE")
    alone.respond(200, expires("300;refresher=uac"), body=b"answer")
    alone.expect("ACK")
    assert alone.told == []


def test_our_invite_meets_our_refresh(alone):
    """The refresh is not told, so that whoever wants to invite meanwhile hears 491."""
    session = alone.talk(TIMER, expires("300;refresher=uas"))
    alone.run(150)
    alone.invite = alone.expect("INVITE")
    session.invite([SDP], b"offer")
    assert alone.told == [("refused", 491)]
    alone.respond(200, expires("300;refresher=uac"), body=b"answer")
    alone.expect("ACK")
    session.invite([SDP], b"offer")
    assert alone.expect("INVITE").body == b"offer"


def test_no_description_to_offer(alone):
    """Nothing was agreed that could be offered again: the session is left to expire."""
    alone.description = lambda: b""
    alone.talk(TIMER, expires("90;refresher=uas"))
    alone.run(60)
    alone.expect("BYE")
    assert alone.told == [("ended", "Session Expired")]


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("who", ["we", "they"])
def test_the_end_of_the_call(alone, when, who):
    """No timer is left."""
    session = alone.talk(TIMER, expires("300;refresher=uas"), calling=False)
    if when == "during":
        alone.run(150)
        alone.expect("INVITE")
    if who == "we":
        session.bye()
    else:
        alone.ask("BYE")
    assert session.leftovers() == []


def test_the_probe(alone):
    """OPTIONS every so often where no timer holds; any answer but 408 and 481 is a sign of life."""
    session = alone.talk(profile=Profile(probe_seconds=60))
    for status in (200, 405, 500):
        alone.run(60)
        alone.respond(status, to=alone.expect("OPTIONS"))
    assert session.idle
    alone.ask("UPDATE", TIMER, expires("300;refresher=uac"))
    alone.expect(200)
    alone.run(250)
    assert alone.quiet


@pytest.mark.parametrize("status", [481, 0])
@pytest.mark.parametrize("calling", [True, False])
def test_the_probe_finds_nobody(alone, status, calling):
    """BYE, and the user hears that the peer is gone."""
    alone.talk(calling=calling, profile=Profile(probe_seconds=60))
    alone.run(60)
    options = alone.expect("OPTIONS")
    if status:
        alone.respond(status, to=options)
    alone.run(33)
    assert alone.told == [("ended", "Peer Gone")]
    assert alone.peer.times("BYE")


def test_the_probe_when_the_peer_drops_the_timer(alone):
    """It begins then."""
    session = alone.talk(
        TIMER, ALLOW, expires("300;refresher=uas"), profile=Profile(probe_seconds=60)
    )
    alone.run(150)
    refreshed(alone, alone.expect("UPDATE"), "")
    alone.run(60)
    alone.respond(200, to=alone.expect("OPTIONS"))
    assert session.idle


def test_expiry_before_the_ack(alone):
    """The BYE waits for the ACK of our 2xx, as any (RFC 3261 15)."""
    session = alone.talk(TIMER, expires("90;refresher=uac"))
    alone.run(55)
    alone.ask("INVITE", SDP, body=b"x")
    session.accept([SDP], b"y")
    accepted = alone.expect(200)
    session.lost("Session Expired")
    assert not alone.peer.times("BYE")
    alone.acknowledge(accepted)
    alone.run()
    assert alone.peer.times("BYE") == [55]
    assert alone.told[-1] == ("ended", "Session Expired")


def test_nothing_is_made_that_is_not_needed(alone):
    """A call without any of this has none of its data."""
    data = alone.talk().data
    assert (data.timer, data.update, data.reliable, data.heard) == (None, None, None, {})


def test_an_update_about_something_else(alone):
    """It refreshes the session too, or else its 2xx would end the interval (RFC 4028 7.2, 7.4)."""
    session = alone.talk(TIMER, ALLOW, expires("300;refresher=uac"))
    alone.run(150)
    session.inform([("P-Asserted-Identity", "<sip:carol@127.88.0.1>")])
    update = alone.expect("UPDATE")
    assert update.get("Session-Expires") == "300;refresher=uas"
    assert "timer" in update.supported
    refreshed(alone, update, "300;refresher=uas")
    alone.run(200)
    assert session.idle
    session.inform([])
    alone.respond(500, to=alone.expect("UPDATE"))
    session.inform([])
    update = alone.expect("UPDATE")
    session.bye()
    refreshed(alone, update, "300;refresher=uas")
    assert alone.told == []
