"""The configuration: a TOML file as frozen values, checked before anything starts. Pure.

The tables stand in ``tables``; ``softswitch.toml`` beside this module is the commented copy that
serves when no file is named. What the lower floors take, listeners and users and trunks and
profiles, is made from it by the methods of ``Config``.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources import as_file, files
from ipaddress import ip_address
from pathlib import Path
from time import time
from typing import Any

import attrs

from softswitch.errors import ConfigError
from softswitch.ops import (
    accounts,
    api_tables,
    door_tables,
    encryption,
    flight_tables,
    fraud_tables,
    record_tables,
    registration_tables,
    stir_tables,
    upstream,
)
from softswitch.ops.accounts import DEMONSTRATION, in_the_clear
from softswitch.ops.api_tables import ApiTable
from softswitch.ops.door_tables import DoorTable, OverloadTable
from softswitch.ops.flight_tables import FlightTable, HepTable
from softswitch.ops.fraud_tables import FraudTable
from softswitch.ops.inbound import contradictions, inbound
from softswitch.ops.listen_tables import ListenTable, WebSocketTable
from softswitch.ops.media_profiles import media_faults, wanted
from softswitch.ops.operator_tables import LogTable, MetricsTable
from softswitch.ops.record_tables import RecordsTable
from softswitch.ops.registration_tables import RegistrationTable
from softswitch.ops.stir_tables import StirTable
from softswitch.ops.tables import (
    AuthTable,
    DnsTable,
    LimitsTable,
    MediaTable,
    StoreTable,
    SubscriptionsTable,
    SwitchTable,
    TrunkTable,
)
from softswitch.ops.user_tables import GroupTable, RingGroupTable, UserTable
from softswitch.ops.values import HOOKS, HostPort
from softswitch.plugin.decisions import Route
from softswitch.plugin.media import MediaProfile
from softswitch.plugin.numbering import PLAIN, Numbering
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import RingGroup, User
from softswitch.policy.checks import fault
from softswitch.settings import NOT_IN_FILE, key_path, nearest, structure
from softswitch.sip.parser import Limits
from softswitch.transport.handshake import WebSocketSettings
from softswitch.transport.listener import Listener
from softswitch.trunk.group import Trunk


@attrs.frozen
class Config:
    """A whole configuration.

    :ivar dialog: how everybody is treated within a call who has no other profile.
    :ivar numbering: how everybody writes numbers who has no other way.
    :ivar policy: each a policy's name under "use" and its options, in the order of asking.
    :ivar file: where it was read, for errors.
    :ivar directory: relative paths in it start here.
    """

    switch: SwitchTable = attrs.field(factory=SwitchTable)
    listen: tuple[ListenTable, ...] = ()
    auth: AuthTable = attrs.field(factory=AuthTable)
    dns: DnsTable = attrs.field(factory=DnsTable)
    dialog: Profile = attrs.field(factory=Profile)
    numbering: Numbering = PLAIN
    groups: Mapping[str, GroupTable] = attrs.field(factory=dict)
    users: Mapping[str, UserTable] = attrs.field(factory=dict)
    ring_groups: Mapping[str, RingGroupTable] = attrs.field(factory=dict)
    trunks: Mapping[str, TrunkTable] = attrs.field(factory=dict)
    policy: tuple[Mapping[str, Any], ...] = ()
    media: MediaTable = attrs.field(factory=MediaTable)
    store: StoreTable = attrs.field(factory=StoreTable)
    records: RecordsTable = attrs.field(factory=RecordsTable)
    limits: LimitsTable = attrs.field(factory=LimitsTable)
    fraud: FraudTable = attrs.field(factory=FraudTable)
    registration: RegistrationTable = attrs.field(factory=RegistrationTable)
    subscriptions: SubscriptionsTable = attrs.field(factory=SubscriptionsTable)
    stir: StirTable = attrs.field(factory=StirTable)
    door: DoorTable = attrs.field(factory=DoorTable)
    overload: OverloadTable = attrs.field(factory=OverloadTable)
    log: LogTable = attrs.field(factory=LogTable)
    metrics: MetricsTable = attrs.field(factory=MetricsTable)
    flight: FlightTable = attrs.field(factory=FlightTable)
    hep: HepTable = attrs.field(factory=HepTable)
    api: ApiTable = attrs.field(factory=ApiTable)
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

    @property
    def user_file(self) -> Path:
        """Where the users are kept that do not stand in the configuration."""
        return self.state_directory / (self.store.users or self.store.path)

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
                websocket=self._websockets(table),
            )
            for table in self.listen
        )

    def _websockets(self, table: ListenTable) -> WebSocketSettings:
        webrtc = table.serves_pages and self.media.engine == "rtpengine"
        cells = attrs.asdict(table.websocket or WebSocketTable())
        return WebSocketSettings(**{**cells, "webrtc": webrtc})

    def directory_of_users(self) -> dict[str, User]:
        """The users by name; a password becomes a hash for each algorithm that is offered."""
        return {
            name: accounts.user_of(name, table, self.realm, self.offered(table.group))
            for name, table in self.users.items()
        }

    def directory_of_ring_groups(self) -> dict[str, RingGroup]:
        """The ring groups by name and by number."""
        groups = [accounts.ring_group_of(*item) for item in self.ring_groups.items()]
        return {name: group for group in groups for name in (group.name, *group.numbers)}

    def trunk_groups(self) -> tuple[Trunk, ...]:
        """The trunks, in the order of the file."""
        algorithms = self.offered("")
        return tuple(
            attrs.evolve(
                table.group(name),
                inbound=inbound(table, self.realm, algorithms),
                numbering=self.profiles["trunk", name].numbering,
                home=self.numbering,
            )
            for name, table in self.trunks.items()
        )

    @property
    def registers(self) -> bool:
        """Whether we register at any trunk."""
        return any(table.register is not None for table in self.trunks.values())

    @cached_property
    def profiles(self) -> dict[tuple[str, str], Profile]:
        """How each trunk and each group is treated, and each user who has media of his own:
        "trunk", "group" or "user" and its name -> that.

        :raises ConfigError: a ``dialog`` table is wrong, or a ``numbering`` or ``media`` table.
        """
        tables: list[tuple[str, Mapping[str, GroupTable | TrunkTable]]] = [
            ("group", self.groups),
            ("trunk", self.trunks),
        ]
        profiles = {
            (kind, name): self._profile(key_path(f"{kind}s", name), table)
            for kind, found in tables
            for name, table in found.items()
        }
        for name, user in self.users.items():
            if user.media:
                group = profiles.get(("group", user.group), self.usual)
                shared = self.groups[user.group].media if user.group in self.groups else {}
                media = self._wanted(f"{key_path('users', name)}.media", shared, user.media)
                profiles["user", name] = attrs.evolve(group, wants=media)
        return profiles

    def profile_of(self, kind: str, name: str) -> Profile:
        """How somebody is treated within a call.

        :param kind: "trunk", "user", or "group" for the users of one; anything else has no profile
            of its own.
        """
        return self.profiles.get((kind, name), self.usual)

    @cached_property
    def usual(self) -> Profile:
        """How everybody is treated who has no other profile.

        :raises ConfigError: ``[media.default]`` is wrong.
        """
        media = self._wanted("media.default")
        if self.numbering == PLAIN and media is None:
            return self.dialog
        return attrs.evolve(self.dialog, numbering=self.numbering, wants=media)

    @property
    def bypasses(self) -> bool:
        """Whether anybody's media go past the engine."""
        return any(each.media == "bypass" for each in (self.dialog, *self.profiles.values()))

    def datagram_limits(self) -> Limits:
        """What is too large on UDP."""
        return Limits(self.limits.max_message_udp, self.limits.max_fields)

    def stream_limits(self) -> Limits:
        """What is too large on TCP."""
        return Limits(self.limits.max_message_stream, self.limits.max_fields)

    def warnings(self) -> list[str]:
        """What is allowed but unwise, a sentence each."""
        used = {policy.get("use") for policy in self.policy}
        idle = [
            f'{key_path("users", name)} forwards calls, but no [[policy]] uses "forwarding"'
            for name, table in self.users.items()
            if table.forwarded.places and "forwarding" not in used
        ]
        idle += [
            in_the_clear("trunks", name, "an inbound_password", table.inbound_username, self.file)
            for name, table in self.trunks.items()
            if table.inbound_password is not None
        ]
        if self.ring_groups and "ring_groups" not in used:
            idle.append('ring_groups: no [[policy]] uses "ring_groups"')
        known = {name for _, name in names(self)}
        leads = [
            *(
                (f"{key_path('users', name)} forwards calls to", table.forwarded.places)
                for name, table in self.users.items()
            ),
            *(
                (
                    f"{key_path('ring_groups', name)} rings or goes on to",
                    (*table.members, table.otherwise),
                )
                for name, table in self.ring_groups.items()
            ),
        ]
        idle += [
            f"{words} {place}, who is no user of this file; {nearest(place, list(known))}"
            for words, places in leads
            for place in places
            if place and ":" not in place and place not in known
        ]
        idle += api_tables.warnings(self.api, time())
        idle += fraud_tables.warnings(self.fraud, self.numbering.country, bool(self.trunks))
        return idle + [
            in_the_clear("users", name, "a password", name, self.file)
            for name, table in self.users.items()
            if table.password is not None
        ]

    def offered(self, group: str) -> tuple[str, ...]:
        """Algorithms with which a user of the group may be challenged, by any listener."""
        own = self.groups[group].algorithms if group in self.groups else None
        if own is not None:
            return own
        found = (table.algorithms or self.auth.algorithms for table in self.listen)
        return tuple(dict.fromkeys(algorithm for each in found for algorithm in each))

    def _profile(self, key: str, table: GroupTable | TrunkTable) -> Profile:
        """``[dialog]`` and ``[numbering]``, with what the table of a trunk or group changes."""
        path, cells = f"{key}.dialog", table.dialog
        own = structure(cells, Profile, file=self.file, path=path)
        try:
            profile = self.dialog.changed({cell: getattr(own, cell) for cell in cells})
        except ValueError as error:
            raise ConfigError(f"{self.file}: {path}", str(error)) from None
        written = {**self.numbering.cells, **table.numbering}
        numbering = structure(written, Numbering, file=self.file, path=f"{key}.numbering")
        media = self._wanted(f"{key}.media", table.media)
        if numbering == profile.numbering and media is None:
            return profile
        return attrs.evolve(profile, numbering=numbering, wants=media)

    def _wanted(self, key: str, *tables: Mapping[str, Any]) -> MediaProfile | None:
        """``[media.default]``, with what further tables change."""
        default = self.media.default
        wanted(default, file=self.file, path="media.default")
        return wanted(default, *tables, file=self.file, path=key)


def load(path: Path | None = None, directory: Path = Path()) -> Config:
    """Read and check a configuration.

    :param path: the file; None for the defaults inside the package, which trust who tries them.
    :param directory: where relative paths in it start.
    :raises ConfigError: with file, key and what would be right.
    """
    packaged = files("softswitch.ops") / "softswitch.toml"
    if path is None:
        with as_file(packaged) as default:
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
        structure(document, Config, file=str(path), hooks=HOOKS | api_tables.HOOKS),
        file=str(path),
        directory=directory.absolute(),
    )
    if path.absolute() == packaged:  # so a reload of them finds it, too
        config = attrs.evolve(config, api=attrs.evolve(config.api, trust_loopback=True))
    for key, mend in _contradictions(config):
        raise ConfigError(f"{path}: {key}", mend)
    _ = config.profiles, config.usual
    return config


def _contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: key path and what would be right."""
    if not config.listen:
        yield "listen", "at least one [[listen]] table is wanted"
    yield from _twice(
        (f"listen[{index}].name", table.called) for index, table in enumerate(config.listen)
    )
    yield from _twice(
        (f"listen[{index}].port", f"{table.below} {HostPort(table.bind, table.port)}")
        for index, table in enumerate(config.listen)
    )
    for index, table in enumerate(config.listen):
        if table.websocket is not None and table.transport not in ("ws", "wss"):
            yield f"listen[{index}].websocket", 'goes with transport = "ws" or "wss"'
    yield from encryption.contradictions(config.listen, config.trunks)
    yield from flight_tables.contradictions(config.flight, config.hep)
    signed = {name: trunk.stir for name, trunk in config.trunks.items()}
    yield from stir_tables.contradictions(config.stir, signed, config.switch.policy_seconds)
    pairs = (config.media.ports.high - config.media.ports.low) // 2
    if not 0 <= config.media.processes <= min(64, pairs):
        yield "media.processes", "0 to 64 are wanted, and a pair of media.ports for each"
    if not config.auth.algorithms:
        yield "auth.algorithms", 'at least one is wanted, such as "MD5"'
    for name, group in config.groups.items():
        if group.algorithms == ():
            yield f"{key_path('groups', name)}.algorithms", 'at least one is wanted, such as "MD5"'
    for name, user in config.users.items():
        key = key_path("users", name)
        offered = config.offered(user.group)
        for part, mend in accounts.faults(name, user, list(config.groups), offered):
            yield f"{key}.{part}" if part else key, mend
        if user.password in DEMONSTRATION and not all(
            ip_address(table.bind).is_loopback for table in config.listen
        ):
            yield (
                f"{key}.password",
                "everybody knows this one: choose another, or listen on 127.0.0.1",
            )
    for name, ring_group in config.ring_groups.items():
        key = key_path("ring_groups", name)
        for part, mend in accounts.group_faults(name, ring_group):
            yield f"{key}.{part}" if part else key, mend
    yield from _twice(names(config))
    used = {policy.get("use") for policy in config.policy}
    yield from contradictions(
        config.trunks, config.switch.domains, config.users, config.offered(""), used
    )
    for trunk in config.trunk_groups():
        key = key_path("trunks", trunk.name)
        if not trunk.members and not trunk.inbound.username:
            yield f"{key}.addresses", "at least one address is wanted, here or in members"
        addresses = [member.address for member in trunk.members]
        for address in {each for each in addresses if addresses.count(each) > 1}:
            yield f"{key}.members", f"{address} is a member twice"
        if trunk.try_seconds == 0:
            yield f"{key}.try_seconds", "more than 0 seconds are wanted"
        if bool(trunk.username) != bool(trunk.password):
            yield key, "username and password go together"
        if trunk.members and (wrong := fault(Route(trunk.targets("1")))):
            yield key, wrong
        for wrong_key, mend in upstream.contradictions(config.trunks[trunk.name]):
            yield f"{key}.{wrong_key}", mend
    yield from media_faults(config)
    tables: dict[str, Mapping[str, Any]] = {
        "groups": config.groups,
        "users": config.users,
        "trunks": config.trunks,
    }
    accounts_of = {
        f"{key_path(kind, name)}.fraud": each.fraud
        for kind, found in tables.items()
        for name, each in found.items()
    }
    yield from fraud_tables.contradictions(config.fraud, accounts_of)
    for (kind, name), profile in {("", ""): config.dialog, **config.profiles}.items():
        if profile.late_offer == "offer" and "bypass" in (config.media.engine, profile.media):
            key = f"{key_path(f'{kind}s', name)}.dialog" if kind else "dialog"
            where = (
                'media = "engine"'
                if config.media.engine != "bypass"
                else ('[media] engine = "relay"')
            )
            yield f"{key}.late_offer", f"our offers want {where}"
    yield from door_tables.contradictions(config.door, config.limits.connections)
    yield from api_tables.contradictions(config.api)
    yield from record_tables.contradictions(config.records)
    yield from registration_tables.contradictions(config.registration)
    for index, policy in enumerate(config.policy):
        if not isinstance(policy.get("use"), str):
            yield f"policy[{index}].use", "the name of a policy, in quotes, is wanted"


def names(config: Config) -> Iterator[tuple[str, str]]:
    """Under what each user and each ring group is reached: key path -> name or number."""
    tables: list[tuple[str, Mapping[str, UserTable | RingGroupTable]]] = [
        ("users", config.users),
        ("ring_groups", config.ring_groups),
    ]
    for kind, found in tables:
        for name in found:
            yield key_path(kind, name), name
    for kind, found in tables:
        for name, table in found.items():
            for index, number in enumerate(table.numbers):
                yield f"{key_path(kind, name)}.numbers[{index}]", number


def _twice(keys: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for key, value in keys:
        if value in first:
            yield key, f"{value} is taken by {first[value]}"
        first.setdefault(value, key)
