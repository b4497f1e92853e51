"""The client side of other requests: RFC 3261 17.1.2 (figure 6)."""

import pytest

from softswitch.transaction.timers import Timers

EACH_TIMER_E = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)


def test_timer_e_doubles_up_to_t2_until_timer_f(udp):
    """Unanswered over UDP: intervals of 500 ms, 1 s, 2 s, 4 s, 4 s ...; the user hears of it
    once, at 64*T1 (17.1.2.2)."""
    udp.send("BYE")
    udp.run(100)
    assert udp.log == [(at, udp.sent("BYE")) for at in (0, *EACH_TIMER_E)] + [(32.0, "timed out")]


def test_timer_f_over_a_reliable_transport(tcp):
    """Unanswered over TCP: sent once, no timer E; timed out at 64*T1 (17.1.2.2)."""
    tcp.send("BYE")
    tcp.run(100)
    assert tcp.log == [(0, tcp.sent("BYE")), (32.0, "timed out")]


def test_timers_e_and_f_follow_t1_and_t2(make_world):
    """Both scale: T1 of 1 s and T2 of 2 s (17.1.2.2)."""
    world = make_world("UDP", Timers(t1=1.0, t2=2.0))
    world.send("BYE")
    world.run(100)
    assert [at for at, _ in world.log] == [0, *range(1, 64, 2), 64]


def test_a_response_after_timer_f_is_stray(world):
    """Terminated at 64*T1, it is destroyed (17.1.2.2)."""
    world.send("BYE")
    world.run(32)
    world.take()
    world.receive(world.answer(200, "BYE"))
    assert world.take() == [(32, "stray 200")]


def test_in_proceeding_timer_e_is_t2(udp):
    """After a provisional the timer E that runs fires once more, and from then on each T2;
    timer F goes on (17.1.2.2)."""
    udp.send("BYE")
    udp.run(0.6)
    udp.take()
    udp.receive(udp.answer(100, "BYE"))
    udp.receive(udp.answer(100, "BYE"))
    udp.run(100)
    assert udp.take() == [
        (0.6, "100"),
        (0.6, "100"),
        *((at, udp.sent("BYE")) for at in (1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5)),
        (32, "timed out"),
    ]


def test_in_proceeding_over_a_reliable_transport(tcp):
    """Nothing is sent again; timer F goes on (figure 6)."""
    tcp.send("BYE")
    tcp.receive(tcp.answer(100, "BYE"))
    tcp.run(100)
    assert tcp.log == [(0, tcp.sent("BYE")), (0, "100"), (32, "timed out")]


@pytest.mark.parametrize("provisional", [False, True])
@pytest.mark.parametrize("status", [200, 481])
def test_timer_k(world, status, provisional):
    """The final response goes up once; Completed absorbs what comes again for T4 over UDP, for
    0 s over TCP (17.1.2.2)."""
    world.send("BYE")
    if provisional:
        world.receive(world.answer(100, "BYE"))
    world.run(0.25)
    world.take()
    world.receive(world.answer(status, "BYE"))
    world.receive(world.answer(status, "BYE"))
    world.receive(world.answer(100, "BYE"))
    if not world.reliable:
        world.run_to(5.249999)
        world.receive(world.answer(status, "BYE"))
        world.run_to(5.25)
    world.run()
    assert world.take() == [(0.25, str(status))]
    world.receive(world.answer(status, "BYE"))
    assert world.take() == [(world.now, f"stray {status}")]


def test_responses_are_matched_by_branch_and_method(world):
    """Two requests at once each get their own; the right branch with another CSeq method matches
    nothing (17.1.3)."""
    first, second = world.send("OPTIONS"), world.send("OPTIONS")
    heard = []
    world.core.on["200"] = heard.append
    world.receive(world.answer(200, "OPTIONS", branch=2))
    world.receive(world.answer(200, "BYE", branch=1))
    world.receive(world.answer(200, "OPTIONS", branch=1))
    assert heard == [second, first]
    assert [entry for entry in world.take() if entry[1] == "stray 200"] == [(0, "stray 200")]
    world.run(5)


def test_sending_on_a_dead_flow_is_told_once_and_later(world):
    """Told when ``send_request`` has returned; nothing more happens (17.1.4)."""
    world.core.broken = "no route"
    transaction = world.send("BYE")
    assert not transaction.terminated
    world.run(40)
    assert world.log == [(0, "transport failed: no route")]


def test_an_answer_from_within_send_request(world):
    """A loop network may bring the answer before ``send_request`` has returned."""
    send = world.core.send

    def answered_at_once(data, flow):
        send(data, flow)
        world.receive(world.answer(200, "BYE"))

    world.core.send = answered_at_once
    world.send("BYE")
    world.run(5)
    assert world.log == [(0, world.sent("BYE")), (0, "200")]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, [(1, "transport failed: reset")]),
        (100, [(1, "transport failed: reset")]),
        (200, []),
    ],
)
def test_the_flow_breaks(world, status, told):
    """Trying and Proceeding hear of it, once; Completed has nothing to lose (figure 6)."""
    world.send("BYE")
    if status is not None:
        world.receive(world.answer(status, "BYE"))
    world.run(1)
    world.take()
    world.layer.flow_failed(world.other_flow, "reset")
    world.layer.flow_failed(world.flow, "reset")
    world.layer.flow_failed(world.flow, "reset")
    world.run(40)
    assert world.take() == told


def test_a_final_response_in_the_same_instant_as_a_broken_flow(world):
    """The response that was read before the break is told counts."""
    world.send("BYE")
    world.take()
    world.layer.flow_failed(world.flow, "reset")
    world.receive(world.answer(200, "BYE"))
    world.run(5)
    assert world.take() == [(0, "200")]


def test_what_it_still_holds(udp):
    """``leftovers`` names the timers that are set; a finished one keeps no bytes and no user."""
    transaction = udp.send("BYE")
    assert transaction.leftovers() == ["timer_e", "timer_f"]
    udp.receive(udp.answer(200, "BYE"))
    assert transaction.leftovers() == ["timer_k"]
    assert transaction._data == b""
    assert transaction.user is not udp.core
    udp.run(5)
    assert transaction.leftovers() == []
