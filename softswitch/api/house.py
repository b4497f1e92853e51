"""The switch, as the API sees it. Pure.

``ops`` puts the house together on the floor above; here stands what the API must know of it.
"""

from typing import Any, Protocol

from softswitch.b2bua.switch import Switch
from softswitch.flight.recorder import Recorder
from softswitch.policy.chain import Policy
from softswitch.proxy.forwarder import Forwarder
from softswitch.registrar.bindings import Bindings
from softswitch.transport.layer import TransportLayer
from softswitch.trunk.registrations import UpstreamRegistrations
from softswitch.trunk.traffic import Traffic
from softswitch.wheel import Clock


class House(Protocol):
    """A running switch; see ``ops.house.House``."""

    clock: Clock
    switch: Switch
    proxy: Forwarder
    bindings: Bindings
    transport: TransportLayer
    traffic: Traffic
    upstream: UpstreamRegistrations
    recorder: Recorder | None

    @property
    def domain(self) -> str:
        """The one name that stands for all served domains."""

    def observe(self, observer: Policy) -> None:
        """Tell one more ICallObserver of every call that begins."""

    def stats(self) -> dict[str, Any]:
        """Figures for an operator."""
