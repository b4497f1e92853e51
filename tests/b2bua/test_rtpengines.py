"""Calls whose media go through rtpengines, with whatever happens to these."""

import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.testing.rtpengine import FakeFarm, FakeRtpengine
from softswitch.testing.stage import Stage


class Scene:
    """A stage, and the rtpengines behind it."""

    def __init__(self, number, config=None, **options):
        self.fakes = [FakeRtpengine(f"10.1.0.{index + 1}") for index in range(number)]
        self.stage = Stage(config or {}, engine=self._engine, pace=0.1, **options)
        self.farm.engine.lost = self.stage.house.switch.media_lost

    def _engine(self, clock):
        self.farm = FakeFarm(clock, *self.fakes)
        return self.farm.engine

    def talk(self):
        """Alice calls Bob, who answers; their lines."""
        alice, bob = self.stage.phone("alice"), self.stage.phone("bob")
        line = alice.call("bob")
        bob.answer()
        self.stage.run(1)
        return line, bob.line


@pytest.fixture
def make():
    """Makes scenes; each must be left empty, and no call be left with an rtpengine."""
    made = []

    def scene(*args, **options):
        made.append(Scene(*args, **options))
        return made[-1]

    yield scene
    for each in made:
        print(each.stage.ladder())
        each.farm.engine.stop()
        each.stage.run(5)
        each.stage.close()
        assert not each.farm.leaked


def test_a_call(make):
    """Each side is shown the rtpengine's address, and never the other's or ours but in o=."""
    scene = make(1)
    line, far = scene.talk()
    for each in (line, far):
        assert b"\r\nc=IN IP4 10.1.0.1\r\n" in each.sdp
    assert line.statuses[-1] == 200
    line.request("BYE")
    scene.stage.run(2)
    assert scene.fakes[0].commands == ["offer", "answer", "delete"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_silent_ones_cost_a_caller_two_seconds_at_most(make, number):
    """All are silent: 503 within 2 s, however many there are and however many targets are tried."""
    scene = make(number)
    for fake in scene.fakes:
        fake.silent = True
    alice, bob = scene.stage.phone("alice"), scene.stage.phone("bob")
    began = scene.stage.clock.seconds()
    line = alice.call("bob")
    while not line.statuses or line.statuses[-1] < 200:
        scene.stage.run(0.05)
    assert line.statuses[-1] == 503
    assert scene.stage.clock.seconds() - began <= 2.0
    assert not bob.lines


def test_a_silent_one_s_call_moves_with_the_next_reinvite(make):
    """Both sides are shown another rtpengine, whoever re-negotiates; the media of nobody else."""
    scene = make(2)
    line, far = scene.talk()
    there = b"10.1.0.1" if b"10.1.0.1" in line.sdp else b"10.1.0.2"
    other = b"10.1.0.2" if there == b"10.1.0.1" else b"10.1.0.1"
    for fake in scene.fakes:
        fake.silent = fake.place.host.encode() == there
    far.reinvite(far.phone.sdp("sendonly", version=2))
    scene.stage.run(3)
    line.respond(200, sdp=line.phone.sdp("recvonly", version=2))
    scene.stage.run(3)
    assert other in line.sdp
    assert other in far.sdp
    assert there not in line.sdp + far.sdp
    for fake in scene.fakes:
        fake.silent = False
    line.request("BYE")
    scene.stage.run(3)


def test_a_process_that_has_ended(make):
    """Both sides of each of its calls get a re-INVITE at once."""
    scene = make(2)
    scene.farm.engine.start()
    line, far = scene.talk()
    for each in (line, far):
        each.answers["INVITE"] = 200
    (here,) = (fake for fake in scene.fakes if fake.calls)
    here.gone = True
    here.restart()
    scene.stage.run(10)
    (other,) = (fake for fake in scene.fakes if fake.calls)
    assert other is not here
    for each in (line, far):
        assert other.place.host.encode() in each.sdp
    assert scene.stage.house.switch.counters["media lost"] == 1
    line.request("BYE")
    scene.stage.run(3)
    assert not other.calls


WANTING = """
[groups.browsers.media]
profile = "webrtc"
[users.alice]
password = "alice"
group = "browsers"
[users.bob]
password = "bob"
media = { profile = "srtp", dtmf = "tones", interface = "inside" }
[media]
engine = "rtpengine"
[[media.rtpengine]]
address = "127.0.0.1:2223"
"""


def test_each_side_is_offered_what_it_wants(make):
    """SRTP for one, WebRTC for the other; who wants encryption and offers none gets 488."""
    scene = make(1, config=WANTING)
    alice, bob = scene.stage.phone("alice"), scene.stage.phone("bob")
    assert alice.call("bob").statuses[-1] == 488
    secure = alice.sdp().replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF")
    line = alice.call("bob", sdp=secure)
    scene.stage.run(1)
    (offer,) = scene.fakes[0].heard
    assert offer["transport-protocol"] == "RTP/SAVP"
    assert offer["direction"] == ["default", "inside"]
    assert offer["codec"] == {"consume": ["telephone-event"]}
    bob.answer(sdp=bob.sdp().replace(b"RTP/AVP", b"RTP/SAVP"))
    scene.stage.run(1)
    assert scene.fakes[0].heard[-1]["ICE"] == "force"
    far = bob.line
    far.reinvite(bob.sdp(version=2).replace(b"RTP/AVP", b"RTP/SAVP"))
    scene.stage.run(1)
    offer = scene.fakes[0].heard[-1]
    assert (offer["transport-protocol"], offer["ICE"]) == ("UDP/TLS/RTP/SAVPF", "force")
    line.respond(200, sdp=secure)
    scene.stage.run(1)
    far.request("BYE")
    scene.stage.run(2)


def sending(scene, **packets):
    """So many packets have come from each leg."""
    (call,) = (call for fake in scene.fakes for call in fake.calls.values())
    call.packets.update(packets)


def test_the_record_has_what_rtpengine_has_counted(make):
    """Packets of each leg, where they came from, and what it is recorded as."""
    scene = make(1)
    line, _ = scene.talk()
    sending(scene, a=500, b1=498)
    line.request("BYE")
    scene.stage.run(3)
    (record,) = scene.stage.records
    assert [(each.leg, each.packets, each.bytes) for each in record.media] == [
        ("a", 500, 86000),
        ("b1", 498, 85656),
    ]
    caller = record.media[0]
    assert (caller.codec, caller.signalled, caller.latched) == (
        "PCMU",
        "10.0.0.9:4000",
        "10.0.0.9:4000",
    )
    assert (record.silences, record.recording) == ([], "")


def test_who_is_not_heard(make):
    """Four seconds after the answer nothing has come from Bob: the record says so, once."""
    scene = make(1)
    line, _ = scene.talk()
    sending(scene, a=200)
    scene.stage.run(10)
    line.request("BYE")
    scene.stage.run(3)
    (record,) = scene.stage.records
    (silence,) = record.silences
    assert (silence.leg, silence.cause) == ("b1", "nothing sent")


def test_who_is_on_hold_need_not_be_heard(make):
    """Bob answers with a hold: that is the cause."""
    scene = make(1)
    alice, bob = scene.stage.phone("alice"), scene.stage.phone("bob")
    line = alice.call("bob")
    bob.answer(sdp=bob.sdp("sendonly"))
    scene.stage.run(1)
    sending(scene, b1=200)
    scene.stage.run(10)
    line.request("BYE")
    scene.stage.run(3)
    (record,) = scene.stage.records
    assert [(each.leg, each.cause) for each in record.silences] == [("a", "held")]


RECORDED = """
[[policy]]
use = "trunks"
[[policy]]
use = "users"
[[policy]]
use = "registration"
[[policy]]
use = "dialplan"
[[policy.rules]]
match = "99"
user = "bob"
record = true
[[policy]]
use = "located"
"""


def test_a_policy_has_a_call_recorded(make):
    """By the rtpengine, from the answer on, and by the next one when the call moves there; the
    record says under which name."""
    scene = make(2, config=RECORDED)
    scene.farm.engine.start()
    alice, bob = scene.stage.phone("alice"), scene.stage.phone("bob")
    line = alice.call("99")
    bob.answer()
    scene.stage.run(1)
    (here,) = (fake for fake in scene.fakes if fake.calls)
    assert [call.recording for call in here.calls.values()] == [True]
    for each in (line, bob.line):
        each.answers["INVITE"] = 200
    here.gone = True
    here.restart()
    scene.stage.run(10)
    (other,) = (fake for fake in scene.fakes if fake.calls)
    ((name, call),) = other.calls.items()
    assert call.recording
    line.request("BYE")
    scene.stage.run(3)
    (record,) = scene.stage.records
    assert record.recording == f"rtpengine {other.place}: {name}"


def test_an_operator_sees_how_they_are(make):
    """State, calls and what was asked, by address."""
    scene = make(2)
    line, _ = scene.talk()
    load = scene.stage.house.stats()["media"]
    assert {place: each["calls"] for place, each in load.items()} == {
        "10.1.0.1:2223": 1,
        "10.1.0.2:2223": 0,
    }
    assert load["10.1.0.1:2223"]["state"] == "up"
    line.request("BYE")
    scene.stage.run(3)


@implementer(IRouter)
class Web:
    """Bob's phone is a browser, this time."""

    def route(self, invite):
        return Route(
            [Target("sip:bob@127.88.0.12", dialog={"wants": {"profile": "webrtc"}})],
            dialog={"wants": {"dtmf": "tones", "transcode": ["PCMA"]}},
        )


def test_a_policy_says_otherwise_for_one_call(make):
    """Of the callee and of the caller, which stays as the call is written down and rebuilt."""
    scene = make(1, plug_ins=[Web()])
    alice, bob = scene.stage.phone("alice"), scene.stage.phone("bob", register=False)
    line = alice.call("bob")
    scene.stage.run(1)
    offer = scene.fakes[0].heard[-1]
    assert offer["transport-protocol"] == "UDP/TLS/RTP/SAVPF"
    assert offer["codec"] == {"transcode": ["telephone-event"]}
    bob.answer(sdp=bob.sdp().replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF"))
    scene.stage.run(1)
    assert line.statuses[-1] == 200
    line.request("BYE")
    scene.stage.run(3)
