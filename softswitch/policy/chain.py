"""The chain: asks the policies in their order, and lets none of them harm a call but its own.

A policy that answers at once costs a method call and a look at its answer. One that answers an
awaitable is waited for until its deadline. One that raises, is late or answers rubbish fails
what it was asked about with 500, is named in the log and counted; everybody else goes on.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from inspect import iscoroutine
from typing import Any, TypeAlias, get_args

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.errors import PolicyError
from softswitch.flow import Flow
from softswitch.plugin.decisions import (
    Admission,
    Challenge,
    PassOn,
    Redirection,
    Registration,
    Reject,
    Routing,
)
from softswitch.plugin.interfaces import (
    IAdmissionPolicy,
    ICallObserver,
    IRedirectPolicy,
    IRegistrationPolicy,
    IRouter,
)
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import CallView, InviteView, RequestView
from softswitch.policy.checks import fault
from softswitch.sip.message import Field
from softswitch.wheel import Clock, Timer

log = Logger()

#: What a policy is asked about.
Subject: TypeAlias = RequestView | CallView

#: Policies that are still to be asked: name and method.
_Rest: TypeAlias = Iterator[tuple[str, Callable[..., Any]]]

#: What becomes of a request whose policy failed.
FAILED = Reject(500)


@attrs.frozen
class Policy:
    """A plug-in and the name under which the configuration uses it."""

    name: str
    plug_in: Any


@attrs.frozen
class _Place:
    """One kind of question.

    :ivar asked: name and method of each policy that is asked, in order.
    :ivar decisions: classes of what it may answer.
    :ivar nobody: the decision when nobody answers.
    """

    asked: list[tuple[str, Callable[..., Any]]]
    decisions: tuple[type, ...]
    nobody: Any


@implementer(ICallObserver)
class PolicyChain:
    """All policies of a running switch.

    :ivar policies: all of them, in the order of asking.
    :ivar failures: (policy's name, "raised", "late" or "rubbish") -> how often.
    :param policies: in the order of asking.
    :param deadline: seconds that a policy has to answer.
    :param challenge_fields: makes the WWW-Authenticate fields of a challenge to a peer on a flow.
    :param known_trunk: whether a trunk of that name exists, so that a target with a wrong one is
        rubbish; None: any may be named.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        clock: Clock,
        *,
        challenge_fields: Callable[[Flow, Challenge], list[Field]],
        deadline: float = 2.0,
        known_trunk: Callable[[str], bool] | None = None,
    ) -> None:
        self.policies = tuple(policies)
        self.failures: Counter[tuple[str, str]] = Counter()
        self.clock = clock
        self.deadline = deadline
        self.challenge_fields = challenge_fields
        self.known_trunk = known_trunk
        self._admission = _Place(
            _asked(policies, IAdmissionPolicy, "admit"), get_args(Admission), Reject(403)
        )
        self._routing = _Place(_asked(policies, IRouter, "route"), get_args(Routing), Reject(404))
        self._registration = _Place(
            _asked(policies, IRegistrationPolicy, "register"), get_args(Registration), Reject(403)
        )
        self._redirection = _Place(
            _asked(policies, IRedirectPolicy, "redirected"), get_args(Redirection), PassOn()
        )
        self._observers = [
            policy for policy in policies if ICallObserver.providedBy(policy.plug_in)
        ]

    def observe(self, observer: Policy) -> None:
        """Tell one more ICallObserver, after those that are told already."""
        self._observers.append(observer)

    def ask_admission(self, request: RequestView, tell: Callable[[Admission], None]) -> None:
        """Ask who sent a request. ``tell`` is called once: before this returns, unless a policy
        answered an awaitable."""
        self.ask(self._admission, tell, request)

    def ask_route(self, invite: InviteView, tell: Callable[[Routing], None]) -> None:
        """Ask where a request goes; ``tell`` as above."""
        self.ask(self._routing, tell, invite)

    def ask_registration(self, request: RequestView, tell: Callable[[Registration], None]) -> None:
        """Ask whether a registration may be made; ``tell`` as above."""
        self.ask(self._registration, tell, request)

    def ask_redirect(
        self, call: CallView, contacts: Sequence[str], tell: Callable[[Redirection], None]
    ) -> None:
        """Ask what becomes of a 3xx; ``tell`` as above."""
        self.ask(self._redirection, tell, call, contacts)

    def ask(
        self,
        place: _Place,
        tell: Callable[[Any], None],
        *args: Any,
        rest: _Rest | None = None,
    ) -> None:
        """Ask policy after policy until one answers, or answers that it will.

        :param args: what they are asked about first.
        :param rest: those that have not been asked yet; None for all.
        """
        if rest is None:
            rest = iter(place.asked)
        for name, method in rest:
            try:
                answer = method(*args)
            except Exception:
                tell(self.raised(name, args[0], Failure()))
                return
            if answer is None:
                continue
            if isinstance(answer, place.decisions) or not isinstance(answer, Awaitable):
                tell(self.checked(place, name, args[0], answer))
            else:
                _Wait(self, place, name, rest, tell, args).start(_deferred(answer))
            return
        tell(place.nobody)

    def checked(self, place: _Place, name: str, subject: Subject, decision: Any) -> Any:
        """A policy's decision, when it can be acted upon."""
        if not isinstance(decision, place.decisions):
            wrong = f"{type(decision).__name__} is no decision here"
        else:
            try:
                wrong = fault(decision, self.known_trunk)
            except Exception as error:  # fields of any type at all: algorithms=5
                wrong = f"{type(error).__name__} when looked at"
            if not wrong:
                return decision
        return self.failed(name, "rubbish", subject, f"rubbish: {wrong}")

    def failed(self, name: str, kind: str, subject: Subject, reason: str) -> Reject:
        """Log and count what a policy did wrong, and say what becomes of its subject."""
        self.failures[name, kind] += 1
        error = PolicyError(name, reason)
        log.error("{error}, Call-ID {call_id}", error=error, policy=name, call_id=subject.call_id)
        return FAILED

    def raised(self, name: str, subject: Subject, failure: Failure) -> Reject:
        """The same for an exception that a policy let out."""
        self.failures[name, "raised"] += 1
        error = PolicyError(name, "raised")
        log.failure(
            "{error}, Call-ID {call_id}",
            failure,
            error=error,
            policy=name,
            call_id=subject.call_id,
        )
        return FAILED

    def call_started(self, record: CallRecord) -> None:
        """Tell the observers; one that raises is logged and touches nothing."""
        self._observed("call_started", record)

    def call_ringing(self, record: CallRecord) -> None:
        """As above."""
        self._observed("call_ringing", record)

    def call_answered(self, record: CallRecord) -> None:
        """As above."""
        self._observed("call_answered", record)

    def call_ended(self, record: CallRecord) -> None:
        """As above."""
        self._observed("call_ended", record)

    def _observed(self, fact: str, record: CallRecord) -> None:
        for observer in self._observers:
            try:
                getattr(observer.plug_in, fact)(record)
            except Exception:
                self.failures[observer.name, "raised"] += 1
                log.failure(
                    "{error} in {fact}, call {call}",
                    error=PolicyError(observer.name, "raised"),
                    policy=observer.name,
                    fact=fact,
                    call=record.id,
                )


class _Wait:
    """A question whose answer comes later."""

    __slots__ = (
        "_answer",
        "_args",
        "_chain",
        "_name",
        "_over",
        "_place",
        "_rest",
        "_tell",
        "_timer",
    )

    def __init__(
        self,
        chain: PolicyChain,
        place: _Place,
        name: str,
        rest: _Rest,
        tell: Callable[[Any], None],
        args: tuple[Any, ...],
    ) -> None:
        self._chain = chain
        self._place = place
        self._name = name
        self._rest = rest
        self._tell = tell
        self._args = args
        self._timer: Timer
        self._answer: Deferred[Any]
        self._over = False

    def start(self, answer: Deferred[Any]) -> None:
        """Wait for an answer, which may be there already; after the deadline it is ignored."""
        self._answer = answer
        self._timer = self._chain.clock.callLater(self._chain.deadline, self._late)
        answer.addCallbacks(self._answered, self._raised).addErrback(_broken)

    def _answered(self, answer: Any) -> None:
        if not self._end():
            return
        if answer is None:
            self._chain.ask(self._place, self._tell, *self._args, rest=self._rest)
        else:
            self._tell(self._chain.checked(self._place, self._name, self._args[0], answer))

    def _raised(self, failure: Failure) -> None:
        if self._end():
            self._tell(self._chain.raised(self._name, self._args[0], failure))

    def _late(self) -> None:
        self._over = True
        reason = f"no answer in {self._chain.deadline:g} s"
        self._tell(self._chain.failed(self._name, "late", self._args[0], reason))
        self._answer.cancel()

    def _end(self) -> bool:
        """Whether the answer still counts."""
        if self._over:
            return False
        self._over = True
        self._timer.cancel()
        return True


def _asked(
    policies: Sequence[Policy], place: Any, method: str
) -> list[tuple[str, Callable[..., Any]]]:
    """Name and method of those that have one for this kind of question."""
    return [
        (policy.name, getattr(policy.plug_in, method))
        for policy in policies
        if place.providedBy(policy.plug_in)
    ]


def _deferred(answer: Awaitable[Any]) -> Deferred[Any]:
    """What can be waited for, as a Deferred."""
    if isinstance(answer, Deferred):
        return answer
    return Deferred.fromCoroutine(answer if iscoroutine(answer) else _awaited(answer))


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def _broken(failure: Failure) -> None:
    """Whoever was told let an exception out: no fault of the policy."""
    log.failure("what follows from a policy's answer failed", failure)
