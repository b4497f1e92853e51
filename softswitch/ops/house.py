"""The house: every floor put together from a configuration, without a socket. Pure.

The service gives it real ports, a store and the reactor's wheel; a test gives it the loop
network and a virtual clock. It is the same house.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from softswitch import __version__
from softswitch.b2bua.lamps import Lamps
from softswitch.b2bua.passage import Passage
from softswitch.b2bua.shared import CallSettings, Shared
from softswitch.b2bua.switch import Switch
from softswitch.dialog.proof import Credentials
from softswitch.dialog.stateagent import StateAgent, SubscriptionSettings
from softswitch.dialog.useragent import UserAgent
from softswitch.ops.config import Config
from softswitch.plugin.interfaces import IBindingStore
from softswitch.plugin.media import IMediaEngine
from softswitch.plugin.views import BindingView
from softswitch.plugin.views import House as OfferedHouse
from softswitch.policy import load
from softswitch.policy.admission import Authenticator
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.policy.located import dialled
from softswitch.proxy.forwarder import Forwarder
from softswitch.registrar.bindings import Bindings
from softswitch.registrar.handler import RegisterHandler
from softswitch.registrar.notifier import Registrations
from softswitch.registrar.registrar import Registrar
from softswitch.scope import Auditor
from softswitch.sip.uri import Uri
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.timers import RFC_3261, Timers
from softswitch.transport.domains import Domains
from softswitch.transport.layer import TransportLayer
from softswitch.transport.resolver import LookUp, Resolver
from softswitch.trunk.credentials import credentials
from softswitch.trunk.group import Trunks, escape_user
from softswitch.trunk.traffic import Traffic
from softswitch.wheel import Clock

USER_AGENT = f"softswitch/{__version__}"

#: Seconds between two looks of the auditor.
SWEEP_SECONDS = 10.0


class House:
    """A whole switch but for its sockets.

    :ivar transport: to be given ports.
    :ivar switch: its calls.
    :ivar passage: what goes on outside of them.
    :ivar proxy: what it forwards.
    :ivar bindings: its registrations.
    :ivar auditor: its proof that nothing leaks.
    :cvar chain: what asks the policies; ``explain`` has one that notes what they say.
    :param clock: a wheel, or a virtual clock.
    :param look_up: resolves names.
    :param engine: carries the media; None for bypass.
    :param store: keeps the bindings; None for memory alone.
    :param plug_ins: policies that are asked before those of the configuration.
    :param report: told of each leak: scope's name, what was left.
    :param broken: told of exceptions that a message caused; without it they go on.
    :raises ConfigError: when a policy cannot be loaded.
    """

    chain: ClassVar[type[PolicyChain]] = PolicyChain

    def __init__(
        self,
        config: Config,
        clock: Clock,
        look_up: LookUp,
        *,
        engine: IMediaEngine | None,
        store: IBindingStore | None = None,
        plug_ins: Iterable[Policy] = (),
        report: Callable[[str, list[str]], None],
        broken: Callable[[Exception], None] | None = None,
        timers: Timers = RFC_3261,
    ) -> None:
        self.config = config
        self.clock = clock
        self.engine = engine
        self.transport = TransportLayer(
            config.listeners(), config.datagram_limits(), clock, config.stream_limits(), broken
        )
        self.transactions = TransactionLayer(clock, self.transport, timers)
        self.transport.user = self.transactions
        self.domains = Domains(config.switch.domains, self.transport.listeners)
        self.auditor = Auditor(clock, report)
        self.bindings = Bindings(clock, store, clock.seconds)
        self.transport.on_closed.append(self.bindings.flow_closed)
        self.users = config.directory_of_users()
        self.trunks = Trunks(config.trunk_groups(), clock.seconds, config.switch.emergency)
        authenticator = Authenticator(
            config.realm,
            clock,
            self.users.get,
            by_listener={each.name: each.algorithms for each in self.transport.listeners},
            by_group={name: group.algorithms or () for name, group in config.groups.items()},
            lifetime=config.auth.nonce_seconds,
        )
        # Of what a policy may ask of us (``plugin.views.House``), that which others know.
        self.is_ours = self.domains.is_ours
        self.find_user = self.users.get
        self.trunk = self.trunks.find
        self.trunk_at = self.trunks.at
        self.authenticate = authenticator.authenticate
        self.policies = self.chain(
            [*plug_ins, *self._load_policies()],
            clock,
            challenge_fields=authenticator.challenge_fields,
            deadline=config.switch.policy_seconds,
            known_trunk=lambda name: self.trunks.find(name) is not None,
        )
        resolver = Resolver(look_up, self.transport.listeners)
        self.agent = UserAgent(
            self.transport,
            self.transactions,
            resolver,
            self.domains,
            self.policies,
            self.auditor,
            lambda user: self.locate(user, self.domain),
        )
        registrar = Registrar(self.bindings, self.domains, clock.seconds)
        self.agent.handlers["REGISTER"] = RegisterHandler(registrar, self.policies).received
        shared = Shared(
            clock,
            self.agent,
            self.transport,
            resolver,
            self.policies,
            engine,
            self.auditor,
            CallSettings(
                config.switch.try_seconds,
                config.switch.ring_seconds,
                stop_on=frozenset(config.switch.stop_on),
            ),
            self._credentials,
            self.policies,
            [("User-Agent", USER_AGENT)],
            os.urandom(16),
            config.profile_of,
        )
        self.proxy = Forwarder(
            clock,
            self.transport,
            self.transactions,
            resolver,
            self.domains,
            self.auditor,
            self.policies,
            os.urandom(16),
        )
        self.traffic = Traffic(self.trunks, config.switch.no_trunk_status)
        shared.traffic = self.traffic
        self.agent.proxy = self.proxy
        shared.forward = self.proxy.forward
        self.switch = Switch(shared)
        self.passage = self._passage(shared)

    def stats(self) -> dict[str, Any]:
        """Figures for an operator: what lives, what was counted, what leaked."""
        counters: Counter[str] = self.switch.counters + self.transport.counters
        counters += self.transactions.counters + self.proxy.counters
        return {
            "calls": len(self.switch.calls),
            "calls_forwarded": len(self.proxy.ledger),
            "subscriptions": self.passage.subscriptions,
            "dialogs": len(self.agent.dialogs),
            "transactions": sum(1 for _ in self.transactions),
            "registrations": len(self.bindings),
            "scopes_open": len(self.auditor.open),
            "scopes_closed": self.auditor.closed,
            "leaks": self.auditor.leaks,
            "trunks": self.traffic.figures(),
            "counters": dict(sorted(counters.items())),
        }

    # What else a policy may ask of us.

    @property
    def domain(self) -> str:
        """The one name that stands for all served domains."""
        return self.domains.primary

    @property
    def realm(self) -> str:
        """The digest realm."""
        return self.config.realm

    def now(self) -> float:
        """Unix time, seconds; virtual in tests."""
        return self.clock.seconds()

    def offered(self, policy: str) -> OfferedHouse:
        """The house as the policy that the configuration calls so is handed it."""
        return self

    def locate(self, user: str, domain: str) -> list[BindingView]:
        """Where a user can be reached now, the preferred contact first."""
        return [
            BindingView(
                binding.aor,
                binding.contact,
                binding.flow,
                binding.q,
                binding.expires_at,
                binding.user_agent,
                binding.instance,
            )
            for binding in self.bindings.lookup(f"{user}@{domain}")
            if self.transport.is_alive(binding.flow)
        ]

    def _passage(self, shared: Shared) -> Passage:
        """What serves requests outside of calls; with the events of which we are the notifier."""
        subscriptions = self.config.subscriptions
        settings = SubscriptionSettings(
            subscriptions.per_user, subscriptions.min_expires, subscriptions.max_expires
        )
        lamps = Lamps(lambda user: f"sip:{escape_user(user)}@{self.domain}")
        registrations = Registrations(self.bindings, lambda: self.domain, self.clock.seconds)
        agents = []
        for package in (lamps, registrations):
            state = StateAgent(
                package, self.clock, self.agent, self.auditor, shared.contact, settings
            )
            package.changed = state.changed
            agents.append(state)
        shared.lamps = lamps
        return Passage(shared, self._user_of, agents, settings)

    def _user_of(self, uri: Uri) -> str:
        """The name of the user of ours whom a URI means, "" for others."""
        name = dialled(uri, self)
        return name if name and self.find_user(name) is not None else ""

    def _credentials(self, name: str, host: str, hop: str) -> Credentials | None:
        trunk = self.trunks.find(name)
        return None if trunk is None else credentials(trunk, host, hop)

    def _load_policies(self) -> list[Policy]:
        loaded = []
        for index, table in enumerate(self.config.policy):
            options: Mapping[str, Any] = {
                key: value for key, value in table.items() if key != "use"
            }
            loaded.append(
                load.load(
                    table["use"],
                    options,
                    self.offered(table["use"]),
                    file=self.config.file,
                    path=f"policy[{index}]",
                )
            )
        return loaded
