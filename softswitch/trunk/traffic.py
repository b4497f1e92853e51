"""What calls ask of the trunks, and tell them: limits, health, how long to wait. Pure.

A call asks before it takes up a trunk, and tells what it met there: that a member was heard, that
it failed, that a leg to or from the trunk has begun or ended. Every leg that began ends once, so
that nothing it counts under is ever left behind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import attrs

from softswitch.flow import Flow
from softswitch.plugin.decisions import Target
from softswitch.plugin.views import Identity
from softswitch.sip.fields import seconds
from softswitch.sip.message import Field, Response
from softswitch.transaction.throttle import Throttle
from softswitch.transport.layer import Destination
from softswitch.trunk.group import Trunk, Trunks, is_emergency
from softswitch.trunk.health import Gateway
from softswitch.trunk.limits import Direction
from softswitch.trunk.members import place_of
from softswitch.trunk.tolls import Outgoing, Refusal, Tolls

#: What a caller hears beside the status when no member of a trunk is up: the network is out of
#: order (ITU-T Q.850, RFC 3326).
OUT_OF_ORDER: Field = ("Reason", "Q.850;cause=38")

#: Seconds for which one call at a member that was out keeps the others away, at most.
PATIENCE = 32.0


class TrunkLeg(Protocol):
    """A leg, as far as a trunk counts it.

    :ivar peer: the trunk's name.
    :ivar member: address of its member; "" for none in particular.
    :ivar counts: under which limits; "" for none.
    :ivar toll: its run at whoever's expense; "" for none.
    """

    peer: str
    member: str
    counts: Literal["", "in", "out"]
    toll: str


@attrs.define
class Place:
    """What a call that is only forwarded takes up at a trunk, as a ``TrunkLeg``; plain data."""

    peer: str
    member: str = ""
    counts: Literal["", "in", "out"] = ""
    toll: str = ""


class Traffic:
    """The trunks, as calls see them.

    :ivar named: the trunk of a name; None for none.
    :ivar throttles: address of a neighbour -> how much it can bear by its own word, None where it
        is not asked; None where nobody is.
    :ivar tolls: who pays for calls, and whether he may; None where nobody asks.
    :param no_trunk_status: what a caller hears where no member of a trunk is up.
    """

    def __init__(
        self, trunks: Trunks, no_trunk_status: int = 500, tolls: Tolls | None = None
    ) -> None:
        self.throttles: Mapping[str, Throttle | None] | None = None
        self.tolls = tolls
        self.renew(trunks, no_trunk_status)

    def renew(self, trunks: Trunks, no_trunk_status: int) -> None:
        """The configuration has been read anew; calls that run are counted where they were."""
        self._trunks, self.no_trunk_status = trunks, no_trunk_status
        self.named = trunks.find

    def patience(self, target: Target, otherwise: float) -> float:
        """Seconds for which a target may be silent to INVITE."""
        trunk = self.named(target.trunk)
        own = None if trunk is None else trunk.try_seconds
        return otherwise if own is None else own

    def large_over_tcp(self, name: str | None) -> bool:
        """Whether what is too large for a datagram goes to a trunk over TCP; for whatever is none,
        it does."""
        trunk = self.named(name)
        return trunk is None or trunk.large_over_tcp

    # Limits.

    def over(
        self, name: str, direction: Direction, dialled: Callable[[], Iterable[str | None]]
    ) -> tuple[int, str] | None:
        """What one call more would meet: the status, and the limit as it stands in the record.

        :param dialled: the numbers by which an emergency call is known, which meets none.
        """
        trunk = self.named(name)
        if trunk is None or trunk.limits.unset:
            return None
        state = trunk.state
        if is_emergency(state.around.emergency, *dialled()):
            return None
        limit = state.load.over(trunk.limits, direction, state.around.now())
        return (trunk.limits.status, f"trunk {name}: {limit}") if limit else None

    def keeps_back(
        self, name: str | None, flow: Flow, dialled: Callable[[], Iterable[str | None]]
    ) -> bool:
        """Whether a new request is one of those that a trunk's member does not want for now, by its
        own word (RFC 7339).

        :param dialled: the numbers by which an emergency call is known, which goes out.
        """
        trunk = self.named(name)
        if trunk is None or self.throttles is None:
            return False
        throttle = self.throttles[flow.remote_host]
        if throttle is None or not throttle.keeps_back():
            return False
        return not is_emergency(trunk.state.around.emergency, *dialled())

    def charge(
        self,
        target: Target,
        host: str,
        dialled: tuple[str | None, str | None],
        who: Identity,
        forwarded_by: Sequence[str],
        call: str,
        counted: list[str],
    ) -> Refusal | str:
        """Have somebody pay for a call over a target's trunk, see ``Tolls.take``. A target that is
        at a trunk without naming it, as what a phone has redirected to, costs the same.

        :param host: address at which the target is; "" where it names its trunk.
        :param dialled: what was dialled, and the number that the trunk is told.
        :param who: has called.
        :param forwarded_by: URIs of those who have sent the call on, the last one first.
        """
        trunk = self.named(target.trunk) if target.trunk else self._trunks.at(host)
        if self.tolls is None or trunk is None:
            return ""
        if is_emergency(trunk.state.around.emergency, *dialled):
            return ""
        asked, told = dialled
        numbering, home = trunk.numbering, trunk.home
        out = Outgoing(
            who.kind, who.name, forwarded_by, call, told, asked, trunk.name, numbering, home
        )
        return self.tolls.take(out, counted)

    def bars(
        self, target: Target, host: str, dialled: tuple[str | None, str | None], who: Identity
    ) -> Refusal | None:
        """Why something that is no call may not go out to a target, see ``Tolls.bars``; the rest as
        in ``charge``."""
        trunk = self.named(target.trunk) if target.trunk else self._trunks.at(host)
        if self.tolls is None or trunk is None:
            return None
        if is_emergency(trunk.state.around.emergency, *dialled):
            return None
        asked, told = dialled
        numbering, home = trunk.numbering, trunk.home
        return self.tolls.bars(
            Outgoing(who.kind, who.name, (), "", told, asked, trunk.name, numbering, home)
        )

    def answered(self, toll: str) -> None:
        """Whoever was called at somebody's expense has answered; nothing where it is nobody's."""
        if toll and self.tolls is not None:
            self.tolls.answered(toll)

    def leg_began(self, leg: TrunkLeg, anew: bool = True) -> None:
        """A leg from or to a trunk has been made.

        :param anew: whether it is a call more, and does not go on as another leg before it.
        """
        trunk = self.named(leg.peer)
        if trunk is not None and leg.counts:
            state = trunk.state
            state.load.began(trunk.limits, leg.counts, state.around.now, anew)
            member = state.states.get(leg.member)
            if member is not None:
                member.calls += 1
                member.total += 1

    def leg_ended(self, leg: TrunkLeg) -> None:
        """It is gone."""
        if leg.toll and self.tolls is not None:
            self.tolls.ended(leg.toll)
        trunk = self.named(leg.peer)
        if trunk is not None and leg.counts:
            trunk.state.load.ended(leg.counts)
            member = trunk.state.states.get(leg.member)
            if member is not None and member.calls:
                member.calls -= 1
        leg.counts = ""

    def names_at(self, host: str) -> list[str]:
        """Names of the trunks to whose networks an address literal belongs."""
        return [trunk.name for trunk in self._trunks.sharing(host)]

    # Health.

    def is_out(self, target: Target) -> bool:
        """Whether a target is better left alone: its trunk's member is out."""
        trunk = self.named(target.trunk)
        return trunk is not None and not trunk.state.can_be_tried(target.member)

    def is_up(self, name: str) -> bool:
        """Whether any member of a trunk is up, as far as is known."""
        trunk = self.named(name)
        return trunk is None or trunk.state.is_up

    def places(
        self,
        target: Target,
        places: list[Destination],
        dialled: Callable[[], Iterable[str | None]],
    ) -> list[Destination]:
        """Those to which a target leads without those that are out, unless all are; an emergency
        call has them come last."""
        trunk = self.named(target.trunk)
        if trunk is None or (len(places) < 2 and not target.member):
            return places
        state = trunk.state
        state.resolved(target.member, places)
        if len(places) < 2:
            return places
        usable = [each for each in places if state.can_be_tried_at(target.member, each)]
        if is_emergency(state.around.emergency, *dialled()):
            usable += [each for each in places if each not in usable]
        return usable or places

    def tried(self, target: Target, flow: Flow) -> None:
        """A call goes to a target."""
        trunk, gateway = self._gateway(target, flow)
        if trunk is not None and gateway is not None:
            gateway.tried(trunk.health, trunk.state.around.now(), PATIENCE)

    def heard(self, target: Target, flow: Flow | None) -> None:
        """A target says something."""
        _, gateway = self._gateway(target, flow)
        if gateway is not None:
            gateway.heard()

    def refused(
        self, target: Target, flow: Flow | None, status: int, response: Response | None
    ) -> None:
        """A call has come to nothing at a target, which may have said so itself."""
        if response is None and status in (408, 503):
            self.failed(target, flow, "silent" if status == 408 else "cannot be reached")
        elif response is not None and status == 503:
            self.failed(target, flow, "503", retry_after(response))
        elif response is not None:
            self.heard(target, flow)

    def failed(
        self, target: Target, flow: Flow | None, why: str, seconds: float | None = None
    ) -> None:
        """A target cannot take calls.

        :param seconds: for so long, as it said itself.
        """
        trunk, gateway = self._gateway(target, flow)
        if trunk is not None and gateway is not None:
            gateway.failed(trunk.health, trunk.state.around.now(), why, seconds)

    def outages(self, name: str) -> int:
        """How often members of a trunk have gone out."""
        trunk = self.named(name)
        states = () if trunk is None else trunk.state.states.values()
        return sum(each.failures for state in states for each in state.gateways.values())

    @property
    def names(self) -> list[str]:
        """Of all trunks."""
        return [trunk.name for trunk in self._trunks]

    def figures(self) -> dict[str, Any]:
        """For an operator: each trunk's."""
        return {trunk.name: trunk.state.figures() for trunk in self._trunks}

    def _gateway(self, target: Target, flow: Flow | None) -> tuple[Trunk | None, Gateway | None]:
        trunk = self.named(target.trunk)
        if trunk is None:
            return None, None
        return trunk, trunk.state.gateway(target.member, place_of(flow))


def retry_after(response: Response) -> float | None:
    """Seconds that a Retry-After asks for, comment and parameters apart (RFC 3261 20.33); None
    where there is none that can be read."""
    value = (response.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
    return float(seconds(value)) if value.isascii() and value.isdigit() else None
