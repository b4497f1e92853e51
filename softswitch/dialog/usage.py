"""The INVITE usage of a dialog: its states, its events, what it knows and whom it tells. Pure.

``session`` does what stands here (RFC 3261 sections 13 to 15).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import attrs

from softswitch.dialog.data import Heard, Reliable, TimerData, UpdateData
from softswitch.dialog.dialog import ALLOW, Dialog, DialogKey
from softswitch.dialog.requester import Sender
from softswitch.flow import Flow
from softswitch.plugin.profile import Profile
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.multipart import flattened, session_parts
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server
from softswitch.transaction.timers import Timers

#: The extensions that we know, for Supported (RFC 3261 20.37).
EXTENSIONS = "100rel, timer, replaces, norefersub, histinfo"

#: The same, by whether 100rel is among them, and timer.
_SUPPORTED = {
    (reliable, timer): ", ".join(
        tag
        for tag in EXTENSIONS.split(", ")
        if (reliable or tag != "100rel") and (timer or tag != "timer")
    )
    for reliable in (False, True)
    for timer in (False, True)
}

#: Their option tags.
KNOWN = frozenset(EXTENSIONS.split(", "))

#: Bodies of an INVITE that we know (RFC 3261 20.1, RFC 5621).
ACCEPT = "application/sdp, multipart/mixed, multipart/alternative"

#: The event packages that we know (RFC 6665 4.4.4).
EVENTS = "dialog, refer, reg"

#: What we can do (RFC 3261 11.2), for a 200 to OPTIONS and for each 405.
CAPABILITIES: list[Field] = [
    ("Allow", ALLOW),
    ("Accept", ACCEPT),
    ("Accept-Encoding", "identity"),
    ("Supported", EXTENSIONS),
    ("Allow-Events", EVENTS),
]


def unacceptable(request: Request) -> tuple[int, list[Field]] | None:
    """What a request wants that we cannot do (RFC 3261 8.2.2.3, 8.2.3): 420 for an extension, 415
    for an INVITE's body that is none we know, 483 for an INVITE that may not go on.

    :returns: the status, and the fields that say what would be right; None when all is well.
    """
    if request.get("Require") is not None:
        unknown = [tag for tag in request.require if tag.lower() not in KNOWN]
        if unknown:
            return 420, [("Unsupported", ", ".join(unknown))]
    if request.method != "INVITE":
        return None
    if request.max_forwards == 0:
        return 483, []
    if not request.body:
        return None
    if (request.get("Content-Encoding") or "identity").lower() != "identity":
        return 415, [("Accept-Encoding", "identity")]
    return None if _is_known(request) else (415, [("Accept", ACCEPT)])


def _is_known(request: Request) -> bool:
    """Whether a body is a session description, has one among its parts, or may be ignored.

    :raises SipSyntaxError: 400, its parts cannot be read.
    """
    kind = request.content_type
    if kind == "application/sdp" or "optional" in (request.get("Content-Disposition") or ""):
        return True
    if kind not in ("multipart/mixed", "multipart/alternative"):
        return False
    content_type = request.get("Content-Type") or ""
    if session_parts(content_type, request.body):
        return True
    return all(part.is_optional for part in flattened(content_type, request.body))


def answer(
    transaction: InviteServer | Server,
    scope: Scope,
    status: int,
    reason: str | None = None,
    fields: Iterable[Field] = (),
) -> None:
    """Answer a request within a dialog at once; its transaction then runs out within the scope."""
    transaction.adopt(scope, None)
    transaction.respond(compose.response(transaction.request, status, reason, fields=fields))


def supported(profile: Profile, reliable: bool = True) -> str:
    """The extensions that a peer is told of.

    :param reliable: whether it may send provisional responses reliably.
    """
    return _SUPPORTED[reliable and profile.reliable != "never", profile.session_timers == "end"]


def has_option(message: Message, name: str, tag: str) -> bool:
    """Whether ``tag`` is among the option tags of a field, Require or Supported."""
    return message.get(name) is not None and tag in (each.lower() for each in message.values(name))


def bears_sdp(message: Message) -> bool:
    """Whether a message has a session description, alone or among other parts."""
    kind = (message.get("Content-Type") or "").lower()
    return bool(message.body) and kind.startswith(("application/sdp", "multipart/"))


class Life(StrEnum):
    """How far the dialog has come."""

    EARLY = "early"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class State(StrEnum):
    """Where the exchange of INVITE and answer stands."""

    IDLE = "idle"
    THEIRS = "theirs"
    HELD = "held"
    ANSWERED = "answered"
    OURS = "ours"
    WAITING = "waiting"
    GIVEN_UP = "given up"
    ACCEPTED = "accepted"


class Event(StrEnum):
    """What can happen to the exchange."""

    INVITE_RECEIVED = "INVITE received"
    ACCEPT = "we accept"
    HOLD = "we would accept"
    PRACKED = "PRACK received"
    PRACK_MISSING = "no PRACK in 64*T1"
    REJECT = "we reject"
    CANCELLED = "they cancelled"
    ACK = "ACK received"
    ACK_MISSING = "no ACK in 64*T1"
    INVITE = "we invite"
    TAKEN = "2xx received"
    REFUSED = "failure received"
    GLARE = "491 received"
    OVERTAKEN = "UPDATE received"
    TOO_BRIEF = "422 received"
    LEFT = "BYE received early"
    RETRY = "wait over"
    CANCEL = "we give up"
    ACKNOWLEDGE = "we acknowledge"


@attrs.define
class SessionData:
    """What a session knows; plain data.

    :ivar dialog: the dialog.
    :ivar calling: whether the first INVITE was ours.
    :ivar life: how far it has come.
    :ivar state: where the exchange stands.
    :ivar invite: the INVITE of the present exchange, theirs or ours; None when there is none.
    :ivar invite_cseq: number of our INVITE that the next ACK belongs to.
    :ivar ack: our last ACK, sent again for each further copy of its 2xx.
    :ivar ack_due: when their ACK must have come, by the clock; None when none is awaited.
    :ivar expires_at: when the last INVITE of theirs that had an Expires was to be answered, by the
        clock; None for never.
    :ivar hang_up: fields of the BYE that is to follow as soon as it may; None for no such wish.
    :ivar allow: the methods that the peer last said it serves, a field value; None before.
    :ivar supported: the extensions that it last said it knows, a field value.
    :ivar early: To tag -> the early dialog that a provisional response to our INVITE has made, the
        latest last.
    :ivar last_cseq: the highest CSeq of those that are over.
    :ivar spoken: our To tag of another early dialog of their first INVITE -> number of their last
        request in it.
    :ivar heard: To tag -> the last reliable provisional response that came with it.
    :ivar reliable: what we answer reliably to their INVITE; None before there is any.
    :ivar update: the UPDATE that is under way; None before the first.
    :ivar timer: the interval that holds; None before there is any.
    :ivar uuid: of the peer, as its Session-ID has said (RFC 7989), or as we say for it; "" before.
    """

    dialog: Dialog
    calling: bool = True
    life: Life = Life.EARLY
    state: State = State.IDLE
    invite: Request | None = None
    invite_cseq: int = 0
    ack: Request | None = None
    ack_due: float | None = None
    expires_at: float | None = None
    hang_up: list[Field] | None = None
    allow: str | None = None
    supported: str = ""
    early: dict[str, Dialog] = attrs.Factory(dict)
    last_cseq: int = 0
    spoken: dict[str, int | None] = attrs.Factory(dict)
    heard: dict[str, Heard] = attrs.Factory(dict)
    reliable: Reliable | None = None
    update: UpdateData | None = None
    timer: TimerData | None = None
    uuid: str = ""


def compose_within(
    data: SessionData,
    status: int,
    reason: str | None,
    fields: Iterable[Field],
    body: bytes = b"",
    tag: str = "",
) -> Response:
    """A response to the INVITE of the present exchange, with our tag (RFC 3261 12.1.1).

    :param tag: "" for that of the dialog.
    """
    assert data.invite is not None
    if data.dialog.session_id:
        fields = [*fields, ("Session-ID", data.dialog.session_id)]
    return compose.response(
        data.invite,
        status,
        reason,
        to_tag=tag or data.dialog.local_tag,
        fields=fields,
        body=body,
        record_route=100 < status < 300,
    )


class SessionUser(Protocol):
    """The leg, told of facts."""

    def provisional_received(self, response: Response) -> None:
        """100 to 199 to our INVITE, or a challenge that has been answered: the peer is there."""

    def invite_accepted(self, response: Response) -> None:
        """2xx to our INVITE: to be followed by ``acknowledge``."""

    def invite_refused(self, status: int, reason: str, response: Response | None) -> None:
        """Our INVITE failed; None where no response came. Before the first 2xx this is the
        session's end too."""

    def invite_crossed(self) -> None:
        """Our re-INVITE was accepted after we had given it up: the peer holds to what it says."""

    def invite_received(self, request: Request) -> None:
        """The peer re-negotiates: to be followed by ``accept`` or ``reject``."""

    def answer_sent(self) -> None:
        """Our 2xx, which was held back for want of a PRACK, has left."""

    def invite_cancelled(self, request: Request | None) -> None:
        """Their INVITE was cancelled, or came to an end by BYE, and has been answered 487; or 504,
        without a request, for want of a PRACK (RFC 3262 3). Before the first 2xx this is the
        session's end too."""

    def acknowledged(self, ack: Request) -> None:
        """The ACK of our 2xx came, the first copy of it."""

    def session_ended(self, request: Request | None, reason: str) -> None:
        """The confirmed session ended on their side: their BYE, or None and the reason.

        Also when the 2xx to a re-INVITE was still held back for want of a PRACK: the request is
        then the CANCEL or BYE that crossed it, or None.
        """

    def prack_received(self, request: Request) -> None:
        """A PRACK with a session description. Where it answers the offer of a reliable provisional
        response of ours, it has been answered already; else it is an offer, to be followed by
        ``answer_prack``."""

    def update_received(self, request: Request) -> None:
        """An UPDATE with an offer: to be followed by ``accept_update`` or ``reject_update``."""

    def update_accepted(self, response: Response) -> None:
        """2xx to our UPDATE."""

    def update_refused(self, status: int, reason: str, response: Response | None) -> None:
        """Our UPDATE failed; None where no response came. The session stays as it was."""

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """Any request within the dialog that is not the session's own, in order by its CSeq: to be
        answered with ``answer``, now or later."""

    def description(self) -> bytes:
        """The session description that this side last sent and that was agreed; empty when there
        is none. A refresh offers it again, unchanged."""


class _Knowing(Protocol):
    @property
    def dialog(self) -> Dialog:
        """Its own dialog."""


class Usage(Protocol):
    """What can be reached within a dialog: a session, a subscription (RFC 5057)."""

    @property
    def data(self) -> _Knowing:
        """What it knows; plain data."""

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """A request within the dialog, ACK apart."""

    def ack_received(self, request: Request, flow: Flow) -> None:
        """An ACK of a 2xx."""


class Dialogs(Sender, Protocol):
    """The user agent, as a usage sees it."""

    timers: Timers

    def open(self, key: DialogKey, usage: Usage) -> None:
        """Requests of the dialog ``key`` now reach this usage."""

    def close(self, key: DialogKey, usage: Usage) -> None:
        """They no longer do; harmless when another has taken its place."""
