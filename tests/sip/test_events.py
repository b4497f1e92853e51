"""What Event and Subscription-State say."""

import pytest

from softswitch.errors import SipSyntaxError
from softswitch.sip.events import SubscriptionState, event_of
from softswitch.sip.message import Request


def notify(*fields):
    """A NOTIFY with these fields."""
    return Request("NOTIFY", "sip:a@b", list(fields))


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("active", SubscriptionState("active")),
        ("Active ; expires = 60", SubscriptionState("active", 60)),
        ("pending;expires=0", SubscriptionState("pending", 0)),
        (
            "terminated;reason=Probation;retry-after=30",
            SubscriptionState("terminated", None, "probation", 30),
        ),
        ("flying;colour=red", SubscriptionState("flying")),
    ],
)
def test_subscription_state(value, state):
    """State and reason in lower case, times in seconds; what is not known is no matter (8.2.3)."""
    assert SubscriptionState.of(notify(("Subscription-State", value))) == state
    assert SubscriptionState.of(notify(("Subscription-State", str(state)))) == state


@pytest.mark.parametrize("value", ["", ";expires=60", "active;expires=soon", "active;;", "a;b;b"])
def test_a_subscription_state_that_cannot_be_read(value):
    """400 names the field."""
    with pytest.raises(SipSyntaxError) as error:
        SubscriptionState.of(notify(("Subscription-State", value)))
    assert error.value.header == "Subscription-State"


def test_none_at_all():
    """Both fields are mandatory (RFC 6665 8.2)."""
    with pytest.raises(SipSyntaxError):
        SubscriptionState.of(notify())
    with pytest.raises(SipSyntaxError):
        event_of(notify())


@pytest.mark.parametrize(
    ("value", "event"),
    [
        ("presence", ("presence", "")),
        ("presence.winfo ;id=7", ("presence.winfo", "7")),
        ("check-sync;reboot=true", ("check-sync", "")),
    ],
)
def test_event(value, event):
    """Package and "id" alone tell subscriptions apart (8.2.1)."""
    assert event_of(notify(("Event", value))) == event


@pytest.mark.parametrize("value", ["", ";id=7", "presence;;"])
def test_an_event_that_cannot_be_read(value):
    """400 names the field."""
    with pytest.raises(SipSyntaxError) as error:
        event_of(notify(("Event", value)))
    assert error.value.header == "Event"
