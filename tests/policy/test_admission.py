"""Who is let in: digest for users, networks for trunks, nobody else."""

import pytest

from softswitch.flow import Flow
from softswitch.plugin.decisions import Allow, Challenge, Reject
from softswitch.plugin.views import Identity, User
from softswitch.policy.admission import Authenticator, TrunkAdmission, UserAdmission
from softswitch.sip import digest

FLOW = Flow("lan", "UDP", "127.0.0.1", 5060, "127.0.0.2", 5062)
ALICE = Allow(Identity("user", "alice", "example.org", force_rport=True))
URI = "sip:bob@example.org"


@pytest.fixture
def users(house):
    """The built-in admission of users."""
    policy = UserAdmission()
    policy.start(house)
    return policy


@pytest.fixture
def proof(house):
    """Credentials for a fresh challenge, or for the nonce given."""

    def make(
        name="alice",
        password="wonderland",
        *,
        uri=URI,
        method="INVITE",
        algorithm="MD5",
        nonce=None,
        nc=1,
        realm="example.org",
        qop=("auth",),
    ):
        if nonce is None:
            ((_, text),) = house.authenticator.challenge_fields(FLOW, Challenge())
            nonce = digest.Challenge.parse(text).nonce
        challenge = digest.Challenge(realm, nonce, algorithm, qop)
        secret = digest.ha1(name, realm, password, algorithm)
        return str(digest.answer(challenge, name, secret, method, uri, nc, "cnonce"))

    return make


def test_a_stranger_is_challenged(users, view):
    """No credentials, or only those for somebody else's realm: 401 (RFC 3261 22.1, 22.3)."""
    assert users.admit(view()) == Challenge()
    for other in ("Bearer x", "Digest rubbish", 'Digest username="a", realm="elsewhere"'):
        assert users.admit(view(Authorization=other)) == Challenge()


def test_a_user_proves_who_it_is(users, view, proof):
    """The right answer to our challenge admits the user, whose NAT is worked around."""
    assert users.admit(view(Authorization=proof())) == ALICE
    register = view(
        "sip:example.org",
        method="REGISTER",
        Authorization=proof(uri="sip:example.org", method="REGISTER"),
    )
    assert users.admit(register) == ALICE


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "guess"},
        {"name": "mallory"},
        {"method": "BYE"},
        {"uri": "sip:900@example.org"},
        {"uri": "sip:bob@example.com"},
        {"uri": "not a uri"},
        {"realm": "elsewhere"},
        {"algorithm": "SHA-256"},
        {"qop": ()},
    ],
)
def test_a_wrong_proof_is_challenged_anew(users, view, proof, wrong):
    """Wrong password, unknown user, another method or digest-uri, an algorithm that was not
    asked for, no qop: all look alike, and none is stale (RFC 3261 22.4, RFC 7616 3.4.6)."""
    assert users.admit(view(Authorization=proof(**wrong))) == Challenge()


def test_parameters_do_not_matter_in_the_digest_uri(users, view, proof):
    """Phones put transport into one of the two and forget it in the other."""
    request = view(URI + ";transport=udp", Authorization=proof(uri=URI))
    assert users.admit(request) == ALICE


def test_an_old_nonce_is_stale(house, users, view, proof):
    """After its life a nonce gets a new challenge with stale, so that the phone does not ask for
    the password (RFC 7616 3.3); a wrong password is never told so."""
    right, wrong = proof(), proof(password="guess")
    house.clock.run(301)
    assert users.admit(view(Authorization=right)) == Challenge(stale=True)
    assert users.admit(view(Authorization=wrong)) == Challenge()
    foreign = proof(nonce="0" * 52)
    assert users.admit(view(Authorization=foreign)) == Challenge(stale=True)


def test_a_proof_counts_once(house, users, view, proof):
    """A nonce count that was used is not taken again (RFC 7616 3.4.5); a later one is."""
    nonce = digest.Credentials.parse(proof()).nonce
    for nc, expected in ((1, ALICE), (3, ALICE), (1, Challenge(stale=True)), (2, ALICE)):
        assert users.admit(view(Authorization=proof(nonce=nonce, nc=nc))) == expected


@pytest.mark.parametrize(
    "sender",
    ["<sip:bob@example.org>;tag=1", "<sip:alice@example.com>;tag=1", "<tel:+44123>;tag=1"],
)
def test_a_user_calls_under_its_own_name(users, view, proof, sender):
    """An authenticated user's From must be its own address of record, else 403."""
    assert users.admit(view(sender=sender, Authorization=proof())) == Reject(403)


def test_every_address_of_ours_is_one_domain(users, view, proof):
    """alice@address and alice@name are one user."""
    assert users.admit(view(sender="<sip:alice@127.0.0.1>", Authorization=proof())) == ALICE


def test_a_user_may_call_anonymously(users, view, proof):
    """From of RFC 3323 4.1.1.3: we know who it is; but nobody registers like that."""
    anonymous = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'
    assert users.admit(view(sender=anonymous, Authorization=proof())) == ALICE
    register = view(
        "sip:example.org",
        method="REGISTER",
        sender=anonymous,
        Authorization=proof(uri="sip:example.org", method="REGISTER"),
    )
    assert users.admit(register) == Reject(403)


def test_one_challenge_per_algorithm_in_order(house):
    """A line each, the listener's order; MD5 alone where nothing is said (RFC 8760 2.3)."""
    authenticator = Authenticator(
        "example.org",
        digest.Nonces(house.clock, bytes(32)),
        house.users.get,
        by_listener={"lan": ("SHA-256", "MD5")},
        by_group={},
    )
    fields = authenticator.challenge_fields(FLOW, Challenge(stale=True))
    assert [name for name, _ in fields] == ["WWW-Authenticate"] * 2
    parsed = [digest.Challenge.parse(text) for _, text in fields]
    assert [(each.algorithm, each.realm, each.stale, each.qop) for each in parsed] == [
        ("SHA-256", "example.org", True, ("auth",)),
        ("MD5", "example.org", True, ("auth",)),
    ]
    elsewhere = FLOW._replace(listener="wan")
    ((_, text),) = authenticator.challenge_fields(elsewhere, Challenge("other"))
    only = digest.Challenge.parse(text)
    assert (only.algorithm, only.realm, only.stale) == ("MD5", "other", False)


def test_a_group_has_algorithms_of_its_own(house, view, proof):
    """The user group's algorithms replace the listener's; a weaker one is not taken."""
    alice = house.users["alice"]
    house.users["alice"] = User("alice", alice.ha1, group="strong")
    house.authenticator = Authenticator(
        "example.org",
        digest.Nonces(house.clock, bytes(32)),
        house.users.get,
        by_listener={},
        by_group={"strong": ("SHA-512-256", "SHA-256")},
    )
    users = UserAdmission()
    users.start(house)
    strong = Challenge(algorithms=("SHA-512-256", "SHA-256"))
    assert users.admit(view()) == strong
    assert len(house.authenticator.challenge_fields(FLOW, strong)) == 2
    assert users.admit(view(Authorization=proof())) == strong
    assert users.admit(view(Authorization=proof(algorithm="SHA-256"))) == ALICE
    assert users.admit(view(sender="<sip:bob@example.org>;tag=1")) == Challenge()


def test_a_trunk_is_known_by_its_source(house, view):
    """What comes from a trunk's address is the trunk's, whatever it says; not REGISTER."""
    trunks = TrunkAdmission()
    trunks.start(house)
    source = FLOW._replace(remote_host="10.1.0.2")
    assert trunks.admit(view(source=source)) == Allow(Identity("trunk", "carrier"))
    assert trunks.admit(view(source=source, method="REGISTER")) is None
    assert trunks.admit(view(sender="<sip:1@10.1.0.2>;tag=1")) is None
