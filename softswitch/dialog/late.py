"""A 2xx to an INVITE of ours of which nobody knows any more: a fork has answered after all, and is
ended (RFC 3261 13.2.2.4). Pure.

Whoever has had an INVITE can make as many of them as he likes, and name anybody in their Contact
and Record-Route. So ACK and BYE go back to where the 2xx has come from, which is where the INVITE
went, and nowhere else: a proxy that has forked finds the rest of the way by itself.
"""

from functools import partial
from typing import Final

from softswitch.dialog.dialog import Dialog, DialogKey
from softswitch.dialog.requester import Requester, Sender, take_down
from softswitch.flow import Flow
from softswitch.scope import Auditor, Scope
from softswitch.sip.message import Request, Response
from softswitch.transaction.layer import TransactionLayer
from softswitch.transport.layer import TransportLayer

#: Forks that are being ended at one time; those beyond are left to end by themselves, since nobody
#: acknowledges them (13.3.1.4).
MOST: Final = 1024


class LateAnswers(Sender):
    """Ends what late answers have made, each once at a time."""

    def __init__(
        self, transport: TransportLayer, transactions: TransactionLayer, auditor: Auditor
    ) -> None:
        self._transport = transport
        self._transactions = transactions
        self._auditor = auditor
        self._ending: dict[DialogKey, Dialog] = {}

    def received(self, key: DialogKey, response: Response, flow: Flow) -> None:
        """A 2xx has come from where our INVITE went; a copy is acknowledged again.

        :param key: of the dialog that it makes, which is nobody's.
        """
        known = self._ending.get(key)
        if known is not None:
            self.send_ack(known.ack(response.cseq.number), known)
        elif len(self._ending) < MOST:
            dialog = Dialog.forgotten(response, flow)
            scope = Scope(f"late 2xx of {response.call_id}", self._auditor)
            fork = take_down(self, dialog, response, flow, scope)
            if fork is not None:
                self._ending[key] = fork
                scope.on_closed = partial(self._ended, key)
            scope.end()

    def send(self, request: Request, dialog: Dialog, user: Requester, scope: Scope) -> None:
        """Send a request along the dialog's flow."""
        flow = dialog.flow
        if self._transport.is_alive(flow):
            user.sent(self._transactions.send_request(request, flow, user, scope), flow)
        else:
            user.unsendable("Flow Failed")

    def send_ack(self, request: Request, dialog: Dialog) -> None:
        """Send an ACK along the dialog's flow."""
        self._transactions.send_ack(request, dialog.flow)

    def _ended(self, key: DialogKey) -> None:
        del self._ending[key]
