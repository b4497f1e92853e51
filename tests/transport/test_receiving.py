"""What comes in: stamped, answered where it is wrong, dropped and counted where it cannot be."""

import pytest

from softswitch.sip.message import Request, Response

SWITCH = ("10.0.0.1", 5060)


def answers(phone) -> list[str]:
    return [received.data.decode() for received in phone.received]


def test_received_is_added_where_the_sent_by_is_another_host(switch, request_bytes):
    """The source address goes into ``received`` when the sent-by differs (RFC 3261 18.2.1)."""
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(request_bytes("SIP/2.0/UDP phone.local:5060;branch=z9hG4bK1"), SWITCH)
    phone.send(request_bytes("SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK2"), SWITCH)
    switch.clock.run()
    named, literal = [message for message, _ in switch.above.messages]
    assert named.get("Via") == "SIP/2.0/UDP phone.local:5060;branch=z9hG4bK1;received=10.0.0.9"
    assert literal.get("Via") == "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK2"


def test_rport_is_filled_in(switch, request_bytes):
    """``rport`` gets the source port, and ``received`` comes with it even where the sent-by is
    the source address (RFC 3581 section 4)."""
    phone = switch.network.attach("10.0.0.9", 40000)
    phone.send(request_bytes("SIP/2.0/UDP 10.0.0.9:5060;rport;branch=z9hG4bK1"), SWITCH)
    switch.clock.run()
    [(message, flow)] = switch.above.messages
    assert (message.top_via.received, message.top_via.rport) == ("10.0.0.9", 40000)
    assert (flow.remote_host, flow.remote_port, flow.serial) == ("10.0.0.9", 40000, 0)


def test_ipv6_is_stamped_and_answered(switch, request_bytes):
    """An IPv6 literal stands in brackets in the sent-by; a flow holds it without."""
    phone = switch.network.attach("2001:db8::9", 5062)
    via = "SIP/2.0/UDP [2001:db8::9]:5062;rport;branch=z9hG4bK1"
    phone.send(request_bytes(via), ("2001:db8::1", 5060))
    switch.clock.run()
    [(message, flow)] = switch.above.messages
    assert message.top_via.host == "2001:db8::9"
    assert (flow.listener, flow.remote_host) == ("udp6", "2001:db8::9")
    switch.layer.send(b"x", switch.layer.response_flow(message, flow))
    switch.clock.run()
    assert [received.data for received in phone.received] == [b"x"]


def test_a_malformed_request_is_answered_400(switch, request_bytes):
    """400, and the reason phrase names the header field; the answer bears a To tag, the same
    for a retransmission since no state is kept (RFC 3261 8.2.7)."""
    phone = switch.network.attach("10.0.0.9", 5060)
    broken = request_bytes().replace(b"CSeq: 1 OPTIONS", b"CSeq: one OPTIONS")
    phone.send(broken, SWITCH)
    phone.send(broken, SWITCH)
    switch.clock.run()
    first, second = answers(phone)
    assert first.startswith("SIP/2.0 400 Bad CSeq\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9")
    assert "To: <sip:100@example.com>;tag=" in first
    assert first == second
    assert switch.above.messages == []
    assert switch.layer.counters["refused: 400 Bad CSeq"] == 2


def test_the_refusal_goes_where_rport_says(switch, request_bytes):
    """The 400 follows the same rules as any response (RFC 3581 section 4)."""
    phone = switch.network.attach("10.0.0.9", 40000)
    via = "SIP/2.0/UDP 192.168.1.5:5060;rport;branch=z9hG4bK1"
    phone.send(request_bytes(via).replace(b"Call-ID: one\r\n", b""), SWITCH)
    switch.clock.run()
    assert answers(phone)[0].startswith("SIP/2.0 400 Missing Call-ID\r\n")


def test_another_version_is_answered_505(switch, request_bytes):
    """SIP/7.0 in the Request-Line: 505 (RFC 3261 21.5.6)."""
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(request_bytes().replace(b"10.0.0.1 SIP/2.0", b"10.0.0.1 SIP/7.0"), SWITCH)
    switch.clock.run()
    assert answers(phone)[0].startswith("SIP/2.0 505 ")


def test_too_large_is_answered_513(make_switch, request_bytes):
    """Over ``max_message``: 513 (RFC 3261 21.5.7)."""
    switch = make_switch(max_message=1000)
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(request_bytes() + b"x" * 1000, SWITCH)
    switch.clock.run()
    assert answers(phone)[0].startswith("SIP/2.0 513 ")


def test_a_malformed_ack_is_never_answered(switch, request_bytes):
    """ACK has no response (RFC 3261 17.2)."""
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(request_bytes().replace(b"OPTIONS", b"ACK").replace(b"CSeq: 1 ACK", b"X: y"), SWITCH)
    switch.clock.run()
    assert phone.received == []
    assert switch.layer.counters.total() == 1


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x01\x00\x00!\x12\xa4B" + b"\0" * 12,
        b"hello\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nFrom: <sip:a@b>\r\n\r\n",
        b"\xff" * 3000,
    ],
    ids=["STUN", "text", "a bare response", "no Via", "bytes"],
)
def test_what_cannot_be_answered_is_dropped_and_counted(switch, request_bytes, junk):
    """One bad datagram is counted, and the next, from the same peer, is served."""
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(junk, SWITCH)
    phone.send(request_bytes(), SWITCH)
    switch.clock.run()
    assert phone.received == []
    assert len(switch.above.messages) == 1
    [(name, times)] = switch.layer.counters.items()
    assert name.startswith("dropped: ")
    assert times == 1


@pytest.mark.parametrize("blank", [b"", b"\r\n", b"\r\n\r\n", b"\0\0\0\0"])
def test_a_keep_alive_over_udp_is_no_message(switch, blank):
    """Datagrams without content keep a NAT open; they are no error and get no answer."""
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(blank, SWITCH)
    switch.clock.run()
    assert switch.layer.counters == {"keep-alive": 1}
    assert phone.received == []


def test_line_ends_before_a_message_are_ignored(switch, request_bytes):
    """RFC 3261 7.5."""
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(b"\r\n\r\n" + request_bytes(), SWITCH)
    switch.clock.run()
    assert isinstance(switch.above.messages[0][0], Request)


def test_a_response_to_another_is_dropped(switch):
    """A response whose top Via's sent-by is not ours is dropped (RFC 3261 18.1.2)."""
    phone = switch.network.attach("10.0.0.9", 5060)
    for sent_by in ("10.0.0.1:5060", "10.0.0.1", "10.0.0.1:5062", "10.0.0.2:5060"):
        phone.send(
            f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bK1\r\n"
            "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n".encode(),
            SWITCH,
        )
    switch.clock.run()
    assert [message.top_via.port for message, _ in switch.above.messages] == [5060, None]
    assert all(isinstance(message, Response) for message, _ in switch.above.messages)
    assert switch.layer.counters == {"dropped: response to another's request": 2}


def test_an_exception_above_is_told_and_the_next_message_served(make_switch, request_bytes):
    """What the user lets out goes to ``broken``; other messages are untouched."""
    told = []
    switch = make_switch(broken=told.append)
    served = switch.above.message_received
    fault = RuntimeError("a defect")

    def fail_once(message, flow):
        switch.above.message_received = served
        raise fault

    switch.above.message_received = fail_once
    phone = switch.network.attach("10.0.0.9", 5060, "TCP")
    phone.send(request_bytes("SIP/2.0/TCP 10.0.0.9;branch=z9hG4bK1") * 2, SWITCH)
    switch.clock.run()
    assert told == [fault]
    assert len(switch.above.messages) == 1
