"""The API of one switch: its operations, its ports, who may call."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from softswitch.api.archive import Records
from softswitch.api.bans import Bans
from softswitch.api.calls import Calls
from softswitch.api.document import document
from softswitch.api.events import Events
from softswitch.api.figures import FigureOperations
from softswitch.api.gate import ApiSettings, Gate, Source
from softswitch.api.house import House
from softswitch.api.ladders import Ladders
from softswitch.api.listening import Listening
from softswitch.api.media import Media
from softswitch.api.moving import Moving
from softswitch.api.operation import Operations
from softswitch.api.page import Page
from softswitch.api.registrations import Registrations
from softswitch.api.running import Doings, Running
from softswitch.api.server import ApiFactory, Audit
from softswitch.api.shapes import to_json
from softswitch.api.trunks import TrunkOperations
from softswitch.flow import Flow
from softswitch.policy.chain import Policy

#: What the door takes a caller of the API for.
_LISTENER = "api"


class Api:
    """What may be seen and done from outside.

    :ivar operations: all that can be asked for.
    :ivar events: what goes on, for those who listen.
    :ivar figures: the switch at a glance.
    :ivar factory: serves connections; ``ports`` brings them.
    :param settings: who may call.
    :param doings: what the service does for it.
    :param audit: told of every change, and of who was turned away.
    """

    def __init__(
        self, house: House, settings: ApiSettings, doings: Doings, audit: Audit, reactor: Any
    ) -> None:
        self._house = house
        self._version = doings.version
        self.events = Events(house)
        house.observe(Policy("events", self.events))
        self.figures = FigureOperations(house, self.events)
        calls = Calls(house)
        groups = (
            calls,
            Media(house, calls),
            Moving(house, calls),
            Ladders(house),
            Records(doings.records, house.clock, reactor),
            Registrations(house),
            TrunkOperations(house),
            Bans(house),
            Listening(self.events),
            self.figures,
            Running(house, doings, lambda: self._served),
            Page(),
        )
        self.operations = Operations(each for group in groups for each in group.operations())
        self._gate = Gate(settings, house.clock, self._failed)
        self.factory = ApiFactory(
            self.operations, self._gate, audit, reactor, house.transport.door.bars
        )

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The OpenAPI document."""
        return document(self.operations, self._version)

    @cached_property
    def _served(self) -> bytes:
        """The document as JSON: it is the same as long as the switch runs."""
        return to_json(self.document)

    def renew(self, settings: ApiSettings) -> None:
        """The configuration has been read anew."""
        self._gate.settings = settings
        self.factory.look_again()

    def stop(self) -> None:
        """Nothing is told any more."""
        self.events.stop()

    def _failed(self, host: str) -> None:
        """A wrong token counts towards a ban, as a wrong password does; this machine is not to be
        banned by its own."""
        if not Source(host).is_loopback:
            flow = Flow(_LISTENER, "TCP", "", 0, host, 0, 1)
            self._house.transport.door.failed(flow, "", True)
