"""The client side of an INVITE: RFC 3261 17.1.1 (figure 5), RFC 6026, CANCEL (9.1).

Timer C, how long a target may ring, is the hunt's and is tested there.
"""

import pytest

from softswitch.sip.message import Request
from softswitch.transaction.timers import Timers


def test_timer_a_doubles_until_timer_b(udp):
    """Unanswered over UDP: sent at 0, then after T1, 2*T1, 4*T1 ...; the user hears of it once,
    at 64*T1 (figure 5)."""
    udp.send("INVITE")
    udp.run(100)
    assert udp.log == [(at, udp.sent("INVITE")) for at in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5)] + [
        (32.0, "timed out")
    ]


def test_timer_b_over_a_reliable_transport(tcp):
    """Unanswered over TCP: sent once, no timer A; timed out at 64*T1 (17.1.1.2)."""
    tcp.send("INVITE")
    tcp.run(100)
    assert tcp.log == [(0, tcp.sent("INVITE")), (32.0, "timed out")]


def test_timers_scale_with_t1(make_world):
    """Timers A and B follow T1 (17.1.1.1)."""
    world = make_world("UDP", Timers(t1=1.0))
    world.send("INVITE")
    world.run(100)
    assert [at for at, _ in world.log] == [0, 1, 3, 7, 15, 31, 63, 64]


def test_a_response_after_timer_b_is_stray(world):
    """Once it has terminated the transaction is destroyed; what comes then is the core's
    (17.1.1.2, 18.1.2)."""
    world.send("INVITE")
    world.run(32)
    world.take()
    world.receive(world.answer(200, "INVITE"))
    assert world.take() == [(32, "stray 200")]


def test_a_provisional_ends_retransmission_and_timer_b(world):
    """In Proceeding nothing is sent again and nothing times out; each provisional goes up
    (17.1.1.2)."""
    invite = world.send("INVITE")
    world.run(0.4)
    world.receive(world.answer(100, "INVITE"))
    assert world.clock.idle
    world.run_to(300)
    world.receive(world.answer(180, "INVITE"))
    world.receive(world.answer(180, "INVITE"))
    assert world.take() == [
        (0, world.sent("INVITE")),
        (0.4, "100"),
        (300, "180"),
        (300, "180"),
    ]
    assert not invite.terminated
    world.receive(world.answer(200, "INVITE"))
    world.run(32)


@pytest.mark.parametrize("provisional", [False, True])
def test_a_refusal_is_acknowledged_and_told_once(world, provisional):
    """300-699 from Calling and from Proceeding: ACK by the transaction, over any transport, with
    the Via of the INVITE and the To of the response, and the same bytes for each retransmission;
    the user hears of it once (17.1.1.2, 17.1.1.3)."""
    world.send("INVITE")
    if provisional:
        world.receive(world.answer(180, "INVITE"))
    world.take()
    world.receive(world.answer(486, "INVITE"))
    world.receive(world.answer(486, "INVITE"))
    ack = world.sent("ACK", to="To: <sip:bob@127.0.0.2>;tag=b")
    assert world.take() == [(0, ack), (0, "486"), (0, ack)]
    world.run(32)


def test_the_ack_takes_the_route_of_the_invite(udp):
    """Route of the INVITE goes into the ACK and into the CANCEL (17.1.1.3, 9.1)."""
    fields = [
        ("Route", "<sip:127.0.0.9;lr>"),
        ("From", "<sip:a@x>;tag=a"),
        ("To", "<sip:b@y>"),
        ("Call-ID", "c"),
        ("CSeq", "7 INVITE"),
        ("Require", "100rel"),
    ]
    request = Request("INVITE", "sip:b@y", fields)
    udp.layer.send_request(request, udp.flow, udp.core, udp.scope).cancel()
    udp.receive(udp.answer(180, "INVITE"))
    udp.receive(udp.answer(487, "INVITE"))
    companions = [data for _, data in udp.take() if data[:3] in (b"ACK", b"CAN")]
    assert [data.split(b" ")[0] for data in companions] == [b"CANCEL", b"ACK"]
    for data in companions:
        assert data.count(b"Via: ") == 1
        assert b"Route: <sip:127.0.0.9;lr>\r\n" in data
        assert b"Require" not in data
    udp.run(100)


def test_timer_d(world):
    """A refusal may come again for 32 s over UDP, for 0 s over TCP (17.1.1.2)."""
    world.send("INVITE")
    world.run(0.25)
    world.receive(world.answer(486, "INVITE"))
    ack = world.sent("ACK", to="To: <sip:bob@127.0.0.2>;tag=b")
    if not world.reliable:
        world.run_to(32.249999)
        world.take()
        world.receive(world.answer(486, "INVITE"))
        assert world.take() == [(32.249999, ack)]
        world.run_to(32.25)
    world.run()
    assert list(world.layer) == []
    world.take()
    world.receive(world.answer(486, "INVITE"))
    assert world.take() == [(world.now, "stray 486")]


def test_timer_d_is_never_shorter_than_32_seconds(make_world):
    """Timer D is at least 32 s whatever T1 is: the peer's is not known (17.1.1.2)."""
    world = make_world("UDP", Timers(t1=0.1))
    world.send("INVITE")
    world.receive(world.answer(486, "INVITE"))
    world.run(31.999999)
    assert len(list(world.layer)) == 1
    world.run(0.000001)


def test_each_2xx_goes_up_until_timer_m(world):
    """Accepted: the same 2xx again, and a fork's with another To tag, go up, without ACK, for
    64*T1 over any transport; then they are stray (RFC 6026 7.2, 8.7)."""
    world.send("INVITE")
    world.receive(world.answer(200, "INVITE"))
    world.run(0.5)
    world.receive(world.answer(200, "INVITE"))
    world.receive(world.answer(200, "INVITE", tag="fork"))
    world.run_to(31.999999)
    world.receive(world.answer(200, "INVITE", tag="late"))
    world.run_to(32)
    world.receive(world.answer(200, "INVITE", tag="later"))
    assert world.log == [
        (0, world.sent("INVITE")),
        (0, "200"),
        (0.5, "200"),
        (0.5, "200"),
        (31.999999, "200"),
        (32, "stray 200"),
    ]


def test_accepted_ignores_all_but_2xx(world):
    """Another fork's 180 or 486 after the 2xx is not for the user (RFC 6026 8.7)."""
    world.send("INVITE")
    world.receive(world.answer(200, "INVITE"))
    world.take()
    world.receive(world.answer(180, "INVITE", tag="fork"))
    world.receive(world.answer(486, "INVITE", tag="fork"))
    world.run(32)
    assert world.take() == []
    assert world.ignored() == [("Accepted", "300-699")]


def test_a_2xx_after_a_refusal_is_the_core_s(udp):
    """A forking proxy sends a late 2xx on though it has refused (16.7 step 5): somebody has to
    acknowledge and end it."""
    udp.send("INVITE")
    udp.receive(udp.answer(486, "INVITE"))
    udp.take()
    udp.receive(udp.answer(200, "INVITE", tag="fork"))
    udp.receive(udp.answer(180, "INVITE", tag="fork"))
    assert udp.take() == [(0, "stray 200")]
    udp.run(32)


def test_cancel_before_any_response_waits_for_a_provisional(world):
    """CANCEL is not sent before a provisional response; then it goes, with Via and identity of
    the INVITE and the fields that were given, and the 487 comes up (9.1)."""
    invite = world.send("INVITE")
    invite.cancel([("Reason", "SIP;cause=200")])
    invite.cancel()
    world.run(0.2)
    assert world.take() == [(0, world.sent("INVITE"))]
    world.receive(world.answer(100, "INVITE"))
    reason = b"CSeq: 1 CANCEL\r\nReason: SIP;cause=200\r\n"
    cancel = world.sent("CANCEL").replace(b"CSeq: 1 CANCEL\r\n", reason)
    assert world.take() == [(0.2, cancel), (0.2, "100")]
    world.receive(world.answer(200, "CANCEL"))
    world.receive(world.answer(487, "INVITE"))
    ack = world.sent("ACK", to="To: <sip:bob@127.0.0.2>;tag=b")
    assert world.take() == [(0.2, ack), (0.2, "487")]
    world.run(32)


def test_cancel_before_any_response_that_never_comes(udp):
    """Without a provisional there is no CANCEL; timer B goes on and ends it (9.1)."""
    udp.send("INVITE").cancel()
    udp.run(32)
    assert {data for _, data in udp.take()} == {udp.sent("INVITE"), "timed out"}


def test_cancel_before_any_response_and_a_final_comes_first(world):
    """A final response as the first one: no CANCEL is sent at all (9.1)."""
    world.send("INVITE").cancel()
    world.take()
    world.receive(world.answer(200, "INVITE"))
    world.run(32)
    assert world.take() == [(0, "200")]


def test_cancel_in_proceeding_goes_at_once_and_once(world):
    """In Proceeding the CANCEL goes at once, on the flow of the INVITE; a second one does not
    (9.1)."""
    invite = world.send("INVITE")
    world.receive(world.answer(180, "INVITE"))
    world.take()
    invite.cancel()
    invite.cancel()
    assert world.take() == [(0, world.sent("CANCEL"))]
    assert world.core.flows[-1] == world.flow
    world.receive(world.answer(200, "CANCEL"))
    world.receive(world.answer(487, "INVITE"))
    world.run(32)


def test_cancel_from_within_a_response(world):
    """The user may cancel while it is told of a provisional."""
    world.core.on["180"] = lambda transaction: transaction.cancel()
    world.send("INVITE")
    world.receive(world.answer(180, "INVITE"))
    assert world.take() == [(0, world.sent("INVITE")), (0, "180"), (0, world.sent("CANCEL"))]
    world.receive(world.answer(200, "CANCEL"))
    world.receive(world.answer(487, "INVITE"))
    world.run(32)


def test_cancel_crossing_a_2xx(world):
    """The 2xx that crossed the CANCEL comes up, twice when it comes twice: the user has to
    acknowledge and end that call (9.1)."""
    invite = world.send("INVITE")
    world.receive(world.answer(180, "INVITE"))
    invite.cancel()
    world.take()
    world.receive(world.answer(200, "INVITE"))
    world.receive(world.answer(481, "CANCEL"))
    world.receive(world.answer(200, "INVITE"))
    world.run(32)
    assert world.take() == [(0, "200"), (0, "200")]


def test_a_late_refusal_after_cancel(world):
    """The far end was busy before the CANCEL reached it: 486 comes up as ever (9.1)."""
    invite = world.send("INVITE")
    world.receive(world.answer(180, "INVITE"))
    invite.cancel()
    world.take()
    world.run(3)
    world.take()
    world.receive(world.answer(486, "INVITE"))
    ack = world.sent("ACK", to="To: <sip:bob@127.0.0.2>;tag=b")
    assert world.take() == [(3, ack), (3, "486")]
    world.run(100)


def test_no_final_response_in_64_t1_after_cancel(world):
    """An RFC 2543 server sends no 487: 64*T1 after the CANCEL the INVITE is given up. The CANCEL
    itself is sent again by timer E (9.1, 17.1.2.2)."""
    invite = world.send("INVITE")
    world.receive(world.answer(180, "INVITE"))
    world.run(10)
    world.take()
    invite.cancel()
    world.run(64)
    again = () if world.reliable else (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)
    assert world.take() == [(10 + at, world.sent("CANCEL")) for at in (0, *again)] + [
        (42, "timed out")
    ]


def test_cancel_after_a_final_response_does_nothing(world):
    """A CANCEL has no effect once there is a final response, in whatever state that is (9.1)."""
    refused, accepted = world.send("INVITE"), world.send("INVITE")
    world.receive(world.answer(486, "INVITE", branch=1))
    world.receive(world.answer(200, "INVITE", branch=2))
    world.take()
    refused.cancel()
    accepted.cancel()
    world.run(32)
    refused.cancel()
    accepted.cancel()
    assert world.take() == []


def test_a_new_request_from_within_timed_out(world):
    """The user may try elsewhere when it is told; the leg's scope does not close in between."""
    world.core.on["timed out"] = lambda _: world.send("OPTIONS")
    world.send("INVITE")
    world.scope.end()
    world.run(32)
    assert not world.scope.closed
    assert world.log[-1] == (32, world.sent("OPTIONS", branch=2))
    world.receive(world.answer(200, "OPTIONS", branch=2))
    world.run(5)
    assert world.scope.closed


def test_sending_on_a_dead_flow_is_told_once_and_later(world):
    """Whoever sends has the transaction in hand before it hears that it failed (17.1.4)."""
    world.core.broken = "no route"
    invite = world.send("INVITE")
    assert world.take() == []
    assert not invite.terminated
    world.run()
    assert world.take() == [(0, "transport failed: no route")]
    assert invite.terminated
    assert invite.leftovers() == []


def test_a_retransmission_that_cannot_be_sent(udp):
    """A transport error in Calling ends it at once (figure 5)."""
    udp.send("INVITE")
    udp.run(0.4)
    udp.core.broken = "no route"
    udp.run(1)
    assert udp.log == [(0, udp.sent("INVITE")), (0.5, "transport failed: no route")]


def test_an_ack_that_cannot_be_sent(world):
    """In Completed a transport error ends it; the user has its final response and hears no
    more (figure 5)."""
    world.send("INVITE")
    world.core.broken = "no route"
    world.receive(world.answer(486, "INVITE"))
    world.run()
    assert world.log[1:] == [(0, "486")]
    assert list(world.layer) == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, [(1, "transport failed: reset")]),
        (180, [(1, "transport failed: reset")]),
        (200, []),
        (486, []),
    ],
)
def test_the_flow_breaks(world, status, told):
    """Who still waits for a final response hears of a broken flow, once; in Accepted the other
    2xx may yet come on another connection, until timer M (RFC 6026 7.2)."""
    invite = world.send("INVITE")
    if status is not None:
        world.receive(world.answer(status, "INVITE"))
    world.run(1)
    world.take()
    world.layer.flow_failed(world.other_flow, "reset")
    world.layer.flow_failed(world.flow, "reset")
    world.layer.flow_failed(world.flow, "reset")
    world.run()
    assert [entry for entry in world.take() if isinstance(entry[1], str)] == told
    assert invite.terminated == (status != 200)
    if status == 200:
        world.receive(world.answer(200, "INVITE"), world.other_flow)
        assert world.take() == [(1, "200")]
        world.run(31)


def test_a_provisional_in_the_same_instant_as_a_broken_flow(world):
    """It does not hide that the flow is gone."""
    world.send("INVITE")
    world.layer.flow_failed(world.flow, "reset")
    world.receive(world.answer(180, "INVITE"))
    world.run()
    assert world.log[1:] == [(0, "180"), (0, "transport failed: reset")]


def test_what_it_still_holds(udp):
    """``leftovers`` names the timers that are set; a finished transaction holds no message."""
    invite = udp.send("INVITE")
    assert invite.leftovers() == ["timer_a", "timer_b"]
    udp.receive(udp.answer(180, "INVITE"))
    assert invite.leftovers() == []
    invite.cancel()
    assert invite.leftovers() == ["timer_cancel"]
    udp.receive(udp.answer(487, "INVITE"))
    assert invite.leftovers() == ["timer_d"]
    accepted = udp.send("INVITE")
    udp.receive(udp.answer(200, "INVITE", branch=2))
    assert accepted.leftovers() == ["timer_m"]
    assert accepted._request is invite._request is None
    udp.run(32)
    assert accepted.leftovers() == invite.leftovers() == []
