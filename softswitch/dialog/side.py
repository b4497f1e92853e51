"""What everything that a session does stands on: its data, timers, dialogs and requests. Pure."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from softswitch.dialog.data import UpdateState
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.proof import Credentials
from softswitch.dialog.requester import Inquiry, Requester, Tell
from softswitch.dialog.usage import (
    Dialogs,
    Event,
    Life,
    SessionData,
    SessionUser,
    State,
    answer,
)
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.machine import DataMachine
from softswitch.plugin.profile import DEFAULT, Profile
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.fields import split_values
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.names import REASONS
from softswitch.sip.sessionid import sender_uuid
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server
from softswitch.wheel import Clock, Timer

if TYPE_CHECKING:
    from softswitch.dialog.refresh import Refresh
    from softswitch.dialog.update import Update


#: What a peer is expected to serve that has sent no Allow.
BASIC = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS")

#: Seconds beyond which an Expires says nothing: nothing rings for so long, and the wheel would keep
#: the timer's slot until then.
LONGEST_INVITATION = 3600


class Side(DataMachine):
    """One side of a call, before it does anything; see ``session``."""

    __slots__ = (
        "_keeper",
        "_open",
        "_requester",
        "_updates",
        "agent",
        "clock",
        "credentials",
        "profile",
        "scope",
        "timers",
        "transaction",
        "user",
        "wait",
    )

    data: SessionData

    def __init__(
        self,
        clock: Clock,
        agent: Dialogs,
        scope: Scope,
        dialog: Dialog,
        transaction: InviteServer | None = None,
        credentials: Credentials | None = None,
        profile: Profile = DEFAULT,
    ) -> None:
        self.data = SessionData(dialog)
        self.scope = scope
        self.user: SessionUser
        self._keeper: Refresh | None = None
        self._updates: Update | None = None
        self._open: dict[str, Server] | None = None
        self.clock = clock
        self.agent = agent
        self.credentials = credentials
        self.profile = profile
        self._requester: Requester | None = None
        self.transaction: InviteServer | None = None
        self.timers: dict[str, Timer] = {}
        self.wait = 0.0
        scope.hold(self)
        if transaction is not None:
            self.take(transaction)
            self.learn(transaction.request)
            self.data.calling = False
            self.data.state = State.THEIRS
            agent.open(dialog.key, self)

    @property
    def idle(self) -> bool:
        """Whether the call stands and nobody is re-negotiating it, by INVITE or UPDATE."""
        data = self.data
        return (
            data.life is Life.CONFIRMED
            and data.state is State.IDLE
            and (data.update is None or data.update.state is UpdateState.IDLE)
        )

    @property
    def latest_tag(self) -> str:
        """The peer's tag in the session's dialog, or in the latest early one."""
        early = self.data.early
        return next(reversed(early)) if early else self.data.dialog.remote_tag

    def allows(self, method: str) -> bool:
        """Whether the peer serves a method, by its last Allow; of one that has sent none, only what
        RFC 3261 has is expected."""
        allow = self.data.allow
        return method in (BASIC if allow is None else split_values(allow))

    def leftovers(self) -> list[str]:
        """Names of the timers that are still set (for the scope)."""
        left = list(self.timers)
        for helper in (self._updates, self._keeper):
            if helper is not None:
                left += helper.leftovers()
        return left

    def let_go(self) -> None:
        """Forget everybody: the scope has closed, and nothing can happen any more."""
        self.transaction = None
        self._requester = None
        del self.user
        self._updates = self._keeper = None

    # For what belongs to the session.

    def set_timer(self, name: str, delay: float, then: Callable[..., object], *args: Any) -> None:
        """Let something happen later, unless the exchange is over by then."""
        self.timers[name] = self.clock.callLater(delay, then, *args)

    def stop_timers(self, *names: str) -> None:
        """Some, or all."""
        for name in names or list(self.timers):
            if name in self.timers:
                self.timers.pop(name).cancel()

    def hold_open(self, name: str, transaction: Server) -> None:
        """Keep a request of theirs whose answer is the user's."""
        if self._open is None:
            self._open = {}
        self._open[name] = transaction

    def let_go_of(self, name: str, response: Response | None = None) -> None:
        """Answer such a request; with 487 when what it belongs to is over (RFC 3261 15.1.2)."""
        transaction = None if self._open is None else self._open.pop(name, None)
        if transaction is not None:
            transaction.respond(response or compose.response(transaction.request, 487))

    def find_dialog(self, tag: str = "") -> Dialog | None:
        """The dialog with the peer that has this tag; "" for the only one, or the latest early
        one."""
        data = self.data
        if data.early:
            return data.early.get(tag or next(reversed(data.early)))
        own = data.dialog.remote_tag
        return data.dialog if own and tag in ("", own) else None

    def request(
        self,
        method: str,
        fields: Iterable[Field],
        body: bytes,
        tell: Tell,
        max_forwards: int = 70,
        tag: str = "",
    ) -> None:
        """Send any other request within the dialog, also after its end (RFC 5057).

        A 408 or 481 does not end the session by itself.

        :param tell: called once with the final answer, maybe at once.
        :param tag: of the early dialog; "" for the confirmed one, or the latest.
        """
        dialog = self.find_dialog(tag)
        if dialog is None or self.scope.closed:
            tell(481, REASONS[481], None)
            return
        requester = Requester(self.agent, dialog, Inquiry(tell), self.scope, self.credentials)
        requester.start(dialog.request(method, fields, body, max_forwards))

    def take(self, transaction: InviteServer) -> None:
        """An INVITE of theirs begins an exchange."""
        self.transaction = transaction
        self.data.invite = transaction.request
        self.data.reliable = None
        transaction.own_tag = self.data.dialog.local_tag
        transaction.adopt(self.scope, self)
        if transaction.request.get("Expires") is not None:
            self._expire(transaction.request)

    def _expire(self, invite: Request) -> None:
        """See to it that an INVITE ends with the time that it gives us (RFC 3261 13.3.1); what
        cannot be read gives none."""
        with suppress(SipSyntaxError):
            seconds = invite.expires
            if seconds is not None and seconds <= LONGEST_INVITATION:
                self.data.expires_at = self.clock.seconds() + seconds
                self.set_timer("Expires", seconds, self._expired)

    def _expired(self) -> None:
        """Nobody has answered: it is as if they had cancelled."""
        del self.timers["Expires"]
        invite = self.data.invite
        if self.state is State.THEIRS and invite is not None:  # else a 2xx waits for its PRACK
            self.fire(Event.CANCELLED, compose.cancel(invite))

    def learn(self, message: Message) -> None:
        """Take note of what the peer says that it can do."""
        if message.get("Allow") is not None:
            self.data.allow = ", ".join(message.all("Allow"))
        if message.get("Supported") is not None:
            self.data.supported = ", ".join(message.all("Supported"))
        told = message.get("Session-ID")
        if told is not None:
            self.data.uuid = sender_uuid(told) or self.data.uuid

    def answer(
        self,
        transaction: InviteServer | Server,
        status: int,
        reason: str | None = None,
        fields: Iterable[Field] = (),
    ) -> None:
        """Answer a request of theirs at once; its transaction then runs out within the scope."""
        answer(transaction, self.scope, status, reason, [*fields, *self.identified])

    @property
    def identified(self) -> list[Field]:
        """The Session-ID of what we send (RFC 7989), where we say one."""
        said = self.data.dialog.session_id
        return [("Session-ID", said)] if said else []

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """A request within the dialog, ACK apart."""
        raise NotImplementedError

    def ack_received(self, request: Request, flow: Flow) -> None:
        """An ACK of our 2xx, or a copy of it."""
        raise NotImplementedError

    def cancelled(self, transaction: InviteServer, cancel: Request) -> None:
        """From the transaction: their CANCEL."""
        raise NotImplementedError

    def transaction_failed(self, transaction: InviteServer | Server, reason: str) -> None:
        """From the transaction: our final answer cannot be delivered, or was never acknowledged."""
        raise NotImplementedError
