"""The server side of other requests: RFC 3261 17.2.2 (figure 8)."""

import pytest

from softswitch.errors import StateError


def test_nothing_happens_before_the_user_responds(world):
    """Trying: no 100, no timer; the request is discarded when it comes again (17.2.2)."""
    bye = world.asked_in("BYE")
    assert world.clock.idle
    world.run(60)
    world.receive(world.asked("BYE"))
    assert world.take() == [(0, "BYE received")]
    world.respond(bye, 200)
    world.run(32)


def test_a_request_again_in_proceeding(world):
    """Proceeding: each provisional goes out, the last one again for each retransmission
    (17.2.2)."""
    bye = world.asked_in("BYE")
    world.respond(bye, 100)
    world.receive(world.asked("BYE"))
    world.respond(bye, 183)
    world.receive(world.asked("BYE"))
    assert world.log[1:] == [
        (0, world.answered(100, "BYE", tag="")),
        (0, world.answered(100, "BYE", tag="")),
        (0, world.answered(183, "BYE")),
        (0, world.answered(183, "BYE")),
    ]
    world.respond(bye, 200)
    world.run(32)


@pytest.mark.parametrize("provisional", [False, True])
def test_timer_j(world, provisional):
    """Completed: the same bytes for each retransmission, whatever else the user says, for 64*T1
    over UDP and 0 s over TCP; then the request would be a new one (17.2.2)."""
    bye = world.asked_in("BYE")
    if provisional:
        world.respond(bye, 100)
    world.run(0.25)
    world.take()
    world.respond(bye, 481)
    world.respond(bye, 200)
    world.respond(bye, 183)
    world.receive(world.asked("BYE"))
    again = [0.25, 0.25]
    if not world.reliable:
        world.run_to(32.249999)
        world.receive(world.asked("BYE"))
        again.append(32.249999)
        world.run_to(32.25)
    world.run()
    assert world.take() == [(at, world.answered(481, "BYE")) for at in again]
    world.receive(world.asked("BYE"))
    assert world.take() == [(world.now, "BYE received")]
    world.respond(world.core.received[-1], 481)
    world.run(32)


def test_a_response_from_within_request_received(world):
    """The user may respond while it is told."""
    world.core.on["BYE received"] = lambda transaction: world.respond(transaction, 200)
    world.receive(world.asked("BYE"))
    world.run(32)
    assert world.log == [(0, "BYE received"), (0, world.answered(200, "BYE"))]


@pytest.mark.parametrize("status", [100, 200])
def test_a_response_that_cannot_be_sent(world, status):
    """The user hears of it once, after ``respond`` has returned, and it is over (figure 8,
    17.2.4)."""
    bye = world.asked_in("BYE")
    world.take()
    world.core.broken = "reset"
    world.respond(bye, status)
    assert world.take() == []
    world.run()
    assert world.take() == [(0, "transaction failed: reset")]
    assert bye.terminated
    assert bye.leftovers() == []


def test_the_flow_breaks(world):
    """It is no news before there is something to send (17.2.4)."""
    bye = world.asked_in("BYE")
    world.layer.flow_failed(world.flow, "reset")
    world.run()
    world.respond(bye, 200)
    world.layer.flow_failed(world.flow, "reset")
    world.run(32)
    assert world.log == [(0, "BYE received"), (0, world.answered(200, "BYE"))]


def test_what_it_still_holds(udp):
    """``leftovers`` names the timer that is set; a finished transaction has dropped the
    request."""
    bye = udp.asked_in("BYE")
    assert bye.leftovers() == []
    assert not bye.answered
    udp.respond(bye, 200)
    assert bye.answered
    assert bye.leftovers() == ["timer_j"]
    with pytest.raises(StateError):
        _ = bye.request
    udp.run(32)
    assert bye.leftovers() == []


def test_adopted_after_its_end(world):
    """A leg that comes too late holds nothing that could never be released."""
    world.receive(world.asked("BYE"))
    bye = world.core.received[0]
    world.respond(bye, 200)
    world.run(32)
    bye.adopt(world.scope, world.core)
    assert world.scope.holding() == []
