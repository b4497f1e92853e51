"""The legs of a call and the bridges between them: made, found, moved, let go. Pure."""

from typing import Protocol

from softswitch.b2bua.bridge import Bridge
from softswitch.b2bua.leg import Leg, LegData, LegUser
from softswitch.b2bua.progress import CallData
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.steps import BridgeData, BridgeUser
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.session import Session
from softswitch.flow import Flow
from softswitch.plugin.decisions import Target
from softswitch.plugin.media import MediaNetwork
from softswitch.scope import Scope
from softswitch.sip.message import Field
from softswitch.transaction.invite_server import InviteServer


class LegsUser(LegUser, BridgeUser, Protocol):
    """The call."""


class Legs:
    """All legs of a call that have not ended, and the bridges between them.

    A bridge goes by the name of its leg b. All share the call's media session.

    :param data: the call's; what stands here is written down there.
    :param user: the call, told of what the legs and bridges hear.
    """

    __slots__ = ("_bridges", "_data", "_legs", "_shared", "_user")

    def __init__(self, shared: Shared, data: CallData, user: LegsUser) -> None:
        self._shared = shared
        self._data = data
        self._user = user
        self._legs: dict[str, Leg] = {}
        self._bridges: dict[str, Bridge] = {}

    def __getitem__(self, name: str) -> Leg:
        """The leg of that name."""
        return self._legs[name]

    def get(self, name: str) -> Leg | None:
        """The leg of that name; None when it has gone."""
        return self._legs.get(name)

    def make(
        self,
        name: str,
        dialog: Dialog,
        flow: Flow,
        transaction: InviteServer | None,
        kind: str,
        peer: str,
        target: Target | None = None,
    ) -> Leg:
        """A leg towards a peer whose profile is that of the ``kind`` named ``peer``.

        :param transaction: of its INVITE; None where we are to invite.
        :param target: whom we are to invite.
        """
        shared = self._shared
        facing = shared.facing(flow)
        scope = Scope(f"{self._data.id}/{name}", shared.auditor)
        credentials = shared.credentials(peer) if target is not None and kind == "trunk" else None
        cells = {} if target is None else dict(target.dialog)
        profile = shared.profile(kind, peer).changed(cells)
        session = Session(
            shared.clock, shared.agent, scope, dialog, transaction, credentials, profile
        )
        network = MediaNetwork(facing.media_bind, facing.media_host)
        data = LegData(name, session.data, network, flow.remote_host, kind, peer, cells)
        leg = Leg(data, session, self._user, shared.clock, profile)
        self._data.legs[name] = data
        self._legs[name] = leg
        shared.lamps.leg_began(data)
        return leg

    def bridge(self, a: Leg, b: Leg) -> Bridge:
        """A new bridge between two legs."""
        shared = self._shared
        data = self._data.bridges[b.name] = BridgeData(self._data.id, a.name, b.name)
        seconds = shared.settings.media_seconds
        bridge = Bridge(data, a, b, self._user, shared.engine, shared.clock, seconds)
        self._bridges[b.name] = bridge
        return bridge

    def bridge_to(self, name: str) -> Bridge | None:
        """The bridge whose leg b has that name."""
        return self._bridges.get(name)

    def bridge_of(self, leg: Leg) -> Bridge | None:
        """The bridge over which a leg talks, or before the answer is to; None while there is none,
        or no single one."""
        bridges = self._bridges
        found = bridges.get(leg.name) or bridges.get(self._data.joined)
        if found is not None or not bridges:
            return found
        offering = [each for each in bridges.values() if each.data.offerer == each.b.name]
        if offering:
            return offering[0]
        return next(iter(bridges.values())) if len(bridges) == 1 else None

    def far_of(self, leg: Leg) -> Leg | None:
        """The leg that it talks to; None before the answer."""
        bridge = self._bridges.get(self._data.joined)
        return None if bridge is None or leg not in (bridge.a, bridge.b) else bridge.other(leg)

    def say_goodbye(self, gone: Leg | None, fields: list[Field]) -> None:
        """Send BYE on each confirmed leg but the one that is gone."""
        for leg in list(self._legs.values()):
            if leg is not gone:
                leg.session.bye(fields)

    def end(self, name: str) -> None:
        """Let a leg and its bridge go; harmless when they have gone."""
        self.unbridge(name)
        leg = self._legs.pop(name, None)
        if leg is not None:
            del self._data.legs[name]
            self._shared.lamps.leg_ended(leg.data)
            self._shared.leave_media(self._data.id, leg.scope, name)
            leg.end()

    def unbridge(self, name: str) -> None:
        """Take a bridge away; its legs stay."""
        bridge = self._bridges.pop(name, None)
        if bridge is not None:
            bridge.end()
            del self._data.bridges[name]

    def end_all(self) -> None:
        """The call is over: let all go, the media session and the call itself, whose memory is free
        then."""
        for name in list(self._legs):
            self.end(name)
        if self._shared.engine is not None:
            self._shared.engine.release(self._data.id)
        del self._user

    def let_go_of(self, leg: Leg) -> None:
        """Forget a leg that another call takes over; its ports stay until it has some there."""
        del self._legs[leg.name], self._data.legs[leg.name]

    def take(self, leg: Leg, name: str) -> None:
        """Own a leg that another call has let go of."""
        leg.data.name = name
        leg.belong_to(self._user)
        self._legs[name], self._data.legs[name] = leg, leg.data
