"""The flight recorder: sorts what was noted to the calls that it is about, and keeps it. Pure.

The journal is a queue into which the lower floors put what happens. Here it is sorted, some
hundred entries at a time and never while a message is served: by the Call-ID, which is looked for
in the bytes. What belongs to no call is kept in a small ring of its own, so that the challenge
before a call, or a refused one, can be looked at too.

A call that ended well is dropped after some minutes, one that failed later; and before that where
the memory is used up: first calls that ended well, the oldest first, then those that failed, then
what there is of the calls that live.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import attrs

from softswitch.errors import StateError
from softswitch.flight.ladder import Drawing, Ladder, Participant, Row
from softswitch.flight.pcap import capture
from softswitch.flight.tape import CALL_ID, ENTRY_BYTES, RECORD_BYTES, Tape, Told, call_id_of
from softswitch.flight.verdicts import in_words
from softswitch.journal import DECIDED, SENT, Entry, Note
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord

#: Entries that wait to be sorted; when nobody sorts them, the oldest are lost.
UNSORTED: Final = 16384

#: So many of them are sorted when a call begins, be it early.
MANY: Final = 2048

#: Where a body begins; and bytes of a Call-ID's field before its value.
_BODY: Final = b"\r\n\r\n"
_LENGTH: Final = len(CALL_ID)

#: Who may follow calls at once.
FOLLOWERS: Final = 200

#: Final statuses that are no failure of anybody's: busy, given up, declined.
ORDINARY: Final = frozenset((486, 487, 600, 603))


@attrs.frozen
class FlightSettings:
    """What the operator decides.

    :ivar keep_seconds: a call that ended well is kept for so long.
    :ivar keep_failed_seconds: the same of one that failed.
    :ivar memory: bytes that all calls may take.
    :ivar call_memory: bytes that one may take.
    :ivar other_memory: bytes of messages that belong to no call.
    :ivar hide_messages: whether the bodies of MESSAGE requests are masked.
    """

    keep_seconds: float = 300.0
    keep_failed_seconds: float = 3600.0
    memory: int = 64 * 1024 * 1024
    call_memory: int = 256 * 1024
    other_memory: int = 1024 * 1024
    hide_messages: bool = True


@attrs.frozen
class Summary:
    """A call in a list; plain data.

    :ivar id: the call's.
    :ivar caller: URI of its From, as received.
    :ivar called: its Request-URI, as received.
    :ivar invited: when the INVITE came, seconds since 1970.
    :ivar answered: when the caller was told of the answer; None for never.
    :ivar ended: when it was over; None while it lives.
    :ivar status: the final one that the caller was told; 0 for none yet.
    :ivar failed: whether it ended otherwise than it should.
    :ivar session_id: see ``CallRecord``.
    """

    id: str
    caller: str
    called: str
    invited: float
    answered: float | None
    ended: float | None
    status: int
    failed: bool
    session_id: str


class Recorder(Observer):
    """All calls that can be looked at.

    :ivar note: takes an entry of the journal.
    :ivar settings: may be replaced.
    :ivar size: bytes that all calls take.
    :ivar dropped: calls that were let go before their time, for want of memory.
    :ivar taps: each told of every entry that belongs to a call, as it is sorted.
    :ivar on_ended: each told of a call that has ended.
    :param seconds: tells the time.
    """

    def __init__(self, settings: FlightSettings, seconds: Callable[[], float]) -> None:
        self.settings = settings
        self.size = 0
        self.dropped = 0
        self.taps: list[Told] = []
        self.on_ended: list[Callable[[Tape], None]] = []
        self._seconds = seconds
        self._journal: deque[Entry] = deque(maxlen=UNSORTED)
        self.note: Note = self._journal.append
        self._tapes: dict[str, Tape] = {}
        # By the ids of calls; and by the Call-IDs of their legs, as bytes of messages.
        self._owners: dict[bytes | str, Tape] = {}
        self._live: OrderedDict[str, Tape] = OrderedDict()
        self._good: deque[Tape] = deque()
        self._failed: deque[Tape] = deque()
        self._others: deque[Entry] = deque()
        self._others_size = 0
        self._following = 0

    @property
    def is_watched(self) -> bool:
        """Whether somebody is told of what is added."""
        return bool(self.taps or self._following)

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self._tapes)

    def __iter__(self) -> Iterator[Tape]:
        """Every call, the oldest first."""
        self.sort()
        return iter(list(self._tapes.values()))

    def find(self, name: str) -> Tape | None:
        """The call of that id, or one leg of which has that Call-ID, or whose Session-ID has that
        UUID, or whose id alone begins so; None where there is none any more."""
        self.sort()
        found = self._owner(name)
        if found is None and len(name) == 32:
            for tape in self._tapes.values():
                if tape.record is not None and name in tape.record.session_id:
                    return tape
        if found is None:
            begin = [tape for id, tape in self._tapes.items() if id.startswith(name)]
            return begin[0] if len(begin) == 1 else None
        return found

    def name_of(self, call_id: str) -> str:
        """The id of the call one leg of which has a Call-ID; itself where there is none. Any thread
        may ask."""
        tape = self._owner(call_id)
        return call_id if tape is None else tape.id

    def before(self, tape: Tape) -> list[Entry]:
        """What came with its Call-IDs when it was no call yet, or was one no more."""
        return [entry for entry in self._others if call_id_of(entry[3]) in tape.legs]

    def others(self) -> list[Entry]:
        """The last messages that belong to no call, in order."""
        self.sort()
        return list(self._others)

    def calls(self) -> list[Summary]:
        """Every call, the oldest first."""
        return [
            Summary(
                tape.id,
                record.caller,
                record.called,
                record.invited,
                record.answered,
                tape.ended,
                record.status,
                tape.failed,
                record.session_id,
            )
            for tape in self
            if (record := tape.record) is not None
        ]

    def ladder(self, name: str) -> Ladder | None:
        """A call as it can be shown; ``name`` as in ``find``, None where there is none."""
        tape = self.find(name)
        return None if tape is None else self._drawing(tape).ladder()

    def pcap(self, name: str) -> bytes | None:
        """The capture of a call, likewise."""
        tape = self.find(name)
        if tape is None:
            return None
        return capture([*self.before(tape), *tape], hide_messages=self.settings.hide_messages)

    def follow(
        self, name: str, told: Callable[[Row, Sequence[Participant]], None]
    ) -> tuple[Ladder, Callable[[], None]] | None:
        """Show a call, and tell of each row that is added from now on, with those who take part by
        then; who is new stands to the right.

        :returns: what there is of it, and what ends the telling; None as above. It ends by itself
            when the call is dropped.
        :raises StateError: too many follow calls already.
        """
        tape = self.find(name)
        if tape is None:
            return None
        if self._following >= FOLLOWERS:
            raise StateError(f"{FOLLOWERS} calls are being followed already")
        drawing = self._drawing(tape)
        ladder = drawing.ladder()

        def tell(_: Tape, entry: Entry) -> None:
            told(drawing.row(entry), drawing.participants)

        self._following += 1
        tape.followers.append(tell)
        return ladder, partial(self._leave, tape, tell)

    def _drawing(self, tape: Tape) -> Drawing:
        return Drawing(tape, self.before(tape), hide_messages=self.settings.hide_messages)

    def _leave(self, tape: Tape, told: Told) -> None:
        if told in tape.followers:
            tape.followers.remove(told)
            self._following -= 1

    # What calls tell.

    def leg_began(self, call: str, leg: str, call_id: str) -> None:
        """A call has one more leg."""
        tape = self._tape(call)
        tape.legs[call_id] = leg
        self._owners[call_id.encode()] = tape
        if len(self._journal) > MANY:
            self.sort()

    def call_started(self, record: CallRecord) -> None:
        """An INVITE was admitted."""
        tape = self._tape(record.id)
        tape.record = record
        if record.call_id_a not in tape.legs:
            tape.legs[record.call_id_a] = "a"
            self._owners[record.call_id_a.encode()] = tape

    def call_ended(self, record: CallRecord) -> None:
        """A call is over; what its last transactions do is noted still."""
        tape = self._tape(record.id)
        if tape.ended is not None:
            return
        tape.record, tape.ended, tape.failed = record, self._seconds(), has_failed(record)
        tape.size += RECORD_BYTES
        self.size += RECORD_BYTES
        self._live.pop(tape.id, None)
        (self._failed if tape.failed else self._good).append(tape)
        for told in self.on_ended:
            told(tape)

    # Sorting.

    def sort(self) -> None:
        """Give what was noted to the calls that it is about, and drop what is too old or too
        much."""
        journal, owner, most = self._journal, self._owners.get, self.settings.call_memory
        half, taps, added = most // 2, self.taps, 0
        # What each message costs is written out here.
        for _ in range(len(journal)):
            entry = journal.popleft()
            about = entry[3]
            if isinstance(about, bytes):
                tape, place = None, about.find(CALL_ID)
                # What we write has it in the head; what others do might have it in a body alone.
                if place >= 0 and (entry[1] is SENT or about.find(_BODY, 0, place + 2) < 0):
                    place += _LENGTH
                    tape = owner(about[place : about.find(b"\r", place)])
                if tape is None and (tape := owner(call_id_of(about).encode())) is None:
                    self._keep_other(entry)
                    continue
            else:
                tape = self._owner(about)
                if tape is None:
                    continue
                if entry[1] is DECIDED:
                    policy, decision = entry[2]
                    entry = entry[0], DECIDED, f"{policy} {in_words(decision)}", about
            size = ENTRY_BYTES + len(about)
            if tape.tail is None and tape.size + size <= half:
                tape.head += entry
                tape.size += size
                added += size
            else:
                added += tape.add(entry, most)
            if taps or tape.followers:
                for told in (*tape.followers, *taps):
                    told(tape, entry)
        self.size += added
        self._age()
        if self.size > self.settings.memory:
            self._make_room()

    def _owner(self, name: str) -> Tape | None:
        """By the id of a call, or the Call-ID of a leg."""
        return self._owners.get(name) or self._owners.get(name.encode("utf-8", "replace"))

    def _tape(self, call: str) -> Tape:
        tape = self._tapes.get(call)
        if tape is None:
            tape = self._tapes[call] = self._owners[call] = self._live[call] = Tape(call)
        return tape

    def _keep_other(self, entry: Entry) -> None:
        self._others.append(entry)
        self._others_size += ENTRY_BYTES + len(entry[3])
        while self._others_size > self.settings.other_memory:
            self._others_size -= ENTRY_BYTES + len(self._others.popleft()[3])

    def _age(self) -> None:
        """Drop what has been kept for long enough."""
        now, settings = self._seconds(), self.settings
        for ended, seconds in (
            (self._good, settings.keep_seconds),
            (self._failed, settings.keep_failed_seconds),
        ):
            while ended and (ended[0].ended or 0.0) + seconds <= now:
                self._drop(ended.popleft())

    def _make_room(self) -> None:
        for ended in (self._good, self._failed):
            while ended and self.size > self.settings.memory:
                self.dropped += 1
                self._drop(ended.popleft())
        for call in list(self._live):
            if self.size <= self.settings.memory:
                return
            self.dropped += 1
            self.size -= self._live[call].clear()
            self._live.move_to_end(call)

    def _drop(self, tape: Tape) -> None:
        self.size -= tape.size
        del self._tapes[tape.id]
        names: list[bytes | str] = [tape.id, *(each.encode() for each in tape.legs)]
        for name in names:
            if self._owners.get(name) is tape:
                del self._owners[name]
        self._following -= len(tape.followers)
        tape.followers.clear()


def has_failed(record: CallRecord) -> bool:
    """Whether a call ended otherwise than it should: it was refused for another reason than that
    nobody wanted it, or the switch has ended it, or somebody was not heard."""
    if record.silences or record.limit:
        return True
    if record.answered is None:
        return record.status >= 400 and record.status not in ORDINARY
    return record.hung_up == "switch"
