"""A switch under siege: mutated messages from all sides, and good calls that must not notice. Pure.

A trunk, registered phones and a watcher; calls stand, calls ring, subscriptions run. Messages come
from a stranger, from a phone that may call, from the trunk, and from within the dialogs, made by a
``Mutator`` from what those peers say in such a switch. Nothing that the switch does may raise, no
policy may, and a while after everybody has vanished nothing may be left.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Allow
from softswitch.plugin.interfaces import IAdmissionPolicy
from softswitch.plugin.views import Identity, RequestView
from softswitch.sip import compose
from softswitch.sip.message import Field, Message
from softswitch.sip.names import METHODS
from softswitch.testing.line import Line
from softswitch.testing.media import CountingEngine
from softswitch.testing.mutation import BODIES, Mutator
from softswitch.testing.network import Endpoint
from softswitch.testing.phone import Phone
from softswitch.testing.stage import CONFIG, Stage
from softswitch.testing.worlds import LIMIT, PROBE, RING

#: Whence messages come: somebody unknown, and a phone that is let in for its address.
STRANGER, INSIDER = "127.88.0.99", "127.88.0.98"
GATEWAY = "127.88.0.201"
#: What the static corpus speaks of is moved to this switch by these replacements.
SWITCH = b"127.88.0.1"

TABLES: dict[str, Any] = {
    "switch": {"ring_seconds": RING, "domains": ["example.com"]},
    "dialog": {"probe_seconds": PROBE},
    # What is turned away at the door is read by nobody.
    "door": {"trusted": ["127.88.0.0/16"]},
    # Counted, but nobody is to be kept from calling.
    "fraud": {"calls": 100_000, "per_minute": 100_000, "new_per_hour": 100_000, "sequence": 0},
    "users": {
        name: {"password": name} for name in ("alice", "bob", "carol", "dave", "erin", "user")
    },
    "trunks": {
        "carrier": {"addresses": [f"{GATEWAY}:5060"], "dialog": {"trusted": True}},
    },
    "policy": [
        {"use": "dialplan", "rules": [{"match": "0.+", "strip": 1, "trunk": "carrier"}]},
        *CONFIG["policy"],
    ],
}

#: What a peer may answer.
STATUSES = (
    100,
    180,
    183,
    199,
    200,
    202,
    302,
    401,
    407,
    404,
    422,
    423,
    481,
    486,
    491,
    500,
    503,
    603,
)


@implementer(IAdmissionPolicy)
@attrs.define
class LetsIn:
    """Lets everything in that comes from one address, as one user."""

    host: str = INSIDER
    name: str = "carol"

    def admit(self, request: RequestView) -> Allow | None:
        if request.source.remote_host != self.host:
            return None
        return Allow(Identity("user", self.name, "example.com"))


class Siege:
    """One switch, and what is done to it.

    :ivar stage: on which it all happens.
    :ivar sent: how many messages have been sent at it.
    :param chance: what is drawn from.
    :param corpus: messages that are mutated, besides those of the peers themselves.
    :param transport: of everybody.
    :param watched: whether all that calls know is written down after every event.
    """

    def __init__(
        self,
        chance: Random,
        corpus: Sequence[bytes],
        transport: str = "UDP",
        watched: bool = False,
    ) -> None:
        self.sent = 0
        self.stage = Stage(
            {
                **TABLES,
                "trunks": {
                    "carrier": {**TABLES["trunks"]["carrier"], "transport": transport.lower()}
                },
            },
            engine=lambda clock: CountingEngine(),
            plug_ins=[LetsIn()],
            transport=transport,
            seed=chance.getrandbits(16),
        )
        if not watched:
            self.stage.clock.after = _nothing
        self._chance = chance
        self._corpus = corpus
        self._mutator = Mutator(chance, corpus)
        phones = [self.stage.phone(name) for name in ("alice", "bob", "carol", "dave", "erin")]
        self.alice, self.bob, self.carol, self.dave, self.erin = phones
        self.gateway = self.stage.trunk("carrier")
        self.peers: list[Phone] = [self.alice, self.bob, self.carol, self.gateway]
        for peer in self.peers:
            peer.can("100rel", "timer", "replaces", "norefersub")
            peer.unreadable = []
        self._mouths: dict[str, Endpoint] = {}
        self._bases: list[tuple[str, bytes]] = []

    def storm(self, number: int) -> None:
        """Send so many messages, each from somebody who might have sent what it was made of."""
        for at in range(number):
            if at % 20 == 0:
                self.stage.run(0.4)
                self._begin()
                self._bases = list(self._said())
            self.strike()

    def strike(self) -> None:
        """Send one message, and let happen what happens at once."""
        chance = self._chance
        if self._bases and chance.random() < 0.6:
            host, base = chance.choice(self._bases)
        else:
            host, base = "", chance.choice(self._corpus)
        if not host or chance.random() < 0.2:
            host = chance.choice((STRANGER, INSIDER, INSIDER, GATEWAY, GATEWAY))
        self.sent += 1
        self.send(self._mutator.mutate(base), host)
        self.stage.settle()

    def send(self, data: bytes, host: str) -> None:
        """Send bytes from an address."""
        if self.stage.transport == "UDP":
            self.stage.network.carry(data, (host, 5060), self.stage.address)
            return
        mouth = self._mouths.get(host)
        if mouth is None:
            mouth = self.stage.network.attach(host, 5999, "TCP")
            self._mouths[host] = mouth
        mouth.send(data, self.stage.address)

    def good_call(self) -> None:
        """Two phones that know nothing of all this talk.

        :raises AssertionError: they cannot.
        """
        line = self.dave.call("erin")
        self.erin.ring()
        self.erin.answer()
        assert line.statuses == [180, 200], line.statuses
        self.dave.hang_up()
        assert line.final == 200
        assert self.erin.line.over

    def end(self) -> None:
        """Everybody vanishes; after all time-outs nothing may be left.

        :raises AssertionError: something is, or a policy has failed.
        """
        stage = self.stage
        for mouth in self._mouths.values():
            mouth.close()
        for phone in (*self.peers, self.dave, self.erin):
            phone.vanish()
        begun = stage.clock.seconds()
        while stage.clock.seconds() < begun + LIMIT:
            stage.run(20)
            stage.house.auditor.sweep()
        for phone in self.peers:
            for data in phone.unreadable or ():
                # Only what is wrong in the sender's own fields comes back to him as it was.
                assert data.startswith((b"SIP/2.0 4", b"SIP/2.0 5", b"SIP/2.0 6")), data
        failures = stage.house.policies.failures
        assert not failures, failures
        stage.close()

    def _begin(self) -> None:
        """See that a call stands, one rings, and somebody is subscribed to something."""
        self.bob.answers(180, 200)
        self.gateway.answers()
        if not any(line.stands and line.remote for line in self.alice.lines[-2:]):
            self.alice.call("bob")
        if not any(line.open for line in self.gateway.lines[-2:]):
            self.carol.call("0123")
        if not self._chance.randint(0, 3):
            line = self.carol.dial("bob")
            line.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "60")])

    def _said(self) -> Iterable[tuple[str, bytes]]:
        """What the peers could say now, lawfully: host, message."""
        for phone in self.peers:
            for line in phone.lines[-3:]:
                for message in self._of(line):
                    yield phone.host, message.encode()

    def _of(self, line: Line) -> Iterable[Message]:
        """A request of each method within a dialog, and a response of each status."""
        chance, phone = self._chance, line.phone
        if line.remote:
            for method in chance.sample(_METHODS, 3):
                fields, body = list(_FIELDS.get(method, ())), b""
                if method in ("INVITE", "UPDATE", "PRACK"):
                    fields, body = [*phone.abilities], line.described
                elif method in ("INFO", "MESSAGE", "PUBLISH", "NOTIFY") and not fields:
                    kind, body = chance.choice(BODIES)
                    fields = [("Content-Type", kind.decode())]
                yield line.compose(method, fields, body)
        answered = [line.invite] if line.invite is not None else []
        for request in (*answered, *line.requests[-2:]):
            if request.method != "ACK":
                status = chance.choice(STATUSES)
                fields = [("Contact", phone.contact), *_ANSWERS.get(status, ())]
                described = request.method == "INVITE" and 180 < status < 300
                if described:
                    fields.append(("Content-Type", "application/sdp"))
                yield compose.response(
                    request,
                    status,
                    to_tag=line.tag,
                    fields=fields,
                    body=line.described if described else b"",
                )


_METHODS = sorted(METHODS)
_FIELDS: dict[str, Sequence[Field]] = {
    "INFO": (("Info-Package", "x"),),
    "NOTIFY": (
        ("Event", "dialog"),
        ("Subscription-State", "active;expires=60"),
        ("Content-Type", "message/sipfrag"),
    ),
    "SUBSCRIBE": (("Event", "dialog"), ("Expires", "60")),
    "PUBLISH": (("Event", "presence"),),
    "REFER": (("Refer-To", "<sip:bob@127.88.0.1>"),),
    "PRACK": (("RAck", "1 1 INVITE"),),
}
_ANSWERS: dict[int, Sequence[Field]] = {
    183: (("Require", "100rel"), ("RSeq", "1")),
    199: (("Require", "100rel"), ("RSeq", "2")),
    401: (("WWW-Authenticate", 'Digest realm="x", nonce="1"'),),
    407: (("Proxy-Authenticate", 'Digest realm="x", nonce="1"'),),
    422: (("Min-SE", "150"),),
    423: (("Min-Expires", "150"),),
    503: (("Retry-After", "5"),),
}


def _nothing() -> None:
    """Nobody looks."""
