"""Registrars by hand, and stages whose switch registers at them."""

from random import Random

import pytest

from softswitch.sip import compose, digest
from softswitch.sip.message import Request
from softswitch.testing.stage import CONFIG, Stage

#: The only member of the trunk "carrier".
FIRST = "127.88.0.101"


class Registrar:
    """A registrar at an address: answers REGISTER as it is told, and then as it should.

    :ivar peer: what else it does is done by hand.
    :ivar asked: every REGISTER, retransmissions apart, with the second at which it came.
    :ivar answers: what comes next: a status, or status and fields; None for silence. Once there is
        none left, a REGISTER is accepted.
    :ivar granted: seconds that it grants; None for what was asked.
    :ivar fields: of each 200.
    :ivar password: that it asks for; "" for none.
    """

    def __init__(self, stage, host, transport=""):
        self.peer = stage.peer(host, transport=transport)
        self.peer.heard = self._heard
        self.asked = []
        self.answers = []
        self.granted = None
        self.fields = []
        self.password = ""
        self._stage = stage
        self._sources = {}

    @property
    def times(self):
        """The seconds at which it was asked."""
        return [at for at, _ in self.asked]

    @property
    def last(self):
        """The last REGISTER."""
        return self.asked[-1][1]

    @property
    def contact(self):
        """Our Contact, as last registered; a URI."""
        return self.last.contacts[0].uri

    def accept(self, request, granted=None):
        """Answer 200."""
        (contact,) = request.contacts
        if granted is None:
            granted = contact.expires if self.granted is None else self.granted
        fields = [] if contact.expires == 0 else [("Contact", f"<{contact.uri}>;expires={granted}")]
        self.answer(request, 200, [*fields, *self.fields])

    def answer(self, request, status, fields=()):
        """Answer with that, whence the request came."""
        answer = compose.response(request, status, to_tag="registrar", fields=fields)
        source = self._sources[request.top_via.branch]
        self.peer.endpoint.send(answer.encode(), source)

    def _heard(self, message, source):
        if not isinstance(message, Request) or message.method != "REGISTER":
            return
        self.peer.unread.remove(message)
        branch = message.top_via.branch
        if branch in self._sources:
            return
        self._sources[branch] = source
        self.asked.append((self._stage.clock.seconds(), message))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, tuple):
            self.answer(message, *answer)
        elif answer == 200 and self.password and message.get("Authorization") is None:
            challenge = digest.Challenge("carrier.example", f"n{len(self.asked)}")
            self.answer(message, 401, [("WWW-Authenticate", str(challenge))])
        elif answer == 200:
            self.accept(message)
        elif answer is not None:
            self.answer(message, answer)


def config(transport="udp", trunk=(), more=(), **register):
    """Users, and a trunk at which we register as "acme"; 0 first dials over it."""
    rules = [{"match": "0.+", "strip": 1, "trunk": "carrier"}, {"match": "77", "user": "alice"}]
    return {
        "trunks": {
            "carrier": {
                "addresses": [FIRST],
                "transport": transport,
                "username": "acme",
                "password": "secret",
                "register": register,
                **dict(trunk),
            },
            **dict(more),
        },
        "policy": [{"use": "dialplan", "rules": rules}, *CONFIG["policy"]],
    }


@pytest.fixture
def play():
    """Makes a stage and its registrars; at the end each stage is left empty."""
    stages = []

    def make(*hosts, transport="udp", trunk=(), more=(), names=None, **register):
        tables = config(transport, trunk, more, **register)
        stage = Stage(tables, names=names, transport=transport.upper())
        stages.append(stage)
        return stage, *(Registrar(stage, host) for host in hosts or (FIRST,))

    yield make
    for stage in stages:
        print(stage.ladder())
        stage.close()


@pytest.fixture
def chance():
    """The same chance as the switch has."""
    return Random(0)
