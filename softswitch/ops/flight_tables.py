"""The tables of the configuration that say what is kept of calls to be looked at. Pure."""

from collections.abc import Iterator
from typing import Literal

import attrs

from softswitch.flight.hep import Sender
from softswitch.flight.homer import HomerSettings
from softswitch.flight.recorder import FlightSettings
from softswitch.ops.values import Amount, Count, HostPort, Seconds, Secret


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


@attrs.frozen
class HepTable:
    """``[hep]``: see ``flight.homer.HomerSettings``.

    :ivar address: of the collector; None for none.
    :ivar ca: PEM file of whom may vouch for it over TLS, seen from where the switch runs; "" for
        those of the system.
    """

    address: HostPort | None = None
    transport: Literal["udp", "tcp", "tls"] = "udp"
    node_id: Amount = 2001
    node_name: str = ""
    password: Secret | None = attrs.field(default=None, repr=False)
    ca: str = ""
    rtcp: bool = True
    logs: bool = True

    def settings(self) -> HomerSettings | None:
        """What the sender takes; None where nothing is sent."""
        if self.address is None:
            return None
        return HomerSettings(
            self.address.host,
            self.address.port or 9060,
            self.transport,
            Sender(self.node_id, self.node_name, self.password or ""),
            self.rtcp,
            self.logs,
        )


def contradictions(flight: FlightTable, hep: HepTable) -> Iterator[tuple[str, str]]:
    """Key path, and what would be right."""
    if hep.address is not None and not flight.recorder:
        yield "hep.address", "what is not recorded cannot be sent: flight.recorder = true is wanted"
    if hep.ca and hep.transport != "tls":
        yield "hep.ca", 'it is for transport = "tls"'
    if hep.node_id >= 1 << 32:
        yield "hep.node_id", "a number below 2**32 is wanted"
    if len(hep.node_name.encode()) > 255 or len((hep.password or "").encode()) > 255:
        yield "hep", "node_name and password have 255 bytes at most"
