"""Nobody comes in without a right proof, whatever he asks for; and ours is shown to nobody else."""

import hashlib
import hmac
from collections.abc import Callable
from random import Random

import pytest

from softswitch.sip import digest
from softswitch.sip.message import Response
from softswitch.sip.names import METHODS
from softswitch.testing.mutation import WORDS
from softswitch.testing.peer import Peer
from softswitch.testing.stage import CONFIG, Stage

STRANGER = "127.88.0.99"
KINDS = ("none", "wrong password", "unknown user", "foreign nonce", "replayed", "malformed")

TRUNK = {
    **CONFIG,
    "trunks": {
        "carrier": {
            "addresses": ["127.88.0.201:5060"],
            "username": "us",
            "password": "secret",
            "realm": "carrier.example",
        }
    },
    "fraud": {"per_minute": 0},
    "policy": [
        {"use": "dialplan", "rules": [{"match": "0.+", "strip": 1, "trunk": "carrier"}]},
        *CONFIG["policy"],
    ],
}


def challenged(peer: Peer) -> digest.Challenge:
    """What the switch asks the peer to prove."""
    peer.unread.clear()
    peer.send(peer.request("OPTIONS", "sip:bob@127.88.0.1", caller="<sip:alice@127.88.0.1>;tag=1"))
    answer = peer.unread[-1]
    found = digest.best(digest.parse_challenges(answer.all("WWW-Authenticate")))
    assert found is not None
    return found


def proof(challenge: digest.Challenge, method: str, uri: str, kind: str, count: int = 1) -> str:
    """An Authorization that proves nothing, for one reason; "right" for one that does."""
    user = "mallory" if kind == "unknown user" else "alice"
    password = "wrong" if kind == "wrong password" else user
    nonce = challenge.nonce
    if kind == "foreign nonce":
        nonce = "f" * len(nonce)
    asked = digest.Challenge(challenge.realm, nonce, challenge.algorithm)
    ha1 = digest.ha1(user, challenge.realm, password, challenge.algorithm)
    given = str(digest.answer(asked, user, ha1, method, uri, count, "0a4f113b"))
    return given.replace("username=", "username") if kind == "malformed" else given


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", sorted(METHODS - {"ACK", "CANCEL"}))
def test_bad_credentials_let_nobody_in(method: str, kind: str):
    """Outside of dialogs: 401 or 481, nothing reaches a phone, nothing is kept of it (RFC 3261
    22.1); what is refused before it is asked who sends it is refused alike."""
    with Stage() as stage:
        bob = stage.phone("bob")
        peer = stage.peer(STRANGER)
        challenge = challenged(peer)
        uri = "sip:127.88.0.1" if method == "REGISTER" else "sip:bob@127.88.0.1"
        if kind == "replayed":
            fields = [("Authorization", proof(challenge, "OPTIONS", "sip:127.88.0.1", "right"))]
            peer.send(peer.request("OPTIONS", "sip:127.88.0.1", caller=ALICE, fields=fields))
            assert peer.unread[-1].start_line() == "SIP/2.0 200 OK"
        fields = [] if kind == "none" else [("Authorization", proof(challenge, method, uri, kind))]
        if method in ("SUBSCRIBE", "NOTIFY", "PUBLISH"):
            fields.append(("Event", "dialog"))
        if method == "REFER":
            fields.append(("Refer-To", "<sip:carol@127.88.0.1>"))
        stage.run(40)
        bob.unread.clear()
        peer.unread.clear()
        to = "<sip:alice@127.88.0.1>" if method == "REGISTER" else ""
        peer.send(peer.request(method, uri, caller=ALICE, to=to, fields=fields))
        (answer,) = peer.unread
        assert isinstance(answer, Response)
        assert answer.status == (481 if method in ("BYE", "PRACK", "UPDATE") else 401)
        assert bob.unread == []
        assert not list(stage.house.transactions)
        assert stage.house.bindings.lookup("sip:alice@127.88.0.1") == []


ALICE = "<sip:alice@127.88.0.1>;tag=1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_bad_credentials_open_no_dialog_of_others(method: str, kind: str):
    """Who knows a call's Call-ID, but not its tags, reaches nobody in it: 481, or silence for an
    ACK (RFC 3261 12.2.2); ACK and CANCEL match a dialog and a transaction, or nothing."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        peer = stage.peer(STRANGER)
        challenge = challenged(peer)
        alice.call("bob")
        bob.answer()
        seen = len(bob.line.requests), len(alice.line.requests)
        uri = alice.line.target
        fields = [] if kind == "none" else [("Authorization", proof(challenge, method, uri, kind))]
        peer.unread.clear()
        peer.send(
            peer.request(
                method,
                uri,
                caller=ALICE,
                to=f"{bob.own};tag=guessed",
                call_id=alice.line.call_id,
                cseq=99,
                fields=fields,
            )
        )
        statuses = [each.status for each in peer.unread if isinstance(each, Response)]
        assert statuses == ([] if method == "ACK" else [481])
        assert (len(bob.line.requests), len(alice.line.requests)) == seen
        alice.hang_up()


def test_a_thousand_hostile_challenges_are_not_answered():
    """A challenge from whoever is not the trunk's, in another realm than its own, or of an
    unreadable form, gets no Authorization: not for an INVITE, nor for a BYE (RFC 3261 22.2)."""
    chance = Random(6)
    with Stage(TRUNK) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier")
        for number in range(500):
            alice.call("0123")
            gateway.refuse(*hostile(chance, number)[:1], fields=hostile(chance, number)[1])
            alice.call("bob")
            line = alice.call("0123")
            gateway.answer()
            gateway.answers["BYE"] = gateway.line.answers["BYE"] = 0
            line.request("BYE")
            bye = gateway.line.got("BYE")
            status, fields = hostile(chance, number)
            gateway.line.respond(status, fields=fields, to=bye)
            stage.run(40)
        sent = [each.data for each in stage.network.log if each.source == stage.address]
        assert not [each for each in sent if b"\r\nAuthorization:" in each]
        assert not [each for each in sent if b"\r\nProxy-Authorization:" in each]


def hostile(chance: Random, number: int) -> tuple[int, list[tuple[str, str]]]:
    """A challenge that is not to be answered."""
    status = (401, 407)[number % 2]
    name = ("WWW-Authenticate", "Proxy-Authenticate")[chance.randint(0, 1)]
    word = chance.choice(WORDS).decode("utf-8", "replace")
    word = "".join(each for each in word if each.isprintable())[:100]
    realms = (
        "evil.example",
        "carrier.example.evil",
        "Carrier.Example",
        "",
        f"carrier.example{word}x",
    )
    realm = digest.quote(chance.choice(realms))
    forms = (
        f"Digest realm={realm}, nonce={digest.quote(word)}",
        f'Digest realm={realm}, nonce="n", algorithm=SHA-256, qop="auth"',
        f'Digest realm={realm}, nonce="n", stale=TRUE',
        'Basic realm="carrier.example", nonce="n"',
        f'Digest realm="carrier.example", realm={realm}, nonce="n"',
        'Digest realm="carrier.example", algorithm=MD4, nonce="n"',
        'Digest realm="carrier.example", nonce="n", qop="auth-int"',
        'Digest realm="carrier.example"',
    )
    return status, [(name, chance.choice(forms))]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_known_and_unknown_users_cost_the_same_hashes(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
):
    """A wrong password and an unknown name take the same number of hash operations: the time tells
    nobody which names there are (RFC 7616 5)."""
    counts = []
    for kind in ("wrong password", "unknown user"):
        with Stage({"auth": {"algorithms": [algorithm]}}) as stage:
            peer = stage.peer(STRANGER)
            challenge = challenged(peer)
            given = proof(challenge, "INVITE", "sip:bob@127.88.0.1", kind)
            request = peer.request(
                "INVITE", "sip:bob@127.88.0.1", caller=ALICE, fields=[("Authorization", given)]
            )
            made: list[str] = []
            with monkeypatch.context() as watched:
                watched.setattr(hashlib, "new", counting(made, "new", hashlib.new))
                watched.setattr(hmac, "digest", counting(made, "digest", hmac.digest))
                watched.setattr(hmac, "new", counting(made, "hmac", hmac.new))
                watched.setattr(
                    hmac, "compare_digest", counting(made, "compare", hmac.compare_digest)
                )
                peer.send(request)
            assert isinstance(peer.unread[-1], Response)
            assert peer.unread[-1].status == 401
            counts.append(made)
    assert counts[0] == counts[1]
    assert counts[0].count("new") == 2


def counting(made: list[str], what: str, real: Callable[..., object]) -> Callable[..., object]:
    """The same function, which notes that it is called."""

    def called(*args: object, **kwargs: object) -> object:
        made.append(what)
        return real(*args, **kwargs)

    return called
