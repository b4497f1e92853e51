"""Users whom a directory must be waited for, and decisions that cannot be made without them. Pure.

A directory in memory answers at once, and what is asked of it costs no awaitable. Where one must
wait for another machine, whoever needs the user answers an awaitable in turn: ``then`` goes on with
one user, ``once_known`` decides anew when each user that was missing is there.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from softswitch.plugin.decisions import Reject
from softswitch.plugin.views import House, User

T = TypeVar("T")

#: What came of looking for a user: None for nobody of that name, a refusal where the directory
#: failed.
Found: TypeAlias = User | Reject | None


class _MissingError(Exception):
    """A user who is needed is not at hand.

    :ivar found: what is waited for, or why there is nothing to wait for.
    """

    def __init__(self, found: Reject | Awaitable[Found]) -> None:
        super().__init__()
        self.found = found


def then(
    found: Found | Awaitable[Found], decide: Callable[[User | None], T]
) -> T | Reject | Awaitable[T | Reject]:
    """What ``decide`` says of a user, now or when he is known; the refusal where the directory has
    failed."""
    if found is None or isinstance(found, User):
        return decide(found)
    if isinstance(found, Reject):
        return found
    return _then(found, decide)


def at_hand(name: str, house: House) -> User | None:
    """The user of a name or number; to be called within ``once_known``.

    :raises _MissingError: he must be waited for.
    """
    found = house.look_up_user(name)
    if found is None or isinstance(found, User):
        return found
    raise _MissingError(found)


def once_known(decide: Callable[[], T]) -> T | Reject | Awaitable[T | Reject]:
    """What ``decide`` says once each user whom it asks ``at_hand`` for has been found.

    It is called again each time that one has, so it must do nothing but decide.
    """
    try:
        return decide()
    except _MissingError as missing:
        found = missing.found
    return found if isinstance(found, Reject) else _once_known(found, decide)


async def _then(found: Awaitable[Found], decide: Callable[[User | None], T]) -> T | Reject:
    user = await found
    return user if isinstance(user, Reject) else decide(user)


async def _once_known(found: Awaitable[Found], decide: Callable[[], T]) -> T | Reject:
    user = await found
    if isinstance(user, Reject):
        return user
    answer = once_known(decide)
    return await answer if isinstance(answer, Awaitable) else answer
