"""Our BYE, and what of the peer's crosses it (RFC 3261 15.1, RFC 5407 3.2). Pure."""

from softswitch.dialog.proof import Credentials
from softswitch.dialog.requester import Requester
from softswitch.dialog.usage import Dialogs, SessionData, answer
from softswitch.flow import Flow
from softswitch.scope import Scope
from softswitch.sip.message import Field, Request, Response
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server


class Farewell:
    """Stands in for a session from its BYE until that has been answered: a BYE that comes
    meanwhile is answered 200, all else 481.

    :ivar data: the session's.
    """

    __slots__ = ("_agent", "_scope", "data")

    def __init__(self, agent: Dialogs, data: SessionData, scope: Scope) -> None:
        self.data = data
        self._agent = agent
        self._scope = scope

    def start(self, fields: list[Field], credentials: Credentials | None) -> None:
        """Send the BYE."""
        dialog = self.data.dialog
        self._agent.open(dialog.key, self)
        requester = Requester(self._agent, dialog, self, self._scope, credentials)
        requester.start(dialog.request("BYE", fields))

    def request_received(self, request: Request, transaction: InviteServer | Server) -> None:
        """Something has crossed our BYE."""
        answer(transaction, self._scope, 200 if request.method == "BYE" else 481)

    def ack_received(self, request: Request, flow: Flow) -> None:
        """An ACK that nobody waits for."""

    def response_received(self, response: Response, requester: Requester) -> None:
        """Our BYE has been heard; what the peer says of it does not matter."""
        if response.status >= 200:
            self._agent.close(self.data.dialog.key, self)

    def challenged(self, response: Response, requester: Requester) -> None:
        """It is sent again, with credentials."""

    def request_failed(self, status: int, reason: str, requester: Requester) -> None:
        """Nobody has heard it."""
        self._agent.close(self.data.dialog.key, self)
