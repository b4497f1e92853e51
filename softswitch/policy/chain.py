"""The chain: asks the policies in their order, and lets none of them harm a call but its own.

A policy that answers at once costs a method call and a look at its answer. One that answers an
awaitable is waited for until its deadline. One that raises, is late, answers rubbish or is beyond
its budget fails what it was asked about as its terms say, with 500 unless they say otherwise, is
named in the log and counted; everybody else goes on.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, Final, TypeAlias, get_args

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
    IUserDirectory,
)
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import CallView, InviteView, RequestView, User
from softswitch.policy.awaited import deferred
from softswitch.policy.budget import Asked, Attention, Cost
from softswitch.policy.checks import fault
from softswitch.policy.subjects import Subject, about, call_id
from softswitch.policy.terms import Terms
from softswitch.sip.message import Field
from softswitch.wheel import Clock, Timer

log = Logger()

#: Why a policy is not asked at all.
_SHUT: Final = {
    "crowded": "thinks about too many questions already",
    "resting": "has taken more than its share of the time",
}

#: What an observer is told of.
FACTS: Final = ("call_started", "call_ringing", "call_answered", "call_ended")

#: On which terms the switch's own observers are told.
_UNBOUNDED: Final = Terms(busy_share=0.0)

#: Policies that are still to be asked, and their method.
_Rest: TypeAlias = Iterator[tuple[Asked, Callable[..., Any]]]


@attrs.frozen
class Policy:
    """A plug-in, the name under which the configuration uses it, and on which terms."""

    name: str
    plug_in: Any
    terms: Terms = attrs.field(factory=Terms)


@attrs.frozen
class _Place:
    """One kind of question.

    :ivar asked: each policy that is asked, in order, and its method.
    :ivar decisions: classes of what it may answer.
    :ivar nobody: the decision when nobody answers.
    """

    asked: list[tuple[Asked, Callable[..., Any]]]
    decisions: tuple[type, ...]
    nobody: Any


@implementer(ICallObserver)
class PolicyChain:
    """All policies of a running switch.

    :ivar policies: all of them, in the order of asking.
    :ivar decided: name of the policy whose decision is being told; "" where none had one.
    :ivar failures: policy's name, and "raised", "late", "rubbish", "crowded" or "resting" -> how
        often.
    :param policies: in the order of asking.
    :param deadline: seconds that a policy has to answer whose terms do not say.
    :param challenge_fields: makes the WWW-Authenticate fields of a challenge that leaves on a flow.
    :param known_trunk: whether a trunk of that name exists, so that a target with a wrong one is
        rubbish; None: any may be named.
    :param attention: kept up to date.
    :param previous: the chain that this takes the place of; what it has counted goes on.
    :param time: measures what policies take, seconds.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        clock: Clock,
        *,
        challenge_fields: Callable[[Flow, Challenge], list[Field]],
        deadline: float = 2.0,
        known_trunk: Callable[[str], bool] | None = None,
        attention: Attention | None = None,
        previous: "PolicyChain | None" = None,
        time: Callable[[], float] = perf_counter,
    ) -> None:
        self.policies = tuple(policies)
        self.decided = ""
        self.failures: Counter[tuple[str, str]] = Counter()
        self._time = time
        self._attention = attention or Attention()
        self._costs: dict[str, Cost] = {}
        if previous is not None:
            self.failures, self._costs = previous.failures, previous._costs
        self._asked: list[Asked] = []
        self.clock = clock
        self.deadline = deadline
        self.challenge_fields = challenge_fields
        self.known_trunk = known_trunk
        asked = [self._entered(policy) for policy in policies]
        self._admission = _Place(
            _methods(asked, IAdmissionPolicy, "admit"), get_args(Admission), Reject(403)
        )
        self._routing = _Place(_methods(asked, IRouter, "route"), get_args(Routing), Reject(404))
        self._registration = _Place(
            _methods(asked, IRegistrationPolicy, "register"), get_args(Registration), Reject(403)
        )
        self._redirection = _Place(
            _methods(asked, IRedirectPolicy, "redirected"), get_args(Redirection), PassOn()
        )
        self._users = _Place(_methods(asked, IUserDirectory, "find"), (User,), None)
        self._told: dict[str, list[tuple[Asked, Callable[[CallRecord], None]]]]
        self._told = {fact: [] for fact in FACTS}
        for each in asked:
            if ICallObserver.providedBy(each.plug_in):
                self._tell(each)

    def observe(self, observer: Policy) -> None:
        """Tell one more ICallObserver, after those that are told already. It is one of the switch's
        own, and told whatever it takes: a call would have no record, or never end."""
        self._tell(self._entered(attrs.evolve(observer, terms=_UNBOUNDED)))

    def figures(self) -> dict[str, dict[str, Any]]:
        """For an operator: what each policy has cost, and how often it failed at what."""
        found = {each.label: each.figures() for each in self._asked}
        for (name, kind), count in self.failures.items():
            if name in found:
                found[name]["failures"][kind] = count
        return found

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

    @property
    def knows_users(self) -> bool:
        """Whether any policy is a directory of users."""
        return bool(self._users.asked)

    def ask_user(self, name: str, tell: Callable[[User | Reject | None], None]) -> None:
        """Ask who the user of a name or number is; ``tell`` as above, with None for nobody and a
        refusal where a directory has failed."""
        self.ask(self._users, tell, name)

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
        attention, time, subject = self._attention, self._time, args[0]
        before, ended = attention.policy, time()
        for policy, method in rest:
            began = ended
            if policy.shut and (why := policy.is_shut(began)):
                decision = self.shut_out(policy, why, subject)
            else:
                attention.began, attention.policy = began, policy
                policy.cost.questions += 1
                try:
                    answer = method(*args)
                except Exception:
                    answer = Failure()
                ended = time()
                attention.policy = before
                policy.took(began, ended)
                if answer is None:
                    continue
                if isinstance(answer, place.decisions):
                    decision = self.checked(place, policy, subject, answer)
                elif isinstance(answer, Failure):
                    decision = self.raised(policy, subject, answer)
                elif not isinstance(answer, Awaitable):
                    decision = self.checked(place, policy, subject, answer)
                else:
                    wait = _Wait(self, place, policy, rest, tell, args)
                    wait.start(deferred(answer, policy, attention, time))
                    return
            if decision is not None:
                self.decided = policy.label
                tell(decision)
                return
        self.decided = ""
        tell(place.nobody)

    def checked(self, place: _Place, policy: Asked, subject: Subject, decision: Any) -> Any:
        """A policy's decision, when it can be acted upon; else what its failure means."""
        if not isinstance(decision, place.decisions):
            wrong = f"{type(decision).__name__} is no decision here"
        else:
            try:
                wrong = fault(decision, self.known_trunk)
            except Exception as error:  # fields of any type at all: algorithms=5
                wrong = f"{type(error).__name__} when looked at"
            if not wrong:
                return decision
        return self.failed(policy, "rubbish", subject, f"rubbish: {wrong}")

    def failed(self, policy: Asked, kind: str, subject: Subject, reason: str) -> Reject | None:
        """Log and count what a policy did wrong, and say what becomes of its subject; None has the
        next one asked."""
        self.failures[policy.name, kind] += 1
        error = PolicyError(policy.name, reason)
        log.error(
            "{error}, {about}",
            error=error,
            policy=policy.name,
            about=about(subject),
            call_id=call_id(subject),
        )
        return policy.fallback

    def shut_out(self, policy: Asked, kind: str, subject: Subject) -> Reject | None:
        """The same for a policy that may not be asked; the log hears of it now and then."""
        if policy.may_say(self._time()):
            return self.failed(policy, kind, subject, _SHUT[kind])
        self.failures[policy.name, kind] += 1
        return policy.fallback

    def raised(self, policy: Asked, subject: Subject, failure: Failure) -> Reject | None:
        """The same for an exception that a policy let out; with a reason of its own, or a stack."""
        if isinstance(failure.value, PolicyError):
            return self.failed(policy, "raised", subject, failure.value.reason)
        self.failures[policy.name, "raised"] += 1
        error = PolicyError(policy.name, "raised")
        log.failure(
            "{error}, {about}",
            failure,
            error=error,
            policy=policy.name,
            about=about(subject),
            call_id=call_id(subject),
        )
        return policy.fallback

    def call_started(self, record: CallRecord) -> None:
        """Tell the observers; one that raises is logged and touches nothing."""
        if self._told["call_started"]:
            self._observed("call_started", record)

    def call_ringing(self, record: CallRecord) -> None:
        """As above."""
        if self._told["call_ringing"]:
            self._observed("call_ringing", record)

    def call_answered(self, record: CallRecord) -> None:
        """As above."""
        if self._told["call_answered"]:
            self._observed("call_answered", record)

    def call_ended(self, record: CallRecord) -> None:
        """As above."""
        self._observed("call_ended", record)

    def _observed(self, fact: str, record: CallRecord) -> None:
        attention, time = self._attention, self._time
        before, ended = attention.policy, time()
        for observer, tell in self._told[fact]:
            began = ended
            if observer.shut and observer.is_shut(began):
                self.failures[observer.name, "resting"] += 1
                continue
            attention.began, attention.policy = began, observer
            observer.cost.questions += 1
            try:
                tell(record)
            except Exception:
                self.failures[observer.name, "raised"] += 1
                log.failure(
                    "{error} in {fact}, call {call}",
                    error=PolicyError(observer.name, "raised"),
                    policy=observer.name,
                    fact=fact,
                    call=record.id,
                )
            ended = time()
            observer.took(began, ended)
        attention.policy = before

    def _tell(self, observer: Asked) -> None:
        """From now on, but for the facts of which it wants to know nothing."""
        for fact, told in self._told.items():
            tell = getattr(observer.plug_in, fact)
            if getattr(tell, "__func__", None) is not getattr(Observer, fact):
                told.append((observer, tell))

    def _entered(self, policy: Policy) -> Asked:
        """A policy, as it is asked."""
        label, number = policy.name, 1
        while any(each.label == label for each in self._asked):
            number += 1
            label = f"{policy.name} ({number})"
        cost = self._costs.setdefault(label, Cost())
        asked = Asked(policy.name, label, policy.plug_in, policy.terms, self.deadline, cost)
        self._asked.append(asked)
        return asked


class _Wait:
    """A question whose answer comes later."""

    __slots__ = (
        "_answer",
        "_args",
        "_chain",
        "_over",
        "_place",
        "_policy",
        "_rest",
        "_tell",
        "_timer",
    )

    def __init__(
        self,
        chain: PolicyChain,
        place: _Place,
        policy: Asked,
        rest: _Rest,
        tell: Callable[[Any], None],
        args: tuple[Any, ...],
    ) -> None:
        self._chain = chain
        self._place = place
        self._policy = policy
        self._rest = rest
        self._tell = tell
        self._args = args
        self._timer: Timer
        self._answer: Deferred[Any]
        self._over = False

    def start(self, answer: Deferred[Any]) -> None:
        """Wait for an answer, which may be there already; after the deadline it is ignored."""
        self._answer = answer
        self._policy.began_to_think()
        self._timer = self._chain.clock.callLater(self._policy.deadline, self._late)
        answer.addCallbacks(self._answered, self._raised).addErrback(_broken)

    def _answered(self, answer: Any) -> None:
        if not self._end():
            return
        if answer is not None:
            chain, policy = self._chain, self._policy
            self._decided(chain.checked(self._place, policy, self._args[0], answer))
        else:
            self._decided(None)

    def _raised(self, failure: Failure) -> None:
        if self._end():
            self._decided(self._chain.raised(self._policy, self._args[0], failure))

    def _late(self) -> None:
        self._over = True
        self._policy.has_thought()
        reason = f"no answer in {self._policy.deadline:g} s"
        self._decided(self._chain.failed(self._policy, "late", self._args[0], reason))
        self._answer.cancel()

    def _decided(self, decision: Any) -> None:
        """Tell it, or have the next one asked."""
        if decision is None:
            self._chain.ask(self._place, self._tell, *self._args, rest=self._rest)
        else:
            self._chain.decided = self._policy.label
            self._tell(decision)

    def _end(self) -> bool:
        """Whether the answer still counts."""
        if self._over:
            return False
        self._over = True
        self._policy.has_thought()
        self._timer.cancel()
        return True


def _methods(
    policies: Sequence[Asked], place: Any, method: str
) -> list[tuple[Asked, Callable[..., Any]]]:
    """Those that have one for this kind of question, and their method."""
    return [
        (policy, getattr(policy.plug_in, method))
        for policy in policies
        if place.providedBy(policy.plug_in)
    ]


def _broken(failure: Failure) -> None:
    """Whoever was told let an exception out: no fault of the policy."""
    log.failure("what follows from a policy's answer failed", failure)
