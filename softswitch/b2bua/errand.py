"""One request outside of a call that crosses the switch: MESSAGE, PUBLISH, NOTIFY. Pure.

An errand asks the policies where the request goes, tries the targets of a step at once, takes the
first 2xx, and answers (RFC 3428, 3903). What it sends is a request of the switch's own: its
Call-ID, tags and CSeq are nobody else's. There is no CANCEL for such a request; whoever answers too
late has got it all the same.
"""

from collections.abc import Callable
from functools import partial

import attrs

from softswitch.b2bua import crossing
from softswitch.b2bua.bodies import Translation
from softswitch.b2bua.outgoing import begin
from softswitch.b2bua.shared import Shared
from softswitch.dialog import sips
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.proof import Credentials
from softswitch.dialog.requester import Inquiry, Requester
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Proxy, Redirect, Reject, Route, Routing, Target, steps
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Identity, RequestView
from softswitch.scope import Scope
from softswitch.sip import compose, forks
from softswitch.sip.forks import BREADTH, breadth, shares
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.uri import Uri
from softswitch.transaction.server import Server
from softswitch.trunk.tolls import REFUSED, Refusal
from softswitch.trunk.traffic import OUT_OF_ORDER
from softswitch.wheel import Timer

#: Method -> the fields that cross with it whatever the profile says, for they are its meaning.
REQUEST_FIELDS = {
    "MESSAGE": frozenset(("Date", "Expires", "In-Reply-To")),
    "PUBLISH": frozenset(("Event", "Expires", "SIP-If-Match")),
    "NOTIFY": frozenset(("Event", "Subscription-State")),
    "SUBSCRIBE": frozenset(("Accept", "Suppress-If-Match")),
    "REFER": frozenset(("Refer-To", "Referred-By", "Refer-Sub")),
}

#: Methods that name an event package.
EVENT_METHODS = frozenset(("SUBSCRIBE", "NOTIFY", "PUBLISH"))

#: Fields of the answer that cross back.
RESPONSE_FIELDS = frozenset(
    ("Expires", "Min-Expires", "SIP-ETag", "Allow-Events", "Accept", "Retry-After", "Refer-Sub")
)

#: Statuses that mean the target was never reached: another may do better.
UNREACHED = frozenset((408, 500, 502, 503, 504))

#: Of T1: when whoever sent the request is answered at the latest, lest his timer F run out (RFC
#: 4320 4.2 forbids a 408).
PATIENCE = 60


@attrs.define
class Trial:
    """One target being tried; plain data.

    :ivar dialog: in which it is asked; None while it is being resolved.
    :ivar breadth: its share of the request's (RFC 5393).
    """

    target: Target
    dialog: Dialog | None = None
    breadth: int = BREADTH


@attrs.define
class Failure:
    """How the best try so far has failed.

    :ivar fields: of the refusal, that may cross.
    :ivar passed: whether it is a challenge for whoever sent the request.
    """

    status: int
    reason: str
    fields: list[Field] = attrs.Factory(list)
    passed: bool = False


@attrs.define
class ErrandData:
    """What an errand knows; plain data.

    :ivar request: as it came.
    :ivar identity: who sent it.
    :ivar steps: what is to come, the next step first.
    :ivar trials: what is being tried, by number.
    :ivar tries: how many trials there have been.
    :ivar best: the failure that is told when nothing is left.
    :ivar deadline: when the present step is given up, by the clock; None before the first.
    """

    request: Request
    identity: Identity
    steps: list[list[Target]] = attrs.Factory(list)
    trials: dict[int, Trial] = attrs.Factory(dict)
    tries: int = 0
    best: Failure | None = None
    deadline: float | None = None


class Errand:
    """One request on its way across.

    :ivar data: what it knows.
    :param transaction: of the request.
    :param over: told once, when it has been answered.
    :param nowhere: the answer when no router knows where to.
    """

    def __init__(
        self,
        shared: Shared,
        request: Request,
        transaction: Server,
        identity: Identity,
        over: "Callable[[Errand], None]",
        nowhere: Reject,
    ) -> None:
        self.data = ErrandData(request, identity)
        self.shared = shared
        self.transaction = transaction
        self.scope = Scope(f"{request.method} {request.call_id}", shared.auditor)
        self._over = over
        self._nowhere = nowhere
        self._timer: Timer | None = None
        self._patience = shared.clock.seconds() + PATIENCE * shared.agent.timers.t1
        self.scope.hold(self)

    def start(self) -> None:
        """Ask the policies where it goes."""
        view = RequestView(self.data.request, self.transaction.flow, self.data.identity)
        self.shared.policies.ask_route(view, self._routed)

    def leftovers(self) -> list[str]:
        """The name of its timer while it is set (for the scope)."""
        return [] if self._timer is None else ["give up"]

    def _routed(self, decision: Routing) -> None:
        data = self.data
        if isinstance(decision, Route):
            self.transaction.adopt(self.scope, None)
            data.steps = steps(self._wanted(decision.targets))
            if not decision.targets:  # no member of the trunk is up
                status = self.shared.traffic.no_trunk_status
                data.best = Failure(status, "", [OUT_OF_ORDER])
            self._go_on()
        elif isinstance(decision, Proxy):
            self.end()
            self.shared.forward(data.request, self.transaction, data.identity, decision, None)
        elif isinstance(decision, Redirect):
            fields = [("Contact", f"<{uri}>") for uri in decision.contacts]
            self.answer(decision.status, None, fields)
        else:
            if decision.status == 404:
                decision = self._nowhere
            self.answer(decision.status, decision.reason, list(decision.headers.items()))

    def _wanted(self, targets: tuple[Target, ...]) -> list[Target]:
        """Nobody is sent what he has sent. A NOTIFY concerns every phone of a user alike; a PUBLISH
        none of them, since it is for whoever keeps his state."""
        method, flow = self.data.request.method, self.transaction.flow
        wanted = [target for target in targets if target.flow is None or target.flow != flow]
        if method == "PUBLISH":
            wanted = [target for target in wanted if target.flow is None]
        elif method == "NOTIFY":
            wanted = [
                target if target.flow is None else attrs.evolve(target, group=1, q=1.0)
                for target in wanted
            ]
        if not wanted and method in EVENT_METHODS:
            nowhere = self._nowhere
            fields = list(nowhere.headers.items())
            self.data.best = Failure(nowhere.status, nowhere.reason or "", fields)
        return wanted

    # Trying.

    def _go_on(self) -> None:
        """Try the next step, unless something is still being tried."""
        data = self.data
        if data.trials:
            return
        reached = data.best is not None and data.best.status not in UNREACHED
        if not data.steps or reached or self.shared.clock.seconds() >= self._patience:
            self._fail()
            return
        step = data.steps.pop(0)
        whole = breadth(data.request)
        if self.shared.settings.forks.broken(whole, 0, data.tries, len(step)):
            data.steps.clear()
            data.best = data.best or Failure(440, "")
            self._fail()
            return
        begun = []
        for target, share in zip(step, shares(whole, len(step)), strict=True):
            if sips.wants_protection(data.request):
                target = sips.protected(target)
            data.tries += 1
            data.trials[data.tries] = Trial(target, breadth=share)
            begun.append((data.tries, target))
        self._set_deadline()
        for number, target in begun:
            if target.flow is not None:
                self._try(number, target.flow)
            else:
                self.shared.find_flow(self.shared.hop(target), partial(self._try, number))

    def _set_deadline(self) -> None:
        clock, data = self.shared.clock, self.data
        data.deadline = self._patience
        if data.steps:
            soon = clock.seconds() + self.shared.settings.try_seconds
            data.deadline = min(self._patience, soon)
        self._stop()
        self._timer = clock.callLater(data.deadline - clock.seconds(), self._give_up)

    def _give_up(self) -> None:
        """Nobody of the step has answered in time."""
        self._timer = None
        for number in list(self.data.trials):
            self.failed(number, 408, "Request Timeout", None)

    def _try(self, number: int, flow: Flow | None) -> None:
        trial = self.data.trials.get(number)
        if trial is None:
            return
        if flow is None or not self.shared.is_alive(flow):
            self.failed(number, 503, "No Route To Target", None)
            return
        request = self.data.request
        if sips.is_barred(request, trial.target, flow):
            refused = compose.response(request, 480, fields=[sips.NOT_ALLOWED])
            self.failed(number, 480, "", refused)
            return
        traffic = self.shared.traffic
        if traffic.throttles is not None and traffic.keeps_back(
            trial.target.trunk, flow, lambda: (request.request_uri.user,)
        ):
            self.failed(number, 503, "", None)
            return
        refusal = self._is_barred(trial.target, flow) if request.method == "MESSAGE" else None
        if refusal is not None:
            refused = compose.response(request, refusal.status, fields=[REFUSED])
            self.failed(number, refusal.status, "", refused)
            return
        trial.dialog, fields = self._outgoing(trial.target, flow)
        fields += forks.fields(request, trial.breadth)
        terms = terms_of(self.shared, request, self.transaction.flow, flow)
        try:
            fields = [terms.field(field) for field in fields]
            body = terms.body(request.get("Content-Type") or "", request.body)
        except SipSyntaxError as error:
            self.failed(number, error.status, error.reason, None)
        else:
            self.send(number, trial.target, trial.dialog, fields, body)

    def _is_barred(self, target: Target, flow: Flow) -> Refusal | None:
        """Whether a message, which may cost as a call does, may not go there."""
        called = self.data.request.request_uri.user, Uri.parse(target.uri).user
        return self.shared.traffic.bars(target, flow.remote_host, called, self.data.identity)

    def send(
        self, number: int, target: Target, dialog: Dialog, fields: list[Field], body: bytes
    ) -> None:
        """Send the request to a target."""
        request = self.data.request
        built = dialog.request(request.method, fields, body, crossing.hops(request))
        told = Inquiry(partial(self._answered, number))
        credentials = self.credentials(target, dialog)
        Requester(self.shared.agent, dialog, told, self.scope, credentials).start(built)

    def _answered(self, number: int, status: int, reason: str, response: Response | None) -> None:
        trial = self.data.trials.get(number)
        if trial is None:
            return
        if trial.target.trunk is not None and trial.dialog is not None:
            flow = trial.dialog.flow
            self.shared.traffic.refused(trial.target, flow, status, response)
        if response is not None and 200 <= status < 300:
            self.answer(status, reason, self.crossed_back(response))
        else:
            self.failed(number, status, reason, response)

    def failed(self, number: int, status: int, reason: str, response: Response | None) -> None:
        """A try has come to nothing; harmless when it is over."""
        data = self.data
        trial = data.trials.pop(number, None)
        if trial is None:
            return
        if data.best is None or _rank(status) < _rank(data.best.status):
            far = self.profile(trial.target)
            fields = [] if response is None else self.crossed_back(response)
            fields += crossing.challenges(response, far)
            data.best = Failure(status, reason, fields, crossing.is_passed(status, far))
        self._go_on()

    # Answering.

    def _fail(self) -> None:
        best = self.data.best or Failure(480, "")
        status = best.status if best.passed else crossing.status(best.status)
        if status < 400 or status == 408:
            status = 480
        reason = best.reason if status == best.status and best.reason else None
        self.answer(status, reason, best.fields)

    def answer(self, status: int, reason: str | None, fields: list[Field]) -> None:
        """Answer the request; the errand is over."""
        tag = compose.new_tag()
        response = compose.response(self.data.request, status, reason, to_tag=tag, fields=fields)
        self.respond(response)

    def respond(self, response: Response) -> None:
        """Answer with this; the errand is over."""
        self.transaction.respond(response)
        self.end()

    def end(self) -> None:
        """It is over: nothing more is sent, and what still comes is nothing."""
        self._stop()
        self.data.trials.clear()
        self.scope.release(self)
        self.scope.end()
        self._over(self)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What is sent.

    def _outgoing(self, target: Target, flow: Flow) -> tuple[Dialog, list[Field]]:
        """What is known of a dialog with a target before it has answered, and the fields of the
        request: those that cross, those that say who sent it, and our own."""
        shared, request, identity = self.shared, self.data.request, self.data.identity
        near, far = shared.profile(identity.kind, identity.name), self.profile(target)
        begun = begin(shared, target, flow, request, identity, near, far)
        shown = begun.shown
        fields = [
            *shown.visible(crossed(request, far)),
            *shown.fields,
            *crossing.credentials(request, far, shared.settings.realm),
            (crossing.MARK, shared.mark(request)),
            *shared.introduction(target),
            *target.headers.items(),
        ]
        return begun.dialog, fields

    def profile(self, target: Target) -> Profile:
        """How a target is treated."""
        user = self.shared.registered(target)
        kind, name = ("trunk", target.trunk) if target.trunk is not None else ("user", user)
        return self.shared.profile(kind, name).changed(target.dialog)

    def credentials(self, target: Target, dialog: Dialog) -> Credentials | None:
        """What answers a target's challenges."""
        if target.trunk is None or self.profile(target).challenges == "pass":
            return None
        shared = self.shared
        return shared.credentials(target.trunk, dialog.flow.remote_host, shared.led_by(target))

    def crossed_back(self, response: Response) -> list[Field]:
        """The fields of an answer that whoever sent the request may see."""
        identity = self.data.identity
        fields = crossing.fields(response, self.shared.profile(identity.kind, identity.name))
        return fields + [field for field in response.fields if field[0] in RESPONSE_FIELDS]


def crossed(request: Request, to: Profile) -> list[Field]:
    """The fields of a request outside of a call that its receiver may see."""
    meant = REQUEST_FIELDS[request.method]
    return [
        *crossing.fields(request, to),
        *[field for field in request.fields if field[0] in meant],
        *crossing.describing(request),
    ]


def terms_of(shared: Shared, message: Message, source: Flow, to: Flow) -> Translation:
    """The terms in which what came from ``source`` is said to ``to``: the addresses that stand for
    the sender, and for us as it sees us, become ours.

    What it says of dialogs stays: a dialog that leads to us is known here by the name that its
    other end gives it, whoever asks for it.
    """
    near, far = shared.facing(source), shared.facing(to)
    hosts = {source.remote_host, near.host}
    hosts.update(contact.uri.host.lower() for contact in message.contacts)
    return Translation(frozenset(hosts), far.host, None if far.port == 5060 else far.port)


def _rank(status: int) -> tuple[int, int]:
    """The order of preference of RFC 3261 16.7 step 6; the lowest is told."""
    if status >= 600:
        return (0, 0)
    return (status // 100, 1 if status in (408, 480) else 0)
