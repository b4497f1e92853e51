"""A rehearsal: the real engine plays one INVITE, without a network, under a clock of its own.

Nothing is opened, written or sent: ports are ``nowhere``'s, the store is read and never written,
media ports are numbers. The house, the policies, the calls and the relay's rewriting are those of
the running switch. (A listener on a wildcard address asks the kernel's routing table, as ever.)
"""

from collections.abc import Callable, Generator, Mapping, Sequence

import attrs

from softswitch.errors import ConfigError, SipSyntaxError
from softswitch.explain.diary import Diary
from softswitch.explain.house import ExplainedHouse
from softswitch.explain.nowhere import Nowhere, Sent
from softswitch.explain.surroundings import (
    ELSEWHERE,
    gateway_health,
    media_engine,
    name_look_up,
    place_phones,
)
from softswitch.flow import SECURE, Flow
from softswitch.ops.config import Config
from softswitch.ops.stored import StoredUsers
from softswitch.settings import nearest
from softswitch.sip import compose
from softswitch.sip.message import Request, Response
from softswitch.sip.parser import MessageSyntaxError, parse
from softswitch.store import snapshot
from softswitch.testing.clock import VirtualClock
from softswitch.transport.listener import Listener, choose

#: Seconds that a rehearsal goes on at most; they take no time.
LONGEST = 3600


@attrs.frozen
class Source:
    """Where the INVITE comes from.

    :ivar host: address literal without brackets; "" for one of the documentation's.
    :ivar port: 0 for that of its Via.
    :ivar transport: "UDP", "TCP", "TLS", "WS", "WSS"; "" for that of its Via.
    :ivar listener: name of the listener; "" for the one that faces the host.
    :ivar names: in the certificate that its sender shows.
    """

    host: str = ""
    port: int = 0
    transport: str = ""
    listener: str = ""
    names: tuple[str, ...] = ()


@attrs.frozen
class Wishes:
    """How it is to be played.

    :ivar as_user: whose password is taken as proved; "" for nobody.
    :ivar registered: user's name -> contacts that take the place of those in the store.
    :ivar down: members of trunks that are out: the trunk's name, "" for any, and the address.
    :ivar resolve: whether names are looked up; else documentation addresses stand for them.
    :ivar all_targets: whether each target is tried in its turn, not only the first.
    :ivar fate: what becomes of each then: a status of 400 to 699 that it answers, 0 for silence.
    :ivar at: Unix time, seconds, at which it happens.
    """

    as_user: str = ""
    registered: Mapping[str, Sequence[str]] = attrs.field(factory=dict)
    down: Sequence[tuple[str, str]] = ()
    resolve: bool = False
    all_targets: bool = False
    fate: int = 0
    at: float = 0.0


@attrs.frozen
class Try:
    """One INVITE that leaves.

    :ivar seconds: after the INVITE came.
    :ivar flow: where it goes.
    :ivar data: as on the wire.
    :ivar invite: the same.
    :ivar fate: what became of it: a status, 0 for silence, None where it was not waited for.
    """

    seconds: float
    flow: Flow
    data: bytes
    invite: Request
    fate: int | None


@attrs.frozen
class Rehearsal:
    """What happened.

    :ivar flow: on which the INVITE came.
    :ivar came: as on the wire.
    :ivar invite: the same; None where it cannot be read.
    :ivar tries: what leaves, in order.
    :ivar answers: what the caller is told, but for 100.
    :ivar health: trunk and address of each member -> "up" or "out", when the INVITE came.
    """

    flow: Flow
    came: bytes
    invite: Request | None
    diary: Diary
    tries: list[Try]
    answers: list[tuple[Response, bytes]]
    health: Mapping[tuple[str, str], str]

    @property
    def limit(self) -> str:
        """The first limit by which it was turned away, as it stands in the record; "" for none."""
        record = self.diary.record
        if record is None:
            return ""
        return record.limit or next((each.limit for each in record.attempts if each.limit), "")


#: Plays whatever is to be played; each turn is a moment at which a policy waits for the world, and
#: is sent whether it may go on waiting.
Turns = Generator[None, bool, None]


def without_waiting(turns: Turns) -> None:
    """Nobody waits: what has not come at once is late."""
    for _ in turns:
        pass


def rehearse(
    config: Config,
    data: bytes,
    source: Source,
    wishes: Wishes,
    play: Callable[[Turns], None] = without_waiting,
) -> Rehearsal:
    """Play an INVITE.

    :param data: as on the wire.
    :param play: takes all turns.
    :raises ConfigError: the configuration's fault, as at the start; or a listener, a user or an
        address that is not in it.
    """
    diary = Diary()
    clock = VirtualClock(wishes.at)
    house = ExplainedHouse(
        diary,
        wishes.as_user,
        config,
        clock,
        name_look_up(config, wishes.resolve, diary),
        engine=media_engine(config, clock),
        report=_heedless,
    )
    StoredUsers(house, config.user_file).start(snapshot.users(config.user_file))
    house.tolls.restore(snapshot.counters(config.state_directory / config.store.path))
    # A directory that must be waited for may know him yet.
    if wishes.as_user and house.premises.look_up_user(wishes.as_user) is None:
        raise ConfigError("--as-user", f"{config.file} knows no user {wishes.as_user}")
    stage = Nowhere(house.transport, clock)
    place_phones(house, stage, wishes.registered)
    health = gateway_health(house, wishes.down)
    invite = _parsed(data)
    listener, host, port = _whence(house, source, invite, diary)
    run = _Run(clock, stage, diary, wishes)
    play(run.turns(lambda: stage.arrive(data, listener.name, host, port, source.names)))
    return Rehearsal(
        house.transport.flow(listener.name, host, port),
        data,
        invite,
        diary,
        run.tries,
        run.answers,
        health,
    )


class _Run:
    """Looks at what the switch sends, and has its targets fail."""

    def __init__(
        self,
        clock: VirtualClock,
        stage: Nowhere,
        diary: Diary,
        wishes: Wishes,
    ) -> None:
        self.tries: list[Try] = []
        self.answers: list[tuple[Response, bytes]] = []
        self._clock = clock
        self._stage = stage
        self._diary = diary
        self._wishes = wishes
        self._seen = 0
        self._known: set[str] = set()

    def turns(self, begin: Callable[[], None]) -> Turns:
        """Until the first INVITEs have left or the caller is answered; with all targets, until the
        caller is answered."""
        begin()
        for step in [0.0, *[0.5] * (2 * LONGEST)]:
            while self._diary.waits and (yield):
                pass
            self._clock.run(step)
            while self._look():
                self._clock.run()
            ended = any(response.status >= 300 for response, _ in self.answers)
            if ended or (self.tries and not self._wishes.all_targets) or self._clock.idle:
                return

    def _look(self) -> bool:
        """Take note of what was sent since, and answer it; whether there was something."""
        new = self._stage.sent[self._seen :]
        self._seen += len(new)
        for sent in new:
            message = _message(sent)
            if isinstance(message, Response):
                self._answered(message, sent.data)
            elif message is not None and message.method == "INVITE":
                self._leaves(message, sent)
        return bool(new)

    def _answered(self, response: Response, data: bytes) -> None:
        copy = any(data == known for _, known in self.answers)
        if response.status > 100 and not copy:
            self.answers.append((response, data))

    def _leaves(self, invite: Request, sent: Sent) -> None:
        branch = invite.top_via.branch or ""
        if branch in self._known:  # sent again, for nobody has answered
            return
        self._known.add(branch)
        fate = self._wishes.fate if self._wishes.all_targets else None
        seconds = round(self._clock.seconds() - self._wishes.at, 3)
        self.tries.append(Try(seconds, sent.flow, sent.data, invite, fate))
        if fate:
            answer = compose.response(invite, fate, to_tag=compose.new_tag())
            sent.reply(answer.encode())


def _message(sent: Sent) -> Request | Response | None:
    try:
        message = parse(sent.data, stream=sent.flow.reliable)
    except MessageSyntaxError:
        # The answer to what is broken repeats what is broken, but for its first line.
        version, _, line = sent.data.partition(b"\r\n")[0].partition(b" ")
        status, _, reason = line.decode("utf-8", "surrogateescape").partition(" ")
        return Response(int(status), reason, []) if version == b"SIP/2.0" else None
    return message if isinstance(message, Request | Response) else None


def _parsed(data: bytes) -> Request | None:
    try:
        message = parse(data)
    except MessageSyntaxError:
        return None
    return message if isinstance(message, Request) else None


def _whence(
    house: ExplainedHouse, source: Source, invite: Request | None, diary: Diary
) -> tuple[Listener, str, int]:
    """The listener at which the INVITE comes, and its source.

    :raises ConfigError: there is no such listener.
    """
    via = _via(invite)
    listeners = house.transport.listeners
    if source.listener:
        named = [each for each in listeners if each.name == source.listener]
        if not named:
            mend = nearest(source.listener, [each.name for each in listeners])
            raise ConfigError("--listener", mend)
        listener = named[0]
    else:
        transport = source.transport or (via[0] if via is not None else "UDP")
        fitting = [each for each in listeners if each.transport == transport]
        if source.host:
            chosen = choose(listeners, transport, source.host)
            fitting = [chosen] if chosen is not None else []
        if not fitting:
            what = f"{transport} from {source.host}" if source.host else transport
            raise ConfigError("--source", f"no listener of {house.config.file} serves {what}")
        listener = fitting[0]
    if source.names and listener.transport not in SECURE:
        raise ConfigError("--certificate", f"{listener.name} serves no TLS: name a --listener")
    host = source.host
    if not host:
        host = ELSEWHERE[6 if ":" in listener.bind_host else 4]
        diary.assume(f"it comes from {host}, since no --source says where from")
    elif (":" in host) != (":" in listener.bind_host):
        raise ConfigError("--source", f"the listener {listener.name} has another IP version")
    return listener, host, source.port or (via[1] if via is not None else 5060)


def _via(invite: Request | None) -> tuple[str, int] | None:
    """Transport and port of the topmost Via; None where it cannot be read."""
    if invite is None:
        return None
    try:
        via = invite.top_via
    except SipSyntaxError:
        return None
    return via.transport.upper(), via.port or 5060


def _heedless(scope: str, left: list[str]) -> None:
    """A rehearsal ends in the middle of a call."""
