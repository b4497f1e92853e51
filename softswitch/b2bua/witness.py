"""What the media engine has seen of calls: into their records, and what follows from it. Pure.

The figures of a call are known by whoever has carried its packets, which may be another process. So
the record of a call that was answered waits for them, though not for long: it comes without them
rather than not at all.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import attrs

from softswitch.plugin.media import IMediaWitness, MediaNotice, MediaReport
from softswitch.plugin.record import CallRecord
from softswitch.sip.message import Field
from softswitch.wheel import Clock, Timer

#: Seconds that a record waits.
PATIENCE: Final = 2.0

#: Why a call ends of which one side has sent nothing for too long, and what its BYEs say: recovery
#: on timer expiry (RFC 3326, Q.850).
TIMED_OUT: Final = "Media Timeout"
TIMED_OUT_FIELDS: Final[tuple[Field, ...]] = (("Reason", f'Q.850;cause=102;text="{TIMED_OUT}"'),)


@attrs.define
class _Waiting:
    """A call that has ended, and has no figures yet, or no record."""

    report: MediaReport | None = None
    record: CallRecord | None = None
    tell: Callable[[CallRecord], None] | None = None
    timer: Timer | None = None


class Witness:
    """Asks the engine what has become of the packets of calls.

    :param clock: of the records.
    """

    def __init__(self, engine: IMediaWitness, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def listen(self, told: Callable[[MediaNotice], None]) -> None:
        """Have somebody told of what the engine sees."""
        self._engine.noticed = told

    def load(self) -> Mapping[str, Any]:
        """The engine's figures for an operator."""
        return self._engine.load()

    def answered(self, session: str, *, record: bool) -> None:
        """Both sides of a call talk from now on."""
        self._engine.answered(session, record)

    def snapshot(self, session: str, tell: Callable[[MediaReport], None]) -> None:
        """What has become of the packets of a call until now; see ``IMediaWitness``."""
        self._engine.snapshot(session, tell)

    def conclude(self, session: str) -> None:
        """An answered call has ended: its ports are given back, and its figures asked for. Its
        record is to be delivered in the same breath."""
        self._waiting[session] = _Waiting()
        self._engine.conclude(session, partial(self._told, session))

    def deliver(self, record: CallRecord, tell: Callable[[CallRecord], None]) -> None:
        """Tell of a call that has ended, once its figures are known or nobody waits for them any
        more; at once where none were asked for."""
        waiting = self._waiting.get(record.id)
        if waiting is None:
            tell(record)
            return
        waiting.record, waiting.tell = record, tell
        if waiting.report is not None:
            self._finish(record.id)
        else:
            waiting.timer = self._clock.callLater(PATIENCE, self._finish, record.id)

    def stop(self) -> None:
        """Wait no more: what waits is delivered as it is."""
        for session in list(self._waiting):
            self._finish(session)

    def _told(self, session: str, report: MediaReport) -> None:
        waiting = self._waiting.get(session)
        if waiting is None:
            return
        waiting.report = report
        if waiting.record is not None:
            self._finish(session)

    def _finish(self, session: str) -> None:
        waiting = self._waiting.pop(session)
        record, tell, report = waiting.record, waiting.tell, waiting.report
        if waiting.timer is not None:
            waiting.timer.cancel()
        if record is None or tell is None:
            return
        if report is not None:
            record.media = list(report.streams)
            record.recording = report.recording
        tell(record)
