"""Who owes whom an offer or an answer, on one leg (RFC 3264, RFC 3261 13.2.1, RFC 6337). Pure.

An SDP in a message does not say what it is. In an INVITE, UPDATE or PRACK it is an offer; in the
response or the ACK it answers what came before, or it is the offer when nothing came. An answer
in an unreliable provisional is early: it holds, but the 2xx must repeat it.
"""

from enum import StrEnum
from typing import ClassVar

import attrs

from softswitch.errors import StateError


class OfferState(StrEnum):
    """Where a leg's exchange stands; "ours" and "theirs" is whose offer it is about."""

    IDLE = "idle"
    OURS = "offer sent"
    THEIRS = "offer received"
    OURS_EARLY = "answer received early"
    THEIRS_EARLY = "answer sent early"


class OfferEvent(StrEnum):
    """What moves it on."""

    SEND_OFFER = "send offer"
    RECEIVE_OFFER = "receive offer"
    SEND_ANSWER = "send answer"
    RECEIVE_ANSWER = "receive answer"
    SEND_EARLY_ANSWER = "send early answer"
    RECEIVE_EARLY_ANSWER = "receive early answer"


@attrs.define
class OfferAnswer:
    """One leg's exchange; plain data.

    Each method takes one step.

    :ivar state: where the exchange stands.
    :ivar agreed: whether any offer has been answered since the leg began.
    """

    state: OfferState = OfferState.IDLE
    agreed: bool = False

    TABLE: ClassVar[dict[tuple[OfferState, OfferEvent], OfferState]]

    @property
    def idle(self) -> bool:
        """Whether either side may make an offer (RFC 3264 4)."""
        return self.state is OfferState.IDLE

    @property
    def we_owe_answer(self) -> bool:
        """Whether the next final response, or our ACK, has to carry an answer of ours."""
        return self.state in (OfferState.THEIRS, OfferState.THEIRS_EARLY)

    @property
    def they_owe_answer(self) -> bool:
        """Whether an SDP that comes now is the answer to our offer."""
        return self.state in (OfferState.OURS, OfferState.OURS_EARLY)

    def send_offer(self) -> None:
        """Our offer goes out: in an INVITE, or in the 200 to one that had none.

        :raises StateError: an exchange is under way.
        """
        self._step(OfferEvent.SEND_OFFER)

    def receive_offer(self) -> None:
        """The peer's offer came.

        :raises StateError: an exchange is under way: 491 when it is ours, 500 when it is theirs
            (RFC 3261 14.2).
        """
        self._step(OfferEvent.RECEIVE_OFFER)

    def send_answer(self, early: bool = False) -> None:
        """Our answer goes out; ``early`` in a provisional that is not reliable.

        :raises StateError: no answer of ours is owed.
        """
        self._step(OfferEvent.SEND_EARLY_ANSWER if early else OfferEvent.SEND_ANSWER)

    def receive_answer(self, early: bool = False) -> None:
        """The peer's answer came; ``early`` in a provisional that is not reliable.

        :raises StateError: no answer of the peer's is owed.
        """
        self._step(OfferEvent.RECEIVE_EARLY_ANSWER if early else OfferEvent.RECEIVE_ANSWER)

    def withdraw(self) -> None:
        """The offer was refused, or its transaction ended unanswered; harmless when idle."""
        self.state = OfferState.IDLE

    def _step(self, event: OfferEvent) -> None:
        following = self.TABLE.get((self.state, event))
        if following is None:
            raise StateError(f"{event} while {self.state}")
        if event not in (OfferEvent.SEND_OFFER, OfferEvent.RECEIVE_OFFER):
            self.agreed = True
        self.state = following


_S, _E = OfferState, OfferEvent
OfferAnswer.TABLE = {
    (_S.IDLE, _E.SEND_OFFER): _S.OURS,
    (_S.IDLE, _E.RECEIVE_OFFER): _S.THEIRS,
    (_S.OURS, _E.RECEIVE_ANSWER): _S.IDLE,
    (_S.OURS, _E.RECEIVE_EARLY_ANSWER): _S.OURS_EARLY,
    (_S.OURS_EARLY, _E.RECEIVE_EARLY_ANSWER): _S.OURS_EARLY,
    (_S.OURS_EARLY, _E.RECEIVE_ANSWER): _S.IDLE,
    (_S.THEIRS, _E.SEND_ANSWER): _S.IDLE,
    (_S.THEIRS, _E.SEND_EARLY_ANSWER): _S.THEIRS_EARLY,
    (_S.THEIRS_EARLY, _E.SEND_EARLY_ANSWER): _S.THEIRS_EARLY,
    (_S.THEIRS_EARLY, _E.SEND_ANSWER): _S.IDLE,
}
