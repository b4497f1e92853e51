"""What meets what is being negotiated: answers, transfers, pick-ups, other offers."""

import pytest

from softswitch.testing.media import CountingEngine, SlowEngine

ENGINES = {"bypass": None, "relay": lambda clock: CountingEngine()}


@pytest.fixture(params=ENGINES)
def stage(request, make_stage):
    """Of phones that can everything."""
    return make_stage(engine=ENGINES[request.param])


def slow(clock):
    """An engine that takes its time."""
    return SlowEngine(CountingEngine(), clock, seed=3)


def phones(stage, *names, can=("replaces",)):
    """Phones that accept a re-INVITE at once."""
    made = [stage.phone(name) for name in names]
    for phone in made:
        phone.can(*can)
        phone.answers["INVITE"] = 200
    return made


def talk(stage, caller, callee):
    """A call that was answered: both lines."""
    line = caller.call(callee.name)
    stage.run(4)
    callee.answer()
    stage.run(4)
    assert line.stands
    return line, callee.line


def silent(*lines):
    """They answer offers when the test does."""
    for line in lines:
        line.answers.update(INVITE=0, UPDATE=0)


def over(stage, *lines):
    """Each hangs up that has not, and all has ended."""
    stage.run(40)
    for line in lines:
        if not line.over:
            line.request("BYE")
            stage.run(3)
    assert all(line.over for line in lines)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_an_answer_overtakes_an_update(stage, who):
    """The callee picks up while an UPDATE of before is open: the INVITE is answered, and then the
    UPDATE, each with its own (RFC 3261 13.2.1, RFC 3311 5.2)."""
    alice, bob = phones(stage, "alice", "bob", can=["100rel"])
    line = alice.call("bob")
    bob.ring(183, sdp=bob.sdp(), reliable=True)
    near, far = (line, bob.line) if who == "caller" else (bob.line, line)
    silent(far)
    near.update(near.phone.sdp("sendonly", version=2))
    update = far.got("UPDATE")
    bob.answer(sdp=b"")
    stage.run(1)
    assert line.statuses == [183, 200]
    assert not line.responses[-1].body
    assert bob.line.methods[-1] == "ACK"
    assert "UPDATE" not in [reply.cseq.method for reply in near.replies]
    far.respond(200, sdp=far.phone.sdp("recvonly", version=2), to=update)
    assert near.replies[-1].cseq.method == "UPDATE"
    assert b"a=recvonly" in near.replies[-1].body
    bob.line.answers["INVITE"] = 200
    line.reinvite(alice.sdp(version=3))
    assert line.statuses == [200]
    over(stage, line, bob.line)


def test_another_callee_answers_than_the_one_that_was_updated(stage):
    """The caller's UPDATE fails, and the call stands (RFC 3261 13.2.2.4)."""
    alice, bob = phones(stage, "alice", "bob", can=["100rel"])
    line = alice.call("bob")
    bob.line.respond(183, tag="one", sdp=bob.sdp(), reliable=True)
    silent(bob.line)
    line.update(alice.sdp("sendonly", version=2))
    bob.line.respond(200, tag="two", sdp=bob.sdp().replace(b"4000", b"4200"))
    stage.run(3)
    assert line.statuses[-1] == 200
    assert line.final == 487
    line.request("BYE")


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_reinvite_is_cancelled_whose_answer_is_an_offer(make_stage, who):
    """The far end's offer is acknowledged, and it is offered anew what was agreed."""
    stage = make_stage(engine=slow)
    lines = talk(stage, *phones(stage, "alice", "bob"))
    near, far = lines if who == "caller" else lines[::-1]
    silent(far)
    far.phone.heeds_cancel = False
    near.reinvite(b"")
    far.respond(200, sdp=far.phone.sdp(version=2))
    asked = len(far.methods)
    near.cancel()
    stage.run(4)
    assert near.statuses == [487]
    assert far.methods[asked:] == ["ACK", "INVITE"]
    far.respond(200, sdp=far.phone.sdp(version=3))
    stage.run(4)
    over(stage, *lines)


def test_an_update_meets_a_reinvite_within_the_switch(make_stage):
    """It is refused, and the re-INVITE goes on (RFC 3311 5.2)."""
    stage = make_stage(engine=slow)
    line, other = talk(stage, *phones(stage, "alice", "bob"))
    line.reinvite(line.phone.sdp(version=2))
    other.update(other.phone.sdp(version=2))
    stage.run(10)
    assert other.final == 491
    assert line.statuses == [200]
    over(stage, line, other)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("how", ["the transferor hangs up", "the target answers"])
@pytest.mark.parametrize("asks", ["transferee", "transferor"])
def test_a_transfer_ends_what_is_negotiated(stage, method, how, asks):
    """What transferor and transferee negotiate comes to nothing, and everybody hears of it; later
    answers to it do not count for the transfer."""
    alice, bob, carol = phones(stage, "alice", "bob", "carol")
    line, other = talk(stage, alice, bob)
    other.refer(bob.uri("carol"))
    carol.ring()
    asking, asked = (line, other) if asks == "transferee" else (other, line)
    silent(asked)
    sdp = asking.phone.sdp("sendonly", version=2)
    if method == "INVITE":
        asking.reinvite(sdp)
    else:
        asking.update(sdp)
    request = asked.got(method)
    if how == "the target answers":
        asked.answers["INVITE"] = 200
        carol.answer()
    else:
        other.request("BYE")
    stage.run(1)
    if asks == "transferee":
        assert (line.statuses if method == "INVITE" else [line.final])[-1] == 500
    elif method == "UPDATE" or asked.open:
        asked.respond(200, sdp=asked.phone.sdp(version=2), to=request)
        stage.run(3)
    if how == "the transferor hangs up":
        assert not carol.line.stands
        asked.answers["INVITE"] = 200
        carol.answer()
    stage.run(5)
    assert line.stands
    assert carol.line.stands
    assert other.outcomes[-1] == 200
    carol.line.reinvite(carol.sdp(version=2))
    stage.run(3)
    assert carol.line.statuses == [200]
    over(stage, line, carol.line, other)


def test_a_refresh_is_open_when_the_target_answers(make_stage):
    """The target's answer waits for the end of it."""
    stage = make_stage({"dialog": {"session_expires": 90}}, engine=lambda clock: CountingEngine())
    alice, bob, carol = phones(stage, "alice", "bob", "carol", can=["timer"])
    alice.allow = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS")
    line, other = talk(stage, alice, bob)
    silent(line)
    other.refer(bob.uri("carol"))
    carol.ring()
    stage.run(50)
    assert line.open
    carol.answer()
    stage.run(1)
    assert other.outcomes[-1] == 180
    line.respond(200, sdp=alice.sdp())
    stage.run(1)
    assert other.outcomes[-1] == 200
    over(stage, line, carol.line, other)


@pytest.mark.parametrize("who", ["transferee", "target"])
def test_an_attended_transfer_of_who_negotiates(stage, who):
    """491 is told, and both calls go on."""
    alice, bob, carol = phones(stage, "alice", "bob", "carol")
    line, other = talk(stage, alice, bob)
    second, target = talk(stage, bob, carol)
    asking, asked = (line, other) if who == "transferee" else (target, second)
    silent(asked)
    asking.reinvite(asking.phone.sdp("sendonly", version=2))
    other.refer(bob.uri("carol"), second)
    stage.run(1)
    assert other.outcomes == [100, 491]
    asked.respond(200, sdp=bob.sdp("recvonly", version=2))
    assert asking.statuses == [200]
    over(stage, line, other)
    over(stage, second, target)


def test_an_update_of_a_transferee_whose_call_is_being_joined(stage):
    """491, and the transfer goes on."""
    alice, bob, carol = phones(stage, "alice", "bob", "carol")
    line, other = talk(stage, alice, bob)
    second, target = talk(stage, bob, carol)
    silent(target)
    other.refer(bob.uri("carol"), second)
    line.update(alice.sdp("sendonly", version=2))
    assert line.final in (491, 500)
    target.respond(200, sdp=carol.sdp(version=2))
    stage.run(3)
    assert other.outcomes == [100, 200]
    over(stage, line, target, other, second)


def test_a_transferee_refuses_what_the_target_offers(make_stage):
    """Without an engine the target is asked for its offer: it is acknowledged and hears BYE, and
    the call goes on (RFC 3261 13.2.2.4)."""
    stage = make_stage()
    alice, bob, carol = phones(stage, "alice", "bob", "carol")
    line, other = talk(stage, alice, bob)
    line.answers["INVITE"] = 488
    other.refer(bob.uri("carol"))
    carol.answer()
    assert carol.line.methods == ["INVITE", "ACK", "BYE"]
    assert other.outcomes == [100, 488]
    over(stage, line, other)


@pytest.mark.parametrize(("early", "status"), [("", 491), (";early-only", 486)])
def test_a_pick_up_comes_between_answer_and_prack(stage, early, status):
    """Somebody has answered, and the caller does not know it yet (RFC 3891 3)."""
    alice, bob, carol = phones(stage, "alice", "bob", "carol", can=["100rel", "replaces"])
    line = alice.dial("bob")
    line.reliable.pracks = False
    line.reinvite(alice.sdp())
    bob.ring(183, sdp=bob.sdp())
    bob.answer()
    taken = carol.call("bob", fields=[("Replaces", bob.line.replaces + early)])
    assert taken.statuses == [status]
    over(stage, line, bob.line)


def test_a_pick_up_comes_while_the_engine_thinks(make_stage):
    """The same: 491, and the call is as it was."""
    stage = make_stage(engine=slow)
    alice, bob, carol = phones(stage, "alice", "bob", "carol")
    line = alice.call("bob")
    stage.run(3)
    bob.answer()
    taken = carol.call("bob", fields=[("Replaces", bob.line.replaces)])
    stage.run(3)
    assert taken.statuses == [491]
    assert line.stands
    over(stage, line, bob.line)


@pytest.mark.parametrize("acknowledged", [True, False])
def test_the_switch_ends_between_the_answers_of_a_pick_up(make_stage, acknowledged):
    """The caller has been answered, whoever picks up has not: the call that lends its caller has
    nothing left to refuse."""
    stage = make_stage(engine=slow)
    alice, bob, carol = phones(stage, "alice", "bob", "carol")
    line = alice.call("bob")
    stage.run(3)
    bob.ring()
    taken = carol.call("bob", fields=[("Replaces", bob.line.replaces + ";early-only")])
    alice.lost_acks = 0 if acknowledged else 1
    while line.statuses != [180, 200]:
        stage.run(0.05)
    assert taken.statuses == []
    stage.house.switch.shut()
    stage.run(5)
    assert taken.statuses == [503]
    assert line.methods == ["BYE"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_refresh_after_an_offer_that_was_refused(make_stage, engine):
    """What was agreed is offered again, not what was refused (RFC 4028 7.4)."""
    stage = make_stage({"dialog": {"session_expires": 90}}, engine=ENGINES[engine])
    alice, bob = phones(stage, "alice", "bob", can=["timer"])
    alice.allow = bob.allow = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS")
    line, other = talk(stage, alice, bob)
    line.answers["INVITE"] = 488
    other.reinvite(bob.sdp("sendonly", version=2))
    assert other.statuses == [488]
    line.answers["INVITE"] = 200
    asked = line.methods.count("INVITE")
    stage.run(50)
    assert line.methods.count("INVITE") == asked + 1
    assert b"sendonly" not in line.got("INVITE").body
    over(stage, line, other)
