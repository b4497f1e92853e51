"""Who has forwarded a call, and why: RFC 5806, RFC 7044, RFC 4458."""

import pytest

from softswitch.b2bua.diversion import MOST, fields, outcome, weightier
from softswitch.plugin.decisions import Diversion
from softswitch.plugin.numbering import Numbering
from softswitch.plugin.profile import Profile
from softswitch.sip.message import Request

STRANGER, TRUSTED = Profile(), Profile(trusted=True)
BOB, CAROL, DAVE = (f"sip:{name}@example.org" for name in ("bob", "carol", "dave"))


def told(*came, by=(), target=DAVE, to=STRANGER):
    """The fields of an INVITE for Bob that goes on."""
    found = fields(Request("INVITE", BOB, came), by, target, to)
    names = ("Diversion", "History-Info")
    return tuple([value for name, value in found if name == wanted] for wanted in names)


def test_an_ordinary_call_has_none():
    """Nothing is added where nothing was forwarded."""
    assert told() == ([], [])


def test_what_came_crosses():
    """Unchanged where nothing is forwarded here."""
    diverted = "<sip:a@x>;reason=time-of-day;counter=2;privacy=off"
    history = ["<sip:a@x?Reason=SIP%3Bcause%3D302>;index=1", "<sip:bob@example.org>;index=1.1;mp=1"]
    came = [("Diversion", diverted), ("History-Info", ", ".join(history))]
    assert told(*came) == ([diverted], history)


def test_one_forwarding():
    """RFC 5806: who forwards, why, once. RFC 7044 10.3: the called, why he was left, and who he
    was mapped to."""
    assert told(by=[Diversion(BOB, "user-busy")], target=f"{CAROL};transport=tcp") == (
        ["<sip:bob@example.org>;reason=user-busy;counter=1"],
        [
            "<sip:bob@example.org?Reason=SIP%3Bcause%3D486>;index=1",
            "<sip:carol@example.org>;index=1.1;mp=1",
        ],
    )


@pytest.mark.parametrize(
    ("reason", "cause"),
    [("unconditional", 302), ("no-answer", 408), ("unavailable", 503), ("deflection", 480)],
)
def test_the_cause_of_a_forwarding(reason, cause):
    """RFC 4458."""
    diverted, history = told(by=[Diversion(BOB, reason)])
    assert f"reason={reason}" in diverted[0]
    assert f"cause%3D{cause}>" in history[0]


def test_one_forwarding_after_another():
    """Diversion begins with the newest, History-Info with the oldest."""
    by = [Diversion(BOB, "unconditional"), Diversion(CAROL, "no-answer")]
    assert told(by=by) == (
        [
            "<sip:carol@example.org>;reason=no-answer;counter=1",
            "<sip:bob@example.org>;reason=unconditional;counter=1",
        ],
        [
            "<sip:bob@example.org?Reason=SIP%3Bcause%3D302>;index=1",
            "<sip:carol@example.org?Reason=SIP%3Bcause%3D408>;index=1.1;mp=1",
            "<sip:dave@example.org>;index=1.1.1;mp=1.1",
        ],
    )


def test_forwarding_goes_on_from_what_came():
    """Under the index of the entry that stands for the Request-URI (RFC 7044 10.3)."""
    came = [
        ("Diversion", "<sip:a@x>;reason=follow-me"),
        ("History-Info", "<sip:a@x>;index=1, <sip:bob@example.org>;index=1.3;mp=1"),
    ]
    diverted, history = told(*came, by=[Diversion(BOB)])
    assert [value.partition(">")[0] for value in diverted] == ["<sip:bob@example.org", "<sip:a@x"]
    assert history[1:] == [
        "<sip:bob@example.org?Reason=SIP%3Bcause%3D302>;index=1.3;mp=1",
        "<sip:dave@example.org>;index=1.3.1;mp=1.3",
    ]


def test_somebody_before_us_kept_no_history():
    """The gap is shown by a 0 (RFC 7044 10.3); what cannot be read is left out."""
    came = ("History-Info", "<sip:a@x>;index=1.2, <<>")
    _, history = told(came, by=[Diversion(BOB)])
    assert history == [
        "<sip:a@x>;index=1.2",
        "<sip:bob@example.org?Reason=SIP%3Bcause%3D302>;index=1.2.0.1",
        "<sip:dave@example.org>;index=1.2.0.1.1;mp=1.2.0.1",
    ]


def test_a_number_that_forwards():
    """A TEL URI cannot say why (RFC 7044 10.2)."""
    by = [Diversion("tel:+44123"), Diversion("tel:+44456")]
    diverted, history = told(by=by, target="tel:+44789")
    assert diverted[0] == "<tel:+44456>;reason=unconditional;counter=1"
    assert history[1:] == ["<tel:+44456>;index=1.1;mp=1", "<tel:+44789>;index=1.1.1;mp=1.1"]


NOBODY = "<sip:anonymous@anonymous.invalid"


def test_who_wishes_so_is_not_named_to_strangers():
    """Entry by entry, or all at the caller's wish; the trusted are told (RFC 5806, RFC 7044
    10.1)."""
    came = [
        ("Diversion", '"A" <sip:a@x>;privacy=full;reason=away, <sip:b@x>;privacy=off'),
        ("History-Info", "<sip:a@x?Privacy=history&Reason=x>;index=1, <sip:b@x>;index=1.1"),
    ]
    assert told(*came) == (
        [f"{NOBODY}>;privacy=full;reason=away", "<sip:b@x>;privacy=off"],
        [f"{NOBODY}?Reason=x>;index=1", "<sip:b@x>;index=1.1"],
    )
    trusted = told(*came, to=TRUSTED)
    assert trusted[0][0] == '"A" <sip:a@x>;privacy=full;reason=away'
    assert trusted[1][0] == "<sip:a@x?Privacy=history&Reason=x>;index=1"
    _, history = told(*came, ("Privacy", "history"))
    assert history[1] == f"{NOBODY}>;index=1.1"


def test_no_more_than_so_many():
    """The first and the newest are kept."""
    diverted = ", ".join(f"<sip:d{n}@x>" for n in range(20))
    history = ", ".join(f"<sip:h{n}@x>;index=1.{n}" for n in range(20))
    came = [("Diversion", diverted), ("History-Info", history)]
    one, other = told(*came, by=[Diversion(BOB)])
    assert (len(one), len(other)) == (MOST, MOST)
    assert one[0].startswith(f"<{BOB}")
    assert one[-1] == "<sip:d19@x>"
    assert other[0] == "<sip:h0@x>;index=1.0"
    assert other[-1].startswith(f"<{DAVE}")


@pytest.mark.parametrize(
    ("status", "rang", "wanted"),
    [
        (486, False, "busy"),
        (486, True, "busy"),
        (600, True, "busy"),
        (480, True, "no_answer"),
        (408, True, "no_answer"),
        (480, False, "unreachable"),
        (408, False, "unreachable"),
        (404, False, "unreachable"),
        (503, True, "unreachable"),
        (403, False, ""),
        (603, True, ""),
        (302, False, ""),
    ],
)
def test_what_came_of_the_ringing(status, rang, wanted):
    """Busy, not answered, not there; a refusal is none of these."""
    assert outcome(status, rang) == wanted


def test_what_came_of_several_phones():
    """One that is busy says more than one that rang, and that more than one that was not there."""
    order = ("busy", "no_answer", "unreachable", "")
    for index, one in enumerate(order):
        for other in order[index:]:
            assert weightier(one, other) == weightier(other, one) == one


@pytest.mark.parametrize(
    ("sent", "diverted", "history"),
    [("both", 1, 2), ("diversion", 1, 0), ("history", 0, 2), ("none", 0, 0)],
)
def test_how_a_peer_is_told(sent, diverted, history):
    """By either field, both or none, whatever came."""
    found = told(by=[Diversion(BOB)], to=Profile(diversion=sent))
    assert tuple(map(len, found)) == (diverted, history)
    came = told(
        ("Diversion", "<sip:a@x>"),
        ("History-Info", "<sip:a@x>;index=1"),
        to=Profile(diversion=sent),
    )
    assert tuple(map(len, came)) == (diverted, bool(history))


def test_numbers_as_the_peer_writes_them():
    """Of those who forwarded here and before; a TEL URI keeps its plus."""
    to = Profile(numbering=Numbering("GB", caller="national"))
    by = [Diversion("sip:+442071838750@example.org")]
    came = ("Diversion", "<sip:00493012345678@x>;reason=no-answer, <tel:+442071838700>")
    diverted, _ = told(came, by=by, to=to)
    assert diverted == [
        "<sip:02071838750@example.org>;reason=unconditional;counter=1",
        "<sip:00493012345678@x>;reason=no-answer",
        "<tel:+442071838700>",
    ]
