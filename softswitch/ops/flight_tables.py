"""The tables of the configuration that say what is kept of calls to be looked at. Pure."""

import attrs

from softswitch.flight.recorder import FlightSettings
from softswitch.ops.values import Count, Seconds


@attrs.frozen
class FlightTable:
    """``[flight]``: see ``flight.recorder.FlightSettings``.

    :ivar recorder: whether calls are recorded at all.
    :ivar megabytes: memory of all calls.
    :ivar call_kilobytes: memory of one.
    :ivar hide_messages: whether what people write to each other is masked.
    """

    recorder: bool = True
    keep_seconds: Seconds = 300.0
    keep_failed_seconds: Seconds = 3600.0
    megabytes: Count = 64
    call_kilobytes: Count = 256
    hide_messages: bool = True

    def settings(self) -> FlightSettings:
        """What the recorder takes."""
        return FlightSettings(
            self.keep_seconds,
            self.keep_failed_seconds,
            self.megabytes * 1024 * 1024,
            self.call_kilobytes * 1024,
            hide_messages=self.hide_messages,
        )
