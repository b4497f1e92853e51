"""The registrar of a PBX, as its answers have shown it, and what they say. Pure."""

import re
from collections.abc import Sequence
from typing import Final

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.registrar.bindings import Grant
from softswitch.sip import digest
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS

#: The longest interval that is asked for because a PBX refuses shorter ones, seconds.
LONGEST: Final = 86_400

#: Nonces that are remembered, so that it is known whose credentials the PBX had asked for.
_NONCES: Final = 10_000

_CHALLENGES: Final = ("WWW-Authenticate", "Proxy-Authenticate")
_CREDENTIALS: Final = ("Authorization", "Proxy-Authorization")
#: Fields of an answer that reach the phone as they are.
_PROOFS: Final = frozenset(("Authentication-Info", "Proxy-Authentication-Info"))
_DENIED: Final = frozenset((401, 403, 404, 407))
_SECONDS: Final = re.compile(r"[0-9]{1,10}")


@attrs.define
class Grantor:
    """What is known of a registrar beyond single phones.

    :ivar name: of its trunk.
    :ivar least: the shortest interval that it takes, seconds; 0 while none was refused.
    :ivar renewed_at: grants from before are to be had anew, wall-clock seconds.
    :ivar outages: how often it has been found out, by calls or checks.
    :ivar silent: whether nobody there has answered the last time.
    :ivar knows_path: whether it has said that it knows Path (RFC 3327).
    """

    name: str
    least: int = 0
    renewed_at: float = 0.0
    outages: int = 0
    silent: bool = False
    knows_path: bool = False
    _nonces: dict[str, str] = attrs.field(factory=dict, repr=False)

    def interval(self, wanted: int | None, ask: int) -> int:
        """Seconds that it is asked for, instead of so many: they are the phone's, or 0."""
        return 0 if wanted == 0 else max(ask, self.least)

    def holds(self, grant: Grant | None, until: float) -> bool:
        """Whether it has granted a contact at least until then, as far as we know."""
        return (
            grant is not None
            and grant.registrar == self.name
            and grant.until >= until
            and grant.at >= self.renewed_at
        )

    def noted(self, outages: int, now: float) -> None:
        """How often it has been found out by now: each time it may have forgotten everything."""
        if outages != self.outages:
            self.outages = outages
            self.renewed_at = now

    def heard(self, response: Response, now: float, host: str) -> None:
        """It has answered. One that was silent may have forgotten everything meanwhile.

        :param host: to which its answer goes on; its nonces come back from there.
        """
        if self.silent:
            self.silent = False
            self.renewed_at = now
        if any(tag.lower() == "path" for tag in response.supported):
            self.knows_path = True
        for challenge in digest.parse_challenges(_lines(response, _CHALLENGES)):
            # A nonce that several hosts get is evidence of none.
            only = self._nonces.pop(challenge.nonce, host) == host
            self._nonces[challenge.nonce] = host if only else ""
        while len(self._nonces) > _NONCES:
            del self._nonces[next(iter(self._nonces))]

    def wants_longer(self, response: Response, ask: int) -> bool:
        """Whether a 423 of its asks for longer intervals than it was asked for: we can do that,
        since how long the phone gets is our own matter."""
        least = min(number(response, "Min-Expires"), LONGEST)
        if least <= max(ask, self.least):
            return False
        self.least = least
        return True

    def asked_for(self, request: Request) -> bool:
        """Whether a request answers a challenge of its."""
        return any(each.nonce in self._nonces for each in _credentials(request))

    def came_back(self, request: Request, host: str) -> bool:
        """Whether a request answers a challenge of its that went to this host alone."""
        return any(self._nonces.get(each.nonce) == host for each in _credentials(request))


def is_denied(request: Request, response: Response) -> bool:
    """Whether a refusal means that a request's credentials prove nothing, as those of an unknown
    name; not where they have but grown old."""
    if response.status not in _DENIED or not _lines(request, _CREDENTIALS):
        return False
    challenges = digest.parse_challenges(_lines(response, _CHALLENGES))
    return not any(challenge.stale for challenge in challenges)


def username(request: Request) -> str:
    """Of a request's first digest credentials, "" without any."""
    return next((each.username for each in _credentials(request)), "")


def listed(response: Response) -> dict[str, NameAddr]:
    """The contacts of a 200, by their user part; what cannot be read is passed over."""
    found = {}
    for value in response.values("Contact"):
        try:
            contact = NameAddr.parse(value)
        except SipSyntaxError:
            continue
        found[contact.uri.unquoted_user] = contact
    return found


def number(response: Response, name: str) -> int:
    """The seconds that a field begins with, 0 without any; a comment stays on its side."""
    match = _SECONDS.match(response.get(name) or "")
    return min(int(match[0]), 2**31) if match is not None else 0


def proofs(response: Response) -> list[Field]:
    """What a 200 says to whoever has proved a password."""
    return [field for field in response.fields if field[0] in _PROOFS]


def refused(response: Response) -> tuple[int, list[Field]]:
    """Status and fields with which a phone is told of a challenge or refusal: nothing else of what
    the PBX says, be it of itself, crosses."""
    fields: list[Field] = [
        (name, digest.without_domain(line)) for name in _CHALLENGES for line in response.all(name)
    ]
    if response.status == 423:
        fields.append(("Min-Expires", str(number(response, "Min-Expires") or LONGEST)))
    if after := number(response, "Retry-After"):
        fields.append(("Retry-After", str(after)))
    status = response.status if response.status >= 400 else 500
    return (status if status in REASONS else status - status % 100), fields


def _credentials(request: Request) -> list[digest.Credentials]:
    lines = _lines(request, _CREDENTIALS)
    return digest.parse_credentials(lines) if lines else []


def _lines(message: Request | Response, names: Sequence[str]) -> list[str]:
    return [line for name in names for line in message.all(name)]
