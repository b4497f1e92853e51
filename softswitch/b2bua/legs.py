"""The legs of a call and the bridges between them: made, found, moved, let go. Pure."""

from typing import Protocol

import attrs

from softswitch.b2bua import sessionid
from softswitch.b2bua.bridge import Bridge
from softswitch.b2bua.leg import Leg, LegData, LegUser
from softswitch.b2bua.progress import CallData, Loan, State
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.steps import BridgeData, BridgeUser
from softswitch.b2bua.transfer import State as Moving
from softswitch.b2bua.verdicts import join
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.session import Session
from softswitch.dialog.usage import Life
from softswitch.dialog.usage import State as Exchange
from softswitch.flow import Flow
from softswitch.plugin.decisions import Target
from softswitch.plugin.media import MediaNetwork, MediaProfile
from softswitch.plugin.profile import Profile
from softswitch.scope import Scope
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.replaces import Replaces
from softswitch.transaction.invite_server import InviteServer


class LegsUser(LegUser, BridgeUser, Protocol):
    """The call."""

    def replaced(self) -> None:
        """A leg that it had lent will not come back."""


class Legs:
    """All legs of a call that have not ended, and the bridges between them.

    All share the call's media session.

    :ivar bridges: each by the name of its leg b.
    :param data: the call's; what stands here is written down there.
    :param user: the call, told of what the legs and bridges hear.
    """

    __slots__ = ("_data", "_legs", "_lender", "_shared", "_user", "bridges")

    def __init__(self, shared: Shared, data: CallData, user: LegsUser) -> None:
        self._shared = shared
        self._data = data
        self._user = user
        self._legs: dict[str, Leg] = {}
        self.bridges: dict[str, Bridge] = {}
        self._lender: Legs | None = None

    def __getitem__(self, name: str) -> Leg:
        """The leg of that name."""
        return self._legs[name]

    def get(self, name: str) -> Leg | None:
        """The leg of that name; None when it has gone."""
        return self._legs.get(name)

    def make(
        self,
        name: str,
        dialog: Dialog,
        flow: Flow,
        transaction: InviteServer | None,
        kind: str,
        peer: str,
        profile: Profile,
        target: Target | None = None,
    ) -> Leg:
        """A leg towards the ``kind`` named ``peer``.

        :param transaction: of its INVITE; None where we are to invite.
        :param profile: how that peer is treated, in this call.
        :param target: whom we are to invite.
        """
        shared = self._shared
        facing = shared.facing(flow)
        scope = Scope(f"{self._data.id}/{name}", shared.auditor)
        credentials = None
        if kind == "trunk" and profile.challenges == "answer":
            hop = "" if target is None else shared.led_by(target)
            credentials = shared.credentials(peer, flow.remote_host, hop)
        cells = {} if target is None else dict(target.dialog)
        session = Session(
            shared.clock, shared.agent, scope, dialog, transaction, credentials, profile
        )
        wants = _of_a_page(profile.wants) if facing.webrtc else profile.wants
        network = MediaNetwork(facing.media_bind, facing.media_host, wants)
        data = LegData(name, session.data, network, flow.remote_host, kind, peer, cells)
        leg = Leg(data, session, self._user, shared.clock, profile)
        self._data.legs[name] = data
        self._legs[name] = leg
        if shared.journal is not None:
            shared.journal.leg_began(self._data.id, name, dialog.call_id)
        if transaction is not None and shared.settings.session_id:
            self._data.record.session_id = sessionid.begin(leg)
        if kind == "user":
            shared.lamps.leg_began(data)
            shared.occupancy.leg_began(data, self._data.id)
        elif kind == "trunk":
            data.counts = "in" if target is None else "out"
            data.member = "" if target is None else target.member
            shared.traffic.leg_began(data)
        return leg

    def bridge(self, a: Leg, b: Leg) -> Bridge:
        """A new bridge between two legs; a caller's that is lent keeps the name that it had. The
        media engine carries nothing where either side's profile says so."""
        shared = self._shared
        near = a.name if a.call is self._user else "a"
        data = self._data.bridges[b.name] = BridgeData(self._data.id, near, b.name)
        seconds = shared.settings.media_seconds
        realm = shared.settings.realm
        past_us = "bypass" in (a.profile.media, b.profile.media)
        engine = None if past_us else shared.engine
        bridge = Bridge(data, a, b, self._user, engine, shared.clock, seconds, realm)
        self.bridges[b.name] = bridge
        sessionid.call(a, b)
        return bridge

    def bridge_of(self, leg: Leg) -> Bridge | None:
        """The bridge over which a leg negotiates, else over which it talks, or before the answer is
        to; None while there is none, or no single one."""
        own = [each for each in self.bridges.values() if leg is each.b or leg is each.a]
        if len(own) < 2:
            return own[0] if own else None
        joined = self.bridges.get(self._data.joined)
        negotiating = [each for each in own if each.data.inviter]
        offering = [each for each in own if each.data.offerer == each.data.b]
        return next(
            iter((*negotiating, *[each for each in own if each is joined], *offering)), None
        )

    def far_of(self, leg: Leg) -> Leg | None:
        """The leg that it talks to; None before the answer."""
        bridge = self.bridges.get(self._data.joined)
        return None if bridge is None or leg not in (bridge.a, bridge.b) else bridge.other(leg)

    def talk(self) -> None:
        """Both sides talk from now on: for those who watch phones, and media."""
        for leg in self._data.legs.values():
            if leg.kind == "user":
                self._shared.lamps.leg_changed(leg)
        self.watch()

    def watch(self) -> None:
        """For the record, by which name others know who talks now; and have it seen whether they
        are heard."""
        bridge = self.bridges.get(self._data.joined)
        if bridge is not None:
            self._data.record.session_id = bridge.b.session.data.dialog.session_id
        if self._shared.witness is not None:
            self._shared.witness.answered(self._data.id, record=self._data.recorded)

    def say_goodbye(self, gone: Leg | None, fields: list[Field]) -> None:
        """Send BYE on each confirmed leg but the one that is gone; what was borrowed goes back."""
        self.give_back()
        for leg in list(self._legs.values()):
            if leg is not gone:
                leg.session.bye([each for each in fields if leg.profile.crosses[each[0]]])

    def end(self, name: str) -> None:
        """Let a leg and its bridge go; harmless when they have gone."""
        self.unbridge(name)
        leg = self._legs.pop(name, None)
        if leg is not None:
            del self._data.legs[name]
            self._shared.leave_media(self._data.id, leg.scope, name)
            self._end(leg)

    def dismiss(self, name: str) -> None:
        """Say goodbye to a leg, and let it go; harmless when it has gone."""
        if name in self._legs:
            self._legs[name].session.bye()
            self.end(name)

    def break_off(self, name: str) -> None:
        """Nothing is negotiated any more over that bridge; harmless when it has gone."""
        bridge = self.bridges.get(name)
        if bridge is not None:
            bridge.break_off()

    def can_lend(self, leg: Leg) -> bool:
        """Whether a leg may go to another call now: it only calls yet, or nothing is being
        negotiated; and no leg of this call comes or goes."""
        data = self._data
        moving = data.transfer is not None and data.transfer.state is not Moving.OVER
        if leg.call is not self._user or data.loan is not None or moving:
            return False
        if data.state is State.HUNTING:
            calls = leg.session.state is Exchange.THEIRS and leg.data.media.pending is None
            return calls and not self._may_hold_back(leg)
        return data.state is State.TALKING and leg.is_calm

    def has_far_of(self, leg: Leg) -> bool:
        """Whether whom a leg negotiates with is here, and not lent to another call, nor about to
        hear another's answer."""
        bridge = self.bridge_of(leg)
        if bridge is None or bridge.other(leg).call is not self._user:
            return False
        ends = {bridge.a, bridge.b}
        others = [each for each in self.bridges.values() if each is not bridge]
        return not any(each.is_accepting and ends & {each.a, each.b} for each in others)

    def move_to(self, bridge: Bridge) -> bool:
        """Both sides talk over this bridge from now on; a leg that was borrowed stays.

        :returns: whether somebody talks to somebody else than before.
        """
        moved = self._data.loan is not None or self._data.joined != bridge.b.name
        if self._data.joined != bridge.b.name:
            self.unbridge(self._data.joined)
            self._data.joined = bridge.b.name
        self.keep()
        return moved

    def unbridge(self, name: str) -> None:
        """Take a bridge away; its legs stay."""
        bridge = self.bridges.pop(name, None)
        if bridge is not None:
            bridge.end()
            del self._data.bridges[name]

    def end_all(self) -> None:
        """The call is over: let all go, the media session and the call itself, whose memory is free
        then."""
        self.give_back()
        for name in list(self.bridges):
            self.unbridge(name)
        shared, session = self._shared, self._data.id
        talked = self._data.record.answered is not None and self._data.joined
        if shared.witness is not None and talked:
            # With all of its ports, so that what follows has nothing left to do.
            shared.witness.conclude(session)
        for name in list(self._legs):
            self.end(name)
        if shared.engine is not None:
            shared.engine.release(session)
        del self._user

    # What a leg negotiates crosses its bridge.

    def reinvited(self, leg: Leg, request: Request) -> None:
        """One side re-negotiates."""
        bridge = self.bridge_of(leg)
        if leg.profile.reinvite == "refuse":
            leg.session.reject(488, None)
        elif self._data.state is State.TALKING and bridge is not None and self.has_far_of(leg):
            bridge.reinvited(leg, request)
        else:
            leg.session.reject(491, None)

    def updated(self, leg: Leg, request: Request) -> None:
        """One side re-negotiates by UPDATE, be it before the answer."""
        bridge = self.bridge_of(leg)
        if leg.profile.update == "refuse":
            leg.session.reject_update(488, None)
        elif bridge is None or not self.has_far_of(leg):
            leg.session.reject_update(500, None, [("Retry-After", "2")])
        else:
            bridge.updated(leg, request)

    def update_accepted(self, leg: Leg, response: Response) -> None:
        """One side agreed to the other's UPDATE."""
        leg.answered()
        bridge = self.bridge_of(leg)
        if bridge is not None:
            bridge.accepted(leg, response)

    def update_refused(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        """One side refused the other's UPDATE."""
        leg.answered()
        bridge = self.bridge_of(leg)
        if bridge is not None:
            bridge.refused(leg, status, reason, response)

    def pracked(self, leg: Leg, request: Request) -> None:
        """The caller answers an early offer in its PRACK, or makes one."""
        bridge = self.bridge_of(leg)
        if bridge is None:
            leg.session.answer_prack(500, [("Retry-After", "2")], b"")
        else:
            bridge.pracked(leg, request)

    def crossed(self, leg: Leg) -> None:
        """One side accepted what the other had taken back."""
        bridge = self.bridge_of(leg)
        if bridge is not None:
            bridge.restore(leg)

    def answer_sent(self, leg: Leg) -> None:
        """The caller has been told of the answer, once its PRACK had come."""
        if self._data.state is State.ANSWERING:
            self._user.bridge_answered(self.bridges[self._data.joined])

    def acknowledged(self, leg: Leg, ack: Request) -> None:
        """The caller's ACK, or that of a re-INVITE."""
        bridge = self.bridge_of(leg)
        if bridge is not None:
            bridge.acknowledged(leg, ack)

    # Legs of other calls.

    def far_of_dialog(self, replaces: Replaces) -> "tuple[Legs, Leg] | None":
        """The leg to which that dialog of another call of ours is bridged, and the legs among
        which it is; None for none."""
        found: tuple[Legs, Leg] | None = self._shared.find_far(replaces)
        return None if found is None or found[0] is self else found

    def borrow(self, lender: "Legs", leg: Leg) -> None:
        """Have a leg of another call on trial: what it hears is told here. Its bridge there stays,
        and its ports, so that it can go back as if nothing had been."""
        self._data.hunt.tries += 1
        name = f"b{self._data.hunt.tries}"
        here, there = self._data.record, lender._data.record
        self._data.loan = Loan(lender._data.id, name, leg.name, (here.call_group, there.call_group))
        join(there, here)
        self._lender = lender
        lender._let_go_of(leg)
        self._take(leg, name)

    def give_back(self, request: Request | None = None) -> None:
        """Nothing came of it; harmless without a loan.

        :param request: by which the leg's peer has ended it.
        """
        loan, lender = self._data.loan, self._lender
        if loan is None or lender is None:
            return
        self._data.loan = self._lender = None
        leg = self._legs[loan.name]
        self.unbridge(loan.name)
        self._let_go_of(leg)
        self._shared.leave_media(self._data.id, leg.scope, loan.name)
        leg.keep()
        leg.answered()
        life = leg.session.data.life
        was_early = lender._data.state is State.HUNTING
        if lender._data.state is State.ENDED:
            leg.session.bye()
        else:
            leg.session.break_off()
        if lender._data.state is State.ENDED:
            self._end(leg)
            return
        self._data.record.call_group, lender._data.record.call_group = loan.groups
        lender._take(leg, loan.was)
        if was_early and life is Life.CONFIRMED:  # it has been answered: there is no way back
            lender._user.replaced()
        elif was_early and life is Life.ENDED:
            lender._user.leg_cancelled(leg, request)
        elif life is Life.ENDED:
            reason = "Gone Meanwhile" if request is None else request.method
            lender._user.leg_hung_up(leg, request, reason)

    def keep(self) -> None:
        """The leg stays here; the call that lent it ends."""
        loan, lender = self._data.loan, self._lender
        if loan is None or lender is None:
            return
        self._data.loan = self._lender = None
        if lender._data.state is not State.ENDED:
            leg = self._legs[loan.name]
            self._shared.leave_media(loan.call, leg.scope, loan.was)
            join(lender._data.record, self._data.record)
            lender._user.replaced()

    def _end(self, leg: Leg) -> None:
        """A leg is in no call any more, and counts nowhere."""
        if mended := leg.data.media.mended:
            what = f"session descriptions for {leg.name} mended: {', '.join(mended)}"
            self._shared.media_changed(self._data.id, what)
            self._data.record.mended += [f"{leg.name}: {what}" for what in mended]
            self._shared.mended(self._data.id, leg.name, mended)
        if leg.data.kind == "user":
            self._shared.lamps.leg_ended(leg.data)
            self._shared.occupancy.leg_ended(leg.data)
        if leg.data.counts or leg.data.toll:
            self._shared.traffic.leg_ended(leg.data)
        leg.end()

    def _may_hold_back(self, leg: Leg) -> bool:
        """Whether a 2xx would have to wait for the PRACK of what a leg has been told, or is about
        to be (RFC 3262 3)."""
        waiting = [step.body for each in self.bridges.values() for step in each.data.steps]
        return leg.session.holds_back or any(map(leg.session.reliably, filter(None, waiting)))

    def _let_go_of(self, leg: Leg) -> None:
        del self._legs[leg.name], self._data.legs[leg.name]

    def _take(self, leg: Leg, name: str) -> None:
        leg.data.name = name
        leg.belong_to(self._user)
        self._legs[name], self._data.legs[name] = leg, leg.data
        bridge = self.bridge_of(leg)
        if bridge is not None and bridge.other(leg).session.data.uuid:
            sessionid.call(bridge.other(leg), leg)


def _of_a_page(wants: MediaProfile | None) -> MediaProfile:
    """What a phone in a page wants of its media, whose user says this of all his phones."""
    if wants is None:
        return MediaProfile("webrtc")
    return attrs.evolve(wants, profile="webrtc") if wants.profile == "rtp" else wants
