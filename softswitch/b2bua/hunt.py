"""The hunt: where a call is tried, and what the caller is told when all has failed. Pure.

Steps follow one another; the targets of a step ring at once. Each target, each address of a
trunk, is tried with a leg and a bridge of its own, so that the late 2xx of one that was given up
is ended by that leg and by nobody else. The call hears of progress, of the first answer, and of
the end.
"""

from functools import partial
from typing import Protocol
from weakref import proxy

import attrs

from softswitch.b2bua import crossing
from softswitch.b2bua.bridge import Bridge
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.shared import Shared
from softswitch.dialog.dialog import Dialog
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Follow, Redirection, Reject, Target, steps
from softswitch.plugin.record import Attempt
from softswitch.plugin.views import CallView, RequestView
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.uri import Uri

#: Statuses that mean the target was never reached: its trunk's next address may do better.
UNREACHED = frozenset((408, 500, 502, 503, 504))

#: Tells the losers of a race why they are cancelled (RFC 3326).
ELSEWHERE: Field = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')


@attrs.define
class Failure:
    """How one try failed.

    :ivar status: as the far end, or our own time-out, said it.
    :ivar reason: phrase.
    :ivar told: whether the far end itself said so.
    :ivar contacts: of a 3xx that is passed on.
    :ivar fields: header fields of the refusal that the caller may see.
    """

    status: int
    reason: str
    told: bool = False
    contacts: list[str] = attrs.Factory(list)
    fields: list[Field] = attrs.Factory(list)

    @property
    def reached(self) -> bool:
        """Whether the target itself refused."""
        return self.told and self.status not in UNREACHED


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
class HuntData:
    """What a hunt knows; plain data.

    :ivar steps: what is to come, the next step first.
    :ivar tried: URIs that have been tried, in order.
    :ivar trials: what is being tried, by number.
    :ivar tries: how many trials there have been.
    :ivar best: the failure that the caller is told when nothing is left.
    :ivar stopped: whether nothing more is tried, whatever is left.
    :ivar depth: how many redirections led to what is tried next.
    :ivar asking: number of the open question about a 3xx; 0 for none.
    :ivar asked: how many there have been.
    """

    steps: list[list[Target]] = attrs.Factory(list)
    tried: list[str] = attrs.Factory(list)
    trials: dict[int, Trial] = attrs.Factory(dict)
    tries: int = 0
    best: Failure | None = None
    stopped: bool = False
    depth: int = 0
    asking: int = 0
    asked: int = 0


class HuntUser(Protocol):
    """The call."""

    def new_callee(self, name: str, dialog: Dialog, flow: Flow, target: Target) -> Bridge:
        """A leg for a try, and its bridge to the caller's."""

    def cancel_leg(self, name: str, fields: list[Field]) -> None:
        """A try is given up."""

    def end_leg(self, name: str) -> None:
        """A try is over: let its leg and bridge go."""

    def hunt_began(self, attempt: Attempt) -> None:
        """For the record."""

    def hunt_rang(self, now: float) -> None:
        """A target rings."""

    def hunt_failed(self) -> None:
        """Nothing is left to try; ``HuntData.best`` says how it failed."""


class Hunt:
    """Tries targets until one answers.

    :param view: the caller's INVITE, for the redirect policy.
    """

    __slots__ = ("_call_id", "_invite", "_shared", "_user", "_view", "data")

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
        # The call owns the hunt; two that own each other would wait for the garbage collector.
        self._user: HuntUser = proxy(user)
        self._shared = shared

    def begin(self, targets: tuple[Target, ...]) -> None:
        """Try these."""
        self.data.steps = steps(targets)
        self._go_on()

    def trial_of(self, leg: Leg) -> Trial | None:
        """The trial that a leg belongs to; None when it is not being tried."""
        for trial in self.data.trials.values():
            if trial.leg == leg.name:
                return trial
        return None

    def invited(self, leg: Leg) -> None:
        """The INVITE has left, once the media engine had answered: from now on its target may be
        found silent."""
        if self.trial_of(leg) is not None:
            leg.give_up_in(self._shared.settings.try_seconds, self._silent)

    def progressed(self, leg: Leg, trial: Trial, response: Response) -> None:
        """A target has said that it is there, or that it rings."""
        rings = response.status >= 180 and trial.attempt.ringing is None
        if rings or not trial.heard:
            trial.heard = True
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
                del self.data.trials[number]
        self.stop([ELSEWHERE], "Call completed elsewhere")

    def refused(self, trial: Trial, status: int, reason: str, response: Response | None) -> None:
        """A target has refused, or our INVITE to it has failed."""
        failure = Failure(status, reason, response is not None)
        if response is not None:
            failure.fields = crossing.fields(response)
            failure.contacts = _contacts(response) if status < 400 else []
        self.failed(trial, failure)

    def failed(self, trial: Trial, failure: Failure) -> None:
        """A try is over; a 3xx is the redirect policy's, all else ours."""
        data = self.data
        number = next(key for key, value in data.trials.items() if value is trial)
        del data.trials[number]
        trial.attempt.ended = self._shared.clock.seconds()
        trial.attempt.status, trial.attempt.reason = failure.status, failure.reason
        self._user.end_leg(trial.leg)
        if failure.contacts and not data.asking:
            data.asked += 1
            data.asking = data.asked
            view = CallView(
                self._call_id,
                self._view,
                trial.target,
                failure.status,
                trial.depth,
                tuple(data.tried),
            )
            told = partial(self._redirected, data.asking, trial, failure)
            self._shared.policies.ask_redirect(view, failure.contacts, told)
            return
        self._note(trial.target, failure)
        self._go_on()

    def stop(self, fields: list[Field], reason: str) -> None:
        """Cancel what is being tried, and try nothing more."""
        data = self.data
        data.stopped = True
        data.asking = 0
        while data.trials:
            _, trial = data.trials.popitem()
            trial.attempt.ended = self._shared.clock.seconds()
            trial.attempt.reason = reason
            if trial.leg:
                self._user.cancel_leg(trial.leg, fields)
                self._user.end_leg(trial.leg)

    # Choosing.

    def _note(self, target: Target, failure: Failure) -> None:
        """A 6xx stops the hunt (RFC 3261 16.7); a refusal of the far end itself makes the other
        addresses of its trunk pointless."""
        data = self.data
        if data.best is None or _rank(failure) < _rank(data.best):
            data.best = failure
        if failure.status >= 600:
            self.stop([], "Declined elsewhere")
        elif target.trunk is not None and failure.reached:
            data.steps = [
                step for step in data.steps if any(other.trunk != target.trunk for other in step)
            ]

    def _go_on(self) -> None:
        """Try the next step, unless something is still being tried."""
        data = self.data
        if data.trials or data.asking:
            return
        if data.stopped or not data.steps:
            self._user.hunt_failed()
            return
        # Who fails at once goes on from there, so that there is nothing to go on with below.
        for number, target in [self._begin(target) for target in data.steps.pop(0)]:
            if target.flow is not None:
                self._invite_on(number, target.flow)
            else:
                self._shared.find_flow(target.uri, partial(self._invite_on, number))

    def _redirected(
        self, asking: int, trial: Trial, failure: Failure, decision: Redirection
    ) -> None:
        data = self.data
        if asking != data.asking:
            return
        data.asking = 0
        if isinstance(decision, Follow):
            data.depth = trial.depth + 1
            data.steps[:0] = steps(decision.targets)
        else:
            if isinstance(decision, Reject):
                failure = Failure(decision.status, decision.reason or "")
            self._note(trial.target, failure)
        self._go_on()

    # Trying.

    def _begin(self, target: Target) -> tuple[int, Target]:
        data = self.data
        data.tries += 1
        data.tried.append(target.uri)
        attempt = Attempt(target.uri, "", self._shared.clock.seconds(), target.trunk)
        data.trials[data.tries] = Trial("", target, attempt, data.depth)
        self._user.hunt_began(attempt)
        return data.tries, target

    def _invite_on(self, number: int, flow: Flow | None) -> None:
        """The flow to a target has been found, or not: make its leg and call it."""
        shared, invite = self._shared, self._invite
        trial = self.data.trials.get(number)
        if trial is None:
            return
        if flow is None or not shared.is_alive(flow):
            self.failed(trial, Failure(503, "No Route To Target"))
            return
        target = trial.target
        trial.leg = f"b{number}"
        dialog = self._dialog(target, flow)
        trial.attempt.call_id_b = dialog.call_id
        bridge = self._user.new_callee(trial.leg, dialog, flow, target)
        fields: list[Field] = [
            *crossing.fields(invite),
            *crossing.describing(invite),
            (crossing.MARK, shared.mark(invite)),
            *shared.own_fields,
            *target.headers.items(),
        ]
        bridge.invite(fields, invite)

    def _dialog(self, target: Target, flow: Flow) -> Dialog:
        """What is known of a dialog with a target before it has answered."""
        invite = self._invite
        host = self._shared.facing(flow).host
        tag = compose.new_tag()
        caller = "anonymous" if crossing.is_anonymous(invite) else invite.from_.uri.user or ""
        return Dialog(
            call_id=compose.new_call_id(host),
            local_tag=tag,
            remote_tag="",
            local=f"{crossing.caller(invite, host)};tag={tag}",
            remote=str(NameAddr("", Uri.parse(target.call_to or target.uri))),
            contact=self._shared.contact(caller, flow),
            remote_target=target.uri,
            flow=flow,
            symmetric=target.flow is not None,
            registered=_registered(target),
        )

    def _silent(self, leg: Leg) -> None:
        """Not even a 100 in ``try_seconds``."""
        self._give_up(leg, Failure(408, "Request Timeout"))

    def _rang_out(self, leg: Leg) -> None:
        """Nobody picked up."""
        self._give_up(leg, Failure(480, "No Answer"))

    def _give_up(self, leg: Leg, failure: Failure) -> None:
        trial = self.trial_of(leg)
        if trial is not None:
            leg.session.cancel()
            self.failed(trial, failure)


def _registered(target: Target) -> str:
    """Name of the user who is called on the flow on which his phone has registered, or ""."""
    if target.flow is None or target.call_to is None:
        return ""
    return Uri.parse(target.call_to).unquoted_user


def _rank(failure: Failure) -> tuple[int, int]:
    """The order of preference of RFC 3261 16.7 step 6; the lowest is told."""
    status = failure.status
    if status >= 600:
        return (0, 0)
    helpful = status in (401, 407, 415, 420, 484)
    return (status // 100, 0 if helpful else 2 if status in (408, 480) else 1)


def _contacts(response: Response) -> list[str]:
    """The URIs of a 3xx in descending q (RFC 3261 8.1.3.4); none where they cannot be read."""
    try:
        contacts = sorted(response.contacts, key=lambda contact: -contact.q)
    except SipSyntaxError:
        return []
    return [str(contact.uri) for contact in contacts]
