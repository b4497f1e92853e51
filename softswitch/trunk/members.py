"""The members of one trunk while the switch runs: which can be used, what they carry. Pure."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import attrs

from softswitch.flow import Flow, usual_port
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host, is_address
from softswitch.transport.layer import Destination
from softswitch.trunk.health import Gateway, HealthSettings, State
from softswitch.trunk.limits import Load
from softswitch.trunk.selection import Key, Member, Method, ordered


@attrs.define
class Surroundings:
    """What all trunks of a switch share.

    :ivar now: the clock, seconds.
    :ivar random: for choices by chance.
    :ivar emergency: numbers that no limit and no failed check keeps back.
    """

    now: Callable[[], float] = lambda: 0.0
    random: Random = attrs.Factory(Random)
    emergency: frozenset[str] = frozenset()


@attrs.define
class MemberState:
    """What is known of one member.

    :ivar gateways: its addresses, without what a certificate must bear there; under None the name,
        while it leads nowhere. Empty while nobody has asked where a name leads.
    :ivar calls: to it, at once.
    :ivar total: calls to it since the start.
    :ivar barred: whether the operator has taken it out.
    """

    gateways: dict[Destination | None, Gateway]
    calls: int = 0
    total: int = 0
    barred: bool = False


class Members:
    """The members of a trunk, in the order in which to try them.

    :ivar around: what all trunks share.
    :ivar load: what the trunk carries.
    :ivar states: address of a member -> what is known of it.
    """

    def __init__(
        self,
        members: Sequence[Member],
        transport: str,
        method: Method,
        key: Key,
        health: HealthSettings,
    ) -> None:
        self.around = Surroundings()
        self.load = Load()
        self.states: dict[str, MemberState] = {}
        self._members = members
        self._method: Method = method
        self._key = key
        self._health = health
        self._turn = 0
        for member in members:
            place = destination(member, transport)
            gateways: dict[Destination | None, Gateway] = (
                {} if place is None else {place: Gateway()}
            )
            self.states[member.address] = MemberState(gateways)

    @property
    def is_up(self) -> bool:
        """Whether any of them is known to be well, or not known at all."""
        return any(
            not state.gateways or any(each.state is State.UP for each in state.gateways.values())
            for state in self.states.values()
            if not state.barred
        )

    def order(self, number: str, invite: Any, every: bool) -> list[Member]:
        """Those that can be used, the first one first.

        :param number: that is dialled.
        :param invite: the caller's, a ``RequestView``; None where there is none.
        :param every: have those that are out come last, rather than leave them out.
        """
        usable = [each for each in self._members if self.can_be_tried(each.address)]
        usable = usable or [each for each in self._members if self._is_doubted(each.address)]
        found = usable
        if len(usable) > 1 and self._method != "priority":
            turn, self._turn = self._turn, self._turn + 1
            found = self._ordered(usable, turn, number, invite)
        elif len(usable) > 1:
            found = sorted(usable, key=lambda member: member.priority)
        if every:
            found = [*found, *(each for each in self._members if each not in usable)]
        return found

    def can_be_tried(self, address: str) -> bool:
        """Whether a call may go to a member now."""
        state = self.states.get(address)
        if state is None:
            return True
        if state.barred or not state.gateways:
            return not state.barred
        for gateway in state.gateways.values():
            if gateway.state is State.UP:
                return True
        now, health = self.around.now(), self._health
        return any(each.can_be_tried(health, now) for each in state.gateways.values())

    def _is_doubted(self, address: str) -> bool:
        """Whether a call may go to a member where nobody else is up."""
        state = self.states[address]
        return not state.barred and any(each.doubted for each in state.gateways.values())

    def can_be_tried_at(self, address: str, place: Destination) -> bool:
        """Whether a call may go to a member at one of its addresses now."""
        gateway = self.gateway(address, place)
        return gateway is None or gateway.can_be_tried(self._health, self.around.now())

    def gateway(self, address: str, place: Destination | None) -> Gateway | None:
        """What is known of an address of a member; None where it belongs to no member.

        :param address: the member's; "" for whichever has that address.
        :param place: None for nowhere.
        """
        if place is not None and place.name:
            place = place._replace(name="")
        state = self.states.get(address)
        if state is not None:
            gateway = state.gateways.get(place)
            if gateway is None:
                gateway = state.gateways[place] = Gateway()
            return gateway
        for state in self.states.values() if place is not None else ():
            if place in state.gateways:
                return state.gateways[place]
        return None

    def resolved(self, address: str, places: Sequence[Destination]) -> None:
        """A member's name leads there now; what it led to before is forgotten. Where it leads
        nowhere, all is as it was: it may be the resolver's fault."""
        if places and places[0].name:
            places = [each._replace(name="") for each in places]
        state, found = self.states.get(address), set(places)
        if state is not None and found and found != state.gateways.keys():
            known = state.gateways
            state.gateways = {place: known.get(place) or Gateway() for place in places}

    def inherit(self, older: "Members") -> None:
        """What is known of those that stay goes on when the configuration is read anew."""
        self.load = older.load
        for address, state in older.states.items():
            if address in self.states:
                mine, theirs = self.states[address], state.gateways
                mine.calls, mine.total, mine.barred = state.calls, state.total, state.barred
                known = {each: theirs.get(each, new) for each, new in mine.gateways.items()}
                mine.gateways = known or theirs

    def figures(self) -> dict[str, Any]:
        """For an operator: what the trunk carries, and how its members are."""
        now, load = self.around.now(), self.load
        return {
            "calls_in": load.now["in"],
            "calls_out": load.now["out"],
            "total_in": load.total["in"],
            "total_out": load.total["out"],
            "refused": dict(load.refused),
            "members": {
                address: {
                    "up": self.can_be_tried(address),
                    "barred": state.barred,
                    "calls": state.calls,
                    "total": state.total,
                    "gateways": {
                        _shown(place): _state_of(gateway, now)
                        for place, gateway in state.gateways.items()
                    },
                }
                for address, state in self.states.items()
            },
        }

    def _ordered(self, members: list[Member], turn: int, number: str, invite: Any) -> list[Member]:
        return ordered(
            members,
            self._method,
            turn=turn,
            busy=lambda member: self.states[member.address].calls,
            key=self._sticks_by(number, invite),
            random=self.around.random,
        )

    def _sticks_by(self, number: str, invite: Any) -> str:
        """What makes a call stick; the number where the caller is not known."""
        if self._method != "sticky" or self._key == "called" or invite is None:
            return number
        if self._key == "call-id":
            return str(invite.call_id)
        return str(invite.from_.uri.user or invite.from_.uri.host)


def destination(member: Member, transport: str) -> Destination | None:
    """Where a member is, if its address says so; None for a name.

    :param transport: the trunk's.
    """
    uri = Uri.parse(f"sip:{member.address}")
    host = canonical_host(uri.host)
    if not is_address(host):
        return None
    transport = (member.transport or transport).upper()
    return Destination(transport, host, uri.port or usual_port(transport))


def place_of(flow: Flow | None) -> Destination | None:
    """Where a flow leads."""
    return None if flow is None else Destination(flow.transport, flow.remote_host, flow.remote_port)


def _shown(place: Destination | None) -> str:
    if place is None:
        return "nowhere"
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"{place.transport.lower()}:{host}:{place.port}"


def _state_of(gateway: Gateway, now: float) -> Mapping[str, Any]:
    return {
        "state": str(gateway.state),
        "seconds_left": round(max(0.0, gateway.until - now), 1),
        "failures": gateway.failures,
        "why": gateway.why,
    }
