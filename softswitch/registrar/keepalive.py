"""Bindings behind NAT are kept open over UDP, and known to be reachable or not. Pure.

A phone whose Contact is not where its REGISTER came from is behind a NAT, which forgets it after
half a minute of silence (RFC 4787 4.3 allows more, home routers do not). So something is sent to
it before that: an OPTIONS (RFC 3261 11), whose answer tells that the phone is there, whatever its
status, or two line ends (RFC 5626 3.5.1), which nobody answers over UDP. A contact that has
answered before and then does not several times in a row is called no more until it answers or
registers; one that has never answered any may have no ear for OPTIONS, and is believed.

There is one timer for all. Contacts begin at a time by chance within the interval, so that a
thousand phones that register at once, or are restored at once, are asked one after the other.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Literal

import attrs

from softswitch.errors import SipSyntaxError, TransportError
from softswitch.flow import Flow
from softswitch.registrar.bindings import Binding, Bindings, Change
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.uri import Uri, addressed
from softswitch.transaction.client import Client
from softswitch.transaction.invite_client import InviteClient
from softswitch.transaction.layer import TransactionLayer
from softswitch.transport.hosts import canonical_host
from softswitch.wheel import Timer

#: OPTIONS in a row that are not answered before a contact counts as unreachable.
MISSES: Final = 3
#: Contacts that are asked at once, and seconds until the next ones: calls come in between.
_BATCH, _PAUSE = 20, 0.02
_CRLF: Final = b"\r\n\r\n"

#: A contact, as the phone wrote it, and the flow on which it registered.
Place = tuple[Flow, str]


@attrs.frozen
class KeepAliveSettings:
    """How bindings behind NAT are kept open.

    :ivar how: what is sent.
    :ivar seconds: so often, to each.
    :ivar drop_after: OPTIONS in a row that are not answered before a binding is removed; 0 for
        never.
    """

    how: Literal["options", "crlf", "off"] = "options"
    seconds: float = 25.0
    drop_after: int = 0


@attrs.define
class Kept:
    """A contact that is kept open; plain data.

    :ivar users: addresses of record that have it, each with the number of the binding's flow.
    :ivar due: when something is sent next, by the clock's ``monotonic``.
    :ivar asked: Call-ID of the OPTIONS that has not been answered; "" for none.
    :ivar missed: how many in a row were not.
    :ivar answered: whether it has ever answered one.
    """

    due: float
    users: set[tuple[str, int]] = attrs.field(factory=set)
    asked: str = ""
    missed: int = 0
    answered: bool = False

    @property
    def silent(self) -> bool:
        """Whether it counts as unreachable."""
        return self.answered and self.missed >= MISSES


class KeepAlive:
    """Keeps bindings open, from ``start`` to ``stop``.

    :ivar counters: what has happened -> how often.
    :param contact: makes our Contact field value towards a flow's peer, with a user part.
    :param fields: header fields of every request of ours.
    :param random: for when a contact's turn is.
    """

    def __init__(
        self,
        bindings: Bindings,
        transactions: TransactionLayer,
        contact: Callable[[str, Flow], str],
        fields: Sequence[Field],
        settings: KeepAliveSettings,
        random: Random,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._bindings = bindings
        self._transactions = transactions
        self._clock = transactions.clock
        self._contact = contact
        self._fields = fields
        self._settings = settings
        self._random = random
        self._running = False
        self._kept: dict[Place, Kept] = {}
        self._place_of: dict[tuple[str, str, int], Place] = {}
        self._due: list[tuple[float, Place]] = []
        self._timer: Timer | None = None
        bindings.observers.append(self._changed)

    def __len__(self) -> int:
        """How many contacts are kept open."""
        return len(self._kept)

    def start(self) -> None:
        """Begin, with the bindings that have been restored."""
        self._running = True
        for binding in self._bindings:
            self._note(binding)

    def stop(self) -> None:
        """Send nothing more; harmless when repeated."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._kept.clear()
        self._place_of.clear()
        self._due.clear()

    def renew(self, settings: KeepAliveSettings) -> None:
        """Go by other settings from now on; what was known of contacts is forgotten where they
        differ."""
        if settings == self._settings:
            return
        for place, kept in list(self._kept.items()):
            if kept.silent:
                self._mark(place, kept, reachable=True)
        self._settings = settings
        if self._running:
            self.stop()
            self.start()

    # From the bindings.

    def _changed(self, change: Change, binding: Binding) -> None:
        if not self._running:
            return
        if change is Change.REMOVED:
            self._forget((binding.aor, *binding.key))
        else:
            self._note(binding)

    def _note(self, binding: Binding) -> None:
        key, place = (binding.aor, *binding.key), (binding.flow, binding.contact)
        wanted = self._settings.how != "off" and is_behind_nat(binding)
        if not wanted or self._place_of.get(key, place) != place:
            self._forget(key)
        if not wanted:
            return
        self._place_of[key] = place
        kept = self._kept.get(place)
        if kept is None:
            wait = self._random.uniform(0, self._settings.seconds)
            kept = self._kept[place] = Kept(self._clock.monotonic() + wait)
            heapq.heappush(self._due, (kept.due, place))
            self._set_timer()
        kept.users.add((binding.aor, binding.reg_id))
        if binding.reachable:
            kept.missed = 0

    def _forget(self, key: tuple[str, str, int]) -> None:
        place = self._place_of.pop(key, None)
        kept = None if place is None else self._kept.get(place)
        if place is not None and kept is not None:
            kept.users.discard((key[0], key[2]))
            if not kept.users:
                del self._kept[place]

    # Whose turn it is.

    def _set_timer(self) -> None:
        """Have the timer run for whoever is first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            wait = max(_PAUSE, self._due[0][0] - self._clock.monotonic())
            self._timer = self._clock.callLater(wait, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now, left = self._clock.monotonic(), _BATCH
        while left and self._due and self._due[0][0] <= now:
            due, place = heapq.heappop(self._due)
            kept = self._kept.get(place)
            if kept is None or kept.due != due:
                continue
            left -= 1
            kept.due = max(now, due + self._settings.seconds)
            heapq.heappush(self._due, (kept.due, place))
            if self._settings.how == "crlf":
                self._send_line_ends(place[0])
            else:
                self._ask(place, kept)
        self._set_timer()

    def _send_line_ends(self, flow: Flow) -> None:
        self.counters["keep-alive: CRLF"] += 1
        try:
            self._transactions.transport.send(_CRLF, flow, noted=False)
        except TransportError:
            self.counters["keep-alive: not sent"] += 1

    def _ask(self, place: Place, kept: Kept) -> None:
        if kept.asked and self._missed(place, kept):
            return
        flow, uri = place[0], addressed(place[1])
        us = self._contact("", flow)
        kept.asked = call_id = compose.new_call_id(NameAddr.parse(us).uri.host)
        fields = [
            ("Max-Forwards", "70"),
            ("From", f"{us};tag={compose.new_tag()}"),
            ("To", f"<{uri}>"),
            ("Call-ID", call_id),
            ("CSeq", "1 OPTIONS"),
            ("Contact", us),
            ("Accept", "application/sdp"),
            *self._fields,
        ]
        self.counters["keep-alive: OPTIONS"] += 1
        asked = _Asked(lambda: self._answered(place, call_id))
        self._transactions.send_request(Request("OPTIONS", uri, fields), flow, asked)

    # What comes of it.

    def _answered(self, place: Place, call_id: str) -> None:
        kept = self._kept.get(place)
        if kept is None or kept.asked != call_id:
            return
        kept.asked = ""
        silent, kept.missed, kept.answered = kept.silent, 0, True
        if silent:
            self._mark(place, kept, reachable=True)

    def _missed(self, place: Place, kept: Kept) -> bool:
        """The OPTIONS before this one was not answered; whether the contact has been removed."""
        kept.missed += 1
        if not kept.answered:
            return False
        if self._settings.drop_after and kept.missed >= self._settings.drop_after:
            self.counters["keep-alive: removed"] += 1
            for aor, reg_id in list(kept.users):
                self._bindings.drop(aor, *place, reg_id)
            return True
        if kept.missed == MISSES:
            self.counters["keep-alive: unreachable"] += 1
            self._mark(place, kept, reachable=False)
        return False

    def _mark(self, place: Place, kept: Kept, *, reachable: bool) -> None:
        def marked(binding: Binding) -> Binding:
            if (binding.flow, binding.contact) != place:
                return binding
            return attrs.evolve(binding, reachable=reachable)

        for aor in sorted({aor for aor, _ in kept.users}):
            self._bindings.change(aor, marked)


class _Asked:
    """Hears what comes of one OPTIONS: any answer is a sign of life."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def response_received(self, response: Response, transaction: Client | InviteClient) -> None:
        self._tell()

    def timed_out(self, transaction: Client | InviteClient) -> None:
        """That is noticed when it is the contact's turn again, which is sooner."""

    def transport_failed(self, transaction: Client | InviteClient, reason: str) -> None:
        """Likewise."""

    def takes_tcp(self) -> bool:
        """It is small, and has to go where the binding is."""
        return False


def is_behind_nat(binding: Binding) -> bool:
    """Whether a phone on UDP says to be at another address than its REGISTER came from."""
    flow = binding.flow
    if flow.transport != "UDP":
        return False
    try:
        uri = Uri.parse(binding.contact)
    except SipSyntaxError:
        return False
    return (canonical_host(uri.host), uri.port or 5060) != (flow.remote_host, flow.remote_port)
