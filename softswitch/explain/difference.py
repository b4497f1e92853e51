"""What lies between the INVITE that came and one that leaves: fields, numbers, session description.
Pure.
"""

from collections.abc import Iterable
from difflib import unified_diff

import attrs

from softswitch.sip.message import Field, Message, Request


@attrs.frozen
class Fields:
    """Header fields, in the order of their message.

    :ivar added: of a name that only the one that leaves has.
    :ivar dropped: of a name that only the one that came has.
    :ivar changed: name, values that came, values that leave.
    :ivar kept: names of those that are the same, value by value.
    """

    added: list[Field]
    dropped: list[Field]
    changed: list[tuple[str, list[str], list[str]]]
    kept: list[str]


def fields(came: Message, leaves: Message) -> Fields:
    """The header fields of two messages beside each other."""
    here, there = _names(came), _names(leaves)
    both = [name for name in here if name in there]
    return Fields(
        added=[field for field in leaves.fields if field[0] not in here],
        dropped=[field for field in came.fields if field[0] not in there],
        changed=[
            (name, came.all(name), leaves.all(name))
            for name in both
            if came.all(name) != leaves.all(name)
        ],
        kept=[name for name in both if came.all(name) == leaves.all(name)],
    )


def numbers(came: Request, leaves: Request) -> dict[str, tuple[str, str]]:
    """Who is called and who calls, before and after: user parts without escapes.

    :returns: "called" (the Request-URI's), "to" and "caller" (From's) -> both.
    """
    return {
        "called": (came.request_uri.unquoted_user, leaves.request_uri.unquoted_user),
        "to": (came.to.uri.unquoted_user, leaves.to.uri.unquoted_user),
        "caller": (came.from_.uri.unquoted_user, leaves.from_.uri.unquoted_user),
    }


def bodies(came: bytes, leaves: bytes) -> list[str]:
    """The lines of two bodies beside each other, those that differ marked with - and +."""
    before, after = (
        data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
        for data in (came, leaves)
    )
    longest = max(len(before), len(after))
    return list(unified_diff(before, after, n=longest, lineterm=""))[3:]


def _names(message: Message) -> Iterable[str]:
    return dict.fromkeys(name for name, _ in message.fields)
