"""The switch: new INVITEs become calls; what runs is known, counted and ended. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from softswitch.b2bua.call import Call
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.legs import Legs
from softswitch.b2bua.progress import Event, State, new_record
from softswitch.b2bua.reanchor import reanchor
from softswitch.b2bua.shared import Observer, Shared
from softswitch.b2bua.verdicts import routed
from softswitch.b2bua.witness import TIMED_OUT, TIMED_OUT_FIELDS
from softswitch.dialog.refresh import too_brief
from softswitch.dialog.usage import Life, Usage, unacceptable
from softswitch.errors import SipSyntaxError
from softswitch.plugin.decisions import Proxy, Routing
from softswitch.plugin.media import MediaNotice, MediaReport
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import Identity, RequestView
from softswitch.sip import compose
from softswitch.sip.forks import FIELD, breadth
from softswitch.sip.message import Field, Request
from softswitch.sip.names import REASONS
from softswitch.sip.replaces import Replaces
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server

#: Status, reason phrase and fields of a refusal.
Refusal = tuple[int, str | None, list[Field]]

#: What no back-to-back agent can be made of may still be forwarded as it is (RFC 3261 16.3).
_NO_MATTER_TO_A_PROXY: Final = frozenset((400, 415, 420, 422))


class Switch:
    """All calls.

    :ivar calls: those that have not ended, by their id.
    :ivar counters: "calls", "ended" and the like -> how often.
    :ivar draining: whether new calls are refused because the switch is about to stop.
    """

    def __init__(self, shared: Shared) -> None:
        self.calls: dict[str, Call] = {}
        self.counters: Counter[str] = Counter()
        self.draining = False
        self._shared = shared
        shared.ended = self._ended
        shared.handed_over = self._handed_over
        shared.find_far = self.find_far
        shared.find_calling = self.find_calling
        shared.agent.handlers["INVITE"] = self.invite_received

    def invite_received(
        self, request: Request, transaction: InviteServer | Server, identity: Identity
    ) -> None:
        """An INVITE outside of any dialog, from somebody known: make a call of it."""
        assert isinstance(transaction, InviteServer)
        self.counters["calls"] += 1
        try:
            refusal = self._refusal(request, identity)
            over = None if refusal is not None else self._over_limit(request, identity)
            if over is not None:
                self._turn_away(request, transaction, identity, (over[0], None, []), over[1])
                return
            if refusal is None:
                far = self._far_of_replaced(request)
                call = Call(self._shared, request, transaction, identity)
                self.calls[call.data.id] = call
                if far is None:
                    call.start()
                else:
                    call.pick_up(*far)
                return
        except SipSyntaxError as error:
            refusal = (error.status, error.reason, [])
        if refusal[0] in _NO_MATTER_TO_A_PROXY:
            view = RequestView(request, transaction.flow, identity)
            admitted_by = self._shared.policies.decided
            told = partial(
                self._forward_or_refuse, request, transaction, identity, refusal, admitted_by
            )
            self._shared.policies.ask_route(view, told)
        else:
            self._turn_away(request, transaction, identity, refusal)

    def find_far(self, replaces: Replaces) -> tuple[Legs, Leg] | None:
        """Whom a call is to talk to that takes the place of a dialog (RFC 3891 3).

        It may be named as a busy lamp shows it. Where its to-tag is ours, the dialog is meant as
        its peer would have it, and the far leg is the one: its caller's, as long as the peer only
        rings. Where it is the peer's, our side of the dialog shall be replaced, and the peer is
        the one.

        :returns: that leg and the legs among which it is; None where the dialog is none of ours, or
            is not bridged.
        """
        to_us, found = self._find(replaces)
        leg = getattr(found, "user", None)
        if not isinstance(leg, Leg) or not isinstance(leg.call, Call):
            return None
        legs = leg.call.legs
        far = legs.far_of(leg)
        if far is None and leg.call.state is State.HUNTING and leg is not leg.call.caller:
            return legs, leg.call.caller
        if far is None:
            return None
        return (legs, far if to_us is not None else leg)

    def find_calling(self, replaces: Replaces) -> Call | None:
        """The call whose caller's dialog is meant, as long as nobody has answered it."""
        leg = getattr(self._find(replaces)[1], "user", None)
        if not isinstance(leg, Leg) or not isinstance(leg.call, Call):
            return None
        early = leg.session.data.life is Life.EARLY
        return leg.call if early and leg is leg.call.caller else None

    def _find(self, replaces: Replaces) -> tuple[Usage | None, Usage | None]:
        """Whose dialog is meant, where its to-tag is ours; and that, or where it is the peer's."""
        dialogs = self._shared.agent.dialogs
        call_id = self._shared.lamps.call_id(replaces.call_id)
        to_us = dialogs.get((call_id, replaces.to_tag, replaces.from_tag))
        return to_us, to_us or dialogs.get((call_id, replaces.from_tag, replaces.to_tag))

    def renew(self, shared: Shared) -> None:
        """New calls share this from now on; those that run keep what they began with."""
        self._shared = shared

    def media_lost(self, sessions: Iterable[str]) -> None:
        """The media of these sessions, named as their calls are, have gone with their relay."""
        for session in sessions:
            call = self.calls.get(session)
            if call is not None:
                self.counters["media lost"] += 1
                self._shared.media_changed(session, "its relay has died: offered anew")
                reanchor(call)

    def media_noticed(self, notice: MediaNotice) -> CallRecord | None:
        """The media engine has seen something; the record of the call that it concerns, or None
        where that has ended."""
        call = self.calls.get(notice.session)
        if call is None:
            return None
        record, silence = call.data.record, notice.silence
        record.silences.append(silence)
        self.counters[f"not heard: {silence.cause}"] += 1
        not_heard = f"{silence.leg} is not heard: {silence.cause}: {silence.detail}"
        self._shared.media_changed(notice.session, not_heard)
        if notice.ends and call.state is State.TALKING:
            self.counters["media timed out"] += 1
            call.fire(Event.HUNG_UP, None, None, TIMED_OUT, 0, *TIMED_OUT_FIELDS)
        return record

    def toll_spent(self, toll: str, why: str) -> None:
        """Whose leg runs at somebody's expense has had what he may (``trunk.tolls``): the call
        ends."""
        for call in list(self.calls.values()):
            leg = next((leg for leg in call.data.legs.values() if leg.toll == toll), None)
            if leg is None:
                continue
            self.counters[why] += 1
            loan, ending = call.data.loan, call
            if loan is not None and loan.name == leg.name:
                # Somebody is about to take it over: it goes back, to end where it has run.
                call.leg_hung_up(call.legs[leg.name], None, why)
                if loan.call not in self.calls:
                    return
                ending = self.calls[loan.call]
            fields: tuple[Field, ...] = (("Reason", f'Q.850;cause=102;text="{why}"'),)
            ending.fire(Event.HUNG_UP, None, None, why, 0, *fields)
            return

    def snapshot(self, call: str, tell: Callable[[MediaReport], None]) -> None:
        """Tell what has become of a call's packets until now: once, now, later or never."""
        witness = self._shared.witness
        if witness is None:
            tell(MediaReport())
        else:
            witness.snapshot(call, tell)

    def shut(self) -> None:
        """End every call that is left, both legs of it."""
        for name in list(self.calls):
            call = self.calls.get(name)
            if call is not None:  # else it has ended with another
                call.shut()

    def _ended(self, call: Call, observer: Observer) -> None:
        del self.calls[call.data.id]
        self.counters["ended"] += 1
        if self._shared.witness is None:
            observer.call_ended(call.data.record)
        else:
            self._shared.witness.deliver(call.data.record, observer.call_ended)

    def _handed_over(
        self, call: Call, transaction: InviteServer, decision: Proxy, observer: Observer
    ) -> None:
        del self.calls[call.data.id]
        data = call.data
        told = data.record, observer
        self._shared.forward(data.invite, transaction, data.identity, decision, told)

    def _forward_or_refuse(
        self,
        request: Request,
        transaction: InviteServer,
        identity: Identity,
        refusal: Refusal,
        admitted_by: str,
        decision: Routing,
    ) -> None:
        verdict = routed(self._shared.policies.decided, decision)
        if isinstance(decision, Proxy) and not transaction.answered:
            record = self._record(request, identity, "", admitted_by)
            record.verdicts.append(verdict)
            told = record, self._shared.observer
            self._shared.forward(request, transaction, identity, decision, told)
        else:
            self._turn_away(request, transaction, identity, refusal, "", admitted_by)

    def _refusal(self, request: Request, identity: Identity) -> Refusal | None:
        """Why an INVITE cannot become a call: status, reason phrase and fields.

        :raises SipSyntaxError: Contact cannot be read, or is missing; or Session-Expires cannot, or
            Min-SE, or Max-Breadth.
        """
        if self.draining:
            return (503, "Switch Stops", [])
        refused = unacceptable(request)
        if refused is not None:
            return (refused[0], None, refused[1])
        if not request.contacts:
            raise SipSyntaxError("Missing Contact", header="Contact")
        if self._shared.is_marked(request):
            return (482, None, [])
        if request.get(FIELD) is not None and not breadth(request):
            return (440, None, [])
        if request.get("Session-Expires") is not None or request.get("Min-SE") is not None:
            brief = too_brief(request, self._shared.profile(identity.kind, identity.name))
            if brief:
                return (422, None, brief)
        return None

    def _over_limit(self, request: Request, identity: Identity) -> tuple[int, str] | None:
        """The limit of a trunk or user that a call of its would break: a status, and which."""
        if identity.kind == "user":
            dialled = request.request_uri.user
            over = self._shared.occupancy.over(identity.name, "out", "", dialled)
            return None if over is None or self._replaces_own(request, identity.name) else over
        if identity.kind != "trunk":
            return None
        return self._shared.traffic.over(identity.name, "in", lambda: [request.request_uri.user])

    def _replaces_own(self, request: Request, user: str) -> bool:
        """Whether a call of a user's takes the place of one that he is in, and is none more.

        :raises SipSyntaxError: Replaces cannot be read.
        """
        replaces = Replaces.of(request)
        far = None if replaces is None else self.find_far(replaces)
        if far is None or not isinstance(far[1].call, Call):
            return False
        legs = far[1].call.data.legs.values()
        return any(
            leg.kind == "user" and leg.peer == user for leg in legs if leg is not far[1].data
        )

    def _far_of_replaced(self, request: Request) -> tuple[Legs, Leg] | None:
        """The leg that an INVITE with Replaces is to talk to, and the legs among which it is; None
        without that.

        :raises SipSyntaxError: 481 for a dialog that is none of ours or that nobody has answered,
            486 where only such a one was meant (RFC 3891 3), 491 while something is negotiated.
        """
        replaces = Replaces.of(request)
        if replaces is None:
            return None
        found = self.find_far(replaces)
        if found is None:
            raise SipSyntaxError(REASONS[481], status=481)
        legs, far = found
        free = legs.can_lend(far)
        if replaces.early_only and not (free and far.session.data.life is Life.EARLY):
            raise SipSyntaxError(REASONS[486], status=486)
        if not free:
            raise SipSyntaxError(REASONS[491], status=491)
        return found

    def _turn_away(
        self,
        request: Request,
        transaction: InviteServer,
        identity: Identity,
        refusal: Refusal,
        limit: str = "",
        admitted_by: str | None = None,
    ) -> None:
        """Refuse an INVITE of somebody known; there is a record of that too.

        :param limit: which one it would have broken.
        :param admitted_by: as in ``_record``.
        """
        status, reason, fields = refusal
        tag, who = compose.new_tag(), "switch"
        if transaction.answered:  # with 487, for it was cancelled while a policy thought
            status, reason, tag, who = 487, None, "", "caller"
        response = compose.response(request, status, reason, to_tag=tag, fields=fields)
        if not transaction.answered:
            transaction.respond(response)
        record = self._record(request, identity, tag, admitted_by)
        record.limit = limit
        record.ended, record.hung_up = record.invited, who
        record.status, record.reason = status, response.reason
        self.counters["ended"] += 1
        self._shared.observer.call_ended(record)

    def _record(
        self, request: Request, identity: Identity, tag: str, admitted_by: str | None = None
    ) -> CallRecord:
        """The record of an INVITE that has become no call of ours.

        :param admitted_by: the policy that has said who calls; None where it has just done so.
        """
        name, now = compose.new_name(), self._shared.clock.seconds()
        policy = self._shared.policies.decided if admitted_by is None else admitted_by
        record = new_record(name, request, identity, policy, tag, now)
        self._shared.observer.call_started(record)
        return record
