"""The switch: new INVITEs become calls; what runs is known, counted and ended. Pure."""

from collections import Counter

from softswitch.b2bua import crossing
from softswitch.b2bua.call import Call
from softswitch.b2bua.shared import Shared
from softswitch.errors import SipSyntaxError
from softswitch.plugin.views import Identity
from softswitch.sip import compose
from softswitch.sip.message import Request
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
        try:
            if not request.contacts:
                raise SipSyntaxError("Missing Contact", header="Contact")
            call = Call(self._shared, request, transaction, identity)
        except SipSyntaxError as error:
            transaction.respond(
                compose.response(request, error.status, error.reason, to_tag=compose.new_tag())
            )
            return
        self.calls[call.id] = call
        self.counters["calls"] += 1
        if self.draining:
            call.turn_away(503, "Switch Stops")
        elif crossing.is_marked(request, self._shared.mark(request)):
            call.turn_away(482)
        else:
            call.start()

    def shut(self) -> None:
        """End every call that is left, both legs of it."""
        for call in list(self.calls.values()):
            call.shut()

    def _ended(self, call: Call) -> None:
        del self.calls[call.id]
        self.counters["ended"] += 1
        self._shared.observer.call_ended(call.data.record)
