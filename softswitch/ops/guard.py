"""What guards a switch: its door, the bounds on connections, and what is refused under load. Pure.

Put together here from the configuration and from what the floors above know: the networks of
trunks, where phones are registered, which numbers are for emergencies.
"""

from collections import Counter
from random import Random
from typing import Any

from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.ops.premises import Premises
from softswitch.registrar.bindings import Bindings
from softswitch.scope import Auditor
from softswitch.sip.message import Request
from softswitch.transaction.layer import TransactionLayer
from softswitch.transport.layer import TransportLayer
from softswitch.trunk.group import is_emergency
from softswitch.trunk.throttles import Throttles


class Guard:
    """Guards one switch.

    :ivar door: who may come in.
    :ivar throttles: which trunks are asked how much they can bear; None for none.
    :param random: for choices by chance.
    """

    def __init__(
        self,
        transport: TransportLayer,
        transactions: TransactionLayer,
        bindings: Bindings,
        auditor: Auditor,
        random: Random,
    ) -> None:
        self.throttles: Throttles | None = None
        self._transactions = transactions
        self._random = random
        self.door = transport.door
        self._transport = transport
        self._bindings = bindings
        self._auditor = auditor
        self._emergency: frozenset[str] = frozenset()
        self.door.registered = bindings
        transactions.refused = self.door.refused
        transactions.overload = transport.overload
        transactions.spared = self._spared
        transport.refusal.spared = self._spared_unread
        transport.refusal.under_way = transactions.is_under_way

    def renew(self, premises: Premises) -> None:
        """Guard as a configuration says."""
        config = premises.config
        self.door.renew(config.door.settings(), premises.trusted())
        self.door.ban_configured(config.door.banned)
        self._transport.guests.settings = config.limits.connections.settings()
        self._transport.overload.settings = config.overload.settings()
        self._transport.refusal.retry_after = config.overload.retry_after
        self._emergency = frozenset(config.switch.emergency)
        throttles = Throttles(premises.trunks, self._now, self._random)
        self.throttles = throttles if throttles.needed else None
        self._transactions.throttles = self.throttles

    def sweep(self) -> None:
        """Look for what is left of calls, connections that are idle and bans that have ended; to be
        called every ``house.SWEEP_SECONDS``."""
        self._auditor.sweep()
        self._transport.guests.sweep()
        self.door.sweep()

    @property
    def counters(self) -> Counter[str]:
        """What the transport and its door have dropped, refused or lost -> how often."""
        return self._transport.counters + self.door.counters

    def figures(self) -> dict[str, Any]:
        """For an operator."""
        return {
            "bans": len(self.door.bans),
            "connections": len(self._transport.connections),
            "overloads": self._transport.overload.times,
        }

    def _now(self) -> float:
        return self._transport.overload.seconds()

    def _spared_unread(self, method: str, user: str, flow: Flow) -> bool:
        """The same of a request that nobody has read.

        :param user: part of its Request-URI, without escapes.
        """
        if method == "REGISTER":
            return self._bindings.from_host(flow.remote_host)
        return method == "INVITE" and is_emergency(self._emergency, user)

    def _spared(self, request: Request, flow: Flow) -> bool:
        """Whether a new request is served even when the switch is overloaded: an emergency call,
        or a REGISTER from where a phone is registered."""
        if request.method == "REGISTER":
            return self._bindings.from_host(flow.remote_host)
        if request.method != "INVITE":
            return False
        try:
            return is_emergency(self._emergency, request.request_uri.unquoted_user)
        except SipSyntaxError:
            return False
