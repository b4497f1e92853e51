"""What guards a whole switch: against strangers, floods, guessed passwords, overload."""

from pathlib import Path

import pytest

from softswitch.sip import compose, digest
from softswitch.sip.message import Response
from softswitch.sip.names import METHODS
from softswitch.testing.stage import Stage

MESSAGES = sorted((Path(__file__).parent.parent / "torture" / "messages").glob("*.dat"))
SOURCE = "127.88.9.9"

#: As SIPVicious, sipcli and the like send them: as little as possible, to be answered.
SCAN = (
    "{method} sip:100@127.88.0.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.88.9.9:5060;branch=z9hG4bK-3712;rport\r\n"
    "From: <sip:100@127.88.0.1>;tag=6433\r\nTo: <sip:100@127.88.0.1>\r\n"
    "Call-ID: 5210\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n"
    "Contact: <sip:100@127.88.9.9>\r\nUser-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"
)


def answers(stage, data, source=SOURCE):
    """What the switch sends when something comes."""
    before = len(stage.network.log)
    sender = stage.network.attach(source, 5060)
    sender.send(data, stage.address)
    stage.run(0.4)
    sender.close()
    return [each.data for each in stage.network.log[before:] if each.source == stage.address]


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_an_answer_is_not_much_larger_than_what_it_answers(path):
    """Whoever forges a source gains little: to each of RFC 4475's messages a stranger gets one
    answer at most, larger by no more than a challenge, a tag and the source."""
    with Stage() as stage:
        data = path.read_bytes()
        sent = answers(stage, data)
        assert len(sent) <= 1
        assert sum(map(len, sent)) <= len(data) + 170
        assert not list(stage.house.transactions)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("algorithms", [["MD5"], ["SHA-256", "MD5"]])
def test_a_scan_gains_little(method, algorithms):
    """The shortest requests that scanners send: one answer, and never twice the size."""
    with Stage({"auth": {"algorithms": algorithms}}) as stage:
        data = SCAN.format(method=method, agent="x").encode()
        sent = answers(stage, data)
        assert len(sent) <= 1
        assert sum(map(len, sent)) <= (1.5 if len(algorithms) == 1 else 2) * len(data)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_stranger_is_not_remembered(method):
    """No transaction, dialog, scope or timer is made for whoever has proved nothing, whatever he
    sends; a copy gets the same answer (RFC 3261 8.2.7)."""
    with Stage() as stage:
        data = SCAN.format(method=method, agent="x").encode()
        first, again = answers(stage, data), answers(stage, data)
        assert [each[:11] for each in first] == [each[:11] for each in again]
        house = stage.house
        assert not list(house.transactions)
        assert not house.agent.dialogs
        assert not house.auditor.open
        assert stage.clock.idle


def test_a_flood_harms_nobody_else():
    """5,000 INVITEs in a second from one source: it is banned; a phone that is registered calls,
    and one that was never seen registers meanwhile."""
    with Stage() as stage:
        alice = stage.phone("alice")
        flooder = stage.peer("127.88.9.9", name="flooder")
        new = stage.phone("bob", register=False)
        for number in range(500):
            for _ in range(10):
                flooder.send(flooder.request("INVITE", "sip:900@127.88.0.1"))
            stage.run(0.002)
            if number == 250:
                assert new.register() == 200
                line = alice.call("bob")
                new.answer()
                assert line.statuses == [200]
                alice.hang_up()
        assert len(flooder.unread) < 310
        (ban,) = stage.house.transport.door.bans.all()
        assert (ban.network, ban.proven) == ("127.88.9.9", False)
        assert ban.at < 0.1
        assert stage.house.stats()["bans"] == 1
        assert stage.house.stats()["counters"]["dropped: banned"] > 4000


def test_a_scanner_gets_no_answer():
    """What calls itself so is banned with its first message."""
    with Stage() as stage:
        assert (
            answers(stage, SCAN.format(method="OPTIONS", agent="friendly-scanner").encode()) == []
        )
        assert answers(stage, SCAN.format(method="OPTIONS", agent="x").encode()) == []


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_guessed_passwords(name):
    """Ten wrong passwords make a long ban, for our challenge went to that host and came back; with
    an unknown name it is the same ban, so that it tells nothing."""
    with Stage() as stage:
        guesser = stage.phone(name, password="wrong", register=False)
        statuses = [guesser.register() for _ in range(20)]
        assert {status for status in statuses if status} == {401}
        (ban,) = stage.house.transport.door.bans.all()
        assert (ban.network, ban.why, ban.proven) == (guesser.host, "failed logins", True)
        assert len([status for status in statuses if status]) in (9, 10)
        stage.clock.run(3700)
        good = stage.phone("bob", host=guesser.host, port=5090)
        assert good.registered == 200


def test_passwords_that_are_not_judged_any_more():
    """Ten a second: points flow off meanwhile, and the eleventh is not judged, for so many have
    failed; it is a failure all the same."""
    with Stage() as stage:
        guesser = stage.phone("alice", password="wrong", register=False)
        for _ in range(100):
            guesser.register()
            stage.run(0.1)
        (ban,) = stage.house.transport.door.bans.all()
        assert (ban.network, ban.why, ban.proven) == (guesser.host, "failed logins", True)


def test_a_challenge_for_another_host_proves_nothing():
    """Who forges a source does not see the nonce that goes there, and his own does not do."""
    with Stage() as stage:
        own = stage.phone("alice", password="wrong", register=False)
        own.register()
        (challenged,) = [
            message for _, message, _ in own.received if isinstance(message, Response)
        ][:1]
        nonce = challenged.get("WWW-Authenticate").partition('nonce="')[2].partition('"')[0]
        forger = stage.peer("127.88.9.9", name="victim")
        credentials = (
            f'Digest username="alice", realm="softswitch", nonce="{nonce}", uri="sip:127.88.0.1",'
            f' response="{"0" * 32}", algorithm=MD5, cnonce="x", qop=auth, nc=00000001'
        )
        for _ in range(15):
            fields = [("Authorization", credentials)]
            forger.send(forger.request("REGISTER", "sip:127.88.0.1", fields=fields))
            stage.settle()
        (ban,) = stage.house.transport.door.bans.all()
        assert (ban.network, ban.why, ban.proven) == ("127.88.9.9", "failed logins", False)


@pytest.mark.parametrize("via", ["maddr={thief}", "maddr={thief};rport", "received={thief};rport"])
def test_a_challenge_that_a_via_leads_elsewhere_proves_nothing(via):
    """Who forges a source and has the challenge sent to himself (RFC 3261 18.2.2) holds a nonce
    that speaks for himself alone: what he sends with it in his victim's name makes no long ban."""
    with Stage({"door": {"points": {"challenged": 0}}}) as stage:
        thief = stage.peer("127.88.9.8", name="thief")
        victim = stage.peer("127.88.9.9", name="victim")
        data = SCAN.format(method="REGISTER", agent="x")
        data = data.replace("rport", via.format(thief=thief.host)).encode()
        stage.network.carry(data, (victim.host, 5060), stage.address)
        stage.settle()
        got = [*thief.unread, *victim.unread]
        assert len(got) == 1
        assert len(thief.unread) == (via.startswith("maddr"))
        nonce = got[0].get("WWW-Authenticate").partition('nonce="')[2].partition('"')[0]
        credentials = (
            f'Digest username="alice", realm="softswitch", nonce="{nonce}", uri="sip:127.88.0.1",'
            f' response="{"0" * 32}", algorithm=MD5, cnonce="x", qop=auth, nc=00000001'
        )
        for _ in range(15):
            fields = [("Authorization", credentials)]
            request = thief.request("REGISTER", "sip:127.88.0.1", fields=fields)
            stage.network.carry(request.encode(), (victim.host, 5060), stage.address)
            stage.settle()
        (ban,) = stage.house.transport.door.bans.all()
        assert (ban.network, ban.proven) == (victim.host, not via.startswith("maddr"))
        thief.unread.clear()
        victim.unread.clear()


def test_a_forged_datagram_ends_no_connection():
    """Whoever writes a phone's address into his datagrams, and calls himself a scanner there, gets
    a short ban of datagrams: the phone goes on to register, and connects anew, also when another
    ban has all connections looked at."""
    with Stage(transport="TCP") as stage:
        door = stage.house.transport.door
        phone = stage.phone("alice", host="127.88.5.5", register=False)
        phone.password = "wrong"
        assert phone.register() == 401
        data = SCAN.format(method="OPTIONS", agent="friendly-scanner").encode()
        stage.network.carry(data, (phone.host, 6666), stage.address)
        stage.settle()
        (ban,) = door.bans.all()
        assert (ban.network, ban.proven) == (phone.host, False)
        door.ban("127.88.9.9", 60, "somebody else")
        stage.settle()
        assert len(stage.house.transport.connections) == 1
        phone.password = "alice"
        assert phone.register() == 200
        bob = stage.phone("bob", host=phone.host, port=5090)
        assert bob.registered == 200


def test_a_phone_with_a_slip_in_its_office():
    """One phone with a wrong password does not get a whole office banned in which others are
    registered; it has to wait for some seconds once it has the right one, and nobody else has."""
    with Stage() as stage:
        stage.phone("alice", host="127.88.5.5", port=5060)
        stage.phone("bob", host="127.88.5.5", port=5070, password="wrong", register=False)
        slip = stage.phone("bob", host="127.88.5.5", port=5080, password="wrong", register=False)
        for _ in range(40):
            assert slip.register() == 401
        assert not stage.house.transport.door.bans.all()
        stage.phone("carol", host="127.88.5.5", port=5090)
        slip.password = "bob"
        assert slip.register() == 401
        stage.run(6)
        assert slip.register() == 200


def guess(stage, phone, name="bob", count=1):
    """Guess somebody's password, without a challenge of ours."""
    for number in range(count):
        uri = f"sip:{stage.address[0]}"
        words = f'username="{name}", realm="softswitch", nonce="{number}", uri="{uri}"'
        proof = f'Digest {words}, response="{number:032x}", qop=auth, nc=00000001, cnonce="a"'
        own = f"<sip:{name}@{stage.address[0]}>"
        phone.send(
            phone.request("REGISTER", uri, caller=own, to=own, fields=[("Authorization", proof)])
        )
        phone.unread.clear()


@pytest.mark.parametrize("evidence", [True, False])
def test_who_is_registered_guesses_others_passwords(evidence, monkeypatch):
    """Ten guesses at one account are judged at once, and ten more in a minute; whoever owns it
    registers meanwhile, for he is elsewhere."""
    looked = []
    verify = digest.verify
    monkeypatch.setattr(digest, "verify", lambda *args: looked.append(1) or verify(*args))
    with Stage() as stage:
        alice, bob = stage.phone("alice", port=5060), stage.phone("bob", register=False)
        other = stage.phone("bob", host=alice.host, port=5070, password="wrong", register=False)
        looked.clear()

        def guesses():
            if not evidence:
                guess(stage, alice, count=100)
            else:
                assert {other.register() for _ in range(30)} == {401}

        guesses()
        assert len(looked) == 10
        assert bob.register() == 200
        assert alice.register() == 200
        looked.clear()
        stage.run(60)
        guesses()
        assert len(looked) == 10
        assert not stage.house.transport.door.bans.all()


def test_a_forger_takes_nobodys_guesses():
    """Who writes somebody's address into his datagrams has no challenge of ours: the phones there
    prove their passwords all the same."""
    with Stage() as stage:
        alice = stage.phone("alice", port=5060)
        guess(stage, alice, "alice", 100)
        guess(stage, alice, "bob", 100)
        assert alice.register() == 200
        bob = stage.phone("bob", host=alice.host, port=5070)
        assert bob.registered == 200


def test_who_is_registered_guesses_at_many_accounts(monkeypatch):
    """Sixty failures at all accounts are judged at once; beyond, those accounts alone are not
    judged at which something has failed."""
    looked = []
    verify = digest.verify
    monkeypatch.setattr(digest, "verify", lambda *args: looked.append(1) or verify(*args))
    with Stage() as stage:
        alice = stage.phone("alice")
        looked.clear()
        for _ in range(3):
            for number in range(100):
                guess(stage, alice, f"nobody{number}")
        assert len(looked) == 100
        assert alice.register() == 200


def test_who_is_trusted_looks_after_himself():
    """Behind a web server of one's own all phones have one address: its failures do not count."""
    with Stage({"door": {"trusted": ["127.88.5.5"]}}) as stage:
        slip = stage.phone("bob", host="127.88.5.5", password="wrong", register=False)
        assert {slip.register() for _ in range(30)} == {401}
        slip.password = "bob"
        assert slip.register() == 200


def test_a_ban_ends_connections():
    """A ban by command meets a phone that is connected, too."""
    with Stage(transport="TCP") as stage:
        alice = stage.phone("alice")
        assert alice.registered == 200
        assert len(stage.house.transport.connections) == 1
        stage.house.transport.door.ban(alice.host, 60, "stolen")
        stage.run(0.1)
        assert len(stage.house.transport.connections) == 0
        assert alice.register() == 0
        stage.run(61)
        assert alice.register() == 200


def test_a_flood_on_a_connection():
    """It ends, and does not come again."""
    with Stage(transport="TCP") as stage:
        flooder = stage.peer(SOURCE, name="flooder")
        for _ in range(1000):
            flooder.send(flooder.request("INVITE", "sip:900@127.88.0.1"))
        stage.run(0.1)
        assert len(flooder.unread) <= 200
        assert len(stage.house.transport.connections) == 0
        for _ in range(200):
            flooder.send(flooder.request("INVITE", "sip:900@127.88.0.1"))
            stage.run(0.01)
        (ban,) = stage.house.transport.door.bans.all()
        assert ban.proven
        assert len(stage.house.transport.connections) == 0


@pytest.mark.parametrize("together", [1, 16384])
def test_a_flood_of_keep_alives(together):
    """A ping is weighed as a message is (RFC 5626 4.4.1): the connection ends, and whoever goes on
    is banned. A phone that is registered pings all the while."""
    with Stage(transport="TCP") as stage:
        alice = stage.phone("alice")
        flooder = stage.peer(SOURCE, name="flooder")
        for _ in range(1000 // together or 1):
            flooder.send(b"\r\n\r\n" * together)
        stage.run(0.1)
        sent = [each.data for each in stage.network.log if each.to[0] == SOURCE]
        assert sent == [b"\r\n"] * (199 if together == 1 else 1)
        assert [each.flow.remote_host for each in connections(stage)] == [alice.host]
        for _ in range(200):
            flooder.send(b"\r\n\r\n" * 100)
            stage.run(0.01)
        (ban,) = stage.house.transport.door.bans.all()
        assert ban.proven
        for _ in range(720):
            alice.send(b"\r\n\r\n")
            stage.run(5)
        assert [each.flow.remote_host for each in connections(stage)] == [alice.host]
        assert sum(each.data == b"\r\n" and each.to[0] == alice.host for each in stage.network.log)


def connections(stage):
    """Those that stand."""
    return list(stage.house.transport.connections)


def test_who_proves_himself_is_no_guest():
    """A phone's connection is a stranger's until it has proved a password."""
    with Stage(transport="TCP") as stage:
        alice = stage.phone("alice")
        assert len(stage.house.transport.guests) == 1
        assert alice.register(again=True) == 200
        assert len(stage.house.transport.guests) == 0


class Busy:
    """A switch that has too much to do for a while."""

    def __init__(self, stage):
        self._stage = stage

    def __enter__(self):
        overload = self._stage.house.transport.overload
        overload.on, overload._until = True, float("inf")

    def __exit__(self, *error):
        self._stage.house.transport.overload._until = 0.0


def test_new_work_is_refused_under_load():
    """503 without Retry-After and without state; what stands goes on: a re-INVITE, a BYE, a phone
    that registers again. Afterwards all is as before."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        line = alice.call("bob")
        bob.answer()
        with Busy(stage):
            stranger = stage.peer(SOURCE)
            for method in ("INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS", "MESSAGE"):
                stranger.send(stranger.request(method, "sip:bob@127.88.0.1"))
                stage.settle()
                refused = stranger.expect(503)
                assert refused.get("Retry-After") is None
            before = len(list(stage.house.transactions))
            second = alice.call("bob")
            assert second.statuses == [503]
            assert len(list(stage.house.transactions)) == before
            assert alice.register(again=True) == 200
            line.reinvite(line.described)
            bob.answer()
            answer = alice.received[-1][1]
            assert (answer.start_line(), answer.cseq.number) == ("SIP/2.0 200 OK", 3)
            bob.hang_up()
            assert line.methods[-1] == "BYE"
        third = alice.call("bob")
        bob.answer()
        assert third.statuses == [200]
        alice.hang_up()


def test_an_emergency_call_goes_through_under_load():
    """By the numbers of ``switch.emergency``."""
    config = {
        "trunks": {"carrier": {"addresses": ["127.88.0.77"]}},
        "policy": [
            {"use": "trunks"},
            {"use": "users"},
            {"use": "registration"},
            {"use": "dialplan", "rules": [{"match": ".*", "trunk": "carrier"}]},
        ],
    }
    with Stage(config) as stage:
        carrier = stage.trunk("carrier")
        alice = stage.phone("alice")
        with Busy(stage):
            assert alice.call("100").statuses == [503]
            call = alice.call("112")
            carrier.answer()
            assert call.statuses == [200]
            alice.hang_up()


def test_retry_after_where_it_is_wished_for():
    """``overload.retry_after``."""
    with Stage({"overload": {"retry_after": 5}}) as stage, Busy(stage):
        stranger = stage.peer(SOURCE)
        stranger.send(stranger.request("INVITE", "sip:bob@127.88.0.1"))
        stage.settle()
        refused = stranger.expect(503)
        assert refused.get("Retry-After") == "5"
        stranger.send(compose.ack(stranger.request("INVITE", "sip:bob@127.88.0.1"), refused))
        stage.settle()


def test_a_reload_changes_the_door():
    """What is trusted, banned and allowed is read anew; a trunk's networks are trusted with it."""
    with Stage() as stage:
        stage.house.transport.door.ban("127.88.0.77", None, "mistake")
        stage.reload(
            {
                "trunks": {"carrier": {"addresses": ["127.88.0.77"]}},
                "door": {"banned": ["127.88.9.0/24"], "burst": 1},
            }
        )
        door = stage.house.transport.door
        assert [ban.network for ban in door.bans.all()] == ["127.88.9.0/24"]
        assert door.knows("127.88.0.77", 5060)
        assert answers(stage, SCAN.format(method="OPTIONS", agent="x").encode()) == []
        stage.reload()
        assert len(answers(stage, SCAN.format(method="OPTIONS", agent="x").encode())) == 1
