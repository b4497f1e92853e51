"""A test phone: registers at a switch over UDP, calls, answers, speaks a tone and listens.

It is built of the switch's own floors, from the transport to the session, on a real reactor.
``python -m softswitch.testing.softphone`` runs one as a process that is told what to do by lines
on its standard input (``call NAME SECONDS``, ``quit``) and tells what happens by lines of JSON on
its standard output; when its input ends, so does it.
"""

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet import stdio
from twisted.protocols.basic import LineOnlyReceiver

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.requester import Requester
from softswitch.dialog.session import Session
from softswitch.dialog.usage import CAPABILITIES, answer
from softswitch.dialog.useragent import UserAgent
from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Admission, Allow, Challenge, Reject, Route, Routing
from softswitch.plugin.views import Identity, RequestView
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.parser import Limits
from softswitch.testing.ladder import Carried
from softswitch.testing.tones import WINDOW, dominant, level, seconds_above
from softswitch.testing.voice import Voice
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.server import Server
from softswitch.transport.domains import Domains
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Resolver
from softswitch.transport.udp import UdpPort
from softswitch.trunk.credentials import credentials
from softswitch.trunk.group import Trunk
from softswitch.wheel import Clock, Timer, Wheel

#: Seconds for which a call rings, and after its end until it is told of: for the last answers.
RINGING = 0.3
AFTERWARDS = 0.2

#: Tells the world: name of the event, and what belongs to it.
Tell = Callable[..., None]

SDP: Field = ("Content-Type", "application/sdp")


class Recording(TransportLayer):
    """A transport layer that keeps what passes.

    :ivar carried: each datagram, with wall-clock seconds.
    """

    def __init__(self, listeners: Iterable[Listener], clock: Clock) -> None:
        super().__init__(listeners, Limits(), clock)
        self.carried: list[Carried] = []

    def received(self, data: bytes, flow: Flow, stream: bool = False) -> None:
        """Keep a datagram and pass it up."""
        self._keep(data, flow[4:6], flow[2:4])
        super().received(data, flow, stream)

    def send(self, data: bytes, flow: Flow, noted: bool = True) -> None:
        """Keep a datagram and send it."""
        self._keep(data, flow[2:4], flow[4:6])
        super().send(data, flow, noted)

    def _keep(self, data: bytes, source: tuple[str, int], to: tuple[str, int]) -> None:
        self.carried.append(Carried(time.time(), "UDP", source, to, data))


class SoftPhone:
    """A phone with one account.

    :ivar transport: keeps what passes.
    :param host: our address, where port 5060 is to be free.
    :param switch: host and port at which to register.
    :param speaks: frequency of our tone, Hz.
    :param hears: frequency of the other side's.
    :param tell: told of events: "registered" and "unregistered" (status), "ringing", "answered",
        "failed" (status, reason), "ended" (what was heard).
    :raises TransportError: the port is taken.
    """

    def __init__(
        self,
        name: str,
        password: str,
        host: str,
        switch: tuple[str, int],
        speaks: int,
        hears: int,
        tell: Tell,
        reactor: Any = the_reactor,
    ) -> None:
        self.name = name
        self.host = host
        self.speaks = speaks
        self.hears = hears
        self.tell = tell
        self.reactor = reactor
        self.clock = Wheel(reactor)
        self.auditor = Auditor(self.clock, lambda scope, left: tell("leaked", left=left))
        self.contact = f"<sip:{name}@{host}:5060>"
        listener = Listener("phone", "UDP", host, 5060)
        self.transport = Recording([listener], self.clock)
        transactions = TransactionLayer(self.clock, self.transport)
        self.transport.user = transactions
        listeners = self.transport.listeners
        self.agent = UserAgent(
            self.transport,
            transactions,
            Resolver(_know_no_names, listeners),
            Domains((), listeners),
            _OnlyFrom(switch[0]),
            self.auditor,
        )
        self.agent.handlers["INVITE"] = self._invited
        self._switch = switch
        # What answers the switch's challenges is what answers a trunk's.
        trunk = Trunk("switch", (switch[0],), username=name, password=password)
        self.credentials = credentials(trunk, switch[0])
        UdpPort(self.transport, listener, reactor)

    def register(self, expires: int = 600) -> None:
        """Register, or with 0 seconds unregister."""
        _Registration(self, expires).send()

    def call(self, name: str, seconds: float) -> None:
        """Call another user of the switch, and hang up so long after the answer."""
        dialog = self.dialog(name)
        session = Session(
            self.clock, self.agent, self.scope(), dialog, credentials=self.credentials
        )
        call = _Call(self, session)
        call.seconds = seconds
        session.invite([SDP], call.voice.description)

    def dialog(self, name: str) -> Dialog:
        """A dialog with a user of the switch that is to be made."""
        host, port = self._switch
        tag = compose.new_tag()
        return Dialog(
            call_id=compose.new_call_id(self.host),
            local_tag=tag,
            remote_tag="",
            local=f"<sip:{self.name}@{host}>;tag={tag}",
            remote=f"<sip:{name}@{host}>",
            contact=self.contact,
            remote_target=f"sip:{name}@{host}",
            flow=self.transport.flow("phone", host, port),
            symmetric=True,
        )

    def scope(self) -> Scope:
        """Holds one call, or one registration."""
        return Scope(self.name, self.auditor)

    def _invited(
        self, request: Request, transaction: InviteServer | Server, identity: Identity
    ) -> None:
        """Somebody calls: ring, and answer."""
        assert isinstance(transaction, InviteServer)
        dialog = Dialog.answering(request, transaction.flow, compose.new_tag(), self.contact)
        session = Session(self.clock, self.agent, self.scope(), dialog, transaction)
        call = _Call(self, session)
        session.provisional(180, "Ringing", [("Contact", self.contact)], b"")
        call.timer = self.clock.callLater(RINGING, call.answer, request.body)


class _Registration:
    """One REGISTER, with credentials when they are asked for (RFC 3261 10.2)."""

    def __init__(self, phone: SoftPhone, expires: int) -> None:
        self._phone = phone
        self._expires = expires
        self._scope = phone.scope()
        self._dialog = phone.dialog(phone.name)
        self._dialog.remote_target = self._dialog.remote_target.replace(f"{phone.name}@", "")

    def send(self) -> None:
        """Send it."""
        fields = [("Contact", self._phone.contact), ("Expires", str(self._expires))]
        request = self._dialog.request("REGISTER", fields)
        credentials = self._phone.credentials
        Requester(self._phone.agent, self._dialog, self, self._scope, credentials).start(request)

    def response_received(self, response: Response, requester: Requester) -> None:
        """From the requester."""
        if response.status >= 200:
            self._end(response.status)

    def challenged(self, response: Response, requester: Requester) -> None:
        """From the requester, which has answered with credentials."""

    def request_failed(self, status: int, reason: str, requester: Requester) -> None:
        """From the requester: nobody answered."""
        self._end(status)

    def _end(self, status: int) -> None:
        self._scope.end()
        self._phone.tell("registered" if self._expires else "unregistered", status=status)


class _Call:
    """One call, told by its session.

    :ivar voice: of our side.
    :ivar seconds: how long after the answer we hang up; None to leave that to the other side.
    :ivar timer: until we answer or hang up.
    """

    def __init__(self, phone: SoftPhone, session: Session) -> None:
        self.voice = Voice(phone.reactor, phone.host, phone.speaks)
        self.seconds: float | None = None
        self.timer: Timer | None = None
        self._phone = phone
        self._session = session
        session.user = self

    def answer(self, offer: bytes) -> None:
        """Pick up."""
        self.voice.speak_to(offer)
        self._session.accept([SDP], self.voice.description)

    def hang_up(self) -> None:
        """End the call."""
        self._session.bye()
        self._end()

    def provisional_received(self, response: Response) -> None:
        """From the session."""
        if response.status == 180:
            self._phone.tell("ringing")

    def invite_accepted(self, response: Response) -> None:
        """From the session: they picked up."""
        self._session.acknowledge()
        self.voice.speak_to(response.body)
        self._phone.tell("answered")
        if self.seconds is not None:
            self.timer = self._phone.clock.callLater(self.seconds, self.hang_up)

    def invite_refused(self, status: int, reason: str, response: Response | None) -> None:
        """From the session."""
        self._phone.tell("failed", status=status, reason=reason)
        self._end()

    def invite_crossed(self) -> None:
        """It never takes a re-INVITE back."""

    def invite_received(self, request: Request) -> None:
        """From the session: they re-negotiate, but all stays as it is."""
        self._session.accept([SDP], self.voice.description)

    def answer_sent(self) -> None:
        """Never: nothing is said reliably."""

    def invite_cancelled(self, request: Request | None) -> None:
        """From the session: they gave up."""
        self._end()

    def acknowledged(self, ack: Request) -> None:
        """From the session: the call stands."""
        self._phone.tell("answered")

    def prack_received(self, request: Request) -> None:
        """From the session: nothing is offered but once."""
        self._session.answer_prack(488)

    def update_received(self, request: Request) -> None:
        """From the session: likewise."""
        self._session.reject_update(488)

    def update_accepted(self, response: Response) -> None:
        """Never: none is sent."""

    def update_refused(self, status: int, reason: str, response: Response | None) -> None:
        """Never: none is sent."""

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """From the session: whether the call stands is all that can be asked."""
        status = 200 if request.method == "OPTIONS" else 405
        answer(transaction, self._session.scope, status, fields=CAPABILITIES)

    def description(self) -> bytes:
        """For the session."""
        return self.voice.description

    def session_ended(self, request: Request | None, reason: str) -> None:
        """From the session: they hung up."""
        self._end()

    def _end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.voice.stop()
        self._session.scope.end()
        self._phone.clock.callLater(AFTERWARDS, self._tell_end)

    def _tell_end(self) -> None:
        wanted, own = self._phone.hears, self._phone.speaks
        heard = self.voice.heard
        whole = heard[: len(heard) // WINDOW * WINDOW]
        self._phone.tell(
            "ended",
            packets=self.voice.packets,
            frequency=dominant(heard),
            above=round(level(whole, wanted) - level(whole, own), 1),
            seconds=seconds_above(heard, wanted, own),
        )


class _OnlyFrom:
    """Lets in what the switch sends, without asking for a proof; nothing else."""

    def __init__(self, host: str) -> None:
        self._host = host

    def ask_admission(self, request: RequestView, tell: Callable[[Admission], None]) -> None:
        """From the user agent."""
        known = request.source.remote_host == self._host
        tell(Allow(Identity("peer", "switch")) if known else Reject(403))

    def ask_route(self, invite: RequestView, tell: Callable[[Routing], None]) -> None:
        """From the user agent, for OPTIONS: the phone itself answers."""
        tell(Route([self._host]))

    def challenge_fields(self, flow: Flow, challenge: Challenge) -> list[Field]:
        """From the user agent: never asked, since nobody is challenged."""
        return []


def _know_no_names(name: str, tell: Callable[[list[str]], None]) -> None:
    """The switch is an address; there is nothing to look up."""
    tell([])


class Console(LineOnlyReceiver):
    """Takes orders on the standard input and tells events on the standard output."""

    delimiter = b"\n"

    def __init__(self, arguments: Namespace, reactor: Any = the_reactor) -> None:
        self._reactor = reactor
        self._phone = SoftPhone(
            arguments.name,
            arguments.password,
            arguments.address,
            (arguments.switch, 5060),
            arguments.speaks,
            arguments.hears,
            self._tell,
        )

    def run(self) -> None:
        """Register, and serve until the input ends."""
        self._terminal = stdio.StandardIO(self)
        self._phone.register()
        self._reactor.run()

    def lineReceived(self, line: bytes) -> None:
        """An order."""
        order, *words = line.decode().split()
        if order == "call":
            self._phone.call(words[0], float(words[1]))
        elif order == "quit":
            self._phone.register(0)

    def connectionLost(self, reason: object = None) -> None:
        """Nobody is there to order anything."""
        self._reactor.stop()

    def _tell(self, event: str, **details: object) -> None:
        """Tell an event, with the messages that passed since the last."""
        carried, self._phone.transport.carried = self._phone.transport.carried, []
        messages = [
            (each.at, each.source, each.to, each.data.decode("latin-1")) for each in carried
        ]
        told = json.dumps({"event": event, **details, "carried": messages})
        self._terminal.write(told.encode() + b"\n")
        if event == "unregistered":
            self._terminal.loseConnection()


def main(arguments: list[str] | None = None) -> None:
    """Run a phone as a process of its own."""
    options = ArgumentParser(
        prog="python -m softswitch.testing.softphone",
        description="A test phone that takes orders on its standard input.",
    )
    options.add_argument("--name", required=True, help="user part and authentication name")
    options.add_argument("--password", required=True)
    options.add_argument("--address", required=True, help="our own, where port 5060 is free")
    options.add_argument("--switch", required=True, help="the switch's address")
    options.add_argument("--speaks", type=int, default=440, help="our tone, Hz")
    options.add_argument("--hears", type=int, default=1000, help="the other side's tone, Hz")
    try:
        console = Console(options.parse_args(arguments))
    except TransportError as error:
        sys.exit(str(error))
    console.run()


if __name__ == "__main__":
    main()
