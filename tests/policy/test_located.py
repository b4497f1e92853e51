"""Calls to registered users."""

import pytest

from softswitch.flow import Flow
from softswitch.plugin.decisions import Reject, Route, Target, steps
from softswitch.plugin.views import BindingView, User
from softswitch.policy.located import Located

DESK = Flow("lan", "TCP", "127.0.0.1", 5060, "127.0.0.3", 40000, 7)
CELL = Flow("lan", "UDP", "127.0.0.1", 5060, "127.0.0.4", 5060)


@pytest.fixture
def located(house):
    """Rings 20 s."""
    policy = Located(ring_seconds=20)
    policy.start(house)
    return policy


def test_a_registered_user_is_rung_on_every_contact(house, located, view):
    """By descending q, those of one q at once, each on the flow on which it registered, To
    being the user's address of record (RFC 3261 16.5, 16.6)."""
    bindings = [
        BindingView("bob@example.org", "sip:bob@192.168.1.5:40000;transport=tcp", DESK, 1.0),
        BindingView("bob@example.org", "sip:bob@10.0.0.9", CELL, 0.5),
        BindingView("bob@example.org", "sip:b@10.0.0.8", None, 0.5),
    ]
    house.bindings["bob"] = bindings
    route = located.route(view("sip:bob@127.0.0.1:5060;x=y"))
    assert route.targets == tuple(
        Target(
            binding.contact,
            20,
            group,
            binding.q,
            flow=binding.flow,
            call_to="sip:bob@example.org",
        )
        for binding, group in zip(bindings, (1, 2, 2), strict=True)
    )
    assert [len(step) for step in steps(route.targets)] == [1, 2]


def test_not_registered_is_unavailable(located, view):
    """A known user without a contact: 480 (RFC 3261 21.4.18)."""
    assert located.route(view("sip:bob@example.org")) == Reject(480)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:carol@example.org",
        "sip:bob@example.com",
        "sip:bob@example.org:5080",
        "sip:example.org",
        "tel:+44123",
    ],
)
def test_others_are_left_to_the_next_policy(located, view, uri):
    """Unknown names, other domains, another port on our address, no name at all."""
    assert located.route(view(uri)) is None


def test_a_user_is_dialled_by_tel_uri(house, located, view):
    """A TEL URI belongs to whom it was sent (RFC 3966)."""
    house.users["100"] = User("100")
    house.bindings["100"] = [BindingView("100@example.org", "sip:x@y", None)]
    assert isinstance(located.route(view("tel:100")), Route)


def test_any_name_makes_a_sound_address(house, located, view):
    """A name with characters that a URI may not hold is escaped in the To."""
    house.users["50%"] = User("50%")
    house.bindings["50%"] = [BindingView("50%@example.org", "sip:x@y", None)]
    (target,) = located.route(view("sip:50%25@example.org")).targets
    assert target.call_to == "sip:50%25@example.org"
