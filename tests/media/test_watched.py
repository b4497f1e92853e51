"""Each cause for which a side is not heard, by packets on loopback and under virtual time."""

import json
import socket
import struct
from collections import Counter
from unittest.mock import ANY

import pytest
from zope.interface.verify import verifyObject

from softswitch.media.recording import Recorder
from softswitch.media.watch import LOOK, Patience
from softswitch.media.watched import WatchedRelay
from softswitch.media.wire import report_from_wire, report_to_wire
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.media import IMediaWitness, MediaNetwork, MediaNotice, MediaQuestion
from softswitch.sdp.session import SessionDescription
from softswitch.testing.clock import VirtualClock

HERE = "127.55.2.1"
NET = MediaNetwork(HERE, HERE)


class Side:
    """One side's phone.

    :ivar there: where the relay awaits its audio.
    """

    def __init__(self, host):
        self.host = host
        self.rtp, self.rtcp = self._socket(), self._socket()
        self.there = None
        self.sequence = 0

    def _socket(self):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((self.host, 0))
        made.setblocking(False)
        return made

    def sdp(self, formats="0", direction="sendrecv", host=""):
        """What it offers or answers."""
        port, rtcp = self.rtp.getsockname()[1], self.rtcp.getsockname()[1]
        lines = ["v=0", f"o=- 1 1 IN IP4 {self.host}", "s=-", f"c=IN IP4 {host or self.host}"]
        lines += ["t=0 0", f"m=audio {port} RTP/AVP {formats}", f"a=rtcp:{rtcp}", f"a={direction}"]
        return "\r\n".join([*lines, ""]).encode()

    def told(self, sdp):
        """Take the relay's address."""
        (section,) = SessionDescription.parse(sdp).media
        self.there = tuple(section.rtp) if section.rtp else None

    def say(self, kind=0, sock=None, to=None, ssrc=7):
        """Send one packet."""
        self.sequence += 1
        header = struct.pack("!BBHII", 128, kind, self.sequence, 160 * self.sequence, ssrc)
        (sock or self.rtp).sendto(header + b"x" * 160, to or self.there)

    def report(self):
        """Send one receiver report, about nobody."""
        host, port = self.there
        self.rtcp.sendto(struct.pack("!BBHI", 128, 201, 1, 7), (host, port + 1))


class Talk:
    """A call over the relay."""

    def __init__(self, patience=None, ports=(21400, 21499), recordings=None):
        self.clock = VirtualClock()
        self.notices, self.warnings = [], []
        recorder = None
        if recordings is not None:
            recorder = Recorder(recordings, self.clock, self.warnings.append)
        self.relay = WatchedRelay(self.clock, ports, seed=1, patience=patience, recorder=recorder)
        self.relay.noticed = self.notices.append
        self.relay.warned = self.warnings.append
        self.a, self.b = Side("127.55.2.2"), Side("127.55.2.3")
        self.token = 0

    def ask(self, kind, source, target, sdp=b"", session="call"):
        """The answer's description."""
        self.token += 1
        told = []
        question = MediaQuestion(self.token, session, kind, sdp, source, target, NET, NET, HERE)
        self.relay.ask(question, told.append)
        return told[0]

    def agree(self, offer=None, answer=None, answered=True, record=False):
        """Offer and answer cross."""
        self.b.told(self.ask("offer", "a", "b1", offer or self.a.sdp()).sdp)
        self.a.told(self.ask("answer", "b1", "a", answer or self.b.sdp()).sdp)
        if answered:
            self.relay.answered("call", record)

    def run(self, seconds, *talking):
        """Time passes, in which these talk."""
        for _ in range(int(seconds / 0.5)):
            for side in talking:
                side.say()
            self.serve()
            self.clock.run(0.5)

    def serve(self):
        """Have the relay carry what has come."""
        for _ in range(40):
            self.relay.path.serve()

    @property
    def causes(self):
        """Who is not heard, and why."""
        return [(each.silence.leg, each.silence.cause) for each in self.notices]


@pytest.fixture
def make():
    """Makes calls; nothing is left of them."""
    talks = []

    def make(*args, **options):
        talks.append(Talk(*args, **options))
        return talks[-1]

    yield make
    for talk in talks:
        talk.relay.release("call")
        talk.relay.stop()
        assert talk.clock.idle
        for side in (talk.a, talk.b):
            side.rtp.close()
            side.rtcp.close()


def test_it_is_a_witness(make):
    """The interface."""
    verifyObject(IMediaWitness, make().relay)


def test_both_are_heard(make):
    """Nothing is said, then or later."""
    talk = make()
    talk.agree()
    talk.run(LOOK + 2, talk.a, talk.b)
    assert talk.causes == []
    talk.run(5, talk.a, talk.b)
    assert talk.causes == []


def test_nothing_sent(make):
    """The callee sends nothing, and is named within 5 s of the answer; once."""
    talk = make()
    talk.agree()
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "nothing sent")]
    assert talk.notices[0].silence.at <= 5.0
    assert not talk.notices[0].ends
    talk.run(60, talk.a)
    assert len(talk.causes) == 1


def test_wrong_source(make):
    """The callee's own address has spoken, and then its voice comes from elsewhere: it is not
    taken (RTP injection), and where it comes from is told."""
    talk = make()
    talk.agree()
    talk.b.say()
    talk.serve()
    talk.relay.release("call")
    talk.agree(answered=False)
    talk.b.say()
    talk.serve()
    talk.relay.answered("call", False)
    other = Side("127.55.2.9")
    for _ in range(10):
        other.say(to=talk.b.there)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "wrong source")]
    assert "come from 127.55.2.9:" in talk.notices[0].silence.detail
    other.rtp.close()
    other.rtcp.close()


def test_wrong_port_of_theirs(make):
    """Its voice comes from another port of its address than the one that has spoken."""
    talk = make()
    talk.agree(answered=False)
    talk.b.say()
    talk.serve()
    talk.relay.answered("call", False)
    for _ in range(10):
        talk.b.say(sock=talk.b.rtcp)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "wrong port")]


def test_wrong_port_of_ours(make):
    """Its voice comes to the port that was meant for RTCP, or for the other side."""
    talk = make()
    talk.agree()
    for _ in range(60):
        talk.b.say(to=(HERE, talk.b.there[1] + 1), sock=talk.b.rtcp)
        talk.serve()
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "wrong port")]
    assert f"port {talk.b.there[1] + 1}," in talk.notices[0].silence.detail


def test_wrong_port_the_other_sides(make):
    """Both sides send to the same port of ours."""
    talk = make()
    talk.agree()
    talk.a.say()
    talk.serve()
    for _ in range(10):
        talk.b.say(to=talk.a.there)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "wrong port")]
    assert f"port {talk.a.there[1]}," in talk.notices[0].silence.detail


def test_codec_not_in_the_answer(make):
    """PCMA, where PCMU was agreed."""
    talk = make()
    talk.agree(talk.a.sdp("0 8"), talk.b.sdp("0"))
    for _ in range(10):
        talk.a.say(kind=8)
    talk.run(LOOK + 0.5, talk.b)
    assert talk.causes == [("a", "codec not in the answer")]
    assert talk.notices[0].silence.detail == "it sends PCMA (8), and PCMU was agreed"


def test_held_at_the_answer(make):
    """Named, of whoever is silent; music on hold is heard. A hold later on is no news."""
    talk = make()
    talk.agree(talk.a.sdp(direction="sendonly"), talk.b.sdp(direction="recvonly"))
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "held")]
    talk.agree(talk.a.sdp(direction="inactive"), talk.b.sdp(direction="inactive"), answered=False)
    talk.run(LOOK + 0.5)
    assert talk.causes == [("b1", "held")]


def test_not_rtp(make):
    """Something comes, and is none."""
    talk = make()
    talk.agree()
    talk.b.rtp.sendto(b"\x16\xfe\xfd" + b"x" * 60, talk.b.there)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "not RTP")]


def test_not_delivered(make):
    """What comes cannot be sent to where the other side wants it: there is no way to it."""
    talk = make()
    talk.agree(answer=talk.b.sdp(host="255.255.255.255"))
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("a", "not delivered"), ("b1", "nothing sent")]


def test_time_out_after_early_media(make):
    """It has played something before the answer, and sends nothing since."""
    talk = make()
    talk.agree(answered=False)
    talk.run(3, talk.b)
    talk.relay.answered("call", False)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "time-out")]


def test_time_out_ends_the_call(make):
    """One side falls silent in the middle of the call: after the time that the operator gives it,
    and not before, the call is to end."""
    talk = make(Patience(20.0, 100.0))
    talk.agree()
    talk.run(10, talk.a, talk.b)
    talk.run(19, talk.a)
    assert talk.causes == []
    talk.run(2, talk.a)
    assert talk.causes == [("b1", "time-out")]
    assert talk.notices[0].ends
    assert talk.notices[0].silence.detail == "nothing came for 20 s"
    talk.run(60, talk.a)
    assert len(talk.notices) == 1


def test_rtcp_is_a_sign_of_life(make):
    """Who sends no audio, but says by RTCP that he is there, is not timed out."""
    talk = make(Patience(20.0, 100.0))
    talk.agree()
    for _ in range(10):
        talk.run(5, talk.a)
        talk.b.report()
        talk.serve()
    assert talk.causes == [("b1", "nothing sent")]


def test_a_hold_has_its_own_time(make):
    """Nobody need send anything on hold, for much longer; after it the clock begins anew."""
    talk = make(Patience(20.0, 100.0))
    talk.agree()
    talk.run(10, talk.a, talk.b)
    talk.agree(talk.a.sdp(direction="sendonly"), talk.b.sdp(direction="recvonly"), answered=False)
    talk.run(99)
    assert talk.causes == []
    talk.agree(answered=False)
    talk.run(19, talk.a, talk.b)
    talk.agree(talk.a.sdp(direction="sendonly"), talk.b.sdp(direction="recvonly"), answered=False)
    talk.run(101)
    assert [each.ends for each in talk.notices] == [True]
    assert "on hold" in talk.notices[0].silence.detail


def test_no_patience_is_endless(make):
    """0: such a call lasts as long as its signalling."""
    talk = make(Patience(0.0, 0.0))
    talk.agree()
    talk.run(10, talk.a, talk.b)
    talk.clock.run(100_000)
    assert talk.causes == []


@pytest.mark.parametrize("formats", ["0 13", "18"])
def test_who_may_be_silent(make, formats):
    """Comfort noise (RFC 3389) or G.729 annex B was agreed, and RTCP comes: nobody speaks there."""
    talk = make()
    talk.agree(talk.a.sdp(formats), talk.b.sdp(formats))
    talk.b.report()
    for _ in range(9):
        talk.a.say(kind=int(formats.split()[0]))
        talk.serve()
        talk.clock.run(0.5)
    assert talk.causes == []


def test_comfort_noise_is_heard(make):
    """One packet of it says that nobody speaks."""
    talk = make()
    talk.agree(talk.a.sdp("0 13"), talk.b.sdp("0 13"))
    talk.b.say(kind=13)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == []


def test_before_the_answer_nobody_is_missed(make):
    """Ringing, early media or none: nothing is looked at."""
    talk = make(Patience(5.0, 5.0))
    talk.agree(answered=False)
    talk.run(30, talk.b)
    assert talk.causes == []


def test_a_resume_is_looked_at_anew(make):
    """Heard before the hold, and not after it: said then."""
    talk = make()
    talk.agree()
    talk.run(LOOK + 2, talk.a, talk.b)
    talk.agree(talk.a.sdp(direction="inactive"), talk.b.sdp(direction="inactive"), answered=False)
    talk.run(10)
    talk.agree(answered=False)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "time-out")]


def test_the_figures_at_the_end(make):
    """Packets, bytes, times, addresses and an estimate, by leg; and the ports are free."""
    talk = make()
    talk.agree(talk.a.sdp("0 8"), talk.b.sdp("8"))
    for _ in range(10):
        talk.a.say(kind=8)
        talk.b.say(kind=8)
        talk.serve()
        talk.clock.run(0.02)
    talk.b.report()
    talk.serve()
    told = []
    talk.relay.snapshot("call", told.append)
    assert talk.relay.ports_in_use("call") == 4
    talk.relay.conclude("call", told.append)
    before, report = told
    assert before == report
    a, b = report.streams
    assert (a.leg, a.line, a.kind, a.codec) == ("a", 0, "audio", "PCMA")
    assert (a.packets, a.bytes) == (10, 1720)
    assert (a.lost, a.jitter, a.unsent) == (0, 0.0, 0)
    assert (a.first, a.last) == (0.0, pytest.approx(0.18))
    assert a.signalled == a.latched == f"127.55.2.2:{talk.a.rtp.getsockname()[1]}"
    assert (a.rtcp, b.rtcp) == (0, 1)
    assert a.mos == b.mos == 4.39
    assert talk.relay.ports_in_use("call") == 0
    assert report_from_wire(report_to_wire(report)) == report


def test_loss_makes_the_estimate_worse(make):
    """Each second packet is missing."""
    talk = make()
    talk.agree()
    for _ in range(50):
        talk.a.say()
        talk.a.sequence += 1
        talk.b.say()
        talk.serve()
        talk.clock.run(0.02)
    a, b = talk.relay.report("call").streams
    assert (a.lost, b.lost) == (49, 0)
    assert a.mos < 2 < 4 < b.mos


def test_figures_of_a_leg_that_has_left(make):
    """After a transfer those of whoever transferred are there, and of a line that was closed."""
    talk = make()
    talk.agree()
    talk.run(1, talk.a, talk.b)
    talk.relay.drop("call", "b1")
    c = Side("127.55.2.4")
    c.told(talk.ask("offer", "a", "b2", talk.a.sdp()).sdp)
    talk.a.told(talk.ask("answer", "b2", "a", c.sdp()).sdp)
    talk.run(LOOK + 1, talk.a, c)
    assert talk.causes == []
    found = {each.leg: each.packets for each in talk.relay.report("call").streams}
    assert found == {"a": 12, "b1": 2, "b2": 10}
    c.rtp.close()
    c.rtcp.close()


def test_who_is_called_for_a_transfer_only_rings(make):
    """An early answer of his is no reason to miss him (RFC 3264); once he has answered, it is. Nor
    is whoever has transferred missed, though he is there still."""
    talk = make()
    talk.agree()
    talk.run(LOOK + 1, talk.a, talk.b)
    c = Side("127.55.2.4")
    c.told(talk.ask("offer", "a", "b2", talk.a.sdp()).sdp)
    talk.a.told(talk.ask("answer", "b2", "a", c.sdp()).sdp)
    talk.run(LOOK + 10, talk.a)
    assert talk.causes == []
    talk.relay.answered("call", False)
    talk.run(LOOK + 1, talk.a)
    assert talk.causes == [("b2", "nothing sent")]
    c.rtp.close()
    c.rtcp.close()


def test_the_answer_comes_after_the_call_was_answered(make):
    """An offer in the 200, its answer in the ACK: looked at from then on."""
    talk = make()
    talk.a.told(talk.ask("offer", "b1", "a", talk.b.sdp()).sdp)
    talk.relay.answered("call", False)
    talk.b.told(talk.ask("answer", "a", "b1", talk.a.sdp()).sdp)
    talk.run(LOOK + 0.5, talk.a)
    assert talk.causes == [("b1", "nothing sent")]


def test_figures_of_a_session_that_is_gone(make):
    """None; and nobody is watched who is not there."""
    talk = make()
    talk.relay.answered("nobody", True)
    told = []
    talk.relay.snapshot("nobody", told.append)
    talk.relay.conclude("nobody", told.append)
    assert [each.streams for each in told] == [(), ()]


def test_a_recorded_call(make, tmp_path):
    """From the answer on, both directions, RTCP and all, with the addresses that they had; a leg
    that comes later too. What a stranger sends is not in it."""
    talk = make(recordings=tmp_path)
    talk.agree(answered=False)
    talk.run(1, talk.a, talk.b)
    talk.relay.answered("call", True)
    talk.run(2, talk.a, talk.b)
    talk.b.report()
    stranger = Side("127.55.2.9")
    stranger.say(to=talk.b.there)
    talk.serve()
    talk.relay.drop("call", "b1")
    c = Side("127.55.2.4")
    c.told(talk.ask("offer", "a", "b2", talk.a.sdp()).sdp)
    talk.a.told(talk.ask("answer", "b2", "a", c.sdp()).sdp)
    talk.run(1, c)
    assert talk.relay.load()["recordings"]["open"] == 1
    told = []
    talk.relay.conclude("call", told.append)
    assert talk.relay.load()["recordings"] == {"open": 0, "waiting_bytes": ANY, "missing": 0}
    talk.relay.stop()
    name = told[0].recording
    (path,) = tmp_path.iterdir()
    assert path.name == name == "19700101T000001Z-call.pcap"
    hosts = Counter(socket.inet_ntoa(each[12:16]) for each in recorded(path))
    assert hosts == {"127.55.2.2": 4, "127.55.2.3": 5, "127.55.2.4": 2}
    for other in (stranger, c):
        other.rtp.close()
        other.rtcp.close()


def recorded(path):
    """The IP packets of a recording."""
    data, found = path.read_bytes()[24:], []
    while data:
        length = struct.unpack("<I", data[8:12])[0]
        found.append(data[16 : 16 + length])
        data = data[16 + length :]
    return found


def test_a_call_that_cannot_be_recorded(make):
    """There is no folder: said, and the call goes on."""
    talk = make()
    talk.agree(record=True)
    talk.run(1, talk.a, talk.b)
    assert talk.warnings == ["call call is to be recorded, but media.recordings names no folder"]
    assert talk.relay.report("call").recording == ""


def test_ports_get_few(make):
    """At four fifths it is said, once; at the end a call gets 503, and those that talk go on. Ports
    at rest count, for nobody can have them."""
    talk = make(ports=(21400, 21419))
    for number in range(5):
        talk.ask("offer", "a", "b1", talk.a.sdp(), session=f"call{number}")
        assert len(talk.warnings) == (number >= 3)
    refused = talk.ask("offer", "a", "b1", talk.a.sdp(), session="too many")
    assert refused.error.status == 503
    assert talk.relay.ports_in_use("call0") == 4
    assert talk.relay.load()["ports"] == {HERE: {"pairs": 10, "in_use": 10, "resting": 0}}
    assert "widen media.ports" in talk.warnings[0]
    for number in range(3):
        talk.relay.release(f"call{number}")
    assert talk.relay.load()["ports"] == {HERE: {"pairs": 10, "in_use": 4, "resting": 6}}
    assert talk.ask("offer", "a", "b1", talk.a.sdp(), session="resting").error.status == 503
    talk.clock.run(10)
    assert talk.ask("offer", "a", "b1", talk.a.sdp(), session="rested").error is None
    assert len(talk.warnings) == 1
    for name in list(talk.relay.sessions):
        talk.relay.release(name)


def test_a_notice_crosses_the_wire(make):
    """As JSON."""
    talk = make()
    talk.agree()
    talk.run(LOOK + 0.5, talk.a)
    written = json.dumps(to_plain(talk.notices[0]))
    assert from_plain(MediaNotice, json.loads(written)) == talk.notices[0]
