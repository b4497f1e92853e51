"""What a bridge does about an offer of our own, once the target has answered it. Pure.

How such an offer is made stands in ``earlyoffer``; a ``Bridge`` has all of it from here.
"""

from softswitch.b2bua import earlyoffer
from softswitch.b2bua.bodies import find_sdp
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.queue import StepQueue
from softswitch.b2bua.steps import OFFERS, Kind, Step
from softswitch.errors import SdpSyntaxError
from softswitch.sip.message import Request, Response


class Settling(StepQueue):
    """A queue of steps, some of which only the media engine hears of."""

    __slots__ = ()

    def lacks_answer(self, leg: Leg, response: Response) -> bool:
        """Whether a 2xx says nothing to an offer of ours; then it comes to nothing."""
        made = self.data.made
        if made is None or made.answer or find_sdp(response):
            return False
        leg.session.acknowledge()
        self._failed(Step(Kind.SETTLE, self.name(leg)), SdpSyntaxError("No Answer To Our Offer"))
        return True

    def settles(self, leg: Leg, ack: Request) -> bool:
        """Whether it was this leg for whom we have made an offer: its answer is for the engine."""
        data, made = self.data, self.data.made
        if made is None or made.leg != self.name(leg):
            return False
        data.offerer = ""
        steps = earlyoffer.settling(made, ack, data.b if made.leg == data.a else data.a)
        for step in steps:
            self.carry(step)
        if not steps and data.inviter:
            self._withdraw()
        elif not steps:
            self._failed(Step(Kind.SETTLE, made.leg), SdpSyntaxError("No Answer In ACK"))
        return True

    def _settled(self, step: Step) -> None:
        """The engine knows one half of what was agreed, or all: then the target is told where it
        has to know."""
        data, (source, target) = self.data, self._legs(step)
        if data.made is None or step.source == data.made.leg:
            return
        data.made = None
        self._finish()
        if not earlyoffer.is_whole(target):
            data.offers = OFFERS
            self.restore(source)

    def _take_back(self) -> None:
        """An offer of ours is not open any more."""
        made, self.data.made = self.data.made, None
        if made is not None and self.data.offerer != made.leg:
            self.data.offerer = ""  # to the engine, what the other has said was an answer

    def restore(self, leg: Leg) -> None:
        """Offer a leg anew what the other holds to."""
        raise NotImplementedError

    def _finish(self) -> None:
        """An exchange has succeeded."""
        raise NotImplementedError

    def _withdraw(self) -> None:
        """A re-negotiation has failed."""
        raise NotImplementedError
