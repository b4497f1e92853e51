"""A transfer: a REFER within a call that ends at the switch (RFC 3515, 5589, 3891). Pure.

The transferor asks, the transferee stays, a target is found: by calling it, like any other, or,
where Replaces names a dialog of ours, by borrowing the far leg of that call. The transferee hears
of nothing unless its session description has to change. The old call goes on until the new one
stands, and stays when nothing comes of it. What the transferor is told goes through a
``Notifier``, which may outlive its leg (RFC 5057).
"""

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from softswitch.b2bua.leg import Leg
from softswitch.b2bua.shared import Shared
from softswitch.dialog.subscription import Notifier, NotifierData
from softswitch.machine import DataMachine
from softswitch.plugin.decisions import Admission, Allow, Redirect, Reject, Route, Routing
from softswitch.plugin.views import Identity, RequestView
from softswitch.sip import compose
from softswitch.sip.events import REFER, event_of
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS
from softswitch.sip.replaces import ReferTo, Replaces
from softswitch.transaction.server import Server

if TYPE_CHECKING:
    from softswitch.b2bua.legs import Legs

_SIPFRAG: Field = ("Content-Type", "message/sipfrag;version=2.0")

#: Seconds beyond the ring time for which the transferor's subscription is promised.
MARGIN = 60.0


class State(StrEnum):
    """How far a transfer has come."""

    ASKING = "asking"
    ROUTING = "routing"
    TRYING = "trying"
    OVER = "over"


class Event(StrEnum):
    """What can happen to it."""

    ADMITTED = "admitted"
    DENIED = "denied"
    ROUTED = "routed"
    INHERITED = "ringing call inherited"
    BORROWED = "far leg borrowed"
    DONE = "both sides talk"
    FAILED = "nothing came of it"
    LOST = "transferee gone"


@attrs.define
class TransferData:
    """What a transfer knows; plain data.

    :ivar transferor: name of the leg that sent the REFER.
    :ivar transferee: name of the leg that stays.
    :ivar invite: what the target's INVITE is made of.
    :ivar replaces: the dialog at the target whose place the call takes, as a field value; "".
    :ivar state: how far it has come.
    :ivar inherited: id of the call that the transferor has left to the transferee while it rings;
        "" for none.
    :ivar told: the last status of which the transferor was told.
    :ivar gone: whether the transferor has hung up.
    :ivar notifier: of what it tells the transferor; None where that wants to hear nothing.
    """

    transferor: str
    transferee: str
    invite: Request
    replaces: str = ""
    state: State = State.ASKING
    inherited: str = ""
    told: int = 0
    gone: bool = False
    notifier: NotifierData | None = None


class Transferring(Protocol):
    """The call, as its transfer sees it."""

    @property
    def legs(self) -> "Legs":
        """Its legs."""

    def call_target(self, invite: Request, view: RequestView, route: Route) -> None:
        """Call somebody for the transferee."""

    def transferor_left(self, leg: Leg) -> None:
        """It has hung up, or has been dismissed."""

    def transfer_failed(self, transferor_gone: bool) -> None:
        """The call goes on as before; or ends, where only the transferee is left."""


class Ringing(Protocol):
    """A call of the transferor's that nobody has answered."""

    @property
    def data(self) -> Any:
        """What it knows, its ``id`` and ``record`` among it."""

    @property
    def can_be_left(self) -> bool:
        """Whether it may go to somebody else now."""

    def leave_to(self, heir: "Transfer") -> None:
        """It does."""

    def give_up(self) -> None:
        """Nobody wants it any more; harmless when it has ended."""


class Transfer(DataMachine):
    """One transfer of one call.

    :ivar data: what it knows.
    :param leg: the transferor's.
    :param transferee: the leg that stays.
    """

    __slots__ = ("_call", "_leg", "_notifier", "_ringing", "_shared", "_transferee")

    data: TransferData

    def __init__(
        self,
        shared: Shared,
        call: Transferring,
        leg: Leg,
        transferee: Leg,
        refer: ReferTo,
        request: Request,
    ) -> None:
        self._shared = shared
        self._call = call
        self._leg = leg
        self._transferee = transferee
        self._notifier: Notifier | None = None
        self._ringing: Ringing | None = None
        dialog = transferee.session.data.dialog
        by = request.get("Referred-By") or f"<{NameAddr.parse(leg.session.data.dialog.remote).uri}>"
        fields = [
            ("Max-Forwards", str(request.max_forwards or 70)),
            ("From", dialog.remote),
            ("To", f"<{refer.uri}>"),
            ("Call-ID", dialog.call_id),
            ("CSeq", "1 INVITE"),
            ("Referred-By", by),
        ]
        if refer.replaces is not None:
            fields.append(("Replaces", str(refer.replaces)))
        invite = Request("INVITE", str(refer.uri), fields)
        self.data = TransferData(leg.name, transferee.name, invite)

    @property
    def over(self) -> bool:
        """Whether it has succeeded or failed."""
        return self.data.state is State.OVER

    def let_go(self, leg: Leg, far: Leg | None) -> bool:
        """A leg has hung up: whether that is the transferor, who leaves the others to each other.

        :param far: to whom it talks: once a transfer has failed it ends the call, as anybody does.
        """
        if leg.name != self.data.transferor or (self.over and far is not None):
            return False
        self.data.gone = True
        return True

    @property
    def own_fields(self) -> list[Field]:
        """What the target's INVITE says of the transfer (RFC 3892, RFC 3891)."""
        kept = ("Referred-By", "Replaces")
        return [field for field in self.data.invite.fields if field[0] in kept]

    def start(self, request: Request, transaction: Server, caller: Identity) -> None:
        """Ask whether the transferor, maybe the caller, may reach the target, then answer the
        REFER."""
        transaction.adopt(self._leg.scope, None)
        leg = self._leg.data
        identity = caller if leg.name == "a" else Identity(leg.kind, leg.peer)
        view = RequestView(self.data.invite, self._leg.session.data.dialog.flow, identity)
        told = partial(self._judged, request, transaction, view)
        self._shared.policies.ask_admission(view, told)

    def subscribed(self, leg: Leg, request: Request, transaction: Server) -> bool:
        """The transferor refreshes its subscription, or ends it (RFC 6665 4.2.1.4).

        :returns: False where it has none.
        """
        notifier = self._notifier
        if leg is not self._leg or notifier is None or notifier.data.state == "terminated":
            return False
        package, number = event_of(request, numbered=True)
        if package != REFER or notifier.data.event not in (REFER, _event(number)):
            return False
        seconds = request.expires if request.expires is not None else int(MARGIN)
        transaction.adopt(self._leg.scope, None)
        _respond(transaction, 200, [("Expires", str(seconds)), self._contact])
        if seconds:
            notifier.expire_in(seconds)
            notifier.notify([_SIPFRAG], _fragment(self.data.told, REASONS.get(self.data.told, "")))
        else:
            notifier.terminate("timeout", [_SIPFRAG], _fragment(100, REASONS[100]))
        return True

    def progressed(self, response: Response) -> None:
        """The target rings."""
        if self.state is State.TRYING and response.status > self.data.told:
            self._tell(response.status, response.reason)

    def answered(self, lender: "Legs", far: Leg) -> None:
        """Whom the transferor had called has answered."""
        if self._transferee.is_calm:
            self.fire(Event.BORROWED, lender, far)
        else:
            self.failed(491, REASONS[491])

    def failed(self, status: int, reason: str) -> None:
        """The target cannot be had."""
        self.fire(Event.FAILED, status, reason)

    def done(self) -> None:
        """The target has answered."""
        self._call.legs.watch()
        self.fire(Event.DONE)

    def lost(self) -> None:
        """The transferee hung up, or the switch stops."""
        self.fire(Event.LOST)

    # What the policies say.

    def _judged(
        self, request: Request, transaction: Server, view: RequestView, decision: Admission
    ) -> None:
        if isinstance(decision, Allow) and not self.over:
            fields = [self._contact]
            silent = (request.get("Refer-Sub") or "").strip().lower() == "false"
            if silent:
                fields.append(("Refer-Sub", "false"))
            _respond(transaction, 202, fields)
            if not silent:
                several = self._leg.data.refers > 1
                self._subscribe(_event(str(request.cseq.number)) if several else REFER)
            self.fire(Event.ADMITTED, view)
        else:
            status = decision.status if isinstance(decision, Reject) else 403
            _respond(transaction, 487 if self.over else status, [])
            self.fire(Event.DENIED)

    def _routed(self, view: RequestView, decision: Routing) -> None:
        if self.state is not State.ROUTING:
            return
        if isinstance(decision, Route):
            self.fire(Event.ROUTED, view, decision)
        elif isinstance(decision, Redirect | Reject):
            self.failed(decision.status, REASONS.get(decision.status, ""))
        else:
            self.failed(500, "Transfers Are Not Forwarded")

    # Actions of the table.

    def _look(self, view: RequestView) -> None:
        """Is the target the far leg of another call of ours, somebody who rings for the transferor,
        or somebody to be called?"""
        replaces = Replaces.of(self.data.invite)
        far = None if replaces is None else self._call.legs.far_of_dialog(replaces)
        ringing = None if replaces is None else self._shared.find_calling(replaces)
        if far is not None and not (far[0].can_lend(far[1]) and self._transferee.is_calm):
            self.failed(491, REASONS[491])
        elif far is not None:
            self.fire(Event.BORROWED, *far)
        elif ringing is not None and ringing.can_be_left:
            self.fire(Event.INHERITED, ringing)
        elif ringing is not None:
            self.failed(491, REASONS[491])
        else:
            self._shared.policies.ask_route(view, partial(self._routed, view))

    def _try(self, view: RequestView, route: Route) -> None:
        self._call.call_target(self.data.invite, view, route)

    def _inherit(self, ringing: Ringing) -> None:
        self._ringing, self.data.inherited = ringing, ringing.data.id
        if ringing.data.record.ringing is not None:
            self._tell(180, REASONS[180])
        ringing.leave_to(self)

    def _borrow(self, lender: "Legs", far: Leg) -> None:
        self._ringing = None
        legs = self._call.legs
        legs.borrow(lender, far)
        legs.bridge(self._transferee, far).join()

    def _deny(self) -> None:
        self._call.transfer_failed(self.data.gone)

    def _fail(self, status: int, reason: str) -> None:
        self._give_up_ringing()
        self._tell(status, reason)
        self._call.transfer_failed(self.data.gone)

    def _succeed(self) -> None:
        if self._notifier is None or self._notifier.data.state == "terminated":
            self._dismiss()
        else:
            self._tell(200, REASONS[200])

    def _lose(self) -> None:
        self._give_up_ringing()
        self._tell(487, REASONS[487])

    # Helpers.

    def _give_up_ringing(self) -> None:
        ringing, self._ringing = self._ringing, None
        if ringing is not None:
            ringing.give_up()

    @property
    def _contact(self) -> Field:
        return ("Contact", self._leg.session.data.dialog.contact)

    def _subscribe(self, event: str) -> None:
        """The subscription that a REFER makes (RFC 3515 2.4.4)."""
        leg, shared = self._leg, self._shared
        send = partial(leg.session.request, "NOTIFY")
        self._notifier = Notifier(shared.clock, leg.scope, send, self._told_all, event)
        self._notifier.expire_in(shared.settings.ring_seconds + MARGIN)
        self.data.notifier = self._notifier.data
        self._tell(100, REASONS[100])

    def _tell(self, status: int, reason: str) -> None:
        self.data.told = status
        if self._notifier is None or self._notifier.data.state == "terminated":
            return
        if status < 200:
            self._notifier.notify([_SIPFRAG], _fragment(status, reason))
        else:
            self._notifier.terminate("noresource", [_SIPFRAG], _fragment(status, reason))

    def _told_all(self) -> None:
        """The subscription is over, and the last NOTIFY answered, or lost."""
        if self.over and self.data.told == 200:
            self._dismiss()

    def _dismiss(self) -> None:
        """The transferor is not needed any more."""
        try:
            leg = self._call.legs.get(self.data.transferor)
        except ReferenceError:
            return  # the call has ended, and been forgotten, before the last NOTIFY was answered
        if leg is not None:
            leg.session.bye()
            self._call.transferor_left(leg)


def _respond(transaction: Server, status: int, fields: list[Field]) -> None:
    if not transaction.answered:
        transaction.respond(compose.response(transaction.request, status, fields=fields))


def _event(number: str) -> str:
    """What names the subscription of a dialog's second REFER, and of each further one: the number
    in the REFER's CSeq (RFC 3515 2.4.6)."""
    return f"{REFER};id={number}"


def _fragment(status: int, reason: str) -> bytes:
    """A status line as a message fragment (RFC 3420)."""
    return f"SIP/2.0 {status} {reason}\r\n".encode("utf-8", "surrogateescape")


Transfer.TABLE = {
    (State.ASKING, Event.ADMITTED): (State.ROUTING, Transfer._look),
    (State.ASKING, Event.DENIED): (State.OVER, Transfer._deny),
    (State.ASKING, Event.LOST): (State.OVER, None),
    (State.ROUTING, Event.ROUTED): (State.TRYING, Transfer._try),
    (State.ROUTING, Event.BORROWED): (State.TRYING, Transfer._borrow),
    (State.ROUTING, Event.INHERITED): (State.TRYING, Transfer._inherit),
    (State.ROUTING, Event.FAILED): (State.OVER, Transfer._fail),
    (State.ROUTING, Event.LOST): (State.OVER, Transfer._lose),
    (State.TRYING, Event.BORROWED): (State.TRYING, Transfer._borrow),
    (State.TRYING, Event.DONE): (State.OVER, Transfer._succeed),
    (State.TRYING, Event.FAILED): (State.OVER, Transfer._fail),
    (State.TRYING, Event.LOST): (State.OVER, Transfer._lose),
}
