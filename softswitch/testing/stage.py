"""The real switch on the loop network, under virtual time: a test's stage. Pure.

::

    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        call = alice.call("bob")
        bob.ring()
        bob.answer()
        assert call.statuses == [180, 200]
        alice.hang_up()

Every floor from the transport up is the one that runs in production; only the sockets, the wires
and the time are not. After every event, each message delivered and each timer fired, what every
call knows is written down as plain data and rebuilt, unless it is as it was. At the end time runs
on until nothing is left to happen, and nothing may be left behind: no timer, transaction, dialog,
port or scope, and one record for each call. What fails prints the ladder of all that was sent.
"""

import json
import pickle
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs
from zope.interface import implementer

from softswitch.flow import usual_port
from softswitch.ops.config import Config
from softswitch.ops.house import House
from softswitch.ops.listen_tables import ListenTable
from softswitch.ops.values import HOOKS
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.interfaces import ICallObserver
from softswitch.plugin.media import IMediaEngine
from softswitch.plugin.record import CallRecord
from softswitch.policy.chain import Policy
from softswitch.settings import structure
from softswitch.testing.clock import VirtualClock
from softswitch.testing.ladder import Address, ladder
from softswitch.testing.network import LoopNetwork
from softswitch.testing.pbx import Pbx
from softswitch.testing.peer import Peer
from softswitch.testing.phone import Phone
from softswitch.transport.hosts import is_address
from softswitch.transport.search import Pointer, Service

T = TypeVar("T")

#: The configuration that a test's own lies on, table by table. A user's password is the name.
CONFIG: Mapping[str, Any] = tomllib.loads("""
[[listen]]
transport = "udp"
bind = "127.88.0.1"

[[listen]]
transport = "tcp"
bind = "127.88.0.1"

[[listen]]
transport = "ws"
bind = "127.88.0.1"
port = 8080

[users]
alice = { password = "alice" }
bob = { password = "bob" }
carol = { password = "carol" }

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[[policy]]
use = "follow"
""")


@implementer(ICallObserver)
class Stage:
    """One switch and whoever is to play with it.

    :ivar clock: the time.
    :ivar network: the wires.
    :ivar house: the switch, from the transport up.
    :ivar records: of the calls that have ended, in order.
    :ivar leaks: what was left behind: scope's name, what.
    :ivar pace: seconds that pass after each thing a phone does.
    :param config: TOML, or the same as a dict; its tables replace those of ``CONFIG``.
    :param engine: makes the media engine for a clock; None for bypass.
    :param plug_ins: policies that are asked before those of the configuration.
    :param names: host name -> addresses, for the resolver.
    :param services: ``_sip._udp.example.org`` -> SRV records, likewise.
    :param pointers: domain -> NAPTR records, likewise.
    :param at: the time at which it begins; without a zone, local time. None: 1970.
    :param file: name of the configuration, for its errors.
    :param transport: of the phones, "UDP", "TCP", "WS", or "TLS", which here is not encrypted.
    :param wires: how the network behaves: ``seed``, ``delay``, ``jitter``, ``loss``,
        ``duplicate``, ``reorder``, ``split`` of ``LoopNetwork``.
    """

    def __init__(
        self,
        config: str | Mapping[str, Any] = "",
        *,
        engine: Callable[[VirtualClock], IMediaEngine] | None = None,
        plug_ins: Sequence[object] = (),
        names: Mapping[str, list[str]] | None = None,
        services: Mapping[str, list[Service]] | None = None,
        pointers: Mapping[str, list[Pointer]] | None = None,
        at: datetime | None = None,
        file: str = "stage",
        transport: str = "UDP",
        pace: float = 0.0,
        **wires: Any,
    ) -> None:
        self.clock = VirtualClock(at.timestamp() if at is not None else 0.0)
        self.network = LoopNetwork(self.clock, **wires)
        self.records: list[CallRecord] = []
        self.leaks: list[tuple[str, list[str]]] = []
        self.pace = pace
        self.transport = transport
        self.engine = None if engine is None else engine(self.clock)
        self._begun: list[str] = []
        self._marks: dict[int, bytes] = {}
        self._names: dict[Address | str, str] = {}
        self._hosts = iter(range(11, 201))
        self._gateways = iter(range(201, 255))
        self._resolved = {name: list(found) for name, found in (names or {}).items()}
        self._file = file
        self.house = House(
            _read(config, file),
            self.clock,
            lambda name, tell: tell(list(self._resolved.get(name, ()))),
            engine=self.engine,
            look_up_service=lambda name, tell: tell(list((services or {}).get(name, ()))),
            look_up_pointers=lambda name, tell: tell(list((pointers or {}).get(name, ()))),
            plug_ins=[Policy(type(each).__name__, each) for each in plug_ins],
            report=lambda scope, left: self.leaks.append((scope, left)),
            random=Random(wires.get("seed", 0)),
        )
        self.house.observe(Policy("stage", self))
        self.network.join(self.house.transport)
        for listener in self.house.transport.listeners:
            self._names.setdefault(listener.bind_host, "switch")
        self.clock.after = self._write_down
        # Once whoever is to play with it is there.
        self.clock.callLater(0, self.house.start)

    @property
    def config(self) -> Config:
        """The configuration that holds now."""
        return self.house.config

    def reload(self, config: str | Mapping[str, Any] = "") -> None:
        """Have the switch take another configuration, as ``softswitch reload`` does.

        :raises ConfigError: it is refused.
        """
        self.house.reload(_read(config, self._file))

    def phone(
        self,
        name: str,
        *,
        host: str = "",
        port: int = 5060,
        transport: str = "",
        password: str | None = None,
        register: bool = True,
    ) -> Phone:
        """A phone of the user ``name``, registered; or of nobody, where there is no such user.

        :param host: its address; "" for the next one that is free.
        :param transport: "" for that of the stage.
        :param password: None for the one in the configuration.
        """
        known = self.config.users.get(name)
        if password is None:
            password = (known.password or "") if known is not None else ""
        transport = transport or self.transport
        phone = Phone(
            self.network,
            name,
            self._place(name, host, port),
            transport,
            self.address_for(transport),
            self.settle,
            password,
        )
        if register and known is not None:
            status = phone.register()
            mend = "" if password else ": its password is not in the configuration, so name it"
            assert status in (0, 200), f"{name} is not registered: {status}{mend}"
            phone.unread.clear()
        return phone

    def trunk(self, name: str, member: int = 0, *, host: str = "") -> Phone:
        """The gateway of a trunk: ``trunk.answers(486)``, ``trunk.call("100")``.

        One that the configuration names by a host name is given an address.

        :param member: which of the trunk's members, from 0: first those of ``addresses``.
        :param host: another address, as of a network from which its calls come.
        :raises AssertionError: there is no such trunk.
        """
        table = self.config.trunks.get(name)
        assert table is not None, f"there is no [trunks.{name}]"
        short = [(address, None) for address in table.addresses]
        long = [(each.address, each.transport) for each in table.members]
        address, transport = [*short, *long][member]
        place = host or address.host
        if not is_address(place):
            known = self._resolved.setdefault(place, [f"127.88.0.{next(self._gateways)}"])
            place = known[0]
        return Phone(
            self.network,
            name,
            self._place(
                f"{name}/{member}" if member else name,
                place,
                address.port or usual_port((transport or table.transport).upper()),
            ),
            (transport or table.transport).upper(),
            self.address_for((transport or table.transport).upper()),
            self.settle,
        )

    def pbx(self, host: str, users: Mapping[str, str], *, transport: str = "") -> Pbx:
        """A PBX-like registrar, which calls and is called.

        :param users: name -> password.
        """
        place = self._place("pbx", host, 5060)
        pbx = Pbx(
            self.network,
            "pbx",
            place,
            transport or self.transport,
            self.address,
            self.settle,
        )
        pbx.users.update(users)
        return pbx

    def peer(self, host: str, port: int = 5060, *, name: str = "", transport: str = "") -> Peer:
        """An address that speaks by hand."""
        name = name or f"peer{host.rpartition('.')[2]}"
        place = self._place(name, host, port)
        return Peer(
            self.network,
            name,
            place,
            transport or self.transport,
            self.address_for(transport or self.transport),
            self.settle,
        )

    def policy(self, name: str) -> Any:
        """The plug-in that a ``[[policy]]`` table of that name has made, the first one if several.

        :raises AssertionError: no table uses it.
        """
        found = [each.plug_in for each in self.house.policies.policies if each.name == name]
        assert found, f'no [[policy]] uses "{name}"'
        return found[0]

    @property
    def address(self) -> Address:
        """Host and port of the switch's first listener."""
        listener = self.house.transport.listeners[0]
        return (listener.bind_host, listener.port)

    def address_for(self, transport: str) -> Address:
        """Host and port of its first listener of that transport; of its first, where it has none.

        :param transport: "UDP", "TCP", "TLS", "WS" or "WSS".
        """
        for listener in self.house.transport.listeners:
            if listener.transport == transport:
                return (listener.bind_host, listener.port)
        return self.address

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run(seconds)

    def settle(self) -> None:
        """Let happen what happens at once, or within the stage's pace."""
        self.clock.run(self.pace)

    def ladder(self) -> str:
        """All that was sent, as a picture."""
        return ladder(self.network.log, self._names)

    def close(self) -> None:
        """Run until nothing is left to happen, and see that nothing is left at all.

        :raises AssertionError: names what is left.
        """
        house = self.house
        calls = [f"{call.data.state}: {call.data.invite}" for call in house.switch.calls.values()]
        assert not calls, f"calls have not ended: {calls}"
        self.settle()
        house.stop()
        house.stop_policies()
        self.clock.run_until_idle()
        assert not self.leaks, f"left behind: {self.leaks}"
        assert house.auditor.leaks == 0
        scopes = {scope.name: scope.holding() for scope in house.auditor.open}
        assert not scopes, f"scopes that are still open: {scopes}"
        transactions = [f"{each.key} {each.state}" for each in house.transactions]
        assert not transactions, f"transactions that are left: {transactions}"
        assert not house.occupancy.busy, f"in a call still: {house.occupancy.busy}"
        assert not house.agent.dialogs, f"dialogs that are left: {house.agent.dialogs}"
        assert self.clock.idle
        ended = [record.id for record in self.records]
        assert sorted(ended) == sorted(self._begun), "one record for each call"
        assert len(set(ended)) == len(ended) == house.switch.counters["calls"]
        for record in self.records:
            assert record.hung_up in ("caller", "callee", "switch"), record
            ends = [record.ended, *(attempt.ended for attempt in record.attempts)]
            assert None not in ends, record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.close()
        except AssertionError:
            print(self.ladder())
            raise
        if error is not None:
            print(self.ladder())

    # What the switch tells its observers.

    def call_started(self, record: CallRecord) -> None:
        """An INVITE was admitted."""
        self._begun.append(record.id)

    def call_ringing(self, record: CallRecord) -> None:
        """The first target rings."""

    def call_answered(self, record: CallRecord) -> None:
        """The caller was told of the answer."""

    def call_ended(self, record: CallRecord) -> None:
        """The call is over."""
        self.records.append(record)

    def _write_down(self) -> None:
        house, marks = self.house, self._marks
        known: list[Any] = [call.data for call in house.switch.calls.values()]
        known += [forwarded.data for forwarded in house.proxy.ledger.calls()]
        if house.passage.busy:
            known.append(house.passage.data)
        known += [registration.data for registration in house.upstream]
        self._marks = {}
        for data in known:
            # What is as it was need not be rebuilt: most events concern one call, or none.
            mark = pickle.dumps(data)
            if marks.get(id(data)) != mark:
                written_down(data)
            self._marks[id(data)] = mark

    def _place(self, name: str, host: str, port: int) -> Address:
        place = (host or f"127.88.0.{next(self._hosts)}", port)
        self._names[place[0]] = name
        return place


def _on_the_network(listeners: tuple[ListenTable, ...]) -> tuple[ListenTable, ...]:
    """Listeners that serve every address of a machine, at one of the loop network's."""
    stands_for = {"0.0.0.0": "127.88.0.1", "::": "fd88::1"}
    return tuple(
        attrs.evolve(each, bind=stands_for.get(each.bind, each.bind)) for each in listeners
    )


def _read(config: str | Mapping[str, Any], file: str) -> Config:
    own = tomllib.loads(config) if isinstance(config, str) else config
    read = structure({**CONFIG, **own}, Config, file=file, hooks=HOOKS)
    return attrs.evolve(read, listen=_on_the_network(read.listen))


def written_down(data: T) -> T:
    """What a call knows, or what goes on outside of calls, rebuilt from its written form.

    :raises AssertionError: when it is not the same.
    """
    plain = to_plain(data)
    rebuilt = from_plain(type(data), json.loads(json.dumps(plain)))
    assert to_plain(rebuilt) == plain
    return rebuilt
