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
from softswitch.sip.message import Field, Request
from softswitch.sip.names import REASONS


class HuntingCall(DataMachine):
    """What a ``Call`` does for its hunt.

    :ivar data: what it knows.
    :ivar caller: the leg of whoever called.
    :ivar legs: those that have not ended.
    """

    __slots__ = ("_hunt", "_shared", "_transfer", "caller", "legs")

    data: CallData
    caller: Leg
    legs: Legs
    _hunt: Hunt
    _shared: Shared
    _transfer: Transfer | None

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
