"""The hunt: where a call is tried, and what the caller is told when all has failed. Pure.

Steps follow one another; the targets of a step ring at once. Each target, each address of a
trunk, is tried with a leg and a bridge of its own, so that the late 2xx of one that was given up
is ended by that leg and by nobody else. The call hears of progress, of the first answer, and of
the end.
"""

from functools import partial
from weakref import proxy

from softswitch.b2bua import crossing, diversion
from softswitch.b2bua.expense import NOBODY, charge
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.outgoing import begin
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.trials import (
    UNREACHED,
    Failure,
    HuntData,
    HuntUser,
    Trial,
    Turn,
    contacts_of,
    is_another,
    same_callee,
)
from softswitch.dialog import sips
from softswitch.flow import Flow
from softswitch.plugin.decisions import (
    Diversion,
    Follow,
    Redirection,
    Reject,
    Route,
    Target,
    steps,
)
from softswitch.plugin.profile import DEFAULT, Profile
from softswitch.plugin.record import Attempt
from softswitch.plugin.views import CallView, RequestView
from softswitch.sip import forks
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS
from softswitch.sip.uri import Uri
from softswitch.transport.layer import Destination

#: Provisional answers after which somebody may pick up: the phone rings, or the call is queued.
RINGING = frozenset((180, 182, 183))

#: Tells the losers of a race why they are cancelled (RFC 3326).
ELSEWHERE: Field = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')


class Hunt:
    """Tries targets until one answers.

    :param invite: the caller's INVITE, or what stands for it.
    :param view: the same, for the redirect policy.
    """

    __slots__ = ("_call_id", "_invite", "_near", "_shared", "_user", "_view", "data")

    def __init__(
        self,
        data: HuntData,
        call_id: str,
        invite: Request,
        view: RequestView,
        user: HuntUser,
        shared: Shared,
    ) -> None:
        self.data = data
        self._call_id = call_id
        self._invite = invite
        self._view = view
        self._near = DEFAULT
        # The call owns the hunt; two that own each other would wait for the garbage collector.
        self._user: HuntUser = proxy(user)
        self._shared = shared

    def begin(self, route: Route, near: Profile) -> None:
        """Try a route's targets, and where it forwards to.

        :param near: profile of whoever calls.
        """
        self._near = near
        self._enter(route)

    def trial_of(self, leg: Leg) -> Trial | None:
        """The trial that a leg belongs to; None when it is not being tried."""
        for trial in self.data.trials.values():
            if trial.leg == leg.name:
                return trial
        return None

    def invited(self, leg: Leg) -> None:
        """The INVITE has left, once the media engine had answered: from now on its target may be
        found silent."""
        trial = self.trial_of(leg)
        if trial is not None:
            seconds = self._shared.settings.try_seconds
            leg.give_up_in(self._shared.traffic.patience(trial.target, seconds), self._silent)

    def progressed(self, leg: Leg, trial: Trial, response: Response) -> None:
        """A target has said that it is there, or that it rings."""
        rings = response.status in RINGING and trial.attempt.ringing is None
        if rings or not trial.heard:
            trial.heard = True
            self._shared.traffic.heard(trial.target, trial.flow)
            ring_seconds = trial.target.ring_seconds or self._shared.settings.ring_seconds
            leg.give_up_in(ring_seconds, self._rang_out)
        if rings:
            trial.attempt.ringing = self._shared.clock.seconds()
            self._user.hunt_rang(trial.attempt.ringing)

    def answered(self, leg: Leg, response: Response) -> None:
        """A target has answered: cancel the others."""
        for number, trial in list(self.data.trials.items()):
            if trial.leg == leg.name:
                trial.attempt.answered = self._shared.clock.seconds()
                trial.attempt.status, trial.attempt.reason = response.status, response.reason
                self._shared.traffic.heard(trial.target, trial.flow)
                self._shared.traffic.answered(trial.toll)
                del self.data.trials[number]
        self.stop([ELSEWHERE], "Call completed elsewhere")

    def refused(
        self, leg: Leg, trial: Trial, status: int, reason: str, response: Response | None
    ) -> None:
        """A target has refused, or our INVITE to it has failed."""
        self._shared.traffic.refused(trial.target, trial.flow, status, response)
        failure = Failure(status, reason, response is not None)
        if response is not None:
            failure.passed = crossing.is_passed(status, leg.profile)
            failure.fields = [
                *crossing.fields(response, self._near),
                *crossing.challenges(response, leg.profile),
            ]
            failure.contacts = contacts_of(response) if status < 400 else []
        self.failed(trial, failure)

    def failed(self, trial: Trial, failure: Failure) -> None:
        """A try is over; a 3xx is the redirect policy's, all else ours."""
        data = self.data
        number = next(key for key, value in data.trials.items() if value is trial)
        del data.trials[number]
        trial.ended(failure, self._shared.clock.seconds())
        self._user.end_leg(trial.leg)
        spare = trial.over_another_flow(failure)
        if spare is not None:
            self._try(spare)
            return
        if trial.places and failure.elsewhere:
            data.best = failure.better(data.best)
            turn = Turn([], trial.depth, trial.diversions)
            number, _ = self._begin(trial.target, turn, trial.breadth)
            self._call_at(number, data.trials[number], trial.places)
            return
        if failure.contacts:
            data.asked += 1
            data.asking.append(data.asked)
            view = CallView(
                self._call_id,
                self._view,
                trial.target,
                failure.status,
                trial.depth,
                tuple(data.tried),
            )
            told = partial(self._redirected, data.asked, trial, failure)
            self._shared.policies.ask_redirect(view, failure.contacts, told)
            return
        self._note(trial.target, failure)
        self._go_on()

    def stop(self, fields: list[Field], reason: str) -> None:
        """Cancel what is being tried, and try nothing more."""
        self.data.forward.clear()
        self._give_up_all(fields, reason)

    # Choosing.

    def _enter(self, route: Route) -> None:
        """Whoever forwards is named to those who are rung."""
        data = self.data
        diversions = [*data.diversions, *route.diversions]
        data.turns = [Turn(targets, 0, diversions) for targets in steps(route.targets)]
        data.diversions = diversions
        data.forward = {str(outcome): further for outcome, further in route.forward.items()}
        data.outcome = ""
        if not route.targets:
            status = self._shared.traffic.no_trunk_status
            data.best = Failure(status, "").out_of_order(status).better(data.best)
            data.outcome = "unreachable"
        if route.diversions:
            self._user.hunt_forwarded()
        self._go_on()

    def _note(self, target: Target, failure: Failure) -> None:
        """Some refusals speak for the callee wherever he is (RFC 3261 16.7); one of the far end
        itself makes the other addresses of its trunk pointless."""
        data = self.data
        data.best = failure.better(data.best)
        came_of_it = diversion.outcome(failure.status, failure.rang)
        data.outcome = diversion.weightier(data.outcome, came_of_it)
        if failure.status in self._shared.settings.stop_on:
            if any(is_another(each, target) for each in data.targets):
                self._give_up_all([], "Declined elsewhere", target)
            else:
                data.best = failure
                self._give_up_all([], "Declined elsewhere")
        elif target.trunk is not None and failure.reached:
            busy = failure.status == 486
            data.keep(lambda each: not same_callee(each, target, busy))

    def _give_up_all(self, fields: list[Field], reason: str, callee: Target | None = None) -> None:
        """Or, of several callees of ours, but the one to whom that target belongs."""
        data = self.data
        given_up = data.give_up(callee)
        for trial in given_up:
            trial.attempt.ended = self._shared.clock.seconds()
            trial.attempt.reason = reason
            if trial.leg:
                self._user.cancel_leg(trial.leg, fields)
                self._user.end_leg(trial.leg)

    def _go_on(self) -> None:
        """Try the next turn, unless something is still being tried; then what forwards."""
        data = self.data
        if data.trials or data.asking:
            return
        if data.turns:
            self._try(data.turns.pop(self._next()))
            return
        further = data.forward.get(data.outcome) or data.forward.get("failed")
        if further is not None:
            self._enter(further)
            return
        best, traffic = data.best, self._shared.traffic
        trunk = "" if best is None or best.status not in UNREACHED else best.trunk
        if best is not None and trunk and not traffic.is_up(trunk):
            data.best = best.out_of_order(traffic.no_trunk_status)
        self._user.hunt_failed()

    def _next(self) -> int:
        """Which turn is next: those whose member has gone out since the route was made wait."""
        turns, is_out = self.data.turns, self._shared.traffic.is_out
        if len(turns) > 1:
            for index, turn in enumerate(turns):
                if not all(map(is_out, turn.targets)):
                    return index
        return 0

    def _redirected(
        self, asking: int, trial: Trial, failure: Failure, decision: Redirection
    ) -> None:
        """What is followed takes the place of what redirected, beside what rings still."""
        data = self.data
        if asking not in data.asking:
            return
        data.asking.remove(asking)
        if isinstance(decision, Follow):
            by = trial.target.call_to or trial.target.uri
            diversions = [*trial.diversions, Diversion(by, "deflection")]
            first, *rest = steps(decision.targets)
            data.turns[:0] = [Turn(targets, trial.depth + 1, diversions) for targets in rest]
            self._try(Turn(first, trial.depth + 1, diversions))
            return
        if isinstance(decision, Reject):
            fields = list(decision.headers.items())
            failure = Failure(decision.status, decision.reason or "", fields=fields)
        self._note(trial.target, failure)
        self._go_on()

    # Trying.

    def _try(self, turn: Turn) -> None:
        # Who fails at once goes on from there, so that there is nothing to go on with below.
        found = self.data.share_out(turn, self._invite, self._shared.settings.forks)
        if isinstance(found, str):
            self._fork_no_more(turn.targets[0], found)
            return
        for number, target in [self._begin(target, turn, share) for target, share in found]:
            if target.flow is not None:
                self._invite_on(number, target.flow)
            else:
                hop = self._shared.hop(target)
                self._shared.find_places(hop, partial(self._resolved, number))

    def _fork_no_more(self, target: Target, limit: str) -> None:
        """What would go to too many places goes to none of them (RFC 5393 5.3.3)."""
        data, now = self.data, self._shared.clock.seconds()
        attempt = Attempt(target.uri, "", now, target.trunk, limit=limit, ended=now)
        attempt.status, attempt.reason = 440, REASONS[440]
        self._user.hunt_began(attempt)
        data.best = Failure(440, "").better(data.best)
        data.turns.clear()
        data.forward.clear()
        self._go_on()

    def _begin(self, target: Target, turn: Turn, share: int) -> tuple[int, Target]:
        data = self.data
        if sips.wants_protection(self._invite):
            target = sips.protected(target)
        data.tries += 1
        data.tried.append(target.uri)
        attempt = Attempt(target.uri, "", self._shared.clock.seconds(), target.trunk)
        trial = Trial("", target, attempt, turn.depth, turn.diversions, breadth=share)
        data.trials[data.tries] = trial
        self._user.hunt_began(attempt)
        return data.tries, target

    def _resolved(self, number: int, places: list[Destination]) -> None:
        """A target leads there, or nowhere; of a trunk's, what is out is left alone."""
        trial = self.data.trials.get(number)
        if trial is None:
            return
        target = trial.target
        if target.trunk is not None:
            dialled = partial(self._dialled, target)
            places = self._shared.traffic.places(target, places, dialled)
        self._call_at(number, trial, places)

    def _call_at(self, number: int, trial: Trial, places: list[Destination]) -> None:
        """Call a target at the first of its places to which there is a way."""
        flow = None
        trial.places = list(places)
        while flow is None and trial.places:
            flow = self._shared.flow_to(trial.places.pop(0))
        self._invite_on(number, flow)

    def _invite_on(self, number: int, flow: Flow | None) -> None:
        """The flow to a target has been found, or not: make its leg and call it."""
        shared, invite = self._shared, self._invite
        trial = self.data.trials.get(number)
        if trial is None:
            return
        target = trial.target
        if flow is None or not shared.is_alive(flow):
            shared.traffic.failed(target, None, "leads nowhere")
            self.failed(trial, Failure(503, "No Route To Target"))
            return
        if sips.is_barred(invite, target, flow):
            self.failed(trial, Failure(480, "", fields=[sips.NOT_ALLOWED]))
            return
        if target.trunk is not None and not self._take_up(trial, target.trunk, flow):
            return
        trunk, registered = target.trunk, shared.registered(target)
        if registered and trunk is None and not self._has_room(trial, registered):
            return
        if trunk is None and target.call_to is None and not self._is_afforded(trial, flow):
            return
        trial.leg = trial.attempt.leg = f"b{number}"
        peer = ("user", registered) if trunk is None else ("trunk", trunk)
        far = shared.profile(*peer).changed(target.dialog)
        who = self._view.identity or NOBODY
        past_us = "bypass" in (self._near.media, far.media)
        relayed = shared.engine is not None and not past_us
        begun = begin(shared, target, flow, invite, who, self._near, far, relayed)
        dialog, shown = begun.dialog, begun.shown
        attempt = trial.attempt
        attempt.call_id_b, attempt.caller = dialog.call_id, shown.from_
        attempt.user = registered if trunk is None else ""
        attempt.attestation, attempt.origid = begun.signed.attestation, begun.signed.origid
        bridge = self._user.new_callee(trial.leg, dialog, flow, target, far)
        bridge.b.data.elsewhere, bridge.b.data.toll = bool(trial.diversions), trial.toll
        fields: list[Field] = [
            *shown.visible(crossing.fields(invite, far)),
            *crossing.describing(invite),
            *shown.fields,
            *crossing.credentials(invite, far, shared.settings.realm),
            *diversion.fields(invite, trial.diversions, begun.called, far, self._near),
            (crossing.MARK, shared.mark(invite)),
            *forks.fields(invite, trial.breadth),
            *shared.introduction(target),
            *target.headers.items(),
        ]
        self._user.call_callee(bridge, fields)

    def _take_up(self, trial: Trial, trunk: str, flow: Flow) -> bool:
        """Whether a trunk can bear the call. Its other members could not, either."""
        traffic, data, target = self._shared.traffic, self.data, trial.target
        trial.flow = flow
        over = traffic.over(trunk, "out", partial(self._dialled, target))
        asked = over is None and traffic.throttles is not None
        if asked and self._is_kept_back(trial, trunk, flow):
            return False
        if over is None:
            afforded = self._is_afforded(trial, flow)
            if afforded:
                traffic.tried(target, flow)
            return afforded
        status, trial.attempt.limit = over
        data.keep(lambda each: each.trunk != trunk)
        self.failed(trial, Failure(status, ""))
        return False

    def _is_afforded(self, trial: Trial, flow: Flow) -> bool:
        """Whether somebody may pay for what goes out over a trunk, or to one without a word."""
        who, dialled = self._view.identity or NOBODY, self._dialled(trial.target)
        refused = charge(self._shared.traffic, self.data, trial, flow, who, dialled, self._call_id)
        if refused is not None:
            self.failed(trial, refused)
        return refused is None

    def _is_kept_back(self, trial: Trial, trunk: str, flow: Flow) -> bool:
        """Whether a trunk's member has asked for fewer calls, and this one is too many; the trial
        is over then, and another member may do better (RFC 7339 5.10.2)."""
        dialled = partial(self._dialled, trial.target)
        if not self._shared.traffic.keeps_back(trunk, flow, dialled):
            return False
        trial.attempt.limit = f"trunk {trunk}: overload_control"
        self.failed(trial, Failure(503, "", passed=True))
        return True

    def _dialled(self, target: Target) -> tuple[str | None, str | None]:
        """The numbers by which an emergency call is known."""
        return self._invite.request_uri.user, Uri.parse(target.uri).user

    def _has_room(self, trial: Trial, user: str) -> bool:
        """Whether a user may be in one call more. His other phones would hear the same."""
        over = self._shared.occupancy.over(user, "in", self._call_id)
        if over is None:
            return True
        status, trial.attempt.limit = over
        data, his = self.data, trial.target.call_to
        data.keep(lambda each: each.call_to != his)
        self.failed(trial, Failure(status, ""))
        return False

    def _silent(self, leg: Leg) -> None:
        """Not even a 100 in ``try_seconds``."""
        trial = self.trial_of(leg)
        if trial is not None:
            self._shared.traffic.failed(trial.target, trial.flow, "silent")
        self._shared.timer_fired(self._call_id, f"{leg.name} is silent: passed over")
        self._give_up(leg, Failure(408, "Request Timeout"))

    def _rang_out(self, leg: Leg) -> None:
        """Nobody picked up."""
        self._shared.timer_fired(self._call_id, f"{leg.name} has rung for long enough")
        self._give_up(leg, Failure(480, "No Answer", rang=True))

    def _give_up(self, leg: Leg, failure: Failure) -> None:
        trial = self.trial_of(leg)
        if trial is not None:
            leg.session.cancel()
            self.failed(trial, failure)
