"""The journal: what happens, noted in passing by the floors that know of it. Pure.

Whoever makes a note spends one tuple and one ``append`` on it: nothing is read, copied or written
as text before somebody looks. The transport notes each message as the very bytes that have come or
gone, the transactions their timers, calls what becomes of them. ``flight`` sorts the notes to the
calls that they are about.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

#: A message has come, or has gone: its flow, its bytes.
RECEIVED: Final = "received"
SENT: Final = "sent"
#: A timer has fired, or something could not be sent: what, and of which message or call.
TIMER: Final = "timer"
#: A policy has decided: its name and the decision, and about which request or call.
DECIDED: Final = "decided"
#: Something about a call's media: what, and which call.
MEDIA: Final = "media"

#: When, in seconds since 1970; one of the kinds above; a flow, or what is noted; and whose it is:
#: the bytes of a message, or as text a Call-ID or the id of a call.
Entry = tuple[float, str, Any, bytes | str]

#: Takes an entry.
Note = Callable[[Entry], object]


class Journal(Protocol):
    """Who keeps the notes, as calls see it.

    :ivar note: takes an entry.
    """

    note: Note

    def leg_began(self, call: str, leg: str, call_id: str) -> None:
        """A call has one more leg, whose messages bear this Call-ID."""
