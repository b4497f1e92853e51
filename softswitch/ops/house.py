"""The house: every floor put together from a configuration, without a socket. Pure.

The service gives it real ports, a store and the reactor's wheel; a test gives it the loop
network and a virtual clock. It is the same house. A reload swaps what the configuration says, in
one step: premises, policies, and what new calls share. Sockets, registrations and calls stay.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, ClassVar
from weakref import finalize

from twisted.internet.defer import Deferred

from softswitch import __version__
from softswitch.b2bua.lamps import Lamps
from softswitch.b2bua.occupancy import Occupancy
from softswitch.b2bua.passage import Passage
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.switch import Switch
from softswitch.dialog.stateagent import StateAgent
from softswitch.dialog.useragent import UserAgent
from softswitch.errors import ConfigError
from softswitch.flight.recorder import Recorder
from softswitch.flight.verdicts import RecordedChain
from softswitch.ops.config import Config
from softswitch.ops.engine_settings import call_settings, subscription_settings
from softswitch.ops.guard import Guard
from softswitch.ops.premises import Premises
from softswitch.ops.reloading import check_reloadable
from softswitch.ops.tolls import toll_rules
from softswitch.ops.whereabouts import Whereabouts
from softswitch.plugin.interfaces import IBindingStore
from softswitch.plugin.media import IMediaEngine, MediaNotice
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import House as OfferedHouse
from softswitch.policy import load
from softswitch.policy.budget import Attention
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.policy.users import asking
from softswitch.proxy.forwarder import Forwarder
from softswitch.registrar.bindings import Bindings
from softswitch.registrar.front import Fronts
from softswitch.registrar.handler import RegisterHandler
from softswitch.registrar.keepalive import KeepAlive
from softswitch.registrar.moves import Moves
from softswitch.registrar.notifier import Registrations
from softswitch.registrar.registrar import Registrar
from softswitch.scope import Auditor
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.timers import RFC_3261, Timers
from softswitch.transport.domains import Domains
from softswitch.transport.layer import TransportLayer
from softswitch.transport.listener import Listener
from softswitch.transport.resolver import Resolver
from softswitch.transport.search import LookUp, LookUpPointers, LookUpService
from softswitch.trunk.checks import Checks
from softswitch.trunk.group import escape_user
from softswitch.trunk.registering import RegistrationData, World
from softswitch.trunk.registrations import UpstreamRegistrations
from softswitch.trunk.tolls import Tolls
from softswitch.trunk.traffic import Traffic
from softswitch.wheel import Clock

USER_AGENT = f"softswitch/{__version__}"

#: Seconds between two looks of the auditor.
SWEEP_SECONDS = 10.0


class House:
    """A whole switch but for its sockets.

    :ivar transport: to be given ports.
    :ivar guard: of its door.
    :ivar premises: what the configuration says of users and trunks; another after a reload.
    :ivar policies: what it says of policies; likewise.
    :ivar switch: its calls.
    :ivar tolls: who pays for them, where they go out over trunks.
    :ivar passage: what goes on outside of them.
    :ivar attention: which policy has the reactor.
    :ivar recorder: what has happened in its calls; None where that is not kept.
    :ivar proxy: what it forwards.
    :ivar fronts: registrations that it passes on.
    :ivar bindings: its registrations.
    :ivar keep_alive: keeps those behind NAT open.
    :ivar whereabouts: the same as policies see them.
    :ivar auditor: its proof that nothing leaks.
    :cvar chain: what asks the policies; ``explain`` has one that notes what they say.
    :param clock: a wheel, or a virtual clock.
    :param look_up: resolves names.
    :param look_up_service: resolves SRV names, ``look_up_pointers`` NAPTR names; without, none.
    :param engine: carries the media; None for bypass.
    :param store: keeps the bindings; None for memory alone.
    :param plug_ins: policies that are asked before those of the configuration.
    :param report: told of each leak: scope's name, what was left.
    :param broken: told of exceptions that a message caused; without it they go on.
    :param secret: of tokens in our Contacts at registrars, and of our routes; b"" for a new one.
    :param random: for choices by chance.
    :param registration: told of each of our registrations that has come about, failed or ended.
    :param noticed: told what the media engine has seen of a call, and of which.
    :param mended: told what was wrong with session descriptions; see ``Shared``.
    :raises ConfigError: when a policy cannot be loaded.
    """

    chain: ClassVar[type[PolicyChain]] = RecordedChain

    def __init__(
        self,
        config: Config,
        clock: Clock,
        look_up: LookUp,
        *,
        engine: IMediaEngine | None,
        look_up_service: LookUpService | None = None,
        look_up_pointers: LookUpPointers | None = None,
        store: IBindingStore | None = None,
        plug_ins: Iterable[Policy] = (),
        report: Callable[[str, list[str]], None],
        broken: Callable[[Exception], None] | None = None,
        timers: Timers = RFC_3261,
        secret: bytes = b"",
        random: Random | None = None,
        registration: Callable[[RegistrationData], None] = lambda data: None,
        noticed: Callable[[MediaNotice, CallRecord], None] = lambda notice, record: None,
        mended: Callable[[str, str, Sequence[str]], None] = lambda call_id, leg, what: None,
    ) -> None:
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
        self.random = random or Random()
        self.guard = Guard(
            self.transport, self.transactions, self.bindings, self.auditor, self.random
        )
        self.whereabouts = Whereabouts(self.bindings, self.transport.is_alive)
        secret = secret or os.urandom(32)
        self.upstream = UpstreamRegistrations(secret)
        self.transport.on_closed.append(self.upstream.flow_closed)
        self._plug_ins = tuple(plug_ins)
        self._observers: list[Policy] = []
        self._retired: list[tuple[finalize[..., PolicyChain], Sequence[Policy]]] = []
        self.attention = Attention()
        flight = config.flight
        self.recorder = Recorder(flight.settings(), clock.seconds) if flight.recorder else None
        self.premises = Premises(config, self)
        self.guard.renew(self.premises)
        self.transactions.veils = self.premises.veils(engine is not None)
        self.policies = self._chain(self.premises, None)
        listeners = self.transport.listeners
        names = look_up_service, look_up_pointers, self.random, clock, config.dns.settings()
        resolver = self._resolver = Resolver(look_up, listeners, *names)
        self.agent = UserAgent(
            self.transport,
            self.transactions,
            resolver,
            self.domains,
            self.policies,
            self.auditor,
            lambda user: self.whereabouts.locate(user, self.domain),
        )
        self._world = World(
            clock,
            self.agent,
            self.transport,
            resolver,
            self.auditor,
            [("User-Agent", USER_AGENT)],
            self.random,
            registration,
        )
        shared = Shared(
            clock,
            self.agent,
            self.transport,
            resolver,
            self.policies,
            engine,
            self.auditor,
            call_settings(config),
            self.premises.credentials,
            self.policies,
            [("User-Agent", USER_AGENT)],
            os.urandom(16),
            self.premises.profile_of,
        )
        shared.mended = mended
        self._ways = shared.ways()
        self.fronts = Fronts(
            self.bindings,
            self.domains,
            self.transactions,
            self.guard.door,
            self.auditor,
            self._ways.find_flow,
            self._ways.contact,
            lambda kind, name: self.config.profile_of(kind, name),
            clock.seconds,
            lambda target: self.traffic.patience(target, self.config.switch.try_seconds),
            lambda name: self.traffic.outages(name),
        )
        registrar = Registrar(self.bindings, self.domains, clock.seconds)
        self._registering = RegisterHandler(registrar, self.fronts, self.policies)
        self.agent.handlers["REGISTER"] = self._registering.received
        Moves(self.bindings, self.agent, lambda name: name in self.premises.accounts)
        self.keep_alive = KeepAlive(
            self.bindings,
            self.transactions,
            self._ways.contact,
            shared.own_fields,
            config.registration.settings(),
            self.random,
        )
        self.tolls = Tolls(clock)
        self.traffic = Traffic(self.premises.trunks, config.switch.no_trunk_status, self.tolls)
        self.traffic.throttles = self.guard.throttles
        self.proxy = Forwarder(
            clock,
            self.transport,
            self.transactions,
            resolver,
            self.domains,
            self.auditor,
            secret,
            self.traffic,
        )
        self.proxy.forks = shared.settings.forks
        self.occupancy = Occupancy(lambda name: self.premises.find_user(name), clock.seconds)
        self.occupancy.emergency = frozenset(config.switch.emergency)
        shared.occupancy = self.occupancy
        shared.traffic = self.traffic
        self.checks = Checks(
            self.premises.trunks,
            clock,
            self._ways,
            self.agent,
            self.auditor,
            shared.own_fields,
            config.switch.try_seconds,
        )
        self.agent.proxy = self.proxy
        shared.forward = self.proxy.forward
        self.switch = Switch(shared)
        self.tolls.end = self.switch.toll_spent
        self.tolls.rules = toll_rules(self.premises, self.policies.policies)
        self.passage = self._passage(shared)
        self._shared = shared
        if self.recorder is not None:
            self.transport.note = self.transactions.note = self.recorder.note
            shared.journal = self.recorder
            self.observe(Policy("flight", self.recorder))
        self._noticed = noticed
        if shared.witness is not None:
            shared.witness.listen(self._media_noticed)

    def reload(self, config: Config) -> None:
        """Have what comes from now on served as another configuration says.

        What runs goes on with the policies that it began with. Registrations, nonces and what was
        counted stay.

        :raises ConfigError: it is wrong, or changes what only a restart can change; then nothing
            has changed.
        """
        check_reloadable(self.config, config)
        premises = Premises(config, self, self.premises)
        with load.anew(table["use"] for table in (*self.config.policy, *config.policy)):
            policies = self._chain(premises, self.policies)
        # Nothing below can fail.
        self._retire()
        self.premises, self.policies = premises, policies
        self.transactions.veils = premises.veils(self.engine is not None)
        self.transport.limits = config.datagram_limits()
        self.transport.stream_limits = config.stream_limits()
        self._resolver.settings = config.dns.settings()
        self.guard.renew(premises)
        if self.recorder is not None:
            self.recorder.settings = config.flight.settings()
        self.occupancy.emergency = frozenset(config.switch.emergency)
        self.traffic.renew(premises.trunks, config.switch.no_trunk_status)
        self.traffic.throttles = self.guard.throttles
        self.tolls.rules = toll_rules(premises, policies.policies)
        self.upstream.renew(premises.trunks)
        self.checks.renew(premises.trunks, config.switch.try_seconds)
        self.keep_alive.renew(config.registration.settings())
        premises.nonces.lifetime = config.auth.nonce_seconds
        self.agent.gate = self._registering.policies = policies
        self._shared = self._shared.renewed(
            policies, call_settings(config), premises.credentials, policies, premises.profile_of
        )
        self._ways.settings = self._shared.settings
        self.proxy.forks = self._shared.settings.forks
        self.switch.renew(self._shared)
        self.passage.renew(self._shared, subscription_settings(config))

    def stop_policies(self) -> list[Deferred[None]]:
        """Tell all policies that nobody asks them any more, those too that are only kept for calls.

        :returns: of those that have something to finish, when they have.
        """
        self._retire()
        kept = [policies for later, policies in self._retired if later.detach() is not None]
        self._retired.clear()
        return [wait for policies in kept for wait in load.stop(policies)]

    def _retire(self) -> None:
        """Have the present policies told so once the last call that began with them has ended."""
        loaded = self.policies.policies[len(self._plug_ins) :]
        later = finalize(self.policies, self.clock.callLater, 0.0, load.stop, loaded)
        later.atexit = False
        self._retired = [each for each in self._retired if each[0].alive]
        self._retired.append((later, loaded))

    def observe(self, observer: Policy) -> None:
        """Tell one more ICallObserver of every call that begins, after those that are told already;
        a reload does not touch it."""
        self._observers.append(observer)
        self.policies.observe(observer)

    @property
    def config(self) -> Config:
        """The configuration that holds now."""
        return self.premises.config

    @property
    def domain(self) -> str:
        """The one name that stands for all served domains."""
        return self.domains.primary

    @property
    def listeners(self) -> list[Listener]:
        """With the ports that are really bound."""
        return self.transport.listeners

    def start(self) -> None:
        """Begin with what the switch does by itself, once it has its ports: register at trunks, ask
        whether their members are there, and phones behind NAT."""
        self.upstream.start(self.premises.trunks, self._world)
        self.checks.start()
        self.keep_alive.start()

    def stop(self) -> None:
        """End that, before the ports are closed: un-register, ask no more."""
        self.upstream.stop()
        self.checks.stop()
        self.keep_alive.stop()

    def close(self) -> list[Deferred[None]]:
        """All calls have ended: close the ports, tell of the records that wait for media figures,
        and only then stop the policies, which are told of them too; see ``stop_policies``."""
        self.transport.stop()
        if self._shared.witness is not None:
            self._shared.witness.stop()
        return self.stop_policies()

    def stats(self) -> dict[str, Any]:
        """Figures for an operator: what lives, what was counted, what leaked."""
        counters: Counter[str] = self.switch.counters + self.guard.counters
        counters += self.transactions.counters + self.proxy.counters + self.fronts.counters
        counters += self.keep_alive.counters
        return {
            "calls": len(self.switch.calls),
            "calls_forwarded": len(self.proxy.ledger),
            "subscriptions": self.passage.subscriptions,
            "dialogs": len(self.agent.dialogs),
            "transactions": len(self.transactions),
            "registrations": len(self.bindings),
            "scopes_open": len(self.auditor.open),
            "scopes_closed": self.auditor.closed,
            "leaks": self.auditor.leaks,
            **self.guard.figures(),
            "policies": self.policies.figures(),
            "trunks": self.traffic.figures(),
            "registered_at": self.upstream.figures(),
            "media": dict(self._shared.witness.load()) if self._shared.witness else {},
            "stir": self.premises.stir.verifier.figures(),
            "counters": dict(sorted(counters.items())),
        }

    def offered(self, policy: str, premises: Premises) -> OfferedHouse:
        """The premises as the policy that the configuration calls so is handed them."""
        return premises

    def idle_since(self, user: str) -> float | None:
        """When the last call of a user ended; None while he is in one."""
        return self.occupancy.idle_since(user)

    def _media_noticed(self, notice: MediaNotice) -> None:
        record = self.switch.media_noticed(notice)
        if record is not None:
            self._noticed(notice, record)

    def _passage(self, shared: Shared) -> Passage:
        """What serves requests outside of calls; with the events of which we are the notifier."""
        settings = subscription_settings(self.config)
        lamps = Lamps(lambda user: f"sip:{escape_user(user)}@{self.domain}")
        registrations = Registrations(self.bindings, lambda: self.domain, self.clock.seconds)
        agents = []
        for package in (lamps, registrations):
            state = StateAgent(
                package, self.clock, self.agent, self.auditor, self._ways.contact, settings
            )
            package.changed = state.changed
            agents.append(state)
        shared.lamps = lamps
        return Passage(shared, lambda uri: self.premises.user_of(uri), agents, settings)

    def _chain(self, premises: Premises, previous: PolicyChain | None) -> PolicyChain:
        """The policies of a configuration.

        :param previous: those whose place they take.
        :raises ConfigError: one cannot be loaded.
        """
        config, authenticator = premises.config, premises.authenticator
        loaded: list[Policy] = []
        try:
            for index, table in enumerate(config.policy):
                options = {key: value for key, value in table.items() if key != "use"}
                offered, path = self.offered(table["use"], premises), f"policy[{index}]"
                loaded.append(
                    load.load(table["use"], options, offered, file=config.file, path=path)
                )
        except ConfigError:
            load.stop(loaded)
            raise
        chain = self.chain(
            [*self._plug_ins, *loaded],
            self.clock,
            challenge_fields=authenticator.challenge_fields,
            deadline=config.switch.policy_seconds,
            known_trunk=lambda name: premises.trunk(name) is not None,
            attention=self.attention,
            previous=previous,
        )
        if self.recorder is not None and isinstance(chain, RecordedChain):
            chain.note = self.recorder.note
        if chain.knows_users:
            premises.users.ask = asking(chain)
        for observer in self._observers:
            chain.observe(observer)
        return chain
