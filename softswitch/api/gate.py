"""Who may call the API: tokens, and what a page in somebody's browser may not do. Pure.

Over the unix socket the file's permissions say who may: the system asks for no more. Over TCP a
bearer token is wanted, unless the configuration trusts this machine. A page from elsewhere runs on
this machine, too, in a browser: so trust wants a Host that names the machine itself, which a
re-bound name does not (DNS rebinding), and no request may come from a page of another origin.
"""

import math
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

import attrs

from softswitch.api.problem import ProblemError
from softswitch.api.tokens import Caller, Role, Token, find
from softswitch.transport.networks import source_of
from softswitch.transport.strangers import Strangers
from softswitch.wheel import Clock

#: Tokens that are wrong: so many at once from one source, and so many per second, are told so and
#: written into the audit. Who sends more is put off.
BURST: Final = 10.0
PER_SECOND: Final = 0.1

#: Requests that anybody may send: so many at once from one source, and so many per second. This
#: machine, where a proxy may be, sends as many as it likes.
GUEST_BURST: Final = 100.0
GUEST_PER_SECOND: Final = 10.0

#: What a proxy in front of us writes: then "this machine" is only where the proxy is.
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@attrs.frozen
class ApiSettings:
    """Who may call, as the configuration says.

    :ivar tokens: those that are good.
    :ivar trust_loopback: whether who calls from this machine needs none.
    """

    tokens: tuple[Token, ...] = ()
    trust_loopback: bool = False


@attrs.frozen
class Source:
    """Whence a request comes.

    :ivar host: an address literal without brackets; "" over the unix socket.
    :ivar user: number of the user there, "" where the system does not say.
    """

    host: str
    user: str = ""

    def __str__(self) -> str:
        return self.host or f"unix:{self.user}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, over TCP."""
        return bool(self.host) and _is_loopback(self.host)


class Gate:
    """Says who somebody is.

    :ivar settings: who may call.
    :ivar turned_away: requests that were put off.
    :param failed: told of the address from which a wrong token came.
    """

    def __init__(self, settings: ApiSettings, clock: Clock, failed: Callable[[str], None]) -> None:
        self.settings = settings
        self.turned_away = 0
        self._clock = clock
        self._failed = failed
        self._strangers = Strangers(BURST, BURST, clock.seconds())
        self._guests = Strangers(GUEST_BURST, GUEST_BURST, clock.seconds())

    def caller(self, source: Source, headers: Mapping[str, str]) -> Caller:
        """Who sends a request.

        :param headers: lower-case name -> value.
        :raises ProblemError: 401 without a token that is good, 403 for a page from elsewhere, 429
            for who has sent too many wrong ones.
        """
        try:
            return self._known(source, headers)
        except ProblemError as problem:
            if isinstance(problem, _WrongTokenError):
                self._failed(source.host)
            detail = "too many requests without a good token"
            raise self._weighed(self._strangers, source, PER_SECOND, detail) or problem from None

    def knows(self, source: Source, headers: Mapping[str, str]) -> bool:
        """Whether ``caller`` will name somebody; nothing counts as yet."""
        try:
            self._known(source, headers)
        except ProblemError:
            return False
        return True

    def guest(self, source: Source, headers: Mapping[str, str]) -> Caller:
        """Who sends a request that anybody may send: "" where a token would be wanted.

        :raises ProblemError: 429 for who sends too many.
        """
        trusted = not source.host or self._trusts(source, headers)
        if not trusted and not source.is_loopback:
            problem = self._weighed(self._guests, source, GUEST_PER_SECOND, "too many requests")
            if problem is not None:
                raise problem
        return Caller("local" if trusted else "", "admin" if trusted else "view", str(source))

    def _known(self, source: Source, headers: Mapping[str, str]) -> Caller:
        """
        :raises ProblemError: 401 or 403.
        """
        see_origin(headers)
        if not source.host:
            return Caller("local", "admin", str(source))
        scheme, _, presented = headers.get("authorization", "").partition(" ")
        presented = presented.strip()
        if not scheme and self._trusts(source, headers):
            return Caller("local", "admin", str(source))
        if scheme.lower() != "bearer" or not presented:
            detail = "a bearer token is wanted: `Authorization: Bearer ...`"
            raise ProblemError(401, detail, "Authorization", _challenge())
        token = find(self.settings.tokens, presented)
        wrong = "Authorization", _challenge("invalid_token")
        if token is None:
            raise _WrongTokenError(401, "nobody has this token", *wrong)
        if token.expires is not None and token.expires <= self._clock.seconds():
            raise ProblemError(401, "this token has expired", *wrong)
        return Caller(token.name, token.role, str(source))

    def _trusts(self, source: Source, headers: Mapping[str, str]) -> bool:
        return (
            self.settings.trust_loopback
            and source.is_loopback
            and _is_loopback(host_of(headers.get("host", "")))
            and not any(name in headers for name in _FORWARDED)
        )

    def _weighed(
        self, strangers: Strangers, source: Source, per_second: float, detail: str
    ) -> ProblemError | None:
        """What somebody is told who has sent too much; None, and he has a token less."""
        now = self._clock.seconds()
        stranger = strangers.heard(source_of(source.host), now)
        if stranger.take(now, per_second, strangers.burst):
            return None
        self.turned_away += 1
        return ProblemError(429, detail, "", {"Retry-After": str(math.ceil(1 / per_second))})


class _WrongTokenError(ProblemError):
    """Somebody may be guessing."""


def _challenge(error: str = "") -> dict[str, str]:
    challenge = 'Bearer realm="softswitch"' + (f', error="{error}"' if error else "")
    return {"WWW-Authenticate": challenge}


def see_role(caller: Caller, role: Role) -> None:
    """See that somebody may do what takes a role.

    :raises ProblemError: 403, he may not.
    """
    if not caller.may(role):
        detail = f'the role "{role}" is wanted; this token has "{caller.role}"'
        raise ProblemError(403, detail, "Authorization", _challenge("insufficient_scope"))


def see_origin(headers: Mapping[str, str]) -> None:
    """See that no page of another origin has sent a request.

    :raises ProblemError: 403.
    """
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        raise ProblemError(403, "pages from elsewhere may not call this", "Origin")
    if headers.get("sec-fetch-site", "none") in ("cross-site", "same-site"):
        raise ProblemError(403, "pages from elsewhere may not call this", "Sec-Fetch-Site")


def host_of(text: str) -> str:
    """The host of a Host field, without brackets and port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].lower()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
