"""What the helpers of a session know, each made when it is first needed: plain data. Pure."""

from enum import StrEnum
from typing import Any

import attrs

from softswitch import plain
from softswitch.sip.message import Field, Request


class UpdateState(StrEnum):
    """Where an UPDATE stands."""

    IDLE = "idle"
    OURS = "ours"
    WAITING = "waiting"
    THEIRS = "theirs"


@attrs.define
class Provisional:
    """A response to their INVITE that has its turn to come, or its PRACK; plain data.

    :ivar status: 101 to 199; 200 for the one that waits for a PRACK.
    :ivar reason: its phrase; the RFC's when None.
    :ivar fields: further header fields.
    :ivar body: the session description, or empty.
    :ivar tag: our To tag.
    """

    status: int
    reason: str | None
    fields: list[Field]
    body: bytes
    tag: str = ""


@attrs.define
class Reliable:
    """What we send reliably in answer to their INVITE (RFC 3262 3); plain data.

    :ivar rseq: RSeq of the last one sent.
    :ivar last: our To tag -> RSeq of the last one sent in that early dialog.
    :ivar cseq: number of their INVITE.
    :ivar status: of the last one sent.
    :ivar sent: that one, until its PRACK comes.
    :ivar waiting: what is to follow it, in order.
    :ivar accept: the 200 that has to wait for it.
    :ivar settled: whether an offer and its answer have been exchanged before the 2xx.
    :ivar prack: their PRACK whose offer waits for our answer.
    """

    rseq: int
    last: dict[str, int] = attrs.Factory(dict)
    cseq: int = 0
    status: int = 0
    sent: Provisional | None = None
    waiting: list[Provisional] = attrs.Factory(list)
    accept: Provisional | None = None
    settled: bool = False
    prack: Request | None = None


@attrs.define
class Heard:
    """The last of a callee's reliable provisional responses (RFC 3262 4); plain data.

    :ivar rseq: its RSeq.
    :ivar cseq: number of our INVITE.
    :ivar described: whether it bears a session description.
    :ivar held: whether its PRACK waits for our answer to its offer.
    :ivar lost: whether its PRACK has not arrived.
    :ivar settled: whether an offer and its answer have been exchanged before the 2xx.
    """

    rseq: int
    cseq: int
    described: bool = False
    held: bool = False
    lost: bool = False
    settled: bool = False


@attrs.define
class UpdateData:
    """The UPDATE that is under way; plain data.

    :ivar state: where it stands.
    :ivar tag: the peer's, which tells the dialog.
    :ivar fields: of ours.
    :ivar body: of ours.
    :ivar theirs: their request that waits for its answer.
    """

    state: UpdateState = UpdateState.IDLE
    tag: str = ""
    fields: list[Field] = attrs.Factory(list)
    body: bytes = b""
    theirs: Request | None = None


@attrs.define
class TimerData:
    """The session's interval (RFC 4028), or the probe instead; plain data.

    :ivar interval: seconds that were agreed; 0 where none holds.
    :ivar ours: whether we refresh.
    :ivar min_se: the least that the peer has asked for, seconds; 0 before.
    :ivar by_invite: whether the peer has refused to be refreshed by UPDATE.
    :ivar refreshing: whether the present exchange is a refresh of ours.
    :ivar expires_at: when the session is given up, by the clock; None for never.
    :ivar next_at: when it is refreshed, or the peer probed; None for never.
    """

    interval: int = 0
    ours: bool = False
    min_se: int = 0
    by_invite: bool = False
    refreshing: bool = False
    expires_at: float | None = None
    next_at: float | None = None


def _written(request: Request) -> list[Any]:
    return [request.method, request.uri, request.fields, request.body]


def _rebuilt(written: list[Any]) -> Request:
    method, uri, fields, body = written
    fields = [(name, value) for name, value in fields]
    return Request(method, uri, fields, plain.from_plain(bytes, body))


# Not by its wire form: a request that is yet to be sent has no Via, and cannot be parsed.
plain.shape(Request, _written, _rebuilt)
