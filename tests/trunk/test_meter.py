"""The counters of one account, by themselves."""

import attrs

from softswitch.plugin.tolls import TollLimits
from softswitch.trunk.meter import KNOWN, Meter


def test_a_gateway_is_counted_in_bounded_memory():
    """Whoever has no limit of new destinations may call any number of them, and each call costs the
    same; what is written down stays small."""
    meter = Meter(limits=TollLimits(calls=1000))
    for number in range(20_000):
        now = number / 100
        assert meter.broken("call", str(number), False, now) == ("", False)
        meter.count(str(number), now)
    assert max(len(meter.begun), len(meter.fresh)) <= KNOWN + 1
    assert {len(each) for each in meter.plain(now).values() if isinstance(each, list)} <= {0, KNOWN}


def test_a_limit_is_counted_to_its_end():
    """However great it is; and what is an hour old counts no more."""
    limits = TollLimits(per_minute=0, new_per_hour=KNOWN * 2)
    meter = Meter(limits=limits)
    for number in range(KNOWN * 2):
        assert meter.broken("call", str(number), False, 10.0) == ("", False)
        meter.count(str(number), 10.0)
    assert meter.broken("call", "x", False, 3609.0)[0] == f"new_per_hour {KNOWN * 2}"
    assert meter.broken("call", "x", False, 3611.0) == ("", False)
    meter.limits = attrs.evolve(limits, per_minute=KNOWN * 3)
    for _ in range(KNOWN * 3):
        meter.count("x", 5000.0)
    assert meter.broken("call", "x", False, 5059.0)[0] == f"per_minute {KNOWN * 3}"
    assert meter.broken("call", "x", False, 5061.0) == ("", False)
