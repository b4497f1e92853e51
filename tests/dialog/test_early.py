"""Early dialogs: one for each To tag in a provisional response (RFC 3261 12.1.2, 13.2.2.4)."""

import pytest

from softswitch.testing.peer import SDP


def test_each_tag_is_a_dialog(alone):
    """Its callee can be reached in it and reach us; the others stay apart."""
    session = alone.call(body=b"offer")
    alone.respond(180, tag="one")
    alone.respond(183, tag="two", body=b"answer")
    alone.respond(180, tag="one")
    assert list(session.data.early) == ["one", "two"]
    assert [status for _, status in alone.told] == [180, 183, 180]
    alone.ask("INFO", tag="one", cseq=5)
    alone.expect(200)
    alone.ask("INFO", tag="two", cseq=1)
    alone.expect(200)
    alone.ask("INFO", tag="one", cseq=4)
    alone.expect(500)
    alone.ask("INFO", tag="three")
    alone.expect(481)


def test_a_request_in_an_early_dialog(alone):
    """It goes to the dialog that is named, or to the latest; none is an answer, too."""
    session = alone.call(body=b"offer")
    told = []

    def tell(status, reason, response):
        told.append(status)

    session.request("INFO", [], b"", tell)
    assert told == [481]
    alone.respond(180, tag="one")
    alone.respond(180, tag="two")
    session.request("INFO", [], b"", tell, tag="one")
    info = alone.expect("INFO")
    assert (info.to.tag, info.cseq.number) == ("one", 2)
    alone.respond(200, to=info)
    session.request("INFO", [], b"", tell)
    info = alone.expect("INFO")
    assert (info.to.tag, info.cseq.number) == ("two", 2)
    alone.respond(415, to=info)
    assert told == [481, 200, 415]


def test_the_dialog_that_answers_goes_on(alone):
    """With the CSeq of both sides as they stand, and the route set of the 2xx (13.2.2.4)."""
    session = alone.call(body=b"offer")
    alone.respond(180, ("Record-Route", "<sip:127.88.0.77;lr>"), tag="one")
    alone.respond(180, tag="two")
    alone.ask("INFO", tag="two", cseq=7)
    alone.expect(200)
    alone.respond(200, tag="two", body=b"answer")
    assert session.data.early == {}
    session.acknowledge()
    alone.expect("ACK")
    assert session.data.dialog.route_set == []
    alone.ask("INFO", tag="two", cseq=6)
    alone.expect(500)
    alone.ask("INFO", tag="one", cseq=8)
    alone.expect(481)
    alone.ask("INFO", tag="two", cseq=8)
    alone.expect(200)
    session.bye()
    assert alone.expect("BYE").to.tag == "two"


def test_one_that_was_silent_before_answers(alone):
    """A 2xx from a callee without an early dialog makes one (13.2.2.4)."""
    session = alone.call(body=b"offer")
    alone.respond(180, tag="one")
    alone.respond(200, tag="two")
    session.acknowledge()
    assert alone.expect("ACK").to.tag == "two"
    alone.ask("BYE", tag="one")
    alone.expect(481)


def test_a_second_answer_after_early_dialogs(alone):
    """It is acknowledged and ended, the call is the first one's (13.2.2.4)."""
    session = alone.call(body=b"offer")
    alone.respond(180, tag="one")
    alone.respond(180, tag="two")
    alone.respond(200, tag="one", body=b"answer")
    session.acknowledge()
    alone.expect("ACK")
    alone.respond(200, tag="two", body=b"answer")
    assert alone.expect("ACK").to.tag == "two"
    bye = alone.expect("BYE")
    assert bye.to.tag == "two"
    alone.respond(200, to=bye)
    assert session.idle
    assert alone.names == ["provisional", "provisional", "accepted"]


def test_199_ends_an_early_dialog(alone):
    """The others go on (RFC 6228)."""
    session = alone.call(body=b"offer")
    alone.respond(180, tag="one")
    alone.respond(180, tag="two")
    alone.respond(199, tag="one")
    assert list(session.data.early) == ["two"]
    alone.ask("INFO", tag="one")
    alone.expect(481)
    assert alone.told[-1] == ("provisional", 199)


def test_a_reliable_199(alone):
    """It is acknowledged before its dialog ends."""
    session = alone.call(body=b"offer")
    alone.respond(180, tag="one")
    alone.respond(199, ("Require", "100rel"), ("RSeq", "1"), tag="one")
    assert alone.expect("PRACK").to.tag == "one"
    assert session.data.early == {}


def test_a_callee_of_several_says_goodbye(alone):
    """Its early dialog ends, and nobody hears of it: the other may still answer."""
    session = alone.call(body=b"offer")
    alone.respond(180, tag="one")
    alone.respond(180, tag="two")
    alone.ask("BYE", tag="one")
    alone.expect(200)
    assert alone.names == ["provisional", "provisional"]
    alone.respond(200, tag="two")
    session.acknowledge()
    assert alone.expect("ACK").to.tag == "two"


@pytest.mark.parametrize("then", [487, 200, 0])
def test_the_only_callee_says_goodbye(alone, then):
    """The INVITE is given up: told as refused with 480, and whatever answer comes is taken down."""
    alone.call(body=b"offer")
    alone.respond(180)
    alone.ask("BYE")
    alone.expect(200)
    assert alone.told[-1] == ("refused", 480)
    cancel = alone.expect("CANCEL")
    if then:
        alone.respond(200, to=cancel)
        alone.respond(then)
    if then == 200:
        alone.expect("ACK")
        alone.expect("BYE")
    alone.run(40)
    assert alone.names == ["provisional", "refused"]
    assert alone.session.data.life == "ended"


@pytest.mark.parametrize("contact", ["<broken", "<sip:a@h>, <sip:b@h>"])
def test_a_provisional_response_that_makes_no_dialog(alone, contact):
    """Its Contact cannot be read: it is told, and no more."""
    session = alone.call(body=b"offer")
    alone.respond(180, ("Contact", contact), contact=False)
    assert session.data.early == {}
    assert alone.told == [("provisional", 180)]


def test_a_provisional_response_without_contact(alone):
    """The early dialog is reached where the INVITE went."""
    session = alone.call(body=b"offer")
    alone.respond(180, contact=False)
    session.request("INFO", [], b"", lambda *_: None)
    assert alone.expect("INFO").uri == alone.invite.uri


@pytest.mark.parametrize("end", ["refused", "given up", "silence"])
def test_no_early_dialog_is_left(alone, end):
    """However the INVITE comes to nothing."""
    session = alone.call(body=b"offer")
    alone.respond(180, tag="one")
    alone.respond(180, tag="two")
    if end == "refused":
        alone.respond(603)
    else:
        session.cancel()
        cancel = alone.expect("CANCEL")
        if end == "given up":
            alone.respond(200, to=cancel)
            alone.respond(487)
    alone.run(40)
    assert session.data.early == {}
    alone.ask("INFO", tag="one")
    assert alone.statuses[-1] == 481


def test_bye_of_the_caller_in_the_early_dialog(alone):
    """Its INVITE is answered with 487, the session is over (RFC 3261 15)."""
    session = alone.be_called(body=b"offer")
    session.provisional(180, "Ringing", [], b"")
    alone.expect(180)
    alone.ask("BYE")
    alone.expect(200)
    alone.expect(487)
    assert alone.told == [("cancelled", "BYE")]


def test_an_answer_whose_dialog_cannot_be_made(alone):
    """It is acknowledged and ended, and the INVITE has failed."""
    alone.call(body=b"offer")
    alone.respond(180)
    alone.respond(200, ("Contact", "<broken"), contact=False)
    alone.expect("ACK")
    alone.expect("BYE")
    assert alone.told[-1] == ("refused", 502)


def test_what_the_peer_says_that_it_can(alone):
    """By its last Allow and Supported; without them RFC 3261 alone is expected."""
    session = alone.call(body=b"offer")
    assert session.allows("OPTIONS")
    assert not session.allows("UPDATE")
    alone.respond(180, ("Allow", "INVITE, UPDATE"), ("Allow", "INFO"))
    assert session.allows("UPDATE")
    assert session.allows("INFO")
    assert not session.allows("OPTIONS")
    assert not session.supports("timer")
    alone.respond(200, ("Allow", "INVITE"), ("Supported", "Timer"))
    assert not session.allows("UPDATE")
    assert session.supports("timer")
    session.acknowledge()


def test_a_request_after_the_goodbye(alone):
    """A NOTIFY may follow as long as anything of the call runs (RFC 5057); then there is none."""
    session = alone.talk()
    told = []

    def tell(status, reason, response):
        told.append(status)

    session.bye()
    bye = alone.expect("BYE")
    session.request("NOTIFY", [("Event", "refer"), SDP], b"x", tell)
    notify = alone.expect("NOTIFY")
    assert notify.cseq.number == bye.cseq.number + 1
    alone.respond(200, to=bye)
    alone.respond(200, to=notify)
    assert told == [200]
    session.scope.end()
    alone.run(40)
    session.request("NOTIFY", [], b"", tell)
    assert told == [200, 481]


@pytest.mark.parametrize(("silent", "status"), [(True, 408), (False, 481)])
def test_a_request_that_nobody_answers(alone, silent, status):
    """It is told with 408, and neither that nor a 481 ends the session by itself."""
    session = alone.talk()
    told = []

    def tell(status, reason, response):
        told.append((status, response is None))

    session.request("INFO", [], b"", tell)
    info = alone.expect("INFO")
    if not silent:
        alone.respond(481, to=info)
    alone.run(33)
    assert told == [(status, silent)]
    assert session.idle


def test_a_reinvite_of_an_early_callee(alone):
    """491, for our own INVITE is not finished (RFC 3261 14.2)."""
    alone.call(body=b"offer")
    alone.respond(183)
    invite = alone.invite
    alone.ask("INVITE", SDP, body=b"another offer")
    alone.expect(491)
    alone.invite = invite
    alone.respond(486)
    alone.expect("ACK")


def test_a_reinvite_is_accepted_from_nowhere(alone):
    """A Contact that cannot be read does not move a peer whose dialog stands already."""
    session = alone.talk(calling=True)
    target = session.data.dialog.remote_target
    session.invite([SDP], b"another offer")
    contacts = ("Contact", "<sip:a@127.88.0.11>, <sip:b@127.88.0.11>")
    alone.respond(200, contacts, to=alone.expect("INVITE"), body=b"answer", contact=False)
    assert alone.told == [("accepted", 200, b"answer")]
    session.acknowledge()
    alone.expect("ACK")
    assert session.data.dialog.remote_target == target
    assert session.idle


def test_their_offer_in_a_2xx_is_given_up(alone):
    """It is acknowledged without an answer, and the user hears that they hold to it."""
    session = alone.talk()
    session.invite([], b"")
    alone.respond(200, to=alone.expect("INVITE"), body=b"offer")
    session.cancel()
    alone.expect("ACK")
    assert alone.told[-1] == ("crossed",)
    assert session.idle
