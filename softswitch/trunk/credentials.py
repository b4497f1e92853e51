"""A trunk's credentials: what answers its challenges (RFC 3261 22.2, 22.3; RFC 7616). Pure."""

from collections.abc import Callable
from secrets import token_hex

from softswitch.sip import digest
from softswitch.sip.message import Field, Request, Response
from softswitch.trunk.group import Trunk


def credentials(trunk: Trunk) -> Callable[[Response, Request], Field | None] | None:
    """What answers a challenge to a request that was sent to this trunk.

    :returns: None for a trunk without credentials; else a function that gives the field to
        send, or None for a challenge of another realm or an algorithm that we do not know.
    """
    if not trunk.username:
        return None

    def answer(response: Response, request: Request) -> Field | None:
        by_proxy = response.status == 407
        lines = response.all("Proxy-Authenticate" if by_proxy else "WWW-Authenticate")
        ours = [
            challenge
            for challenge in digest.parse_challenges(lines)
            if trunk.realm in ("", challenge.realm)
        ]
        challenge = digest.best(ours)
        if challenge is None:
            return None
        hashed = trunk.ha1(challenge.realm, challenge.algorithm)
        if hashed is None:
            return None
        given = digest.answer(
            challenge, trunk.username, hashed, request.method, request.uri, 1, token_hex(8)
        )
        return ("Proxy-Authorization" if by_proxy else "Authorization", str(given))

    return answer
