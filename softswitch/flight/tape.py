"""The tape of one call: what has been noted of it, from the beginning and from the end. Pure.

What is on it stands in flat lists of plain values, four for each entry: the garbage collector has
nothing to follow there, and a message is the very bytes that came or went.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from softswitch.journal import Entry
from softswitch.plugin.record import CallRecord

#: Bytes that an entry takes beside its message.
ENTRY_BYTES: Final = 120

#: Bytes that the record of a call takes, and its tape, about.
RECORD_BYTES: Final = 4096

#: How the field of a Call-ID begins, as nearly everybody writes it.
CALL_ID: Final = b"\r\nCall-ID: "

#: Values of an entry.
_WIDTH: Final = 4

#: The field of a Call-ID: compact, folded, in any case.
_CALL_ID: Final = re.compile(rb"\n(?:Call-ID|i)[ \t]*:[ \t]*(?:\r\n[ \t]+)?([^\r\n]*)", re.I)

#: Told of what is added from now on.
Told = Callable[["Tape", Entry], None]


class Tape:
    """One call.

    :ivar id: the call's.
    :ivar record: the call's; None until it is known.
    :ivar legs: Call-ID -> name of the leg that it belongs to.
    :ivar size: bytes that it takes.
    :ivar dropped: entries from between beginning and end that had no room, or were let go.
    :ivar ended: when the call was over, by the clock; None while it lives.
    :ivar failed: whether it ended otherwise than it should.
    :ivar followers: are told of what is added.
    :ivar head: the beginning, flat.
    :ivar tail: the end, likewise, once there is something between them that is not kept, or might
        be; None before.
    """

    __slots__ = (
        "_tail_size",
        "dropped",
        "ended",
        "failed",
        "followers",
        "head",
        "id",
        "legs",
        "record",
        "size",
        "tail",
    )

    def __init__(self, name: str) -> None:
        self.id = name
        self.record: CallRecord | None = None
        self.legs: dict[str, str] = {}
        self.size = 0
        self.dropped = 0
        self.ended: float | None = None
        self.failed = False
        self.followers: list[Told] = []
        self.head: list[Any] = []
        self.tail: deque[Any] | None = None
        self._tail_size = 0

    def add(self, entry: Entry, most: int) -> int:
        """Put an entry on it.

        :param most: bytes that it may take; half of them are the beginning's, for good.
        :returns: bytes that it takes more than before, or fewer.
        """
        before = self.size
        added = ENTRY_BYTES + len(entry[3])
        tail = self.tail
        if tail is None:
            if before + added <= most // 2 or not self.head:
                self.head.extend(entry)
                self.size = before + added
                return added
            tail = self.tail = deque()
        tail.extend(entry)
        self.size += added
        self._tail_size += added
        while self._tail_size > most // 2 and len(tail) > _WIDTH:
            gone = ENTRY_BYTES + len(tail[3])
            for _ in range(_WIDTH):
                tail.popleft()
            self.size -= gone
            self._tail_size -= gone
            self.dropped += 1
        return self.size - before

    def clear(self) -> int:
        """Let go of all entries.

        :returns: bytes that this has freed.
        """
        freed = self._tail_size + sum(
            ENTRY_BYTES + len(what) for what in self.head[_WIDTH - 1 :: _WIDTH]
        )
        self.dropped += (len(self.head) + len(self.tail or ())) // _WIDTH
        self.head = []
        self.tail, self._tail_size = None, 0
        self.size -= freed
        return freed

    def __iter__(self) -> Iterator[Entry]:
        """The entries, in order."""
        for half in (self.head, self.tail or ()):
            values = iter(half)
            yield from zip(values, values, values, values, strict=True)


def call_id_of(message: bytes | str) -> str:
    """The Call-ID of a message as the parser reads it; "" where it has none. A text is one."""
    if isinstance(message, str):
        return message
    start = message.find(CALL_ID) + len(CALL_ID)
    if start < len(CALL_ID) or message.find(b"\r\n\r\n", 0, start) >= 0:
        # Line breaks may stand before it (RFC 3261 7.5).
        found = _CALL_ID.search(message.lstrip(b"\r\n").partition(b"\r\n\r\n")[0])
        return "" if found is None else found[1].strip().decode("utf-8", "replace")
    end = message.find(b"\r\n", start)
    return message[start : end if end >= 0 else None].strip().decode("utf-8", "replace")
