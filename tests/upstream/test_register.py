"""We register at a trunk, and stay registered: when, and what is done about each answer."""

import pytest

from softswitch.sip import compose, digest
from softswitch.sip.parser import parse
from softswitch.testing.stage import Stage

FIRST, SECOND = "127.88.0.101", "127.88.0.102"


def figures(stage):
    """What the switch says of its only registration."""
    (found,) = stage.house.stats()["registered_at"]
    return found


def refreshed_after(chance, granted):
    """Seconds after which a registration is refreshed."""
    latest = granted - 40 if granted >= 80 else granted / 2
    return chance.uniform(0.9 * latest, latest)


def backed_off(chance, failures, base=30, most=1800):
    """Seconds after which it is tried again when that many rounds have failed."""
    bound = min(most, base * 2**failures)
    return chance.uniform(bound / 2, bound)


def test_the_first_register(play):
    """Request-URI without a user, the address of record in From and To, one Contact with a token
    for its user part (RFC 3261 10.2), Expires twice for those who read one place only."""
    stage, registrar = play()
    stage.run(0)
    request = registrar.last
    assert (request.method, request.uri) == ("REGISTER", f"sip:{FIRST}")
    assert str(request.to) == f"<sip:acme@{FIRST}>"
    assert request.from_.uri.same_as(request.to.uri)
    (contact,) = request.contacts
    assert contact.expires == request.expires == 3600
    assert (contact.uri.host, contact.uri.port) == stage.address
    assert len(contact.uri.user) == 32
    assert request.get("Route") is None
    said = figures(stage)
    assert (said["trunk"], said["registrar"], said["state"]) == ("carrier", FIRST, "registered")
    assert (said["status"], said["expires_at"]) == (200, 3600)


def test_an_address_of_record_of_another_host(play):
    """The Request-URI is the domain of the address of record; it is sent to the registrar."""
    stage, registrar = play(aor="sip:+44123@ims.example")
    stage.run(0)
    assert registrar.last.uri == "sip:ims.example"
    assert str(registrar.last.to) == "<sip:+44123@ims.example>"


@pytest.mark.parametrize("granted", [None, 600, 79, 4])
def test_it_is_refreshed_in_time(play, chance, granted):
    """Before what the registrar granted ends, be it less than was asked for: 40 seconds earlier, or
    after half of what is short, and a tenth of that earlier by chance. Call-ID and tag stay, CSeq
    rises (RFC 3261 10.2.4)."""
    stage, registrar = play()
    registrar.granted = granted
    first = refreshed_after(chance, granted or 3600)
    assert first < (granted or 3600)
    second = first + refreshed_after(chance, granted or 3600)
    stage.run(second + 0.001)
    assert registrar.times == pytest.approx([0, first, second])
    requests = [request for _, request in registrar.asked]
    kept = {(each.call_id, each.from_.tag, str(each.contacts[0].uri)) for each in requests}
    assert len(kept) == 1
    assert [each.cseq.number for each in requests] == [1, 2, 3]
    assert figures(stage)["state"] == "registered"


def test_expires_counts_where_the_contact_has_none(play, chance):
    """RFC 3261 10.2.4."""
    stage, registrar = play()
    registrar.answers = [None]
    stage.run(0)
    contact = ("Contact", f"<sip:else@10.0.0.1>;expires=7, <{registrar.contact}>")
    registrar.answer(registrar.last, 200, [contact, ("Expires", "200")])
    stage.run(0)
    assert figures(stage)["expires_at"] == 200


@pytest.mark.parametrize("contact", ["<sip:{user}@198.51.100.9:1024;ob>;expires=90", ""])
def test_registrars_with_ways_of_their_own(play, contact):
    """A border element may put its own address into our Contact: the token tells that it is ours.
    A registrar that names no contact at all is believed when it says Expires."""
    stage, registrar = play()
    registrar.answers = [None]
    stage.run(0)
    named = contact.format(user=registrar.contact.user)
    fields = [("Contact", named)] if named else [("Expires", "90")]
    registrar.answer(registrar.last, 200, fields)
    stage.run(0)
    assert (figures(stage)["state"], figures(stage)["expires_at"]) == ("registered", 90)


@pytest.mark.parametrize(
    "fields",
    [
        [("Contact", "<sip:somebody@10.0.0.1>;expires=3600")],
        [("Contact", "<sip:{user}@127.88.0.1:5060>;expires=0")],
        [("Contact", "rubbish <")],
        [],
    ],
)
def test_a_200_that_does_not_register_us(play, chance, fields):
    """It has to name our contact, for longer than 0 seconds (RFC 3261 10.2.4): else we are not
    registered, whatever the status says."""
    stage, registrar = play()
    registrar.answers = [None]
    stage.run(0)
    user = registrar.contact.user
    fields = [(name, value.replace("{user}", user)) for name, value in fields]
    registrar.answer(registrar.last, 200, fields)
    stage.run(0)
    said = figures(stage)
    assert (said["state"], said["status"]) == ("waiting", 200)
    assert said["reason"] == "the answer does not name our contact"
    assert said["next_at"] == pytest.approx(backed_off(chance, 1))
    assert stage.house.premises.trunks.find("carrier").targets("1")[0].flow is None


def test_a_200_that_a_stranger_made_up(play):
    """Only the branch of our REGISTER makes an answer one (RFC 3261 17.1.3)."""
    stage, registrar = play()
    registrar.answers = [None]
    stranger = stage.peer("127.88.0.66")
    stage.run(0)
    request = parse(registrar.last.encode())
    contact = ("Contact", f"<{registrar.contact}>;expires=3600")
    request.top_via.params["branch"] = compose.new_branch()
    forged = request.replaced("Via", [str(request.top_via)])
    stranger.send(compose.response(forged, 200, to_tag="x", fields=[contact]))
    assert figures(stage)["state"] == "registering"
    registrar.accept(registrar.last)
    stage.run(0)
    assert figures(stage)["state"] == "registered"


def test_a_challenge_is_answered_and_then_foreseen(play):
    """401 is answered with a new CSeq; refreshes bear credentials at once, with a count that rises
    (RFC 3261 22.2, RFC 7616 3.4)."""
    stage, registrar = play()
    registrar.password = "secret"
    registrar.granted = 60
    stage.run(65)
    assert [request.cseq.number for _, request in registrar.asked] == [1, 2, 3, 4]
    proofs = [each.get("Authorization") for _, each in registrar.asked]
    assert proofs[0] is None
    ha1 = digest.ha1("acme", "carrier.example", "secret")
    given = [digest.Credentials.parse(proof) for proof in proofs[1:]]
    assert all(digest.verify(each, ha1, "REGISTER") for each in given)
    assert [(each.nonce, each.nc) for each in given] == [("n1", 1), ("n1", 2), ("n1", 3)]


def test_a_stale_nonce(play):
    """The nonce of a refresh may have grown old: again, with the new one, at once."""
    stage, registrar = play()
    registrar.granted = 60
    challenge = digest.Challenge("carrier.example", "old")
    stale = digest.Challenge("carrier.example", "new", stale=True)
    registrar.answers = [(401, [("WWW-Authenticate", str(challenge))]), 200]
    stage.run(1)
    registrar.answers = [(401, [("WWW-Authenticate", str(stale))]), 200]
    stage.run(31)
    proofs = [each.get("Authorization") for _, each in registrar.asked[1:]]
    assert [digest.Credentials.parse(each).nonce for each in proofs] == ["old", "old", "new"]
    assert figures(stage)["state"] == "registered"


def test_a_wrong_password(play, chance):
    """Asked for once, answered once, then the back-off: nobody is hammered."""
    stage, registrar = play()
    challenge = ("WWW-Authenticate", str(digest.Challenge("carrier.example", "n")))
    registrar.answers = [(401, [challenge])] * 4
    first = backed_off(chance, 1)
    stage.run(first + 0.001)
    assert registrar.times == pytest.approx([0, 0, first, first])
    assert [each.get("Authorization") is None for _, each in registrar.asked] == [True, False] * 2
    assert figures(stage)["status"] == 401


def test_a_foreign_realm(play):
    """A challenge of another realm than the trunk's is not answered."""
    stage, registrar = play(trunk={"realm": "carrier.example"})
    challenge = ("WWW-Authenticate", str(digest.Challenge("elsewhere.example", "n")))
    registrar.answers = [(401, [challenge])]
    stage.run(1)
    assert len(registrar.asked) == 1
    assert (figures(stage)["state"], figures(stage)["status"]) == ("waiting", 401)


def test_a_redirection_is_not_followed(play):
    """Whoever is named there is no registrar of ours, and gets no credentials."""
    stage, registrar = play()
    foreign = stage.peer("127.88.0.66")
    registrar.answers = [(302, [("Contact", "<sip:127.88.0.66>")])]
    stage.run(1)
    assert foreign.received == []
    assert (figures(stage)["state"], figures(stage)["status"]) == ("waiting", 302)


def test_an_interval_that_is_too_brief(play):
    """423: at once with what Min-Expires wants (RFC 3261 10.2.8), from then on too."""
    stage, registrar = play(expires=60)
    registrar.answers = [(423, [("Min-Expires", "900")])]
    stage.run(900)
    assert registrar.times[:2] == [0, 0]
    assert [each.expires for _, each in registrar.asked] == [60, 900, 900]
    assert figures(stage)["state"] == "registered"


@pytest.mark.parametrize(
    "fields", [[], [("Min-Expires", "60")], [("Min-Expires", "x")], [("Min-Expires", "9999999999")]]
)
def test_a_423_that_makes_no_sense(play, fields):
    """It is a refusal."""
    stage, registrar = play(expires=60)
    registrar.answers = [(423, fields)]
    stage.run(1)
    assert len(registrar.asked) == 1
    assert figures(stage)["state"] == "waiting"


def test_a_registrar_that_finds_everything_too_brief(play):
    """It is given up on after a few."""
    stage, registrar = play(expires=60)
    registrar.answers = [(423, [("Min-Expires", str(60 + each))]) for each in range(1, 20)]
    stage.run(1)
    assert [each.expires for _, each in registrar.asked] == [60, 61, 62, 63]
    assert figures(stage)["state"] == "waiting"


def test_back_off(play, chance):
    """Half to all of a bound that doubles with each failure, up to the configured one (RFC 5626
    4.5); a success begins anew."""
    stage, registrar = play(retry_seconds=10, retry_max_seconds=100)
    registrar.answers = [500] * 6
    due = [0.0]
    for failures in range(1, 7):
        due.append(due[-1] + backed_off(chance, failures, 10, 100))
    stage.run(due[-1] + 0.001)
    assert registrar.times == pytest.approx(due)
    assert due[-1] - due[-2] <= 100
    assert figures(stage)["state"] == "registered"
    refreshed = due[-1] + refreshed_after(chance, 3600)
    registrar.answers = [500]
    stage.run(refreshed - due[-1])
    assert registrar.times[-1] == pytest.approx(refreshed)
    again = refreshed + backed_off(chance, 1, 10, 100)
    assert figures(stage)["next_at"] == pytest.approx(again)


@pytest.mark.parametrize("value", ["300", "300 (maintenance);duration=60"])
def test_retry_after(play, value):
    """A registrar is not asked again before it wants to be (RFC 3261 20.33)."""
    stage, registrar = play()
    registrar.answers = [(503, [("Retry-After", value)])]
    stage.run(299.9)
    assert len(registrar.asked) == 1
    stage.run(0.2)
    assert registrar.times == pytest.approx([0, 300])
    assert figures(stage)["state"] == "registered"


def test_a_silent_registrar(play, chance):
    """Timer F, 32 seconds, then the back-off: no immediate attempt (RFC 3261 10.2.7)."""
    stage, registrar = play()
    registrar.answers = [None]
    stage.run(31)
    assert figures(stage)["state"] == "registering"
    due = 32 + backed_off(chance, 1)
    stage.run(due - 31 + 0.001)
    assert registrar.times == pytest.approx([0, due])
    assert len(registrar.peer.times("REGISTER")) > 2


def test_a_refresh_that_fails_while_the_binding_holds(play, chance):
    """What was granted goes on holding until it ends: calls still go there."""
    stage, registrar = play()
    registrar.granted = 600
    stage.run(1)
    registrar.answers = [500]
    stage.run(refreshed_after(chance, 600))
    trunk = stage.house.premises.trunks.find("carrier")
    assert figures(stage)["state"] == "waiting"
    assert trunk.targets("1")[0].flow is not None
    registrar.answers = [None] * 9
    stage.run(600)
    assert trunk.targets("1")[0].flow is None


def test_a_second_registrar_takes_over(play, chance):
    """One that refuses, or is out of order, is followed by the next at once; a silent one when it
    is known to be. The contact stays the same."""
    stage, first, second = play(FIRST, SECOND, registrars=[FIRST, SECOND])
    first.answers = [403, None]
    second.granted = 600
    stage.run(1)
    assert (first.times, second.times) == ([0], [0])
    assert figures(stage)["registrar"] == SECOND
    assert str(first.contact) == str(second.contact)
    refreshed = refreshed_after(chance, 600)
    second.answers = [None]
    stage.run(refreshed + 64)
    assert second.times[1] == pytest.approx(refreshed)
    assert first.times[1] == pytest.approx(refreshed + 32)
    due = refreshed + 64 + backed_off(chance, 1)
    assert figures(stage)["next_at"] == pytest.approx(due)
    stage.run(due - stage.clock.seconds() + 0.001)
    assert figures(stage)["registrar"] == FIRST
    assert figures(stage)["state"] == "registered"


def test_where_the_binding_is_while_another_is_asked(play, chance):
    """Until the second has accepted us, calls go where the first has, on its flow."""
    stage, first, second = play(FIRST, SECOND, registrars=[FIRST, SECOND])
    first.granted = 600
    stage.run(1)
    first.answers, second.answers = [503], [None]
    stage.run(refreshed_after(chance, 600))
    assert (figures(stage)["state"], figures(stage)["registrar"]) == ("registering", SECOND)
    (target,) = stage.house.premises.trunks.find("carrier").targets("1")
    assert (target.uri, target.flow.remote_host) == (f"sip:1@{FIRST}", FIRST)
    second.accept(second.last)
    stage.run(0)
    target = stage.house.premises.trunks.find("carrier").targets("1")[0]
    assert (target.uri, target.flow.remote_host) == (f"sip:1@{SECOND}", SECOND)


def test_all_registrars(play):
    """Each has its registration, with a Contact of its own, and fails by itself."""
    stage, first, second = play(FIRST, SECOND, registrars=[FIRST, SECOND], which="all")
    second.answers = [500]
    stage.run(1)
    assert first.contact.user != second.contact.user
    states = {each["registrar"]: each["state"] for each in stage.house.stats()["registered_at"]}
    assert states == {FIRST: "registered", SECOND: "waiting"}
    assert first.last.call_id != second.last.call_id


def test_names_are_resolved_anew_at_each_failure(play, chance):
    """Every address of a name is tried, the next when one is out of order; and the name is looked
    up again for each round, for it may lead elsewhere by then."""
    name = "sip.carrier.example"
    names = {name: [FIRST, SECOND]}
    stage, first, second = play(FIRST, SECOND, names=names, registrars=[name])
    first.answers = [503, 503]
    second.answers = [503]
    stage.run(1)
    assert (len(first.asked), len(second.asked)) == (1, 1)
    assert first.last.uri == f"sip:{name}"
    assert figures(stage)["state"] == "waiting"
    stage._resolved[name] = [SECOND]
    stage.run(backed_off(chance, 1))
    assert (len(first.asked), len(second.asked)) == (1, 2)
    assert figures(stage)["state"] == "registered"


def test_a_refresh_looks_for_another_address(play, chance):
    """When the address that has accepted us fails, the name may lead to another one."""
    name = "sip.carrier.example"
    stage, first, second = play(FIRST, SECOND, names={name: [FIRST]}, registrars=[name])
    first.granted = 600
    stage.run(1)
    stage._resolved[name] = [FIRST, SECOND]
    first.answers = [503]
    stage.run(refreshed_after(chance, 600))
    assert (len(first.asked), len(second.asked)) == (2, 1)
    assert figures(stage)["state"] == "registered"
    assert figures(stage)["address"].startswith(SECOND)


def test_a_name_that_leads_nowhere(play, chance):
    """It is looked up again after the back-off."""
    stage, registrar = play(registrars=["gone.example"])
    stage.run(1)
    said = figures(stage)
    assert (said["state"], said["status"]) == ("waiting", 503)
    assert said["reason"] == "gone.example leads nowhere"
    stage._resolved["gone.example"] = [FIRST]
    stage.run(backed_off(chance, 1))
    assert len(registrar.asked) == 1


def test_a_look_up_that_is_never_answered(play):
    """It has its time; an answer that comes later is none."""
    told = []
    stage, registrar = play(registrars=["slow.example"])
    stage.house._world.resolver.look_up = lambda name, tell: told.append(tell)
    stage.run(1.9)
    assert figures(stage)["state"] == "resolving"
    stage.run(0.2)
    assert figures(stage)["state"] == "waiting"
    told[0]([FIRST])
    stage.run(0)
    assert registrar.asked == []
    assert figures(stage)["state"] == "waiting"


def test_a_connection_that_breaks(play, chance):
    """Over TCP we register again within two seconds, on a new connection (RFC 5626 4.5), since the
    registrar has no way to us any more; until then no call is sent there."""
    stage, registrar = play(transport="tcp")
    stage.run(40)
    trunk = stage.house.premises.trunks.find("carrier")
    assert trunk.targets("1")[0].flow.serial
    assert registrar.contact.params["transport"] == "tcp"
    refreshed_after(chance, 3600)
    soon = chance.uniform(0, 2)
    registrar.peer.endpoint.stream(registrar.peer.endpoint.peers[0]).close()
    stage.run(0)
    assert trunk.targets("1")[0].flow is None
    assert figures(stage)["state"] == "waiting"
    stage.run(2.001)
    assert registrar.times == pytest.approx([0, 40 + soon])
    assert figures(stage)["state"] == "registered"


def test_a_connection_that_breaks_each_time(play, chance):
    """A registrar that accepts us and hangs up at once is not followed at that pace."""
    stage, registrar = play(transport="tcp")

    def hang_up():
        stage.run(0)
        registrar.peer.endpoint.stream(registrar.peer.endpoint.peers[0]).close()
        stage.run(0)

    hang_up()
    refreshed_after(chance, 3600)
    soon = chance.uniform(0, 2)
    assert figures(stage)["next_at"] == pytest.approx(soon)
    stage.run(soon + 0.001)
    hang_up()
    refreshed_after(chance, 3600)
    assert figures(stage)["next_at"] == pytest.approx(stage.clock.seconds() + backed_off(chance, 2))


def test_nobody_listens(play, chance):
    """A connection that is refused is a failure like any other."""
    stage, registrar = play(transport="tcp")
    registrar.peer.endpoint.close()
    stage.run(1)
    assert (figures(stage)["state"], figures(stage)["status"]) == ("waiting", 503)
    assert figures(stage)["next_at"] == pytest.approx(backed_off(chance, 1))


def test_it_is_unregistered_when_we_stop(play):
    """Our contact alone, for 0 seconds (RFC 3261 10.2.2), and nothing more after that."""
    stage, registrar = play()
    stage.run(10)
    stage.house.stop()
    stage.run(1)
    last = registrar.last
    assert (last.expires, last.contacts[0].expires, last.cseq.number) == (0, 0, 2)
    assert str(last.contacts[0].uri) == str(registrar.asked[0][1].contacts[0].uri)
    assert figures(stage)["state"] == "idle"
    stage.run(4000)
    assert len(registrar.asked) == 2


def test_unregistering_is_challenged(play):
    """It is answered like any other challenge."""
    stage, registrar = play()
    stage.run(1)
    challenge = ("WWW-Authenticate", str(digest.Challenge("carrier.example", "n")))
    registrar.answers = [(401, [challenge])]
    stage.house.stop()
    stage.run(0)
    assert registrar.last.expires == 0
    assert registrar.last.get("Authorization")
    assert figures(stage)["state"] == "idle"


@pytest.mark.parametrize("status", [200, 500])
def test_a_stop_while_we_register(play, status):
    """A REGISTER that is under way is awaited first (RFC 3261 10.2); what it made is undone."""
    stage, registrar = play()
    registrar.answers = [None]
    stage.run(0)
    stage.house.stop()
    stage.run(0)
    assert len(registrar.asked) == 1
    first = registrar.last
    registrar.accept(first) if status == 200 else registrar.answer(first, status)
    stage.run(0)
    assert [each.expires for _, each in registrar.asked] == [3600, 0][: 2 if status == 200 else 1]
    assert figures(stage)["state"] == "idle"


@pytest.mark.parametrize("answers", [[500], [None]])
def test_a_stop_where_we_are_not_registered(play, answers):
    """There is nothing to undo: nothing is sent, and no timer is left."""
    stage, registrar = play()
    registrar.answers = list(answers)
    stage.run(40)
    stage.house.stop()
    stage.run(100)
    assert len(registrar.asked) == 1
    assert figures(stage)["state"] == "idle"


def test_a_registrar_that_is_gone_when_we_stop(play):
    """Nobody waits for it for longer than the transaction."""
    stage, registrar = play()
    stage.run(1)
    registrar.answers = [None]
    stage.house.stop()
    stage.run(33)
    assert figures(stage)["state"] == "idle"


def test_without_a_register_table():
    """Nothing is sent, and no timer is set."""
    with Stage() as stage:
        stage.run(10)
        assert stage.house.stats()["registered_at"] == []
        assert stage.network.log == []
        assert stage.clock.idle
