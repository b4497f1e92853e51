"""The tables of the configuration that say who may come in, and how much: ``[door]``,
``[overload]`` and the connections of ``[limits]``. Pure."""

import re
from collections.abc import Iterator
from typing import Any

import attrs

from softswitch.ops.values import Amount, Count, FieldText, Network, Seconds
from softswitch.settings import shown
from softswitch.transport.connection import Patience
from softswitch.transport.door import DoorSettings, Points
from softswitch.transport.guests import ConnectionSettings
from softswitch.transport.overload import OverloadSettings

#: What scanners call themselves, when they do not hide.
SCANNERS = (
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "siparmyknife",
    "sundayddr",
    "vaxsipuseragent",
    "vaxipuseragent",
    "pplsip",
)

#: What SIPVicious writes whatever it is told to call itself.
SIGNATURES = (r'(?:From|To|f|t)[ \t]*:[ \t]*"sipvicious"',)


@attrs.frozen
class PointsTable:
    """``[door.points]``: see ``transport.door.Points``."""

    scanner: Amount = 100
    failed_login: Amount = 10
    refused: Amount = 5
    challenged: Amount = 1
    malformed: Amount = 5
    flood: Amount = 1


@attrs.frozen
class FirewallTable:
    """``[door.firewall]``: who else keeps the bans.

    :ivar table: of nftables, family and name: "inet filter"; "" for none.
    :ivar set: in it, for IPv4 addresses.
    :ivar set6: in it, for IPv6 networks; "" for none.
    :ivar ban: command that is run for each ban, with ``{address}`` and ``{seconds}`` in it; empty
        for none.
    :ivar lift: likewise for each that is lifted before its time.
    """

    table: FieldText = ""
    set: FieldText = "softswitch"
    set6: FieldText = ""
    ban: tuple[FieldText, ...] = ()
    lift: tuple[FieldText, ...] = ()


@attrs.frozen
class DoorTable:
    """``[door]``: see ``transport.door.DoorSettings``.

    :ivar trusted: networks that always come in, besides those of trunks.
    :ivar banned: networks that never do.
    :ivar firewall: who else keeps the bans.
    """

    trusted: tuple[Network, ...] = ()
    banned: tuple[Network, ...] = ()
    per_second: Amount = 50
    burst: Count = 200
    strangers_per_second: Amount = 1000
    ban_score: Amount = 100
    score_seconds: Seconds = 300.0
    ban_seconds: Seconds = 3600.0
    unproven_seconds: Seconds = 60.0
    points: PointsTable = attrs.field(factory=PointsTable)
    scanners: tuple[FieldText, ...] = SCANNERS
    signatures: tuple[FieldText, ...] = SIGNATURES
    firewall: FirewallTable = attrs.field(factory=FirewallTable)

    def settings(self) -> DoorSettings:
        """What the door takes."""
        return DoorSettings(
            self.per_second,
            self.burst,
            self.strangers_per_second,
            self.ban_score,
            self.score_seconds,
            self.ban_seconds,
            self.unproven_seconds,
            Points(**attrs.asdict(self.points)),
            self.scanners,
            self.signatures,
        )


@attrs.frozen
class OverloadTable:
    """``[overload]``: see ``transport.overload.OverloadSettings``."""

    lag_seconds: Seconds = 0.1
    retry_after: Amount = 0

    def settings(self) -> OverloadSettings:
        """What the ports are measured by."""
        return OverloadSettings(self.lag_seconds, self.retry_after)


@attrs.frozen
class ConnectionsTable:
    """``[limits.connections]``: see ``transport.guests.ConnectionSettings``.

    :ivar most: at one time.
    :ivar per_source: of a stranger's address.
    :ivar handshake_seconds: in which one that has connected must have ended its TLS handshake.
    :ivar silent_seconds: in which it must have sent a whole message after that.
    :ivar message_seconds: in which a message that has begun must be whole.
    :ivar idle_seconds: after which a connection is closed on which nothing comes.
    :ivar max_unsent: bytes that may wait for a peer that does not read.
    """

    most: Count = 10_000
    per_source: Count = 256
    handshake_seconds: Seconds = 10.0
    silent_seconds: Seconds = 32.0
    message_seconds: Seconds = 32.0
    idle_seconds: Seconds = 600.0
    max_unsent: Count = 256 * 1024

    def settings(self) -> ConnectionSettings:
        """What the transport takes."""
        patience = Patience(
            self.handshake_seconds, self.silent_seconds, self.message_seconds, self.max_unsent
        )
        return ConnectionSettings(self.most, self.per_source, self.idle_seconds, patience)


def contradictions(door: DoorTable, connections: ConnectionsTable) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: key path and what would be right."""
    for index, network in enumerate(door.banned):
        if network in door.trusted:
            yield f"door.banned[{index}]", f"{network} is trusted as well: leave it out of one"
    for index, signature in enumerate(door.signatures):
        try:
            re.compile(signature)
        except re.error as error:
            yield (
                f"door.signatures[{index}]",
                f"a regular expression is wanted, not {shown(signature)}: {error}",
            )
    if door.ban_score and not door.score_seconds:
        yield "door.score_seconds", "more than 0 seconds are wanted"
    firewall: dict[str, Any] = {"ban": door.firewall.ban, "lift": door.firewall.lift}
    for name, command in firewall.items():
        if command and not any("{address}" in word for word in command):
            yield f"door.firewall.{name}", 'one of its words is to be "{address}"'
    if door.firewall.table and len(door.firewall.table.split()) != 2:
        yield "door.firewall.table", 'a family and a name are wanted, such as "inet filter"'
    for name in ("handshake_seconds", "silent_seconds", "message_seconds", "idle_seconds"):
        if not getattr(connections, name):
            yield f"limits.connections.{name}", "more than 0 seconds are wanted"
