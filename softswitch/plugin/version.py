"""The version of the plug-in interfaces, and what it promises. Pure.

``MAJOR.MINOR``. Within a major version nothing that a plug-in uses goes away or changes its
meaning: names and fields of ``interfaces``, ``observer``, ``decisions``, ``views``, ``record``,
``profile``, ``media`` and ``maker``, the order of arguments, what None means. A minor version
adds: an interface, a field with a default, a method of the house. So a plug-in runs where the
major version is its own and the minor one is at least its own.
"""

import re
from typing import Final

#: That of this switch.
API: Final = "1.0"

_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)


def mismatch(wanted: str) -> str:
    """Why a plug-in that was written for that version cannot run here, and what to do; "" where it
    can.

    :param wanted: as its maker says it; "" for one that does not say.
    """
    if not wanted:
        return ""
    found = _VERSION.fullmatch(wanted)
    if found is None:
        return f"api: a version such as {API!r} is wanted, not {wanted!r}"
    ours, theirs = _numbers(API), _numbers(wanted)
    if theirs[0] == ours[0] and theirs[1] <= ours[1]:
        return ""
    older = "the plug-in" if theirs[0] < ours[0] else "the switch"
    return f"is written for plug-in API {wanted}, and this switch has {API}: update {older}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
