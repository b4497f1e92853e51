"""The INVITE usage of a dialog (RFC 3261 sections 13 to 15). Pure.

A session is one side of a call: it answers an INVITE or sends one, keeps sending its 2xx until
the ACK has come, acknowledges each 2xx of the peer, re-negotiates, and says goodbye. There is at
most one exchange of INVITE and answer at a time: that is the machine in ``exchange``. This file is
the whole as its user and the user agent see it.
"""

import random
from collections.abc import Iterable

from softswitch.dialog import early, refresh, reliable, update
from softswitch.dialog.data import Provisional, UpdateState
from softswitch.dialog.exchange import Exchange
from softswitch.dialog.update import can_send
from softswitch.dialog.usage import Event, Life, State, supported
from softswitch.errors import SipSyntaxError, StateError
from softswitch.flow import Flow
from softswitch.sip.fields import split_values
from softswitch.sip.message import Field, Request
from softswitch.sip.names import REASONS
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server


class Session(Exchange):
    """One side of a call.

    :param clock: tells time.
    :param agent: sends, and dispatches what comes in.
    :ivar user: the leg, told of everything; assigned before anything can happen.
    :param scope: owns the transactions and timers.
    :param transaction: of the INVITE that began it, None where we are to invite.
    :param credentials: answers the peer's challenges.
    :param profile: how the peer is treated.
    """

    __slots__ = ()

    @property
    def awaits_ack(self) -> bool:
        """Whether their 2xx still waits for our ACK, for want of an answer to its offer."""
        return self.data.state is State.ACCEPTED

    @property
    def holds_back(self) -> bool:
        """Whether a 2xx to their INVITE has to wait for a PRACK (RFC 3262 3)."""
        theirs = self.state in (State.THEIRS, State.HELD)
        return theirs and reliable.holds_back(self.data.reliable)

    @property
    def can_update(self) -> bool:
        """Whether ``update`` may be called: the peer serves UPDATE, and no offer is open between us
        (RFC 3311 5.1)."""
        return can_send(self, self.latest_tag)

    def supports(self, option_tag: str) -> bool:
        """Whether the peer knows an extension, by its last Supported.

        :param option_tag: lower case.
        """
        return option_tag in split_values(self.data.supported.lower())

    def reliably(self, body: bytes) -> bool:
        """Whether a provisional response with this body would be sent reliably (RFC 3262 3): only
        such a one may bear an offer."""
        invite = self.data.invite
        return invite is not None and reliable.is_wanted(invite, self.profile, body)

    # What the leg asks for.

    def invite(
        self,
        fields: Iterable[Field],
        body: bytes,
        max_forwards: int = 70,
        *,
        reliable: bool = True,
    ) -> None:
        """Send an INVITE: the first one, or one that re-negotiates.

        One that finds another exchange under way, as a refresh of our own, is refused with 491.

        :param reliable: whether provisional responses may come reliably (RFC 3262), if the profile
            lets them.
        """
        life = self.data.life
        if life is not Life.EARLY and not self.idle:
            if life is Life.CONFIRMED:
                self.user.invite_refused(491, REASONS[491], None)
            return
        known = ("Supported", supported(self.profile, reliable))
        self.fire(Event.INVITE, [known, *refresh.fields(self), *fields], body, max_forwards)

    def acknowledge(self, fields: Iterable[Field] = (), body: bytes = b"") -> None:
        """Acknowledge their 2xx, with the answer if its offer wants one; ignored without one."""
        if self.awaits_ack:
            self.fire(Event.ACKNOWLEDGE, fields, body)

    def provisional(
        self,
        status: int,
        reason: str,
        fields: Iterable[Field],
        body: bytes,
        tag: str = "",
    ) -> None:
        """Send 101 to 199 to their INVITE; ignored when it has been answered.

        :param tag: our To tag of another early dialog (RFC 3261 12.1.1); "" for the present one.
        """
        if self.state is not State.THEIRS or self.transaction is None:
            return
        if tag:
            self._speak_as(tag)
        said = Provisional(status, reason, list(fields), body, self.data.dialog.local_tag)
        if self.data.reliable is not None or self.reliably(body):
            reliable.provide(self, said)
        else:
            self.repeat(said)

    def hand_over(self) -> InviteServer:
        """Their first INVITE is somebody else's to answer: the session ends without a word."""
        transaction, self.transaction = self.transaction, None
        assert transaction is not None
        self.fire(Event.REJECT, 0, None, ())
        return transaction

    def accept(self, fields: Iterable[Field], body: bytes, tag: str = "") -> None:
        """Send 200 to their INVITE, again and again until its ACK has come; as long as the session
        ``holds_back``, it waits, and ``answer_sent`` tells when it leaves.

        :param tag: as for ``provisional``.
        """
        if tag:
            self._speak_as(tag)
        self.fire(Event.HOLD if self.holds_back else Event.ACCEPT, fields, body)

    def _speak_as(self, tag: str) -> None:
        """Be another early dialog of their INVITE's; the others can be reached still."""
        dialog, invite = self.data.dialog, self.data.invite
        assert invite is not None
        if tag != dialog.local_tag:
            spoken = self.data.spoken
            spoken[dialog.local_tag] = dialog.remote_cseq
            dialog.remote_cseq = spoken.pop(tag, invite.cseq.number)
            dialog.local = f"{dialog.local.removesuffix(dialog.local_tag)}{tag}"
            dialog.local_tag = tag
            self.agent.open(dialog.key, self)

    def reject(self, status: int, reason: str | None, fields: Iterable[Field] = ()) -> None:
        """Send a final refusal (3xx to 6xx) of their INVITE. The first one ends the session."""
        self.fire(Event.REJECT, status, reason, fields)

    def cancel(self, fields: Iterable[Field] = ()) -> None:
        """Give our INVITE up: CANCEL it, and take down whatever answer crosses; ignored where the
        exchange is theirs."""
        if self.state not in (State.THEIRS, State.HELD, State.ANSWERED, State.GIVEN_UP):
            self.fire(Event.CANCEL, list(fields))

    def break_off(self) -> None:
        """What is negotiated once the call stands, or by UPDATE before, is nobody's any more:
        theirs is refused, ours given up, and no answer to it is told."""
        later = [("Retry-After", "2")]
        if self.data.life is Life.CONFIRMED:
            if self.state in (State.THEIRS, State.HELD):
                self.fire(Event.REJECT, 500, None, later)
            elif not self.refreshing:
                self.cancel()
        self.answer_prack(500, later)
        if self._updates is not None:
            self._updates.answer(500, None, later)
            self._updates.end()

    def prack(self, tag: str, fields: Iterable[Field], body: bytes) -> None:
        """Answer the offer in the reliable provisional response that came with this To tag
        (RFC 3262 5); ignored when none waits for that."""
        reliable.prack(self, tag, fields, body)

    def answer_prack(self, status: int, fields: Iterable[Field] = (), body: bytes = b"") -> None:
        """Answer the PRACK of which ``prack_received`` told, with the answer to its offer; ignored
        when it has been answered, or its INVITE is over."""
        reliable.answer_prack(self, status, fields, body)

    def update(self, fields: Iterable[Field], body: bytes, tag: str = "") -> None:
        """Send an UPDATE (RFC 3311); one that meets theirs is sent again by itself. One that finds
        an offer open, and what ``can_update`` denies, is refused with 491.

        :param tag: of the early dialog; "" for the confirmed one, or the last that was made.
        :raises StateError: the peer knows no UPDATE.
        """
        if self.data.life is Life.ENDED:
            return
        if not self.allows("UPDATE"):
            raise StateError("the peer knows no UPDATE")
        if not can_send(self, tag or self.latest_tag):
            self.user.update_refused(491, REASONS[491], None)
            return
        self.updates.send(fields, body, tag or self.latest_tag)

    def accept_update(self, fields: Iterable[Field], body: bytes) -> None:
        """Answer their UPDATE with 200; ignored when it has been answered, or the session is
        over."""
        self.updates.answer(200, None, fields, body)

    def reject_update(
        self, status: int, reason: str | None = None, fields: Iterable[Field] = ()
    ) -> None:
        """Refuse their UPDATE; all stays as it was. Ignored likewise."""
        self.updates.answer(status, reason, fields)

    # What comes in.

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """A request within the dialog, ACK apart."""
        try:
            in_order = self._is_in_order(request, transaction.flow)
        except SipSyntaxError as error:
            self.answer(transaction, error.status, error.reason)
            return
        if not in_order:
            self.answer(transaction, 500, "CSeq Out Of Order")
        elif isinstance(transaction, InviteServer):
            self._reinvited(transaction)
        elif request.method == "BYE":
            self.answer(transaction, 200)
            self._bye_received(request)
        elif request.method == "PRACK":
            reliable.prack_received(self, request, transaction)
        elif request.method == "UPDATE":
            self.learn(request)
            update.received(self, request, transaction)
        else:
            self.user.request_received(request, transaction)

    # Helpers.

    def _is_in_order(self, request: Request, flow: Flow) -> bool:
        """Each early dialog counts by itself, theirs and ours (RFC 3261 12.2.2)."""
        data, tag = self.data, request.to.tag or ""
        dialog = data.early.get(request.from_.tag or "", data.dialog)
        if tag not in data.spoken:
            return dialog.heard(request, flow)
        present, dialog.remote_cseq = dialog.remote_cseq, data.spoken[tag]
        try:
            return dialog.heard(request, flow)
        finally:
            data.spoken[tag], dialog.remote_cseq = dialog.remote_cseq, present

    def _reinvited(self, transaction: InviteServer) -> None:
        theirs = (State.THEIRS, State.HELD)
        updating = UpdateState.IDLE if self.data.update is None else self.data.update.state
        too_brief = refresh.too_brief(transaction.request, self.profile)
        if self.state in theirs or updating is UpdateState.THEIRS:
            # RFC 3261 14.2: theirs is not finished yet.
            retry = ("Retry-After", str(random.randrange(0, 11)))
            self.answer(transaction, 500, fields=[retry])
        elif self.state not in (State.IDLE, State.WAITING) or updating is UpdateState.OURS:
            self.answer(transaction, 491)
        elif too_brief:
            self.answer(transaction, 422, fields=too_brief)
        else:
            if updating is UpdateState.WAITING:
                self.updates.lose(491)
            self.fire(Event.INVITE_RECEIVED, transaction)

    def _bye_received(self, request: Request) -> None:
        data, tag = self.data, request.to.tag or ""
        if data.life is Life.ENDED:
            return
        if tag in data.spoken:
            del data.spoken[tag]
            self.agent.close((data.dialog.call_id, tag, data.dialog.remote_tag), self)
            return
        if data.life is Life.EARLY:
            if data.calling:
                self._callee_left(request.from_.tag or "")
            else:
                self.fire(Event.CANCELLED, request)
            return
        if self.state in (State.THEIRS, State.HELD):
            self.fire(Event.REJECT, 487, None, ())
        elif self.state is State.ACCEPTED:
            self.fire(Event.ACKNOWLEDGE, (), b"")
        self._settle()
        waited = data.hang_up is not None
        self._end()
        if not waited:
            self.user.session_ended(request, "BYE")

    def _callee_left(self, tag: str) -> None:
        """A BYE in an early dialog ends that one; with the last, nobody is left to answer."""
        early.drop(self, tag)
        if not self.data.early and self.state is State.OURS:
            self.fire(Event.LEFT)
