"""The switch: new INVITEs become calls; what runs is known, counted and ended. Pure."""

from collections import Counter

from softswitch.b2bua import crossing
from softswitch.b2bua.call import Call, new_record
from softswitch.b2bua.shared import Shared
from softswitch.dialog.usage import unacceptable
from softswitch.errors import SipSyntaxError
from softswitch.plugin.views import Identity
from softswitch.sip import compose
from softswitch.sip.message import Field, Request
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server


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
        shared.agent.handlers["INVITE"] = self.invite_received

    def invite_received(
        self, request: Request, transaction: InviteServer | Server, identity: Identity
    ) -> None:
        """An INVITE outside of any dialog, from somebody known: make a call of it."""
        assert isinstance(transaction, InviteServer)
        self.counters["calls"] += 1
        try:
            refusal = self._refusal(request)
            if refusal is None:
                call = Call(self._shared, request, transaction, identity)
                self.calls[call.id] = call
                call.start()
                return
        except SipSyntaxError as error:
            refusal = (error.status, error.reason, [])
        self._turn_away(request, transaction, identity, *refusal)

    def shut(self) -> None:
        """End every call that is left, both legs of it."""
        for call in list(self.calls.values()):
            call.shut()

    def _ended(self, call: Call) -> None:
        del self.calls[call.id]
        self.counters["ended"] += 1
        self._shared.observer.call_ended(call.data.record)

    def _refusal(self, request: Request) -> tuple[int, str | None, list[Field]] | None:
        """Why an INVITE cannot become a call: status, reason phrase and fields.

        :raises SipSyntaxError: Contact cannot be read, or is missing.
        """
        if self.draining:
            return (503, "Switch Stops", [])
        refused = unacceptable(request)
        if refused is not None:
            return (refused[0], None, refused[1])
        if not request.contacts:
            raise SipSyntaxError("Missing Contact", header="Contact")
        if crossing.is_marked(request, self._shared.mark(request)):
            return (482, None, [])
        return None

    def _turn_away(
        self,
        request: Request,
        transaction: InviteServer,
        identity: Identity,
        status: int,
        reason: str | None,
        fields: list[Field],
    ) -> None:
        """Refuse an INVITE of somebody known; there is a record of that too."""
        tag = compose.new_tag()
        response = compose.response(request, status, reason, to_tag=tag, fields=fields)
        transaction.respond(response)
        now = self._shared.clock.seconds()
        record = new_record(compose.new_tag(), request, identity, tag, now)
        record.ended, record.hung_up = now, "switch"
        record.status, record.reason = status, response.reason
        self.counters["ended"] += 1
        self._shared.observer.call_started(record)
        self._shared.observer.call_ended(record)
