"""The built-in relay's side of offer and answer: which ports are held, what the SDP shows.

Ports are bound on loopback; no packet is sent.
"""

import re

import pytest

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media.bypass import BypassEngine
from softswitch.media.relay import RelayEngine
from softswitch.plugin.media import IMediaEngine, MediaNetwork, MediaQuestion
from softswitch.testing.clock import VirtualClock
from softswitch.testing.media import SlowEngine

HOST = "127.55.1.1"
NET = MediaNetwork(HOST, "127.55.1.9")
SIX = MediaNetwork("::1", "::1")


class Asker:
    """Asks an engine and keeps what it told."""

    def __init__(self, engine, nets):
        self.engine = engine
        self.nets = nets
        self.token = 0

    def ask(self, kind, source, target, sdp=b"", session="call"):
        """The SDP that comes back.

        :raises MediaError, SdpSyntaxError: what came instead.
        """
        self.token += 1
        told = []
        near, far = (self.nets.get(leg, NET) for leg in (source, target))
        question = MediaQuestion(
            self.token, session, kind, sdp, source, target, near, far, "127.55.0.1"
        )
        self.engine.ask(question, told.append)
        (answer,) = told
        assert answer.token == self.token
        if answer.error is not None:
            raise answer.error
        return answer.sdp

    def held(self, session="call"):
        """How many ports the session has open."""
        return self.engine.ports_in_use(session)


@pytest.fixture
def clock():
    """Virtual time, for the quarantine."""
    return VirtualClock()


@pytest.fixture
def make(clock):
    """Makes an asker of a relay; the relay ends with the test and must hold nothing then."""
    engines = []

    def make(first=21000, last=21199, quarantine=10.0, **nets):
        engine = RelayEngine(clock, (first, last), quarantine, seed=1)
        engines.append(engine)
        return Asker(engine, nets)

    yield make
    for engine in engines:
        engine.stop()
        assert engine.ports_in_use("call") == 0


def sdp(*sections, host="127.55.0.1"):
    """A session description of the given m= lines."""
    kind = "IP6" if ":" in host else "IP4"
    lines = ["v=0", "o=- 1 1 IN IP4 h", "s=-", f"c=IN {kind} {host}", "t=0 0"]
    return "\r\n".join([*lines, *(f"m={section}" for section in sections), ""]).encode()


def ports(document):
    """Ports of the m= lines."""
    return [int(port) for port in re.findall(rb"^m=\S+ (\d+)", document, re.M)]


AUDIO = "audio 4000 RTP/AVP 0"
VIDEO = "video 4002 RTP/AVP 99"


def test_each_leg_is_shown_the_side_that_faces_it(make):
    """The offer goes on with the far side's address and an even port; so does the answer."""
    asker = make(b=SIX)
    to_b = asker.ask("offer", "a", "b", sdp(AUDIO))
    to_a = asker.ask("answer", "b", "a", sdp(AUDIO, host="::1"))
    assert b"c=IN IP6 ::1\r\n" in to_b
    assert b"c=IN IP4 127.55.1.9\r\n" in to_a
    assert all(port % 2 == 0 and 21000 <= port < 21200 for port in ports(to_a) + ports(to_b))
    assert asker.held() == 4


def test_a_new_offer_from_either_side_keeps_the_ports(make):
    """A re-INVITE shows the ports that are in use, both ways."""
    asker = make()
    to_b = asker.ask("offer", "a", "b", sdp(AUDIO))
    to_a = asker.ask("answer", "b", "a", sdp(AUDIO))
    assert ports(asker.ask("offer", "b", "a", sdp("audio 5000 RTP/AVP 0"))) == ports(to_a)
    assert ports(asker.ask("answer", "a", "b", sdp(AUDIO))) == ports(to_b)
    assert asker.held() == 4


def test_an_answer_may_come_again(make):
    """A 183 and then its 200 (RFC 3261 13.2.1): the same ports are shown."""
    asker = make()
    asker.ask("offer", "a", "b", sdp(AUDIO))
    early = asker.ask("answer", "b", "a", sdp(AUDIO))
    assert asker.ask("answer", "b", "a", sdp(AUDIO)) == early


def test_a_refused_section_has_no_ports(make):
    """m= lines with port 0 keep their place and hold nothing, in offer and answer
    (RFC 3264 6)."""
    asker = make()
    to_b = asker.ask("offer", "a", "b", sdp(AUDIO, "video 0 RTP/AVP 99", VIDEO))
    assert [port > 0 for port in ports(to_b)] == [True, False, True]
    assert asker.held() == 8
    to_a = asker.ask("answer", "b", "a", sdp(AUDIO, VIDEO, "video 0 RTP/AVP 99"))
    assert [port > 0 for port in ports(to_a)] == [True, False, False]
    assert asker.held() == 4


def test_a_section_is_added_and_taken_away_by_re_invite(make):
    """Ports come with the offer and go with the answer."""
    asker = make()
    asker.ask("offer", "a", "b", sdp(AUDIO))
    asker.ask("answer", "b", "a", sdp(AUDIO))
    asker.ask("offer", "a", "b", sdp(AUDIO, VIDEO))
    assert asker.held() == 8
    asker.ask("answer", "b", "a", sdp(AUDIO, VIDEO))
    asker.ask("offer", "b", "a", sdp(AUDIO, "video 0 RTP/AVP 99"))
    assert asker.held() == 8
    asker.ask("answer", "a", "b", sdp(AUDIO, "video 0 RTP/AVP 99"))
    assert asker.held() == 4


def test_what_does_not_go_by_udp_is_refused_towards_the_callee(make):
    """UDPTL and other datagrams pass; TCP/MSRP gets port 0, whatever the answer says."""
    asker = make()
    sections = ["message 7394 TCP/MSRP *", "image 4004 udptl t38", "application 4006 UDP/BFCP *"]
    to_b = asker.ask("offer", "a", "b", sdp(*sections))
    assert [port > 0 for port in ports(to_b)] == [False, True, True]
    to_a = asker.ask("answer", "b", "a", sdp(*sections))
    assert [port > 0 for port in ports(to_a)] == [False, True, True]


MUX = "a=rtcp-mux"


@pytest.mark.parametrize("answers", [True, False])
def test_rtp_and_rtcp_on_one_port_is_each_sides_own_matter(make, answers):
    """Who offers it is answered with it by us, and the callee may choose (RFC 5761 5.1.1); who
    offers nothing else (RFC 8858) gets what that RFC has for an answer."""
    asker = make()
    to_b = asker.ask("offer", "a", "b", sdp(f"{AUDIO}\r\n{MUX}\r\n{MUX}-only", VIDEO))
    to_a = asker.ask("answer", "b", "a", sdp(f"{AUDIO}\r\n{MUX}" if answers else AUDIO, VIDEO))
    for told in (to_b, to_a):
        assert told.count(MUX.encode()) == 1
        assert told.index(MUX.encode()) < told.index(b"m=video")
    assert asker.held() == 8


def test_what_was_not_offered_is_not_agreed_to(make):
    """An answer with a=rtcp-mux to an offer without; nor is it said of what is refused."""
    asker = make()
    assert MUX.encode() not in asker.ask("offer", "a", "b", sdp(AUDIO))
    assert MUX.encode() not in asker.ask("answer", "b", "a", sdp(f"{AUDIO}\r\n{MUX}"))
    asker.ask("offer", "a", "b", sdp(f"{AUDIO}\r\n{MUX}"))
    refused = sdp(f"audio 0 RTP/AVP 0\r\n{MUX}")
    assert MUX.encode() not in asker.ask("answer", "b", "a", refused)


def test_a_withdrawn_offer_leaves_what_was_there(make):
    """Before an agreement: nothing. After one: what was agreed, and no more."""
    asker = make()
    asker.ask("offer", "a", "b", sdp(AUDIO))
    asker.ask("withdraw", "a", "b")
    assert asker.held() == 0
    asker.ask("offer", "a", "b", sdp(AUDIO))
    asker.ask("answer", "b", "a", sdp(AUDIO))
    before = asker.engine.counters("call")
    asker.ask("offer", "a", "b", sdp("audio 5000 RTP/AVP 0", VIDEO))
    asker.ask("withdraw", "a", "b")
    asker.ask("withdraw", "a", "b")
    assert asker.engine.counters("call") == before


def test_an_early_answer_of_a_refused_offer_is_taken_back(make):
    """A re-INVITE with a 183 and then a 488 changes nothing (RFC 3261 14.1)."""
    asker = make()
    asker.ask("offer", "a", "b", sdp(AUDIO))
    asker.ask("answer", "b", "a", sdp(AUDIO))
    asker.ask("offer", "a", "b", sdp("audio 5000 RTP/AVP 0"))
    asker.ask("answer", "b", "a", sdp("audio 6000 RTP/AVP 0"))
    asker.ask("withdraw", "a", "b")
    signalled = {(c.leg, c.signalled) for c in asker.engine.counters("call") if not c.rtcp}
    assert signalled == {("a", ("127.55.0.1", 4000)), ("b", ("127.55.0.1", 4000))}


def test_the_callers_ports_outlive_a_callee_that_was_passed_over(make):
    """The caller was told of them by a 183; the next callee's media must come from there."""
    asker = make()
    asker.ask("offer", "a", "b1", sdp(AUDIO))
    early = asker.ask("answer", "b1", "a", sdp(AUDIO))
    asker.ask("offer", "a", "b2", sdp(AUDIO))
    asker.ask("withdraw", "a", "b1")
    assert asker.held() == 4
    assert ports(asker.ask("answer", "b2", "a", sdp(AUDIO))) == ports(early)
    asker.ask("withdraw", "a", "b2")
    assert asker.held() == 2


def test_a_callee_that_is_dropped_leaves_the_caller_with_the_other(make):
    """Two callees with early media: the caller hears the later one, then who is left."""
    asker = make()
    for leg in ("b1", "b2"):
        asker.ask("offer", "a", leg, sdp(AUDIO))
    first = asker.ask("answer", "b1", "a", sdp(AUDIO))
    assert ports(asker.ask("answer", "b2", "a", sdp(AUDIO))) == ports(first)
    asker.engine.drop("call", "b2")
    asker.engine.drop("call", "b2")
    assert asker.engine.ports_in_use("call", "b2") == 0
    assert asker.engine.ports_in_use("call", "a") == asker.engine.ports_in_use("call", "b1") == 2
    assert asker.held() == 4


def test_an_offer_in_the_200_is_answered_by_the_ack(make):
    """A late offer: leg b offers first."""
    asker = make()
    to_a = asker.ask("offer", "b", "a", sdp(AUDIO))
    to_b = asker.ask("answer", "a", "b", sdp(AUDIO))
    assert ports(to_a) != ports(to_b)
    assert asker.held() == 4


def test_a_hold_without_address_stays_one(make):
    """c=0.0.0.0 crosses as it came (RFC 3264 8.4)."""
    asker = make()
    asker.ask("offer", "a", "b", sdp(AUDIO))
    asker.ask("answer", "b", "a", sdp(AUDIO))
    assert b"c=IN IP4 0.0.0.0\r\n" in asker.ask("offer", "a", "b", sdp(AUDIO, host="0.0.0.0"))


def test_exhaustion_is_a_503_and_touches_no_other_call(make, clock):
    """The call that finds no ports gets none at all; after the quarantine there are some."""
    asker = make(21000, 21005)
    asker.ask("offer", "a", "b", sdp(AUDIO), "one")
    with pytest.raises(MediaError) as caught:
        asker.ask("offer", "a", "b", sdp(AUDIO), "two")
    assert caught.value.status == 503
    assert (asker.held("one"), asker.held("two")) == (4, 0)
    asker.engine.release("one")
    with pytest.raises(MediaError):
        asker.ask("offer", "a", "b", sdp(AUDIO), "two")
    clock.run(10)
    asker.ask("offer", "a", "b", sdp(AUDIO), "two")
    asker.engine.release("two")


def test_a_port_that_another_process_holds_is_passed_over(make):
    """Two relays share a range by mistake: the second finds what is left."""
    one, other = make(21000, 21007), make(21000, 21007)
    first = one.ask("offer", "a", "b", sdp(AUDIO))
    second = other.ask("offer", "a", "b", sdp(AUDIO))
    assert ports(first) != ports(second)
    with pytest.raises(MediaError) as caught:
        make(21000, 21007).ask("offer", "a", "b", sdp(AUDIO))
    assert caught.value.status == 503


def test_an_address_that_is_not_ours_is_a_503(make):
    """The listener's media address is wrong: the reason names it."""
    wrong = MediaNetwork("192.0.2.77", "192.0.2.77")
    with pytest.raises(MediaError, match=r"192\.0\.2\.77"):
        make(a=wrong, b=wrong).ask("offer", "a", "b", sdp(AUDIO))


@pytest.mark.parametrize("host", ["phone.example", "224.2.1.1", "2001:db8::1", "999.1.1.1"])
def test_an_address_that_cannot_be_used_is_a_488(make, host):
    """A name, a group, the other IP version: refused, since silence would be the alternative."""
    asker = make()
    with pytest.raises(SdpSyntaxError) as caught:
        asker.ask("offer", "a", "b", sdp(AUDIO, host=host))
    assert caught.value.status == 488
    assert asker.held() == 0


def test_the_relays_own_port_is_no_address(make):
    """An answer that points back at us would send packets in a circle."""
    asker = make()
    port = ports(asker.ask("offer", "a", "b", sdp(AUDIO)))[0]
    with pytest.raises(SdpSyntaxError):
        asker.ask("answer", "b", "a", sdp(f"audio {port} RTP/AVP 0", host=NET.advertise))


def test_an_answer_has_as_many_sections_as_its_offer(make):
    """RFC 3264 6; the offer stays open."""
    asker = make()
    asker.ask("offer", "a", "b", sdp(AUDIO, VIDEO))
    with pytest.raises(SdpSyntaxError):
        asker.ask("answer", "b", "a", sdp(AUDIO))
    asker.ask("answer", "b", "a", sdp(AUDIO, VIDEO))


def test_an_answer_to_nothing_is_our_mistake(make):
    """It is told as an error, never raised: the session may just have been released."""
    with pytest.raises(MediaError) as caught:
        make().ask("answer", "b", "a", sdp(AUDIO))
    assert caught.value.status == 500


def test_release_frees_everything_at_once(make):
    """Whatever was open; harmless when repeated or unknown."""
    asker = make()
    asker.ask("offer", "a", "b", sdp(AUDIO))
    asker.ask("answer", "b", "a", sdp(AUDIO))
    asker.ask("offer", "a", "c", sdp(AUDIO, VIDEO))
    for _ in range(2):
        asker.engine.release("call")
        assert asker.held() == 0
    asker.engine.release("unknown")


def test_bypass_changes_nothing():
    """The SDP passes byte for byte, good or bad."""
    asker = Asker(BypassEngine(), {})
    assert asker.ask("offer", "a", "b", b"anything") == b"anything"
    assert asker.held() == 0


def test_a_slow_engine_answers_within_two_seconds(clock):
    """Each answer comes once, late, with its own token."""
    engine = SlowEngine(BypassEngine(), clock, seed=3)
    told = []
    for token in range(50):
        question = MediaQuestion(token, "call", "offer", b"", "a", "b", NET, NET, "")
        engine.ask(question, lambda answer: told.append((clock.seconds(), answer.token)))
    clock.run(2)
    assert sorted(token for _, token in told) == list(range(50))
    assert [token for _, token in told] != list(range(50))
    assert clock.idle


@pytest.mark.parametrize("engine", [RelayEngine, BypassEngine, SlowEngine])
def test_every_engine_offers_the_interface(engine):
    """What a session is asked of one, it may ask of any."""
    assert IMediaEngine.implementedBy(engine)
