"""The bans of the switch's door: listed, made, lifted. Pure."""

from collections.abc import Iterable

import attrs

from softswitch.api.body import reader
from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation, Parameter
from softswitch.api.paging import PAGING, page, read_cursor
from softswitch.api.problem import ProblemError
from softswitch.api.shapes import BanPage, BanShown, ban_shown
from softswitch.transport.bans import Ban
from softswitch.transport.networks import network_of

#: Characters of the reason of a ban.
LONGEST = 200


@attrs.frozen
class BanWish:
    """A ban that is wanted.

    :ivar network: an address, or a network in CIDR notation.
    :ivar seconds: for how long; null for ever.
    :ivar why: a few words for the list and the log.
    """

    network: str
    seconds: float | None = None
    why: str = "by hand"


class Bans:
    """The operations on bans."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1/bans"
        return (
            Operation(
                "list_bans",
                "GET",
                path,
                "The networks from which nothing is taken.",
                self.all,
                answers={200: BanPage},
                parameters=(
                    Parameter(
                        "by", "only bans made so", choices=("score", "command", "configuration")
                    ),
                    *PAGING,
                ),
            ),
            Operation(
                "add_ban",
                "POST",
                path,
                "Ban an address or a network, in the place of a ban that it has.",
                self.add,
                "operate",
                answers={201: BanShown},
                refusals=(409,),
                body=BanWish,
                read=reader(BanWish),
            ),
            Operation(
                "lift_ban",
                "DELETE",
                f"{path}/{{network}}",
                "End the ban of exactly this network before its time.",
                self.lift,
                "operate",
                answers={204: None},
                refusals=(404,),
            ),
        )

    def all(self, asked: Asked) -> Answer:
        """See ``operations``."""
        bans, query = self._house.transport.door.bans, asked.query
        after = read_cursor(query["cursor"], str, str)
        by = query["by"]
        found = (each for each in bans if by is None or each.by == by)
        chosen, more = page(found, _key, query["limit"], after)
        return Answer(body=BanPage([ban_shown(each) for each in chosen], more, len(bans)))

    def add(self, asked: Asked) -> Answer:
        """See ``operations``."""
        wish: BanWish = asked.body
        if wish.seconds is not None and not 0 < wish.seconds < 1e10:
            raise ProblemError(400, "more than 0 seconds are wanted, or null", "seconds")
        why = " ".join(wish.why.split())
        if not why.isprintable() or not 1 <= len(why) <= LONGEST:
            raise ProblemError(400, f"1 to {LONGEST} printable characters are wanted", "why")
        try:
            ban = self._house.transport.door.ban(wish.network, wish.seconds, why)
        except ValueError:
            wanted = "an address or a network such as 192.0.2.0/24 is wanted"
            raise ProblemError(400, wanted, "network") from None
        if ban is None:
            raise ProblemError(409, "it is trusted: a trunk's, or in door.trusted", "network")
        return Answer(201, ban_shown(ban))

    def lift(self, asked: Asked) -> Answer:
        """See ``operations``."""
        try:
            lifted = self._house.transport.door.lift(str(network_of(asked.path["network"])))
        except ValueError:
            lifted = None
        if lifted is None:
            raise ProblemError(404, "exactly this network is not banned", "network")
        return Answer(204)


def _key(ban: Ban) -> list[str]:
    return [ban.network, ban.by]
