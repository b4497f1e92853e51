"""Worlds for random calls: what wires, media engine, peers and phones are like. Pure.

And the choices that ``chaos`` has: statuses, methods, session descriptions, targets.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from softswitch.plugin.decisions import Proxy, Reject, Target
from softswitch.plugin.interfaces import IAdmissionPolicy, IRouter
from softswitch.plugin.views import InviteView, RequestView
from softswitch.sip.message import Field
from softswitch.testing.clock import VirtualClock
from softswitch.testing.media import CountingEngine, DeadEngine, SeeingEngine, SlowEngine
from softswitch.testing.stage import CONFIG

#: The longest Session-Expires that anybody asks for, seconds.
LONGEST = 300
#: Seconds between two probes of a peer that has no session timer.
PROBE = 45
#: Seconds for which a target may ring.
RING = 40
#: Within so many seconds of the last event every call has ended: the largest of these, and three
#: times 64*T1.
LIMIT = max(LONGEST, PROBE, RING) + 3 * 64 * 0.5

#: Whence comes what cannot be read: an answer to it cannot be, either.
STRANGER = ("127.88.0.99", 5060)

#: What an unlawful message makes a transaction meet, which goes no further: machine, state, event.
PEERS_FAULT = frozenset({("InviteClient", "Accepted", "300-699")})

#: How the wires may behave, and how much time each act takes.
WIRES: Mapping[str, Mapping[str, Any]] = {
    "ideal": {"pace": 0.0},
    "slow": {"pace": 0.1, "delay": 0.15},
    "bad": {
        "pace": 0.05,
        "delay": 0.02,
        "jitter": 0.2,
        "loss": 0.15,
        "duplicate": 0.1,
        "reorder": 0.1,
    },
}

#: Media engines by name.
ENGINES: Mapping[str, Callable[[VirtualClock], Any] | None] = {
    "none": None,
    "counting": lambda clock: CountingEngine(),
    "seeing": SeeingEngine,
    "slow": lambda clock: SlowEngine(CountingEngine(), clock, 1),
    "dead": lambda clock: DeadEngine(),
}

#: Cells of the profiles, and what they may hold.
CELLS: Mapping[str, Sequence[object]] = {
    "reinvite": ("relay", "refuse"),
    "update": ("relay", "translate", "refuse"),
    "refer": ("end", "relay", "refuse"),
    "info": ("relay", "end", "refuse"),
    "message": ("relay", "end", "refuse"),
    "options": ("end", "relay", "refuse"),
    "reliable": ("sdp", "supported", "never"),
    "early": ("one", "each"),
    "session_timers": ("end", "refuse"),
    "session_expires": (0, 90, 200),
    "refresher": ("us", "peer"),
    "connected": ("none", "pai", "rpid"),
    "transfer_hears": ("ringback", "hold"),
    "codecs": ([], ["PCMU"], ["PCMA", "PCMU"]),
    "late_offer": ("relay", "offer"),
}

#: What phones are able to do: option tags and Session-Expires; None for nothing but RFC 3261.
ABILITIES: Sequence[tuple[Sequence[str], str] | None] = (
    None,
    (("100rel", "timer", "replaces", "norefersub"), ""),
    (("100rel", "timer"), "120"),
    (("timer",), "90;refresher=uas"),
    (("timer",), f"{LONGEST};refresher=uac"),
    ((), "200"),
)

#: Final statuses, the likeliest first.
FINALS = (200, 486, 302, 404, 480, 487, 488, 491, 422, 401, 407, 500, 503, 603, 600, 408, 481, 699)
PROVISIONALS = (180, 183, 181, 182, 199, 100, 155)
#: With what a phone in a mood answers requests within calls; 0 for not at all.
MOODS = (200, 0, 481, 408, 491, 500, 405, 488, 422, 401, 603, 302, 202)
METHODS = ("INFO", "MESSAGE", "OPTIONS", "NOTIFY", "SUBSCRIBE", "PUBLISH", "FOO", "BYE", "REGISTER")
#: Forms of a session description: see ``Chaos.sdp``.
FORMS = ("own", "none", "new", "sendonly", "inactive", "zero", "video", "fewer", "rubbish")
NUMBERS = ("bob", "carol", "alice", "0123", "nobody", "0666", "forwarded", "forbidden")
#: What a request may say that asks for something special.
ASKS: Sequence[Sequence[Field]] = (
    (),
    (("Supported", "100rel, timer"),),
    (("Require", "100rel"),),
    (("Supported", "timer"), ("Session-Expires", "30")),
    (("Supported", "timer"), ("Session-Expires", "junk")),
    (("Session-Expires", "100;refresher=uas"), ("Min-SE", "120")),
    (("Require", "teleport"),),
    (("Replaces", "nobody@nowhere;to-tag=1;from-tag=2"),),
    (("Replaces", "garbage"),),
    (("Content-Type", "text/plain"),),
)
REFER_TO = (
    "bob",
    "carol",
    "0123",
    "nobody",
    "forbidden",
    "forwarded",
    "alice",
    "",
    "tel:+44123",
    "http://x",
    "<<>>",
    "@",
)


@attrs.frozen
class World:
    """In what world a run takes place.

    :ivar cells: for ``[dialog]``, two groups and the trunk: what differs in their profiles.
    :ivar abilities: for each phone, which of ``ABILITIES``.
    :ivar forwarding: whether calls are forwarded when somebody is busy or does not answer.
    :ivar thinks: whether a policy takes its time.
    :ivar ending: "polite": the phones hang up in the end; "shut": the switch stops; "abrupt".
    """

    seed: int = 0
    wires: str = "ideal"
    engine: str = "counting"
    transport: str = "UDP"
    cells: Sequence[Mapping[str, Any]] = ({}, {}, {}, {})
    abilities: Sequence[int] = (0,)
    forwarding: bool = False
    thinks: bool = False
    ending: str = "polite"


@implementer(IRouter, IAdmissionPolicy)
class Whim:
    """A policy that forbids something, has something else forwarded, and takes its time.

    :ivar clock: by which it does.
    """

    def __init__(self, thinks: bool) -> None:
        self.clock: VirtualClock | None = None
        self._thinks = thinks

    def admit(self, request: RequestView) -> Reject | None:
        """Nobody may reach one number."""
        return Reject(403) if request.uri.user == "forbidden" else None

    def route(self, invite: InviteView) -> "Proxy | Deferred[None] | None":
        """One number is forwarded; the others are for who is asked next."""
        if invite.uri.user == "forwarded":
            return Proxy(Target("sip:123@127.88.0.101:5060"))
        if not self._thinks or self.clock is None:
            return None
        answer: Deferred[None] = Deferred()
        self.clock.callLater(0.7, answer.callback, None)
        return answer


def configuration(world: World) -> dict[str, Any]:
    """The stage's tables."""
    everybody, one, two, trunk = (world.cells[n % len(world.cells)] for n in range(4))
    hosts = [f"127.88.0.10{n}:5060" for n in (1, 2)]
    rule = {"match": "0.+", "strip": 1, "trunk": "carrier"}
    forwarding = [{"use": "forwarding"}] if world.forwarding else []
    return {
        "switch": {"ring_seconds": RING},
        "dialog": {"probe_seconds": PROBE, **everybody},
        "groups": {"one": {"dialog": one}, "two": {"dialog": two}},
        "users": {
            "alice": {"password": "alice", "group": "one"},
            "bob": {"password": "bob", "group": "two", "forward_busy": "carol"},
            "carol": {"password": "carol", "forward_no_answer": "bob", "forward_after": 8},
        },
        "trunks": {
            "carrier": {
                "addresses": hosts,
                "transport": world.transport.lower(),
                "dialog": trunk,
            }
        },
        "policy": [*forwarding, {"use": "dialplan", "rules": [rule]}, *CONFIG["policy"]],
    }
