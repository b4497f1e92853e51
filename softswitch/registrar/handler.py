"""REGISTER requests on their way to the registrar: the registration policies come first. Pure."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from softswitch.plugin.decisions import Accept, Front, Registration
from softswitch.plugin.views import Identity, RequestView
from softswitch.registrar.front import Fronts
from softswitch.registrar.registrar import Registrar
from softswitch.sip import compose
from softswitch.sip.message import Request
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server


class Policies(Protocol):
    """The chain, as the registrar sees it."""

    def ask_registration(self, request: RequestView, tell: Callable[[Registration], None]) -> None:
        """May this registration be made? ``tell`` is called once, now or later."""


class RegisterHandler:
    """Serves REGISTER requests that have been admitted.

    :ivar policies: asked about each.
    """

    def __init__(self, registrar: Registrar, fronts: Fronts, policies: Policies) -> None:
        self._registrar = registrar
        self._fronts = fronts
        self.policies = policies

    def received(
        self, request: Request, transaction: InviteServer | Server, identity: Identity
    ) -> None:
        """Ask who may register what, then answer."""
        view = RequestView(request, transaction.flow, identity)
        self.policies.ask_registration(view, partial(self._decided, request, transaction))

    def _decided(
        self, request: Request, transaction: InviteServer | Server, decision: Registration
    ) -> None:
        if isinstance(decision, Front):
            self._fronts.received(request, transaction, decision)
            return
        if isinstance(decision, Accept):
            response = self._registrar.process(request, transaction.flow, decision)
        else:
            response = compose.response(
                request,
                decision.status,
                decision.reason,
                to_tag=compose.new_tag(),
                fields=decision.headers.items(),
            )
        transaction.respond(response)
