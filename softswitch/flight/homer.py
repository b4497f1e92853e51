"""To a collector of Homer: what the recorder sorts is sent there, too, in HEP.

It waits in a bounded queue, and what has no room there is counted and lost; a collector that is
dead, slow or refuses costs the calls nothing. Packets are made when they are sent.
"""

from collections import deque
from collections.abc import Callable
from socket import SOCK_DGRAM, getaddrinfo
from typing import Any, Final, Literal

import attrs
from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.flight.hep import LOG, SIP, Packet, Sender, reports
from softswitch.flight.masking import masked, visible
from softswitch.flight.recorder import Recorder
from softswitch.flight.tape import ENTRY_BYTES, Tape
from softswitch.flow import Flow
from softswitch.journal import RECEIVED, SENT, Entry

log = Logger()

#: Bytes of messages that may wait.
ROOM: Final = 16 * 1024 * 1024

#: Seconds between two times that something is sent, and how many packets are sent in one go.
SECONDS: Final = 0.1
BATCH: Final = 500

#: Seconds that a collector gets at the end to read what it was sent.
FAREWELL: Final = 1.0

#: Seconds until a name that could not be found is sought again, or a connection tried, at most.
LONGEST_WAIT: Final = 60.0


@attrs.frozen
class HomerSettings:
    """Where to, and what.

    :ivar host: name or address literal of the collector.
    :ivar sender: who we are to it.
    :ivar rtcp: whether reports on media go there.
    :ivar logs: whether lines of the log that are about calls do.
    """

    host: str
    port: int = 9060
    transport: Literal["udp", "tcp", "tls"] = "udp"
    sender: Sender = attrs.field(factory=Sender)
    rtcp: bool = True
    logs: bool = True


#: What waits: a packet, or a call's id and an entry of its tape of which one is made.
_Waiting = Packet | tuple[str, Entry]


@implementer(ILogObserver)
class Homer:
    """Sends what is recorded.

    :ivar counters: "sent", "dropped: no room", "failed" -> how often.
    :param endpoint: where connections are made to; None for UDP.
    """

    def __init__(
        self, settings: HomerSettings, recorder: Recorder, reactor: Any, endpoint: Any = None
    ) -> None:
        self.counters: dict[str, int] = {"sent": 0, "dropped: no room": 0, "failed": 0}
        self._settings = settings
        self._recorder = recorder
        self._reactor = reactor
        self._waiting: deque[tuple[int, _Waiting]] = deque()
        self._size = 0
        self._send: Callable[[bytes], None] | None = None
        self._lines: _Lines | None = None
        self._datagrams: _Datagrams | None = None
        self._retry: Any = None
        self._stopped = False
        self._connections = None
        if endpoint is not None:
            policy = backoffPolicy(1.0, LONGEST_WAIT)
            factory = Factory.forProtocol(lambda: _Lines(self))
            self._connections = ClientService(endpoint, factory, policy, clock=reactor)
        self._loop = LoopingCall(self.send)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin to take what is recorded, and to send it."""
        self._recorder.taps.append(self._heard)
        if self._settings.rtcp:
            self._recorder.on_ended.append(self._ended)
        if self._connections is not None:
            self._connections.startService()
        else:
            self._look_up()
        self._loop.start(SECONDS, now=False)

    def stop(self) -> "Deferred[None] | None":
        """Send what there is, as far as it can be sent at once, and end.

        :returns: when the connection is closed; None without one.
        """
        self._stopped = True
        self.send()
        if self._loop.running:
            self._loop.stop()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._datagrams is not None and self._datagrams.transport is not None:
            self._datagrams.transport.stopListening()
        if self._connections is None:
            return None
        done: Deferred[None] = self._connections.stopService()
        if self._lines is not None:
            if self._lines.paused:
                self._lines.abort()
            else:
                # It may read no more, or not answer the end of TLS.
                late = self._reactor.callLater(FAREWELL, self._lines.abort)
                done.addBoth(lambda _: late.active() and late.cancel())
        return done

    def figures(self) -> dict[str, Any]:
        """For an operator."""
        return {
            "connected": self._send is not None,
            "waiting": len(self._waiting),
            **self.counters,
        }

    def __call__(self, event: LogEvent) -> None:
        """An event of the log; of those that are about a call the collector hears."""
        call = event.get("call_id") or event.get("call")
        if not isinstance(call, str) or event.get("log_level", LogLevel.debug) < LogLevel.info:
            return
        text = visible(formatEvent(event) or "")
        place = ("127.0.0.1", 0)
        at = float(event.get("log_time", 0.0))
        name = self._recorder.name_of(call)
        packet = Packet(at, LOG, place, place, text.encode("utf-8", "replace"), name)
        self._keep(len(packet.payload), packet)

    def _heard(self, tape: Tape, entry: Entry) -> None:
        if entry[1] is RECEIVED or entry[1] is SENT:
            self._keep(len(entry[3]), (tape.id, entry))

    def _ended(self, tape: Tape) -> None:
        record = tape.record
        if record is None or not record.media:
            return
        flows = (entry[2] for entry in tape if entry[1] in (RECEIVED, SENT))
        flow = next(flows, None)
        ours = flow.local_host if isinstance(flow, Flow) else "127.0.0.1"
        for packet in reports(record, ours):
            self._keep(len(packet.payload), packet)

    def _keep(self, size: int, what: _Waiting) -> None:
        size += ENTRY_BYTES
        if self._size + size > ROOM:
            self.counters["dropped: no room"] += 1
            return
        self._size += size
        self._waiting.append((size, what))

    # Sending.

    def send(self) -> None:
        """Send what waits, as much as is taken now."""
        waiting, sender = self._waiting, self._settings.sender
        for _ in range(min(BATCH, len(waiting))):
            if self._send is None or (self._lines is not None and self._lines.paused):
                return
            size, what = waiting.popleft()
            self._size -= size
            packet = self._packet(*what) if isinstance(what, tuple) else what
            try:
                self._send(packet.encode(sender))
            except (OSError, ValueError):
                self.counters["failed"] += 1
            else:
                self.counters["sent"] += 1

    def _packet(self, call: str, entry: Entry) -> Packet:
        at, kind, flow, data = entry
        assert isinstance(data, bytes)
        payload = masked(data, hide_messages=self._recorder.settings.hide_messages)
        here, there = (flow.local_host, flow.local_port), (flow.remote_host, flow.remote_port)
        source, target = (there, here) if kind == RECEIVED else (here, there)
        return Packet(at, SIP, source, target, payload, call, flow.reliable)

    def connected(self, lines: "_Lines") -> None:
        """A connection stands."""
        self._lines = lines
        self._send = lines.write
        log.info("HEP: connected to {host}", host=self._settings.host)

    def disconnected(self, reason: Failure) -> None:
        """It does no more; another is tried."""
        self._lines = self._send = None
        if not self._stopped:
            why = reason.getErrorMessage()
            log.warn("HEP: {host} is gone: {why}", host=self._settings.host, why=why)

    def _look_up(self) -> None:
        self._retry = None
        host, port = self._settings.host, self._settings.port
        found = deferToThread(getaddrinfo, host, port, type=SOCK_DGRAM)
        found.addCallbacks(self._found, self._not_found)

    def _found(self, places: list[tuple[Any, Any, Any, Any, tuple[Any, ...]]]) -> None:
        if self._stopped:
            return
        host, port = places[0][4][:2]
        self._datagrams = datagrams = _Datagrams(self, host, port)
        interface = "::" if ":" in host else ""
        self._reactor.listenUDP(0, datagrams, interface=interface)
        self._send = datagrams.write

    def _not_found(self, failure: Failure) -> None:
        if self._stopped:
            return
        host, why = self._settings.host, failure.getErrorMessage()
        log.warn("HEP: {host} is not found: {why}", host=host, why=why)
        self._retry = self._reactor.callLater(LONGEST_WAIT, self._look_up)


class _Datagrams(DatagramProtocol):
    """A UDP socket to the collector."""

    def __init__(self, homer: Homer, host: str, port: int) -> None:
        self._homer = homer
        self._place = (host, port)

    def startProtocol(self) -> None:  # noqa: N802
        transport: Any = self.transport
        transport.connect(*self._place)

    def connectionRefused(self) -> None:
        """Nobody listens there."""
        self._homer.counters["failed"] += 1

    def write(self, data: bytes) -> None:
        """Send a packet.

        :raises OSError: it is too large, or no route leads there.
        """
        transport: Any = self.transport
        transport.write(data)


@implementer(IPushProducer)
class _Lines(Protocol):
    """A connection to the collector.

    :ivar paused: whether the collector does not read fast enough.
    """

    def __init__(self, homer: Homer) -> None:
        self._homer = homer
        self.paused = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.setTcpKeepAlive(1)
        transport.registerProducer(self, True)
        self._homer.connected(self)

    def connectionLost(self, reason: Failure = Failure(Exception("closed"))) -> None:  # noqa: B008
        self._homer.disconnected(reason)

    def write(self, data: bytes) -> None:
        """Send a packet."""
        transport: Any = self.transport
        transport.write(data)

    def abort(self) -> None:
        """It does not read: nothing more is waited for."""
        transport: Any = self.transport
        transport.abortConnection()

    def pauseProducing(self) -> None:  # noqa: N802
        self.paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        self.paused = False

    def stopProducing(self) -> None:  # noqa: N802
        self.paused = True
