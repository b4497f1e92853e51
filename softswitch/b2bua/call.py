"""A call: the history around its legs, from the INVITE to the record. Pure.

The caller's leg is there from the beginning. Policies say where the call goes, the hunt says
what is tried next, each try is a leg with a bridge to the caller's; the first that answers stays.
What has happened stands in the call's record, and is told to the observers.
"""

from enum import StrEnum
from functools import partial

import attrs

from softswitch.b2bua import crossing
from softswitch.b2bua.bridge import Bridge, BridgeData
from softswitch.b2bua.hunt import UNREACHED, Failure, Hunt
from softswitch.b2bua.leg import Leg, LegData
from softswitch.b2bua.shared import Shared
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.session import Session
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.machine import Machine
from softswitch.plugin.decisions import (
    Follow,
    Redirect,
    Redirection,
    Reject,
    Route,
    Routing,
    Target,
)
from softswitch.plugin.media import MediaNetwork
from softswitch.plugin.record import Attempt, CallRecord
from softswitch.plugin.views import CallView, Identity, RequestView
from softswitch.scope import Scope
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS
from softswitch.sip.uri import Uri
from softswitch.transaction.invite_server import InviteServer

ELSEWHERE: Field = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')


class State(StrEnum):
    """How far a call has come."""

    ASKING = "asking"
    HUNTING = "hunting"
    ANSWERING = "answering"
    TALKING = "talking"
    ENDED = "ended"


class Event(StrEnum):
    """What can happen to a call."""

    ROUTED = "routed"
    TURNED_AWAY = "turned away"
    ANSWERED = "callee answered"
    BRIDGED = "caller told"
    EXHAUSTED = "all targets failed"
    CANCELLED = "caller gave up"
    HUNG_UP = "one side hung up"
    SHUT = "switch stops"


@attrs.define
class Trial:
    """One target being tried; plain data.

    :ivar leg: the leg's name; "" while the target is being resolved.
    :ivar target: what is tried.
    :ivar attempt: its entry in the record.
    :ivar depth: how many redirections led to it.
    :ivar heard: whether anything has come from it, be it a 100.
    """

    leg: str
    target: Target
    attempt: Attempt
    depth: int = 0
    heard: bool = False


@attrs.define
class CallData:
    """What a call knows; plain data.

    :ivar id: unique for ever; in the log and the record.
    :ivar invite: the caller's INVITE.
    :ivar identity: who called.
    :ivar record: what is left of the call in the end.
    :ivar state: how far it has come.
    :ivar legs: those that have not ended, by name.
    :ivar bridges: those that have not ended, by the name of leg b.
    :ivar trials: targets being tried, by number.
    :ivar hunt: what is still to be tried.
    :ivar depth: how many redirections have been followed.
    :ivar tries: how many trials there have been.
    :ivar token: of the question to the policies that is open; 0 for none.
    :ivar asked: how many questions there have been.
    """

    id: str
    invite: Request
    identity: Identity
    record: CallRecord
    state: State = State.ASKING
    legs: dict[str, LegData] = attrs.Factory(dict)
    bridges: dict[str, BridgeData] = attrs.Factory(dict)
    trials: dict[int, Trial] = attrs.Factory(dict)
    hunt: Hunt = attrs.Factory(Hunt)
    depth: int = 0
    tries: int = 0
    token: int = 0
    asked: int = 0


class Call(Machine):
    """One call.

    :ivar data: what it knows.
    :param shared: what all calls share.
    :param transaction: of the caller's INVITE.
    :raises SipSyntaxError: when the INVITE cannot make a dialog.
    """

    __slots__ = ("_bridges", "_legs", "_shared", "_view", "caller", "data")

    def __init__(
        self, shared: Shared, request: Request, transaction: InviteServer, identity: Identity
    ) -> None:
        self._shared = shared
        flow = transaction.flow
        tag = compose.new_tag()
        number = request.request_uri.user or ""
        dialog = Dialog.answering(
            request, flow, tag, shared.contact(number, flow), identity.kind == "user"
        )
        name = compose.new_tag()
        self.data = CallData(
            id=name,
            invite=request,
            identity=identity,
            record=CallRecord(
                id=name,
                call_id_a=request.call_id,
                from_tag=request.from_.tag or "",
                identity_kind=identity.kind,
                identity=identity.name,
                caller=str(request.from_.uri),
                called=request.uri,
                invited=shared.clock.seconds(),
                to_tag=tag,
            ),
        )
        self._view = RequestView(request, flow, identity)
        self._legs: dict[str, Leg] = {}
        self._bridges: dict[str, Bridge] = {}
        self.caller = self._new_leg("a", dialog, flow, transaction)

    @property
    def state(self) -> State:
        """How far it has come; kept in ``data`` so that it is written down with it."""
        return self.data.state

    @state.setter
    def state(self, state: StrEnum) -> None:
        assert isinstance(state, State)
        self.data.state = state

    @property
    def id(self) -> str:
        """Unique for ever."""
        return self.data.id

    def start(self) -> None:
        """Ask the policies where the call goes."""
        self._shared.observer.call_started(self.data.record)
        self._shared.policies.ask_route(self._view, partial(self._routed, self._question()))

    def turn_away(self, status: int, reason: str | None = None) -> None:
        """Refuse the call before anybody is asked."""
        self._shared.observer.call_started(self.data.record)
        self.fire(Event.TURNED_AWAY, Reject(status, reason))

    def shut(self) -> None:
        """End the call whatever its state: the switch stops."""
        self.fire(Event.SHUT)

    # From the policies.

    def _question(self) -> int:
        self.data.asked += 1
        self.data.token = self.data.asked
        return self.data.asked

    def _routed(self, token: int, decision: Routing) -> None:
        if token != self.data.token:
            return
        self.data.token = 0
        if isinstance(decision, Route):
            self.fire(Event.ROUTED, decision)
        else:
            self.fire(Event.TURNED_AWAY, decision)

    def _redirected(
        self, token: int, trial: Trial, failure: Failure, decision: Redirection
    ) -> None:
        if token != self.data.token:
            return
        self.data.token = 0
        if isinstance(decision, Follow):
            self.data.depth = trial.depth + 1
            self.data.hunt.add(decision.targets)
        else:
            if isinstance(decision, Reject):
                failure = Failure(decision.status, decision.reason or "")
            self.data.hunt.failed(trial.target, failure)
        self._go_on()

    # From the legs.

    def leg_progressed(self, leg: Leg, response: Response) -> None:
        """The callee rings, or says something else before the answer."""
        trial = self._trial(leg)
        bridge = self._bridges.get(leg.name)
        if trial is None or bridge is None or self.state is not State.HUNTING:
            return
        rings = response.status >= 180 and trial.attempt.ringing is None
        if rings or not trial.heard:
            trial.heard = True
            ring_seconds = trial.target.ring_seconds or self._shared.settings.ring_seconds
            leg.give_up_in(ring_seconds, self._rang_out)
        if rings:
            now = trial.attempt.ringing = self._shared.clock.seconds()
            record = self.data.record
            if record.ringing is None:
                record.ringing = now
                self._shared.observer.call_ringing(record)
        if response.status > 100:
            bridge.provisional(response)

    def leg_answered(self, leg: Leg, response: Response) -> None:
        """The callee answered, or a re-INVITE was."""
        leg.keep()
        if self.state is State.HUNTING:
            self.fire(Event.ANSWERED, leg, response)
            return
        bridge = self._bridges.get(leg.name) or self._bridge()
        if bridge is not None:
            bridge.accepted(leg, response)

    def leg_refused(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        """A try failed, or a re-INVITE was refused."""
        trial = self._trial(leg)
        if trial is None:
            bridge = self._bridge()
            if bridge is not None:
                bridge.refused(leg, status, reason, response)
            return
        contacts = []
        if response is not None and 300 <= status < 400:
            contacts = _contacts(response)
        reached = response is not None and status not in UNREACHED
        self._trial_failed(trial, Failure(status, reason, reached, contacts))

    def leg_cancelled(self, leg: Leg, request: Request | None) -> None:
        """The caller gave up, or cancelled a re-INVITE."""
        bridge = self._bridge()
        if self.state is State.TALKING and bridge is not None:
            bridge.cancelled(leg)
        else:
            self.fire(Event.CANCELLED, request)

    def leg_reinvited(self, leg: Leg, request: Request) -> None:
        """One side re-negotiates."""
        bridge = self._bridge()
        if self.state is State.TALKING and bridge is not None:
            bridge.reinvited(leg, request)
        else:
            leg.session.reject(491, None)

    def leg_acknowledged(self, leg: Leg, ack: Request) -> None:
        """The caller's ACK, or that of a re-INVITE."""
        bridge = self._bridge()
        if bridge is not None:
            bridge.acknowledged(leg, ack)

    def leg_hung_up(self, leg: Leg, request: Request | None, reason: str) -> None:
        """One side hung up or was found dead."""
        self.fire(Event.HUNG_UP, leg, request, reason)

    # From the bridge.

    def bridge_answered(self, bridge: Bridge) -> None:
        """The caller has been told of the answer."""
        self.fire(Event.BRIDGED)

    def bridge_failed(self, bridge: Bridge, status: int, reason: str) -> None:
        """The media for a try, or for the call, cannot be had."""
        trial = self._trial(bridge.b)
        if trial is not None and self.state is State.HUNTING:
            bridge.b.session.cancel()
            self._trial_failed(trial, Failure(status, reason, reached=False))
        else:
            self.fire(Event.HUNG_UP, None, None, reason, status)

    # Actions of the table.

    def _hunt(self, route: Route) -> None:
        self.data.hunt.add(route.targets)
        self._go_on()

    def _turned_away(self, decision: Redirect | Reject) -> None:
        if isinstance(decision, Redirect):
            contacts: list[Field] = [("Contact", f"<{uri}>") for uri in decision.contacts]
            self._fail(decision.status, None, contacts)
        else:
            self._fail(decision.status, decision.reason, list(decision.headers.items()))

    def _answered(self, leg: Leg, response: Response) -> None:
        for number, trial in list(self.data.trials.items()):
            if trial.leg == leg.name:
                trial.attempt.answered = self._shared.clock.seconds()
                trial.attempt.status = response.status
                trial.attempt.reason = response.reason
                del self.data.trials[number]
            else:
                self._give_up(number, trial, [ELSEWHERE], "Call completed elsewhere")
        self._bridges[leg.name].accepted(leg, response)

    def _bridged(self) -> None:
        record = self.data.record
        record.answered = self._shared.clock.seconds()
        record.status, record.reason = 200, "OK"
        self._shared.observer.call_answered(record)

    def _exhausted(self) -> None:
        best = self.data.hunt.best or Failure(480, "")
        contacts: list[Field] = [("Contact", f"<{uri}>") for uri in best.contacts]
        told = crossing.status(best.status)
        self._fail(told, best.reason or None if told == best.status else None, contacts)

    def _cancelled(self, request: Request | None) -> None:
        self._give_up_all(_reason(request))
        self._finish("caller", 487, "Request Terminated")

    def _hung_up_early(
        self, leg: Leg | None, request: Request | None, reason: str, status: int = 480
    ) -> None:
        """The callee, already answered, is gone before the caller was told."""
        self._say_goodbye(leg, _reason(request))
        self.caller.session.reject(status, None)
        self._finish("switch" if leg is None else "callee", status, reason)

    def _cancelled_late(self, request: Request | None) -> None:
        self._say_goodbye(self.caller, _reason(request))
        self._finish("caller", 487, "Request Terminated")

    def _hung_up(
        self, leg: Leg | None, request: Request | None, reason: str, status: int = 0
    ) -> None:
        self._say_goodbye(leg, _reason(request))
        if leg is None or request is None:
            who = "switch"
        else:
            who = "caller" if leg is self.caller else "callee"
        self._finish(who, self.data.record.status, reason)

    def _shut(self) -> None:
        self._give_up_all([])
        self._say_goodbye(None, [])
        status = self.data.record.status
        if self.data.record.answered is None:
            status = 503
            self.caller.session.reject(status, None)
        self._finish("switch", status, "Switch stops")

    # Helpers: trying targets.

    def _go_on(self) -> None:
        """Try what comes next, unless something is still being tried."""
        while not self.data.trials and not self.data.token and self.state is State.HUNTING:
            targets = self.data.hunt.next()
            if not targets:
                self.fire(Event.EXHAUSTED)
                return
            begun = [self._begin(target) for target in targets]
            for number, trial in begun:
                self._resolve(number, trial)

    def _begin(self, target: Target) -> tuple[int, Trial]:
        data = self.data
        data.tries += 1
        attempt = Attempt(target.uri, "", self._shared.clock.seconds(), target.trunk)
        data.record.attempts.append(attempt)
        trial = data.trials[data.tries] = Trial("", target, attempt, data.depth)
        return data.tries, trial

    def _resolve(self, number: int, trial: Trial) -> None:
        if trial.target.flow is not None:
            self._invite(number, trial.target.flow)
        else:
            self._shared.find_flow(trial.target.uri, partial(self._invite, number))

    def _invite(self, number: int, flow: Flow | None) -> None:
        """The flow to a target has been found, or not: make its leg and call it."""
        data, shared = self.data, self._shared
        trial = data.trials.get(number)
        if trial is None:
            return
        if flow is None or not shared.is_alive(flow):
            self._trial_failed(trial, Failure(503, "No Route To Target", reached=False))
            return
        invite = data.invite
        target = trial.target
        trial.leg = name = f"b{number}"
        facing = shared.facing(flow)
        tag = compose.new_tag()
        to = NameAddr("", Uri.parse(target.call_to or target.uri))
        dialog = Dialog(
            call_id=compose.new_call_id(facing.host),
            local_tag=tag,
            remote_tag="",
            local=f"{crossing.caller(invite, facing.host)};tag={tag}",
            remote=str(to),
            contact=shared.contact(invite.from_.uri.user or "", flow),
            remote_target=target.uri,
            flow=flow,
            symmetric=target.flow is not None,
        )
        trial.attempt.call_id_b = dialog.call_id
        leg = self._new_leg(name, dialog, flow, None, target.trunk)
        bridge_data = data.bridges[name] = BridgeData(f"{data.id}/{name}")
        bridge = self._bridges[name] = Bridge(
            bridge_data,
            self.caller,
            leg,
            self,
            shared.engine,
            shared.clock,
            shared.settings.media_seconds,
        )
        leg.give_up_in(shared.settings.try_seconds, self._silent)
        fields: list[Field] = [
            *crossing.fields(invite),
            *crossing.describing(invite),
            (crossing.MARK, shared.mark(invite)),
            *shared.own_fields,
            *target.headers.items(),
        ]
        bridge.invite(fields, invite, (invite.max_forwards or 70) - 1)

    def _silent(self, leg: Leg) -> None:
        """Not even a 100 in ``try_seconds``."""
        trial = self._trial(leg)
        assert trial is not None
        leg.session.cancel()
        self._trial_failed(trial, Failure(408, "Request Timeout", reached=False))

    def _rang_out(self, leg: Leg) -> None:
        """Nobody picked up."""
        trial = self._trial(leg)
        assert trial is not None
        leg.session.cancel()
        self._trial_failed(trial, Failure(480, "No Answer"))

    def _trial_failed(self, trial: Trial, failure: Failure) -> None:
        """A try is over; a 3xx is the redirect policy's, all else the hunt's."""
        number = next(key for key, value in self.data.trials.items() if value is trial)
        del self.data.trials[number]
        trial.attempt.ended = self._shared.clock.seconds()
        trial.attempt.status, trial.attempt.reason = failure.status, failure.reason
        self._end_leg(trial.leg)
        if failure.contacts and not self.data.token:
            view = CallView(
                self.id,
                self._view,
                trial.target,
                failure.status,
                trial.depth,
                tuple(self.data.hunt.tried),
            )
            told = partial(self._redirected, self._question(), trial, failure)
            self._shared.policies.ask_redirect(view, failure.contacts, told)
            return
        self.data.hunt.failed(trial.target, failure)
        if self.data.hunt.stopped:
            self._give_up_all([])
        self._go_on()

    def _give_up_all(self, fields: list[Field]) -> None:
        for number, trial in list(self.data.trials.items()):
            self._give_up(number, trial, fields, "Cancelled")

    def _give_up(self, number: int, trial: Trial, fields: list[Field], reason: str) -> None:
        """Cancel a try: the answer is not wanted any more."""
        del self.data.trials[number]
        trial.attempt.ended = self._shared.clock.seconds()
        trial.attempt.reason = reason
        leg = self._legs.get(trial.leg)
        if leg is not None:
            leg.session.cancel(fields)
        self._end_leg(trial.leg)

    # Helpers: ending.

    def _fail(self, status: int, reason: str | None, fields: list[Field]) -> None:
        """Tell the caller that it came to nothing."""
        self.caller.session.reject(status, reason, fields)
        best = self.data.hunt.best
        who = "callee" if best is not None and best.reached else "switch"
        self._finish(who, status, reason or REASONS.get(status, ""))

    def _say_goodbye(self, gone: Leg | None, fields: list[Field]) -> None:
        """Send BYE on each confirmed leg but the one that is gone."""
        for leg in list(self._legs.values()):
            if leg is not gone:
                leg.session.bye(fields)

    def _finish(self, who: str, status: int, reason: str) -> None:
        """The call is over: the record is complete, everything is let go."""
        now = self._shared.clock.seconds()
        record = self.data.record
        record.ended, record.hung_up, record.status, record.reason = now, who, status, reason
        self.data.token = 0
        for attempt in record.attempts:
            if attempt.ended is None:
                attempt.ended = now
        for name in list(self._legs):
            self._end_leg(name)
        self._shared.ended(self)

    def _end_leg(self, name: str) -> None:
        bridge = self._bridges.pop(name, None)
        if bridge is not None:
            bridge.end()
            del self.data.bridges[name]
        leg = self._legs.pop(name, None)
        if leg is not None:
            leg.end()
            del self.data.legs[name]

    # Helpers: making and finding.

    def _new_leg(
        self,
        name: str,
        dialog: Dialog,
        flow: Flow,
        transaction: InviteServer | None,
        trunk: str | None = None,
    ) -> Leg:
        shared = self._shared
        facing = shared.facing(flow)
        scope = Scope(f"{self.data.id}/{name}", shared.auditor)
        network = MediaNetwork(facing.media_bind, facing.media_host)
        credentials = None if trunk is None else shared.credentials(trunk)
        session = Session(shared.clock, shared.agent, scope, dialog, transaction, credentials)
        data = LegData(name, session.data, network, flow.remote_host)
        leg = Leg(data, session, self, shared.clock)
        self.data.legs[name] = data
        self._legs[name] = leg
        return leg

    def _trial(self, leg: Leg) -> Trial | None:
        """The trial that a leg belongs to; None when it is the caller's or has answered."""
        for trial in self.data.trials.values():
            if trial.leg == leg.name:
                return trial
        return None

    def _bridge(self) -> Bridge | None:
        """The bridge of a call that was answered."""
        return next(iter(self._bridges.values()), None)


def _contacts(response: Response) -> list[str]:
    """The URIs of a 3xx in descending q (RFC 3261 8.1.3.4); none where they cannot be read."""
    try:
        contacts = sorted(response.contacts, key=lambda contact: -contact.q)
    except SipSyntaxError:
        return []
    return [str(contact.uri) for contact in contacts]


def _reason(request: Request | None) -> list[Field]:
    """The Reason fields (RFC 3326) of a BYE or CANCEL, for the other leg's."""
    return [] if request is None else [("Reason", value) for value in request.all("Reason")]


Call.TABLE = {
    (State.ASKING, Event.ROUTED): (State.HUNTING, Call._hunt),
    (State.ASKING, Event.TURNED_AWAY): (State.ENDED, Call._turned_away),
    (State.ASKING, Event.CANCELLED): (State.ENDED, Call._cancelled),
    (State.ASKING, Event.SHUT): (State.ENDED, Call._shut),
    (State.HUNTING, Event.ANSWERED): (State.ANSWERING, Call._answered),
    (State.HUNTING, Event.EXHAUSTED): (State.ENDED, Call._exhausted),
    (State.HUNTING, Event.CANCELLED): (State.ENDED, Call._cancelled),
    (State.HUNTING, Event.SHUT): (State.ENDED, Call._shut),
    (State.ANSWERING, Event.BRIDGED): (State.TALKING, Call._bridged),
    (State.ANSWERING, Event.CANCELLED): (State.ENDED, Call._cancelled_late),
    (State.ANSWERING, Event.HUNG_UP): (State.ENDED, Call._hung_up_early),
    (State.ANSWERING, Event.SHUT): (State.ENDED, Call._shut),
    (State.TALKING, Event.HUNG_UP): (State.ENDED, Call._hung_up),
    (State.TALKING, Event.SHUT): (State.ENDED, Call._shut),
}
