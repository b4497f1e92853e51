"""Where the users are: addresses of record and their contacts (RFC 3261 section 10). Pure.

Memory is the truth; a store is told of each change, and asked once, at start. A binding's times
are wall-clock seconds, since it outlives the process, while its timer runs on the clock.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

import attrs
from cattrs.errors import BaseValidationError

from softswitch.errors import PeerError, SipSyntaxError
from softswitch.flow import Flow
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.interfaces import IBindingStore
from softswitch.sip.uri import Uri
from softswitch.transport.networks import source_of
from softswitch.wheel import Clock, Timer

#: Seconds that the expiry timer waits at least, lest rounding make it run on the spot.
_LEAST_WAIT = 0.05


class Change(StrEnum):
    """What became of a binding."""

    ADDED = "added"
    REFRESHED = "refreshed"
    REMOVED = "removed"


@attrs.frozen
class Grant:
    """What the registrar of a PBX has granted a contact of a phone that we front. Plain data.

    :ivar registrar: the trunk's name.
    :ivar token: user part of the Contact of ours under which it knows the phone.
    :ivar at: when it was granted, wall-clock seconds.
    :ivar until: when it ends there, wall-clock seconds.
    :ivar username: of the digest credentials that it has accepted from the phone on the binding's
        flow; "" when it wanted none, so that nothing is proved.
    """

    registrar: str
    token: str
    at: float
    until: float
    username: str = ""


@attrs.frozen
class Binding:
    """One contact of an address of record. Plain data.

    :ivar aor: canonical address of record, as ``address_of_record`` makes it.
    :ivar contact: URI as the phone wrote it.
    :ivar flow: on which its REGISTER came.
    :ivar call_id: Call-ID of that REGISTER.
    :ivar cseq: its CSeq number.
    :ivar registered_at: when it came, wall-clock seconds.
    :ivar expires_at: when the binding ends, wall-clock seconds.
    :ivar q: preference, 0.0 to 1.0.
    :ivar instance: value of ``+sip.instance`` as written, quotes and all (RFC 5626 4.1), or "".
    :ivar reg_id: which of the instance's flows it is: the instance has a binding for each, and is
        called over one of them (RFC 5626 4.2); 0 for a binding like any other.
    :ivar user_agent: the phone's User-Agent, or "".
    :ivar path: URIs of the Path to the phone (RFC 3327); none as yet.
    :ivar reachable: whether its flow can still be used: a closed connection's cannot, nor one whose
        keep-alives are answered no more.
    :ivar grant: of the PBX to whose registrar the phone's REGISTER was passed on; None where we
        are the registrar.
    """

    aor: str
    contact: str
    flow: Flow
    call_id: str
    cseq: int
    registered_at: float
    expires_at: float
    q: float = 1.0
    instance: str = ""
    user_agent: str = ""
    path: tuple[str, ...] = ()
    reachable: bool = True
    grant: Grant | None = None
    reg_id: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from the others of its address of record."""
        return self.contact, self.reg_id

    def same_contact(self, other: "Binding") -> bool:
        """Whether both name one contact by the rules of RFC 3261 19.1.4; of flows that have a
        number, whether they are one flow (RFC 5626 6)."""
        if self.reg_id and other.reg_id:
            return (self.instance, self.reg_id) == (other.instance, other.reg_id)
        return self.contact == other.contact or Uri.parse(self.contact).same_as(
            Uri.parse(other.contact)
        )

    def same_phone(self, earlier: "Binding") -> bool:
        """Whether the phone that made ``earlier`` has come back under another contact.

        Its ``+sip.instance`` says so. A phone without one is known by its User-Agent and source
        host, but only if it has rebooted (a new Call-ID, 10.2.4) or lost its connection; else it
        adds a contact.
        """
        if self.instance or earlier.instance:
            another = self.reg_id and earlier.reg_id and self.reg_id != earlier.reg_id
            return self.instance == earlier.instance and not another
        return (
            self.user_agent != ""
            and self.user_agent == earlier.user_agent
            and self.flow.remote_host == earlier.flow.remote_host
            and (self.call_id != earlier.call_id or not earlier.reachable)
        )


class Bindings:
    """All bindings, with one timer, for the earliest expiry.

    :ivar observers: told of each change, after it has been made.
    :param store: told of each change; None keeps nothing over a restart.
    :param now: wall-clock seconds.
    """

    def __init__(self, clock: Clock, store: IBindingStore | None, now: Callable[[], float]) -> None:
        self.observers: list[Callable[[Change, Binding], None]] = []
        self._clock = clock
        self._store = store
        self._now = now
        self._bindings: dict[str, list[Binding]] = {}
        self._on_flow: dict[Flow, set[str]] = {}
        self._by_token: dict[str, str] = {}
        self._sources: Counter[str] = Counter()
        self._addresses: Counter[tuple[str, int]] = Counter()
        # At most one live deadline per address of record, never later than its first expiry.
        self._deadlines: list[tuple[float, str]] = []
        self._deadline_of: dict[str, float] = {}
        self._timer: Timer | None = None
        self._timer_at: float | None = None

    def __len__(self) -> int:
        return sum(map(len, self._bindings.values()))

    def __iter__(self) -> Iterator[Binding]:
        """All of them, those too that have expired just now."""
        return (binding for bindings in self._bindings.values() for binding in bindings)

    def evict(self, aor: str, contact: str = "") -> int:
        """Remove a contact of ``aor``, whatever its phone says; how many went.

        :param contact: as the phone wrote it; "" for all.
        """
        before = self._bindings.get(aor, [])
        kept = [binding for binding in before if contact and binding.contact != contact]
        self._commit(aor, kept)
        return len(before) - len(kept)

    def drop(self, aor: str, flow: Flow, contact: str, reg_id: int) -> None:
        """Remove the contact that ``aor`` has on a flow: its phone is not there any more."""
        dead = flow, (contact, reg_id)
        kept = [each for each in self._bindings.get(aor, ()) if (each.flow, each.key) != dead]
        self._commit(aor, kept)

    def lookup(self, aor: str) -> list[Binding]:
        """The contacts on which ``aor`` can be reached now: highest q first, then the newest.

        Of the flows of one phone the first alone: it shall not ring twice (RFC 5626 6).
        """
        found = sorted(
            (binding for binding in self.contacts(aor) if binding.reachable),
            key=lambda binding: (-binding.q, -binding.registered_at),
        )
        if len(found) < 2:
            return found
        phones: set[str | tuple[str, int]] = set()
        once = []
        for binding in found:
            phone = binding.instance if binding.reg_id else binding.key
            if phone not in phones:
                phones.add(phone)
                once.append(binding)
        return once

    def spare(self, binding: Binding) -> list[Binding]:
        """The further flows of a binding's phone that can be used, the newest first."""
        found = [
            each
            for each in self.contacts(binding.aor)
            if each.reg_id not in (0, binding.reg_id)
            and each.reachable
            and each.instance == binding.instance
        ]
        return sorted(found, key=lambda each: -each.registered_at)

    def contacts(self, aor: str) -> list[Binding]:
        """All contacts of ``aor`` that have not expired, reachable or not."""
        now = self._now()
        return [binding for binding in self._bindings.get(aor, ()) if binding.expires_at > now]

    def on_flow(self, flow: Flow) -> list[Binding]:
        """All contacts that have registered on a flow that can be used, and have not expired."""
        return [
            binding
            for aor in self._on_flow.get(flow, ())
            for binding in self.contacts(aor)
            if binding.flow == flow
        ]

    def at(self, host: str, port: int) -> bool:
        """Whether anybody has registered from that very address; it may have expired just now."""
        return (host, port) in self._addresses

    def from_host(self, host: str) -> bool:
        """Whether anybody has registered from that host; with IPv6, from its network of 64 bits."""
        return source_of(host) in self._sources

    def with_token(self, token: str) -> Binding | None:
        """The contact that a PBX knows by this token; None for none that has not expired."""
        aor = self._by_token.get(token)
        for binding in self.contacts(aor) if aor is not None else ():
            if binding.grant is not None and binding.grant.token == token:
                return binding
        return None

    def change(self, aor: str, change: Callable[[Binding], Binding]) -> None:
        """Put what ``change`` makes of it in the place of each contact of ``aor``."""
        self._commit(aor, [change(binding) for binding in self._bindings.get(aor, ())])

    def update(self, aor: str, wanted: Sequence[Binding], limit: int) -> None:
        """Add, refresh and remove contacts as one REGISTER wants it: all of them or none.

        A contact takes the place of the one that it equals and of the one that the same phone
        had before. Beyond the limit the oldest goes, first of all one that is unreachable.

        :param wanted: one Binding per contact of the request; one that has expired already is
            a removal.
        :param limit: contacts that the address may have.
        :raises PeerError: 500 when the request is older than a binding that it would change
            (RFC 3261 10.3 steps 6 and 7), 403 when it brings more contacts than the limit.
        """
        now = self._now()
        before = self.contacts(aor)
        added: list[Binding] = []
        superseded: set[tuple[str, int]] = set()
        for binding in wanted:
            stays = binding.expires_at > now
            for old in before:
                if binding.same_contact(old) or (stays and binding.same_phone(old)):
                    _check_order(old, binding.call_id, binding.cseq)
                    superseded.add(old.key)
            added = [other for other in added if not binding.same_contact(other)]
            if stays:
                added.append(binding)
            if len(added) > limit:
                raise PeerError("Too many contacts", 403)
        kept = [old for old in before if old.key not in superseded]
        kept.sort(key=lambda binding: (binding.reachable, binding.registered_at))
        room = limit - len(added)
        self._commit(aor, kept[max(0, len(kept) - room) :] + added)

    def remove_all(self, aor: str, call_id: str, cseq: int) -> None:
        """Remove every contact of ``aor``, as ``Contact: *`` wants it.

        :raises PeerError: 500 when the request is older than one of them (10.3 step 6).
        """
        for binding in self.contacts(aor):
            _check_order(binding, call_id, cseq)
        self._commit(aor, [])

    def flow_closed(self, flow: Flow) -> None:
        """A connection is gone: what was registered on it cannot be reached any more."""
        for aor in self._on_flow.pop(flow, ()):
            self._bindings[aor] = [
                attrs.evolve(binding, reachable=False) if binding.flow == flow else binding
                for binding in self._bindings[aor]
            ]

    def restore(
        self, alive: Callable[[Flow], bool], unreadable: Callable[[str, Exception], None]
    ) -> int:
        """Take over what the store has kept; asked once, before the first request.

        A UDP flow is used as before. A connection did not survive, nor did the flows of a listener
        that is gone: their phones stay unreachable until they register anew. What cannot be read
        back is passed over, and stays in the store until the phone registers.

        :param alive: whether something can be sent on a flow.
        :param unreadable: told of an address of record of which a binding is passed over, and why.
        :returns: how many bindings there are now.
        """
        for aor, kept in self._store.load().items() if self._store is not None else ():
            restored = []
            for plain in kept:
                try:
                    binding = from_plain(Binding, plain)
                    Uri.parse(binding.contact)
                except (BaseValidationError, TypeError, SipSyntaxError) as error:
                    unreadable(aor, error)
                else:
                    restored.append(attrs.evolve(binding, aor=aor, reachable=alive(binding.flow)))
            if restored:
                self._bindings[aor] = restored
                self._index(restored)
                self._note_expiry(aor)
        self._set_timer()
        return len(self)

    def stop(self) -> None:
        """Let go of the timer; the bindings stay, here and in the store."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._timer_at = None

    def _commit(self, aor: str, after: list[Binding]) -> None:
        before = self._bindings.get(aor, [])
        if after == before:
            return
        for binding in before:
            self._forget(binding)
        self._index(after)
        if after:
            self._bindings[aor] = after
        else:
            self._bindings.pop(aor, None)
        self._note_expiry(aor)
        self._set_timer()
        if self._store is not None:
            self._store.save(aor, to_plain(after))
        self._tell(before, after)

    def _index(self, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            host, port = binding.flow.remote_host, binding.flow.remote_port
            self._sources[source_of(host)] += 1
            self._addresses[host, port] += 1
            if binding.reachable:
                self._on_flow.setdefault(binding.flow, set()).add(binding.aor)
            if binding.grant is not None:
                self._by_token[binding.grant.token] = binding.aor

    def _forget(self, binding: Binding) -> None:
        host, port = binding.flow.remote_host, binding.flow.remote_port
        source = source_of(host)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        self._addresses[host, port] -= 1
        if not self._addresses[host, port]:
            del self._addresses[host, port]
        if binding.grant is not None:
            self._by_token.pop(binding.grant.token, None)
        users = self._on_flow.get(binding.flow)
        if users is not None:
            users.discard(binding.aor)
            if not users:
                del self._on_flow[binding.flow]

    def _tell(self, before: Iterable[Binding], after: Iterable[Binding]) -> None:
        earlier = {binding.key: binding for binding in before}
        later = {binding.key: binding for binding in after}
        changes = [(Change.REMOVED, old) for key, old in earlier.items() if key not in later]
        for key, binding in later.items():
            if key not in earlier:
                changes.append((Change.ADDED, binding))
            elif binding != earlier[key]:
                changes.append((Change.REFRESHED, binding))
        for observer in self.observers:
            for change, binding in changes:
                observer(change, binding)

    def _note_expiry(self, aor: str) -> None:
        bindings = self._bindings.get(aor)
        if bindings:
            first = min(binding.expires_at for binding in bindings)
            if first < self._deadline_of.get(aor, float("inf")):
                self._deadline_of[aor] = first
                heapq.heappush(self._deadlines, (first, aor))
        elif not self._bindings:
            self._deadlines.clear()
            self._deadline_of.clear()

    def _set_timer(self) -> None:
        first = self._deadlines[0][0] if self._deadlines else None
        if first == self._timer_at:
            return
        self.stop()
        if first is not None:
            self._timer_at = first
            wait = max(_LEAST_WAIT, first - self._now())
            self._timer = self._clock.callLater(wait, self._expire)

    def _expire(self) -> None:
        self.stop()
        now = self._now()
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, aor = heapq.heappop(self._deadlines)
            if self._deadline_of.get(aor) == deadline:
                del self._deadline_of[aor]
                self._commit(aor, self.contacts(aor))
                self._note_expiry(aor)
        self._set_timer()


def address_of_record(uri: Uri, domain: str) -> str:
    """The canonical form under which bindings are kept (RFC 3261 10.3 step 5).

    :param uri: SIP or SIPS URI of a served domain; its parameters and host do not matter.
    :param domain: the one name that stands for all served domains.
    """
    return f"{uri.unquoted_user}@{domain}"


def _check_order(old: Binding, call_id: str, cseq: int) -> None:
    """
    :raises PeerError: 500 when the request with this Call-ID and CSeq made ``old``, or came
        before the one that did.
    """
    if old.call_id == call_id and cseq <= old.cseq:
        raise PeerError("CSeq out of order", 500)
