"""Which call records somebody wants: as words, and as plain data. Pure.

The command line, the API and the page say it in the same words; ``query`` looks it up.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

#: Units of "2h" and the like, seconds.
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_STATUS: Final = re.compile(r"([1-6])xx|([1-6][0-9]{2})(?:-([1-6][0-9]{2}))?", re.ASCII)
_HUNG_UP: Final = ("caller", "callee", "switch")

#: What ``read`` understands, and what is said of each.
WORDS: Final[Mapping[str, str]] = {
    "since": "calls that began then or later: 2026-01-31, 2026-01-31T12:00 (UTC), or 2h for ago",
    "until": "calls that began before then",
    "number": "of the caller or called, as received or as sent; 49* for those that begin so",
    "user": "who called or was called",
    "trunk": "over which the call came or was tried",
    "status": "486, 400-499 or 4xx",
    "call_id": "Call-ID of any of its legs",
    "group": "call_group: transfers and pick-ups that belong together",
    "session_id": "Session-ID (RFC 7989), or the UUID of one of its ends",
    "hung_up": "caller, callee or switch",
    "answered": "yes or no",
}


class FilterError(ValueError):
    """A filter makes no sense.

    :ivar field: the word.
    :ivar wanted: what would be right.
    """

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(f"{field}: {wanted}")
        self.field = field
        self.wanted = wanted


@attrs.frozen
class Filter:
    """Which records; what is left out does not matter.

    :ivar since: seconds since 1970; calls whose INVITE came then or later.
    :ivar until: calls whose INVITE came before.
    :ivar number: of the caller or called, as received or sent; with "*" at its end for all that
        begin so.
    :ivar user: name of the user who called or was called.
    :ivar trunk: over which the call came or was tried.
    :ivar status: the lowest and the highest final status.
    :ivar call_id: of any leg.
    :ivar group: ``call_group``.
    :ivar session_id: see ``CallRecord``; or the UUID of either end.
    :ivar hung_up: see ``CallRecord``.
    :ivar answered: None for both.
    """

    since: float | None = None
    until: float | None = None
    number: str = ""
    user: str = ""
    trunk: str = ""
    status: tuple[int, int] | None = None
    call_id: str = ""
    group: str = ""
    session_id: str = ""
    hung_up: str = ""
    answered: bool | None = None


def read(words: Mapping[str, str], now: float) -> Filter:
    """What is meant by words, each one of ``WORDS``; an empty one does not matter.

    :param now: seconds since 1970, for times that have passed since.
    :raises FilterError: names the word that cannot be understood.
    """
    for word in words:
        if word not in WORDS:
            raise FilterError(word, f"is none of {', '.join(WORDS)}")
    given = {word: text.strip() for word, text in words.items() if text.strip()}
    since, until = (_time(word, given, now) for word in ("since", "until"))
    if since is not None and until is not None and since >= until:
        raise FilterError("until", "a time after since is wanted")
    number = given.get("number", "")
    if "*" in number[:-1] or number == "*":
        raise FilterError("number", 'a number is wanted, or how it begins, as "49*"')
    if given.get("hung_up", "caller") not in _HUNG_UP:
        raise FilterError("hung_up", "caller, callee or switch is wanted")
    answered = given.get("answered", "")
    if answered not in ("", "yes", "no"):
        raise FilterError("answered", "yes or no is wanted")
    return Filter(
        since,
        until,
        number,
        given.get("user", ""),
        given.get("trunk", ""),
        _status(given.get("status", "")),
        given.get("call_id", ""),
        given.get("group", ""),
        given.get("session_id", ""),
        given.get("hung_up", ""),
        {"": None, "yes": True, "no": False}[answered],
    )


def _time(word: str, given: Mapping[str, str], now: float) -> float | None:
    text = given.get(word)
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            when = now - int(ago[1]) * _UNITS[ago[2]]
        else:
            read = datetime.fromisoformat(text)
            read = read.replace(tzinfo=UTC) if read.tzinfo is None else read
            # Not timestamp(), which loses microseconds of what is far away.
            when = (read - _EPOCH) / timedelta(seconds=1)
    except (ValueError, OverflowError):
        when = -1.0
    if not 0 <= when < _LAST:
        wanted = 'a time is wanted: "2026-01-31", "2026-01-31T12:00", or "2h" for two hours ago'
        raise FilterError(word, wanted)
    return when


def _status(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = _STATUS.fullmatch(text.lower())
    if found is None:
        raise FilterError("status", 'a status is wanted, as "486", "400-499" or "4xx"')
    family, first, last = found.groups()
    if family:
        return int(family) * 100, int(family) * 100 + 99
    if last is not None and last < first:
        raise FilterError("status", "the lower status is to come first")
    return int(first), int(last or first)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Seconds since 1970 of the year 9999: what SQLite can hold is more.
_LAST: Final = 253_000_000_000
