"""A bridge: joins two legs, so that what one negotiates reaches the other. Pure.

What crosses goes step by step. A step with a session description waits for the media engine,
and the steps behind it wait too, so that a 200 never overtakes its 183; an engine that answers
at once is the easy case of the same path. An answer whose token is no longer current is ignored.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, Protocol

import attrs

from softswitch.b2bua import crossing
from softswitch.b2bua.leg import Leg
from softswitch.dialog.usage import Life
from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.plugin.media import IMediaEngine, MediaAnswer, MediaQuestion
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.wheel import Clock, Timer

#: A re-INVITE that has no final answer by then has none. It is longer than timer B, which finds a
#: peer that says nothing at all: that one is gone, and so is the call (RFC 3261 12.2.1.2).
RENEGOTIATION_SECONDS = 40.0


class Kind(StrEnum):
    """What a step does to the leg that it reaches."""

    INVITE = "invite"
    PROVISIONAL = "provisional"
    ACCEPT = "accept"
    ACKNOWLEDGE = "acknowledge"


@attrs.define
class Step:
    """One message that crosses; plain data.

    :ivar kind: what is to be done.
    :ivar source: name of the leg it comes from.
    :ivar status: of a response, 0 for a request.
    :ivar reason: phrase of a response.
    :ivar fields: header fields that cross.
    :ivar body: as received.
    :ivar is_sdp: whether the body is a session description.
    :ivar max_forwards: for an INVITE.
    """

    kind: Kind
    source: str
    status: int = 0
    reason: str = ""
    fields: list[Field] = attrs.Factory(list)
    body: bytes = b""
    is_sdp: bool = False
    max_forwards: int = 70


@attrs.define
class BridgeData:
    """What a bridge knows; plain data.

    :ivar session: name of its media session.
    :ivar offerer: name of the leg whose offer awaits an answer; "" when none does.
    :ivar inviter: name of the leg that re-negotiates; "" when none does.
    :ivar steps: what is to cross, the first one being asked about.
    :ivar token: of the question that the first step waits for; 0 when it waits for nothing.
    :ivar asked: how many questions there have been.
    """

    session: str
    offerer: str = ""
    inviter: str = ""
    steps: list[Step] = attrs.Factory(list)
    token: int = 0
    asked: int = 0


class BridgeUser(Protocol):
    """The call."""

    def bridge_invited(self, bridge: "Bridge") -> None:
        """An INVITE has gone to leg b, or a re-INVITE to either."""

    def bridge_answered(self, bridge: "Bridge") -> None:
        """The first 2xx has gone to the caller."""

    def bridge_failed(self, bridge: "Bridge", status: int, reason: str) -> None:
        """The call cannot go on over this bridge: its media cannot be had."""


class Bridge:
    """Joins leg ``a``, the caller's, and leg ``b``.

    :param engine: rewrites session descriptions; None lets them pass unchanged.
    :param deadline: seconds within which the engine must have answered.
    """

    __slots__ = ("_clock", "_deadline", "_engine", "_timer", "_user", "a", "b", "data", "ended")

    def __init__(
        self,
        data: BridgeData,
        a: Leg,
        b: Leg,
        user: BridgeUser,
        engine: IMediaEngine | None,
        clock: Clock,
        deadline: float,
    ) -> None:
        self.data = data
        self.a = a
        self.b = b
        self.ended = False
        self._user = user
        self._engine = engine
        self._clock = clock
        self._deadline = deadline
        self._timer: Timer | None = None
        b.scope.hold(self)

    def leftovers(self) -> list[str]:
        """Ports of the media engine and its question, while there are any (for the scope)."""
        left = [] if self._timer is None else ["media question"]
        if self._engine is not None and self._engine.ports_in_use(self.data.session):
            left.append("ports")
        return left

    def invite(self, fields: list[Field], request: Request) -> None:
        """Carry the caller's INVITE to leg b."""
        self._cross(Kind.INVITE, self.a, request, fields, max_forwards=crossing.hops(request))

    def provisional(self, response: Response) -> None:
        """Carry leg b's ringing or early media to the caller."""
        fields = crossing.fields(response) + crossing.describing(response)
        self._cross(Kind.PROVISIONAL, self.b, response, fields, response.status, response.reason)

    def accepted(self, leg: Leg, response: Response) -> None:
        """Carry a leg's 2xx to the other."""
        offerer = self.data.offerer
        if offerer == self.other(leg).name or not (offerer or crossing.is_sdp(response)):
            # The offer was not its own, so the ACK owes it no answer (RFC 3261 13.2.2.4).
            leg.session.acknowledge()
        fields = crossing.fields(response) + crossing.describing(response)
        self._cross(Kind.ACCEPT, leg, response, fields, response.status, response.reason)

    def acknowledged(self, leg: Leg, ack: Request) -> None:
        """Carry the ACK to the other leg where the answer to its offer is in it."""
        other = self.other(leg)
        if other.session.awaits_ack:
            self._cross(Kind.ACKNOWLEDGE, leg, ack, crossing.describing(ack))
        else:
            self._finish()

    def reinvited(self, leg: Leg, request: Request) -> None:
        """Carry a leg's re-INVITE to the other, unless the other is busy (RFC 3261 14.2)."""
        other = self.other(leg)
        data = self.data
        if data.inviter or data.steps or not other.session.idle:
            leg.session.reject(491, None)
            return
        self._fork(leg)
        fields = crossing.fields(request) + crossing.describing(request)
        self._cross(Kind.INVITE, leg, request, fields, max_forwards=crossing.hops(request))

    def restore(self, leg: Leg) -> None:
        """Offer a leg anew what the other holds to: it has accepted what was taken back. Without
        an engine nobody keeps descriptions, and the next re-INVITE has to settle it."""
        other = self.other(leg)
        agreed = other.data.media.state.remote
        if agreed and leg.session.idle and other.session.idle:
            self._fork(other)
            described = [("Content-Type", "application/sdp")]
            self._append(Step(Kind.INVITE, other.name, fields=described, body=agreed, is_sdp=True))

    def refused(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        """Carry the refusal of a re-INVITE back; the call stays as it was."""
        other = self.other(leg)
        self._withdraw(other)
        # That 491 is the leg's own, which has given way to its peer: ours shall ask again.
        told = status if status == 491 else crossing.status(status)
        fields = crossing.fields(response) if response is not None else []
        self._reject(other, told, reason if told == status else None, fields)
        if status in (408, 481):
            # RFC 3261 12.2.1.2: the dialog is gone on that side.
            self._user.bridge_failed(self, status, reason)

    def cancelled(self, leg: Leg) -> None:
        """Carry the CANCEL of a re-INVITE over; the call stays as it was."""
        self._withdraw(leg)
        self.other(leg).keep()
        self.other(leg).session.cancel()

    def other(self, leg: Leg) -> Leg:
        """The leg on the far side of ``leg``."""
        return self.b if leg is self.a else self.a

    def end(self) -> None:
        """Free the media and forget what was to cross. Harmless when repeated."""
        if self.ended:
            return
        self.ended = True
        self._forget()
        if self._engine is not None:
            self._engine.release(self.data.session)
        self.b.scope.release(self)

    # Steps.

    def _cross(
        self,
        kind: Kind,
        leg: Leg,
        message: Message,
        fields: list[Field],
        status: int = 0,
        reason: str = "",
        max_forwards: int = 70,
    ) -> None:
        body = message.body
        is_sdp = crossing.is_sdp(message)
        self._append(Step(kind, leg.name, status, reason, fields, body, is_sdp, max_forwards))

    def _append(self, step: Step) -> None:
        waits = bool(self.data.steps)
        self.data.steps.append(step)
        if not waits:
            self._next()

    def _next(self) -> None:
        """Go on with what waits, until a step has to wait for the engine itself."""
        steps = self.data.steps
        while steps and not self.data.token:
            if steps[0].is_sdp and self._engine is not None:
                self._ask(self._engine)
                return
            step = steps.pop(0)
            self._note_offer(step)
            self._deliver(step, step.body)

    def _note_offer(self, step: Step) -> bool:
        """Note whose offer is open.

        :returns: whether the step's description is an offer.
        """
        data = self.data
        if not step.is_sdp:
            return False
        if data.offerer in ("", step.source):
            data.offerer = step.source
            return True
        if step.kind is not Kind.PROVISIONAL:
            data.offerer = ""
        return False

    def _ask(self, engine: IMediaEngine) -> None:
        """Ask the engine about the first step."""
        data = self.data
        step = data.steps[0]
        data.asked += 1
        data.token = token = data.asked
        source, target = self._legs(step)
        kind: Literal["offer", "answer"] = "offer" if self._note_offer(step) else "answer"
        question = MediaQuestion(
            token,
            data.session,
            kind,
            step.body,
            source.name,
            target.name,
            source.data.network,
            target.data.network,
            source.data.source,
        )
        engine.ask(question, self._told)
        if data.token == token:
            self._timer = self._clock.callLater(
                self._deadline, self._told, MediaAnswer(token, error=_SILENT)
            )

    def _told(self, answer: MediaAnswer) -> None:
        """The engine has answered, or its deadline has."""
        data = self.data
        if self.ended or answer.token != data.token:
            return
        data.token = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        step = data.steps.pop(0)
        source, target = self._legs(step)
        if answer.error is not None:
            self._failed(step, answer.error)
        else:
            try:
                source.data.media.incoming(step.body)
                sdp = target.data.media.outgoing(answer.sdp, target.data.network.advertise)
            except SdpSyntaxError as error:
                self._failed(step, error)
            else:
                self._deliver(step, sdp)
        if not self.ended:
            self._next()

    def _deliver(self, step: Step, body: bytes) -> None:
        """Do to the far leg what the step says."""
        _, target = self._legs(step)
        session = target.session
        if step.kind is Kind.INVITE:
            if self.data.inviter:
                target.give_up_in(RENEGOTIATION_SECONDS, self._unanswered)
            session.invite(step.fields, body, step.max_forwards)
            self._user.bridge_invited(self)
        elif step.kind is Kind.PROVISIONAL:
            session.provisional(step.status, step.reason, step.fields, body)
        elif step.kind is Kind.ACCEPT:
            if session.idle:  # nobody asked: what it held to was offered to the other
                self._finish()
                return
            first = session.data.life is Life.EARLY
            session.accept(step.fields, body)
            if first:
                self._user.bridge_answered(self)
        else:
            session.acknowledge(step.fields, body)
            self._finish()

    def _unanswered(self, leg: Leg) -> None:
        """A re-INVITE got a 100 at best: the call stays as it was."""
        other = self.other(leg)
        self._withdraw(other)
        leg.session.cancel()
        self._reject(other, 504, None)

    def _failed(self, step: Step, error: MediaError | SdpSyntaxError) -> None:
        """The engine cannot serve a step."""
        source, _ = self._legs(step)
        if step.kind is Kind.PROVISIONAL:
            described = [field for field in step.fields if field[0] not in crossing.DESCRIBING]
            self._deliver(attrs.evolve(step, fields=described), b"")
        elif step.kind is Kind.INVITE and self.data.inviter:
            self._withdraw(source)
            self._reject(source, error.status, error.reason)
        else:
            self._user.bridge_failed(self, error.status, error.reason)

    def _legs(self, step: Step) -> tuple[Leg, Leg]:
        return (self.a, self.b) if step.source == self.a.name else (self.b, self.a)

    def _reject(
        self, leg: Leg, status: int, reason: str | None, fields: Iterable[Field] = ()
    ) -> None:
        """Refuse a leg's re-INVITE, unless it was ours, to ``restore`` what it held to."""
        if not leg.session.idle:
            leg.session.reject(status, reason, fields)

    def _fork(self, inviter: Leg) -> None:
        """A re-negotiation begins: what is said from here on is on trial."""
        self.data.inviter = inviter.name
        self.data.offerer = ""
        self.a.data.media.fork()
        self.b.data.media.fork()

    def _finish(self) -> None:
        """A re-negotiation has succeeded: what was agreed on trial now holds."""
        if self.data.inviter:
            self.data.inviter = ""
            self.a.data.media.commit()
            self.b.data.media.commit()

    def _withdraw(self, offerer: Leg) -> None:
        """A re-negotiation has failed: what was agreed before still holds."""
        data = self.data
        self._forget()
        self.a.data.media.roll_back()
        self.b.data.media.roll_back()
        data.inviter = ""
        if self._engine is not None and data.offerer:
            by, to = (offerer, self.other(offerer))
            question = MediaQuestion(
                0,
                data.session,
                "withdraw",
                b"",
                by.name,
                to.name,
                by.data.network,
                to.data.network,
                by.data.source,
            )
            self._engine.ask(question, _heedless)
        data.offerer = ""

    def _forget(self) -> None:
        self.data.steps.clear()
        self.data.token = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_SILENT = MediaError("Media Engine Silent")


def _heedless(answer: MediaAnswer) -> None:
    """Nobody waits for what becomes of a withdrawal."""
