"""A call: the history around its legs, from the INVITE to the record. Pure.

The caller's leg is there from the beginning. Policies say where the call goes, the hunt tries,
the first that answers stays. What has happened stands in the call's record, and is told to the
observers.
"""

from weakref import proxy

from softswitch.b2bua import crossing, progress, within
from softswitch.b2bua.bridge import Bridge
from softswitch.b2bua.connected import tell_both
from softswitch.b2bua.hunt import ELSEWHERE, Hunt
from softswitch.b2bua.hunting import HuntingCall
from softswitch.b2bua.identity import refusal
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.legs import Legs
from softswitch.b2bua.pickup import take_over
from softswitch.b2bua.progress import CallData, Event, State
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.transfer import Transfer
from softswitch.b2bua.trials import Failure
from softswitch.b2bua.verdicts import routed
from softswitch.dialog.usage import Life, answer
from softswitch.errors import SdpSyntaxError
from softswitch.plugin.decisions import Proxy, Redirect, Reject, Route, Routing
from softswitch.plugin.views import Identity, RequestView
from softswitch.sip import compose
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS
from softswitch.sip.replaces import ReferTo
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server


class Call(HuntingCall):
    """One call.

    :param shared: what all calls share.
    :param transaction: of the caller's INVITE.
    :raises SipSyntaxError: when the INVITE cannot make a dialog.
    """

    __slots__ = ("__weakref__", "_view")

    def __init__(
        self, shared: Shared, request: Request, transaction: InviteServer, identity: Identity
    ) -> None:
        self._shared = shared
        flow = transaction.flow
        tag = compose.new_tag()
        dialog = shared.answering(request, flow, tag, identity)
        name = compose.new_name()
        now, policy = shared.clock.seconds(), shared.policies.decided
        record = progress.new_record(name, request, identity, policy, tag, now)
        self.data = CallData(id=name, invite=request, identity=identity, record=record)
        self._view = RequestView(request, flow, identity)
        self.legs = Legs(shared, self.data, self)
        self._hunt = Hunt(self.data.hunt, name, request, self._view, self, shared)
        self._transfer: Transfer | None = None
        self.heir = None
        kind, peer = identity.kind, identity.name
        profile = shared.profile(kind, peer)
        self.caller = self.legs.make("a", dialog, flow, transaction, kind, peer, profile)

    def start(self) -> None:
        """Ask the policies where the call goes."""
        self._shared.observer.call_started(self.data.record)
        self._shared.policies.ask_route(self._view, self._routed)

    def shut(self, why: str = "Switch stops", status: int = 503) -> None:
        """End the call whatever its state; a caller who waits for an answer hears the status."""
        self.fire(Event.SHUT, why, status)

    def _routed(self, decision: Routing) -> None:
        """The policies have answered; in vain when the call has ended meanwhile."""
        if self.state is not State.ASKING:
            return
        self.data.record.verdicts.append(routed(self._shared.policies.decided, decision))
        if isinstance(decision, Route):
            passes = self._shared.engine is not None and self.caller.profile.media == "engine"
            refused = refusal(self.data.invite, relayed=passes)
            if refused is None:
                self.fire(Event.ROUTED, decision)
            else:
                self.fire(Event.TURNED_AWAY, Reject(*refused))
        else:
            self.fire(Event.PROXIED if isinstance(decision, Proxy) else Event.TURNED_AWAY, decision)

    # From the legs.

    def leg_progressed(self, leg: Leg, response: Response) -> None:
        """The callee rings, or says something else before the answer."""
        trial = self._hunt.trial_of(leg)
        if trial is not None:
            self._hunt.progressed(leg, trial, response)
            transfer = self.heir or self._transfer
            if transfer is not None:
                transfer.progressed(response)
            if 100 < response.status < 200 and self.legs.has_far_of(leg):
                self.legs.bridges[leg.name].provisional(response)
                if leg.data.kind == "user":
                    self._shared.lamps.leg_changed(leg.data)

    def leg_answered(self, leg: Leg, response: Response) -> None:
        """The callee answered, or a re-INVITE was."""
        leg.keep()
        bridge = self.legs.bridge_of(leg)
        if self.heir is not None:
            self.inherit(leg, response)
        elif self.state is State.HUNTING:
            self.caller.call.leg_recalled(self.caller)
            if self.state is State.HUNTING:
                self.fire(Event.ANSWERED, leg, response)
            else:  # somebody has picked it up
                leg.session.bye()
        elif bridge is not None:
            if self._hunt.trial_of(leg) is not None:
                self._hunt.answered(leg, response)
                self.legs.break_off(self.data.joined)
            bridge.accepted(leg, response)

    def leg_refused(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        """A try failed, or a re-INVITE was refused."""
        leg.keep()
        trial = self._hunt.trial_of(leg)
        bridge = self.legs.bridge_of(leg)
        if trial is not None:
            self._hunt.refused(leg, trial, status, reason, response)
        elif bridge is not None:
            bridge.refused(leg, status, reason, response)

    def leg_cancelled(self, leg: Leg, request: Request | None) -> None:
        """The caller gave up, or a re-INVITE was cancelled."""
        bridge = self.legs.bridge_of(leg)
        if self.data.loan is not None and leg.name == self.data.loan.name:
            self._not_joined(487, REASONS[487], request=request)
        elif self.state is State.TALKING and bridge is not None:
            bridge.cancelled(leg)
        else:
            self.fire(Event.CANCELLED, request)

    def leg_requested(self, leg: Leg, request: Request, transaction: InviteServer | Server) -> None:
        """One side sends something that negotiates nothing."""
        bridge = self.legs.bridge_of(leg)
        far = None if bridge is None else bridge.other(leg)
        within.treat(self._shared, leg, far, request, transaction, self.refer, self._transfer)

    def refer(self, leg: Leg, request: Request, transaction: Server) -> None:
        """One side transfers the other: one transfer at a time, of a call that was answered."""
        stays = self.legs.far_of(leg)
        going_on = self._transfer is not None and not self._transfer.over
        free = self.state is State.TALKING and self.legs.has_far_of(leg)
        if stays is None or going_on or self.data.loan is not None or not free:
            answer(transaction, leg.scope, 491)
            return
        refer = ReferTo.of(request)
        self._transfer = Transfer(self._shared, proxy(self), leg, stays, refer, request)
        self.data.transfer = self._transfer.data
        self._transfer.start(request, transaction, self.data.identity)

    def leg_hung_up(self, leg: Leg, request: Request | None, reason: str) -> None:
        """One side hung up or was found dead; a transferor may, and who is not talking yet."""
        loan, transfer = self.data.loan, self._transfer
        if loan is not None and leg.name == loan.name:
            self._not_joined(480, reason, request=request)
        elif transfer is None or not transfer.let_go(leg, self.legs.far_of(leg)):
            self.fire(Event.HUNG_UP, leg, request, reason)
        else:
            if not transfer.over:
                self.legs.unbridge(self.data.joined)
            self.transferor_left(leg)

    def leg_recalled(self, leg: Leg) -> None:
        """A leg that is here on trial is needed where it is from."""
        if self.data.loan is not None and leg.name == self.data.loan.name:
            self._not_joined(480, "Answered Elsewhere")

    # From the bridges.

    def bridge_invited(self, bridge: Bridge) -> None:
        """A target has been called, or a re-INVITE went on."""
        self._hunt.invited(bridge.b)

    def bridge_answered(self, bridge: Bridge) -> None:
        """The caller has been told of the answer; or after a transfer, both sides talk."""
        moved = self.legs.move_to(bridge)
        self.fire(Event.BRIDGED)
        if moved:
            tell_both(self._shared, bridge)

    def bridge_refused(self, bridge: Bridge, status: int, reason: str) -> None:
        """One side did not want what the other holds to: they stay as they are."""
        if self.data.loan is not None and bridge.b.name == self.data.loan.name:
            self._not_joined(status, reason)
        elif self._transfer is not None and not bridge.data.answered:
            self.legs.dismiss(bridge.b.name)
            self._transfer.failed(status, reason)

    def bridge_failed(self, bridge: Bridge, status: int, reason: str, *fields: Field) -> None:
        """The media for a try, or for the call, cannot be had."""
        trial = self._hunt.trial_of(bridge.b)
        if self.data.loan is not None and bridge.b.name == self.data.loan.name:
            self._not_joined(status, reason, *fields)
        elif trial is not None:
            bridge.b.session.cancel()
            self._hunt.failed(trial, Failure(status, reason, passed=True, fields=list(fields)))
        else:
            said = fields if self.state is State.ANSWERING else ()  # a BYE has no Warning
            self.fire(Event.HUNG_UP, None, None, reason, status, *said)

    # From the transfer.

    def transferor_left(self, leg: Leg) -> None:
        """It has hung up, or has been dismissed: for the record, too."""
        now = self._shared.clock.seconds()
        progress.end_attempt(self.data.record, leg.session.data.dialog.call_id, now)
        self.end_leg(leg.name)

    def transfer_failed(self, transferor_gone: bool) -> None:
        """The call goes on as before; or ends, where only the transferee is left."""
        if transferor_gone and self.state is State.TALKING:
            self.fire(Event.HUNG_UP, None, None, "Transfer failed")

    # Legs of other calls.

    def pick_up(self, lender: Legs, far: Leg) -> None:
        """Instead of asking the policies: talk to the far leg of another call (RFC 3891)."""
        self._shared.observer.call_started(self.data.record)
        self.fire(Event.PICKED_UP, lender, far)

    def replaced(self) -> None:
        """A leg that was lent stays with the other call: this one ends."""
        self.fire(Event.REPLACED)

    def _not_joined(
        self, status: int, reason: str, *fields: Field, request: Request | None = None
    ) -> None:
        """The leg of another call would not have it, or was ended by that request."""
        self.legs.give_back(request)
        if self.state is not State.TALKING:
            self.data.hunt.best = Failure(status, reason, True, fields=list(fields))
            self.fire(Event.EXHAUSTED)
        elif self._transfer is not None:
            self._transfer.failed(status, reason)

    # Actions of the table.

    def _route(self, route: Route) -> None:
        self.data.recorded = route.record
        self.caller.override(route.dialog)
        self._hunt.begin(route, self.caller.profile)

    def _take_over(self, lender: Legs, far: Leg) -> None:
        try:
            take_over(self.legs, self.caller, self.data.invite, lender, far)
        except SdpSyntaxError as error:
            self._not_joined(error.status, error.reason, *crossing.warnings(error))

    def _go_on(self) -> None:
        """A transferee talks to somebody else now."""
        if self._transfer is not None:
            self._transfer.done()

    def _hand_over(self, decision: Proxy) -> None:
        transaction = self.caller.session.hand_over()
        self.legs.end_all()
        self.data.record.to_tag = ""
        self._shared.handed_over(self, transaction, decision, self._shared.observer)

    def _turn_away(self, decision: Redirect | Reject) -> None:
        self._fail("switch", decision.status, *crossing.refusal(decision))

    def _answer(self, leg: Leg, response: Response) -> None:
        self.data.joined = leg.name
        self._hunt.answered(leg, response)
        self.legs.bridges[leg.name].accepted(leg, response)

    def _note_answer(self) -> None:
        record = self.data.record
        progress.note_answer(record, self._shared.clock.seconds())
        self._shared.observer.call_answered(record)

    def _talk(self) -> None:
        self._note_answer()
        self.legs.talk()

    def _fail_best(self) -> None:
        self._fail(*(self.data.hunt.best or Failure(480, "")).said)

    def _cancel(self, request: Request | None) -> None:
        why = crossing.reasons(request)
        self._hunt.stop(why, "Cancelled")
        self.legs.say_goodbye(self.caller, why)
        told = ("switch", 504, "No PRACK") if request is None else ("caller", 487, REASONS[487])
        self._finish(*told, *why)

    def _lose_callee(
        self, leg: Leg | None, request: Request | None, reason: str, status: int = 480, *said: Field
    ) -> None:
        """Answered and gone before the caller was told."""
        why = crossing.reasons(request)
        status = status if leg is None else crossing.status(status)
        crosses = crossing.reasons(request, self.caller.profile)
        self.caller.session.reject(status, None, [*crosses, *said])
        self.legs.say_goodbye(leg, why)
        self._finish("switch" if leg is None else "callee", status, reason, *why, *said)

    def _hang_up(
        self, leg: Leg | None, request: Request | None, reason: str, status: int = 0, *own: Field
    ) -> None:
        self._stop_transfer()
        why = [*crossing.reasons(request), *own]
        self.legs.say_goodbye(leg, why)
        who = "switch"
        if leg is not None and request is not None:
            who = "caller" if leg is self.caller else "callee"
        self._finish(who, self.data.record.status, reason, *why)

    def _shut_early(self, why: str, status: int) -> None:
        self._hunt.stop([], why)
        if self.caller.session.data.life is Life.EARLY:  # not lent, and answered meanwhile
            self.caller.session.reject(status, None)
        self.legs.say_goodbye(None, [])
        self._finish("switch", status, why)

    def _leave(self) -> None:
        if self.caller.session.data.life is Life.CONFIRMED and self.data.record.answered is None:
            self._note_answer()
        self._hunt.stop([ELSEWHERE], "Call completed elsewhere")
        self.legs.unbridge(self.data.joined)
        self.legs.say_goodbye(None, [])
        self._finish("switch", self.data.record.status, "Replaced")

    def _shut_late(self, why: str, _: int) -> None:
        self._hang_up(None, None, why)

    # Helpers.

    def _fail(self, who: str, status: int, reason: str | None, fields: list[Field]) -> None:
        """Tell the caller that it came to nothing, unless it knows."""
        if self.caller.session.data.life is Life.EARLY:
            self.caller.session.reject(status, reason, fields)
        self._finish(who, status, reason or REASONS.get(status, ""), *fields)

    def _stop_transfer(self) -> None:
        if self._transfer is not None and not self._transfer.over:
            self._transfer.lost()
            self._hunt.stop([], "Transferee gone")

    def _finish(self, who: str, status: int, reason: str, *why: Field) -> None:
        """The call is over: the record is complete, everything is let go."""
        progress.end_record(
            self.data.record, who, status, reason, why, self._shared.clock.seconds()
        )
        self.legs.end_all()
        self._transfer = None
        heir, self.heir = self.heir, None
        if heir is not None:
            heir.failed(status, reason)
        self._shared.ended(self, self._shared.observer)


Call.TABLE = {
    (State.ASKING, Event.ROUTED): (State.HUNTING, Call._route),
    (State.ASKING, Event.TURNED_AWAY): (State.ENDED, Call._turn_away),
    (State.ASKING, Event.PROXIED): (State.ENDED, Call._hand_over),
    (State.ASKING, Event.PICKED_UP): (State.HUNTING, Call._take_over),
    (State.ASKING, Event.CANCELLED): (State.ENDED, Call._cancel),
    (State.ASKING, Event.SHUT): (State.ENDED, Call._shut_early),
    (State.HUNTING, Event.BRIDGED): (State.TALKING, Call._talk),
    (State.HUNTING, Event.REPLACED): (State.ENDED, Call._leave),
    (State.HUNTING, Event.ANSWERED): (State.ANSWERING, Call._answer),
    (State.HUNTING, Event.EXHAUSTED): (State.ENDED, Call._fail_best),
    (State.HUNTING, Event.CANCELLED): (State.ENDED, Call._cancel),
    (State.HUNTING, Event.SHUT): (State.ENDED, Call._shut_early),
    (State.ANSWERING, Event.BRIDGED): (State.TALKING, Call._talk),
    (State.ANSWERING, Event.EXHAUSTED): (State.ENDED, Call._fail_best),
    (State.ANSWERING, Event.CANCELLED): (State.ENDED, Call._cancel),
    (State.ANSWERING, Event.HUNG_UP): (State.ENDED, Call._lose_callee),
    (State.ANSWERING, Event.SHUT): (State.ENDED, Call._shut_early),
    (State.TALKING, Event.BRIDGED): (State.TALKING, Call._go_on),
    (State.TALKING, Event.REPLACED): (State.ENDED, Call._leave),
    (State.TALKING, Event.HUNG_UP): (State.ENDED, Call._hang_up),
    (State.TALKING, Event.SHUT): (State.ENDED, Call._shut_late),
}
