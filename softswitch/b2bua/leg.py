"""A leg: one side of a call. Pure.

It owns a session (its dialog), a media endpoint and a scope, and knows no other leg. What
happens to it is told to its call and, where it concerns the other side, to its bridge.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import attrs

from softswitch.b2bua import identity
from softswitch.dialog.session import Session
from softswitch.dialog.usage import Life, SessionData
from softswitch.media.endpoint import MediaEndpoint
from softswitch.plugin.media import MediaNetwork
from softswitch.plugin.profile import DEFAULT, Profile
from softswitch.plugin.views import Identity
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request, Response
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server
from softswitch.wheel import Clock, Timer


@attrs.define
class LegData:
    """What a leg knows; plain data.

    :ivar name: "a" for the caller, "b1", "b2" ... for those who are tried.
    :ivar session: its signalling.
    :ivar network: how the relay looks from its peer.
    :ivar source: address from which its peer's signalling comes.
    :ivar kind: who its peer is: "user", "trunk" or "peer"; with ``peer`` it says which profile.
    :ivar peer: the name of the user or trunk; "" for others.
    :ivar cells: what a policy has overridden in the profile for this call.
    :ivar media: its session descriptions.
    :ivar elsewhere: whether its peer is another than was called, after forwarding or a redirection.
    :ivar talks_to: whom its peer talks to, a name-addr, where a transfer or pick-up has moved it.
    :ivar unsaid: header fields that its peer is to be told with the next offer.
    :ivar tags: callee and its tag -> our To tag for it, where the profile says "each".
    :ivar invitation: the offer in its first INVITE, where that is answered out of another offer.
    :ivar answer: what the first provisional answer to the offer in its INVITE said, until the 2xx.
    :ivar deadline: when it is given up, by the clock; None for never.
    :ivar answer_due: when our UPDATE must have been answered, likewise.
    :ivar member: address of the trunk's member that is its peer; "" for none in particular.
    :ivar counts: under which of its trunk's limits it counts; "" for none.
    :ivar toll: its run at whoever's expense, see ``trunk.tolls``; "" for none.
    :ivar shown_as: what stands for its Call-ID before those who watch its user; "" before one has.
    :ivar refers: how many REFERs of its peer have come that end here.
    """

    name: str
    session: SessionData
    network: MediaNetwork
    source: str
    kind: str = "peer"
    peer: str = ""
    cells: dict[str, Any] = attrs.Factory(dict)
    media: MediaEndpoint = attrs.Factory(MediaEndpoint)
    elsewhere: bool = False
    talks_to: str = ""
    unsaid: list[Field] = attrs.Factory(list)
    tags: dict[str, str] = attrs.Factory(dict)
    invitation: bytes = b""
    answer: bytes = b""
    deadline: float | None = None
    answer_due: float | None = None
    member: str = ""
    counts: Literal["", "in", "out"] = ""
    toll: str = ""
    shown_as: str = ""
    refers: int = 0


class Negotiator(Protocol):
    """The legs of a call, one of which negotiates: it crosses to another."""

    def reinvited(self, leg: "Leg", request: Request) -> None:
        """They re-negotiate."""

    def crossed(self, leg: "Leg") -> None:
        """They accepted a re-INVITE that had been given up."""

    def answer_sent(self, leg: "Leg") -> None:
        """Our 2xx, which waited for their PRACK, has left."""

    def acknowledged(self, leg: "Leg", ack: Request) -> None:
        """They acknowledged our 2xx."""

    def pracked(self, leg: "Leg", request: Request) -> None:
        """Their PRACK bears a description."""

    def updated(self, leg: "Leg", request: Request) -> None:
        """They re-negotiate by UPDATE, be it before the answer."""

    def update_accepted(self, leg: "Leg", response: Response) -> None:
        """2xx to our UPDATE."""

    def update_refused(
        self, leg: "Leg", status: int, reason: str, response: Response | None
    ) -> None:
        """Our UPDATE failed."""


class LegUser(Protocol):
    """The call."""

    @property
    def legs(self) -> Negotiator:
        """Its legs."""

    def leg_progressed(self, leg: "Leg", response: Response) -> None:
        """100 to 199."""

    def leg_answered(self, leg: "Leg", response: Response) -> None:
        """The first 2xx, or one to a re-INVITE."""

    def leg_refused(self, leg: "Leg", status: int, reason: str, response: Response | None) -> None:
        """Our INVITE or re-INVITE failed."""

    def leg_cancelled(self, leg: "Leg", request: Request | None) -> None:
        """Their INVITE or re-INVITE was cancelled; or, without a request, lacks a PRACK."""

    def leg_requested(
        self, leg: "Leg", request: Request, transaction: InviteServer | Server
    ) -> None:
        """They send something else within the dialog, which is to be answered."""

    def leg_hung_up(self, leg: "Leg", request: Request | None, reason: str) -> None:
        """They hung up, or were found dead."""

    def leg_recalled(self, leg: "Leg") -> None:
        """The call that has lent it needs it back; nothing to whoever has not borrowed it."""


class Leg:
    """One side of a call, told by its session and telling its call.

    :ivar data: what it knows.
    :ivar session: its INVITE usage.
    :ivar scope: owns everything of the leg that must end.
    :ivar profile: how its peer is treated.
    :ivar call: told of everything.
    """

    __slots__ = ("_clock", "_patience", "_timer", "call", "data", "profile", "scope", "session")

    def __init__(
        self,
        data: LegData,
        session: Session,
        call: LegUser,
        clock: Clock,
        profile: Profile = DEFAULT,
    ) -> None:
        self.data = data
        self.profile = profile
        self.session = session
        self.scope = session.scope
        self.call = call
        self._clock = clock
        self._timer: Timer | None = None
        self._patience: Timer | None = None
        session.user = self
        self.scope.hold(self)
        self.scope.on_closed = session.let_go

    @property
    def name(self) -> str:
        """ "a", "b1" ..."""
        return self.data.name

    @property
    def can_prack(self) -> bool:
        """Whether its peer takes provisional responses reliably, and may."""
        return self.profile.reliable != "never" and self.session.supports("100rel")

    @property
    def is_calm(self) -> bool:
        """Whether its call stands and nothing is being negotiated."""
        return self.session.idle and self.data.media.pending is None

    def hears(self, response: Response) -> bool:
        """Whether a provisional response of a callee is for its peer. A 199 ends the early dialog
        that it names (RFC 6228 4), which is none for a caller who sees one for all, or does not
        know it; what a transferee hears before the answer is said by its profile."""
        session = self.session
        if session.data.life is Life.CONFIRMED:
            return self.profile.transfer_hears == "ringback"
        each = self.profile.early == "each"
        return response.status != 199 or (each and session.supports("199"))

    def override(self, cells: Mapping[str, Any]) -> None:
        """Treat its peer otherwise in this call, in these cells of its profile."""
        if cells:
            self.data.cells.update(cells)
            self.profile = self.session.profile = self.profile.changed(cells)
            if "wants" in cells:
                wants = self.profile.wants
                self.data.network = attrs.evolve(self.data.network, wants=wants)

    def asserted(self, response: Response, to: "Leg") -> list[Field]:
        """The fields of an answer that name its peer to another leg's: asserted ones to the trusted
        (RFC 3325), to others whom they have reached instead, where their profile says how."""
        host = NameAddr.parse(to.session.data.dialog.contact).uri.host
        if to.profile.trusted or not self.data.elsewhere:
            who = Identity(self.data.kind, self.data.peer)
            return identity.asserted(response, who, self.profile, to.profile, host)
        hides = identity.withheld(response)
        return identity.connected(to.profile, *self.party, host, private=hides)

    @property
    def party(self) -> tuple[str, str]:
        """The display name and the user name, or number, of its peer."""
        named = NameAddr.parse(self.session.data.dialog.remote)
        user = self.data.kind == "user" and self.data.peer
        return named.display, user or named.uri.unquoted_user

    @property
    def holds_to(self) -> bytes:
        """What its peer has been told in answer to its last offer; empty for nothing yet."""
        return self.data.media.state.local if self.session.idle else self.data.answer

    def tag_for(self, callee: "Leg", response: Response) -> str:
        """Our To tag towards this caller for what a callee answers; "" for the same as ever."""
        if self.profile.early == "one":
            return ""
        fork = f"{callee.name} {response.to.tag or ''}"
        return self.data.tags.setdefault(fork, compose.new_tag())

    def belong_to(self, call: LegUser) -> None:
        """Be told to another call from now on."""
        self.call = call

    def leftovers(self) -> list[str]:
        """The names of its timers that are set (for the scope)."""
        left = [] if self._timer is None else ["try or ring time-out"]
        return left if self._patience is None else [*left, "UPDATE time-out"]

    def give_up_in(self, seconds: float, then: Callable[["Leg"], None]) -> None:
        """Call ``then`` with the leg unless it progresses; replaces an earlier wish."""
        self.keep()
        self.data.deadline = self._clock.seconds() + seconds
        self._timer = self._clock.callLater(seconds, self._give_up, then)

    def keep(self) -> None:
        """It is not to be given up any more."""
        self.data.deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expect_answer_in(self, seconds: float, then: Callable[["Leg"], None]) -> None:
        """Call ``then`` with the leg unless it answers our UPDATE: it may be ringing meanwhile."""
        self.answered()
        self.data.answer_due = self._clock.seconds() + seconds
        self._patience = self._clock.callLater(seconds, self._lose_patience, then)

    def answered(self) -> None:
        """It has answered our UPDATE, or nobody waits for that any more."""
        self.data.answer_due = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def end(self) -> None:
        """Nothing more begins on this leg; its scope closes when what runs has run out."""
        if self.scope.ended_at is None:
            self.keep()
            self.answered()
            # The call's memory is free now, not when the last transaction has run out.
            self.call = _OVER
            self.scope.release(self)
            self.scope.end()

    def _give_up(self, then: Callable[["Leg"], None]) -> None:
        self._timer = None
        self.data.deadline = None
        then(self)

    def _lose_patience(self, then: Callable[["Leg"], None]) -> None:
        self._patience = None
        self.data.answer_due = None
        then(self)

    # From the session.

    def provisional_received(self, response: Response) -> None:
        """100 to 199."""
        self.call.leg_progressed(self, response)

    def invite_accepted(self, response: Response) -> None:
        """2xx to our INVITE."""
        self.call.leg_answered(self, response)

    def invite_refused(self, status: int, reason: str, response: Response | None) -> None:
        """Our INVITE failed."""
        self.call.leg_refused(self, status, reason, response)

    def invite_crossed(self) -> None:
        """Too late, they accepted our re-INVITE."""
        self.call.legs.crossed(self)

    def invite_received(self, request: Request) -> None:
        """Their re-INVITE."""
        self.call.legs.reinvited(self, request)

    def answer_sent(self) -> None:
        """Our 2xx has left at last."""
        self.call.legs.answer_sent(self)

    def invite_cancelled(self, request: Request | None) -> None:
        """They cancelled."""
        self.call.leg_cancelled(self, request)

    def acknowledged(self, ack: Request) -> None:
        """Their ACK."""
        self.call.legs.acknowledged(self, ack)

    def prack_received(self, request: Request) -> None:
        """Their PRACK with a description."""
        self.call.legs.pracked(self, request)

    def update_received(self, request: Request) -> None:
        """Their UPDATE with an offer."""
        self.call.legs.updated(self, request)

    def update_accepted(self, response: Response) -> None:
        """2xx to our UPDATE."""
        self.call.legs.update_accepted(self, response)

    def update_refused(self, status: int, reason: str, response: Response | None) -> None:
        """Our UPDATE failed."""
        self.call.legs.update_refused(self, status, reason, response)

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """Any other request of theirs."""
        self.call.leg_requested(self, request, transaction)

    def description(self) -> bytes:
        """What we have agreed to, for a re-INVITE that only keeps the session alive."""
        return self.data.media.repeated(self.data.network.advertise)

    def session_ended(self, request: Request | None, reason: str) -> None:
        """They are gone."""
        self.call.leg_hung_up(self, request, reason)


class _Over(LegUser, Negotiator):
    """The call of a leg that has ended: it hears of nothing any more."""

    @property
    def legs(self) -> Negotiator:
        return self

    def reinvited(self, leg: Leg, request: Request) -> None:
        leg.session.reject(481, None)

    def crossed(self, leg: Leg) -> None:
        pass

    def answer_sent(self, leg: Leg) -> None:
        pass

    def acknowledged(self, leg: Leg, ack: Request) -> None:
        pass

    def pracked(self, leg: Leg, request: Request) -> None:
        leg.session.answer_prack(481)

    def updated(self, leg: Leg, request: Request) -> None:
        leg.session.reject_update(481)

    def update_accepted(self, leg: Leg, response: Response) -> None:
        pass

    def update_refused(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        pass

    def leg_progressed(self, leg: Leg, response: Response) -> None:
        pass

    def leg_answered(self, leg: Leg, response: Response) -> None:
        pass

    def leg_refused(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        pass

    def leg_cancelled(self, leg: Leg, request: Request | None) -> None:
        pass

    def leg_requested(self, leg: Leg, request: Request, transaction: InviteServer | Server) -> None:
        leg.session.answer(transaction, 481)

    def leg_hung_up(self, leg: Leg, request: Request | None, reason: str) -> None:
        pass

    def leg_recalled(self, leg: Leg) -> None:
        pass


_OVER = _Over()
