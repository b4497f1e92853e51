"""The log: one line an event, for people or as JSON, with a level for each part of the house.

It goes where twistd's options say. A part is a package of ours, as "transport"; "calls" is what
becomes of each call, in four lines; everything that is not ours is "twisted". What a peer has sent
stands in a line as text: its control characters are written out.
"""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent
from twisted.python.logfile import LogFile
from zope.interface import implementer

from softswitch.flight.masking import masked
from softswitch.journal import RECEIVED, Entry, Note
from softswitch.ops.operator_tables import LEVELS, LogTable
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord

_RANKS: Final = {LogLevel.lookupByName(name): rank for rank, name in enumerate(LEVELS)}
#: What is written out, so that nobody's terminal obeys it, a line stays one and reads from left to
#: right; a traceback keeps its lines.
_TURNS: Final = (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_CONTROL: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    **{code: f"\\u{code:04x}" for code in _TURNS},
}
_CONTROL_BUT_LINES: Final = {**_CONTROL, 10: "\n"}


def part_of(namespace: str) -> str:
    """The part of the house that a logger's namespace belongs to."""
    names = namespace.split(".")
    return names[1] if names[0] == "softswitch" and len(names) > 1 else "twisted"


class Output(Protocol):
    """A file for text."""

    def write(self, text: str) -> Any: ...

    def flush(self) -> Any: ...


@implementer(ILogObserver)
class Log:
    """Writes events.

    :ivar table: how; another one holds from the next event on.
    :param output: where to.
    """

    def __init__(self, table: LogTable, output: Output) -> None:
        self.table = table
        self._output = output

    def __call__(self, event: LogEvent) -> None:
        """Write an event, unless its level is too low for its part."""
        part = part_of(event.get("log_namespace") or "")
        level = event.get("log_level") or LogLevel.info
        if _RANKS.get(level, len(LEVELS)) < self.table.rank(part):
            return
        line = as_json if self.table.format == "json" else as_text
        self._output.write(line(event, part, level.name) + "\n")
        self._output.flush()


def as_text(event: LogEvent, part: str, level: str) -> str:
    """An event for people: time, level, part, what; behind it the traceback, if there is one."""
    at = _time(event).astimezone().isoformat(timespec="milliseconds")
    line = f"{at} {level:5} {part}: {formatEvent(event).translate(_CONTROL)}"
    return "\n".join(filter(None, (line, _wire(event), _traceback(event))))


def as_json(event: LogEvent, part: str, level: str) -> str:
    """The same as an object: "time" in UTC, "level", "part", "text", each of the event's own
    fields, and "traceback" where there is one."""
    fields = {
        name: value
        for name, value in event.items()
        if not name.startswith("log_") and name not in ("message", "time", "isError", "format")
    }
    found = {
        "time": _time(event).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": level,
        "part": part,
        "text": formatEvent(event),
        **{f"field_{name}" if name in _RESERVED else name: it for name, it in fields.items()},
    }
    if traceback := _traceback(event):
        found["traceback"] = traceback
    return json.dumps(found, default=str).replace("\x7f", "\\u007f")


def _wire(event: LogEvent) -> str:
    """A message, each of its lines further to the right than any line of the log begins."""
    message: str = event.get("wire") or ""
    return "\n".join(f"    {line.translate(_CONTROL)}" for line in message.splitlines())


_RESERVED: Final = frozenset(("time", "level", "part", "text", "traceback"))


def _time(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event.get("log_time") or 0.0, UTC)


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure")
    if failure is None:
        return ""
    text: str = failure.getTraceback()
    return text.rstrip().translate(_CONTROL_BUT_LINES)


def twistd_output(options: Mapping[str, Any]) -> Output | None:
    """Where twistd's options have the log go; None for syslog, or somewhere else that it knows
    better than we do.

    :param options: of twistd itself.
    """
    if options.get("syslog") or options.get("logger"):
        return None
    path = options.get("logfile") or ("-" if options.get("nodaemon") else "twistd.log")
    if path == "-":
        return sys.stdout if options.get("nodaemon") else None
    output: Output = LogFile.fromFullPath(path)
    return output


_calls: Final = Logger(namespace="softswitch.calls")


_messages: Final = Logger(namespace="softswitch.wire")


class WireLog:
    """Every message as it comes and goes, without its secrets, of the part "wire".

    :param beyond: who else takes the notes of the transport; None for nobody.
    """

    def __init__(self, beyond: Note | None) -> None:
        self.beyond = beyond

    def __call__(self, entry: Entry) -> None:
        """See ``Note``."""
        if self.beyond is not None:
            self.beyond(entry)
        _, kind, flow, message = entry
        if isinstance(message, bytes):
            _messages.debug(
                "{kind} {size} bytes {way} {peer} over {transport}",
                kind=kind,
                size=len(message),
                way="from" if kind == RECEIVED else "to",
                peer=f"{flow.remote_host} {flow.remote_port}",
                transport=flow.transport,
                wire=masked(message).decode("utf-8", "backslashreplace"),
            )


class CallLog(Observer):
    """One line for each thing that happens to a call, of the part "calls"."""

    def call_started(self, record: CallRecord) -> None:
        """Who calls whom."""
        _calls.info(
            "call {call}: {kind} {name} ({caller}) calls {called}",
            call=record.id,
            kind=record.identity_kind,
            name=record.identity,
            caller=record.caller,
            called=record.called,
            call_id=record.call_id_a,
        )

    def call_ringing(self, record: CallRecord) -> None:
        """Where it rings."""
        _calls.info("call {call}: rings at {target}", call=record.id, target=_last_target(record))

    def call_answered(self, record: CallRecord) -> None:
        """Who has answered."""
        _calls.info(
            "call {call}: answered by {target}", call=record.id, target=_last_target(record)
        )

    def call_ended(self, record: CallRecord) -> None:
        """How it ended; that a server has failed is a warning."""
        failed = record.answered is None and record.status // 100 == 5
        begun = record.answered
        seconds = 0.0 if begun is None or record.ended is None else record.ended - begun
        (_calls.warn if failed else _calls.info)(
            "call {call}: ended by {who} after {seconds:.1f} s of talk: {status} {reason}",
            call=record.id,
            who=record.hung_up,
            seconds=seconds,
            status=record.status,
            reason=record.reason,
            limit=record.limit,
        )


def _last_target(record: CallRecord) -> str:
    return record.attempts[-1].target if record.attempts else ""
