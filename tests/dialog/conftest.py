"""Stages for the tests of the dialogs: the whole switch, and one session alone with its peer."""

import json

import pytest

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.session import Session
from softswitch.dialog.usage import SessionData, answer
from softswitch.dialog.useragent import UserAgent
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.decisions import Allow
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Identity
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.message import Response
from softswitch.sip.parser import Limits
from softswitch.testing.clock import VirtualClock
from softswitch.testing.ladder import ladder
from softswitch.testing.network import LoopNetwork
from softswitch.testing.peer import SDP, Peer, kind
from softswitch.testing.stage import Stage
from softswitch.transaction.layer import TransactionLayer
from softswitch.transport.domains import Domains
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Resolver

OUR_HOST, THEIR_HOST = "127.88.0.1", "127.88.0.11"


@pytest.fixture(params=["UDP", "TCP"])
def stage(request):
    """Left empty at the end. Its ladder is shown when the test fails."""
    stage = Stage(transport=request.param)
    yield stage
    print(stage.ladder())
    stage.close()


class Alone:
    """One session, its peer who speaks by hand, and nobody else.

    What the session knows is written down as plain data after every event, and rebuilt.

    :ivar told: what the session has told its user: the name, and what tells one from another.
    :ivar peer: sends and gets messages.
    :ivar invite: the last INVITE that passed, either way.
    :ivar answers: how the user answers other requests, method -> status.
    """

    def __init__(self, **wires):
        self.clock = VirtualClock()
        self.network = LoopNetwork(self.clock, **wires)
        self.leaks = []
        self.auditor = Auditor(self.clock, lambda scope, left: self.leaks.append(left))
        listener = Listener("ours", "UDP", OUR_HOST, 5060)
        self.transport = TransportLayer([listener], Limits(), self.clock)
        self.transactions = TransactionLayer(self.clock, self.transport)
        self.transport.user = self.transactions
        listeners = self.transport.listeners
        self.agent = UserAgent(
            self.transport,
            self.transactions,
            Resolver(lambda name, tell: tell([]), listeners),
            Domains((), listeners),
            self,
            self.auditor,
        )
        self.agent.handlers["INVITE"] = self._invited
        self.network.join(self.transport)
        self.peer = Peer(
            self.network,
            "peer",
            (THEIR_HOST, 5060),
            "UDP",
            (OUR_HOST, 5060),
            lambda: self.clock.run(0),
        )
        self.told = []
        self.answers = {}
        self.session = self.invite = None
        self.profile = Profile()
        self.cseq = 1
        self.calling = False
        self.clock.after = self._write_down

    # What happens.

    def be_called(self, *fields, body=b"", profile=None):
        """The peer calls: its INVITE has come, and nothing was answered."""
        self.profile = profile or self.profile
        self.invite = self.peer.request("INVITE", f"sip:us@{OUR_HOST}", fields=fields, body=body)
        self.theirs = self.invite.get("From")
        self.peer.send(self.invite)
        return self.session

    def call(self, *fields, body=b"", profile=None, **options):
        """We call the peer: our INVITE is there, and nothing was answered."""
        self.profile = profile or self.profile
        self.calling = True
        tag = compose.new_tag()
        dialog = Dialog(
            call_id=compose.new_call_id(OUR_HOST),
            local_tag=tag,
            remote_tag="",
            local=f"<sip:us@{OUR_HOST}>;tag={tag}",
            remote=f"<sip:peer@{THEIR_HOST}>",
            contact=f"<sip:us@{OUR_HOST}>",
            remote_target=f"sip:peer@{THEIR_HOST}",
            flow=self.transport.flow("ours", THEIR_HOST, 5060),
        )
        self._begin(dialog, None)
        self.session.invite([*fields, *([SDP] if body else [])], body, **options)
        self.clock.run(0)
        self.invite = self.expect("INVITE")
        return self.session

    def talk(self, *fields, calling=False, profile=None, answered=()):
        """The call stands, both sides have said what media they want; only what comes from here on
        is told.

        :param fields: of the INVITE where the peer calls, else of its 200.
        """
        if calling:
            self.call(body=b"offer", profile=profile)
            self.respond(200, *fields, body=b"answer")
            self.session.acknowledge()
            self.clock.run(0)
            self.expect("ACK")
        else:
            self.be_called(*fields, body=b"offer", profile=profile)
            self.session.accept([SDP, *answered], b"answer")
            self.clock.run(0)
            self.accepted = self.expect(200)
            self.acknowledge(self.accepted)
        self.told.clear()
        return self.session

    def respond(self, status, *fields, body=b"", to=None, tag="theirs", contact=True):
        """The peer answers our INVITE, or another request."""
        request = to or self.invite
        named = [("Contact", self.peer.contact)] if contact else []
        described = [SDP] if body else []
        response = compose.response(
            request, status, to_tag=tag, fields=[*named, *described, *fields], body=body
        )
        self.peer.send(response)
        return response

    def ask(self, method, *fields, body=b"", cseq=None, tag="theirs"):
        """The peer sends a request within the dialog."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        dialog = self.session.data.dialog
        remote = f"<sip:peer@{THEIR_HOST}>;tag={tag}" if self.calling else self.theirs
        request = self.peer.request(
            method,
            f"sip:us@{OUR_HOST}",
            caller=remote,
            to=dialog.local,
            call_id=dialog.call_id,
            cseq=cseq,
            fields=fields,
            body=body,
        )
        if method == "INVITE":
            self.invite = request
        self.peer.send(request)
        return request

    def prack(self, response, *fields, body=b"", **options):
        """The peer acknowledges a provisional response."""
        rack = ("RAck", f"{response.get('RSeq')} {response.get('CSeq')}")
        return self.ask("PRACK", rack, *fields, body=body, **options)

    def acknowledge(self, response, body=b""):
        """The peer acknowledges our final response."""
        if response.status >= 300:
            self.peer.send(compose.ack(self.invite, response))
        else:
            self.ask("ACK", body=body, cseq=response.cseq.number)

    def cancel(self):
        """The peer cancels its INVITE."""
        self.peer.send(compose.cancel(self.invite))

    def run(self, seconds=0.0):
        """Let time pass."""
        self.clock.run(seconds)

    # What is seen.

    def expect(self, what):
        """The next message that came to the peer, a 100 apart; copies count."""
        self.clock.run(0)
        while self.peer.unread and kind(self.peer.unread[0]) == 100:
            self.peer.unread.pop(0)
        return self.peer.expect(what)

    @property
    def quiet(self):
        """Whether nothing has come that was not looked at."""
        self.clock.run(0)
        return not [message for message in self.peer.unread if kind(message) != 100]

    @property
    def statuses(self):
        """What the peer was answered, 100 apart, copies too."""
        return [
            message.status
            for _, message, _ in self.peer.received
            if isinstance(message, Response) and message.status > 100
        ]

    @property
    def names(self):
        """The names of what the user was told."""
        return [name for name, *_ in self.told]

    def close(self):
        """Nobody does anything any more: nothing is left."""
        if self.session is not None:
            if self.session.data.life != "ended":
                self.session.cancel()
                self.session.reject(480, None)
                self.session.bye()
            self.session.scope.end()
        self.clock.run_until_idle()
        assert not self.leaks
        assert not self.auditor.open, [scope.holding() for scope in self.auditor.open]
        assert not list(self.transactions)
        assert not self.agent.dialogs

    # The session's user.

    def provisional_received(self, response):
        if response.status > 100:
            self.told.append(("provisional", response.status))

    def invite_accepted(self, response):
        self.told.append(("accepted", response.status, response.body))

    def invite_refused(self, status, reason, response):
        self.told.append(("refused", status))

    def invite_crossed(self):
        self.told.append(("crossed",))

    def invite_received(self, request):
        self.told.append(("invited", request.body))

    def answer_sent(self):
        self.told.append(("sent",))

    def invite_cancelled(self, cancel):
        self.told.append(("cancelled", cancel and cancel.method))

    def acknowledged(self, ack):
        self.told.append(("acknowledged", ack.body))

    def session_ended(self, request, reason):
        self.told.append(("ended", reason))

    def prack_received(self, request):
        self.told.append(("prack", request.body))

    def update_received(self, request):
        self.told.append(("update", request.body))

    def update_accepted(self, response):
        self.told.append(("updated", response.body))

    def update_refused(self, status, reason, response):
        self.told.append(("not updated", status))

    def request_received(self, request, transaction):
        self.told.append(("request", request.method))
        answer(transaction, self.session.scope, self.answers.get(request.method, 200))

    def description(self):
        return b"as agreed"

    # The agent's gate, and what lies behind it.

    def ask_admission(self, request, tell):
        tell(Allow(Identity("trunk", "peer")))

    def ask_route(self, invite, tell):
        raise AssertionError("nothing is routed here")

    def challenge_fields(self, flow, challenge):
        raise AssertionError("nobody is challenged here")

    def _invited(self, request, transaction, identity):
        dialog = Dialog.answering(
            request, transaction.flow, compose.new_tag(), f"<sip:us@{OUR_HOST}>"
        )
        self._begin(dialog, transaction)

    def _begin(self, dialog, transaction):
        scope = Scope("alone", self.auditor)
        self.session = Session(
            self.clock, self.agent, scope, dialog, transaction, None, self.profile
        )
        self.session.user = self
        scope.on_closed = self.session.let_go

    def _write_down(self):
        if self.session is not None:
            plain = to_plain(self.session.data)
            rebuilt = from_plain(SessionData, json.loads(json.dumps(plain)))
            assert to_plain(rebuilt) == plain


@pytest.fixture
def alone():
    """Left empty at the end. Its ladder is shown when the test fails."""
    alone = Alone()
    yield alone
    print(ladder(alone.network.log, {OUR_HOST: "session", THEIR_HOST: "peer"}))
    alone.close()
