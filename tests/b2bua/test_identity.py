"""Who is told whom it talks to: RFC 3325, RFC 3323, RFC 8224, Remote-Party-ID."""

import pytest

from softswitch.b2bua.identity import asserted, connected, present, refusal, withheld
from softswitch.plugin.numbering import Numbering
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Identity
from softswitch.sip.message import Request, Response

ALICE = Identity("user", "alice", "example.org", display="Alice A.")
CARRIER = Identity("trunk", "carrier")
STRANGER, TRUSTED = Profile(), Profile(trusted=True)
RPID = Profile(trusted=True, connected="rpid")
NUMBER = '"Alice" <sip:+441234@carrier.example;user=phone>'
TEL = "<tel:+441234>"
HOST = "127.0.0.1"
BOB = "sip:bob@example.org"


def invite(*fields, sender="<sip:alice@example.org>;tag=1", to=f"<{BOB}>"):
    """An INVITE as it came."""
    return Request("INVITE", BOB, [("From", sender), ("To", to), *fields])


def shown(request, who=CARRIER, near=STRANGER, far=STRANGER, called=BOB, relayed=True):
    """How its caller is presented."""
    return present(request, who, near, far, HOST, called, relayed)


def test_the_ordinary_caller():
    """Name and number at an address of ours, and nothing besides."""
    found = shown(invite(sender='"Al" <sip:alice@10.0.0.1>;tag=1'), ALICE)
    assert found.from_ == '"Al" <sip:alice@127.0.0.1>'
    assert (found.contact_user, found.fields, found.hidden) == ("alice", [], frozenset())
    crossing = [("Subject", "lunch")]
    assert found.visible(crossing) is crossing


def test_asserted_by_whom_we_trust_told_to_whom_we_trust():
    """RFC 3325 5, 7: believed from a trusted peer, removed towards the others."""
    request = invite(("P-Asserted-Identity", f"{NUMBER}, {TEL}"))
    both = [("P-Asserted-Identity", NUMBER), ("P-Asserted-Identity", TEL)]
    assert shown(request, near=TRUSTED, far=TRUSTED).fields == both
    assert shown(request, near=TRUSTED).fields == []
    assert shown(request, far=TRUSTED).fields == []
    assert shown(request).fields == []


def test_a_user_of_ours_is_who_he_has_proved_to_be():
    """Whatever he says himself; the trusted are told (RFC 3325 5)."""
    own = ("P-Asserted-Identity", '"Alice A." <sip:alice@example.org>')
    lie = ("P-Asserted-Identity", "<sip:president@example.org>")
    assert shown(invite(), ALICE, far=TRUSTED).fields == [own]
    assert shown(invite(lie), ALICE, far=TRUSTED).fields == [own]
    assert shown(invite(lie), ALICE).fields == []
    odd = Identity("user", "a b", "")
    assert shown(invite(), odd, far=TRUSTED).fields == [
        ("P-Asserted-Identity", "<sip:a%20b@127.0.0.1>")
    ]


def test_a_trusted_group_may_assert_for_others():
    """Such as a PBX that registers: what it asserts goes before its own name."""
    request = invite(("P-Asserted-Identity", TEL))
    assert shown(request, ALICE, TRUSTED, TRUSTED).fields == [("P-Asserted-Identity", TEL)]


@pytest.mark.parametrize(
    ("preferred", "display"),
    [
        ('"Work" <sip:alice@example.org>', '"Work" '),
        ('"Boss" <sip:boss@example.org>', ""),
        ("<<>", ""),
    ],
)
def test_a_user_prefers_an_identity_that_is_his(preferred, display):
    """RFC 3325 6; it never crosses itself."""
    request = invite(("P-Preferred-Identity", preferred))
    who = Identity("user", "alice", "example.org")
    value = f"{display}<sip:alice@example.org>"
    assert shown(request, who, far=TRUSTED).fields == [("P-Asserted-Identity", value)]
    assert shown(request, who).fields == []


@pytest.mark.parametrize("wish", ["id", "user", "ID;critical", "header; user,id"])
def test_a_withheld_number_reaches_no_stranger(wish):
    """Anonymous From and Contact, no fields that speak of the caller; and the wish has been
    performed, so it ends here (RFC 3323 5, RFC 3325 9.3)."""
    request = invite(("P-Asserted-Identity", NUMBER), ("Privacy", wish))
    found = shown(request, near=TRUSTED)
    assert found.from_ == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert found.contact_user == "anonymous"
    assert found.fields == []
    crossing = [("Subject", "x"), ("Call-Info", "x"), ("X-Account", "1"), ("Priority", "urgent")]
    assert found.visible(crossing) == crossing[2:]


def test_a_trusted_peer_hears_the_number_and_the_wish():
    """Nothing has been performed yet, so all of it goes on (RFC 3325 7)."""
    request = invite(("P-Asserted-Identity", NUMBER), ("Privacy", "user;id;critical"))
    found = shown(request, near=TRUSTED, far=TRUSTED)
    assert found.from_ == "<sip:alice@127.0.0.1>"
    assert found.fields == [("P-Asserted-Identity", NUMBER), ("Privacy", "critical;id;user")]
    assert found.hidden == frozenset()


def test_an_anonymous_user_stays_so_behind_a_trusted_peer():
    """The identity that we add is not to be shown, though he forgot to say so."""
    request = invite(sender='"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1')
    found = shown(request, ALICE, far=TRUSTED)
    assert found.contact_user == "anonymous"
    assert found.from_ == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert found.fields[1] == ("Privacy", "id")


def test_only_the_contact_is_hidden_by_header_privacy():
    """Via, Record-Route and the rest are ours anyway (RFC 3323 5.1)."""
    found = shown(invite(("Privacy", "header")))
    assert (found.from_, found.contact_user) == ("<sip:alice@127.0.0.1>", "anonymous")
    assert found.fields == []


def test_who_wants_no_privacy_is_told_to_everybody():
    """RFC 3325 7: then P-Asserted-Identity must not be removed."""
    request = invite(("P-Asserted-Identity", TEL), ("Privacy", "none"))
    want = [("P-Asserted-Identity", TEL), ("Privacy", "none")]
    assert shown(request, near=TRUSTED).fields == want
    assert shown(request, near=TRUSTED, far=TRUSTED).fields == want
    assert shown(request).fields == [("Privacy", "none")]


def test_what_cannot_be_performed_is_asked_of_the_next():
    """Session privacy without a relay, and what we have never heard of (RFC 3323 5)."""
    request = invite(("Privacy", "session;id;odd"))
    assert shown(request).fields == [("Privacy", "odd")]
    assert shown(request, relayed=False).fields == [("Privacy", "odd;session")]


@pytest.mark.parametrize(
    ("wish", "relayed", "refused"),
    [
        (None, False, False),
        ("session;critical", True, False),
        ("session;critical", False, True),
        ("session", False, False),
        ("id;user;header;history;critical", False, False),
        ("odd;critical", True, True),
        ("odd", True, False),
    ],
)
def test_privacy_that_is_critical_or_no_call(wish, relayed, refused):
    """500 where it cannot be had (RFC 3323 5)."""
    request = invite(*([] if wish is None else [("Privacy", wish)]))
    assert refusal(request, relayed) == ((500, "Privacy Cannot Be Provided") if refused else None)


def test_remote_party_id_where_the_profile_says():
    """Believed and told as P-Asserted-Identity is; its privacy is a wish like any other."""
    party = '"A" <sip:1@pbx.example>;party=calling;screen=yes;privacy=off'
    request = invite(("Remote-Party-ID", party))
    assert shown(request, near=RPID, far=TRUSTED).fields == [
        ("P-Asserted-Identity", '"A" <sip:1@pbx.example>')
    ]
    assert shown(request, near=RPID, far=RPID).fields == [("Remote-Party-ID", party)]
    assert shown(request, near=TRUSTED, far=TRUSTED).fields == []
    assert shown(request, far=TRUSTED).fields == []
    full = invite(("Remote-Party-ID", party.replace("off", "full")))
    assert shown(full, near=RPID).contact_user == "anonymous"
    assert shown(full, near=RPID, far=RPID).fields == [
        ("Remote-Party-ID", party.replace("off", "full")),
        ("Privacy", "id"),
    ]
    assert shown(invite(("Remote-Party-ID", "<<")), near=RPID, far=RPID).fields == []


@pytest.mark.parametrize(
    ("sender", "to", "called", "passes"),
    [
        ("<sip:+441234@a.example>;tag=1", "<sip:+44-5678@b.example>", "sip:445678@x", True),
        ("<sip:+441234@a.example>;tag=1", "<sip:+445678@b.example>", "sip:05678@x", False),
        ("<sip:alice@127.0.0.1>;tag=1", "<sip:5678@b.example>", "sip:5678@x", True),
        ("<sip:alice@a.example>;tag=1", "<sip:5678@b.example>", "sip:5678@x", False),
        ("<tel:+441234>;tag=1", "<tel:+445678>", "sip:+445678@x", True),
    ],
)
def test_a_signature_passes_unless_it_signs_for_others(sender, to, called, passes):
    """Identity and Date speak of the numbers, or addresses, in From and To (RFC 8224 4.1)."""
    signed = [("Identity", "abc;info=<https://x>"), ("Date", "Sat, 1 Jan 2028 00:00:00 GMT")]
    found = shown(invite(*signed, sender=sender, to=to), called=called, near=TRUSTED)
    assert found.fields == (signed if passes else [])
    assert shown(invite(*signed, sender=sender, to=to), called=called).fields == []


def test_a_withheld_number_is_not_signed_for_either():
    """The signature would tell it."""
    sender = "<sip:+441234@a.example>;tag=1"
    request = invite(("Identity", "abc"), ("Privacy", "id"), sender=sender, to="<sip:1@x>")
    assert shown(request, called="sip:1@x").fields == []


def test_an_answer_names_the_callee():
    """RFC 3325 5 holds for responses too."""
    plain = Response(200, "OK", [])
    own = ("P-Asserted-Identity", '"Alice A." <sip:alice@example.org>')
    assert asserted(plain, ALICE, STRANGER, STRANGER, HOST) == []
    assert asserted(plain, ALICE, STRANGER, TRUSTED, HOST) == [own]
    said = Response(200, "OK", [("P-Asserted-Identity", TEL), ("Privacy", "id")])
    assert asserted(said, CARRIER, TRUSTED, STRANGER, HOST) == []
    assert asserted(said, CARRIER, TRUSTED, TRUSTED, HOST) == [
        ("P-Asserted-Identity", TEL),
        ("Privacy", "id"),
    ]
    assert asserted(said, CARRIER, TRUSTED, RPID, HOST)[0] == (
        "Remote-Party-ID",
        f"{TEL};party=called;screen=yes;privacy=full",
    )


def test_who_one_talks_to_now():
    """After a transfer or a pick-up, in the way the profile says (issue 3)."""
    assert connected(STRANGER, "Carol", "carol", HOST) == []
    pai, rpid = Profile(connected="pai"), Profile(connected="rpid")
    assert connected(pai, "Carol", "carol", HOST) == [
        ("P-Asserted-Identity", '"Carol" <sip:carol@127.0.0.1>')
    ]
    assert connected(rpid, "", "a b", HOST, "calling") == [
        ("Remote-Party-ID", "<sip:a%20b@127.0.0.1>;party=calling;screen=yes;privacy=off")
    ]
    assert connected(pai, "Carol", "carol", HOST, private=True) == []
    assert connected(RPID, "", "carol", HOST, private=True) == [
        ("Remote-Party-ID", "<sip:carol@127.0.0.1>;party=called;screen=yes;privacy=full")
    ]
    trusted = Profile(connected="pai", trusted=True)
    assert connected(trusted, "", "carol", HOST, private=True)[1] == ("Privacy", "id")


def test_withheld():
    """Whether a sender wishes one of some kinds of privacy."""
    assert not withheld(invite())
    assert withheld(invite(("Privacy", "id")))
    assert not withheld(invite(("Privacy", "header")))
    assert withheld(invite(("Privacy", "header")), ("header", "history"))


PLUS = Numbering("GB", caller="plus")
LONDON = Profile(trusted=True, numbering=Numbering("GB"))


def test_a_callers_number_is_written_as_the_peer_wants_it():
    """In From, Contact and P-Asserted-Identity, with his name; a TEL URI keeps its plus."""
    request = invite(
        ("P-Asserted-Identity", "<sip:02071838750@x;user=phone>, <tel:+442071838750>"),
        sender='"Al" <sip:02071838750@10.0.0.1>;tag=1',
    )
    found = shown(request, near=LONDON, far=Profile(trusted=True, numbering=PLUS))
    assert found.from_ == '"Al" <sip:+442071838750@127.0.0.1>'
    assert found.contact_user == "+442071838750"
    assert [value for _, value in found.fields] == [
        "<sip:+442071838750@x;user=phone>",
        "<tel:+442071838750>",
    ]
    national = Profile(trusted=True, numbering=Numbering("GB", caller="national"))
    assert shown(request, near=LONDON, far=national).fields[1][1] == "<tel:+442071838750>"


def test_a_number_that_stands_for_who_has_none():
    """A user with a name is shown by the trunk's number, to those who trust us too."""
    main = Profile(trusted=True, numbering=Numbering(caller_id="+442071838700"))
    found = shown(invite(sender='"Al" <sip:alice@x>;tag=1'), ALICE, far=main)
    assert (found.from_, found.contact_user) == (
        '"Al" <sip:+442071838700@127.0.0.1>',
        "+442071838700",
    )
    value = '"Alice A." <sip:+442071838700@example.org>'
    assert found.fields == [("P-Asserted-Identity", value)]
    stranger = Profile(numbering=main.numbering)
    withheld = shown(invite(("Privacy", "id")), ALICE, far=stranger)
    assert "anonymous" in withheld.from_


def test_the_number_of_a_policy_goes_without_the_callers_name():
    """It may be somebody else's; and it is written as the peer wants it."""
    who = Identity("user", "alice", number="02071838750")
    near = Profile(numbering=Numbering("GB"))
    request = invite(sender='"Al" <sip:alice@x>;tag=1')
    found = shown(request, who, near, Profile(numbering=PLUS))
    assert found.from_ == "<sip:+442071838750@127.0.0.1>"


def test_where_a_trusted_peer_says_who_calls():
    """What its profile lists, the first that says something; nothing where the list is empty."""
    rpid = ("Remote-Party-ID", "<sip:+441111@x>;party=calling;privacy=full")
    request = invite(("P-Asserted-Identity", TEL), rpid, sender='"N" <sip:+442222@x>;tag=1')

    def believed(*places):
        found = shown(request, near=Profile(trusted=True, believes=places), far=TRUSTED)
        return [value for _, value in found.fields]

    assert believed("pai", "rpid", "from") == [TEL, "id"]
    assert believed("rpid") == ["<sip:+441111@x>", "id"]
    assert believed("from") == ['"N" <sip:+442222@x>']
    assert believed() == []
    nobody = invite(sender="<sip:anonymous@anonymous.invalid>;tag=1")
    near = Profile(trusted=True, believes=("from",))
    assert shown(nobody, near=near, far=TRUSTED).fields == [("Privacy", "id")]
    untrusted = Profile(believes=("from",))
    assert shown(request, near=untrusted, far=TRUSTED).fields == []


def test_how_a_trusted_peer_is_told_who_calls():
    """In each way that its profile lists, or in none."""
    request = invite(("P-Asserted-Identity", TEL))

    def told(*ways):
        found = shown(request, near=TRUSTED, far=Profile(trusted=True, asserts=ways))
        return [name for name, _ in found.fields]

    assert told("pai", "rpid") == ["P-Asserted-Identity", "Remote-Party-ID"]
    assert told("rpid") == ["Remote-Party-ID"]
    assert told() == []


def test_a_carrier_that_wants_no_number_in_from():
    """Whoever withholds his number is anonymous there, too; the number is in what is asserted."""
    request = invite(("P-Asserted-Identity", TEL), ("Privacy", "id"))
    found = shown(request, near=TRUSTED, far=Profile(trusted=True, clir="anonymous"))
    assert found.from_ == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert found.contact_user == "anonymous"
    assert found.fields == [("P-Asserted-Identity", TEL), ("Privacy", "id")]
    open_ = invite(("P-Asserted-Identity", TEL))
    found = shown(open_, near=TRUSTED, far=Profile(trusted=True, clir="anonymous"))
    assert found.from_ == "<sip:alice@127.0.0.1>"


def test_numbers_of_whom_one_talks_to():
    """After a transfer, and in answers."""
    peer = Profile(trusted=True, connected="pai", numbering=PLUS)
    assert connected(peer, "Bob", "02071838750", HOST) == [
        ("P-Asserted-Identity", '"Bob" <sip:+442071838750@127.0.0.1>')
    ]
    answer = Response(200, "OK", [("P-Asserted-Identity", "<sip:02071838750@x>")])
    assert asserted(answer, CARRIER, LONDON, peer, HOST) == [
        ("P-Asserted-Identity", "<sip:+442071838750@x>")
    ]
