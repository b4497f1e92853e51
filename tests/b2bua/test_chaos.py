"""Random calls on a bad network: whatever is lost, doubled or late, every call ends whole."""

from random import Random

import pytest

from softswitch.testing.media import CountingEngine, SlowEngine
from softswitch.testing.rtpengine import FakeFarm, FakeRtpengine

SEEDS = range(6)
CALLS = 25  # per seed and engine: 300 in all

BAD = {"delay": 0.02, "jitter": 0.1, "loss": 0.1, "duplicate": 0.05, "reorder": 0.05}


class Director:
    """Plays random calls.

    :ivar stage: where.
    """

    def __init__(self, stage, seed):
        self.stage = stage
        self.chance = Random(seed)
        self.caller = stage.phone("alice")
        self.callees = {name: stage.phone(name) for name in ("bob", "carol")}
        for name, host in (("one", "127.88.0.101"), ("two", "127.88.0.102")):
            self.callees[name] = stage.phone(name, host=host)
        stage.run(40)

    def play(self, number):
        """Begin a call, and decide what both sides will do, and when."""
        chance = self.chance
        called = chance.choice(("bob", "bob", "carol", "carol", "0123", "0123", "nobody"))
        sdp = None if chance.random() < 0.8 else b""
        self.caller.lost_acks += chance.random() < 0.2
        line = self.caller.call(called, sdp=sdp, fields=[("X-Number", str(number))])
        self.later(0.1, 2, self.ring, number)
        self.later(0.5, 6, self.answer, number)
        if chance.random() < 0.3:
            self.later(0.0, 7, line.cancel)
        for begin in (7, 10):
            if chance.random() < 0.4:
                self.later(begin, begin + 2, self.reinvite, line, number)
                self.later(begin + 1, begin + 4, self.answer_again, line, number)
        self.later(10, 18, self.hang_up, line, number)
        self.stage.clock.callLater(25, self.end, line, number)

    def later(self, low, high, act, *args):
        self.stage.clock.callLater(self.chance.uniform(low, high), act, *args)

    def far(self, number):
        """The callees' lines of this call."""
        return [
            line
            for phone in self.callees.values()
            for line in phone.lines
            if line.requests[0].get("X-Number") == str(number)
        ]

    def ring(self, number):
        for line in self.far(number):
            if line.open and self.chance.random() < 0.7:
                line.respond(*self.chance.choice(((180,), (183,))))

    def answer(self, number):
        for line in self.far(number):
            if line.open:
                status = self.chance.choice((200, 200, 200, 200, 486, 603, 503, 0))
                if status:
                    line.respond(status, sdp=line.phone.sdp() if status == 200 else b"")

    def reinvite(self, line, number):
        stands = [each for each in (line, *self.far(number)) if each.stands]
        if stands:
            line = self.chance.choice(stands)
            line.reinvite(self.chance.choice((b"", line.phone.sdp("sendonly", version=2))))

    def answer_again(self, line, number):
        for each in (line, *self.far(number)):
            if each.open and each.stands and not each.over:
                status = self.chance.choice((200, 200, 488, 491))
                each.respond(status, sdp=each.phone.sdp(version=2) if status == 200 else b"")

    def hang_up(self, line, number):
        stands = [each for each in (line, *self.far(number)) if each.stands]
        if stands:
            self.chance.choice(stands).request("BYE")

    def end(self, line, number):
        for each in (line, *self.far(number)):
            if each.stands:
                each.request("BYE")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_call_ends_though_rtpengines_fail(make_stage, seed):
    """Through three rtpengines, whose datagrams get lost, too, and each of which is silent, ends
    and is there again: the same, and no call is left with any of them."""
    fakes = [FakeRtpengine(f"10.1.0.{number}") for number in (1, 2, 3)]
    farms = []

    def make(clock):
        farms.append(FakeFarm(clock, *fakes, seed=seed, loss=0.1, duplicate=0.1, delay=0.02))
        return farms[0].engine

    stage = make_stage({"switch": {"ring_seconds": 30}}, engine=make, seed=seed, **BAD)
    (farm,) = farms
    farm.engine.lost = stage.house.switch.media_lost
    farm.engine.start()
    director = Director(stage, seed)

    def trouble():
        fake = director.chance.choice(fakes)
        fake.silent, fake.gone = director.chance.choice(
            ((False, False), (False, False), (True, False), (False, True))
        )
        if fake.gone:
            fake.restart()

    for number in range(CALLS):
        director.play(number)
        director.later(0, 8, trouble)
        stage.run(director.chance.uniform(0, 8))
    stage.run(60)
    for fake in fakes:
        fake.silent = fake.gone = False
    stage.run(60)
    farm.engine.stop()
    stage.run(1)
    assert [fake.calls for fake in fakes] == [{}, {}, {}]
    assert not farm.leaked
    assert {state for _, state in farm.noted} == {"up", "silent", "gone"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("engine", ["relay", "slow"])
def test_every_call_ends(make_stage, seed, engine):
    """With a tenth of all datagrams lost, others doubled or overtaken: each call ends, has its
    one record, and leaves nothing behind."""

    def make(clock):
        counting = CountingEngine()
        return counting if engine == "relay" else SlowEngine(counting, clock, seed)

    stage = make_stage({"switch": {"ring_seconds": 30}}, engine=make, seed=seed, **BAD)
    director = Director(stage, seed)
    for number in range(CALLS):
        director.play(number)
        stage.run(director.chance.uniform(0, 8))
    stage.run(120)
    admitted = stage.house.switch.counters["calls"]
    assert CALLS * 0.9 <= admitted <= CALLS
    assert {record.status for record in stage.records} >= {200, 404}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_call_ends_when_connections_break(make_stage, seed):
    """Over TCP, in pieces of any size, with connections that close at any moment: the same."""
    stage = make_stage(
        {"switch": {"ring_seconds": 30}},
        transport="TCP",
        engine=lambda clock: SlowEngine(CountingEngine(), clock, seed),
        seed=seed,
        delay=0.02,
        split=True,
    )
    director = Director(stage, seed)

    def break_off():
        phone = director.chance.choice([director.caller, *director.callees.values()])
        for peer in phone.endpoint.peers:
            phone.endpoint.stream(peer).close()
        phone.register()

    for number in range(CALLS):
        director.play(number)
        director.later(0, 20, break_off)
        stage.run(director.chance.uniform(0, 8))
    stage.run(120)
    assert len(stage.records) >= CALLS * 0.7
