"""Who calls the API, and what he may do there: bearer tokens (RFC 6750) and roles. Pure.

A token is 256 bits of chance, so a plain hash of it is as hard to reverse as the token is to guess;
a slow one, as passwords want it, would hold up the calls for every request.
"""

import re
import secrets
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal, TypeAlias

import attrs

#: What somebody may do: look; change what runs; and everything.
Role: TypeAlias = Literal["view", "operate", "admin"]

_RANK: Final[dict[Role, int]] = {"view": 0, "operate": 1, "admin": 2}

#: How a token begins, so that whoever finds one knows what it is.
PREFIX: Final = "softswitch-"

#: How a hash is written in the configuration.
HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


@attrs.frozen
class Token:
    """A token, as the configuration knows it.

    :ivar name: whose it is, for the audit.
    :ivar role: what it allows.
    :ivar hash: "sha256:" and 64 hexadecimal digits.
    :ivar expires: Unix seconds; None for never.
    """

    name: str
    role: Role
    hash: str = attrs.field(repr=False)
    expires: float | None = None


@attrs.frozen
class Caller:
    """Somebody who calls the API.

    :ivar name: of his token; "local" where none is asked for.
    :ivar role: what he may do.
    :ivar source: whence he calls: an address, or "unix:" and the user's number.
    """

    name: str
    role: Role
    source: str

    def may(self, role: Role) -> bool:
        """Whether he may do what takes a role."""
        return _RANK[self.role] >= _RANK[role]


def new_token() -> str:
    """A token that nobody has yet."""
    return PREFIX + secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """A token's hash, as the configuration has it."""
    return f"sha256:{sha256(token.encode('utf-8', 'surrogateescape')).hexdigest()}"


def find(tokens: Iterable[Token], presented: str) -> Token | None:
    """The token that was presented, expired or not; None for none of them. It takes the same time
    whichever it is."""
    given, found = hashed(presented), None
    for token in tokens:
        if compare_digest(token.hash, given):
            found = token
    return found
