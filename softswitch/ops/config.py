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
from typing import Any

import attrs

from softswitch.errors import ConfigError
from softswitch.ops import upstream
from softswitch.ops.inbound import DIGEST_LENGTH, contradictions, inbound
from softswitch.ops.tables import (
    AuthTable,
    GroupTable,
    LimitsTable,
    ListenTable,
    MediaTable,
    RecordsTable,
    StoreTable,
    SubscriptionsTable,
    SwitchTable,
    TrunkTable,
    UserTable,
)
from softswitch.ops.values import HOOKS, HostPort
from softswitch.plugin.decisions import Route
from softswitch.plugin.profile import Profile
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


@attrs.frozen
class Config:
    """A whole configuration.

    :ivar dialog: how everybody is treated within a call who has no other profile.
    :ivar policy: each a policy's name under "use" and its options, in the order of asking.
    :ivar file: where it was read, for errors.
    :ivar directory: relative paths in it start here.
    """

    switch: SwitchTable = attrs.field(factory=SwitchTable)
    listen: tuple[ListenTable, ...] = ()
    auth: AuthTable = attrs.field(factory=AuthTable)
    dialog: Profile = attrs.field(factory=Profile)
    groups: Mapping[str, GroupTable] = attrs.field(factory=dict)
    users: Mapping[str, UserTable] = attrs.field(factory=dict)
    trunks: Mapping[str, TrunkTable] = attrs.field(factory=dict)
    policy: tuple[Mapping[str, Any], ...] = ()
    media: MediaTable = attrs.field(factory=MediaTable)
    store: StoreTable = attrs.field(factory=StoreTable)
    records: RecordsTable = attrs.field(factory=RecordsTable)
    limits: LimitsTable = attrs.field(factory=LimitsTable)
    subscriptions: SubscriptionsTable = attrs.field(factory=SubscriptionsTable)
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
        algorithms = self.offered("")
        return tuple(
            attrs.evolve(table.group(name), inbound=inbound(table, self.realm, algorithms))
            for name, table in self.trunks.items()
        )

    @property
    def registers(self) -> bool:
        """Whether we register at any trunk."""
        return any(table.register is not None for table in self.trunks.values())

    @cached_property
    def profiles(self) -> dict[tuple[str, str], Profile]:
        """How each trunk and each group is treated: "trunk" or "group" and its name -> that.

        :raises ConfigError: a ``dialog`` table is wrong.
        """
        tables: list[tuple[str, Mapping[str, GroupTable | TrunkTable]]] = [
            ("group", self.groups),
            ("trunk", self.trunks),
        ]
        return {
            (kind, name): self._profile(key_path(f"{kind}s", name), table.dialog)
            for kind, found in tables
            for name, table in found.items()
        }

    def profile_of(self, kind: str, name: str) -> Profile:
        """How somebody is treated within a call.

        :param kind: "trunk", or "user" for one of that name; anything else has no profile of its
            own.
        """
        if kind == "user":
            user = self.users.get(name)
            kind, name = "group", user.group if user is not None else ""
        return self.profiles.get((kind, name), self.dialog)

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
            f"{key_path('trunks', name)} has an inbound_password in the clear; "
            f"`softswitch user hash {table.inbound_username}` makes a hash of it"
            for name, table in self.trunks.items()
            if table.inbound_password is not None
        ]
        return idle + [
            f"{key_path('users', name)} has a password in the clear; "
            f"`softswitch user hash {name}` makes a hash of it"
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

    def _profile(self, key: str, cells: Mapping[str, Any]) -> Profile:
        """``[dialog]``, with what a table of a trunk or group changes in it."""
        path = f"{key}.dialog"
        own = structure(cells, Profile, file=self.file, path=path)
        try:
            return self.dialog.changed({cell: getattr(own, cell) for cell in cells})
        except ValueError as error:
            raise ConfigError(f"{self.file}: {path}", str(error)) from None

    def _user(self, name: str, table: UserTable) -> User:
        hashes: dict[str, str] = {
            algorithm: digest.lower() for algorithm, digest in table.ha1.items()
        }
        if table.password is not None:
            for algorithm in self.offered(table.group):
                hashes[algorithm] = ha1(name, self.realm, table.password, algorithm)
        return User(name, hashes, table.display, table.group, table.forwarded)


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
    _ = config.profiles
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
        if group.algorithms == ():
            yield f"{key_path('groups', name)}.algorithms", 'at least one is wanted, such as "MD5"'
    for name, user in config.users.items():
        yield from _user_contradictions(config, key_path("users", name), name, user)
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
    for key_of, place in attrs.asdict(user).items():
        if key_of.startswith("forward_") and (wrong := _no_place(config, name, place)):
            yield f"{key}.{key_of}", wrong
    for algorithm, digest in user.ha1.items():
        length = DIGEST_LENGTH[algorithm]
        if len(digest) != length or set(digest.lower()) - set("0123456789abcdef"):
            yield f"{key}.ha1.{algorithm}", f"{length} hex digits are wanted"
    for wanted in config.offered(user.group) if user.ha1 else ():
        if wanted not in user.ha1:
            yield f"{key}.ha1", f"a hash for {wanted} is wanted, since we offer it"
    if user.password in DEMONSTRATION and not all(
        ip_address(table.bind).is_loopback for table in config.listen
    ):
        yield f"{key}.password", "everybody knows this one: choose another, or listen on 127.0.0.1"


def _no_place(config: Config, name: str, place: str | float) -> str:
    """Why calls of a user cannot be forwarded to a place; "" where they can."""
    if not isinstance(place, str):
        return "" if place > 0 else "more than 0 seconds are wanted"
    if not place or (place in config.users and place != name):
        return ""
    if place == name:
        return "somebody else is wanted"
    if ":" not in place:
        return f"a user or a SIP URI is wanted; {nearest(place, list(config.users))}"
    return fault(Route([place])) or ("" if place[:3].lower() == "sip" else "a SIP URI is wanted")


def _twice(keys: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for key, value in keys:
        if value in first:
            yield key, f"{value} is taken by {first[value]}"
        first.setdefault(value, key)
