"""Calls from a carrier, by who calls."""

import pytest

from softswitch.errors import ConfigError

CONFIG = "screening.toml"


@pytest.mark.parametrize(
    ("number", "statuses"),
    [
        ("+442012345", [180, 200]),
        ("+4490999", [603]),
        ("+4490123499", [180, 200]),
        ("+8821", [603]),
    ],
)
def test_a_number_passes_or_not(start_switch, number, statuses):
    switch = start_switch(CONFIG)
    alice, carrier = switch.phone("alice"), switch.trunk("carrier")
    alice.answers(180, 200)
    call = carrier.call("alice", caller=f"<sip:{number}@carrier.example>")
    switch.run(0)
    assert call.statuses == statuses
    if 200 in statuses:
        carrier.hang_up()


def test_the_carrier_knows_better_than_from(start_switch):
    """What it asserts is the number."""
    switch = start_switch(CONFIG)
    switch.phone("alice")
    carrier = switch.trunk("carrier")
    asserted = [("P-Asserted-Identity", "<sip:+4490999@carrier.example>")]
    call = carrier.call("alice", caller="<sip:+441@carrier.example>", fields=asserted)
    assert call.statuses == [603]


def test_who_shows_no_number_is_asked_for_a_name(start_switch):
    switch = start_switch(CONFIG)
    alice, carrier, machine = (
        switch.phone("alice"),
        switch.trunk("carrier"),
        switch.trunk("machine"),
    )
    machine.answers(200)
    call = carrier.call("alice", caller='"Anonymous" <sip:anonymous@anonymous.invalid>')
    switch.run(0)
    assert call.statuses == [200]
    assert machine.lines
    assert not alice.lines
    carrier.hang_up()


def test_users_of_ours_are_not_looked_at(start_switch):
    switch = start_switch(CONFIG)
    alice = switch.phone("alice")
    call = alice.call("nobody")
    assert call.statuses == [404]


def test_a_machine_that_is_not_there(start_switch):
    with pytest.raises(ConfigError, match="machine: a SIP URI is wanted"):
        start_switch('[[policy]]\nuse = "screening"\nanonymous = "ask"\n')
