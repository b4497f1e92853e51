"""One call as a ladder: who takes part, which message went where, and what happened beside. Pure.

Plain data, which whoever shows it draws: the terminal, an image, a page, a program.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import attrs

from softswitch.flight.masking import shown, visible
from softswitch.flight.tape import Tape, call_id_of
from softswitch.flow import Flow
from softswitch.journal import DECIDED, MEDIA, RECEIVED, SENT, TIMER, Entry
from softswitch.plugin.record import CallRecord

#: What a row is.
Kind = Literal["message", "timer", "decision", "media", "state"]

_KINDS: Final[Mapping[str, Kind]] = {TIMER: "timer", DECIDED: "decision", MEDIA: "media"}

#: Characters of a label.
LONGEST_LABEL: Final = 200

_CSEQ: Final = re.compile(rb"\nCSeq[ \t]*:[ \t]*\d+[ \t]+([^\s]+)", re.I)

#: The switch's place among those who take part.
US: Final = "softswitch"


@attrs.frozen
class Participant:
    """Whose line it is.

    :ivar name: who that is, as far as it is known.
    :ivar address: "host:port", or "" for the switch.
    :ivar leg: "a", "b1" ...; "" for the switch.
    """

    name: str
    address: str = ""
    leg: str = ""


@attrs.frozen
class Row:
    """One thing that happened.

    :ivar at: when, seconds since 1970.
    :ivar kind: what it is.
    :ivar source: of a message, whose line it leaves, counted from 0; of others, whose it stands by.
    :ivar target: likewise, whose it reaches.
    :ivar label: what it is in a line: a request's method and URI, a response's status and method.
    :ivar text: the whole message, masked; "" for others.
    :ivar again: whether the same bytes have gone the same way before.
    :ivar transport: of a message, as in a Via.
    """

    at: float
    kind: Kind
    source: int
    target: int
    label: str
    text: str = ""
    again: bool = False
    transport: str = ""


@attrs.frozen
class Ladder:
    """A call.

    :ivar id: the call's.
    :ivar title: who called whom.
    :ivar participants: from left to right.
    :ivar rows: in order.
    :ivar dropped: things from between that are not kept any more.
    :ivar ended: whether the call is over.
    """

    id: str
    title: str
    participants: tuple[Participant, ...]
    rows: tuple[Row, ...]
    dropped: int = 0
    ended: bool = False


def iso(at: float) -> str:
    """A time to the microsecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


class Drawing:
    """Makes rows of entries, one after the other; of those that follow later, too.

    :ivar participants: whoever is met later stands to the right of those who are there.
    :param tape: the call.
    :param before: what came with its Call-IDs when it was no call yet.
    :param hide_messages: see ``masking``.
    """

    def __init__(
        self, tape: Tape, before: Iterable[Entry] = (), *, hide_messages: bool = True
    ) -> None:
        self._tape = tape
        self._hide_messages = hide_messages
        self._seen: set[tuple[str, Flow, bytes]] = set()
        self._entries = [*before, *tape]
        self.participants = _participants(tape, self._entries)
        self._places = {
            (each.leg, each.address): place for place, each in enumerate(self.participants)
        }

    def ladder(self) -> Ladder:
        """All of it."""
        record, tape = self._tape.record, self._tape
        rows = [self.row(entry) for entry in self._entries]
        rows += _states(record, self._us)
        rows.sort(key=lambda row: row.at)
        return Ladder(
            tape.id,
            visible(f"{record.caller} calls {record.called}") if record is not None else tape.id,
            tuple(self.participants),
            tuple(rows),
            tape.dropped,
            tape.ended is not None,
        )

    def row(self, entry: Entry) -> Row:
        """What an entry looks like."""
        at, kind, subject, about = entry
        if kind in (RECEIVED, SENT) and isinstance(about, bytes):
            return self._message(at, kind, subject, about)
        return Row(at, _KINDS[kind], self._us, self._us, _cut(str(subject)))

    @property
    def _us(self) -> int:
        return self._places["", ""]

    def _message(self, at: float, kind: str, flow: Flow, data: bytes) -> Row:
        leg, address = _leg(self._tape, data), _address(flow)
        peer = self._places.get((leg, address))
        if peer is None:
            name = _names(self._tape.record).get(leg, "") if leg != "a" else ""
            peer = self._places[leg, address] = len(self.participants)
            self.participants.append(Participant(name or address, address, leg))
        source, target = (peer, self._us) if kind == RECEIVED else (self._us, peer)
        mark = (kind, flow, data)
        again = mark in self._seen
        self._seen.add(mark)
        text = shown(data, hide_messages=self._hide_messages)
        return Row(at, "message", source, target, start_line(data), text, again, flow.transport)


def start_line(message: bytes) -> str:
    """What a message is in a line: "INVITE sip:bob@example.org", "180 Ringing (INVITE)"."""
    first = shown(message.lstrip(b"\r\n").partition(b"\r\n")[0])
    if first.upper().startswith("SIP/2.0 "):
        cseq = _CSEQ.search(message.partition(b"\r\n\r\n")[0])
        method = visible(cseq[1].decode("utf-8", "replace")) if cseq is not None else "?"
        return _cut(f"{first[8:].rstrip()} ({method})")
    return _cut(first.removesuffix(" SIP/2.0"))


def _participants(tape: Tape, entries: Iterable[Entry]) -> list[Participant]:
    """Who called us, the switch, and then those whom we have called, in the order of their
    coming."""
    left: dict[tuple[str, str], Participant] = {}
    right: dict[tuple[str, str], Participant] = {}
    names = _names(tape.record)
    for _, kind, flow, data in entries:
        if kind not in (RECEIVED, SENT) or not isinstance(data, bytes):
            continue
        leg, address = _leg(tape, data), _address(flow)
        key = (leg, address)
        if key not in left and key not in right:
            side = left if leg == "a" and kind == RECEIVED else right
            name = names.get(leg, "") if leg != "a" or side is left else ""
            side[key] = Participant(name or address, address, leg)
    return [*left.values(), Participant(US), *right.values()]


def _names(record: CallRecord | None) -> dict[str, str]:
    """Leg -> who that is."""
    if record is None:
        return {}
    names = {"a": visible(record.identity or record.caller)}
    for attempt in record.attempts:
        if attempt.leg:
            names[attempt.leg] = visible(attempt.trunk or _user(attempt.target))
    return names


def _user(uri: str) -> str:
    user, at, _ = uri.partition(":")[2].partition("@")
    return user if at else uri


def _states(record: CallRecord | None, beside: int) -> list[Row]:
    """What the record knows and no message says."""
    if record is None:
        return []
    rows = [
        Row(attempt.ended, "state", beside, beside, _cut(f"{attempt.leg or attempt.target}: {why}"))
        for attempt in record.attempts
        if attempt.ended is not None
        and (why := attempt.limit or (attempt.reason if attempt.status not in (0, 200) else ""))
    ]
    if record.ended is not None:
        who = f"ended by the {record.hung_up}" if record.hung_up else "over"
        why = f"{record.status or ''} {record.reason}"
        limit = f" at a limit: {record.limit}" if record.limit else ""
        rows.append(Row(record.ended, "state", beside, beside, _cut(f"{who}: {why}{limit}")))
    return rows


def _leg(tape: Tape, message: bytes) -> str:
    return tape.legs.get(call_id_of(message), "")


def _address(flow: Flow) -> str:
    host = f"[{flow.remote_host}]" if ":" in flow.remote_host else flow.remote_host
    return f"{host}:{flow.remote_port}"


def _cut(label: str) -> str:
    label = " ".join(visible(label).split())
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
