"""The flight recorder: what stands on the tape of a call, and how long it is kept."""

import gc

import pytest

from softswitch.errors import StateError
from softswitch.flight.recorder import FOLLOWERS, UNSORTED, FlightSettings, Recorder, has_failed
from softswitch.flight.tape import ENTRY_BYTES, Tape
from softswitch.flow import Flow
from softswitch.journal import DECIDED, MEDIA, RECEIVED, SENT, TIMER
from softswitch.plugin.media import MediaNotice
from softswitch.plugin.record import CallRecord, Silence
from softswitch.testing.media import SeeingEngine

FLOW = Flow("udp", "UDP", "127.88.0.1", 5060, "127.88.0.9", 5060)


def message(call_id, text="x", length=0):
    """The bytes of a message with that Call-ID."""
    head = f"OPTIONS sip:{text} SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: {call_id}\r\n\r\n"
    return head.encode().ljust(length, b"b")


def record(name, **more):
    """The record of a call that has ended well."""
    settled = {"answered": 1.0, "ended": 2.0, "hung_up": "caller", "status": 200, **more}
    return CallRecord(name, f"{name}@a", "tag", "user", "alice", "sip:a", "sip:b", 0.0, **settled)


class Clock:
    """A time that tests set."""

    now = 0.0

    def seconds(self):
        return self.now


def recorder(**settings):
    """One, and its clock."""
    clock = Clock()
    return Recorder(FlightSettings(**settings), clock.seconds), clock


def play(made, name, messages=1, length=1000, **more):
    """A call that begins and ends with so many messages."""
    begun = record(name, **more)
    made.leg_began(name, "a", begun.call_id_a)
    made.call_started(begun)
    for number in range(messages):
        made.note((float(number), RECEIVED, FLOW, message(begun.call_id_a, length=length)))
    made.call_ended(begun)
    made.sort()
    return begun


def starts(entries):
    """The methods and statuses of messages."""
    lines = [what.partition(b"\r\n")[0].decode() for _, _, _, what in entries]
    return [line.split()[1] if line.startswith("SIP/") else line.split()[0] for line in lines]


def everything(stage, tape):
    """What there is of a call, in order."""
    return [*stage.house.recorder.before(tape), *tape]


def talked(stage):
    """Alice has talked to bob; the tape of that."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers(180, 200)
    line = alice.call("bob")
    stage.run(2)
    assert line.stands
    alice.hang_up()
    stage.run(2)
    (tape,) = stage.house.recorder
    return tape


def test_both_legs_stand_on_one_tape(stage):
    """Each message that came or went, of both legs, in order, as the very bytes that it was."""
    tape = talked(stage)
    messages = [entry for entry in everything(stage, tape) if entry[1] in (RECEIVED, SENT)]
    carried = [each.data for each in stage.network.log]
    ours = [data for data in carried if any(name.encode() in data for name in tape.legs)]
    assert [entry[3] for entry in messages] == ours
    assert {"INVITE", "401", "180", "200", "ACK", "BYE"} <= set(starts(messages))
    assert sorted(tape.legs.values()) == ["a", "b1"]
    at = [entry[0] for entry in tape]
    assert at == sorted(at)
    assert tape.record is stage.records[0]


def test_the_challenge_before_the_call(stage):
    """What came with the call's Call-ID before there was a call, the 401 and its ACK, is found."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers(180, 200)
    recorder, began = stage.house.recorder, stage.house.recorder.leg_began

    def sorted_before(call, leg, call_id):
        recorder.sort()
        began(call, leg, call_id)

    recorder.leg_began = sorted_before
    alice.call("bob")
    alice.hang_up()
    (tape,) = recorder
    assert starts(recorder.before(tape)) == ["INVITE", "401", "ACK", "INVITE"]
    assert starts(entry for entry in tape if entry[1] == SENT)[:2] == ["INVITE", "180"]


def test_what_is_no_call_is_kept_apart(stage):
    """REGISTERs are among the messages that belong to no call, in a ring of their own."""
    talked(stage)
    others = starts(stage.house.recorder.others())
    assert others.count("REGISTER") == 4
    assert "BYE" not in others


def test_the_verdicts_of_policies(stage):
    """Who has admitted the caller, and where the call goes by whom."""
    tape = talked(stage)
    assert [entry[2] for entry in tape if entry[1] == DECIDED] == [
        "users asks for a password",
        "users admits user alice",
        "located routes to sip:bob@127.88.0.12:5060",
    ]


def test_timers_that_fire(make_stage):
    """A target that is silent: retransmissions by timer A, each seen as sent; then it is passed
    over."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.vanish()
    alice.call("bob")
    stage.run(40)
    (tape,) = stage.house.recorder
    timers = [entry[2] for entry in tape if entry[1] == TIMER]
    assert timers[:3] == ["timer A"] * 3
    assert "b1 is silent: passed over" in timers
    sent = [what for _, kind, _, what in tape if kind == SENT and what.startswith(b"INVITE")]
    assert len(sent) >= 4
    assert len({id(what) for what in sent}) == 1  # not copied
    assert tape.failed


def test_a_timer_after_a_provisional_is_the_calls(make_stage):
    """A CANCEL that nobody heeds ends after 64*T1 (RFC 3261 9.1): the transaction that has dropped
    its bytes by then knows whose it is."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    bob.vanish()
    line.cancel()
    stage.run(40)
    (tape,) = stage.house.recorder
    timers = [entry[2] for entry in tape if entry[1] == TIMER]
    assert timers.count("no final response in time") == 2
    assert "timer E" in timers


def test_what_becomes_of_the_media(make_stage):
    """That somebody is not heard stands on the tape, and makes a failure of the call."""
    stage = make_stage(engine=SeeingEngine)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers(200)
    alice.call("bob")
    stage.run(1)
    (call,) = stage.house.switch.calls
    silence = Silence("a", "nothing sent", "no packet at all", 7.0)
    stage.engine.noticed(MediaNotice(call, silence, ends=False))
    alice.hang_up()
    stage.run(5)
    (tape,) = stage.house.recorder
    assert [entry[2] for entry in tape if entry[1] == MEDIA] == [
        "a is not heard: nothing sent: no packet at all"
    ]
    assert tape.failed


@pytest.mark.parametrize(
    "head",
    [
        b"BYE sip:x SIP/2.0\r\ni: one@a\r\nTo: x\r\n\r\n",
        b"BYE sip:x SIP/2.0\r\nVia: x\r\nCALL-id :  one@a \r\nTo: x\r\n\r\n",
        b"BYE sip:x SIP/2.0\r\nCall-ID:\r\n one@a\r\n\r\n",
        b"BYE sip:x SIP/2.0\r\ni: one@a\r\n\r\nCall-ID: two@b\r\nX: y\r\n\r\n",
        b"BYE sip:x SIP/2.0\r\nCall-ID: one@a\r\n\r\n\r\nCall-ID: two@b\r\n",
        b"SIP/2.0 200 OK\r\nCall-ID: one@a",
        b"\r\n\r\nBYE sip:x SIP/2.0\r\nCall-ID: one@a\r\n\r\n",
    ],
)
def test_the_call_id_is_found_as_the_parser_finds_it(head):
    """Compact, in any case, with white space (RFC 3261 7.3.1), and never in the body."""
    made, _ = recorder()
    made.leg_began("one", "a", "one@a")
    made.leg_began("two", "a", "two@b")
    made.note((1.0, RECEIVED, FLOW, head))
    assert [entry[3] for entry in made.find("one")] == [head]
    assert not list(made.find("two"))


def test_a_call_id_that_is_the_name_of_a_call():
    """Whoever calls his call as we call another one gets nothing onto that one's tape."""
    made, _ = recorder()
    play(made, "one")
    made.note((9.0, RECEIVED, FLOW, message("one")))
    (tape,) = made
    assert len(list(tape)) == 1


def test_a_good_end_is_kept_for_minutes_and_a_failure_for_longer():
    """As the configuration says; then nothing of it is left."""
    made, clock = recorder(keep_seconds=300, keep_failed_seconds=3600)
    play(made, "good")
    play(made, "bad", answered=None, status=500)
    clock.now = 299.0
    assert [tape.id for tape in made] == ["good", "bad"]
    clock.now = 300.0
    assert [tape.id for tape in made] == ["bad"]
    assert made.find("good@a") is None
    clock.now = 3600.0
    assert not list(made)
    assert made.size == 0


def test_memory_is_bounded():
    """Ten thousand calls do not take more than they may: those that ended well go first, the
    oldest first, then those that failed, then what there is of those that live."""
    made, _ = recorder(memory=2_000_000, call_memory=100_000)
    live = record("live", answered=None, ended=None, hung_up="", status=0)
    made.leg_began("live", "a", live.call_id_a)
    made.call_started(live)
    made.note((0.0, RECEIVED, FLOW, message(live.call_id_a, length=1000)))
    for number in range(50):
        play(made, f"bad{number}", messages=2, answered=None, status=503)
    for number in range(10_000):
        play(made, f"good{number}", messages=2)
        assert made.size <= 2_000_000
    kept = [tape.id for tape in made]
    assert kept[:2] == ["live", "bad0"]
    assert kept[-1] == "good9999"
    assert kept == ["live", *(f"bad{n}" for n in range(50)), *kept[51:]]
    assert kept[51:] == [f"good{n}" for n in range(10_000 - len(kept[51:]), 10_000)]
    for number in range(1000):
        play(made, f"worse{number}", messages=2, answered=None, status=503)
    kept = [tape.id for tape in made]
    assert not any(name.startswith("good") for name in kept)
    assert kept[0] == "live"
    assert len(list(made.find("live"))) == 1
    for number in range(3000):
        made.leg_began(f"l{number}", "a", f"l{number}@a")
        made.note((0.0, RECEIVED, FLOW, message(f"l{number}@a", length=1000)))
    made.sort()
    assert made.size <= 2_000_000
    assert made.find("live").dropped == 1
    assert len(list(made.find("l2999"))) == 1
    assert made.dropped == 10_000 + 50 + 1000 - 0 + (3001 - (2_000_000 // (1000 + ENTRY_BYTES)))


def test_a_long_call_keeps_its_beginning_and_its_end():
    """And says how much there was between."""
    tape = Tape("long")
    for number in range(1000):
        tape.add((float(number), SENT, FLOW, b"m" * 880), 100_000)
    at = [int(entry[0]) for entry in tape]
    assert tape.size == len(at) * 1000 <= 100_000
    assert at[:50] == list(range(50))
    assert at[50:] == list(range(1000 - len(at[50:]), 1000))
    assert tape.dropped == 1000 - len(at)
    assert tape.clear() == len(at) * 1000
    assert (tape.size, tape.dropped, list(tape)) == (0, 1000, [])


def test_the_others_are_bounded():
    """Strangers' messages take what they may and not more."""
    made, _ = recorder(other_memory=10_000)
    for number in range(100):
        made.note((float(number), RECEIVED, FLOW, message(f"{number}@x", length=880)))
    assert [int(entry[0]) for entry in made.others()] == list(range(90, 100))


def test_a_flood_that_nobody_sorts_is_bounded():
    """What waits to be sorted is no more than so much, whoever sends."""
    made, _ = recorder()
    for number in range(2 * UNSORTED):
        made.note((float(number), RECEIVED, FLOW, b"OPTIONS sip:x SIP/2.0\r\n\r\n"))
    assert len(made.others()) <= UNSORTED


def test_the_collector_has_nothing_to_follow():
    """What stands on a tape are plain values in a list, which the garbage collector does not
    look into."""
    made, _ = recorder()
    play(made, "one", messages=20)
    tape = made.find("one")
    gc.collect()
    tracked = [each for each in gc.get_referents(tape.head) if gc.is_tracked(each)]
    assert all(each is FLOW for each in tracked)


def test_following_a_call():
    """Whoever follows is told of what is added, until he does no more or the call is dropped; and
    there are so many at most."""
    made, clock = recorder()
    play(made, "one")
    told = []
    ladder, leave = made.follow("one", lambda row, who: told.append((row, list(who))))
    assert [row.at for row in ladder.rows] == [0.0, 2.0]
    made.note((9.0, SENT, FLOW, message("one@a")))
    other = FLOW._replace(remote_port=5070)
    made.note((9.5, SENT, other, message("one@a")))
    made.sort()
    leave()
    leave()
    made.note((10.0, SENT, FLOW, message("one@a")))
    made.sort()
    assert [(row.at, row.source, row.target) for row, _ in told] == [(9.0, 1, 0), (9.5, 1, 2)]
    assert [each.address for each in told[-1][1]] == ["127.88.0.9:5060", "", "127.88.0.9:5070"]
    for _ in range(FOLLOWERS):
        assert made.follow("one", print) is not None
    with pytest.raises(StateError, match="200 calls are being followed"):
        made.follow("one", print)
    assert made.follow("none", print) is None
    clock.now = 1000.0
    made.sort()
    play(made, "two")
    assert made.follow("two", print) is not None


@pytest.mark.parametrize(
    ("failed", "more"),
    [
        (False, {}),
        (False, {"hung_up": "callee"}),
        (True, {"hung_up": "switch", "reason": "No ACK"}),
        (True, {"silences": [Silence("a", "not RTP", "", 1.0)]}),
        (True, {"limit": "trunk carrier: calls 1"}),
        (True, {"answered": None, "status": 404}),
        (True, {"answered": None, "status": 503}),
        (False, {"answered": None, "status": 486}),
        (False, {"answered": None, "status": 487}),
        (False, {"answered": None, "status": 603}),
        (False, {"answered": None, "status": 302}),
    ],
)
def test_what_is_a_failure(failed, more):
    """Busy, given up, declined and redirected are none; what the switch ended is."""
    assert has_failed(record("x", **more)) is failed


def test_no_recorder(make_stage):
    """Where the configuration wants none, nobody takes notes."""
    stage = make_stage({"flight": {"recorder": False}})
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers(200)
    alice.call("bob")
    alice.hang_up()
    assert stage.house.recorder is None
    assert stage.house.transport.note is None
    assert stage.house.transactions.note is None


def test_a_reload_changes_how_long_calls_are_kept(make_stage):
    """Without losing what there is."""
    stage = make_stage()
    talked(stage)
    stage.reload({"flight": {"keep_seconds": 1.0}})
    stage.run(10)
    assert not list(stage.house.recorder)


def test_a_call_by_the_beginning_of_its_id():
    """Live or ended, as long as no other begins so."""
    made, _ = recorder()
    play(made, "abc1")
    play(made, "abd2")
    made.leg_began("live", "a", "x@y")
    assert [made.find(name).id for name in ("abc", "abd2", "l")] == ["abc1", "abd2", "live"]
    assert made.find("ab") is None
    assert made.find("b") is None
