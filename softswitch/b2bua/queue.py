"""The steps that cross a bridge, one after the other. Pure.

A step with a session description waits for the media engine, and the steps behind it wait too, so
that a 200 never overtakes its 183; an engine that answers at once is the easy case of the same
path. An answer whose token is no longer current is ignored.
"""

from typing import Literal

from softswitch.b2bua import earlyoffer
from softswitch.b2bua.inquiry import Inquiry
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.steps import ANSWERS, BridgeData, Kind, Step
from softswitch.dialog.usage import Life
from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.plugin.media import IMediaEngine, MediaAnswer
from softswitch.sdp.codecs import allowed
from softswitch.sdp.match import match
from softswitch.sdp.places import Place
from softswitch.sdp.rewrite import fits
from softswitch.wheel import Clock

#: Seconds after which it is looked again whether a leg is still busy with something else.
PATIENCE = 0.5


class StepQueue:
    """What crosses between two legs, in order; a ``Bridge`` says what becomes of it.

    :ivar ended: whether nothing crosses any more.
    """

    __slots__ = ("_inquiry", "a", "b", "data", "ended")

    def __init__(
        self,
        data: BridgeData,
        a: Leg,
        b: Leg,
        engine: IMediaEngine | None,
        clock: Clock,
        deadline: float,
    ) -> None:
        self.data = data
        self.a = a
        self.b = b
        self.ended = False
        self._inquiry = (
            Inquiry(data, engine, clock, deadline, self._told, self.name) if engine else None
        )

    def name(self, leg: Leg) -> str:
        """What a leg is called here, be it lent to another call."""
        return self.data.a if leg is self.a else self.data.b

    def leftovers(self) -> list[str]:
        """Its question to the media engine, while there is one (for the scope)."""
        return ["media question"] if self._inquiry and self._inquiry.open else []

    def carry(self, step: Step) -> None:
        """Have a step cross, after those that wait."""
        waits = bool(self.data.steps)
        self.data.steps.append(step)
        if not waits:
            self._next()

    @property
    def is_accepting(self) -> bool:
        """Whether a 2xx is about to cross."""
        return any(step.kind is Kind.ACCEPT for step in self.data.steps)

    def _next(self) -> None:
        """Go on with what waits, until a step has to wait for the engine itself."""
        steps = self.data.steps
        while steps and not self.data.token:
            step = steps[0]
            located = step.located
            if step.kind is Kind.ACCEPT and self._is_early(step):
                self._legs(step)[0].give_up_in(PATIENCE, self._again)
                return
            if located is None and step.kind is Kind.INVITE and self._inquiry is not None:
                located = earlyoffer.make(self.data, step, *self._legs(step))
            if located is None:
                del steps[0]
                self._deliver(step, step.body)
                continue
            source, target = self._legs(step)
            try:
                sdp = self._allowed(step, located.sdp, source, target)
                kind = self._note_offer(step)
                if kind == "answer" and self._inquiry is not None:
                    sdp = source.data.media.answered(sdp)
            except SdpSyntaxError as error:
                del steps[0]
                self._failed(step, error)
                continue
            if self._inquiry is not None:
                self._inquiry.ask(kind, sdp, source, target, self._held(step, target))
                return
            del steps[0]
            target.data.media.passed(sdp)
            self._deliver(step, located.replaced(sdp)[1], sdp)

    def _allowed(self, step: Step, sdp: bytes, source: Leg, target: Leg) -> bytes:
        """What of a description the profiles of both legs let pass.

        :raises SdpSyntaxError: (488) nothing.
        """
        offers = self.data.offerer in ("", step.source)
        for leg in (source, target):
            if leg.profile.codecs:
                sdp = allowed(sdp, leg.profile.codecs, offers=offers)
        return sdp

    def _again(self, leg: Leg) -> None:
        self._next()

    def _is_early(self, step: Step) -> bool:
        """Whether a 2xx is for a transferee who still negotiates with whom it has talked to, or
        whose refresh is open."""
        if self.data.answered or self.data.inviter:
            return False
        leg = self._legs(step)[1]
        return leg.session.data.life is Life.CONFIRMED and not leg.is_calm

    def _note_offer(self, step: Step) -> Literal["offer", "answer"]:
        """Note whose offer is open, and say whether the step's description is one."""
        data = self.data
        if data.offerer in ("", step.source):
            data.offerer = step.source
            return "offer"
        if step.kind is not Kind.PROVISIONAL:
            data.offerer = ""
        return "answer"

    def _told(self, answer: MediaAnswer) -> None:
        """The engine has answered, or its deadline has."""
        step = self.data.steps.pop(0)
        source, _ = self._legs(step)
        assert step.located is not None
        if answer.error is not None:
            self._failed(step, answer.error)
        else:
            try:
                if self.data.made is None or step.kind is not Kind.INVITE:
                    source.data.media.incoming(step.located.sdp)
                sdp = self._described(step, answer)
            except SdpSyntaxError as error:
                self._failed(step, error)
            else:
                _, body = step.located.replaced(sdp)
                self._deliver(step, body, sdp)
        if not self.ended:
            self._next()

    def _described(self, step: Step, answer: MediaAnswer) -> bytes:
        """What a leg is told. The first answer to its offer stays, whoever answers after that and
        wherever the engine leads the media by then (RFC 3261 13.2.1).

        :raises SdpSyntaxError: the engine's description cannot be read, or must not be sent.
        """
        _, target = self._legs(step)
        if answer.untouched:
            target.data.media.passed(answer.sdp)
            return answer.sdp
        address = target.data.network.advertise
        said = step.located.sdp if step.located is not None else b""
        place = Place(answer.hosts or (address,), answer.terminates, said)
        if self.data.made is not None:
            return earlyoffer.described(self.data, step, target, answer.sdp, place)
        answers = self.data.offerer != step.source
        held = self._held(step, target)
        if held:
            self.data.misfit = not fits(held, answer.sdp, answer.renumbers)
            return held
        sdp = answer.sdp
        if step.kind is Kind.INVITE and target.data.invitation:
            answers, sdp = True, match(target.data.invitation, sdp)
        return target.data.media.outgoing(sdp, address, place, answers=answers)

    def _held(self, step: Step, target: Leg) -> bytes:
        """What a leg has been told in answer to its offer, and holds to; empty for nothing yet."""
        new = step.tag or (self.data.inviter and not target.session.idle)
        answers = self.data.offerer != step.source and step.kind in ANSWERS
        return target.holds_to if answers and not new else b""

    def _legs(self, step: Step) -> tuple[Leg, Leg]:
        return (self.a, self.b) if step.source == self.data.a else (self.b, self.a)

    def _forget(self) -> None:
        self.data.steps.clear()
        if self._inquiry is not None:
            self._inquiry.forget()

    def _deliver(self, step: Step, body: bytes, sdp: bytes = b"") -> None:
        """Do to the far leg what the step says; ``sdp`` is the description within ``body``."""
        raise NotImplementedError

    def _failed(self, step: Step, error: MediaError | SdpSyntaxError) -> None:
        """The engine cannot serve a step."""
        raise NotImplementedError
