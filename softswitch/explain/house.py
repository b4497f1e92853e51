"""The real house with witnesses in it: they note what policies ask and say, and change nothing.

None of it stands on a message's path in the running switch: there the chain is ``PolicyChain`` and
a policy is handed the house itself.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from twisted.python.failure import Failure

from softswitch.explain.diary import Consulted, Decided, Diary, Place, Verdict, told
from softswitch.ops.house import House
from softswitch.ops.premises import Premises
from softswitch.plugin.decisions import Challenge, Reject
from softswitch.plugin.record import CallRecord
from softswitch.plugin.verification import Verification
from softswitch.plugin.views import House as OfferedHouse
from softswitch.plugin.views import RequestView, User
from softswitch.policy.budget import Asked
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.policy.waiting import then
from softswitch.sip import digest
from softswitch.trunk.group import Trunk

T = TypeVar("T")

#: What the house is asked that explains nothing.
_QUIET = frozenset(("is_ours", "now"))

#: What is said of a proof whose nonce cannot be known here.
_FRESH = (
    "has proved a password: the credentials are right, and their nonce, which only the running "
    "switch knows, is taken as fresh"
)


class ExplainedChain(PolicyChain):
    """Asks as the real one does, and notes it. Observers are told nothing, so that no record is
    written and no event sent.

    :ivar diary: assigned before anything is asked.
    """

    diary: Diary

    def ask(
        self, place: Any, tell: Callable[[Any], None], *args: Any, rest: Any | None = None
    ) -> None:
        """As in ``PolicyChain``, with a witness beside each policy."""
        if rest is None:
            name = self._name_of(place)
            tell = partial(self._decided, name, tell)
            rest = (
                (policy, partial(self._witnessed, name, policy, method, place.decisions))
                for policy, method in place.asked
            )
        super().ask(place, tell, *args, rest=rest)

    def failed(self, policy: Asked, kind: str, subject: Any, reason: str) -> Reject | None:
        """As there; the verdict says what was wrong."""
        self._verdict_of(policy.name).fault = reason
        return super().failed(policy, kind, subject, reason)

    def raised(self, policy: Asked, subject: Any, failure: Failure) -> Reject | None:
        """As there; the verdict says where it was raised."""
        self._verdict_of(policy.name).fault = where_raised(failure)
        return super().raised(policy, subject, failure)

    def observe(self, observer: Policy) -> None:
        """Nobody is told."""

    def call_started(self, record: CallRecord) -> None:
        """The record is looked at, not written."""
        self.diary.record = record

    def call_ringing(self, record: CallRecord) -> None:
        """Nobody is told."""

    def call_answered(self, record: CallRecord) -> None:
        """Nobody is told."""

    def call_ended(self, record: CallRecord) -> None:
        """Nobody is told."""

    def _name_of(self, place: Any) -> Place:
        names: list[tuple[Any, Place]] = [
            (self._admission, "admission"),
            (self._routing, "route"),
            (self._registration, "registration"),
            (self._redirection, "redirect"),
            (self._users, "user"),
        ]
        return next(name for known, name in names if known is place)

    def _witnessed(
        self,
        place: Place,
        policy: Asked,
        method: Callable[..., Any],
        decisions: tuple[type, ...],
        *args: Any,
    ) -> Any:
        verdict = Verdict(place, policy.name)
        self.diary.entries.append(verdict)
        answer = method(*args)
        explained = getattr(getattr(method, "__self__", None), "explained", None)
        if explained is not None:
            verdict.because = str(explained(*args))
        if isinstance(answer, Awaitable) and not isinstance(answer, decisions):
            verdict.later = verdict.waits = True
            return _noted(answer, verdict)
        verdict.answer = answer
        return answer

    def _decided(self, place: Place, tell: Callable[[Any], None], decision: Any) -> None:
        self.diary.entries.append(Decided(place, decision))
        tell(decision)

    def _verdict_of(self, policy: str) -> Verdict:
        return next(each for each in reversed(self.diary.verdicts()) if each.policy == policy)


class ExplainedHouse(House):
    """A house whose policies are watched.

    :param diary: where it is noted.
    :param as_user: name of the user whose password is taken as proved; "" for nobody.
    """

    chain: ClassVar[type[PolicyChain]] = ExplainedChain

    def __init__(self, diary: Diary, as_user: str, *args: Any, **options: Any) -> None:
        self.diary = diary
        self.as_user = as_user
        super().__init__(*args, **options)
        assert isinstance(self.policies, ExplainedChain)
        self.policies.diary = diary

    def offered(self, policy: str, premises: Premises) -> OfferedHouse:
        """What notes each question to the house, and answers as the house does."""
        return cast(OfferedHouse, _Witness(premises, self.diary, self.as_user))


class _Witness:
    """A house as a policy is handed it; what it does not say itself, the real one does."""

    def __init__(self, house: Premises, diary: Diary, as_user: str) -> None:
        self._house = house
        self._diary = diary
        self._as_user = as_user

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._house, name)
        return partial(self._asked, name, found) if callable(found) else found

    def authenticate(
        self, request: RequestView
    ) -> User | Challenge | Reject | Awaitable[User | Challenge | Reject]:
        """The user who is taken for proved, or whose proof is right but for a nonce that only the
        running switch knows; else as the house says."""
        house = self._house
        if self._as_user:
            self._diary.assume(f"{self._as_user} has proved a password (--as-user)")
            found = then(house.look_up_user(self._as_user), _whoever)
            return self._note("authenticate", (request,), found)
        answer = house.authenticate(request)
        if isinstance(answer, Challenge) and answer.stale:
            user = house.find_user(_username(request, house.realm))
            if user is not None:
                self._diary.assume(f"{user.name} {_FRESH}")
                return self._note("authenticate", (request,), user)
        return self._note("authenticate", (request,), answer)

    def trunk_of(self, request: RequestView) -> Trunk | Challenge | Reject | None:
        """The same for the trunk that a request belongs to; and why it does."""
        house, host = self._house, request.source.remote_host
        answer = house.trunk_of(request)
        if isinstance(answer, Challenge) and answer.stale:
            answer = house.trunks.of_username(_username(request, house.realm)) or answer
            if isinstance(answer, Trunk):
                self._diary.assume(f"the trunk {answer.name} {_FRESH}")
        why = ""
        if isinstance(answer, Trunk):
            networks = [each for each in answer.sources() if ip_address(host) in each]
            why = f", whose network {networks[0]} is" if networks else ", by what it has proved"
            shown = answer.inbound.certificates & house.names_on(request.source)
            if shown:
                networks, why = [], f", by its certificate for {', '.join(sorted(shown))}"
            sharing = [each.name for each in house.trunks.sharing(host)]
            if networks and len(sharing) > 1:
                why += f", of {', '.join(sharing)} by the Request-URI {request.uri}"
        self._consulted("trunk_of", (request,), told(answer) + why)
        return answer

    def verify(
        self, request: RequestView, trunk: str = ""
    ) -> Verification | Awaitable[Verification]:
        """What is to be thought of the caller's number, as far as that can be said without asking
        anybody for a certificate."""
        answer = self._house.verify(request, trunk)
        if not isinstance(answer, Verification):
            self._diary.assume("nobody has the certificate of the signer: none is fetched here")
            self._consulted("verify", (request, trunk), "what its certificate says")
            return answer
        return self._note("verify", (request, trunk), answer)

    def _asked(self, name: str, method: Callable[..., Any], *args: Any) -> Any:
        return self._note(name, args, method(*args))

    def _note(self, name: str, args: Sequence[Any], answer: T) -> T:
        if name not in _QUIET:
            self._consulted(name, args, told(answer))
        return answer

    def _consulted(self, name: str, args: Sequence[Any], answer: str) -> None:
        verdicts = self._diary.verdicts()
        if verdicts:
            said = ", ".join(map(_argument, args))
            verdicts[-1].consulted.append(Consulted(f"{name}({said})", answer))


async def _noted(answer: Awaitable[Any], verdict: Verdict) -> Any:
    """What comes of it in the end."""
    try:
        verdict.answer = await answer
    finally:
        verdict.waits = False
    return verdict.answer


def where_raised(failure: Failure) -> str:
    """An exception in one line, with the file and line that let it out."""
    text = " ".join(f"{type(failure.value).__name__}: {failure.value}".split())
    for _, file, line, _, _ in reversed(failure.frames):
        if not Path(file).is_relative_to(Path(__file__).parent):
            return f"raised {text} ({file}:{line})"
    return f"raised {text}"


def _whoever(user: User | None) -> User | Reject:
    """The user who is taken for proved; a directory may not know him after all."""
    return Reject(403) if user is None else user


def _username(request: RequestView, realm: str) -> str:
    """Whose name the credentials for a realm bear, "" for none."""
    found = digest.parse_credentials(request.headers("Authorization"))
    return next((each.username for each in found if each.realm == realm), "")


def _argument(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float) else told(value)
