"""Who sent a request: digest for users, source networks for trunks. Pure; it waits only where a
directory of users does.

Nobody else is admitted unless a plug-in says so. RFC 3261 section 22, RFC 7616, RFC 8760.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import attrs
from zope.interface import implementer

from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Admission, Allow, Challenge, Reject
from softswitch.plugin.interfaces import IAdmissionPolicy
from softswitch.plugin.verification import Verification
from softswitch.plugin.views import House, Identity, RequestView, TrunkView, User
from softswitch.policy.waiting import Found, then
from softswitch.sip import digest
from softswitch.sip.message import Field
from softswitch.sip.uri import Uri

#: Requests that show somebody a caller's number.
SHOWING = frozenset(("INVITE", "MESSAGE"))

#: The hash of nobody's password: an unknown name takes the time of a wrong password.
_NOBODY = "0" * 64


@implementer(IAdmissionPolicy)
@attrs.define
class UserAdmission:
    """Admits users who prove their password, under their own address in From, or anonymously.

    Everybody else is challenged, so it stands last among the admission policies.
    """

    _house: House = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Take note of what checks credentials."""
        self._house = house

    def admit(self, request: RequestView) -> Admission | Awaitable[Admission]:
        """RFC 3261 22.1; 403 for another's From (RFC 3261 26.3.2.1 leaves it to the domain)."""
        if request.identity is not None:
            return Allow(request.identity)
        who = self._house.authenticate(request)
        if isinstance(who, User):
            return self._admit(request, who)
        return self._admit_later(request, who) if isinstance(who, Awaitable) else who

    async def _admit_later(
        self, request: RequestView, proven: Awaitable[User | Challenge | Reject]
    ) -> Admission:
        who = await proven
        return self._admit(request, who) if isinstance(who, User) else who

    def _admit(self, request: RequestView, who: User) -> Admission:
        uri = request.from_.uri
        name = uri.unquoted_user
        own = (name == who.name or name in who.numbers) and self._house.is_ours(uri.host, uri.port)
        if not own and not (request.method != "REGISTER" and uri.is_anonymous):
            return Reject(403)
        return Allow(Identity("user", who.name, self._house.domain, True, who.display))


@implementer(IAdmissionPolicy)
@attrs.define
class TrunkAdmission:
    """Admits what comes from a trunk: by its address, or because it proves the trunk's password.

    From its address alone nobody registers. A caller whose number is none of the trunk's own, where
    it has such, gets 403, or is shown by its default number. Where the trunk's calls are verified
    the verdict is part of who calls, and what has to pass and does not is refused (RFC 8224 6.2.2).
    """

    _house: House = attrs.field(init=False, repr=False)
    #: Name of a trunk, number that is shown instead, where the called one is read -> what is said
    #: of such requests.
    _allowed: dict[tuple[str, str, str], Allow] = attrs.field(init=False, repr=False, factory=dict)

    def start(self, house: House) -> None:
        """Take note of what knows the trunks."""
        self._house = house

    def admit(self, request: RequestView) -> Admission | Awaitable[Admission] | None:
        """By the address that the request really came from, or by its credentials, never by what
        else it says."""
        if request.identity is not None:
            return Allow(request.identity)
        trunk = self._house.trunk_of(request)
        if trunk is None or isinstance(trunk, Challenge | Reject):
            return trunk
        number = trunk.shown(request) if request.method in SHOWING else ""
        if number is None:
            return Reject(403, "Not Your Number")
        called_from = trunk.reads(request)
        key = trunk.name, number, called_from
        allow = self._allowed.get(key)
        if allow is None:
            identity = Identity(
                "trunk",
                trunk.name,
                force_rport=trunk.force_rport,
                registered=trunk.registered_as,
                number=number,
                called_from=called_from,
            )
            allow = self._allowed[key] = Allow(identity)
        if trunk.verifies and request.method == "INVITE":
            return self._verified(request, trunk, allow)
        return allow

    def _verified(
        self, request: RequestView, trunk: TrunkView, allow: Allow
    ) -> Admission | Awaitable[Admission]:
        verdict = self._house.verify(request, trunk.name)
        if isinstance(verdict, Verification):
            return _judged(request, trunk, allow, verdict)
        return self._verified_later(request, trunk, allow, verdict)

    async def _verified_later(
        self,
        request: RequestView,
        trunk: TrunkView,
        allow: Allow,
        verdict: Awaitable[Verification],
    ) -> Admission:
        return _judged(request, trunk, allow, await verdict)


def _judged(
    request: RequestView, trunk: TrunkView, allow: Allow, verdict: Verification
) -> Admission:
    if not verdict.passed and trunk.requires_identity(request):
        return Reject(verdict.status, verdict.reason)
    return Allow(attrs.evolve(allow.identity, verification=verdict))


class Doorkeeper(Protocol):
    """Hears who has proved himself, and who has not."""

    def proved(self, flow: Flow) -> None:
        """A request that came on a flow proves a password."""

    def doubts(self, flow: Flow, account: str) -> bool:
        """Whether ``turns_down`` is to be asked about a login of this account."""

    def turns_down(self, flow: Flow, account: str, proven: bool) -> bool:
        """Whether so many have failed that this one is not to be judged."""

    def failed(self, flow: Flow, account: str, proven: bool) -> None:
        """Credentials that came on a flow prove nothing.

        :param account: that they name.
        :param proven: whether they answer a challenge that was given to this very host.
        """


class Authenticator:
    """Issues digest challenges and checks what answers them.

    :param realm: on which the users' hashes depend.
    :param nonces: issued by this one and, before a reload, by the one in its place.
    :param look_up: name -> user, or None; or an awaitable, where that takes a while.
    :param by_listener: listener's name -> algorithms, one challenge each in that order; MD5
        alone where there is none, since most phones give up on any other.
    :param by_group: user group -> algorithms, instead of the listener's.
    :param doorkeeper: hears what comes of credentials.
    """

    def __init__(
        self,
        realm: str,
        nonces: digest.Nonces,
        look_up: Callable[[str], Found | Awaitable[Found]],
        *,
        by_listener: Mapping[str, Sequence[str]],
        by_group: Mapping[str, Sequence[str]],
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        self.realm = realm
        self._look_up = look_up
        self._by_listener = by_listener
        self._by_group = {name: tuple(names) for name, names in by_group.items() if names}
        self._nonces = nonces
        self._doorkeeper = doorkeeper

    def authenticate(
        self, request: RequestView
    ) -> User | Challenge | Reject | Awaitable[User | Challenge | Reject]:
        """Whose credentials a request bears, or the challenge that answers it.

        Unknown names, wrong passwords and weaker algorithms than were asked for look alike. A
        proof that is right but for its nonce's age or count is asked for anew as stale (RFC 7616
        3.3), also after a restart, which forgets the nonces.
        """
        lines = request.headers("Authorization")
        for credentials in digest.parse_credentials(lines) if lines else ():
            if credentials.realm == self.realm:
                found = self._look_up(credentials.username)
                return then(found, partial(self._judge, request, credentials))
        name = request.from_.uri.unquoted_user if self._by_group else ""
        return then(self._look_up(name) if name else None, self._challenge)

    def prove(self, request: RequestView, accounts: Mapping[str, User]) -> User | Challenge | None:
        """Which of these accounts proves that it has sent a request; None where its credentials
        name none of them.

        :param accounts: by user name.
        """
        lines = request.headers("Authorization")
        for credentials in digest.parse_credentials(lines) if lines else ():
            account = accounts.get(credentials.username)
            if account is not None and credentials.realm == self.realm:
                return self._judge(request, credentials, account)
        return None

    def challenge_fields(self, flow: Flow, challenge: Challenge) -> list[Field]:
        """The WWW-Authenticate fields of a challenge that leaves on ``flow``: a line per
        algorithm."""
        realm = self.realm if challenge.realm is None else challenge.realm
        nonce = self._nonces.issue(flow.remote_host)
        return [
            (
                "WWW-Authenticate",
                str(digest.Challenge(realm, nonce, algorithm, stale=challenge.stale)),
            )
            for algorithm in challenge.algorithms or self._of_listener(flow.listener)
        ]

    def _challenge(self, user: User | None) -> Challenge:
        return Challenge(algorithms=self._of_group(user))

    def _judge(
        self, request: RequestView, credentials: digest.Credentials, user: User | None
    ) -> User | Challenge:
        group = self._of_group(user)
        doorkeeper, flow = self._doorkeeper, request.source
        account = credentials.username if user is None else user.name
        if (
            doorkeeper is not None
            and doorkeeper.doubts(flow, account)
            and doorkeeper.turns_down(flow, account, self._came_back(credentials, flow))
        ):
            return Challenge(algorithms=group)
        algorithm = credentials.algorithm
        known = user.ha1.get(algorithm) if user is not None else None
        proven = digest.verify(credentials, known or _NOBODY, request.method)
        asked = (
            algorithm in (group or self._of_listener(request.source.listener))
            and credentials.qop == "auth"
            and _same_place(credentials.uri, request.uri)
        )
        if user is None or not known or not proven or not asked:
            if doorkeeper is not None:
                doorkeeper.failed(flow, account, self._came_back(credentials, flow))
            return Challenge(algorithms=group)
        if self._nonces.check(credentials.nonce, credentials.nc) != "ok":
            return Challenge(stale=True, algorithms=group)
        if doorkeeper is not None:
            doorkeeper.proved(flow)
        return user

    def _came_back(self, credentials: digest.Credentials, flow: Flow) -> bool:
        return self._nonces.came_back(credentials.nonce, flow.remote_host)

    def _of_group(self, user: User | None) -> tuple[str, ...]:
        return self._by_group.get(user.group, ()) if user is not None else ()

    def _of_listener(self, listener: str) -> Sequence[str]:
        return self._by_listener.get(listener) or ("MD5",)


def _same_place(digest_uri: str, request_uri: Uri) -> bool:
    """Whether a digest-uri means the Request-URI (RFC 7616 3.4.6).

    Parameters are left out: phones put them into the one and forget them in the other.
    """
    try:
        uri = Uri.parse(digest_uri)
    except SipSyntaxError:
        return False
    return (uri.unquoted_user, uri.host.lower(), uri.port) == (
        request_uri.unquoted_user,
        request_uri.host.lower(),
        request_uri.port,
    )
