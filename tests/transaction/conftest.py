"""A transaction layer between a wire that writes down and a user that notes what it hears."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from softswitch.flow import Flow
from softswitch.machine import unexpected
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.message import Request, Response
from softswitch.sip.parser import parse
from softswitch.testing.clock import VirtualClock
from softswitch.testing.wire import Wire
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.server import Screened
from softswitch.transaction.timers import RFC_3261, Timers

FROM = "From: <sip:alice@127.0.0.1>;tag=a"
TO = "To: <sip:bob@127.0.0.2>"
CALL_ID = "Call-ID: c@127.0.0.1"


def message(start: str, *lines: str) -> bytes:
    """Wire form of a message without a body."""
    return "\r\n".join((start, *lines, "Content-Length: 0\r\n\r\n")).encode()


class Core(Wire):
    """The wire below and all users above; what a test wants done inside a call stands in ``on``.

    :ivar on: happening, as it is noted -> what is then called with the transaction.
    :ivar received: server transactions, in order.
    :ivar screened: what ``screen`` answers.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.on: dict[str, Callable[[Any], object]] = {}
        self.received: list[Any] = []
        self.screened: Screened | Response = Screened()
        self.flows: list[Flow | None] = []
        self.back: Flow | None = None

    def send(self, data: bytes, flow: Flow | None = None) -> None:
        super().send(data, flow)
        self.flows.append(flow)

    def response_flow(self, request: object, flow: Flow, force_rport: bool = False) -> Flow:
        return self.back or flow

    def note(self, happening: str, transaction: Any = None) -> None:
        super().note(happening)
        if happening in self.on:
            self.on[happening](transaction)

    def screen(self, request: Request, flow: Flow) -> Response | Screened:
        return self.screened

    def request_received(self, request: Request, transaction: Any) -> None:
        self.received.append(transaction)
        self.note(f"{request.method} received", transaction)

    def ack_received(self, request: Request, flow: Flow) -> None:
        self.note("ACK received")

    def stray_response(self, response: Response, flow: Flow) -> None:
        self.note(f"stray {response.status}")

    def response_received(self, response: Response, transaction: Any) -> None:
        self.note(str(response.status), transaction)

    def timed_out(self, transaction: Any) -> None:
        self.note("timed out", transaction)

    def transport_failed(self, transaction: Any, reason: str) -> None:
        self.note(f"transport failed: {reason}", transaction)

    def transaction_failed(self, transaction: Any, reason: str) -> None:
        self.note(f"transaction failed: {reason}", transaction)

    def cancelled(self, transaction: Any, cancel: Request) -> None:
        self.note("cancelled", (transaction, cancel))


class World:
    """One layer, one peer at 127.0.0.2:5070, one leg's scope.

    :ivar log: all that was sent and told, with its second.
    """

    def __init__(self, transport: str, timers: Timers = RFC_3261) -> None:
        self.transport = transport
        self.reliable = transport != "UDP"
        self.clock = VirtualClock()
        self.core = Core(self.clock)
        self.log = self.core.log
        self.layer = TransactionLayer(self.clock, self.core, timers)
        self.layer.user = self.core
        self.flow = Flow("l", transport, "127.0.0.1", 5060, "127.0.0.2", 5070, int(self.reliable))
        self.other_flow = self.flow._replace(remote_port=5071, serial=2 * int(self.reliable))
        self.auditor = Auditor(self.clock, lambda name, left: pytest.fail(f"{name}: {left}"))
        self.scope = Scope("leg", self.auditor)

    @property
    def now(self) -> float:
        return self.clock.seconds()

    def run(self, seconds: float = 0.0) -> None:
        self.clock.run(seconds)

    def run_to(self, second: float) -> None:
        self.clock.run(round(second - self.now, 6))

    def receive(self, data: bytes, flow: Flow | None = None) -> None:
        """A message comes from the peer."""
        self.layer.message_received(parse(data), flow or self.flow)

    def take(self) -> list[tuple[float, bytes | str]]:
        """What has happened since this was last asked."""
        taken = self.log[:]
        self.log.clear()
        return taken

    def ignored(self) -> list[tuple[str, str]]:
        """(state, event) that were counted and ignored since this was last asked."""
        taken = [(state, event) for _, state, event in unexpected.elements()]
        unexpected.clear()
        return taken

    # We are the client.

    def send(self, method: str, number: int = 1) -> Any:
        """Send a request to the peer, for the leg."""
        fields = [tuple(line.split(": ", 1)) for line in ("Max-Forwards: 70", FROM, TO, CALL_ID)]
        fields.append(("CSeq", f"{number} {method}"))
        request = Request(method, "sip:bob@127.0.0.2", fields)
        return self.layer.send_request(request, self.flow, self.core, self.scope)

    def sent(self, method: str, number: int = 1, to: str = TO, branch: int = 1) -> bytes:
        """The bytes of a request that we send; ``branch`` counts the transactions."""
        return message(
            f"{method} sip:bob@127.0.0.2 SIP/2.0",
            f"Via: SIP/2.0/{self.transport} 127.0.0.1:5060;rport;branch=z9hG4bK{branch}",
            "Max-Forwards: 70",
            FROM,
            to,
            CALL_ID,
            f"CSeq: {number} {method}",
        )

    def answer(self, status: int, method: str, tag: str = "b", branch: int = 1) -> bytes:
        """The bytes of the peer's response to it."""
        return message(
            f"SIP/2.0 {status} Whatever",
            f"Via: SIP/2.0/{self.transport} 127.0.0.1:5060;rport=5060;branch=z9hG4bK{branch}",
            FROM,
            f"{TO};tag={tag}",
            CALL_ID,
            f"CSeq: 1 {method}",
        )

    # The peer is the client.

    def asked(self, method: str, to: str = TO, branch: str = "z9hG4bKp", **other: str) -> bytes:
        """The bytes of a request that the peer sends.

        :param other: ``via`` host and port, ``number`` of the CSeq, ``call_id``, ``uri``, a
            further ``line``.
        """
        via = other.get("via", "127.0.0.2:5070")
        branch = branch and f";branch={branch}"
        lines = [
            f"{method} {other.get('uri', 'sip:bob@127.0.0.1')} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {via}{branch}",
            FROM,
            to,
            other.get("call_id", CALL_ID),
            f"CSeq: {other.get('number', '1')} {method}",
        ]
        if "line" in other:
            lines.append(other["line"])
        return message(*lines)

    def answered(self, status: int, method: str, tag: str = "b", branch: str = "z9hG4bKp") -> bytes:
        """The bytes of our response to it; a 100 bears no tag."""
        return message(
            f"SIP/2.0 {status} {compose.REASONS[status]}",
            f"Via: SIP/2.0/{self.transport} 127.0.0.2:5070;branch={branch}",
            FROM,
            f"{TO};tag={tag}" if tag else TO,
            CALL_ID,
            f"CSeq: 1 {method}",
        )

    def respond(self, transaction: Any, status: int, tag: str = "b") -> None:
        """The user responds to what the peer asked."""
        request = parse(self.asked("INVITE" if hasattr(transaction, "resend") else "BYE"))
        assert isinstance(request, Request)
        to_tag = None if status == 100 else tag
        transaction.respond(compose.response(request, status, to_tag=to_tag))

    def asked_in(self, method: str) -> Any:
        """A request from the peer, and the leg adopts its transaction."""
        self.receive(self.asked(method))
        transaction = self.core.received[-1]
        transaction.adopt(self.scope, self.core)
        return transaction


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branches z9hG4bK1, 2, 3 ...; tags t1, t2, t3 ..."""
    branches, tags = count(1), count(1)
    monkeypatch.setattr(compose, "new_branch", lambda: f"z9hG4bK{next(branches)}")
    monkeypatch.setattr(compose, "sealed_branch", lambda *_: compose.new_branch())
    monkeypatch.setattr(compose, "is_sealed", lambda branch, *_: branch.startswith("z9hG4bK"))
    monkeypatch.setattr(compose, "new_tag", lambda: f"t{next(tags)}")


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Makes worlds; in each, when the test ends, no timer is set, no transaction is kept, the
    leg's scope closes at once and clean, and no event met a state that does not know it (but
    for what the test has asked about)."""
    worlds: list[World] = []
    unexpected.clear()

    def make(transport: str = "UDP", timers: Timers = RFC_3261) -> World:
        worlds.append(World(transport, timers))
        return worlds[-1]

    yield make
    for world in worlds:
        assert world.clock.idle
        assert list(world.layer) == []
        world.scope.end()
        assert world.scope.closed
    assert unexpected == {}


@pytest.fixture(params=["UDP", "TCP"])
def world(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> World:
    """A world over UDP, and one over TCP."""
    return make_world(request.param)


@pytest.fixture
def udp(make_world: Callable[..., World]) -> World:
    return make_world("UDP")


@pytest.fixture
def tcp(make_world: Callable[..., World]) -> World:
    return make_world("TCP")
