"""The switch, as the API sees it. Pure.

``ops`` puts the house together on the floor above; here stands what the API must know of it.
"""

from typing import Any, Protocol

from softswitch.b2bua.switch import Switch
from softswitch.dialog.useragent import UserAgent
from softswitch.flight.recorder import Recorder
from softswitch.plugin.views import User
from softswitch.policy.chain import Policy
from softswitch.proxy.forwarder import Forwarder
from softswitch.registrar.bindings import Bindings
from softswitch.scope import Auditor
from softswitch.transport.layer import TransportLayer
from softswitch.trunk.registrations import UpstreamRegistrations
from softswitch.trunk.traffic import Traffic
from softswitch.wheel import Clock


class Premises(Protocol):
    """Who is there; see ``ops.premises.Premises``."""

    def find_user(self, name: str) -> User | None:
        """The user of that name or number, as far as can be said at once."""


class House(Protocol):
    """A running switch; see ``ops.house.House``."""

    clock: Clock
    agent: UserAgent
    switch: Switch
    proxy: Forwarder
    bindings: Bindings
    transport: TransportLayer
    auditor: Auditor
    traffic: Traffic
    upstream: UpstreamRegistrations
    recorder: Recorder | None

    @property
    def premises(self) -> Premises:
        """What the configuration says of users and trunks."""

    @property
    def domain(self) -> str:
        """The one name that stands for all served domains."""

    def observe(self, observer: Policy) -> None:
        """Tell one more ICallObserver of every call that begins."""

    def stats(self) -> dict[str, Any]:
        """Figures for an operator."""
