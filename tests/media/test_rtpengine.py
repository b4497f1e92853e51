"""The engine on rtpengines that are not there: what they are asked, and what comes of it."""

import attrs
import pytest

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.plugin.media import IMediaEngine, MediaNetwork, MediaQuestion
from softswitch.testing.clock import VirtualClock
from softswitch.testing.rtpengine import FakeFarm, FakeRtpengine

NET = MediaNetwork("127.0.0.1", "127.0.0.1")
PORTS = {"a": 4000, "b1": 5000, "b2": 6000, "b3": 7000}


def sdp(leg, port=0, direction="sendrecv", version=1):
    """What a leg says."""
    return (
        f"v=0\r\no={leg} 1 {version} IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
        f"m=audio {port or PORTS[leg]} RTP/AVP 0\r\na={direction}\r\n"
    ).encode()


class Play:
    """A farm of so many, and who asks it."""

    def __init__(self, number=1, **options):
        self.clock = VirtualClock()
        self.fakes = [FakeRtpengine(f"10.1.0.{index + 1}") for index in range(number)]
        self.farm = FakeFarm(self.clock, *self.fakes, **options)
        self.engine = self.farm.engine
        self.answers = {}
        self.nets = {}
        self._token = 0

    def send(self, kind, source, target, session="s", body=None, held=b""):
        """Ask; the token."""
        self._token += 1
        body = b"" if kind == "withdraw" else sdp(source) if body is None else body
        question = MediaQuestion(
            self._token,
            session,
            kind,
            body,
            source,
            target,
            self.nets.get(source, NET),
            self.nets.get(target, NET),
            "10.0.0.9",
            held,
        )
        self.engine.ask(question, self._told)
        return self._token

    def ask(self, kind, source, target, session="s", body=None, seconds=2.0):
        """The SDP that comes back in so many seconds.

        :raises MediaError, SdpSyntaxError: what came instead.
        """
        token = self.send(kind, source, target, session, body)
        began = self.clock.seconds()
        while token not in self.answers and self.clock.seconds() - began < seconds:
            self.clock.run(0.01)
        answer = self.answers[token]
        self.clock.run(0.1)  # whatever else is to be said
        if answer.error is not None:
            raise answer.error
        return answer.sdp

    def talk(self, offerer="a", answerer="b1", session="s"):
        """An offer and its answer."""
        return (
            self.ask("offer", offerer, answerer, session),
            self.ask("answer", answerer, offerer, session),
        )

    def calls(self, index=0):
        """The calls of one of them."""
        return list(self.fakes[index].calls.values())

    def _told(self, answer):
        assert answer.token not in self.answers
        self.answers[answer.token] = answer


@pytest.fixture
def make():
    """Makes plays; each must be left empty."""
    made = []

    def play(*args, **options):
        made.append(Play(*args, **options))
        return made[-1]

    yield play
    for each in made:
        for name in list(each.engine._sessions):
            each.engine.release(name)
        each.clock.run(5)
        each.engine.stop()
        each.clock.run(5)
        assert each.clock.idle
        assert not each.farm.leaked
        assert all(fake.silent or fake.gone or not fake.calls for fake in each.fakes)


def port(body):
    """Of the audio."""
    return int(body.split(b"m=audio ")[1].split()[0])


def test_a_call(make):
    """Each side is shown a port of the rtpengine's; both are freed when the call is over."""
    play = make()
    assert IMediaEngine.providedBy(play.engine)
    shown, told = play.talk()
    (call,) = play.calls()
    assert (port(shown), port(told)) == (call.ports["b1"][0], call.ports["a"][0])
    assert b"c=IN IP4 10.1.0.1" in shown
    assert play.engine.ports_in_use("s") == 4
    assert play.engine.ports_in_use("s", "b1") == 2
    play.engine.drop("s", "b1")
    assert play.engine.ports_in_use("s", "b1") == 0
    play.engine.drop("s", "a")
    play.engine.release("s")
    assert play.engine.ports_in_use("s") == 0
    play.clock.run(1)
    assert play.fakes[0].commands == ["offer", "answer", "delete"]
    assert not play.calls()


@pytest.mark.parametrize("seed", range(8))
def test_a_wire_that_loses_and_copies(make, seed):
    """A third of the datagrams lost, a third twice: the call comes about all the same, and nothing
    is done twice, since a copy has the same cookie."""
    play = make(loss=0.33, duplicate=0.33, seed=seed, wait_seconds=6.0)
    for session in ("s", "t"):
        play.ask("offer", "a", "b1", session, seconds=7)
        play.ask("answer", "b1", "a", session, seconds=7)
        play.engine.release(session)
    play.clock.run(10)
    assert play.fakes[0].commands.count("offer") == 2
    assert not play.calls()


def test_an_answer_may_come_again(make):
    """A 183 and its 200 say the same; the caller's ports stay."""
    play = make()
    _, first = play.talk()
    assert play.ask("answer", "b1", "a") == first


def test_forks(make):
    """One caller, three callees: its port is the same whoever answers, and it hears the one whose
    answer came last and nobody else."""
    play = make()
    for callee in ("b1", "b2", "b3"):
        play.ask("offer", "a", callee)
    told = [play.ask("answer", callee, "a") for callee in ("b1", "b2")]
    assert port(told[0]) == port(told[1])
    (call,) = play.calls()
    assert call.blocked == {"b1"}
    play.ask("answer", "b1", "a")
    assert call.blocked == {"b2"}
    assert (call.talks["a"], call.talks["b1"]) == ("b1", "a")
    for callee in ("b2", "b3"):
        play.engine.drop("s", callee)
    play.clock.run(1)
    assert call.ports.keys() == {"a", "b1"}
    assert call.blocked == {"b2"}


def test_the_last_callee_leaves(make):
    """Taking it out would end the call and the caller's ports with it: the next one comes first."""
    play = make()
    _, told = play.talk()
    play.engine.drop("s", "b1")
    play.clock.run(1)
    (call,) = play.calls()
    assert "b1" in call.ports
    play.ask("offer", "a", "b2")
    assert call.ports.keys() == {"a", "b2"}
    assert port(play.ask("answer", "b2", "a")) == port(told)


def test_an_offer_to_somebody_else_parts_nobody(make):
    """A transfer's target rings: those who talk go on talking until it has answered."""
    play = make()
    play.talk()
    (call,) = play.calls()
    play.ask("offer", "a", "b2")
    assert (call.talks["a"], call.talks["b1"]) == ("b1", "a")
    play.send("withdraw", "a", "b2")
    play.engine.drop("s", "b2")
    play.clock.run(1)
    assert call.ports.keys() == {"a", "b1"}
    assert (call.talks["a"], call.talks["b1"]) == ("b1", "a")
    play.ask("offer", "b3", "a")
    assert call.talks["a"] == "b1"
    play.ask("answer", "a", "b3")
    assert call.talks["a"] == "b3"
    assert call.blocked == {"b1"}


def test_a_refused_offer_leaves_nothing(make):
    """rtpengine has taken the offer for granted: it is told anew what had been agreed."""
    play = make()
    play.talk()
    play.ask("offer", "b1", "a", body=sdp("b1", 5500, "sendonly"))
    play.send("withdraw", "b1", "a")
    play.clock.run(1)
    *_, offered, answered = play.fakes[0].heard
    assert (offered["command"], offered["from-tag"], offered["sdp"]) == ("offer", "a", sdp("a"))
    assert (answered["command"], answered["to-tag"], answered["sdp"]) == (
        "answer",
        "b1",
        sdp("b1"),
    )
    with pytest.raises(MediaError) as caught:
        play.ask("answer", "a", "b1")
    assert caught.value.status == 500


def test_an_early_answer_gives_way(make):
    """One of two callees has answered early and goes: the caller hears the other again."""
    play = make()
    for callee in ("b1", "b2"):
        play.ask("offer", "a", callee)
        play.ask("answer", callee, "a")
    (call,) = play.calls()
    assert (call.talks["a"], call.blocked) == ("b2", {"b1"})
    play.engine.drop("s", "b2")
    play.clock.run(1)
    assert (call.talks["a"], call.blocked) == ("b1", set())


def test_what_is_no_answer(make):
    """Without an offer, to one that was taken back, or with other m= lines than it."""
    play = make()
    for session in ("s", "t"):
        with pytest.raises(MediaError) as caught:
            play.ask("answer", "b1", "a", session)
        assert caught.value.status == 500
        play.ask("offer", "a", "b2", session)
    play.ask("offer", "a", "b1")
    with pytest.raises(SdpSyntaxError) as refused:
        play.ask("answer", "b1", "a", body=sdp("b1") + b"m=video 7000 RTP/AVP 96\r\n")
    assert refused.value.status == 488
    assert play.ask("answer", "b1", "a")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"rubbish", 488), (b"v=0\r\n" + b"a=x\r\n" * 20000, 513), (b"", 488)],
)
def test_sdp_that_cannot_be_used(make, body, status):
    """The sender's fault; nobody is asked, and nothing is left."""
    play = make()
    with pytest.raises(SdpSyntaxError) as caught:
        play.ask("offer", "a", "b1", body=body)
    assert caught.value.status == status
    assert not play.fakes[0].heard
    play.engine.drop("s", "b1")
    play.engine.drop("s", "a")
    assert play.farm.instances.all[0].calls == {}


def test_sdp_that_rtpengine_cannot_read(make):
    """488 as well; the next call is none the worse."""
    play = make()
    play.fakes[0].fails = "Failed to parse SDP"
    with pytest.raises(SdpSyntaxError):
        play.ask("offer", "a", "b1")
    play.fakes[0].fails = ""
    assert play.ask("offer", "a", "b1")


def test_the_only_one_is_silent(make):
    """503 within the time that there is; while it is known to be silent, at once."""
    play = make(wait_seconds=1.5)
    play.fakes[0].silent = True
    for session, seconds in (("s", 1.5), ("t", 0.0)):
        began = play.clock.seconds()
        token = play.send("offer", "a", "b1", session)
        play.clock.run(seconds)
        error = play.answers[token].error
        assert (type(error), error.status) == (MediaError, 503)
        assert play.clock.seconds() - began <= 1.5
    assert play.farm.noted == [("10.1.0.1", "silent")]


@pytest.mark.parametrize("silent", [1, 2])
def test_the_next_one_takes_the_call(make, silent):
    """The time is shared among those that may be asked."""
    play = make(3)
    for fake in play.fakes[:silent]:
        fake.silent = True
    assert b"10.1.0.3" in play.ask("offer", "a", "b1") or silent == 1
    assert play.clock.seconds() < 1.5
    assert play.ask("answer", "b1", "a")
    assert play.ask("offer", "a", "b1", "t")
    assert [fake.commands.count("offer") for fake in play.fakes[:silent]] == [0] * silent


def test_more_that_are_silent_than_time(make):
    """Three are tried, and then that is that."""
    play = make(5)
    for fake in play.fakes:
        fake.silent = True
    with pytest.raises(MediaError):
        play.ask("offer", "a", "b1", seconds=1.52)
    assert [state for _, state in play.farm.noted] == ["silent"] * 3


@pytest.mark.parametrize("how", ["full", "error"])
def test_one_takes_no_more_calls(make, how):
    """The next one does; a call that it has goes on there."""
    play = make(2)
    play.talk()
    play.fakes[0].full = how == "full"
    play.fakes[0].fails = "Ran out of ports" if how == "error" else ""
    assert b"10.1.0.2" in play.ask("offer", "a", "b1", "t")
    play.fakes[1].full = True
    with pytest.raises(MediaError) as caught:
        play.ask("offer", "a", "b1", "u")
    assert caught.value.status == 503
    play.fakes[0].fails = ""
    assert play.ask("offer", "b1", "a")
    assert not play.farm.noted


def test_weights(make):
    """Calls go where there are the fewest for the weight; 0 takes none."""
    play = make(3)
    for each, weight in zip(play.farm.instances.all, (2, 1, 0), strict=True):
        each.place = attrs.evolve(each.place, weight=weight)
    for number in range(30):
        play.talk(session=str(number))
    assert [len(play.calls(index)) for index in range(3)] == [20, 10, 0]


def test_figures_while_it_talks(make):
    """What rtpengine knows by now; the call goes on. Nothing of one that nobody knows, or of an
    rtpengine that has forgotten it."""
    play = make()
    play.talk()
    (call,) = play.calls()
    call.packets["a"] = 50
    told = []
    for session in ("s", "nobody"):
        play.engine.snapshot(session, told.append)
    play.clock.run(1)
    assert [[each.packets for each in report.streams] for report in told] == [[], [50, 0]]
    assert len(play.calls()) == 1
    play.fakes[0].restart()
    play.engine.snapshot("s", told.append)
    play.clock.run(8)
    assert told[2].streams == ()


def test_a_call_stays_where_it_is(make):
    """Whatever is negotiated, and however busy it is there."""
    play = make(2)
    play.talk()
    for number in range(3):
        play.talk(session=str(number))
        play.engine.release(str(number))
    here = play.engine.instance_of("s")
    assert play.ask("offer", "b1", "a")
    assert play.engine.instance_of("s") is here


def test_a_silent_one_s_call_moves_with_the_next_offer(make):
    """From whichever side that comes: it is a fresh offer to another one, and both sides get new
    ports. When the old one is back, the call ends there."""
    play = make(2)
    play.talk()
    play.farm.engine.start()
    play.fakes[0].silent = True
    play.clock.run(8)
    assert play.farm.noted == [("10.1.0.1", "silent")]
    shown, told = play.talk("b1", "a")
    assert b"10.1.0.2" in shown
    assert b"10.1.0.2" in told
    assert len(play.calls(0)) == 1
    play.fakes[0].silent = False
    play.clock.run(2)
    assert play.farm.noted[-1] == ("10.1.0.1", "up")
    assert not play.calls(0)
    assert len(play.calls(1)) == 1


def test_a_silent_one_without_another_keeps_its_calls(make):
    """A re-negotiation fails; the call goes on, and can be re-negotiated when it is back."""
    play = make()
    play.talk()
    play.farm.engine.start()
    play.fakes[0].silent = True
    with pytest.raises(MediaError) as caught:
        play.ask("offer", "a", "b1")
    assert caught.value.status == 503
    play.send("withdraw", "a", "b1")
    play.fakes[0].silent = False
    play.clock.run(2)
    assert len(play.calls()) == 1
    before = play.engine.ports_in_use("s")
    assert play.talk()
    assert play.engine.ports_in_use("s") == before == 4


def test_an_answer_to_nobody(make):
    """The offer's rtpengine has gone silent: the answer cannot be told to another."""
    play = make(2)
    play.ask("offer", "a", "b1")
    play.fakes[0].silent = True
    with pytest.raises(MediaError) as caught:
        play.ask("answer", "b1", "a")
    assert caught.value.status == 503


def test_one_was_started_again(make):
    """It knows the call no more: an answer fails, an offer begins anew."""
    play = make()
    play.ask("offer", "a", "b1")
    play.fakes[0].restart()
    with pytest.raises(MediaError):
        play.ask("answer", "b1", "a")
    play.talk()
    play.fakes[0].restart()
    assert play.talk("b1", "a")
    assert len(play.calls()) == 1


def test_a_restart_is_seen_by_the_checks(make):
    """Each check asks about a call, and what is forgotten is told at once, to the last one."""
    play = make()
    lost = []
    play.engine.lost = lost.extend
    for number in range(20):
        play.talk(session=str(number))
    play.engine.start()
    play.clock.run(11)
    assert not lost
    play.fakes[0].restart()
    play.clock.run(6)
    assert sorted(lost) == sorted(str(number) for number in range(20))
    assert play.engine.ports_in_use("7") == 0


def test_a_process_has_ended(make):
    """The network says so twice: its calls are told as lost, those of others are not. What is asked
    meanwhile goes elsewhere."""
    play = make(2)
    lost = []
    play.engine.lost = lost.extend
    play.engine.start()
    for number in range(6):
        play.talk(session=str(number))
    here = [
        number for number in range(6) if play.engine.instance_of(str(number)).place.host[-1] == "1"
    ]
    play.fakes[0].gone = True
    play.clock.run(6)
    assert play.farm.noted == [("10.1.0.1", "silent"), ("10.1.0.1", "gone")]
    assert lost == [str(number) for number in here]
    assert len(here) == 3
    for number in range(6):
        assert b"10.1.0.2" in play.ask("offer", "b1", "a", str(number))


def test_the_only_process_has_ended(make):
    """Its calls cannot go anywhere before it is back: then they are told."""
    play = make()
    lost = []
    play.engine.lost = lost.extend
    play.engine.start()
    play.talk()
    play.fakes[0].gone = True
    play.clock.run(20)
    assert not lost
    with pytest.raises(MediaError):
        play.ask("offer", "a", "b1", "t")
    play.fakes[0].restart()
    play.fakes[0].gone = False
    play.clock.run(2)
    assert lost == ["s"]
    assert play.talk("b1", "a")


def test_a_moment_s_refusal_is_no_death(make):
    """Once refused, then answered: nothing is lost."""
    play = make()
    lost = []
    play.engine.lost = lost.extend
    play.talk()
    play.engine.start()
    play.fakes[0].gone = True
    play.clock.run(0.1)
    play.fakes[0].gone = False
    play.clock.run(5)
    assert [state for _, state in play.farm.noted] == ["silent", "up"]
    assert not lost
    assert len(play.calls()) == 1


def test_the_call_ends_while_its_offer_is_asked(make):
    """What comes of it is let go afterwards, and nobody is told."""
    play = make(delay=0.2)
    token = play.send("offer", "a", "b1")
    play.clock.run(0.1)
    play.engine.drop("s", "b1")
    play.engine.drop("s", "a")
    play.engine.release("s")
    assert play.engine.ports_in_use("s") == 0
    play.clock.run(3)
    assert not play.calls()
    assert token not in play.answers


def test_a_leg_leaves_while_its_offer_is_asked(make):
    """The others stay; its ports go as soon as rtpengine has given them."""
    play = make(delay=0.2)
    play.talk()
    play.send("offer", "a", "b2")
    play.clock.run(0.1)
    play.engine.drop("s", "b2")
    play.clock.run(3)
    (call,) = play.calls()
    assert call.ports.keys() == {"a", "b1"}
    assert play.engine.ports_in_use("s", "b2") == 0
    assert call.talks["a"] == "b1"


def test_a_silent_one_is_told_of_the_end_when_it_is_back(make):
    """It may have heard nothing of it."""
    play = make()
    play.talk()
    play.engine.start()
    play.fakes[0].silent = True
    play.engine.release("s")
    play.clock.run(5)
    assert len(play.calls()) == 1
    play.fakes[0].silent = False
    play.clock.run(2)
    assert not play.calls()


def test_a_switch_that_stops_ends_its_calls(make):
    """With the last word that it says."""
    play = make(2)
    for number in range(4):
        play.talk(session=str(number))
    play.engine.stop()
    play.clock.run(1)
    assert (play.calls(0), play.calls(1)) == ([], [])


def test_what_would_not_be_let_go(make):
    """An error instead of the proof is a leak."""
    play = make()
    play.talk()
    play.fakes[0]._delete = lambda message, call: {"result": "error", "error-reason": "no"}
    play.engine.release("s")
    play.clock.run(1)
    assert play.farm.leaked == [("s", "")]
    play.farm.leaked.clear()
    play.fakes[0].calls.clear()


def test_one_thing_after_the_other(make):
    """Two callees are asked at once: rtpengine hears the second offer when it has answered the
    first, whatever way datagrams take."""
    play = make(delay=0.1)
    tokens = [play.send("offer", "a", callee) for callee in ("b1", "b2")]
    play.clock.run(0.15)
    assert len(play.fakes[0].heard) == 1
    play.clock.run(1)
    assert [message["to-tag"] for message in play.fakes[0].heard] == ["b1", "b2"]
    assert all(play.answers[token].sdp for token in tokens)


def test_one_that_refuses_and_is_silent_then_is_asked_again(make):
    """A machine that is started anew: its process ends, then the network is gone, then all is
    back."""
    play = make()
    play.engine.start()
    play.fakes[0].gone = True
    play.clock.run(10)
    play.fakes[0].gone, play.fakes[0].silent = False, True
    play.clock.run(60)
    play.fakes[0].silent = False
    play.clock.run(10)
    assert [state for _, state in play.farm.noted][-1] == "up"
    assert play.ask("offer", "a", "b1", "t")
