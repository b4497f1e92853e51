"""The version of the plug-in interfaces: what it promises is held here."""

from inspect import signature

import attrs
import pytest
from zope.interface.interface import Method

from softswitch.plugin import decisions, interfaces, media, views
from softswitch.plugin.version import API, mismatch

#: What a plug-in of version 1.0 counts on: each method of an interface, and its arguments.
METHODS = {
    "IAdmissionPolicy": {"admit": "(request)"},
    "IRouter": {"route": "(invite)"},
    "IRegistrationPolicy": {"register": "(request)"},
    "IRedirectPolicy": {"redirected": "(call, contacts)"},
    "ICallObserver": {
        "call_started": "(record)",
        "call_ringing": "(record)",
        "call_answered": "(record)",
        "call_ended": "(record)",
    },
    "IUserDirectory": {"find": "(name)"},
    "IBindingStore": {"load": "()", "save": "(aor, bindings)"},
    "IMediaEngine": {
        "ask": "(question, tell)",
        "drop": "(session, leg)",
        "release": "(session)",
        "ports_in_use": "(session, leg='')",
        "stop": "()",
    },
}

#: The fields of its decisions, in their order; more may follow, each with a default.
FIELDS = {
    "Allow": ("identity",),
    "Challenge": ("realm", "stale", "algorithms"),
    "Reject": ("status", "reason", "headers"),
    "Target": (
        *("uri", "ring_seconds", "group", "q", "trunk", "headers", "flow", "call_to", "dialog"),
    ),
    "Route": ("targets", "dialog", "forward", "diversions"),
    "Proxy": ("targets", "record_route"),
    "Redirect": ("contacts", "status"),
    "Accept": ("max_expires", "min_expires", "max_contacts"),
    "Follow": ("targets",),
    "PassOn": (),
    "Diversion": ("by", "reason"),
}

#: Those of its decisions' fields that must be given.
REQUIRED = {
    "Allow": 1,
    "Reject": 1,
    "Target": 1,
    "Route": 1,
    "Proxy": 1,
    "Redirect": 1,
    "Follow": 1,
    "Diversion": 1,
}

#: What it may ask the house.
HOUSE = (
    *("domain", "realm", "now", "is_ours", "find_user", "locate", "trunk", "trunk_at"),
    "authenticate",
)

#: What a request shows it.
REQUEST = (
    *("method", "uri", "from_", "to", "call_id", "body", "header", "headers", "source"),
    "identity",
)


def test_this_is_the_version_that_is_described_here():
    """Whoever adds something raises the minor version; whoever takes something away or gives it
    another meaning, the major one, and writes the tables of this file anew."""
    assert API.split(".")[0] == "1"


@pytest.mark.parametrize("name", METHODS)
def test_an_interface_asks_as_it_did(name):
    """The methods of version 1.0 are there, with their arguments."""
    interface = getattr(media if name == "IMediaEngine" else interfaces, name)
    found = {
        method: interface[method].getSignatureString()
        for method in interface.names()
        if isinstance(interface[method], Method)
    }
    assert METHODS[name].items() <= found.items()


@pytest.mark.parametrize("name", FIELDS)
def test_a_decision_is_made_as_it_was(name):
    """Its fields stand in their places, and what need not be given need not be."""
    fields = attrs.fields(getattr(decisions, name))
    assert tuple(field.name for field in fields)[: len(FIELDS[name])] == FIELDS[name]
    required = [field.name for field in fields if field.default is attrs.NOTHING]
    assert len(required) == REQUIRED.get(name, 0)


def test_the_house_and_a_request_offer_what_they_did():
    """Nothing of it has gone; a method takes what it took."""
    for name in HOUSE:
        assert hasattr(views.House, name), name
    for name in REQUEST:
        assert hasattr(views.RequestView, name), name
    assert list(signature(views.House.locate).parameters) == ["self", "user", "domain"]
    assert list(signature(views.House.is_ours).parameters) == ["self", "host", "port"]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("", ""),
        (API, ""),
        ("1.0", ""),
        ("1.999", "is written for plug-in API 1.999, and this switch has 1.0: update the switch"),
        ("2.0", "is written for plug-in API 2.0, and this switch has 1.0: update the switch"),
        ("0.9", "is written for plug-in API 0.9, and this switch has 1.0: update the plug-in"),
        ("1", "api: a version such as '1.0' is wanted, not '1'"),
        ("1.0.0", "api: a version such as '1.0' is wanted, not '1.0.0'"),
        ("one", "api: a version such as '1.0' is wanted, not 'one'"),
    ],
)
def test_a_plug_in_runs_where_its_version_is_kept(wanted, why):
    """The same major version, and a minor one that is not newer; else it is said what to update."""
    assert mismatch(wanted) == why.replace("has 1.0", f"has {API}").replace(
        "'1.0' is", f"'{API}' is"
    )
