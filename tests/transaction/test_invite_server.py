"""The server side of an INVITE: RFC 3261 17.2.1 (figure 7), RFC 6026."""

import pytest

from softswitch.errors import StateError, TransportError
from softswitch.sip import compose
from softswitch.transaction.server import Screened
from softswitch.transaction.timers import Timers

EACH_TIMER_G = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)


def refuse_and_confirm(world, invite):
    """The shortest way to an end."""
    if not invite.answered:
        world.respond(invite, 486)
    if invite.state == "Completed":
        world.receive(world.asked("ACK", to="To: <sip:bob@127.0.0.2>;tag=b"))
    world.run(5)


def test_100_after_200_ms_of_silence(world):
    """The user says nothing for 200 ms: 100, without a To tag, once, over any transport; each
    provisional of the user goes out (17.2.1)."""
    invite = world.asked_in("INVITE")
    world.run_to(5)
    world.respond(invite, 180)
    world.respond(invite, 183)
    assert world.take() == [
        (0, "INVITE received"),
        (0.2, world.answered(100, "INVITE", tag="")),
        (5, world.answered(180, "INVITE")),
        (5, world.answered(183, "INVITE")),
    ]
    refuse_and_confirm(world, invite)


@pytest.mark.parametrize("status", [100, 180, 486])
def test_no_100_when_the_user_is_quick(world, status):
    """A response of the user within 200 ms stands for the 100 (17.2.1)."""
    invite = world.asked_in("INVITE")
    world.run(0.199999)
    world.respond(invite, status)
    world.run(0.1)
    tag = "" if status == 100 else "b"
    assert world.log[1:] == [(0.199999, world.answered(status, "INVITE", tag=tag))]
    refuse_and_confirm(world, invite)


def test_an_invite_again_in_proceeding(world):
    """It is answered with the last provisional, byte for byte; absorbed before there is one
    (17.2.1)."""
    invite = world.asked_in("INVITE")
    world.run(0.1)
    world.receive(world.asked("INVITE"))
    world.run_to(0.5)
    world.receive(world.asked("INVITE"))
    world.respond(invite, 180)
    world.receive(world.asked("INVITE"))
    assert world.log[1:] == [
        (0.2, world.answered(100, "INVITE", tag="")),
        (0.5, world.answered(100, "INVITE", tag="")),
        (0.5, world.answered(180, "INVITE")),
        (0.5, world.answered(180, "INVITE")),
    ]
    refuse_and_confirm(world, invite)


def test_timer_g_doubles_up_to_t2_until_timer_h(udp):
    """A refusal without ACK over UDP: sent again after T1, 2*T1 ... capped at T2; at 64*T1 the
    user hears that it failed (17.2.1)."""
    invite = udp.asked_in("INVITE")
    udp.take()
    udp.respond(invite, 486)
    udp.run(100)
    assert udp.log == [(at, udp.answered(486, "INVITE")) for at in (0, *EACH_TIMER_G)] + [
        (32.0, "transaction failed: no ACK")
    ]


def test_timer_h_over_a_reliable_transport(tcp):
    """Over TCP no timer G; timer H is 64*T1 all the same (17.2.1)."""
    invite = tcp.asked_in("INVITE")
    tcp.take()
    tcp.respond(invite, 486)
    tcp.run(100)
    assert tcp.log == [
        (0, tcp.answered(486, "INVITE")),
        (32.0, "transaction failed: no ACK"),
    ]


def test_timers_g_and_h_follow_t1_and_t2(make_world):
    """Both scale: T1 of 1 s and T2 of 2 s (17.2.1)."""
    world = make_world("UDP", Timers(t1=1.0, t2=2.0))
    world.respond(world.asked_in("INVITE"), 486)
    world.run(100)
    assert [at for at, _ in world.log[1:]] == [0, *range(1, 64, 2), 64]


def test_an_invite_again_in_completed(world):
    """It is answered with the same bytes, at once; the user cannot change its mind (17.2.1)."""
    invite = world.asked_in("INVITE")
    world.respond(invite, 486)
    world.run(0.1)
    world.take()
    world.receive(world.asked("INVITE"))
    world.respond(invite, 200)
    world.respond(invite, 180)
    assert world.take() == [(0.1, world.answered(486, "INVITE"))]
    assert world.ignored() == [("Completed", "2xx"), ("Completed", "1xx")]
    refuse_and_confirm(world, invite)


def test_timer_i(world):
    """The ACK ends retransmission; Confirmed absorbs the ACK and the INVITE, each when it comes
    again, for T4 over UDP and 0 s over TCP (17.2.1)."""
    world.respond(world.asked_in("INVITE"), 486)
    world.run(0.25)
    ack = world.asked("ACK", to="To: <sip:bob@127.0.0.2>;tag=b")
    world.take()
    world.receive(ack)
    world.receive(ack)
    world.receive(world.asked("INVITE"))
    if not world.reliable:
        world.run_to(5.249999)
        world.receive(ack)
        world.receive(world.asked("INVITE"))
        assert len(list(world.layer)) == 1
        world.run_to(5.25)
    world.run()
    assert list(world.layer) == []
    assert world.take() == []
    world.receive(ack)
    assert world.take() == [(world.now, "ACK received")]


def test_accepted_until_timer_l(world):
    """After a 2xx the INVITE is absorbed when it comes again, for 64*T1 over any transport; the
    transaction itself sends nothing (RFC 6026 7.1, 8.5)."""
    world.respond(world.asked_in("INVITE"), 200)
    world.run(31.999999)
    world.receive(world.asked("INVITE"))
    assert world.log == [(0, "INVITE received"), (0, world.answered(200, "INVITE"))]
    world.run_to(32)
    world.take()
    world.receive(world.asked("INVITE"))
    assert world.take() == [(32, "INVITE received")]
    refuse_and_confirm(world, world.core.received[-1])


def test_the_user_sends_the_2xx_again(world):
    """``resend`` sends the last 2xx, byte for byte, while Accepted; a further 2xx of the user is
    sent too, and is then the last (RFC 6026 7.1; RFC 3261 13.3.1.4)."""
    invite = world.asked_in("INVITE")
    invite.resend()
    world.respond(invite, 200)
    world.take()
    world.run(0.5)
    invite.resend()
    world.respond(invite, 202)
    invite.resend()
    world.respond(invite, 486)
    world.respond(invite, 180)
    world.run_to(32)
    invite.resend()
    assert world.take() == [
        (0.5, world.answered(200, "INVITE")),
        (0.5, world.answered(202, "INVITE")),
        (0.5, world.answered(202, "INVITE")),
    ]
    assert world.ignored() == [
        ("Proceeding", "resend"),
        ("Accepted", "300-699"),
        ("Accepted", "1xx"),
    ]


def test_an_ack_in_accepted_is_the_core_s(world):
    """The ACK of a 2xx goes up, also from a client that reuses the branch (RFC 6026 7.1)."""
    world.respond(world.asked_in("INVITE"), 200)
    world.take()
    world.receive(world.asked("ACK", to="To: <sip:bob@127.0.0.2>;tag=b"))
    world.receive(world.asked("ACK", to="To: <sip:bob@127.0.0.2>;tag=b", branch="z9hG4bKnew"))
    assert world.take() == [(0, "ACK received"), (0, "ACK received")]
    world.run(32)


def test_an_ack_before_any_final_response_is_ignored(world):
    """There is nothing that it could acknowledge (figure 7)."""
    invite = world.asked_in("INVITE")
    world.receive(world.asked("ACK"))
    assert world.take() == [(0, "INVITE received")]
    assert world.ignored() == [("Proceeding", "ACK")]
    refuse_and_confirm(world, invite)


@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_response_from_within_request_received(world, status):
    """The user may respond while it is told of the INVITE."""

    def serve(transaction):
        transaction.adopt(world.scope, world.core)
        world.respond(transaction, status)

    world.core.on["INVITE received"] = serve
    world.receive(world.asked("INVITE"))
    world.run(1)
    assert world.log[:2] == [(0, "INVITE received"), (0, world.answered(status, "INVITE"))]
    refuse_and_confirm(world, world.core.received[0])
    world.run(32)


def test_a_provisional_that_cannot_be_sent(world):
    """The user hears of it once, after ``respond`` has returned; the transaction stays, and what
    comes again is answered where it came from (RFC 6026 7.1)."""
    invite = world.asked_in("INVITE")
    world.take()
    world.core.broken = "reset"
    world.respond(invite, 180)
    world.respond(invite, 183)
    assert world.take() == []
    world.run()
    world.respond(invite, 486)
    world.run()
    assert world.take() == [(0, "transaction failed: reset")]
    world.core.broken = None
    world.receive(world.asked("INVITE"), world.other_flow)
    assert world.take() == [(0, world.answered(486, "INVITE"))]
    assert world.core.flows[-1] == (world.other_flow if world.reliable else world.flow)
    refuse_and_confirm(world, invite)


@pytest.mark.parametrize("status", [200, 486])
def test_a_final_response_that_cannot_be_sent(world, status):
    """The user hears of it once; the transaction absorbs the INVITE until timer H or L
    (RFC 6026 7.1)."""
    invite = world.asked_in("INVITE")
    world.take()
    world.core.broken = "reset"
    world.respond(invite, status)
    world.run(31.999999)
    assert world.take() == [(0, "transaction failed: reset")]
    assert not invite.terminated
    world.run(1)
    assert world.take() == []


def test_a_response_from_within_transaction_failed(world):
    """The user may give the final response while it is told that a provisional was lost."""
    world.core.on["transaction failed: reset"] = lambda invite: world.respond(invite, 480)
    invite = world.asked_in("INVITE")
    world.core.broken = "reset"
    world.respond(invite, 180)
    world.run(40)
    assert world.log == [(0, "INVITE received"), (0, "transaction failed: reset")]
    assert invite.terminated


def test_a_2xx_finds_another_way_back(tcp):
    """The connection has ended: a new one is asked for, and used again (18.2.2)."""
    invite = tcp.asked_in("INVITE")
    tcp.respond(invite, 180)
    dead, send = tcp.flow, tcp.core.send

    def send_unless_dead(data, flow):
        if flow == dead:
            raise TransportError("ended")
        send(data, flow)

    tcp.core.send = send_unless_dead
    tcp.core.back = tcp.other_flow
    tcp.layer.flow_failed(dead, "ended")
    tcp.respond(invite, 200)
    tcp.run(1)
    invite.resend()
    assert tcp.log[1:] == [
        (0, tcp.answered(180, "INVITE")),
        (0, tcp.answered(200, "INVITE")),
        (1, tcp.answered(200, "INVITE")),
    ]
    assert tcp.core.flows == [dead, tcp.other_flow, tcp.other_flow]
    tcp.layer.flow_failed(tcp.other_flow, "refused")
    tcp.run(40)
    assert tcp.log[4:] == [(1, "transaction failed: refused")]


def test_another_way_back_after_the_2xx(tcp):
    """Also when the request has been dropped: its Via was kept (18.2.2)."""
    invite = tcp.asked_in("INVITE")
    tcp.respond(invite, 200)
    asked = []
    tcp.core.response_flow = lambda request, flow, force_rport=False: asked.append(request) or flow
    tcp.core.broken = "ended"
    invite.resend()
    assert [str(request.top_via) for request in asked] == [
        "SIP/2.0/TCP 127.0.0.2:5070;branch=z9hG4bKp"
    ]
    tcp.run(40)
    assert tcp.log[2:] == [(0, "transaction failed: ended")]


@pytest.mark.parametrize("status", [None, 180, 200, 486])
def test_the_flow_breaks(world, status):
    """A broken flow is no news to a server transaction until it has something to send
    (17.2.4)."""
    invite = world.asked_in("INVITE")
    if status is not None:
        world.respond(invite, status)
    world.take()
    world.layer.flow_failed(world.flow, "reset")
    world.run()
    assert world.take() == []
    refuse_and_confirm(world, invite)
    world.run(32)


def test_force_rport_reaches_the_way_back(udp):
    """What the screening said of the peer decides where the responses go (RFC 3581)."""
    asked = []

    def response_flow(request, flow, force_rport=False):
        asked.append(force_rport)
        return udp.other_flow

    udp.core.response_flow = response_flow
    udp.core.screened = Screened(identity="alice", force_rport=True)
    invite = udp.asked_in("INVITE")
    assert invite.screened.identity == "alice"
    udp.respond(invite, 486)
    assert invite.screened == Screened(force_rport=True)
    refuse_and_confirm(udp, invite)
    assert asked == [True]
    assert udp.core.flows == [udp.other_flow]


def test_what_it_still_holds(world):
    """``leftovers`` names the timers that are set; a finished transaction has dropped the
    request and says so."""
    invite = world.asked_in("INVITE")
    assert invite.leftovers() == ["timer_trying"]
    assert invite.request.method == "INVITE"
    world.respond(invite, 180)
    assert invite.leftovers() == []
    world.respond(invite, 486)
    assert invite.leftovers() == (["timer_h"] if world.reliable else ["timer_g", "timer_h"])
    with pytest.raises(StateError):
        _ = invite.request
    world.receive(world.asked("ACK", to="To: <sip:bob@127.0.0.2>;tag=b"))
    assert invite.leftovers() == ["timer_i"]
    world.run(5)
    assert invite.leftovers() == []


def test_a_response_that_forges_fields_changes_nothing(world):
    """A line end in a value is our own mistake: the call raises, the transaction waits on."""
    invite = world.asked_in("INVITE")
    with pytest.raises(StateError):
        invite.respond(compose.response(invite.request, 200, fields=[("X", "1\r\nY: 2")]))
    refuse_and_confirm(world, invite)
    assert invite.terminated
