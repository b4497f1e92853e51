"""How a peer is treated, and which header fields cross to it."""

import pickle

import pytest

from softswitch.plain import from_plain, to_plain
from softswitch.plugin.profile import CROSSING, DEFAULT, RESERVED, RULED, Crossing, Profile


def test_a_cell_may_be_overridden():
    """A policy's table changes just what it names; none changes nothing (issue 3)."""
    assert DEFAULT.changed({}) is DEFAULT
    assert DEFAULT.changed({"refer": "relay"}) == Profile(refer="relay")
    changed = DEFAULT.changed({"crossing": ("Subject",)})
    assert changed.crosses["Subject"]
    assert not changed.crosses["Reason"]
    with pytest.raises(TypeError):
        DEFAULT.changed({"refers": "relay"})
    with pytest.raises(ValueError, match="min_se"):
        DEFAULT.changed({"min_se": 1})


def test_what_crosses_by_default():
    """The issue's list, and every X- field in any spelling."""
    crosses = DEFAULT.crosses
    for name in (*CROSSING, "X-Account", "x-account", "X-"):
        assert crosses[name]
    for name in ("User-Agent", "Via", "Organization", "P-Asserted-Identity", "Xylophone", ""):
        assert not crosses[name]


def test_names_are_compared_without_case():
    """RFC 3261 7.3.1; a compact form stands for its name."""
    crosses = Crossing(["s", "p-charging-*", "mine"])
    for name in ("Subject", "P-Charging-Vector", "P-CHARGING-X", "Mine"):
        assert crosses[name]
    assert not crosses["P-Early-Media"]


def test_no_pattern_reaches_what_has_a_rule_of_its_own():
    """Not even "*": the dialog's own fields, those that describe a body, and those that name
    somebody."""
    crosses = Crossing(["*"])
    assert crosses["Organization"]
    for name in RESERVED | RULED:
        assert not crosses[name]
        assert not crosses[name.upper()]


def test_no_stranger_fills_the_memory():
    """Only so many names are remembered; the others are found out again."""
    crosses = Crossing(["X-*"])
    for number in range(3 * Crossing.LIMIT):
        assert crosses[f"X-{number}"]
        assert not crosses[f"Y-{number}"]
    assert len(crosses) == Crossing.LIMIT


def test_a_profile_is_plain_data():
    """It can stand in what a leg knows."""
    profile = Profile(crossing=("Subject",), trusted=True)
    assert from_plain(Profile, to_plain(profile)) == profile
    assert "crosses" not in to_plain(profile)
    assert hash(profile) == hash(pickle.loads(pickle.dumps(profile)))
