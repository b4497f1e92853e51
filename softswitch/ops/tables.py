"""The tables of the configuration: a class for each, its fields named as the file's keys. Pure."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any, Literal

import attrs

from softswitch.ops.door_tables import ConnectionsTable
from softswitch.ops.fraud_tables import AccountTable
from softswitch.ops.stir_tables import TrunkStirTable
from softswitch.ops.tls_tables import TrunkTlsTable
from softswitch.ops.values import (
    Algorithm,
    Amount,
    CodePoint,
    Count,
    FieldText,
    Host,
    HostPort,
    Network,
    NumberPattern,
    Place,
    PortRange,
    Refusal,
    Seconds,
    Secret,
)
from softswitch.plugin.views import CalledFrom
from softswitch.transport.hosts import is_address
from softswitch.transport.search import DnsSettings
from softswitch.trunk.group import Trunk, escape_user
from softswitch.trunk.health import HealthSettings
from softswitch.trunk.limits import Limits
from softswitch.trunk.selection import Key, Member, Method
from softswitch.trunk.shape import Shape
from softswitch.trunk.upstream import Upstream


@attrs.frozen
class SwitchTable:
    """``[switch]``.

    :ivar domains: names for which we are responsible, besides our own addresses.
    :ivar realm: digest realm; "" for the first domain, or "softswitch". Hashes depend on it.
    :ivar state_directory: where the store and the records are kept.
    :ivar try_seconds: a target that is silent for so long, without even a 100, is passed over.
    :ivar ring_seconds: a target may ring for so long, unless its route says otherwise.
    :ivar stop_on: refusals that speak for the callee wherever he is: nobody else is tried for him.
    :ivar drain_seconds: time that calls have to end by themselves when the switch stops.
    :ivar policy_seconds: time that a policy has to answer.
    :ivar emergency: numbers that go out whatever the limits and the checks of trunks say, as they
        are dialled or as they are sent on.
    :ivar no_trunk_status: what the caller hears where no member of a trunk is up.
    :ivar session_id: whether calls bear a Session-ID (RFC 7989).
    """

    domains: tuple[Host, ...] = ()
    realm: str = ""
    state_directory: str = "var"
    try_seconds: Seconds = 4.0
    ring_seconds: Seconds = 180.0
    stop_on: tuple[Refusal, ...] = tuple(range(600, 700))
    drain_seconds: Seconds = 10.0
    policy_seconds: Seconds = 2.0
    emergency: tuple[str, ...] = ("112", "911")
    no_trunk_status: Literal[500, 480] = 500
    session_id: bool = True


@attrs.frozen
class SubscriptionsTable:
    """``[subscriptions]``: see ``dialog.stateagent.SubscriptionSettings``.

    :ivar per_user: subscriptions that one user may hold to an event of ours, and across us.
    :ivar min_expires: seconds; a shorter wish is refused.
    :ivar max_expires: seconds; a longer wish is cut to it.
    """

    per_user: Count = 100
    min_expires: Count = 60
    max_expires: Count = 3600


@attrs.frozen
class DnsTable:
    """``[dns]``: see ``transport.search.DnsSettings``."""

    naptr: bool = True
    seconds: Seconds = 2.0

    def settings(self) -> DnsSettings:
        """What the resolver goes by."""
        return DnsSettings(self.naptr, self.seconds)


@attrs.frozen
class AuthTable:
    """``[auth]``.

    :ivar algorithms: one challenge each, in this order.
    :ivar nonce_seconds: life of a nonce.
    :ivar remember_seconds: how long what a directory of users has said after a wait is good.
    """

    algorithms: tuple[Algorithm, ...] = ("MD5",)
    nonce_seconds: Seconds = 300.0
    remember_seconds: Seconds = 30.0


@attrs.frozen
class MemberTable:
    """``[[trunks.NAME.members]]``: see ``trunk.selection.Member``.

    :ivar transport: None for the trunk's.
    """

    address: HostPort
    weight: Amount = 1
    priority: Amount = 0
    transport: Literal["udp", "tcp", "tls"] | None = None


@attrs.frozen
class HealthTable:
    """``[trunks.NAME.health]``: see ``trunk.health.HealthSettings``."""

    check_seconds: Seconds = 0.0
    fail_after: Count = 3
    back_after: Count = 2
    dead: tuple[Refusal, ...] = (408, 503)
    hold_seconds: Seconds = 5.0


@attrs.frozen
class TrunkLimitsTable:
    """``[trunks.NAME.limits]``: see ``trunk.limits.Limits``."""

    calls: Count | None = None
    calls_in: Count | None = None
    calls_out: Count | None = None
    per_second: Count | None = None
    per_second_in: Count | None = None
    per_second_out: Count | None = None
    status: Literal[486, 480] = 486


@attrs.frozen
class RegisterTable:
    """``[trunks.NAME.register]``: we register at the trunk; see ``trunk.upstream.Upstream``.

    :ivar registrars: empty for the trunk's outbound proxy or, without one, its members.
    :ivar aor: "" for the trunk's ``username`` at its ``from_domain`` or, without one, at the first
        registrar, a proxy being none.
    """

    registrars: tuple[HostPort, ...] = ()
    aor: str = ""
    which: Literal["first", "all"] = "first"
    contact_user: str = ""
    expires: Count = 3600
    retry_seconds: Seconds = 30.0
    retry_max_seconds: Seconds = 1800.0

    def upstream(self, trunk: "TrunkTable", members: Sequence[HostPort]) -> Upstream:
        """What is meant, with what is left out.

        :param members: the trunk's addresses.
        """
        named = self.registrars or tuple(members)
        proxy = None if self.registrars else trunk.outbound_proxy
        registrars = named if proxy is None else (proxy,)
        host = trunk.from_domain or (named[0].host if named else "")
        shape = trunk.shape
        return Upstream(
            tuple(map(str, registrars)),
            self.aor or f"sip:{escape_user(trunk.username)}@{HostPort(host)}",
            self.which,
            escape_user(self.contact_user),
            self.expires,
            self.retry_seconds,
            self.retry_max_seconds,
            None if proxy is None or shape is None else tuple(shape.route_set),
        )


@attrs.frozen
class TrunkTable:
    """``[trunks.NAME]``: a gateway, carrier or PBX.

    :ivar addresses: its members, the short way: all of the usual weight and priority.
    :ivar members: its members, the long way; they follow on those of ``addresses``.
    :ivar networks: a call from here is the trunk's; None for the addresses that are literals.
    :ivar username: for its challenges; "" for none.
    :ivar realm: the only realm whose challenges are answered; "" for any.
    :ivar headers: fields that each INVITE to it bears, name -> value.
    :ivar force_rport: answer to the source port even when its Via does not ask for it.
    :ivar large_over_tcp: send what is too large for a datagram over TCP (RFC 3261 18.1.1).
    :ivar dialog: cells of ``plugin.profile.Profile`` in which it differs from ``[dialog]``.
    :ivar numbering: of ``plugin.numbering.Numbering``, in which it differs from ``[numbering]``.
    :ivar media: of ``plugin.media.MediaProfile``, in which it differs from ``[media.default]``.
    :ivar select: how the members of equal priority are chosen from.
    :ivar sticky: what makes calls stick to a member where that is the choice.
    :ivar try_seconds: a member that is silent for so long is passed over; None for the switch's.
    :ivar health: how its members are watched.
    :ivar limits: what it may carry.
    :ivar overload_control: whether it is asked how much it can bear (RFC 7339).
    :ivar fraud: what it may do over other trunks, as ``[fraud]`` says of users; but for ``closed``,
        nothing is limited that is not limited here.
    :ivar register: how we register at it; None where we do not.
    :ivar tls: whom we believe where we connect to it over TLS.
    :ivar stir: how the numbers of its calls are verified and signed.

    What others hear of it:

    :ivar topology: whether its addresses and names, where they stand in what crosses the switch,
        are hidden from everybody else; "show" leaves what it says as it is.
    :ivar inside: further names, addresses and networks that are hidden with them.

    How it calls us, see ``trunk.inbound.Inbound``:

    :ivar inbound_username: with which it proves itself; "" where only its address tells.
    :ivar inbound_password: goes with it; or
    :ivar inbound_ha1: algorithm -> hash that ``softswitch user hash`` makes.
    :ivar inbound_certificates: names by which its certificate makes a call its own; its address
        alone does not then.
    :ivar inbound_hosts: of trunks that share a source, calls to these hosts are this one's.
    :ivar inbound_numbers: likewise calls of these numbers.
    :ivar called_from: where the number that it calls is read.
    :ivar registers: whether it registers to us.
    :ivar numbers: that it owns: others its calls do not show; empty for any.
    :ivar default_number: is shown instead of others; "" to refuse such calls.

    How it wants our calls to look, see ``trunk.shape.Shape``:

    :ivar outbound_proxy: where all that begins a dialog goes; None for the member itself.
    :ivar outbound_route: whether a Route names it.
    :ivar request_host: in Request-URI and To; None for the member's.
    :ivar from_user: instead of the caller's number.
    :ivar from_domain: instead of our address.
    :ivar contact_user: user part of our Contact.
    :ivar contact_host: host, and port, of it; None for our address.
    :ivar user_phone: whether URIs with telephone numbers say so.
    :ivar user_agent: User-Agent; "" for our own.
    """

    addresses: tuple[HostPort, ...] = ()
    transport: Literal["udp", "tcp", "tls"] = "udp"
    networks: tuple[Network, ...] | None = None
    username: str = ""
    password: Secret | None = attrs.field(default=None, repr=False)
    realm: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    force_rport: bool = False
    large_over_tcp: bool = True
    dialog: Mapping[str, Any] = attrs.field(factory=dict)
    numbering: Mapping[str, Any] = attrs.field(factory=dict)
    media: Mapping[str, Any] = attrs.field(factory=dict)
    members: tuple[MemberTable, ...] = ()
    select: Method = "priority"
    sticky: Key = "caller"
    try_seconds: Seconds | None = None
    health: HealthTable = attrs.field(factory=HealthTable)
    limits: TrunkLimitsTable = attrs.field(factory=TrunkLimitsTable)
    overload_control: bool = False
    fraud: AccountTable = attrs.field(factory=AccountTable)
    register: RegisterTable | None = None
    tls: TrunkTlsTable = attrs.field(factory=TrunkTlsTable)
    stir: TrunkStirTable = attrs.field(factory=TrunkStirTable)

    topology: Literal["hide", "show"] = "hide"
    inside: tuple[Place, ...] = ()

    inbound_username: str = ""
    inbound_password: Secret | None = attrs.field(default=None, repr=False)
    inbound_ha1: Mapping[Algorithm, Secret] = attrs.field(factory=dict, repr=False)
    inbound_certificates: tuple[Host, ...] = ()
    inbound_hosts: tuple[Host, ...] = ()
    inbound_numbers: tuple[NumberPattern, ...] = ()
    called_from: CalledFrom = "request-uri"
    registers: bool = False
    numbers: tuple[NumberPattern, ...] = ()
    default_number: str = ""

    outbound_proxy: HostPort | None = None
    outbound_route: bool = True
    request_host: HostPort | None = None
    from_user: str = ""
    from_domain: Host | None = None
    contact_user: str = ""
    contact_host: HostPort | None = None
    user_phone: bool = False
    user_agent: FieldText = ""

    def group(self, name: str) -> Trunk:
        """The trunk of that name."""
        short = [Member(str(address)) for address in self.addresses]
        long = [
            Member(str(each.address), each.weight, each.priority, each.transport or "")
            for each in self.members
        ]
        health, register = self.health, self.register
        places = [*self.addresses, *(each.address for each in self.members)]
        return Trunk(
            name=name,
            members=(*short, *long),
            transport=self.transport,
            networks=self.networks,
            username=self.username,
            password=self.password or "",
            realm=self.realm,
            headers=self.headers,
            force_rport=self.force_rport,
            large_over_tcp=self.large_over_tcp,
            select=self.select,
            sticky=self.sticky,
            try_seconds=self.try_seconds,
            health=HealthSettings(
                health.check_seconds,
                health.fail_after,
                health.back_after,
                frozenset(health.dead),
                health.hold_seconds,
            ),
            limits=Limits(**attrs.asdict(self.limits)),
            overload_control=self.overload_control,
            upstream=None if register is None else register.upstream(self, places),
            shape=self.shape,
            stir=self.stir.meant,
            hides=self.topology == "hide",
            inside=tuple(place for place in self.inside if "/" not in place),
            inside_networks=tuple(ip_network(place) for place in self.inside if "/" in place),
        )

    @property
    def shape(self) -> Shape | None:
        """How it wants our calls to look; None for as they are."""
        transport = "" if self.transport == "udp" else f";transport={self.transport}"
        proxy = f"sip:{self.outbound_proxy}{transport}" if self.outbound_proxy else ""
        shape = Shape(
            outbound_proxy=proxy,
            outbound_route=self.outbound_route or not proxy,
            request_host=str(self.request_host or ""),
            from_user=escape_user(self.from_user),
            from_domain=self.from_domain or "",
            contact_user=escape_user(self.contact_user),
            contact_host=str(self.contact_host or ""),
            user_phone=self.user_phone,
            user_agent=self.user_agent,
        )
        return None if shape == Shape() else shape


@attrs.frozen
class RtpengineTable:
    """``[[media.rtpengine]]``: one of them.

    :ivar address: where it listens for NG: its ``listen-ng``.
    :ivar weight: how many calls it takes, in proportion to the others; 0 for no new ones.
    """

    address: HostPort
    weight: Amount = 1

    @property
    def has_literal(self) -> bool:
        """Whether its address is no name."""
        return is_address(self.address.host)


@attrs.frozen
class MediaTable:
    """``[media]``.

    :ivar engine: "relay" carries the audio, "rtpengine" has others do so, "bypass" lets the phones
        send it to each other.
    :ivar ports: of the relay, for RTP and RTCP.
    :ivar quarantine_seconds: how long a port rests after a call.
    :ivar processes: of the relay; 0 for none of its own, so that it runs within the switch.
    :ivar grace_seconds: for which they go on when the switch is gone without a word.
    :ivar timeout_seconds: for which a side may send nothing until its call ends; 0 for ever.
    :ivar held_timeout_seconds: the same of a call on hold, or without audio.
    :ivar dscp: mark of the relay's packets.
    :ivar recordings: folder of recorded calls, seen from the state directory; "" for none.
    :ivar rtpengine: the instances of it.
    :ivar wait_seconds: within which one of them has answered, or a new call gets 503.
    :ivar check_seconds: between two checks of one that is there.
    :ivar default: cells of ``plugin.media.MediaProfile``: what everybody wants who wants nothing
        else.
    """

    engine: Literal["relay", "rtpengine", "bypass"] = "relay"
    ports: PortRange = attrs.field(default=PortRange(16384, 32767))
    quarantine_seconds: Seconds = 5.0
    processes: int = 1
    grace_seconds: Seconds = 60.0
    timeout_seconds: Seconds = 300.0
    held_timeout_seconds: Seconds = 3600.0
    dscp: CodePoint = 46
    recordings: str = ""
    rtpengine: tuple[RtpengineTable, ...] = ()
    wait_seconds: Seconds = 1.5
    check_seconds: Seconds = 5.0
    default: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class StoreTable:
    """``[store]``: SQLite files, seen from the state directory.

    :ivar path: of the registrations.
    :ivar users: of the users that ``softswitch user`` makes; "" for the same file.
    """

    path: str = "softswitch.sqlite"
    users: str = ""


@attrs.frozen
class ForksTable:
    """``[limits.forks]``: see ``sip.forks.ForkLimits``."""

    at_once: Count = 16
    in_all: Count = 64


@attrs.frozen
class LimitsTable:
    """``[limits]``: what is refused unread; bytes of a message, header fields, connections; and to
    how many places a call may go."""

    max_message_udp: Count = 16 * 1024
    max_message_stream: Count = 64 * 1024
    max_fields: Count = 128
    connections: ConnectionsTable = attrs.field(factory=ConnectionsTable)
    forks: ForksTable = attrs.field(factory=ForksTable)
