"""What surrounds a rehearsal: names, phones, gateways and media ports that are not there.

Each stands for what the running switch would find, and says so in the diary where it is a guess.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from math import inf

import attrs
from cattrs.errors import BaseValidationError

from softswitch.errors import ConfigError, SipSyntaxError, TransportError
from softswitch.explain.diary import Diary, LookedUp
from softswitch.explain.house import ExplainedHouse
from softswitch.explain.nowhere import Nowhere
from softswitch.flow import WEBSOCKETS, Flow
from softswitch.media.relay import RelayEngine
from softswitch.ops.config import Config
from softswitch.plain import from_plain
from softswitch.plugin.media import IMediaEngine
from softswitch.registrar.bindings import Binding
from softswitch.settings import nearest
from softswitch.sip.uri import Uri
from softswitch.store import snapshot
from softswitch.testing.media import StillPath
from softswitch.transport.resolver import next_hop
from softswitch.transport.search import LookUp
from softswitch.trunk.health import Gateway, State
from softswitch.wheel import Clock

#: Where somebody is who might be anywhere (RFC 5737, RFC 3849), by IP version.
ELSEWHERE = {4: "203.0.113.1", 6: "2001:db8:113::1"}
#: The port of a connection that is not there.
EPHEMERAL = 49152


def media_engine(config: Config, clock: Clock) -> IMediaEngine | None:
    """The one of the configuration, without its sockets."""
    if config.media.engine == "bypass":
        return None
    ports = config.media.ports
    quarantine = config.media.quarantine_seconds
    return RelayEngine(clock, (ports.low, ports.high), quarantine, path=StillPath())


def name_look_up(config: Config, resolve: bool, diary: Diary) -> LookUp:
    """What tells the addresses of a name: the system, or the documentation's stand for them."""
    known: dict[str, list[str]] = {}
    families = {ip_address(table.bind).version for table in config.listen}

    def stand_in(name: str) -> list[str]:
        number = len(known) + 1
        forms = {4: f"192.0.2.{number % 255}", 6: f"2001:db8::{number:x}"}
        return [address for version, address in forms.items() if version in families]

    def look_up(name: str, tell: Callable[[list[str]], None]) -> None:
        if name not in known:
            known[name] = _addresses(name) if resolve else stand_in(name)
            diary.entries.append(LookedUp(name, known[name], not resolve))
        tell(list(known[name]))

    return look_up


def _addresses(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def place_phones(
    house: ExplainedHouse, stage: Nowhere, registered: Mapping[str, Sequence[str]]
) -> None:
    """Registrations as the store has them, and those that are given.

    :raises ConfigError: a contact cannot be read or reached, or the store cannot be read.
    """
    config, diary, now = house.config, house.diary, house.clock.seconds()
    path = config.state_directory / config.store.path
    kept = snapshot.load(path)
    if kept is not None:
        for aor, plain in kept.items():
            found = [_revived(house, stage, each) for each in plain]
            bindings = [binding for binding in found if binding is not None]
            house.bindings.update(aor, bindings, len(bindings))
        diary.assume(f"{len(house.bindings)} registrations were read from {path}")
    for user, contacts in registered.items():
        aor = f"{user}@{house.domain}"
        bindings = [
            Binding(aor, contact, _flow_to(house, stage, contact), "", 0, now, now + 3600)
            for contact in contacts
        ]
        house.bindings.remove_all(aor, "", 0)
        house.bindings.update(aor, bindings, len(bindings))
        diary.assume(f"{user} is registered at {', '.join(contacts)} (--registered)")


def _revived(house: ExplainedHouse, stage: Nowhere, plain: object) -> Binding | None:
    """A binding of the store; a phone that had a connection is taken to have it still, for the
    running switch alone would know. None where it cannot be read or its listener is gone."""
    try:
        binding = from_plain(Binding, plain)
    except (BaseValidationError, TypeError):
        return None
    flow = binding.flow
    if all(each.name != flow.listener for each in house.transport.listeners):
        return None
    if flow.reliable:
        flow = stage.flow_from(flow.listener, flow.remote_host, flow.remote_port)
    return attrs.evolve(binding, flow=flow, reachable=True)


def _flow_to(house: ExplainedHouse, stage: Nowhere, contact: str) -> Flow:
    """A flow to where a contact leads; of a page, whose contact leads nowhere, a WebSocket."""
    try:
        uri = Uri.parse(contact)
        if uri.transport in WEBSOCKETS:
            for listener in house.transport.listeners:
                if listener.transport in WEBSOCKETS:
                    host = ELSEWHERE[6 if ":" in listener.bind_host else 4]
                    return stage.flow_from(listener.name, host, EPHEMERAL)
        hop = next_hop(uri)
        if hop is not None:
            return house.transport.flow_to(*hop)
    except (SipSyntaxError, TransportError):
        pass
    raise ConfigError("--registered", f"a SIP URI with an address of ours to reach, not {contact}")


def gateway_health(
    house: ExplainedHouse, down: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """How the members of all trunks are, once those that are out have been taken out.

    :raises ConfigError: there is no such member.
    """
    states = {
        (trunk.name, address): state
        for trunk in house.premises.trunks
        for address, state in trunk.state.states.items()
    }
    health = dict.fromkeys(states, "up")
    for name, address in down:
        found = [each for each in states if each[1] == address and name in ("", each[0])]
        if not found:
            mend = nearest(address, [each for _, each in states])
            raise ConfigError("--down", f"no trunk has the member {address}; {mend}")
        for each in found:
            out = Gateway(State.OUT, until=inf, why="--down")
            states[each].gateways = dict.fromkeys(states[each].gateways or [None], out)
            health[each] = "out"
    if states and not down:
        house.diary.assume("every member of a trunk is up (--down or --stats say otherwise)")
    return health
