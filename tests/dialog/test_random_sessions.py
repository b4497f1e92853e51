"""Two real sessions on a bad network, and users who do whatever a state allows, at any moment."""

import json
from collections import Counter
from random import Random

import pytest

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.session import Session
from softswitch.dialog.usage import SessionData, answer
from softswitch.dialog.useragent import UserAgent
from softswitch.machine import unexpected
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.decisions import Allow
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Identity
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.parser import Limits
from softswitch.testing.clock import VirtualClock
from softswitch.testing.ladder import ladder
from softswitch.testing.network import LoopNetwork
from softswitch.testing.peer import SDP
from softswitch.transaction.layer import TransactionLayer
from softswitch.transport.domains import Domains
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Resolver

HOSTS = {"127.88.0.1": "left", "127.88.0.2": "right"}


class User:
    """One side: does something at random now and then, answers what it is asked, later or never.

    :ivar over: whether the session has told that it is over, or we have ended it.
    """

    def __init__(self, clock, network, random, host, other, leaks):
        self.clock, self.random, self.host, self.other = clock, random, host, other
        self.auditor = Auditor(clock, lambda scope, left: leaks.append(left))
        listener = Listener("ours", "UDP", host, 5060)
        self.transport = TransportLayer([listener], Limits(), clock)
        self.transactions = TransactionLayer(clock, self.transport)
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
        network.join(self.transport)
        self.session = None
        self.over = True
        self.told = []
        self.offerless = False

    def profile(self):
        """Any."""
        pick = self.random.choice
        return Profile(
            reliable=pick(["supported", "sdp", "never"]),
            session_expires=pick([0, 120, 200]),
            min_se=pick([90, 120]),
            refresher=pick(["us", "peer"]),
            probe_seconds=pick([0, 50]),
            session_timers=pick(["end", "end", "refuse"]),
        )

    def call(self):
        """Invite the other."""
        tag = compose.new_tag()
        dialog = Dialog(
            call_id=compose.new_call_id(self.host),
            local_tag=tag,
            remote_tag="",
            local=f"<sip:us@{self.host}>;tag={tag}",
            remote=f"<sip:them@{self.other}>",
            contact=f"<sip:us@{self.host}>",
            remote_target=f"sip:them@{self.other}",
            flow=self.transport.flow("ours", self.other, 5060),
        )
        self._begin(dialog, None)
        self._invite()

    def act(self):
        """Do something that the session's state lets one do."""
        session, pick = self.session, self.random.choice
        if self.over:
            return
        data = session.data
        early = data.life == "early"
        if data.state == "theirs":
            body = b"ours" if pick([True, False]) else b""
            if body and not data.invite.body and not session.reliably(body):
                body = b""
            what = pick(["ring", "ring", "accept", "accept", "reject", "wait"])
            if what == "ring":
                session.provisional(pick([180, 183]), "Going On", [SDP] if body else [], body)
            elif what == "accept":
                session.accept([SDP], b"ours")
            elif what == "reject":
                session.reject(488, None)
                if early:
                    self._end()
                    return
        elif data.state == "accepted":
            session.acknowledge([SDP], b"ours")
        elif data.state == "ours" and self.random.random() < 0.2:
            session.cancel()
        elif session.idle:
            self._begin_something()
        if data.reliable is not None and data.reliable.prack is not None:
            session.answer_prack(pick([200, 488]), [SDP], b"ours")
        if data.update is not None and data.update.state == "theirs":
            if pick([True, False]):
                session.accept_update([SDP], b"ours")
            else:
                session.reject_update(488)
        for tag, heard in list(data.heard.items()):
            if heard.held:
                session.prack(tag, [SDP], b"ours")
        if session.can_update and pick([True, False]):
            session.update([SDP], b"ours")

    def _begin_something(self):
        what = self.random.choice(["invite", "update", "info", "bye", "wait", "wait"])
        if what == "invite":
            self._invite()
        elif what == "update" and self.session.can_update:
            self.session.update([SDP], b"ours")
        elif what == "info":
            self.session.request("INFO", [], b"", lambda *_: None)
        elif what == "bye":
            self.session.bye()
            self._end()

    def _invite(self):
        body = self.random.choice([b"ours", b"ours", b""])
        self.session.invite([SDP] if body else [], body)

    def finish(self):
        """Have done with it."""
        if not self.over:
            if self.session.data.state in ("ours", "waiting"):
                self.session.cancel()
            elif self.session.data.state in ("theirs", "held"):
                self.session.reject(480, None)
            self.session.bye()
            self._end()

    def _end(self):
        self.over = True
        self.session.scope.end()

    # The session's user.

    def provisional_received(self, response):
        pass

    def invite_accepted(self, response):
        if self.random.random() < 0.5:
            self.session.acknowledge([SDP], b"ours")

    def invite_refused(self, status, reason, response):
        if self.session.data.life == "ended" or self.session.data.state == "given up":
            self._end()

    def invite_crossed(self):
        pass

    def invite_received(self, request):
        self._later(self.act)

    def answer_sent(self):
        pass

    def invite_cancelled(self, cancel):
        if self.session.data.life == "ended":
            self._end()

    def acknowledged(self, ack):
        pass

    def session_ended(self, request, reason):
        self.told.append(reason)
        self._end()

    def prack_received(self, request):
        self._later(self.act)

    def update_received(self, request):
        self._later(self.act)

    def update_accepted(self, response):
        pass

    def update_refused(self, status, reason, response):
        pass

    def request_received(self, request, transaction):
        answer(transaction, self.session.scope, 200)

    def description(self):
        return b"ours"

    # The agent's gate, and what lies behind it.

    def ask_admission(self, request, tell=None):
        decision = Allow(Identity("trunk", "peer"))
        if tell is None:
            return decision
        return tell(decision)

    def _invited(self, request, transaction, identity):
        contact = f"<sip:us@{self.host}>"
        dialog = Dialog.answering(request, transaction.flow, compose.new_tag(), contact)
        self._begin(dialog, transaction)
        self._later(self.act)

    def _begin(self, dialog, transaction):
        self.finish()
        scope = Scope("random", self.auditor)
        self.session = Session(
            self.clock, self.agent, scope, dialog, transaction, None, self.profile()
        )
        self.session.user = self
        self.over = False
        scope.on_closed = self.session.let_go

    def _later(self, act):
        session = self.session

        def then():
            if session is self.session:
                act()

        self.clock.callLater(self.random.uniform(0, 3), then)


@pytest.mark.parametrize("seed", range(40))
def test_random_sessions(seed):
    """No exception, no event that a machine should know and does not; afterwards both sides have
    ended, and nothing is left of either."""
    random = Random(seed)
    clock = VirtualClock()
    bad = seed % 4
    network = LoopNetwork(
        clock,
        seed,
        delay=0.01,
        jitter=0.3 if bad else 0,
        loss=0.1 * (bad == 2),
        duplicate=0.1 * (bad == 3),
        reorder=0.1 * (bad == 3),
    )
    leaks, before = [], Counter(unexpected)
    left, right = HOSTS
    sides = [
        User(clock, network, random, left, right, leaks),
        User(clock, network, random, right, left, leaks),
    ]

    def look():
        for side in sides:
            if side.session is not None:
                plain = to_plain(side.session.data)
                rebuilt = from_plain(SessionData, json.loads(json.dumps(plain)))
                assert to_plain(rebuilt) == plain

    clock.after = look
    try:
        for _ in range(6):
            sides[0].call()
            for _ in range(30):
                clock.run(random.choice([0.0, 0.1, 1.0, 5.0, 30.0]))
                random.choice(sides).act()
            for side in sides:
                side.finish()
            clock.run(200)
        for side in sides:
            side.finish()
        clock.run_until_idle()
    except BaseException:
        print(ladder(network.log[-80:], HOSTS))
        raise
    assert not leaks
    for side in sides:
        assert not side.auditor.open, [scope.holding() for scope in side.auditor.open]
        assert not list(side.transactions)
        assert not side.agent.dialogs
    assert unexpected - before == {}
