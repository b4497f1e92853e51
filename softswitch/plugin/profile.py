"""How a peer is treated within a call: what passes, what ends here, what is refused. Pure.

A profile belongs to a trunk or a user group; each leg of a call has one. The configuration's
``[dialog]`` table is the profile of everybody, ``[trunks.NAME.dialog]`` and
``[groups.NAME.dialog]`` say where somebody differs, and a policy may override single cells for a
call (``Route.dialog``, ``Target.dialog``).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import attrs

from softswitch.plugin.media import MediaProfile
from softswitch.plugin.numbering import PLAIN, Numbering
from softswitch.sdp.codecs import EVENTS, Codecs
from softswitch.sdp.early import OFFERABLE
from softswitch.settings import NOT_IN_FILE
from softswitch.sip.fields import TOKEN
from softswitch.sip.names import canonical

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
    "Recv-Info",
    "Warning",
    "X-*",
)


#: Fields that belong to the transaction, the dialog, the body or authentication, lower case.
RESERVED: Final = frozenset(
    (
        *("via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "timestamp"),
        *("route", "record-route", "path", "service-route"),
        *("content-length", "content-type", "content-encoding", "content-disposition"),
        *("authorization", "www-authenticate", "authentication-info"),
        *("proxy-authorization", "proxy-authenticate", "proxy-authentication-info"),
        *("require", "proxy-require", "supported", "unsupported", "allow", "rack", "rseq"),
        *("replaces", "expires", "min-expires", "session-expires", "min-se"),
    )
)

#: Fields that have a rule of their own for when they cross, or are ours on each leg, lower case.
RULED: Final = frozenset(
    (
        *("p-asserted-identity", "p-preferred-identity", "remote-party-id", "privacy"),
        *("identity", "identity-info", "date", "diversion", "history-info"),
        *("content-language", "content-transfer-encoding", "mime-version"),
        *("user-agent", "server", "retry-after", "subscription-state", "event", "session-id"),
    )
)

_NAME: Final = re.compile(rf"{TOKEN}|\*")


class Crossing(dict[str, bool]):
    """Which header fields cross: a field's name -> whether it does, found out once for each name.

    Every field of every message is asked about, so the answer has to cost a look into a dict.

    :param names: as in ``Profile.crossing``, in any case.
    """

    __slots__ = ("_names", "_prefixes")

    #: Names that are remembered; the rest of what strangers think up is worked out each time.
    LIMIT = 1024

    def __init__(self, names: Iterable[str]) -> None:
        lower = [canonical(name).lower() for name in names]
        self._names = frozenset(name for name in lower if not name.endswith("*"))
        self._prefixes = tuple(name[:-1] for name in lower if name.endswith("*"))

    def __missing__(self, name: str) -> bool:
        lower = name.lower()
        listed = lower in self._names or lower.startswith(self._prefixes)
        crosses = listed and lower not in RESERVED and lower not in RULED
        if len(self) < self.LIMIT:
            self[name] = crosses
        return crosses


def _media_profile(cells: "MediaProfile | Mapping[str, Any] | None") -> MediaProfile | None:
    """What a policy has written as a mapping, as what it means."""
    if cells is None or isinstance(cells, MediaProfile):
        return cells
    listed: dict[str, Any] = dict(cells)
    listed["transcode"] = tuple(listed.get("transcode", ()))
    return MediaProfile(**listed)


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
        them; "X-*" stands for every name that begins so. What is in ``RESERVED`` or ``RULED`` is
        never among them.
    :ivar crosses: ``crossing``, ready to be asked.
    :ivar codecs: what it may be offered, in this order, and may offer and answer: names such as
        "PCMA", or "video/H264"; empty for all. Media of which nothing is listed are left alone, and
        telephone-event stays, unless "-telephone-event" is listed.
    :ivar late_offer: how this peer gets an INVITE without a session description: as it came
        ("relay"), or with an offer of ours ("offer"), where a relay carries the media.
    :ivar offer_codecs: what that offer has: keys of ``sdp.early.OFFERABLE``, in this order.
    :ivar media: whether the media engine carries what this peer sends and hears ("engine"), or each
        side's session description reaches the other untouched, whether we can read it or not
        ("bypass").
    :ivar trusted: whether P-Asserted-Identity is believed and told (RFC 3325).
    :ivar connected: how this peer is told who it talks to after a transfer or a pick-up, or where
        its call was forwarded: "pai", "rpid", or "none".
    :ivar challenges: what becomes of this peer's 401 or 407 to what crosses to it: "answer" has it
        answered with its trunk's credentials, "pass" takes it to whoever sent the request, whose
        credentials then cross to this peer.
    :ivar believes: where a trusted peer says who calls, the first that says something: "pai"
        (P-Asserted-Identity), "rpid" (Remote-Party-ID), "from"; None for "pai", and "rpid" where
        ``connected`` is that. ``believed`` is what comes of it.
    :ivar asserts: how a trusted peer is told who calls, in each of these ways: "pai", "rpid"; None
        for the one that ``connected`` says, else "pai". ``told`` is what comes of it.
    :ivar clir: how a trusted peer hears that a caller withholds his number: "privacy" by Privacy
        (or in Remote-Party-ID), "anonymous" by an anonymous From, too.
    :ivar diversion: how this peer is told by whom a call was forwarded: Diversion (RFC 5806),
        History-Info (RFC 7044), "both" or "none".
    :ivar numbering: how this peer writes numbers.
    :ivar verstat: where this peer is told whether a caller's number was verified (RFC 8224), if it
        is trusted: "pai" in P-Asserted-Identity, "from" in From; empty for nowhere.
    :ivar wants: what it wants its media to be; None for plain RTP. A policy that overrides it gives
        a mapping: ``{"wants": {"profile": "webrtc"}}``.
    :ivar transfer_hears: what this peer hears while it is transferred: "ringback" has the relay
        send what the target sends early, "hold" leaves it as it was until the answer.
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
    codecs: tuple[str, ...] = ()
    late_offer: Literal["relay", "offer"] = "relay"
    offer_codecs: tuple[str, ...] = ("PCMA", "PCMU", "telephone-event")
    media: Literal["engine", "bypass"] = "engine"
    trusted: bool = False
    connected: Literal["pai", "rpid", "none"] = "none"
    challenges: Literal["answer", "pass"] = "answer"
    believes: tuple[Literal["pai", "rpid", "from"], ...] | None = None
    asserts: tuple[Literal["pai", "rpid"], ...] | None = None
    clir: Literal["privacy", "anonymous"] = "privacy"
    diversion: Literal["both", "diversion", "history", "none"] = "both"
    transfer_hears: Literal["ringback", "hold"] = "ringback"
    verstat: tuple[Literal["pai", "from"], ...] = ("pai",)
    numbering: Numbering = attrs.field(default=PLAIN, metadata=NOT_IN_FILE)
    wants: MediaProfile | None = attrs.field(
        default=None, metadata=NOT_IN_FILE, converter=_media_profile
    )
    believed: tuple[str, ...] = attrs.field(init=False, eq=False, repr=False)
    told: tuple[str, ...] = attrs.field(init=False, eq=False, repr=False)
    crosses: Crossing = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(lambda profile: Crossing(profile.crossing), takes_self=True),
    )

    @believed.default
    def _believed(self) -> tuple[str, ...]:
        if not self.trusted:
            return ()
        usual = ("pai", "rpid") if self.connected == "rpid" else ("pai",)
        return usual if self.believes is None else self.believes

    @told.default
    def _told(self) -> tuple[str, ...]:
        if not self.trusted:
            return ()
        usual = "rpid" if self.connected == "rpid" else "pai"
        return (usual,) if self.asserts is None else self.asserts

    def __attrs_post_init__(self) -> None:
        """:raises ValueError: says which cell cannot hold what it does."""
        if self.min_se < 90:
            raise ValueError("min_se: 90 seconds or more are wanted")
        if self.session_expires and self.session_expires < self.min_se:
            raise ValueError(f"session_expires: 0, or at least min_se ({self.min_se}), is wanted")
        if self.probe_seconds < 0:
            raise ValueError("probe_seconds: a number of seconds, 0 or more, is wanted")
        try:
            Codecs.read(self.codecs)
        except ValueError as error:
            raise ValueError(f"codecs: {error}") from None
        for name in self.offer_codecs:
            if name.upper() not in OFFERABLE:
                known = ", ".join(OFFERABLE)
                raise ValueError(f"offer_codecs: one of {known} is wanted, not {name!r}")
        if not {name.upper() for name in self.offer_codecs} - {EVENTS}:
            raise ValueError("offer_codecs: at least one codec for voice is wanted")
        for name in self.crossing:
            lower = canonical(name).lower()
            if not _NAME.fullmatch(name):
                raise ValueError("crossing: names of header fields are wanted")
            if lower in RESERVED or lower in RULED:
                raise ValueError(f"crossing: whether {canonical(name)} crosses is not on this list")

    def changed(self, cells: Mapping[str, Any]) -> "Profile":
        """This profile with some cells overridden.

        :raises TypeError: there is no such cell.
        :raises ValueError: a cell cannot hold that.
        """
        return attrs.evolve(self, **cells) if cells else self


#: The profile of whoever has none of its own.
DEFAULT = Profile()
