"""What the media engine has seen of a call: in its record, and what becomes of the call."""

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

from softswitch.media.watch import Patience
from softswitch.media.watched import WatchedRelay
from softswitch.plugin.decisions import Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.media import IMediaWitness, MediaNotice, MediaReport
from softswitch.plugin.record import MediaStream, Silence
from softswitch.testing.clock import VirtualClock
from softswitch.testing.media import SeeingEngine

REPORT = MediaReport((MediaStream("a", 0, packets=5),), "call.pcap")


@implementer(IRouter)
class Recorder:
    """Has every call to 0100 recorded."""

    def route(self, invite):
        if invite.uri.user != "0100":
            return None
        return Route([Target("sip:100@127.88.0.101", trunk="carrier")], record=True)


def talk(stage, number="bob"):
    """Alice talks to somebody; the call's id too."""
    alice = stage.phone("alice")
    callee = stage.phone("bob") if number == "bob" else stage.trunk("carrier")
    callee.answers(180, 200)
    line = alice.call(number)
    stage.run(1)
    assert line.stands
    return alice, callee, next(reversed(stage.house.switch.calls))


def test_the_engine_is_a_witness():
    """The one that tests have."""
    verifyObject(IMediaWitness, SeeingEngine(VirtualClock()))


@pytest.mark.parametrize(("number", "recorded"), [("bob", False), ("0100", True)])
def test_the_engine_hears_of_the_answer(make_stage, number, recorded):
    """Once, and whether the route wants the call recorded; a call that rings is not watched."""
    stage = make_stage(engine=SeeingEngine, plug_ins=[Recorder()])
    alice, _, call = talk(stage, number)
    assert stage.engine.talks == {call: recorded}
    alice.hang_up()
    carol = stage.phone("carol")
    carol.answers(180)
    line = alice.call("carol")
    stage.run(1)
    line.cancel()
    stage.run(5)
    assert len(stage.engine.talks) == 1


@pytest.mark.parametrize(
    ("delay", "report", "waited"),
    [(0, REPORT, 0), (1.5, REPORT, 1.5), (9, REPORT, 2), (0, None, 2)],
)
def test_the_record_has_the_figures(make_stage, delay, report, waited):
    """It waits for them, 2 s at most, and comes without them rather than not at all."""
    stage = make_stage(engine=lambda clock: SeeingEngine(clock, delay))
    alice, _, call = talk(stage)
    if report is not None:
        stage.engine.reports[call] = report
    alice.hang_up()
    ended = stage.clock.seconds()
    while not stage.records:
        stage.run(0.25)
    (record,) = stage.records
    assert stage.clock.seconds() == pytest.approx(ended + waited, abs=0.3)
    assert record.ended == pytest.approx(ended, abs=0.1)
    in_time = report is not None and delay <= 2
    assert record.media == (list(REPORT.streams) if in_time else [])
    assert record.recording == ("call.pcap" if in_time else "")
    assert record.attempts[0].leg == "b1"


def test_the_switch_stops_meanwhile(make_stage):
    """Who waits then waits no more."""
    stage = make_stage(engine=SeeingEngine)
    alice, _, _ = talk(stage)
    alice.hang_up()
    assert not stage.records
    stage.house.close()
    assert len(stage.records) == 1


def test_a_transfer_is_told_when_it_is_done(make_stage):
    """Not while the target rings; then the engine looks at whoever talks now."""
    stage = make_stage(engine=SeeingEngine)
    told, answered = [], stage.engine.answered
    stage.engine.answered = lambda *words: (told.append(words), answered(*words))
    line, bob, call = talk(stage)
    carol = stage.phone("carol")
    bob.line.refer(bob.uri("carol"))
    stage.run(2)
    carol.ring()
    stage.run(2)
    assert told == [(call, False)]
    carol.answer()
    stage.run(5)
    for each in (line.line, carol.line):
        if each.open:
            each.respond(200, sdp=each.phone.sdp(version=2))
    stage.run(5)
    assert told == 2 * [(call, False)]
    carol.hang_up()
    stage.run(5)


def test_a_silence_is_in_the_record(make_stage):
    """And counted; the call goes on."""
    stage = make_stage(engine=SeeingEngine)
    alice, _, call = talk(stage)
    silence = Silence("b1", "wrong source", "its packets come from elsewhere", 5.0)
    stage.engine.noticed(MediaNotice(call, silence))
    stage.engine.noticed(MediaNotice("another's", silence))
    stage.run(10)
    assert stage.house.stats()["counters"]["not heard: wrong source"] == 1
    assert stage.house.stats()["media"] == {"sessions": 1}
    alice.hang_up()
    stage.run(5)
    assert stage.records[0].silences == [silence]


def test_a_time_out_ends_the_call(make_stage):
    """BYE to both sides with a reason (RFC 3326); the record says which side was silent."""
    stage = make_stage(engine=SeeingEngine)
    alice, bob, call = talk(stage)
    silence = Silence("a", "time-out", "nothing came for 300 s", 300.0)
    stage.engine.noticed(MediaNotice(call, silence, ends=True))
    stage.run(5)
    for phone in (alice, bob):
        bye = next(each for each in phone.line.requests if each.method == "BYE")
        assert bye.get("Reason") == 'Q.850;cause=102;text="Media Timeout"'
    (record,) = stage.records
    assert (record.status, record.hung_up, record.reason) == (200, "switch", "Media Timeout")
    assert record.silences == [silence]
    assert stage.house.stats()["counters"]["media timed out"] == 1


def test_the_real_relay_and_phones_that_send_nothing(make_stage):
    """Both are named after the answer, and the call ends when the operator's patience does; the
    record has a stream for each side."""

    def engine(clock):
        return WatchedRelay(clock, (23000, 23099), seed=1, patience=Patience(300.0, 3600.0))

    stage = make_stage(engine=engine)
    talk(stage)
    stage.run(4)
    ((call,),) = [stage.house.switch.calls.values()]
    found = {(each.leg, each.cause) for each in call.data.record.silences}
    assert found == {("a", "nothing sent"), ("b1", "nothing sent")}
    stage.run(290)
    assert not stage.records
    stage.run(20)
    (record,) = stage.records
    assert record.reason == "Media Timeout"
    assert [(each.leg, each.kind, each.packets) for each in record.media] == [
        ("a", "audio", 0),
        ("b1", "audio", 0),
    ]
    stage.engine.stop()


def test_ports_run_out(make_stage):
    """The call that gets none hears 503, and its record says why; the one that talks goes on
    (RFC 3261 21.5.4)."""
    stage = make_stage(engine=lambda clock: WatchedRelay(clock, (23000, 23003), 0.0, seed=1))
    alice, bob, _ = talk(stage)
    assert stage.phone("carol").call("bob").statuses == [503]
    assert alice.line.stands
    alice.hang_up()
    stage.run(1)
    refused, ended = stage.records
    assert (refused.status, refused.reason) == (503, "No media ports left")
    assert ended.hung_up == "caller"
    alice.call("bob")
    stage.run(1)
    assert bob.line.stands
    bob.hang_up()
    stage.run(1)
    stage.engine.stop()
