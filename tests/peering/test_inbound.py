"""Calls from trunks: whose they are, where their number is read, which numbers they show."""

import pytest

from softswitch.sip.fields import NameAddr

SHARED = "127.88.0.120"
TWO = {
    "red": {"addresses": ["127.88.0.111"], "networks": [SHARED], "inbound_numbers": ["+441"]},
    "blue": {
        "addresses": ["127.88.0.112"],
        "networks": [SHARED],
        "inbound_hosts": ["blue.example"],
        "called_from": "to",
    },
}
OURS = {"switch": {"domains": ["blue.example", "red.example"]}}
TO_ALICE = [{"match": r"\+44.", "callers": "trunks", "user": "alice"}]


def owner(stage):
    """To whom the last call belonged."""
    return stage.records[-1].identity_kind, stage.records[-1].identity


def test_two_trunks_share_one_source(make_stage):
    """The Request-URI chooses: a number of one, a host of the other, whose number is in To; what is
    neither's gets 404 (issue 4, trunks)."""
    stage = make_stage(TWO, rules=TO_ALICE, tables=OURS)
    alice, gateway = stage.phone("alice"), stage.phone("gateway", host=SHARED)
    for uri, to, whose in (
        ("sip:+441@127.88.0.1", "", "red"),
        ("sip:account@blue.example", "<sip:+442@carrier.example>", "blue"),
        ("sip:+441@blue.example", "<sip:+442@carrier.example>", "blue"),
    ):
        line = gateway.dial(uri)
        line.remote = to or line.remote
        line.reinvite(gateway.sdp())
        assert alice.line.invite.request_uri.user == "alice"
        alice.answer()
        assert line.statuses == [200]
        gateway.hang_up()
        assert alice.line.over
        assert owner(stage) == ("trunk", whose)
    for uri in ("sip:+443@127.88.0.1", "sip:+443@red.example"):
        assert gateway.call(uri).statuses == [404]
    assert len(stage.records) == 3, "what is nobody's leaves no state"


def test_a_spoofed_source_is_a_stranger(make_stage):
    """Whatever From, Via and Contact say: only the address from which a request really comes makes
    it a trunk's. A stranger is asked for a password."""
    stage = make_stage(TWO, rules=TO_ALICE, tables=OURS)
    alice, stranger = stage.phone("alice"), stage.peer("127.88.0.66")
    invite = stranger.request(
        "INVITE",
        "sip:+441@127.88.0.1",
        caller=f"<sip:+44@{SHARED}>;tag=1",
        body=stranger.sdp(),
        fields=[("P-Asserted-Identity", f"<sip:+44@{SHARED}>")],
    )
    invite = invite.replaced("Contact", [f"<sip:gateway@{SHARED}>"])
    via = invite.top_via
    via.host = SHARED
    stranger.send(invite.replaced("Via", [str(via)]))
    stranger.expect(401)
    assert alice.lines == []


def test_an_options_to_nobody_is_the_first_trunks(make_stage):
    """A gateway that only asks whether we live is answered, whoever shares its address."""
    stage = make_stage(TWO, tables=OURS)
    gateway = stage.peer(SHARED)
    gateway.send(gateway.request("OPTIONS", "sip:127.88.0.1"))
    assert gateway.expect(200).get("Accept") is not None


def test_a_peer_without_an_address_proves_the_trunks_password(make_stage):
    """Challenged as everybody, it is the trunk once it has proved that; a wrong password, or
    another's name, is challenged again (RFC 3261 22.1)."""
    trunk = {"networks": [], "inbound_username": "acme", "inbound_password": "secret"}
    stage = make_stage(
        {"pbx": {"addresses": ["127.88.0.102"], **trunk}},
        rules=[{"match": r"\+44", "callers": "trunks", "user": "alice"}],
    )
    alice = stage.phone("alice")
    roaming = stage.phone("acme", password="secret", register=False)
    line = roaming.call("+44", caller="<sip:+4912@pbx.example>")
    alice.answer()
    assert line.statuses == [200]
    assert NameAddr.parse(alice.line.invite.get("From")).uri.user == "+4912"
    alice.hang_up()
    assert line.over
    assert owner(stage) == ("trunk", "pbx")
    for name, password in (("acme", "wrong"), ("nobody", "secret"), ("acme", "")):
        other = stage.phone(name, password=password, register=False)
        assert other.call("+44").statuses == [401]
    here = stage.phone("here", host="127.88.0.102", register=False)
    assert here.call("+44").statuses == [401], "networks = [] says that its address proves nothing"


PBX = {"addresses": ["127.88.0.102"], "numbers": [r"\+4420[0-9]"]}


@pytest.mark.parametrize("default", ["", "+44200"])
def test_a_number_that_the_pbx_does_not_own(make_stage, engine, default):
    """Refused with 403; or the default is shown in its place, to the callee and in our Contact, and
    the name that went with it is not."""
    stage = make_stage({"pbx": {**PBX, "default_number": default}}, engine=engine)
    pbx, carrier = stage.phone("pbx", host="127.88.0.102"), stage.phone("gw", host="127.88.0.101")
    line = pbx.call("0333", caller='"The Bank" <sip:+441@pbx.example>')
    if not default:
        assert line.statuses == [403]
        assert carrier.lines == []
        assert stage.records == []
        return
    carrier.answer()
    assert line.statuses == [200]
    invite = carrier.line.invite
    assert invite.from_.display == ""
    assert (invite.from_.uri.user, invite.from_.uri.host) == (default, "127.88.0.1")
    assert invite.contacts[0].uri.user == default
    assert "Bank" not in str(invite)
    assert line.sent.from_.uri.user == "+441", "towards the PBX its own From stays (12.2.1.1)"
    carrier.hang_up()
    assert line.got("BYE").to.uri.user == "+441"


def test_a_number_that_it_owns_and_an_anonymous_caller(make_stage):
    """The one passes as it is, the other stays unknown on every leg (RFC 3323 4.1.1.3)."""
    stage = make_stage({"pbx": {**PBX, "default_number": "+44200"}})
    pbx, carrier = stage.phone("pbx", host="127.88.0.102"), stage.phone("gw", host="127.88.0.101")
    for caller, shown in (
        ('"Desk" <sip:+44207@pbx.example>', '"Desk" <sip:+44207@127.88.0.1>'),
        (
            '"Anonymous" <sip:anonymous@anonymous.invalid>',
            '"Anonymous" <sip:anonymous@anonymous.invalid>',
        ),
    ):
        line = pbx.call("0333", caller=caller)
        carrier.answer()
        assert line.statuses == [200]
        assert carrier.line.invite.get("From").startswith(f"{shown};tag=")
        assert "+44200" not in str(carrier.line.invite)
        pbx.hang_up()
        assert carrier.line.over


def test_a_trusted_carrier_is_told_the_trunks_number_of_an_anonymous_caller(make_stage):
    """It must know whom to bill, and keeps it to itself (RFC 3325 9.1)."""
    trusted = {"addresses": ["127.88.0.101"], "dialog": {"trusted": True}}
    stage = make_stage({"carrier": trusted, "pbx": {**PBX, "default_number": "+44200"}})
    pbx, carrier = stage.phone("pbx", host="127.88.0.102"), stage.phone("gw", host="127.88.0.101")
    line = pbx.call("0333", caller='"Anonymous" <sip:anonymous@anonymous.invalid>')
    carrier.refuse(486)
    assert line.statuses == [486]
    invite = carrier.line.invite
    assert invite.get("P-Asserted-Identity") == "<sip:+44200@127.88.0.1>"
    assert invite.get("Privacy") == "id"
    assert invite.from_.uri.host == "anonymous.invalid"


def test_what_shows_nobody_a_number_may_come_under_any(make_stage):
    """An OPTIONS by which a PBX sees whether we live has no caller; a MESSAGE has one."""
    stage = make_stage({"pbx": PBX})
    pbx = stage.peer("127.88.0.102")
    for method, status in (("OPTIONS", 200), ("MESSAGE", 403)):
        uri = "sip:127.88.0.1" if method == "OPTIONS" else "sip:alice@127.88.0.1"
        pbx.send(pbx.request(method, uri, caller="<sip:asterisk@127.88.0.102>;tag=1"))
        pbx.expect(status)


def test_an_asserted_number_is_looked_at_too(make_stage):
    """A From of its own does not let a PBX assert somebody else's number."""
    stage = make_stage({"pbx": {**PBX, "dialog": {"trusted": True}}})
    pbx = stage.phone("pbx", host="127.88.0.102")
    line = pbx.call(
        "0333",
        caller="<sip:+44207@pbx.example>",
        fields=[("P-Asserted-Identity", "<sip:+441@pbx.example>")],
    )
    assert line.statuses == [403]
