"""What crosses a bridge, step by step: the data, and whom the bridge tells. Pure.

``bridge`` does what stands here.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

import attrs

from softswitch.b2bua.bodies import SDP, Located
from softswitch.sip.message import Field

if TYPE_CHECKING:
    from softswitch.b2bua.bridge import Bridge

#: A re-INVITE that has no final answer by then has none. It is longer than timer B, which finds a
#: peer that says nothing at all: that one is gone, and so is the call (RFC 3261 12.2.1.2).
RENEGOTIATION_SECONDS = 40.0

#: The same of what was asked for by UPDATE or PRACK: whose sender hears nothing for 32 seconds
#: believes us dead (RFC 3261 17.1.2.2, 12.2.1.2).
UPDATE_SECONDS = 28.0

#: Offers that we make of our own accord until what both sides hold to fits, or is left alone.
OFFERS = 2

#: Says that a body is a session description.
DESCRIBED: Field = ("Content-Type", SDP)


class Kind(StrEnum):
    """What a step does to the leg that it reaches; "settle" nothing, for only the media engine is
    told."""

    INVITE = "invite"
    PROVISIONAL = "provisional"
    ACCEPT = "accept"
    ACKNOWLEDGE = "acknowledge"
    UPDATE = "update"
    PRACK = "prack"
    SETTLE = "settle"


#: Steps whose description may be an answer that repeats another.
ANSWERS = frozenset((Kind.PROVISIONAL, Kind.ACCEPT))


class Asked(StrEnum):
    """By what a leg asked for a re-negotiation, and is to be answered."""

    INVITE = "INVITE"
    UPDATE = "UPDATE"
    PRACK = "PRACK"


@attrs.define
class Step:
    """One message that crosses; plain data.

    :ivar kind: what is to be done.
    :ivar source: name of the leg it comes from.
    :ivar status: of a response, 0 for a request.
    :ivar reason: phrase of a response.
    :ivar fields: header fields that cross.
    :ivar body: as received.
    :ivar located: the session description in it; None without one.
    :ivar max_forwards: for an INVITE.
    :ivar tag: our To tag in a response, where the caller sees one for each callee; else "".
    :ivar method: of the request, or of the one that the response answers.
    """

    kind: Kind
    source: str
    status: int = 0
    reason: str = ""
    fields: list[Field] = attrs.Factory(list)
    body: bytes = b""
    located: Located | None = None
    max_forwards: int = 70
    tag: str = ""
    method: str = "INVITE"

    @classmethod
    def of_sdp(
        cls,
        kind: Kind,
        source: str,
        sdp: bytes,
        fields: Sequence[Field] = (),
        max_forwards: int = 70,
    ) -> Self:
        """A step that nobody's message has caused.

        :param sdp: empty for none.
        """
        located = Located(SDP, sdp) if sdp else None
        described = [("Content-Type", SDP)] if sdp else []
        return cls(
            kind,
            source,
            fields=[*fields, *described],
            body=sdp,
            located=located,
            max_forwards=max_forwards,
        )


@attrs.define
class MadeOffer:
    """An offer that we have made for a leg that made none; plain data.

    :ivar leg: name of the leg in whose name we did.
    :ivar answer: what the other has answered; empty before.
    """

    leg: str
    answer: bytes = b""


@attrs.define
class BridgeData:
    """What a bridge knows; plain data.

    :ivar session: name of the call's media session.
    :ivar a: name of the leg on the near side, the caller's or a transferee's.
    :ivar b: name of the leg on the far side.
    :ivar answered: whether a first 2xx has crossed.
    :ivar offerer: name of the leg whose offer awaits an answer; "" when none does.
    :ivar settled: whether offer and answer of the first INVITE are done and replaced before its
        2xx, so that what its responses still describe does not count.
    :ivar prack_tag: To tag of the provisional response whose offer the caller's PRACK answers.
    :ivar made: the offer of ours, until what it comes to is agreed; None for none.
    :ivar inviter: name of the leg that re-negotiates; "" when none does.
    :ivar asked: by what it asked.
    :ivar offers: how many offers of ours followed each other without anybody's asking.
    :ivar misfit: whether a leg holds to an answer that does not fit what the other does by now.
    :ivar anew: names of the legs that are to be offered anew what the other holds to, since what
        carried the media is gone; the first one is being offered it, or will be next.
    :ivar steps: what is to cross, the first one being asked about.
    :ivar token: of the question that the first step waits for; 0 when it waits for nothing.
    :ivar questions: how many there have been.
    """

    session: str
    a: str
    b: str
    answered: bool = False
    offerer: str = ""
    settled: bool = False
    prack_tag: str = ""
    made: MadeOffer | None = None
    inviter: str = ""
    asked: Asked = Asked.INVITE
    offers: int = 0
    misfit: bool = False
    anew: list[str] = attrs.Factory(list)
    steps: list[Step] = attrs.Factory(list)
    token: int = 0
    questions: int = 0


class BridgeUser(Protocol):
    """The call."""

    def bridge_invited(self, bridge: "Bridge") -> None:
        """An INVITE has gone to leg b, or a re-INVITE to either."""

    def bridge_answered(self, bridge: "Bridge") -> None:
        """The first 2xx has crossed: both sides talk."""

    def bridge_refused(self, bridge: "Bridge", status: int, reason: str) -> None:
        """An offer of ours, for which nobody had asked, came to nothing; or a first INVITE to a leg
        that was in a session already did."""

    def bridge_failed(self, bridge: "Bridge", status: int, reason: str, *fields: Field) -> None:
        """The call cannot go on over this bridge: its media cannot be had, or a side is dead.

        :param fields: of the refusal.
        """
