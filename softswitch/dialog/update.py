"""UPDATE (RFC 3311): the session changes without an INVITE, before its answer or after. Pure.

There is one UPDATE at a time on a session, ours or theirs; the machine at the foot of this file is
that one. Two that cross, or one that meets another offer, are told apart by 491 and 500 (RFC 3311
5.2); ours that was told 491 is sent again by itself.
"""

import random
from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from softswitch.dialog import refresh
from softswitch.dialog.data import UpdateData, UpdateState
from softswitch.dialog.dialog import ALLOW
from softswitch.dialog.usage import Event, Life, State, bears_sdp, supported
from softswitch.machine import DataMachine
from softswitch.sip import compose
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS
from softswitch.transaction.server import Server
from softswitch.wheel import Timer

if TYPE_CHECKING:
    from softswitch.dialog.exchange import Exchange


class UpdateEvent(StrEnum):
    """What can happen to an UPDATE."""

    SEND = "we ask"
    TAKEN = "2xx received"
    REFUSED = "failure received"
    GLARE = "491 received"
    RETRY = "again"
    RECEIVED = "UPDATE received"
    ANSWER = "we answer"
    END = "session over"


class Update(DataMachine):
    """The UPDATE that is under way on a session."""

    __slots__ = ("_number", "_session", "_timer")

    data: UpdateData

    def __init__(self, session: "Exchange") -> None:
        if session.data.update is None:
            session.data.update = UpdateData()
        self.data = session.data.update
        self._session = session
        self._timer: Timer | None = None
        self._number = 0

    def leftovers(self) -> list[str]:
        """The name of the timer while it is set (for the scope)."""
        return [] if self._timer is None else ["UPDATE 491"]

    def send(self, fields: Iterable[Field], body: bytes, tag: str) -> None:
        """Ask for a change, in the dialog with that tag."""
        self.data.tag, self.data.fields, self.data.body = tag, list(fields), body
        self.fire(UpdateEvent.SEND)

    def received(self, request: Request, transaction: Server) -> None:
        """Their UPDATE, with an offer that nothing stands against."""
        self.fire(UpdateEvent.RECEIVED, request, transaction)

    def answer(
        self, status: int, reason: str | None, fields: Iterable[Field], body: bytes = b""
    ) -> None:
        """Answer theirs; ignored when none waits for it."""
        if self.state is UpdateState.THEIRS:
            self.fire(UpdateEvent.ANSWER, status, reason, fields, body)

    def end(self) -> None:
        """The dialog is over."""
        if self.state is not UpdateState.IDLE:
            self.fire(UpdateEvent.END)

    def lose(self, status: int = 487) -> None:
        """Its dialog is gone, or with 491 their INVITE goes first: ours has failed."""
        asked = self.state in (UpdateState.OURS, UpdateState.WAITING)
        self.end()
        if asked:
            self._session.user.update_refused(status, REASONS[status], None)

    # Actions of the table.

    def _ask(self) -> None:
        self._stop()
        session, data = self._session, self.data
        self._number += 1
        fields = [*refresh.asking(session), *data.fields]
        tell = partial(self._told, self._number)
        session.request("UPDATE", fields, data.body, tell, tag=data.tag)

    def _told(self, number: int, status: int, reason: str, response: Response | None) -> None:
        if number != self._number:
            return
        if status == 491:
            self.fire(UpdateEvent.GLARE)
        elif status == 422 and response is not None and refresh.longer(self._session, response):
            self.fire(UpdateEvent.RETRY)
        elif response is not None and status < 300:
            self.fire(UpdateEvent.TAKEN, response)
        else:
            self.fire(UpdateEvent.REFUSED, status, reason, response)

    def _taken(self, response: Response) -> None:
        self._session.refreshed(response, self.data.tag)
        self._session.user.update_accepted(response)

    def _refused(self, status: int, reason: str, response: Response | None) -> None:
        self._session.user.update_refused(status, reason, response)

    def _wait(self) -> None:
        # RFC 3311 5.3: the owner of the Call-ID waits longer; here that is the one who invited.
        calling = self._session.data.calling
        wait = random.randrange(210, 400) if calling else random.randrange(0, 200)
        self._timer = self._session.clock.callLater(wait / 100, self._retry)

    def _retry(self) -> None:
        self._timer = None
        if conflict(self._session, self.data.tag):
            self.lose(491)
        else:
            self.fire(UpdateEvent.RETRY)

    def _give_way(self, request: Request, transaction: Server) -> None:
        """Theirs goes first; whoever asked for ours has to ask again."""
        self._stop()
        self._hold(request, transaction)
        self._session.user.update_refused(491, REASONS[491], None)
        if self.data.theirs is request:  # and that has not ended it
            self._session.user.update_received(request)

    def _take(self, request: Request, transaction: Server) -> None:
        self._hold(request, transaction)
        self._session.user.update_received(request)

    def _hold(self, request: Request, transaction: Server) -> None:
        self.data.tag = request.from_.tag or ""
        self.data.theirs = request
        transaction.adopt(self._session.scope, None)
        self._session.hold_open("UPDATE", transaction)

    def _answer(
        self, status: int, reason: str | None, fields: Iterable[Field], body: bytes
    ) -> None:
        request, self.data.theirs = self.data.theirs, None
        assert request is not None
        if status < 300:
            fields = [*accepting(self._session, request), *fields]
        fields = [*fields, *self._session.identified]
        response = compose.response(request, status, reason, fields=fields, body=body)
        self._session.let_go_of("UPDATE", response)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._stop()
        self._number += 1
        self.data.theirs = None
        self._session.let_go_of("UPDATE")


def received(session: "Exchange", request: Request, transaction: Server) -> None:
    """Their UPDATE: refused when it meets another offer, told when it has one, else a mere refresh
    (RFC 3311 5.2)."""
    under_way = session.data.update
    too_brief = refresh.too_brief(request, session.profile)
    status = 0
    if too_brief:
        session.answer(transaction, 422, fields=too_brief)
        return
    if under_way is not None and under_way.state is UpdateState.THEIRS:
        status = 500
    elif bears_sdp(request):
        status = conflict(session, request.from_.tag or "")
    if status:
        fields = [] if status == 491 else [("Retry-After", str(random.randrange(0, 11)))]
        session.answer(transaction, status, fields=fields)
    elif bears_sdp(request):
        if session.state is State.WAITING:
            session.fire(Event.OVERTAKEN)
        session.updates.received(request, transaction)
    else:
        session.answer(transaction, 200, fields=accepting(session, request))


def accepting(session: "Exchange", request: Request) -> list[Field]:
    """What a 2xx to their UPDATE says of us."""
    return [
        ("Contact", session.data.dialog.contact),
        ("Allow", ALLOW),
        ("Supported", supported(session.profile)),
        *refresh.answering(session, request),
    ]


def can_send(session: "Exchange", tag: str) -> bool:
    """Whether nothing stands against an UPDATE of ours with an offer (RFC 3311 5.1)."""
    data = session.data
    if data.life is Life.ENDED or data.state in (State.WAITING, State.HELD, State.ANSWERED):
        return False
    under_way = data.update
    if under_way is not None and under_way.state is not UpdateState.IDLE:
        return False
    return session.allows("UPDATE") and not conflict(session, tag)


def conflict(session: "Exchange", tag: str) -> int:
    """Which open offer stands against another one in an UPDATE.

    :returns: 491 for one of ours, 500 for one of theirs, 0 for none.
    """
    data = session.data
    if data.update is not None and data.update.state is UpdateState.OURS:
        return 491
    if data.state in (State.THEIRS, State.HELD):
        reliable, invite = data.reliable, data.invite
        if reliable is None or reliable.prack is not None or invite is None:
            return 500
        if reliable.sent is not None and reliable.sent.body and not invite.body:
            return 491
        return 0 if reliable.settled else 500
    if data.state is State.OURS:
        heard = data.heard.get(tag)
        if heard is not None and (heard.held or heard.settled):
            return 500 if heard.held else 0
        return 491
    if data.state is State.ANSWERED:
        return 0 if data.invite is not None and data.invite.body else 491
    return {State.ACCEPTED: 500, State.GIVEN_UP: 491}.get(data.state, 0)


Update.TABLE = {
    (UpdateState.IDLE, UpdateEvent.SEND): (UpdateState.OURS, Update._ask),
    (UpdateState.IDLE, UpdateEvent.RECEIVED): (UpdateState.THEIRS, Update._take),
    (UpdateState.OURS, UpdateEvent.TAKEN): (UpdateState.IDLE, Update._taken),
    (UpdateState.OURS, UpdateEvent.REFUSED): (UpdateState.IDLE, Update._refused),
    (UpdateState.OURS, UpdateEvent.GLARE): (UpdateState.WAITING, Update._wait),
    (UpdateState.OURS, UpdateEvent.RETRY): (UpdateState.OURS, Update._ask),
    (UpdateState.OURS, UpdateEvent.END): (UpdateState.IDLE, Update._end),
    (UpdateState.WAITING, UpdateEvent.RETRY): (UpdateState.OURS, Update._ask),
    (UpdateState.WAITING, UpdateEvent.RECEIVED): (UpdateState.THEIRS, Update._give_way),
    (UpdateState.WAITING, UpdateEvent.END): (UpdateState.IDLE, Update._end),
    (UpdateState.THEIRS, UpdateEvent.ANSWER): (UpdateState.IDLE, Update._answer),
    (UpdateState.THEIRS, UpdateEvent.END): (UpdateState.IDLE, Update._end),
}
