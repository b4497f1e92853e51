"""One REGISTER on its way to a PBX: its addresses are tried in turn, its answer is told. Pure."""

from collections.abc import Callable, Sequence

import attrs

from softswitch.flow import Flow
from softswitch.plugin.decisions import Target
from softswitch.scope import Auditor, Scope
from softswitch.sip.message import Request, Response
from softswitch.transaction.client import Client
from softswitch.transaction.invite_client import InviteClient
from softswitch.transaction.layer import TransactionLayer
from softswitch.transport.search import over_udp
from softswitch.wheel import Timer

#: Statuses that mean the registrar was never reached, or cannot serve: another may do better.
UNREACHED = frozenset((408, 500, 502, 503, 504))

#: Of T1: when the phone is answered at the latest, lest its timer F run out (RFC 3261 17.1.2.2).
PATIENCE = 60

#: Finds a flow to where a URI leads, now or later; None for nowhere.
FindFlow = Callable[[str, Callable[[Flow | None], None]], None]


@attrs.define
class PassingData:
    """What it knows; plain data.

    :ivar request: as it came.
    :ivar registrar: name of the trunk.
    :ivar targets: addresses that are still to be tried.
    :ivar tries: how many have been begun.
    :ivar best: refusal of an address that cannot serve; None before.
    :ivar deadline: when the present address is given up, by the clock; None before the first.
    """

    request: Request
    registrar: str
    targets: list[Target]
    tries: int = 0
    best: Response | None = None
    deadline: float | None = None


class Passing:
    """Sends a REGISTER to the first address that answers it.

    :ivar data: what it knows.
    :ivar scope: holds what of it must end.
    :param make: composes what is sent on a flow.
    :param tell: told once: the answer, or None when no address has given one.
    :param patience: seconds for which an address may be silent while there are others.
    """

    def __init__(
        self,
        transactions: TransactionLayer,
        find_flow: FindFlow,
        auditor: Auditor,
        request: Request,
        registrar: str,
        targets: Sequence[Target],
        make: Callable[[Flow], Request],
        tell: Callable[["Passing", Response | None], None],
        patience: Callable[[Target], float],
    ) -> None:
        self.data = PassingData(request, registrar, list(targets))
        self.scope = Scope(f"REGISTER {request.call_id}", auditor)
        self._transactions = transactions
        self._clock = transactions.clock
        self._find_flow = find_flow
        self._make = make
        self._tell: Callable[[Passing, Response | None], None] | None = tell
        self._patience = patience
        self._until = self._clock.seconds() + PATIENCE * transactions.timers.t1
        self._timer: Timer | None = None
        self._target: Target | None = None
        self._current: Client | InviteClient | None = None
        self.scope.hold(self)

    def start(self) -> None:
        """Try the first address."""
        self._go_on()

    def leftovers(self) -> list[str]:
        """The name of its timer while it is set (for the scope)."""
        return [] if self._timer is None else ["give up"]

    # From the transaction.

    def response_received(self, response: Response, transaction: Client | InviteClient) -> None:
        """A provisional response or the final one."""
        if transaction is not self._current or response.status < 200:
            return
        if response.status in UNREACHED:
            self.data.best = self.data.best or response
            self._go_on()
        else:
            self._finish(response)

    def timed_out(self, transaction: Client | InviteClient) -> None:
        """Silent for 64*T1."""
        if transaction is self._current:
            self._go_on()

    def transport_failed(self, transaction: Client | InviteClient, reason: str) -> None:
        """It did not leave."""
        if transaction is self._current:
            self._go_on()

    def takes_tcp(self) -> bool:
        """A large REGISTER goes to a PBX over TCP (RFC 3261 18.1.1) where nothing says how to reach
        it."""
        target = self._target
        return target is not None and target.flow is None and ";transport=" not in target.uri

    # Trying.

    def _go_on(self) -> None:
        data = self.data
        self._stop()
        self._current = None
        left = self._until - self._clock.seconds()
        if not data.targets or left <= 0:
            self._finish(data.best)
            return
        target = self._target = data.targets.pop(0)
        data.tries += 1
        wait = min(left, self._patience(target)) if data.targets else left
        data.deadline = self._clock.seconds() + wait
        self._timer = self._clock.callLater(wait, self._give_up)
        number = data.tries

        def found(flow: Flow | None) -> None:
            if number != self.data.tries or self._tell is None:
                return
            if flow is None:
                self._go_on()
            else:
                request = self._make(flow)
                self._current = self._transactions.send_request(request, flow, self, self.scope)

        self._find_flow(over_udp(target.uri), found)

    def _give_up(self) -> None:
        self._timer = None
        self._go_on()

    def _finish(self, response: Response | None) -> None:
        tell, self._tell = self._tell, None
        if tell is None:
            return
        self._stop()
        self._current = None
        self.scope.release(self)
        self.scope.end()
        tell(self, response)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
