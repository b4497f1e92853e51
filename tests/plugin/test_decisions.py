"""What a policy may decide, and what it sees."""

import json

from softswitch.flow import Flow
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.decisions import Diversion, Follow, Redirect, Route, Target, steps
from softswitch.plugin.views import Identity, RequestView
from softswitch.sip.message import Request


def test_a_plain_uri_is_a_target():
    """A URI stands for a Target with defaults, one alone for a list of one."""
    target = Target("sip:a@x")
    assert Route(["sip:a@x", target]).targets == (target, target)
    assert Route("sip:a@x") == Route([target]) == Route(target)
    assert Follow("sip:a@x").targets == (target,)
    assert Redirect("sip:a@x").contacts == Redirect(["sip:a@x"]).contacts == ("sip:a@x",)


def test_targets_ring_in_turn_unless_they_share_a_group():
    """In the order given; higher q first; neighbours of one group other than 0 at once."""
    a, b = Target("sip:a@x"), Target("sip:b@x")
    c, d = Target("sip:c@x", group=1, q=0.5), Target("sip:d@x", group=1, q=0.5)
    assert steps([c, a, b, d]) == [[a], [b], [c, d]]
    assert steps([]) == []


def test_a_route_is_plain_data():
    """So that a hunt can keep what is to come: overridden cells and forwarding too."""
    route = Route(
        [Target("sip:a@x", dialog={"crossing": ["Subject"], "trusted": True})],
        dialog={"min_se": 120},
        forward={"busy": Route(["sip:b@x"], diversions=[Diversion("sip:a@x", "user-busy")])},
    )
    plain = to_plain(route)
    rebuilt = from_plain(Route, json.loads(json.dumps(plain)))
    assert rebuilt == route
    assert to_plain(rebuilt) == plain


def test_a_view_reads_any_spelling_of_a_field():
    """Compact, lower-case and unknown names are one field each (RFC 3261 7.3.1, 7.3.3)."""
    flow = Flow("lan", "UDP", "127.0.0.1", 5060, "127.0.0.2", 5062)
    fields = [
        ("From", "<sip:a@x>;tag=1"),
        ("To", "<sip:b@x>"),
        ("Call-ID", "c"),
        ("Subject", "one"),
        ("X-Thing", "1"),
        ("x-thing", "2"),
    ]
    view = RequestView(Request("INVITE", "sip:b@x", fields, b"body"), flow, Identity("user", "a"))
    assert view.header("s") == view.header("SUBJECT") == "one"
    assert view.headers("X-THING") == ["1", "2"]
    assert view.header("Date") is None
    assert (view.method, str(view.uri), view.call_id, view.body) == (
        "INVITE",
        "sip:b@x",
        "c",
        b"body",
    )
    assert (view.from_.uri.user, view.to.uri.user) == ("a", "b")
