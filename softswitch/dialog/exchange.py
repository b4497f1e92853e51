"""The exchange of INVITE and answer (RFC 3261 sections 13 and 14): the machine of a session. Pure.

There is at most one exchange at a time (RFC 3261 14), and the machine at the foot of this file is
that exchange, the first INVITE and later ones alike. What begins and ends it stands in
``session``.
"""

import random
from collections.abc import Iterable
from contextlib import suppress

from softswitch.dialog import early, refresh, reliable
from softswitch.dialog.data import Provisional
from softswitch.dialog.dialog import ALLOW
from softswitch.dialog.farewell import Farewell
from softswitch.dialog.refresh import Refresh
from softswitch.dialog.requester import WRITTEN_ANEW, Requester
from softswitch.dialog.side import Side
from softswitch.dialog.update import Update
from softswitch.dialog.usage import Event, Life, State, compose_within, supported
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server


class Exchange(Side):
    """The exchange of INVITE and answer within a session."""

    __slots__ = ()

    @property
    def updates(self) -> Update:
        """Of a session that has any."""
        if self._updates is None:
            self._updates = Update(self)
        return self._updates

    @property
    def keeper(self) -> Refresh:
        """Of a session that has a timer, or a probe."""
        if self._keeper is None:
            self._keeper = Refresh(self)
        return self._keeper

    # How it goes on, and how it ends.

    def refresh(self, body: bytes) -> None:
        """Send an INVITE that changes nothing, of which the user does not hear."""
        self.keeper.data.refreshing = True
        fields = [("Supported", supported(self.profile)), ("Content-Type", "application/sdp")]
        self.fire(Event.INVITE, [*refresh.fields(self), *fields], body, 70)

    def refreshed(self, response: Response, tag: str = "") -> None:
        """A 2xx to our UPDATE: what it says of the peer, and of the session's interval."""
        self.learn(response)
        dialog = self.find_dialog(tag)
        if dialog is not None:
            dialog.moved(response)
        refresh.answered(self, response)

    def inform(self, fields: Iterable[Field]) -> None:
        """Tell the peer something in an UPDATE without an offer, which refreshes the session, too;
        who cannot be told is not told."""
        self.request("UPDATE", [*refresh.asking(self), *fields], b"", self._informed)

    def _informed(self, status: int, reason: str, response: Response | None) -> None:
        if response is not None and status < 300 and self.data.life is not Life.ENDED:
            self.refreshed(response)

    def lost(self, reason: str) -> None:
        """The peer is gone, or believed to be."""
        if self.data.life is Life.CONFIRMED and self.data.hang_up is None:
            self.bye()
            self.user.session_ended(None, reason)

    def bye(self, fields: Iterable[Field] = ()) -> None:
        """Hang up a confirmed session.

        A 2xx of ours that is not yet acknowledged holds the BYE back (RFC 3261 15).
        """
        data = self.data
        if self.state is State.HELD:
            self.fire(Event.REJECT, 480, None, fields)
        if data.life is not Life.CONFIRMED:
            return
        data.hang_up = list(fields)
        if self.state is State.ACCEPTED:
            self.fire(Event.ACKNOWLEDGE, (), b"")
        elif self.state is State.THEIRS:
            self.fire(Event.REJECT, 487, None, ())
        if self.state is not State.ANSWERED:
            self._send_bye()

    # What comes in.

    def ack_received(self, request: Request, flow: Flow) -> None:
        """An ACK of our 2xx, or a copy of it."""
        invite = self.data.invite
        if self.state is not State.ANSWERED or invite is None:
            return
        if request.cseq.number == invite.cseq.number:
            self.data.dialog.flow = flow
            self.fire(Event.ACK, request)

    def cancelled(self, transaction: InviteServer, cancel: Request) -> None:
        """From the transaction: their CANCEL."""
        if transaction is self.transaction:
            self.fire(Event.CANCELLED, cancel)

    def transaction_failed(self, transaction: InviteServer | Server, reason: str) -> None:
        """From the transaction: our final answer cannot be delivered, or was never acknowledged."""
        if transaction is self.transaction and self.state is State.ANSWERED:
            self.fire(Event.ACK_MISSING)

    def response_received(self, response: Response, requester: Requester) -> None:
        """From the requester: an answer to our INVITE."""
        status = response.status
        if 100 < status < 300:
            self.learn(response)
        if requester is not self._requester:
            if 200 <= status < 300:
                early.take_down_or_acknowledge(self, response, requester)
        elif status < 200:
            news = self.state is State.OURS and self._is_news(response, requester)
            if news and not self.refreshing:
                self.user.provisional_received(response)
        elif status >= 300:
            event = Event.REFUSED
            if status == 491 and self.data.life is Life.CONFIRMED:
                event = Event.GLARE
            elif status == 422 and self.state is State.OURS and refresh.longer(self, response):
                event = Event.TOO_BRIEF
            self.fire(event, status, response.reason, response)
        else:
            self._accepted(response, requester)

    def challenged(self, response: Response, requester: Requester) -> None:
        """From the requester: the INVITE was sent again, with credentials."""
        if requester is self._requester and self.state is State.OURS and not self.refreshing:
            self.user.provisional_received(response)

    def request_failed(self, status: int, reason: str, requester: Requester) -> None:
        """From the requester: our INVITE got no final answer."""
        if requester is self._requester:
            self.fire(Event.REFUSED, status, reason, None)

    # Actions of the table.

    def _invite_received(self, transaction: InviteServer) -> None:
        self.take(transaction)
        self.learn(transaction.request)
        self.user.invite_received(transaction.request)

    def _accept(self, fields: Iterable[Field], body: bytes) -> None:
        data, t1 = self.data, self.agent.timers.t1
        assert self.transaction is not None
        assert data.invite is not None
        self.stop_timers()
        fields = [
            ("Contact", data.dialog.contact),
            ("Allow", ALLOW),
            ("Supported", supported(self.profile)),
            *refresh.answering(self, data.invite),
            *fields,
        ]
        self.transaction.respond(compose_within(data, 200, None, fields, body))
        data.life = Life.CONFIRMED
        data.ack_due = self.clock.seconds() + 64 * t1
        self.wait = t1
        self.timers["2xx resend"] = self.clock.callLater(t1, self._resend)
        self.timers["ACK"] = self.clock.callLater(64 * t1, self.fire, Event.ACK_MISSING)

    def _hold(self, fields: Iterable[Field], body: bytes) -> None:
        """The 2xx waits until what bears a session description is acknowledged (RFC 3262 3)."""
        assert self.data.reliable is not None
        self.data.reliable.accept = Provisional(200, None, list(fields), body)

    def _accept_held(self) -> None:
        assert self.data.reliable is not None
        held, self.data.reliable.accept = self.data.reliable.accept, None
        assert held is not None
        self._accept(held.fields, held.body)
        self.user.answer_sent()

    def _cancelled_while_held(self, request: Request | None = None) -> None:
        """A session that stands has been changed, for all the other side knows: it is over."""
        if self.data.life is Life.EARLY:
            self._cancelled(request)
            return
        self._reject(504 if request is None else 487, None, ())
        self._send_bye()
        self.user.session_ended(request, "No PRACK" if request is None else request.method)

    def _resend(self) -> None:
        assert self.transaction is not None
        self.transaction.resend()
        self.wait = min(2 * self.wait, self.agent.timers.t2)
        self.timers["2xx resend"] = self.clock.callLater(self.wait, self._resend)

    def _reject(self, status: int, reason: str | None, fields: Iterable[Field]) -> None:
        if self.transaction is not None:
            self.transaction.respond(compose_within(self.data, status, reason, fields))
        self._come_to_nothing()

    def _cancelled(self, request: Request | None = None) -> None:
        """By them; or by us, for want of a PRACK (RFC 3262 3)."""
        self._reject(504 if request is None else 487, None, ())
        self.user.invite_cancelled(request)

    def _acknowledged(self, ack: Request) -> None:
        self._settle()
        if self.data.hang_up is not None:
            self._send_bye()
        else:
            self.user.acknowledged(ack)

    def _ack_missing(self) -> None:
        wanted = self.data.hang_up is not None
        self._send_bye()
        if not wanted:
            self.user.session_ended(None, "No ACK")

    def _send_invite(self, fields: Iterable[Field], body: bytes, max_forwards: int) -> None:
        data = self.data
        data.heard.clear()
        data.invite = data.dialog.request("INVITE", fields, body, max_forwards)
        data.invite_cseq = data.dialog.local_cseq
        self._requester = Requester(self.agent, data.dialog, self, self.scope, self.credentials)
        self._requester.start(data.invite)

    def _wait_for_glare(self, status: int, reason: str, response: Response | None) -> None:
        # RFC 3261 14.1: the owner of the Call-ID waits longer; here that is the one who invited.
        wait = random.randrange(210, 400) if self.data.calling else random.randrange(0, 200)
        self.timers["491"] = self.clock.callLater(wait / 100, self.fire, Event.RETRY)

    def _give_way(self, transaction: InviteServer | None = None) -> None:
        """Theirs goes first (RFC 3261 14.1), an INVITE or an UPDATE; whoever asked for ours has to
        ask again, unless that ends theirs, too."""
        self._settle()
        if transaction is not None:
            self.take(transaction)
            self.learn(transaction.request)
        if not self._was_refresh(491, None):
            self.user.invite_refused(491, REASONS[491], None)
        if transaction and transaction is self.transaction and self.state is State.THEIRS:
            self.user.invite_received(transaction.request)

    def _retry(self, *_: object) -> None:
        """The same again, with the interval that is asked for now."""
        self.timers.pop("491", None)
        invite = self.data.invite
        assert invite is not None
        anew = WRITTEN_ANEW | {"Session-Expires", "Min-SE"}
        kept = [field for field in invite.fields if field[0] not in anew]
        fields = [*refresh.fields(self), *kept]
        self._send_invite(fields, invite.body, invite.max_forwards or 70)

    def _taken(self, response: Response) -> None:
        first = self.data.life is Life.EARLY
        self.data.life = Life.CONFIRMED
        if first:
            self.agent.open(self.data.dialog.key, self)
        refresh.answered(self, response)
        if self.refreshing:
            self.keeper.data.refreshing = False
            self.fire(Event.ACKNOWLEDGE, (), b"")
        else:
            self.user.invite_accepted(response)

    def _refused(self, status: int, reason: str, response: Response | None) -> None:
        self._come_to_nothing()
        if not self._was_refresh(status, response):
            self.user.invite_refused(status, reason, response)

    def _cancel(self, fields: list[Field]) -> None:
        if self._requester is not None:
            self._requester.cancel(fields)

    def _left(self) -> None:
        self._cancel([])
        self.user.invite_refused(480, REASONS[480], None)

    def _taken_too_late(self, *_: object) -> None:
        self._acknowledge((), b"")
        if self.data.life is Life.EARLY:
            self._send_bye()
        elif self.data.life is Life.CONFIRMED and not self._was_refresh(487, None):
            self.user.invite_crossed()

    def _come_to_nothing(self, *_: object) -> None:
        """No 2xx came of the exchange; the first one's end is the session's."""
        self._settle()
        if self.data.life is Life.EARLY:
            self._end()

    def _abandoned(self, *_: object) -> None:
        self._come_to_nothing()
        self._was_refresh(487, None)

    def _acknowledge(self, fields: Iterable[Field], body: bytes) -> None:
        data = self.data
        if data.dialog.spaces and self._requester is not None:
            fields = [*self._requester.proofs(data.dialog), *fields]
        data.ack = data.dialog.ack(data.invite_cseq, fields, body)
        self.agent.send_ack(data.ack, data.dialog)
        data.invite = None

    # Helpers.

    @property
    def refreshing(self) -> bool:
        """Whether the exchange is a refresh of ours, of which the user does not hear."""
        return self.data.timer is not None and self.data.timer.refreshing

    def _was_refresh(self, status: int, response: Response | None) -> bool:
        """Whether what has failed was a refresh, which is not over with that."""
        if not self.refreshing:
            return False
        self.keeper.data.refreshing = False
        self.keeper.refused(status, response)
        return True

    def _accepted(self, response: Response, requester: Requester) -> None:
        """A 2xx to our present INVITE: the first, a copy of it, or one from another fork."""
        data = self.data
        tag = response.to.tag or ""
        if self.state in (State.OURS, State.GIVEN_UP) and data.dialog.remote_tag in ("", tag):
            flow = requester.heard_on
            try:
                if data.life is Life.EARLY:
                    early.answered(self, response, flow)
                else:
                    with suppress(SipSyntaxError):  # it stays where it was
                        data.dialog.established(response, flow, anew=False)
            except SipSyntaxError as error:
                early.take_down_fork(self, response, flow)
                self.fire(Event.REFUSED, 502, error.reason, None)
                return
            data.invite_cseq = response.cseq.number
            self.fire(Event.TAKEN, response)
        else:
            early.take_down_or_acknowledge(self, response, requester)

    def _is_news(self, response: Response, requester: Requester) -> bool:
        """Take in a provisional response: the early dialog that it makes, and its place among the
        reliable ones."""
        tag = response.to.tag
        if response.status == 100 or not tag:
            return True
        data = self.data
        if data.life is Life.EARLY and tag not in data.early:
            early.open_dialog(self, tag, response, requester.heard_on)
        if response.get("RSeq") is not None and not reliable.is_news(self, tag, response):
            return False
        if response.status == 199:
            early.drop(self, tag)
        return True

    def repeat(self, said: Provisional) -> None:
        """Now and each minute, lest a proxy on the way give up (RFC 3261 13.3.1.1)."""
        fields = [("Contact", self.data.dialog.contact), *said.fields]
        data = self.data
        self._repeat(compose_within(data, said.status, said.reason, fields, said.body, said.tag))

    def _repeat(self, response: Response) -> None:
        assert self.transaction is not None
        self.transaction.respond(response)
        self.stop_timers("1xx")
        self.set_timer("1xx", 60.0, self._repeat, response)

    def _settle(self) -> None:
        """The exchange is over: no timer of it stays, and the INVITE is forgotten."""
        self.data.invite = None
        self.data.ack_due = None
        self.stop_timers()
        if self._open:
            self.let_go_of("PRACK")

    def _send_bye(self) -> None:
        fields, self.data.hang_up = self.data.hang_up, None
        self._settle()
        self._end()
        Farewell(self.agent, self.data, self.scope).start(fields or [], self.credentials)

    def _end(self) -> None:
        if self.data.life is Life.ENDED:
            return
        self.data.life = Life.ENDED
        # Who is asked again and says goodbye may never answer: only a CANCEL sets an end to it.
        if self.state is State.OURS:
            self.fire(Event.CANCEL, [])
        elif self.state is State.ANSWERED:
            self.data.state = State.IDLE
        if self.data.early:
            early.drop_all(self)
        if self._updates is not None:
            self._updates.end()
        if self._keeper is not None:
            self._keeper.stop()
        dialog = self.data.dialog
        self.agent.close(dialog.key, self)
        for tag in self.data.spoken:
            self.agent.close((dialog.call_id, tag, dialog.remote_tag), self)
        self.scope.release(self)


Exchange.TABLE = {
    (State.IDLE, Event.INVITE_RECEIVED): (State.THEIRS, Exchange._invite_received),
    (State.IDLE, Event.INVITE): (State.OURS, Exchange._send_invite),
    (State.IDLE, Event.CANCEL): (State.IDLE, Exchange._come_to_nothing),
    (State.THEIRS, Event.ACCEPT): (State.ANSWERED, Exchange._accept),
    (State.THEIRS, Event.HOLD): (State.HELD, Exchange._hold),
    (State.THEIRS, Event.PRACK_MISSING): (State.IDLE, Exchange._cancelled),
    (State.THEIRS, Event.REJECT): (State.IDLE, Exchange._reject),
    (State.THEIRS, Event.CANCELLED): (State.IDLE, Exchange._cancelled),
    (State.HELD, Event.HOLD): (State.HELD, Exchange._hold),
    (State.HELD, Event.PRACKED): (State.ANSWERED, Exchange._accept_held),
    (State.HELD, Event.PRACK_MISSING): (State.IDLE, Exchange._cancelled_while_held),
    (State.HELD, Event.REJECT): (State.IDLE, Exchange._reject),
    (State.HELD, Event.CANCELLED): (State.IDLE, Exchange._cancelled_while_held),
    (State.ANSWERED, Event.ACK): (State.IDLE, Exchange._acknowledged),
    (State.ANSWERED, Event.ACK_MISSING): (State.IDLE, Exchange._ack_missing),
    (State.OURS, Event.TAKEN): (State.ACCEPTED, Exchange._taken),
    (State.OURS, Event.REFUSED): (State.IDLE, Exchange._refused),
    (State.OURS, Event.GLARE): (State.WAITING, Exchange._wait_for_glare),
    (State.OURS, Event.TOO_BRIEF): (State.OURS, Exchange._retry),
    (State.OURS, Event.LEFT): (State.GIVEN_UP, Exchange._left),
    (State.OURS, Event.CANCEL): (State.GIVEN_UP, Exchange._cancel),
    (State.WAITING, Event.CANCEL): (State.IDLE, Exchange._abandoned),
    (State.WAITING, Event.INVITE_RECEIVED): (State.THEIRS, Exchange._give_way),
    (State.WAITING, Event.OVERTAKEN): (State.IDLE, Exchange._give_way),
    (State.WAITING, Event.RETRY): (State.OURS, Exchange._retry),
    (State.GIVEN_UP, Event.TAKEN): (State.IDLE, Exchange._taken_too_late),
    (State.GIVEN_UP, Event.REFUSED): (State.IDLE, Exchange._abandoned),
    (State.GIVEN_UP, Event.GLARE): (State.IDLE, Exchange._abandoned),
    (State.ACCEPTED, Event.ACKNOWLEDGE): (State.IDLE, Exchange._acknowledge),
    (State.ACCEPTED, Event.CANCEL): (State.IDLE, Exchange._taken_too_late),
}
