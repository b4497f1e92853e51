"""The answering service after hours, the office before."""

from datetime import datetime

import pytest


@pytest.mark.parametrize("hour", [7, 18, 23])
def test_after_hours_the_answering_service_rings(start_switch, hour):
    switch = start_switch("night.toml", at=datetime(2026, 3, 2, hour))
    alice, office, service = switch.phone("alice"), switch.phone("100"), switch.trunk("answering")
    service.answers(180, 200)
    call = alice.call("100")
    switch.run(0)
    assert call.statuses == [180, 200]
    assert not office.lines
    alice.hang_up()


@pytest.mark.parametrize("hour", [8, 17])
def test_in_office_hours_the_office_rings(start_switch, hour):
    switch = start_switch("night.toml", at=datetime(2026, 3, 2, hour))
    alice, office = switch.phone("alice"), switch.phone("100")
    office.answers(180, 200)
    call = alice.call("100")
    switch.run(0)
    assert call.statuses == [180, 200]
    office.hang_up()
