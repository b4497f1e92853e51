"""The configuration: a TOML file as frozen values, checked before anything starts. Pure.

A class per table, its fields named as the file's keys; ``softswitch.toml`` beside this module
is the commented copy that serves when no file is named. What the lower floors take, listeners
and users and trunks, is made from it by the methods of ``Config``.
"""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import attrs

from softswitch.errors import ConfigError
from softswitch.ops.values import (
    HOOKS,
    Address,
    Algorithm,
    Count,
    Host,
    HostPort,
    Network,
    Port,
    PortRange,
    Seconds,
    Secret,
)
from softswitch.plugin.decisions import Route
from softswitch.plugin.views import User
from softswitch.policy.checks import fault
from softswitch.settings import NOT_IN_FILE, key_path, nearest, structure
from softswitch.sip.digest import ha1
from softswitch.sip.parser import Limits
from softswitch.transport.listener import Listener
from softswitch.trunk.group import Trunk

#: Passwords that everybody knows, since the default configuration shows them.
DEMONSTRATION = frozenset({"alice-demo", "bob-demo"})

#: What cannot stand in a user's name: it delimits URIs, credentials and hashes.
UNFIT_IN_A_NAME = frozenset('@:;<>"/ \t\\')

#: Hex digits of a hash.
_DIGEST_LENGTH = {"MD5": 32, "SHA-256": 64, "SHA-512-256": 64}


@attrs.frozen
class SwitchTable:
    """``[switch]``.

    :ivar domains: names for which we are responsible, besides our own addresses.
    :ivar realm: digest realm; "" for the first domain, or "softswitch". Hashes depend on it.
    :ivar state_directory: where the store and the records are kept.
    :ivar try_seconds: a target that is silent for so long, without even a 100, is passed over.
    :ivar ring_seconds: a target may ring for so long, unless its route says otherwise.
    :ivar drain_seconds: time that calls have to end by themselves when the switch stops.
    :ivar policy_seconds: time that a policy has to answer.
    """

    domains: tuple[Host, ...] = ()
    realm: str = ""
    state_directory: str = "var"
    try_seconds: Seconds = 4.0
    ring_seconds: Seconds = 180.0
    drain_seconds: Seconds = 10.0
    policy_seconds: Seconds = 2.0


@attrs.frozen
class ListenTable:
    """``[[listen]]``: one address and port that we serve; see ``transport.listener.Listener``.

    :ivar name: for the log; "" for one made of transport, address and port.
    :ivar algorithms: of our challenges; empty for those of ``[auth]``.
    """

    transport: Literal["udp", "tcp"]
    bind: Address = "0.0.0.0"
    port: Port = 5060
    name: str = ""
    advertise: HostPort | None = None
    media_address: Address | None = None
    local_networks: tuple[Network, ...] = ()
    algorithms: tuple[Algorithm, ...] = ()

    @property
    def called(self) -> str:
        """The name, or what stands for it."""
        return self.name or f"{self.transport}:{HostPort(self.bind, self.port)}"


@attrs.frozen
class AuthTable:
    """``[auth]``.

    :ivar algorithms: one challenge each, in this order.
    :ivar nonce_seconds: life of a nonce.
    """

    algorithms: tuple[Algorithm, ...] = ("MD5",)
    nonce_seconds: Seconds = 300.0


@attrs.frozen
class GroupTable:
    """``[groups.NAME]``: what the users of a group have in common.

    :ivar algorithms: of the challenges that they get, instead of the listener's.
    """

    algorithms: tuple[Algorithm, ...]


@attrs.frozen
class UserTable:
    """``[users.NAME]``: somebody who may register and call.

    :ivar ha1: algorithm -> hash that ``softswitch user hash`` makes.
    :ivar password: instead of hashes; a warning follows.
    """

    ha1: Mapping[Algorithm, Secret] = attrs.field(factory=dict, repr=False)
    password: Secret | None = attrs.field(default=None, repr=False)
    display: str = ""
    group: str = ""


@attrs.frozen
class TrunkTable:
    """``[trunks.NAME]``: a gateway, carrier or PBX.

    :ivar addresses: tried in this order.
    :ivar networks: a call from here is the trunk's; empty for the addresses that are literals.
    :ivar username: for its challenges; "" for none.
    :ivar realm: the only realm whose challenges are answered; "" for any.
    :ivar headers: fields that each INVITE to it bears, name -> value.
    :ivar force_rport: answer to the source port even when its Via does not ask for it.
    """

    addresses: tuple[HostPort, ...]
    transport: Literal["udp", "tcp"] = "udp"
    networks: tuple[Network, ...] = ()
    username: str = ""
    password: Secret | None = attrs.field(default=None, repr=False)
    realm: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    force_rport: bool = False


@attrs.frozen
class MediaTable:
    """``[media]``.

    :ivar engine: "relay" carries the audio, "bypass" lets the phones send it to each other.
    :ivar ports: of the relay, for RTP and RTCP.
    :ivar quarantine_seconds: how long a port rests after a call.
    """

    engine: Literal["relay", "bypass"] = "relay"
    ports: PortRange = attrs.field(default=PortRange(16384, 32767))
    quarantine_seconds: Seconds = 5.0


@attrs.frozen
class StoreTable:
    """``[store]``: the SQLite file, seen from the state directory."""

    path: str = "softswitch.sqlite"


@attrs.frozen
class RecordsTable:
    """``[records]``: the file of call records, JSON lines, seen from the state directory."""

    path: str = "calls.jsonl"


@attrs.frozen
class LimitsTable:
    """``[limits]``: what is refused unread; bytes of a message, header fields."""

    max_message_udp: Count = 16 * 1024
    max_message_stream: Count = 64 * 1024
    max_fields: Count = 128


@attrs.frozen
class Config:
    """A whole configuration.

    :ivar policy: each a policy's name under "use" and its options, in the order of asking.
    :ivar file: where it was read, for errors.
    :ivar directory: relative paths in it start here.
    """

    switch: SwitchTable = SwitchTable()
    listen: tuple[ListenTable, ...] = ()
    auth: AuthTable = AuthTable()
    groups: Mapping[str, GroupTable] = attrs.field(factory=dict)
    users: Mapping[str, UserTable] = attrs.field(factory=dict)
    trunks: Mapping[str, TrunkTable] = attrs.field(factory=dict)
    policy: tuple[Mapping[str, Any], ...] = ()
    media: MediaTable = MediaTable()
    store: StoreTable = StoreTable()
    records: RecordsTable = RecordsTable()
    limits: LimitsTable = LimitsTable()
    file: str = attrs.field(default="", metadata=NOT_IN_FILE)
    directory: Path = attrs.field(default=Path(), metadata=NOT_IN_FILE)

    @property
    def realm(self) -> str:
        """The digest realm."""
        return self.switch.realm or next(iter(self.switch.domains), "softswitch")

    @property
    def state_directory(self) -> Path:
        """Where the store and the records are kept."""
        return self.directory / self.switch.state_directory

    def listeners(self) -> tuple[Listener, ...]:
        """What the transport serves."""
        return tuple(
            Listener(
                name=table.called,
                transport=table.transport.upper(),
                bind_host=table.bind,
                port=table.port,
                advertise_host=table.advertise.host if table.advertise else None,
                advertise_port=table.advertise.port if table.advertise else None,
                media_host=table.media_address,
                local_networks=table.local_networks,
                algorithms=table.algorithms or self.auth.algorithms,
            )
            for table in self.listen
        )

    def directory_of_users(self) -> dict[str, User]:
        """The users by name; a password becomes a hash for each algorithm that is offered."""
        return {name: self._user(name, table) for name, table in self.users.items()}

    def trunk_groups(self) -> tuple[Trunk, ...]:
        """The trunks, in the order of the file."""
        return tuple(
            Trunk(
                name=name,
                addresses=tuple(map(str, table.addresses)),
                transport=table.transport,
                networks=table.networks,
                username=table.username,
                password=table.password or "",
                realm=table.realm,
                headers=table.headers,
                force_rport=table.force_rport,
            )
            for name, table in self.trunks.items()
        )

    def datagram_limits(self) -> Limits:
        """What is too large on UDP."""
        return Limits(self.limits.max_message_udp, self.limits.max_fields)

    def stream_limits(self) -> Limits:
        """What is too large on TCP."""
        return Limits(self.limits.max_message_stream, self.limits.max_fields)

    def warnings(self) -> list[str]:
        """What is allowed but unwise, a sentence each."""
        return [
            f"{key_path('users', name)} has a password in the clear; "
            f"`softswitch user hash {name}` makes a hash of it"
            for name, table in self.users.items()
            if table.password is not None
        ]

    def offered(self, group: str) -> tuple[str, ...]:
        """Algorithms with which a user of the group may be challenged, by any listener."""
        if group in self.groups:
            return self.groups[group].algorithms
        found = (table.algorithms or self.auth.algorithms for table in self.listen)
        return tuple(dict.fromkeys(algorithm for each in found for algorithm in each))

    def _user(self, name: str, table: UserTable) -> User:
        hashes: dict[str, str] = {
            algorithm: digest.lower() for algorithm, digest in table.ha1.items()
        }
        if table.password is not None:
            for algorithm in self.offered(table.group):
                hashes[algorithm] = ha1(name, self.realm, table.password, algorithm)
        return User(name, hashes, table.display, table.group)


def load(path: Path | None = None, directory: Path = Path()) -> Config:
    """Read and check a configuration.

    :param path: the file; None for the defaults inside the package.
    :param directory: where relative paths in it start.
    :raises ConfigError: with file, key and what would be right.
    """
    if path is None:
        with as_file(files("softswitch.ops") / "softswitch.toml") as default:
            return load(default, directory)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "UTF-8 text is wanted") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is no TOML: {error}") from None
    config = attrs.evolve(
        structure(document, Config, file=str(path), hooks=HOOKS),
        file=str(path),
        directory=directory.absolute(),
    )
    for key, mend in _contradictions(config):
        raise ConfigError(f"{path}: {key}", mend)
    return config


def _contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: key path and what would be right."""
    if not config.listen:
        yield "listen", "at least one [[listen]] table is wanted"
    yield from _twice(
        (f"listen[{index}].name", table.called) for index, table in enumerate(config.listen)
    )
    yield from _twice(
        (f"listen[{index}].port", f"{table.transport} {HostPort(table.bind, table.port)}")
        for index, table in enumerate(config.listen)
    )
    if not config.auth.algorithms:
        yield "auth.algorithms", 'at least one is wanted, such as "MD5"'
    for name, group in config.groups.items():
        if not group.algorithms:
            yield f"{key_path('groups', name)}.algorithms", 'at least one is wanted, such as "MD5"'
    for name, user in config.users.items():
        yield from _user_contradictions(config, key_path("users", name), name, user)
    for trunk in config.trunk_groups():
        key = key_path("trunks", trunk.name)
        if not trunk.addresses:
            yield f"{key}.addresses", "at least one address is wanted"
        if bool(trunk.username) != bool(trunk.password):
            yield key, "username and password go together"
        if wrong := fault(Route(trunk.targets("1"))):
            yield key, wrong
    for index, policy in enumerate(config.policy):
        if not isinstance(policy.get("use"), str):
            yield f"policy[{index}].use", "the name of a policy, in quotes, is wanted"


def _user_contradictions(
    config: Config, key: str, name: str, user: UserTable
) -> Iterator[tuple[str, str]]:
    if not name or UNFIT_IN_A_NAME & set(name):
        yield key, "a user's name is the part of an address before the @, without : ; or spaces"
    if bool(user.ha1) == (user.password is not None):
        yield key, "either ha1 or password is wanted"
    if user.group and user.group not in config.groups:
        yield f"{key}.group", f"no such group; {nearest(user.group, list(config.groups))}"
    for algorithm, digest in user.ha1.items():
        length = _DIGEST_LENGTH[algorithm]
        if len(digest) != length or set(digest.lower()) - set("0123456789abcdef"):
            yield f"{key}.ha1.{algorithm}", f"{length} hex digits are wanted"
    for wanted in config.offered(user.group) if user.ha1 else ():
        if wanted not in user.ha1:
            yield f"{key}.ha1", f"a hash for {wanted} is wanted, since we offer it"
    if user.password in DEMONSTRATION and not all(
        ip_address(table.bind).is_loopback for table in config.listen
    ):
        yield f"{key}.password", "everybody knows this one: choose another, or listen on 127.0.0.1"


def _twice(keys: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for key, value in keys:
        if value in first:
            yield key, f"{value} is taken by {first[value]}"
        first.setdefault(value, key)
