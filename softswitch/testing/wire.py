"""A wire that writes down what happens on it, for tests of a transaction or a dialog. Pure."""

from typing import Any

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.sip.message import Response
from softswitch.transport.listener import Facing
from softswitch.wheel import Clock


class Wire:
    """Stands below as the way to send and above as the user; one log of happenings in order.

    :ivar log: (second, bytes that were sent, or the name of what was told).
    :ivar broken: why sending fails; None while the wire is whole.
    """

    def __init__(self, clock: Clock) -> None:
        self.log: list[tuple[float, bytes | str]] = []
        self.broken: str | None = None
        self._clock = clock

    def send(self, data: bytes, flow: Flow | None = None) -> None:
        """Note what was sent.

        :raises TransportError: when the wire is broken.
        """
        if self.broken is not None:
            raise TransportError(self.broken)
        self.log.append((self._clock.seconds(), data))

    def facing(self, flow: Flow) -> Facing:
        """The flow's own end, as a listener without an advertised address would say."""
        host = flow.local_host
        return Facing(host, flow.local_port, host, host)

    def response_flow(self, request: object, flow: Flow, force_rport: bool = False) -> Flow:
        """The flow on which the request came."""
        return flow

    def is_alive(self, flow: Flow) -> bool:
        """Whether the wire is whole."""
        return self.broken is None

    def note(self, happening: str) -> None:
        """Put something of the test's own into the log."""
        self.log.append((self._clock.seconds(), happening))

    def response_received(self, response: Response, transaction: Any) -> None:
        """Note a response that was passed up, as "180" or "200"."""
        self.note(str(response.status))

    def timed_out(self, transaction: Any) -> None:
        """Note that a transaction gave up."""
        self.note("timed out")

    def transport_failed(self, transaction: Any, reason: str) -> None:
        """Note that a transaction could not send."""
        self.note(f"transport failed: {reason}")

    def takes_tcp(self) -> bool:
        """Whether what is too large for a datagram may go over TCP."""
        return False

    def transaction_failed(self, transaction: Any, reason: str) -> None:
        """Note that a server transaction's answer was never acknowledged or never left."""
        self.note(f"transaction failed: {reason}")

    def cancelled(self, transaction: Any, cancel: Any) -> None:
        """Note that an INVITE was cancelled."""
        self.note("cancelled")
