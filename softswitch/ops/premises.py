"""What one configuration says of users and trunks, and what policies made from it may ask. Pure.

A reload makes new premises beside the old ones: policies of which calls are still under way go on
with the users, trunks and realm that they were made for, and all see the same registrations. What
the switch has learnt meanwhile is handed over by the ``previous`` ones.
"""

import os
from collections.abc import Awaitable
from random import Random
from typing import Protocol

import attrs

from softswitch.dialog.proof import Credentials
from softswitch.errors import ConfigError
from softswitch.flow import SECURE, Flow
from softswitch.ops.config import Config, names
from softswitch.ops.stir import Stir, read_stir
from softswitch.ops.whereabouts import Whereabouts
from softswitch.plugin.decisions import Challenge, Reject
from softswitch.plugin.profile import Profile
from softswitch.plugin.verification import Verification
from softswitch.plugin.views import BindingView, Identity, RequestView, RingGroup, User
from softswitch.policy.admission import Authenticator
from softswitch.policy.located import dialled
from softswitch.policy.stir import Numbers
from softswitch.policy.users import Roll, Users
from softswitch.policy.waiting import Found
from softswitch.sip.digest import Nonces
from softswitch.sip.uri import Uri
from softswitch.transport.domains import Domains
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener, Network
from softswitch.trunk.credentials import credentials
from softswitch.trunk.group import Trunk, Trunks
from softswitch.trunk.registered import located
from softswitch.trunk.registrations import UpstreamRegistrations
from softswitch.trunk.veils import Veils
from softswitch.trunk.whose import whose
from softswitch.wheel import Clock


class Building(Protocol):
    """The house, as its premises see it: what a reload does not change."""

    clock: Clock
    domains: Domains
    random: Random
    transport: TransportLayer
    upstream: UpstreamRegistrations
    whereabouts: Whereabouts

    @property
    def listeners(self) -> list[Listener]:
        """With the ports that are really bound."""

    def idle_since(self, user: str) -> float | None:
        """When the last call of a user ended; None while he is in one."""


class Premises:
    """One configuration's users and trunks; for policies, the ``House`` of ``plugin.views``.

    :ivar config: the configuration.
    :ivar users: every directory of them.
    :ivar trunks: by name and by source.
    :ivar ring_groups: by name and by number.
    :ivar accounts: what trunks prove themselves by, by user name.
    :ivar nonces: that the users' phones have been given.
    :ivar stir: verifies and signs numbers.
    :param previous: those that these take the place of; None at the start.
    :raises ConfigError: two users have one name or number, or a file of ``[stir]`` is wrong.
    """

    def __init__(self, config: Config, house: Building, previous: "Premises | None" = None) -> None:
        self.config = config
        self._house = house
        configured = Roll(config.directory_of_users().values())
        self.users = Users(configured, house.clock, config.auth.remember_seconds)
        trunks = located(config.trunk_groups(), house.whereabouts.locate, house.domains.primary)
        trunks = house.upstream.known_to(trunks)
        now, emergency = house.clock.seconds, config.switch.emergency
        before = None if previous is None else previous.stir
        self.stir: Stir = Stir(config.stir, read_stir(config), now, self.users.find, before)
        signer = self.stir.signer
        trunks = [attrs.evolve(each, signer=signer) if each.stir.sign else each for each in trunks]
        self.trunks = Trunks(trunks, house.clock.monotonic, emergency, house.random)
        self.accounts = self.trunks.accounts()
        self.ring_groups = config.directory_of_ring_groups()
        if previous is None:
            self.nonces = Nonces(house.clock, os.urandom(32), config.auth.nonce_seconds)
        else:
            self.nonces = previous.nonces
            self.users.stored = previous.users.stored
            self._look_for_clashes()
            for trunk in self.trunks:
                older = previous.trunks.find(trunk.name)
                if older is not None:
                    trunk.state.inherit(older.state)
        self.authenticator = Authenticator(
            config.realm,
            self.nonces,
            self.users.look_up,
            # Not the house's own, which are those of the start.
            by_listener={each.name: each.algorithms for each in config.listeners()},
            by_group={name: group.algorithms or () for name, group in config.groups.items()},
            doorkeeper=house.transport.door,
        )

    def trusted(self) -> list[Network]:
        """The networks that always come in: those of trunks, and what the operator trusts."""
        of_trunks = [network for trunk in self.trunks for network in trunk.sources()]
        return [*self.config.door.trusted, *of_trunks]

    def veils(self, sessions: bool) -> Veils | None:
        """What hides from others what lies behind the trunks; None for nothing.

        :param sessions: whether a media engine carries what is not bypassed.
        """
        veils = Veils(
            self.trunks,
            self._house.listeners,
            self.config.switch.domains,
            sessions=sessions and not self.config.bypasses,
        )
        return veils if veils.needed else None

    def credentials(self, name: str, host: str, hop: str) -> Credentials | None:
        """What answers the challenges of the trunk of that name; None where nothing does.

        :param host: the trunk's address that a request goes to.
        :param hop: the URI that has led there, "" where the trunk has called us from it.
        """
        trunk = self.trunks.find(name)
        return None if trunk is None else credentials(trunk, host, hop)

    def profile_of(self, kind: str, name: str) -> Profile:
        """How the "trunk" or "user" of that name is treated within a call."""
        if kind == "user":
            own = self.config.profiles.get((kind, name))
            if own is not None:
                return own
            user = self.users.find(name) if name else None
            kind, name = "group", user.group if user is not None else ""
        return self.config.profile_of(kind, name)

    def _look_for_clashes(self) -> None:
        """
        :raises ConfigError: a user of the store has what the configuration gives to somebody.
        """
        for key, name in names(self.config):
            other = self.users.stored.get(name)
            if other is not None and other.name not in self.config.users:
                raise ConfigError(
                    f"{self.config.file}: {key}", f"{name} is user {other.name}'s in the store"
                )

    # What a policy may ask.

    @property
    def domain(self) -> str:
        """The one name that stands for all served domains."""
        return self._house.domains.primary

    @property
    def realm(self) -> str:
        """The digest realm."""
        return self.config.realm

    def now(self) -> float:
        """Unix time, seconds; virtual in tests."""
        return self._house.clock.seconds()

    def is_ours(self, host: str, port: int | None = None) -> bool:
        """Whether a URI's host, and port if it has one, name this switch."""
        return self._house.domains.is_ours(host, port)

    def find_user(self, name: str) -> User | None:
        """The user of that name or number, as far as can be said at once."""
        return self.users.find(name)

    def user_of(self, uri: Uri) -> str:
        """The name of the user of ours whom a URI means, "" for others."""
        name = dialled(uri, self)
        user = self.find_user(name) if name else None
        return "" if user is None else user.name

    def look_up_user(self, name: str) -> Found | Awaitable[Found]:
        """The user of that name or number, after a wait if need be."""
        return self.users.look_up(name)

    def ring_group(self, name: str) -> RingGroup | None:
        """The ring group of that name or number."""
        return self.ring_groups.get(name)

    def idle_since(self, user: str) -> float | None:
        """When the last call of a user ended; None while he is in one."""
        return self._house.idle_since(user)

    def locate(self, user: str, domain: str) -> list[BindingView]:
        """Where a user can be reached now, the preferred contact first."""
        return self._house.whereabouts.locate(user, domain)

    def registered_on(self, flow: Flow) -> list[BindingView]:
        """Who has registered on a flow."""
        return self._house.whereabouts.registered_on(flow)

    def fronted(self, token: str) -> BindingView | None:
        """The contact that a PBX knows by this user part of a Contact of ours."""
        return self._house.whereabouts.fronted(token)

    def e164(self, number: str, caller: Identity | None = None) -> str:
        """A number as its caller writes it, in E.164; "" for what is no telephone number."""
        kind, name = ("", "") if caller is None else (caller.kind, caller.name)
        return self.profile_of(kind, name).numbering.read(number)

    def trunk(self, name: str) -> Trunk | None:
        """The trunk of that name."""
        return self.trunks.find(name)

    def names_on(self, flow: Flow) -> frozenset[str]:
        """What the certificate of a flow's peer says that it is; nothing without a certificate."""
        return self._house.transport.names_on(flow)

    def trunk_at(self, host: str) -> Trunk | None:
        """The trunk to whose networks an address literal belongs."""
        return self.trunks.at(host)

    def trunk_of(self, request: RequestView) -> Trunk | Challenge | Reject | None:
        """The trunk that has sent a request: the one whose password it proves, else the one whose
        certificate its sender has shown or whose address it comes from, or at which we have
        registered the Contact that it calls; without a password nobody registers."""
        if self.accounts:
            who = self.authenticator.prove(request, self.accounts)
            if who is not None:
                return who if isinstance(who, Challenge) else self.trunks.of_username(who.name)
        if request.method == "REGISTER":
            return None
        upstream = self._house.upstream
        if upstream.tokens:
            name = upstream.whose(request.uri, request.source.remote_host)
            if name is not None:
                return self.trunks.find(name)
        source = request.source
        names = self.names_on(source) if source.transport in SECURE else ()
        return whose(self.trunks, request, upstream.tokens, names)

    def verify(
        self, request: RequestView, trunk: str = ""
    ) -> Verification | Awaitable[Verification]:
        """What is to be thought of the number that a request comes from."""
        found = self.trunks.find(trunk)
        profile = self.config.profile_of("trunk", trunk)
        called = request.uri if found is None else request.called(found.reads(request))
        numbers = Numbers(profile.numbering.read, "pai" in profile.believed)
        return self.stir.verifier.verify(request, numbers, called)

    def authenticate(
        self, request: RequestView
    ) -> User | Challenge | Reject | Awaitable[User | Challenge | Reject]:
        """The user whose credentials a request bears, or the challenge that answers it."""
        return self.authenticator.authenticate(request)
