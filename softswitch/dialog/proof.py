"""Proofs: how a challenge to a request of ours is answered, and what is proven from then on. Pure.

RFC 3261 22.2 and 22.3, RFC 7616. Whoever has challenged us is a **protection space**, by proxy or
not and by realm; a dialog remembers those that it has met, so that its later requests bear their
credentials at once, with a nonce count that rises. They are shown to whom they are meant for, and
to nobody else: whether a host is one of theirs is asked each time.
"""

from collections.abc import Iterable
from secrets import token_hex
from typing import Protocol

import attrs

from softswitch.sip import digest
from softswitch.sip.message import Field, Request, Response

#: Fields that bear credentials.
PROOFS = frozenset(("Authorization", "Proxy-Authorization"))

#: How often one request is sent again with credentials: a few proxies may stand in its way, and a
#: nonce may grow old; a peer that challenges every answer anew is not to be followed for ever.
MOST = 5


class Credentials(Protocol):
    """Who we are to a peer."""

    @property
    def username(self) -> str:
        """Our name there."""

    def ha1(self, realm: str, algorithm: str) -> str | None:
        """The hash that proves it, with one of ``digest.ALGORITHMS``; None for a realm that is
        not the peer's."""

    def may_see(self, host: str) -> bool:
        """Whether ``host``, a name or an address literal without brackets, is the peer's."""


@attrs.define
class Space:
    """A protection space that has challenged us; plain data.

    :ivar by_proxy: whether it has answered 407 and not 401.
    :ivar challenge: its latest.
    :ivar count: how often its nonce has been used.
    """

    by_proxy: bool
    challenge: digest.Challenge
    count: int = 0


class Answers:
    """What one request has answered so far.

    :param spaces: the dialog's.
    """

    __slots__ = ("_answered", "_credentials", "_left", "_spaces")

    def __init__(self, credentials: Credentials, spaces: list[Space]) -> None:
        self._credentials = credentials
        self._spaces = spaces
        self._answered: set[tuple[bool, str]] = set()
        self._left = MOST

    def take(self, response: Response, host: str) -> bool:
        """Take in the challenges of a 401 or 407.

        A space that asks again has refused our answer, unless only the nonce was too old.

        :param host: address to which the request was sent.
        :returns: whether there is something to prove that was not proven before.
        """
        if not self._left or not self._credentials.may_see(host):
            return False
        found = False
        for challenge, by_proxy in _challenges(response):
            place = by_proxy, challenge.realm
            old = next((each for each in self._spaces if _place(each) == place), None)
            if place in self._answered and not (challenge.stale and _is_newer(challenge, old)):
                continue
            if self._credentials.ha1(challenge.realm, digest.hashed_with(challenge.algorithm)):
                self._answered.add(place)
                if old is not None:
                    self._spaces.remove(old)
                self._spaces.append(Space(by_proxy, challenge))
                found = True
        self._left -= found
        return found


def prove(
    request: Request, credentials: Credentials, spaces: Iterable[Space], host: str
) -> list[Field]:
    """The fields that prove who we are to every space that is known; none to a foreign host.

    :param host: name or address to which the request is about to be sent.
    """
    if not credentials.may_see(host):
        return []
    fields: list[Field] = []
    for space in spaces:
        challenge = space.challenge
        hashed = credentials.ha1(challenge.realm, digest.hashed_with(challenge.algorithm))
        if hashed is not None:
            space.count += 1
            name = "Proxy-Authorization" if space.by_proxy else "Authorization"
            user, uri, cnonce = credentials.username, request.uri, token_hex(8)
            given = digest.answer(challenge, user, hashed, request.method, uri, space.count, cnonce)
            fields.append((name, str(given)))
    return fields


def _challenges(response: Response) -> list[tuple[digest.Challenge, bool]]:
    """The challenge of each realm that we can answer, and whether a proxy's; proxies and the
    server may challenge in one response, where the request was forked (RFC 3261 16.7)."""
    found = []
    for name, by_proxy in (("Proxy-Authenticate", True), ("WWW-Authenticate", False)):
        offered: dict[str, list[digest.Challenge]] = {}
        for challenge in digest.parse_challenges(response.all(name)):
            offered.setdefault(challenge.realm, []).append(challenge)
        for challenges in offered.values():
            best = digest.best(challenges)
            if best is not None:
                found.append((best, by_proxy))
    return found


def _place(space: Space) -> tuple[bool, str]:
    return space.by_proxy, space.challenge.realm


def _is_newer(challenge: digest.Challenge, old: Space | None) -> bool:
    return old is None or challenge.nonce != old.challenge.nonce
