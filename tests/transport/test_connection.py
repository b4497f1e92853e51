"""TCP without a socket: framing, keep-alives, reuse, time-outs, peers that never read."""

import pytest

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.sip.parser import Limits
from softswitch.testing.stream import LoopStream
from softswitch.transport.connection import Connection, Patience
from softswitch.transport.guests import ConnectionSettings
from softswitch.transport.listener import Listener

SWITCH = ("10.0.0.1", 5060)
PHONE = ("10.0.0.9", 5060)
VIA = "SIP/2.0/TCP 10.0.0.9:5060;branch=z9hG4bK1"


@pytest.fixture
def phone(switch):
    return switch.network.attach(*PHONE, "TCP")


def test_whom_we_send_to_on_his_connection_is_known(switch, phone):
    """For ten minutes from each request of ours on, not only from the one that opened the
    connection: what he sends from elsewhere comes in, too."""
    first = switch.layer.flow_to("TCP", *PHONE)
    for _ in range(3):
        switch.clock.run(400)
        assert switch.layer.flow_to("TCP", *PHONE) is first
    switch.clock.run(400)
    assert switch.layer.door.knows(PHONE[0], 5999)
    switch.clock.run(400)
    assert not switch.layer.door.knows(PHONE[0], 5999)


@pytest.mark.parametrize("size", [*range(1, 40), 100, 250, 1000])
def test_a_stream_comes_in_pieces_of_any_size(switch, request_bytes, size):
    """Messages are cut from the stream by Content-Length, however it is delivered (RFC 3261
    18.3)."""
    with_body = request_bytes(VIA).replace(b"Length: 0\r\n\r\n", b"Length: 5\r\n\r\nhello")
    stream = request_bytes(VIA) + with_body + b"\r\n\r\n" + request_bytes(VIA)
    answers = []
    end = LoopStream(switch.network, SWITCH, PHONE)
    end.write = answers.append
    connection = switch.layer.accepted("tcp", end, *PHONE)
    for start in range(0, len(stream), size):
        connection.data_received(stream[start : start + size])
    assert [message.body for message, _ in switch.above.messages] == [b"", b"hello", b""]
    assert answers == [b"\r\n"]


def test_split_at_random_places_nothing_is_lost(make_switch, request_bytes):
    """Both directions over a network that cuts everything to pieces."""
    switch = make_switch(split=True, delay=0.01, seed=7)
    phone = switch.network.attach(*PHONE, "TCP")
    for _ in range(20):
        phone.send(request_bytes(VIA), SWITCH)
    switch.clock.run(1)
    assert len(switch.above.messages) == 20
    for _, flow in switch.above.messages:
        switch.layer.send(request_bytes(VIA), flow)
    switch.clock.run(1)
    assert [received.data for received in phone.received] == [request_bytes(VIA)] * 20


def test_a_keep_alive_is_answered(switch, phone):
    """CRLF CRLF is a ping, CRLF the pong (RFC 5626 4.4.1)."""
    phone.send(b"\r\n\r\n", SWITCH)
    switch.clock.run()
    assert [carried.data for carried in switch.network.log] == [b"\r\n\r\n", b"\r\n"]


def test_keep_alives_that_come_together_are_answered_once(switch, request_bytes):
    """The peer wants to know whether we are there, not how often."""
    answers = []
    end = LoopStream(switch.network, SWITCH, PHONE)
    end.write = answers.append
    connection = switch.layer.accepted("tcp", end, *PHONE)
    for _ in range(2):
        connection.data_received(b"\r\n\r\n" * 100 + request_bytes(VIA) + b"\r\n\r\n" * 100)
    assert answers == [b"\r\n"] * 2
    assert len(switch.above.messages) == 2


def test_a_ping_of_a_peer_that_never_reads(switch, request_bytes):
    """Is not answered, and raises nothing; the connection ends."""
    end = LoopStream(switch.network, SWITCH, PHONE)
    end.unsent = lambda: Patience().max_unsent
    connection = switch.layer.accepted("tcp", end, *PHONE)
    connection.data_received(b"\r\n\r\n")
    switch.clock.run()
    assert [reason for _, reason in switch.above.failures] == ["the peer does not read"]


def test_a_malformed_message_in_a_sound_frame(switch, phone, request_bytes):
    """It is answered 400; the stream can still be followed, so the next message is served."""
    phone.send(request_bytes(VIA).replace(b"CSeq: 1", b"CSeq: x") + request_bytes(VIA), SWITCH)
    switch.clock.run()
    assert phone.received[0].data.startswith(b"SIP/2.0 400 Bad CSeq\r\n")
    assert len(switch.above.messages) == 1


@pytest.mark.parametrize(
    ("length", "status"), [(b"Length: x", b"400"), (b"Length: 99999999", b"513")]
)
def test_a_stream_that_cannot_be_followed_is_answered_and_closed(
    switch, phone, request_bytes, length, status
):
    """Where no message end can be found any more: 400 or 513, then the connection is closed; a
    message before it is served."""
    data = request_bytes(VIA) + request_bytes(VIA).replace(b"Length: 0", length)
    phone.send(data, SWITCH)
    switch.clock.run()
    assert phone.received[0].data.startswith(b"SIP/2.0 " + status)
    [(_, flow)] = switch.above.messages
    assert [failed for failed, _ in switch.above.failures] == [flow]
    assert not phone.peers
    assert switch.clock.idle


def test_a_connection_is_used_again_whoever_opened_it(switch, phone, request_bytes):
    """A request to a peer that is connected goes on that connection (RFC 3261 18.1.1)."""
    first = switch.layer.flow_to("TCP", *PHONE)
    assert switch.layer.flow_to("TCP", *PHONE) is first
    switch.clock.run()
    phone.send(request_bytes(VIA), SWITCH)
    switch.clock.run()
    [(_, inbound)] = switch.above.messages
    assert inbound.serial == 2
    assert switch.layer.flow_to("TCP", inbound.remote_host, inbound.remote_port) is inbound


def test_what_is_sent_while_connecting_is_queued(make_switch, request_bytes):
    """And leaves in order when the connection stands."""
    switch = make_switch(delay=0.5)
    phone = switch.network.attach(*PHONE, "TCP")
    flow = switch.layer.flow_to("TCP", *PHONE)
    assert switch.layer.is_alive(flow)
    first, second = request_bytes(VIA), request_bytes(VIA, "Subject: 2")
    switch.layer.send(first, flow)
    switch.layer.send(second, flow)
    switch.clock.run(2)
    assert [(at, data) for at, data, _ in phone.received] == [(1.0, first), (1.0, second)]


def test_nobody_answers_the_connection(switch):
    """After 4 s the flow has failed, once, and sending on it raises."""
    switch.network.silent.add("10.0.0.9")
    flow = switch.layer.flow_to("TCP", *PHONE)
    switch.layer.send(b"queued", flow)
    switch.clock.run(3.9)
    assert switch.above.failures == []
    switch.clock.run(0.1)
    assert switch.above.failures == [(flow, "no connection within 4 s")]
    with pytest.raises(TransportError):
        switch.layer.send(b"late", flow)
    assert not switch.layer.is_alive(flow)
    assert switch.clock.idle


def test_a_refused_connection(switch):
    """The flow fails at once; the next attempt is another connection."""
    flow = switch.layer.flow_to("TCP", *PHONE)
    switch.clock.run()
    assert switch.above.failures == [(flow, "connection refused")]
    assert switch.layer.flow_to("TCP", *PHONE).serial == flow.serial + 1


def test_a_closed_connection_is_told_to_everyone_once(switch, phone, request_bytes):
    """``on_closed`` first, so that a binding is unreachable when the user asks for another."""
    happenings = []
    switch.layer.on_closed.append(lambda flow: happenings.append(("closed", flow)))
    switch.above.flow_failed = lambda flow, reason: happenings.append((reason, flow))
    phone.send(request_bytes(VIA), SWITCH)
    switch.clock.run()
    [(_, flow)] = switch.above.messages
    phone.stream(SWITCH).close()
    switch.clock.run()
    assert happenings == [("closed", flow), ("closed by the peer", flow)]


def test_the_same_address_again_is_another_flow(switch, request_bytes):
    """An address pair is reused; the serial tells the connections apart."""
    flows = []
    for _ in range(2):
        end = LoopStream(switch.network, SWITCH, PHONE)
        connection = switch.layer.accepted("tcp", end, *PHONE)
        connection.data_received(request_bytes(VIA))
        connection.lost("gone")
        flows.append(connection.flow)
    assert flows[0] != flows[1]
    assert flows[0]._replace(serial=flows[1].serial) == flows[1]
    assert not switch.layer.is_alive(flows[1])


def test_the_elder_connection_ends_and_the_younger_stays_in_use(switch, request_bytes):
    """When two connections lead to one peer the younger is used; the elder's end leaves it."""
    ends = [LoopStream(switch.network, SWITCH, PHONE) for _ in range(2)]
    elder, younger = (switch.layer.accepted("tcp", end, *PHONE) for end in ends)
    elder.lost("gone")
    assert switch.layer.flow_to("TCP", *PHONE) is younger.flow


def test_a_peer_that_connects_and_says_nothing(switch, phone, request_bytes):
    """It is closed after 64*T1, unless a message came; then it may be silent. Pings are no message,
    before it and after."""
    phone.send(b"INVITE sip", SWITCH)
    pinging = switch.network.attach("10.0.0.8", 5060, "TCP")
    talking = switch.network.attach("10.0.0.7", 5060, "TCP")
    talking.send(b"\r\n\r\n" + request_bytes(VIA), SWITCH)
    for _ in range(31):
        pinging.send(b"\r\n\r\n", SWITCH)
        switch.clock.run(1)
    switch.clock.run(0.9)
    assert phone.peers == pinging.peers == [SWITCH]
    switch.clock.run(0.1)
    assert phone.peers == pinging.peers == []
    assert [(flow.remote_host, reason) for flow, reason in switch.above.failures] == [
        ("10.0.0.9", "no whole message within 32 s"),
        ("10.0.0.8", "silent for 32 s"),
    ]
    assert talking.peers == [SWITCH]
    assert switch.clock.idle


def test_pings_are_enough_of_a_peer_who_is_known(switch):
    """A trunk may hold a connection in reserve, on which nothing has come yet."""
    switch.layer.door.called("10.0.0.8")
    spare = switch.network.attach("10.0.0.8", 5060, "TCP")
    spare.send(b"\r\n\r\n", SWITCH)
    switch.clock.run(100)
    assert spare.peers == [SWITCH]


def test_a_ping_begins_no_message_and_ends_none(switch, request_bytes):
    """What has begun behind it has its own deadline, which further bytes do not put off."""
    phone = switch.network.attach(*PHONE, "TCP")
    phone.send(request_bytes(VIA), SWITCH)
    switch.clock.run(100)
    phone.send(b"\r\n\r\nINVITE sip", SWITCH)
    switch.clock.run(20)
    phone.send(b":", SWITCH)
    switch.clock.run(12)
    assert [reason for _, reason in switch.above.failures] == ["no whole message within 32 s"]


def test_a_peer_that_never_reads(switch, phone, request_bytes):
    """At 256 KiB unread, sending raises, and the connection ends."""
    phone.send(request_bytes(VIA), SWITCH)
    switch.clock.run()
    [(_, flow)] = switch.above.messages
    phone.stream(SWITCH).reading = False
    for _ in range(4):
        switch.layer.send(b"x" * (Patience().max_unsent // 4), flow)
    with pytest.raises(TransportError):
        switch.layer.send(b"x", flow)
    assert switch.above.failures == []
    switch.clock.run()
    assert switch.above.failures == [(flow, "the peer does not read")]
    assert switch.clock.idle


def test_a_queue_is_bounded_too(switch):
    """What waits for a connection to stand has the same bound."""
    switch.network.silent.add("10.0.0.9")
    flow = switch.layer.flow_to("TCP", *PHONE)
    for _ in range(4):
        switch.layer.send(b"x" * (Patience().max_unsent // 4), flow)
    with pytest.raises(TransportError):
        switch.layer.send(b"x", flow)
    switch.clock.run()
    assert [failed for failed, _ in switch.above.failures] == [flow]


def test_a_close_that_the_peer_never_reads_is_forced(switch, phone, request_bytes):
    """A close waits for a peer that does not read; 4 s later the connection is aborted."""
    phone.send(request_bytes(VIA), SWITCH)
    switch.clock.run()
    stream = phone.stream(SWITCH)
    stream.reading = False
    switch.layer.send(b"last words", switch.above.messages[0][1])
    switch.layer.stop()
    switch.clock.run(3.9)
    assert not stream.ended
    switch.clock.run(0.1)
    assert stream.ended
    assert switch.clock.idle


def test_who_is_silent_is_told_apart(switch):
    """A peer that connects and says nothing has as long."""
    phone = switch.network.attach("10.0.0.9", 5060, "TCP")
    phone.send(b"", SWITCH)
    switch.clock.run(32)
    assert switch.above.failures[0][1] == "silent for 32 s"
    assert switch.clock.idle


def test_a_message_has_to_be_whole_in_time(switch, phone, request_bytes):
    """A byte now and then does not keep a connection: 32 s after a message has begun it has to be
    whole, be it the first one or a later one."""
    phone.send(request_bytes(VIA), SWITCH)
    switch.clock.run(100)
    assert phone.peers == [SWITCH]
    for _ in range(16):
        phone.send(b"x", SWITCH)
        switch.clock.run(2)
    assert phone.peers == []
    assert switch.above.failures[0][1] == "no whole message within 32 s"
    assert switch.clock.idle


def test_a_message_may_come_in_pieces(switch, phone, request_bytes):
    """Each message has the whole time for itself."""
    data = request_bytes(VIA)
    for _ in range(3):
        for part in (data[:50], data[50:100], data[100:] + data[:1]):
            phone.send(part, SWITCH)
            switch.clock.run(9)
        data = data[1:] + data[:1]
        assert phone.peers == [SWITCH]
        phone.close()
        phone = switch.network.attach("10.0.0.9", 5060, "TCP")
        data = request_bytes(VIA)
    assert len(switch.above.messages) == 3


def test_idle_connections_are_closed(switch, phone, request_bytes):
    """One on which nothing whole has come for 600 s is closed at the next sweep."""
    phone.send(request_bytes(VIA), SWITCH)
    pinging = switch.network.attach("10.0.0.8", 5060, "TCP")
    pinging.send(request_bytes(VIA), SWITCH)
    for _ in range(60):
        pinging.send(b"\r\n\r\n", SWITCH)
        switch.clock.run(10)
        switch.layer.guests.sweep()
        assert len(switch.layer.connections) == 2
    switch.clock.run(10)
    switch.layer.guests.sweep()
    switch.clock.run()
    assert [(flow.remote_host, why) for flow, why in switch.above.failures] == [
        ("10.0.0.9", "idle for 600 s")
    ]


def limit(switch, **limits):
    switch.layer.guests.settings = ConnectionSettings(**limits)


def connect(switch, host, data=b"\r\n\r\n"):
    peer = switch.network.attach(host, 5060, "TCP")
    peer.send(data, SWITCH)
    switch.clock.run(0.1)
    return peer


def test_a_stranger_gives_way(switch):
    """Over the bound the connection of the stranger who came first ends: who is in earnest has
    proved himself by then."""
    limit(switch, most=2)
    peers = [connect(switch, f"10.0.0.{number}") for number in (11, 12, 13)]
    assert [bool(peer.peers) for peer in peers] == [False, True, True]
    assert switch.above.failures[0][1] == "room is needed"


def test_too_many_connections_are_refused(switch, request_bytes):
    """Where all belong to known peers, a new one is aborted and counted; those that stand are
    served."""
    limit(switch, most=1)
    switch.layer.door.called("10.0.0.9")
    phone = connect(switch, "10.0.0.9", request_bytes(VIA))
    other = connect(switch, "10.0.0.8", request_bytes(VIA))
    assert switch.layer.counters == {"refused: too many connections": 1}
    assert (len(switch.above.messages), phone.peers, other.peers) == (1, [SWITCH], [])


def test_one_source_has_so_many_connections(switch):
    """The next one is refused, until one of them ends; others connect."""
    limit(switch, per_source=2)
    first, _ = [connect(switch, f"10.0.0.{number}") for number in (11, 12)]
    streams = [connect(switch, "10.0.1.1")]
    line = switch.network.open("10.0.1.1", SWITCH, Told())
    refused = switch.network.open("10.0.1.1", SWITCH, Told())
    switch.clock.run(0.1)
    assert (line.ended, refused.ended) == (False, True)
    assert switch.layer.counters["refused: too many connections of one source"] == 1
    streams[0].close()
    switch.clock.run(0.1)
    again = switch.network.open("10.0.1.1", SWITCH, Told())
    switch.clock.run(0.1)
    assert not again.ended
    assert first.peers == [SWITCH]


class Told:
    """A peer that does not care."""

    def connected(self):
        pass

    def data_received(self, data):
        pass

    def lost(self, reason):
        pass


def test_sending_on_a_connection_that_was_closed_raises(switch):
    """The connection object says so itself, whoever holds it."""
    flow = Flow("tcp", "TCP", *SWITCH, *PHONE, 9)
    connection = Connection(flow, switch.layer, Limits(), switch.clock)
    with pytest.raises(TransportError, match=r"10\.0\.0\.9:5060"):
        connection.send(b"x")


class Stream:
    """A connection's other side, which does nothing."""

    def __init__(self):
        self.told = []

    def write(self, data):
        self.told.append(data)

    def unsent(self):
        return 0

    def close(self):
        self.told.append("closed")

    def abort(self):
        self.told.append("aborted")


def test_a_tls_handshake_has_ten_seconds(switch):
    """Counted as a connection from the beginning; given up when it has not ended by then."""
    stream = Stream()
    connection = switch.layer.accepted("tcp", stream, *PHONE, greets=True)
    switch.clock.run(9.9)
    assert switch.layer.is_alive(connection.flow)
    switch.clock.run(0.2)
    assert stream.told == ["aborted"]
    assert switch.above.failures == [(connection.flow, "no connection within 10 s")]
    assert switch.clock.idle


def test_whoever_says_nothing_after_the_handshake_is_closed(switch, request_bytes):
    """As over TCP, 32 seconds later; what we have for it waits for the handshake's end."""
    stream = Stream()
    connection = switch.layer.accepted("tcp", stream, *PHONE, greets=True)
    switch.layer.send(b"early", connection.flow)
    assert stream.told == []
    switch.clock.run(5)
    connection.connected()
    assert stream.told == [b"early"]
    switch.clock.run(31.9)
    assert switch.layer.is_alive(connection.flow)
    switch.clock.run(0.2)
    assert stream.told == [b"early", "closed"]
    assert switch.above.failures == [(connection.flow, "silent for 32 s")]
    connection.lost("closed")
    assert switch.clock.idle


def test_a_connection_over_tls_is_found_by_the_name_that_was_wanted(make_switch):
    """One for each name at an address; one that the peer has opened is nobody's."""
    listener = Listener("tls", "TLS", "10.0.0.1", 5061)
    switch = make_switch(listener)
    peer = switch.network.attach("10.0.0.9", 5061, "TLS")
    other = switch.layer.accepted("tls", Stream(), "10.0.0.9", 5061)
    one = switch.layer.flow_to("TLS", "10.0.0.9", 5061, "one.example")
    two = switch.layer.flow_to("TLS", "10.0.0.9", 5061, "two.example")
    bare = switch.layer.flow_to("TLS", "10.0.0.9", 5061)
    assert len({one, two, bare, other.flow}) == 4
    assert switch.layer.flow_to("TLS", "10.0.0.9", 5061, "one.example") == one
    assert switch.layer.flow_to("TLS", "10.0.0.9", 5061, "10.0.0.9") == bare
    switch.clock.run(1)
    assert switch.layer.names_on(one) == {"one.example"}
    assert len(peer.peers) == 3
    switch.layer.stop()
    switch.clock.run(10)
    other.lost("closed")
    assert switch.clock.idle
