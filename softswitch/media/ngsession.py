"""One session as a call of an rtpengine: what is asked there, one thing after the other. Pure.

rtpengine would take several at once, in any order; so each waits for the answer to the one before.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import attrs

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media import ngrequests
from softswitch.media.bencode import Value
from softswitch.media.instances import Instance, Instances, deletion
from softswitch.media.ng import ROUNDING, UNKNOWN, Reply
from softswitch.plugin.media import MediaAnswer, MediaQuestion, Tell
from softswitch.sdp.session import SessionDescription
from softswitch.wheel import Clock

#: Instances among which a question's time is shared.
SHARED_BY: Final = 3

#: Seconds that one has for what nobody waits for.
UNHURRIED: Final = 2.0

#: Why a call cannot go on whose rtpengine has died.
_GONE: Final = MediaError("Media Relay Lost")

Message = dict[str, Value]


@attrs.frozen
class Agreement:
    """An offer and its answer, as they were told to rtpengine."""

    offerer: str
    answerer: str
    offer: Message
    answer: Message

    def partner(self, leg: str) -> str:
        """The other one of the two."""
        return self.answerer if leg == self.offerer else self.offerer

    def said_by(self, leg: str) -> bytes:
        """The session description of one of the two."""
        said = (self.offer if leg == self.offerer else self.answer)["sdp"]
        return said if isinstance(said, bytes) else b""


@attrs.define
class Fork:
    """An offer and what follows from it.

    :ivar offer: as rtpengine was told.
    :ivar shown: as the answerer has seen it.
    :ivar before: what held for both legs before the first answer; None until it came.
    """

    offer: Message
    shown: bytes
    before: dict[str, Agreement | None] | None = None


@attrs.frozen
class Step:
    """A question that waits for its turn, with the time by which it is answered; or a message that
    needs none."""

    question: MediaQuestion | None = None
    tell: Tell | None = None
    deadline: float = 0.0
    message: Message | None = None
    then: Callable[[Reply | None], None] | None = None


class NgSession:
    """One call's media.

    :ivar instance: where it is; None before the first offer, and after that one has died.
    :ivar ports: by leg, as rtpengine has said.
    :param name: of the call, unique among all who use the same rtpengines.
    :param session: what the switch calls it.
    :param leaked: told of a session and a leg ("" for all) that was not let go.
    """

    def __init__(
        self,
        name: str,
        session: str,
        instances: Instances,
        clock: Clock,
        leaked: Callable[[str, str], None],
    ) -> None:
        self.instance: Instance | None = None
        self.ports: dict[str, int] = {}
        self._name = name
        self._session = session
        self._instances = instances
        self._clock = clock
        self._leaked = leaked
        self._moves = 0
        self._lost = False
        self._recorded = False
        self._steps: deque[Step] = deque()
        self._busy = False
        self._closed = False
        # Legs that rtpengine knows, those of them that have left, but cannot yet be taken out, and
        # all that have ever left.
        self._tags: set[str] = set()
        self._left: set[str] = set()
        self._dropped: set[str] = set()
        self._forks: dict[tuple[str, str], Fork] = {}
        self._agreed: dict[str, Agreement] = {}
        self._blocked: set[str] = set()

    @property
    def call(self) -> str:
        """What the instance calls it: another name after each move, for it may come back to one
        that has not heard of its leaving."""
        return f"{self._name}-{self._moves}"

    def ask(self, question: MediaQuestion, deadline: float, tell: Tell) -> None:
        """Take one step of a negotiation, after those that are under way."""
        self._steps.append(Step(question, tell, deadline))
        self._next()

    def drop(self, leg: str) -> bool:
        """A leg has left.

        :returns: whether others are left.
        """
        self.ports.pop(leg, None)
        self._dropped.add(leg)
        self._agreed.pop(leg, None)
        for pair, fork in list(self._forks.items()):
            if leg in pair:
                del self._forks[pair]
                other = pair[0] if pair[1] == leg else pair[1]
                before = (fork.before or {}).get(other)
                held = self._agreed.get(other)
                if before is not None and held is not None and held.partner(other) == leg:
                    self._fall_back(other, before)
        self._steps = deque(
            step
            for step in self._steps
            if step.question is None or leg not in (step.question.from_leg, step.question.to_leg)
        )
        if leg in self._tags:
            self._left.add(leg)
            self._take_out()
        self._next()
        return bool(self._tags - self._left) or self._busy or bool(self._steps)

    def close(self) -> None:
        """The session is over: what is asked just now comes to its end, and then the call does."""
        self._closed = True
        self.ports.clear()
        self._steps.clear()
        if not self._busy:
            self._delete()

    def inquire(self, then: Callable[[Reply | None], None]) -> None:
        """Have the rtpengine say what it knows of the call; None where it does not."""
        self._steps.append(Step(message={"command": "query", "call-id": self.call}, then=then))
        self._next()

    def record(self) -> None:
        """Have it recorded from now on, wherever it goes."""
        self._recorded = True
        self._steps.append(Step(message={"command": "start recording", "call-id": self.call}))
        self._next()

    def descriptions(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Each leg, what it has said, and what the one has that it talks to."""
        for leg, held in self._agreed.items():
            partner = held.partner(leg)
            if self._agreed.get(partner) is held:
                yield leg, held.said_by(leg), held.said_by(partner)

    def forget(self) -> None:
        """The call is gone where it was."""
        if self.instance is not None:
            self.instance.forget(self.call)
        self.instance = None
        self._lost = self._lost or bool(self._tags)
        self.ports.clear()
        self._steps = deque(step for step in self._steps if step.question is not None)
        for known in (self._tags, self._left, self._blocked, self._forks, self._agreed):
            known.clear()

    # One thing after the other.

    def _next(self) -> None:
        while self._steps and not self._busy:
            step = self._steps.popleft()
            question = step.question
            if question is None:
                self._send(step)
            elif question.kind == "withdraw":
                self._withdraw(question)
                self._tell(step, MediaAnswer(question.token))
            else:
                self._negotiate(step, question, ())

    def _negotiate(self, step: Step, question: MediaQuestion, tried: tuple[Instance, ...]) -> None:
        """Ask the session's instance or, for an offer, one of those that are there."""
        left = step.deadline - self._clock.seconds()
        able = self._instances.candidates(tried)
        offers = question.kind == "offer"
        instance = self.instance
        if instance is None or instance.state != "up" or instance in tried:
            instance = able[0] if able and offers else None
        if left <= ROUNDING or instance is None:
            self._fail(step, question, _GONE)
            return
        if instance is not self.instance:
            self._move(instance)
        try:
            message = self._message(question)
        except (SdpSyntaxError, MediaError) as error:
            self._fail(step, question, error)
            return
        # The last one has all the time that is left, and so has the only one that knows an offer.
        sharing = min(SHARED_BY - len(tried), len({*able, instance})) if offers else 1
        self._busy = True
        told = partial(self._negotiated, step, question, (*tried, instance), message)
        self._instances.ask(instance, message, left / max(1, sharing), told)

    def _message(self, question: MediaQuestion) -> Message:
        """
        :raises SdpSyntaxError: the SDP cannot be used.
        :raises MediaError: (500) there is nothing to answer.
        """
        if question.kind == "offer":
            agreed = self._agreed.get(question.to_leg)
            spoken = b"" if agreed is None else agreed.said_by(question.to_leg)
            return ngrequests.offer(question, self.call, spoken)
        fork = self._forks.get((question.to_leg, question.from_leg))
        if fork is None:
            raise _GONE if self._lost else MediaError("No offer is open that this answers", 500)
        return ngrequests.answer(question, self.call, fork.shown)

    def _negotiated(
        self,
        step: Step,
        question: MediaQuestion,
        tried: tuple[Instance, ...],
        message: Message,
        reply: Reply | None,
    ) -> None:
        self._busy = False
        offers = question.kind == "offer"
        if message["call-id"] != self.call or self.instance is not tried[-1]:
            # The call was lost meanwhile; where that is not so, it has just been made once more.
            self._instances.owe(tried[-1], str(message["call-id"]))
            reply, tried = None, tried[:-1]
        if self._closed:
            self._delete()
            return
        if reply is not None and reply.result == "ok" and reply.sdp:
            (self._offered if offers else self._answered)(question, message, reply.sdp)
            self._tell(step, ngrequests.answered(question, reply.sdp))
        elif reply is not None and "parse SDP" in reply.reason:
            self._fail(step, question, SdpSyntaxError("Unreadable SDP"))
        elif offers and (reply is None or not self._tags):
            self._negotiate(step, question, tried)
        elif reply is None:
            self._fail(step, question, _GONE)
        elif reply.reason == UNKNOWN:
            self.forget()
            self._fail(step, question, _GONE)
        else:
            tried[-1].last_error = reply.reason
            self._fail(step, question, MediaError("Media Engine Refuses"))
        self._next()

    def _fail(
        self, step: Step, question: MediaQuestion, error: MediaError | SdpSyntaxError
    ) -> None:
        if not self._tags:
            self._leave()
        self._tell(step, MediaAnswer(question.token, error=error))

    def _tell(self, step: Step, answer: MediaAnswer) -> None:
        if step.tell is not None:
            step.tell(answer)

    def _send(self, step: Step) -> None:
        """A message that nobody waits for; there is nobody to send it to when the instance died."""
        if self.instance is None or step.message is None or self.instance.state != "up":
            if step.then is not None:
                step.then(None)
            return
        self._busy = True
        told = partial(self._sent, step, self.instance, self.call)
        self._instances.ask(self.instance, step.message, UNHURRIED, told)

    def _sent(self, step: Step, instance: Instance, call: str, reply: Reply | None) -> None:
        self._busy = False
        if self.instance is not instance:
            self._instances.owe(instance, call)  # it may have made the call once more
        if self._closed:
            self._delete()
        elif step.then is not None:
            step.then(reply)
        self._next()

    # Where it is.

    def _move(self, instance: Instance) -> None:
        self._leave()
        self._moves += 1
        self.instance = instance
        instance.calls[self.call] = self._session

    def _leave(self) -> None:
        """Go away from an instance that is silent, or that does not take the call."""
        instance = self.instance
        if instance is not None and (self._tags or instance.state != "up"):
            self._instances.owe(instance, self.call)
        self.forget()

    def _delete(self) -> None:
        """The call's end there; the answer proves it."""
        instance, call = self.instance, self.call
        if instance is None:
            return
        self.forget()
        if instance.state != "up":
            self._instances.owe(instance, call)
            return

        def told(reply: Reply | None) -> None:
            if reply is None:
                self._instances.owe(instance, call)
            elif reply.result != "ok":
                self._leaked(self._session, "")

        self._instances.ask(instance, deletion(call), UNHURRIED, told)

    # What is negotiated.

    def _offered(self, question: MediaQuestion, message: Message, shown: bytes) -> None:
        offerer, answerer = question.from_leg, question.to_leg
        both = {offerer, answerer}
        self._tags |= both
        if self.instance is not None:
            self.instance.established.add(self.call)
        gone = both & self._dropped
        if gone:  # while this was asked
            self._left |= gone
        else:
            self.ports.setdefault(offerer, 0)
            self.ports[answerer] = _ports(shown)
            self._forks.pop((answerer, offerer), None)
            self._forks[offerer, answerer] = Fork(message, shown)
        for leg in both:
            held = self._agreed.get(leg)
            if held is not None and held.partner(leg) in self._tags - self._left - both:
                # An offer parts both legs from whom they talk to: too early.
                self._first(held.answer)
        self._take_out()

    def _answered(self, question: MediaQuestion, message: Message, shown: bytes) -> None:
        offerer, answerer = question.to_leg, question.from_leg
        fork = self._forks.get((offerer, answerer))
        if fork is None:  # a leg has left meanwhile
            return
        self.ports[offerer] = _ports(shown)
        if fork.before is None:
            fork.before = {leg: self._agreed.get(leg) for leg in (offerer, answerer)}
        if self._recorded and not self._agreed:  # it has moved
            self.record()
        agreement = Agreement(offerer, answerer, fork.offer, message)
        self._agreed[offerer] = self._agreed[answerer] = agreement
        self._hush()

    def _withdraw(self, question: MediaQuestion) -> None:
        """Forget an offer; what held before it, or before an early answer to it, is told again."""
        offerer, answerer = question.from_leg, question.to_leg
        fork = self._forks.pop((offerer, answerer), None)
        if fork is None:
            return
        for leg, before in (fork.before or {}).items():
            if before is not None:
                self._agreed[leg] = before
            elif leg == answerer:
                self._agreed.pop(leg, None)
        held = self._agreed.get(offerer)
        if held is not None and {held.offerer, held.answerer} <= self._tags - self._left:
            self._fall_back(offerer, held)

    def _fall_back(self, leg: str, held: Agreement) -> None:
        """Have rtpengine do again what was agreed before, unless the other leg has gone."""
        if held.partner(leg) not in self._tags - self._left:
            return
        self._agreed[held.offerer] = self._agreed[held.answerer] = held
        self._hush()
        self._first(held.offer, held.answer)

    def _hush(self) -> None:
        """A leg hears whom it has agreed with last, and nobody else who would talk to it."""
        talking = {
            leg
            for leg, held in self._agreed.items()
            if self._agreed.get(held.partner(leg), held) is not held
        }
        silent = talking & self._tags
        for leg in sorted(silent - self._blocked):
            self._first(self._about("block media", leg))
        for leg in sorted(self._blocked - silent):
            self._first(self._about("unblock media", leg))
        self._blocked = silent

    def _about(self, command: str, leg: str) -> Message:
        return {"command": command, "call-id": self.call, "from-tag": leg}

    def _first(self, *messages: Message) -> None:
        """Have these sent before whatever else waits."""
        self._steps.extendleft(Step(message=message) for message in reversed(messages))

    def _take_out(self) -> None:
        """Have legs that have left taken out of the call, as long as two are in it: with the last
        but one, rtpengine would end it, and the one that is left would lose its ports."""
        for leg in sorted(self._left):
            if len(self._tags) < 3:
                return
            self._tags.discard(leg)
            self._left.discard(leg)
            self._blocked.discard(leg)
            gone = partial(self._gone, leg)
            self._steps.append(Step(message=deletion(self.call, leg), then=gone))

    def _gone(self, leg: str, reply: Reply | None) -> None:
        if reply is not None and reply.result != "ok":
            self._leaked(self._session, leg)


def _ports(shown: bytes) -> int:
    """How many ports an SDP shows; none for one that cannot be read."""
    try:
        document = SessionDescription.parse(shown)
    except SdpSyntaxError:
        return 0
    return 2 * sum(1 for section in document.media if not section.refused)
