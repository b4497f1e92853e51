"""A bridge: joins two legs, so that what one negotiates reaches the other. Pure.

What crosses goes step by step (``queue``); here stands what each side's doings mean for the other.
"""

from collections.abc import Iterable, Sequence

import attrs

from softswitch.b2bua import crossing, earlyoffer, sessionid
from softswitch.b2bua.bodies import find_sdp
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.settling import Settling
from softswitch.b2bua.steps import (
    DESCRIBED,
    OFFERS,
    RENEGOTIATION_SECONDS,
    UPDATE_SECONDS,
    Asked,
    BridgeData,
    BridgeUser,
    Kind,
    Step,
)
from softswitch.dialog.usage import Life
from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.plugin.media import IMediaEngine
from softswitch.sdp.match import match
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.names import REASONS
from softswitch.wheel import Clock

#: Why a call ends whose media cannot be had any more.
MEDIA_LOST = "Media Relay Lost"


class Bridge(Settling):
    """Joins leg ``a``, the one that was there first, and leg ``b``.

    :param engine: rewrites session descriptions; None lets them pass unchanged.
    :param deadline: seconds within which the engine must have answered.
    :param realm: our own digest realm.
    """

    __slots__ = ("_realm", "_user")

    def __init__(
        self,
        data: BridgeData,
        a: Leg,
        b: Leg,
        user: BridgeUser,
        engine: IMediaEngine | None,
        clock: Clock,
        deadline: float,
        realm: str,
    ) -> None:
        super().__init__(data, a, b, engine, clock, deadline)
        self._realm = realm
        self._user = user
        b.scope.hold(self)

    def other(self, leg: Leg) -> Leg:
        """The leg on the far side of ``leg``."""
        return self.b if leg is self.a else self.a

    # The first INVITE.

    def invite(self, fields: list[Field], request: Request) -> None:
        """Carry the caller's INVITE to leg b."""
        self._cross(Kind.INVITE, self.a, request, fields, max_forwards=crossing.hops(request))

    def offer(self, fields: list[Field], max_forwards: int) -> None:
        """Invite leg b with what leg a, which is in a call already, holds to."""
        agreed = self.a.data.media.offered_anew()
        self.carry(Step.of_sdp(Kind.INVITE, self.data.a, agreed, fields, max_forwards))

    def provisional(self, response: Response) -> None:
        """Carry leg b's ringing or early media to the caller, or a transferee."""
        sessionid.meet(self.a, self.b)
        if not self.a.hears(response):
            return
        if not (self.data.offerer or self.data.settled) and response.body:
            self.data.prack_tag = response.to.tag or ""
        fields = crossing.fields(response, self.a.profile) + crossing.describing(response)
        self._answer(Kind.PROVISIONAL, self.b, response, fields)

    def accepted(self, leg: Leg, response: Response) -> None:
        """Carry a leg's 2xx to the other."""
        sessionid.meet(self.a, self.b)
        data, other = self.data, self.other(leg)
        if self.lacks_answer(leg, response):
            return
        offered = data.offerer or (response.body and find_sdp(response))
        if self._is_outdated(response) or not offered or data.offerer == self.name(other):
            # The offer was not its own, so the ACK owes it no answer (RFC 3261 13.2.2.4).
            leg.session.acknowledge()
        fields = crossing.fields(response, other.profile) + crossing.describing(response)
        self._answer(Kind.ACCEPT, leg, response, fields)

    def acknowledged(self, leg: Leg, ack: Request) -> None:
        """Carry the ACK to the other leg where the answer to its offer is in it."""
        other = self.other(leg)
        if self.settles(leg, ack):
            return
        if other.session.awaits_ack:
            self._cross(Kind.ACKNOWLEDGE, leg, ack, crossing.describing(ack))
        elif leg.session.idle:  # no UPDATE of before the answer is open still
            self._finish()

    def pracked(self, leg: Leg, request: Request) -> None:
        """Carry over the PRACK that answers an early offer, or makes a new one (RFC 3262 5)."""
        if self.data.offerer == self.name(self.other(leg)) and not self.data.settled:
            self._cross(Kind.PRACK, leg, request, crossing.describing(request))
        else:
            self.updated(leg, request, Asked.PRACK)

    # What is negotiated later.

    def reinvited(self, leg: Leg, request: Request) -> None:
        """Carry a leg's re-INVITE to the other, unless the other is busy (RFC 3261 14.2). One that
        says what was agreed already only keeps the session alive, and ends here (RFC 4028)."""
        agreed = leg.data.media.state
        if self._busy or not self.other(leg).session.idle:
            leg.session.reject(491, None)
        elif request.body and request.body == agreed.remote:
            leg.session.accept([DESCRIBED], agreed.local)
        else:
            self._renegotiate(Kind.INVITE, leg, request, Asked.INVITE)

    def updated(self, leg: Leg, request: Request, asked: Asked = Asked.UPDATE) -> None:
        """Carry a leg's offer in an UPDATE or PRACK over: as an UPDATE, or as a re-INVITE to a peer
        that knows none (RFC 3311 5.2)."""
        session = self.other(leg).session
        if self._busy or not (session.can_update or session.idle):
            if self.data.answered:
                _refuse(leg, asked, 491)
            else:
                _refuse(leg, asked, 500, None, [("Retry-After", "2")])
            return
        translated = session.idle and (leg.profile.update == "translate" or not session.can_update)
        kind = Kind.INVITE if translated else Kind.UPDATE
        self._renegotiate(kind, leg, request, asked)

    def restore(self, leg: Leg) -> None:
        """Offer a leg anew what the other holds to, and tell it what is unsaid. Without an engine
        nobody keeps descriptions, and the next re-INVITE has to settle it."""
        other = self.other(leg)
        idle = leg.session.idle and other.session.idle
        if other.data.media.state.remote and idle and not self._busy:
            fields, leg.data.unsaid = leg.data.unsaid, []
            self._present(other, other.data.media.state.remote, fields)

    def reanchor(self) -> None:
        """What carried the media is gone, and its ports with it: offer each leg anew what the other
        holds to, so that both send to where they are heard again."""
        self.data.anew = [self.data.b, self.data.a]
        self._offer_anew()

    def join(self) -> None:
        """Have the two legs, each in a session already, talk to each other: b is offered what a
        holds to, or asked for an offer where nobody keeps that."""
        self._present(self.a, self.a.data.media.offered_anew())

    def refused(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        """Carry the refusal of a re-INVITE or UPDATE back; the call stays as it was."""
        other = self.other(leg)
        self._withdraw()
        # That 491 is the leg's own, which has given way to its peer: ours shall ask again.
        told = status if status == 491 else crossing.status(status, leg.profile)
        fields = crossing.fields(response, other.profile) if response is not None else []
        fields += crossing.challenges(response, leg.profile)
        self._reject(other, told, reason if told == status else None, fields)
        if status in (408, 481):
            # RFC 3261 12.2.1.2: the dialog is gone on that side, whosever leg it is by now.
            if self.ended:
                leg.session.lost(reason)
            else:
                self._user.bridge_failed(self, status, reason)
        elif not self.ended:
            self._offer_anew()

    def cancelled(self, leg: Leg) -> None:
        """Carry the CANCEL of a re-INVITE over; the call stays as it was."""
        self._withdraw()
        self.other(leg).keep()
        self.other(leg).session.cancel()

    def end(self) -> None:
        """Forget what was to cross; leg b leaves the media. Harmless when repeated."""
        if self.ended:
            return
        self.ended = True
        self.break_off()
        self._forget()
        self.b.scope.release(self)

    def break_off(self) -> None:
        """What is negotiated comes to nothing: one of the legs goes elsewhere."""
        if self.data.inviter:
            self._withdraw()
            for leg in (self.a, self.b):
                leg.keep()
                leg.answered()
                leg.session.break_off()

    # Steps.

    def _answer(self, kind: Kind, leg: Leg, response: Response, fields: list[Field]) -> None:
        other = self.other(leg)
        if other.profile.trusted or leg.data.elsewhere:
            fields += leg.asserted(response, other)
        tag = self.a.tag_for(leg, response) if leg is self.b and not self.data.answered else ""
        self._cross(kind, leg, response, fields, response.status, response.reason, tag=tag)

    def _cross(
        self,
        kind: Kind,
        leg: Leg,
        message: Message,
        fields: list[Field],
        status: int = 0,
        reason: str = "",
        max_forwards: int = 70,
        tag: str = "",
    ) -> None:
        body = message.body
        located = find_sdp(message) if body else None
        if located and self._is_outdated(message):
            fields, body, located = crossing.undescribed(fields), b"", None
        method = message.cseq.method
        step = Step(
            kind,
            self.name(leg),
            status,
            reason,
            fields,
            body,
            located,
            max_forwards,
            tag,
            method,
        )
        self.carry(earlyoffer.heard(self.data.made, step))

    def _is_outdated(self, message: Message) -> bool:
        """Whether a message of the first INVITE's describes what counts no more, for offer and
        answer are done: another offer has followed, or is open (RFC 3261 13.2.1)."""
        data = self.data
        if data.answered or message.cseq.method != "INVITE":
            return False
        return self._updating if data.inviter else data.settled

    @property
    def _updating(self) -> bool:
        """Whether a leg has asked for what is negotiated otherwise than by INVITE."""
        data = self.data
        return bool(data.inviter) and data.asked is not Asked.INVITE and not data.offers

    def _deliver(self, step: Step, body: bytes, sdp: bytes = b"") -> None:
        """Do to the far leg what the step says; ``sdp`` is the description within ``body``."""
        source, target = self._legs(step)
        session = target.session
        invitation = target.data.invitation
        if step.kind is Kind.INVITE and invitation:
            session.accept(step.fields, body if self._inquiry else match(invitation, body))
        elif step.kind is Kind.INVITE:
            if self.data.inviter:
                target.give_up_in(self._patience, self._unanswered)
            reliable = bool(body) or (source.can_prack and not source.session.idle)
            # An early answer to an offer of ours would be one to whoever has asked for it.
            reliable = reliable and self.data.made is None
            session.invite(step.fields, body, step.max_forwards, reliable=reliable)
            self._user.bridge_invited(self)
        elif step.kind is Kind.PROVISIONAL:
            if sdp and self.data.offerer == self.name(target) and not step.tag:
                target.data.answer = sdp
            session.provisional(step.status, step.reason, step.fields, body, step.tag)
        elif step.kind is Kind.ACCEPT:
            self._accept(step, target, body)
        elif step.kind is Kind.UPDATE:
            target.expect_answer_in(self._patience, self._unanswered)
            session.update(step.fields, body)
        elif step.kind is Kind.SETTLE:
            self._settled(step)
        elif step.kind is Kind.PRACK:
            self.data.settled = True
            session.prack(self.data.prack_tag, step.fields, body)
        else:
            session.acknowledge(step.fields, body)
            self._finish()

    def _accept(self, step: Step, target: Leg, body: bytes) -> None:
        """A 2xx reaches the other side: who asked is answered, as he asked; who did not, hears
        nothing."""
        data, session = self.data, target.session
        first = not data.answered and step.method == "INVITE"
        if data.inviter == self.name(target) and self._updating and not first:
            if data.asked is Asked.UPDATE:
                session.accept_update(step.fields, body)
            else:
                session.answer_prack(200, step.fields, body)
            self._finish()
            return
        data.answered = True
        if session.awaits_ack:
            session.acknowledge(step.fields, body)
            self._finish()
        elif session.idle and step.located is not None and data.offerer == step.source:
            if not data.inviter:  # the offer that ``offer`` has asked for
                self._fork(self.b)
                data.offerer = step.source
            target.give_up_in(self._patience, self._unanswered)
            session.invite(step.fields, body)
            data.answered = not first
            return
        elif session.idle or (first and session.data.life is Life.CONFIRMED):
            self._finish()
        else:
            if not body and target.data.answer and not (data.settled or data.inviter):
                body, step.fields = target.data.answer, [*step.fields, DESCRIBED]
            session.accept(step.fields, body, step.tag)
        target.data.answer = b""
        if first:
            self.a.data.invitation = self.b.data.invitation = b""
            if not session.holds_back:  # else the call hears when the 2xx has left
                self._user.bridge_answered(self)

    @property
    def _patience(self) -> float:
        """Seconds for which a leg may think about what the other has asked for."""
        return UPDATE_SECONDS if self._updating else RENEGOTIATION_SECONDS

    def _unanswered(self, leg: Leg) -> None:
        """A re-INVITE got a 100 at best: the call stays as it was."""
        self._withdraw()
        leg.session.break_off()
        self._reject(self.other(leg), 504, None)
        if not self.ended:
            self._offer_anew()

    def _failed(self, step: Step, error: MediaError | SdpSyntaxError) -> None:
        """The engine cannot serve a step."""
        source, _ = self._legs(step)
        if step.kind is Kind.PROVISIONAL:
            self._deliver(attrs.evolve(step, fields=crossing.undescribed(step.fields)), b"")
        elif self.data.inviter == self.name(source) and step.kind in (Kind.INVITE, Kind.UPDATE):
            self._withdraw()
            self._reject(source, error.status, error.reason, crossing.warnings(error))
        else:
            warnings = crossing.warnings(error)
            self._user.bridge_failed(self, error.status, error.reason, *warnings)

    @property
    def _busy(self) -> bool:
        """Whether something is being negotiated, over this bridge or another of a leg of its."""
        legs = self.a, self.b
        forked = any(leg.data.media.pending is not None for leg in legs)
        return forked or bool(self.data.inviter or self.data.steps)

    def _renegotiate(self, kind: Kind, leg: Leg, request: Request, asked: Asked) -> None:
        self._fork(leg)
        self.data.asked = asked
        self.data.offers = 0
        profile = self.other(leg).profile
        fields = crossing.fields(request, profile) + crossing.describing(request)
        fields += crossing.credentials(request, profile, self._realm)
        self._cross(kind, leg, request, fields, max_forwards=crossing.hops(request))

    def _reject(
        self, leg: Leg, status: int, reason: str | None, fields: Iterable[Field] = ()
    ) -> None:
        """Refuse what a leg asked for; what it did not ask for was ours to ask."""
        if self.data.offers:
            self.data.offers = 0
            if self.data.anew:
                self._user.bridge_failed(self, 503, MEDIA_LOST)
            else:
                self._user.bridge_refused(self, status, reason or REASONS.get(status, ""))
        elif leg.session.awaits_ack:  # it was asked for its offer, which comes to nothing
            self._user.bridge_refused(self, status, reason or REASONS.get(status, ""))
        else:
            _refuse(leg, self.data.asked, status, reason, fields)
            if leg.session.data.life is Life.ENDED:
                self._user.bridge_refused(self, status, reason or REASONS.get(status, ""))

    def _present(self, source: Leg, agreed: bytes, fields: Sequence[Field] = ()) -> None:
        """Offer the other leg what this one holds to, of our own accord."""
        self.data.offers += 1
        self._fork(source)
        self.carry(Step.of_sdp(Kind.INVITE, self.name(source), agreed, fields))

    def _fork(self, inviter: Leg) -> None:
        """What is said from here on is on trial."""
        self.data.inviter = self.name(inviter)
        self.data.offerer = ""
        self.a.data.media.fork()
        self.b.data.media.fork()

    def _finish(self) -> None:
        """An exchange has succeeded: what was agreed on trial now holds. Who holds to something
        that does not fit is offered what does."""
        data = self.data
        if data.inviter:
            data.settled = True
            data.inviter = ""
            self.a.data.media.commit()
            self.b.data.media.commit()
        misfit, data.misfit = data.misfit, False
        for leg in (self.a, self.b):
            if leg.data.unsaid or (misfit and leg is self.a and data.offers < OFFERS):
                self.restore(leg)
        if data.anew and not data.inviter:
            if data.offers:
                data.anew.pop(0)
            self._offer_anew()
        if not data.inviter:
            data.offers = 0

    def _offer_anew(self) -> None:
        """The next leg's turn, unless something is being negotiated: then when that is done."""
        data = self.data
        if not data.anew or self._busy or not (self.a.session.idle and self.b.session.idle):
            return
        self.restore(self.a if data.anew[0] == data.a else self.b)

    def _withdraw(self) -> None:
        """A re-negotiation has failed: what was agreed before still holds."""
        data = self.data
        self._forget()
        self.a.data.media.roll_back()
        self.b.data.media.roll_back()
        data.inviter = ""
        self._take_back()
        if self._inquiry is not None and data.offerer:
            offerer = self.a if data.offerer == data.a else self.b
            self._inquiry.withdraw(offerer, self.other(offerer))
        data.offerer = ""


def _refuse(
    leg: Leg, asked: Asked, status: int, reason: str | None = None, fields: Iterable[Field] = ()
) -> None:
    """Refuse what a leg asks for; ignored where it does not."""
    if asked is Asked.UPDATE:
        leg.session.reject_update(status, reason, fields)
    elif asked is Asked.PRACK:
        leg.session.answer_prack(status, fields, b"")
    elif not leg.session.idle:
        leg.session.reject(status, reason, fields)
