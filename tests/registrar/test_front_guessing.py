"""Guesses at the passwords of a PBX behind us: it sees none but us, so our door hears of them."""

import pytest

from softswitch.testing.stage import Stage

CONFIG = """
[trunks.pbx]
addresses = ["127.88.0.40"]
[[policy]]
use = "trunks"
[[policy]]
use = "front"
trunk = "pbx"
[[policy]]
use = "users"
"""
SOURCE = "127.88.9.9"
MADE_UP = 'Digest username="dave", realm="pbx", nonce="n{}", uri="sip:x", response="{:032x}"'


@pytest.fixture
def stage():
    """A switch in front of a PBX at which dave has registered."""
    with Stage(CONFIG) as made:
        made.pbx = made.pbx("127.88.0.40", {"dave": "secret", "erin": "hidden"})
        made.dave = made.phone("dave", password="secret", register=False)
        assert made.dave.register() == 200
        yield made
        made.run(40)


def wish(stage, peer, number, credentials="", name="dave"):
    """A REGISTER of somebody's, in whosever name."""
    uri = f"sip:{name}@{stage.address[0]}"
    fields = [("Authorization", credentials)] if credentials else []
    return peer.request(
        "REGISTER",
        f"sip:{stage.address[0]}",
        caller=f"<{uri}>;tag={number}",
        to=f"<{uri}>",
        call_id=f"g{number}",
        fields=fields,
    )


def register(stage, number, credentials="", via="", name="dave", port=5060):
    """Send a REGISTER from a stranger's datagram."""
    peer = stage.peer(SOURCE, port=port)
    request = wish(stage, peer, number, credentials, name)
    if via:
        request = request.replaced("Via", [f"{request.get('Via')};{via}"])
    peer.send(request)
    stage.run(0.1)
    peer.endpoint.close()
    return next(iter(peer.unread), None)


@pytest.mark.parametrize("status", [0, 403, 404, 407])
def test_guesses_without_evidence(stage, status):
    """A made-up nonce may come from a forged source: a short ban of datagrams, after ten."""
    stage.pbx.refusal = status
    before = len(stage.pbx.registers)
    for number in range(40):
        register(stage, number, MADE_UP.format(number, number))
    assert len(stage.pbx.registers) - before <= 11
    (ban,) = stage.house.transport.door.bans.all()
    assert (ban.network, ban.why, ban.proven) == (SOURCE, "failed logins", False)


def test_guesses_that_answer_the_challenge(stage):
    """The PBX's challenge went to that host and came back: a long ban, as for a user of our own."""
    guesser = stage.phone("erin", password="wrong", register=False)
    for _ in range(20):
        guesser.register()
    (ban,) = stage.house.transport.door.bans.all()
    assert (ban.network, ban.why, ban.proven) == (guesser.host, "failed logins", True)


def test_a_nonce_that_went_to_another_host_is_no_evidence(stage):
    """Who forges a source does not see what goes there; a nonce that a maddr has led elsewhere, or
    that the PBX gives to several, speaks for nobody."""
    grantor = stage.house.fronts._grantor("pbx")
    for via in ("", f"maddr={stage.dave.host}"):
        register(stage, 900 + len(via), via=via, port=5070)
    *_, own, led = grantor._nonces.values()
    assert (own, led) == (SOURCE, "")
    challenge = register(stage, 950, port=5071)
    assert list(grantor._nonces.values())[-1] == SOURCE
    grantor.heard(challenge, stage.clock.seconds(), "127.88.9.8")
    assert list(grantor._nonces.values())[-1] == ""


def test_names_that_the_pbx_does_not_know(stage):
    """A scan for names, without credentials: refused requests, as everywhere."""
    before = len(stage.pbx.registers)
    for number in range(60):
        register(stage, number, name=f"nobody{number}")
    assert len(stage.pbx.registers) - before <= 21
    (ban,) = stage.house.transport.door.bans.all()
    assert (ban.network, ban.why) == (SOURCE, "refused requests")


def test_a_right_password_wipes_the_slate(stage):
    """A phone that was mistaken eight times and is right then is not banned by its next slip; a
    nonce that has grown old is no mistake at all."""
    door = stage.house.transport.door
    erin = stage.phone("erin", password="wrong", register=False)
    for _ in range(8):
        erin.register()
    erin.password = "hidden"
    assert erin.register() == 200
    assert erin.register(0) == 200
    erin.password = "wrong"
    erin.register()
    assert not door.bans.all()
    scored = []
    door.failed = lambda flow, account, proven: scored.append((flow.remote_host, account))
    stage.pbx.says = [("WWW-Authenticate", 'Digest realm="pbx", nonce="new", stale=true')]
    stage.pbx.refusal = 401
    register(stage, 1, MADE_UP.format(1, 1))
    assert not scored
    stage.pbx.says = []
    register(stage, 2, MADE_UP.format(2, 2))
    assert scored == [(SOURCE, "dave")]


def test_who_is_registered_may_not_guess_either(stage):
    """He is not banned; but beyond ten failures the PBX hears no more of that account from him."""
    dave = stage.dave
    before = len(stage.pbx.registers)
    for number in range(40):
        credentials = MADE_UP.format(number, number).replace("dave", "erin")
        dave.send(wish(stage, dave, number, credentials, "erin"))
    assert len(stage.pbx.registers) - before == 10
    assert not stage.house.transport.door.bans.all()
    assert stage.house.transport.door.counters["not judged: failed logins"] == 30
    assert dave.register() == 200
