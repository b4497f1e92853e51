"""Trunks: named groups of gateways, found by name or by the source of a request. Pure.

What a trunk is stands in the configuration; how its members are, and what it carries, is kept by
its ``Members``, which calls tell of what they meet.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import attrs

from softswitch.plugin.decisions import Target
from softswitch.plugin.numbering import PLAIN, Numbering
from softswitch.plugin.views import CalledFrom, RequestView, User
from softswitch.sip.digest import ha1
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import canonical_host, is_address
from softswitch.transport.listener import Network
from softswitch.trunk.health import HealthSettings
from softswitch.trunk.inbound import Inbound
from softswitch.trunk.limits import Limits
from softswitch.trunk.members import Members, Surroundings
from softswitch.trunk.selection import Key, Member, Method, as_members
from softswitch.trunk.shape import Shape
from softswitch.trunk.stir import Signs, TrunkStir
from softswitch.trunk.upstream import Accepted, Upstream

if TYPE_CHECKING:
    from softswitch.trunk.registered import RegisteredPbx

#: What a user part may hold as it is, besides letters, digits and ``_.-~`` (RFC 3261 25.1).
_USER_UNRESERVED = "!*'()&=+$,;?/"

#: Parameters of a number that make it no other one: who calls, and what was looked up of it.
_OF_THE_CALLER = frozenset(("cpc", "oli", "isub", "npdi", "enumdi"))
_SEPARATORS = str.maketrans("", "", "-.() ")


@attrs.frozen
class Trunk:
    """A carrier, a PBX, a gateway: one or several members that are used as one.

    :ivar name: name in the configuration.
    :ivar members: its gateways; an address stands for a member of the usual weight and priority.
    :ivar transport: "udp", "tcp" or "tls", of members that have none of their own.
    :ivar networks: a request from here is the trunk's; None for the members' addresses that are
        literals.
    :ivar username: for the trunk's challenges; "" for none.
    :ivar password: goes with it.
    :ivar realm: the only realm whose challenges are answered; "" for any.
    :ivar headers: fields that each INVITE to it bears, name -> value.
    :ivar force_rport: see ``plugin.views.Identity``.
    :ivar select: how the members of equal priority are chosen from.
    :ivar sticky: what makes calls stick to a member where that is the choice.
    :ivar large_over_tcp: whether a request that is too large for a datagram goes to it over TCP
        (RFC 3261 18.1.1).
    :ivar try_seconds: a member that is silent for so long, without even a 100, is passed over; None
        for the switch's own.
    :ivar health: how its members are watched.
    :ivar limits: what it may carry.
    :ivar overload_control: whether it is asked how much it can bear, and what it says is done
        (RFC 7339).
    :ivar inbound: how it calls us.
    :ivar pbx: where it is reached when it registers to us, instead of members; None before it is
        known who keeps that, and for others.
    :ivar upstream: how we register at it; None where we do not.
    :ivar registered: asked for each call where we are registered at it now.
    :ivar tokens: in our Contacts there.
    :ivar shape: how it wants our calls to look; None for as they are.
    :ivar numbering: how it writes numbers.
    :ivar home: how those write them who have numbers dialled over it.
    :ivar hides: whether its addresses and names are hidden from all others.
    :ivar inside: further names and addresses that are hidden with them.
    :ivar inside_networks: likewise networks.
    :ivar stir: how the numbers of its calls are verified and signed.
    :ivar verifies: whether calls from it are verified at all.
    :ivar signer: signs calls to it; None where they are not signed.
    :ivar state: how its members are, and what it carries.
    """

    name: str
    members: tuple[Member, ...] = attrs.field(converter=as_members)
    transport: str = "udp"
    networks: tuple[Network, ...] | None = None
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    realm: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    force_rport: bool = False
    large_over_tcp: bool = True
    select: Method = "priority"
    sticky: Key = "caller"
    try_seconds: float | None = None
    health: HealthSettings = attrs.field(factory=HealthSettings)
    limits: Limits = attrs.field(factory=Limits)
    overload_control: bool = False
    inbound: Inbound = attrs.field(factory=Inbound)
    pbx: "RegisteredPbx | None" = attrs.field(default=None, eq=False)
    upstream: Upstream | None = None
    registered: Callable[[], Sequence[Accepted]] = attrs.field(default=tuple, eq=False, repr=False)
    tokens: frozenset[str] = attrs.field(default=frozenset(), eq=False, repr=False)
    shape: Shape | None = None
    numbering: Numbering = PLAIN
    home: Numbering = PLAIN
    hides: bool = True
    inside: tuple[str, ...] = ()
    inside_networks: tuple[Network, ...] = ()
    stir: TrunkStir = attrs.field(factory=TrunkStir)
    signer: Signs | None = attrs.field(default=None, eq=False, repr=False)
    verifies: bool = attrs.field(init=False, eq=False, repr=False)
    state: Members = attrs.field(init=False, eq=False, repr=False)

    @verifies.default
    def _verifies(self) -> bool:
        return self.stir.verify != "off"

    @state.default
    def _new_state(self) -> Members:
        return Members(self.members, self.transport, self.select, self.sticky, self.health)

    @property
    def registered_as(self) -> str:
        """The user name under which it registers to us; "" where it does not."""
        return self.inbound.username if self.inbound.registers else ""

    def reads(self, request: RequestView) -> CalledFrom:
        """Where a request from it says which number it calls: in To, where the token of our Contact
        stands in the number's place."""
        called_from = self.inbound.called_from
        if self.tokens and called_from == "request-uri" and request.uri.user in self.tokens:
            return "to"
        return called_from

    def shown(self, request: RequestView) -> str | None:
        """See ``Inbound.shown``."""
        return self.inbound.shown(request)

    def requires_identity(self, request: RequestView) -> bool:
        """Whether a call from it is refused whose number does not pass; no emergency call is."""
        if self.stir.verify != "require":
            return False
        dialled = request.called(self.reads(request)).unquoted_user
        return not is_emergency(self.state.around.emergency, dialled)

    def uri(self, member: Member, number: str) -> str:
        """A SIP URI by which a member is asked for a number.

        :param number: the user part without escapes.
        """
        return f"sip:{escape_user(number)}@{self.place(member).removeprefix('sip:')}"

    def place(self, member: Member) -> str:
        """The SIP URI of a member itself."""
        transport = member.transport or self.transport
        params = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{member.address}{params}"

    def targets(self, number: str, invite: RequestView | None = None) -> list[Target]:
        """What a router answers to have a number dialled over this trunk: a target per member that
        is up, in the order of trying; none where none is up. An emergency call is tried at every
        member, whatever is known of them. A PBX that registers is called where it has; where we are
        registered, that comes first.

        :param number: as it was dialled, or in E.164; it is written as the trunk writes numbers.
        :param invite: of which call; by its caller or Call-ID it may stick to a member.
        """
        written = self.numbering.dialled(number, self.home)
        if self.pbx is not None:
            return [
                Target(
                    uri,
                    q=binding.q,
                    trunk=self.name,
                    headers=self.headers,
                    flow=binding.flow,
                    call_to=called,
                )
                for binding, uri, called in self.pbx.places(escape_user(written))
            ]
        dialled = "" if invite is None else invite.uri.unquoted_user
        every = is_emergency(self.state.around.emergency, number, dialled)
        targets = [
            Target(
                self.uri(member, written),
                trunk=self.name,
                headers=self.headers,
                member=member.address,
            )
            for member in self.state.order(number, invite, every)
        ]
        accepted = self.registered()
        return self._preferring(accepted, targets, written) if accepted else targets

    def _preferring(
        self, accepted: Sequence[Accepted], targets: list[Target], number: str
    ) -> list[Target]:
        """The registrars that have accepted us first, on the flows on which they did so; but for
        those that are members and out. Through an outbound proxy, all on its flow."""
        assert self.upstream is not None
        if self.upstream.route is not None:
            flow, route = accepted[0].flow, accepted[0].route or self.upstream.route
            return [attrs.evolve(target, flow=flow, route=route) for target in targets]
        by_member = {target.member: target for target in targets}
        found = []
        for place in accepted:
            target = by_member.pop(place.registrar, None)
            if target is None and place.registrar in self.state.states:
                continue
            if target is None:
                uri = self.uri(Member(place.registrar), number)
                target = Target(uri, trunk=self.name, headers=self.headers)
            found.append(attrs.evolve(target, flow=place.flow, route=place.route))
        return [*found, *by_member.values()]

    def ha1(self, realm: str, algorithm: str) -> str | None:
        """What answers a challenge of the trunk (RFC 7616 3.4.2); None: it is not answered."""
        if not self.username or self.realm not in ("", realm):
            return None
        return ha1(self.username, realm, self.password, algorithm)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The names and address literals that the configuration gives it and its proxy."""
        registrars = () if self.upstream is None else self.upstream.registrars
        addresses = (*(member.address for member in self.members), *registrars)
        uris = [Uri.parse(f"sip:{address}") for address in addresses]
        if self.shape is not None and self.shape.outbound_proxy:
            uris.append(Uri.parse(self.shape.outbound_proxy))
        return frozenset(canonical_host(uri.host) for uri in uris)

    def sources(self) -> tuple[Network, ...]:
        """The networks where it is. Requests from there are its own, unless it is known by its
        certificate."""
        if self.networks is not None:
            return self.networks
        hosts = [Uri.parse(f"sip:{member.address}").host for member in self.members]
        return tuple(ip_network(host) for host in hosts if is_address(host))


class Trunks:
    """All trunks.

    Of an address, the narrowest network that holds it counts; ``whose`` chooses where several
    trunks have it.

    A source is looked up once per length of prefix in use, whatever the number of networks.

    :ivar find: the trunk of a name; None for none. Every call asks several times, so it is the
        dictionary's own.
    :param now: the clock, seconds.
    :param emergency: numbers that go out whatever limits and checks say.
    :param random: for choices by chance.
    """

    def __init__(
        self,
        trunks: Iterable[Trunk],
        now: Callable[[], float] = lambda: 0.0,
        emergency: Iterable[str] = (),
        random: Random | None = None,
    ) -> None:
        around = Surroundings(now, random or Random(), frozenset(emergency))
        self._around = around
        self._by_name: dict[str | None, Trunk] = {}
        self.find: Callable[[str | None], Trunk | None] = self._by_name.get
        self._by_username: dict[str, Trunk] = {}
        #: Name in a certificate -> the trunks that are known by it.
        self._by_certificate: dict[str, list[Trunk]] = {}
        by_prefix: dict[tuple[int, int], dict[int, list[Trunk]]] = {}
        for trunk in trunks:
            self._by_name[trunk.name] = trunk
            trunk.state.around = around
            if trunk.inbound.username:
                self._by_username[trunk.inbound.username] = trunk
            for name in trunk.inbound.certificates:
                self._by_certificate.setdefault(name, []).append(trunk)
            for network in () if trunk.inbound.certificates else trunk.sources():
                prefixes = by_prefix.setdefault((network.version, network.prefixlen), {})
                shift = network.max_prefixlen - network.prefixlen
                prefixes.setdefault(int(network.network_address) >> shift, []).append(trunk)
        #: IP version -> (bits to cut off, what remains -> trunks), the longest prefix first.
        self._by_source: dict[int, list[tuple[int, dict[int, list[Trunk]]]]]
        self._by_source = {0: [], 4: [], 6: []}
        for (version, length), prefixes in sorted(by_prefix.items(), reverse=True):
            bits = 32 if version == 4 else 128
            self._by_source[version].append((bits - length, prefixes))

    def of_username(self, username: str) -> Trunk | None:
        """The trunk that proves itself under that name."""
        return self._by_username.get(username)

    def accounts(self) -> dict[str, User]:
        """What the trunks prove themselves by: user name -> name and hashes."""
        return {name: User(name, trunk.inbound.ha1) for name, trunk in self._by_username.items()}

    def at(self, host: str) -> Trunk | None:
        """The trunk to whose networks an address belongs, that of the longest prefix; the first of
        several.

        :param host: an address literal without brackets.
        """
        found = self.sharing(host)
        return found[0] if found else None

    def sharing(self, host: str) -> Sequence[Trunk]:
        """All trunks that have the longest prefix of an address, in their order.

        :param host: an address literal without brackets.
        """
        version, number = _address(host)
        for shift, prefixes in self._by_source[version]:
            found = prefixes.get(number >> shift)
            if found is not None:
                return found
        return ()

    def certified(self, names: Iterable[str], host: str) -> Sequence[Trunk]:
        """All trunks that are known by a name in a certificate, in their order; but for those that
        may call from other networks alone.

        :param names: as ``identities.names`` gives them.
        :param host: from which it was shown, an address literal without brackets.
        """
        if not self._by_certificate:
            return ()
        found = [trunk for name in names for trunk in self._by_certificate.get(name, ())]
        fitting = [each for each in found if each.networks is None or _within(host, each.networks)]
        return [trunk for trunk in self if trunk in fitting] if len(fitting) > 1 else fitting

    def __iter__(self) -> Iterator[Trunk]:
        return iter(self._by_name.values())


def is_emergency(numbers: frozenset[str], *dialled: str | None) -> bool:
    """Whether any of these is an emergency number, by whatever escapes and visual separators.

    With a ``phone-context``, or a number that calls are to be routed by (RFC 3966 5.1.5, RFC 4694),
    carriers read another number: it is none with any parameter but those that say who calls.

    :param dialled: user parts.
    """
    users = [each for each in dialled if each is not None]
    return any(each in numbers or _bare(each) in numbers for each in users)


def _bare(user: str) -> str:
    """The number alone; as it is, where parameters make it another one."""
    number, *params = unquote(user).split(";")
    if all(each.partition("=")[0].lower() in _OF_THE_CALLER for each in params):
        return number.translate(_SEPARATORS)
    return user


def escape_user(text: str) -> str:
    """Any text as the user part of a SIP URI."""
    if text.isascii() and text.isalnum():
        return text
    return quote(text, _USER_UNRESERVED, errors="surrogateescape")


def _within(host: str, networks: Iterable[Network]) -> bool:
    version, number = _address(host)
    return any(
        network.version == version
        and number >> (network.max_prefixlen - network.prefixlen)
        == int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
        for network in networks
    )


@lru_cache(maxsize=8192)
def _address(host: str) -> tuple[int, int]:
    """IP version and number, version 0 for what is no address; an IPv4 address that came on an
    IPv6 socket is IPv4."""
    try:
        address = ip_address(host)
    except ValueError:
        return 0, 0
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)
