"""Session-ID: by what the systems on the way know a session (RFC 7989). Pure.

Either end has a UUID. Whoever sends a message says his own end's first, and then, as ``remote``,
what he knows of the other's.
"""

import re
from typing import Final

from softswitch.sip.compose import random_digits

#: Stands for the UUID of an end that is not known yet (RFC 7989 5).
NIL: Final = "0" * 32

_UUID: Final = re.compile(r"[0-9a-f]{32}")


def new_uuid() -> str:
    """A UUID of version 4 (RFC 4122 4.4), as the field has it: 32 hex digits."""
    drawn = random_digits(16)
    return f"{drawn[:12]}4{drawn[13:16]}a{drawn[17:]}"


def sender_uuid(value: str) -> str:
    """The UUID of whoever has sent a field value; "" where it tells none.

    What RFC 7329 knew, which has no ``remote``, is read as well (RFC 7989 11).
    """
    uuid = value.partition(";")[0].strip(" \t").lower()
    return uuid if _UUID.fullmatch(uuid) and uuid != NIL else ""


def written(local: str, remote: str = "") -> str:
    """A field value.

    :param local: of whom the message is sent for.
    :param remote: of whom it is sent to; "" where that is not known yet.
    """
    return f"{local};remote={remote or NIL}"
