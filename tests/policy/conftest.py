"""A house with two users and a trunk, and requests that come to it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from softswitch.flow import Flow
from softswitch.plugin.decisions import Challenge, Reject
from softswitch.plugin.numbering import PLAIN, Numbering
from softswitch.plugin.views import BindingView, Identity, RequestView, RingGroup, User
from softswitch.policy import ratefile, raterows
from softswitch.policy.admission import Authenticator
from softswitch.policy.ratetable import RateTable
from softswitch.sip.digest import ALGORITHMS, Nonces, ha1
from softswitch.sip.message import Request
from softswitch.testing.clock import VirtualClock
from softswitch.trunk.group import Trunk, Trunks
from softswitch.trunk.whose import whose

REALM = "example.org"
FLOW = Flow("lan", "UDP", "127.0.0.1", 5060, "127.0.0.2", 5062)


def user(name: str, password: str, group: str = "") -> User:
    """A user with a hash per algorithm."""
    return User(name, {each: ha1(name, REALM, password, each) for each in ALGORITHMS}, group=group)


class SmallHouse:
    """What the switch offers a policy: one domain, alice, bob and the trunk "carrier".

    :ivar numberings: name of a caller -> how he writes numbers.
    :ivar bindings: user -> contacts, by descending q.
    """

    domain = "example.org"
    realm = REALM

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.users = {"alice": user("alice", "wonderland"), "bob": user("bob", "builder")}
        self.numberings: dict[str, Numbering] = {}
        self.bindings: dict[str, list[BindingView]] = {}
        self.ring_groups: dict[str, RingGroup] = {}
        self.idle: dict[str, float | None] = {}
        self.trunks = Trunks([Trunk("carrier", ("10.1.0.1", "10.1.0.2:5070"), "tcp")])
        self.authenticator = Authenticator(
            REALM, Nonces(self.clock, bytes(32)), self.users.get, by_listener={}, by_group={}
        )

    def now(self) -> float:
        return self.clock.seconds()

    def is_ours(self, host: str, port: int | None = None) -> bool:
        return host in ("example.org", "127.0.0.1") and port in (None, 5060)

    def find_user(self, name: str) -> User | None:
        return self.users.get(name)

    look_up_user = find_user

    def ring_group(self, name: str) -> RingGroup | None:
        return self.ring_groups.get(name)

    def idle_since(self, user: str) -> float | None:
        return self.idle.get(user, 0.0)

    def locate(self, user: str, domain: str) -> list[BindingView]:
        assert domain == self.domain
        return self.bindings.get(user, [])

    def e164(self, number: str, caller: Identity | None = None) -> str:
        return self.numberings.get(caller.name if caller else "", PLAIN).read(number)

    def trunk(self, name: str) -> Trunk | None:
        return self.trunks.find(name)

    def trunk_at(self, host: str) -> Trunk | None:
        return self.trunks.at(host)

    def trunk_of(self, request: RequestView) -> Trunk | Challenge | Reject | None:
        who = self.authenticator.prove(request, self.trunks.accounts())
        if who is not None:
            return who if isinstance(who, Challenge) else self.trunks.of_username(who.name)
        return None if request.method == "REGISTER" else whose(self.trunks, request)

    def authenticate(self, request: RequestView) -> User | Challenge:
        return self.authenticator.authenticate(request)


@pytest.fixture
def house() -> SmallHouse:
    """A house of its own for each test."""
    return SmallHouse()


View = Callable[..., RequestView]


@pytest.fixture
def view() -> View:
    """Makes what a policy sees of a request from alice to bob."""

    def make(
        uri: str = "sip:bob@example.org",
        *,
        method: str = "INVITE",
        sender: str = "<sip:alice@example.org>;tag=1",
        to: str = "<sip:bob@example.org>",
        identity: Identity | None = None,
        source: Flow = FLOW,
        **headers: str,
    ) -> RequestView:
        fields = [
            ("Via", "SIP/2.0/UDP 127.0.0.2:5062;branch=z9hG4bK1"),
            ("From", sender),
            ("To", to),
            ("Call-ID", "call-1"),
            ("CSeq", f"1 {method}"),
            *headers.items(),
        ]
        return RequestView(Request(method, uri, fields), source, identity)

    return make


@pytest.fixture(scope="session")
def rates_in() -> Callable[[Path], RateTable]:
    """The table of a rate file, as the switch maps it."""

    def make(path: Path) -> RateTable:
        with path.with_suffix(".table").open("w+b") as file:
            ratefile.write(raterows.read(path), file, 0.0)
            file.flush()
            return RateTable(file.fileno())

    return make


@pytest.fixture(scope="session")
def rates_of(tmp_path_factory, rates_in) -> Callable[..., RateTable]:
    """The table of these rows of a CSV file."""
    path = tmp_path_factory.mktemp("rates") / "rates.csv"

    def make(*rows: str, head: str = "prefix,price,valid_from,trunk") -> RateTable:
        path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
        return rates_in(path)

    return make
