"""The trunks: how they are, and whether the operator lets calls go out on them. Pure."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import attrs

from softswitch.api.body import reader
from softswitch.api.calls import HUNG_UP, STATUS
from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation
from softswitch.api.paging import PAGING, page, read_cursor
from softswitch.api.problem import ProblemError
from softswitch.api.shapes import utc
from softswitch.trunk.members import MemberState


@attrs.frozen
class GatewayShown:
    """An address of a member.

    :ivar address: as "udp:192.0.2.1:5060"; "nowhere" where a name leads to none.
    :ivar state: "up", "out", or "tried" while one call tries whether it is back.
    :ivar seconds_left: for which it is left alone.
    :ivar failures: how often it has gone out.
    :ivar why: what took it out last; "" for nothing yet.
    """

    address: str
    state: str
    seconds_left: float
    failures: int
    why: str


@attrs.frozen
class MemberShown:
    """A member of a trunk.

    :ivar address: as in the configuration.
    :ivar up: whether calls go to it.
    :ivar taken_out: whether the operator has taken it out.
    :ivar calls: to it now.
    :ivar total: calls to it since the start.
    :ivar gateways: its addresses, as far as anybody has asked for them.
    """

    address: str
    up: bool
    taken_out: bool
    calls: int
    total: int
    gateways: list[GatewayShown]


@attrs.frozen
class UpstreamShown:
    """A registration of ours at a trunk.

    :ivar registrar: at which.
    :ivar address: where it was reached last; "" before.
    :ivar state: how far it has come.
    :ivar status: what it answered last; 0 for nothing yet.
    :ivar reason: its phrase.
    :ivar failures: in a row.
    :ivar expires_at: when it ends there; null for none.
    """

    registrar: str
    address: str
    state: str
    status: int
    reason: str
    failures: int
    expires_at: str | None


@attrs.frozen
class TrunkShown:
    """A trunk.

    :ivar name: in the configuration.
    :ivar up: whether any member takes calls.
    :ivar calls_in: from it now.
    :ivar calls_out: to it now.
    :ivar total_in: from it since the start.
    :ivar total_out: to it since the start.
    :ivar refused: limit -> calls that were turned away by it.
    :ivar members: its gateways.
    :ivar registrations: ours at it.
    """

    name: str
    up: bool
    calls_in: int
    calls_out: int
    total_in: int
    total_out: int
    refused: dict[str, int]
    members: list[MemberShown]
    registrations: list[UpstreamShown]


@attrs.frozen
class TrunkPage:
    """A page of trunks, by name.

    :ivar trunks: of the page.
    :ivar next: cursor of the next page; null for none.
    :ivar total: all trunks.
    """

    trunks: list[TrunkShown]
    next: str | None
    total: int


@attrs.frozen
class TakeOut:
    """What is to be taken out.

    :ivar member: address of one member, as in the configuration; null for all of them.
    :ivar graceful: whether the calls that go on there may end by themselves.
    """

    member: str | None = None
    graceful: bool = True


@attrs.frozen
class PutBack:
    """What is to be put back.

    :ivar member: address of one member, as in the configuration; null for all of them.
    """

    member: str | None = None


class TrunkOperations:
    """The operations on trunks."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1/trunks"
        change: Mapping[str, Any] = {
            "method": "POST",
            "role": "operate",
            "answers": {200: TrunkShown},
            "refusals": (404, 409),
        }
        return (
            Operation(
                "list_trunks",
                "GET",
                path,
                "The trunks: what they carry, how their members are.",
                self.all,
                answers={200: TrunkPage},
                parameters=PAGING,
            ),
            Operation(
                "show_trunk",
                "GET",
                f"{path}/{{name}}",
                "One trunk.",
                lambda asked: Answer(body=self._shown(asked.path["name"])),
                answers={200: TrunkShown},
                refusals=(404,),
            ),
            Operation(
                "take_out",
                path=f"{path}/{{name}}/out",
                about="Send no new calls to a trunk, or to one member, until it is put back or the"
                " switch starts anew. An emergency call goes there where nobody else is.",
                handle=partial(self.bar, barred=True),
                body=TakeOut,
                read=reader(TakeOut),
                **change,
            ),
            Operation(
                "put_back",
                path=f"{path}/{{name}}/back",
                about="Let calls go again to what was taken out.",
                handle=partial(self.bar, barred=False),
                body=PutBack,
                read=reader(PutBack),
                **change,
            ),
        )

    def all(self, asked: Asked) -> Answer:
        """See ``operations``."""
        names = self._house.traffic.names
        after = read_cursor(asked.query["cursor"], str)
        chosen, more = page(names, lambda name: [name], asked.query["limit"], after)
        shown = [self._shown(name) for name in chosen]
        return Answer(body=TrunkPage(shown, more, len(names)))

    def bar(self, asked: Asked, barred: bool) -> Answer:
        """See ``operations``."""
        name, wish = asked.path["name"], asked.body
        states = self._states(name)
        if wish.member is not None and wish.member not in states:
            raise ProblemError(404, f"its members are {', '.join(states)}", "member")
        if not states:
            raise ProblemError(409, "it has no members: it registers to us", "name")
        chosen = [wish.member] if wish.member is not None else list(states)
        for address in chosen:
            states[address].barred = barred
        if isinstance(wish, TakeOut) and not wish.graceful:
            self._hang_up(name, chosen)
        return Answer(body=self._shown(name))

    def _hang_up(self, name: str, members: Iterable[str]) -> None:
        """End the calls that go out to some members of a trunk."""
        for call in list(self._house.switch.calls.values()):
            legs = call.data.legs.values()
            if any(
                leg.counts == "out" and leg.peer == name and leg.member in members for leg in legs
            ):
                call.shut(HUNG_UP, STATUS)

    def _states(self, name: str) -> Mapping[str, MemberState]:
        """What is known of a trunk's members.

        :raises ProblemError: 404.
        """
        trunk = self._house.traffic.named(name)
        if trunk is None:
            raise ProblemError(404, "the configuration has no trunk of this name", "name")
        return trunk.state.states

    def _shown(self, name: str) -> TrunkShown:
        self._states(name)
        trunk = self._house.traffic.named(name)
        assert trunk is not None
        figures = trunk.state.figures()
        members = [_member(*each) for each in figures["members"].items()]
        registered = self._house.upstream.figures()
        return TrunkShown(
            name,
            trunk.pbx is not None or any(each.up for each in members),
            figures["calls_in"],
            figures["calls_out"],
            figures["total_in"],
            figures["total_out"],
            figures["refused"],
            members,
            [_upstream(each) for each in registered if each["trunk"] == name],
        )


def _member(address: str, figures: Mapping[str, Any]) -> MemberShown:
    gateways = [
        GatewayShown(place, each["state"], each["seconds_left"], each["failures"], each["why"])
        for place, each in figures["gateways"].items()
    ]
    return MemberShown(
        address, figures["up"], figures["barred"], figures["calls"], figures["total"], gateways
    )


def _upstream(figures: Mapping[str, Any]) -> UpstreamShown:
    return UpstreamShown(
        figures["registrar"],
        figures["address"],
        figures["state"],
        figures["status"],
        figures["reason"],
        figures["failures"],
        utc(figures["expires_at"]) if figures["expires_at"] else None,
    )
