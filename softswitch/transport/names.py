"""Names in the DNS: hosts and services (RFC 3263), over ``twisted.names``.

Questions wait side by side, each in a Deferred of its own and none in a thread, so that a name
whose server is dead delays nobody but who asked for it. What was found is believed as long as its
records say, within bounds, and longer while no server answers; that there is nothing, for a few
seconds. ``/etc/hosts`` goes before the DNS. A name without a dot is no name of the DNS: the
reactor's resolver knows it, or nobody.
"""

from collections.abc import Callable, Mapping
from functools import cache
from socket import AF_INET6, inet_ntop
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.names import dns, hosts, resolve
from twisted.names.client import Resolver as Client
from twisted.names.error import DNSQueryTimeoutError, DNSServerError, ResolverError
from twisted.python.failure import Failure

from softswitch.transport.resolver import host_names
from softswitch.transport.search import LookUp, Pointer, Service

#: Seconds after which a server has not answered; each is asked so often.
TIMEOUTS = (1, 2)
#: Seconds for which it is believed that there is nothing.
NEGATIVE = 10.0
#: Seconds for which what was found is believed at least, and at most.
SHORTEST, LONGEST = 5.0, 600.0
#: Answers that are kept; when there are more, all are forgotten.
KEPT = 4096

#: What a question is: the kind of record, and the name.
Question = tuple[str, str]
#: What came of it: the values, and for how many seconds they are good. Without values: nobody could
#: be asked.
Answer = tuple[list[Any] | None, float]
Tell = Callable[[list[Any]], None]


class Names:
    """Looks names up.

    :param resolver: makes one of ``twisted.names``, with ``lookupAddress`` and its like, once,
        when the first name is looked up.
    :param now: seconds, by any clock that goes on.
    :param plain: looks names up that have no dot.
    """

    def __init__(
        self, resolver: Callable[[], Any], now: Callable[[], float], plain: LookUp
    ) -> None:
        self._resolver = cache(resolver)
        self._now = now
        self._plain = plain
        self._known: dict[Question, tuple[float, list[Any]]] = {}
        self._waiting: dict[Question, list[Tell]] = {}

    def look_up(self, name: str, tell: Callable[[list[str]], None]) -> None:
        """Tell the addresses of a host, IPv4 before IPv6."""
        if "." in name:
            self._ask(("host", name), tell)
        else:
            self._plain(name, tell)

    def look_up_service(self, name: str, tell: Callable[[list[Service]], None]) -> None:
        """Tell the SRV records of a service."""
        self._ask(("service", name), tell)

    def look_up_pointers(self, name: str, tell: Callable[[list[Pointer]], None]) -> None:
        """Tell the NAPTR records of a domain."""
        self._ask(("pointer", name), tell)

    def _ask(self, question: Question, tell: Tell) -> None:
        until, known = self._known.get(question, (0.0, []))
        if self._now() < until:
            tell(list(known))
        elif question in self._waiting:
            self._waiting[question].append(tell)
        else:
            self._waiting[question] = [tell]
            kind, name = question
            asked = self._hosts(name) if kind == "host" else self._records_of(kind, name)
            asked.addErrback(lambda failure: (None, NEGATIVE))  # an answer that cannot be read
            asked.addCallback(self._found, question)

    def _found(self, answer: Answer, question: Question) -> None:
        values, seconds = answer
        if values is None:
            _, values = self._known.get(question, (0.0, []))
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[question] = (self._now() + seconds, values)
        for tell in self._waiting.pop(question):
            tell(list(values))

    def _hosts(self, name: str) -> Deferred[Answer]:
        resolver = self._resolver()
        kinds = ((resolver.lookupAddress, dns.A), (resolver.lookupIPV6Address, dns.AAAA))
        asked = [
            maybeDeferred(look_up, name).addCallbacks(_records, _error, (kind,))
            for look_up, kind in kinds
        ]
        both: Deferred[Any] = DeferredList(asked)
        return both.addCallback(_together)

    def _records_of(self, kind: str, name: str) -> Deferred[Answer]:
        resolver = self._resolver()
        if kind == "pointer":
            look_up, wanted = resolver.lookupNamingAuthorityPointer, dns.NAPTR
        else:
            look_up, wanted = resolver.lookupService, dns.SRV
        asked: Deferred[Any] = maybeDeferred(look_up, name)
        return asked.addCallbacks(_records, _error, (wanted,))


def names_in_dns(reactor: Any) -> Names:
    """Names as this machine's ``/etc/hosts`` and ``/etc/resolv.conf`` know them."""

    def resolver() -> Any:
        client = Client(resolv="/etc/resolv.conf", timeout=TIMEOUTS, reactor=reactor)
        return resolve.ResolverChain([hosts.Resolver("/etc/hosts"), client])

    return Names(resolver, reactor.seconds, host_names(reactor))


def _records(answer: Any, kind: int) -> Answer:
    """What the records of an answer say that are of the kind that was asked for: behind an alias
    there may be others."""
    read = [(_READERS[kind](each.payload), each.ttl) for each in answer[0] if each.type == kind]
    if not read:
        return [], NEGATIVE
    seconds = min(ttl for _, ttl in read)
    return [value for value, _ in read], max(SHORTEST, min(seconds, LONGEST))


def _error(failure: Failure) -> Answer:
    """There is no such name, or none that can be asked for; or nobody has answered."""
    unasked = failure.check(DNSQueryTimeoutError, DNSServerError, ResolverError, OSError)
    return (None if unasked else [], NEGATIVE)


def _together(answers: list[tuple[bool, Answer]]) -> Answer:
    """The addresses of both families; what is known of one is enough."""
    known = [(found, seconds) for _, (found, seconds) in answers if found is not None]
    if not any(found for found, _ in known):
        return (None if len(known) < len(answers) else [], NEGATIVE)
    both = [address for found, _ in known for address in found]
    return both, min(seconds for found, seconds in known if found)


def _service(record: Any) -> Service:
    target = str(record.target).rstrip(".") or "."
    return Service(record.priority, record.weight, record.port, target)


def _pointer(record: Any) -> Pointer:
    flags = record.flags.string.decode("ascii", "replace").lower()
    service = record.service.string.decode("ascii", "replace").upper()
    replacement = str(record.replacement).rstrip(".")
    return Pointer(record.order, record.preference, flags, service, replacement)


#: Kind of record -> its value.
_READERS: Mapping[int, Callable[[Any], Any]] = {
    dns.A: lambda record: record.dottedQuad(),
    dns.AAAA: lambda record: inet_ntop(AF_INET6, record.address),
    dns.SRV: _service,
    dns.NAPTR: _pointer,
}
