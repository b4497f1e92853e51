"""Connections: how many there may be, when an idle one ends, and what of strangers' messages rises.
Pure.

A connection of somebody known belongs to the transport layer itself, and its messages cost nothing
here.
"""

from collections import Counter
from collections.abc import Collection
from typing import Protocol

import attrs

from softswitch.flow import WEBSOCKETS, Flow
from softswitch.sip.parser import MessageSyntaxError
from softswitch.transport.connection import Connection, Owner, Patience
from softswitch.transport.door import Door, Standing
from softswitch.transport.networks import source_of
from softswitch.wheel import Clock


@attrs.frozen
class ConnectionSettings:
    """What connections there may be.

    :ivar most: at one time; a stranger's gives way to somebody else's, more are refused.
    :ivar per_source: those of strangers that one source may have opened.
    :ivar idle_seconds: after which one is closed on which nothing comes and nobody is registered.
    :ivar patience: of those that are made from now on.
    """

    most: int = 10_000
    per_source: int = 256
    idle_seconds: float = 600.0
    patience: Patience = attrs.field(factory=Patience)


class Home(Owner, Protocol):
    """The transport layer, which serves everybody."""

    @property
    def connections(self) -> Collection[Connection]:
        """All there are."""


class Guests:
    """The owner of connections that strangers have opened, and who says whether there may be more.

    :ivar settings: what connections there may be, anybody's.
    :ivar counters: who was refused -> how often.
    """

    def __init__(self, home: Home, door: Door, counters: Counter[str], clock: Clock) -> None:
        self.settings = ConnectionSettings()
        self.counters = counters
        self._home = home
        self._door = door
        self._clock = clock
        door.changed.append(self._close_banned)
        self._all: dict[int, Connection] = {}
        self._of_source: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def may_connect(self, host: str) -> bool:
        """Whether a peer may connect; in the place of another stranger, if need be."""
        if not self._door.accepts(host):
            return False
        crowded = self._of_source[source_of(host)] >= self.settings.per_source
        if crowded and not self._door.knows_host(host):
            self.counters["refused: too many connections of one source"] += 1
            return False
        if len(self._home.connections) >= self.settings.most and not self._close_oldest():
            self.counters["refused: too many connections"] += 1
            return False
        return True

    def add(self, connection: Connection) -> None:
        """Own a connection, until its peer is known or it ends."""
        connection.owner = self
        self._all[connection.flow.serial] = connection
        self._of_source[source_of(connection.flow.remote_host)] += 1

    def sweep(self) -> None:
        """Close connections on which nothing has come for long; to be called now and then.

        WebSockets are watched by pings of their own.
        """
        now, idle = self._clock.monotonic(), self.settings.idle_seconds
        for connection in list(self._home.connections):
            flow = connection.flow
            if connection.heard or flow.transport in WEBSOCKETS:
                connection.heard, connection.quiet_since = False, now
            elif now - connection.quiet_since >= idle and not self._door.registered.at(
                flow.remote_host, flow.remote_port
            ):
                self.counters["closed: idle"] += 1
                connection.close(f"idle for {idle:g} s")

    # What their connections tell.

    def framed(self, data: bytes, flow: Flow) -> None:
        """A message, or a keep-alive, has come: weigh it, and hand it on."""
        if flow.serial not in self._all:
            return  # one before it has ended the connection
        standing = self._door.standing(flow.remote_host, flow.remote_port, data, proven=True)
        if standing is Standing.TURNED_AWAY:
            self._all[flow.serial].abort("turned away")
            return
        if standing is Standing.KNOWN:
            self._let_go(flow).owner = self._home
        self._home.framed(data, flow)

    def unframed(self, error: MessageSyntaxError, flow: Flow) -> None:
        """The stream cannot be cut into messages."""
        self._home.unframed(error, flow)

    def connection_ended(self, connection: Connection, reason: str) -> None:
        """A connection can no longer be used."""
        self._let_go(connection.flow)
        self._home.connection_ended(connection, reason)

    def _close_banned(self) -> None:
        """Close the connections of who is banned now."""
        for connection in list(self._home.connections):
            if self._door.bars(connection.flow.remote_host):
                connection.abort("banned")

    def _let_go(self, flow: Flow) -> Connection:
        source = source_of(flow.remote_host)
        self._of_source[source] -= 1
        if not self._of_source[source]:
            del self._of_source[source]
        return self._all.pop(flow.serial)

    def _close_oldest(self) -> bool:
        """Make room for somebody else; False where there is no guest."""
        for connection in self._all.values():
            connection.abort("room is needed")
            return True
        return False
