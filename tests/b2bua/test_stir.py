"""Signed numbers: verified where they come in, signed where they go out (RFC 8224, 8225, 8588)."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from softswitch.errors import TransportError
from softswitch.plugin.decisions import Reject
from softswitch.plugin.interfaces import IRouter
from softswitch.policy.certificatecache import Fetched
from softswitch.policy.tnauthlist import OID
from softswitch.sip.fields import NameAddr
from softswitch.sip.passport import Claims, Identity, identity
from softswitch.testing.authority import Authority
from softswitch.testing.stage import Stage

CALLER, CALLED = "12155551212", "12155551213"
URL = "https://cert.example.org/signer.pem"
GATEWAY = "127.88.0.120"
#: Provider 709J; and the one number 12155551212.
PROVIDER = bytes.fromhex("3008a00616043730394a")
ONE = bytes.fromhex("300fa20d160b") + CALLER.encode()
PASSED, FAILED, NONE = "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"


def tn_auth_list(data: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), data)


class Hosts:
    """The web servers that have certificates.

    :ivar files: path -> what is there; a Deferred for what comes later.
    :ivar asked: every address that was asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes | Deferred[Fetched]] = {}
        self.asked: list[str] = []

    def fetch(self, place):
        self.asked.append(place.url)
        found = self.files.get(place.path)
        if found is None:
            return fail(TransportError("answered 404"))
        return succeed(Fetched(found)) if isinstance(found, bytes) else found


class World:
    """Authorities, a signer, and a switch that verifies or signs."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder)
        self.hosts = Hosts()
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.stages = []
        self.sides = {}
        self.issue()

    def issue(self, listed=PROVIDER, authority=None, **how):
        extensions = [tn_auth_list(listed)] if listed else []
        issued = (authority or self.authority).issue("signer", extensions=extensions, **how)
        self.key = load_pem_private_key(issued.key.read_bytes(), None)
        self.hosts.files["/signer.pem"] = issued.certificate.read_bytes()
        return issued

    def stage(self, verify="off", trunk=None, plug_ins=(), dialog=None, **tables):
        files = {
            "certificate": str(self.folder / "signer.pem"),
            "key": str(self.folder / "signer.key"),
            "certificate_url": URL,
            "authorities": str(self.authority.certificate),
            "hosts": ["cert.example.org"],
        }
        config = {
            "stir": files,
            "users": {
                "alice": {"password": "alice", "numbers": [f"+{CALLED}"], "group": "staff"},
                "bob": {"password": "bob", "numbers": [f"+{CALLER}"]},
            },
            "groups": {"staff": {"dialog": dialog or {"trusted": True}}},
            "trunks": {
                "carrier": {"addresses": [GATEWAY], "stir": {"verify": verify}, **(trunk or {})}
            },
            **tables,
        }
        stage = Stage(config, plug_ins=plug_ins, at=self.now)
        stage.house.premises.stir.fetch_with(lambda table, files: self.hosts.fetch)
        self.stages.append(stage)
        return stage

    def side(self, stage, name):
        """A phone, or the gateway of a trunk; the same each time."""
        make = stage.trunk if name in stage.config.trunks else stage.phone
        key = id(stage), name
        if key not in self.sides:
            self.sides[key] = make(name)
        return self.sides[key]

    def identity(self, *, age=0, ppt="shaken", info=URL, compact=False, **changes):
        """An Identity of the caller's, ``age`` seconds old."""
        own = {"attest": "A", "origid": "0815"} if ppt else {}
        iat = int(self.now.timestamp()) - age
        claims = Claims(**{"orig": CALLER, "numbers": (CALLED,), "iat": iat, **own, **changes})
        return identity(claims, info, self.key, ppt, compact)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    for stage in world.stages:
        stage.close()


def called(world, stage, *identities, caller=f"<sip:+{CALLER}@carrier.example>", fields=()):
    """What alice hears of a call from the trunk, and its record; she answers, and it ends."""
    alice, gateway = world.side(stage, "alice"), world.side(stage, "carrier")
    before = len(alice.lines)
    signed = [("Identity", each) for each in identities]
    line = gateway.call(f"+{CALLED}", caller=caller, fields=[*signed, *fields])
    if len(alice.lines) == before:
        return line.statuses[-1], stage.records
    alice.answer()
    gateway.hang_up()
    return alice.line.invite, stage.records[-1]


def asserted(invite) -> str:
    """The one identity that is asserted."""
    [value] = invite.all("P-Asserted-Identity")
    return value


PAI = ("P-Asserted-Identity", f"<sip:+{CALLER}@carrier.example>")
TRUSTED = {"dialog": {"trusted": True}}


def test_a_signed_number_passes(world):
    """RFC 8224 6.2: record and routers have the verdict, a trusted callee reads it in the number
    (3GPP TS 24.229), with how far the signer vouches for it."""
    stage = world.stage("tag", TRUSTED)
    invite, record = called(world, stage, world.identity(), fields=[PAI])
    assert (record.verstat, record.attestation, record.origid) == (PASSED, "A", "0815")
    assert record.unverified == ""
    assert asserted(invite) == f"<sip:+{CALLER};verstat={PASSED}@carrier.example>"
    assert (invite.get("Attestation-Info"), invite.get("Origination-Id")) == ("A", "0815")
    assert invite.from_.uri.user == f"+{CALLER}"
    assert world.hosts.asked == ["https://cert.example.org:443/signer.pem"]


def test_the_certificate_is_fetched_once(world):
    """The second call finds it at hand, and is admitted at once."""
    stage = world.stage("tag")
    for _ in range(2):
        assert called(world, stage, world.identity())[1].verstat == PASSED
    assert len(world.hosts.asked) == 1


@pytest.mark.parametrize("place", ["from", "pai"])
def test_where_a_callee_is_told(world, place):
    """Its profile says: in From, in P-Asserted-Identity; the untrusted are told nowhere."""
    stage = world.stage("tag", TRUSTED, dialog={"trusted": True, "verstat": [place]})
    invite, _ = called(world, stage, world.identity(), fields=[PAI])
    told = f"+{CALLER};verstat={PASSED}"
    assert (invite.from_.uri.user == told) is (place == "from")
    assert (NameAddr.parse(asserted(invite)).uri.user == told) is (place == "pai")
    stage = world.stage("tag", dialog={"trusted": False, "verstat": ["pai", "from"]})
    invite, record = called(world, stage, world.identity())
    assert record.verstat == PASSED
    assert b"verstat" not in invite.encode()
    assert invite.get("Attestation-Info") is None


@pytest.mark.parametrize("verify", ["off", "tag"])
@pytest.mark.parametrize(
    "user",
    [
        f"+{CALLER};verstat={PASSED}",
        f"+{CALLER};x=1;Verstat={PASSED}",
        f"+{CALLER}%3Bverstat%3D{PASSED}",
        f"+{CALLER};%76erstat={PASSED}",
    ],
)
@pytest.mark.parametrize("caller", ["unchanged", "plus"])
def test_what_a_stranger_says_of_himself_is_taken_off(world, verify, user, caller):
    """In From and in what he asserts, whether we verify or not; so is what he has signed and did
    not pass."""
    writes = {"trusted": True}, {"numbering": {"caller": caller}}
    stage = world.stage(verify, groups={"staff": {"dialog": writes[0], **writes[1]}})
    lie = f"<sip:{user}@carrier.example;verstat={PASSED}>"
    signed = world.identity(orig="1999")
    invite, record = called(world, stage, signed, caller=lie, fields=[("P-Asserted-Identity", lie)])
    assert record.verstat == (FAILED if verify == "tag" else "")
    assert PASSED.encode() not in invite.encode()
    assert invite.get("Identity") is None


def test_what_a_trusted_peer_says_goes_on(world):
    """Where we do not verify, his verdict is as good as his word."""
    stage = world.stage("off", TRUSTED)
    said = f"<tel:+{CALLER};verstat={PASSED}>"
    invite, _ = called(world, stage, fields=[("P-Asserted-Identity", said)])
    assert asserted(invite) == said
    invite, _ = called(
        world, stage, fields=[("P-Asserted-Identity", f"<tel:+{CALLER};verstat=Sure>")]
    )
    assert asserted(invite) == f"<tel:+{CALLER}>"
    stage = world.stage("tag", TRUSTED)
    invite, _ = called(world, stage, fields=[("P-Asserted-Identity", said)])
    assert asserted(invite) == f"<tel:+{CALLER};verstat={NONE}>"


WRONG = {
    "nothing is signed": (lambda world: [], NONE, 428),
    "another caller": (lambda world: [world.identity(orig="12155551299")], FAILED, 438),
    "another callee": (lambda world: [world.identity(numbers=("12155551299",))], FAILED, 438),
    "stale": (lambda world: [world.identity(age=61)], FAILED, 403),
    "from the future": (lambda world: [world.identity(age=-61)], FAILED, 403),
    "changed": (lambda world: [world.identity().replace("eyJh", "eyJi", 1)], FAILED, 438),
    "no certificate": (
        lambda world: [world.identity(info="https://cert.example.org/none")],
        NONE,
        436,
    ),
    "another host": (lambda world: [world.identity(info="https://cert.example.com/")], NONE, 436),
    "rubbish": (lambda world: ["rubbish"], FAILED, 438),
    "a kind that we do not know": (
        lambda world: [world.identity(ppt="").replace(";alg", ";ppt=rph;alg")],
        NONE,
        428,
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_pass(world, what):
    """RFC 8224 6.2.2: tagged, the call goes on and the record says why; required, it is refused
    with the status for that, and there is no call."""
    made, verstat, status = WRONG[what]
    invite, record = called(world, world.stage("tag"), *made(world))
    assert (record.verstat, record.attestation) == (verstat, "")
    assert record.unverified
    assert invite.get("Identity") is None
    assert called(world, world.stage("require"), *made(world)) == (status, [])


def test_a_certificate_is_not_fetched_in_vain(world):
    """Nor for what is stale, about others, or elsewhere."""
    stage = world.stage("tag")
    for what in ("another caller", "another callee", "stale", "changed", "another host", "rubbish"):
        called(world, stage, *WRONG[what][0](world))
    assert world.hosts.asked == []


@pytest.mark.parametrize("what", ["expired", "other authority", "rubbish", "other number", "own"])
def test_whose_certificate_does_not_count(world, what):
    """437: no chain to an authority of ours, the time, TNAuthList (RFC 8226)."""
    if what == "expired":
        world.issue(good_for=timedelta(days=-1))
    elif what == "other authority":
        world.issue(authority=Authority(world.folder, "other"))
    elif what == "rubbish":
        world.hosts.files["/signer.pem"] = b"-----BEGIN CERTIFICATE-----\nAAAA"
    elif what == "other number":
        world.issue(ONE[:-1] + b"3")
    else:
        world.hosts.files["/signer.pem"] = world.authority.certificate.read_bytes()
    stage = world.stage("require")
    status = 438 if what == "own" else 437
    assert called(world, stage, world.identity()) == (status, [])


@pytest.mark.parametrize("listed", [b"", ONE, PROVIDER])
def test_whose_certificate_speaks_for_the_number(world, listed):
    """Without a TNAuthList for all; with one, for what it lists, be it a provider."""
    world.issue(listed)
    assert called(world, world.stage("require"), world.identity())[1].verstat == PASSED


def test_the_certificates_own_signature_counts(world):
    """Another key than the certificate's has signed."""
    stage = world.stage("require")
    signed = world.identity()
    world.issue()
    assert called(world, stage, signed) == (438, [])


def test_one_of_several_is_enough(world):
    """Whatever stands beside it, in lines of their own or in one (RFC 8224 6.2)."""
    for values in (
        ["rubbish", world.identity()],
        [f"{world.identity(orig='1')}, {world.identity()}"],
        [world.identity(ppt=""), world.identity(age=99)],
    ):
        assert called(world, world.stage("require"), *values)[1].verstat == PASSED


@pytest.mark.parametrize("date", [0, 5])
def test_the_compact_form(world, date):
    """RFC 8225 7: what it leaves out is what From, To and Date say; with another Date it is about
    something else."""
    stage = world.stage("tag")
    at = world.now + timedelta(seconds=date)
    fields = [("Date", at.strftime("%a, %d %b %Y %H:%M:%S GMT"))]
    signed = world.identity(ppt="", compact=True)
    _, record = called(world, stage, signed, fields=fields)
    assert (record.verstat, record.attestation) == (FAILED if date else PASSED, "")
    assert called(world, stage, signed)[1].verstat == FAILED, "without a Date"


def test_a_call_waits_for_its_certificate(world):
    """The INVITE is absorbed meanwhile, and goes on with the verdict; a CANCEL ends it."""
    world.hosts.files["/signer.pem"], body = Deferred(), world.hosts.files["/signer.pem"]
    stage = world.stage("tag")
    alice, gateway = stage.phone("alice"), stage.trunk("carrier")
    fields = [("Identity", world.identity())]
    caller = f"<sip:+{CALLER}@carrier.example>"
    first = gateway.call(f"+{CALLED}", caller=caller, fields=fields)
    second = gateway.call(f"+{CALLED}", caller=caller, fields=fields)
    stage.run(0.8)
    assert alice.lines == []
    second.cancel()
    assert second.statuses == [487]
    world.hosts.files["/signer.pem"].callback(Fetched(body))
    stage.settle()
    assert len(alice.lines) == 1
    alice.answer()
    first.request("BYE")
    assert len(world.hosts.asked) == 1
    assert [each.verstat for each in stage.records if each.answered] == [PASSED]


def test_who_is_asserted_is_who_is_verified(world):
    """Of a trusted trunk the number in P-Asserted-Identity is believed, so it is the one that must
    have been signed; what From says besides gets no mark."""
    stage = world.stage("tag", TRUSTED, dialog={"trusted": True, "verstat": ["pai", "from"]})
    victim = "<sip:+12155550000@carrier.example>"
    invite, record = called(world, stage, world.identity(), caller=victim, fields=[PAI])
    assert record.verstat == PASSED
    assert invite.from_.uri.user == "+12155550000"
    assert f"verstat={PASSED}" in asserted(invite)
    other = ("P-Asserted-Identity", victim)
    assert called(world, stage, world.identity(), fields=[other])[1].verstat == FAILED


def test_numbers_are_read_as_the_trunk_writes_them(world):
    """At home and abroad (RFC 8224 8.3)."""
    trunk = {"numbering": {"country": "GB"}, **TRUSTED}
    stage = world.stage("require", trunk)
    signed = world.identity(orig="442071838750")
    _, record = called(world, stage, signed, caller="<sip:02071838750@carrier.example>")
    assert record.verstat == PASSED


@implementer(IRouter)
class Suspicious:
    """Refuses whom nobody vouches for."""

    def route(self, invite):
        if invite.verstat == PASSED and invite.attestation in ("A", "B"):
            return None
        return Reject(607, "Unwanted")


def test_a_router_decides_on_the_verdict(world):
    """Plug-ins see it: how far the signer vouches, or that nobody has signed."""
    stage = world.stage("tag", plug_ins=[Suspicious()])
    assert called(world, stage, world.identity())[1].answered is not None
    assert called(world, stage, world.identity(attest="C"))[0] == 607
    assert called(world, stage)[0] == 607


def test_an_emergency_call_needs_no_signature(world):
    """Where everything else has to pass."""
    stage = world.stage("require", users={"112": {"password": "x"}, "alice": {"password": "a"}})
    desk, gateway = stage.phone("112"), stage.trunk("carrier")
    line = gateway.call("112", caller=f"<sip:+{CALLER}@carrier.example>")
    desk.answer()
    gateway.hang_up()
    assert line.statuses == [200]


# Signing.

SIGNS = {"stir": {"sign": True}}
RULES = [{"use": name} for name in ("trunks", "users", "registration", "located")]
RULE = {"match": r"\+.*", "trunk": "carrier"}
OUT = {"policy": [*RULES, {"use": "dialplan", "rules": [RULE]}]}


def claims_of(invite):
    """What is signed in it."""
    [value] = invite.all("Identity")
    found = Identity.parse(value)
    return found.passport().claims


def out(world, stage, caller="bob", number=f"+{CALLED[:-1]}9", shown="", fields=()):
    """The INVITE that the carrier gets, and the attempt in its record."""
    gateway, phone = world.side(stage, "carrier"), world.side(stage, caller)
    host = stage.address[0]
    phone.call(number, caller=f"<sip:{shown or caller}@{host}>", fields=fields)
    gateway.answer()
    phone.hang_up()
    return gateway.line.invite, stage.records[-1].attempts[-1]


def test_a_users_call_is_signed(world):
    """RFC 8588: numbers as they go out, who it is in a name that tells nobody, the time, which is
    that of Date; "A" for a number of his own."""
    stage = world.stage(trunk=SIGNS, **OUT)
    invite, attempt = out(world, stage, shown=f"+{CALLER}")
    claims = claims_of(invite)
    assert (claims.orig, claims.numbers, claims.attest) == (CALLER, ("12155551219",), "A")
    assert claims.iat == int(world.now.timestamp())
    assert invite.get("Date") == world.now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert (attempt.attestation, attempt.origid) == ("A", claims.origid)
    again, _ = out(world, stage, shown=f"+{CALLER}")
    assert claims_of(again).origid == claims.origid
    assert "bob" not in claims.origid


def test_what_one_switch_signs_another_verifies(world):
    """The INVITE that left the one comes to the other, with the same Identity."""
    invite, _ = out(
        world, world.stage(trunk=SIGNS, **OUT), number=f"+{CALLED}9", shown=f"+{CALLER}"
    )
    signed = invite.all("Identity")
    other = world.stage(
        "require", users={"alice": {"password": "alice", "numbers": [f"+{CALLED}9"]}}
    )
    alice, gateway = other.phone("alice"), other.trunk("carrier")
    caller = f"<sip:{invite.from_.uri.user}@carrier.example>"
    fields = [("Identity", each) for each in signed]
    line = gateway.call(f"+{CALLED}9", caller=caller, fields=fields)
    alice.answer()
    gateway.hang_up()
    assert line.statuses == [200]
    assert (other.records[-1].verstat, other.records[-1].attestation) == (PASSED, "A")
    changed = gateway.call(f"+{CALLED}9", caller="<sip:+1999@carrier.example>", fields=fields)
    assert changed.statuses == [438]
    other.run(61)
    assert gateway.call(f"+{CALLED}9", caller=caller, fields=fields).statuses == [403]


@pytest.mark.parametrize(("form", "compact"), [("full", False), ("compact", True)])
def test_without_shaken(world, form, compact):
    """RFC 8225's own claims, in full or left out; names without a number are signed, too."""
    stage = world.stage(trunk={"stir": {"sign": True, "passport": form}}, **OUT)
    invite, attempt = out(world, stage, shown=f"+{CALLER}")
    [value] = invite.all("Identity")
    assert Identity.parse(value).compact is compact
    assert "ppt" not in value
    assert (attempt.attestation, attempt.origid) == ("signed", "")
    invite, _ = out(world, stage)
    if not compact:
        assert claims_of(invite).orig == "sip:bob@127.88.0.1"


def test_a_name_is_no_number(world):
    """SHAKEN is about numbers: others' calls go out unsigned."""
    invite, attempt = out(world, world.stage(trunk=SIGNS, **OUT))
    assert invite.get("Identity") is None
    assert attempt.attestation == ""


GIVEN = {
    "shown by the trunk": ({"numbering": {"caller_id": "+12155550001"}}, "bob", "A"),
    "written by the trunk": ({"from_user": "+12155550001"}, "bob", "A"),
}


@pytest.mark.parametrize("what", GIVEN)
def test_a_number_that_the_operator_shows(world, what):
    """Is one that he vouches for, for a user of ours."""
    trunk, caller, attest = GIVEN[what]
    invite, _ = out(world, world.stage(trunk={**SIGNS, **trunk}, **OUT), caller)
    claims = claims_of(invite)
    assert (claims.orig, claims.attest) == ("12155550001", attest)


NEAR = {
    "a gateway": ({}, "C"),
    "a customer by his numbers": ({"numbers": [f"+{CALLER}"]}, "A"),
    "a customer by his password": (
        {"networks": ["127.88.0.121"], "inbound_username": "pbx", "inbound_password": "x"},
        "B",
    ),
    "as the operator says": ({"stir": {"attest": "B"}}, "B"),
}


@pytest.mark.parametrize("what", NEAR)
def test_how_far_we_vouch_for_a_trunks_numbers(world, what):
    """A gateway's calls only come through us; a customer's numbers are known, or not."""
    near, attest = NEAR[what]
    tables = {
        "trunks": {
            "carrier": {"addresses": [GATEWAY], **SIGNS},
            "near": {"addresses": ["127.88.0.121"], **near},
        }
    }
    stage = world.stage(**{**OUT, **tables})
    gateway, near_side = stage.trunk("carrier"), stage.trunk("near")
    near_side.call("+12155551299", caller=f"<sip:+{CALLER}@near.example>")
    gateway.answer()
    near_side.hang_up()
    assert claims_of(gateway.line.invite).attest == attest
    stage.run(33)


def test_what_has_passed_crosses_and_is_not_signed_again(world):
    """Nor does a call that goes in a circle: the first signature stays the only one."""
    tables = {
        "trunks": {
            "carrier": {"addresses": [GATEWAY], **SIGNS},
            "near": {"addresses": ["127.88.0.121"], "stir": {"verify": "tag"}},
        }
    }
    stage = world.stage(**{**OUT, **tables})
    gateway, near_side = stage.trunk("carrier"), stage.trunk("near")
    callee = {"numbers": ("12155551299",)}
    signed = world.identity(**callee)
    for identity_, crosses in ((signed, True), (world.identity(orig="1", **callee), False)):
        near_side.call(
            "+12155551299",
            caller=f"<sip:+{CALLER}@near.example>",
            fields=[("Identity", identity_)],
        )
        gateway.answer()
        near_side.hang_up()
        [value] = gateway.line.invite.all("Identity")
        assert (value == identity_) is crosses
    assert [each.attempts[0].attestation for each in stage.records] == ["", "C"]


def test_nothing_is_signed_with_what_has_expired(world):
    """The call goes out all the same."""
    world.issue(good_for=timedelta(seconds=30))
    stage = world.stage(trunk=SIGNS, **OUT)
    assert out(world, stage, shown=f"+{CALLER}")[0].get("Identity") is not None
    stage.run(60)
    invite, attempt = out(world, stage, shown=f"+{CALLER}")
    assert invite.get("Identity") is None
    assert attempt.attestation == ""


def test_a_repeated_invite_is_signed_once(world):
    """A retransmission has the same bytes."""
    stage = world.stage(trunk=SIGNS, **OUT)
    gateway, bob = stage.trunk("carrier"), stage.phone("bob")
    gateway.silent = True
    bob.call(f"+{CALLED}9", caller=f"<sip:+{CALLER}@127.88.0.1>")
    stage.run(3)
    found = {message.encode() for _, message, _ in gateway.received}
    assert len(gateway.received) == 3
    assert len(found) == 1
    bob.cancel()
    stage.run(40)


def test_a_reload_exchanges_the_key(world):
    """What is signed then is signed with the new one; what was fetched stays known."""
    stage = world.stage(trunk=SIGNS, **OUT)
    first, _ = out(world, stage, shown=f"+{CALLER}")
    old = world.key.public_key()
    world.issue()
    stage.house.reload(stage.config)
    second, _ = out(world, stage, shown=f"+{CALLER}")
    [value] = second.all("Identity")
    passport = Identity.parse(value).passport()
    assert passport.is_signed_by(world.key.public_key())
    assert not passport.is_signed_by(old)
    assert first.all("Identity") != second.all("Identity")
