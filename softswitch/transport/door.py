"""The door: who may come in, asked before a message is parsed. Pure.

Who is **known** comes in unasked: networks that the operator trusts and those of trunks; the very
addresses on which phones are registered or have proved a password lately; hosts to which we have
sent something of our own accord. The ports remember that of each address, so that a message of
somebody known costs nothing here. Everybody else is a **stranger**: he may be banned, his messages
are weighed, one by one, by a token bucket of his own and one that all strangers share, and what he
does wrong counts towards a ban.

The source of a datagram may be anybody's. So a ban by score wants evidence: a connection, or a
nonce that we gave to that very host and that came back. What has evidence and what has none is
weighed and counted apart, lest a forger spoil what its victim sends by itself. Without evidence a
ban is short, and meets datagrams alone. None by score meets a trunk, a host that we call, or one
where a phone is registered; with IPv6, none that has the network of 64 bits in common with those.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Protocol

import attrs

from softswitch.flow import Flow
from softswitch.transport.bans import Ban, Bans
from softswitch.transport.guesses import Guesses
from softswitch.transport.networks import Network, Networks, network_of, source_of
from softswitch.transport.strangers import Strangers
from softswitch.wheel import Clock

#: Seconds for which it is remembered that we have called a host, or that an address has proved a
#: password.
REMEMBERED = 600.0
#: How many sources of each kind are remembered, and addresses of one of them; when that is full,
#: all are forgotten.
MOST = 8192
PORTS = 1024
#: Of how many connections it is remembered that they have been challenged; likewise.
CHALLENGED = 32_768


@attrs.frozen
class Points:
    """What counts how much towards a ban. A wrong password and an unknown name count the same:
    else a ban would tell which names there are.

    :ivar scanner: a message of a known scanner.
    :ivar failed_login: credentials that prove nothing.
    :ivar refused: a request that got a 4xx, other than a challenge.
    :ivar challenged: a challenge; what follows on it, if it proves a password, wipes the slate. The
        first one on a connection counts for nothing: an office may connect with all its phones.
    :ivar malformed: what cannot be read as SIP.
    :ivar flood: a message that found the bucket empty.
    """

    scanner: float = 100.0
    failed_login: float = 10.0
    refused: float = 5.0
    challenged: float = 1.0
    malformed: float = 5.0
    flood: float = 1.0


@attrs.frozen
class DoorSettings:
    """How strangers are treated.

    :ivar per_second: messages of one source; 0 for any number.
    :ivar burst: messages that it may send at once.
    :ivar strangers_per_second: messages of all strangers together; 0 for any number. Datagrams and
        connections have as many each.
    :ivar ban_score: points that make a ban; 0 for none.
    :ivar score_seconds: in which so many points flow off.
    :ivar ban_seconds: length of a ban.
    :ivar unproven_seconds: length of one whose source may be forged.
    :ivar points: what counts how much.
    :ivar scanners: what stands in the User-Agent of scanners, in any case of letters.
    :ivar signatures: regular expressions for lines of the header of scanners' messages.
    """

    per_second: float = 50.0
    burst: float = 200.0
    strangers_per_second: float = 1000.0
    ban_score: float = 100.0
    score_seconds: float = 300.0
    ban_seconds: float = 3600.0
    unproven_seconds: float = 60.0
    points: Points = attrs.field(factory=Points)
    scanners: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()

    def scanner(self) -> re.Pattern[bytes] | None:
        """What finds a scanner by a line of its header; None where none is known.

        :raises re.error: a signature is no regular expression.
        """
        lines = list(self.signatures)
        if self.scanners:
            names = "|".join(map(re.escape, self.scanners))
            lines.append(rf"(?:User-Agent|Server)[ \t]*:[^\r\n]*?(?:{names})")
        if not lines:
            return None
        whole = "|".join(f"(?:{line})" for line in lines)
        return re.compile(rf"^(?:{whole})".encode(), re.IGNORECASE | re.MULTILINE)


class Standing(Enum):
    """How somebody stands from whom a message comes.

    KNOWN: whatever comes from his address comes in. STRANGER: this message does. TURNED_AWAY: it
    does not.
    """

    KNOWN = auto()
    STRANGER = auto()
    TURNED_AWAY = auto()


class Registered(Protocol):
    """Where phones are registered."""

    def at(self, host: str, port: int) -> bool:
        """Whether a phone is registered on that very address."""

    def from_host(self, host: str) -> bool:
        """Whether any phone is registered from the source (``networks.source_of``) of a host."""


class _Nobody:
    """No phone is registered."""

    def at(self, host: str, port: int) -> bool:
        return False

    def from_host(self, host: str) -> bool:
        return False


class Door:
    """Says who may come in, and hears what those do who came.

    :ivar bans: the ban list.
    :ivar counters: what was turned away -> how often.
    :ivar registered: where phones are.
    :ivar changed: told when a known address may be so no longer: whoever remembers it forgets.
    :param trusted: networks that always come in.
    """

    def __init__(
        self,
        clock: Clock,
        settings: DoorSettings | None = None,
        trusted: Iterable[Network] = (),
    ) -> None:
        self._clock = clock
        self.bans = Bans(clock.seconds)
        self.counters: Counter[str] = Counter()
        self.registered: Registered = _Nobody()
        self.changed: list[Callable[[], None]] = []
        # Hosts, and their sources -> until when they are remembered.
        self._called: dict[str, float] = {}
        # Source -> its addresses that have proved a password -> until when that is remembered.
        self._proved: dict[str, dict[tuple[str, int], float]] = {}
        # Serials of connections that have been challenged.
        self._challenged: set[int] = set()
        self._guesses = Guesses()
        self._trusted: Networks[bool] = Networks()
        self._set(settings or DoorSettings(), trusted)

    def renew(self, settings: DoorSettings, trusted: Iterable[Network]) -> None:
        """Go on under other settings; the bans stay, but for those of what is trusted now, and
        those by score of a network in which anything is."""
        self._set(settings, trusted)
        self.bans.lift_all(self._spares)
        self._forget()

    # What the ports ask.

    def standing(self, host: str, port: int, data: bytes, proven: bool = False) -> Standing:
        """What becomes of a message.

        :param host: whence, an address literal without brackets.
        :param data: as it came.
        :param proven: whether it came on a connection, so that nobody has forged its source.
        """
        # A flood of somebody banned has to cost next to nothing; who is trusted is never here.
        if not proven and self.bans.holds(host):
            self.counters["dropped: banned"] += 1
            return Standing.TURNED_AWAY
        if self.knows(host, port):
            return Standing.KNOWN
        return Standing.STRANGER if self._lets_in(host, data, proven) else Standing.TURNED_AWAY

    def knows(self, host: str, port: int) -> bool:
        """Whether all that comes from an address comes in; a ban by score is none of its own."""
        if self._trusted.find(host):
            return True
        if self.bans.ordered(host) is not None:
            return False
        now = self._clock.monotonic()
        if self._called.get(host, 0.0) > now:
            return True
        proved = self._proved.get(source_of(host) if ":" in host else host)
        if proved is not None and proved.get((host, port), 0.0) > now:
            return True
        return self.registered.at(host, port)

    def knows_host(self, host: str) -> bool:
        """Whether a host may have as many connections as it likes: it is trusted, or phones are
        registered from it."""
        return bool(self._trusted.find(host)) or self.registered.from_host(host)

    def accepts(self, host: str) -> bool:
        """Whether a peer may connect; what a datagram has said of him does not count."""
        if self._trusted.find(host):
            return True
        if self.bars(host):
            self.counters["refused: banned"] += 1
            return False
        return self.registered.from_host(host) or self._has_token(host, True)

    def bars(self, host: str) -> bool:
        """Whether a host is banned by order, or with evidence: it may not even have connections."""
        if self._trusted.find(host):
            return False
        ban = self.bans.find(host)
        return ban is not None and ban.proven

    def _lets_in(self, host: str, data: bytes, proven: bool) -> bool:
        """Whether a message of a stranger comes in."""
        settings = self._settings
        ban = self.bans.find(host)
        if ban is not None and (ban.proven or not proven):
            self.counters["dropped: banned"] += 1
            return False
        if self._scanner is not None:
            end = data.find(b"\r\n\r\n")
            if self._scanner.search(data, 0, len(data) if end < 0 else end):
                self.counters["dropped: scanner"] += 1
                self._score(host, settings.points.scanner, "scanner", proven)
                return False
        if not self._has_token(host, proven):
            return False
        rate = settings.strangers_per_second
        together = self._strangers[proven].together
        if rate and not together.take(self._clock.monotonic(), rate, rate):
            self.counters["dropped: too many strangers"] += 1
            return False
        return True

    # What is seen of those who came in.

    def malformed(self, flow: Flow) -> None:
        """What came on a flow is no SIP."""
        self._count(flow, self._settings.points.malformed, "malformed messages")

    def refused(self, flow: Flow, status: int) -> None:
        """A request that came on a flow was refused."""
        points = self._settings.points
        if status in (401, 407):
            if not flow.serial or self._challenged_before(flow.serial):
                self._count(flow, points.challenged, "challenges without an answer")
        elif status < 500:
            self._count(flow, points.refused, "refused requests")

    def doubts(self, flow: Flow, account: str) -> bool:
        """Whether ``turns_down`` is to be asked about a login: one has failed before."""
        return self._guesses.are_known(source_of(flow.remote_host), account)

    def turns_down(self, flow: Flow, account: str, proven: bool) -> bool:
        """Whether so many have failed that the next one is not judged: it counts as one of them."""
        now, host, proven = self._clock.monotonic(), flow.remote_host, proven or flow.reliable
        if not self._guesses.exceed(source_of(host), account, proven, now):
            return False
        self.counters["not judged: failed logins"] += 1
        self._score(host, self._settings.points.failed_login, "failed logins", proven)
        return True

    def failed(self, flow: Flow, account: str, proven: bool) -> None:
        """Credentials that came on a flow prove nothing.

        :param account: that they name.
        :param proven: whether they answer a challenge that was given to this very host.
        """
        host, proven = flow.remote_host, proven or flow.reliable
        if not self._trusted.find(host):
            self._guesses.failed(source_of(host), account, proven, self._clock.monotonic())
            self._score(host, self._settings.points.failed_login, "failed logins", proven)

    def proved(self, flow: Flow) -> None:
        """A request that came on a flow proves a password."""
        now = self._clock.monotonic()
        source = source_of(flow.remote_host)
        addresses = self._proved.get(source)
        if addresses is None or len(addresses) >= PORTS:
            if len(self._proved) >= MOST:
                self._proved.clear()
            addresses = self._proved[source] = {}
        addresses[flow.remote_host, flow.remote_port] = now + REMEMBERED
        for strangers in self._strangers.values():
            strangers.forgive(source)

    def called(self, host: str) -> None:
        """We send something to a host of our own accord: its answers are welcome, whatever its
        score was."""
        if len(self._called) >= MOST:
            self._called.clear()
        self._called[host] = self._called[source_of(host)] = self._clock.monotonic() + REMEMBERED
        ban = self.bans.by_score(host)
        if ban is not None:
            self.bans.lift(ban.network)

    # The operator.

    def ban(self, network: str, seconds: float | None, why: str) -> Ban | None:
        """Ban a network by command; None where it is trusted, or part of what is. A ban of the same
        network by configuration stays.

        :param seconds: for how long; None for ever.
        :raises ValueError: it is no network.
        """
        if self.trusts(network):
            return None
        present = self.bans.of(network)
        if present is not None and present.by == "configuration":
            return present
        now = self._clock.seconds()
        until = None if seconds is None else now + seconds
        ban = Ban(str(network_of(network)), until, why, "command", at=now)
        self.bans.put(ban)
        self._forget()
        return ban

    def ban_configured(self, networks: Iterable[Network]) -> None:
        """Have exactly these networks banned by configuration; a narrower one that is trusted comes
        in all the same."""
        wanted = {str(network) for network in networks}
        self.bans.lift_all(lambda ban: ban.by == "configuration" and ban.network not in wanted)
        now = self._clock.seconds()
        for network in sorted(wanted):
            present = self.bans.of(network)
            if present is None or present.by != "configuration":
                self.bans.put(Ban(network, None, "configuration", "configuration", at=now))
        self._forget()

    def lift(self, network: str) -> Ban | None:
        """Lift the ban of exactly this network, and wipe its slate; None where there is none.

        :raises ValueError: it is no network.
        """
        source = source_of(str(network_of(network).network_address))
        for strangers in self._strangers.values():
            strangers.forgive(source)
        return self.bans.lift(network)

    def sweep(self) -> None:
        """Forget what is over."""
        self.bans.sweep()
        now = self._clock.monotonic()
        for host in [host for host, until in self._called.items() if until <= now]:
            del self._called[host]
        for source, addresses in list(self._proved.items()):
            for address in [each for each, until in addresses.items() if until <= now]:
                del addresses[address]
            if not addresses:
                del self._proved[source]

    def _set(self, settings: DoorSettings, trusted: Iterable[Network]) -> None:
        self._settings = settings
        self._scanner = settings.scanner()
        self._trusted = Networks()
        for network in trusted:
            self._trusted.put(network, True)
        now = self._clock.monotonic()
        # Whether their source is proven -> those strangers.
        self._strangers = {
            proven: Strangers(settings.burst, settings.strangers_per_second, now)
            for proven in (False, True)
        }

    def trusts(self, network: str) -> bool:
        """Whether whoever is there passes always.

        :param network: or an address.
        """
        return bool(self._trusted.find(str(network_of(network).network_address)))

    def trusted_within(self, network: str) -> Network | None:
        """A trusted network that is a part of this one; None for none.

        :raises ValueError: it is no network.
        """
        return self._trusted.within(network_of(network))

    def _spares(self, ban: Ban) -> bool:
        """Whether a ban is none that may hold, by what is trusted."""
        scored = ban.by == "score" and self.trusted_within(ban.network) is not None
        return scored or self.trusts(ban.network)

    def _has_token(self, host: str, proven: bool) -> bool:
        settings = self._settings
        if not settings.per_second:
            return True
        now = self._clock.monotonic()
        stranger = self._strangers[proven].heard(source_of(host), now)
        if stranger.take(now, settings.per_second, settings.burst):
            return True
        self.counters["dropped: too many from one source"] += 1
        self._score(host, settings.points.flood, "flood", proven)
        return False

    def _count(self, flow: Flow, points: float, why: str) -> None:
        if not self._trusted.find(flow.remote_host):
            self._score(flow.remote_host, points, why, flow.reliable)

    def _challenged_before(self, serial: int) -> bool:
        """Whether a connection has been challenged before this; now it has."""
        if serial in self._challenged:
            return True
        if len(self._challenged) >= CHALLENGED:
            self._challenged.clear()
        self._challenged.add(serial)
        return False

    def _score(self, host: str, points: float, why: str, proven: bool) -> None:
        settings = self._settings
        threshold = settings.ban_score
        if not threshold or not points:
            return
        now = self._clock.monotonic()
        source, strangers = source_of(host), self._strangers[proven]
        if strangers.score(source, now, points, threshold / settings.score_seconds) < threshold:
            return
        strangers.forgive(source)
        known = self._called.get(source, 0.0) > now or self.registered.from_host(host)
        known = known or (":" in source and self.trusted_within(source) is not None)
        if known or (source in self._proved and not proven):
            self.counters["not banned: known"] += 1
            return
        now = self._clock.seconds()
        seconds = settings.ban_seconds if proven else settings.unproven_seconds
        if self.bans.put(Ban(source, now + seconds, why, "score", proven, now)):
            self.counters["bans"] += 1
            if self._proved.pop(source, None) is not None:
                self._forget()

    def _forget(self) -> None:
        for tell in self.changed:
            tell()
