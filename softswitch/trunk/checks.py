"""OPTIONS to the gateways of trunks, and what their answers say (RFC 3261 11). Pure.

Each member of a trunk that has checks is asked at intervals, at every address to which its name
leads; the members of a trunk take turns within the interval. Any answer in time is a sign of life
but for those that the trunk's settings name.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import attrs

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.requester import Inquiry, Requester, Sender
from softswitch.flow import Flow
from softswitch.scope import Auditor, Scope
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Response
from softswitch.sip.names import REASONS
from softswitch.transport.layer import Destination
from softswitch.transport.search import over_udp
from softswitch.trunk.group import Trunk, Trunks
from softswitch.trunk.selection import Member
from softswitch.trunk.shape import Shape
from softswitch.wheel import Clock, Timer

#: A trunk that says nothing of how it wants us to look.
AS_IT_IS: Final = Shape()


class Ways(Protocol):
    """Knows where names lead, and which way goes there."""

    def find_places(self, uri: str, tell: Callable[[list[Destination]], None]) -> None:
        """Tell the places to which a URI leads, now or later; none for nowhere."""

    def flow_to(self, place: Destination) -> Flow | None:
        """A flow to a place; None when no listener faces it."""

    def contact(self, user: str, flow: Flow) -> str:
        """Our Contact field value towards the flow's peer."""


class Checks:
    """Asks gateways whether they are there, from ``start`` to ``stop``.

    :param sender: sends the requests.
    :param fields: header fields of every request of ours.
    :param patience: seconds within which an answer must have come, for trunks that do not say.
    """

    def __init__(
        self,
        trunks: Trunks,
        clock: Clock,
        ways: Ways,
        sender: Sender,
        auditor: Auditor,
        fields: list[Field],
        patience: float,
    ) -> None:
        self._trunks = trunks
        self._clock = clock
        self._ways = ways
        self._sender = sender
        self._auditor = auditor
        self._fields = fields
        self._patience = patience
        self._running = False
        self._timers: dict[tuple[str, str], Timer] = {}
        self._open: set[_Check] = set()

    def start(self) -> None:
        """Begin to ask."""
        self._running = True
        for trunk in self._trunks:
            if trunk.health.checks:
                apart = trunk.health.check_seconds / max(1, len(trunk.members))
                for index, member in enumerate(trunk.members):
                    if (trunk.name, member.address) not in self._timers:
                        self._ask_in(index * apart, trunk.name, member.address)

    def stop(self) -> None:
        """Ask no more, and wait for nothing; harmless when repeated."""
        self._running = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for check in list(self._open):
            check.close()

    def renew(self, trunks: Trunks, patience: float) -> None:
        """Ask others from now on: the configuration has been read anew. Those that stay are asked
        when it is their turn."""
        self._trunks, self._patience = trunks, patience
        if self._running:
            self.start()

    def _ask_in(self, seconds: float, trunk: str, member: str) -> None:
        self._timers[trunk, member] = self._clock.callLater(seconds, self._ask, trunk, member)

    def _ask(self, name: str, address: str) -> None:
        del self._timers[name, address]
        trunk = self._trunks.find(name)
        if trunk is None or not trunk.health.checks:
            return
        for member in trunk.members:
            if member.address == address:
                self._ask_in(trunk.health.check_seconds, name, address)
                hop = "" if trunk.shape is None else trunk.shape.outbound_proxy
                found = partial(self._found, trunk, member)
                self._ways.find_places(over_udp(hop or trunk.place(member)), found)

    def _found(self, trunk: Trunk, member: Member, places: list[Destination]) -> None:
        if not self._running:
            return
        trunk.state.resolved(member.address, places)
        found: list[Destination | None] = [*places]
        for place in found or [None]:
            flow = None if place is None else self._ways.flow_to(place)
            check = _Check(trunk, member, place, self._clock, self._open)
            if flow is None:
                check.answered(503, "leads nowhere", None)
            else:
                check.expect_answer_in(
                    min(trunk.try_seconds or self._patience, trunk.health.check_seconds)
                )
                self._send(trunk, member, flow, check)

    def _send(self, trunk: Trunk, member: Member, flow: Flow, check: "_Check") -> None:
        shape = trunk.shape or AS_IT_IS
        uri, contact = shape.request_uri(trunk.place(member)), self._ways.contact("", flow)
        us = NameAddr.parse(contact).uri
        us = attrs.evolve(us, host=shape.from_domain or us.host, port=None, params={})
        tag = compose.new_tag()
        dialog = Dialog(
            call_id=compose.new_call_id(us.host),
            local_tag=tag,
            remote_tag="",
            local=f"<{us}>;tag={tag}",
            remote=f"<{uri}>",
            contact=contact,
            remote_target=uri,
            flow=flow,
            symmetric=True,
        )
        fields = [
            *[("Route", route) for route in shape.route_set],
            ("Contact", shape.contact(contact)),
            ("Accept", "application/sdp"),
            *shape.own_fields(self._fields),
        ]
        scope = Scope(f"OPTIONS {dialog.call_id}", self._auditor)
        requester = Requester(self._sender, dialog, Inquiry(check.answered), scope)
        requester.start(dialog.request("OPTIONS", fields))
        scope.end()


class _Check:
    """One OPTIONS to one address: what comes of it is told once."""

    def __init__(
        self,
        trunk: Trunk,
        member: Member,
        place: Destination | None,
        clock: Clock,
        others: "set[_Check]",
    ) -> None:
        self._trunk = trunk
        self._member = member
        self._place = place
        self._clock = clock
        self._others = others
        self._timer: Timer | None = None
        others.add(self)

    def expect_answer_in(self, seconds: float) -> None:
        """What has not come by then does not come."""
        self._timer = self._clock.callLater(seconds, self.answered, 408, REASONS[408], None)

    def answered(self, status: int, reason: str, response: Response | None) -> None:
        """From the requester, or nobody has answered."""
        if self not in self._others:
            return
        self.close()
        trunk = self._trunk
        gateway = trunk.state.gateway(self._member.address, self._place)
        if gateway is None:
            return
        now = self._clock.monotonic()
        if response is None or status in trunk.health.dead:
            gateway.check_missed(trunk.health, now, f"OPTIONS: {status} {reason}")
        else:
            gateway.check_answered(trunk.health, now)

    def close(self) -> None:
        """Nobody waits for it any more."""
        self._others.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
