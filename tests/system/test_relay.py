"""The relay with real sockets on loopback: what passes, what is dropped, what is counted."""

import errno
import random
import select
import socket
import struct
import time

import pytest
from twisted.internet.epollreactor import EPollReactor

from softswitch.media.latch import STRANGE_RUN
from softswitch.media.path import GATHERING, MODEST
from softswitch.media.reception import Format, Reception
from softswitch.media.relay import RelayEngine
from softswitch.media.reports import Reported
from softswitch.plugin.media import MediaNetwork, MediaQuestion
from softswitch.sdp.session import SessionDescription
from softswitch.wheel import Wheel

#: No test waits longer than this for a packet, seconds.
DEADLINE = 5.0


class Phone:
    """A peer's RTP and RTCP socket, and the SDP that shows them."""

    def __init__(self, host="127.55.2.1", shown=None, section="audio {} RTP/AVP 0"):
        self.host = host
        self.shown = shown or host
        self.section = section
        self.rtp, self.rtcp = _socket(host), _socket(host)
        self.there = {}
        self.sequence = 0

    def sdp(self):
        """What it offers or answers."""
        kind = "IP6" if ":" in self.shown else "IP4"
        section = self.section.format(self.rtp.getsockname()[1])
        return (
            f"v=0\r\no=- 1 1 IN {kind} {self.shown}\r\ns=-\r\nc=IN {kind} {self.shown}\r\nt=0 0\r\n"
            f"m={section}\r\na=rtcp:{self.rtcp.getsockname()[1]}\r\n"
        ).encode()

    def told(self, sdp):
        """Take the other side's address out of an SDP."""
        (section,) = SessionDescription.parse(sdp).media
        self.there = {self.rtp: tuple(section.rtp), self.rtcp: tuple(section.rtcp)}

    def say(self, text, ssrc=7, sock=None):
        """Send one RTP packet; ``sock`` is another source's."""
        self.sequence += 1
        header = struct.pack("!BBHII", 128, 0, self.sequence, 160 * self.sequence, ssrc)
        (sock or self.rtp).sendto(header + text, self.there[self.rtp])

    def report(self, text):
        """Send one RTCP packet, a sender's report."""
        packet = struct.pack("!BBHI", 128, 200, 6, 7) + text
        self.rtcp.sendto(packet, self.there[self.rtcp])

    def close(self):
        """Close both sockets."""
        self.rtp.close()
        self.rtcp.close()


def _socket(host, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


class Watch:
    """A clock that is put forward by hand.

    :ivar now: seconds.
    """

    def __init__(self):
        self.now = 1000.0

    def seconds(self):
        """What it shows."""
        return self.now

    monotonic = seconds


class Relayed:
    """A relay, its session, and the phones on it."""

    def __init__(self):
        self.watch = Watch()
        self.engine = RelayEngine(self.watch, (22000, 22999), quarantine=0.0)
        self.phones = {}
        self.sockets = []

    def ask(self, kind, source, target, sdp=b"", held=b""):
        """The SDP that comes back; an error is raised."""
        near, far = (
            MediaNetwork(host, host)
            for host in (self._facing(self.phones[source]), self._facing(self.phones[target]))
        )
        told = []
        host = self.phones[source].host
        question = MediaQuestion(1, "call", kind, sdp, source, target, near, far, host, held)
        self.engine.ask(question, told.append)
        assert told[0].error is None, told[0].error
        return told[0].sdp

    def call(self, a, b):
        """Let two phones agree."""
        self.phones = {"a": a, "b": b}
        self.sockets += [a, b]
        b.told(self.ask("offer", "a", "b", a.sdp()))
        a.told(self.ask("answer", "b", "a", b.sdp()))

    def stranger(self, host="127.55.2.66"):
        """A socket that belongs to neither phone."""
        sock = _socket(host)
        self.sockets.append(sock)
        return sock

    def heard(self, sock, count=1):
        """The next ``count`` payloads that reach a phone's RTP socket, and who sent them."""
        packets = []
        end = time.monotonic() + DEADLINE
        while len(packets) < count:
            left = end - time.monotonic()
            assert left > 0, f"heard {packets} alone"
            for ready in select.select([sock, self.engine.path], [], [], left)[0]:
                if ready is sock:
                    packets.append(sock.recv(65535)[12:])
                else:
                    self.engine.path.serve()
        return packets

    def steadily(self, phone, *texts, ssrc=7):
        """Have a phone say things 20 ms apart."""
        for text in texts:
            phone.say(text, ssrc)
            self.watch.now += 0.02
            self.serve()

    def serve(self):
        """Carry all that waits."""
        while select.select([self.engine.path], [], [], 0)[0]:
            self.engine.path.serve()

    def silent(self, sock):
        """Whether nothing more reaches a socket (on loopback a packet is there once sent)."""
        self.serve()
        return not select.select([sock], [], [], 0)[0]

    def counters(self, leg, rtcp=False):
        """What the relay counted on one port of a leg."""
        (found,) = [
            one
            for one in self.engine.counters("call")
            if (one.leg, one.line, one.rtcp) == (leg, 0, rtcp)
        ]
        return found

    @staticmethod
    def _facing(phone):
        return "::1" if ":" in phone.host else "127.55.2.200"


@pytest.fixture
def relayed():
    """A relay; when the test ends it holds nothing."""
    relayed = Relayed()
    yield relayed
    relayed.engine.release("call")
    assert relayed.engine.ports_in_use("call") == 0
    relayed.engine.stop()
    for thing in relayed.sockets:
        thing.close()


@pytest.mark.parametrize(
    ("one", "other"),
    [("127.55.2.1", "127.55.2.2"), ("127.55.2.1", "::1"), ("::1", "::1")],
    ids=["IPv4", "IPv4 to IPv6", "IPv6"],
)
def test_audio_and_reports_pass_both_ways(relayed, one, other):
    """RTP and RTCP, over IPv4, IPv6 and between the two; a=rtcp is heeded (RFC 3605)."""
    a, b = Phone(one), Phone(other)
    relayed.call(a, b)
    for speaker, listener in ((a, b), (b, a)):
        for text in (b"one", b"two", b"three"):
            speaker.say(text)
        assert relayed.heard(listener.rtp, 3) == [b"one", b"two", b"three"]
        speaker.report(b"####report")
        assert relayed.heard(listener.rtcp) == [b"report"]
    counted = relayed.counters("a")
    assert (counted.packets, counted.bytes, counted.foreign) == (3, 47, 0)
    assert counted.first_at is not None
    assert counted.first_at <= counted.last_at
    assert counted.learnt == a.rtp.getsockname()[:2]
    assert (counted.sent, counted.sent_bytes) == (3, 47)
    assert relayed.counters("b", rtcp=True).packets == 1


def test_a_phone_that_sends_from_elsewhere_is_learnt(relayed):
    """A NAT, or baresip on loopback, whose packets do not come from the address in its SDP:
    after three they pass, for they come from where its signalling does, and what is for it goes
    there."""
    a, b = Phone("127.0.0.1", shown="127.55.2.3"), Phone("127.55.2.2")
    relayed.call(a, b)
    relayed.steadily(a, b"1", b"2", b"3", b"4")
    assert relayed.heard(b.rtp, 2) == [b"3", b"4"]
    b.say(b"back")
    assert relayed.heard(a.rtp) == [b"back"]
    counted = relayed.counters("a")
    assert (counted.packets, counted.foreign) == (2, 2)
    assert counted.signalled != counted.learnt == a.rtp.getsockname()


def test_a_carrier_that_was_silent_while_it_rang_is_found_when_the_call_begins(relayed):
    """Its packets come from a host of which nobody has spoken, and long after its early answer:
    the window, in which such a host may be found, opens anew."""
    a, b = Phone("127.0.0.1", shown="127.55.2.3"), Phone("127.55.2.2")
    a.host = "127.55.2.4"
    relayed.call(a, b)
    relayed.watch.now += 60
    relayed.steadily(a, *[b"late"] * 2 * STRANGE_RUN)
    assert relayed.silent(b.rtp)
    relayed.engine.begin("call")
    relayed.steadily(a, b"found")
    assert relayed.heard(b.rtp) == [b"found"]


def test_strangers_are_dropped_and_counted(relayed):
    """10,000 packets sprayed at a talking phone's port: none passes (RTP injection)."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    a.say(b"mine")
    assert relayed.heard(b.rtp) == [b"mine"]
    stranger = relayed.stranger()
    for _ in range(100):
        for _ in range(100):
            a.say(b"not mine", sock=stranger)
        assert relayed.silent(b.rtp)
    a.say(b"still mine")
    assert relayed.heard(b.rtp) == [b"still mine"]
    assert relayed.counters("a").foreign == 10_000
    assert relayed.counters("a").foreign_source == stranger.getsockname()
    b.say(b"for a alone")
    assert relayed.heard(a.rtp) == [b"for a alone"]
    assert relayed.silent(stranger)


def test_garbage_ends_nothing(relayed):
    """Empty, short and shapeless packets are dropped and counted; the next good one passes."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    for garbage in (b"", b"\x80", b"\x80" * 11, b"\x00" * 40, b"\xff" * 40, b"\r\n\r\n"):
        a.rtp.sendto(garbage, a.there[a.rtp])
    a.say(b"good")
    assert relayed.heard(b.rtp) == [b"good"]
    assert relayed.counters("a").malformed == 6


def test_a_port_that_is_closed_for_a_while_ends_nothing(relayed):
    """ICMP port unreachable on the way to one phone: its packets pass when it is there again."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    b.say(b"here I am")
    assert relayed.heard(a.rtp) == [b"here I am"]
    port = b.rtp.getsockname()[1]
    b.rtp.close()
    for _ in range(5):
        a.say(b"into the void")
        relayed.serve()
    there = b.there.pop(b.rtp)
    b.rtp = _socket("127.55.2.2", port)
    b.there[b.rtp] = there
    a.say(b"again")
    assert relayed.heard(b.rtp) == [b"again"]
    b.say(b"me too")
    assert relayed.heard(a.rtp) == [b"me too"]


def test_what_comes_while_a_socket_is_connected_is_looked_at(relayed, monkeypatch):
    """Between its binding and its connecting anybody's packets may come to it."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    stranger = relayed.stranger()

    class Slow(socket.socket):
        def connect(self, peer):
            a.say(b"not mine", sock=stranger)
            a.say(b"2")
            super().connect(peer)

    monkeypatch.setattr("softswitch.media.sockets.socket.socket", Slow)
    a.say(b"1")
    assert relayed.heard(b.rtp, 2) == [b"1", b"2"]
    assert relayed.counters("a").foreign == 1
    assert relayed.silent(b.rtp)


def test_nobody_shares_a_port_with_the_relay(relayed):
    """Its second socket is there by an agreement of a moment: another process that would share the
    port, and hear what is not for it, is refused."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    a.say(b"hello")
    assert relayed.heard(b.rtp) == [b"hello"]
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        thief = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        relayed.sockets.append(thief)
        thief.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind(a.there[a.rtp])


def test_without_sockets_left_audio_goes_on(relayed, monkeypatch):
    """A port that can have no second socket does with the first."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)

    def none_left(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("softswitch.media.sockets.socket.socket", none_left)
        a.say(b"1")
        assert relayed.heard(b.rtp) == [b"1"]
    a.say(b"2")
    b.say(b"3")
    assert (relayed.heard(b.rtp), relayed.heard(a.rtp)) == ([b"2"], [b"3"])


def test_a_phone_that_comes_out_from_behind_its_nat_is_heard_again(relayed):
    """Found behind a NAT, and then its next stream comes from the address in its SDP, as after a
    transfer that the switch has not seen; RTCP follows."""
    a, b = Phone("127.0.0.1", shown="127.55.2.3"), Phone("127.55.2.2")
    outside = [_socket("127.55.2.3", each.getsockname()[1]) for each in (a.rtp, a.rtcp)]
    relayed.sockets += outside
    relayed.call(a, b)
    relayed.steadily(a, b"", b"", b"", ssrc=1)
    assert relayed.heard(b.rtp) == [b""]
    inside = a.rtp
    for text in (b"4", b"5", b"6", b"7"):
        a.say(text, ssrc=2, sock=outside[0])
    assert relayed.heard(b.rtp, 2) == [b"6", b"7"]
    b.say(b"back")
    assert relayed.heard(outside[0]) == [b"back"]
    assert relayed.silent(inside)
    b.report(b"####b's")
    assert relayed.heard(outside[1]) == [b"b's"]


def test_media_move_with_a_re_invite_and_stay_without(relayed):
    """A new port counts from the answer on; an offer that is refused changes nothing."""
    a, b, moved = Phone(), Phone("127.55.2.2"), Phone("127.55.2.4")
    relayed.call(a, b)
    relayed.sockets.append(moved)
    relayed.ask("offer", "b", "a", moved.sdp())
    a.say(b"here")
    assert relayed.heard(b.rtp) == [b"here"]
    relayed.ask("withdraw", "b", "a")
    a.say(b"still here")
    assert relayed.heard(b.rtp) == [b"still here"]
    relayed.ask("offer", "b", "a", moved.sdp())
    moved.there = {moved.rtp: b.there[b.rtp]}
    relayed.ask("answer", "a", "b", a.sdp())
    a.say(b"there")
    assert relayed.heard(moved.rtp) == [b"there"]
    b.say(b"on its way when the port changed")
    moved.say(b"and after")
    assert len(relayed.heard(a.rtp, 2)) == 2
    b.say(b"late")
    assert relayed.silent(a.rtp)


def test_a_hold_without_address_is_sent_nothing(relayed):
    """c=0.0.0.0 (RFC 3264 8.4): counted as unsent; its own packets go on."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    held = a.sdp().replace(b"c=IN IP4 127.55.2.1", b"c=IN IP4 0.0.0.0")
    relayed.ask("offer", "a", "b", held)
    relayed.ask("answer", "b", "a", b.sdp())
    b.say(b"to nobody")
    assert relayed.silent(a.rtp)
    assert relayed.counters("b").unsent == 1
    a.say(b"music")
    assert relayed.heard(b.rtp) == [b"music"]


def test_early_media_of_the_last_answer_are_heard(relayed):
    """Before any answer a callee that sends is heard; then the one whose answer came last."""
    a, one, other = Phone(), Phone("127.55.2.2"), Phone("127.55.2.3")
    relayed.phones = {"a": a, "one": one, "other": other}
    relayed.sockets += [a, one, other]
    for leg in ("one", "other"):
        relayed.phones[leg].told(relayed.ask("offer", "a", leg, a.sdp()))
    relayed.steadily(one, *(b"%d" % number for number in range(STRANGE_RUN - 1)))
    relayed.steadily(one, b"outruns its answer")
    assert relayed.heard(a.rtp) == [b"outruns its answer"]
    relayed.ask("answer", "one", "a", one.sdp())
    a.told(relayed.ask("answer", "other", "a", other.sdp()))
    one.say(b"no longer")
    other.say(b"now me")
    assert relayed.heard(a.rtp) == [b"now me"]
    a.say(b"hello")
    assert relayed.heard(other.rtp) == [b"hello"]
    assert relayed.silent(one.rtp)
    assert relayed.silent(a.rtp)


def test_payload_numbers_of_who_holds_to_an_older_answer_are_changed(relayed):
    """The caller was told 101 for telephone-event by the first callee; the second one knows it as
    96 and gets it as that, marker and all, until the caller is told anew."""
    section = "audio {{}} RTP/AVP 0 {0}\r\na=rtpmap:{0} telephone-event/8000"
    a, one = Phone(section=section.format(101)), Phone("127.55.2.2", section=section.format(101))
    other = Phone("127.55.2.3", section=section.format(96))
    relayed.phones = {"a": a, "one": one, "other": other}
    relayed.sockets += [a, one, other]
    for leg in ("one", "other"):
        relayed.phones[leg].told(relayed.ask("offer", "a", leg, a.sdp()))
    held = relayed.ask("answer", "one", "a", one.sdp())
    a.told(held)
    relayed.ask("answer", "other", "a", other.sdp(), held)

    def heard(kind):
        a.rtp.sendto(struct.pack("!BBHII", 128, kind, kind, 0, 7) + b"digit", a.there[a.rtp])
        relayed.serve()
        assert select.select([other.rtp], [], [], DEADLINE)[0]
        packet = other.rtp.recv(65535)
        assert packet == struct.pack("!BBHII", 128, packet[1], kind, 0, 7) + b"digit"
        return packet[1]

    assert [heard(kind) for kind in (0, 101, 128 | 101, 33)] == [0, 96, 128 | 96, 33]
    relayed.ask("offer", "a", "other", a.sdp())
    relayed.ask("answer", "other", "a", other.sdp())
    assert heard(101) == 101


def test_figures_of_a_leg_that_loses_packets_and_dials(relayed):
    """However the packets come, late, twice or never, the figures are those that RFC 3550 and RFC
    4733 would have of them; the leg's own reports say what it lost of ours, and how far it is."""
    watch, chance = relayed.watch, random.Random(5)
    section = "audio {} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000"
    a, b = Phone(section=section), Phone("127.55.2.2", section=section)
    relayed.call(a, b)
    expected = Reception()
    expected.understand({0: Format(8000, False), 101: Format(8000, True)}, readable=True)
    numbers = [at for at in range(65400, 66000) if chance.random() > 0.1]
    numbers += chance.sample(numbers, 40)
    numbers.sort(key=lambda at: at + chance.choice((0, 0, 0, 3)))
    for at in numbers:
        kind = 101 if at % 100 < 5 else 0
        payload = b"\x05\x0a\x00\xa0" if kind else b"voice"
        timestamp = 160 * (at - at % 100 if kind else at)
        packet = struct.pack("!BBHII", 128, kind, at & 0xFFFF, timestamp, 7) + payload
        watch.now += chance.uniform(0.0, 0.04)
        a.rtp.sendto(packet, a.there[a.rtp])
        relayed.serve()
        expected.notice(packet, kind, at & 0xFFFF, timestamp, 7, watch.now)
    b.say(b"hello", ssrc=9)
    b.report(struct.pack("!QIII", 0x1234ABCD0000, 0, 0, 0))
    relayed.serve()
    watch.now += 0.75
    block = struct.pack("!IIIIII", 9, 128 << 24 | 3, 0, 80, 0x1234ABCD, 0x8000)
    a.rtcp.sendto(struct.pack("!BBHI", 129, 201, 7, 7) + block, a.there[a.rtcp])
    relayed.serve()
    counted = relayed.counters("a")
    assert counted.lost == expected.lost > 10
    assert counted.jitter == pytest.approx(expected.jitter / 8000) != 0
    assert (counted.ssrcs, counted.payload_types) == ((7,), (101, 0))
    assert (counted.events, counted.digits) == (expected.events, expected.digits)
    assert counted.digits.startswith("555")
    assert counted.reported == Reported(3, 0.5, 0.01, 0.25, watch.now)
    assert (counted.packets, counted.sent) == (len(numbers), 1)
    assert relayed.counters("b").sent == len(numbers)
    assert relayed.counters("b").ssrcs == (9,)


ONE_PORT, TWO_PORTS = "audio {} RTP/AVP 0\r\na=rtcp-mux", "audio {} RTP/AVP 0"


@pytest.mark.parametrize(
    ("sections", "muxed"),
    [
        ((ONE_PORT, ONE_PORT), (True, True)),
        ((ONE_PORT, TWO_PORTS), (True, False)),
        ((TWO_PORTS, ONE_PORT), (False, False)),
        ((TWO_PORTS, TWO_PORTS), (False, False)),
    ],
    ids=["both", "the offerer", "not offered", "nobody"],
)
def test_reports_come_and_go_as_each_side_has_them(relayed, sections, muxed):
    """On RTP's port or on their own, at each side for itself (RFC 5761): told apart by their types,
    counted apart, and read; the shortest has 8 bytes."""
    a, b = Phone(section=sections[0]), Phone("127.55.2.2", section=sections[1])
    relayed.call(a, b)
    ports = {each: each.rtp if mux else each.rtcp for each, mux in zip((a, b), muxed, strict=True)}
    for speaker, listener in ((a, b), (b, a)):
        for text in (b"one", b"two"):
            speaker.say(text)
        assert relayed.heard(listener.rtp, 2) == [b"one", b"two"]
    for speaker, listener in ((a, b), (b, a)):
        report = struct.pack("!BBHIQIII", 128, 200, 6, 7, 0x1234ABCD0000, 0, 0, 0)
        block = struct.pack("!BBHIIIIIII", 129, 201, 7, 7, 7, 0, 0, 80, 0x1234ABCD, 0)
        for packet in (report, block, struct.pack("!BBHI", 128, 201, 1, 7)):
            ports[speaker].sendto(packet, speaker.there[ports[speaker]])
            relayed.serve()
            assert ports[listener].recv(2048) == packet
    for leg in ("a", "b"):
        counted, reports = relayed.counters(leg), relayed.counters(leg, rtcp=True)
        assert (counted.packets, counted.sent, counted.payload_types) == (2, 2, (0,))
        assert (reports.packets, reports.sent, reports.malformed) == (3, 3, 0)
        assert reports.first_at is not None
        assert counted.reported.jitter == 0.01
    assert relayed.counters("b").reported.round_trip == 0


@pytest.mark.parametrize(
    ("host", "level", "option", "field"),
    [
        ("127.55.2.1", socket.IPPROTO_IP, socket.IP_RECVTOS, "=B"),
        ("::1", socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, "=i"),
    ],
    ids=["IPv4", "IPv6"],
)
def test_packets_bear_the_mark_of_voice(relayed, host, level, option, field):
    """DSCP (RFC 2474) in the field of either IP version, from both sockets of a port."""
    relayed.engine.stop()
    relayed.engine = RelayEngine(relayed.watch, (22000, 22999), quarantine=0.0, dscp=46)
    a, b = Phone(host), Phone("127.55.2.2")
    a.rtp.setsockopt(level, option, 1)
    relayed.call(a, b)
    for speaker in (b, a, b):
        speaker.say(b"")
        relayed.serve()
    for _ in range(2):
        _, ((_, _, mark),), _, _ = a.rtp.recvmsg(2048, 64)
        assert struct.unpack(field, mark) == (46 << 2,)


@pytest.mark.parametrize(
    "section", ["video {} RTP/AVPF 99", "text {} RTP/AVP 98", "audio {} RTP/SAVP 0"]
)
def test_other_media_pass_as_audio_does(relayed, section):
    """Every m= line that is RTP, whatever it carries and whether it is encrypted."""
    a, b = Phone(section=section), Phone("127.55.2.2", section=section)
    relayed.call(a, b)
    a.say(b"seen")
    assert relayed.heard(b.rtp) == [b"seen"]
    a.report(b"####secret")
    assert relayed.heard(b.rtcp) == [b"secret"]
    assert relayed.counters("a").ssrcs == (7,)


@pytest.mark.parametrize(
    ("section", "packet"),
    [
        ("image {} udptl t38", b"\x00\x01\x06fax"),
        ("audio {} UDP/TLS/RTP/SAVP 0", b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x01hello"),
    ],
)
def test_other_datagrams_pass_as_their_protocol_wants(relayed, section, packet):
    """UDPTL as it comes; a DTLS handshake beside its RTP (RFC 7983)."""
    a, b = Phone(section=section), Phone("127.55.2.2", section=section)
    relayed.call(a, b)
    a.rtp.sendto(packet, a.there[a.rtp])
    assert relayed.heard(b.rtp) == [packet[12:]]


def test_packets_gather_while_there_are_plenty(relayed, monkeypatch):
    """A wake-up of a relay in a process of its own carries what comes a little later too; where
    that is not much, the next ones do not wait for more."""
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) < 4:
            for sender in (a, b):
                for sock in (sender.rtp, sender.rtcp):
                    sock.sendto(struct.pack("!BBHII", 128, 0, 0, 0, 0), sender.there[sock])

    monkeypatch.setattr("softswitch.media.path.sleep", nap)
    a.say(b"first")
    relayed.engine.path.serve_and_gather()
    assert naps == [GATHERING] * 4
    assert (relayed.counters("a").packets, relayed.counters("b", rtcp=True).packets) == (4, 3)
    for _ in range(MODEST):
        relayed.engine.path.serve_and_gather()
    assert len(naps) == 4
    relayed.engine.path.serve_and_gather()
    assert len(naps) == 5


@pytest.mark.parametrize("gathers", [False, True])
def test_the_reactor_serves_the_path(gathers):
    """One epoll within the reactor's own: a packet crosses in a turn of the reactor."""
    reactor = EPollReactor()
    relayed = Relayed()
    relayed.engine.stop()
    relayed.engine = RelayEngine(Wheel(reactor), (22000, 22999), reactor=reactor, gathers=gathers)
    a, b = Phone(), Phone("127.55.2.2")
    relayed.call(a, b)
    a.say(b"turn")
    end = time.monotonic() + DEADLINE
    while not select.select([b.rtp], [], [], 0)[0]:
        assert time.monotonic() < end
        reactor.iterate(0.1)
    relayed.engine.stop()
    assert not [one for one in reactor.getReaders() if one.logPrefix() == "media relay"]
    a.close()
    b.close()
