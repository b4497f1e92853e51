"""Which decisions can be acted upon."""

from math import inf, nan

import attrs
import pytest

from softswitch.flow import Flow
from softswitch.plugin.decisions import (
    Accept,
    Allow,
    Challenge,
    Diversion,
    Follow,
    Front,
    PassOn,
    Proxy,
    Redirect,
    Reject,
    Route,
    Target,
)
from softswitch.plugin.profile import RESERVED
from softswitch.plugin.views import Identity
from softswitch.policy.checks import FORWARDINGS, fault

FLOW = Flow("lan", "TCP", "127.0.0.1", 5060, "127.0.0.2", 5062, 1)
URI = "sip:bob@10.0.0.1"


@pytest.mark.parametrize(
    "sound",
    [
        Allow(Identity("peer", "x")),
        Challenge(),
        Challenge("realm", True, ("SHA-256", "MD5")),
        Reject(400),
        Reject(603, "Nein", {"X-Why": "é", "Retry-After": "5"}),
        Route([]),
        Proxy([]),
        Route([URI], forward={"busy": Route([], diversions=[Diversion(URI)])}),
        Route([URI, "sips:a@[2001:db8::1]:5061;transport=tcp", "tel:+44-123"]),
        Route([Target(URI, 20, 1, 0.5, None, {"Alert-Info": "<urn:x>"}, FLOW, "sip:bob@x")]),
        Route([URI], dialog={"refer": "relay", "crossing": ["Subject", "X-*"]}),
        Route([Target(URI, route=["<sip:edge.example;lr>", "Core <sip:core.example>"])]),
        Route([Target(URI, dialog={"wants": {"profile": "webrtc", "transcode": ["opus"]}})]),
        Route([Target(URI, dialog={"min_se": 120, "session_expires": 240, "trusted": True})]),
        Route(
            [URI],
            forward={
                "busy": Route([URI], diversions=[Diversion("sip:bob@x", "user-busy")]),
                "no_answer": Route([URI], diversions=[Diversion("tel:+44", "no-answer")]),
            },
            diversions=[Diversion("sip:alice@x")],
        ),
        Proxy([URI]),
        Proxy([Target(URI, 20, 1, 0.5, None, {"X-Why": "a"}, FLOW)], False),
        Follow([URI]),
        PassOn(),
        Redirect([URI, "mailto:bob@example.org"], 380),
        Accept(),
        Accept(1, 0, 1),
    ],
)
def test_sound(sound):
    """What a policy may say."""
    assert fault(sound) == ""


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        URI,
        Target(URI),
        Allow("alice"),
        Allow(Identity("user", 7)),
        Challenge('re"alm'),
        Challenge("re\r\nalm"),
        Challenge(algorithms=("ROT13",)),
        Reject(200),
        Reject(302),
        Reject(700),
        Reject("403"),
        Reject(True),
        Reject(403, "No\r\nVia: x"),
        Reject(403, headers={"X": 1}),
        Reject(403, headers=[("X", "1")]),
        Proxy(["bob"]),
        Route([""]),
        Route(["bob"]),
        Route(["sip:"]),
        Route(["http://example.org"]),
        Route([URI + "\r\nX: y"]),
        Route([URI, Target("sip:a b@c")]),
        Route([Target(7)]),
        Route([Target(URI, route=["<sip:a b>"])]),
        Route([Target(URI, route=["<tel:+1>"])]),
        Route([Target(URI, route=[7])]),
        Route([Target(URI, route=["<sip:a;lr>\r\nVia: x"])]),
        Route([Target(URI, ring_seconds=0)]),
        Route([Target(URI, ring_seconds=nan)]),
        Route([Target(URI, ring_seconds=inf)]),
        Route([Target(URI, ring_seconds="20")]),
        Route([Target(URI, group="1")]),
        Route([Target(URI, q=1.1)]),
        Route([Target(URI, q=True)]),
        Route([Target(URI, flow=("127.0.0.1", 5060))]),
        Route([Target(URI, call_to="bob")]),
        Route([URI], dialog={"refers": "relay"}),
        Route([URI], dialog={"wants": "webrtc"}),
        Route([URI], dialog={"wants": {"profile": "vp8"}}),
        Route([URI], dialog={"wants": {"keys": "tones"}}),
        Route([URI], dialog={"refer": "drop"}),
        Route([URI], dialog={"refer": ["relay"]}),
        Route([URI], dialog={"trusted": {}}),
        Route([URI], dialog=["refer"]),
        Route([Target(URI, dialog={"min_se": 1})]),
        Route([Target(URI, dialog={"crossing": "Subject"})]),
        Route([URI], forward={"bored": Route([URI], diversions=[Diversion(URI)])}),
        Route([URI], forward={"busy": URI}),
        Route([URI], forward={"busy": Route([URI])}),
        Route([URI], forward={"busy": Route(["bob"], diversions=[Diversion(URI)])}),
        Route([URI], forward=[URI]),
        Route([URI], diversions=[URI]),
        Route([URI], diversions=[Diversion("bob")]),
        Route([URI], diversions=[Diversion(URI, "bored")]),
        Route([URI], diversions=[Diversion(URI)] * (FORWARDINGS + 1)),
        Follow([]),
        Redirect([]),
        Redirect(["bob"]),
        Redirect([URI], 200),
        Redirect([URI], 400),
        Accept(0),
        Accept(10, 60),
        Accept(3600.0),
        Accept(max_contacts=0),
    ],
)
def test_rubbish(rubbish):
    """What would break a message, or means nothing."""
    assert fault(rubbish) != ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in sorted(RESERVED)),
        ("v", "SIP/2.0/UDP evil"),
        ("CALL-ID", "x"),
        ("m", "<sip:x@y>"),
        ("l", "0"),
        ("", "x"),
        ("X Y", "x"),
        ("X:", "x"),
        ("X\r\nVia", "x"),
        ("X-Fine", "a\r\nVia: b"),
        ("X-Fine", "a\nb"),
        ("X-Fine", "a\rb"),
        ("X-Fine", "a\0b"),
        ("X-Fine", "\ud800"),
        ("X-Fine", b"bytes"),
        ("X-Fine", None),
    ],
)
def test_headers_that_a_policy_may_not_add(name, value):
    """Fields that keep the protocol right, in any spelling, and whatever would forge a field."""
    assert fault(Route([Target(URI, headers={name: value})])) != ""
    assert fault(Reject(486, headers={name: value})) != ""


def test_the_name_of_a_trunk():
    """Checked where the trunks are known."""
    route = Route([Target(URI, trunk="carrier")])
    assert fault(route) == fault(route, {"carrier"}.__contains__) == ""
    assert fault(route, {"other"}.__contains__) == "no trunk 'carrier'"


def test_a_cell_that_nobody_knows_is_named():
    """With what would be right, as in the configuration (issue 3)."""
    wrong = fault(Route([Target(URI, dialog={"refers": "relay"})]))
    assert wrong == "dialog: refers: no such key; did you mean refer?"


def test_a_registrar_wants_a_trunk():
    """What is passed on to a PBX is known by the PBX's trunk, and asks for what can be had."""
    sound = Front([Target(URI, trunk="pbx")])
    assert fault(sound) == fault(sound, {"pbx"}.__contains__) == ""
    assert fault(sound, {"other"}.__contains__) == "no trunk 'pbx'"
    assert fault(Front([])) == "no targets"
    assert fault(Front([URI])) == "a registrar's target wants a trunk"
    assert fault(attrs.evolve(sound, ask=0)) == "unfit ask"
    assert fault(attrs.evolve(sound, domain="a b")) == "unfit domain"
    assert fault(attrs.evolve(sound, path="perhaps")) == "unfit path 'perhaps'"
    assert fault(attrs.evolve(sound, max_expires=0)) == "unfit max_expires"


def forwarded(times):
    """A route that is forwarded so often, each time because somebody is busy."""
    who = [Diversion(URI, "user-busy")]
    if times == 1:
        return Route([URI], diversions=who)
    return Route([URI], diversions=who, forward={"busy": forwarded(times - 1)})


def test_a_call_is_not_forwarded_for_ever():
    """Five times at most, whatever the way (issue 3)."""
    assert fault(forwarded(FORWARDINGS)) == ""
    assert fault(forwarded(FORWARDINGS + 1)) == "forwarded more than 5 times"
