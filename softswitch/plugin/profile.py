"""How a peer is treated within a call: what passes, what ends here, what is refused. Pure.

A profile belongs to a trunk or a user group; each leg of a call has one. The configuration's
``[dialog]`` table is the profile of everybody, ``[trunks.NAME.dialog]`` and
``[groups.NAME.dialog]`` say where somebody differs, and a policy may override single cells for a
call (``Route.dialog``, ``Target.dialog``).
"""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

#: Header fields that cross by default, with every X- field besides.
CROSSING = (
    "Reason",
    "Alert-Info",
    "Call-Info",
    "Subject",
    "Priority",
    "User-to-User",
    "Answer-Mode",
    "Geolocation",
    "Warning",
    "X-*",
)


@attrs.frozen
class Profile:
    """One peer's in-dialog table and what belongs to it.

    The cells speak of requests that come *from* this peer, but for ``connected`` and the like.

    :ivar reinvite: re-INVITE: relay, or refuse (488).
    :ivar update: UPDATE with an offer: relay (as UPDATE, or as re-INVITE where the far peer has
        none: translate does that always), or refuse (488).
    :ivar refer: REFER: end (we transfer), relay, or refuse (603).
    :ivar info: INFO: relay or refuse (415), or end (200, and nothing happens).
    :ivar message: MESSAGE within a call, likewise (refused with 405).
    :ivar options: OPTIONS within a call: end (200) or relay.
    :ivar reliable: provisional responses sent reliably (RFC 3262) to this caller, besides where it
        requires that: "supported" all of them where it can, "sdp" those with a description,
        "never" none; "never" also means that this callee is not told that we could.
    :ivar early: To tags that this caller sees of several callees: "one" for all, or "each" its own.
    :ivar session_timers: RFC 4028: end (negotiated on this leg by itself) or refuse (none).
    :ivar session_expires: seconds that we ask for; 0 to leave it to the peer.
    :ivar min_se: the least interval that we accept, seconds (RFC 4028 5).
    :ivar refresher: who refreshes where we may choose.
    :ivar probe_seconds: OPTIONS within the dialog so often, where no session timer runs; 0 never.
    :ivar crossing: names of header fields that leave for this peer when the other side has sent
        them; "X-*" stands for every name that begins so.
    :ivar trusted: whether P-Asserted-Identity is believed and told (RFC 3325).
    :ivar connected: how this peer is told who it talks to after a transfer or a pick-up:
        "pai", "rpid", or "none".
    :ivar transfer_hears: what a transferee hears meanwhile: "ringback" has the relay send what the
        target sends early, "hold" leaves it as it is.
    """

    reinvite: Literal["relay", "refuse"] = "relay"
    update: Literal["relay", "translate", "refuse"] = "relay"
    refer: Literal["relay", "end", "refuse"] = "end"
    info: Literal["relay", "end", "refuse"] = "relay"
    message: Literal["relay", "end", "refuse"] = "relay"
    options: Literal["relay", "end", "refuse"] = "end"
    reliable: Literal["supported", "sdp", "never"] = "sdp"
    early: Literal["one", "each"] = "one"
    session_timers: Literal["end", "refuse"] = "end"
    session_expires: int = 0
    min_se: int = 90
    refresher: Literal["us", "peer"] = "us"
    probe_seconds: float = 0.0
    crossing: tuple[str, ...] = CROSSING
    trusted: bool = False
    connected: Literal["pai", "rpid", "none"] = "none"
    transfer_hears: Literal["ringback", "hold"] = "ringback"

    def changed(self, cells: Mapping[str, Any]) -> "Profile":
        """This profile with some cells overridden.

        :raises TypeError: there is no such cell.
        """
        return attrs.evolve(self, **cells) if cells else self


#: The profile of whoever has none of its own.
DEFAULT = Profile()
