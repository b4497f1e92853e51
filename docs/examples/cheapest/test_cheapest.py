"""Two carriers, one of them cheaper, or dead."""

import pytest

from softswitch.errors import ConfigError

CONFIG = "cheapest.toml"


@pytest.mark.parametrize(("number", "carrier"), [("+442012345", "alpha"), ("+447912345", "beta")])
def test_the_longest_prefix_has_the_price(start_switch, number, carrier):
    switch = start_switch(CONFIG)
    alice = switch.phone("alice")
    gateways = {name: switch.trunk(name) for name in ("alpha", "beta")}
    for gateway in gateways.values():
        gateway.answers(200)
    call = alice.call(number)
    switch.run(0)
    assert call.statuses == [200]
    assert {name for name, gateway in gateways.items() if gateway.lines} == {carrier}
    alice.hang_up()


@pytest.mark.parametrize("failure", ["refuses", "is dead"])
def test_the_next_carrier_takes_over(start_switch, failure):
    switch = start_switch(CONFIG)
    alice, alpha, beta = switch.phone("alice"), switch.trunk("alpha"), switch.trunk("beta")
    alpha.answers(503)
    alpha.silent = failure == "is dead"
    beta.answers(180, 200)
    call = alice.call("+442012345")
    switch.run(5)
    assert call.statuses == [180, 200]
    alice.hang_up()


def test_busy_is_busy(start_switch):
    switch = start_switch(CONFIG)
    alice, alpha, beta = switch.phone("alice"), switch.trunk("alpha"), switch.trunk("beta")
    alpha.answers(486)
    call = alice.call("+442012345")
    switch.run(0)
    assert call.statuses == [486]
    assert not beta.lines


@pytest.mark.parametrize(("number", "status"), [("+88212345", 403), ("123", 404)])
def test_too_dear_or_unknown(start_switch, number, status):
    switch = start_switch(CONFIG)
    assert switch.phone("alice").call(number).statuses == [status]


def test_a_price_for_nobody(start_switch):
    table = '[[policy]]\nuse = "cheapest"\nprices."+44" = { gamma = 1.0 }\n'
    with pytest.raises(ConfigError, match=r"there is no \[trunks.gamma\]"):
        start_switch(table)
