"""Lists in pages: a cursor says after what the next page begins. Pure.

A cursor names the last thing of a page, not its number, so that what comes and goes meanwhile
neither repeats nor hides anything else. Pages are bounded, and so is what one page looks at: the
reactor also carries the calls.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Any, Final, TypeVar

from softswitch.api.operation import Parameter
from softswitch.api.problem import ProblemError

T = TypeVar("T")

#: Things on a page: usually, and at most.
USUAL: Final = 50
MOST: Final = 200

LIMIT: Final = Parameter("limit", "things on a page", "integer", least=1, most=MOST, default=USUAL)
CURSOR: Final = Parameter("cursor", "where the page begins: `next` of the page before", longest=512)
PAGING: Final = (LIMIT, CURSOR)


def write_cursor(key: Any) -> str:
    """The cursor of a page that begins after a key, which JSON can hold."""
    return urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def read_cursor(text: str | None, *shape: type) -> list[Any] | None:
    """The key in a cursor; None without one.

    :param shape: the types of its parts.
    :raises ProblemError: 400, it is none of ours.
    """
    if text is None:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        key = json.loads(urlsafe_b64decode(padded))
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or tuple(map(type, key)) != shape:
        raise ProblemError(400, "the `next` of an earlier page is wanted", "cursor")
    return key


def page(
    found: Iterable[T], key: Callable[[T], list[str]], limit: int, after: list[str] | None
) -> tuple[list[T], str | None]:
    """The things of a page in the order of their keys, and the cursor of the next; None for none.

    :param key: what tells one thing from all others.
    """
    keyed = ((key(each), number, each) for number, each in enumerate(found))
    chosen = nsmallest(limit + 1, (each for each in keyed if after is None or each[0] > after))
    more = write_cursor(chosen[limit - 1][0]) if len(chosen) > limit else None
    return [each for _, _, each in chosen[:limit]], more
