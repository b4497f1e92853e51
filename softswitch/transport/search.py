"""One name being looked up: by which transports, at which servers, at which addresses (RFC 3263
section 4). Pure.

What is likely to be wanted is asked side by side, and each answer has the whole looked at anew, so
that a server which is silent about one kind of record, as some are about NAPTR, holds up nobody for
longer than ``DnsSettings.seconds``: then what is known by then has to do.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, groupby
from random import Random
from typing import Any, Final, NamedTuple, Protocol

import attrs

from softswitch.flow import SECURE
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Listener, choose
from softswitch.wheel import Clock, Timer

#: Transport that we open ourselves -> its service (RFC 3263 4.2).
SERVICES: Final = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}
#: Service of a NAPTR record -> its transport (RFC 3263 4.1).
_POINTED: Final = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}
#: Places to which a name leads at most.
MOST: Final = 16
#: Servers of a service that are looked up.
SERVERS: Final = 16


@attrs.frozen
class DnsSettings:
    """How names are looked up.

    :ivar naptr: whether a domain is asked by which transport it wants to be reached.
    :ivar seconds: after which what is known has to do.
    """

    naptr: bool = True
    seconds: float = 2.0


class Service(NamedTuple):
    """One SRV record (RFC 2782).

    :ivar target: the name of a host; "." where the service is decidedly not to be had.
    """

    priority: int
    weight: int
    port: int
    target: str


class Pointer(NamedTuple):
    """One NAPTR record (RFC 3403 4.1), its regular expression apart, which SIP does not use.

    :ivar flags: lower case: "s" for one that points to SRV records.
    :ivar service: upper case: "SIPS+D2T" for SIP over TLS (RFC 3263 4.1).
    :ivar replacement: the name to which it points.
    """

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


#: Looks a name up, and tells its addresses, without brackets, at once or later; [] for none.
LookUp = Callable[[str, Callable[[list[str]], None]], None]
#: Looks a service up, as ``_sip._udp.example.org``, and tells its records, at once or later.
LookUpService = Callable[[str, Callable[[list[Service]], None]], None]
#: Looks a domain's NAPTR records up, and tells them, at once or later.
LookUpPointers = Callable[[str, Callable[[list[Pointer]], None]], None]


class Asked(Protocol):
    """The resolver: whom to ask, and what we can reach."""

    settings: DnsSettings
    listeners: Sequence[Listener]
    look_up: LookUp
    look_up_service: LookUpService | None
    look_up_pointers: LookUpPointers | None
    random: Random
    clock: Clock | None


class Search:
    """A name on its way to its places; tells them once.

    :param hop: transport, name and port that the URI means.
    """

    def __init__(
        self,
        asked: Asked,
        hop: Destination,
        uri: Uri,
        tell: Callable[[list[Destination]], None],
    ) -> None:
        self._asked = asked
        self._hop = hop
        self._uri = uri
        self._tell = tell
        self._answers: dict[tuple[str, str], list[Any] | None] = {}
        self._ordered: dict[str, list[Service]] = {}
        self._timer: Timer | None = None
        self._asking = self._late = self._over = False

    def start(self) -> None:
        """Ask, and tell at once if all is known."""
        if self._chooses_transport:
            self._answer("pointer", self._hop.host)
        if self._is_service:
            for transport, name in self._usual():
                if self._is_spoken(transport):
                    self._answer("service", name)
        self._answer("host", self._hop.host)
        self._look()
        clock = self._asked.clock
        if not self._over and clock is not None:
            self._timer = clock.callLater(self._asked.settings.seconds, self._give_up)

    @property
    def _is_service(self) -> bool:
        """Whether the name may be a service's: not with a port, and not without a dot."""
        named = self._uri.port is None and "." in self._hop.host
        return named and self._asked.look_up_service is not None

    @property
    def _chooses_transport(self) -> bool:
        """Whether the domain may say by which transport it is to be reached."""
        asked = self._asked
        wanted = self._uri.scheme == "sips" or asked.settings.naptr
        said = "transport" in self._uri.params
        return self._is_service and asked.look_up_pointers is not None and wanted and not said

    def _usual(self) -> list[tuple[str, str]]:
        """The services by their usual names, each with its transport."""
        hop = self._hop
        every = self._chooses_transport and hop.transport not in SECURE
        transports = list(SERVICES) if every else [hop.transport]
        return [(each, f"{SERVICES[each]}.{hop.host}") for each in transports]

    def _look(self) -> None:
        """See whether what is known is enough."""
        if self._over:
            return
        found = self._places()
        if found is not None:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._tell(list(dict.fromkeys(found))[:MOST])

    def _give_up(self) -> None:
        self._timer = None
        self._late = True
        self._look()

    def _places(self) -> list[Destination] | None:
        """The places in their order; None while an answer is missing on which they depend."""
        hop = self._hop
        if not self._is_service:
            return self._at(hop)
        services = self._usual()
        if self._chooses_transport:
            pointers = self._answer("pointer", hop.host)
            if pointers is None:
                self._first_of(services)  # so that its servers are known when it comes to that
                return None
            services = self._pointed(pointers) or services
        return self._first_of(services)

    def _first_of(self, services: list[tuple[str, str]]) -> list[Destination] | None:
        """The places of the first service that has any; without one, the name is a host's."""
        exists = False
        for transport, name in services:
            if not self._is_spoken(transport):
                continue
            records = self._answer("service", name)
            if records is None:
                return None
            exists = exists or bool(records)
            found = self._served(transport, name, records)
            if found is None or found:
                return found
        return [] if exists else self._at(self._hop)

    def _pointed(self, pointers: list[Pointer]) -> list[tuple[str, str]]:
        """The services to which the pointers lead, the first by order and preference first."""
        fitting = [
            (_POINTED[each.service], each.replacement)
            for each in sorted(pointers)
            if each.flags == "s" and each.service in _POINTED
        ]
        secure = self._hop.transport in SECURE
        return [each for each in fitting if each[0] in SECURE or not secure]

    def _served(
        self, transport: str, name: str, records: list[Service]
    ) -> list[Destination] | None:
        """Where the servers of a service are; all are asked for at once."""
        wanted = self._ordered.get(name)
        if wanted is None:
            ordered = in_order(records, self._asked.random)
            wanted = [each for each in ordered if each.target != "."][:SERVERS]
            self._ordered[name] = wanted
        bears = canonical_host(self._uri.host) if transport in SECURE else ""
        found = [
            self._at(Destination(transport, canonical_host(each.target), each.port, bears))
            for each in wanted
        ]
        known = [each for each in found if each is not None]
        return None if len(known) < len(found) else list(chain.from_iterable(known))

    def _at(self, place: Destination) -> list[Destination] | None:
        """The addresses of a host that a listener can reach; None while they are not known."""
        addresses = self._answer("host", place.host)
        if addresses is None:
            return None
        return [
            place._replace(host=address)
            for address in dict.fromkeys(addresses)
            if choose(self._asked.listeners, place.transport, address) is not None
        ]

    def _is_spoken(self, transport: str) -> bool:
        return any(each.transport == transport for each in self._asked.listeners)

    def _answer(self, kind: str, name: str) -> list[Any] | None:
        """What has been answered; asked for when it is first wanted. None for nothing yet, which is
        as good as nothing at all when it is late."""
        question = kind, name
        if question not in self._answers:
            if self._late:
                return []
            self._answers[question] = None
            look_up: Any = {
                "host": self._asked.look_up,
                "service": self._asked.look_up_service,
                "pointer": self._asked.look_up_pointers,
            }[kind]
            self._asking = True
            look_up(name, partial(self._told, question))
            self._asking = False
        found = self._answers[question]
        return [] if found is None and self._late else found

    def _told(self, question: tuple[str, str], found: list[Any]) -> None:
        if self._answers[question] is None:
            self._answers[question] = found
            if not self._asking:
                self._look()


def in_order(services: Sequence[Service], random: Random) -> list[Service]:
    """Records in the order of trying: the lowest priority first, among equals by chance, each by
    its weight (RFC 2782)."""
    found: list[Service] = []
    ranked = sorted(services, key=lambda each: (each.priority, each.weight))
    for _, group in groupby(ranked, key=lambda each: each.priority):
        left = list(group)
        while left:
            drawn = random.randint(0, sum(each.weight for each in left))
            for each in left:
                drawn -= each.weight
                if drawn <= 0:
                    break
            left.remove(each)
            found.append(each)
    return found


def over_udp(text: str) -> str:
    """A SIP URI by which somebody is reached who has been configured for UDP: without a transport
    the DNS would choose one."""
    said = ";transport=" in text or text.startswith("sips:")
    return text if said else f"{text};transport=udp"
