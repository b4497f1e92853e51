"""A phone that has registered over two flows (RFC 5626) is called over one, and over the other
where that one is open but dead."""

import pytest

from softswitch.testing.stage import Stage

INSTANCE = '"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
OUTBOUND = [("Supported", "outbound")]


def flow(stage, number, host, transport="WS"):
    """A flow of bob's phone, registered; on the ladder, a phone of its own."""
    phone = stage.phone("bob", host=host, transport=transport, register=False)
    phone.private = f"{phone.contact};+sip.instance={INSTANCE};reg-id={number}"
    assert phone.register(fields=OUTBOUND) == 200
    stage.run(1)
    return phone


def two_flows(stage, transport="WS"):
    """The one that is called, which is the newer, and the other."""
    other = flow(stage, 1, "127.88.0.61", transport)
    return flow(stage, 2, "127.88.0.62", transport), other


@pytest.mark.parametrize("transport", ["WS", "TCP", "UDP"])
def test_a_dead_flow_is_left_for_the_other(transport):
    """Open, and nothing is heard, not even a 100, within try_seconds: the phone is called over its
    other flow, once. The caller hears of nothing but that it rings."""
    with Stage() as stage:
        alice = stage.phone("alice")
        dead, other = two_flows(stage, transport)
        dead.silent = True
        begun = stage.clock.seconds()
        call = alice.call("bob")
        stage.run(3.9)
        assert other.times("INVITE") == []
        stage.run(0.2)
        assert other.times("INVITE") == [pytest.approx(begun + 4, abs=0.1)]
        other.ring()
        other.answer()
        assert call.statuses == [180, 200]
        alice.hang_up()
        (record,) = stage.records
        assert [attempt.status for attempt in record.attempts] == [408, 200]


def test_who_answers_is_not_rung_twice():
    """It is one phone: its refusal is its user's, whatever flow it came over (RFC 5626 6)."""
    with Stage() as stage:
        alice = stage.phone("alice")
        phone, other = two_flows(stage)
        for status in (486, 503):
            call = alice.call("bob")
            phone.refuse(status)
            assert call.statuses[-1] in (486, 500)
        assert other.times("INVITE") == []


def test_who_rings_for_long_is_not_rung_again():
    """It was heard: nobody has picked up."""
    with Stage("[switch]\nring_seconds = 20") as stage:
        alice = stage.phone("alice")
        phone, other = two_flows(stage)
        call = alice.call("bob")
        phone.ring()
        stage.run(30)
        assert call.statuses == [180, 480]
        assert other.times("INVITE") == []


def test_a_flow_of_which_a_proxy_says_that_it_has_failed():
    """430 Flow Failed (RFC 5626 11.6): it is the other's turn at once."""
    with Stage() as stage:
        alice = stage.phone("alice")
        phone, other = two_flows(stage)
        call = alice.call("bob")
        phone.refuse(430)
        other.refuse(486)
        assert call.statuses == [486]


def test_both_dead():
    """The caller hears what he hears of a phone that is dead."""
    with Stage() as stage:
        alice = stage.phone("alice")
        for phone in two_flows(stage):
            phone.silent = True
        call = alice.call("bob")
        stage.run(7.9)
        assert call.statuses == []
        stage.run(0.2)
        assert call.statuses == [408]


def test_a_flow_whose_connection_is_closed_is_not_called_at_all():
    """Its binding is unreachable at once; there is nothing to wait for."""
    with Stage() as stage:
        alice = stage.phone("alice")
        phone, other = two_flows(stage)
        phone.endpoint.close()
        stage.run(1)
        alice.call("bob")
        assert len(other.times("INVITE")) == 1
        other.refuse(486)
