"""A call as its hunt sees it: a leg for each try, and what comes of them. Pure."""

from softswitch.b2bua import crossing
from softswitch.b2bua.bridge import Bridge
from softswitch.b2bua.hunt import Hunt
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.legs import Legs
from softswitch.b2bua.progress import CallData, Event, State
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.transfer import Transfer
from softswitch.b2bua.trials import Failure, HuntData
from softswitch.dialog.dialog import Dialog
from softswitch.flow import Flow
from softswitch.machine import DataMachine
from softswitch.plugin.decisions import Route, Target
from softswitch.plugin.profile import Profile
from softswitch.plugin.record import Attempt
from softswitch.plugin.views import RequestView
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS


class HuntingCall(DataMachine):
    """What a ``Call`` does for its hunt.

    :ivar data: what it knows.
    :ivar caller: the leg of whoever called.
    :ivar legs: those that have not ended.
    :ivar heir: the transfer to whose transferee the caller has left it; None for none.
    """

    __slots__ = ("_hunt", "_shared", "_transfer", "caller", "heir", "legs")

    data: CallData
    caller: Leg
    legs: Legs
    heir: Transfer | None
    _hunt: Hunt
    _shared: Shared
    _transfer: Transfer | None

    # A transfer of the caller's, while somebody rings.

    @property
    def can_be_left(self) -> bool:
        """Whether somebody may take the caller's place: nobody has answered, and those who are
        called have the caller's offer, so that their answer needs none of his."""
        hunting = self.state is State.HUNTING and self.heir is None
        return hunting and bool(self.data.invite.body) and self.legs.can_lend(self.caller)

    def leave_to(self, heir: Transfer) -> None:
        """The caller gets his 487; who rings does so for somebody else from now on, and hears of
        him when he has answered."""
        self.heir = heir
        self.data.record.status, self.data.record.reason = 487, REASONS[487]
        self.caller.session.reject(487, None)
        left = self.caller.data
        if left.kind == "user":  # who is in this call no more
            self._shared.lamps.leg_ended(left)
            self._shared.occupancy.leg_ended(left)

    def give_up(self) -> None:
        """The heir has gone; harmless when this call has ended, or goes on without him."""
        self.heir = None
        if self.state is State.HUNTING:
            self.fire(Event.SHUT, "Transferee gone", 487)

    def inherit(self, leg: Leg, response: Response) -> None:
        """Somebody has answered, and talks to the heir."""
        heir, self.heir = self.heir, None
        self._hunt.answered(leg, response)
        leg.session.acknowledge()
        assert heir is not None
        heir.answered(self.legs, leg)

    def call_target(self, invite: Request, view: RequestView, route: Route) -> None:
        """Call somebody for the transferee."""
        self.data.hunt = HuntData(tries=self.data.hunt.tries)
        self._hunt = Hunt(self.data.hunt, self.data.id, invite, view, self, self._shared)
        assert self._transfer is not None
        self._hunt.begin(route, self.legs[self._transfer.data.transferee].profile)

    def new_callee(
        self, name: str, dialog: Dialog, flow: Flow, target: Target, profile: Profile
    ) -> Bridge:
        """A leg for a try, and its bridge to the caller's."""
        kind, peer = ("trunk", target.trunk) if target.trunk else ("user", dialog.registered)
        leg = self.legs.make(name, dialog, flow, None, kind, peer, profile, target)
        transfer = self._transfer
        near = self.caller if transfer is None else self.legs[transfer.data.transferee]
        return self.legs.bridge(near, leg)

    def call_callee(self, bridge: Bridge, fields: list[Field]) -> None:
        """Have that leg invited: by the caller's INVITE, or for a transferee."""
        if self._transfer is None:
            bridge.invite(fields, self.data.invite)
        else:
            own = self._transfer.own_fields
            bridge.offer([*fields, *own], crossing.hops(self._transfer.data.invite))

    def cancel_leg(self, name: str, fields: list[Field]) -> None:
        """A try is given up."""
        self.legs[name].session.cancel(fields)

    def end_leg(self, name: str) -> None:
        """Let a leg and its bridge go; harmless when they have gone."""
        self.legs.end(name)

    def hunt_began(self, attempt: Attempt) -> None:
        """For the record."""
        self.data.record.attempts.append(attempt)

    def hunt_rang(self, now: float) -> None:
        """A target rings."""
        record = self.data.record
        if record.ringing is None:
            record.ringing = now
            self._shared.observer.call_ringing(record)

    def hunt_forwarded(self) -> None:
        """The call is being forwarded to others than were called."""
        if self._transfer is None:
            self.caller.session.provisional(181, REASONS[181], [], b"")

    def hunt_failed(self) -> None:
        """Nothing is left to try."""
        if self._transfer is None:
            self.caller.call.leg_recalled(self.caller)
            if self.state is State.HUNTING:
                self.fire(Event.EXHAUSTED)
        else:
            best = self.data.hunt.best or Failure(480, REASONS[480])
            self._transfer.failed(best.status, best.reason)
