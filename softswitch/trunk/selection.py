"""Which members of a trunk a call is sent to, and in which order. Pure.

Members of the lowest priority number come first, as with SRV records (RFC 2782); those of a higher
one stand in for them. Among equals one of five methods decides. Which members can be used at all is
``health``'s to say.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import groupby
from math import inf, log
from random import Random
from typing import Literal

import attrs

#: How members of equal priority are chosen from.
Method = Literal["priority", "weighted", "round-robin", "least-busy", "sticky"]

#: What makes calls stick to a member: those of one caller, to one number, or one Call-ID.
Key = Literal["caller", "called", "call-id"]

#: Bytes of a hash, and one more than the greatest number that they hold.
_BYTES = 8
_SPAN = 1 << 8 * _BYTES


@attrs.frozen
class Member:
    """One gateway of a trunk, or several that have one name.

    :ivar address: ``host`` or ``host:port``, IPv6 in brackets. A name without a port is looked up
        as a service first (RFC 3263 4.2).
    :ivar weight: its share among members of equal priority; with 0 it gets what nobody else can.
    :ivar priority: members of a lower one are tried first.
    :ivar transport: "udp" or "tcp"; "" for the trunk's.
    """

    address: str
    weight: int = 1
    priority: int = 0
    transport: str = ""


def as_members(members: Sequence[str | Member]) -> tuple[Member, ...]:
    """Members, an address standing for one of the usual weight and priority."""
    return tuple([Member(each) if isinstance(each, str) else each for each in members])


def ordered(
    members: Sequence[Member],
    method: Method,
    *,
    turn: int,
    busy: Callable[[Member], int],
    key: str,
    random: Random,
) -> list[Member]:
    """Members in the order of trying.

    :param turn: how many calls there have been, for "round-robin".
    :param busy: how many calls a member has now, for "least-busy".
    :param key: what two calls have in common that go to the same member, for "sticky".
    :param random: for "weighted".
    """
    found: list[Member] = []
    by_priority = sorted(members, key=lambda member: member.priority)
    for _, group in groupby(by_priority, key=lambda member: member.priority):
        equals = list(group)
        if len(equals) == 1 or method == "priority":
            found += equals
        elif method == "weighted":
            found += _by_chance(equals, random)
        elif method == "round-robin":
            first = turn % len(equals)
            found += equals[first:] + equals[:first]
        elif method == "least-busy":
            found += sorted(equals, key=lambda member: _load(busy(member), member.weight))
        else:
            found += sorted(equals, key=lambda member: _rank(key, member))
    return found


def _by_chance(members: list[Member], random: Random) -> list[Member]:
    """One after another is drawn, each by its weight (RFC 2782); those without any come last."""
    left = list(members)
    drawn: list[Member] = []
    while left:
        weights = [member.weight for member in left]
        if not any(weights):
            return drawn + left
        (member,) = random.choices(left, weights)
        left.remove(member)
        drawn.append(member)
    return drawn


def _load(calls: int, weight: int) -> float:
    """How busy a member would be with one call more, for what it can bear."""
    return (calls + 1) / weight if weight else inf


def _rank(key: str, member: Member) -> float:
    """Where a member stands for a key; the lowest comes first (weighted rendezvous hashing).

    Each member is ranked by itself: when one goes, only the calls that were its own move, and they
    spread over all others.
    """
    text = f"{key}\n{member.address}".encode("utf-8", "backslashreplace")
    drawn = int.from_bytes(blake2b(text, digest_size=_BYTES).digest())
    return -log((drawn + 0.5) / _SPAN) / member.weight if member.weight else inf
